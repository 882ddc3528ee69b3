/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/edge.h"

#include <netinet/in.h>

#include "bulkhead/reasons.h"
#include "controller/model/memory.h"

bool bh_replay_is_pods(const struct bh_desired_workload *workload)
{
	static const char *const others[] = {"World", "Node", "Held", "Service"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!strcmp(workload->kind, others[i]))
			return false;
	}
	return true;
}

bool bh_replay_is_world(const struct bh_desired_workload *workload)
{
	return !strcmp(workload->kind, "World");
}

bool bh_replay_has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

void bh_replay_edge_id(const struct bh_replay_edge *edge, char ret_id[BH_REPLAY_ID_MAX])
{
	const struct bh_desired_workload *ends[2] = {edge->client, edge->server};
	uint32_t hash = 2166136261u; /* FNV-1a */
	char *text = bh_xasprintf("%s\n%s\n%s\n%s\n%s\n%s\n%u\n%u", ends[0]->namespace,
		ends[0]->kind, ends[0]->name, ends[1]->namespace, ends[1]->kind, ends[1]->name,
		edge->protocol, edge->port);

	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		hash = (hash ^ *c) * 16777619u;
	free(text);
	snprintf(ret_id, BH_REPLAY_ID_MAX, "%08x", hash);
}

/* Passes and drops that come from policy, or from there being none. */
static bool is_policy(uint8_t reason)
{
	return reason == BH_REASON_POLICY || reason == BH_REASON_NOT_ISOLATED ||
	       reason == BH_REASON_OPEN || reason == BH_REASON_NODE ||
	       reason == BH_REASON_SERVICE || reason == BH_REASON_ISOLATED ||
	       reason == BH_REASON_POLICY_DENY;
}

/* The latest row of each end says how the conversation stands. */
static void judge(struct bh_replay_edge *edge, const struct bh_history_edge *const latest[2])
{
	for (int i = 0; i < 2; i++) {
		if (!latest[i])
			continue;
		edge->denied |= !BH_REASON_PASSES(latest[i]->key.verdict);
		edge->would_deny |= !BH_REASON_PASSES(latest[i]->key.pending);
	}
	edge->would_deny &= !edge->denied;
}

static void add_row(
	struct bh_replay_edge *edge, const struct bh_history_edge *row, bool client_seen)
{
	const struct bh_history_counts *counts = &row->counts;

	if (!edge->first_ns || counts->first_ns < edge->first_ns)
		edge->first_ns = counts->first_ns;
	if (counts->last_ns > edge->last_ns)
		edge->last_ns = counts->last_ns;
	edge->node_probe |= row->key.verdict == BH_REASON_NODE;
	if (!bh_history_counts_for(&row->key, client_seen))
		return;
	for (int i = 0; i < 2; i++) {
		edge->packets[i] += counts->packets[i];
		edge->octets[i] += counts->octets[i];
	}
	edge->flows += counts->flows;
	edge->resets += counts->resets;
}

static bool is_outside_of(const struct bh_replay_outside *outside, const struct bh_history_key *key)
{
	return outside->client == key->client && outside->server == key->server &&
	       outside->protocol == key->protocol && outside->port == key->port;
}

static void add_blocks(struct bh_arena *arena, struct bh_replay_edge *edge,
	const struct bh_history_key *key, size_t n, const struct bh_replay_outside *outside)
{
	struct bh_prefix *blocks;
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += is_outside_of(&outside[i], key);
	blocks = bh_arena_array(arena, found, struct bh_prefix);
	for (size_t i = 0; i < n; i++) {
		if (is_outside_of(&outside[i], key))
			blocks[edge->n_blocks++] = outside[i].block;
	}
	edge->blocks = blocks;
}

void bh_replay_edges_make(struct bh_replay_edges *edges, size_t n,
	const struct bh_history_edge *rows, size_t n_outside,
	const struct bh_replay_outside *outside,
	const struct bh_desired_workload *(*name)(void *data, uint32_t number), void *data)
{
	size_t end;

	edges->edges = bh_arena_array(&edges->arena, n, struct bh_replay_edge);
	edges->n = 0;
	for (size_t i = 0; i < n; i = end) {
		const struct bh_history_key *key = &rows[i].key;
		struct bh_replay_edge edge = {
			.client = name(data, key->client),
			.server = name(data, key->server),
			.protocol = key->protocol,
			.port = key->port,
			.family = key->family,
		};
		const struct bh_history_edge *latest[2] = {NULL, NULL};

		for (end = i; end < n && bh_history_same_conversation(key, &rows[end].key); end++) {
			if (!is_policy(rows[end].key.verdict))
				continue;
			/* The client's end comes first. */
			add_row(&edge, &rows[end], rows[i].key.egress);
			bool egress = rows[end].key.egress;

			if (!latest[egress] ||
				rows[end].counts.last_ns > latest[egress]->counts.last_ns)
				latest[egress] = &rows[end];
		}
		if ((!latest[0] && !latest[1]) || !edge.client || !edge.server)
			continue;
		judge(&edge, latest);
		if (bh_replay_is_world(edge.client) || bh_replay_is_world(edge.server))
			add_blocks(&edges->arena, &edge, key, n_outside, outside);
		edges->edges[edges->n++] = edge;
	}
}

void bh_replay_edges_clear(struct bh_replay_edges *edges)
{
	bh_arena_clear(&edges->arena);
}
