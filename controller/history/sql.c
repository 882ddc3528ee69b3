/* SPDX-License-Identifier: Apache-2.0 */

/* SQLite as the store speaks to it: results as -errno, statements kept prepared, transactions. */

#include "controller/history/sql.h"

#include <stdarg.h>

#include "controller/model/memory.h"
#include "proto/cleanup.h"

const uint32_t bh_store_span[BH_HISTORY_LEVELS] = {
	BH_HISTORY_SPAN_0, BH_HISTORY_SPAN_1, BH_HISTORY_SPAN_2};

/* A row that is there already takes the new counts in. */
#define ADD_COUNTS(level)                                                                        \
	"INSERT INTO counts_" level " (bucket, edge, packets_0, packets_1, octets_0, octets_1, " \
	"flows, resets, refusals, first,"                                                        \
	" last, rtt_min, rtt_sum, rtt_n) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"                   \
	" ON CONFLICT (bucket, edge) DO UPDATE SET packets_0 = packets_0 + excluded.packets_0,"  \
	" packets_1 = packets_1 + excluded.packets_1, octets_0 = octets_0 + excluded.octets_0,"  \
	" octets_1 = octets_1 + excluded.octets_1, flows = flows + excluded.flows,"              \
	" resets = resets + excluded.resets, refusals = refusals + excluded.refusals,"           \
	" first = min(first, excluded.first), last = max(last, excluded.last),"                  \
	" rtt_min = CASE WHEN rtt_n = 0 THEN excluded.rtt_min WHEN excluded.rtt_n = 0 THEN "     \
	"rtt_min"                                                                                \
	" ELSE min(rtt_min, excluded.rtt_min) END, rtt_sum = rtt_sum + excluded.rtt_sum,"        \
	" rtt_n = rtt_n + excluded.rtt_n"

#define ADD_POD_COUNTS(level)                                                                    \
	"INSERT INTO pod_counts_" level                                                          \
	" (bucket, pod, began, ended, denials, packets_0, packets_1, octets_0, octets_1, first," \
	" last) VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (bucket, pod) DO UPDATE SET"          \
	" began = began + excluded.began, ended = ended + excluded.ended,"                       \
	" denials = denials + excluded.denials, packets_0 = packets_0 + excluded.packets_0,"     \
	" packets_1 = packets_1 + excluded.packets_1, octets_0 = octets_0 + excluded.octets_0,"  \
	" octets_1 = octets_1 + excluded.octets_1, first = min(first, excluded.first),"          \
	" last = max(last, excluded.last)"

#define ADD_LOST(level)                                             \
	"INSERT INTO lost_" level " (bucket, records) VALUES (?,?)" \
	" ON CONFLICT (bucket) DO UPDATE SET records = records + excluded.records"

static const char *const texts[BH_SQL_STATEMENTS] = {
	[BH_SQL_FIND_EDGE] =
		"SELECT id, seen FROM edges WHERE client = ? AND server = ? AND protocol = ?"
		" AND port = ? AND egress = ? AND verdict = ? AND pending = ? AND rule = ?"
		" AND pending_rule = ? AND family = ? AND peer_local = ?",
	[BH_SQL_NEW_EDGE] =
		"INSERT INTO edges (client, server, protocol, port, egress, verdict, pending, rule,"
		" pending_rule, family, peer_local, seen) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
	/* What is spoken stays known when a batch does not say it; plain text has no version. */
	[BH_SQL_TOUCH_EDGE] =
		"UPDATE edges SET seen = max(seen, ?2), app = CASE ?3 WHEN 0 THEN app ELSE ?3 END,"
		" encrypted = CASE ?4 WHEN 0 THEN encrypted ELSE ?4 END,"
		" tls_version = CASE WHEN ?4 = 1 THEN 0 WHEN ?5 = 0 THEN tls_version ELSE ?5 END,"
		" sni = CASE WHEN ?4 = 1 THEN '' WHEN ?6 = '' THEN sni ELSE ?6 END WHERE id = ?1",
	[BH_SQL_FIND_POD] =
		"SELECT id, seen FROM pods WHERE client_namespace = ? AND client_pod = ?"
		" AND server_namespace = ? AND server_pod = ? AND protocol = ? AND port = ?"
		" AND verdict = ? AND client = ? AND server = ?",
	[BH_SQL_NEW_POD] =
		"INSERT INTO pods (client_namespace, client_pod, server_namespace, server_pod,"
		" protocol, port, verdict, client, server, seen) VALUES (?,?,?,?,?,?,?,?,?,?)",
	[BH_SQL_TOUCH_POD] = "UPDATE pods SET seen = max(seen, ?2) WHERE id = ?1",
	[BH_SQL_ADD_COUNTS] = ADD_COUNTS("0"),
	[BH_SQL_ADD_COUNTS + 1] = ADD_COUNTS("1"),
	[BH_SQL_ADD_COUNTS + 2] = ADD_COUNTS("2"),
	[BH_SQL_ADD_POD_COUNTS] = ADD_POD_COUNTS("0"),
	[BH_SQL_ADD_POD_COUNTS + 1] = ADD_POD_COUNTS("1"),
	[BH_SQL_ADD_POD_COUNTS + 2] = ADD_POD_COUNTS("2"),
	[BH_SQL_ADD_LOST] = ADD_LOST("0"),
	[BH_SQL_ADD_LOST + 1] = ADD_LOST("1"),
	[BH_SQL_ADD_LOST + 2] = ADD_LOST("2"),
	[BH_SQL_PUT_COUNTER] =
		"INSERT OR REPLACE INTO counters (local, remote, port, protocol, egress, verdict,"
		" pending, peer_local, family, packets_0, packets_1, octets_0, octets_1, flows,"
		" resets, refusals, rtt_sum, rtt_n, first_mono, seen, gone)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[BH_SQL_PUT_WORKLOAD] = "INSERT OR REPLACE INTO workloads VALUES (?,?,?,?)",
	[BH_SQL_PUT_RULE] = "INSERT OR REPLACE INTO rules VALUES (?,?,?,?,?,?)",
	[BH_SQL_PUT_META] = "INSERT OR REPLACE INTO meta VALUES (?,?)",
	[BH_SQL_GET_META] = "SELECT value FROM meta WHERE name = ?",
};

int bh_sql_errno(int result)
{
	switch (result & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* tables that are not there, or not as we made them */
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_SCHEMA:
		return -EBADMSG;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_INTERRUPT:
		return -ECANCELED;
	case SQLITE_TOOBIG:
		return -E2BIG;
	default:
		return -EIO;
	}
}

void bh_sql_finalize(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}

static char *format_sql(const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		abort();
	return text;
}

int bh_sql_run(struct bh_store *store, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	text = format_sql(format, arguments);
	va_end(arguments);
	return bh_sql_errno(sqlite3_exec(store->db, text, NULL, NULL, NULL));
}

static int prepare(struct bh_store *store, sqlite3_stmt **ret_statement, const char *text)
{
	return bh_sql_errno(sqlite3_prepare_v2(store->db, text, -1, ret_statement, NULL));
}

int bh_sql_prepare(struct bh_store *store, sqlite3_stmt **ret_statement, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	text = format_sql(format, arguments);
	va_end(arguments);
	return prepare(store, ret_statement, text);
}

int bh_sql_number(struct bh_store *store, uint64_t *ret_number, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_sql_ sqlite3_stmt *statement = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	text = format_sql(format, arguments);
	va_end(arguments);
	r = prepare(store, &statement, text);
	if (r < 0)
		return r;
	r = sqlite3_step(statement);
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		return bh_sql_errno(r);
	*ret_number = r == SQLITE_ROW ? bh_sql_u64(statement, 0) : 0;
	return 0;
}

sqlite3_stmt *bh_sql_kept(struct bh_store *store, enum bh_sql which)
{
	sqlite3_stmt **statement = &store->statements[which];

	if (!*statement && sqlite3_prepare_v3(store->db, texts[which], -1,
				   SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_reset(*statement);
	return *statement;
}

int bh_sql_done(sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	sqlite3_reset(statement);
	return bh_sql_errno(result);
}

int bh_sql_begin(struct bh_store *store)
{
	return bh_sql_run(store, "BEGIN IMMEDIATE");
}

int bh_sql_end(struct bh_store *store, int result)
{
	if (result == 0)
		result = bh_sql_run(store, "COMMIT");
	/* SQLite may have undone it by itself, when the disk was full. */
	if (result < 0 && !sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return result;
}

int bh_store_put_meta(struct bh_store *store, const char *name, uint64_t value)
{
	sqlite3_stmt *statement = bh_sql_kept(store, BH_SQL_PUT_META);

	if (!statement)
		return -EBADMSG;
	bh_sql_bind_text(statement, 1, name);
	bh_sql_bind(statement, 2, value);
	return bh_sql_done(statement);
}

struct bh_history_edge bh_sql_edge(sqlite3_stmt *row)
{
	const char *sni = (const char *)sqlite3_column_text(row, 15);
	struct bh_history_edge edge = {
		.key =
			{
				.client = (uint32_t)bh_sql_u64(row, 1),
				.server = (uint32_t)bh_sql_u64(row, 2),
				.protocol = (uint8_t)bh_sql_u64(row, 3),
				.port = (uint16_t)bh_sql_u64(row, 4),
				.egress = (uint8_t)bh_sql_u64(row, 5),
				.verdict = (uint8_t)bh_sql_u64(row, 6),
				.pending = (uint8_t)bh_sql_u64(row, 7),
				.rule = (uint32_t)bh_sql_u64(row, 8),
				.pending_rule = (uint32_t)bh_sql_u64(row, 9),
				.family = (uint8_t)bh_sql_u64(row, 10),
				.peer_local = (uint8_t)bh_sql_u64(row, 11),
			},
		.talk =
			{
				.app = (uint8_t)bh_sql_u64(row, 12),
				.encrypted = (uint8_t)bh_sql_u64(row, 13),
				.tls_version = (uint16_t)bh_sql_u64(row, 14),
			},
	};

	snprintf(edge.talk.sni, sizeof(edge.talk.sni), "%s", sni ? sni : "");
	return edge;
}
