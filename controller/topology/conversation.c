/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

struct bh_sight *bh_sight_copy(const struct bh_sight *sight)
{
	struct bh_sight *copy;

	if (!sight)
		return NULL;
	copy = bh_xcalloc(1, sizeof(*copy));
	copy->n = sight->n;
	copy->namespaces = bh_xcalloc(sight->n, sizeof(*copy->namespaces));
	for (size_t i = 0; i < sight->n; i++)
		copy->namespaces[i] = bh_xstrdup(sight->namespaces[i]);
	return copy;
}

void bh_sight_free(struct bh_sight *sight)
{
	if (!sight)
		return;
	for (size_t i = 0; i < sight->n; i++)
		free(sight->namespaces[i]);
	free(sight->namespaces);
	free(sight);
}

bool bh_sight_sees(const struct bh_sight *sight, const char *namespace)
{
	if (!sight || !*namespace)
		return true;
	for (size_t i = 0; i < sight->n; i++) {
		if (strcmp(sight->namespaces[i], namespace) == 0)
			return true;
	}
	return false;
}

/* True if something that is inside one of the namespaces is meant: an end a viewer asks for. */
static bool is_inside(const struct bh_sight *sight, const struct bh_party *party)
{
	return !sight || (*party->namespace && bh_sight_sees(sight, party->namespace));
}

/* ---- One conversation ------------------------------------------------------------------------ */

static void add_counts(struct bh_history_counts *to, const struct bh_history_counts *from)
{
	for (int i = 0; i < 2; i++) {
		to->packets[i] += from->packets[i];
		to->octets[i] += from->octets[i];
	}
	to->flows += from->flows;
	to->resets += from->resets;
	to->refusals += from->refusals;
}

static void add_span(struct bh_history_counts *to, const struct bh_history_counts *from)
{
	if (!to->first_ns || (from->first_ns && from->first_ns < to->first_ns))
		to->first_ns = from->first_ns;
	if (from->last_ns > to->last_ns)
		to->last_ns = from->last_ns;
}

/* Adds the rows of one conversation of the kernel's; a hidden end may be many of those. */
static void sum_up(
	struct bh_conversation *conversation, size_t n, const struct bh_history_edge *rows)
{
	bool client_seen = false;

	for (size_t i = 0; i < n; i++)
		client_seen |= rows[i].key.egress;
	for (size_t i = 0; i < n; i++) {
		const struct bh_history_edge *row = &rows[i];

		if (bh_reason_drops(row->key.verdict))
			conversation->flows_denied += row->counts.flows;
		else if (bh_reason_drops(row->key.pending))
			conversation->flows_would_deny += row->counts.flows;
		conversation->packets_denied += bh_history_packets_denied(&row->counts, &row->key);
		add_span(&conversation->counts, &row->counts);
		bh_talk_learn(&conversation->talk, &row->talk);
		if (!bh_history_counts_for(&row->key, client_seen))
			continue;
		add_counts(&conversation->counts, &row->counts);
		bh_talk_add_trips(&conversation->talk, &row->talk);
	}
}

static int compare_rows(const void *a, const void *b)
{
	const struct bh_history_edge *x = a;
	const struct bh_history_edge *y = b;

	if (x->key.egress != y->key.egress)
		return x->key.egress ? -1 : 1;
	if (x->counts.last_ns != y->counts.last_ns)
		return x->counts.last_ns > y->counts.last_ns ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* Once all its rows are there. */
static void judge(struct bh_conversation *conversation, struct bh_history_edge *rows)
{
	qsort(rows, conversation->n_rows, sizeof(*rows), compare_rows);
	conversation->rows = rows;
	for (size_t i = 0; i < conversation->n_rows; i++) {
		if (rows[i].key.egress && !conversation->egress)
			conversation->egress = &rows[i];
		if (!rows[i].key.egress && !conversation->ingress)
			conversation->ingress = &rows[i];
	}
	for (int i = 0; i < 2; i++) {
		const struct bh_history_edge *end =
			i ? conversation->ingress : conversation->egress;

		if (!end)
			continue;
		conversation->denied |= bh_reason_drops(end->key.verdict);
		conversation->would_deny |= bh_reason_drops(end->key.pending);
	}
	conversation->state = conversation->denied       ? BH_STATE_DENIED
			      : conversation->would_deny ? BH_STATE_WOULD_DENY
							 : BH_STATE_ALLOWED;
}

/* ---- All of them ----------------------------------------------------------------------------- */

int bh_conversation_compare(const struct bh_conversation *a, const struct bh_conversation *b)
{
	int order = a->client == b->client ? 0 : strcmp(a->client->id, b->client->id);

	if (order == 0 && a->server != b->server)
		order = strcmp(a->server->id, b->server->id);
	if (order == 0)
		order = (int)a->protocol - (int)b->protocol;
	return order ? order : (int)a->port - (int)b->port;
}

static int compare(const void *a, const void *b)
{
	const struct bh_conversation *x = a;
	const struct bh_conversation *y = b;
	int order = bh_conversation_compare(x, y);

	/* Which of several comes first must not depend on the sort. */
	if (order == 0)
		order = memcmp(&x->rows[0].key, &y->rows[0].key, sizeof(x->rows[0].key));
	return order;
}

static bool same(const struct bh_history_key *a, const struct bh_history_key *b)
{
	return a->client == b->client && a->server == b->server && a->protocol == b->protocol &&
	       a->port == b->port;
}

/* Of the rows' ends what may be seen of them; false if nothing may. */
static bool set_ends(struct bh_world *world, const struct bh_sight *sight,
	struct bh_conversation *conversation, const struct bh_history_key *key)
{
	const struct bh_party *client = bh_world_party(world, key->client);
	const struct bh_party *server = bh_world_party(world, key->server);

	if (!is_inside(sight, client) && !is_inside(sight, server))
		return false;
	conversation->client_hidden = !bh_sight_sees(sight, client->namespace);
	conversation->server_hidden = !bh_sight_sees(sight, server->namespace);
	conversation->client =
		conversation->client_hidden ? bh_world_namespace(world, client->namespace) : client;
	conversation->server =
		conversation->server_hidden ? bh_world_namespace(world, server->namespace) : server;
	conversation->protocol = key->protocol;
	conversation->port = key->port;
	return true;
}

/* One for each conversation of the kernel's. */
static void split(struct bh_world *world, const struct bh_sight *sight, size_t n_rows,
	const struct bh_history_edge *rows, struct bh_conversations *to)
{
	size_t next;

	for (size_t i = 0; i < n_rows; i = next) {
		struct bh_conversation *conversation = &to->items[to->n];

		for (next = i + 1; next < n_rows && same(&rows[i].key, &rows[next].key);)
			next++;
		if (!set_ends(world, sight, conversation, &rows[i].key))
			continue;
		conversation->rows = &rows[i];
		conversation->n_rows = next - i;
		to->n++;
	}
}

void bh_conversations_make(struct bh_world *world, const struct bh_sight *sight, size_t n_rows,
	const struct bh_history_edge *rows, struct bh_conversations *ret_conversations)
{
	struct bh_conversations all = {
		.items = bh_xcalloc(n_rows, sizeof(*all.items)),
		.rows = bh_xcalloc(n_rows, sizeof(*all.rows)),
	};
	struct bh_conversation *last = NULL;
	size_t used = 0;
	size_t n = 0;

	split(world, sight, n_rows, rows, &all);
	qsort(all.items, all.n, sizeof(*all.items), compare);
	for (size_t i = 0; i < all.n; i++) {
		struct bh_conversation from = all.items[i];

		if (!last || bh_conversation_compare(last, &from) != 0) {
			if (last)
				judge(last, all.rows + used - last->n_rows);
			last = &all.items[n++];
			*last = from;
			last->n_rows = 0;
		}
		sum_up(last, from.n_rows, from.rows);
		memcpy(all.rows + used, from.rows, from.n_rows * sizeof(*from.rows));
		used += from.n_rows;
		last->n_rows += from.n_rows;
	}
	if (last)
		judge(last, all.rows + used - last->n_rows);
	all.n = n;
	*ret_conversations = all;
}

void bh_conversations_clear(struct bh_conversations *conversations)
{
	free(conversations->items);
	free(conversations->rows);
	*conversations = (struct bh_conversations){0};
}

const char *bh_conversation_id(
	const struct bh_conversation *conversation, char id[BH_CONVERSATION_ID_MAX])
{
	snprintf(id, BH_CONVERSATION_ID_MAX, "%08x-%08x-%u-%u", conversation->client->number,
		conversation->server->number, conversation->protocol, conversation->port);
	return id;
}

const struct bh_conversation *bh_conversations_find(
	const struct bh_conversations *conversations, const char *id)
{
	char other[BH_CONVERSATION_ID_MAX];

	for (size_t i = 0; i < conversations->n; i++) {
		if (strcmp(bh_conversation_id(&conversations->items[i], other), id) == 0)
			return &conversations->items[i];
	}
	return NULL;
}

/* The one that denies, else the one that has a rule to show. */
const struct bh_history_edge *bh_conversation_deciding(
	const struct bh_conversation *conversation, bool pending)
{
	const struct bh_history_edge *ends[2] = {conversation->egress, conversation->ingress};
	const struct bh_history_edge *best = NULL;

	for (int i = 0; i < 2; i++) {
		const struct bh_history_edge *end = ends[i];

		if (!end)
			continue;
		if (bh_reason_drops(pending ? end->key.pending : end->key.verdict))
			return end;
		if (!best || (pending ? end->key.pending_rule : end->key.rule))
			best = end;
	}
	return best;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static const char *const state_words[] = {
	[BH_STATE_ALLOWED] = "allowed",
	[BH_STATE_WOULD_DENY] = "would-deny",
	[BH_STATE_DENIED] = "denied",
};

const char *bh_state_word(enum bh_state state)
{
	return state_words[state];
}
