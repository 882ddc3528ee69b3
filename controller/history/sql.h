/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_SQL_H
#define BULKHEAD_HISTORY_SQL_H

/* What the files of the store share. */

#include <errno.h>

#include <sqlite3.h>

#include "controller/history/store.h"
#include "controller/model/table.h"

/* One after the other kept prepared: a flush runs some of them ten thousand times. */
enum bh_sql {
	BH_SQL_FIND_EDGE,
	BH_SQL_NEW_EDGE,
	BH_SQL_TOUCH_EDGE,
	BH_SQL_FIND_POD,
	BH_SQL_NEW_POD,
	BH_SQL_TOUCH_POD,
	BH_SQL_ADD_COUNTS,
	BH_SQL_ADD_POD_COUNTS = BH_SQL_ADD_COUNTS + BH_HISTORY_LEVELS,
	BH_SQL_ADD_LOST = BH_SQL_ADD_POD_COUNTS + BH_HISTORY_LEVELS,
	BH_SQL_PUT_COUNTER = BH_SQL_ADD_LOST + BH_HISTORY_LEVELS,
	BH_SQL_PUT_WORKLOAD,
	BH_SQL_PUT_RULE,
	BH_SQL_PUT_META,
	BH_SQL_GET_META,
	BH_SQL_STATEMENTS,
};

struct bh_store {
	sqlite3 *db;
	struct bh_store_config config;
	sqlite3_stmt *statements[BH_SQL_STATEMENTS];
	/*
	 * Tables up to level i hold everything before rolled[i] (seconds since 1970, a whole span
	 * of that level); nothing of level i is left before floor[i]. rolled[0] is not used.
	 */
	uint64_t rolled[BH_HISTORY_LEVELS];
	uint64_t floor[BH_HISTORY_LEVELS];
	uint64_t generation;
	uint64_t swept_s; /* when unused names were last looked for */
};

extern const uint32_t bh_store_span[BH_HISTORY_LEVELS];

/* SQLite's result as ours. */
int bh_sql_errno(int result);

/* Runs statements without results. 0 or -errno. */
int bh_sql_run(struct bh_store *store, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* One number; 0 where there is no row. */
int bh_sql_number(struct bh_store *store, uint64_t *ret_number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Prepares one for the caller, who finalizes it. */
int bh_sql_prepare(struct bh_store *store, sqlite3_stmt **ret_statement, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The kept statement, reset. NULL: it cannot be prepared. */
sqlite3_stmt *bh_sql_kept(struct bh_store *store, enum bh_sql which);
/* Runs a kept one to its end. 0 or -errno. */
int bh_sql_done(sqlite3_stmt *statement);

static inline uint64_t bh_sql_u64(sqlite3_stmt *statement, int column)
{
	return (uint64_t)sqlite3_column_int64(statement, column);
}

/*
 * What an edge is and what is spoken, without its counts, of a row whose columns from number 1 on
 * are these.
 */
#define BH_SQL_EDGE_COLUMNS                                                              \
	" client, server, protocol, port, egress, verdict, pending, rule, pending_rule," \
	" family, peer_local, app, encrypted, tls_version, sni"
struct bh_history_edge bh_sql_edge(sqlite3_stmt *row);

static inline void bh_sql_bind(sqlite3_stmt *statement, int index, uint64_t value)
{
	sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
}

/* Text that lives longer than the statement's run. */
static inline void bh_sql_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

/* 0 or -errno of each. */
int bh_sql_begin(struct bh_store *store);
int bh_sql_end(struct bh_store *store, int result); /* commits if `result` is 0, else undoes */

int bh_store_put_meta(struct bh_store *store, const char *name, uint64_t value);

static inline uint64_t bh_span_of(uint64_t second, int level)
{
	return second - second % bh_store_span[level];
}

/* Adds rows; inside a transaction. Times of the counts are absolute. */
int bh_store_add_edge(struct bh_store *store, uint64_t second, const struct bh_history_edge *edge);
int bh_store_add_pod(struct bh_store *store, uint64_t second, const struct bh_history_pod *pod);
int bh_store_add_lost(struct bh_store *store, uint64_t second, uint64_t lost);

/* What bh_store_write() does, inside a transaction. */
int bh_store_put_batch(struct bh_store *store, const struct bh_batch *batch);

void bh_sql_finalize(sqlite3_stmt **statement);
#define _cleanup_sql_ _cleanup_(bh_sql_finalize)

#endif
