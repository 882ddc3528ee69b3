/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/topology/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/model/memory.h"
#include "proto/cleanup.h"

json_t *bh_json_text(const char *text)
{
	json_t *value = json_string(text);
	_cleanup_free_ char *ascii = NULL;

	if (value)
		return value;
	ascii = bh_xstrdup(text);
	for (char *c = ascii; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	return json_string(ascii);
}

void bh_json_set_text(json_t *object, const char *name, const char *text)
{
	json_object_set_new(object, name, bh_json_text(text));
}

json_t *bh_json_time(uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[64];
	size_t n;

	if (ns == 0 || !gmtime_r(&seconds, &tm))
		return json_null();
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%06uZ", (unsigned int)(ns % 1000000000 / 1000));
	return json_string(text);
}

json_t *bh_json_protocol(uint8_t protocol)
{
	char text[BH_PROTOCOL_TEXT_MAX];

	return json_string(bh_protocol_word(protocol, text));
}

json_t *bh_json_both_ways(const uint64_t counts[2])
{
	return json_pack("{s:I, s:I}", "fromClient", (json_int_t)counts[0], "fromServer",
		(json_int_t)counts[1]);
}

/* ---- The graph ------------------------------------------------------------------------------- */

static json_t *aggregate_object(const struct bh_aggregate *sum)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "conversations",
		(json_int_t)sum->conversations, "denied", (json_int_t)sum->denied, "wouldDeny",
		(json_int_t)sum->would_deny, "flows", (json_int_t)sum->flows, "flowsDenied",
		(json_int_t)sum->flows_denied, "flowsWouldDeny", (json_int_t)sum->flows_would_deny,
		"packetsDenied", (json_int_t)sum->packets_denied, "packets",
		bh_json_both_ways(sum->packets), "bytes", bh_json_both_ways(sum->octets), "last",
		bh_json_time(sum->last_ns));
}

static json_t *node_object(const struct bh_graph_node *node)
{
	json_t *object = json_object();
	json_t *modes = json_object();

	for (int mode = BH_MODE_OBSERVE; mode <= BH_MODE_ENFORCE; mode++) {
		if (node->modes[mode])
			json_object_set_new(modes, bh_mode_name((enum bh_mode)mode),
				json_integer(node->modes[mode]));
	}
	bh_json_set_text(object, "id", node->id);
	bh_json_set_text(object, "type", bh_node_type_word(node->type));
	json_object_set_new(
		object, "parent", node->parent ? bh_json_text(node->parent) : json_null());
	if (node->type == BH_NODE_NAMESPACE)
		json_object_set_new(object, "open", json_boolean(node->open));
	bh_json_set_text(object, "namespace", node->namespace);
	bh_json_set_text(object, "kind", node->kind);
	bh_json_set_text(object, "name", node->name);
	json_object_set_new(object, "members", json_integer(node->members));
	json_object_set_new(object, "pods", json_integer(node->pods));
	json_object_set_new(object, "modes", modes);
	json_object_set_new(object, "quarantined", json_integer(node->quarantined));
	json_object_set_new(object, "inside", aggregate_object(&node->inside));
	return object;
}

static json_t *top_object(const struct bh_conversation *conversation)
{
	json_t *object = json_object();
	char id[BH_CONVERSATION_ID_MAX];

	bh_conversation_id(conversation, id);
	/* Pods are numbered anew with each question. */
	bh_json_set_text(object, "id",
		conversation->client->is_pod || conversation->server->is_pod ? "" : id);
	json_object_set_new(object, "protocol", bh_json_protocol(conversation->protocol));
	json_object_set_new(object, "port", json_integer(conversation->port));
	bh_json_set_text(object, "app", bh_app_word(conversation->talk.app));
	bh_json_set_text(object, "encrypted", bh_encrypted_word(conversation->talk.encrypted));
	json_object_set_new(object, "flows", json_integer((json_int_t)conversation->counts.flows));
	json_object_set_new(object, "bytes", bh_json_both_ways(conversation->counts.octets));
	return object;
}

static json_t *edge_object(const struct bh_graph_edge *edge)
{
	_cleanup_free_ char *id = bh_graph_edge_id(edge);
	json_t *object = json_object();
	json_t *top = json_array();

	for (size_t i = 0; i < edge->n_top; i++)
		json_array_append_new(top, top_object(edge->top[i]));
	bh_json_set_text(object, "id", id);
	bh_json_set_text(object, "source", edge->source->id);
	bh_json_set_text(object, "target", edge->target->id);
	bh_json_set_text(object, "state", bh_state_word(edge->state));
	bh_json_set_text(object, "app", bh_app_word(edge->app));
	bh_json_set_text(object, "encrypted", bh_encrypted_word(edge->encrypted));
	json_object_set_new(object, "aggregate", aggregate_object(&edge->sum));
	json_object_set_new(object, "conversations", top);
	return object;
}

json_t *bh_json_graph(const struct bh_graph *graph, const char *group, size_t limit, json_t *window)
{
	json_t *nodes = json_array();
	json_t *edges = json_array();

	for (size_t i = 0; i < graph->n_nodes; i++)
		json_array_append_new(nodes, node_object(&graph->nodes[i]));
	for (size_t i = 0; i < graph->n_edges; i++)
		json_array_append_new(edges, edge_object(&graph->edges[i]));
	return json_pack("{s:o, s:o, s:I, s:o, s:o, s:{s:I, s:I, s:I}, s:{s:I, s:I}}", "window",
		window, "group", bh_json_text(group), "limit", (json_int_t)limit, "nodes", nodes,
		"edges", edges, "matched", "workloads", (json_int_t)graph->matched_parties,
		"conversations", (json_int_t)graph->matched_conversations, "of",
		(json_int_t)graph->of_conversations, "folded", "nodes",
		(json_int_t)graph->folded_nodes, "namespaces",
		(json_int_t)graph->folded_namespaces);
}
