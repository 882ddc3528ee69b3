/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead flows: record by record, and going on with --follow. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

/* How long the controller holds a request of ours back until there is something. */
#define FOLLOW_MS 2000
#define BATCH 1000

enum {
	OPTION_VERDICT = 256,
	OPTION_PROTOCOL,
	OPTION_PORT,
	OPTION_SINCE,
	OPTION_LIMIT,
};

static const struct argp_option options[] = {
	{"follow", 'f', 0, 0, "Go on with what comes, until interrupted", 0},
	{"namespace", 'n', "NAMESPACE", 0, "Only flows of this namespace (either end)", 0},
	{"pod", 'p', "NAMESPACE/POD", 0, "Only flows of this pod (either end)", 0},
	{"verdict", OPTION_VERDICT, "VERDICT", 0, "allowed, denied or would-deny", 0},
	{"protocol", OPTION_PROTOCOL, "PROTOCOL", 0,
		"tcp, udp, sctp, icmp, icmpv6, igmp, or a number", 0},
	{"port", OPTION_PORT, "PORT", 0, "Only flows to this port", 0},
	{"since", OPTION_SINCE, "SEQUENCE", 0, "Begin with this sequence number", 0},
	{"limit", OPTION_LIMIT, "N", 0, "Only the last N (with --since: the first N)", 0},
	{0},
};

struct flows_options {
	json_t *filter;
	const char *namespace;
	int64_t since;
	int64_t limit; /* -1: all */
	bool follow;
};

static int64_t number_of(struct argp_state *state, const char *option, const char *text)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno)
		argp_error(state, "%s takes a number, not '%s'", option, text);
	return number;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct flows_options *wanted = state->input;
	int64_t port;

	switch (key) {
	case 'f':
		wanted->follow = true;
		return 0;
	case 'n':
		wanted->namespace = argument;
		json_object_set_new(wanted->filter, "namespace", json_string(argument));
		return 0;
	case 'p':
		json_object_set_new(wanted->filter, "pod", json_string(argument));
		return 0;
	case OPTION_VERDICT:
		if (strcmp(argument, "allowed") != 0 && strcmp(argument, "denied") != 0 &&
			strcmp(argument, "would-deny") != 0)
			argp_error(state, "'%s' is no verdict: allowed, denied or would-deny",
				argument);
		json_object_set_new(wanted->filter, "verdict", json_string(argument));
		return 0;
	case OPTION_PROTOCOL:
		json_object_set_new(wanted->filter, "protocol", json_string(argument));
		return 0;
	case OPTION_PORT:
		port = number_of(state, "--port", argument);
		if (port > 65535)
			argp_error(state, "'%s' is no port", argument);
		json_object_set_new(wanted->filter, "port", json_integer(port));
		return 0;
	case OPTION_SINCE:
		wanted->since = number_of(state, "--since", argument);
		return 0;
	case OPTION_LIMIT:
		wanted->limit = number_of(state, "--limit", argument);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

/* ---- One record ------------------------------------------------------------------------------ */

static void print_end(const json_t *end)
{
	const char *pod = bh_json_get_text(end, "pod");
	const char *ip = bh_json_get_text(end, "ip");
	int64_t port = bh_json_get_number(end, "port");

	if (*pod)
		printf("%s/%s", bh_json_get_text(end, "namespace"), pod);
	else
		printf(strchr(ip, ':') && port ? "[%s]" : "%s", *ip ? ip : "?");
	if (port)
		printf(":%" PRId64, port);
}

static void print_verdict(const char *verdict)
{
	if (strcmp(verdict, "denied") == 0)
		printf("%s%-10s%s ", bh_colour(BH_BAD), "DENIED", bh_colour_end());
	else if (strcmp(verdict, "would-deny") == 0)
		printf("%s%-10s%s ", bh_colour(BH_WARN), "WOULD DENY", bh_colour_end());
	else
		printf("%s%-10s%s ", bh_colour(BH_GOOD), "allowed", bh_colour_end());
}

/* ", 12 packets, 3.4 kB, postgresql, plain text" */
static void print_carried(const json_t *flow)
{
	const char *app;
	char text[64];

	printf(", %" PRId64 " packets, %s", bh_json_sum(json_object_get(flow, "packets")),
		bh_print_bytes(bh_json_sum(json_object_get(flow, "bytes")), text, sizeof(text)));
	app = bh_print_app(flow, text, sizeof(text));
	if (strcmp(app, "-") != 0)
		printf(", %s", app);
}

/* Ended, or lasts. */
static bool has_sums(const char *type)
{
	return strcmp(type, "closed") == 0 || strcmp(type, "active") == 0;
}

static void print_flow(const json_t *flow)
{
	const char *type = bh_json_get_text(flow, "type");
	bool begins = strcmp(type, "new") == 0;
	char text[64];

	printf("%s ", bh_print_time(bh_json_get_text(flow, "time"), true, text, sizeof(text)));
	print_verdict(bh_json_get_text(flow, "verdict"));
	printf("%-6s ", begins || has_sums(type) ? type : "");
	print_end(json_object_get(flow, "source"));
	printf(" → ");
	print_end(json_object_get(flow, "destination"));
	printf(" %s", bh_json_get_text(flow, "protocol"));
	if (has_sums(type))
		print_carried(flow);
	printf("  %s%s%s", bh_colour(BH_FAINT), bh_json_get_text(flow, "text"), bh_colour_end());
	if (bh_json_get_number(flow, "suppressed"))
		printf(" (and %" PRId64 " more like it)", bh_json_get_number(flow, "suppressed"));
	putchar('\n');
}

static int print_flows(const json_t *flows)
{
	const json_t *flow;
	size_t i;

	json_array_foreach(flows, i, flow)
	{
		if (bh_cli.output == BH_OUTPUT_JSON) {
			json_dumpf(flow, stdout, JSON_COMPACT);
			putchar('\n');
		} else {
			print_flow(flow);
		}
	}
	if (fflush(stdout) == EOF)
		return bh_cli_fail("writing the output: %s", strerror(errno));
	return 0;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Once: who follows may well be waiting for it to come. */
static void say_unknown(struct flows_options *wanted, const json_t *answer)
{
	const char *unknown = bh_cli_nothing(answer, wanted->namespace, NULL);

	if (unknown)
		fprintf(stderr, "bulkhead: %s\n", unknown);
	if (unknown)
		wanted->namespace = NULL;
}

/* Prints one answer. Returns the exit code and says where to go on, and if there is more by now. */
static int print_batch(
	struct flows_options *wanted, int64_t limit, bool newest, bool hold, bool *ret_more)
{
	json_t *arguments = json_deep_copy(wanted->filter);
	json_t *answer;
	int64_t missed;
	int r;

	json_object_set_new(arguments, "since", json_integer(wanted->since));
	json_object_set_new(arguments, "limit", json_integer(limit));
	json_object_set_new(arguments, "newest", json_boolean(newest));
	if (hold)
		json_object_set_new(arguments, "follow", json_integer(FOLLOW_MS));
	answer = bh_ask("flows", arguments, FOLLOW_MS + 10000);
	if (!answer)
		return BH_CLI_FAILED;
	missed = bh_json_get_number(answer, "missed");
	if (missed)
		fprintf(stderr,
			"bulkhead: %" PRId64 " records were thrown away before they were read\n",
			missed);
	say_unknown(wanted, answer);
	r = print_flows(json_object_get(answer, "flows"));
	wanted->since = bh_json_get_number(answer, "next");
	*ret_more = bh_json_get_flag(answer, "more");
	json_decref(answer);
	return r;
}

/* Whoever read what is printed has gone: `head` has what it wanted. */
static bool nobody_reads(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, 0) > 0 && out.revents & POLLERR;
}

static int run(struct flows_options *wanted)
{
	bool newest = wanted->limit >= 0 && wanted->since == 0;
	bool more = true;
	int r;

	if (wanted->limit >= 0) {
		if (wanted->limit > BATCH)
			wanted->limit = BATCH;
		r = print_batch(wanted, wanted->limit, newest, false, &more);
		if (r != 0 || !wanted->follow)
			return r;
	}
	for (;;) {
		r = print_batch(wanted, BATCH, false, wanted->follow && !more, &more);
		if (r != 0 || (!more && !wanted->follow) || nobody_reads())
			return r;
	}
}

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

int bh_cli_flows(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "What was seen, record by record: new, active (they last) and closed flows, "
		       "what was denied, and what would be if everything were enforced. -o json "
		       "prints one object a "
		       "line.",
		.children = bh_cli_children,
	};
	_cleanup_(json_cleanup) json_t *filter = json_object();
	struct flows_options wanted = {.filter = filter, .limit = -1};

	argp_parse(&argp, argc, argv, 0, NULL, &wanted);
	if (!bh_cli_output_is("flows", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	return run(&wanted);
}
