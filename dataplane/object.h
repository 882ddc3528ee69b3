/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_OBJECT_H
#define BULKHEAD_DATAPLANE_OBJECT_H

/*
 * The BPF object: programs loaded by this process, maps that outlive it.
 *
 * A start finds one of three things. No pins: new maps are made, pinned in a staged folder, and
 * the folder is renamed into place. Pins of this ABI: the maps are taken over as they are, with
 * every flow, counter and epoch in them, and only the programs are new. Pins of another ABI: new
 * maps beside them; the attach module moves the old links over one by one, and the old folder goes
 * last. In no case is there a moment without an attached program.
 *
 * The epoch, the endpoints and the flags are written here, because how they are written is what
 * the programs rely on: single aligned stores, in order.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/abi.h"
#include "bulkhead/maps.h"
#include "dataplane/flowtable.h"
#include "dataplane/pins.h"
#include "dataplane/programs.h"
#include "dataplane/why.h"

enum bh_map {
#define BH_MAP_ENUM(name, entries, flags) BH_MAP_##name,
	BH_MAPS(BH_MAP_ENUM)
#undef BH_MAP_ENUM
		BH_MAP_COUNT
};

struct bh_object {
	struct bh_pins pins;
	int map[BH_MAP_COUNT];
	uint32_t size[BH_MAP_COUNT]; /* entries; of the flow tables, flows */
	struct bh_programs_loaded programs;
	int clock_fd;
	int flow_fd;
	struct bh_flow_table flows[2]; /* IPv4, IPv6 */
	struct bh_config *config;      /* mapped, or a copy that is flushed */
	struct bh_endpoint *endpoints; /* BH_ENDPOINTS_MAX of them */
	bool config_mapped;
	bool endpoints_mapped;
	bool fresh;          /* the maps were made by this start */
	uint64_t generation; /* of the edge counters: new with new maps */
	char resized[256]; /* configured sizes that pinned maps do not have, as a sentence; or "" */
};

/* `sizes` by enum bh_map, 0 = the default (dataplane/sizes.h). Loads the programs, publishes the
 * pins, fills bh_config.
 */
int bh_object_open(const char *run_dir, const uint32_t sizes[BH_MAP_COUNT],
	struct bh_object **ret_object, struct bh_why *why);

/* Closes everything; what is pinned or attached stays. */
void bh_object_free(struct bh_object *object);

/* "bh_flows4=65536" (the prefix may be left out) into `sizes`. */
int bh_object_parse_size(const char *text, uint32_t sizes[BH_MAP_COUNT], struct bh_why *why);

const char *bh_map_name(enum bh_map map);

/* Is its size configuration? */
bool bh_map_is_sized(enum bh_map map);

/* Jiffies and CLOCK_MONOTONIC now, as the programs see them. Returns 0 or -errno. */
int bh_object_clock(struct bh_object *object, struct bh_clock *ret_clock);

/*
 * Has a program change the flow tables. `request->frame` need not be filled. Returns enum
 * bh_flow_done, or -errno.
 */
int bh_object_flow_op(struct bh_object *object, struct bh_flow_request *request);

/* A number no endpoint has had yet. */
uint64_t bh_object_new_epoch(struct bh_object *object);

/* What was judged before is not to be recalled: to be called once a change is written. */
void bh_object_move_generation(struct bh_object *object);

/* Sets and clears BH_CONFIG_* bits in one store. */
void bh_object_set_flags(struct bh_object *object, uint32_t set, uint32_t clear);

/* Fills a slot whose interface does not point here yet. The epoch is stored last. */
void bh_object_fill_endpoint(
	struct bh_object *object, uint32_t slot, const struct bh_endpoint *endpoint);

/* Puts programs in force: one store. */
void bh_object_store_programs(struct bh_object *object, uint32_t slot, uint64_t programs);

/* A new epoch for the endpoint: its legs are judged again. */
void bh_object_move_epoch(struct bh_object *object, uint32_t slot);

/* Gives the slot up. Nothing may point to it any more. */
void bh_object_clear_endpoint(struct bh_object *object, uint32_t slot);

static inline uint64_t bh_programs_pack(uint32_t active, uint32_t pending)
{
	return (uint64_t)pending << 32 | active;
}

#endif
