/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How history ages: spans that are over are summed up into longer ones, and what is too old, or too
 * much for the disk, is forgotten, finest first. Every step is a transaction of its own and leaves
 * each table with exact sums from its floor to its mark.
 */

#include "controller/history/sql.h"
#include "proto/cleanup.h"

/* A span is summed up so long after its end: what was seen in its last second is in by then. */
#define GRACE_S 60
/* Under pressure each table still keeps so much, while another has more to give. */
static const uint32_t keep_least[BH_HISTORY_LEVELS] = {1800, 6 * 3600, 86400};
/* Forgotten at once under pressure. */
static const uint32_t slice[BH_HISTORY_LEVELS] = {600, 3600, 6 * 3600};
/* Pages given back to the file system at a time. */
#define VACUUM_PAGES 4096
/* Rows that nothing names any more are looked for so often. */
#define SWEEP_S 3600
/* A counter whose key the kernel has given back is remembered so long: the news may come twice. */
#define GONE_S 86400

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int set_mark(struct bh_store *store, const char *what, int level, uint64_t value)
{
	char name[24];

	snprintf(name, sizeof(name), "%s_%d", what, level);
	return bh_store_put_meta(store, name, value);
}

/* ---- Summing up ------------------------------------------------------------------------------ */

/* Rows that are there already came from what was later than the mark: they take the sums in. */
static int roll_rows(struct bh_store *store, int level, uint64_t from, uint64_t to)
{
	unsigned long long begin = from, end = to;
	unsigned int span = bh_store_span[level];
	int r;

	r = bh_sql_run(store,
		"INSERT INTO counts_%d (bucket, edge, packets_0, packets_1, octets_0, octets_1,"
		" flows, resets, refusals, first, last, rtt_min, rtt_sum, rtt_n)"
		" SELECT bucket / %u * %u AS b, edge, sum(packets_0), sum(packets_1),"
		" sum(octets_0), sum(octets_1), sum(flows), sum(resets), sum(refusals),"
		" min(first + bucket %% %u * 1000000), max(last + bucket %% %u * 1000000),"
		" coalesce(min(nullif(rtt_min, 0)), 0), sum(rtt_sum), sum(rtt_n)"
		" FROM counts_%d WHERE bucket >= %llu AND bucket < %llu GROUP BY b, edge",
		level, span, span, span, span, level - 1, begin, end);
	if (r == 0)
		r = bh_sql_run(store,
			"INSERT INTO pod_counts_%d (bucket, pod, began, ended, denials, packets_0,"
			" packets_1, octets_0, octets_1, first, last)"
			" SELECT bucket / %u * %u AS b, pod, sum(began), sum(ended), sum(denials),"
			" sum(packets_0), sum(packets_1), sum(octets_0), sum(octets_1),"
			" min(first + bucket %% %u * 1000000),"
			" max(last + bucket %% %u * 1000000)"
			" FROM pod_counts_%d WHERE bucket >= %llu AND bucket < %llu GROUP BY b, "
			"pod",
			level, span, span, span, span, level - 1, begin, end);
	if (r == 0)
		r = bh_sql_run(store,
			"INSERT INTO lost_%d (bucket, records)"
			" SELECT bucket / %u * %u AS b, sum(records) FROM lost_%d"
			" WHERE bucket >= %llu AND bucket < %llu GROUP BY b",
			level, span, span, level - 1, begin, end);
	return r;
}

static int roll(struct bh_store *store, int level, uint64_t now_s)
{
	uint64_t from = store->rolled[level];
	uint64_t to = bh_span_of(now_s > GRACE_S ? now_s - GRACE_S : 0, level);
	int r;

	/* Only what the finer table holds to the end. */
	if (level > 1)
		to = smaller(to, bh_span_of(store->rolled[level - 1], level));
	if (to <= from)
		return 0;
	r = bh_sql_begin(store);
	if (r < 0)
		return r;
	r = roll_rows(store, level, from, to);
	if (r == 0)
		r = set_mark(store, "rolled", level, to);
	r = bh_sql_end(store, r);
	if (r == 0)
		store->rolled[level] = to;
	return r;
}

/* ---- Forgetting ------------------------------------------------------------------------------ */

/* `to` is moved to where no span of the next table is cut in two. */
static int forget_before(struct bh_store *store, int level, uint64_t to)
{
	unsigned long long end;
	int r;

	if (level + 1 < BH_HISTORY_LEVELS)
		to = smaller(bh_span_of(to, level + 1), store->rolled[level + 1]);
	else
		to = bh_span_of(to, level);
	if (to <= store->floor[level])
		return 0;
	end = to;
	r = bh_sql_begin(store);
	if (r < 0)
		return r;
	r = bh_sql_run(store,
		"DELETE FROM counts_%d WHERE bucket < %llu;"
		"DELETE FROM pod_counts_%d WHERE bucket < %llu;"
		"DELETE FROM lost_%d WHERE bucket < %llu",
		level, end, level, end, level, end);
	if (r == 0)
		r = set_mark(store, "floor", level, to);
	r = bh_sql_end(store, r);
	if (r == 0)
		store->floor[level] = to;
	return r;
}

static int forget_old(struct bh_store *store, uint64_t now_s)
{
	const uint64_t keep[BH_HISTORY_LEVELS] = {
		BH_HISTORY_KEEP_0, BH_HISTORY_KEEP_1, store->config.keep_days * 86400ull};
	int r = 0;

	for (int level = 0; r == 0 && level < BH_HISTORY_LEVELS; level++) {
		uint64_t age = smaller(keep[level], keep[BH_HISTORY_LEVELS - 1]);

		if (now_s > age)
			r = forget_before(store, level, now_s - age);
	}
	return r;
}

static int used_bytes(struct bh_store *store, uint64_t *ret_bytes)
{
	uint64_t pages = 0, unused = 0, size = 0;
	int r = bh_sql_number(store, &pages, "PRAGMA page_count");

	if (r == 0)
		r = bh_sql_number(store, &unused, "PRAGMA freelist_count");
	if (r == 0)
		r = bh_sql_number(store, &size, "PRAGMA page_size");
	if (r == 0)
		*ret_bytes = (pages - unused) * size;
	return r;
}

static int oldest(struct bh_store *store, int level, uint64_t *ret_second)
{
	uint64_t pods = 0;
	int r = bh_sql_number(
		store, ret_second, "SELECT coalesce(min(bucket), 0) FROM counts_%d", level);

	if (r == 0)
		r = bh_sql_number(
			store, &pods, "SELECT coalesce(min(bucket), 0) FROM pod_counts_%d", level);
	if (r == 0 && pods && (!*ret_second || pods < *ret_second))
		*ret_second = pods;
	return r;
}

/* One slice less, of the finest table that keeps more than `least`. *ret_done: there is none. */
static int forget_slice(struct bh_store *store, uint64_t now_s,
	const uint32_t least[BH_HISTORY_LEVELS], bool *ret_done)
{
	*ret_done = false;
	for (int level = 0; level < BH_HISTORY_LEVELS; level++) {
		uint64_t begin = 0, before = store->floor[level];
		int r = oldest(store, level, &begin);

		if (r < 0)
			return r;
		if (!begin || begin + least[level] >= now_s)
			continue;
		r = forget_before(
			store, level, smaller(begin + slice[level], now_s - least[level]));
		if (r < 0 || store->floor[level] > before)
			return r;
	}
	*ret_done = true;
	return 0;
}

/* Down to nine tenths, so that it is not done again with every batch. */
static int forget_much(struct bh_store *store, uint64_t now_s)
{
	static const uint32_t nothing[BH_HISTORY_LEVELS];
	uint64_t room = store->config.max_bytes / 20 * 19, bytes = 0;
	const uint32_t *least = keep_least;
	bool done = false;
	int r = used_bytes(store, &bytes);

	if (r < 0 || bytes <= room)
		return r;
	room = store->config.max_bytes / 10 * 9;
	while (r == 0 && bytes > room && !done) {
		r = forget_slice(store, now_s, least, &done);
		if (r == 0)
			r = used_bytes(store, &bytes);
		if (done && least == keep_least) {
			least = nothing;
			done = false;
		}
	}
	return r;
}

/* What no table names any more. */
static int sweep(struct bh_store *store, uint64_t now_s)
{
	unsigned long long floor = store->floor[BH_HISTORY_LEVELS - 1];
	unsigned long long gone = now_s > GONE_S ? now_s - GONE_S : 0;
	int r;

	if (now_s < store->swept_s + SWEEP_S && now_s >= store->swept_s)
		return 0;
	store->swept_s = now_s;
	r = bh_sql_begin(store);
	if (r < 0)
		return r;
	/* `seen` may be behind by the hour in which it is not written again. */
	r = bh_sql_run(store,
		"DELETE FROM edges WHERE seen + 7200 < %llu;"
		"DELETE FROM pods WHERE seen + 7200 < %llu;"
		"DELETE FROM counters WHERE gone AND seen < %llu",
		floor, floor, gone);
	return bh_sql_end(store, r);
}

int bh_store_tidy(struct bh_store *store, uint64_t now_s)
{
	int r = 0;

	for (int level = 1; r == 0 && level < BH_HISTORY_LEVELS; level++)
		r = roll(store, level, now_s);
	if (r == 0)
		r = forget_old(store, now_s);
	if (r == 0)
		r = forget_much(store, now_s);
	if (r == 0)
		r = sweep(store, now_s);
	return r ? r : bh_sql_run(store, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
}

/* ---- How it stands --------------------------------------------------------------------------- */

/*
 * When the first of the oldest span was seen, not when the span begins: summed up into a longer one
 * it would seem older than it is.
 */
static int first_seen(struct bh_store *store, int level, const char *table, uint64_t *ret_ns)
{
	uint64_t microseconds = 0;
	int r = bh_sql_number(store, &microseconds,
		"SELECT coalesce(min(bucket * 1000000 + max(first, 0)), 0) FROM %s_%d"
		" WHERE bucket = (SELECT min(bucket) FROM %s_%d)",
		table, level, table, level);

	if (r == 0 && microseconds && (!*ret_ns || microseconds * 1000 < *ret_ns))
		*ret_ns = microseconds * 1000;
	return r;
}

int bh_store_state(struct bh_store *store, struct bh_store_state *ret_state)
{
	struct bh_store_state state = {0};
	uint64_t pages = 0, size = 0;
	int r = bh_sql_number(store, &pages, "PRAGMA page_count");

	if (r == 0)
		r = bh_sql_number(store, &size, "PRAGMA page_size");
	if (r == 0)
		r = bh_sql_number(store, &state.edges, "SELECT count(*) FROM edges");
	for (int level = 0; r == 0 && level < BH_HISTORY_LEVELS; level++)
		r = first_seen(store, level, "counts", &state.since_ns[level])
			    ?: first_seen(store, level, "pod_counts", &state.since_ns[level]);
	state.bytes = pages * size;
	if (r == 0)
		*ret_state = state;
	return r;
}
