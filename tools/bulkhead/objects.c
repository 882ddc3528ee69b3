/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead pods, policies, explain: what there is and what it means. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/bulkhead/cli.h"

#define TABLE_OR_JSON (BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON))

/* Asks for a list and, for scripts, prints it. Returns the exit code, or -1 and *ret_list. */
static int ask_list(const char *command, json_t **ret_list)
{
	json_t *answer;

	if (!bh_cli_output_is(command, TABLE_OR_JSON))
		return BH_CLI_USAGE;
	answer = bh_ask(command, NULL, 10000);
	if (!answer)
		return BH_CLI_FAILED;
	*ret_list = json_incref(json_object_get(answer, command));
	json_decref(answer);
	return bh_cli.output == BH_OUTPUT_JSON ? bh_json_print(*ret_list) : -1;
}

/* Strings of an array, with commas. */
static const char *join(const json_t *array, char *text, size_t size)
{
	const json_t *item;
	size_t at = 0;
	size_t i;

	text[0] = '\0';
	json_array_foreach(array, i, item)
	{
		int n = snprintf(text + at, size - at, "%s%s", i ? ", " : "",
			json_string_value(item) ? json_string_value(item) : "");

		if (n < 0 || (size_t)n >= size - at) {
			strcpy(text + size - 4, "...");
			break;
		}
		at += (size_t)n;
	}
	return text;
}

/* ---- pods ------------------------------------------------------------------------------------ */

static enum bh_colour state_colour(const char *state)
{
	if (strcmp(state, "attached") == 0)
		return BH_GOOD;
	return strcmp(state, "waiting") == 0 || strcmp(state, "no-address") == 0 ? BH_WARN : BH_BAD;
}

static const char *isolation(const json_t *pod)
{
	bool ingress = bh_json_get_flag(pod, "ingressIsolated");
	bool egress = bh_json_get_flag(pod, "egressIsolated");

	if (bh_json_get_flag(pod, "quarantined"))
		return "quarantine";
	if (ingress && egress)
		return "both";
	return ingress ? "ingress" : egress ? "egress" : "-";
}

static void pod_row(struct libscols_table *table, const json_t *pod)
{
	struct libscols_line *line = bh_table_row(table);
	const char *state = bh_json_get_text(pod, "state");
	const char *interface = bh_json_get_text(pod, "interface");
	const char *mode = bh_json_get_text(pod, "mode");
	char text[512];
	char more[512];
	size_t n;

	snprintf(text, sizeof(text), "%s/%s", bh_json_get_text(pod, "namespace"),
		bh_json_get_text(pod, "name"));
	bh_table_cell(line, 0, BH_PLAIN, text);
	bh_table_cell(line, 1, BH_PLAIN, join(json_object_get(pod, "ips"), text, sizeof(text)));
	snprintf(text, sizeof(text), "%s%s%s", *interface ? interface : "-",
		*bh_json_get_text(pod, "hook") ? " " : "", bh_json_get_text(pod, "hook"));
	bh_table_cell(line, 2, BH_PLAIN, text);
	bh_table_cell(line, 3, strcmp(mode, "enforce") == 0 ? BH_GOOD : BH_WARN, mode);
	bh_table_cell(line, 4, state_colour(state), state);
	bh_table_cell(
		line, 5, bh_json_get_flag(pod, "quarantined") ? BH_BAD : BH_PLAIN, isolation(pod));
	join(json_object_get(pod, "policies"), text, sizeof(text));
	n = strlen(text);
	if (json_array_size(json_object_get(pod, "clusterPolicies")) > 0)
		snprintf(text + n, sizeof(text) - n, "%scluster-wide: %s", n ? "; " : "",
			join(json_object_get(pod, "clusterPolicies"), more, sizeof(more)));
	bh_table_cell(line, 6, BH_PLAIN, *text ? text : "-");
}

int bh_cli_pods(int argc, char **argv)
{
	static const char *const columns[] = {
		"POD", "ADDRESSES", "INTERFACE", "MODE", "STATE", "ISOLATED", "~POLICIES", NULL};
	struct libscols_table *table;
	json_t *pods = NULL;
	const json_t *pod;
	size_t i;
	int r;

	bh_cli_parse_plain(argc, argv,
		"The pods of this node: where they are attached, their "
		"mode, state, isolation and policies.");
	r = ask_list("pods", &pods);
	if (r >= 0)
		return r;
	table = bh_table_begin(columns);
	json_array_foreach(pods, i, pod) pod_row(table, pod);
	r = bh_table_end(table, "no pods on this node");
	json_array_foreach(pods, i, pod)
	{
		if (strcmp(bh_json_get_text(pod, "state"), "attached") != 0 &&
			*bh_json_get_text(pod, "detail"))
			printf("%s/%s: %s\n", bh_json_get_text(pod, "namespace"),
				bh_json_get_text(pod, "name"), bh_json_get_text(pod, "detail"));
	}
	json_decref(pods);
	return r;
}

/* ---- policies -------------------------------------------------------------------------------- */

static const char *policy_name(const json_t *policy, char *text, size_t size)
{
	const char *namespace = bh_json_get_text(policy, "namespace");

	snprintf(text, size, "%s%s%s", namespace, *namespace ? "/" : "",
		bh_json_get_text(policy, "name"));
	return text;
}

/* "Admin 10" of a ClusterNetworkPolicy. */
static const char *policy_tier(const json_t *policy, char *text, size_t size)
{
	const char *tier = bh_json_get_text(policy, "tier");
	const json_t *priority = json_object_get(policy, "priority");

	if (*bh_json_get_text(policy, "namespace"))
		return "NetworkPolicy";
	if (json_is_integer(priority))
		snprintf(text, size, "%s %" JSON_INTEGER_FORMAT, *tier ? tier : "?",
			json_integer_value(priority));
	else
		snprintf(text, size, "%s ?", *tier ? tier : "?");
	return text;
}

static void policy_row(struct libscols_table *table, const json_t *policy)
{
	struct libscols_line *line = bh_table_row(table);
	bool ingress = bh_json_get_flag(policy, "ingress");
	bool egress = bh_json_get_flag(policy, "egress");
	const char *mode = bh_json_get_text(policy, "mode");
	bool valid = bh_json_get_flag(policy, "valid");
	char text[512];

	bh_table_cell(line, 0, BH_PLAIN, policy_name(policy, text, sizeof(text)));
	bh_table_cell(line, 1, BH_PLAIN, policy_tier(policy, text, sizeof(text)));
	bh_table_cell(line, 2, BH_PLAIN,
		ingress && egress ? "both"
		: ingress         ? "ingress"
		: egress          ? "egress"
				  : "-");
	bh_table_cell(line, 3, BH_PLAIN, strcmp(mode, "pod") == 0 ? "as the pod" : mode);
	bh_table_cell(line, 4, valid ? BH_GOOD : BH_BAD, valid ? "in use" : "see below");
	snprintf(text, sizeof(text), "%zu", json_array_size(json_object_get(policy, "rules")));
	bh_table_cell(line, 5, BH_PLAIN, text);
	join(json_object_get(policy, "pods"), text, sizeof(text));
	bh_table_cell(line, 6, BH_PLAIN, *text ? text : "-");
}

int bh_cli_policies(int argc, char **argv)
{
	static const char *const columns[] = {
		"POLICY", "TIER", "DIRECTION", "MODE", "STATE", "+RULES", "~PODS HERE", NULL};
	struct libscols_table *table;
	json_t *policies = NULL;
	const json_t *policy;
	const json_t *problem;
	char name[512];
	size_t i;
	size_t j;
	int r;

	bh_cli_parse_plain(argc, argv,
		"The policies, whom they select on this node, and what is "
		"wrong with those that cannot be read.");
	r = ask_list("policies", &policies);
	if (r >= 0)
		return r;
	table = bh_table_begin(columns);
	json_array_foreach(policies, i, policy) policy_row(table, policy);
	r = bh_table_end(table, "no policies");
	json_array_foreach(policies, i, policy)
	{
		json_array_foreach(json_object_get(policy, "problems"), j, problem)
		{
			printf("%s: %s\n", policy_name(policy, name, sizeof(name)),
				json_string_value(problem));
		}
	}
	json_decref(policies);
	return r;
}

/* ---- explain --------------------------------------------------------------------------------- */

struct explain_options {
	const char *words[3];
	int n;
};

static error_t parse_explain(int key, char *argument, struct argp_state *state)
{
	struct explain_options *options = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (options->n == 3)
			argp_error(state, "unexpected argument '%s'", argument);
		options->words[options->n++] = argument;
		return 0;
	case ARGP_KEY_END:
		if (options->n < 3)
			argp_error(state, "explain needs SRC, DST and PORT/PROTO");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static void print_verdict(const char *label, const json_t *verdict)
{
	bool allowed = bh_json_get_flag(verdict, "allowed");
	const json_t *rule;
	size_t i;

	printf("    %-8s %s%s%s: %s\n", label, bh_colour(allowed ? BH_GOOD : BH_BAD),
		allowed ? "allowed" : "denied", bh_colour_end(), bh_json_get_text(verdict, "text"));
	json_array_foreach(json_object_get(verdict, "passedBy"), i, rule)
		printf("             handed on by %s\n", json_string_value(rule));
}

static bool same_verdict(const json_t *a, const json_t *b)
{
	return bh_json_get_flag(a, "allowed") == bh_json_get_flag(b, "allowed") &&
	       strcmp(bh_json_get_text(a, "text"), bh_json_get_text(b, "text")) == 0;
}

static void print_side(const json_t *side)
{
	const json_t *active = json_object_get(side, "active");
	const json_t *pending = json_object_get(side, "pending");
	char policies[1024];

	printf("\n  %s%s of %s%s", bh_colour(BH_BOLD), bh_json_get_text(side, "direction"),
		bh_json_get_text(side, "subject"), bh_colour_end());
	if (!bh_json_get_flag(side, "judged")) {
		printf(": not a pod, nobody is asked\n");
		return;
	}
	printf(" (mode %s%s%s%s)\n", bh_json_get_text(side, "mode"),
		bh_json_get_flag(side, "quarantined") ? ", in quarantine" : "",
		bh_json_get_flag(side, "here") ? "" : "; decided on node ",
		bh_json_get_flag(side, "here") ? "" : bh_json_get_text(side, "node"));
	if (bh_json_get_flag(side, "isolated"))
		printf("    isolated by %s\n",
			join(json_object_get(side, "policies"), policies, sizeof(policies)));
	else
		printf("    not isolated by any policy\n");
	if (json_array_size(json_object_get(side, "clusterPolicies")) > 0)
		printf("    ClusterNetworkPolicies: %s\n",
			join(json_object_get(side, "clusterPolicies"), policies, sizeof(policies)));
	print_verdict("now", active);
	if (!same_verdict(active, pending))
		print_verdict("enforced", pending);
}

static void print_backends(const json_t *answer)
{
	const json_t *backends = json_object_get(answer, "backends"), *backend, *side;
	size_t total = (size_t)bh_json_get_number(answer, "backendsTotal"), i, j;

	if (!backends)
		return;
	printf("\n  %sbackends%s%s\n", bh_colour(BH_BOLD), bh_colour_end(),
		json_array_size(backends) ? "" : ": none is known");
	json_array_foreach(backends, i, backend)
	{
		bool allowed = bh_json_get_flag(backend, "allowed");

		printf("    %s, port %d: %s%s%s\n", bh_json_get_text(backend, "name"),
			(int)bh_json_get_number(backend, "port"),
			bh_colour(allowed ? BH_GOOD : BH_BAD), allowed ? "allowed" : "denied",
			bh_colour_end());
		json_array_foreach(json_object_get(backend, "sides"), j, side)
		{
			if (bh_json_get_flag(side, "judged"))
				printf("      %s: %s\n", bh_json_get_text(side, "direction"),
					bh_json_get_text(json_object_get(side, "active"), "text"));
		}
	}
	if (total > json_array_size(backends))
		printf("    … and %zu more\n", total - json_array_size(backends));
}

/* How the answer begins, in colour. */
static void print_answer(bool allowed, bool depends)
{
	printf("%s%s%s", bh_colour(allowed || depends ? BH_GOOD : BH_BAD),
		depends   ? "depends on the backend"
		: allowed ? "allowed"
			  : "denied",
		bh_colour_end());
}

int bh_cli_explain(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_explain,
		.args_doc = "SRC DST PORT/PROTO",
		.doc = "Says whether a connection would pass, and which rules on both sides decide "
		       "that, before any packet is sent. SRC and DST are namespace/pod, an "
		       "address, or 'node'; DST may be svc/namespace/service. PORT/PROTO is like "
		       "80/tcp, or icmp.",
		.children = bh_cli_children,
	};
	struct explain_options options = {0};
	const char *protocol;
	unsigned int port;
	bool allowed;
	bool pending;
	json_t *answer;
	const json_t *side;
	char text[64];
	size_t i;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!bh_cli_output_is("explain", TABLE_OR_JSON))
		return BH_CLI_USAGE;
	if (bh_cli_parse_port(options.words[2], &port, &protocol) < 0) {
		bh_cli_fail("'%s' is no PORT/PROTO: write 80/tcp, 53/udp, icmp", options.words[2]);
		return BH_CLI_USAGE;
	}
	answer = bh_ask("explain",
		json_pack("{s:s, s:s, s:s, s:i}", "src", options.words[0], "dst", options.words[1],
			"protocol", protocol, "port", (int)port),
		10000);
	if (!answer)
		return BH_CLI_FAILED;
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		return bh_json_print(answer);
	}
	allowed = bh_json_get_flag(answer, "allowed");
	pending = bh_json_get_flag(answer, "pendingAllowed");
	printf("%s → %s, %s: ", bh_json_get_text(answer, "src"), bh_json_get_text(answer, "dst"),
		bh_print_port(port, bh_json_get_text(answer, "protocol"), text, sizeof(text)));
	print_answer(allowed, bh_json_get_flag(answer, "depends"));
	printf("%s\n", allowed == pending ? ""
		       : pending          ? " (allowed once what is in dry-run is enforced)"
					  : " (denied once what is in dry-run is enforced)");
	json_array_foreach(json_object_get(answer, "sides"), i, side) print_side(side);
	print_backends(answer);
	json_decref(answer);
	return 0;
}
