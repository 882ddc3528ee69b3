/* SPDX-License-Identifier: Apache-2.0 */

/* The database opened and written; tidy.c ages it, gather.c reads it. */

#include "controller/history/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "controller/history/schema.h"
#include "controller/history/sql.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

/* After a transaction the log is cut down to this. */
#define LOG_BYTES (4 * 1024 * 1024)
/* Pages kept in memory. */
#define CACHE_KIB 8192
/* Another one that holds the file (someone looks at it with sqlite3) is waited for. */
#define BUSY_MS 5000
/* Of a row; a rule's text is what is longest. */
#define ROW_BYTES_MAX (4 * 1024 * 1024)

void bh_batch_free(struct bh_batch *batch)
{
	if (!batch)
		return;
	bh_arena_clear(&batch->arena);
	free(batch);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static int get_meta(struct bh_store *store, const char *name, uint64_t *ret_value)
{
	sqlite3_stmt *statement = bh_sql_kept(store, BH_SQL_GET_META);
	int result;

	if (!statement)
		return -EBADMSG;
	bh_sql_bind_text(statement, 1, name);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		*ret_value = bh_sql_u64(statement, 0);
	sqlite3_reset(statement);
	return bh_sql_errno(result);
}

static int read_marks(struct bh_store *store)
{
	int r = get_meta(store, "generation", &store->generation);

	for (int level = 0; r == 0 && level < BH_HISTORY_LEVELS; level++) {
		char name[24];

		snprintf(name, sizeof(name), "rolled_%d", level);
		r = get_meta(store, name, &store->rolled[level]);
		snprintf(name, sizeof(name), "floor_%d", level);
		if (r == 0)
			r = get_meta(store, name, &store->floor[level]);
	}
	return r;
}

/*
 * The write-ahead log makes a commit one append. synchronous=NORMAL: after a power cut the last
 * transactions may be missing, and the kernel's counters went down with the machine; the file is
 * whole in any case. Held exclusively: the log's index is then no file mapped into memory, which a
 * full disk would turn into a SIGBUS; sqlite3(1) reads a copy.
 */
static int prepare_file(struct bh_store *store)
{
	uint64_t page = 4096;
	int r;

	/* Must come before the first table. */
	r = bh_sql_run(store, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA locking_mode=%s;",
		store->config.path ? "EXCLUSIVE" : "NORMAL");
	if (r == 0)
		r = bh_sql_run(store,
			"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-%d;"
			"PRAGMA journal_size_limit=%d; PRAGMA temp_store=MEMORY;"
			"PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON",
			CACHE_KIB, LOG_BYTES);
	if (r == 0)
		r = bh_sql_number(store, &page, "PRAGMA page_size");
	if (r == 0)
		r = bh_sql_run(store, "PRAGMA max_page_count=%llu",
			(unsigned long long)(store->config.max_bytes / page));
	return r;
}

/*
 * Who talks to whom is nobody else's business. SQLite's other files take the mode of the first. A
 * link may have been laid to have us change another file; what else is wrong is SQLite's to say.
 */
static int make_private(const char *path)
{
	_cleanup_close_ int fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat status;

	if (fd < 0)
		return errno == ELOOP ? -ELOOP : 0;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return -ELOOP;
	fchmod(fd, 0600);
	return 0;
}

static int open_file(struct bh_store *store)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_EXRESCODE;
	int result;

	if (store->config.path && make_private(store->config.path) < 0)
		return -ELOOP;
	result = sqlite3_open_v2(
		store->config.path ? store->config.path : ":memory:", &store->db, flags, NULL);

	if (result != SQLITE_OK)
		return bh_sql_errno(result);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Nothing we write is longer: a file of somebody else's does not fill memory. */
	sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
	return 0;
}

int bh_store_open(
	const struct bh_store_config *config, struct bh_store **ret_store, char **ret_text)
{
	struct bh_store *store = bh_xcalloc(1, sizeof(*store));
	int r;

	store->config = *config;
	r = open_file(store);
	if (r == 0)
		r = prepare_file(store);
	if (r == 0)
		r = bh_schema_make(store, BH_SCHEMA_VERSION);
	if (r == 0)
		r = read_marks(store);
	if (r < 0) {
		*ret_text = bh_xstrdup(r == -EPROTO  ? "a newer version of Bulkhead has made it"
				       : r == -ELOOP ? "it is a link, or no regular file"
						     : bh_store_error(store));
		bh_store_close(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void bh_store_close(struct bh_store *store)
{
	if (!store)
		return;
	for (int i = 0; i < BH_SQL_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	free(store);
}

const char *bh_store_error(const struct bh_store *store)
{
	int system = sqlite3_system_errno(store->db);

	/* "disk I/O error" says less than the system does. */
	if (system && (sqlite3_errcode(store->db) == SQLITE_IOERR ||
			      sqlite3_errcode(store->db) == SQLITE_CANTOPEN))
		return strerror(system);
	return sqlite3_errmsg(store->db);
}

/* ---- Adding rows ----------------------------------------------------------------------------- */

/* Relative to the span: see schema.c. */
static void bind_time(sqlite3_stmt *statement, int index, uint64_t ns, uint64_t bucket)
{
	int64_t us = (int64_t)(ns / 1000) - (int64_t)bucket * 1000000;

	sqlite3_bind_int64(statement, index, us);
}

/*
 * The row's id by a kept statement that finds it, bound up to `n`; `find` and `insert` have the
 * same first parameters. Rows are touched once an hour: `seen` is what says that nobody needs them
 * any more.
 */
static int take_id(sqlite3_stmt *find, uint64_t *ret_id, uint64_t *ret_seen)
{
	int result = sqlite3_step(find);

	*ret_id = 0;
	*ret_seen = 0;
	if (result == SQLITE_ROW) {
		*ret_id = bh_sql_u64(find, 0);
		*ret_seen = bh_sql_u64(find, 1);
	}
	sqlite3_reset(find);
	return bh_sql_errno(result);
}

static void bind_edge(sqlite3_stmt *statement, const struct bh_history_key *key)
{
	const uint64_t values[] = {key->client, key->server, key->protocol, key->port, key->egress,
		key->verdict, key->pending, key->rule, key->pending_rule, key->family,
		key->peer_local};

	for (int i = 0; i < (int)(sizeof(values) / sizeof(values[0])); i++)
		bh_sql_bind(statement, i + 1, values[i]);
}

static bool says_something(const struct bh_talk *talk)
{
	return talk->app || talk->encrypted || talk->tls_version || talk->sni[0];
}

static int touch_edge(
	struct bh_store *store, uint64_t id, uint64_t second, const struct bh_talk *talk)
{
	sqlite3_stmt *touch = bh_sql_kept(store, BH_SQL_TOUCH_EDGE);

	if (!touch)
		return -EBADMSG;
	bh_sql_bind(touch, 1, id);
	bh_sql_bind(touch, 2, second);
	bh_sql_bind(touch, 3, talk->app);
	bh_sql_bind(touch, 4, talk->encrypted);
	bh_sql_bind(touch, 5, talk->tls_version);
	bh_sql_bind_text(touch, 6, talk->sni);
	return bh_sql_done(touch);
}

static int edge_id(struct bh_store *store, uint64_t second, const struct bh_history_edge *edge,
	uint64_t *ret_id)
{
	sqlite3_stmt *find = bh_sql_kept(store, BH_SQL_FIND_EDGE), *insert;
	uint64_t seen;
	int r;

	if (!find)
		return -EBADMSG;
	bind_edge(find, &edge->key);
	r = take_id(find, ret_id, &seen);
	if (r < 0)
		return r;
	if (!*ret_id) {
		insert = bh_sql_kept(store, BH_SQL_NEW_EDGE);
		if (!insert)
			return -EBADMSG;
		bind_edge(insert, &edge->key);
		bh_sql_bind(insert, 12, second);
		r = bh_sql_done(insert);
		*ret_id = (uint64_t)sqlite3_last_insert_rowid(store->db);
		seen = second;
	}
	if (r == 0 && (second >= seen + 3600 || says_something(&edge->talk)))
		r = touch_edge(store, *ret_id, second, &edge->talk);
	return r;
}

/* The tables that have this time already, or must: see store.h. */
static bool belongs(const struct bh_store *store, int level, uint64_t second)
{
	return second >= store->floor[level] && (level == 0 || second < store->rolled[level]);
}

static int add_counts(struct bh_store *store, int level, uint64_t id, uint64_t second,
	const struct bh_history_edge *edge)
{
	sqlite3_stmt *add = bh_sql_kept(store, BH_SQL_ADD_COUNTS + level);
	const struct bh_history_counts *counts = &edge->counts;
	uint64_t bucket = bh_span_of(second, level);

	if (!add)
		return -EBADMSG;
	bh_sql_bind(add, 1, bucket);
	bh_sql_bind(add, 2, id);
	bh_sql_bind(add, 3, counts->packets[0]);
	bh_sql_bind(add, 4, counts->packets[1]);
	bh_sql_bind(add, 5, counts->octets[0]);
	bh_sql_bind(add, 6, counts->octets[1]);
	bh_sql_bind(add, 7, counts->flows);
	bh_sql_bind(add, 8, counts->resets);
	bh_sql_bind(add, 9, counts->refusals);
	bind_time(add, 10, counts->first_ns, bucket);
	bind_time(add, 11, counts->last_ns, bucket);
	bh_sql_bind(add, 12, edge->talk.rtt_min_us);
	bh_sql_bind(add, 13, edge->talk.rtt_sum_us);
	bh_sql_bind(add, 14, edge->talk.rtt_n);
	return bh_sql_done(add);
}

int bh_store_add_edge(struct bh_store *store, uint64_t second, const struct bh_history_edge *edge)
{
	uint64_t id;
	int r = edge_id(store, second, edge, &id);

	for (int level = 0; r == 0 && level < BH_HISTORY_LEVELS; level++) {
		if (belongs(store, level, second))
			r = add_counts(store, level, id, second, edge);
	}
	return r;
}

static void bind_pod(sqlite3_stmt *statement, const struct bh_history_pod *pod)
{
	const char *texts[] = {
		pod->client_namespace, pod->client_pod, pod->server_namespace, pod->server_pod};
	const uint64_t values[] = {
		pod->protocol, pod->port, pod->verdict, pod->client, pod->server};

	for (int i = 0; i < 4; i++)
		bh_sql_bind_text(statement, i + 1, texts[i]);
	for (int i = 0; i < 5; i++)
		bh_sql_bind(statement, i + 5, values[i]);
}

static int pod_id(
	struct bh_store *store, uint64_t second, const struct bh_history_pod *pod, uint64_t *ret_id)
{
	sqlite3_stmt *find = bh_sql_kept(store, BH_SQL_FIND_POD), *other;
	uint64_t seen;
	int r;

	if (!find)
		return -EBADMSG;
	bind_pod(find, pod);
	r = take_id(find, ret_id, &seen);
	if (r < 0 || (*ret_id && second < seen + 3600))
		return r;
	other = bh_sql_kept(store, *ret_id ? BH_SQL_TOUCH_POD : BH_SQL_NEW_POD);
	if (!other)
		return -EBADMSG;
	if (*ret_id) {
		bh_sql_bind(other, 1, *ret_id);
		bh_sql_bind(other, 2, second);
		return bh_sql_done(other);
	}
	bind_pod(other, pod);
	bh_sql_bind(other, 10, second);
	r = bh_sql_done(other);
	*ret_id = (uint64_t)sqlite3_last_insert_rowid(store->db);
	return r;
}

static int add_pod_counts(struct bh_store *store, int level, uint64_t id, uint64_t second,
	const struct bh_history_pod *pod)
{
	sqlite3_stmt *add = bh_sql_kept(store, BH_SQL_ADD_POD_COUNTS + level);
	uint64_t bucket = bh_span_of(second, level);
	const uint64_t values[] = {bucket, id, pod->began, pod->ended, pod->denials,
		pod->packets[0], pod->packets[1], pod->octets[0], pod->octets[1]};

	if (!add)
		return -EBADMSG;
	for (int i = 0; i < 9; i++)
		bh_sql_bind(add, i + 1, values[i]);
	bind_time(add, 10, pod->first_ns, bucket);
	bind_time(add, 11, pod->last_ns, bucket);
	return bh_sql_done(add);
}

int bh_store_add_pod(struct bh_store *store, uint64_t second, const struct bh_history_pod *pod)
{
	uint64_t id;
	int r = pod_id(store, second, pod, &id);

	for (int level = 0; r == 0 && level < BH_HISTORY_LEVELS; level++) {
		if (belongs(store, level, second))
			r = add_pod_counts(store, level, id, second, pod);
	}
	return r;
}

int bh_store_add_lost(struct bh_store *store, uint64_t second, uint64_t lost)
{
	int r = 0;

	for (int level = 0; r == 0 && level < BH_HISTORY_LEVELS; level++) {
		sqlite3_stmt *add;

		if (!belongs(store, level, second))
			continue;
		add = bh_sql_kept(store, BH_SQL_ADD_LOST + level);
		if (!add)
			return -EBADMSG;
		bh_sql_bind(add, 1, bh_span_of(second, level));
		bh_sql_bind(add, 2, lost);
		r = bh_sql_done(add);
	}
	return r;
}

/* ---- A batch --------------------------------------------------------------------------------- */

/* When it was, as far as that can be believed: no later than now, no earlier than is kept. */
static uint64_t second_of(const struct bh_store *store, uint64_t last_ns, uint64_t now_ns)
{
	uint64_t oldest = now_ns / 1000000000 - store->config.keep_days * 86400ull;
	uint64_t second = (last_ns && last_ns < now_ns ? last_ns : now_ns) / 1000000000;

	return second < oldest ? now_ns / 1000000000 : second;
}

static int put_counter(struct bh_store *store, const struct bh_counter *counter)
{
	sqlite3_stmt *put = bh_sql_kept(store, BH_SQL_PUT_COUNTER);
	const struct bh_counter_key *key = &counter->key;
	const uint64_t values[] = {key->local, key->remote, key->port, key->protocol, key->egress,
		key->verdict, key->pending, key->peer_local, key->family, counter->packets[0],
		counter->packets[1], counter->octets[0], counter->octets[1], counter->flows,
		counter->resets, counter->refusals, counter->rtt_sum_us, counter->rtt_n,
		counter->first_mono, counter->seen_s, counter->gone};

	if (!put)
		return -EBADMSG;
	for (int i = 0; i < (int)(sizeof(values) / sizeof(values[0])); i++)
		bh_sql_bind(put, i + 1, values[i]);
	return bh_sql_done(put);
}

static int put_workload(struct bh_store *store, const struct bh_workload_name *workload)
{
	sqlite3_stmt *put = bh_sql_kept(store, BH_SQL_PUT_WORKLOAD);

	if (!put)
		return -EBADMSG;
	bh_sql_bind(put, 1, workload->number);
	bh_sql_bind_text(put, 2, workload->namespace);
	bh_sql_bind_text(put, 3, workload->kind);
	bh_sql_bind_text(put, 4, workload->name);
	return bh_sql_done(put);
}

static int put_rule(struct bh_store *store, const struct bh_rule_label *rule)
{
	sqlite3_stmt *put = bh_sql_kept(store, BH_SQL_PUT_RULE);

	if (!put)
		return -EBADMSG;
	bh_sql_bind(put, 1, rule->number);
	bh_sql_bind_text(put, 2, rule->namespace);
	bh_sql_bind_text(put, 3, rule->policy);
	bh_sql_bind(put, 4, rule->egress);
	bh_sql_bind(put, 5, (uint64_t)rule->index);
	bh_sql_bind_text(put, 6, rule->text);
	return bh_sql_done(put);
}

static int put_names(struct bh_store *store, const struct bh_batch *batch)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < batch->n_workloads; i++)
		r = put_workload(store, &batch->workloads[i]);
	for (size_t i = 0; r == 0 && i < batch->n_rules; i++)
		r = put_rule(store, &batch->rules[i]);
	return r;
}

/* Counters that began anew have nothing to do with those before. */
static int put_generation(struct bh_store *store, uint64_t generation)
{
	int r;

	if (!generation || generation == store->generation)
		return 0;
	r = bh_sql_run(store, "DELETE FROM counters");
	return r ? r : bh_store_put_meta(store, "generation", generation);
}

int bh_store_put_batch(struct bh_store *store, const struct bh_batch *batch)
{
	int r = put_generation(store, batch->generation);

	for (size_t i = 0; r == 0 && i < batch->n_edges; i++)
		r = bh_store_add_edge(store,
			second_of(store, batch->edges[i].counts.last_ns, batch->time_ns),
			&batch->edges[i]);
	for (size_t i = 0; r == 0 && i < batch->n_pods; i++)
		r = bh_store_add_pod(store,
			second_of(store, batch->pods[i].last_ns, batch->time_ns), &batch->pods[i]);
	if (r == 0 && batch->lost)
		r = bh_store_add_lost(store, batch->time_ns / 1000000000, batch->lost);
	for (size_t i = 0; r == 0 && i < batch->n_counters; i++)
		r = put_counter(store, &batch->counters[i]);
	return r == 0 ? put_names(store, batch) : r;
}

int bh_store_write(struct bh_store *store, const struct bh_batch *batch)
{
	int r = bh_sql_begin(store);

	if (r < 0)
		return r;
	r = bh_sql_end(store, bh_store_put_batch(store, batch));
	if (r == 0 && batch->generation)
		store->generation = batch->generation;
	return r;
}
