/* SPDX-License-Identifier: Apache-2.0 */

/* Baselines: what a namespace was seen to do is locked as what is usual, shown, unlocked. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "bulkhead/reasons.h"
#include "controller/api/alerts.h"
#include "controller/api/view.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define LIMIT_MAX 1000

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- Showing --------------------------------------------------------------------------------- */

static void world_cleanup(struct bh_world **world)
{
	bh_world_free(*world);
}

static void name_party(const struct bh_api *api, struct bh_world *world, uint32_t number)
{
	const struct bh_workload_name *name = bh_names_workload(api->names, number);

	if (name)
		bh_world_add(world, number, name->namespace, name->kind, name->name);
}

/* As whoever asks may see it: what is the same then is one conversation. */
static void make_conversations(const struct bh_api *api, const struct bh_sight *sight,
	const struct bh_baseline *baseline, struct bh_world *world,
	struct bh_conversations *ret_conversations)
{
	_cleanup_free_ const struct bh_baseline_conversation **list = bh_baseline_list(baseline);
	size_t n = baseline->conversations.n;
	_cleanup_free_ struct bh_history_edge *rows = bh_xcalloc(n, sizeof(*rows));

	for (size_t i = 0; i < n; i++) {
		uint8_t reason = list[i]->passed ? BH_REASON_POLICY : BH_REASON_ISOLATED;

		name_party(api, world, list[i]->key.client);
		name_party(api, world, list[i]->key.server);
		rows[i].key = (struct bh_history_key){
			.client = list[i]->key.client,
			.server = list[i]->key.server,
			.protocol = list[i]->key.protocol,
			.port = list[i]->key.port,
			.egress = 1,
			.verdict = reason,
			.pending = reason,
		};
	}
	bh_conversations_make(world, sight, n, rows, ret_conversations);
}

/* Open alerts about what the baseline lacks. */
static size_t count_alerts(const struct bh_api *api, const struct bh_baseline *baseline)
{
	const struct bh_alert *alert;
	size_t n = 0;

	for (size_t at = 0; (alert = bh_alerts_next(api->alerts, &at));) {
		n += !alert->acknowledged_ns &&
		     ((alert->baselines[0] &&
			      strcmp(alert->source.namespace, baseline->namespace) == 0) ||
			     (alert->baselines[1] &&
				     strcmp(alert->target.namespace, baseline->namespace) == 0));
	}
	return n;
}

static json_t *conversation_object(const struct bh_conversation *conversation)
{
	json_t *object = json_object();
	char id[BH_CONVERSATION_ID_MAX];

	bh_json_set_text(object, "id", bh_conversation_id(conversation, id));
	json_object_set_new(object, "client", bh_json_party(conversation->client));
	json_object_set_new(object, "server", bh_json_party(conversation->server));
	json_object_set_new(object, "protocol", bh_json_protocol(conversation->protocol));
	json_object_set_new(object, "port", json_integer(conversation->port));
	json_object_set_new(object, "denied", json_boolean(conversation->denied));
	return object;
}

struct page {
	uint64_t offset;
	uint64_t limit;
};

/* `page` NULL: without the conversations. */
static json_t *baseline_object(const struct bh_api *api, const struct bh_sight *sight,
	const struct bh_baseline *baseline, const struct page *page)
{
	_cleanup_(world_cleanup) struct bh_world *world = bh_world_new();
	_cleanup_(bh_conversations_clear) struct bh_conversations conversations = {0};
	json_t *object = json_object();
	json_t *edges;
	size_t n = baseline->conversations.n;
	size_t end;

	/* Those that may be seen are fewer: there is no need to look if all may. */
	if (sight || page) {
		make_conversations(api, sight, baseline, world, &conversations);
		n = conversations.n;
	}
	bh_json_set_text(object, "namespace", baseline->namespace);
	json_object_set_new(object, "locked", bh_json_time(baseline->locked_ns));
	bh_json_set_text(object, "lockedBy", baseline->by);
	json_object_set_new(object, "from", bh_json_time(baseline->from_ns));
	json_object_set_new(object, "to", bh_json_time(baseline->to_ns));
	json_object_set_new(object, "conversations", json_integer((json_int_t)n));
	json_object_set_new(
		object, "alerts", json_integer((json_int_t)count_alerts(api, baseline)));
	if (!page)
		return object;
	edges = json_array();
	end = page->offset < conversations.n && page->limit < conversations.n - page->offset
		      ? page->offset + page->limit
		      : conversations.n;
	for (size_t i = page->offset; i < end; i++)
		json_array_append_new(edges, conversation_object(&conversations.items[i]));
	json_object_set_new(object, "edges", edges);
	json_object_set_new(object, "more", json_integer((json_int_t)(conversations.n - end)));
	json_object_set_new(object, "ok", json_true());
	return object;
}

json_t *bh_api_baselines(struct bh_api *api, struct bh_control_call *call)
{
	size_t n;
	_cleanup_free_ const struct bh_baseline **list = bh_alerts_baselines(api->alerts, &n);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		if (bh_sight_sees(call->sight, list[i]->namespace))
			json_array_append_new(
				array, baseline_object(api, call->sight, list[i], NULL));
	}
	return json_pack("{s:b, s:o}", "ok", 1, "baselines", array);
}

static json_t *read_namespace(const json_t *request, const char **ret_namespace)
{
	json_t *error = bh_api_string(request, "namespace", ret_namespace);

	if (!error && (!*ret_namespace || !**ret_namespace))
		return bh_control_error("'namespace' is missing");
	return error;
}

json_t *bh_api_baseline(struct bh_api *api, struct bh_control_call *call)
{
	struct page page = {.limit = LIMIT_MAX};
	const struct bh_baseline *baseline;
	const char *namespace;
	json_t *error = read_namespace(call->request, &namespace);

	error = error ?: bh_api_number(call->request, "offset", INT64_MAX, &page.offset);
	error = error ?: bh_api_number(call->request, "limit", LIMIT_MAX, &page.limit);
	if (error)
		return error;
	baseline = bh_sight_sees(call->sight, namespace)
			   ? bh_alerts_baseline(api->alerts, namespace)
			   : NULL;
	if (!baseline)
		return bh_api_missing("the namespace '%.253s' has no baseline", namespace);
	return baseline_object(api, call->sight, baseline, &page);
}

/* ---- Orders ---------------------------------------------------------------------------------- */

/* False for what nobody has heard of: most likely a slip. */
static bool is_known(const struct bh_api *api, const char *namespace)
{
	return bh_model_namespace_labels(api->model, namespace) != NULL;
}

static bool is_in(const struct bh_api *api, uint32_t number, const char *namespace)
{
	const struct bh_workload_name *name = bh_names_workload(api->names, number);

	return name && strcmp(name->namespace, namespace) == 0;
}

/* What of the answer is the namespace's. */
static struct bh_baseline *learn(
	const struct bh_api *api, const char *namespace, const struct bh_history_answer *answer)
{
	struct bh_baseline *baseline = bh_baseline_new(namespace);

	for (size_t i = 0; i < answer->n_edges; i++) {
		const struct bh_history_key *key = &answer->edges[i].key;
		const struct bh_baseline_key seen = {
			.client = key->client,
			.server = key->server,
			.port = key->port,
			.protocol = key->protocol,
		};

		if (is_in(api, key->client, namespace) || is_in(api, key->server, namespace))
			bh_baseline_add(baseline, &seen, !bh_reason_drops(key->verdict));
	}
	return baseline;
}

/* Puts it in force, if it can be kept. */
static json_t *put(struct bh_api *api, struct bh_baseline *baseline)
{
	struct bh_baseline *before;
	size_t n = bh_alerts_baseline_conversations(api->alerts) + baseline->conversations.n;
	const struct bh_baseline *now = bh_alerts_baseline(api->alerts, baseline->namespace);
	int r;

	if (n - (now ? now->conversations.n : 0) > BH_BASELINE_CONVERSATIONS_MAX) {
		bh_baseline_free(baseline);
		return bh_control_error(
			"all baselines together would be more than %d "
			"conversations: learn from a shorter time, or unlock others",
			BH_BASELINE_CONVERSATIONS_MAX);
	}
	before = bh_alerts_set_baseline(api->alerts, baseline->namespace, baseline);
	r = api->baselines_changed(api->data);
	if (r < 0) {
		bh_alerts_set_baseline(api->alerts, baseline->namespace, before);
		bh_baseline_free(baseline);
		return bh_control_error(
			"nothing was changed, because it cannot be kept: %s", strerror(-r));
	}
	bh_baseline_free(before);
	bh_alerts_settle(api->alerts, baseline, baseline->locked_ns);
	return NULL;
}

static json_t *check_order(const struct bh_sight *sight, const char *namespace)
{
	if (bh_sight_sees(sight, namespace))
		return NULL;
	return bh_api_forbidden(
		"the token is bound to namespaces, and '%.253s' is none of them", namespace);
}

json_t *bh_api_baseline_lock(struct bh_api *api, struct bh_control_call *call)
{
	const struct page page = {.limit = LIMIT_MAX};
	struct bh_history_question question = {.subject = BH_HISTORY_EDGES};
	const struct bh_history_answer *answer;
	struct bh_window window;
	struct bh_baseline *baseline;
	const char *namespace;
	json_t *error = read_namespace(call->request, &namespace);

	error = error ?: check_order(call->sight, namespace);
	error = error ?: bh_view_window(call->request, "from", "to", &window);
	if (!error && json_object_get(call->request, "to"))
		error = bh_control_error("a baseline is learned from what was seen up to now");
	if (error)
		return error;
	question.from_ns = window.from_ns;
	if (!bh_api_history(api, call, 0, &question, &answer, &error))
		return NULL;
	if (error)
		return error;
	baseline = learn(api, namespace, answer);
	if (baseline->conversations.n == 0 && !is_known(api, namespace)) {
		bh_baseline_free(baseline);
		return bh_api_missing("there is no namespace '%.253s'", namespace);
	}
	/* From when the call came: what was seen since is in the baseline, or it is news. */
	baseline->to_ns = real_ns() - (call->now - call->arrived) * 1000000;
	baseline->locked_ns = baseline->to_ns;
	baseline->from_ns = window.from_ns ? answer->from_ns : 0;
	snprintf(baseline->by, sizeof(baseline->by), "%s", *call->asker ? call->asker : "command");
	error = put(api, baseline);
	return error ? error : baseline_object(api, call->sight, baseline, &page);
}

json_t *bh_api_baseline_unlock(struct bh_api *api, struct bh_control_call *call)
{
	struct bh_baseline *before;
	const char *namespace;
	json_t *error = read_namespace(call->request, &namespace);
	int r;

	error = error ?: check_order(call->sight, namespace);
	if (error)
		return error;
	before = bh_alerts_set_baseline(api->alerts, namespace, NULL);
	if (!before)
		return bh_api_missing("the namespace '%.253s' has no baseline", namespace);
	r = api->baselines_changed(api->data);
	if (r < 0) {
		bh_alerts_set_baseline(api->alerts, namespace, before);
		return bh_control_error(
			"nothing was changed, because it cannot be kept: %s", strerror(-r));
	}
	bh_baseline_free(before);
	return bh_api_baselines(api, call);
}
