/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_FLOWS_EDGES_H
#define BULKHEAD_FLOWS_EDGES_H

/*
 * Who talks to whom: the counters the kernel keeps per edge, as the data plane reports them, and
 * the two ends of a conversation brought together.
 *
 * The data plane counts at each pod of this node, per verdict: a pod-to-pod conversation on one
 * node is reported twice, once as the client's egress and once as the server's ingress. An edge, as
 * people mean it, is (client workload, server workload, protocol, port) and is counted once:
 * from the client's side where the client is here, else from the server's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead.pb-c.h"
#include "controller/flows/talk.h"

/* Beyond this the edges whose last packet is longest ago are forgotten. */
#define BH_EDGES_MAX 32768

/* The packets of one verdict at one end. */
struct bh_edge_variant {
	bool egress;     /* at the client's pod; otherwise at the server's */
	bool peer_local; /* the other end is a pod of this node too: it has variants of its own */
	uint8_t family;
	uint32_t verdict; /* enum bh_reason */
	uint32_t pending;
	uint32_t rule;
	uint32_t pending_rule;
	/* [0] from the client, [1] from the server. Octets are of layer 3. */
	uint64_t packets[2];
	uint64_t octets[2];
	uint64_t flows;
	uint64_t resets;
	uint64_t refusals;
	struct bh_talk talk;
	uint64_t first_ns; /* since 1970 */
	uint64_t last_ns;
};

struct bh_edge_view {
	uint32_t client; /* workloads */
	uint32_t server;
	uint8_t protocol;
	uint16_t port; /* the server's; 0 where there is none */
	/* Of the variants that count (see above). */
	uint64_t packets[2];
	uint64_t octets[2];
	uint64_t flows;
	uint64_t flows_denied; /* at either end */
	uint64_t flows_would_deny;
	uint64_t packets_denied; /* at either end: with or without a flow */
	uint64_t resets;
	uint64_t refusals;
	struct bh_talk talk; /* what is spoken: as either end knows it */
	uint64_t first_ns;
	uint64_t last_ns;
	bool denied;     /* by the latest verdict at either end */
	bool would_deny; /* by the latest pending verdict at either end */
	/* The latest of each end, NULL where that end is not on this node. */
	const struct bh_edge_variant *egress;
	const struct bh_edge_variant *ingress;
	/* All, the egress ones first, the latest first. */
	size_t n_variants;
	const struct bh_edge_variant *variants;
};

struct bh_edges;

struct bh_edges *bh_edges_new(void);
void bh_edges_free(struct bh_edges *edges);

/* How many of the kernel's there are: one for each end and verdict. */
size_t bh_edges_count(const struct bh_edges *edges);

/* The edges as they are now, to be viewed by another thread. Nothing can be added to it. */
struct bh_edges *bh_edges_copy(const struct bh_edges *edges);

/* Takes a batch in: absolute counts replace what was known of the same key. */
void bh_edges_add(struct bh_edges *edges, const Bulkhead__Wire__EdgeBatch *batch);

/* Since when the counters count: changes when they began anew. 0: nothing has come yet. */
uint64_t bh_edges_generation(const struct bh_edges *edges);

/* Edges that were forgotten because there were more than BH_EDGES_MAX. */
uint64_t bh_edges_forgotten(const struct bh_edges *edges);

/* Fills everything in that the variants of a view say; they are in the order given above. */
void bh_edge_view_finish(struct bh_edge_view *view);

/*
 * The edges as people mean them, sorted by client, server, protocol and port. Returns their number;
 * *ret_views is one block to free() and owns everything it points to.
 */
size_t bh_edges_view(const struct bh_edges *edges, struct bh_edge_view **ret_views);

#endif
