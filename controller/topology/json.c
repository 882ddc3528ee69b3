/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/topology/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/flows/reasons.h"
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

/* ---- Conversations --------------------------------------------------------------------------- */

json_t *bh_json_party(const struct bh_party *party)
{
	json_t *object = json_object();

	bh_json_set_text(object, "id", party->id);
	bh_json_set_text(object, "namespace", party->namespace);
	bh_json_set_text(object, "kind", party->kind);
	bh_json_set_text(object, "name", party->name);
	return object;
}

static json_t *denied_by(const struct bh_conversation *conversation)
{
	const struct bh_history_edge *ends[2] = {conversation->egress, conversation->ingress};
	bool pending = conversation->state == BH_STATE_WOULD_DENY;
	json_t *array = json_array();

	for (int i = 0; i < 2 && conversation->state != BH_STATE_ALLOWED; i++) {
		if (ends[i] &&
			bh_reason_drops(pending ? ends[i]->key.pending : ends[i]->key.verdict))
			json_array_append_new(array, json_string(i ? "ingress" : "egress"));
	}
	return array;
}

void bh_json_add_talk(json_t *object, const struct bh_talk *talk)
{
	bh_json_set_text(object, "app", bh_app_word(talk->app));
	bh_json_set_text(object, "encrypted", bh_encrypted_word(talk->encrypted));
	bh_json_set_text(object, "tlsVersion", bh_tls_word(talk->tls_version));
	bh_json_set_text(object, "sni", talk->sni);
	json_object_set_new(object, "roundTrip",
		talk->rtt_n ? json_pack("{s:I, s:I, s:I}", "min", (json_int_t)talk->rtt_min_us,
				      "mean", (json_int_t)(talk->rtt_sum_us / talk->rtt_n),
				      "samples", (json_int_t)talk->rtt_n)
			    : json_null());
}

json_t *bh_json_conversation(const struct bh_conversation *conversation, const char *text)
{
	const struct bh_history_counts *counts = &conversation->counts;
	char id[BH_CONVERSATION_ID_MAX];
	json_t *object = json_object();

	bh_json_set_text(object, "id", bh_conversation_id(conversation, id));
	json_object_set_new(object, "client", bh_json_party(conversation->client));
	json_object_set_new(object, "server", bh_json_party(conversation->server));
	json_object_set_new(object, "protocol", bh_json_protocol(conversation->protocol));
	json_object_set_new(object, "port", json_integer(conversation->port));
	bh_json_set_text(object, "state", bh_state_word(conversation->state));
	bh_json_set_text(object, "verdict", conversation->denied ? "denied" : "allowed");
	bh_json_set_text(object, "pending", conversation->would_deny ? "denied" : "allowed");
	bh_json_set_text(object, "text", text);
	json_object_set_new(object, "deniedBy", denied_by(conversation));
	bh_json_add_talk(object, &conversation->talk);
	json_object_set_new(object, "packets", bh_json_both_ways(counts->packets));
	json_object_set_new(object, "bytes", bh_json_both_ways(counts->octets));
	json_object_set_new(object, "flows", json_integer((json_int_t)counts->flows));
	json_object_set_new(
		object, "flowsDenied", json_integer((json_int_t)conversation->flows_denied));
	json_object_set_new(
		object, "flowsWouldDeny", json_integer((json_int_t)conversation->flows_would_deny));
	json_object_set_new(
		object, "packetsDenied", json_integer((json_int_t)conversation->packets_denied));
	json_object_set_new(object, "resets", json_integer((json_int_t)counts->resets));
	json_object_set_new(object, "refusals", json_integer((json_int_t)counts->refusals));
	json_object_set_new(object, "first", bh_json_time(counts->first_ns));
	json_object_set_new(object, "last", bh_json_time(counts->last_ns));
	return object;
}

/* ---- The difference of two windows ----------------------------------------------------------- */

static json_t *told(
	const struct bh_conversation *conversation, bh_filter_text *text, void *text_data)
{
	_cleanup_free_ char *line = text(text_data, conversation);

	return bh_json_conversation(conversation, line);
}

json_t *bh_json_diff(
	const struct bh_diff *diff, size_t limit, bh_filter_text *text, void *text_data)
{
	json_t *added = json_array();
	json_t *vanished = json_array();
	json_t *changed = json_array();

	for (size_t i = 0; i < diff->n && i < limit; i++) {
		const struct bh_diff_pair *pair = &diff->pairs[i];

		if (!pair->before)
			json_array_append_new(added, told(pair->after, text, text_data));
		else if (!pair->after)
			json_array_append_new(vanished, told(pair->before, text, text_data));
		else
			json_array_append_new(
				changed, json_pack("{s:s, s:o}", "before",
						 bh_state_word(pair->before->state), "after",
						 told(pair->after, text, text_data)));
	}
	return json_pack("{s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}}", "new", added, "vanished",
		vanished, "changed", changed, "total", "new", (json_int_t)diff->n_new, "vanished",
		(json_int_t)diff->n_vanished, "changed", (json_int_t)diff->n_changed, "same",
		(json_int_t)diff->n_same);
}

/* ---- Over time ------------------------------------------------------------------------------- */

static json_t *point_object(const struct bh_history_point *point)
{
	const struct bh_history_counts *counts = &point->counts;
	json_t *object = json_object();

	json_object_set_new(object, "time", bh_json_time(point->start_ns));
	json_object_set_new(
		object, "seconds", json_integer((json_int_t)(point->length_ns / 1000000000)));
	json_object_set_new(object, "packets", bh_json_both_ways(counts->packets));
	json_object_set_new(object, "bytes", bh_json_both_ways(counts->octets));
	json_object_set_new(object, "flows", json_integer((json_int_t)counts->flows));
	json_object_set_new(object, "flowsDenied", json_integer((json_int_t)point->flows_denied));
	json_object_set_new(
		object, "flowsWouldDeny", json_integer((json_int_t)point->flows_would_deny));
	json_object_set_new(
		object, "packetsDenied", json_integer((json_int_t)point->packets_denied));
	json_object_set_new(object, "resets", json_integer((json_int_t)counts->resets));
	return object;
}

json_t *bh_json_series(const char *id, json_t *window, uint64_t step_ns, size_t n,
	const struct bh_history_point *points)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		if (points[i].length_ns > step_ns)
			step_ns = points[i].length_ns;
		json_array_append_new(list, point_object(&points[i]));
	}
	return json_pack("{s:s, s:o, s:I, s:o}", "id", id, "window", window, "step",
		(json_int_t)(step_ns / 1000000000), "points", list);
}
