/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who talks to whom, pod by pod: what history has kept of flow records. Those know which pods, how
 * many flows, and how each was judged; why is taken from the edge of their workloads that is judged
 * the same. Records may be lost, and flows tell their packets and bytes while they last, now and
 * then, and when they end.
 */

#include <inttypes.h>
#include <string.h>

#include "bulkhead/reasons.h"
#include "controller/api/view.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

/* Where no edge says why any more: no reason that there is, one that passes and one that drops. */
#define FORGOTTEN_PASS (BH_REASON_FIRST_DROP - 1)
#define FORGOTTEN_DROP (BH_REASON_MAX - 1)

/* The denials of the server's end, what else was counted, and the other end's verdict. */
#define ROWS_EACH 3

struct pod_rows {
	struct bh_view *view;
	const struct bh_history_answer *answer;
	struct bh_table ids; /* id of a pod or workload → number */
	uint32_t last_number;
	size_t n;
	struct bh_history_edge *rows; /* ROWS_EACH for each record at most */
};

/* ---- Parties --------------------------------------------------------------------------------- */

/* The party of one end of a record; numbers are given out as they come. */
static uint32_t number_of(
	struct pod_rows *pods, const char *namespace, const char *pod, uint32_t workload)
{
	const struct bh_workload_name *name = bh_names_workload(pods->view->api->names, workload);
	struct bh_world *world = pods->view->world;
	/* An end that is no pod is its workload: the world, a node, a service. */
	_cleanup_free_ char *id = *namespace ? bh_xasprintf("pod:%s/%s", namespace, pod)
					     : bh_xasprintf("workload:%" PRIu32, workload);
	void *known = bh_table_get(&pods->ids, id, strlen(id));
	uint32_t number;

	if (known)
		return (uint32_t)(uintptr_t)known;
	number = ++pods->last_number;
	if (*namespace)
		bh_world_add_pod(world, number, namespace, name ? name->kind : "Pod", pod);
	else if (name)
		bh_world_add(world, number, name->namespace, name->kind, name->name);
	else
		bh_world_party(world, number);
	bh_table_put(&pods->ids, bh_arena_strdup(&pods->view->arena, id), strlen(id),
		(void *)(uintptr_t)number);
	return number;
}

/* The pods among the parties: their labels, and how those of this node stand. */
static void describe_pods(struct bh_view *view)
{
	const struct bh_party *found;

	for (size_t at = 0; (found = bh_world_next(view->world, &at));) {
		struct bh_party *party = bh_world_find(view->world, found->number);
		const struct bh_pod *pod = found->is_pod ? bh_model_pod_by_name(view->api->model,
								   found->namespace, found->name)
							 : NULL;

		if (pod)
			bh_party_add_labels(party, pod->labels);
		for (size_t i = 0; pod && i < view->api->desired->n_endpoints; i++) {
			const struct bh_desired_endpoint *endpoint =
				&view->api->desired->endpoints[i];

			if (strcmp(endpoint->uid, pod->uid) != 0)
				continue;
			party->pods = 1;
			party->modes[endpoint->mode] = 1;
			party->quarantined = endpoint->quarantined;
			break;
		}
	}
}

/* ---- Why ------------------------------------------------------------------------------------- */

static enum bh_flow_verdict verdict_of(const struct bh_history_key *key)
{
	return bh_reason_drops(key->verdict)   ? BH_FLOW_DENIED
	       : bh_reason_drops(key->pending) ? BH_FLOW_WOULD_DENY
					       : BH_FLOW_ALLOWED;
}

/* The first edge of the conversation, or of one after it. */
static size_t first_edge(const struct bh_history_answer *answer, const struct bh_history_key *key)
{
	size_t low = 0, high = answer->n_edges;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct bh_history_key *found = &answer->edges[middle].key;
		bool before = found->client != key->client       ? found->client < key->client
			      : found->server != key->server     ? found->server < key->server
			      : found->protocol != key->protocol ? found->protocol < key->protocol
								 : found->port < key->port;

		if (before)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of each end the latest edge of the workloads that is judged as the record is. */
static void find_edges(const struct pod_rows *pods, const struct bh_history_pod *pod,
	const struct bh_history_edge *ret_ends[2])
{
	const struct bh_history_answer *answer = pods->answer;
	struct bh_history_key key = {.client = pod->client,
		.server = pod->server,
		.protocol = pod->protocol,
		.port = pod->port};
	size_t at = first_edge(answer, &key);

	/* Ports beyond those that are counted apart are counted together. */
	if (at == answer->n_edges || !bh_history_same_conversation(&answer->edges[at].key, &key)) {
		key.port = 0;
		at = first_edge(answer, &key);
	}
	for (; at < answer->n_edges && bh_history_same_conversation(&answer->edges[at].key, &key);
		at++) {
		const struct bh_history_edge *edge = &answer->edges[at];
		const struct bh_history_edge **end = &ret_ends[!edge->key.egress];

		if (verdict_of(&edge->key) == pod->verdict &&
			(!*end || edge->counts.last_ns > (*end)->counts.last_ns))
			*end = edge;
	}
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void add_row(struct pod_rows *pods, const struct bh_history_key *ends,
	const struct bh_history_edge *why, const struct bh_history_counts *counts, bool told)
{
	struct bh_history_edge *row = &pods->rows[pods->n++];

	row->key = why->key;
	row->key.client = ends->client;
	row->key.server = ends->server;
	row->key.protocol = ends->protocol;
	row->key.port = ends->port;
	row->key.peer_local = told; /* then it counts only where the client's end told nothing */
	row->counts = *counts;
	/* Later than that this end has not judged so, whatever the other has told since. */
	if (why->counts.last_ns < row->counts.last_ns)
		row->counts.last_ns = why->counts.last_ns;
}

/*
 * A flow is told once when it begins, by the client's end where that is here, and once when it
 * ends, by either. What the server's end alone denies it tells for itself, of a flow that the
 * client's end, if that is a pod of this node, has told already.
 */
static void add_denials(struct pod_rows *pods, const struct bh_history_key *ends,
	const struct bh_history_edge *const edges[2], struct bh_history_counts *counts)
{
	const struct bh_history_counts denials = {
		.flows = counts->flows, .first_ns = counts->first_ns, .last_ns = counts->last_ns};

	if (edges[0] || !edges[1] || !edges[1]->key.peer_local)
		return;
	add_row(pods, ends, edges[1], &denials, true);
	counts->flows = 0;
}

static void add_pod(struct pod_rows *pods, const struct bh_history_pod *pod)
{
	const struct bh_history_key ends = {
		.client = number_of(pods, pod->client_namespace, pod->client_pod, pod->client),
		.server = number_of(pods, pod->server_namespace, pod->server_pod, pod->server),
		.protocol = pod->protocol,
		.port = pod->port,
	};
	const struct bh_history_edge forgotten = {
		.key =
			{
				.egress = 1,
				.verdict = pod->verdict == BH_FLOW_DENIED ? FORGOTTEN_DROP
									  : FORGOTTEN_PASS,
				.pending = pod->verdict == BH_FLOW_ALLOWED ? FORGOTTEN_PASS
									   : FORGOTTEN_DROP,
			},
		.counts = {.last_ns = pod->last_ns},
	};
	const struct bh_history_edge *edges[2] = {NULL, NULL};
	struct bh_history_counts counts = {
		.packets = {pod->packets[0], pod->packets[1]},
		.octets = {pod->octets[0], pod->octets[1]},
		.flows = pod->began + pod->denials,
		.first_ns = pod->first_ns,
		.last_ns = pod->last_ns,
	};

	find_edges(pods, pod, edges);
	if (!edges[0] && !edges[1])
		add_row(pods, &ends, &forgotten, &counts, false);
	if (pod->verdict != BH_FLOW_ALLOWED)
		add_denials(pods, &ends, edges, &counts);
	for (int i = 0; i < 2; i++) {
		if (!edges[i])
			continue;
		add_row(pods, &ends, edges[i], &counts, false);
		/* The other end says how it judged, not how much there was once more. */
		counts = (struct bh_history_counts){
			.first_ns = pod->first_ns, .last_ns = pod->last_ns};
	}
}

void bh_view_fill_pods(struct bh_view *view)
{
	const struct bh_history_answer *answer = view->window.history;
	struct pod_rows pods = {
		.view = view,
		.answer = answer,
		.rows = bh_xcalloc(answer->n_pods, ROWS_EACH * sizeof(*pods.rows)),
	};

	/* This node's are there even if they never spoke. */
	for (size_t i = 0; i < view->api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &view->api->desired->endpoints[i];

		number_of(&pods, endpoint->namespace, endpoint->name, endpoint->workload);
	}
	for (size_t i = 0; i < answer->n_pods; i++)
		add_pod(&pods, &answer->pods[i]);
	if (pods.n)
		qsort(pods.rows, pods.n, sizeof(*pods.rows), bh_history_compare);
	describe_pods(view);
	bh_conversations_make(view->world, view->sight, pods.n, pods.rows, &view->conversations);
	free(pods.rows);
	bh_table_clear(&pods.ids);
	view->window.exact = false;
	view->window.note = bh_arena_printf(&view->arena,
		"made of flow records, of which %" PRIu64
		" are known to be lost; packets and bytes are as of the flows' latest records",
		answer->lost);
}
