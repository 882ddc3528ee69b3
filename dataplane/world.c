/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/walk.h"
#include "proto/cleanup.h"

#define READ_AT_ONCE 4096

void bh_world_init(struct bh_world *world)
{
	*world = (struct bh_world){};
	bh_table_init(&world->addr4, 4, sizeof(struct bh_identity));
	bh_table_init(&world->addr6, 16, sizeof(struct bh_identity));
	bh_table_init(&world->block4, sizeof(struct bh_prefix4), sizeof(struct bh_identity));
	bh_table_init(&world->block6, sizeof(struct bh_prefix6), sizeof(struct bh_identity));
	bh_table_init(&world->programs, sizeof(uint32_t), sizeof(struct bh_program *));
}

void bh_world_fini(struct bh_world *world)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(&world->programs, &cursor, &key, &value))
		bh_program_free(*(struct bh_program **)value);
	bh_table_clear(&world->addr4);
	bh_table_clear(&world->addr6);
	bh_table_clear(&world->block4);
	bh_table_clear(&world->block6);
	bh_table_clear(&world->programs);
	world->n_entries = 0;
	world->n_spills = 0;
}

/* ---- Programs ------------------------------------------------------------------------------- */

struct bh_program *bh_world_program(const struct bh_world *world, uint32_t number)
{
	struct bh_program **program = bh_table_get(&world->programs, &number);

	return program ? *program : NULL;
}

void bh_world_remove_program(struct bh_world *world, uint32_t number)
{
	struct bh_program *program = bh_world_program(world, number);

	if (!program)
		return;
	world->n_entries -= program->n_entries;
	world->n_spills -= bh_program_spills(program);
	bh_program_free(program);
	bh_table_remove(&world->programs, &number);
}

int bh_world_put_program(struct bh_world *world, struct bh_program *program)
{
	struct bh_program **place;

	bh_world_remove_program(world, program->number);
	place = bh_table_put(&world->programs, &program->number, NULL);
	if (!place) {
		bh_program_free(program);
		return -ENOMEM;
	}
	*place = program;
	world->n_entries += program->n_entries;
	world->n_spills += bh_program_spills(program);
	return 0;
}

/* ---- Who an address is ---------------------------------------------------------------------- */

static void mask(uint8_t *ip, size_t size, uint32_t bits)
{
	for (size_t i = 0; i < size; i++) {
		uint32_t kept = bits > i * 8 ? bits - (uint32_t)i * 8 : 0;

		if (kept < 8)
			ip[i] &= (uint8_t) ~(0xff >> kept);
	}
}

size_t bh_prefix_make(uint8_t family, const uint8_t *ip, uint32_t bits, union bh_prefix *ret_key)
{
	if (family == 4) {
		ret_key->v4.bits = bits;
		memcpy(&ret_key->v4.addr, ip, 4);
		mask((uint8_t *)&ret_key->v4.addr, 4, bits);
		return sizeof(ret_key->v4);
	}
	ret_key->v6.bits = bits;
	memcpy(ret_key->v6.addr, ip, 16);
	mask(ret_key->v6.addr, 16, bits);
	return sizeof(ret_key->v6);
}

const struct bh_identity *bh_world_block(
	const struct bh_world *world, uint8_t family, const uint8_t *ip, uint32_t bits)
{
	const struct bh_table *blocks = family == 4 ? &world->block4 : &world->block6;

	for (int64_t b = blocks->n ? (int64_t)bits : -1; b >= 0; b--) {
		const struct bh_identity *identity;
		union bh_prefix key;

		bh_prefix_make(family, ip, (uint32_t)b, &key);
		identity = bh_table_get(blocks, &key);
		if (identity)
			return identity;
	}
	return NULL;
}

struct bh_identity bh_world_identity(
	const struct bh_world *world, uint8_t family, const uint8_t *ip)
{
	const struct bh_identity *identity =
		bh_table_get(family == 4 ? &world->addr4 : &world->addr6, ip);

	if (!identity)
		identity = bh_world_block(world, family, ip, family == 4 ? 32 : 128);
	return identity ? *identity : (struct bh_identity){};
}

/* ---- Reading back --------------------------------------------------------------------------- */

static int read_identities(int fd, struct bh_table *table)
{
	struct bh_walk walk;
	int n, err = bh_walk_begin(&walk, fd, table->key_size, table->value_size, READ_AT_ONCE);

	if (err < 0)
		return err;
	while ((n = bh_walk_step(&walk)) > 0 && !err) {
		for (uint32_t i = 0; i < walk.n && !err; i++) {
			void *value = bh_table_put(table, bh_walk_key(&walk, i), NULL);

			if (value)
				memcpy(value, bh_walk_value(&walk, i), table->value_size);
			else
				err = -ENOMEM;
		}
	}
	bh_walk_end(&walk);
	return n < 0 ? n : err;
}

static struct bh_program *program_for(struct bh_world *world, uint32_t number)
{
	struct bh_program **program = bh_table_put(&world->programs, &number, NULL);

	if (program && !*program)
		*program = bh_program_new(number);
	return program ? *program : NULL;
}

static int read_policies(const struct bh_object *object, struct bh_world *world)
{
	struct bh_walk walk;
	int n, err = bh_walk_begin(&walk, object->map[BH_MAP_bh_policies],
		       sizeof(struct bh_policy_key), sizeof(struct bh_policy), READ_AT_ONCE);

	if (err < 0)
		return err;
	while ((n = bh_walk_step(&walk)) > 0 && !err) {
		for (uint32_t i = 0; i < walk.n && !err; i++) {
			const struct bh_policy_key *key = bh_walk_key(&walk, i);
			struct bh_program *program = program_for(world, key->program);
			struct bh_entry entry = {.class_dir = key->class_dir};

			memcpy(&entry.policy, bh_walk_value(&walk, i), sizeof(entry.policy));
			err = program ? bh_program_add(program, &entry) : -ENOMEM;
		}
	}
	bh_walk_end(&walk);
	return n < 0 ? n : err;
}

static int add_spill(struct bh_entry *entry, const struct bh_spill_item *item)
{
	uint32_t n = entry->n_spills;

	if ((n & (n - 1)) == 0) {
		struct bh_spill_item *spills =
			realloc(entry->spills, (n ? 2 * (size_t)n : 1) * sizeof(*spills));

		if (!spills)
			return -ENOMEM;
		entry->spills = spills;
	}
	entry->spills[entry->n_spills++] = *item;
	return 0;
}

/*
 * A spill whose entry is missing was left by a write that was cut short: it gets an empty entry,
 * which is like no program's, so the program is written anew before it is used.
 */
static int read_spill(
	struct bh_world *world, const struct bh_spill_key *key, const struct bh_spill *value)
{
	uint32_t number, class_dir;
	struct bh_spill_item item;
	struct bh_program *program;
	const struct bh_entry *entry;

	bh_spill_unpack(key, value, &number, &class_dir, &item);
	program = program_for(world, number);
	if (!program)
		return -ENOMEM;
	entry = bh_program_find(program, class_dir);
	if (!entry) {
		struct bh_entry orphan = {.class_dir = class_dir};
		int err = bh_program_add(program, &orphan);

		if (err < 0)
			return err;
		bh_program_seal(program, &class_dir);
		entry = bh_program_find(program, class_dir);
	}
	return add_spill((struct bh_entry *)entry, &item);
}

static int read_spills(const struct bh_object *object, struct bh_world *world)
{
	struct bh_walk walk;
	int n, err = bh_walk_begin(&walk, object->map[BH_MAP_bh_spills],
		       sizeof(struct bh_spill_key), sizeof(struct bh_spill), READ_AT_ONCE);

	if (err < 0)
		return err;
	while ((n = bh_walk_step(&walk)) > 0 && !err) {
		for (uint32_t i = 0; i < walk.n && !err; i++)
			err = read_spill(world, bh_walk_key(&walk, i), bh_walk_value(&walk, i));
	}
	bh_walk_end(&walk);
	return n < 0 ? n : err;
}

static void seal_programs(struct bh_world *world, bool count)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(&world->programs, &cursor, &key, &value)) {
		struct bh_program *program = *(struct bh_program **)value;
		uint32_t class_dir;

		bh_program_seal(program, &class_dir); /* a map has no key twice */
		if (count) {
			world->n_entries += program->n_entries;
			world->n_spills += bh_program_spills(program);
		}
	}
}

int bh_world_read(const struct bh_object *object, struct bh_world *ret_world, struct bh_why *why)
{
	struct bh_world world;
	int err;

	bh_world_init(&world);
	err = read_identities(object->map[BH_MAP_bh_addr4], &world.addr4);
	if (!err)
		err = read_identities(object->map[BH_MAP_bh_addr6], &world.addr6);
	if (!err)
		err = read_identities(object->map[BH_MAP_bh_trie4], &world.block4);
	if (!err)
		err = read_identities(object->map[BH_MAP_bh_trie6], &world.block6);
	if (!err)
		err = read_policies(object, &world);
	if (!err) {
		seal_programs(&world, false);
		err = read_spills(object, &world);
	}
	if (err < 0) {
		bh_world_fini(&world);
		return bh_fail(why, err, "reading back the pinned maps: %s", strerror(-err));
	}
	seal_programs(&world, true);
	*ret_world = world;
	return 0;
}
