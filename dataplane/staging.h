/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_STAGING_H
#define BULKHEAD_DATAPLANE_STAGING_H

/*
 * Updates as they come in: parts are checked field by field and gathered until the last one, and
 * only then is there a `struct bh_change` for the tables to look at. A part that is wrong drops the
 * whole update. Pure: knows neither maps nor what is in force.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead.pb-c.h"
#include "bulkhead/abi.h"
#include "dataplane/program.h"
#include "dataplane/table.h"
#include "dataplane/why.h"

/* Packed size of all parts of one update together. */
#define BH_STAGING_MAX ((size_t)64 * 1024 * 1024)
#define BH_UID_MAX 253
#define BH_NAME_MAX 512

/* Value of the tables of a change: what an address or a block shall be, or that it shall go. */
struct bh_staged_identity {
	uint32_t class;
	uint32_t workload;
	uint32_t flags; /* BH_IDENTITY_* */
	bool removed;
};

/* A pod interface the controller wants enforced. */
struct bh_wanted {
	char *uid;
	char *name;
	uint8_t n_addr4;
	uint8_t n_addr6;
	__be32 addr4[BH_ENDPOINT_ADDRS];
	uint8_t addr6[BH_ENDPOINT_ADDRS][16];
	uint32_t workload;
	uint32_t active;
	uint32_t pending;
	bool xdp;
	bool removed; /* in a delta: only uid is set */
};

struct bh_change {
	uint64_t revision;
	uint64_t base;
	bool full;
	bool unknown_open;
	bool hold;
	struct bh_table addr4;    /* __be32 → bh_staged_identity */
	struct bh_table addr6;    /* 16 bytes → bh_staged_identity */
	struct bh_table block4;   /* struct bh_prefix4 → bh_staged_identity */
	struct bh_table block6;   /* struct bh_prefix6 → bh_staged_identity */
	struct bh_table programs; /* number → struct bh_program *, NULL = removed */
	size_t n_endpoints;
	struct bh_wanted *endpoints; /* sorted by uid */
};

void bh_change_free(struct bh_change *change);
void bh_wanted_fini(struct bh_wanted *wanted);

/* The endpoint with this uid in an array sorted by uid, or NULL. */
struct bh_wanted *bh_wanted_find(struct bh_wanted *wanted, size_t n, const char *uid);

struct bh_staging {
	struct bh_change *change; /* NULL between updates */
	uint32_t next_part;
	size_t bytes;
	bool skipping; /* the rest of an update that was refused already */
	uint64_t skipped;
};

/* Forgets what has been gathered: a new connection, or the end. */
void bh_staging_reset(struct bh_staging *staging);

/*
 * Takes one part. Returns 1 and *ret_change (the caller's) after the last one, 0 when more is to
 * come, or -EINVAL, -E2BIG, -ENOMEM with a sentence: the update is refused and the caller answers
 * it; what still comes of it is passed over in silence.
 */
int bh_staging_part(struct bh_staging *staging, const Bulkhead__Wire__Update *update,
	struct bh_change **ret_change, struct bh_why *why);

#endif
