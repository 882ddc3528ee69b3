/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A large answer is made on a thread: the same command is run again there, on an excerpt of what it
 * would find here and with what the history has answered, so that it finds everything there and
 * need not wait.
 */

#include "controller/topology/conversation.h"
#include "controller/api/common.h"
#include "controller/api/excerpt.h"
#include "controller/api/work.h"
#include "controller/model/memory.h"

/* Fewer are done in a few milliseconds. */
#define ROWS_MIN 1000

struct errand {
	struct bh_task task; /* first */
	bh_api_command *command;
	struct bh_excerpt excerpt;
	struct bh_history *history;
	struct bh_sight *sight;
	json_t *request;
	struct bh_control_call call;
};

static void run(struct bh_task *task)
{
	struct errand *errand = (struct errand *)task;

	bh_excerpt_enter(&errand->excerpt);
	task->result = errand->command(&errand->excerpt.api, &errand->call);
	task->text = errand->call.text;
	bh_excerpt_leave(&errand->excerpt);
}

static void free_errand(struct bh_task *task)
{
	struct errand *errand = (struct errand *)task;

	for (int i = 0; i < BH_CONTROL_QUESTIONS; i++) {
		if (errand->call.tickets[i])
			bh_history_release(errand->history, errand->call.tickets[i]);
	}
	bh_excerpt_release(&errand->excerpt);
	bh_sight_free(errand->sight);
	json_decref(errand->request);
	json_decref(task->result);
	bh_text_clear(&task->text);
	free(errand);
}

static void begin(struct bh_api *api, struct bh_control_call *call, bh_api_command *command,
	unsigned int parts)
{
	struct errand *errand = bh_xcalloc(1, sizeof(*errand));

	errand->task = (struct bh_task){.run = run, .free = free_errand};
	errand->command = command;
	errand->history = api->history;
	errand->sight = bh_sight_copy(call->sight);
	errand->request = json_deep_copy(call->request);
	bh_excerpt_take(&errand->excerpt, api, parts);
	errand->call = *call;
	errand->call.request = errand->request;
	errand->call.sight = errand->sight;
	errand->call.elsewhere = true;
	for (int i = 0; i < BH_CONTROL_QUESTIONS; i++) {
		if (call->tickets[i])
			errand->call.answers[i] = bh_history_answer(api->history, call->tickets[i]);
		call->tickets[i] = 0;
	}
	bh_work_begin(api->work, call->work, &errand->task);
}

#define ANSWER_MS 60000

/* What it was waiting for is there, or was waited for long enough: from here on for the answer. */
static void wait_for_answer(struct bh_control_call *call)
{
	uint64_t end = call->arrived + ANSWER_MS;

	call->memo = 0;
	if (call->deadline < end)
		call->deadline = end;
	call->expired = call->deadline <= call->now;
}

bool bh_api_is_large(const struct bh_api *api)
{
	return api->work && bh_edges_count(api->edges) >= ROWS_MIN;
}

bool bh_api_elsewhere(struct bh_api *api, struct bh_control_call *call, bh_api_command *command,
	size_t rows, unsigned int parts)
{
	if (!api->work || rows < ROWS_MIN)
		return false;
	if (!call->work)
		call->work = bh_work_reserve(api->work, call->asker);
	/* Without a place it waits for one: somebody is done soon. */
	if (call->work)
		begin(api, call, command, parts);
	wait_for_answer(call);
	return true;
}
