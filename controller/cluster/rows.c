/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/reasons.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

static const char *label(const json_t *labels, const char *name)
{
	const char *value = json_string_value(json_object_get(labels, name));

	return value ? value : "";
}

/* ---- Parties --------------------------------------------------------------------------------- */

/* The same in every survey, so that what a page has of one edge it finds in the next. FNV-1a. */
static uint32_t number_of(struct bh_cluster_rows *rows, const char *id)
{
	uint32_t number = 2166136261u;

	for (const char *c = id; *c; c++)
		number = (number ^ (unsigned char)*c) * 16777619u;
	while (bh_table_get(&rows->numbers, &number, sizeof(number)))
		number++;
	return number;
}

/* "Deployment/web"; "World"; "unknown-0badcafe". */
static const struct bh_cluster_party *party(
	struct bh_cluster_rows *rows, const char *namespace, const char *workload)
{
	const char *slash = strchr(workload, '/');
	bool unknown = !slash && strncmp(workload, "unknown-", 8) == 0;
	const char *id = bh_arena_printf(rows->arena, "%s/%s", namespace, workload);
	struct bh_cluster_party *party = bh_table_get(&rows->parties, id, strlen(id));

	if (party)
		return party;
	party = bh_arena_new(rows->arena, struct bh_cluster_party);
	party->number = number_of(rows, id);
	party->namespace = bh_arena_strdup(rows->arena, namespace);
	party->kind =
		unknown ? "Unknown"
		: slash ? bh_arena_printf(rows->arena, "%.*s", (int)(slash - workload), workload)
			: bh_arena_strdup(rows->arena, workload);
	party->name = unknown ? bh_arena_strdup(rows->arena, workload)
		      : slash ? bh_arena_strdup(rows->arena, slash + 1)
			      : "";
	bh_table_put(&rows->parties, id, strlen(id), party);
	bh_table_put(&rows->numbers, &party->number, sizeof(party->number), party);
	return party;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Of the words that bulkhead_edge_… have; false if there is no such one. */
static bool read_verdicts(const json_t *labels, struct bh_history_key *key)
{
	const char *verdict = label(labels, "verdict");
	const char *pending = label(labels, "pending");
	bool denied = strcmp(verdict, "denied") == 0;
	/* Without the label (an older node) what denies is meant to. */
	bool would = *pending ? strcmp(pending, "denied") == 0
			      : denied || strcmp(verdict, "would-deny") == 0;

	if (!denied && strcmp(verdict, "allowed") != 0 && strcmp(verdict, "would-deny") != 0)
		return false;
	key->verdict = denied ? BH_REASON_POLICY_DENY : BH_REASON_POLICY;
	key->pending = would ? BH_REASON_POLICY_DENY : BH_REASON_POLICY;
	return true;
}

static bool read_port(const char *text, uint16_t *ret_port)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits] || atoi(text) > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)atoi(text);
	return true;
}

static bool is_other(const json_t *labels)
{
	return strcmp(label(labels, "protocol"), "other") == 0 &&
	       strcmp(label(labels, "port"), "other") == 0;
}

static bool read_key(
	struct bh_cluster_rows *rows, const json_t *labels, struct bh_history_key *ret_key)
{
	const char *end = label(labels, "end");
	const char *source = label(labels, "source_workload");
	const char *destination = label(labels, "destination_workload");
	int protocol = bh_protocol_number(label(labels, "protocol"));
	/* The other end's row is the other node's, and says nothing of the packets: see
	 * bh_history_counts_for(). */
	struct bh_history_key key = {.peer_local = 1};

	if (strcmp(end, "egress") != 0 && strcmp(end, "ingress") != 0)
		return false;
	key.egress = strcmp(end, "egress") == 0;
	if (!*source || !*destination || !read_verdicts(labels, &key))
		return false;
	if (is_other(labels)) {
		/* Whose they are is not known, so the two ends' cannot be taken for one another's.
		 */
		source = destination =
			key.egress ? "Other/seen-by-clients" : "Other/seen-by-servers";
		protocol = 0;
	} else if (protocol < 0 || !read_port(label(labels, "port"), &key.port)) {
		return false;
	}
	key.protocol = (uint8_t)protocol;
	key.client = party(rows, label(labels, "source_namespace"), source)->number;
	key.server = party(rows, label(labels, "destination_namespace"), destination)->number;
	*ret_key = key;
	return true;
}

struct bh_history_edge *bh_cluster_row(
	struct bh_cluster_rows *rows, const json_t *labels, bool *ret_server)
{
	struct bh_history_key key;
	struct bh_history_edge *edge;

	if (!read_key(rows, labels, &key)) {
		rows->strange++;
		return NULL;
	}
	*ret_server = strcmp(label(labels, "from"), "server") == 0;
	edge = bh_table_get(&rows->edges, &key, sizeof(key));
	if (!edge) {
		edge = bh_arena_new(rows->arena, struct bh_history_edge);
		edge->key = key;
		bh_table_put(&rows->edges, &edge->key, sizeof(edge->key), edge);
		rows->others += is_other(labels);
	}
	return edge;
}

struct bh_talk bh_cluster_row_talk(const json_t *labels)
{
	int app = bh_app_number(label(labels, "app"));
	int encrypted = bh_encrypted_number(label(labels, "encrypted"));
	struct bh_talk talk = {0};

	if (app > 0)
		talk.app = (uint8_t)app;
	if (encrypted > 0)
		talk.encrypted = (uint8_t)encrypted;
	return talk;
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool counted(const struct bh_history_counts *counts)
{
	return counts->flows || counts->resets || counts->refusals || counts->packets[0] ||
	       counts->packets[1] || counts->octets[0] || counts->octets[1];
}

static int compare_parties(const void *a, const void *b)
{
	const struct bh_cluster_party *x = a;
	const struct bh_cluster_party *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

void bh_cluster_rows_finish(struct bh_cluster_rows *rows, struct bh_cluster_answer *answer)
{
	const struct bh_cluster_party *from;
	const struct bh_history_edge *edge;

	answer->parties =
		bh_arena_array(&answer->arena, rows->parties.n + 1, struct bh_cluster_party);
	for (size_t at = 0; (from = bh_table_next(&rows->parties, &at));)
		answer->parties[answer->n_parties++] = *from;
	qsort(answer->parties, answer->n_parties, sizeof(*answer->parties), compare_parties);
	answer->edges = bh_arena_array(&answer->arena, rows->edges.n + 1, struct bh_history_edge);
	for (size_t at = 0; (edge = bh_table_next(&rows->edges, &at));) {
		if (counted(&edge->counts))
			answer->edges[answer->n_edges++] = *edge;
	}
	qsort(answer->edges, answer->n_edges, sizeof(*answer->edges), bh_history_compare);
}

void bh_cluster_rows_clear(struct bh_cluster_rows *rows)
{
	bh_table_clear(&rows->parties);
	bh_table_clear(&rows->numbers);
	bh_table_clear(&rows->edges);
}
