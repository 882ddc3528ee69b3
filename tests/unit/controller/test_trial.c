/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Policies tried on a large history, as a command: the loop answers others meanwhile, nobody takes
 * all the threads, a token sees its namespaces only, and modes are told beside the verdicts.
 */
#include "tests/unit/controller/fixture.h"

#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/reasons.h"
#include "controller/alerts/alerts.h"
#include "controller/api/api.h"
#include "controller/api/work.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"
#include "proto/log.h"

#define MANY 20000
#define NS 1000000000ull

enum { FRONT = 1, BACK, DB, OTHER };

static const char objects[] =
	"{apiVersion: v1, kind: Pod, metadata: {name: front, namespace: shop, labels: {app: "
	"front}},"
	" spec: {nodeName: n1}, status: {phase: Running, podIPs: [{ip: 10.0.0.1}]}}\n---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: back, namespace: shop, labels: {app: back}},"
	" spec: {nodeName: n1}, status: {phase: Running, podIPs: [{ip: 10.0.0.2}]}}\n---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: data, labels: {app: db}},"
	" spec: {nodeName: n1}, status: {phase: Running, podIPs: [{ip: 10.0.0.3}]}}\n---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: data, labels: {app: "
	"other}},"
	" spec: {nodeName: n1}, status: {phase: Running, podIPs: [{ip: 10.0.0.4}]}}\n";

static struct bh_api api;
static uv_loop_t loop;
static char folder[64];
static const struct bh_link_events no_events;

static uint64_t now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void nothing(void *data)
{
}

/* ---- The controller's parts ------------------------------------------------------------------ */

static Bulkhead__Wire__Edge *seen(uint32_t client, uint32_t server, uint16_t port)
{
	uint64_t when = now_ms(CLOCK_REALTIME) * 1000000 - 60 * NS;
	Bulkhead__Wire__Edge *edge = bh_xcalloc(1, sizeof(*edge));

	bulkhead__wire__edge__init(edge);
	edge->local = client;
	edge->remote = server;
	edge->port = port;
	edge->protocol = IPPROTO_TCP;
	edge->egress = true;
	edge->verdict = BH_REASON_OPEN;
	edge->pending = BH_REASON_NOT_ISOLATED;
	edge->peer_local = true;
	edge->family = 4;
	edge->packets_out = edge->packets_in = 3;
	edge->octets_out = edge->octets_in = 300;
	edge->flows = 1;
	edge->first_ns = edge->last_ns = when;
	return edge;
}

/* front → back at many ports, and a few others at 80. */
static void fill_history(void)
{
	static const struct bh_desired_workload workloads[] = {{FRONT, "shop", "Pod", "front"},
		{BACK, "shop", "Pod", "back"}, {DB, "data", "Pod", "db"},
		{OTHER, "data", "Pod", "other"}};
	struct bh_desired desired = {.workloads = bh_run_new(&bh_desired_workloads, workloads, 4)};
	Bulkhead__Wire__Edge **edges = bh_xcalloc(MANY + 3, sizeof(*edges));
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;

	for (int i = 0; i < MANY; i++)
		edges[i] = seen(FRONT, BACK, (uint16_t)(i + 1000));
	edges[MANY] = seen(DB, FRONT, 80);
	edges[MANY + 1] = seen(OTHER, FRONT, 80);
	edges[MANY + 2] = seen(OTHER, DB, 80);
	batch.generation = 1;
	batch.n_edges = MANY + 3;
	batch.edges = edges;
	bh_names_learn(api.names, &desired, NULL);
	bh_run_unref(&desired.workloads);
	bh_history_record_edges(api.history, &batch);
	for (int i = 0; i < MANY + 3; i++)
		free(edges[i]);
	free(edges);
}

static int start(void **state)
{
	struct bh_history_config config = {.max_bytes = BH_HISTORY_BYTES_MIN * 4, .keep_days = 1};
	_cleanup_free_ char *history = NULL, *wire = NULL;

	bh_log_open("test", BH_LOG_ERROR);
	strcpy(folder, "/tmp/bulkhead-trial-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	history = bh_xasprintf("%s/history.db", folder);
	wire = bh_xasprintf("%s/wire.sock", folder);
	uv_loop_init(&loop);
	api.model = bh_model_new("n1", BH_MODE_OBSERVE);
	api.names = bh_names_new(api.model);
	config.path = history;
	config.names = api.names;
	api.history = bh_history_open(&config);
	fill_history();
	api.work = bh_work_new(&loop, nothing, NULL);
	api.flows = bh_flow_log_new(BH_FLOW_LOG_RECORDS, BH_FLOW_LOG_BYTES);
	api.edges = bh_edges_new();
	api.alerts = bh_alerts_new(&(struct bh_alerts_config){.names = api.names}, 0);
	api.decisions = json_object();
	api.decisions_path = "/nowhere";
	api.compiler = bh_compiler_new();
	if (bh_link_new(wire, "n1", &no_events, NULL, &api.link) < 0 ||
		bh_manifests_open(folder, -1, api.model, &api.manifests) < 0)
		return -1;
	put_yaml(api.model, objects);
	api.desired = bh_compile(api.compiler, api.model);
	return 0;
}

static int end(void **state)
{
	_cleanup_free_ char *command = bh_xasprintf("rm -rf '%s'", folder);

	bh_work_close(api.work);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	bh_work_free(api.work);
	bh_history_close(api.history);
	bh_link_free(api.link);
	bh_manifests_free(api.manifests);
	bh_desired_unref((struct bh_desired *)api.desired);
	bh_compiler_free(api.compiler);
	bh_flow_log_free(api.flows);
	bh_alerts_free(api.alerts);
	bh_edges_free(api.edges);
	bh_names_free(api.names);
	bh_model_free(api.model);
	json_decref(api.decisions);
	return system(command);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

struct call {
	struct bh_control_call call;
	json_t *request;
};

static struct call call_of(const char *asker, const struct bh_sight *sight, json_t *request)
{
	return (struct call){.request = request,
		.call = {.request = request, .sight = sight, .asker = asker, .first = true}};
}

static json_t *proceed(struct call *call)
{
	json_t *answer;

	call->call.now = now_ms(CLOCK_MONOTONIC);
	if (call->call.first)
		call->call.arrived = call->call.now;
	answer = bh_api_handle(&api, &call->call);
	call->call.first = false;
	/* Long ones are written at once. */
	if (!answer && call->call.text.data) {
		answer = json_loadb(call->call.text.data, call->call.text.n, 0, NULL);
		assert_non_null(answer);
		bh_text_clear(&call->call.text);
	}
	return answer;
}

static void leave(struct call *call)
{
	bh_api_leave(&api, &call->call);
	json_decref(call->request);
}

static void take_history(void)
{
	struct pollfd ready = {.fd = bh_history_fd(api.history), .events = POLLIN};

	poll(&ready, 1, 100);
	bh_history_dispatch(api.history, now_ms(CLOCK_MONOTONIC));
}

/* Until a thread has it. The loop does not turn, so its answer cannot have come. */
static void begin(struct call *call)
{
	uint64_t deadline = now_ms(CLOCK_MONOTONIC) + 120000;

	do {
		assert_true(now_ms(CLOCK_MONOTONIC) < deadline);
		assert_null(proceed(call));
		take_history();
	} while (!bh_work_begun(api.work, call->call.work));
}

static json_t *finish(struct call *call)
{
	uint64_t deadline = now_ms(CLOCK_MONOTONIC) + 300000;
	json_t *answer;

	while (!(answer = proceed(call))) {
		assert_true(now_ms(CLOCK_MONOTONIC) < deadline);
		uv_run(&loop, UV_RUN_ONCE);
	}
	json_decref(call->request);
	return answer;
}

static json_t *ask(const char *asker, const struct bh_sight *sight, json_t *request)
{
	struct call call = call_of(asker, sight, request);
	uint64_t deadline = now_ms(CLOCK_MONOTONIC) + 300000;
	json_t *answer;

	while (!(answer = proceed(&call))) {
		assert_true(now_ms(CLOCK_MONOTONIC) < deadline);
		take_history();
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	json_decref(call.request);
	return answer;
}

static json_t *diff_of(const char *text)
{
	return json_pack("{s:s, s:[{s:s, s:s}]}", "command", "policy-diff", "manifests", "name",
		"try.yaml", "text", text);
}

static const char closed[] =
	"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: none,"
	" namespace: shop}, spec: {podSelector: {}, policyTypes: [Ingress]}}";

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static json_int_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void others_are_answered_while_a_policy_is_tried(void **state)
{
	struct call diff = call_of("", NULL, diff_of(closed));
	struct call status = call_of("", NULL, json_pack("{s:s}", "command", "status"));
	json_t *answer;

	begin(&diff);
	answer = proceed(&status);
	assert_non_null(answer);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	json_decref(status.request);
	answer = finish(&diff);
	assert_int_equal(number_of(answer, "newlyDenied"), MANY + 2);
	assert_int_equal(number_of(answer, "unchanged"), 1);
	json_decref(answer);
}

/* The same answer, whoever has made it. */
static void a_large_graph_is_made_while_others_are_answered(void **state)
{
	static const char *const commands[] = {
		"topology", "export", "topology-diff", "conversations"};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct call graph = call_of("g", NULL,
			json_pack("{s:s, s:s, s:s}", "command", commands[i], "last", "1h", "format",
				"csv"));
		struct call status = call_of("", NULL, json_pack("{s:s}", "command", "status"));
		json_t *answer;

		begin(&graph);
		bh_model_set_quarantine(api.model, "shop", "back", i % 2);
		answer = proceed(&status);
		assert_true(json_is_true(json_object_get(answer, "ok")));
		json_decref(answer);
		json_decref(status.request);
		answer = finish(&graph);
		assert_true(json_is_true(json_object_get(answer, "ok")));
		if (!strcmp(commands[i], "topology"))
			assert_int_equal(
				number_of(json_object_get(answer, "matched"), "of"), MANY + 3);
		if (!strcmp(commands[i], "conversations"))
			assert_int_equal(number_of(answer, "total"), MANY + 3);
		json_decref(answer);
	}
	bh_model_set_quarantine(api.model, "shop", "back", false);
}

/* Trials are refused while threads are taken; a graph waits. */
static void a_large_graph_waits_for_its_turn(void **state)
{
	struct call graph =
		call_of("g", NULL, json_pack("{s:s, s:s}", "command", "topology", "last", "1h"));
	uint64_t tickets[2] = {bh_work_reserve(api.work, "g"), bh_work_reserve(api.work, "g")};

	for (int i = 0; i < 20; i++) {
		assert_null(proceed(&graph));
		take_history();
	}
	for (int i = 0; i < 2; i++)
		bh_work_release(api.work, tickets[i]);
	begin(&graph);
	json_decref(finish(&graph));
}

static void the_cluster_may_change_while_a_policy_is_tried(void **state)
{
	struct call diff = call_of("", NULL, diff_of(closed));
	json_t *answer;

	begin(&diff);
	put_yaml(api.model, "{apiVersion: v1, kind: Namespace, metadata: {name: shop,"
			    " labels: {a: b}}}");
	bh_model_remove(api.model, bh_model_pod_by_name(api.model, "shop", "back")->uid);
	answer = finish(&diff);
	assert_int_equal(number_of(answer, "newlyDenied"), MANY + 2);
	json_decref(answer);
	put_yaml(api.model, objects);
}

static void an_asker_has_two_threads_and_is_told(void **state)
{
	struct call mine[3], yours = call_of("you", NULL, diff_of(closed));
	json_t *answer;

	for (int i = 0; i < 3; i++)
		mine[i] = call_of("me", NULL, diff_of(closed));
	begin(&mine[0]);
	begin(&mine[1]);
	answer = proceed(&mine[2]);
	assert_string_equal(text_of(answer, "code"), "busy");
	json_decref(answer);
	begin(&yours);
	/* Who leaves is still the one who keeps a thread busy. */
	leave(&mine[0]);
	answer = proceed(&mine[2]);
	assert_string_equal(text_of(answer, "code"), "busy");
	json_decref(answer);
	json_decref(finish(&mine[1]));
	json_decref(finish(&yours));
	while (!bh_work_reserve(api.work, "me"))
		uv_run(&loop, UV_RUN_ONCE);
	leave(&mine[2]);
}

static void all_together_have_so_many_places(void **state)
{
	uint64_t tickets[BH_WORK_ALL];
	char asker[16];

	/* One is left from the test before. */
	for (int i = 1; i < BH_WORK_ALL; i++) {
		snprintf(asker, sizeof(asker), "%d", i);
		tickets[i] = bh_work_reserve(api.work, asker);
		assert_int_not_equal(tickets[i], 0);
	}
	assert_int_equal(bh_work_reserve(api.work, "one more"), 0);
	for (int i = 1; i < BH_WORK_ALL; i++)
		bh_work_release(api.work, tickets[i]);
}

static void what_may_be_tried_is_bounded(void **state)
{
	json_t *list = json_array(), *answer;

	for (int i = 0; i < 1001; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:{s:s, s:o}, s:{s:{}}}", "apiVersion",
				      "networking.k8s.io/v1", "kind", "NetworkPolicy", "metadata",
				      "namespace", "shop", "name", json_sprintf("p%d", i), "spec",
				      "podSelector"));

	json_t *all =
		json_pack("{s:s, s:s, s:o}", "apiVersion", "v1", "kind", "List", "items", list);
	_cleanup_free_ char *text = json_dumps(all, 0);

	json_decref(all);
	answer = ask("", NULL, diff_of(text));
	assert_non_null(strstr(text_of(answer, "error"), "more than 1000 policies"));
	json_decref(answer);
}

static void files_without_a_policy_are_named_beside_those_that_have_one(void **state)
{
	json_t *request = diff_of("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
	json_t *answer = ask("", NULL, json_deep_copy(request));

	assert_non_null(strstr(text_of(answer, "error"), "try.yaml: there is no NetworkPolicy"));
	json_decref(answer);
	json_array_append_new(json_object_get(request, "manifests"),
		json_pack("{s:s, s:s}", "name", "closed.yaml", "text", closed));
	answer = ask("", NULL, request);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_int_equal(json_array_size(json_object_get(answer, "skipped")), 1);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(answer, "skipped"), 0)),
		"try.yaml");
	json_decref(answer);
}

static void a_name_that_no_namespace_has_is_told(void **state)
{
	static const char *const commands[] = {"edges", "graph", "flows", "topology"};
	char *data[] = {(char *)"data"};
	const struct bh_sight sight = {1, data};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		json_t *answer = ask("", NULL,
			json_pack("{s:s, s:s}", "command", commands[i], "namespace", "shpo"));

		assert_true(json_is_true(json_object_get(answer, "ok")));
		assert_true(json_is_false(json_object_get(answer, "known")));
		json_decref(answer);
	}
	/* Nor is there any for who may not see it. */
	for (int sees = 0; sees < 2; sees++) {
		json_t *answer = ask("", sees ? NULL : &sight,
			json_pack("{s:s, s:s}", "command", "flows", "namespace", "shop"));

		assert_int_equal(json_is_true(json_object_get(answer, "known")), sees);
		json_decref(answer);
	}
}

static json_t *find_conversation(const char *client, const char *server)
{
	json_t *list = ask("", NULL,
		json_pack("{s:s, s:s, s:s, s:s}", "command", "conversations", "client", client,
			"server", server, "last", "1h"));
	const char *id = text_of(json_array_get(json_object_get(list, "edges"), 0), "id");
	json_t *found = ask("", NULL,
		json_pack("{s:s, s:s, s:s}", "command", "conversation", "id", id, "last", "1h"));

	json_decref(list);
	return found;
}

static void a_verdict_from_before_a_change_is_stale(void **state)
{
	struct bh_desired_endpoint pod = {.uid = "u", .workload = DB, .active = 1, .pending = 1};
	struct bh_desired before = {.n_endpoints = 1, .endpoints = &pod};
	struct bh_desired_endpoint changed = pod;
	struct bh_desired after = {.n_endpoints = 1, .endpoints = &changed};
	json_t *found = find_conversation("data/Pod/db", "shop/Pod/front");

	assert_true(json_is_null(json_object_get(json_object_get(found, "egress"), "stale")));
	json_decref(found);
	changed.pending = 2;
	api.judged = bh_judged_new();
	bh_judged_learn(api.judged, &after, &before, now_ms(CLOCK_REALTIME) * 1000000);
	found = find_conversation("data/Pod/db", "shop/Pod/front");
	assert_string_equal(text_of(json_object_get(found, "egress"), "stale"), "changed");
	json_decref(found);
	found = find_conversation("data/Pod/other", "shop/Pod/front");
	assert_true(json_is_null(json_object_get(json_object_get(found, "egress"), "stale")));
	json_decref(found);
	bh_judged_free(api.judged);
	api.judged = NULL;
}

static void a_bound_token_tries_and_sees_its_namespaces_only(void **state)
{
	char *shop[] = {(char *)"shop"};
	const struct bh_sight sight = {1, shop};
	static const char foreign[] =
		"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: none,"
		" namespace: data}, spec: {podSelector: {}}}";
	static const char cluster[] =
		"{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy,"
		" metadata: {name: all}, spec: {tier: Admin, priority: 1,"
		" subject: {namespaces: {}}}}";
	json_t *answer, *edge = NULL, *item;
	size_t i, from_outside = 0;

	answer = ask("t", &sight, diff_of(foreign));
	assert_string_equal(text_of(answer, "code"), "forbidden");
	json_decref(answer);
	answer = ask("t", &sight, diff_of(cluster));
	assert_string_equal(text_of(answer, "code"), "forbidden");
	json_decref(answer);
	answer = ask("t", &sight,
		json_pack("{s:s, s:[s]}", "command", "policy-diff", "delete",
			"NetworkPolicy/data/secret"));
	assert_string_equal(text_of(answer, "code"), "forbidden");
	json_decref(answer);
	answer = ask("t", &sight, json_pack("{s:s}", "command", "policy-suggest"));
	assert_string_equal(text_of(answer, "code"), "forbidden");
	json_decref(answer);

	/* db and other are both "somebody in data", and what they say to each other is theirs. */
	answer = ask("t", &sight, diff_of(closed));
	assert_int_equal(number_of(answer, "newlyDenied"), MANY + 1);
	assert_int_equal(number_of(answer, "unchanged"), 0);
	json_array_foreach(json_object_get(answer, "edges"), i, item)
	{
		const json_t *client = json_object_get(item, "client");

		if (strcmp(text_of(client, "namespace"), "data"))
			continue;
		from_outside++;
		edge = item;
		assert_string_equal(text_of(client, "kind"), "Namespace");
		assert_string_equal(text_of(client, "name"), "data");
	}
	assert_int_equal(from_outside, 1);
	assert_int_equal(number_of(edge, "flows"), 2);
	assert_string_equal(text_of(json_object_get(edge, "after"), "end"), "ingress");
	assert_true(*text_of(json_object_get(edge, "after"), "text"));
	json_decref(answer);
}

/* The first edge of the answer to `closed`. */
static json_t *closed_edge(void)
{
	json_t *answer = ask("", NULL, diff_of(closed));
	json_t *edge = json_incref(json_array_get(json_object_get(answer, "edges"), 0));

	json_decref(answer);
	assert_string_equal(text_of(edge, "change"), "newly-denied");
	return edge;
}

static void modes_and_quarantines_are_told_beside_the_verdicts(void **state)
{
	static const struct {
		enum bh_mode mode;
		bool quarantined;
		bool dropped;
		const char *effect;
	} cases[] = {
		{BH_MODE_OBSERVE, false, false, "in observe: nothing is dropped yet"},
		{BH_MODE_DRY_RUN, false, false, "in dry-run: nothing is dropped yet"},
		{BH_MODE_ENFORCE, false, true, "dropped at once"},
		{BH_MODE_OBSERVE, true, true, "in quarantine"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *edge;

		bh_model_set_mode(api.model, BH_SCOPE_NAMESPACE, "shop", NULL, cases[i].mode);
		bh_model_set_quarantine(api.model, "shop", "back", cases[i].quarantined);
		edge = closed_edge();
		assert_int_equal(json_is_true(json_object_get(edge, "dropped")), cases[i].dropped);
		assert_int_equal(
			json_is_true(json_object_get(edge, "quarantined")), cases[i].quarantined);
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(edge, "modes"), 0)),
			bh_mode_name(cases[i].mode));
		if (!strstr(text_of(edge, "effect"), cases[i].effect))
			fail_msg("%s: not '%s'", text_of(edge, "effect"), cases[i].effect);
		json_decref(edge);
	}
	bh_model_set_mode(api.model, BH_SCOPE_NAMESPACE, "shop", NULL, BH_MODE_ENFORCE);
	bh_model_set_quarantine(api.model, "shop", "back", false);
}

static void a_policys_own_mode_counts_for_what_is_dropped(void **state)
{
	static const char trial[] =
		"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: none,"
		" namespace: shop, annotations: {bulkhead.io/mode: dry-run}},"
		" spec: {podSelector: {}, policyTypes: [Ingress]}}";
	json_t *answer = ask("", NULL, diff_of(trial));
	const json_t *edge = json_array_get(json_object_get(answer, "edges"), 0);

	assert_string_equal(text_of(edge, "change"), "newly-denied");
	assert_true(json_is_false(json_object_get(edge, "dropped")));
	assert_non_null(strstr(text_of(edge, "effect"), "the policy is in dry-run"));
	json_decref(answer);
}

/* ---- The threads themselves ------------------------------------------------------------------ */

struct wait {
	struct bh_task task;
	sem_t *sign;
	bool freed;
};

static void wait_for_sign(struct bh_task *task)
{
	sem_wait(((struct wait *)task)->sign);
}

static void set_freed(struct bh_task *task)
{
	((struct wait *)task)->freed = true;
}

/* Only the loop gives the sign that the task waits for. */
static void the_loop_turns_while_a_task_runs(void **state)
{
	sem_t sign;
	struct wait waits[2] = {{{.run = wait_for_sign, .free = set_freed}, &sign, false},
		{{.run = wait_for_sign, .free = set_freed}, &sign, false}};
	uint64_t tickets[2];

	sem_init(&sign, 0, 0);
	for (int i = 0; i < 2; i++) {
		tickets[i] = bh_work_reserve(api.work, "w");
		bh_work_begin(api.work, tickets[i], &waits[i].task);
		assert_null(bh_work_done(api.work, tickets[i]));
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	bh_work_release(api.work, tickets[1]);
	assert_false(waits[1].freed);
	sem_post(&sign);
	sem_post(&sign);
	while (!bh_work_done(api.work, tickets[0]) || !waits[1].freed)
		uv_run(&loop, UV_RUN_ONCE);
	assert_false(waits[0].freed);
	bh_work_release(api.work, tickets[0]);
	assert_true(waits[0].freed);
	sem_destroy(&sign);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_loop_turns_while_a_task_runs),
		cmocka_unit_test(others_are_answered_while_a_policy_is_tried),
		cmocka_unit_test(the_cluster_may_change_while_a_policy_is_tried),
		cmocka_unit_test(a_large_graph_is_made_while_others_are_answered),
		cmocka_unit_test(a_large_graph_waits_for_its_turn),
		cmocka_unit_test(an_asker_has_two_threads_and_is_told),
		cmocka_unit_test(all_together_have_so_many_places),
		cmocka_unit_test(what_may_be_tried_is_bounded),
		cmocka_unit_test(files_without_a_policy_are_named_beside_those_that_have_one),
		cmocka_unit_test(a_name_that_no_namespace_has_is_told),
		cmocka_unit_test(a_verdict_from_before_a_change_is_stale),
		cmocka_unit_test(a_bound_token_tries_and_sees_its_namespaces_only),
		cmocka_unit_test(modes_and_quarantines_are_told_beside_the_verdicts),
		cmocka_unit_test(a_policys_own_mode_counts_for_what_is_dropped),
	};

	return cmocka_run_group_tests(tests, start, end);
}
