/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead mode, quarantine, wait: what the operator wants to be so. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/bulkhead/cli.h"

#define TABLE_OR_JSON (BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON))
#define ORDER_TIMEOUT_MS 15000
#define POLL_MS 50

static int not_in_force(const json_t *answer)
{
	return bh_cli_fail("it is set and kept, but not in force yet: %s",
		bh_json_get_text(answer, "missing"));
}

/* ---- mode ------------------------------------------------------------------------------------ */

struct mode_options {
	const char *value;
	const char *namespace;
	const char *pod;
};

static const struct argp_option mode_argp_options[] = {
	{"namespace", 'n', "NAMESPACE", 0, "Of the pods of this namespace", 0},
	{"pod", 'p', "NAMESPACE/POD", 0, "Of this pod", 0},
	{0},
};

static error_t parse_mode(int key, char *argument, struct argp_state *state)
{
	struct mode_options *options = state->input;

	switch (key) {
	case 'n':
		options->namespace = argument;
		return 0;
	case 'p':
		options->pod = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (options->value)
			argp_error(state, "unexpected argument '%s'", argument);
		if (strcmp(argument, "observe") != 0 && strcmp(argument, "dry-run") != 0 &&
			strcmp(argument, "enforce") != 0 && strcmp(argument, "clear") != 0)
			argp_error(state, "'%s' is no mode: observe, dry-run, enforce, or clear",
				argument);
		options->value = argument;
		return 0;
	case ARGP_KEY_END:
		if (options->namespace && options->pod)
			argp_error(state, "--namespace and --pod exclude each other");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static int print_modes(const json_t *answer, const char *namespace)
{
	static const char *const columns[] = {"POD", "MODE", NULL};
	struct libscols_table *table = bh_table_begin(columns);
	const json_t *node = json_object_get(answer, "node");
	const json_t *item;
	char text[512];
	size_t i;

	printf("node: %s%s%s, set %s\n", bh_colour(BH_BOLD), bh_json_get_text(node, "mode"),
		bh_colour_end(),
		strcmp(bh_json_get_text(node, "source"), "command") == 0 ? "with 'bulkhead mode'"
									 : "with --mode");
	json_array_foreach(json_object_get(answer, "overrides"), i, item)
	{
		if (strcmp(bh_json_get_text(item, "scope"), "node") == 0)
			continue;
		printf("%s %s%s%s: %s, set with 'bulkhead mode'\n", bh_json_get_text(item, "scope"),
			bh_json_get_text(item, "namespace"),
			*bh_json_get_text(item, "name") ? "/" : "", bh_json_get_text(item, "name"),
			bh_json_get_text(item, "mode"));
	}
	json_array_foreach(json_object_get(answer, "pods"), i, item)
	{
		struct libscols_line *line = bh_table_row(table);

		snprintf(text, sizeof(text), "%s/%s", bh_json_get_text(item, "namespace"),
			bh_json_get_text(item, "name"));
		bh_table_cell(line, 0, BH_PLAIN, text);
		bh_table_cell(line, 1, BH_PLAIN,
			bh_json_get_flag(item, "quarantined") ? "quarantine"
							      : bh_json_get_text(item, "mode"));
	}
	bh_table_sort(table, 1);
	return bh_table_end(table, bh_cli_nothing(answer, namespace, "no such pod on this node"));
}

/* Whom no mode is set for any more need not come. */
static void print_mode_set(const struct mode_options *options, bool known)
{
	const char *whom = options->namespace ?: options->pod;

	if (strcmp(options->value, "clear") == 0)
		printf("no mode is set with 'bulkhead mode' for %s any more\n", whom ?: "the node");
	else
		printf("%s is in force%s%s%s\n", options->value, whom ? " for " : "", whom ?: "",
			known ? ""
			      : "; nothing of that name is known yet, it counts once it comes");
}

int bh_cli_mode(int argc, char **argv)
{
	static const struct argp argp = {
		.options = mode_argp_options,
		.parser = parse_mode,
		.args_doc = "[observe|dry-run|enforce|clear]",
		.doc = "Shows the modes, or sets one: of the node, of a namespace, or of a pod. "
		       "A mode set here wins over the annotation bulkhead.io/mode, is in force "
		       "when the command returns, and survives restarts; 'clear' takes it back.",
		.children = bh_cli_children,
	};
	struct mode_options options = {0};
	json_t *arguments = json_object();
	json_t *answer;
	int r = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!bh_cli_output_is("mode", TABLE_OR_JSON))
		return BH_CLI_USAGE;
	if (options.namespace)
		json_object_set_new(arguments, "namespace", json_string(options.namespace));
	if (options.pod)
		json_object_set_new(arguments, "pod", json_string(options.pod));
	if (options.value)
		json_object_set_new(arguments, "value", json_string(options.value));
	answer = bh_ask("mode", arguments, ORDER_TIMEOUT_MS);
	if (!answer)
		return BH_CLI_FAILED;
	if (options.value && !bh_json_get_flag(answer, "inForce"))
		r = not_in_force(answer);
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		bh_json_print(answer);
		return r;
	}
	if (!options.value)
		r = print_modes(answer, options.namespace);
	else if (r == 0)
		print_mode_set(&options, bh_json_get_flag(answer, "known"));
	json_decref(answer);
	return r;
}

/* ---- quarantine ------------------------------------------------------------------------------ */

struct quarantine_options {
	const char *pod;
	bool release;
};

static const struct argp_option quarantine_argp_options[] = {
	{"release", 'r', 0, 0, "Let it back", 0},
	{0},
};

static error_t parse_quarantine(int key, char *argument, struct argp_state *state)
{
	struct quarantine_options *options = state->input;

	switch (key) {
	case 'r':
		options->release = true;
		return 0;
	case ARGP_KEY_ARG:
		if (options->pod)
			argp_error(state, "unexpected argument '%s'", argument);
		options->pod = argument;
		return 0;
	case ARGP_KEY_END:
		if (options->release && !options->pod)
			argp_error(state, "--release needs a pod");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static void print_quarantined(const json_t *list)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		printf("no pod is in quarantine\n");
	json_array_foreach(list, i, item)
	{
		printf("%s/%s\n", bh_json_get_text(item, "namespace"),
			bh_json_get_text(item, "name"));
	}
}

int bh_cli_quarantine(int argc, char **argv)
{
	static const struct argp argp = {
		.options = quarantine_argp_options,
		.parser = parse_quarantine,
		.args_doc = "[NAMESPACE/POD]",
		.doc = "Cuts a pod off in both directions, whatever its mode and policies; its "
		       "established connections end at their next packet. The node itself still "
		       "reaches it. Without a pod: lists those that are in quarantine.",
		.children = bh_cli_children,
	};
	struct quarantine_options options = {0};
	json_t *arguments = json_object();
	json_t *answer;
	int r = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!bh_cli_output_is("quarantine", TABLE_OR_JSON))
		return BH_CLI_USAGE;
	if (options.pod)
		json_object_set_new(arguments, "pod", json_string(options.pod));
	json_object_set_new(arguments, "release", json_boolean(options.release));
	answer = bh_ask("quarantine", arguments, ORDER_TIMEOUT_MS);
	if (!answer)
		return BH_CLI_FAILED;
	if (options.pod && !bh_json_get_flag(answer, "inForce"))
		r = not_in_force(answer);
	else if (options.pod && !bh_json_get_flag(answer, "kept"))
		r = bh_cli_fail("it is in force, but could not be written to disk: a restart of "
				"the controller takes it back (see 'bulkhead status')");
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		bh_json_print(answer);
		return r;
	}
	if (!options.pod)
		print_quarantined(json_object_get(answer, "quarantined"));
	else if (r == 0)
		printf("%s is %s%s\n", options.pod,
			options.release ? "released from quarantine" : "in quarantine",
			bh_json_get_flag(answer, "known") ? ""
			: options.release                 ? "; no such pod is known"
					  : "; no such pod is known yet, it counts once it comes");
	json_decref(answer);
	return r;
}

/* ---- wait ------------------------------------------------------------------------------------ */

struct wait_options {
	uint64_t timeout_ms;
};

static const struct argp_option wait_argp_options[] = {
	{"timeout", 't', "TIME", 0, "Give up after that long, like 500ms, 30s, 2m (30s)", 0},
	{0},
};

static error_t parse_wait(int key, char *argument, struct argp_state *state)
{
	struct wait_options *options = state->input;

	switch (key) {
	case 't':
		if (bh_cli_parse_duration(argument, &options->timeout_ms) < 0 ||
			options->timeout_ms > 24 * 3600 * 1000ull)
			argp_error(state, "'%s' is no time up to a day: write 500ms, 30s, 2m",
				argument);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A controller that is only starting is waited for as well. */
static int wait_for_controller(uint64_t deadline)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	int r;

	while ((r = bh_ask_reachable()) < 0) {
		if ((r != -ENOENT && r != -ECONNREFUSED) || now_ms() >= deadline)
			return r;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int bh_cli_wait(int argc, char **argv)
{
	static const struct argp argp = {
		.options = wait_argp_options,
		.parser = parse_wait,
		.doc = "Reads the sources again, and returns once everything in them at the time "
		       "of "
		       "the call is in force in the kernel. Problems that keep nothing from being "
		       "in force are warnings on stderr.",
		.children = bh_cli_children,
	};
	struct wait_options options = {.timeout_ms = 30000};
	uint64_t deadline;
	uint64_t left;
	const json_t *warning;
	json_t *answer;
	size_t i;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!bh_cli_output_is("wait", TABLE_OR_JSON))
		return BH_CLI_USAGE;
	deadline = now_ms() + options.timeout_ms;
	r = wait_for_controller(deadline);
	if (r < 0)
		return bh_ask_explain(r);
	left = deadline > now_ms() ? deadline - now_ms() : 0;
	answer = bh_ask("wait", json_pack("{s:I}", "timeout", (json_int_t)left), left);
	if (!answer)
		return BH_CLI_FAILED;
	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
	{
		fprintf(stderr, "bulkhead: warning: %s\n", json_string_value(warning));
	}
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		return bh_json_print(answer);
	}
	json_decref(answer);
	return 0;
}
