/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The tables, and how those of an older version become today's. Each step is one transaction, and
 * PRAGMA user_version says how many have been made.
 *
 * Times of rows are microseconds relative to the row's span, so that they are small numbers:
 * SQLite stores an integer in as many bytes as it needs.
 */

#include "controller/history/schema.h"

#include "controller/history/sql.h"

/* The columns of counts_0, _1 and _2. */
#define COUNTS                                                                                 \
	"bucket INTEGER NOT NULL, edge INTEGER NOT NULL,"                                      \
	" packets_0 INTEGER NOT NULL, packets_1 INTEGER NOT NULL,"                             \
	" octets_0 INTEGER NOT NULL, octets_1 INTEGER NOT NULL,"                               \
	" flows INTEGER NOT NULL, resets INTEGER NOT NULL,"                                    \
	" first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (bucket, edge)) WITHOUT " \
	"ROWID;"

#define POD_COUNTS                                                                            \
	"bucket INTEGER NOT NULL, pod INTEGER NOT NULL,"                                      \
	" began INTEGER NOT NULL, ended INTEGER NOT NULL, denials INTEGER NOT NULL,"          \
	" packets_0 INTEGER NOT NULL, packets_1 INTEGER NOT NULL,"                            \
	" octets_0 INTEGER NOT NULL, octets_1 INTEGER NOT NULL,"                              \
	" first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (bucket, pod)) WITHOUT " \
	"ROWID;"

#define LOST "bucket INTEGER PRIMARY KEY, records INTEGER NOT NULL);"

/* What a handshake took, and who refused: came with version 2. */
#define TALK_COUNTS(level)                                                             \
	"ALTER TABLE counts_" level " ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;" \
	"ALTER TABLE counts_" level " ADD COLUMN rtt_min INTEGER NOT NULL DEFAULT 0;"  \
	"ALTER TABLE counts_" level " ADD COLUMN rtt_sum INTEGER NOT NULL DEFAULT 0;"  \
	"ALTER TABLE counts_" level " ADD COLUMN rtt_n INTEGER NOT NULL DEFAULT 0;"

static const char *const steps[] = {
	/* 1: edges, their names, and how far the kernel's counters have been recorded. */
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE workloads (number INTEGER PRIMARY KEY, namespace TEXT NOT NULL,"
	" kind TEXT NOT NULL, name TEXT NOT NULL);"
	"CREATE TABLE rules (number INTEGER PRIMARY KEY, namespace TEXT NOT NULL,"
	" policy TEXT NOT NULL, egress INTEGER NOT NULL, place INTEGER NOT NULL,"
	" text TEXT NOT NULL);"
	"CREATE TABLE edges (id INTEGER PRIMARY KEY, client INTEGER NOT NULL,"
	" server INTEGER NOT NULL, protocol INTEGER NOT NULL, port INTEGER NOT NULL,"
	" egress INTEGER NOT NULL, verdict INTEGER NOT NULL, pending INTEGER NOT NULL,"
	" rule INTEGER NOT NULL, pending_rule INTEGER NOT NULL, family INTEGER NOT NULL,"
	" peer_local INTEGER NOT NULL, seen INTEGER NOT NULL,"
	" UNIQUE (client, server, protocol, port, egress, verdict, pending, rule, pending_rule,"
	" family, peer_local));"
	"CREATE TABLE counts_0 (" COUNTS "CREATE TABLE counts_1 (" COUNTS
	"CREATE TABLE counts_2 (" COUNTS
	"CREATE TABLE counters (local INTEGER NOT NULL, remote INTEGER NOT NULL,"
	" port INTEGER NOT NULL, protocol INTEGER NOT NULL, egress INTEGER NOT NULL,"
	" verdict INTEGER NOT NULL, pending INTEGER NOT NULL, peer_local INTEGER NOT NULL,"
	" family INTEGER NOT NULL, packets_0 INTEGER NOT NULL, packets_1 INTEGER NOT NULL,"
	" octets_0 INTEGER NOT NULL, octets_1 INTEGER NOT NULL, flows INTEGER NOT NULL,"
	" resets INTEGER NOT NULL, first_mono INTEGER NOT NULL, seen INTEGER NOT NULL,"
	" gone INTEGER NOT NULL, PRIMARY KEY (local, remote, port, protocol, egress, verdict,"
	" pending, peer_local, family)) WITHOUT ROWID;",

	/* 2: conversations of pods, and what is spoken. */
	"CREATE TABLE pods (id INTEGER PRIMARY KEY, client INTEGER NOT NULL,"
	" server INTEGER NOT NULL, client_namespace TEXT NOT NULL, client_pod TEXT NOT NULL,"
	" server_namespace TEXT NOT NULL, server_pod TEXT NOT NULL, protocol INTEGER NOT NULL,"
	" port INTEGER NOT NULL, verdict INTEGER NOT NULL, seen INTEGER NOT NULL,"
	" UNIQUE (client_namespace, client_pod, server_namespace, server_pod, protocol, port,"
	" verdict, client, server));"
	"CREATE TABLE pod_counts_0 (" POD_COUNTS "CREATE TABLE pod_counts_1 (" POD_COUNTS
	"CREATE TABLE pod_counts_2 (" POD_COUNTS "CREATE TABLE lost_0 (" LOST
	"CREATE TABLE lost_1 (" LOST "CREATE TABLE lost_2 (" LOST
	"ALTER TABLE edges ADD COLUMN app INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE edges ADD COLUMN encrypted INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE edges ADD COLUMN tls_version INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE edges ADD COLUMN sni TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE counters ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;" TALK_COUNTS("0")
		TALK_COUNTS("1") TALK_COUNTS("2"),

	/* 3: how far the round-trips of a counter have been recorded. */
	"ALTER TABLE counters ADD COLUMN rtt_sum INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE counters ADD COLUMN rtt_n INTEGER NOT NULL DEFAULT 0;",
};

_Static_assert(sizeof(steps) / sizeof(steps[0]) == BH_SCHEMA_VERSION, "a step a version");

int bh_schema_make(struct bh_store *store, unsigned int version)
{
	uint64_t made = 0;
	int r = bh_sql_number(store, &made, "PRAGMA user_version");

	if (r < 0)
		return r;
	if (made > BH_SCHEMA_VERSION)
		return -EPROTO;
	for (; r == 0 && made < version; made++) {
		r = bh_sql_begin(store);
		if (r == 0)
			r = bh_sql_run(store, "%s", steps[made]);
		if (r == 0)
			r = bh_sql_run(store, "PRAGMA user_version=%u", (unsigned int)made + 1);
		r = bh_sql_end(store, r);
	}
	return r;
}
