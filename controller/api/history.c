/* SPDX-License-Identifier: Apache-2.0 */

/* Questions to the history, which take more than one turn; and how it stands. */

#include <inttypes.h>

#include "controller/api/common.h"
#include "controller/api/work.h"
#include "controller/cluster/cluster.h"

/* A window of hundreds of thousands of rows takes a second or two. */
#define ANSWER_MS 60000

/* False: the data plane has not told everything yet. */
static bool ask(struct bh_api *api, struct bh_control_call *call, int slot,
	const struct bh_history_question *question, json_t **ret_error)
{
	if (slot == 0 && !bh_api_fresh(api, call))
		return false;
	call->tickets[slot] = bh_history_ask(api->history, question, NULL, NULL);
	if (!call->tickets[slot])
		*ret_error = bh_api_busy("too many questions to the history at once: try again");
	call->deadline = call->now + ANSWER_MS;
	call->expired = false; /* it was the data plane's time that was up */
	return *ret_error != NULL;
}

bool bh_api_history(struct bh_api *api, struct bh_control_call *call, int slot,
	const struct bh_history_question *question, const struct bh_history_answer **ret_answer,
	json_t **ret_error)
{
	*ret_answer = NULL;
	*ret_error = NULL;
	if (!call->tickets[slot])
		return ask(api, call, slot, question, ret_error);
	*ret_answer = call->answers[slot] ?: bh_history_answer(api->history, call->tickets[slot]);
	if (!*ret_answer && !call->expired)
		return false;
	if (!*ret_answer)
		*ret_error = bh_api_busy("the history does not answer: its disk is slow, or others "
					 "ask too much of it");
	else if ((*ret_answer)->error)
		*ret_error = bh_control_error("the history: %s", (*ret_answer)->text);
	return true;
}

void bh_api_leave(struct bh_api *api, struct bh_control_call *call)
{
	for (int i = 0; i < BH_CONTROL_QUESTIONS; i++) {
		if (call->tickets[i])
			bh_history_release(api->history, call->tickets[i]);
		call->tickets[i] = 0;
	}
	if (call->work)
		bh_work_release(api->work, call->work);
	call->work = 0;
	for (int i = 0; i < BH_CONTROL_QUESTIONS; i++) {
		if (call->surveys[i] && api->cluster)
			bh_cluster_release(api->cluster, call->surveys[i]);
		call->surveys[i] = 0;
	}
}

json_t *bh_json_history(const struct bh_api *api)
{
	static const char *const levels[BH_HISTORY_LEVELS] = {"15s", "5m", "1h"};
	struct bh_history_status status;
	json_t *object = json_object();
	json_t *since = json_object();

	bh_history_status(api->history, &status);
	for (int i = 0; i < BH_HISTORY_LEVELS; i++)
		json_object_set_new(since, levels[i], bh_json_time(status.since_level_ns[i]));
	bh_json_set_text(object, "path", status.path);
	json_object_set_new(object, "onDisk", json_boolean(status.on_disk));
	json_object_set_new(object, "since", bh_json_time(status.since_ns));
	json_object_set_new(object, "sinceBySpan", since);
	json_object_set_new(object, "bytes", json_integer((json_int_t)status.bytes));
	json_object_set_new(object, "maxBytes", json_integer((json_int_t)status.max_bytes));
	json_object_set_new(object, "days", json_integer(status.keep_days));
	json_object_set_new(object, "edges", json_integer((json_int_t)status.edges));
	json_object_set_new(object, "written", bh_json_time(status.written_ns));
	json_object_set_new(object, "writeMicroseconds", json_integer((json_int_t)status.write_us));
	json_object_set_new(object, "late", json_integer((json_int_t)status.late));
	json_object_set_new(object, "dropped", json_integer((json_int_t)status.dropped));
	return object;
}
