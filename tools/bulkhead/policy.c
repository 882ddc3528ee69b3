/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead policy diff and suggest: policies tried on what was seen, and made of it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

/* The controller's bound for a request, less what is around the texts. */
#define MANIFESTS_BYTES_MAX (900 * 1024)
#define ANSWER_MS 120000

enum {
	OPTION_SINCE = 256,
	OPTION_UNTIL,
	OPTION_DELETE,
	OPTION_APPROVE,
	OPTION_REJECT,
	OPTION_UNDECIDE,
	OPTION_MODES,
};

struct policy_options {
	json_t *request;
	const char *namespace;
	size_t n_bytes; /* of manifests */
	bool has_from;
	bool modes; /* show what would come of it now */
};

static void append(struct policy_options *wanted, const char *name, json_t *item)
{
	json_t *list = json_object_get(wanted->request, name);

	if (!list) {
		list = json_array();
		json_object_set_new(wanted->request, name, list);
	}
	json_array_append_new(list, item);
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* At most one byte more than may be, so that too much is seen as such. */
static int read_file(FILE *file, char *text, size_t *ret_size)
{
	size_t size = fread(text, 1, MANIFESTS_BYTES_MAX + 1, file);

	if (ferror(file))
		return -EIO;
	if (size > MANIFESTS_BYTES_MAX)
		return -EFBIG;
	*ret_size = size;
	return 0;
}

static int add_file(struct policy_options *wanted, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	_cleanup_fclose_ FILE *file = standard ? NULL : fopen(path, "re");
	static char text[MANIFESTS_BYTES_MAX + 1];
	json_t *string;
	size_t size = 0;
	int r;

	if (!standard && !file)
		return bh_cli_fail("%s: %s", path, strerror(errno));
	r = read_file(standard ? stdin : file, text, &size);
	wanted->n_bytes += size;
	if (r == -EFBIG || wanted->n_bytes > MANIFESTS_BYTES_MAX)
		return bh_cli_fail("%s: more than 900 KiB of manifests", path);
	if (r < 0)
		return bh_cli_fail("%s: %s", path, strerror(-r));
	string = json_stringn(text, size);
	if (!string)
		return bh_cli_fail("%s: it is not valid UTF-8", path);
	append(wanted, "manifests", json_pack("{s:s, s:o}", "name", path, "text", string));
	return 0;
}

/* ---- Options --------------------------------------------------------------------------------- */

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
	struct policy_options *wanted = state->input;
	char time[BH_MOMENT_MAX];

	switch (key) {
	case OPTION_SINCE:
	case OPTION_UNTIL:
		if (bh_cli_parse_moment(argument, time) < 0)
			argp_error(state,
				"'%s' is neither a duration (30s, 2h, 7d) nor a time "
				"(2026-01-31T12:00:00Z)",
				argument);
		json_object_set_new(
			wanted->request, key == OPTION_SINCE ? "from" : "to", json_string(time));
		wanted->has_from |= key == OPTION_SINCE;
		return 0;
	case OPTION_DELETE:
		append(wanted, "delete", json_string(argument));
		return 0;
	case OPTION_APPROVE:
		append(wanted, "approve", json_string(argument));
		return 0;
	case OPTION_REJECT:
		append(wanted, "reject", json_string(argument));
		return 0;
	case OPTION_UNDECIDE:
		append(wanted, "undecide", json_string(argument));
		return 0;
	case 'n':
		wanted->namespace = argument;
		json_object_set_new(wanted->request, "namespace", json_string(argument));
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_diff(int key, char *argument, struct argp_state *state)
{
	struct policy_options *wanted = state->input;

	if (key == OPTION_MODES) {
		wanted->modes = true;
		return 0;
	}
	if (key == ARGP_KEY_ARG) {
		if (add_file(state->input, argument) != 0)
			exit(BH_CLI_FAILED);
		return 0;
	}
	return parse_common(key, argument, state);
}

static error_t parse_suggest(int key, char *argument, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "unexpected argument '%s'", argument);
	return parse_common(key, argument, state);
}

/* What was seen in the last week, if nothing else is said. */
static json_t *ask(const char *command, struct policy_options *wanted)
{
	char time[BH_MOMENT_MAX];

	if (!wanted->has_from && bh_cli_parse_moment("7d", time) == 0)
		json_object_set_new(wanted->request, "from", json_string(time));
	return bh_ask_raw(command, wanted->request, ANSWER_MS);
}

/* ---- diff ------------------------------------------------------------------------------------ */

static const char *const diff_columns[] = {
	"CHANGE", "CLIENT", "SERVER", "PORT", "+FLOWS", "LAST", "~BECAUSE", NULL};
static const char *const modes_columns[] = {
	"CHANGE", "CLIENT", "SERVER", "PORT", "+FLOWS", "LAST", "~BECAUSE", "~EFFECT", NULL};

/*
 * From when there is anything that was asked: the window's begin, or history's if that came later.
 * Both are times of one form, so they sort as texts.
 */
static const char *seen_from(const json_t *window)
{
	const char *from = bh_json_get_text(window, "from");
	const char *since = bh_json_get_text(window, "historySince");

	return strcmp(since, from) > 0 ? since : from;
}

static int print_diff(const json_t *answer, bool modes)
{
	struct libscols_table *table = bh_table_begin(modes ? modes_columns : diff_columns);
	const json_t *window = json_object_get(answer, "window");
	char text[256], from[32], to[32];
	const json_t *edge;
	size_t i;
	int r;

	json_array_foreach(json_object_get(answer, "edges"), i, edge)
	{
		struct libscols_line *line = bh_table_row(table);
		bool denied = strcmp(bh_json_get_text(edge, "change"), "newly-denied") == 0;

		bh_table_cell(line, 0, denied ? BH_BAD : BH_GOOD,
			denied ? "NEWLY DENIED" : "newly allowed");
		bh_table_cell(line, 1, BH_PLAIN,
			bh_print_workload(json_object_get(edge, "client"), text, sizeof(text)));
		bh_table_cell(line, 2, BH_PLAIN,
			bh_print_workload(json_object_get(edge, "server"), text, sizeof(text)));
		bh_table_cell(line, 3, BH_PLAIN,
			bh_print_port(bh_json_get_number(edge, "port"),
				bh_json_get_text(edge, "protocol"), text, sizeof(text)));
		bh_table_cell(line, 4, BH_PLAIN,
			bh_print_number(bh_json_get_number(edge, "flows"), text, sizeof(text)));
		bh_table_cell(line, 5, BH_PLAIN,
			bh_print_time(bh_json_get_text(edge, "last"), false, text, sizeof(text)));
		bh_table_cell(line, 6, BH_PLAIN,
			bh_json_get_text(json_object_get(edge, "after"), "text"));
		if (modes)
			bh_table_cell(line, 7, BH_PLAIN, bh_json_get_text(edge, "effect"));
	}
	r = bh_table_end(table, "nothing that was seen would be decided otherwise");
	printf("%lld newly denied, %lld newly allowed, %lld as before, %lld whose pods are gone; "
	       "seen from %s to %s\n",
		(long long)bh_json_get_number(answer, "newlyDenied"),
		(long long)bh_json_get_number(answer, "newlyAllowed"),
		(long long)bh_json_get_number(answer, "unchanged"),
		(long long)bh_json_get_number(answer, "gone"),
		bh_print_date(seen_from(window), from, sizeof(from)),
		bh_print_date(bh_json_get_text(window, "to"), to, sizeof(to)));
	return r;
}

/* A folder may hold more than policies; what was not tried is said, as it may be a slip. */
static void note_skipped(const json_t *answer)
{
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(answer, "skipped"), i, name)
	{
		json_t *clean = json_copy((json_t *)name);

		bh_json_clean(clean);
		fprintf(stderr, "bulkhead: no policy in %s\n", json_string_value(clean));
		json_decref(clean);
	}
}

static int diff(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"since", OPTION_SINCE, "AGO|TIME", 0, "Asked of what was seen since then (7d)", 0},
		{"until", OPTION_UNTIL, "AGO|TIME", 0, "Up to then", 0},
		{"delete", OPTION_DELETE, "KIND/[NAMESPACE/]NAME", 0,
			"As if this policy were not there", 0},
		{"modes", OPTION_MODES, 0, 0,
			"Say what would come of it with modes and quarantines as they are", 0},
		{0},
	};
	const struct argp argp = {.options = options,
		.parser = parse_diff,
		.args_doc = "[FILE...]",
		.doc = "Which of the conversations seen would be denied or allowed by the policies "
		       "in "
		       "the files (- is standard input), and are not now. Nothing is applied. "
		       "Status 3 if something would newly be denied.",
		.children = bh_cli_children};
	struct policy_options wanted = {.request = json_object()};
	json_t *answer;
	bool denies;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &wanted);
	if (!bh_cli_output_is("policy diff", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	answer = ask("policy-diff", &wanted);
	if (!answer)
		return BH_CLI_FAILED;
	denies = bh_json_get_number(answer, "newlyDenied") > 0;
	note_skipped(answer);
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		r = bh_json_print(answer);
	} else {
		bh_json_clean(answer);
		r = print_diff(answer, wanted.modes);
		json_decref(answer);
	}
	return r == 0 && denies ? BH_CLI_DENIES : r;
}

/* ---- suggest --------------------------------------------------------------------------------- */

/* Its line breaks are the controller's; strangers' texts are quoted in it. */
static void print_yaml(const json_t *answer)
{
	const json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(answer, "policies"), i, policy)
	{
		for (const char *c = bh_json_get_text(policy, "yaml"); *c; c++)
			putchar((unsigned char)*c < ' ' && *c != '\n' ? '?' : *c);
	}
}

static void print_left(const json_t *answer)
{
	const json_t *left = json_object_get(answer, "left");
	char client[256], server[256], port[64];
	const json_t *edge;
	size_t i;

	if (json_array_size(left))
		printf("---\n# Left out; --approve ID takes one in, --reject ID is remembered:\n");
	json_array_foreach(left, i, edge)
	{
		printf("# %s  %s -> %s %s, %lld flows, last %s: %s\n", bh_json_get_text(edge, "id"),
			bh_print_workload(json_object_get(edge, "client"), client, sizeof(client)),
			bh_print_workload(json_object_get(edge, "server"), server, sizeof(server)),
			bh_print_port(bh_json_get_number(edge, "port"),
				bh_json_get_text(edge, "protocol"), port, sizeof(port)),
			(long long)bh_json_get_number(edge, "flows"),
			bh_json_get_text(edge, "last"), bh_json_get_text(edge, "text"));
	}
}

static int suggest(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"namespace", 'n', "NAMESPACE", 0, "Only policies of this namespace", 0},
		{"since", OPTION_SINCE, "AGO|TIME", 0, "Of what was seen since then (7d)", 0},
		{"until", OPTION_UNTIL, "AGO|TIME", 0, "Up to then", 0},
		{"approve", OPTION_APPROVE, "ID", 0, "From now on this one is wanted", 0},
		{"reject", OPTION_REJECT, "ID", 0, "From now on this one is not", 0},
		{"undecide", OPTION_UNDECIDE, "ID", 0, "Forget what was said of it", 0},
		{0},
	};
	const struct argp argp = {.options = options,
		.parser = parse_suggest,
		.doc = "The least NetworkPolicies that allow what was seen, as YAML for kubectl. "
		       "What "
		       "was denied, never answered or looks like a scan is left out and listed.",
		.children = bh_cli_children};
	struct policy_options wanted = {.request = json_object()};
	json_t *answer;

	argp_parse(&argp, argc, argv, 0, NULL, &wanted);
	if (!bh_cli_output_is(
		    "policy suggest", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	answer = ask("policy-suggest", &wanted);
	if (!answer)
		return BH_CLI_FAILED;
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		return bh_json_print(answer);
	}
	if (json_array_size(json_object_get(answer, "policies")) == 0)
		printf("# %s.\n", bh_cli_nothing(answer, wanted.namespace,
					  "Nothing was seen that a policy could allow"));
	print_yaml(answer);
	bh_json_clean(answer);
	print_left(answer);
	json_decref(answer);
	return fflush(stdout) == EOF ? bh_cli_fail("writing the output") : 0;
}

/* ---- Which ----------------------------------------------------------------------------------- */

int bh_cli_policy(int argc, char **argv)
{
	static const struct {
		const char *name;
		bh_cli_command *run;
		char *full;
	} commands[] = {
		{"diff", diff, (char *)"bulkhead policy diff"},
		{"suggest", suggest, (char *)"bulkhead policy suggest"},
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		argv[1] = commands[i].full;
		return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 ||
				strcmp(argv[1], "-h") == 0)) {
		printf("Usage: bulkhead policy diff [FILE...]\n"
		       "  or:  bulkhead policy suggest\n\n"
		       "Policies tried on what was seen, and made of it. 'bulkhead policy diff "
		       "--help' and 'bulkhead policy suggest --help' say more.\n");
		return 0;
	}
	fprintf(stderr, "bulkhead: policy needs one of diff, suggest ('bulkhead policies' lists "
			"those there are)\n");
	return BH_CLI_USAGE;
}
