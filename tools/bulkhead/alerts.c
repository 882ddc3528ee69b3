/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead alerts: what is out of the ordinary, as kubectl shows events; ack says that somebody has
 * seen to it. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

#define TIMEOUT_MS 20000
#define FOLLOW_MS 2000
#define LIMIT 1000

struct alerts_options {
	json_t *filter;
	json_t *ids; /* to be acknowledged */
	const char *action;
	bool follow;
};

static const struct argp_option options[] = {
	{"follow", 'f', 0, 0, "Go on with what comes, until interrupted", 0},
	{"namespace", 'n', "NAMESPACE,...", 0, "Only alerts about these (source or target)", 0},
	{"kind", 'k', "KIND,...", 0,
		"new-edge, first-world, port-scan, lateral-movement, plaintext-database", 0},
	{"state", 's', "open|acknowledged|all", 0, "Only those (open)", 0},
	{0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct alerts_options *wanted = state->input;

	switch (key) {
	case 'f':
		wanted->follow = true;
		return 0;
	case 'n':
		json_object_set_new(wanted->filter, "namespace", json_string(argument));
		return 0;
	case 'k':
		json_object_set_new(wanted->filter, "kind", json_string(argument));
		return 0;
	case 's':
		if (strcmp(argument, "open") != 0 && strcmp(argument, "acknowledged") != 0 &&
			strcmp(argument, "all") != 0)
			argp_error(state, "'%s' is none of open, acknowledged, all", argument);
		json_object_set_new(wanted->filter, "state", json_string(argument));
		return 0;
	case ARGP_KEY_ARG:
		if (!wanted->action && strcmp(argument, "ack") == 0)
			wanted->action = argument;
		else if (wanted->action)
			json_array_append_new(wanted->ids, json_string(argument));
		else
			argp_error(state, "unexpected argument '%s'", argument);
		return 0;
	case ARGP_KEY_END:
		if (wanted->action && json_array_size(wanted->ids) == 0)
			argp_error(state, "which one? 'bulkhead alerts' shows their ids");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* ---- One alert ------------------------------------------------------------------------------- */

/* "5m", "3h12m", "7d": how long ago, as kubectl says it. */
static const char *print_age(const char *rfc3339, char *text, size_t size)
{
	struct tm tm = {0};
	int64_t seconds = 0;

	if (strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm))
		seconds = time(NULL) - timegm(&tm);
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		snprintf(text, size, "%" PRId64 "s", seconds);
	else if (seconds < 2 * 3600)
		snprintf(text, size, "%" PRId64 "m", seconds / 60);
	else if (seconds < 2 * 86400)
		snprintf(text, size, "%" PRId64 "h", seconds / 3600);
	else
		snprintf(text, size, "%" PRId64 "d", seconds / 86400);
	return text;
}

/* "port-scan" is the reason PortScan. */
static const char *print_reason(const char *kind, char *text, size_t size)
{
	bool capital = true;
	size_t n = 0;

	for (; *kind && n + 1 < size; kind++) {
		if (*kind != '-')
			text[n++] = (char)(capital ? toupper((unsigned char)*kind) : *kind);
		capital = *kind == '-';
	}
	text[n] = '\0';
	return text;
}

/* What happened is a Normal event where nothing came of it, as Kubernetes has no third type. */
static const char *print_type(const json_t *alert)
{
	return strcmp(bh_json_get_text(alert, "severity"), "info") == 0 ? "Normal" : "Warning";
}

static enum bh_colour colour_of(const json_t *alert)
{
	const char *severity = bh_json_get_text(alert, "severity");

	if (*bh_json_get_text(alert, "acknowledged"))
		return BH_FAINT;
	if (strcmp(severity, "high") == 0)
		return BH_BAD;
	return strcmp(severity, "warning") == 0 ? BH_WARN : BH_PLAIN;
}

/* "deployment/web", with its namespace in a column of its own, as `kubectl get events -A`. */
static const char *print_object(const json_t *alert, char *text, size_t size)
{
	const json_t *source = json_object_get(alert, "source");
	const char *name = bh_json_get_text(source, "name");
	size_t n;

	snprintf(text, size, "%s%s%s", bh_json_get_text(source, "kind"), *name ? "/" : "", name);
	n = strcspn(text, "/");
	for (size_t i = 0; i < n; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	return text;
}

static int print_table(const json_t *alerts)
{
	static const char *const columns[] = {"LAST SEEN", "TYPE", "REASON", "NAMESPACE", "OBJECT",
		"+COUNT", "ID", "~MESSAGE", NULL};
	struct libscols_table *table = bh_table_begin(columns);
	const json_t *alert;
	char text[1024];
	size_t i;

	json_array_foreach(alerts, i, alert)
	{
		struct libscols_line *line = bh_table_row(table);
		enum bh_colour colour = colour_of(alert);

		bh_table_cell(line, 0, BH_PLAIN,
			print_age(bh_json_get_text(alert, "last"), text, sizeof(text)));
		bh_table_cell(line, 1, colour, print_type(alert));
		bh_table_cell(line, 2, colour,
			print_reason(bh_json_get_text(alert, "kind"), text, sizeof(text)));
		bh_table_cell(line, 3, BH_PLAIN,
			bh_json_get_text(json_object_get(alert, "source"), "namespace"));
		bh_table_cell(line, 4, BH_PLAIN, print_object(alert, text, sizeof(text)));
		bh_table_cell(line, 5, BH_PLAIN,
			bh_print_number(bh_json_get_number(alert, "count"), text, sizeof(text)));
		bh_table_cell(line, 6, BH_FAINT, bh_json_get_text(alert, "id"));
		bh_table_cell(line, 7, colour, bh_json_get_text(alert, "text"));
	}
	return bh_table_end(table, "there is no alert");
}

static void print_line(const json_t *alert)
{
	char text[1024];

	printf("%s ", bh_print_time(bh_json_get_text(alert, "last"), false, text, sizeof(text)));
	printf("%s%-8s%s ", bh_colour(colour_of(alert)), print_type(alert), bh_colour_end());
	printf("%-18s ", print_reason(bh_json_get_text(alert, "kind"), text, sizeof(text)));
	printf("%s  %s(%s%s, ×%" PRId64 ")%s\n", bh_json_get_text(alert, "text"),
		bh_colour(BH_FAINT), bh_json_get_text(alert, "id"),
		*bh_json_get_text(alert, "acknowledged") ? ", acknowledged" : "",
		bh_json_get_number(alert, "count"), bh_colour_end());
}

static int print_lines(const json_t *alerts)
{
	const json_t *alert;
	size_t i;

	json_array_foreach(alerts, i, alert)
	{
		if (bh_cli.output == BH_OUTPUT_JSON) {
			json_dumpf(alert, stdout, JSON_COMPACT);
			putchar('\n');
		} else {
			print_line(alert);
		}
	}
	if (fflush(stdout) == EOF)
		return bh_cli_fail("writing the output: %s", strerror(errno));
	return 0;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Whoever read what is printed has gone. */
static bool nobody_reads(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, 0) > 0 && out.revents & POLLERR;
}

static int follow(const struct alerts_options *wanted)
{
	int64_t since = 0;
	bool first = true;
	int r = 0;

	while (r == 0 && !nobody_reads()) {
		json_t *arguments = json_deep_copy(wanted->filter);
		json_t *answer;

		json_object_set_new(arguments, "since", json_integer(since));
		json_object_set_new(arguments, "follow", json_integer(first ? 0 : FOLLOW_MS));
		first = false;
		answer = bh_ask("alerts", arguments, FOLLOW_MS + TIMEOUT_MS);
		if (!answer)
			return BH_CLI_FAILED;
		r = print_lines(json_object_get(answer, "alerts"));
		since = bh_json_get_number(answer, "next");
		json_decref(answer);
	}
	return r;
}

static int show(const struct alerts_options *wanted)
{
	json_t *arguments = json_deep_copy(wanted->filter);
	json_t *answer;
	int64_t more;
	int r;

	if (!json_object_get(arguments, "state"))
		json_object_set_new(arguments, "state", json_string("open"));
	json_object_set_new(arguments, "limit", json_integer(LIMIT));
	answer = bh_ask("alerts", arguments, TIMEOUT_MS);
	if (!answer)
		return BH_CLI_FAILED;
	more = bh_json_get_number(answer, "total") - LIMIT;
	r = bh_cli.output == BH_OUTPUT_JSON ? print_lines(json_object_get(answer, "alerts"))
					    : print_table(json_object_get(answer, "alerts"));
	if (more > 0)
		fprintf(stderr, "bulkhead: %" PRId64 " older ones are not shown\n", more);
	json_decref(answer);
	return r;
}

static int acknowledge(const struct alerts_options *wanted)
{
	const json_t *id;
	int failed = 0;
	size_t i;

	json_array_foreach(wanted->ids, i, id)
	{
		json_t *answer = bh_ask("alert-ack", json_pack("{s:O}", "id", id), TIMEOUT_MS);

		if (!answer)
			failed = BH_CLI_FAILED;
		else if (bh_cli.output == BH_OUTPUT_JSON)
			bh_json_print(json_incref(json_object_get(answer, "alert")));
		else
			print_line(json_object_get(answer, "alert"));
		json_decref(answer);
	}
	return failed;
}

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

int bh_cli_alerts(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "[ack ID...]",
		.doc = "What is out of the ordinary: new edges where a baseline is locked, scans, "
		       "lateral movement, first contacts with the world. 'ack' says that somebody "
		       "has seen to it. -o json prints one object a line.",
		.children = bh_cli_children,
	};
	_cleanup_(json_cleanup) json_t *filter = json_object();
	_cleanup_(json_cleanup) json_t *ids = json_array();
	struct alerts_options wanted = {.filter = filter, .ids = ids};

	argp_parse(&argp, argc, argv, 0, NULL, &wanted);
	if (!bh_cli_output_is("alerts", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	if (wanted.action)
		return acknowledge(&wanted);
	return wanted.follow ? follow(&wanted) : show(&wanted);
}
