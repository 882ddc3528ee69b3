/* SPDX-License-Identifier: Apache-2.0 */

/* The graph as Graphviz' dot, and as the SVG that it makes of it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tools/bulkhead/cli.h"

/* In dot a name in quotes may hold anything but a quote, if backslashes are doubled. */
static void dot_quote(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void dot_node(FILE *out, const json_t *node)
{
	char label[256];

	fprintf(out, "    ");
	dot_quote(out, bh_json_get_text(node, "id"));
	fprintf(out, " [label=");
	snprintf(label, sizeof(label), "%s", bh_json_get_text(node, "name"));
	if (strcmp(bh_json_get_text(node, "kind"), "World") == 0)
		snprintf(label, sizeof(label), "the world");
	dot_quote(out, label);
	fprintf(out, ", tooltip=");
	dot_quote(out, bh_json_get_text(node, "kind"));
	fprintf(out, "];\n");
}

/* The nodes of one namespace in a box; those of none outside of any. */
static void dot_namespace(FILE *out, const json_t *nodes, const char *namespace, size_t number)
{
	const json_t *node;
	size_t i;

	if (*namespace) {
		fprintf(out, "  subgraph cluster_%zu {\n    label=", number);
		dot_quote(out, namespace);
		fprintf(out, ";\n");
	}
	json_array_foreach(nodes, i, node)
	{
		if (strcmp(bh_json_get_text(node, "namespace"), namespace) == 0)
			dot_node(out, node);
	}
	if (*namespace)
		fprintf(out, "  }\n");
}

/* Ports that a line names before it only counts them: a scan is one line, not a hundred. */
#define DOT_PORTS 4

/*
 * One line of the drawing: every edge between the same two ends with the same verdicts.
 * `edges` is not empty.
 */
static void dot_line(FILE *out, const json_t *edges)
{
	const json_t *edge = json_array_get(edges, 0);
	bool denied = strcmp(bh_json_get_text(edge, "verdict"), "denied") == 0;
	bool pending = strcmp(bh_json_get_text(edge, "pending"), "denied") == 0;
	size_t i, n = json_array_size(edges);
	char label[256] = "", port[64];

	json_array_foreach(edges, i, edge)
	{
		size_t used = strlen(label);

		if (i == DOT_PORTS && n > DOT_PORTS + 1) {
			snprintf(label + used, sizeof(label) - used, " … %zu ports", n);
			break;
		}
		snprintf(label + used, sizeof(label) - used, "%s%s", i ? ", " : "",
			bh_print_port(bh_json_get_number(edge, "port"),
				bh_json_get_text(edge, "protocol"), port, sizeof(port)));
	}
	edge = json_array_get(edges, 0);
	fprintf(out, "  ");
	dot_quote(out, bh_json_get_text(edge, "source"));
	fprintf(out, " -> ");
	dot_quote(out, bh_json_get_text(edge, "target"));
	fprintf(out, " [label=");
	dot_quote(out, label);
	fprintf(out, ", color=\"%s\"%s, tooltip=",
		denied    ? "#c0392b"
		: pending ? "#d68910"
			  : "#1e8449",
		denied || pending ? ", style=dashed" : "");
	dot_quote(out, bh_json_get_text(edge, "text"));
	fprintf(out, "];\n");
}

static void dot_edges(FILE *out, const json_t *edges)
{
	json_t *lines = json_object(), *line;
	const json_t *edge;
	const char *key;
	size_t i;

	json_array_foreach(edges, i, edge)
	{
		/* Ends have no line breaks in them. */
		json_t *name = json_sprintf("%s\n%s\n%s\n%s", bh_json_get_text(edge, "source"),
			bh_json_get_text(edge, "target"), bh_json_get_text(edge, "verdict"),
			bh_json_get_text(edge, "pending"));

		line = json_object_get(lines, json_string_value(name));
		if (!line) {
			line = json_array();
			json_object_set_new(lines, json_string_value(name), line);
		}
		json_array_append(line, (json_t *)edge);
		json_decref(name);
	}
	json_object_foreach(lines, key, line) dot_line(out, line);
	json_decref(lines);
}

void bh_cli_print_dot(FILE *out, const json_t *graph)
{
	const json_t *nodes = json_object_get(graph, "nodes");
	json_t *done = json_object();
	const json_t *item;
	size_t i;

	fprintf(out, "digraph bulkhead {\n  rankdir=LR;\n"
		     "  graph [fontname=\"sans-serif\", style=rounded, color=\"#aaaaaa\"];\n"
		     "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
		     "  edge [fontname=\"sans-serif\", fontsize=10];\n");
	json_array_foreach(nodes, i, item)
	{
		const char *namespace = bh_json_get_text(item, "namespace");

		if (json_object_get(done, namespace))
			continue;
		json_object_set_new(done, namespace, json_true());
		dot_namespace(out, nodes, namespace, i);
	}
	dot_edges(out, json_object_get(graph, "edges"));
	fprintf(out, "}\n");
	json_decref(done);
}

/* Graphviz draws; its output is ours. */
int bh_cli_print_svg(const json_t *graph)
{
	FILE *dot;
	int status;

	if (system("command -v dot >/dev/null 2>&1") != 0)
		return bh_cli_fail("svg needs the program 'dot' (package graphviz); "
				   "-o dot works without it");
	dot = popen("dot -Tsvg", "w");
	if (!dot)
		return bh_cli_fail("starting dot: %s", strerror(errno));
	bh_cli_print_dot(dot, graph);
	status = pclose(dot);
	if (status != 0)
		return bh_cli_fail("dot ended with status %d", WEXITSTATUS(status));
	return 0;
}
