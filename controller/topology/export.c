/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "controller/topology/export.h"
#include "proto/cleanup.h"

/* ---- Words ----------------------------------------------------------------------------------- */

const char *bh_export_time(uint64_t ns, char text[BH_EXPORT_TIME_MAX])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t n;

	text[0] = '\0';
	if (ns == 0 || !gmtime_r(&seconds, &tm))
		return text;
	n = strftime(text, BH_EXPORT_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(
		text + n, BH_EXPORT_TIME_MAX - n, ".%06uZ", (unsigned int)(ns % 1000000000 / 1000));
	return text;
}

const char *bh_export_colour(enum bh_state state)
{
	static const char *const colours[] = {
		[BH_STATE_ALLOWED] = "#1e8449",
		[BH_STATE_WOULD_DENY] = "#b9770e",
		[BH_STATE_DENIED] = "#c0392b",
	};

	return colours[state];
}

const char *bh_export_node_label(const struct bh_graph_node *node, char label[BH_EXPORT_LABEL_MAX])
{
	if (node->type == BH_NODE_REST)
		snprintf(label, BH_EXPORT_LABEL_MAX, "%u more", node->members);
	else if (strcmp(node->kind, "World") == 0)
		snprintf(label, BH_EXPORT_LABEL_MAX, "%s", *node->name ? node->name : "the world");
	else if (node->type == BH_NODE_LABEL && !*node->name)
		snprintf(label, BH_EXPORT_LABEL_MAX, "(without)");
	else if (node->type == BH_NODE_NAMESPACE && !node->open)
		snprintf(label, BH_EXPORT_LABEL_MAX, "%.250s (%u)", node->name, node->members);
	else
		snprintf(label, BH_EXPORT_LABEL_MAX, "%s", node->name);
	return label;
}

/* Ports that are named before the others are only counted. */
#define LABEL_PORTS 3

const char *bh_export_edge_label(const struct bh_graph_edge *edge, char label[BH_EXPORT_LABEL_MAX])
{
	size_t used = 0;

	label[0] = '\0';
	for (size_t i = 0; i < edge->n_top && i < LABEL_PORTS; i++) {
		const struct bh_conversation *conversation = edge->top[i];
		char protocol[BH_PROTOCOL_TEXT_MAX];

		bh_protocol_word(conversation->protocol, protocol);
		if (conversation->port)
			used += (size_t)snprintf(label + used, BH_EXPORT_LABEL_MAX - used,
				"%s%u/%s", i ? ", " : "", conversation->port, protocol);
		else
			used += (size_t)snprintf(label + used, BH_EXPORT_LABEL_MAX - used, "%s%s",
				i ? ", " : "", protocol);
	}
	if (edge->sum.conversations > LABEL_PORTS)
		snprintf(label + used, BH_EXPORT_LABEL_MAX - used, " +%" PRIu64,
			edge->sum.conversations - LABEL_PORTS);
	return label;
}

/* True if a terminal might obey it. */
static bool is_control(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	return c[0] < 0x20 || c[0] == 0x7f || (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void csv_cell(struct bh_text *to, const char *text, bool last)
{
	bh_text_add(to, "\"");
	/* What spreadsheets take for formulas, and what some strip before they look. */
	if (*text && strchr("=+-@\t\r\n|%", *text))
		bh_text_add(to, "'");
	for (; *text; text++) {
		if (is_control(text)) {
			bh_text_add(to, " ");
			text += (unsigned char)*text == 0xc2;
		} else if (*text == '"') {
			bh_text_add(to, "\"\"");
		} else {
			bh_text_add_bytes(to, text, 1);
		}
	}
	bh_text_add(to, last ? "\"\r\n" : "\",");
}

static void csv_number(struct bh_text *to, uint64_t number)
{
	bh_text_format(to, "%" PRIu64 ",", number);
}

static void csv_party(struct bh_text *to, const struct bh_party *party)
{
	csv_cell(to, party->namespace, false);
	csv_cell(to, party->kind, false);
	csv_cell(to, party->name, false);
}

static void csv_line(struct bh_text *to, const struct bh_conversation *conversation,
	bh_filter_text *text, void *text_data)
{
	_cleanup_free_ char *why = text ? text(text_data, conversation) : NULL;
	char id[BH_CONVERSATION_ID_MAX];
	char protocol[BH_PROTOCOL_TEXT_MAX];
	char time[BH_EXPORT_TIME_MAX];

	csv_cell(to, bh_conversation_id(conversation, id), false);
	csv_party(to, conversation->client);
	csv_party(to, conversation->server);
	csv_cell(to, bh_protocol_word(conversation->protocol, protocol), false);
	csv_number(to, conversation->port);
	csv_cell(to, bh_state_word(conversation->state), false);
	csv_cell(to, bh_app_word(conversation->talk.app), false);
	csv_cell(to, bh_encrypted_word(conversation->talk.encrypted), false);
	csv_number(to, conversation->counts.octets[0]);
	csv_number(to, conversation->counts.octets[1]);
	csv_number(to, conversation->counts.packets[0]);
	csv_number(to, conversation->counts.packets[1]);
	csv_number(to, conversation->counts.flows);
	csv_number(to, conversation->flows_denied);
	csv_number(to, conversation->flows_would_deny);
	csv_number(to, conversation->packets_denied);
	csv_number(to, conversation->counts.resets);
	csv_number(to, conversation->counts.refusals);
	csv_cell(to, bh_export_time(conversation->counts.first_ns, time), false);
	csv_cell(to, bh_export_time(conversation->counts.last_ns, time), false);
	csv_cell(to, why ? why : "", true);
}

void bh_export_csv(struct bh_text *to, const struct bh_conversations *conversations,
	const struct bh_filter *filter, bh_filter_text *text, void *text_data)
{
	bh_text_add(to, "id,client_namespace,client_kind,client_name,server_namespace,server_kind,"
			"server_name,protocol,port,state,app,encrypted,bytes_from_client,"
			"bytes_from_server,packets_from_client,packets_from_server,flows,"
			"flows_denied,flows_would_deny,packets_denied,resets,refusals,first,last,"
			"text\r\n");
	for (size_t i = 0; i < conversations->n; i++) {
		if (bh_filter_takes(filter, &conversations->items[i], text, text_data))
			csv_line(to, &conversations->items[i], text, text_data);
	}
}

/* ---- DOT ------------------------------------------------------------------------------------- */

/* Within quotes only a quote and a backslash mean anything. */
static void dot_text(struct bh_text *to, const char *text)
{
	bh_text_add(to, "\"");
	for (; *text; text++) {
		if (is_control(text)) {
			bh_text_add(to, " ");
			text += (unsigned char)*text == 0xc2;
			continue;
		}
		if (*text == '"' || *text == '\\')
			bh_text_add(to, "\\");
		bh_text_add_bytes(to, text, 1);
	}
	bh_text_add(to, "\"");
}

static void dot_node(struct bh_text *to, const struct bh_graph_node *node)
{
	char label[BH_EXPORT_LABEL_MAX];

	bh_text_add(to, "    ");
	dot_text(to, node->id);
	bh_text_add(to, " [label=");
	dot_text(to, bh_export_node_label(node, label));
	bh_text_add(to, ", tooltip=");
	dot_text(to, *node->kind ? node->kind : bh_node_type_word(node->type));
	bh_text_add(to, node->type == BH_NODE_WORKLOAD || node->type == BH_NODE_POD
				? "];\n"
				: ", peripheries=2];\n");
}

static void dot_nodes(struct bh_text *to, const struct bh_graph *graph, const char *parent)
{
	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct bh_graph_node *node = &graph->nodes[i];

		if (!node->open && (parent ? node->parent && strcmp(node->parent, parent) == 0
					   : !node->parent))
			dot_node(to, node);
	}
}

void bh_export_dot(struct bh_text *to, const struct bh_graph *graph)
{
	char label[BH_EXPORT_LABEL_MAX];

	bh_text_add(to, "digraph bulkhead {\n  rankdir=LR;\n"
			"  graph [fontname=\"sans-serif\", style=rounded, color=\"#aaaaaa\"];\n"
			"  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
			"  edge [fontname=\"sans-serif\", fontsize=10];\n");
	dot_nodes(to, graph, NULL);
	for (size_t i = 0; i < graph->n_nodes; i++) {
		if (!graph->nodes[i].open)
			continue;
		bh_text_format(to, "  subgraph cluster_%zu {\n    label=", i);
		dot_text(to, graph->nodes[i].name);
		bh_text_add(to, ";\n");
		dot_nodes(to, graph, graph->nodes[i].id);
		bh_text_add(to, "  }\n");
	}
	for (size_t i = 0; i < graph->n_edges; i++) {
		const struct bh_graph_edge *edge = &graph->edges[i];

		bh_text_add(to, "  ");
		dot_text(to, edge->source->id);
		bh_text_add(to, " -> ");
		dot_text(to, edge->target->id);
		bh_text_add(to, " [label=");
		dot_text(to, bh_export_edge_label(edge, label));
		bh_text_format(to, ", color=\"%s\"%s, tooltip=\"%s\"];\n",
			bh_export_colour(edge->state),
			edge->state == BH_STATE_ALLOWED ? "" : ", style=dashed",
			bh_state_word(edge->state));
	}
	bh_text_add(to, "}\n");
}

/* ---- XML ------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 sequence at `text` (RFC 3629); 0: it is none. */
static size_t utf8_length(const unsigned char *text)
{
	unsigned int lead = text[0];
	size_t n = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
		(lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f))
		return 0;
	/* C1 controls move terminals. */
	if (lead == 0xc2 && text[1] < 0xa0)
		return 0;
	/* U+FFFE and U+FFFF are no characters of XML. */
	if (lead == 0xef && text[1] == 0xbf && text[2] >= 0xbe)
		return 0;
	return n;
}

static const char *xml_entity(unsigned char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	}
	return c < 0x20 || c >= 0x7f ? "\xef\xbf\xbd" : NULL;
}

void bh_export_xml(struct bh_text *to, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t n = *at >= 0x80 ? utf8_length(at) : 0;
		const char *entity = n ? NULL : xml_entity(*at);

		if (n == 0)
			n = 1;
		if (entity)
			bh_text_add(to, entity);
		else
			bh_text_add_bytes(to, (const char *)at, n);
		at += n;
	}
}

/* ---- GraphML --------------------------------------------------------------------------------- */

static const struct {
	const char *id;
	const char *of;
	const char *type;
} keys[] = {
	{"type", "node", "string"},
	{"namespace", "node", "string"},
	{"kind", "node", "string"},
	{"label", "node", "string"},
	{"members", "node", "long"},
	{"state", "edge", "string"},
	{"ports", "edge", "string"},
	{"app", "edge", "string"},
	{"encrypted", "edge", "string"},
	{"conversations", "edge", "long"},
	{"flows", "edge", "long"},
	{"bytesFromClient", "edge", "long"},
	{"bytesFromServer", "edge", "long"},
};

static void graphml_text(struct bh_text *to, const char *key, const char *text)
{
	bh_text_format(to, "      <data key=\"%s\">", key);
	bh_export_xml(to, text);
	bh_text_add(to, "</data>\n");
}

static void graphml_number(struct bh_text *to, const char *key, uint64_t number)
{
	bh_text_format(to, "      <data key=\"%s\">%" PRIu64 "</data>\n", key, number);
}

static void graphml_node(struct bh_text *to, const struct bh_graph_node *node)
{
	char label[BH_EXPORT_LABEL_MAX];

	bh_text_add(to, "    <node id=\"");
	bh_export_xml(to, node->id);
	bh_text_add(to, "\">\n");
	graphml_text(to, "type", bh_node_type_word(node->type));
	graphml_text(to, "namespace", node->namespace);
	graphml_text(to, "kind", node->kind);
	graphml_text(to, "label", bh_export_node_label(node, label));
	graphml_number(to, "members", node->members);
	bh_text_add(to, "    </node>\n");
}

static void graphml_edge(struct bh_text *to, const struct bh_graph_edge *edge)
{
	char label[BH_EXPORT_LABEL_MAX];

	bh_text_add(to, "    <edge source=\"");
	bh_export_xml(to, edge->source->id);
	bh_text_add(to, "\" target=\"");
	bh_export_xml(to, edge->target->id);
	bh_text_add(to, "\">\n");
	graphml_text(to, "state", bh_state_word(edge->state));
	graphml_text(to, "ports", bh_export_edge_label(edge, label));
	graphml_text(to, "app", bh_app_word(edge->app));
	graphml_text(to, "encrypted", bh_encrypted_word(edge->encrypted));
	graphml_number(to, "conversations", edge->sum.conversations);
	graphml_number(to, "flows", edge->sum.flows);
	graphml_number(to, "bytesFromClient", edge->sum.octets[0]);
	graphml_number(to, "bytesFromServer", edge->sum.octets[1]);
	bh_text_add(to, "    </edge>\n");
}

void bh_export_graphml(struct bh_text *to, const struct bh_graph *graph)
{
	bh_text_add(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			"<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		bh_text_format(to,
			"  <key id=\"%s\" for=\"%s\" attr.name=\"%s\" attr.type=\"%s\"/>\n",
			keys[i].id, keys[i].of, keys[i].id, keys[i].type);
	bh_text_add(to, "  <graph id=\"bulkhead\" edgedefault=\"directed\">\n");
	for (size_t i = 0; i < graph->n_nodes; i++) {
		if (!graph->nodes[i].open)
			graphml_node(to, &graph->nodes[i]);
	}
	for (size_t i = 0; i < graph->n_edges; i++)
		graphml_edge(to, &graph->edges[i]);
	bh_text_add(to, "  </graph>\n</graphml>\n");
}
