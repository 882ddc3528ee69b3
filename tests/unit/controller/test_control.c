/* SPDX-License-Identifier: Apache-2.0 */

/* The control socket and the commands behind it: bad input, waiting, and what the answers hold. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "bulkhead/reasons.h"
#include "controller/alerts/alerts.h"
#include "controller/api/api.h"
#include "controller/api/work.h"
#include "controller/model/memory.h"
#include "controller/settings.h"

#define DEADLINE_MS 60000

struct scene {
	char folder[64];
	char socket[96];
	char url[160];
	char manifests[128];
	char settings[128];
	char history[128];
	char decisions[128];
	struct bh_api api;
	uv_loop_t loop;
	struct bh_desired *desired;
	struct bh_control *control;
	int rescans;
	int fail_saving;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- A controller without a loop ------------------------------------------------------------- */

static void compile(struct scene *s)
{
	if (s->desired)
		bh_desired_unref(s->desired);
	s->desired = bh_compile(s->api.compiler, s->api.model);
	s->api.desired = s->desired;
	bh_names_learn(s->api.names, s->desired, NULL);
}

static uint64_t refresh(void *data)
{
	struct scene *s = data;

	s->rescans++;
	bh_manifests_rescan(s->api.manifests);
	compile(s);
	return 0;
}

static int settings_changed(void *data, bool anyway)
{
	struct scene *s = data;

	if (s->fail_saving && !anyway)
		return -ENOSPC;
	s->api.settings_error =
		s->fail_saving ? -ENOSPC : bh_settings_save(s->settings, s->api.model);
	compile(s);
	return s->api.settings_error;
}

static void model_changed(void *data)
{
	compile(data);
}

static void nothing(void *data)
{
}
static void nothing_text(void *data, const char *text)
{
}
static void nothing_status(void *data, const Bulkhead__Wire__Status *status)
{
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	fputs(text, file);
	fclose(file);
}

static const char manifests[] =
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":"
	"\"shop\",\"uid\":\"uid-web\"},\"spec\":{\"nodeName\":\"here\"},\"status\":{\"phase\":"
	"\"Running\",\"podIP\":\"10.0.0.1\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}\n";

static int setup(void **state)
{
	static const struct bh_link_events events = {
		.connected = nothing_text,
		.disconnected = nothing,
		.changed = nothing,
		.status = nothing_status,
		.notice = nothing_text,
	};
	struct scene *s = bh_xcalloc(1, sizeof(*s));
	char path[128];

	strcpy(s->folder, "/tmp/bh-control-XXXXXX");
	if (!mkdtemp(s->folder))
		return -1;
	snprintf(s->socket, sizeof(s->socket), "%s/control.sock", s->folder);
	snprintf(s->url, sizeof(s->url), "ipc://%s", s->socket);
	snprintf(s->manifests, sizeof(s->manifests), "%s/manifests", s->folder);
	snprintf(s->settings, sizeof(s->settings), "%s/settings.json", s->folder);
	snprintf(path, sizeof(path), "%s/dataplane.sock", s->folder);
	mkdir(s->manifests, 0700);
	write_file(s->manifests, "web.json", manifests);
	s->api.model = bh_model_new("here", BH_MODE_DRY_RUN);
	s->api.compiler = bh_compiler_new();
	s->api.names = bh_names_new(s->api.model);
	s->api.flows = bh_flow_log_new(1000, 1 << 20);
	s->api.edges = bh_edges_new();
	s->api.alerts = bh_alerts_new(&(struct bh_alerts_config){.names = s->api.names}, 0);
	snprintf(s->history, sizeof(s->history), "%s/history.db", s->folder);
	snprintf(s->decisions, sizeof(s->decisions), "%s/suggestions.json", s->folder);
	s->api.history = bh_history_open(&(struct bh_history_config){.path = s->history,
		.max_bytes = BH_HISTORY_BYTES_MIN,
		.keep_days = 1,
		.names = s->api.names});
	uv_loop_init(&s->loop);
	s->api.work = bh_work_new(&s->loop, nothing, NULL);
	s->api.decisions = json_object();
	s->api.decisions_path = s->decisions;
	s->api.refresh = refresh;
	s->api.model_changed = model_changed;
	s->api.settings_changed = settings_changed;
	s->api.data = s;
	if (bh_manifests_open(s->manifests, -1, s->api.model, &s->api.manifests) < 0 ||
		bh_link_new(path, "here", &events, s, &s->api.link) < 0 ||
		bh_control_new(s->socket, bh_api_handle, &s->api, &s->control) < 0)
		return -1;
	refresh(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	char command[160];

	bh_control_free(s->control);
	bh_work_close(s->api.work);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
	bh_work_free(s->api.work);
	bh_link_free(s->api.link);
	bh_manifests_free(s->api.manifests);
	bh_desired_unref(s->desired);
	bh_alerts_free(s->api.alerts);
	bh_edges_free(s->api.edges);
	bh_history_close(s->api.history);
	json_decref(s->api.decisions);
	bh_flow_log_free(s->api.flows);
	bh_names_free(s->api.names);
	bh_compiler_free(s->api.compiler);
	bh_model_free(s->api.model);
	snprintf(command, sizeof(command), "rm -rf %s", s->folder);
	if (system(command) != 0)
		return -1;
	free(s);
	return 0;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* A client whose request is on the way. */
struct client {
	nng_socket socket;
};

static void client_ask(struct scene *s, struct client *c, const void *data, size_t size)
{
	assert_int_equal(nng_req0_open(&c->socket), 0);
	assert_int_equal(nng_socket_set_ms(c->socket, NNG_OPT_SENDTIMEO, DEADLINE_MS), 0);
	assert_int_equal(nng_dial(c->socket, s->url, NULL, 0), 0);
	assert_int_equal(nng_send(c->socket, (void *)data, size, 0), 0);
}

/* True and *ret_answer if the answer is there. */
static bool client_answer(struct client *c, json_t **ret_answer)
{
	nng_msg *message;
	int err = nng_recvmsg(c->socket, &message, NNG_FLAG_NONBLOCK);

	if (err == NNG_EAGAIN)
		return false;
	assert_int_equal(err, 0);
	*ret_answer = json_loadb(nng_msg_body(message), nng_msg_len(message), 0, NULL);
	assert_true(json_is_object(*ret_answer));
	nng_msg_free(message);
	return true;
}

static void client_end(struct client *c)
{
	nng_close(c->socket);
}

static void turn(struct scene *s)
{
	struct pollfd p = {.fd = bh_control_fd(s->control), .events = POLLIN};

	poll(&p, 1, 2);
	uv_run(&s->loop, UV_RUN_NOWAIT);
	bh_history_dispatch(s->api.history, now_ms());
	bh_control_dispatch(s->control, now_ms());
}

static json_t *ask_bytes(struct scene *s, const void *data, size_t size)
{
	uint64_t end = now_ms() + DEADLINE_MS;
	struct client client;
	json_t *answer = NULL;

	client_ask(s, &client, data, size);
	while (!client_answer(&client, &answer)) {
		if (now_ms() > end)
			fail_msg("no answer");
		turn(s);
	}
	client_end(&client);
	return answer;
}

static json_t *ask(struct scene *s, const char *text)
{
	return ask_bytes(s, text, strlen(text));
}

static void expect_error(struct scene *s, const char *text, const char *part)
{
	json_t *answer = ask(s, text);
	const char *error = json_string_value(json_object_get(answer, "error"));

	assert_true(json_is_false(json_object_get(answer, "ok")));
	assert_non_null(error);
	if (!strstr(error, part))
		fail_msg("%s: '%s' does not speak of '%s'", text, error, part);
	assert_null(strchr(error, '\n'));
	json_decref(answer);
}

static json_t *expect_ok(struct scene *s, const char *text)
{
	json_t *answer = ask(s, text);

	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s: %s", text, json_string_value(json_object_get(answer, "error")));
	return answer;
}

/* ---- Bad input ------------------------------------------------------------------------------- */

static void bad_requests_are_answered_with_the_reason(void **state)
{
	static const struct {
		const char *request;
		const char *part;
	} cases[] = {
		{"", "not JSON"},
		{"{", "not JSON"},
		{"GET / HTTP/1.1", "not JSON"},
		{"[]", "not an object"},
		{"null", "not JSON"},
		{"{}", "no 'command'"},
		{"{\"command\":7}", "not a string"},
		{"{\"command\":\"frob\"}", "no command 'frob'"},
		{"{\"command\":\"status\",\"command\":\"pods\"}", "duplicate"},
		{"{\"command\":\"mode\",\"value\":\"on\"}", "'on' is no mode"},
		{"{\"command\":\"mode\",\"value\":[]}", "not a string"},
		{"{\"command\":\"mode\",\"value\":\"enforce\",\"pod\":\"web\"}", "namespace/name"},
		{"{\"command\":\"mode\",\"value\":\"enforce\",\"pod\":\"a/b/c\"}",
			"namespace/name"},
		{"{\"command\":\"mode\",\"pod\":\"a/b\",\"namespace\":\"a\"}", "not both"},
		{"{\"command\":\"mode\",\"namespace\":\"\"}", "no namespace"},
		{"{\"command\":\"quarantine\",\"namespace\":\"a\"}", "for pods"},
		{"{\"command\":\"quarantine\",\"pod\":\"a/b\",\"release\":1}", "true nor false"},
		{"{\"command\":\"flows\",\"limit\":-1}", "whole number"},
		{"{\"command\":\"flows\",\"limit\":1.5}", "whole number"},
		{"{\"command\":\"flows\",\"limit\":1000000}", "whole number"},
		{"{\"command\":\"flows\",\"verdict\":\"maybe\"}", "no verdict"},
		{"{\"command\":\"flows\",\"protocol\":\"256\"}", "no protocol"},
		{"{\"command\":\"flows\",\"protocol\":\"-1\"}", "no protocol"},
		{"{\"command\":\"flows\",\"port\":65536}", "whole number"},
		{"{\"command\":\"wait\",\"timeout\":\"1s\"}", "whole number"},
		{"{\"command\":\"edges\",\"from\":7}", "not a string"},
		{"{\"command\":\"graph\",\"from\":\"yesterday\"}", "'from' is no time"},
		{"{\"command\":\"edges\",\"to\":\"2026-01-31T12:00:00\"}", "'to' is no time"},
		{"{\"command\":\"edges\",\"from\":\"2026-02-01T00:00:00Z\",\"to\":"
		 "\"2026-01-01T00:00:00Z\"}",
			"ends before"},
		{"{\"command\":\"policy-diff\"}", "no policy to try"},
		{"{\"command\":\"policy-diff\",\"manifests\":[7]}", "no list"},
		{"{\"command\":\"policy-diff\",\"manifests\":[{\"name\":\"a\",\"text\":\"{\"}]}",
			"a: line"},
		{"{\"command\":\"policy-diff\",\"manifests\":[{\"name\":\"a\",\"text\":\"\"}]}",
			"no NetworkPolicy"},
		{"{\"command\":\"policy-diff\",\"delete\":[\"web\"]}", "names no policy"},
		{"{\"command\":\"policy-diff\",\"delete\":[\"NetworkPolicy/a/b\"]}",
			"there is no policy"},
		{"{\"command\":\"policy-suggest\",\"approve\":[\"../../x\"]}", "no id"},
		{"{\"command\":\"policy-suggest\",\"reject\":[7]}", "no id"},
		{"{\"command\":\"explain\",\"src\":\"shop/web\"}", "needs"},
		{"{\"command\":\"explain\",\"src\":\"shop/no\",\"dst\":\"shop/web\",\"protocol\":"
		 "\"tcp\",\"port\":80}",
			"shop/no"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_error(*state, cases[i].request, cases[i].part);
}

static void bytes_that_are_no_text_are_answered(void **state)
{
	static const char zero[] = "{\"command\":\"sta\0tus\"}";
	static const char high[] = "{\"command\":\"\xff\xfe\"}";
	json_t *answer = ask_bytes(*state, zero, sizeof(zero) - 1);

	assert_true(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
	answer = ask_bytes(*state, high, sizeof(high) - 1);
	assert_true(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
}

static void deep_nesting_is_refused(void **state)
{
	enum { DEPTH = 30000 };
	char *text = bh_xcalloc(1, DEPTH + 1);
	json_t *answer;

	memset(text, '[', DEPTH);
	answer = ask_bytes(*state, text, DEPTH);
	assert_true(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
	free(text);
}

static int connect_by_hand(const struct scene *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, s->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* By hand, since nng's own client would connect and send again and again. */
static void too_long_request_ends_only_its_own_connection(void **state)
{
	/* nng's greeting as req0, then a message of 1 GiB begins. */
	static const uint8_t bytes[] = {
		0, 'S', 'P', 0, 0, 0x30, 0, 0, 1, 0, 0, 0, 0, 0x40, 0, 0, 0};
	struct scene *s = *state;
	uint8_t greeting[8];
	char rest;

	for (int i = 0; i < 50; i++) {
		int fd = connect_by_hand(s);

		assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
		assert_int_equal(recv(fd, greeting, sizeof(greeting), MSG_WAITALL), 8);
		assert_true(recv(fd, &rest, 1, 0) <= 0);
		close(fd);
	}
	json_decref(expect_ok(s, "{\"command\":\"status\"}"));
}

static void clients_that_connect_and_leave_disturb_nobody(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 50; i++)
		close(connect_by_hand(s));
	json_decref(expect_ok(s, "{\"command\":\"status\"}"));
}

static void socket_is_private(void **state)
{
	struct scene *s = *state;
	struct stat status;

	assert_int_equal(lstat(s->socket, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void waiting_requests_keep_nobody_else_waiting(void **state)
{
	static const char follow[] = "{\"command\":\"flows\",\"follow\":8000}";
	struct scene *s = *state;
	struct client clients[10];
	json_t *answer;

	for (int i = 0; i < 10; i++)
		client_ask(s, &clients[i], follow, strlen(follow));
	for (int i = 0; i < 10; i++)
		turn(s);
	json_decref(expect_ok(s, "{\"command\":\"status\"}"));
	for (int i = 0; i < 10; i++) {
		assert_false(client_answer(&clients[i], &answer));
		client_end(&clients[i]);
	}
}

static void add_flow(struct scene *s)
{
	Bulkhead__Wire__FlowBatch batch = BULKHEAD__WIRE__FLOW_BATCH__INIT;
	Bulkhead__Wire__Flow flow = BULKHEAD__WIRE__FLOW__INIT;
	Bulkhead__Wire__Flow *list = &flow;
	uint8_t ip[4] = {10, 0, 0, 1};

	flow.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED;
	flow.uid = "uid-web";
	flow.egress = true;
	flow.time_ns = 1700000000123456789ull;
	flow.reason = BH_REASON_ISOLATED;
	flow.pending = BH_REASON_ISOLATED;
	flow.protocol = 6;
	flow.dport = 80;
	flow.src.data = ip;
	flow.src.len = 4;
	batch.n_flows = 1;
	batch.flows = &list;
	bh_flow_log_add(s->api.flows, s->api.names, &batch);
}

static void follower_is_answered_when_a_flow_comes(void **state)
{
	static const char follow[] = "{\"command\":\"flows\",\"follow\":8000}";
	struct scene *s = *state;
	uint64_t end = now_ms() + DEADLINE_MS;
	struct client client;
	json_t *answer = NULL;
	json_t *flow;

	client_ask(s, &client, follow, strlen(follow));
	for (int i = 0; i < 5; i++)
		turn(s);
	add_flow(s);
	while (!client_answer(&client, &answer) && now_ms() < end)
		turn(s);
	flow = json_array_get(json_object_get(answer, "flows"), 0);
	assert_string_equal(json_string_value(json_object_get(flow, "verdict")), "denied");
	assert_string_equal(
		json_string_value(json_object_get(flow, "time")), "2023-11-14T22:13:20.123456Z");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(flow, "source"), "pod")), "web");
	assert_int_equal(json_integer_value(json_object_get(answer, "next")), 2);
	json_decref(answer);
	client_end(&client);
}

static void flows_can_be_paged_without_gaps(void **state)
{
	struct scene *s = *state;
	char request[128];
	json_int_t next = 1;
	int seen = 0;
	bool more = true;

	for (int i = 0; i < 95; i++)
		add_flow(s);
	while (more) {
		json_t *answer;

		snprintf(request, sizeof(request),
			"{\"command\":\"flows\",\"since\":%lld,\"limit\":10}", (long long)next);
		answer = expect_ok(s, request);
		seen += json_array_size(json_object_get(answer, "flows"));
		next = json_integer_value(json_object_get(answer, "next"));
		more = json_is_true(json_object_get(answer, "more"));
		json_decref(answer);
	}
	assert_int_equal(seen, 95);
}

static void newest_flows_are_the_last_ones(void **state)
{
	struct scene *s = *state;
	json_t *answer;
	json_t *flows;

	for (int i = 0; i < 30; i++)
		add_flow(s);
	answer = expect_ok(s, "{\"command\":\"flows\",\"limit\":3,\"newest\":true}");
	flows = json_object_get(answer, "flows");
	assert_int_equal(json_array_size(flows), 3);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(flows, 0), "sequence")), 28);
	json_decref(answer);
}

static void wait_reads_the_sources_and_names_what_is_missing(void **state)
{
	struct scene *s = *state;
	int before = s->rescans;

	expect_error(s, "{\"command\":\"wait\",\"timeout\":50}", "not connected to the data plane");
	assert_int_equal(s->rescans, before + 1);
}

static void an_announced_address_becomes_the_pods(void **state)
{
	struct scene *s = *state;

	expect_error(s,
		"{\"command\":\"endpoint-ready\",\"namespace\":\"shop\",\"name\":\"web\",\"ips\":["
		"\"10.0.0.9\"],\"timeout\":0}",
		"is not in force yet");
	assert_int_equal(s->desired->n_endpoints, 1);
	assert_int_equal(s->desired->endpoints[0].ips[0].ip[3], 9);
	json_decref(expect_ok(
		s, "{\"command\":\"endpoint-gone\",\"namespace\":\"shop\",\"name\":\"web\"}"));
	assert_int_equal(s->desired->endpoints[0].ips[0].ip[3], 1);
}

static void endpoint_ready_names_what_is_missing(void **state)
{
	expect_error(*state, "{\"command\":\"endpoint-ready\",\"name\":\"web\"}", "names no pod");
	expect_error(*state,
		"{\"command\":\"endpoint-ready\",\"namespace\":\"shop\",\"name\":\"new\","
		"\"timeout\":"
		"30}",
		"pod shop/new: the orchestrator has not told of it yet");
	expect_error(*state,
		"{\"command\":\"endpoint-ready\",\"namespace\":\"shop\",\"name\":\"web\",\"ips\":["
		"\"ten\"]}",
		"is no address");
	expect_error(*state,
		"{\"command\":\"endpoint-ready\",\"namespace\":\"shop\",\"name\":\"web\",\"uid\":"
		"\"another\",\"timeout\":0}",
		"has not told of it yet");
}

/* ---- What the answers hold ------------------------------------------------------------------- */

static void status_has_the_fields_that_scripts_rely_on(void **state)
{
	json_t *answer = expect_ok(*state, "{\"command\":\"status\"}");
	json_t *revision = json_object_get(answer, "revision");

	assert_true(json_is_integer(json_object_get(revision, "wanted")));
	assert_int_equal(json_integer_value(json_object_get(revision, "applied")), 0);
	assert_string_equal(json_string_value(json_object_get(answer, "mode")), "dry-run");
	assert_true(json_is_false(json_object_get(answer, "ready")));
	assert_int_equal(json_array_size(json_object_get(answer, "sources")), 1);
	assert_int_equal(json_integer_value(json_object_get(answer, "endpoints")), 1);
	assert_true(json_is_array(json_object_get(answer, "problems")));
	json_decref(answer);
}

static void pods_have_the_fields_that_scripts_rely_on(void **state)
{
	static const char *const fields[] = {"namespace", "name", "uid", "ips", "interface",
		"ifindex", "hook", "mode", "state", "ingressIsolated", "egressIsolated",
		"policies"};
	json_t *answer = expect_ok(*state, "{\"command\":\"pods\"}");
	json_t *pod = json_array_get(json_object_get(answer, "pods"), 0);

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!json_object_get(pod, fields[i]))
			fail_msg("no field %s", fields[i]);
	}
	assert_string_equal(json_string_value(json_object_get(pod, "state")), "waiting");
	json_decref(answer);
}

static void broken_manifest_is_a_problem_in_status(void **state)
{
	struct scene *s = *state;
	json_t *answer;
	json_t *problem;
	size_t i;
	bool found = false;

	write_file(s->manifests, "broken.yaml", "a: [\n");
	refresh(s);
	answer = expect_ok(s, "{\"command\":\"status\"}");
	json_array_foreach(json_object_get(answer, "problems"), i, problem)
	{
		if (strcmp(json_string_value(json_object_get(problem, "object")), "broken.yaml") ==
			0)
			found = true;
	}
	assert_true(found);
	assert_int_equal(json_integer_value(json_object_get(answer, "endpoints")), 1);
	json_decref(answer);
}

/* ---- Orders ---------------------------------------------------------------------------------- */

/* An order is kept though nothing can put it in force now; what is waited for is not, here. */
static void order(struct scene *s, const char *text)
{
	struct bh_control_call call = {.now = now_ms(), .arrived = now_ms(), .first = true};
	json_t *request = json_loads(text, 0, NULL);
	json_t *answer;

	call.request = request;
	answer = bh_api_handle(&s->api, &call);
	assert_null(answer);
	call.first = false;
	call.expired = true;
	answer = bh_api_handle(&s->api, &call);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_true(json_is_false(json_object_get(answer, "inForce")));
	assert_non_null(json_object_get(answer, "missing"));
	json_decref(answer);
	json_decref(request);
}

static void orders_survive_a_restart(void **state)
{
	struct scene *s = *state;
	struct bh_model *again = bh_model_new("here", BH_MODE_DRY_RUN);
	char *problem = NULL;

	order(s, "{\"command\":\"mode\",\"value\":\"enforce\"}");
	order(s, "{\"command\":\"mode\",\"value\":\"observe\",\"namespace\":\"shop\"}");
	order(s, "{\"command\":\"mode\",\"value\":\"dry-run\",\"pod\":\"shop/web\"}");
	order(s, "{\"command\":\"quarantine\",\"pod\":\"shop/web\"}");
	assert_int_equal(bh_settings_load(s->settings, again, &problem), 0);
	assert_int_equal(bh_model_node_mode(again), BH_MODE_ENFORCE);
	assert_int_equal(bh_model_mode(again, BH_SCOPE_NAMESPACE, "shop", NULL), BH_MODE_OBSERVE);
	assert_int_equal(bh_model_mode(again, BH_SCOPE_POD, "shop", "web"), BH_MODE_DRY_RUN);
	assert_true(bh_model_quarantined(again, "shop", "web"));
	bh_model_free(again);
}

static void cleared_mode_falls_back_to_the_command_line(void **state)
{
	struct scene *s = *state;

	order(s, "{\"command\":\"mode\",\"value\":\"enforce\"}");
	order(s, "{\"command\":\"mode\",\"value\":\"clear\"}");
	assert_int_equal(bh_model_node_mode(s->api.model), BH_MODE_DRY_RUN);
}

static void order_that_cannot_be_kept_is_not_carried_out(void **state)
{
	struct scene *s = *state;

	s->fail_saving = 1;
	expect_error(s, "{\"command\":\"mode\",\"value\":\"enforce\"}", "No space left");
	assert_int_equal(bh_model_node_mode(s->api.model), BH_MODE_DRY_RUN);
	bh_model_set_quarantine(s->api.model, "shop", "web", true);
	expect_error(s, "{\"command\":\"quarantine\",\"pod\":\"shop/web\",\"release\":true}",
		"No space left");
	assert_true(bh_model_quarantined(s->api.model, "shop", "web"));
}

static void quarantine_that_cannot_be_kept_is_carried_out(void **state)
{
	struct scene *s = *state;

	s->fail_saving = 1;
	order(s, "{\"command\":\"quarantine\",\"pod\":\"shop/web\"}");
	assert_true(bh_model_quarantined(s->api.model, "shop", "web"));
	assert_int_equal(s->api.settings_error, -ENOSPC);
	s->fail_saving = 0;
	order(s, "{\"command\":\"quarantine\",\"pod\":\"shop/db\"}");
	assert_int_equal(s->api.settings_error, 0);
}

static void settings_that_do_not_fit_leave_the_old_ones_and_no_rest(void **state)
{
	struct scene *s = *state;
	struct bh_model *model = bh_model_new("here", BH_MODE_DRY_RUN);
	struct rlimit before, small;
	char rest[160], *problem = NULL;
	int r;

	bh_model_set_quarantine(model, "shop", "web", true);
	assert_int_equal(bh_settings_save(s->settings, model), 0);
	bh_model_set_quarantine(model, "shop", "db", true);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = (struct rlimit){.rlim_cur = 100, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	r = bh_settings_save(s->settings, model);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(r, -EFBIG);
	snprintf(rest, sizeof(rest), "%s.new", s->settings);
	assert_int_equal(access(rest, F_OK), -1);
	bh_model_free(model);
	model = bh_model_new("here", BH_MODE_DRY_RUN);
	assert_int_equal(bh_settings_load(s->settings, model, &problem), 0);
	assert_true(bh_model_quarantined(model, "shop", "web"));
	assert_false(bh_model_quarantined(model, "shop", "db"));
	bh_model_free(model);
}

static void corrupt_settings_are_kept_aside_and_change_nothing(void **state)
{
	static const char *const texts[] = {
		"{",
		"[]",
		"{\"version\":2,\"overrides\":[]}",
		"{\"version\":1,\"overrides\":{}}",
		"{\"version\":1,\"overrides\":[{\"scope\":\"planet\",\"mode\":\"enforce\"}]}",
		"{\"version\":1,\"overrides\":[{\"scope\":\"node\",\"mode\":\"enforce\"},"
		"{\"scope\":\"pod\",\"namespace\":\"shop\",\"mode\":\"enforce\"}]}",
		"{\"version\":1,\"overrides\":[{\"scope\":\"node\",\"mode\":\"strict\"}]}",
	};
	struct scene *s = *state;
	char aside[160];

	snprintf(aside, sizeof(aside), "%s.corrupt", s->settings);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bh_model *model = bh_model_new("here", BH_MODE_DRY_RUN);
		char *problem = NULL;

		write_file(s->folder, "settings.json", texts[i]);
		assert_int_equal(bh_settings_load(s->settings, model, &problem), -EBADMSG);
		assert_non_null(problem);
		assert_int_equal(bh_model_node_mode(model), BH_MODE_DRY_RUN);
		assert_int_equal(access(s->settings, F_OK), -1);
		assert_int_equal(access(aside, F_OK), 0);
		unlink(aside);
		free(problem);
		bh_model_free(model);
	}
}

/* Twice as many as may be under way, and none of them waits for its answer. */
static void who_leaves_gives_its_questions_back(void **state)
{
	struct scene *s = *state;
	json_t *request =
		json_pack("{s:s, s:s}", "command", "edges", "from", "2020-01-01T00:00:00Z");

	for (int i = 0; i < 2 * BH_HISTORY_QUESTIONS; i++) {
		uint64_t end = now_ms() + DEADLINE_MS;
		struct bh_control_call call;
		json_t *busy;

		/* The history's thread may still be at work on those before. */
		do {
			turn(s);
			call = (struct bh_control_call){
				.request = request,
				.now = now_ms(),
				.arrived = now_ms(),
				.first = true,
			};
			busy = bh_api_handle(&s->api, &call);
			json_decref(busy);
		} while (busy && now_ms() < end);
		assert_null(busy);
		assert_int_not_equal(call.tickets[0], 0);
		bh_api_leave(&s->api, &call);
		assert_int_equal(call.tickets[0], 0);
	}
	json_decref(request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_requests_are_answered_with_the_reason),
		TEST(bytes_that_are_no_text_are_answered),
		TEST(deep_nesting_is_refused),
		TEST(too_long_request_ends_only_its_own_connection),
		TEST(clients_that_connect_and_leave_disturb_nobody),
		TEST(socket_is_private),
		TEST(waiting_requests_keep_nobody_else_waiting),
		TEST(follower_is_answered_when_a_flow_comes),
		TEST(flows_can_be_paged_without_gaps),
		TEST(newest_flows_are_the_last_ones),
		TEST(wait_reads_the_sources_and_names_what_is_missing),
		TEST(an_announced_address_becomes_the_pods),
		TEST(endpoint_ready_names_what_is_missing),
		TEST(status_has_the_fields_that_scripts_rely_on),
		TEST(pods_have_the_fields_that_scripts_rely_on),
		TEST(broken_manifest_is_a_problem_in_status),
		TEST(orders_survive_a_restart),
		TEST(cleared_mode_falls_back_to_the_command_line),
		TEST(order_that_cannot_be_kept_is_not_carried_out),
		TEST(quarantine_that_cannot_be_kept_is_carried_out),
		TEST(settings_that_do_not_fit_leave_the_old_ones_and_no_rest),
		TEST(corrupt_settings_are_kept_aside_and_change_nothing),
		TEST(who_leaves_gives_its_questions_back),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
