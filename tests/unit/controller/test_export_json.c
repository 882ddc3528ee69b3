/* SPDX-License-Identifier: Apache-2.0 */

/* Flows as lines of JSON: what a line says, and files that never hold half of one. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <uv.h>

#include "controller/export/hubble.h"
#include "controller/export/jsonl.h"
#include "controller/export/rotating.h"
#include "controller/model/memory.h"
#include "tests/unit/controller/export_fixture.h"

#define INSTANCE 0x0123456789abcdefull

/* ---- A line ---------------------------------------------------------------------------------- */

static json_t *line_of(const struct bh_export_flow *flow)
{
	struct bh_text text = {0};
	json_error_t error;
	json_t *line;

	bh_hubble_line(&text, flow, INSTANCE);
	assert_true(text.n > 1 && text.n <= BH_HUBBLE_LINE_MAX);
	assert_int_equal(text.data[text.n - 1], '\n');
	assert_ptr_equal(memchr(text.data, '\n', text.n), text.data + text.n - 1);
	line = json_loadb(text.data, text.n, JSON_REJECT_DUPLICATES, &error);
	if (!line)
		fail_msg("%s: %.*s", error.text, (int)text.n, text.data);
	bh_text_clear(&text);
	return line;
}

static void assert_line(const struct bh_export_flow *flow, const char *wanted)
{
	json_t *line = line_of(flow);
	json_t *expected = json_loads(wanted, JSON_REJECT_DUPLICATES, NULL);
	char *got = json_dumps(line, JSON_SORT_KEYS | JSON_INDENT(1));
	char *want;

	assert_non_null(expected);
	want = json_dumps(expected, JSON_SORT_KEYS | JSON_INDENT(1));
	assert_string_equal(got, want);
	free(got);
	free(want);
	json_decref(line);
	json_decref(expected);
}

/* As flow.proto and observer.proto of Cilium 1.17 have the names, and protojson the values: 64-bit
 * numbers are only in `extensions`, whose Struct has doubles. */
static void says_a_closed_flow_in_hubbles_words(void **state)
{
	struct export_fixture f;

	export_fixture_init(&f);
	assert_line(&f.flow,
		"{\"flow\":{\"time\":\"2023-11-14T22:13:21.234567890Z\","
		"\"uuid\":\"01234567-89ab-8cde-8000-000000000007\",\"verdict\":\"FORWARDED\","
		"\"IP\":{\"source\":\"10.0.0.1\",\"destination\":\"10.0.0.2\",\"ipVersion\":"
		"\"IPv4\"},"
		"\"l4\":{\"TCP\":{\"source_port\":40000,\"destination_port\":5432,"
		"\"flags\":{\"SYN\":true,\"ACK\":true}}},"
		"\"source\":{\"namespace\":\"shop\",\"labels\":[\"k8s:app=web\"],\"pod_name\":"
		"\"web-1\","
		"\"workloads\":[{\"name\":\"web\",\"kind\":\"Deployment\"}]},"
		"\"destination\":{\"namespace\":\"data\",\"pod_name\":\"db-0\","
		"\"workloads\":[{\"name\":\"db\",\"kind\":\"StatefulSet\"}]},"
		"\"Type\":\"L3_L4\",\"node_name\":\"here\","
		"\"event_type\":{\"type\":4,\"sub_type\":5},"
		"\"trace_observation_point\":\"FROM_ENDPOINT\","
		"\"traffic_direction\":\"EGRESS\",\"is_reply\":false,"
		"\"egress_allowed_by\":[{\"name\":\"allow-db\",\"namespace\":\"shop\","
		"\"kind\":\"NetworkPolicy\"}],"
		"\"extensions\":{\"@type\":\"type.googleapis.com/"
		"google.protobuf.Struct\",\"value\":"
		"{\"bulkhead\":{\"sequence\":7,\"instance\":\"0123456789abcdef\",\"type\":"
		"\"closed\","
		"\"verdict\":\"allowed\",\"reason\":\"policy\",\"pendingReason\":\"policy\","
		"\"rule\":\"shop/allow-db egress[0]: to TCP 5432\","
		"\"pendingRule\":\"shop/next egress[1]: to TCP 5432\","
		"\"packets\":{\"fromClient\":12,\"fromServer\":9},"
		"\"bytes\":{\"fromClient\":1500,\"fromServer\":90000},"
		"\"delta\":{\"since\":\"2023-11-14T22:13:20.005000000Z\","
		"\"packets\":{\"fromClient\":12,\"fromServer\":9},"
		"\"bytes\":{\"fromClient\":1500,\"fromServer\":90000}},"
		"\"protocol\":6,\"ethertype\":2048,\"suppressed\":0,"
		"\"started\":\"2023-11-14T22:13:20.005000000Z\","
		"\"app\":\"postgresql\",\"encrypted\":\"yes\",\"tlsVersion\":\"1.3\","
		"\"roundTrip\":350}}},"
		"\"Summary\":\"TCP Flags: SYN, ACK\"},"
		"\"node_name\":\"here\",\"time\":\"2023-11-14T22:13:21.234567890Z\"}");
}

static const char *text_at(json_t *object, const char *a, const char *b)
{
	json_t *inner = json_object_get(object, a);

	return json_string_value(b ? json_object_get(inner, b) : inner);
}

static void says_what_was_denied_and_by_which_policy(void **state)
{
	struct export_fixture f;
	json_t *line, *flow;

	export_fixture_init(&f);
	f.record.verdict = BH_FLOW_DENIED;
	f.record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED;
	f.record.reason = BH_REASON_POLICY_DENY;
	f.record.egress = false;
	f.rule.namespace = "";
	line = line_of(&f.flow);
	flow = json_object_get(line, "flow");
	assert_string_equal(text_at(flow, "verdict", NULL), "DROPPED");
	assert_string_equal(text_at(flow, "drop_reason_desc", NULL), "POLICY_DENY");
	assert_int_equal(json_integer_value(json_object_get(flow, "drop_reason")), 181);
	assert_string_equal(text_at(flow, "traffic_direction", NULL), "INGRESS");
	assert_string_equal(text_at(json_array_get(json_object_get(flow, "ingress_denied_by"), 0),
				    "kind", NULL),
		"ClusterNetworkPolicy");
	assert_null(json_object_get(flow, "policy_match_type"));
	json_decref(line);
}

static void says_a_flow_that_lasts_with_what_is_new_of_it(void **state)
{
	struct export_fixture f;
	json_t *line, *flow, *own, *delta;

	export_fixture_init(&f);
	f.record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE;
	f.record.told_ns = f.record.started_ns + SECOND;
	f.record.told_packets[0] = 11;
	line = line_of(&f.flow);
	flow = json_object_get(line, "flow");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(flow, "event_type"), "type")),
		4);
	own = json_object_get(
		json_object_get(json_object_get(flow, "extensions"), "value"), "bulkhead");
	assert_string_equal(text_at(own, "type", NULL), "active");
	delta = json_object_get(own, "delta");
	assert_string_equal(text_at(delta, "since", NULL), "2023-11-14T22:13:21.005000000Z");
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(delta, "packets"), "fromClient")),
		1);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(own, "packets"), "fromClient")),
		12);
	json_decref(line);
}

static void what_is_not_known_of_the_talk_is_left_out(void **state)
{
	struct export_fixture f;
	json_t *line, *own;

	export_fixture_init(&f);
	f.record.talk = (struct bh_flow_talk){0};
	line = line_of(&f.flow);
	own = json_object_get(line, "flow");
	for (int i = 0; i < 3; i++)
		own = json_object_get(
			own, ((const char *const[]){"extensions", "value", "bulkhead"})[i]);
	assert_non_null(own);
	assert_null(json_object_get(own, "app"));
	assert_null(json_object_get(own, "encrypted"));
	assert_null(json_object_get(own, "tlsVersion"));
	assert_null(json_object_get(own, "roundTrip"));
	json_decref(line);
}

static void says_would_deny_as_audit(void **state)
{
	struct export_fixture f;
	json_t *line, *flow;

	export_fixture_init(&f);
	f.record.verdict = BH_FLOW_WOULD_DENY;
	f.record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY;
	f.record.pending = BH_REASON_ISOLATED;
	f.flow.pending_rule = NULL;
	line = line_of(&f.flow);
	flow = json_object_get(line, "flow");
	assert_string_equal(text_at(flow, "verdict", NULL), "AUDIT");
	assert_null(json_object_get(flow, "drop_reason_desc"));
	assert_null(json_object_get(flow, "egress_denied_by"));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(flow, "event_type"), "type")),
		5);
	json_decref(line);
}

static void every_drop_reason_has_a_word(void **state)
{
	static const uint32_t drops[] = {
#define AS_DROP_DROP(name, number) number,
#define AS_DROP_PASS(name, number)
#define ONE(name, number, kind, word, sentence) AS_DROP_##kind(name, number)
		BH_REASONS(ONE)};

	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++) {
		struct export_fixture f;
		json_t *line;

		if (drops[i] == BH_REASON_NONE)
			continue;
		export_fixture_init(&f);
		f.record.verdict = BH_FLOW_DENIED;
		f.record.reason = drops[i];
		line = line_of(&f.flow);
		assert_string_not_equal(
			text_at(json_object_get(line, "flow"), "drop_reason_desc", NULL),
			"DROP_REASON_UNKNOWN");
		json_decref(line);
	}
}

static void a_frame_without_addresses_has_none(void **state)
{
	struct export_fixture f;
	json_t *line, *flow;

	export_fixture_init(&f);
	f.record.src.ip.family = 0;
	f.record.dst.ip.family = 0;
	f.record.protocol = 0;
	f.flow.destination = (struct bh_export_end){&f.record.dst, NULL, NULL};
	f.record.dst.namespace = f.record.dst.pod = "";
	line = line_of(&f.flow);
	flow = json_object_get(line, "flow");
	assert_null(json_object_get(flow, "IP"));
	assert_null(json_object_get(flow, "l4"));
	assert_null(json_object_get(flow, "Summary"));
	assert_int_equal(json_object_size(json_object_get(flow, "destination")), 0);
	json_decref(line);
}

static void the_world_is_hubbles_reserved_world(void **state)
{
	struct bh_workload_name world = {3, "", "World", "0.0.0.0/0"};
	struct export_fixture f;
	json_t *line, *end;

	export_fixture_init(&f);
	f.record.dst.namespace = f.record.dst.pod = "";
	f.flow.destination = (struct bh_export_end){&f.record.dst, &world, NULL};
	line = line_of(&f.flow);
	end = json_object_get(json_object_get(line, "flow"), "destination");
	assert_int_equal(json_integer_value(json_object_get(end, "identity")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(end, "labels"), 0)),
		"reserved:world");
	json_decref(line);
}

/* Hubble's reader stops at a line of 64 KiB; and a label may hold anything. */
static void hostile_labels_stay_text_and_bounded(void **state)
{
	char *huge = bh_xcalloc(1, 200001);
	struct bh_label labels[3] = {
		{"a\"\\\n\x01", "\xff\xc0\xaf\xed\xa0\x80</script>"}, {"big", huge}, {"z", "z"}};
	struct export_fixture f;
	json_t *line, *array;

	memset(huge, '\x02', 200000); /* six bytes each in JSON */
	export_fixture_init(&f);
	f.labels = (struct bh_labels){.n = 3, .items = labels};
	f.flow.destination.labels = &f.labels;
	line = line_of(&f.flow);
	array = json_object_get(json_object_get(json_object_get(line, "flow"), "source"), "labels");
	assert_int_equal(json_array_size(array), 1);
	assert_string_equal(json_string_value(json_array_get(array, 0)),
		"k8s:a\"\\\n\x01=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef"
		"\xbf\xbd</script>");
	json_decref(line);
	f.rule.text = huge;
	line = line_of(&f.flow);
	assert_null(json_object_get(
		json_object_get(json_object_get(line, "flow"), "source"), "labels"));
	json_decref(line);
	free(huge);
}

/* ---- Files ----------------------------------------------------------------------------------- */

struct scene {
	char folder[32];
	char path[64];
	struct bh_rotating_config config;
	struct bh_rotating *file;
};

static int setup(void **state)
{
	struct scene *s = bh_xcalloc(1, sizeof(*s));

	strcpy(s->folder, "/tmp/bh-export-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/flows.json", s->folder);
	s->config = (struct bh_rotating_config){.path = s->path, .max_bytes = 100, .max_files = 2};
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	char command[64];

	bh_rotating_free(s->file);
	snprintf(command, sizeof(command), "rm -rf %s", s->folder);
	assert_int_equal(system(command), 0);
	free(s);
	return 0;
}

static size_t put(struct scene *s, const char *lines, uint64_t now_s, int wanted)
{
	size_t written = 12345;

	if (!s->file)
		s->file = bh_rotating_new(&s->config);
	assert_int_equal(bh_rotating_write(s->file, lines, strlen(lines), now_s, &written), wanted);
	return written;
}

/* The content of the n-th file; "-" if it is not there. */
static const char *content(const struct scene *s, int n)
{
	static char text[4096];
	char path[80];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), n ? "%s.%d" : "%s", s->path, n);
	file = fopen(path, "re");
	if (!file)
		return "-";
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	fclose(file);
	return text;
}

static void a_file_that_would_grow_too_large_is_set_aside(void **state)
{
	struct scene *s = *state;

	s->config.max_bytes = 8;
	assert_int_equal(put(s, "one\ntwo\nthree\n4\nfive\n", 1, 0), 21);
	assert_string_equal(content(s, 2), "one\ntwo\n");
	assert_string_equal(content(s, 1), "three\n4\n");
	assert_string_equal(content(s, 0), "five\n");
	assert_int_equal(put(s, "a line that is longer than a file\nx\n", 1, 0), 36);
	assert_string_equal(content(s, 2), "five\n");
	assert_string_equal(content(s, 1), "a line that is longer than a file\n");
	assert_string_equal(content(s, 0), "x\n");
	assert_string_equal(content(s, 3), "-");
	assert_int_equal(bh_rotating_opened(s->file), 5);
}

static void none_is_kept_where_none_is_wanted(void **state)
{
	struct scene *s = *state;

	s->config.max_bytes = 4;
	s->config.max_files = 0;
	put(s, "one\ntwo\n", 1, 0);
	assert_string_equal(content(s, 0), "two\n");
	assert_string_equal(content(s, 1), "-");
}

static void a_file_that_is_old_is_set_aside(void **state)
{
	struct scene *s = *state;

	s->config.max_age_s = 60;
	put(s, "one\n", 1000, 0);
	put(s, "two\n", 1059, 0);
	assert_string_equal(content(s, 0), "one\ntwo\n");
	put(s, "three\n", 1060, 0);
	assert_string_equal(content(s, 1), "one\ntwo\n");
	assert_string_equal(content(s, 0), "three\n");
}

static void goes_on_with_the_file_there_is_and_mends_its_end(void **state)
{
	struct scene *s = *state;
	int fd = open(s->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, "one\nhalf a li", 13), 13);
	close(fd);
	put(s, "two\n", 1, 0);
	assert_string_equal(content(s, 0), "one\ntwo\n");
}

static void begins_anew_when_somebody_took_the_file_away(void **state)
{
	struct scene *s = *state;
	char moved[80];

	put(s, "one\n", 1, 0);
	snprintf(moved, sizeof(moved), "%s.old", s->path);
	assert_int_equal(rename(s->path, moved), 0);
	put(s, "two\n", 1, 0);
	assert_string_equal(content(s, 0), "two\n");
	assert_int_equal(unlink(s->path), 0);
	put(s, "three\n", 1, 0);
	assert_string_equal(content(s, 0), "three\n");
}

static void follows_no_link_and_waits_for_no_pipe(void **state)
{
	struct scene *s = *state;

	assert_int_equal(symlink("/etc/passwd", s->path), 0);
	assert_int_equal(put(s, "one\n", 1, -ELOOP), 0);
	assert_int_equal(unlink(s->path), 0);
	assert_int_equal(mkfifo(s->path, 0600), 0);
	assert_int_equal(put(s, "one\n", 1, -EINVAL), 0);
}

/* The half line at the end of a file that is not ours stays there. */
static void cuts_no_file_that_has_another_name(void **state)
{
	struct scene *s = *state;
	char other[80];

	snprintf(other, sizeof(other), "%s.other", s->path);
	FILE *file = fopen(other, "we");

	assert_non_null(file);
	fputs("precious", file);
	fclose(file);
	assert_int_equal(link(other, s->path), 0);
	assert_int_equal(put(s, "one\n", 1, -EPERM), 0);
	assert_string_equal(content(s, 0), "precious");
	assert_int_equal(unlink(other), 0);
	assert_int_equal(put(s, "one\n", 1, 0), 4);
	assert_int_equal(unlink(s->path), 0);
	if (geteuid() != 0)
		return;
	/* Whoever owns a file can read what comes into it. */
	put(s, "one\n", 1, 0);
	assert_int_equal(chown(s->path, 12345, 12345), 0);
	bh_rotating_free(s->file);
	s->file = NULL;
	assert_int_equal(put(s, "two\n", 1, -EPERM), 0);
}

/* The kernel takes part of a line, and no more: as with a full disk. */
static void what_does_not_fit_leaves_no_half_line(void **state)
{
	const struct rlimit small = {.rlim_cur = 10, .rlim_max = RLIM_INFINITY};
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	struct scene *s = *state;

	signal(SIGXFSZ, SIG_IGN);
	for (int sync = 0; sync < 2; sync++) {
		s->config.sync = sync;
		setrlimit(RLIMIT_FSIZE, &small);
		assert_int_equal(put(s, "one\ntwo\nthree\n", 1, -EFBIG), 8);
		assert_string_equal(content(s, 0), "one\ntwo\n");
		assert_int_equal(put(s, "three\n", 1, -EFBIG), 0);
		setrlimit(RLIMIT_FSIZE, &none);
		assert_int_equal(put(s, "three\n", 1, 0), 6);
		assert_string_equal(content(s, 0), "one\ntwo\nthree\n");
		bh_rotating_free(s->file);
		s->file = NULL;
		assert_int_equal(unlink(s->path), 0);
	}
}

/* ---- The exporter ---------------------------------------------------------------------------- */

static void changed(void *data)
{
	++*(int *)data;
}

static void assert_balance(const struct bh_export_account *account)
{
	assert_true(bh_export_queued(account) <= account->emitted);
	assert_int_equal(account->emitted,
		account->delivered + bh_export_lost(account) + bh_export_queued(account));
}

static int count_lines(const struct scene *s)
{
	FILE *file = fopen(s->path, "re");
	int lines = 0, c;

	assert_non_null(file);
	while ((c = fgetc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static struct bh_jsonl *begin(struct scene *s, uv_loop_t *loop, size_t queue, int *changes)
{
	uv_loop_init(loop);
	s->config.max_bytes = 4 << 20;
	return bh_jsonl_new(loop, &s->config, queue, INSTANCE, changed, changes);
}

static void end(struct bh_jsonl *jsonl, uv_loop_t *loop)
{
	bh_jsonl_close(jsonl);
	uv_run(loop, UV_RUN_DEFAULT);
	bh_jsonl_finish(jsonl);
	assert_int_equal(bh_export_queued(bh_jsonl_account(jsonl)), 0);
	assert_balance(bh_jsonl_account(jsonl));
}

static void everything_is_delivered_by_the_end(void **state)
{
	struct scene *s = *state;
	struct export_fixture f;
	uv_loop_t loop;
	int changes = 0;
	struct bh_jsonl *jsonl = begin(s, &loop, 8 << 20, &changes);
	const struct bh_export_account *account = bh_jsonl_account(jsonl);

	export_fixture_init(&f);
	for (int i = 0; i < 1000; i++) { /* more than is written at once */
		bh_jsonl_add(jsonl, &f.flow);
		uv_run(&loop, UV_RUN_NOWAIT);
		assert_balance(account);
	}
	end(jsonl, &loop);
	assert_int_equal(account->delivered, 1000);
	assert_int_equal(bh_export_lost(account), 0);
	assert_int_equal(count_lines(s), 1000);
	bh_jsonl_free(jsonl);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(changes, 0);
}

static void losses_are_counted_and_it_recovers(void **state)
{
	struct scene *s = *state;
	struct export_fixture f;
	uv_loop_t loop;
	int changes = 0;
	struct bh_jsonl *jsonl = begin(s, &loop, 8192, &changes);
	const struct bh_export_account *account = bh_jsonl_account(jsonl);

	export_fixture_init(&f);
	assert_int_equal(chmod(s->folder, 0700), 0);
	assert_int_equal(mkdir(s->path, 0700), 0); /* what stands there is no file */
	for (int i = 0; i < 20; i++)
		bh_jsonl_add(jsonl, &f.flow);
	while (strcmp(account->error, "cannot be written: Is a directory") != 0)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(changes, 1);
	assert_int_equal(account->delivered, 0);
	assert_true(account->lost[BH_EXPORT_LOSS_QUEUE_FULL] > 0);
	assert_true(bh_export_queued(account) > 0);
	assert_balance(account);
	assert_int_equal(rmdir(s->path), 0);
	while (account->failing_since_ns)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(changes, 2);
	assert_string_equal(account->error, "");
	end(jsonl, &loop);
	assert_int_equal(count_lines(s), account->delivered);
	assert_int_equal(account->delivered + bh_export_lost(account), 20);
	bh_jsonl_free(jsonl);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Losing one has to be cheap, or there is no time left to write others. */
static void is_full_until_half_of_it_is_written(void **state)
{
	struct scene *s = *state;
	struct export_fixture f;
	uv_loop_t loop;
	int changes = 0;
	struct bh_jsonl *jsonl = begin(s, &loop, 64 << 10, &changes);
	const struct bh_export_account *account = bh_jsonl_account(jsonl);

	export_fixture_init(&f);
	for (int i = 0; i < 1000 && !bh_jsonl_is_full(jsonl); i++)
		bh_jsonl_add(jsonl, &f.flow);
	assert_true(bh_jsonl_is_full(jsonl));
	for (int i = 0; i < 1000; i++)
		bh_jsonl_lose(jsonl);
	assert_int_equal(account->lost[BH_EXPORT_LOSS_QUEUE_FULL], 1001);
	assert_int_equal(changes, 1);
	assert_balance(account);
	while (bh_jsonl_is_full(jsonl))
		uv_run(&loop, UV_RUN_ONCE);
	assert_true(bh_export_queued(account) * 2 < account->delivered + 2);
	bh_jsonl_add(jsonl, &f.flow);
	assert_int_equal(account->lost[BH_EXPORT_LOSS_QUEUE_FULL], 1001);
	end(jsonl, &loop);
	assert_int_equal(count_lines(s), account->delivered);
	bh_jsonl_free(jsonl);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Nothing would be written to make room for it. */
static void is_not_full_of_one_that_never_fits(void **state)
{
	struct scene *s = *state;
	struct export_fixture f;
	uv_loop_t loop;
	int changes = 0;
	struct bh_jsonl *jsonl = begin(s, &loop, 100, &changes);

	export_fixture_init(&f);
	bh_jsonl_add(jsonl, &f.flow);
	assert_int_equal(bh_jsonl_account(jsonl)->lost[BH_EXPORT_LOSS_QUEUE_FULL], 1);
	assert_false(bh_jsonl_is_full(jsonl));
	end(jsonl, &loop);
	bh_jsonl_free(jsonl);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_a_closed_flow_in_hubbles_words),
		cmocka_unit_test(says_what_was_denied_and_by_which_policy),
		cmocka_unit_test(says_a_flow_that_lasts_with_what_is_new_of_it),
		cmocka_unit_test(what_is_not_known_of_the_talk_is_left_out),
		cmocka_unit_test(says_would_deny_as_audit),
		cmocka_unit_test(every_drop_reason_has_a_word),
		cmocka_unit_test(a_frame_without_addresses_has_none),
		cmocka_unit_test(the_world_is_hubbles_reserved_world),
		cmocka_unit_test(hostile_labels_stay_text_and_bounded),
		cmocka_unit_test_setup_teardown(
			a_file_that_would_grow_too_large_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(none_is_kept_where_none_is_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_old_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(
			goes_on_with_the_file_there_is_and_mends_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			begins_anew_when_somebody_took_the_file_away, setup, teardown),
		cmocka_unit_test_setup_teardown(
			cuts_no_file_that_has_another_name, setup, teardown),
		cmocka_unit_test_setup_teardown(
			follows_no_link_and_waits_for_no_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_does_not_fit_leaves_no_half_line, setup, teardown),
		cmocka_unit_test_setup_teardown(
			everything_is_delivered_by_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			losses_are_counted_and_it_recovers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			is_full_until_half_of_it_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(
			is_not_full_of_one_that_never_fits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
