/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Answers of a Prometheus → a survey of the cluster → its graph. The input is the bodies, one after
 * the other, with a zero byte between them; who begins with '!' is an HTTP error. Beyond not
 * crashing: a survey ends, with an error of one line or with rows that are sorted.
 */
#include <stdlib.h>
#include <string.h>

#include "controller/cluster/survey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct bh_cluster_answer *answer)
{
	struct bh_conversations conversations;
	struct bh_world *world;

	for (size_t i = 0; i < answer->n_notes; i++)
		require(!strchr(answer->notes[i], '\n'));
	for (size_t i = 1; i < answer->n_edges; i++)
		require(bh_history_compare(&answer->edges[i - 1], &answer->edges[i]) < 0);
	world = bh_cluster_world(answer);
	bh_conversations_make(world, NULL, answer->n_edges, answer->edges, &conversations);
	require(conversations.n <= answer->n_edges);
	for (size_t i = 0; i < conversations.n; i++)
		free(bh_cluster_text(NULL, &conversations.items[i]));
	json_decref(bh_cluster_object(answer, true));
	for (size_t i = 1; i < answer->n_points; i++)
		require(answer->points[i - 1].start_ns < answer->points[i].start_ns);
	bh_conversations_clear(&conversations);
	bh_world_free(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bh_cluster_window window = {.from_s = 1000, .to_s = 2000};
	struct bh_survey *survey = bh_survey_new(&window, "");
	const char *at = (const char *)data;
	struct bh_cluster_answer *answer;
	int questions = 0;

	if (size && *at == '~') {
		bh_survey_of_edge(survey, "port=\"80\"");
		at++;
		size--;
	}
	while (bh_survey_next(survey)) {
		const char *end = size ? memchr(at, 0, size) : NULL;
		size_t n = end ? (size_t)(end - at) : size;

		require(++questions < BH_CLUSTER_SUBJECTS + BH_CLUSTER_SAMPLED_MAX);
		if (n && *at == '!')
			bh_survey_take(survey, 422, at + 1, n - 1);
		else
			bh_survey_take(survey, 200, at, n);
		/* The last one answers everything else. */
		if (end) {
			at += n + 1;
			size -= n + 1;
		}
	}
	answer = bh_survey_answer(survey);
	if (answer->error)
		require(!strchr(answer->error, '\n'));
	else
		check(answer);
	bh_cluster_answer_free(answer);
	bh_survey_free(survey);
	return 0;
}
