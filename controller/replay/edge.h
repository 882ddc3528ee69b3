/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_EDGE_H
#define BULKHEAD_REPLAY_EDGE_H

/* What was seen, as policy is asked about it: conversations between named workloads. */

#include "controller/compile/desired.h"
#include "controller/compile/netpol.h"
#include "controller/history/edge.h"
#include "controller/model/arena.h"

/* Who may be behind a service, and where it is asked. An address of no pod is a block of the World.
 */
struct bh_replay_backend {
	const struct bh_desired_workload *workload;
	uint16_t port;
};

/* One (client, server, protocol, port), everything seen of it. */
struct bh_replay_edge {
	const struct bh_desired_workload *client;
	const struct bh_desired_workload *server;
	uint8_t protocol;
	uint16_t port;
	uint8_t family;
	uint64_t packets[2]; /* counted once */
	uint64_t octets[2];
	uint64_t flows;
	uint64_t resets;
	uint64_t first_ns;
	uint64_t last_ns;
	bool denied;     /* when last seen, at either end */
	bool would_deny; /* … by what is pending only */
	bool node_probe; /* the node itself to its own pod: no policy is asked */
	/* Of the end that is outside the cluster, as records tell; none: it is not known. */
	size_t n_blocks;
	const struct bh_prefix *blocks;
	/* Of a server that is a Service: see backends.h; none: not resolved, or nobody. */
	size_t n_backends;
	const struct bh_replay_backend *backends;
};

/* An address that was seen at the outside end of a conversation. */
struct bh_replay_outside {
	uint32_t client; /* workloads */
	uint32_t server;
	uint8_t protocol;
	uint16_t port;
	struct bh_prefix block;
};

struct bh_replay_edges {
	struct bh_arena arena;
	size_t n;
	struct bh_replay_edge *edges;
};

/*
 * Makes them of rows of history, in the order of bh_history_compare(), and of what records say of
 * the world. What no policy decides (neighbour discovery, spoofed packets, …) is left out.
 * `name` gives the workload of a number, or NULL; its result must outlive the edges.
 */
void bh_replay_edges_make(struct bh_replay_edges *edges, size_t n,
	const struct bh_history_edge *rows, size_t n_outside,
	const struct bh_replay_outside *outside,
	const struct bh_desired_workload *(*name)(void *data, uint32_t number), void *data);
void bh_replay_edges_clear(struct bh_replay_edges *edges);

/* Eight hexadecimal digits that name the conversation, the same in every run. */
#define BH_REPLAY_ID_MAX 9
void bh_replay_edge_id(const struct bh_replay_edge *edge, char ret_id[BH_REPLAY_ID_MAX]);

/* True for the kinds whose pods the model knows: Deployment, Pod, … */
bool bh_replay_is_pods(const struct bh_desired_workload *workload);
bool bh_replay_is_world(const struct bh_desired_workload *workload);
bool bh_replay_has_ports(uint8_t protocol);

#endif
