/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/tally.h"

#include <string.h>

#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "proto/cleanup.h"

/* What makes a series; zeroed padding, as it is hashed as bytes. */
struct series_key {
	uint32_t client, server;
	uint16_t port;
	uint8_t protocol;
	uint8_t egress;
	uint8_t verdict;
	uint8_t pending_denies;
	uint8_t other;
	uint8_t zero;
};

/* What tells one variant of an edge from another. */
struct source_key {
	uint32_t client, server;
	uint32_t verdict, pending;
	uint16_t port;
	uint8_t protocol;
	uint8_t egress;
	uint8_t family;
	uint8_t peer_local;
	uint8_t zero[2];
};

struct series {
	struct series_key key;
	struct bh_tally_series counts;
};

/* One variant: what it said last. */
struct source {
	struct source_key key;
	struct series *series;
	uint64_t taken; /* the round in which it was there */
	uint64_t last[9];
};

struct counter {
	char *name;
	uint64_t last;
	uint64_t sum;
};

struct bh_tally {
	size_t max_series;
	struct bh_table by_key; /* series */
	size_t n, capacity;
	struct bh_tally_series **series;
	struct bh_table sources;
	uint64_t round;
	uint64_t folded;
	uint64_t first_ns;
	struct bh_table counters;
};

struct bh_tally *bh_tally_new(size_t max_series)
{
	struct bh_tally *tally = bh_xcalloc(1, sizeof(*tally));

	tally->max_series = max_series;
	return tally;
}

void bh_tally_free(struct bh_tally *tally)
{
	struct counter *counter;
	void *each;

	if (!tally)
		return;
	for (size_t at = 0; (each = bh_table_next(&tally->by_key, &at));)
		free(each);
	for (size_t at = 0; (each = bh_table_next(&tally->sources, &at));)
		free(each);
	for (size_t at = 0; (counter = bh_table_next(&tally->counters, &at));) {
		free(counter->name);
		free(counter);
	}
	bh_table_clear(&tally->by_key);
	bh_table_clear(&tally->sources);
	bh_table_clear(&tally->counters);
	free(tally->series);
	free(tally);
}

/* What has come since `*last`. */
static uint64_t grown(uint64_t *last, uint64_t value)
{
	uint64_t more = value >= *last ? value - *last : value;

	*last = value;
	return more;
}

/* ---- Series ---------------------------------------------------------------------------------- */

static struct series *find_or_add(struct bh_tally *tally, const struct series_key *key)
{
	struct series *series = bh_table_get(&tally->by_key, key, sizeof(*key));

	if (series)
		return series;
	series = bh_xcalloc(1, sizeof(*series));
	series->key = *key;
	series->counts = (struct bh_tally_series){
		.other = key->other,
		.client = key->client,
		.server = key->server,
		.protocol = key->protocol,
		.port = key->port,
		.egress = key->egress,
		.verdict = (enum bh_tally_verdict)key->verdict,
		.pending_denies = key->pending_denies,
	};
	bh_table_put(&tally->by_key, &series->key, sizeof(series->key), series);
	bh_xgrow(tally->series, tally->n, tally->capacity);
	tally->series[tally->n++] = &series->counts;
	return series;
}

static enum bh_tally_verdict verdict_of(const struct bh_edge_variant *variant)
{
	if (bh_reason_drops(variant->verdict))
		return BH_TALLY_DENIED;
	return bh_reason_drops(variant->pending) ? BH_TALLY_WOULD_DENY : BH_TALLY_ALLOWED;
}

static struct series *series_for(struct bh_tally *tally, const struct bh_edge_view *view,
	const struct bh_edge_variant *variant)
{
	struct series_key key = {
		.client = view->client,
		.server = view->server,
		.port = view->port,
		.protocol = view->protocol,
		.egress = variant->egress,
		.verdict = (uint8_t)verdict_of(variant),
		.pending_denies = bh_reason_drops(variant->pending),
	};

	if (tally->n >= tally->max_series && !bh_table_get(&tally->by_key, &key, sizeof(key))) {
		key = (struct series_key){
			.egress = key.egress,
			.verdict = key.verdict,
			.pending_denies = key.pending_denies,
			.other = true,
		};
		tally->folded++;
	}
	return find_or_add(tally, &key);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

static struct source *source_of(struct bh_tally *tally, const struct bh_edge_view *view,
	const struct bh_edge_variant *variant)
{
	const struct source_key key = {
		.client = view->client,
		.server = view->server,
		.verdict = variant->verdict,
		.pending = variant->pending,
		.port = view->port,
		.protocol = view->protocol,
		.egress = variant->egress,
		.family = variant->family,
		.peer_local = variant->peer_local,
	};
	struct source *source = bh_table_get(&tally->sources, &key, sizeof(key));

	if (source)
		return source;
	source = bh_xcalloc(1, sizeof(*source));
	source->key = key;
	source->series = series_for(tally, view, variant);
	bh_table_put(&tally->sources, &source->key, sizeof(source->key), source);
	return source;
}

static void take_talk(struct bh_tally_series *to, const struct bh_edge_variant *variant)
{
	bool knows = variant->talk.app || variant->talk.encrypted;

	if (to->other || !knows || variant->last_ns < to->talk_ns)
		return;
	to->app = variant->talk.app;
	to->encrypted = variant->talk.encrypted;
	to->talk_ns = variant->last_ns;
}

static void take_variant(struct bh_tally *tally, const struct bh_edge_view *view,
	const struct bh_edge_variant *variant)
{
	struct source *source = source_of(tally, view, variant);
	struct bh_tally_series *to = &source->series->counts;

	source->taken = tally->round;
	for (int i = 0; i < 2; i++) {
		to->packets[i] += grown(&source->last[i], variant->packets[i]);
		to->octets[i] += grown(&source->last[2 + i], variant->octets[i]);
	}
	to->flows += grown(&source->last[4], variant->flows);
	to->resets += grown(&source->last[5], variant->resets);
	to->refusals += grown(&source->last[6], variant->refusals);
	to->handshakes += grown(&source->last[7], variant->talk.rtt_n);
	to->handshakes_us += grown(&source->last[8], variant->talk.rtt_sum_us);
	take_talk(to, variant);
	if (variant->last_ns > to->last_ns)
		to->last_ns = variant->last_ns;
	if (variant->first_ns && (!tally->first_ns || variant->first_ns < tally->first_ns))
		tally->first_ns = variant->first_ns;
}

/* Those that are gone count from nothing should they come back. */
static void forget_gone(struct bh_tally *tally)
{
	_cleanup_free_ struct source **gone = bh_xcalloc(tally->sources.n, sizeof(*gone));
	struct source *source;
	size_t n = 0;

	for (size_t at = 0; (source = bh_table_next(&tally->sources, &at));) {
		if (source->taken != tally->round)
			gone[n++] = source;
	}
	while (n-- > 0) {
		bh_table_remove(&tally->sources, &gone[n]->key, sizeof(gone[n]->key));
		free(gone[n]);
	}
}

void bh_tally_take(struct bh_tally *tally, const struct bh_edges *edges)
{
	_cleanup_free_ struct bh_edge_view *views = NULL;
	size_t n = bh_edges_view(edges, &views);

	tally->round++;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < views[i].n_variants; j++)
			take_variant(tally, &views[i], &views[i].variants[j]);
	}
	forget_gone(tally);
}

size_t bh_tally_series(
	const struct bh_tally *tally, const struct bh_tally_series *const **ret_series)
{
	*ret_series = (const struct bh_tally_series *const *)tally->series;
	return tally->n;
}

uint64_t bh_tally_first(const struct bh_tally *tally)
{
	return tally->first_ns;
}

uint64_t bh_tally_folded(const struct bh_tally *tally)
{
	return tally->folded;
}

/* ---- Other counters -------------------------------------------------------------------------- */

uint64_t bh_tally_count(struct bh_tally *tally, const char *name, uint64_t value)
{
	struct counter *counter = bh_table_get(&tally->counters, name, strlen(name) + 1);

	if (!counter) {
		counter = bh_xcalloc(1, sizeof(*counter));
		counter->name = bh_xstrdup(name);
		bh_table_put(&tally->counters, counter->name, strlen(name) + 1, counter);
	}
	counter->sum += grown(&counter->last, value);
	return counter->sum;
}
