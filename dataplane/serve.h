/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_SERVE_H
#define BULKHEAD_DATAPLANE_SERVE_H

/*
 * The controller's end of this daemon: what it says is staged and put in force, and each update is
 * answered once. A controller that goes away changes nothing in the kernel; one that comes back
 * says everything anew, and what is in force already stays untouched.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/events.h"
#include "dataplane/staging.h"
#include "dataplane/status.h"
#include "proto/wire.h"

struct bh_serve {
	struct bh_status_sources sources;
	struct bh_events *events;
	struct bh_wire *wire;
	struct bh_staging staging;
	uint64_t instance;
	uint64_t applied; /* revision in force, 0 = none from this start */
	bool seeded;
	bool swept;              /* what an earlier start left has been cleared away */
	bool foreign;            /* the peer speaks another version: nothing it says counts */
	uint64_t status_version; /* of what the last status said */
	uint64_t status_ms;
};

/* `wire` and everything in `sources` must outlive the server. */
void bh_serve_init(struct bh_serve *serve, const struct bh_status_sources *sources,
	struct bh_events *events, struct bh_wire *wire);
void bh_serve_fini(struct bh_serve *serve);

/* Handles everything the wire has. */
void bh_serve_receive(struct bh_serve *serve);

/* The wire, or NULL while no controller is there. */
struct bh_wire *bh_serve_peer(const struct bh_serve *serve);

/* Sends a status if something has changed, or if it is time (every 5 s); logs new problems. */
void bh_serve_status(struct bh_serve *serve);

/*
 * Puts one change in force: checks, plans, writes, attaches. Returns 0; -ESTALE when only a full
 * update can be taken; another -errno when it was refused. Nothing has changed then, unless the
 * tables are dirty.
 */
int bh_serve_apply(struct bh_serve *serve, struct bh_change *change, struct bh_why *why);

#endif
