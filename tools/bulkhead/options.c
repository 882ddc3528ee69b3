/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "tools/bulkhead/cli.h"

struct bh_cli bh_cli = {.run_dir = "/run/bulkhead"};

enum {
	OPTION_RUN_DIR = 1000,
};

static const struct argp_option options[] = {
	{"run-dir", OPTION_RUN_DIR, "DIR", 0, "Which instance (/run/bulkhead)", -2},
	{"output", 'o', "FORMAT", 0, "table or json; graph: dot, svg, csv and graphml too", -2},
	{NULL, 'h', NULL, OPTION_HIDDEN, NULL, -2},
	{0},
};

static const char *const output_words[] = {
	[BH_OUTPUT_TABLE] = "table",
	[BH_OUTPUT_JSON] = "json",
	[BH_OUTPUT_DOT] = "dot",
	[BH_OUTPUT_SVG] = "svg",
	[BH_OUTPUT_CSV] = "csv",
	[BH_OUTPUT_GRAPHML] = "graphml",
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case OPTION_RUN_DIR:
		if (!*argument)
			argp_error(state, "--run-dir is empty");
		bh_cli.run_dir = argument;
		bh_cli.run_dir_given = true;
		return 0;
	case 'o':
		for (size_t i = 0; i < sizeof(output_words) / sizeof(output_words[0]); i++) {
			if (strcmp(argument, output_words[i]) == 0) {
				bh_cli.output = (enum bh_output)i;
				return 0;
			}
		}
		argp_error(state, "'%s' is no output: table, json, dot, svg, csv or graphml",
			argument);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp common = {.options = options, .parser = parse_option};

const struct argp_child bh_cli_children[] = {
	{&common, 0, "For every command:", 10},
	{0},
};

bool bh_cli_output_is(const char *command, unsigned int allowed)
{
	if (allowed & BH_ALLOW(bh_cli.output))
		return true;
	fprintf(stderr, "bulkhead: %s has no output '%s'\n", command, output_words[bh_cli.output]);
	return false;
}

static error_t parse_nothing(int key, char *argument, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "unexpected argument '%s'", argument);
	return ARGP_ERR_UNKNOWN;
}

void bh_cli_parse_plain(int argc, char **argv, const char *doc)
{
	const struct argp argp = {.parser = parse_nothing, .doc = doc, .children = bh_cli_children};

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
}

int bh_cli_parse_duration(const char *text, uint64_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {
		{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || number > 1000000000)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) == 0) {
			*ret_ms = number * units[i].ms;
			return 0;
		}
	}
	return -EINVAL;
}

int bh_cli_parse_moment(const char *text, char ret_time[BH_MOMENT_MAX])
{
	uint64_t ago;
	struct timespec now;
	struct tm tm;
	time_t seconds;

	if (bh_cli_parse_duration(text, &ago) < 0) {
		/* The controller says what is wrong with a time. */
		if (!strchr(text, 'T') || strlen(text) >= BH_MOMENT_MAX)
			return -EINVAL;
		strcpy(ret_time, text);
		return 0;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (ago / 1000 > (uint64_t)now.tv_sec)
		return -EINVAL;
	seconds = now.tv_sec - (time_t)(ago / 1000);
	gmtime_r(&seconds, &tm);
	strftime(ret_time, BH_MOMENT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return 0;
}

int bh_cli_parse_port(const char *text, unsigned int *ret_port, const char **ret_protocol)
{
	const char *slash = strchr(text, '/');
	unsigned long port;
	char *end;

	if (!slash) {
		/* A protocol without ports: a bare number would be taken for a port by people. */
		if (!isalpha((unsigned char)*text) || strcasecmp(text, "tcp") == 0 ||
			strcasecmp(text, "udp") == 0 || strcasecmp(text, "sctp") == 0)
			return -EINVAL;
		*ret_port = 0;
		*ret_protocol = text;
		return 0;
	}
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (end != slash || port > 65535 || !slash[1])
		return -EINVAL;
	*ret_port = (unsigned int)port;
	*ret_protocol = slash + 1;
	return 0;
}

const char *bh_cli_nothing(const json_t *answer, const char *namespace, const char *otherwise)
{
	static char text[256];

	if (!namespace || !json_is_false(json_object_get(answer, "known")))
		return otherwise;
	snprintf(text, sizeof(text), "no namespace '%.200s' is known", namespace);
	return text;
}

int bh_cli_fail(const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
	fflush(stdout);
	fprintf(stderr, "bulkhead: %s\n", text);
	return BH_CLI_FAILED;
}
