/* SPDX-License-Identifier: Apache-2.0 */

/* What is read whole: at the start, and when what was kept in memory goes to the disk. */

#include "controller/history/sql.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "proto/cleanup.h"

/* As many of each as bh_names keeps without forgetting them at its next turn. */
#define NAMES_MAX "40000"

static const char *text_of(struct bh_batch *batch, sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return bh_arena_strdup(&batch->arena, text ? text : "");
}

static int load_workloads(struct bh_store *store, struct bh_batch *batch)
{
	_cleanup_sql_ sqlite3_stmt *statement = NULL;
	_cleanup_free_ struct bh_workload_name *list = NULL;
	size_t n = 0, capacity = 0;
	int r = bh_sql_prepare(store, &statement,
		"SELECT number, namespace, kind, name FROM workloads LIMIT " NAMES_MAX);

	if (r < 0)
		return r;
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		bh_xgrow(list, n, capacity);
		list[n++] = (struct bh_workload_name){
			.number = (uint32_t)bh_sql_u64(statement, 0),
			.namespace = text_of(batch, statement, 1),
			.kind = text_of(batch, statement, 2),
			.name = text_of(batch, statement, 3),
		};
	}
	batch->workloads = bh_arena_copy(&batch->arena, list, n, sizeof(*list));
	batch->n_workloads = n;
	return bh_sql_errno(r);
}

static int load_rules(struct bh_store *store, struct bh_batch *batch)
{
	_cleanup_sql_ sqlite3_stmt *statement = NULL;
	_cleanup_free_ struct bh_rule_label *list = NULL;
	size_t n = 0, capacity = 0;
	int r = bh_sql_prepare(store, &statement,
		"SELECT number, namespace, policy, egress, place, text FROM rules "
		"LIMIT " NAMES_MAX);

	if (r < 0)
		return r;
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		bh_xgrow(list, n, capacity);
		list[n++] = (struct bh_rule_label){
			.number = (uint32_t)bh_sql_u64(statement, 0),
			.namespace = text_of(batch, statement, 1),
			.policy = text_of(batch, statement, 2),
			.egress = bh_sql_u64(statement, 3),
			.index = (int)bh_sql_u64(statement, 4),
			.text = text_of(batch, statement, 5),
		};
	}
	batch->rules = bh_arena_copy(&batch->arena, list, n, sizeof(*list));
	batch->n_rules = n;
	return bh_sql_errno(r);
}

static struct bh_counter counter_of(sqlite3_stmt *row)
{
	return (struct bh_counter){
		.key =
			{
				.local = (uint32_t)bh_sql_u64(row, 0),
				.remote = (uint32_t)bh_sql_u64(row, 1),
				.port = (uint16_t)bh_sql_u64(row, 2),
				.protocol = (uint8_t)bh_sql_u64(row, 3),
				.egress = (uint8_t)bh_sql_u64(row, 4),
				.verdict = (uint8_t)bh_sql_u64(row, 5),
				.pending = (uint8_t)bh_sql_u64(row, 6),
				.peer_local = (uint8_t)bh_sql_u64(row, 7),
				.family = (uint8_t)bh_sql_u64(row, 8),
			},
		.packets = {bh_sql_u64(row, 9), bh_sql_u64(row, 10)},
		.octets = {bh_sql_u64(row, 11), bh_sql_u64(row, 12)},
		.flows = bh_sql_u64(row, 13),
		.resets = bh_sql_u64(row, 14),
		.refusals = bh_sql_u64(row, 15),
		.rtt_sum_us = bh_sql_u64(row, 16),
		.rtt_n = bh_sql_u64(row, 17),
		.first_mono = bh_sql_u64(row, 18),
		.seen_s = bh_sql_u64(row, 19),
		.gone = bh_sql_u64(row, 20),
	};
}

static int load_counters(struct bh_store *store, struct bh_batch *batch)
{
	_cleanup_sql_ sqlite3_stmt *statement = NULL;
	_cleanup_free_ struct bh_counter *list = NULL;
	size_t n = 0, capacity = 0;
	int r = bh_sql_prepare(store, &statement,
		"SELECT local, remote, port, protocol, egress, verdict, pending, peer_local, "
		"family,"
		" packets_0, packets_1, octets_0, octets_1, flows, resets, refusals, rtt_sum,"
		" rtt_n, first_mono, seen, gone FROM counters");

	if (r < 0)
		return r;
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		bh_xgrow(list, n, capacity);
		list[n++] = counter_of(statement);
	}
	batch->counters = bh_arena_copy(&batch->arena, list, n, sizeof(*list));
	batch->n_counters = n;
	return bh_sql_errno(r);
}

int bh_store_load(struct bh_store *store, struct bh_batch *ret_batch)
{
	int r = load_workloads(store, ret_batch);

	ret_batch->generation = store->generation;
	if (r == 0)
		r = load_rules(store, ret_batch);
	return r == 0 ? load_counters(store, ret_batch) : r;
}

/* ---- From one store into another ------------------------------------------------------------- */

/* What of the kernel's counters both stores have recorded: bh_counter_key → bh_counter. */
struct overlap {
	struct bh_table left; /* what of it was not met in the rows yet */
};

static int find_overlap(struct bh_store *store, const struct bh_batch *from, struct bh_batch *known,
	struct overlap *overlap)
{
	struct bh_table counters = {0};
	int r = load_counters(store, known);

	if (r < 0 || store->generation != from->generation)
		return r;
	for (size_t i = 0; i < from->n_counters; i++)
		bh_table_put(&counters, &from->counters[i].key, sizeof(from->counters[i].key),
			&from->counters[i]);
	for (size_t i = 0; i < known->n_counters; i++) {
		struct bh_counter *counter = &known->counters[i];
		const struct bh_counter *now =
			bh_table_get(&counters, &counter->key, sizeof(counter->key));

		if (now && bh_counter_goes_on(counter, now))
			bh_table_put(&overlap->left, &counter->key, sizeof(counter->key), counter);
	}
	bh_table_clear(&counters);
	return 0;
}

static void take_out(uint64_t *from, uint64_t *left)
{
	uint64_t n = *from < *left ? *from : *left;

	*from -= n;
	*left -= n;
}

/*
 * Takes what is in both out of the edge, the oldest first: it came with the first report, all at
 * once. False if nothing is left of the edge.
 */
static bool take_overlap(struct overlap *overlap, struct bh_history_edge *edge)
{
	const struct bh_history_key *key = &edge->key;
	const struct bh_counter_key counter_key = {
		.local = key->egress ? key->client : key->server,
		.remote = key->egress ? key->server : key->client,
		.port = key->port,
		.protocol = key->protocol,
		.egress = key->egress,
		.verdict = key->verdict,
		.pending = key->pending,
		.peer_local = key->peer_local,
		.family = key->family,
	};
	struct bh_counter *left = bh_table_get(&overlap->left, &counter_key, sizeof(counter_key));
	struct bh_history_counts *counts = &edge->counts;

	if (!left)
		return true;
	for (int i = 0; i < 2; i++) {
		int side = key->egress ? i : 1 - i;

		take_out(&counts->packets[i], &left->packets[side]);
		take_out(&counts->octets[i], &left->octets[side]);
	}
	take_out(&counts->flows, &left->flows);
	take_out(&counts->resets, &left->resets);
	take_out(&counts->refusals, &left->refusals);
	/* Of what is new only the last is known. */
	counts->first_ns = counts->last_ns;
	if (!(left->packets[0] | left->packets[1] | left->octets[0] | left->octets[1] |
		    left->flows | left->resets | left->refusals))
		bh_table_remove(&overlap->left, &counter_key, sizeof(counter_key));
	return counts->packets[0] | counts->packets[1] | counts->octets[0] | counts->octets[1] |
	       counts->flows | counts->resets | counts->refusals;
}

static uint64_t time_of(sqlite3_stmt *row, int column, uint64_t bucket)
{
	return (uint64_t)(sqlite3_column_int64(row, column) + (int64_t)bucket * 1000000) * 1000;
}

/*
 * Everything of the finest table and, of what that one has lost already, of the coarser ones. The
 * other store has nothing of this time but what came before memory was begun, and adds.
 */
static int merge_edges(struct bh_store *store, struct bh_store *from, int level, uint64_t until,
	struct overlap *overlap)
{
	_cleanup_sql_ sqlite3_stmt *row = NULL;
	int r = bh_sql_prepare(from, &row,
		"SELECT bucket," BH_SQL_EDGE_COLUMNS
		", packets_0, packets_1, octets_0, octets_1, flows, resets, refusals, first, last, "
		"rtt_min,"
		" rtt_sum, rtt_n FROM counts_%d JOIN edges ON id = edge WHERE bucket < %llu"
		" ORDER BY bucket",
		level, (unsigned long long)until);
	int result = SQLITE_DONE;

	while (r == 0 && (result = sqlite3_step(row)) == SQLITE_ROW) {
		uint64_t bucket = bh_sql_u64(row, 0);
		struct bh_history_edge edge = bh_sql_edge(row);

		edge.talk.rtt_min_us = (uint32_t)bh_sql_u64(row, 25);
		edge.talk.rtt_sum_us = bh_sql_u64(row, 26);
		edge.talk.rtt_n = bh_sql_u64(row, 27);
		edge.counts = (struct bh_history_counts){
			.packets = {bh_sql_u64(row, 16), bh_sql_u64(row, 17)},
			.octets = {bh_sql_u64(row, 18), bh_sql_u64(row, 19)},
			.flows = bh_sql_u64(row, 20),
			.resets = bh_sql_u64(row, 21),
			.refusals = bh_sql_u64(row, 22),
			.first_ns = time_of(row, 23, bucket),
			.last_ns = time_of(row, 24, bucket),
		};
		if (take_overlap(overlap, &edge))
			r = bh_store_add_edge(store, bucket, &edge);
	}
	return r ? r : bh_sql_errno(result);
}

static int merge_pods(struct bh_store *store, struct bh_store *from, int level, uint64_t until)
{
	_cleanup_sql_ sqlite3_stmt *row = NULL;
	int r = bh_sql_prepare(from, &row,
		"SELECT bucket, client, server, client_namespace, client_pod, server_namespace,"
		" server_pod, protocol, port, verdict, began, ended, denials, packets_0, packets_1,"
		" octets_0, octets_1, first, last FROM pod_counts_%d JOIN pods ON id = pod"
		" WHERE bucket < %llu ORDER BY bucket",
		level, (unsigned long long)until);
	int result = SQLITE_DONE;

	while (r == 0 && (result = sqlite3_step(row)) == SQLITE_ROW) {
		uint64_t bucket = bh_sql_u64(row, 0);
		struct bh_history_pod pod = {
			.client = (uint32_t)bh_sql_u64(row, 1),
			.server = (uint32_t)bh_sql_u64(row, 2),
			.client_namespace = (const char *)sqlite3_column_text(row, 3),
			.client_pod = (const char *)sqlite3_column_text(row, 4),
			.server_namespace = (const char *)sqlite3_column_text(row, 5),
			.server_pod = (const char *)sqlite3_column_text(row, 6),
			.protocol = (uint8_t)bh_sql_u64(row, 7),
			.port = (uint16_t)bh_sql_u64(row, 8),
			.verdict = (enum bh_flow_verdict)bh_sql_u64(row, 9),
			.began = bh_sql_u64(row, 10),
			.ended = bh_sql_u64(row, 11),
			.denials = bh_sql_u64(row, 12),
			.packets = {bh_sql_u64(row, 13), bh_sql_u64(row, 14)},
			.octets = {bh_sql_u64(row, 15), bh_sql_u64(row, 16)},
			.first_ns = time_of(row, 17, bucket),
			.last_ns = time_of(row, 18, bucket),
		};

		r = bh_store_add_pod(store, bucket, &pod);
	}
	return r ? r : bh_sql_errno(result);
}

static int merge_lost(struct bh_store *store, struct bh_store *from, int level, uint64_t until)
{
	_cleanup_sql_ sqlite3_stmt *row = NULL;
	int r = bh_sql_prepare(from, &row,
		"SELECT bucket, records FROM lost_%d WHERE bucket < %llu", level,
		(unsigned long long)until);
	int result = SQLITE_DONE;

	while (r == 0 && (result = sqlite3_step(row)) == SQLITE_ROW)
		r = bh_store_add_lost(store, bh_sql_u64(row, 0), bh_sql_u64(row, 1));
	return r ? r : bh_sql_errno(result);
}

/* The oldest rows first, which the coarsest table has. */
static int merge_levels(struct bh_store *store, struct bh_store *from, struct overlap *overlap)
{
	uint64_t until[BH_HISTORY_LEVELS] = {UINT64_MAX >> 1};
	int r = 0;

	for (int level = 1; level < BH_HISTORY_LEVELS; level++)
		until[level] = from->floor[level - 1] < until[level - 1] ? from->floor[level - 1]
									 : until[level - 1];
	for (int level = BH_HISTORY_LEVELS - 1; r == 0 && level >= 0; level--) {
		r = merge_edges(store, from, level, until[level], overlap);
		if (r == 0)
			r = merge_pods(store, from, level, until[level]);
		if (r == 0)
			r = merge_lost(store, from, level, until[level]);
	}
	return r;
}

int bh_store_merge(struct bh_store *store, struct bh_store *from, bool overlaps)
{
	struct bh_batch batch = {0}, known = {0};
	struct overlap overlap = {0};
	int r = bh_store_load(from, &batch);

	/* The counters say that what follows is recorded: one transaction. */
	if (r == 0)
		r = bh_sql_begin(store);
	if (r == 0) {
		if (overlaps)
			r = find_overlap(store, &batch, &known, &overlap);
		if (r == 0)
			r = merge_levels(store, from, &overlap);
		if (r == 0)
			r = bh_store_put_batch(store, &batch);
		r = bh_sql_end(store, r);
	}
	if (r == 0 && batch.generation)
		store->generation = batch.generation;
	bh_table_clear(&overlap.left);
	bh_arena_clear(&known.arena);
	bh_arena_clear(&batch.arena);
	return r;
}
