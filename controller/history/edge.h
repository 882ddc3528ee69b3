/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_EDGE_H
#define BULKHEAD_HISTORY_EDGE_H

/*
 * One row of history: who talked to whom, seen from one end and under one verdict, and how much of
 * it there was in a span of time. Graph, series, replay and metrics are made of these. Plain data:
 * what is in here may be included by the pure layers.
 *
 * A conversation between two pods of this node is seen at both ends. Both rows are kept, because
 * the two ends' verdicts are two; its packets are counted once, at the client's end where there is
 * one (bh_history_counts_for()).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/flows/talk.h"

/* No padding: compared and hashed as bytes. */
struct bh_history_key {
	uint32_t client; /* workloads, named by bh_names_workload() */
	uint32_t server;
	uint32_t rule; /* that decided; BH_RULE_NONE */
	uint32_t pending_rule;
	uint16_t port; /* the server's; 0 where there is none, or for the ports beyond the bound */
	uint8_t protocol;
	uint8_t egress;     /* 1: seen at the client's pod, 0: at the server's */
	uint8_t verdict;    /* enum bh_reason in force */
	uint8_t pending;    /* enum bh_reason of the pending policy */
	uint8_t family;     /* 4 or 6 */
	uint8_t peer_local; /* 1: the other end is a pod of this node and has rows of its own */
};
_Static_assert(sizeof(struct bh_history_key) == 24, "compared as bytes");

struct bh_history_counts {
	/* [0] from the client, [1] from the server. Octets are of layer 3. */
	uint64_t packets[2];
	uint64_t octets[2];
	uint64_t flows;
	uint64_t resets;
	uint64_t refusals;
	uint64_t first_ns; /* since 1970; of what was counted in the span */
	uint64_t last_ns;
};

struct bh_history_edge {
	struct bh_history_key key;
	struct bh_history_counts counts;
	struct bh_talk talk;
};

/* Sums of a conversation in one span. Spans in which nothing was seen have none. */
struct bh_history_point {
	uint64_t start_ns;
	uint64_t length_ns;
	struct bh_history_counts counts; /* once, at the client's end first */
	uint64_t flows_denied;           /* at either end */
	uint64_t flows_would_deny;
	uint64_t packets_denied;
};

/*
 * True if this row's packets are the conversation's. `client_seen`: there is a row of the same
 * conversation with `egress` set.
 */
static inline bool bh_history_counts_for(const struct bh_history_key *key, bool client_seen)
{
	return key->egress || !key->peer_local || !client_seen;
}

/*
 * How many packets the end that saw this row has dropped. Whether they began a flow is another
 * matter: what is denied before anybody has let it through begins none.
 */
uint64_t bh_history_packets_denied(
	const struct bh_history_counts *counts, const struct bh_history_key *key);

/* Adds up; the earliest first, the latest last. */
void bh_history_add_counts(struct bh_history_counts *to, const struct bh_history_counts *from);
/* Takes over what `from` knows; the round-trips add up. */
void bh_history_add_talk(struct bh_talk *to, const struct bh_talk *from);

/*
 * The order of every sorted list: client, server, protocol, port; within one conversation the
 * client's end first, and then by the rest of the key.
 */
int bh_history_compare(const void *a, const void *b);
/* The same client, server, protocol and port. */
bool bh_history_same_conversation(const struct bh_history_key *a, const struct bh_history_key *b);

#endif
