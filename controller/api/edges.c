/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who talks to whom: edges, and the graph made of them. There can be ten thousands of edges, so
 * what is told of them is written at once, and by a thread where there are many.
 */

#include <stdio.h>
#include <string.h>

#include "bulkhead/abi.h"
#include "controller/api/view.h"
#include "controller/flows/reasons.h"
#include "controller/history/view.h"
#include "controller/model/memory.h"
#include "controller/topology/writer.h"
#include "proto/cleanup.h"

/* What is shown: all that the kernel counts, or a window of history. */
struct shown {
	struct bh_view view;
	const char *namespace;
	bool brief; /* without what each end says for itself */
	size_t n;
	struct bh_edge_view *edges;
	struct bh_writer writer;
};

static void shown_cleanup(struct shown *shown)
{
	bh_view_clear(&shown->view);
	free(shown->edges);
}

/* ---- What decides ---------------------------------------------------------------------------- */

static const char *decision(struct shown *shown, const struct bh_edge_view *edge,
	const struct bh_edge_variant *variant, bool pending)
{
	return bh_view_decision(&shown->view, pending ? variant->pending : variant->verdict,
		pending ? variant->pending_rule : variant->rule, variant->egress,
		variant->egress ? edge->client : edge->server);
}

/* The verdict that stands for the edge: the one that denies, else the stricter one's rule. */
static const struct bh_edge_variant *deciding(const struct bh_edge_view *edge, bool pending)
{
	const struct bh_edge_variant *ends[2] = {edge->egress, edge->ingress};
	const struct bh_edge_variant *best = NULL;

	for (int i = 0; i < 2; i++) {
		const struct bh_edge_variant *end = ends[i];

		if (!end)
			continue;
		if (bh_reason_drops(pending ? end->pending : end->verdict))
			return end;
		if (!best || (pending ? end->pending_rule : end->rule))
			best = end;
	}
	return best;
}

/* One line: why it is denied, would be, or is allowed. */
static const char *edge_text(struct shown *shown, const struct bh_edge_view *edge)
{
	bool pending = edge->would_deny && !edge->denied;
	const struct bh_edge_variant *by = deciding(edge, pending);

	if (!by)
		return "";
	/* What would be allowed says more than that nothing is enforced. */
	if (!edge->denied && !edge->would_deny && by->rule == 0 && deciding(edge, true)) {
		pending = true;
		by = deciding(edge, true);
	}
	return decision(shown, edge, by, pending);
}

/* ---- Writing an edge ------------------------------------------------------------------------- */

static void write_names(struct shown *shown, uint32_t number)
{
	const struct bh_workload_name *name = bh_names_workload(shown->view.api->names, number);
	struct bh_writer *writer = &shown->writer;
	char unknown[32];

	if (!name)
		snprintf(unknown, sizeof(unknown), "unknown-%08x", number);
	bh_write_text(writer, "namespace", name ? name->namespace : "");
	bh_write_text(writer, "kind", name ? name->kind : "Unknown");
	bh_write_text(writer, "name", name ? name->name : unknown);
}

static void write_workload(struct shown *shown, const char *member, uint32_t number)
{
	bh_write_open(&shown->writer, member, '{');
	write_names(shown, number);
	bh_write_close(&shown->writer, '}');
}

static void write_rule(struct shown *shown, const char *member, uint32_t number)
{
	const struct bh_rule_label *label = bh_names_rule(shown->view.api->names, number);
	struct bh_writer *writer = &shown->writer;

	if (number == 0) {
		bh_write_null(writer, member);
		return;
	}
	bh_write_open(writer, member, '{');
	bh_write_number(writer, "number", number);
	if (label) {
		bh_write_text(writer, "namespace", label->namespace);
		bh_write_text(writer, "policy", label->policy);
		bh_write_text(writer, "direction", label->egress ? "egress" : "ingress");
		bh_write_number(writer, "index", (uint64_t)label->index);
		bh_write_text(writer, "text", label->text);
	}
	bh_write_close(writer, '}');
}

static void write_talk(struct bh_writer *writer, const struct bh_talk *talk)
{
	bh_write_text(writer, "app", bh_app_word(talk->app));
	bh_write_text(writer, "encrypted", bh_encrypted_word(talk->encrypted));
	bh_write_text(writer, "tlsVersion", bh_tls_word(talk->tls_version));
	bh_write_text(writer, "sni", talk->sni);
	if (!talk->rtt_n) {
		bh_write_null(writer, "roundTrip");
		return;
	}
	bh_write_open(writer, "roundTrip", '{');
	bh_write_number(writer, "min", talk->rtt_min_us);
	bh_write_number(writer, "mean", talk->rtt_sum_us / talk->rtt_n);
	bh_write_number(writer, "samples", talk->rtt_n);
	bh_write_close(writer, '}');
}

static void write_variant(
	struct shown *shown, const struct bh_edge_view *edge, const struct bh_edge_variant *variant)
{
	struct bh_writer *writer = &shown->writer;

	bh_write_open(writer, NULL, '{');
	bh_write_text(writer, "direction", variant->egress ? "egress" : "ingress");
	bh_write_number(writer, "family", variant->family);
	bh_write_flag(writer, "peerLocal", variant->peer_local);
	bh_write_flag(writer, "allowed", !bh_reason_drops(variant->verdict));
	bh_write_text(writer, "reason", bh_reason_word(variant->verdict));
	bh_write_text(writer, "text", decision(shown, edge, variant, false));
	write_rule(shown, "rule", variant->rule);
	bh_write_flag(writer, "pendingAllowed", !bh_reason_drops(variant->pending));
	bh_write_text(writer, "pendingReason", bh_reason_word(variant->pending));
	bh_write_text(writer, "pendingText", decision(shown, edge, variant, true));
	write_rule(shown, "pendingRule", variant->pending_rule);
	bh_write_both_ways(writer, "packets", variant->packets);
	bh_write_both_ways(writer, "bytes", variant->octets);
	bh_write_number(writer, "flows", variant->flows);
	bh_write_number(writer, "resets", variant->resets);
	bh_write_number(writer, "refusals", variant->refusals);
	write_talk(writer, &variant->talk);
	bh_write_time(writer, "first", variant->first_ns);
	bh_write_time(writer, "last", variant->last_ns);
	bh_write_close(writer, '}');
}

static void write_summary(struct shown *shown, const struct bh_edge_view *edge)
{
	struct bh_writer *writer = &shown->writer;

	bh_write_protocol(writer, "protocol", edge->protocol);
	bh_write_number(writer, "port", edge->port);
	bh_write_text(writer, "verdict", edge->denied ? "denied" : "allowed");
	bh_write_text(writer, "pending", edge->would_deny ? "denied" : "allowed");
	bh_write_text(writer, "text", edge_text(shown, edge));
	bh_write_both_ways(writer, "packets", edge->packets);
	bh_write_both_ways(writer, "bytes", edge->octets);
	bh_write_number(writer, "flows", edge->flows);
	bh_write_number(writer, "flowsDenied", edge->flows_denied);
	bh_write_number(writer, "flowsWouldDeny", edge->flows_would_deny);
	bh_write_number(writer, "packetsDenied", edge->packets_denied);
	bh_write_number(writer, "resets", edge->resets);
	bh_write_number(writer, "refusals", edge->refusals);
	write_talk(writer, &edge->talk);
	bh_write_time(writer, "first", edge->first_ns);
	bh_write_time(writer, "last", edge->last_ns);
}

/* One of the variants once more, as it was written among them. */
static void repeat(struct shown *shown, const char *member, const struct bh_edge_view *edge,
	const struct bh_edge_variant *variant, const struct bh_text *variants, const size_t *ends)
{
	size_t i = variant ? (size_t)(variant - edge->variants) : 0;
	size_t begin = i ? ends[i - 1] + 1 : 1; /* behind a comma, or the bracket */

	if (variant)
		bh_write_json(&shown->writer, member, variants->data + begin, ends[i] - begin);
	else
		bh_write_null(&shown->writer, member);
}

/* The latest of each end is one of all: written once. */
static void write_ends(struct shown *shown, const struct bh_edge_view *edge)
{
	struct bh_text *to = shown->writer.to;
	_cleanup_free_ size_t *ends = bh_xcalloc(edge->n_variants, sizeof(*ends));
	struct bh_text variants = {0};

	shown->writer = (struct bh_writer){.to = &variants};
	bh_write_open(&shown->writer, NULL, '[');
	for (size_t i = 0; i < edge->n_variants; i++) {
		write_variant(shown, edge, &edge->variants[i]);
		ends[i] = variants.n;
	}
	bh_write_close(&shown->writer, ']');
	shown->writer = (struct bh_writer){.to = to, .more = true};
	repeat(shown, "egress", edge, edge->egress, &variants, ends);
	repeat(shown, "ingress", edge, edge->ingress, &variants, ends);
	bh_write_json(&shown->writer, "variants", variants.data, variants.n);
	bh_text_clear(&variants);
}

static void write_edge(struct shown *shown, const struct bh_edge_view *edge)
{
	bh_write_open(&shown->writer, NULL, '{');
	write_workload(shown, "client", edge->client);
	write_workload(shown, "server", edge->server);
	write_summary(shown, edge);
	if (!shown->brief)
		write_ends(shown, edge);
	bh_write_close(&shown->writer, '}');
}

/* ---- The question ---------------------------------------------------------------------------- */

/* True if one end is in the namespace that is asked for. */
static bool in_namespace(const struct shown *shown, const struct bh_edge_view *edge)
{
	const struct bh_names *names = shown->view.api->names;
	const struct bh_workload_name *ends[2] = {
		bh_names_workload(names, edge->client),
		bh_names_workload(names, edge->server),
	};

	if (!shown->namespace)
		return true;
	for (int i = 0; i < 2; i++) {
		if (ends[i] && strcmp(ends[i]->namespace, shown->namespace) == 0)
			return true;
	}
	return false;
}

/* False: be called again. True: *ret_error is the answer, or `shown` is there. */
static bool show(struct bh_api *api, struct bh_control_call *call, bh_api_command *command,
	struct shown *shown, json_t **ret_error)
{
	struct bh_view *view = &shown->view;
	const struct bh_history_answer *answer;

	view->api = api;
	*ret_error = bh_api_string(call->request, "namespace", &shown->namespace);
	*ret_error = *ret_error ?: bh_api_flag(call->request, "brief", &shown->brief);
	*ret_error = *ret_error ?: bh_view_window(call->request, "from", "to", &view->window);
	if (*ret_error)
		return true;
	if (!bh_view_ask(view, call, BH_VIEW_WORKLOADS, NULL, ret_error))
		return false;
	if (*ret_error)
		return true;
	if (bh_view_elsewhere(view, call, command, BH_VIEW_WORKLOADS, false))
		return false;
	answer = view->window.history;
	shown->n = answer ? bh_history_view(answer->n_edges, answer->edges, &shown->edges)
			  : bh_edges_view(api->edges, &shown->edges);
	shown->writer.to = &call->text;
	bh_write_open(&shown->writer, NULL, '{');
	bh_write_flag(&shown->writer, "ok", true);
	return true;
}

/* `found`: something of what was asked for was. */
static void finish(struct shown *shown, bool found)
{
	json_t *window;

	if (!found && shown->namespace)
		bh_write_flag(&shown->writer, "known",
			bh_api_knows(shown->view.api->model, shown->view.sight, shown->namespace));
	if (shown->view.window.history) {
		_cleanup_free_ char *text = NULL;

		window = bh_json_window(&shown->view.window);
		text = bh_xcheck(json_dumps(window, JSON_COMPACT));
		json_decref(window);
		bh_write_json(&shown->writer, "window", text, strlen(text));
	}
	bh_write_close(&shown->writer, '}');
}

json_t *bh_api_edges(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(shown_cleanup) struct shown shown = {0};
	bool found = false;
	json_t *error;

	if (!show(api, call, bh_api_edges, &shown, &error))
		return NULL;
	if (error)
		return error;
	bh_write_open(&shown.writer, "edges", '[');
	for (size_t i = 0; i < shown.n; i++) {
		if (!in_namespace(&shown, &shown.edges[i]))
			continue;
		write_edge(&shown, &shown.edges[i]);
		found = true;
	}
	bh_write_close(&shown.writer, ']');
	finish(&shown, found);
	return NULL;
}

/* ---- The graph ------------------------------------------------------------------------------- */

static void write_id(struct shown *shown, const char *member, uint32_t number)
{
	const struct bh_workload_name *name = bh_names_workload(shown->view.api->names, number);
	char id[640];

	if (!name)
		snprintf(id, sizeof(id), "unknown-%08x", number);
	else
		snprintf(id, sizeof(id), "%s%s%s/%s", name->namespace,
			name->namespace[0] ? "/" : "", name->kind, name->name);
	bh_write_text(&shown->writer, member, id);
}

static void add_node(struct shown *shown, struct bh_table *seen, const uint32_t *number)
{
	if (bh_table_put(seen, number, sizeof(*number), (void *)number))
		return;
	bh_write_open(&shown->writer, NULL, '{');
	write_names(shown, *number);
	write_id(shown, "id", *number);
	bh_write_close(&shown->writer, '}');
}

static void write_nodes(struct shown *shown)
{
	const struct bh_desired *desired = shown->view.api->desired;
	struct bh_table seen = {0};

	bh_write_open(&shown->writer, "nodes", '[');
	/* Workloads of this node are there even if they never spoke. */
	for (size_t i = 0; i < desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &desired->endpoints[i];

		if (!shown->namespace || strcmp(endpoint->namespace, shown->namespace) == 0)
			add_node(shown, &seen, &endpoint->workload);
	}
	for (size_t i = 0; i < shown->n; i++) {
		if (!in_namespace(shown, &shown->edges[i]))
			continue;
		add_node(shown, &seen, &shown->edges[i].client);
		add_node(shown, &seen, &shown->edges[i].server);
	}
	bh_write_close(&shown->writer, ']');
	bh_table_clear(&seen);
}

static void write_link(struct shown *shown, const struct bh_edge_view *edge)
{
	bh_write_open(&shown->writer, NULL, '{');
	write_id(shown, "source", edge->client);
	write_id(shown, "target", edge->server);
	write_summary(shown, edge);
	bh_write_close(&shown->writer, '}');
}

json_t *bh_api_graph(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(shown_cleanup) struct shown shown = {0};
	bool found = false;
	json_t *error;

	if (!show(api, call, bh_api_graph, &shown, &error))
		return NULL;
	if (error)
		return error;
	write_nodes(&shown);
	bh_write_open(&shown.writer, "edges", '[');
	for (size_t i = 0; i < shown.n; i++) {
		if (!in_namespace(&shown, &shown.edges[i]))
			continue;
		write_link(&shown, &shown.edges[i]);
		found = true;
	}
	bh_write_close(&shown.writer, ']');
	finish(&shown, found);
	return NULL;
}
