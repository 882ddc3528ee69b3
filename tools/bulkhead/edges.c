/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead edges and graph: who talks to whom. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

struct edges_options {
	const char *namespace;
	char from[BH_MOMENT_MAX];
	char to[BH_MOMENT_MAX];
};

enum {
	OPTION_SINCE = 256,
	OPTION_UNTIL,
};

static const struct argp_option options[] = {
	{"namespace", 'n', "NAMESPACE", 0, "Only what touches this namespace", 0},
	{"since", OPTION_SINCE, "AGO|TIME", 0,
		"From history instead of the kernel's counters: since so long ago (1h, 7d), or "
		"since "
		"2026-01-31T12:00:00Z",
		0},
	{"until", OPTION_UNTIL, "AGO|TIME", 0, "Up to then", 0},
	{0},
};

static void parse_moment(
	char *argument, const struct argp_state *state, char ret_moment[BH_MOMENT_MAX])
{
	if (bh_cli_parse_moment(argument, ret_moment) < 0)
		argp_error(state,
			"'%s' is neither a duration (30s, 2h, 7d) nor a time "
			"(2026-01-31T12:00:00Z)",
			argument);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct edges_options *wanted = state->input;

	switch (key) {
	case 'n':
		wanted->namespace = argument;
		return 0;
	case OPTION_SINCE:
	case OPTION_UNTIL:
		parse_moment(argument, state, key == OPTION_SINCE ? wanted->from : wanted->to);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static json_t *arguments_of(const struct edges_options *wanted)
{
	json_t *arguments = json_object();

	if (wanted->namespace)
		json_object_set_new(arguments, "namespace", json_string(wanted->namespace));
	if (wanted->from[0])
		json_object_set_new(arguments, "from", json_string(wanted->from));
	if (wanted->to[0])
		json_object_set_new(arguments, "to", json_string(wanted->to));
	return arguments;
}

/* ---- The table ------------------------------------------------------------------------------- */

static void verdict_cells(struct libscols_line *line, unsigned int column, const json_t *edge)
{
	bool denied = strcmp(bh_json_get_text(edge, "verdict"), "denied") == 0;
	bool pending = strcmp(bh_json_get_text(edge, "pending"), "denied") == 0;

	bh_table_cell(line, column, denied ? BH_BAD : BH_GOOD, denied ? "DENIED" : "allowed");
	bh_table_cell(line, column + 1, pending && !denied ? BH_WARN : BH_PLAIN,
		pending == denied ? "same"
		: pending         ? "WOULD DENY"
				  : "would allow");
}

static void edge_row(
	struct libscols_table *table, const char *client, const char *server, const json_t *edge)
{
	struct libscols_line *line = bh_table_row(table);
	char text[256];

	bh_table_cell(line, 0, BH_PLAIN, client);
	bh_table_cell(line, 1, BH_PLAIN, server);
	bh_table_cell(line, 2, BH_PLAIN,
		bh_print_port(bh_json_get_number(edge, "port"), bh_json_get_text(edge, "protocol"),
			text, sizeof(text)));
	bh_table_cell(line, 3, BH_PLAIN, bh_print_app(edge, text, sizeof(text)));
	verdict_cells(line, 4, edge);
	bh_table_cell(line, 6, BH_PLAIN,
		bh_print_number(bh_json_get_number(edge, "flows"), text, sizeof(text)));
	bh_table_cell(line, 7, BH_PLAIN,
		bh_print_number(bh_json_sum(json_object_get(edge, "packets")), text, sizeof(text)));
	bh_table_cell(line, 8, BH_PLAIN,
		bh_print_bytes(bh_json_sum(json_object_get(edge, "bytes")), text, sizeof(text)));
	bh_table_cell(line, 9, BH_PLAIN,
		bh_print_time(bh_json_get_text(edge, "last"), false, text, sizeof(text)));
	bh_table_cell(line, 10, BH_PLAIN, bh_json_get_text(edge, "text"));
}

static const char *const columns[] = {"CLIENT", "SERVER", "PORT", "APP", "VERDICT", "IF ENFORCED",
	"+FLOWS", "+PACKETS", "+BYTES", "LAST", "~BECAUSE", NULL};
#define SORTED_BY 3 /* client, server, port */

/* Of an answer without an edge: whether that is for the window. */
static const char *nothing(const json_t *answer)
{
	return json_object_get(answer, "window") ? "nothing was seen in that time"
						 : "nothing has been seen yet";
}

static int print_edges(const json_t *answer, const char *namespace)
{
	const json_t *edges = json_object_get(answer, "edges");
	struct libscols_table *table = bh_table_begin(columns);
	char client[256];
	char server[256];
	const json_t *edge;
	size_t i;

	json_array_foreach(edges, i, edge)
	{
		edge_row(table,
			bh_print_workload(json_object_get(edge, "client"), client, sizeof(client)),
			bh_print_workload(json_object_get(edge, "server"), server, sizeof(server)),
			edge);
	}
	bh_table_sort(table, SORTED_BY);
	return bh_table_end(table, bh_cli_nothing(answer, namespace, nothing(answer)));
}

int bh_cli_edges(int argc, char **argv)
{
	const struct argp argp = {.options = options,
		.parser = parse_option,
		.doc = "Who talks to whom: client, server, port, verdict, what would be if "
		       "everything were enforced, counts, and the rule that decides.",
		.children = bh_cli_children};
	struct edges_options wanted = {0};
	json_t *arguments, *answer;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &wanted);
	if (!bh_cli_output_is("edges", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	arguments = arguments_of(&wanted);
	if (bh_cli.output == BH_OUTPUT_JSON)
		return bh_ask_print("edges", arguments, 60000, "edges");
	/* What each end says for itself is two thirds of it, and not in the table. */
	json_object_set_new(arguments, "brief", json_true());
	answer = bh_ask("edges", arguments, 60000);
	if (!answer)
		return BH_CLI_FAILED;
	r = print_edges(answer, wanted.namespace);
	json_decref(answer);
	return r;
}

/* ---- The graph ------------------------------------------------------------------------------- */

/* As people say it, not as ids have it: "shop/front", "the world", "12 more of shop". */
static const char *print_node(const json_t *node, char *text, size_t size)
{
	const char *type = bh_json_get_text(node, "type");
	const char *namespace = bh_json_get_text(node, "namespace");
	const char *name = bh_json_get_text(node, "name");

	if (strcmp(type, "rest") == 0)
		snprintf(text, size, "%lld more%s%s",
			(long long)bh_json_get_number(node, "members"), *namespace ? " of " : "",
			namespace);
	else if (strcmp(type, "namespace") == 0)
		snprintf(text, size, "%s", name);
	else if (strcmp(type, "label") == 0)
		snprintf(text, size, "%s%s%s", namespace, *namespace ? "/" : "",
			*name ? name : "(without)");
	else
		bh_print_workload(node, text, size);
	return text;
}

/* The names of a graph's nodes by their ids. */
static json_t *name_nodes(const json_t *graph)
{
	json_t *names = json_object();
	const json_t *node;
	char text[640];
	size_t i;

	json_array_foreach(json_object_get(graph, "nodes"), i, node)
	{
		json_object_set_new(names, bh_json_get_text(node, "id"),
			json_string(print_node(node, text, sizeof(text))));
	}
	return names;
}

/* Of an end of an edge. An id that no node has is shown as it is. */
static const char *name_end(const json_t *names, const json_t *edge, const char *end)
{
	const char *id = bh_json_get_text(edge, end);

	return json_string_value(json_object_get(names, id)) ?: id;
}

static int print_graph_table(const json_t *graph, const char *namespace)
{
	struct libscols_table *table = bh_table_begin(columns);
	json_t *names = name_nodes(graph);
	const json_t *edge;
	size_t i;

	json_array_foreach(json_object_get(graph, "edges"), i, edge)
	{
		edge_row(table, name_end(names, edge, "source"), name_end(names, edge, "target"),
			edge);
	}
	json_decref(names);
	bh_table_sort(table, SORTED_BY);
	return bh_table_end(table, bh_cli_nothing(graph, namespace, nothing(graph)));
}

/* What the graph is narrowed or grouped by; each goes to the controller under its own name. */
enum {
	OPTION_GROUP = OPTION_UNTIL + 1,
	OPTION_EXPAND,
	OPTION_LAST,
	OPTION_LIMIT,
	OPTION_LABEL,
	OPTION_PORT,
	OPTION_PROTOCOL,
	OPTION_VERDICT,
	OPTION_TEXT,
	OPTION_COMPARE,
	OPTION_SERIES,
	OPTION_FROM,
	OPTION_FROM_TOKEN,
	OPTION_FROM_LOGIN,
	OPTION_FROM_CA,
	OPTION_FROM_TENANT,
	OPTION_FROM_MATCH,
};

static const struct argp_option graph_options[] = {
	{"namespace", 'n', "NAMESPACE", 0, "Only what touches this namespace", 0},
	{"group", OPTION_GROUP, "GROUP", 0, "A node is a namespace, workload, pod or label:KEY", 0},
	{"expand", OPTION_EXPAND, "NAMESPACE,...", 0, "With --group namespace: these are open", 0},
	{"since", OPTION_SINCE, "AGO|TIME", 0, "From history, since then: as of edges", 0},
	{"until", OPTION_UNTIL, "AGO|TIME", 0, "Up to then", 0},
	{"last", OPTION_LAST, "SPAN", 0, "Only what was seen within the last 15m, 24h, 7d", 0},
	{"limit", OPTION_LIMIT, "N", 0, "Nodes and edges at most; the rest is folded (300)", 0},
	{"label", OPTION_LABEL, "KEY[=VALUE],...", 0, "Only ends with these labels", 0},
	{"port", OPTION_PORT, "PORT[-PORT],...", 0, "Only these ports of servers", 0},
	{"protocol", OPTION_PROTOCOL, "PROTOCOL,...", 0, "Only tcp, udp, ...", 0},
	{"verdict", OPTION_VERDICT, "VERDICT,...", 0, "Only allowed, would-deny, denied", 0},
	{"text", OPTION_TEXT, "WORDS", 0, "Only what has these words in it", 0},
	{"compare", OPTION_COMPARE, "SPAN", OPTION_ARG_OPTIONAL,
		"What is new, gone or judged otherwise than in the window so much earlier (1d, 7d; "
		"the one just before)",
		0},
	{"series", OPTION_SERIES, "ID", 0, "One conversation over time: -o json has their ids", 0},
	{"from", OPTION_FROM, "prometheus=URL", 0,
		"All nodes' graph, of the last hour or what else is said, from a Prometheus that "
		"scrapes them (or Thanos, Mimir, VictoriaMetrics); needs no controller here",
		1},
	{"from-token", OPTION_FROM_TOKEN, "FILE", 0, "Its token, sent as a bearer", 1},
	{"from-login", OPTION_FROM_LOGIN, "FILE", 0, "Its USER:PASSWORD", 1},
	{"from-ca", OPTION_FROM_CA, "FILE", 0, "Certificates to trust instead of the system's", 1},
	{"from-tenant", OPTION_FROM_TENANT, "NAME", 0, "X-Scope-OrgID, for Mimir", 1},
	{"from-match", OPTION_FROM_MATCH, "LABEL=VALUE,...", 0, "Only series with these labels", 1},
	{0},
};

static const char *name_of_option(int key)
{
	const struct argp_option *option = graph_options;

	while (option->key != key)
		option++;
	return option->name;
}

static error_t parse_graph(int key, char *argument, struct argp_state *state)
{
	json_t *arguments = state->input;
	char moment[BH_MOMENT_MAX];
	char *end;
	long number;

	if (key == ARGP_KEY_ARG)
		argp_error(state, "unexpected argument '%s'", argument);
	if (key == OPTION_LIMIT) {
		number = strtol(argument, &end, 10);
		if (!*argument || *end || number < 10 || number > 1000)
			argp_error(state, "'%s' is no number from 10 to 1000", argument);
		json_object_set_new(arguments, "limit", json_integer(number));
		return 0;
	}
	if (key == OPTION_SINCE || key == OPTION_UNTIL) {
		parse_moment(argument, state, moment);
		json_object_set_new(
			arguments, key == OPTION_SINCE ? "from" : "to", json_string(moment));
		return 0;
	}
	if (key == OPTION_FROM) {
		if (strncmp(argument, "prometheus=", 11) != 0)
			argp_error(state, "--from '%s' is not like prometheus=http://HOST:9090",
				argument);
		json_object_set_new(
			arguments, "prometheus", json_string(argument + 11) ?: json_string(""));
		return 0;
	}
	if (key == ARGP_KEY_END && !json_object_get(arguments, "prometheus")) {
		for (int i = OPTION_FROM_TOKEN; i <= OPTION_FROM_MATCH; i++) {
			if (json_object_get(arguments, name_of_option(i)))
				argp_error(state, "--%s needs --from", name_of_option(i));
		}
	}
	for (const struct argp_option *option = graph_options; option->name; option++) {
		if (option->key == key) {
			json_object_set_new(
				arguments, option->name, json_string(argument) ?: json_string(""));
			return 0;
		}
	}
	return ARGP_ERR_UNKNOWN;
}

/* Ports that a row names before it only counts them: a scan is one line, not a hundred. */
#define PORTS_SHOWN 4

/* "80/TCP, 5432/TCP +3": the largest conversations' ports, each once, and how many conversations
 * have others.
 */
static const char *print_ports(const json_t *edge, char *text, size_t size)
{
	const json_t *conversations = json_object_get(edge, "conversations");
	int64_t more = bh_json_get_number(json_object_get(edge, "aggregate"), "conversations");
	const char *shown[PORTS_SHOWN];
	char ports[PORTS_SHOWN][64];
	size_t i, known, n = 0, used = 0;
	const json_t *one;

	text[0] = '\0';
	json_array_foreach(conversations, i, one)
	{
		char port[64];

		bh_print_port(bh_json_get_number(one, "port"), bh_json_get_text(one, "protocol"),
			port, sizeof(port));
		for (known = 0; known < n && strcmp(shown[known], port) != 0; known++)
			;
		if (known == PORTS_SHOWN)
			continue;
		more--;
		if (known < n)
			continue;
		shown[n] = strcpy(ports[n], port);
		used += (size_t)snprintf(text + used, size - used, "%s%s", n ? ", " : "", port);
		n++;
	}
	if (more > 0)
		snprintf(text + used, size - used, " +%lld", (long long)more);
	return text;
}

static void grouped_row(struct libscols_table *table, const json_t *edge, const json_t *names)
{
	const json_t *sum = json_object_get(edge, "aggregate");
	const char *state = bh_json_get_text(edge, "state");
	struct libscols_line *line = bh_table_row(table);
	char text[512];

	bh_table_cell(line, 0, BH_PLAIN, name_end(names, edge, "source"));
	bh_table_cell(line, 1, BH_PLAIN, name_end(names, edge, "target"));
	bh_table_cell(line, 2, BH_PLAIN, print_ports(edge, text, sizeof(text)));
	bh_table_cell(line, 3,
		strcmp(state, "denied") == 0       ? BH_BAD
		: strcmp(state, "would-deny") == 0 ? BH_WARN
						   : BH_GOOD,
		state);
	bh_table_cell(line, 4, BH_PLAIN,
		bh_print_number(bh_json_get_number(sum, "flows"), text, sizeof(text)));
	bh_table_cell(line, 5, BH_PLAIN,
		bh_print_bytes(bh_json_sum(json_object_get(sum, "bytes")), text, sizeof(text)));
	bh_table_cell(line, 6, BH_PLAIN,
		bh_print_time(bh_json_get_text(sum, "last"), false, text, sizeof(text)));
}

int bh_cli_print_grouped(const json_t *graph, const char *otherwise)
{
	static const char *const headings[] = {
		"CLIENT", "SERVER", "PORTS", "VERDICT", "+FLOWS", "+BYTES", "LAST", NULL};
	struct libscols_table *table = bh_table_begin(headings);
	const json_t *folded = json_object_get(graph, "folded");
	json_t *names = name_nodes(graph);
	const json_t *edge;
	size_t i;
	int r;

	json_array_foreach(json_object_get(graph, "edges"), i, edge)
		grouped_row(table, edge, names);
	json_decref(names);
	bh_table_sort(table, SORTED_BY);
	r = bh_table_end(table, otherwise);
	if (bh_json_get_number(folded, "nodes") > 0)
		fprintf(stderr, "bulkhead: %lld nodes are folded into others; --limit shows more\n",
			(long long)bh_json_get_number(folded, "nodes"));
	return r;
}

/* The graph as the page has it: docs/openapi.yaml, /api/v1/graph. Takes the arguments. */
static int grouped_graph(json_t *arguments, const char *namespace)
{
	static const char *const formats[] = {
		[BH_OUTPUT_DOT] = "dot",
		[BH_OUTPUT_SVG] = "svg",
		[BH_OUTPUT_CSV] = "csv",
		[BH_OUTPUT_GRAPHML] = "graphml",
	};
	static const char unseen[] = "nothing of that has been seen";
	bool file = bh_cli.output != BH_OUTPUT_TABLE && bh_cli.output != BH_OUTPUT_JSON;
	json_t *answer;
	int r = 0;

	if (file)
		json_object_set_new(arguments, "format", json_string(formats[bh_cli.output]));
	answer = bh_ask(file ? "export" : "topology", arguments, 60000);
	if (!answer)
		return BH_CLI_FAILED;
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		return bh_json_print(answer);
	}
	if (file)
		fputs(bh_json_get_text(answer, "text"), stdout);
	else
		r = bh_cli_print_grouped(answer, bh_cli_nothing(answer, namespace, unseen));
	json_decref(answer);
	return r;
}

/* More than a namespace and a window. */
static bool is_grouped(json_t *arguments)
{
	const char *name;
	json_t *value;

	json_object_foreach(arguments, name, value)
	{
		if (strcmp(name, "namespace") && strcmp(name, "from") && strcmp(name, "to"))
			return true;
	}
	return false;
}

/* True, or it was said what is wrong with them. */
static bool options_agree(const json_t *arguments)
{
	static const char *const lists[] = {"compare", "series"}; /* These are no drawings. */

	if (json_object_get(arguments, lists[0]) && json_object_get(arguments, lists[1])) {
		bh_cli_fail("--compare and --series exclude each other");
		return false;
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (json_object_get(arguments, lists[i]) &&
			!bh_cli_output_is(
				lists[i], BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
			return false;
	}
	return true;
}

int bh_cli_graph(int argc, char **argv)
{
	const struct argp argp = {.options = graph_options,
		.parser = parse_graph,
		.doc = "The graph of who talks to whom: -o table, json, dot, svg, csv or graphml. "
		       "With any option but --namespace, --since and --until, and as csv or "
		       "graphml, it is grouped and folded as on the page.",
		.children = bh_cli_children};
	json_t *arguments = json_object();
	_cleanup_free_ char *namespace = NULL;
	json_t *graph;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, arguments);
	if (!options_agree(arguments)) {
		json_decref(arguments);
		return BH_CLI_USAGE;
	}
	if (json_object_get(arguments, "namespace"))
	namespace = strdup(bh_json_get_text(arguments, "namespace"));
	if (json_object_get(arguments, "prometheus")) {
		r = bh_cli_cluster_graph(arguments);
		json_decref(arguments);
		return r;
	}
	if (json_object_get(arguments, "compare"))
		return bh_cli_compare(arguments);
	if (json_object_get(arguments, "series"))
		return bh_cli_series(arguments);
	if (is_grouped(arguments) || bh_cli.output == BH_OUTPUT_CSV ||
		bh_cli.output == BH_OUTPUT_GRAPHML)
		return grouped_graph(arguments, namespace);
	if (bh_cli.output == BH_OUTPUT_JSON)
		return bh_ask_print("graph", arguments, 60000, NULL);
	graph = bh_ask("graph", arguments, 60000);
	if (!graph)
		return BH_CLI_FAILED;
	r = 0;
	switch (bh_cli.output) {
	case BH_OUTPUT_TABLE:
		r = print_graph_table(graph, namespace);
		break;
	case BH_OUTPUT_DOT:
		bh_cli_print_dot(stdout, graph);
		break;
	default:
		r = bh_cli_print_svg(graph);
		break;
	}
	json_decref(graph);
	return r;
}
