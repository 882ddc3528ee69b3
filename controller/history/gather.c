/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A window, read from the coarsest table that fits. Where the window begins or ends inside a span,
 * the next finer table is asked for that part; where that one has forgotten the time already, the
 * window is widened to the whole span, and the answer says so.
 */

#include "controller/compile/desired.h"
#include "controller/flows/reasons.h"
#include "controller/history/sql.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

struct row {
	uint64_t id;
	struct bh_history_edge edge;
};

struct bh_gather {
	struct bh_history_question question;
	struct bh_history_answer answer;
	struct bh_arena arena;
	struct bh_table edges;  /* bh_history_key → bh_history_edge */
	struct bh_table pods;   /* text of the key → bh_history_pod */
	struct bh_table points; /* start → bh_history_point */
	uint64_t from_s;        /* the window asked for */
	uint64_t to_s;
	/* Widened as it was read. */
	uint64_t widest_from_s;
	uint64_t widest_to_s;
	uint64_t point_s; /* length of a point; 0: each as it is stored */
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct bh_gather *bh_gather_new(const struct bh_history_question *question)
{
	struct bh_gather *gather = bh_xcalloc(1, sizeof(*gather));

	gather->question = *question;
	gather->from_s = question->from_ns / 1000000000;
	/* Exclusive, and a second that has begun belongs to it. */
	gather->to_s = smaller(question->to_ns / 1000000000 + (question->to_ns % 1000000000 != 0),
		(uint64_t)INT64_MAX / 1000000);
	gather->from_s = smaller(gather->from_s, gather->to_s);
	gather->widest_from_s = gather->from_s;
	gather->widest_to_s = gather->to_s;
	return gather;
}

void bh_gather_free(struct bh_gather *gather)
{
	if (!gather)
		return;
	bh_table_clear(&gather->edges);
	bh_table_clear(&gather->pods);
	bh_table_clear(&gather->points);
	bh_arena_clear(&gather->arena);
	free(gather);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

static uint64_t time_of(sqlite3_stmt *row, int column, uint64_t bucket)
{
	return (uint64_t)(sqlite3_column_int64(row, column) + (int64_t)bucket * 1000000) * 1000;
}

/* bucket, edge, and the counts behind them. */
#define COUNT_COLUMNS                                                                             \
	"bucket, edge, packets_0, packets_1, octets_0, octets_1, flows, resets, refusals, first," \
	" last, rtt_min, rtt_sum, rtt_n"

static void add_row(struct bh_history_edge *to, sqlite3_stmt *row)
{
	uint64_t bucket = bh_sql_u64(row, 0);
	const struct bh_history_counts counts = {
		.packets = {bh_sql_u64(row, 2), bh_sql_u64(row, 3)},
		.octets = {bh_sql_u64(row, 4), bh_sql_u64(row, 5)},
		.flows = bh_sql_u64(row, 6),
		.resets = bh_sql_u64(row, 7),
		.refusals = bh_sql_u64(row, 8),
		.first_ns = time_of(row, 9, bucket),
		.last_ns = time_of(row, 10, bucket),
	};
	const struct bh_talk talk = {
		.rtt_min_us = (uint32_t)bh_sql_u64(row, 11),
		.rtt_sum_us = bh_sql_u64(row, 12),
		.rtt_n = bh_sql_u64(row, 13),
	};

	bh_history_add_counts(&to->counts, &counts);
	bh_history_add_talk(&to->talk, &talk);
}

/* One table's part of the window; sums by the store's own ids. */
static int read_counts(struct bh_gather *gather, struct bh_store *store, struct bh_table *rows,
	int level, uint64_t from, uint64_t to)
{
	_cleanup_sql_ sqlite3_stmt *statement = NULL;
	int r = bh_sql_prepare(store, &statement,
		"SELECT " COUNT_COLUMNS " FROM counts_%d WHERE bucket >= %llu AND bucket < %llu",
		level, (unsigned long long)from, (unsigned long long)to);
	int result = SQLITE_DONE;

	while (r == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		uint64_t id = bh_sql_u64(statement, 1);
		struct row *row = bh_table_get(rows, &id, sizeof(id));

		if (!row) {
			if (rows->n >= BH_HISTORY_ROWS_MAX)
				return -E2BIG;
			row = bh_arena_new(&gather->arena, struct row);
			row->id = id;
			bh_table_put(rows, &row->id, sizeof(row->id), row);
		}
		add_row(&row->edge, statement);
	}
	return r ? r : bh_sql_errno(result);
}

static struct bh_history_edge *edge_at(struct bh_gather *gather, const struct bh_history_edge *like)
{
	struct bh_history_edge *edge = bh_table_get(&gather->edges, &like->key, sizeof(like->key));

	if (edge)
		return edge;
	edge = bh_arena_new(&gather->arena, struct bh_history_edge);
	edge->key = like->key;
	bh_table_put(&gather->edges, &edge->key, sizeof(edge->key), edge);
	return edge;
}

/* Ids become keys: another store has other ids for the same edges. */
static int take_rows(struct bh_gather *gather, struct bh_store *store, struct bh_table *rows)
{
	_cleanup_sql_ sqlite3_stmt *statement = NULL;
	int r = bh_sql_prepare(store, &statement, "SELECT id," BH_SQL_EDGE_COLUMNS " FROM edges");
	int result = SQLITE_DONE;

	while (r == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		uint64_t id = bh_sql_u64(statement, 0);
		struct row *row = bh_table_get(rows, &id, sizeof(id));
		struct bh_history_edge known, *edge;

		if (!row)
			continue;
		known = bh_sql_edge(statement);
		edge = edge_at(gather, &known);
		bh_history_add_talk(&edge->talk, &known.talk);
		bh_history_add_counts(&edge->counts, &row->edge.counts);
		bh_history_add_talk(&edge->talk, &row->edge.talk);
	}
	return r ? r : bh_sql_errno(result);
}

/* ---- Pods ------------------------------------------------------------------------------------ */

static struct bh_history_pod *pod_at(struct bh_gather *gather, sqlite3_stmt *row)
{
	struct bh_history_pod *pod;
	char *key = bh_arena_printf(&gather->arena, "%s\n%s\n%s\n%s\n%u\n%u\n%u\n%u\n%u",
		sqlite3_column_text(row, 11), sqlite3_column_text(row, 12),
		sqlite3_column_text(row, 13), sqlite3_column_text(row, 14),
		(unsigned int)bh_sql_u64(row, 15), (unsigned int)bh_sql_u64(row, 16),
		(unsigned int)bh_sql_u64(row, 17), (unsigned int)bh_sql_u64(row, 18),
		(unsigned int)bh_sql_u64(row, 19));
	size_t size = strlen(key);

	pod = bh_table_get(&gather->pods, key, size);
	if (pod)
		return pod;
	pod = bh_arena_new(&gather->arena, struct bh_history_pod);
	pod->client_namespace =
		bh_arena_strdup(&gather->arena, (const char *)sqlite3_column_text(row, 11));
	pod->client_pod =
		bh_arena_strdup(&gather->arena, (const char *)sqlite3_column_text(row, 12));
	pod->server_namespace =
		bh_arena_strdup(&gather->arena, (const char *)sqlite3_column_text(row, 13));
	pod->server_pod =
		bh_arena_strdup(&gather->arena, (const char *)sqlite3_column_text(row, 14));
	pod->protocol = (uint8_t)bh_sql_u64(row, 15);
	pod->port = (uint16_t)bh_sql_u64(row, 16);
	pod->verdict = (enum bh_flow_verdict)bh_sql_u64(row, 17);
	pod->client = (uint32_t)bh_sql_u64(row, 18);
	pod->server = (uint32_t)bh_sql_u64(row, 19);
	bh_table_put(&gather->pods, key, size, pod);
	return pod;
}

static int read_pods(
	struct bh_gather *gather, struct bh_store *store, int level, uint64_t from, uint64_t to)
{
	_cleanup_sql_ sqlite3_stmt *row = NULL;
	int r = bh_sql_prepare(store, &row,
		"SELECT bucket, pod, began, ended, denials, packets_0, packets_1, octets_0,"
		" octets_1, first, last, client_namespace, client_pod, server_namespace,"
		" server_pod, protocol, port, verdict, client, server"
		" FROM pod_counts_%d JOIN pods ON id = pod WHERE bucket >= %llu AND bucket < %llu",
		level, (unsigned long long)from, (unsigned long long)to);
	int result = SQLITE_DONE;

	while (r == 0 && (result = sqlite3_step(row)) == SQLITE_ROW) {
		uint64_t bucket = bh_sql_u64(row, 0);
		uint64_t first = time_of(row, 9, bucket), last = time_of(row, 10, bucket);
		struct bh_history_pod *pod = pod_at(gather, row);

		if (gather->pods.n > BH_HISTORY_ROWS_MAX)
			return -E2BIG;
		pod->began += bh_sql_u64(row, 2);
		pod->ended += bh_sql_u64(row, 3);
		pod->denials += bh_sql_u64(row, 4);
		for (int i = 0; i < 2; i++) {
			pod->packets[i] += bh_sql_u64(row, 5 + i);
			pod->octets[i] += bh_sql_u64(row, 7 + i);
		}
		pod->first_ns = pod->first_ns ? smaller(pod->first_ns, first) : first;
		pod->last_ns = larger(pod->last_ns, last);
	}
	return r ? r : bh_sql_errno(result);
}

/* ---- A series -------------------------------------------------------------------------------- */

/* The variants of the conversation that is asked for. */
struct variants {
	size_t n;
	size_t capacity;
	struct variant {
		uint64_t id;
		struct bh_history_key key;
	} * items;
	bool client_seen;
};

static int find_variants(
	const struct bh_gather *gather, struct bh_store *store, struct variants *ret_variants)
{
	const struct bh_history_question *question = &gather->question;
	_cleanup_sql_ sqlite3_stmt *row = NULL;
	int r = bh_sql_prepare(store, &row,
		"SELECT id," BH_SQL_EDGE_COLUMNS " FROM edges WHERE client = %u AND server = %u"
		" AND protocol = %u AND port = %u",
		question->client, question->server, question->protocol, question->port);
	int result = SQLITE_DONE;

	while (r == 0 && (result = sqlite3_step(row)) == SQLITE_ROW) {
		bh_xgrow(ret_variants->items, ret_variants->n, ret_variants->capacity);
		ret_variants->items[ret_variants->n++] =
			(struct variant){bh_sql_u64(row, 0), bh_sql_edge(row).key};
		ret_variants->client_seen |= bh_sql_u64(row, 5) != 0;
	}
	return r ? r : bh_sql_errno(result);
}

static void add_point(struct bh_gather *gather, const struct variants *variants,
	const struct bh_history_key *key, sqlite3_stmt *row, int level)
{
	uint64_t length = gather->point_s ? gather->point_s : bh_store_span[level];
	uint64_t start = bh_sql_u64(row, 0) / length * length * 1000000000;
	struct bh_history_point *point = bh_table_get(&gather->points, &start, sizeof(start));
	struct bh_history_edge edge = {0};

	if (!point) {
		point = bh_arena_new(&gather->arena, struct bh_history_point);
		point->start_ns = start;
		bh_table_put(&gather->points, &point->start_ns, sizeof(point->start_ns), point);
	}
	point->length_ns = larger(point->length_ns, length * 1000000000);
	add_row(&edge, row);
	if (bh_reason_drops(key->verdict))
		point->flows_denied += edge.counts.flows;
	else if (bh_reason_drops(key->pending))
		point->flows_would_deny += edge.counts.flows;
	point->packets_denied += bh_history_packets_denied(&edge.counts, key);
	if (bh_history_counts_for(key, variants->client_seen))
		bh_history_add_counts(&point->counts, &edge.counts);
}

/* Span by span, each a look-up by its key: the whole window would be everybody's rows. */
static int read_series(struct bh_gather *gather, struct bh_store *store,
	const struct variants *variants, int level, uint64_t from, uint64_t to)
{
	_cleanup_sql_ sqlite3_stmt *row = NULL;
	uint64_t begin = 0, end = 0;
	int r = bh_sql_number(
		store, &begin, "SELECT coalesce(min(bucket), 0) FROM counts_%d", level);

	if (r == 0)
		r = bh_sql_number(
			store, &end, "SELECT coalesce(max(bucket), 0) FROM counts_%d", level);
	if (r == 0)
		r = bh_sql_prepare(store, &row,
			"SELECT " COUNT_COLUMNS " FROM counts_%d WHERE bucket = ? AND edge = ?",
			level);
	if (r < 0)
		return r;
	begin = larger(begin, bh_span_of(from, level));
	end = smaller(end + 1, to);
	for (uint64_t bucket = begin; bucket < end; bucket += bh_store_span[level]) {
		for (size_t i = 0; i < variants->n; i++) {
			int result;

			bh_sql_bind(row, 1, bucket);
			bh_sql_bind(row, 2, variants->items[i].id);
			result = sqlite3_step(row);
			if (result == SQLITE_ROW)
				add_point(gather, variants, &variants->items[i].key, row, level);
			sqlite3_reset(row);
			if (bh_sql_errno(result) < 0)
				return bh_sql_errno(result);
		}
	}
	return 0;
}

/* ---- Which table has which part -------------------------------------------------------------- */

struct reading {
	struct bh_gather *gather;
	struct bh_store *store;
	struct bh_table rows; /* id → struct row */
	struct variants variants;
	int finest; /* table that is fine enough */
};

static int read_part(struct reading *reading, int level, uint64_t from, uint64_t to)
{
	struct bh_gather *gather = reading->gather;
	uint64_t lost = 0, resolution = bh_store_span[level] * 1000000000ull;
	int r;

	if (from >= to)
		return 0;
	gather->answer.resolution_ns = larger(gather->answer.resolution_ns, resolution);
	gather->widest_from_s = smaller(gather->widest_from_s, from);
	gather->widest_to_s = larger(gather->widest_to_s, to);
	switch (gather->question.subject) {
	case BH_HISTORY_EDGES:
		r = read_counts(gather, reading->store, &reading->rows, level, from, to);
		break;
	case BH_HISTORY_SERIES:
		r = read_series(gather, reading->store, &reading->variants, level, from, to);
		break;
	case BH_HISTORY_PODS:
		r = read_pods(gather, reading->store, level, from, to);
		break;
	default:
		r = read_counts(gather, reading->store, &reading->rows, level, from, to);
		if (r == 0)
			r = read_pods(gather, reading->store, level, from, to);
	}
	if (r == 0)
		r = bh_sql_number(reading->store, &lost,
			"SELECT coalesce(sum(records), 0) FROM lost_%d WHERE bucket >= %llu"
			" AND bucket < %llu",
			level, (unsigned long long)from, (unsigned long long)to);
	gather->answer.lost += lost;
	return r;
}

/*
 * [from, to), of which nothing is read yet, by this table or finer ones. The whole spans in the
 * middle are this table's, as far as it is made; what is before and behind is the finer one's.
 */
static int read_window(struct reading *reading, int level, uint64_t from, uint64_t to)
{
	struct bh_store *store = reading->store;
	uint64_t span = bh_store_span[level];
	uint64_t begin = (from + span - 1) / span * span;
	uint64_t end;
	int r;

	if (from >= to)
		return 0;
	if (level == 0)
		return read_part(reading, 0, bh_span_of(from, 0), (to + span - 1) / span * span);
	/* What the finer table has forgotten is read whole here. */
	if (begin > from && bh_span_of(from, level) < store->floor[level - 1])
		begin = bh_span_of(from, level);
	end = smaller(bh_span_of(to, level), store->rolled[level]);
	if (end < to && end < store->floor[level - 1])
		end = smaller((to + span - 1) / span * span, store->floor[level - 1]);
	if (begin >= end)
		return read_window(reading, level - 1, from, to);
	r = read_window(reading, level - 1, from, begin);
	if (r == 0)
		r = read_part(reading, level, begin, end);
	return r ? r : read_window(reading, level - 1, end, to);
}

/* The coarsest table that gives as many points as are wanted. */
static int level_for_points(struct bh_gather *gather)
{
	uint64_t length = gather->to_s - gather->from_s;
	size_t points = gather->question.max_points;
	int level = 0;

	if (gather->question.subject != BH_HISTORY_SERIES)
		return BH_HISTORY_LEVELS - 1;
	while (points && level + 1 < BH_HISTORY_LEVELS && length / bh_store_span[level] > points)
		level++;
	if (points && length / bh_store_span[level] > points)
		gather->point_s =
			(length / points / bh_store_span[level] + 1) * bh_store_span[level];
	return level;
}

/* A series is wanted fine: coarser tables serve only where the finer ones have forgotten. */
static int read_fine(struct reading *reading, int level, uint64_t from, uint64_t to)
{
	struct bh_store *store = reading->store;
	uint64_t floor = level + 1 < BH_HISTORY_LEVELS ? store->floor[level] : 0;
	int r = 0;

	if (from >= to)
		return 0;
	if (from < floor) {
		r = read_fine(reading, level + 1, from, smaller(to, floor));
		from = smaller(to, floor);
	}
	return r ? r : read_window(reading, level, from, to);
}

int bh_gather_from(struct bh_gather *gather, struct bh_store *store)
{
	struct reading reading = {.gather = gather, .store = store};
	struct bh_store_state state;
	int level = level_for_points(gather);
	uint64_t from = gather->from_s;
	int r = bh_store_state(store, &state);

	if (r < 0)
		return r;
	for (int i = 0; i < BH_HISTORY_LEVELS; i++) {
		uint64_t since = state.since_ns[i];

		if (since && (!gather->answer.since_ns || since < gather->answer.since_ns))
			gather->answer.since_ns = since;
	}
	if (gather->question.subject == BH_HISTORY_SERIES) {
		r = find_variants(gather, store, &reading.variants);
		if (r == 0)
			r = read_fine(&reading, level, from, gather->to_s);
	} else {
		r = read_window(&reading, level, from, gather->to_s);
	}
	if (r == 0 && reading.rows.n)
		r = take_rows(gather, store, &reading.rows);
	bh_table_clear(&reading.rows);
	free(reading.variants.items);
	return r;
}

/* ---- The answer ------------------------------------------------------------------------------ */

static int compare_points(const void *a, const void *b)
{
	const struct bh_history_point *x = a, *y = b;

	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static int compare_pods(const void *a, const void *b)
{
	const struct bh_history_pod *x = a, *y = b;
	int order = strcmp(x->client_namespace, y->client_namespace);

	if (!order)
		order = strcmp(x->client_pod, y->client_pod);
	if (!order)
		order = strcmp(x->server_namespace, y->server_namespace);
	if (!order)
		order = strcmp(x->server_pod, y->server_pod);
	if (!order)
		order = x->protocol - y->protocol;
	if (!order)
		order = x->port - y->port;
	if (!order)
		order = (int)x->verdict - (int)y->verdict;
	return order;
}

/* The table's values as one sorted array, in the arena. */
static void *list(struct bh_gather *gather, const struct bh_table *table, size_t size,
	int (*compare)(const void *a, const void *b))
{
	char *all = bh_arena_alloc(&gather->arena, table->n, size);
	const void *value;
	size_t n = 0;

	for (size_t at = 0; (value = bh_table_next(table, &at)); n++)
		memcpy(all + n * size, value, size);
	if (n)
		qsort(all, n, size, compare);
	return all;
}

const struct bh_history_answer *bh_gather_finish(
	struct bh_gather *gather, int error, const char *text)
{
	struct bh_history_answer *answer = &gather->answer;

	answer->error = error;
	answer->text = bh_arena_strdup(&gather->arena, text);
	answer->from_ns = gather->widest_from_s * 1000000000;
	answer->to_ns = gather->widest_to_s * 1000000000;
	if (error < 0)
		return answer;
	answer->n_edges = gather->edges.n;
	answer->edges =
		list(gather, &gather->edges, sizeof(struct bh_history_edge), bh_history_compare);
	answer->n_points = gather->points.n;
	answer->points =
		list(gather, &gather->points, sizeof(struct bh_history_point), compare_points);
	answer->n_pods = gather->pods.n;
	answer->pods = list(gather, &gather->pods, sizeof(struct bh_history_pod), compare_pods);
	return answer;
}
