/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A large answer is made on a thread: the same command is run again there, on a copy of the cluster
 * and with what the history has answered, so that it finds everything there and need not wait.
 */

#include "controller/topology/conversation.h"
#include "controller/api/common.h"
#include "controller/api/work.h"
#include "controller/model/memory.h"
#include "controller/replay/snapshot.h"

/* Fewer are done before anybody notices. */
#define ROWS_MIN 5000
/* Copying the cluster is the loop's: it takes some 5 us a pod, a graph 3 us a row. */
#define ROWS_A_POD 2

struct errand {
	struct bh_task task; /* first */
	bh_api_command *command;
	struct bh_api api; /* copies; what is not copied is not there */
	struct bh_history *history;
	struct bh_desired *desired;
	struct bh_sight *sight;
	json_t *request;
	struct bh_control_call call;
};

static void run(struct bh_task *task)
{
	struct errand *errand = (struct errand *)task;

	task->result = errand->command(&errand->api, &errand->call);
	task->text = errand->call.text;
}

static void free_errand(struct bh_task *task)
{
	struct errand *errand = (struct errand *)task;

	for (int i = 0; i < BH_CONTROL_QUESTIONS; i++) {
		if (errand->call.tickets[i])
			bh_history_release(errand->history, errand->call.tickets[i]);
	}
	bh_model_free(errand->api.model);
	bh_names_free(errand->api.names);
	bh_desired_unref(errand->desired);
	bh_sight_free(errand->sight);
	json_decref(errand->request);
	json_decref(task->result);
	bh_text_clear(&task->text);
	free(errand);
}

static void begin(struct bh_api *api, struct bh_control_call *call, bh_api_command *command)
{
	struct errand *errand = bh_xcalloc(1, sizeof(*errand));

	errand->task = (struct bh_task){.run = run, .free = free_errand};
	errand->command = command;
	errand->history = api->history;
	errand->desired = bh_desired_ref((struct bh_desired *)api->desired);
	errand->sight = bh_sight_copy(call->sight);
	errand->request = json_deep_copy(call->request);
	errand->api.model = bh_replay_snapshot(api->model);
	errand->api.names = bh_names_copy(api->names);
	errand->api.desired = errand->desired;
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

bool bh_api_elsewhere(
	struct bh_api *api, struct bh_control_call *call, bh_api_command *command, size_t rows)
{
	if (!api->work || rows < ROWS_MIN || rows < ROWS_A_POD * bh_model_count_pods(api->model))
		return false;
	if (!call->work)
		call->work = bh_work_reserve(api->work, call->asker);
	/* Without a place it waits for one: somebody is done soon. */
	if (call->work)
		begin(api, call, command);
	return true;
}
