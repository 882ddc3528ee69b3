/* SPDX-License-Identifier: Apache-2.0 */

/* The asking end of the control socket: one JSON object there, one back (docs/api.md). */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

/* The answer for some hundred thousand pods; beyond that something is wrong. */
#define ANSWER_MAX (512 * 1024 * 1024)

static int control_path(char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/control.sock", bh_cli.run_dir);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int bh_ask_reachable(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	int r = control_path(address.sun_path, sizeof(address.sun_path));

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

int bh_ask_explain(int error)
{
	switch (-error) {
	case 0:
		return bh_cli_fail(
			"the controller of %s is only starting: try again", bh_cli.run_dir);
	case ENOENT:
		return bh_cli_fail("nothing runs on %s: start it with 'bulkhead up', or name "
				   "another instance with --run-dir",
			bh_cli.run_dir);
	case ECONNREFUSED:
		return bh_cli_fail("the controller of %s is not running (what is enforced stays "
				   "enforced); start it with 'bulkhead up'",
			bh_cli.run_dir);
	case EACCES:
		return bh_cli_fail("%s/control.sock: only root and the controller's user may ask",
			bh_cli.run_dir);
	case ENAMETOOLONG:
		return bh_cli_fail("%s: too long for a socket's name", bh_cli.run_dir);
	}
	return bh_cli_fail("%s/control.sock: %s", bh_cli.run_dir, strerror(-error));
}

static int exchange(nng_socket socket, const char *text, nng_msg **ret_answer)
{
	int err = nng_send(socket, (void *)text, strlen(text), 0);

	if (err == 0)
		err = nng_recvmsg(socket, ret_answer, 0);
	if (err == NNG_ETIMEDOUT)
		return bh_cli_fail("the controller of %s does not answer", bh_cli.run_dir);
	if (err != 0)
		return bh_cli_fail("asking the controller: %s", nng_strerror(err));
	return 0;
}

static int ask(const char *text, uint64_t timeout_ms, nng_msg **ret_answer)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char url[sizeof(path) + 8];
	nng_socket socket;
	int err;
	int r = control_path(path, sizeof(path));

	if (r < 0)
		return bh_ask_explain(r);
	snprintf(url, sizeof(url), "ipc://%s", path);
	err = nng_req0_open(&socket);
	if (err != 0)
		return bh_cli_fail("opening a socket: %s", nng_strerror(err));
	/* An order is given once: never again by itself because the answer takes its time. */
	if ((err = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE)) ||
		(err = nng_socket_set_ms(
			 socket, NNG_OPT_RECVTIMEO, (nng_duration)(timeout_ms + 5000))) ||
		(err = nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, 5000)) ||
		(err = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, ANSWER_MAX)))
		r = bh_cli_fail("preparing a socket: %s", nng_strerror(err));
	else if (nng_dial(socket, url, NULL, 0) != 0)
		r = bh_ask_explain(bh_ask_reachable()); /* the errno says more than nng's error */
	else
		r = exchange(socket, text, ret_answer);
	nng_close(socket);
	return r;
}

/* Control characters out of every string: C0, DEL, and C1 as UTF-8. */
static void clean_text(json_t *string)
{
	_cleanup_free_ char *copy = strdup(json_string_value(string));
	bool changed = false;

	for (unsigned char *c = (unsigned char *)copy; c && *c; c++) {
		if (*c < ' ' || *c == 0x7f) {
			*c = '?';
			changed = true;
		} else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) {
			c[0] = c[1] = '?';
			changed = true;
		}
	}
	if (changed)
		json_string_set(string, copy);
}

void bh_json_clean(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		clean_text(value);
	json_array_foreach(value, i, member) bh_json_clean(member);
	json_object_foreach(value, key, member) bh_json_clean(member);
}

/* Takes the arguments. NULL after a line on stderr. */
static nng_msg *ask_for(const char *command, json_t *arguments, uint64_t timeout_ms)
{
	_cleanup_free_ char *text = NULL;
	nng_msg *answer = NULL;

	if (!arguments)
		arguments = json_object();
	json_object_set_new(arguments, "command", json_string(command));
	text = json_dumps(arguments, JSON_COMPACT);
	json_decref(arguments);
	if (!text) {
		bh_cli_fail("an argument is not valid UTF-8");
		return NULL;
	}
	return ask(text, timeout_ms, &answer) == 0 ? answer : NULL;
}

/* The object, if it says that all is well; NULL after a line on stderr. Takes the message. */
static json_t *read_answer(nng_msg *message)
{
	json_error_t error;
	json_t *answer = json_loadb(nng_msg_body(message), nng_msg_len(message), 0, &error);

	nng_msg_free(message);
	if (!json_is_object(answer)) {
		bh_cli_fail("the controller's answer makes no sense: %s", error.text);
		json_decref(answer);
		return NULL;
	}
	if (!json_is_true(json_object_get(answer, "ok"))) {
		bh_cli_fail("%s", bh_json_get_text(answer, "error"));
		json_decref(answer);
		return NULL;
	}
	return answer;
}

json_t *bh_ask_raw(const char *command, json_t *arguments, uint64_t timeout_ms)
{
	nng_msg *message = ask_for(command, arguments, timeout_ms);

	return message ? read_answer(message) : NULL;
}

json_t *bh_ask(const char *command, json_t *arguments, uint64_t timeout_ms)
{
	json_t *answer = bh_ask_raw(command, arguments, timeout_ms);

	/* A file that the controller has written is harmless as it is, line breaks included. */
	if (answer && bh_cli.output != BH_OUTPUT_JSON && strcmp(command, "export") != 0 &&
		strcmp(command, "metrics") != 0)
		bh_json_clean(answer);
	return answer;
}

const char *bh_json_get_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

int64_t bh_json_get_number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

bool bh_json_get_flag(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

int bh_json_print(json_t *value)
{
	int r = json_dumpf(value, stdout, JSON_INDENT(2));

	json_decref(value);
	putchar('\n');
	if (r < 0 || fflush(stdout) == EOF)
		return bh_cli_fail("writing the output: %s", strerror(errno));
	return 0;
}

/* True if the text begins so; then *text is what follows. */
static bool skip(const char **text, const char *end, const char *beginning)
{
	size_t n = strlen(beginning);

	if ((size_t)(end - *text) < n || memcmp(*text, beginning, n) != 0)
		return false;
	*text += n;
	return true;
}

/*
 * Prints it as it came, if it is laid out as the controller writes long answers: "ok" first, then
 * the member. Returns 0, or -errno with nothing printed yet (-EBADMSG: it is not) or not all.
 */
static int print_written(nng_msg *message, const char *name)
{
	char *body = nng_msg_body(message);
	const char *text = body, *end = text + nng_msg_len(message);
	char member[64];
	int r;

	if (!skip(&text, end, "{\"ok\":true,"))
		return -EBADMSG;
	if (name) {
		snprintf(member, sizeof(member), "\"%s\":", name);
		if (!skip(&text, end, member) || text == end || !strchr("[{", *text))
			return -EBADMSG;
	} else {
		/* The object once more, without its first member. */
		body[--text - body] = '{';
	}
	r = bh_json_indent(stdout, text, (size_t)(end - text));
	putchar('\n');
	return fflush(stdout) == EOF ? -errno : r == 0 ? 0 : -EPROTO;
}

int bh_ask_print(const char *command, json_t *arguments, uint64_t timeout_ms, const char *name)
{
	nng_msg *message = ask_for(command, arguments, timeout_ms);
	json_t *answer, *value;
	int r;

	if (!message)
		return BH_CLI_FAILED;
	r = print_written(message, name);
	if (r == -EBADMSG) {
		answer = read_answer(message);
		if (!answer)
			return BH_CLI_FAILED;
		json_object_del(answer, "ok");
		value = name ? json_incref(json_object_get(answer, name)) : json_incref(answer);
		json_decref(answer);
		return bh_json_print(value);
	}
	nng_msg_free(message);
	if (r == -EPROTO)
		return bh_cli_fail("the controller's answer makes no sense");
	return r ? bh_cli_fail("writing the output: %s", strerror(-r)) : 0;
}
