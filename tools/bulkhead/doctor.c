/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead doctor: will it work here, and if not, what is to be done? */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/doctor.h"

static const char *const words[] = {
	[BH_HEALTH_OK] = "ok",
	[BH_HEALTH_WARNING] = "warning",
	[BH_HEALTH_PROBLEM] = "problem",
};

void bh_doctor_report(struct bh_doctor *doctor, enum bh_health health, const char *check,
	const char *advice, const char *format, ...)
{
	_cleanup_free_ char *found = NULL;
	va_list args;
	json_t *text;

	va_start(args, format);
	if (vasprintf(&found, format, args) < 0)
		found = NULL;
	va_end(args);
	/* Names of files and interfaces need not be UTF-8. */
	text = found ? json_string(found) : NULL;
	doctor->count[health]++;
	json_array_append_new(doctor->checks,
		json_pack("{s:s, s:s, s:o, s:s?}", "check", check, "result", words[health], "found",
			text ? text : json_string("?"), "advice", advice));
}

/* A file or an interface may be called anything; a terminal is not to be told. */
static void print_clean(const char *text)
{
	for (const char *c = text; *c; c++)
		putchar((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
}

static void print_check(const json_t *check)
{
	static const enum bh_colour colours[] = {BH_GOOD, BH_WARN, BH_BAD};
	const char *result = bh_json_get_text(check, "result");
	const char *advice = bh_json_get_text(check, "advice");
	enum bh_health health = BH_HEALTH_OK;

	while (strcmp(words[health], result) != 0)
		health++;
	printf("%s%-8s%s %-16s ", bh_colour(colours[health]), result, bh_colour_end(),
		bh_json_get_text(check, "check"));
	print_clean(bh_json_get_text(check, "found"));
	putchar('\n');
	if (*advice)
		printf("%26s→ %s\n", "", advice);
}

static int print(const struct bh_doctor *doctor)
{
	const json_t *check;
	size_t i;

	json_array_foreach(doctor->checks, i, check) print_check(check);
	printf("%u ok, %u warnings, %u problems\n", doctor->count[BH_HEALTH_OK],
		doctor->count[BH_HEALTH_WARNING], doctor->count[BH_HEALTH_PROBLEM]);
	return fflush(stdout) == EOF ? bh_cli_fail("writing the output") : 0;
}

/* ---- Options --------------------------------------------------------------------------------- */

enum {
	OPTION_CONF_DIR = 256,
};

static const struct argp_option argp_options[] = {
	{"conf-dir", OPTION_CONF_DIR, "DIR", 0,
		"Where the runtime's network configuration is (/etc/cni/net.d)", 0},
	{0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct bh_doctor *doctor = state->input;

	switch (key) {
	case OPTION_CONF_DIR:
		doctor->conf_dir = argument;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int bh_cli_doctor(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.doc = "Looks at this host: kernel, rights, mounts, the CNI's wiring, programs of "
		       "others, leftovers; says what it found and what to do. Changes nothing. "
		       "Status 1 if there is a problem.",
		.children = bh_cli_children,
	};
	struct bh_doctor doctor = {.conf_dir = "/etc/cni/net.d"};
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &doctor);
	if (!bh_cli_output_is("doctor", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	doctor.checks = json_array();
	bh_doctor_kernel(&doctor);
	bh_doctor_host(&doctor);
	bh_doctor_links(&doctor);
	if (bh_cli.output == BH_OUTPUT_JSON)
		r = bh_json_print(json_pack("{s:b, s:O}", "healthy",
			doctor.count[BH_HEALTH_PROBLEM] == 0, "checks", doctor.checks));
	else
		r = print(&doctor);
	json_decref(doctor.checks);
	return r != 0 ? r : doctor.count[BH_HEALTH_PROBLEM] ? BH_CLI_FAILED : 0;
}
