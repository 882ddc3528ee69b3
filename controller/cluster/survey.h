/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLUSTER_SURVEY_H
#define BULKHEAD_CLUSTER_SURVEY_H

/*
 * One look at the cluster: which questions Prometheus is asked, one after the other, and what comes
 * of the answers. Pure: somebody else carries them (fetch.h).
 *
 * The counters of a target that only grew in the window are added up by Prometheus. Of a target
 * whose counters went down, because it began anew, all samples are asked for and added up here.
 */

#include "controller/cluster/answer.h"

/* Targets whose samples are asked for; of more, what is known for certain is counted. */
#define BH_CLUSTER_SAMPLED_MAX 32

struct bh_survey;

/* `matchers` as of bh_cluster_matchers(), or "". */
struct bh_survey *bh_survey_new(const struct bh_cluster_window *window, const char *matchers);
/* Before it begins: not the graph is asked for, but the edge that these match (promql.h) over time.
 */
void bh_survey_of_edge(struct bh_survey *survey, const char *edge);
void bh_survey_free(struct bh_survey *survey);

const struct bh_cluster_window *bh_survey_window(const struct bh_survey *survey);

/* The next expression, to be asked for window.to_s; NULL: it is done. Lives until the next call. */
const char *bh_survey_next(struct bh_survey *survey);

/* What came of it: the body of an answer with this HTTP status; or why there is none, one line. */
void bh_survey_take(struct bh_survey *survey, long status, const char *body, size_t n);
void bh_survey_fail(struct bh_survey *survey, const char *why);
/* Nothing more is asked. */
void bh_survey_give_up(struct bh_survey *survey, const char *why);

/* At the end; the survey has it no longer. */
struct bh_cluster_answer *bh_survey_answer(struct bh_survey *survey);

#endif
