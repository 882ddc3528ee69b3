/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controller/flows/edges.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "proto/cleanup.h"

/* A counter's beginning, told by jiffies, is the same within this. */
#define SAME_NS 2000000000ull

/* As the kernel keys them; no padding, so that it can be compared as bytes. */
struct edge_key {
	uint32_t local;
	uint32_t remote;
	uint32_t verdict;
	uint32_t pending;
	uint16_t port;
	uint8_t protocol;
	uint8_t egress;
	uint8_t peer_local;
	uint8_t family;
	uint8_t reserved[2];
};
_Static_assert(sizeof(struct edge_key) == 24, "compared as bytes");

struct counts {
	uint64_t packets[2]; /* from the local pod, to it */
	uint64_t octets[2];
	uint64_t flows;
	uint64_t resets;
	uint64_t refusals;
	uint64_t rtt_sum_us;
	uint64_t rtt_n;
};

struct edge {
	struct edge_key key;
	struct counts now;    /* as last reported */
	struct counts before; /* of slots this edge had and gave back: those begin at zero again */
	bool gone;
	struct bh_talk talk; /* its round-trips: those of `now` */
	uint32_t rule;
	uint32_t pending_rule;
	uint64_t began_ns; /* when the slot it has, or had last, began to count */
	uint64_t first_ns;
	uint64_t last_ns;
};

struct bh_edges {
	struct bh_table table; /* edge_key → struct edge */
	uint64_t generation;
	uint64_t forgotten;
	/* Of a copy: all of them. It has no table. */
	size_t n_copied;
	struct edge *copied;
};

struct bh_edges *bh_edges_new(void)
{
	return bh_xcalloc(1, sizeof(struct bh_edges));
}

static void forget_all(struct bh_edges *edges)
{
	struct edge *edge;

	for (size_t at = 0; (edge = bh_table_next(&edges->table, &at));)
		free(edge);
	bh_table_clear(&edges->table);
}

void bh_edges_free(struct bh_edges *edges)
{
	if (!edges)
		return;
	forget_all(edges);
	free(edges->copied);
	free(edges);
}

size_t bh_edges_count(const struct bh_edges *edges)
{
	return edges->table.n + edges->n_copied;
}

/* One after the other; *position begins at 0. NULL at the end. */
static struct edge *next_edge(const struct bh_edges *edges, size_t *position)
{
	if (!edges->copied)
		return bh_table_next(&edges->table, position);
	return *position < edges->n_copied ? &edges->copied[(*position)++] : NULL;
}

struct bh_edges *bh_edges_copy(const struct bh_edges *edges)
{
	struct bh_edges *copy = bh_edges_new();
	const struct edge *edge;

	copy->generation = edges->generation;
	copy->forgotten = edges->forgotten;
	copy->copied = bh_xreallocarray(NULL, bh_edges_count(edges), sizeof(*copy->copied));
	for (size_t at = 0; (edge = next_edge(edges, &at));)
		copy->copied[copy->n_copied++] = *edge;
	return copy;
}

/* ---- From the wire --------------------------------------------------------------------------- */

static int compare_last(const void *a, const void *b)
{
	const struct edge *x = *(struct edge *const *)a;
	const struct edge *y = *(struct edge *const *)b;

	return x->last_ns < y->last_ns ? -1 : x->last_ns > y->last_ns;
}

/* A quarter at a time, so that a flood of new edges does not sort the table once for each. */
static void forget_oldest(struct bh_edges *edges)
{
	_cleanup_free_ struct edge **all = bh_xcalloc(edges->table.n, sizeof(*all));
	struct edge *edge;
	size_t n = 0;

	for (size_t at = 0; (edge = bh_table_next(&edges->table, &at));)
		all[n++] = edge;
	qsort(all, n, sizeof(*all), compare_last);
	for (size_t i = 0; i < n / 4; i++) {
		bh_table_remove(&edges->table, &all[i]->key, sizeof(all[i]->key));
		free(all[i]);
		edges->forgotten++;
	}
}

static struct edge *find_or_add(struct bh_edges *edges, const struct edge_key *key)
{
	struct edge *edge = bh_table_get(&edges->table, key, sizeof(*key));

	if (edge)
		return edge;
	if (edges->table.n >= BH_EDGES_MAX)
		forget_oldest(edges);
	edge = bh_xcalloc(1, sizeof(*edge));
	edge->key = *key;
	bh_table_put(&edges->table, &edge->key, sizeof(edge->key), edge);
	return edge;
}

static void add_counts(struct counts *to, const struct counts *from)
{
	for (int i = 0; i < 2; i++) {
		to->packets[i] += from->packets[i];
		to->octets[i] += from->octets[i];
	}
	to->flows += from->flows;
	to->resets += from->resets;
	to->refusals += from->refusals;
	to->rtt_sum_us += from->rtt_sum_us;
	to->rtt_n += from->rtt_n;
}

/*
 * Is what comes after a slot was given back that slot's own count, further on? It rests before
 * another edge gets it, and wakes if one of its flows turns out to be alive. One that begins anew
 * begins later, and at nothing.
 */
static bool goes_on(const struct edge *edge, const struct counts *now, uint64_t began_ns)
{
	const struct counts *was = &edge->now;
	uint64_t apart = began_ns - edge->began_ns;

	if (apart > SAME_NS && 0 - apart > SAME_NS)
		return false;
	for (int i = 0; i < 2; i++) {
		if (now->packets[i] < was->packets[i] || now->octets[i] < was->octets[i])
			return false;
	}
	return now->flows >= was->flows && now->resets >= was->resets &&
	       now->refusals >= was->refusals && now->rtt_n >= was->rtt_n;
}

static void add_edge(struct bh_edges *edges, const Bulkhead__Wire__Edge *from)
{
	struct edge_key key = {
		.local = from->local,
		.remote = from->remote,
		.verdict = from->verdict,
		.pending = from->pending,
		.port = (uint16_t)from->port,
		.protocol = (uint8_t)from->protocol,
		.egress = from->egress,
		.peer_local = from->peer_local,
		.family = (uint8_t)from->family,
	};
	struct edge *edge = find_or_add(edges, &key);
	struct counts now = {
		.packets = {from->packets_out, from->packets_in},
		.octets = {from->octets_out, from->octets_in},
		.flows = from->flows,
		.resets = from->resets,
		.refusals = from->refusals,
		.rtt_sum_us = from->trip_sum_us,
		.rtt_n = from->trips,
	};
	struct bh_talk talk;

	if (edge->gone) {
		/* The last counts of a slot given back may be sent more than once. */
		if (from->gone)
			return;
		/* It may also have woken up, with the slot it had: then it goes on counting. */
		if (!goes_on(edge, &now, from->first_ns))
			add_counts(&edge->before, &edge->now);
	}
	bh_talk_of_edge(from, &talk);
	bh_talk_learn(&edge->talk, &talk);
	if (talk.rtt_n)
		edge->talk.rtt_min_us = talk.rtt_min_us;
	edge->now = now;
	edge->began_ns = from->first_ns;
	edge->gone = from->gone;
	edge->rule = from->rule;
	edge->pending_rule = from->pending_rule;
	if (!edge->first_ns || (from->first_ns && from->first_ns < edge->first_ns))
		edge->first_ns = from->first_ns;
	if (from->last_ns > edge->last_ns)
		edge->last_ns = from->last_ns;
}

void bh_edges_add(struct bh_edges *edges, const Bulkhead__Wire__EdgeBatch *batch)
{
	if (batch->generation != edges->generation) {
		forget_all(edges);
		edges->generation = batch->generation;
	}
	for (size_t i = 0; i < batch->n_edges; i++)
		add_edge(edges, batch->edges[i]);
}

uint64_t bh_edges_generation(const struct bh_edges *edges)
{
	return edges->generation;
}

uint64_t bh_edges_forgotten(const struct bh_edges *edges)
{
	return edges->forgotten;
}

/* ---- Bringing the two ends together ---------------------------------------------------------- */

static uint32_t client_of(const struct edge *edge)
{
	return edge->key.egress ? edge->key.local : edge->key.remote;
}

static uint32_t server_of(const struct edge *edge)
{
	return edge->key.egress ? edge->key.remote : edge->key.local;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_conversation(const struct edge *a, const struct edge *b)
{
	int order = compare_numbers(client_of(a), client_of(b));

	if (order == 0)
		order = compare_numbers(server_of(a), server_of(b));
	if (order == 0)
		order = compare_numbers(a->key.protocol, b->key.protocol);
	if (order == 0)
		order = compare_numbers(a->key.port, b->key.port);
	return order;
}

/* Conversations together; within one the client's end first, and the latest first. */
static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = *(struct edge *const *)a;
	const struct edge *y = *(struct edge *const *)b;
	int order = compare_conversation(x, y);

	if (order == 0)
		order = compare_numbers(y->key.egress, x->key.egress);
	if (order == 0)
		order = compare_numbers(y->last_ns, x->last_ns);
	if (order == 0)
		order = memcmp(&x->key, &y->key, sizeof(x->key));
	return order;
}

static struct bh_edge_variant variant_of(const struct edge *edge)
{
	/* The client's end sends the client's packets, the server's end receives them. */
	int client = edge->key.egress ? 0 : 1;
	struct counts sum = edge->before;
	struct bh_edge_variant variant = {
		.egress = edge->key.egress,
		.peer_local = edge->key.peer_local,
		.family = edge->key.family,
		.verdict = edge->key.verdict,
		.pending = edge->key.pending,
		.rule = edge->rule,
		.pending_rule = edge->pending_rule,
		.first_ns = edge->first_ns,
		.last_ns = edge->last_ns,
	};

	add_counts(&sum, &edge->now);
	for (int i = 0; i < 2; i++) {
		variant.packets[i] = sum.packets[i == 0 ? client : 1 - client];
		variant.octets[i] = sum.octets[i == 0 ? client : 1 - client];
	}
	variant.flows = sum.flows;
	variant.resets = sum.resets;
	variant.refusals = sum.refusals;
	variant.talk = edge->talk;
	variant.talk.rtt_sum_us = sum.rtt_sum_us;
	variant.talk.rtt_n = sum.rtt_n;
	return variant;
}

static bool counts_for(const struct bh_edge_view *view, const struct bh_edge_variant *variant)
{
	return variant->egress || !variant->peer_local || !view->egress;
}

static void sum_up(struct bh_edge_view *view)
{
	for (size_t i = 0; i < view->n_variants; i++) {
		const struct bh_edge_variant *v = &view->variants[i];

		if (bh_reason_drops(v->verdict)) {
			view->flows_denied += v->flows;
			view->packets_denied += v->packets[0] + v->packets[1];
		} else if (bh_reason_drops(v->pending)) {
			view->flows_would_deny += v->flows;
		}
		if (!view->first_ns || (v->first_ns && v->first_ns < view->first_ns))
			view->first_ns = v->first_ns;
		if (v->last_ns > view->last_ns)
			view->last_ns = v->last_ns;
		if (!counts_for(view, v))
			continue;
		for (int side = 0; side < 2; side++) {
			view->packets[side] += v->packets[side];
			view->octets[side] += v->octets[side];
		}
		view->flows += v->flows;
		view->resets += v->resets;
		view->refusals += v->refusals;
		bh_talk_add_trips(&view->talk, &v->talk);
	}
	/* The latest, and the client's end last. */
	for (size_t i = view->n_variants; i-- > 0;)
		bh_talk_learn(&view->talk, &view->variants[i].talk);
}

static void judge(struct bh_edge_view *view)
{
	const struct bh_edge_variant *ends[2] = {view->egress, view->ingress};

	for (int i = 0; i < 2; i++) {
		if (!ends[i])
			continue;
		view->denied |= bh_reason_drops(ends[i]->verdict);
		view->would_deny |= bh_reason_drops(ends[i]->pending);
	}
}

void bh_edge_view_finish(struct bh_edge_view *view)
{
	for (size_t i = 0; i < view->n_variants; i++) {
		const struct bh_edge_variant *variant = &view->variants[i];

		if (variant->egress && !view->egress)
			view->egress = variant;
		if (!variant->egress && !view->ingress)
			view->ingress = variant;
	}
	sum_up(view);
	judge(view);
}

size_t bh_edges_view(const struct bh_edges *edges, struct bh_edge_view **ret_views)
{
	size_t n = bh_edges_count(edges);
	_cleanup_free_ struct edge **sorted = bh_xcalloc(n, sizeof(*sorted));
	struct bh_edge_variant *variants;
	struct bh_edge_view *views;
	struct edge *edge;
	size_t n_views = 0;
	size_t i = 0;

	for (size_t at = 0; (edge = next_edge(edges, &at));)
		sorted[i++] = edge;
	qsort(sorted, n, sizeof(*sorted), compare_edges);

	/* One block: at most as many views as edges, then the variants. */
	views = bh_xcalloc(n, sizeof(*views) + sizeof(*variants));
	variants = (struct bh_edge_variant *)(views + n);
	for (i = 0; i < n; i++) {
		struct bh_edge_view *view;

		variants[i] = variant_of(sorted[i]);
		if (i == 0 || compare_conversation(sorted[i - 1], sorted[i]) != 0) {
			view = &views[n_views++];
			view->client = client_of(sorted[i]);
			view->server = server_of(sorted[i]);
			view->protocol = sorted[i]->key.protocol;
			view->port = sorted[i]->key.port;
			view->variants = &variants[i];
		}
		views[n_views - 1].n_variants++;
	}
	for (i = 0; i < n_views; i++)
		bh_edge_view_finish(&views[i]);
	*ret_views = views;
	return n_views;
}
