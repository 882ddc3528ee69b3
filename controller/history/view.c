/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/history/view.h"

#include <stdlib.h>

#include "controller/model/memory.h"

static struct bh_edge_variant variant_of(const struct bh_history_edge *row)
{
	const struct bh_history_key *key = &row->key;
	const struct bh_history_counts *counts = &row->counts;

	return (struct bh_edge_variant){
		.egress = key->egress,
		.peer_local = key->peer_local,
		.family = key->family,
		.verdict = key->verdict,
		.pending = key->pending,
		.rule = key->rule,
		.pending_rule = key->pending_rule,
		.packets = {counts->packets[0], counts->packets[1]},
		.octets = {counts->octets[0], counts->octets[1]},
		.flows = counts->flows,
		.resets = counts->resets,
		.refusals = counts->refusals,
		.talk = row->talk,
		.first_ns = counts->first_ns,
		.last_ns = counts->last_ns,
	};
}

/* The client's end first, and the latest first. */
static int compare_variants(const void *a, const void *b)
{
	const struct bh_edge_variant *x = a, *y = b;

	if (x->egress != y->egress)
		return x->egress ? -1 : 1;
	return (x->last_ns < y->last_ns) - (x->last_ns > y->last_ns);
}

size_t bh_history_view(
	size_t n, const struct bh_history_edge *rows, struct bh_edge_view **ret_views)
{
	struct bh_edge_variant *variants;
	struct bh_edge_view *views;
	size_t n_views = 0;

	/* One block: at most as many views as rows, then the variants. */
	views = bh_xcalloc(n, sizeof(*views) + sizeof(*variants));
	variants = (struct bh_edge_variant *)(views + n);
	for (size_t i = 0; i < n; i++) {
		variants[i] = variant_of(&rows[i]);
		if (i == 0 || !bh_history_same_conversation(&rows[i - 1].key, &rows[i].key)) {
			views[n_views].client = rows[i].key.client;
			views[n_views].server = rows[i].key.server;
			views[n_views].protocol = rows[i].key.protocol;
			views[n_views].port = rows[i].key.port;
			views[n_views++].variants = &variants[i];
		}
		views[n_views - 1].n_variants++;
	}
	for (size_t i = 0; i < n_views; i++) {
		struct bh_edge_variant *first = variants + (views[i].variants - variants);

		qsort(first, views[i].n_variants, sizeof(*first), compare_variants);
		bh_edge_view_finish(&views[i]);
	}
	*ret_views = views;
	return n_views;
}
