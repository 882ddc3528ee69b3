/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead baseline: what a namespace does is locked as what is usual, shown, unlocked. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

/* Learning reads all of the history that is asked for. */
#define TIMEOUT_MS 120000

enum {
	OPTION_SINCE = 256,
};

struct baseline_options {
	const char *action;
	json_t *request;
};

static const struct argp_option options[] = {
	{"namespace", 'n', "NAMESPACE", 0, "Which one", 0},
	{"since", OPTION_SINCE, "DURATION|TIME", 0,
		"lock: learn from what was seen since then (all history)", 0},
	{0},
};

static bool is_action(const char *word)
{
	return strcmp(word, "show") == 0 || strcmp(word, "lock") == 0 ||
	       strcmp(word, "unlock") == 0;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct baseline_options *wanted = state->input;
	char time[BH_MOMENT_MAX];

	switch (key) {
	case 'n':
		json_object_set_new(wanted->request, "namespace", json_string(argument));
		return 0;
	case OPTION_SINCE:
		if (bh_cli_parse_moment(argument, time) < 0)
			argp_error(state,
				"'%s' is neither a duration (30s, 2h, 7d) nor a time "
				"(2026-01-31T12:00:00Z)",
				argument);
		json_object_set_new(wanted->request, "from", json_string(time));
		return 0;
	case ARGP_KEY_ARG:
		if (wanted->action)
			argp_error(state, "unexpected argument '%s'", argument);
		if (!is_action(argument))
			argp_error(state, "'%s' is none of show, lock, unlock", argument);
		wanted->action = argument;
		return 0;
	case ARGP_KEY_END:
		if (!wanted->action)
			wanted->action = "show";
		if (strcmp(wanted->action, "show") != 0 &&
			!json_object_get(wanted->request, "namespace"))
			argp_error(state, "which one? --namespace NAMESPACE");
		if (strcmp(wanted->action, "lock") != 0 && json_object_get(wanted->request, "from"))
			argp_error(state, "--since is for 'lock'");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static int print_baselines(const json_t *baselines)
{
	static const char *const columns[] = {
		"NAMESPACE", "LOCKED", "BY", "LEARNED SINCE", "+CONVERSATIONS", "+ALERTS", NULL};
	struct libscols_table *table = bh_table_begin(columns);
	const json_t *baseline;
	char text[64];
	size_t i;

	json_array_foreach(baselines, i, baseline)
	{
		struct libscols_line *line = bh_table_row(table);
		const char *from = bh_json_get_text(baseline, "from");
		int64_t alerts = bh_json_get_number(baseline, "alerts");

		bh_table_cell(line, 0, BH_PLAIN, bh_json_get_text(baseline, "namespace"));
		bh_table_cell(line, 1, BH_PLAIN,
			bh_print_date(bh_json_get_text(baseline, "locked"), text, sizeof(text)));
		bh_table_cell(line, 2, BH_PLAIN, bh_json_get_text(baseline, "lockedBy"));
		bh_table_cell(line, 3, BH_PLAIN,
			*from ? bh_print_date(from, text, sizeof(text)) : "ever");
		bh_table_cell(line, 4, BH_PLAIN,
			bh_print_number(
				bh_json_get_number(baseline, "conversations"), text, sizeof(text)));
		bh_table_cell(line, 5, alerts ? BH_WARN : BH_PLAIN,
			bh_print_number(alerts, text, sizeof(text)));
	}
	return bh_table_end(table, "no namespace has a baseline");
}

static int print_baseline(const json_t *baseline)
{
	static const char *const columns[] = {"CLIENT", "SERVER", "PORT", "SEEN", NULL};
	struct libscols_table *table = bh_table_begin(columns);
	const json_t *edge;
	char text[1024];
	int64_t more = bh_json_get_number(baseline, "more");
	size_t i;
	int r;

	printf("%s: %" PRId64 " conversations are usual, locked %s by %s\n",
		bh_json_get_text(baseline, "namespace"),
		bh_json_get_number(baseline, "conversations"),
		bh_print_date(bh_json_get_text(baseline, "locked"), text, sizeof(text)),
		bh_json_get_text(baseline, "lockedBy"));
	json_array_foreach(json_object_get(baseline, "edges"), i, edge)
	{
		struct libscols_line *line = bh_table_row(table);

		bh_table_cell(line, 0, BH_PLAIN,
			bh_print_workload(json_object_get(edge, "client"), text, sizeof(text)));
		bh_table_cell(line, 1, BH_PLAIN,
			bh_print_workload(json_object_get(edge, "server"), text, sizeof(text)));
		bh_table_cell(line, 2, BH_PLAIN,
			bh_print_port(bh_json_get_number(edge, "port"),
				bh_json_get_text(edge, "protocol"), text, sizeof(text)));
		bh_table_cell(
			line, 3, BH_PLAIN, bh_json_get_flag(edge, "denied") ? "denied" : "allowed");
	}
	r = bh_table_end(table, "nothing was seen: everything will be new");
	if (r == 0 && more)
		printf("and %" PRId64 " more\n", more);
	return r;
}

int bh_cli_baseline(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "[show | lock | unlock]",
		.doc = "What a namespace's workloads were seen to do is locked as what is usual: "
		       "whatever else they do from then on, or others do to them, is an alert. "
		       "Locking again learns anew.",
		.children = bh_cli_children,
	};
	struct baseline_options wanted = {.request = json_object()};
	bool one;
	json_t *answer;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &wanted);
	if (!bh_cli_output_is("baseline", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	one = strcmp(wanted.action, "lock") == 0 ||
	      (strcmp(wanted.action, "show") == 0 && json_object_get(wanted.request, "namespace"));
	answer = bh_ask(strcmp(wanted.action, "lock") == 0     ? "baseline-lock"
			: strcmp(wanted.action, "unlock") == 0 ? "baseline-unlock"
			: one                                  ? "baseline"
							       : "baselines",
		wanted.request, TIMEOUT_MS);
	if (!answer)
		return BH_CLI_FAILED;
	json_object_del(answer, "ok");
	if (bh_cli.output == BH_OUTPUT_JSON)
		return bh_json_print(answer);
	r = one ? print_baseline(answer) : print_baselines(json_object_get(answer, "baselines"));
	json_decref(answer);
	return r;
}
