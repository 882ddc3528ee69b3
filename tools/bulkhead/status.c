/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead status: the whole instance on one screen. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/bulkhead/cli.h"

#define LABEL "%-12s "

static void print_revision(const json_t *status)
{
	const json_t *revision = json_object_get(status, "revision");
	int64_t wanted = bh_json_get_number(revision, "wanted");
	int64_t applied = bh_json_get_number(revision, "applied");
	const char *missing = bh_json_get_text(status, "missing");

	printf(LABEL, "in force");
	if (bh_json_get_flag(status, "ready"))
		printf("%srevision %" PRId64 ", which is everything wanted%s\n", bh_colour(BH_GOOD),
			applied, bh_colour_end());
	else
		printf("%srevision %" PRId64 " of %" PRId64 ": %s%s\n", bh_colour(BH_WARN), applied,
			wanted, missing, bh_colour_end());
}

static void print_dataplane(const json_t *status)
{
	const json_t *dataplane = json_object_get(status, "dataplane");

	printf(LABEL, "data plane");
	if (!bh_json_get_flag(dataplane, "connected"))
		printf("%snot connected%s\n", bh_colour(BH_BAD), bh_colour_end());
	else
		printf("%s, %s, Linux %s%s\n", bh_json_get_text(dataplane, "program"),
			bh_json_get_text(dataplane, "attach"),
			bh_json_get_text(dataplane, "kernel"),
			bh_json_get_flag(dataplane, "slow") ? ", busy with an update for long"
							    : "");
}

static void print_kube(const char *label, const json_t *source)
{
	const char *state = bh_json_get_text(source, "state");
	bool current = strcmp(state, "current") == 0;
	char since[32];

	printf(LABEL "%s: %s%s%s since %s, %" PRId64 " objects\n", label,
		bh_json_get_text(source, "name"), bh_colour(current ? BH_PLAIN : BH_WARN), state,
		bh_colour_end(),
		bh_print_time(bh_json_get_text(source, "since"), false, since, sizeof(since)),
		bh_json_get_number(source, "objects"));
}

/* A resource the cluster does not have is no failure, and good to know. */
static void print_absent(const json_t *source)
{
	const json_t *resource;
	size_t i;

	json_array_foreach(json_object_get(source, "resources"), i, resource)
	{
		if (strcmp(bh_json_get_text(resource, "state"), "absent") == 0)
			printf(LABEL "no %s: %s\n", "", bh_json_get_text(resource, "name"),
				bh_json_get_text(resource, "detail"));
	}
}

static void print_sources(const json_t *status)
{
	const json_t *source;
	size_t i;

	json_array_foreach(json_object_get(status, "sources"), i, source)
	{
		const char *label = i == 0 ? "sources" : "";

		if (strcmp(bh_json_get_text(source, "kind"), "kube") == 0) {
			print_kube(label, source);
			print_absent(source);
			continue;
		}
		printf(LABEL "%s: %" PRId64 " files, %" PRId64 " objects\n", label,
			bh_json_get_text(source, "path"), bh_json_get_number(source, "files"),
			bh_json_get_number(source, "objects"));
	}
}

/* "3 attached, 1 waiting": the counts that are not zero. */
static void print_counts(const json_t *counts)
{
	const char *separator = "";
	const char *name;
	const json_t *count;

	json_object_foreach((json_t *)counts, name, count)
	{
		if (json_integer_value(count) == 0)
			continue;
		printf("%s%" PRId64 " %s", separator, (int64_t)json_integer_value(count), name);
		separator = ", ";
	}
}

static void print_endpoints(const json_t *status)
{
	int64_t n = bh_json_get_number(status, "endpoints");

	printf(LABEL "%" PRId64, "pods here", n);
	if (n) {
		printf(": ");
		print_counts(json_object_get(status, "endpointStates"));
		printf("; ");
		print_counts(json_object_get(status, "endpointModes"));
	}
	printf("\n" LABEL "%" PRId64 ", %" PRId64 " pods in the cluster\n", "policies",
		bh_json_get_number(status, "policies"), bh_json_get_number(status, "pods"));
}

static void print_held(const json_t *status)
{
	const json_t *held = json_object_get(status, "held");
	const json_t *one;
	size_t i;

	json_array_foreach(held, i, one)
	{
		printf(LABEL "%s%s%s, for %.1f s%s\n", i == 0 ? "held" : "", bh_colour(BH_WARN),
			bh_json_get_text(one, "interface"), bh_colour_end(),
			json_real_value(json_object_get(one, "seconds")),
			bh_json_get_flag(one, "overdue") ? " (too long)" : "");
	}
}

/* Where what services put off is judged; nothing is said while nothing is put off. */
static void print_leaving(const json_t *status)
{
	const json_t *leaving = json_object_get(status, "leaving");
	const json_t *one;
	size_t i;

	if (!json_array_size(leaving))
		return;
	printf(LABEL, "leaving by");
	json_array_foreach(leaving, i, one) printf("%s%s", i ? ", " : "", json_string_value(one));
	printf("\n");
}

static int64_t total(const json_t *counters)
{
	const char *name;
	const json_t *value;
	int64_t sum = 0;

	json_object_foreach((json_t *)counters, name, value)
	{
		sum += json_integer_value(value);
	}
	return sum;
}

static void print_drops(const json_t *status)
{
	const json_t *drops = json_object_get(status, "drops");
	const json_t *sentences = json_object_get(status, "dropReasons");
	const char *word;
	const json_t *value;
	char number[32];

	if (!drops)
		return;
	printf(LABEL "%s packets\n", "dropped",
		bh_print_number(total(drops), number, sizeof(number)));
	json_object_foreach((json_t *)drops, word, value)
	{
		printf(LABEL "%12s  %s\n", "",
			bh_print_number(json_integer_value(value), number, sizeof(number)),
			*bh_json_get_text(sentences, word) ? bh_json_get_text(sentences, word)
							   : word);
	}
}

static void print_losses(const json_t *status)
{
	const json_t *losses = json_object_get(status, "losses");
	const char *word;
	const json_t *value;
	char number[32];
	bool first = true;

	json_object_foreach((json_t *)losses, word, value)
	{
		printf(LABEL "%12s  %s\n", first ? "not recorded" : "",
			bh_print_number(json_integer_value(value), number, sizeof(number)), word);
		first = false;
	}
}

static void print_history(const json_t *status)
{
	const json_t *history = json_object_get(status, "history");
	const char *since = bh_json_get_text(history, "since");
	char bytes[32], room[32], date[32];

	printf(LABEL "%s%s, %s of %s%s\n", "history", *since ? "since " : "",
		*since ? bh_print_date(since, date, sizeof(date)) : "nothing in it yet",
		bh_print_bytes(bh_json_get_number(history, "bytes"), bytes, sizeof(bytes)),
		bh_print_bytes(bh_json_get_number(history, "maxBytes"), room, sizeof(room)),
		bh_json_get_flag(history, "onDisk") ? "" : ", in memory for now");
}

/* "json /var/log/flows.json: 1,000 delivered, 3 under way, 2 lost" */
static void print_exports(const json_t *status)
{
	const json_t *exports = json_object_get(status, "exports");
	const json_t *export;
	char numbers[3][32];
	size_t i;

	json_array_foreach(exports, i, export)
	{
		printf(LABEL "%s %s: %s delivered, %s under way, %s lost\n",
			i == 0 ? "exports" : "", bh_json_get_text(export, "name"),
			bh_json_get_text(export, "target"),
			bh_print_number(bh_json_get_number(export, "delivered"), numbers[0], 32),
			bh_print_number(bh_json_get_number(export, "queued"), numbers[1], 32),
			bh_print_number(bh_json_get_number(export, "lostTotal"), numbers[2], 32));
	}
}

/* "2 open, 1 of them high; 3 acknowledged; baselines in 1 namespace" */
static void print_alerts(const json_t *status)
{
	const json_t *alerts = json_object_get(status, "alerts");
	int64_t open = bh_json_get_number(alerts, "open");
	int64_t high = bh_json_get_number(alerts, "high");
	int64_t baselines = bh_json_get_number(alerts, "baselines");

	if (!open && !bh_json_get_number(alerts, "acknowledged") && !baselines)
		return;
	printf(LABEL "%s%" PRId64 " open, %" PRId64 " of them high%s; %" PRId64
		     " acknowledged; baselines in %" PRId64 " namespace%s\n",
		"alerts",
		bh_colour(high   ? BH_BAD
			  : open ? BH_WARN
				 : BH_PLAIN),
		open, high, bh_colour_end(), bh_json_get_number(alerts, "acknowledged"), baselines,
		baselines == 1 ? "" : "s");
}

static void print_problems(const json_t *status)
{
	const json_t *problems = json_object_get(status, "problems");
	const json_t *problem;
	size_t i;

	if (json_array_size(problems) == 0) {
		printf(LABEL "%snone%s\n", "problems", bh_colour(BH_GOOD), bh_colour_end());
		return;
	}
	printf(LABEL "%s%zu%s\n", "problems", bh_colour(BH_BAD), json_array_size(problems),
		bh_colour_end());
	json_array_foreach(problems, i, problem)
	{
		printf("  %s%s%s (%s)\n      %s\n", bh_colour(BH_BOLD),
			bh_json_get_text(problem, "object"), bh_colour_end(),
			bh_json_get_text(problem, "code"), bh_json_get_text(problem, "text"));
	}
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	bool *ready = state->input;

	switch (key) {
	case 'r':
		*ready = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
	{"ready", 'r', NULL, 0,
		"Print nothing; status 1 and one line if not everything wanted is in force", 0},
	{0},
};

/* For probes: in one word, by the status. */
static int tell_ready(json_t *status)
{
	bool ready = bh_json_get_flag(status, "ready");
	int r = ready ? 0 : bh_cli_fail("not ready: %s", bh_json_get_text(status, "missing"));

	json_decref(status);
	return r;
}

int bh_cli_status(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "How it stands: mode, revision, pods, drops, problems.",
		.children = bh_cli_children,
	};
	bool ready = false;
	json_t *status;

	argp_parse(&argp, argc, argv, 0, NULL, &ready);
	if (!bh_cli_output_is("status", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	status = bh_ask("status", NULL, 10000);
	if (!status)
		return BH_CLI_FAILED;
	if (ready)
		return tell_ready(status);
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(status, "ok");
		return bh_json_print(status);
	}
	printf("%sbulkhead %s on %s%s (%s)\n", bh_colour(BH_BOLD),
		bh_json_get_text(status, "version"), bh_json_get_text(status, "node"),
		bh_colour_end(), bh_cli.run_dir);
	printf(LABEL "%s, set %s\n", "mode", bh_json_get_text(status, "mode"),
		strcmp(bh_json_get_text(status, "modeSource"), "command") == 0
			? "with 'bulkhead mode'"
			: "with --mode");
	print_revision(status);
	print_dataplane(status);
	print_sources(status);
	print_endpoints(status);
	print_held(status);
	print_leaving(status);
	print_drops(status);
	print_losses(status);
	print_history(status);
	print_exports(status);
	print_alerts(status);
	print_problems(status);
	json_decref(status);
	return fflush(stdout) == EOF ? bh_cli_fail("writing the output") : 0;
}
