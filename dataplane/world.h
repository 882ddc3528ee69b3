/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_WORLD_H
#define BULKHEAD_DATAPLANE_WORLD_H

/*
 * What the kernel's maps hold now, as this process knows it: because it wrote it, or because it has
 * read it back after a start. Every update is compared with this, so what is in force already is
 * not touched.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead/abi.h"
#include "dataplane/object.h"
#include "dataplane/program.h"
#include "dataplane/table.h"
#include "dataplane/why.h"

struct bh_world {
	struct bh_table addr4;    /* __be32 → struct bh_identity */
	struct bh_table addr6;    /* 16 bytes → struct bh_identity */
	struct bh_table block4;   /* struct bh_prefix4 → struct bh_identity */
	struct bh_table block6;   /* struct bh_prefix6 → struct bh_identity */
	struct bh_table programs; /* number → struct bh_program * */
	size_t n_entries;         /* of all programs */
	size_t n_spills;
};

void bh_world_init(struct bh_world *world);
void bh_world_fini(struct bh_world *world);

static inline struct bh_table *bh_world_addresses(struct bh_world *world, uint8_t family)
{
	return family == 4 ? &world->addr4 : &world->addr6;
}

static inline struct bh_table *bh_world_blocks(struct bh_world *world, uint8_t family)
{
	return family == 4 ? &world->block4 : &world->block6;
}

/* The program by that number, or NULL. */
struct bh_program *bh_world_program(const struct bh_world *world, uint32_t number);

/* Takes `program` over, in the place of the one by that number. -ENOMEM frees it. */
int bh_world_put_program(struct bh_world *world, struct bh_program *program);
void bh_world_remove_program(struct bh_world *world, uint32_t number);

/* Reads every map; *ret_world (initialised here) is the caller's. Returns 0 or -errno. */
int bh_world_read(const struct bh_object *object, struct bh_world *ret_world, struct bh_why *why);

/* Key of the block tables and tries: the first `bits` bits of `ip`. Returns its size. */
union bh_prefix {
	struct bh_prefix4 v4;
	struct bh_prefix6 v6;
};
size_t bh_prefix_make(uint8_t family, const uint8_t *ip, uint32_t bits, union bh_prefix *ret_key);

/* The longest block of at most `bits` bits that holds `ip`, or NULL. */
const struct bh_identity *bh_world_block(
	const struct bh_world *world, uint8_t family, const uint8_t *ip, uint32_t bits);

/* Who an address is: exact, else by block, else nobody (class and workload 0). */
struct bh_identity bh_world_identity(
	const struct bh_world *world, uint8_t family, const uint8_t *ip);

#endif
