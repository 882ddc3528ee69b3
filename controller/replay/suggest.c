/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/suggest.h"

#include <netinet/in.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/replay/backends.h"
#include "controller/replay/labels.h"
#include "controller/replay/write.h"

/* So many ports of one server that one client tried are no service: a scan. */
#define SCAN_PORTS 24
/* So many servers and ports that one client tried without an answer are none either. */
#define SCAN_TRIES 16

static const struct {
	const char *word;
	const char *sentence;
} fates[BH_SUGGEST_FATES] = {
	[BH_SUGGEST_INCLUDED] = {"included", "is in the suggestion"},
	[BH_SUGGEST_REJECTED] = {"rejected", "was rejected before"},
	[BH_SUGGEST_DENIED] = {"denied", "was denied when last seen"},
	[BH_SUGGEST_WOULD_DENY] = {"would-deny", "a policy in dry-run does not allow it"},
	[BH_SUGGEST_SCAN] = {"scan", "looks like a scan: very many ports"},
	[BH_SUGGEST_UNANSWERED] = {"unanswered", "was never answered, or refused"},
	[BH_SUGGEST_UNNAMED] = {"unnamed", "an end has no stable labels, or no known address, to "
					   "name it by: approved, its whole "
					   "namespace, or all the world, is named"},
	[BH_SUGGEST_NO_PORTS] = {"no-ports",
		"has no ports: approved, every port between the two is opened"},
	[BH_SUGGEST_GONE] = {"gone", "no pod of one end exists any more"},
	[BH_SUGGEST_ELSEWHERE] = {"elsewhere", "no policy of this namespace decides it"},
};

const char *bh_suggest_word(enum bh_suggest_fate fate)
{
	return fates[fate].word;
}

const char *bh_suggest_sentence(enum bh_suggest_fate fate)
{
	return fates[fate].sentence;
}

/* A workload that was seen, and how it is named. */
struct party {
	const struct bh_desired_workload *workload;
	struct bh_replay_labels labels;
	size_t tries; /* servers and ports without an answer */
	char key[];
};

/* One client's ports at one server. */
struct pair {
	size_t ports;
	char key[];
};

struct making {
	const struct bh_suggest_query *query;
	struct bh_suggestion *suggestion;
	struct bh_table parties;
	struct bh_table pairs;
};

/* ---- Who and how much ------------------------------------------------------------------------ */

static struct party *party_of(struct making *making, const struct bh_desired_workload *workload)
{
	char *key = bh_xasprintf("%s\n%s\n%s", workload->namespace, workload->kind, workload->name);
	size_t size = strlen(key);
	struct party *party = bh_table_get(&making->parties, key, size);

	if (!party) {
		party = bh_xcalloc(1, sizeof(*party) + size + 1);
		memcpy(party->key, key, size);
		party->workload = workload;
		if (bh_replay_is_pods(workload))
			party->labels = bh_replay_labels_of(
				&making->suggestion->arena, making->query->model, workload);
		bh_table_put(&making->parties, party->key, size, party);
	}
	free(key);
	return party;
}

static struct pair *pair_of(struct making *making, const struct bh_replay_edge *edge)
{
	char *key = bh_xasprintf(
		"%s\n%s", party_of(making, edge->client)->key, party_of(making, edge->server)->key);
	size_t size = strlen(key);
	struct pair *pair = bh_table_get(&making->pairs, key, size);

	if (!pair) {
		pair = bh_xcalloc(1, sizeof(*pair) + size + 1);
		memcpy(pair->key, key, size);
		bh_table_put(&making->pairs, pair->key, size, pair);
	}
	free(key);
	return pair;
}

/* TCP to which nothing came back, or nothing but resets. Others need not answer. */
static bool is_unanswered(const struct bh_replay_edge *edge)
{
	return edge->protocol == IPPROTO_TCP &&
	       (edge->packets[1] == 0 ||
		       (edge->resets >= edge->flows && edge->packets[0] <= 2 * edge->flows));
}

/* Every party is known after this. */
static void measure(struct making *making)
{
	const struct bh_replay_edges *edges = making->query->edges;

	for (size_t i = 0; i < edges->n; i++) {
		const struct bh_replay_edge *edge = &edges->edges[i];
		struct bh_replay_edge behind;

		if (bh_replay_has_ports(edge->protocol))
			pair_of(making, edge)->ports++;
		if (is_unanswered(edge))
			party_of(making, edge->client)->tries++;
		for (size_t j = 0; j < bh_replay_behind(edge, j, &behind); j++)
			party_of(making, behind.server);
	}
}

/* ---- What becomes of a conversation ---------------------------------------------------------- */

static bool wanted_namespace(const struct making *making, const struct bh_desired_workload *end)
{
	return bh_replay_is_pods(end) &&
	       (!making->query->namespace || !strcmp(end->namespace, making->query->namespace));
}

static bool is_wanted(const struct making *making, const struct bh_replay_edge *edge)
{
	struct bh_replay_edge behind;
	bool wanted = wanted_namespace(making, edge->client);

	for (size_t i = 0; !edge->node_probe && i < bh_replay_behind(edge, i, &behind); i++)
		wanted |= wanted_namespace(making, behind.server);
	return wanted;
}

static bool is_named(struct making *making, const struct bh_replay_edge *edge,
	const struct bh_desired_workload *end)
{
	if (bh_replay_is_pods(end))
		return party_of(making, end)->labels.n != 0;
	return !bh_replay_is_world(end) || edge->n_blocks || end->name[0];
}

static bool are_named(struct making *making, const struct bh_replay_edge *edge)
{
	struct bh_replay_edge behind;
	bool named = is_named(making, edge, edge->client);

	for (size_t i = 0; i < bh_replay_behind(edge, i, &behind); i++)
		named &= is_named(making, &behind, behind.server);
	return named;
}

/* A service is gone when nothing is behind it. */
static bool is_gone(struct making *making, const struct bh_replay_edge *edge)
{
	const struct bh_desired_workload *ends[2] = {edge->client, edge->server};

	for (int i = 0; i < 2; i++) {
		if (bh_replay_is_pods(ends[i]) && !party_of(making, ends[i])->labels.exists)
			return true;
	}
	return bh_replay_is_service(edge->server) && !edge->n_backends;
}

static bool is_scan(struct making *making, const struct bh_replay_edge *edge)
{
	if (!bh_replay_has_ports(edge->protocol))
		return false;
	return edge->port == 0 || pair_of(making, edge)->ports > SCAN_PORTS ||
	       (is_unanswered(edge) && party_of(making, edge->client)->tries > SCAN_TRIES);
}

static enum bh_suggest_fate fate_of(
	struct making *making, const struct bh_replay_edge *edge, const char *id)
{
	const struct bh_suggest_query *query = making->query;

	if (!is_wanted(making, edge))
		return BH_SUGGEST_ELSEWHERE;
	if (query->rejected && query->rejected(query->data, id))
		return BH_SUGGEST_REJECTED;
	if (is_gone(making, edge))
		return BH_SUGGEST_GONE;
	if (query->approved && query->approved(query->data, id))
		return BH_SUGGEST_INCLUDED;
	if (edge->denied)
		return BH_SUGGEST_DENIED;
	if (edge->would_deny)
		return BH_SUGGEST_WOULD_DENY;
	if (is_scan(making, edge))
		return BH_SUGGEST_SCAN;
	if (is_unanswered(edge))
		return BH_SUGGEST_UNANSWERED;
	if (!are_named(making, edge))
		return BH_SUGGEST_UNNAMED;
	if (!bh_replay_has_ports(edge->protocol))
		return BH_SUGGEST_NO_PORTS;
	return BH_SUGGEST_INCLUDED;
}

/* ---- Policies -------------------------------------------------------------------------------- */

/* The end as a peer. NULL: nothing can name it. */
static json_t *peer_of(struct making *making, const struct bh_replay_edge *edge,
	const struct bh_desired_workload *end, const char *own_namespace)
{
	json_t *peer;

	if (!bh_replay_is_pods(end))
		return bh_write_blocks(making->query->model, edge, end);
	peer = json_pack("{s:o}", "podSelector", bh_write_selector(&party_of(making, end)->labels));
	if (strcmp(end->namespace, own_namespace))
		json_object_set_new(peer, "namespaceSelector",
			json_pack("{s:{s:s}}", "matchLabels", "kubernetes.io/metadata.name",
				end->namespace));
	return json_pack("[o]", peer);
}

/* `edge` is what was seen, or one of the backends behind it. */
static void add_rules(struct making *making, struct bh_writer *writer, struct party *party,
	const struct bh_suggest_edge *seen, const struct bh_replay_edge *edge)
{
	const char *namespace = party->workload->namespace;
	struct party *ends[2] = {party_of(making, edge->server), party_of(making, edge->client)};

	/* [0] ingress, [1] egress: party is the server, the client. */
	for (int egress = 0; egress < 2; egress++) {
		struct party *own = ends[egress], *peer = ends[1 - egress];
		json_t *peers;

		/* Who has no labels of its own is subject to whatever selects some pod of it. */
		if (own != party && (own->labels.n || !bh_replay_is_pods(own->workload) ||
					    !bh_replay_labels_select(making->query->model,
						    namespace, &party->labels, own->workload)))
			continue;
		if (!egress && edge->node_probe)
			continue;
		peers = peer_of(making, edge, peer->workload, namespace);
		bh_writer_add(writer, egress, peers, edge, seen);
		json_decref(peers);
	}
}

static bool is_of(
	struct making *making, const struct bh_replay_edge *edge, const struct party *party)
{
	struct bh_replay_edge behind;

	for (size_t i = 0; i < bh_replay_behind(edge, i, &behind); i++) {
		if (party_of(making, behind.client) == party ||
			party_of(making, behind.server) == party)
			return true;
	}
	return false;
}

static bool has_edge(struct making *making, const struct party *party)
{
	const struct bh_suggestion *suggestion = making->suggestion;

	for (size_t i = 0; i < suggestion->n_edges; i++) {
		if (suggestion->edges[i].fate == BH_SUGGEST_INCLUDED &&
			is_of(making, suggestion->edges[i].edge, party))
			return true;
	}
	return false;
}

static void write_policy(struct making *making, struct party *party)
{
	struct bh_suggestion *suggestion = making->suggestion;
	struct bh_writer *writer = bh_writer_new(party->workload, &party->labels);
	struct bh_replay_edge behind;

	for (size_t i = 0; i < suggestion->n_edges; i++) {
		const struct bh_suggest_edge *seen = &suggestion->edges[i];

		if (seen->fate != BH_SUGGEST_INCLUDED)
			continue;
		for (size_t j = 0; j < bh_replay_behind(seen->edge, j, &behind); j++)
			add_rules(making, writer, party, seen, &behind);
	}
	bh_writer_finish(
		writer, &suggestion->arena, &suggestion->policies[suggestion->n_policies++]);
}

static int compare_parties(const void *a, const void *b)
{
	return strcmp((*(struct party *const *)a)->key, (*(struct party *const *)b)->key);
}

static void write_policies(struct making *making)
{
	struct bh_suggestion *suggestion = making->suggestion;
	struct party **parties = bh_xcalloc(making->parties.n, sizeof(*parties)), *party;
	size_t n = 0;

	for (size_t at = 0; (party = bh_table_next(&making->parties, &at));) {
		if (wanted_namespace(making, party->workload) && party->labels.n &&
			has_edge(making, party))
			parties[n++] = party;
	}
	if (n)
		qsort(parties, n, sizeof(*parties), compare_parties);
	suggestion->policies = bh_arena_array(&suggestion->arena, n, struct bh_suggest_policy);
	for (size_t i = 0; i < n; i++)
		write_policy(making, parties[i]);
	free(parties);
}

static void forget_policies(struct bh_suggestion *suggestion)
{
	for (size_t i = 0; i < suggestion->n_policies; i++)
		json_decref(suggestion->policies[i].manifest);
	suggestion->n_policies = 0;
}

/*
 * Asks the compiler. What the suggestion would deny after all (labels that overlap in ways that no
 * policy can tell apart) is not called approved. True if every one is allowed.
 */
static bool check(struct making *making, const struct bh_replay_world *now)
{
	struct bh_suggestion *suggestion = making->suggestion;
	struct bh_replay_change *changes = bh_xcalloc(suggestion->n_policies, sizeof(*changes));
	struct bh_replay_world *then;
	bool all = true;

	for (size_t i = 0; i < suggestion->n_policies; i++)
		changes[i] = (struct bh_replay_change){
			.namespace = suggestion->policies[i].namespace,
			.name = suggestion->policies[i].name,
			.spec = json_object_get(suggestion->policies[i].manifest, "spec"),
		};
	then = bh_replay_world_new(
		making->query->model, making->query->edges, suggestion->n_policies, changes);
	for (size_t i = 0; i < suggestion->n_edges; i++) {
		struct bh_suggest_edge *seen = &suggestion->edges[i];

		if (seen->fate != BH_SUGGEST_INCLUDED)
			continue;
		if (bh_replay_judge(then, seen->edge).denied &&
			!bh_replay_judge(now, seen->edge).denied) {
			seen->fate = BH_SUGGEST_UNNAMED;
			all = false;
		}
	}
	bh_replay_world_free(then);
	free(changes);
	return all;
}

static void free_all(struct bh_table *table)
{
	void *value;

	for (size_t at = 0; (value = bh_table_next(table, &at));)
		free(value);
	bh_table_clear(table);
}

struct bh_suggestion *bh_suggest(const struct bh_suggest_query *query)
{
	struct bh_suggestion *suggestion = bh_xcalloc(1, sizeof(*suggestion));
	struct making making = {.query = query, .suggestion = suggestion};
	struct bh_replay_world *now = bh_replay_world_new(query->model, query->edges, 0, NULL);

	measure(&making);
	suggestion->edges =
		bh_arena_array(&suggestion->arena, query->edges->n, struct bh_suggest_edge);
	for (size_t i = 0; i < query->edges->n; i++) {
		struct bh_suggest_edge *seen = &suggestion->edges[suggestion->n_edges++];

		seen->edge = &query->edges->edges[i];
		bh_replay_edge_id(seen->edge, seen->id);
		seen->fate = fate_of(&making, seen->edge, seen->id);
	}
	/* Each round takes out at least one. */
	do {
		forget_policies(suggestion);
		write_policies(&making);
	} while (!check(&making, now));
	bh_replay_world_free(now);
	free_all(&making.parties);
	free_all(&making.pairs);
	return suggestion;
}

void bh_suggestion_free(struct bh_suggestion *suggestion)
{
	if (!suggestion)
		return;
	forget_policies(suggestion);
	bh_arena_clear(&suggestion->arena);
	free(suggestion);
}
