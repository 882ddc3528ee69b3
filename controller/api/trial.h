/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_TRIAL_H
#define BULKHEAD_API_TRIAL_H

/*
 * Policies tried on what was seen, and made of it: what `policy diff` and `policy suggest` answer,
 * computed on a thread (see work.h) from the cluster as it was when they were asked.
 */

#include "controller/api/excerpt.h"
#include "controller/api/work.h"
#include "controller/topology/conversation.h"

struct bh_trial {
	struct bh_task task; /* first */
	bool suggest;
	/* The answer of the history, and what it is given back with. */
	struct bh_history *history;
	uint64_t ticket;
	const struct bh_history_answer *answer;
	/* Copies. */
	struct bh_excerpt excerpt;
	json_t *request;
	json_t *decisions;
	json_t *window;
	struct bh_sight *sight; /* NULL: everything */
};

/*
 * Copies what of the controller it needs, and takes over the call's question to the history, which
 * was answered. Free it by its task, or hand it over.
 */
struct bh_trial *bh_trial_new(const struct bh_api *api, struct bh_control_call *call,
	const struct bh_history_answer *answer);

#endif
