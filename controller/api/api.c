/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/api/common.h"
#include "controller/api/work.h"

static const struct {
	const char *name;
	bh_api_command *run;
} commands[] = {
	{"status", bh_api_status},
	{"metrics", bh_api_metrics},
	{"pods", bh_api_pods},
	{"policies", bh_api_policies},
	{"flows", bh_api_flows},
	{"edges", bh_api_edges},
	{"graph", bh_api_graph},
	{"explain", bh_api_explain},
	{"mode", bh_api_mode},
	{"quarantine", bh_api_quarantine},
	{"wait", bh_api_wait},
	{"policy-diff", bh_api_policy_diff},
	{"policy-suggest", bh_api_policy_suggest},
	{"endpoint-ready", bh_api_endpoint_ready},
	{"endpoint-gone", bh_api_endpoint_gone},
	{"topology", bh_api_topology},
	{"topology-diff", bh_api_topology_diff},
	{"export", bh_api_export},
	{"conversations", bh_api_conversations},
	{"conversation", bh_api_conversation},
	{"series", bh_api_series},
	{"namespaces", bh_api_namespaces},
	{"readiness", bh_api_readiness},
	{"allow", bh_api_allow},
	{"token", bh_api_token},
	{"alerts", bh_api_alerts},
	{"alert-ack", bh_api_alert_ack},
	{"baselines", bh_api_baselines},
	{"baseline", bh_api_baseline},
	{"baseline-lock", bh_api_baseline_lock},
	{"baseline-unlock", bh_api_baseline_unlock},
};

static json_t *handle(struct bh_api *api, struct bh_control_call *call)
{
	const char *name;
	json_t *error = bh_api_string(call->request, "command", &name);

	if (error)
		return error;
	if (!name)
		return bh_control_error("the request has no 'command'");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(api, call);
	}
	return bh_control_error("there is no command '%.64s'", name);
}

/* What a thread has made of it; NULL: not yet. */
static json_t *take_result(const struct bh_api *api, struct bh_control_call *call)
{
	struct bh_task *task = bh_work_done(api->work, call->work);

	if (task) {
		call->text = task->text;
		task->text = (struct bh_text){0};
		return json_incref(task->result);
	}
	return call->expired ? bh_api_busy("it takes too long: ask for a shorter window") : NULL;
}

json_t *bh_api_handle(void *data, struct bh_control_call *call)
{
	struct bh_api *api = data;
	json_t *answer = call->work && bh_work_begun(api->work, call->work) ? take_result(api, call)
									    : handle(api, call);

	if (answer || call->text.data || call->expired)
		bh_api_leave(data, call);
	return answer;
}
