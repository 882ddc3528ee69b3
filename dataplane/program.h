/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_PROGRAM_H
#define BULKHEAD_DATAPLANE_PROGRAM_H

/*
 * A program (what one pod may do) in the form the kernel's maps hold it. The same form comes from
 * the wire and from a pinned map after a restart, so the two can be compared byte by byte.
 *
 * A list of ranges that does not fit in an entry is spilled: each range is cut into aligned port
 * prefixes, at most 30 for one range, and one longest-prefix lookup finds the right one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead.pb-c.h"
#include "bulkhead/abi.h"
#include "dataplane/why.h"

/* One aligned block of ports in the spill trie. */
struct bh_spill_item {
	uint8_t protocol;
	uint8_t bits;  /* how many leading bits of the port count */
	uint16_t port; /* host order, the other bits zero */
	uint32_t rule;
	uint32_t flags;
};

struct bh_entry {
	uint32_t class_dir; /* as in struct bh_policy_key */
	struct bh_policy policy;
	uint32_t n_spills;
	struct bh_spill_item *spills; /* sorted */
};

struct bh_program {
	uint32_t number;
	uint32_t n_entries;
	struct bh_entry *entries; /* sorted by class_dir once bh_program_seal() has been called */
};

/* An empty program, the caller's; NULL without memory. */
struct bh_program *bh_program_new(uint32_t number);
void bh_program_free(struct bh_program *program);

/* Takes `entry` over, its spills included, whatever it returns: 0 or -ENOMEM. */
int bh_program_add(struct bh_program *program, struct bh_entry *entry);

/* Sorts; -EEXIST when a class and direction is named twice (*ret_class_dir). */
int bh_program_seal(struct bh_program *program, uint32_t *ret_class_dir);

/* The entry for exactly this class and direction, or NULL. BH_CLASS_ANY is not fallen back on. */
const struct bh_entry *bh_program_find(const struct bh_program *program, uint32_t class_dir);

/* How many elements of the spill trie the program takes. */
size_t bh_program_spills(const struct bh_program *program);

bool bh_program_equal(const struct bh_program *a, const struct bh_program *b);

/* The same policy, whatever class it is for. Either may be NULL. */
bool bh_entry_equal(const struct bh_entry *a, const struct bh_entry *b);

/* Does it let something through that has to be judged again (BH_RULE_DEFER)? */
bool bh_program_defers(const struct bh_program *program);

/* A deep copy under another class. Returns 0 or -ENOMEM. */
int bh_entry_copy(const struct bh_entry *entry, uint32_t class_dir, struct bh_entry *ret_entry);
void bh_entry_fini(struct bh_entry *entry);

/*
 * One entry from the wire, checked field by field. Returns 0 and *ret_entry, -EINVAL with a
 * sentence that does not name the program, -ENOMEM.
 */
int bh_entry_from_wire(
	const Bulkhead__Wire__ProgramEntry *wire, struct bh_entry *ret_entry, struct bh_why *why);

/* Key and value of a spill, as the map has them. */
void bh_spill_pack(uint32_t program, uint32_t class_dir, const struct bh_spill_item *item,
	struct bh_spill_key *ret_key, struct bh_spill *ret_value);
void bh_spill_unpack(const struct bh_spill_key *key, const struct bh_spill *value,
	uint32_t *ret_program, uint32_t *ret_class_dir, struct bh_spill_item *ret_item);

#endif
