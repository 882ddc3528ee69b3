/* SPDX-License-Identifier: Apache-2.0 */

/* The command line as its user meets it: the program itself, against a controller that plays along.
 */

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/up.h"

struct scene {
	char folder[64];
	char program[PATH_MAX];
	/* The controller that plays along: answers every request with this text. */
	nng_socket socket;
	pthread_t thread;
	const char *answer;
	char request[4096];
};

struct result {
	int status;
	char out[65536];
	char err[8192];
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -1;
	self[n] = '\0';
	/* BUILD/tests/unit/cli/test_cli */
	for (int i = 0; i < 4; i++)
		dirname(self);
	n = snprintf(s->program, sizeof(s->program), "%.4000s/bulkhead", self);
	strcpy(s->folder, "/tmp/bh-cli-XXXXXX");
	*state = s;
	return mkdtemp(s->folder) ? 0 : -1;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	char command[128];

	if (s->answer) {
		nng_close(s->socket);
		pthread_join(s->thread, NULL);
	}
	sprintf(command, "rm -rf %s", s->folder);
	if (system(command) != 0)
		return -1;
	free(s);
	return 0;
}

static void *play_controller(void *data)
{
	struct scene *s = data;
	nng_msg *message;

	while (nng_recvmsg(s->socket, &message, 0) == 0) {
		snprintf(s->request, sizeof(s->request), "%.*s", (int)nng_msg_len(message),
			(const char *)nng_msg_body(message));
		nng_msg_clear(message);
		nng_msg_append(message, s->answer, strlen(s->answer));
		if (nng_sendmsg(s->socket, message, 0) != 0)
			nng_msg_free(message);
	}
	return NULL;
}

static void answer_with(struct scene *s, const char *answer)
{
	char url[128];

	s->answer = answer;
	snprintf(url, sizeof(url), "ipc://%s/control.sock", s->folder);
	assert_int_equal(nng_rep0_open(&s->socket), 0);
	assert_int_equal(nng_listen(s->socket, url, NULL, 0), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, play_controller, s), 0);
}

static void read_all(int fd, char *text, size_t size)
{
	size_t at = 0;
	ssize_t n;

	while (at < size - 1 && (n = read(fd, text + at, size - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(fd);
}

/* Runs `bulkhead --run-dir FOLDER words…`. */
static void run(struct scene *s, const char *words, struct result *result)
{
	char command[PATH_MAX + 1024];
	char err_path[128];
	FILE *out;
	FILE *err;

	snprintf(err_path, sizeof(err_path), "%s/stderr", s->folder);
	snprintf(command, sizeof(command), "%s --run-dir %s %s 2>%s", s->program, s->folder, words,
		err_path);
	out = popen(command, "r");
	assert_non_null(out);
	read_all(dup(fileno(out)), result->out, sizeof(result->out));
	result->status = WEXITSTATUS(pclose(out));
	err = fopen(err_path, "r");
	assert_non_null(err);
	read_all(dup(fileno(err)), result->err, sizeof(result->err));
	fclose(err);
	unlink(err_path);
}

static void expect(struct scene *s, const char *words, int status, const char *part)
{
	struct result result;

	run(s, words, &result);
	if (result.status != status)
		fail_msg("%s: status %d: %s", words, result.status, result.err);
	if (!strstr(status == 0 ? result.out : result.err, part))
		fail_msg("%s: '%s' is not in: %s%s", words, part, result.out, result.err);
}

/* ---- Exit codes and errors ------------------------------------------------------------------- */

static void wrong_usage_ends_with_2(void **state)
{
	static const struct {
		const char *words;
		const char *part;
	} cases[] = {
		{"", "Usage"},
		{"frob", "no command 'frob'"},
		{"--frob", "unrecognized option"},
		{"help frob", "no command 'frob'"},
		{"status extra", "unexpected argument 'extra'"},
		{"status -o yaml", "'yaml' is no output"},
		{"status -o dot", "no output 'dot'"},
		{"edges -o svg", "no output 'svg'"},
		{"edges --since yesterday", "neither a duration"},
		{"policy", "needs one of diff, suggest"},
		{"policy frob", "needs one of diff, suggest"},
		{"policy suggest x", "unexpected argument"},
		{"up --history-days 0", "history-days is"},
		{"up --history-size 15", "history-size is"},
		{"flows --frob", "unrecognized option"},
		{"flows --verdict maybe", "no verdict"},
		{"flows --port http", "takes a number"},
		{"flows --port 70000", "no port"},
		{"flows --limit -1", "takes a number"},
		{"explain a/b c/d", "needs"},
		{"explain a/b c/d 80", "no PORT/PROTO"},
		{"explain a/b c/d 80/", "no PORT/PROTO"},
		{"explain a/b c/d 65536/tcp", "no PORT/PROTO"},
		{"explain a/b c/d 80/tcp more", "unexpected"},
		{"mode strict", "no mode"},
		{"mode enforce --namespace a --pod a/b", "exclude"},
		{"mode enforce dry-run", "unexpected"},
		{"quarantine --release", "needs a pod"},
		{"wait --timeout soon", "no time"},
		{"wait --timeout -5s", "no time"},
		{"up --mode strict", "mode is"},
		{"up --attach xdp", "attach is"},
		{"up --map-size big", "map-size is"},
		{"up --map-size bh_edges=1,", "map-size is"},
		{"up --map-size =5", "map-size is"},
		{"up --xdp-generic maybe", "yes or no"},
		{"completion fish", "bash only"},
		{"completion", "which shell"},
		{"--run-dir", "requires an argument"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(*state, cases[i].words, BH_CLI_USAGE, cases[i].part);
}

static void help_and_version_end_with_0(void **state)
{
	expect(*state, "help", 0, "quarantine");
	expect(*state, "--help", 0, "quarantine");
	expect(*state, "--usage", 0, "quarantine");
	expect(*state, "help flows", 0, "--follow");
	expect(*state, "flows --help", 0, "--follow");
	expect(*state, "-h", 0, "quarantine");
	expect(*state, "flows -h", 0, "--follow");
	expect(*state, "policy -h", 0, "policy diff");
	expect(*state, "policy diff -h", 0, "--delete");
	expect(*state, "up -h", 0, "--manifests");
	expect(*state, "version", 0, BH_VERSION);
	expect(*state, "--version", 0, BH_VERSION);
}

static void nothing_running_is_one_clear_line(void **state)
{
	static const char *const commands[] = {"status", "pods", "policies", "flows", "edges",
		"graph", "mode", "quarantine", "explain a/b c/d 80/tcp", "wait --timeout 60ms"};
	struct scene *s = *state;
	struct result result;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		run(s, commands[i], &result);
		assert_int_equal(result.status, BH_CLI_FAILED);
		assert_non_null(strstr(result.err, s->folder));
		assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
	}
}

static void leftover_socket_says_that_the_controller_is_gone(void **state)
{
	struct scene *s = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", s->folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	expect(s, "status", BH_CLI_FAILED, "is not running");
}

static void failure_of_the_controller_ends_with_1(void **state)
{
	answer_with(*state, "{\"ok\":false,\"error\":\"no such pod\"}");
	expect(*state, "explain a/b c/d 80/tcp", BH_CLI_FAILED, "no such pod");
	expect(*state, "wait", BH_CLI_FAILED, "no such pod");
}

static void nonsense_from_the_controller_ends_with_1(void **state)
{
	answer_with(*state, "hello");
	expect(*state, "status", BH_CLI_FAILED, "makes no sense");
}

/* In a child that is no longer root, if it was: the exit code. */
static int as_nobody(char *command)
{
	char *argv[] = {"bulkhead", command, NULL};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(99);
		close(STDERR_FILENO);
		_exit(bh_cli_main(2, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void up_and_down_need_root(void **state)
{
	assert_int_equal(as_nobody("up"), BH_CLI_FAILED);
	assert_int_equal(as_nobody("down"), BH_CLI_FAILED);
}

static void up_names_what_it_misses(void **state)
{
	if (geteuid() != 0)
		return; /* it does not come that far, see above */
	expect(*state, "up", BH_CLI_USAGE, "--manifests");
	expect(*state, "up --manifests /tmp --kube", BH_CLI_USAGE, "exclude");
	expect(*state, "up --manifests /tmp --context c", BH_CLI_USAGE, "need --kube");
	expect(*state, "up --kube --context c", BH_CLI_USAGE, "needs --kubeconfig");
	expect(*state, "up --kube --kubeconfig /tmp", BH_CLI_FAILED, "is not a file");
	expect(*state, "up --kube=perhaps", BH_CLI_USAGE, "yes or no");
	expect(*state, "up --manifests /nonexistent", BH_CLI_FAILED, "/nonexistent");
	expect(*state, "up --manifests /tmp --user nobody-of-that-name", BH_CLI_FAILED, "no user");
}

/* ---- Output ---------------------------------------------------------------------------------- */

static const char one_flow[] =
	"{\"ok\":true,\"more\":false,\"next\":2,\"missed\":0,\"flows\":[{\"sequence\":1,\"time\":"
	"\"2026-11-21T19:00:00.250000Z\",\"type\":\"denied\",\"verdict\":\"denied\",\"text\":"
	"\"isolated by evil\\u001b[2J\\u009b1m policy\\nnext\",\"source\":{\"namespace\":\"shop\","
	"\"pod\":\"web\",\"port\":4000,\"ip\":\"10.0.0.1\"},\"destination\":{\"ip\":\"fd00::1\","
	"\"port\":80,\"namespace\":\"\",\"pod\":\"\"},\"protocol\":\"TCP\"}]}";

static void flows_are_lines_without_escapes_of_others(void **state)
{
	struct result result;

	answer_with(*state, one_flow);
	run(*state, "flows", &result);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "DENIED"));
	assert_non_null(strstr(result.out, "shop/web:4000 → [fd00::1]:80 TCP"));
	assert_null(strchr(result.out, '\033'));
	assert_null(strstr(result.out, "\xc2\x9b"));
	assert_ptr_equal(strchr(result.out, '\n'), result.out + strlen(result.out) - 1);
}

static void flows_as_json_are_one_object_a_line(void **state)
{
	struct result result;
	json_t *flow;

	answer_with(*state, one_flow);
	run(*state, "flows -o json", &result);
	assert_int_equal(result.status, 0);
	assert_ptr_equal(strchr(result.out, '\n'), result.out + strlen(result.out) - 1);
	flow = json_loads(result.out, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(flow, "verdict")), "denied");
	json_decref(flow);
}

static void filters_reach_the_controller(void **state)
{
	struct scene *s = *state;
	struct result result;
	json_t *request;

	answer_with(s, one_flow);
	run(s, "flows --pod shop/web --port 80 --protocol tcp --verdict denied --limit 5", &result);
	assert_int_equal(result.status, 0);
	request = json_loads(s->request, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(request, "pod")), "shop/web");
	assert_int_equal(json_integer_value(json_object_get(request, "port")), 80);
	assert_int_equal(json_integer_value(json_object_get(request, "limit")), 5);
	assert_true(json_is_true(json_object_get(request, "newest")));
	json_decref(request);
}

static void status_for_scripts_is_the_answer_itself(void **state)
{
	struct result result;
	json_t *status;

	answer_with(
		*state, "{\"ok\":true,\"ready\":true,\"revision\":{\"wanted\":3,\"applied\":3}}");
	run(*state, "-o json status", &result);
	assert_int_equal(result.status, 0);
	status = json_loads(result.out, 0, NULL);
	assert_true(json_is_true(json_object_get(status, "ready")));
	assert_null(json_object_get(status, "ok"));
	json_decref(status);
}

static void graph_names_its_ends_as_people_do(void **state)
{
	struct result result;

	answer_with(*state,
		"{\"ok\":true,\"nodes\":[{\"id\":\"World/\",\"namespace\":\"\",\"kind\":\"World\","
		"\"name\":\"\"},{\"id\":\"World/10.0.0.0/8\",\"namespace\":\"\",\"kind\":"
		"\"World\",\"name\":\"10.0.0.0/8\"},{\"id\":\"shop/Deployment/web\",\"namespace\":"
		"\"shop\",\"kind\":\"Deployment\",\"name\":\"web\"}],\"edges\":[{\"source\":"
		"\"World/\",\"target\":\"shop/Deployment/web\",\"port\":80,\"protocol\":\"TCP\"},"
		"{\"source\":\"shop/Deployment/web\",\"target\":\"World/10.0.0.0/8\",\"port\":443,"
		"\"protocol\":\"TCP\"}]}");
	run(*state, "graph", &result);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "the world "));
	assert_non_null(strstr(result.out, "world 10.0.0.0/8"));
	assert_non_null(strstr(result.out, "shop/web"));
	assert_null(strstr(result.out, "World/"));
	assert_null(strstr(result.out, "Deployment"));
}

static void grouped_graph_names_each_port_once(void **state)
{
	struct result result;

	answer_with(*state,
		"{\"ok\":true,\"nodes\":[{\"id\":\"ns:ops\",\"type\":\"namespace\",\"namespace\":"
		"\"ops\",\"kind\":\"Namespace\",\"name\":\"ops\"},{\"id\":\"rest:shop\",\"type\":"
		"\"rest\",\"namespace\":\"shop\",\"kind\":\"\",\"name\":\"\",\"members\":12}],"
		"\"edges\":[{\"source\":\"ns:ops\",\"target\":\"rest:shop\",\"state\":\"allowed\","
		"\"aggregate\":{\"conversations\":9},\"conversations\":["
		"{\"port\":80,\"protocol\":\"TCP\"},{\"port\":80,\"protocol\":\"TCP\"},"
		"{\"port\":81,\"protocol\":\"TCP\"},{\"port\":82,\"protocol\":\"TCP\"},"
		"{\"port\":83,\"protocol\":\"TCP\"},{\"port\":84,\"protocol\":\"TCP\"},"
		"{\"port\":83,\"protocol\":\"TCP\"}]}]}");
	run(*state, "graph --group namespace", &result);
	assert_int_equal(result.status, 0);
	assert_null(strstr(result.out, "ns:"));
	assert_non_null(strstr(result.out, "12 more of shop"));
	assert_non_null(strstr(result.out, "80/TCP, 81/TCP, 82/TCP, 83/TCP +3 "));
}

static void window_without_anything_is_not_the_beginning(void **state)
{
	answer_with(*state, "{\"ok\":true,\"nodes\":[],\"edges\":[],\"window\":{}}");
	expect(*state, "edges --since 1h", 0, "nothing was seen in that time");
	expect(*state, "graph --since 1h", 0, "nothing was seen in that time");
}

static void unknown_namespace_is_named(void **state)
{
	static const char *const commands[] = {"edges -n shpo", "graph -n shpo",
		"graph --group workload -n shpo", "mode -n shpo", "policy suggest -n shpo"};
	struct result result;

	answer_with(*state, "{\"ok\":true,\"nodes\":[],\"edges\":[],\"flows\":[],\"known\":false}");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		expect(*state, commands[i], 0, "no namespace 'shpo' is known");
	run(*state, "flows -n shpo", &result);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.err, "bulkhead: no namespace 'shpo' is known\n");
}

/* Where each of them is in the text, in that order. */
static void assert_order(const char *text, size_t n, const char *const *words)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = strstr(text, words[i]);

		if (!at)
			fail_msg("'%s' is not there, or too early:\n%s", words[i], text);
		text = at + 1;
	}
}

static void tables_are_sorted_as_they_are_read(void **state)
{
	static const char *const edges[] = {
		"a/web", "80/TCP", "a/web", "443/TCP", "b/web-2", "b/web-10"};
	static const char *const modes[] = {"a/web", "b/web-2", "b/web-10"};
	struct result result;

	answer_with(*state,
		"{\"ok\":true,\"edges\":["
		"{\"client\":{\"kind\":\"Pod\",\"namespace\":\"b\",\"name\":\"web-10\"},\"port\":"
		"80},"
		"{\"client\":{\"kind\":\"Pod\",\"namespace\":\"a\",\"name\":\"web\"},\"port\":443,"
		"\"protocol\":\"TCP\"},"
		"{\"client\":{\"kind\":\"Pod\",\"namespace\":\"b\",\"name\":\"web-2\"},\"port\":80}"
		","
		"{\"client\":{\"kind\":\"Pod\",\"namespace\":\"a\",\"name\":\"web\"},\"port\":80,"
		"\"protocol\":\"TCP\"}],\"pods\":["
		"{\"namespace\":\"b\",\"name\":\"web-10\"},{\"namespace\":\"b\",\"name\":\"web-2\"}"
		","
		"{\"namespace\":\"a\",\"name\":\"web\"}]}");
	run(*state, "edges", &result);
	assert_int_equal(result.status, 0);
	assert_order(result.out, sizeof(edges) / sizeof(edges[0]), edges);
	run(*state, "mode", &result);
	assert_int_equal(result.status, 0);
	assert_order(result.out, sizeof(modes) / sizeof(modes[0]), modes);
}

static void comparison_names_each_change(void **state)
{
	static const char *const rows[] = {"was would-deny", "a/web", "new", "b/db", "vanished",
		"c/x", "1 new, 1 vanished, 1 judged otherwise, 7 as before"};
	struct scene *s = *state;
	struct result result;
	json_t *request;

	answer_with(s,
		"{\"ok\":true,\"new\":[{\"client\":{\"kind\":\"Pod\",\"namespace\":\"b\",\"name\":"
		"\"db\"},\"state\":\"denied\"}],\"vanished\":[{\"client\":{\"kind\":\"Pod\","
		"\"namespace\":\"c\",\"name\":\"x\"}}],\"changed\":[{\"before\":\"would-deny\","
		"\"after\":{\"client\":{\"kind\":\"Pod\",\"namespace\":\"a\",\"name\":\"web\"}}}],"
		"\"total\":{\"new\":1,\"vanished\":1,\"changed\":1,\"same\":7}}");
	run(s, "graph --last 1h --compare=7d -n a", &result);
	assert_int_equal(result.status, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_non_null(strstr(result.out, rows[i]));
	request = json_loads(s->request, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(request, "namespace")), "a");
	assert_non_null(json_object_get(request, "from"));
	assert_non_null(json_object_get(request, "beforeFrom"));
	assert_null(json_object_get(request, "last"));
	json_decref(request);
	expect(s, "graph --compare=soon", BH_CLI_USAGE, "no span");
	expect(s, "graph --compare -o svg", BH_CLI_USAGE, "no output 'svg'");
	expect(s, "graph --compare --group namespace", BH_CLI_USAGE, "without --group");
}

static void a_series_is_a_row_for_each_span(void **state)
{
	struct scene *s = *state;
	struct result result;

	answer_with(s,
		"{\"ok\":true,\"points\":[{\"time\":\"2026-11-22T12:00:00.000000Z\",\"seconds\":60,"
		"\"flows\":1234,\"flowsDenied\":7,\"flowsWouldDeny\":0,\"resets\":0,\"bytes\":"
		"{\"fromClient\":1500,\"fromServer\":0}}]}");
	setenv("TZ", "UTC", 1);
	run(s, "graph --last 1h --series c1", &result);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "2026-11-22 12:00:00"));
	assert_non_null(strstr(result.out, "1,234"));
	assert_non_null(strstr(result.out, "1.5 kB"));
	assert_non_null(strstr(s->request, "\"id\":\"c1\""));
	expect(s, "graph --series c1 -o dot", BH_CLI_USAGE, "no output 'dot'");
	expect(s, "graph --series c1 --compare", BH_CLI_USAGE, "exclude each other");
}

static void diff_notes_files_without_a_policy(void **state)
{
	struct result result;

	answer_with(*state,
		"{\"ok\":true,\"edges\":[],\"window\":{},\"skipped\":[\"pods\\u001b.yaml\"]}");
	run(*state, "policy diff --delete NetworkPolicy/a/b", &result);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.err, "bulkhead: no policy in pods?.yaml\n");
}

static void diff_begins_where_history_does(void **state)
{
	answer_with(*state,
		"{\"ok\":true,\"edges\":[],\"window\":{\"from\":\"2026-11-15T12:00:00.000000Z\","
		"\"to\":\"2026-11-22T12:00:00.000000Z\",\"historySince\":"
		"\"2026-11-22T11:55:00.000000Z\"}}");
	setenv("TZ", "UTC", 1);
	expect(*state, "policy diff --delete NetworkPolicy/a/b", 0,
		"seen from 2026-11-22 11:55:00 to 2026-11-22 12:00:00");
}

static void token_list_has_times_to_read(void **state)
{
	answer_with(*state,
		"{\"ok\":true,\"tokens\":[{\"id\":\"1234\",\"role\":\"reader\",\"namespaces\":null,"
		"\"created\":\"2026-11-22T12:00:00.000000Z\"}]}");
	setenv("TZ", "UTC", 1);
	expect(*state, "token list", 0, "2026-11-22 12:00:00\n");
}

static void clear_waits_for_nobody(void **state)
{
	struct result result;

	answer_with(*state, "{\"ok\":true,\"inForce\":true,\"kept\":true,\"known\":false}");
	expect(*state, "mode enforce -n shop", 0, "enforce is in force for shop; nothing of that");
	run(*state, "mode clear -n shop", &result);
	assert_string_equal(result.out, "no mode is set with 'bulkhead mode' for shop any more\n");
	run(*state, "quarantine shop/web --release", &result);
	assert_string_equal(
		result.out, "shop/web is released from quarantine; no such pod is known\n");
}

static void half_an_answer_does_no_harm(void **state)
{
	static const char *const commands[] = {"status", "pods", "policies", "flows", "edges",
		"graph", "graph -o dot", "mode", "quarantine", "explain a/b c/d icmp"};
	struct scene *s = *state;
	struct result result;

	answer_with(s, "{\"ok\":true,\"pods\":[{}],\"policies\":[{},7],\"flows\":[{},[]],\"edges\":"
		       "[{},null],\"nodes\":[{}],\"sides\":[{}],\"problems\":[{}],\"sources\":[{}],"
		       "\"drops\":{\"x\":\"y\"},\"overrides\":[{}],\"quarantined\":[{}]}");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		run(s, commands[i], &result);
		if (result.status != 0)
			fail_msg("%s: %d %s", commands[i], result.status, result.err);
	}
}

static void order_that_is_not_in_force_yet_ends_with_1(void **state)
{
	answer_with(
		*state, "{\"ok\":true,\"inForce\":false,\"missing\":\"the data plane is away\"}");
	expect(*state, "mode enforce", BH_CLI_FAILED, "the data plane is away");
	expect(*state, "quarantine shop/web", BH_CLI_FAILED, "the data plane is away");
}

static void wait_says_its_warnings_on_stderr(void **state)
{
	struct result result;

	answer_with(*state, "{\"ok\":true,\"revision\":3,\"warnings\":[\"Pod a/b: macvlan\"]}");
	run(*state, "wait", &result);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "");
	assert_non_null(strstr(result.err, "Pod a/b: macvlan"));
}

/* ---- Parsing --------------------------------------------------------------------------------- */

static void durations_have_units(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t ms;
	} cases[] = {
		{"30s", 0, 30000},
		{"500ms", 0, 500},
		{"2m", 0, 120000},
		{"1h", 0, 3600000},
		{"7", 0, 7000},
		{"0", 0, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
		{"10 s", -EINVAL, 0},
		{"99999999999999999999s", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 0;

		assert_int_equal(bh_cli_parse_duration(cases[i].text, &ms), cases[i].r);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void numbers_and_sizes_read_well(void **state)
{
	char text[32];

	assert_string_equal(bh_print_number(0, text, sizeof(text)), "0");
	assert_string_equal(bh_print_number(999, text, sizeof(text)), "999");
	assert_string_equal(bh_print_number(1000, text, sizeof(text)), "1,000");
	assert_string_equal(bh_print_number(1234567, text, sizeof(text)), "1,234,567");
	assert_string_equal(bh_print_number(-123456, text, sizeof(text)), "-123,456");
	assert_string_equal(bh_print_bytes(999, text, sizeof(text)), "999 B");
	assert_string_equal(bh_print_bytes(1500, text, sizeof(text)), "1.5 kB");
	assert_string_equal(bh_print_bytes(250000000, text, sizeof(text)), "250 MB");
}

/* ---- The file of --config -------------------------------------------------------------------- */

static int read_config(struct scene *s, const char *text, struct bh_up_options *options)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/config", s->folder);
	file = fopen(path, "w");
	fputs(text, file);
	fclose(file);
	return bh_up_read_config(path, options);
}

static void config_sets_what_the_command_line_left_open(void **state)
{
	struct bh_up_options options = {.mode = strdup("enforce")};

	assert_int_equal(read_config(*state,
				 "manifests: /etc/m\nmode: observe\nnode: 'n1'\n"
				 "log-level: debug\n",
				 &options),
		0);
	assert_string_equal(options.mode, "enforce");
	assert_string_equal(options.manifests, "/etc/m");
	assert_string_equal(options.node, "n1");
	assert_string_equal(options.log_level, "debug");
	assert_null(options.uplink);
	bh_up_options_free(&options);
}

static void config_may_be_json(void **state)
{
	struct bh_up_options options = {0};

	assert_int_equal(
		read_config(*state, "{\"run-dir\": \"/run/x\", \"attach\": \"tcx\"}", &options), 0);
	assert_string_equal(options.run_dir, "/run/x");
	assert_string_equal(options.attach, "tcx");
	bh_up_options_free(&options);
}

static void config_that_makes_no_sense_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"just text",
		"- manifests\n",
		"frob: 1\n",
		"config: /etc/other\n",
		"mode: strict\n",
		"mode: observe\nmode: enforce\n",
		"mode: [observe]\n",
		"node: ''\n",
		"mode: {a: b}\n",
		"a: b: c\n",
		"mode: \"observe\n",
	};

	/* What they say goes to stderr; here only that they are refused counts. */
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bh_up_options options = {0};

		if (read_config(*state, texts[i], &options) == 0)
			fail_msg("accepted: %s", texts[i]);
		bh_up_options_free(&options);
	}
}

/* ---- Completion ------------------------------------------------------------------------------ */

static void completion_knows_every_command_and_option(void **state)
{
	static const char *const commands[] = {
		"up", "wait", "flows", "edges", "graph", "mode", "quarantine"};
	struct scene *s = *state;
	struct result completion;
	struct result help;
	char words[64];

	run(s, "completion bash", &completion);
	assert_int_equal(completion.status, 0);
	run(s, "help", &help);
	/* Each command's line is indented by two blanks. */
	for (char *line = strtok(help.out, "\n"); line; line = strtok(NULL, "\n")) {
		char name[32];

		if (sscanf(line, "  %31[a-z] ", name) == 1 && line[0] == ' ' && line[2] != ' ' &&
			!strstr(completion.out, name))
			fail_msg("completion does not know the command %s", name);
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(words, sizeof(words), "%s --help", commands[i]);
		run(s, words, &help);
		for (char *at = help.out; (at = strstr(at, "--")); at += 2) {
			char option[40];

			if (sscanf(at, "%39[-a-z]", option) == 1 && strlen(option) > 3 &&
				strcmp(option, "--usage") != 0 && !strstr(completion.out, option))
				fail_msg("completion of %s does not know %s", commands[i], option);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wrong_usage_ends_with_2),
		TEST(help_and_version_end_with_0),
		TEST(nothing_running_is_one_clear_line),
		TEST(leftover_socket_says_that_the_controller_is_gone),
		TEST(failure_of_the_controller_ends_with_1),
		TEST(nonsense_from_the_controller_ends_with_1),
		TEST(up_and_down_need_root),
		TEST(up_names_what_it_misses),
		TEST(flows_are_lines_without_escapes_of_others),
		TEST(flows_as_json_are_one_object_a_line),
		TEST(filters_reach_the_controller),
		TEST(status_for_scripts_is_the_answer_itself),
		TEST(graph_names_its_ends_as_people_do),
		TEST(grouped_graph_names_each_port_once),
		TEST(window_without_anything_is_not_the_beginning),
		TEST(unknown_namespace_is_named),
		TEST(tables_are_sorted_as_they_are_read),
		TEST(comparison_names_each_change),
		TEST(a_series_is_a_row_for_each_span),
		TEST(diff_notes_files_without_a_policy),
		TEST(diff_begins_where_history_does),
		TEST(token_list_has_times_to_read),
		TEST(clear_waits_for_nobody),
		TEST(half_an_answer_does_no_harm),
		TEST(order_that_is_not_in_force_yet_ends_with_1),
		TEST(wait_says_its_warnings_on_stderr),
		TEST(durations_have_units),
		TEST(numbers_and_sizes_read_well),
		TEST(config_sets_what_the_command_line_left_open),
		TEST(config_may_be_json),
		TEST(config_that_makes_no_sense_is_refused),
		TEST(completion_knows_every_command_and_option),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
