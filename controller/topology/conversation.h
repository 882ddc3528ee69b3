/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_CONVERSATION_H
#define BULKHEAD_TOPOLOGY_CONVERSATION_H

/*
 * Rows of history brought together into conversations as people mean them: who spoke to whom over
 * which protocol and port, counted once though two ends saw it, with the verdicts of both.
 *
 * Who asks may be allowed to see some namespaces only. Then a conversation without an end in them
 * is none, the other end is its whole namespace, and what is the same after that is one
 * conversation. It happens here, before anything is filtered or counted, so nothing that is made of
 * conversations can tell more.
 */

#include "controller/history/edge.h"
#include "controller/topology/words.h"
#include "controller/topology/world.h"

/* What a viewer may see. NULL in place of one: everything. */
struct bh_sight {
	size_t n;
	char **namespaces;
};

/* NULL of NULL. */
struct bh_sight *bh_sight_copy(const struct bh_sight *sight);
void bh_sight_free(struct bh_sight *sight);

/* Things that are in no namespace (the world, nodes) may be seen by everybody. */
bool bh_sight_sees(const struct bh_sight *sight, const char *namespace);

enum bh_state {
	BH_STATE_ALLOWED,
	BH_STATE_WOULD_DENY, /* passes, and would not if everything pending were enforced */
	BH_STATE_DENIED,
};
const char *bh_state_word(enum bh_state state);

struct bh_conversation {
	const struct bh_party *client;
	const struct bh_party *server;
	uint8_t protocol;
	uint16_t port;
	enum bh_state state;
	bool denied;     /* by the latest verdict at either end */
	bool would_deny; /* by the latest pending verdict at either end */
	struct bh_history_counts counts;
	uint64_t flows_denied; /* at either end */
	uint64_t flows_would_deny;
	uint64_t packets_denied; /* at either end: with or without a flow */
	struct bh_talk talk;
	/* The latest row of each end, NULL where that end is not on this node. */
	const struct bh_history_edge *egress;
	const struct bh_history_edge *ingress;
	bool client_hidden; /* of a foreign namespace: only that it allows or denies may be told */
	bool server_hidden;
	size_t n_rows; /* all, the client's end first, the latest first */
	const struct bh_history_edge *rows;
};

/* Sorted by client's id, server's id, protocol, port. */
struct bh_conversations {
	size_t n;
	struct bh_conversation *items;
	struct bh_history_edge *rows;
};

/*
 * Rows of one conversation must follow each other. The result borrows parties of `world` and copies
 * the rows; bh_conversations_clear() frees it.
 */
void bh_conversations_make(struct bh_world *world, const struct bh_sight *sight, size_t n_rows,
	const struct bh_history_edge *rows, struct bh_conversations *ret_conversations);
void bh_conversations_clear(struct bh_conversations *conversations);

/* Room for the id of a conversation. */
#define BH_CONVERSATION_ID_MAX 40
/* Names client, server, protocol and port; the same as long as both ends are called so. */
const char *bh_conversation_id(
	const struct bh_conversation *conversation, char id[BH_CONVERSATION_ID_MAX]);
/* The conversation with that id, or NULL. */
const struct bh_conversation *bh_conversations_find(
	const struct bh_conversations *conversations, const char *id);

/* By client's id, server's id, protocol, port. */
int bh_conversation_compare(const struct bh_conversation *a, const struct bh_conversation *b);

/* The row whose verdict (in force, or pending) stands for the conversation, or NULL. */
const struct bh_history_edge *bh_conversation_deciding(
	const struct bh_conversation *conversation, bool pending);

#endif
