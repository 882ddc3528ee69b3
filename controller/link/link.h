/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_LINK_H
#define BULKHEAD_LINK_H

/*
 * The controller's end of the wire: it keeps telling the data plane what is wanted until that is in
 * force, and remembers what the data plane last said of itself.
 *
 * One update is under way at a time; what changes meanwhile is folded into the next one. After a
 * (re)connection the first update is full, the ones after are differences to what was acknowledged.
 * A refused update is kept as a problem and tried again, full, when something changes or a back-off
 * has passed.
 *
 * Driven by the caller's loop: bh_link_dispatch() when bh_link_fd() is readable or the time of
 * bh_link_deadline() has come. Times are CLOCK_MONOTONIC milliseconds.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead.pb-c.h"
#include "controller/compile/desired.h"

struct bh_link;

/* What the caller is told from within bh_link_dispatch(). Messages are borrowed for the call. */
struct bh_link_events {
	void (*connected)(void *data, const char *program);
	void (*disconnected)(void *data);
	/* Also called after an Ack: what bh_link_applied() or bh_link_state() say has changed. */
	void (*changed)(void *data);
	void (*status)(void *data, const Bulkhead__Wire__Status *status);
	void (*flows)(void *data, const Bulkhead__Wire__FlowBatch *batch);
	void (*edges)(void *data, const Bulkhead__Wire__EdgeBatch *batch);
	/* Something for the log: one line. */
	void (*notice)(void *data, const char *text);
};

/*
 * Begins to connect to `path`. `node` is the node's name, `events` is copied. Returns 0 and
 * *ret_link, or -errno.
 */
int bh_link_new(const char *path, const char *node, const struct bh_link_events *events, void *data,
	struct bh_link **ret_link);
void bh_link_free(struct bh_link *link);

int bh_link_fd(const struct bh_link *link);
void bh_link_dispatch(struct bh_link *link, uint64_t now);

/* When bh_link_dispatch() wants to be called without the descriptor being readable; 0: never. */
uint64_t bh_link_deadline(const struct bh_link *link);

/* From now on this is what shall be in force. Takes a reference. */
void bh_link_want(struct bh_link *link, struct bh_desired *desired, uint64_t now);

/* Who is told nothing while not everything that shall be in force is known. */
enum bh_link_hold {
	BH_LINK_HOLD_NONE,
	/* A data plane that has pods in force from an earlier start; one that has none takes what
	 * there is. */
	BH_LINK_HOLD_ENFORCING,
	BH_LINK_HOLD_ALL,
};

/* Before the first dispatch; until bh_link_release(), or the first update that was acknowledged. */
void bh_link_hold(struct bh_link *link, enum bh_link_hold hold);
void bh_link_release(struct bh_link *link, uint64_t now);

/*
 * Asks for everything the data plane has seen up to now: flows, edges, status. Returns the token of
 * the request, 0 if there is nobody to ask; bh_link_refreshed() says the last one that is answered.
 */
uint64_t bh_link_refresh(struct bh_link *link);
uint64_t bh_link_refreshed(const struct bh_link *link);

/* Revision the data plane holds and has acknowledged on this connection, 0 if none. */
uint64_t bh_link_applied(const struct bh_link *link);

/* Strings and messages belong to the link and live until the next dispatch. */
struct bh_link_state {
	bool connected;      /* and greeted */
	bool holding;        /* what it has is left as it is: bh_link_hold() */
	const char *program; /* the peer's, "" if none */
	const char *refused; /* why the last update was refused, NULL if it was not */
	uint64_t refused_revision;
	const char *incompatible; /* why we do not speak with this peer, or NULL */
	uint64_t waiting_since;   /* an update is under way since then; 0: none is */
	uint64_t garbage;         /* messages that could not be understood, either way */
	const Bulkhead__Wire__Status *status; /* last heard on this connection, or NULL */
};
void bh_link_state(const struct bh_link *link, struct bh_link_state *ret_state);

/* What the last status says of this endpoint, or NULL. */
const Bulkhead__Wire__EndpointStatus *bh_link_endpoint(const struct bh_link *link, const char *uid);

#endif
