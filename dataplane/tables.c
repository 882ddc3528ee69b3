/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tables.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/walk.h"
#include "proto/cleanup.h"

/* Elements that go to the kernel in one batch. */
#define BATCH 4096

int bh_tables_open(struct bh_tables *tables, struct bh_object *object, struct bh_why *why)
{
	*tables = (struct bh_tables){.object = object};
	bh_table_init(&tables->local4, 4, sizeof(uint32_t));
	bh_table_init(&tables->local6, 16, sizeof(uint32_t));
	bh_world_init(&tables->world);
	/* Anywhere: what an earlier process left half-way must not be taken for ours. */
	if (getrandom(&tables->next_transient, sizeof(uint32_t), 0) < 0)
		tables->next_transient = (uint32_t)getpid();
	tables->next_transient %= BH_CLASS_ANY - BH_CLASS_TRANSIENT;
	return bh_world_read(object, &tables->world, why);
}

void bh_tables_close(struct bh_tables *tables)
{
	bh_world_fini(&tables->world);
	bh_table_clear(&tables->local4);
	bh_table_clear(&tables->local6);
}

int bh_tables_recover(struct bh_tables *tables, struct bh_why *why)
{
	struct bh_world world;
	int err = bh_world_read(tables->object, &world, why);

	if (err < 0)
		return err;
	bh_world_fini(&tables->world);
	tables->world = world;
	tables->dirty = false;
	return 0;
}

int bh_tables_plan(struct bh_tables *tables, struct bh_change *change,
	const struct bh_switch *switches, size_t n_switches, struct bh_plan **ret_plan,
	struct bh_why *why)
{
	return bh_plan_make(&tables->world, change, tables->object, switches, n_switches,
		&tables->next_transient, ret_plan, why);
}

void bh_tables_grace(void)
{
	const struct timespec fallback = {.tv_nsec = 50 * 1000 * 1000};

	/* MEMBARRIER_CMD_GLOBAL is synchronize_rcu(); kernels with nohz_full refuse it. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		nanosleep(&fallback, NULL);
}

static int map_of(const struct bh_tables *tables, enum bh_map map)
{
	return tables->object->map[map];
}

/* ---- Programs ------------------------------------------------------------------------------- */

static int write_entry(struct bh_tables *tables, uint32_t program, const struct bh_entry *entry)
{
	struct bh_policy_key key = {.program = program, .class_dir = entry->class_dir};

	/* The ports first: the entry is what points to them. */
	for (uint32_t i = 0; i < entry->n_spills; i++) {
		struct bh_spill_key spill_key;
		struct bh_spill spill;
		int err;

		bh_spill_pack(program, entry->class_dir, &entry->spills[i], &spill_key, &spill);
		err = bpf_map_update_elem(
			map_of(tables, BH_MAP_bh_spills), &spill_key, &spill, BPF_ANY);
		if (err < 0)
			return err;
	}
	return bpf_map_update_elem(
		map_of(tables, BH_MAP_bh_policies), &key, &entry->policy, BPF_ANY);
}

static int remove_entry(struct bh_tables *tables, uint32_t program, const struct bh_entry *entry)
{
	struct bh_policy_key key = {.program = program, .class_dir = entry->class_dir};
	int err = bpf_map_delete_elem(map_of(tables, BH_MAP_bh_policies), &key);

	for (uint32_t i = 0; i < entry->n_spills && (!err || err == -ENOENT); i++) {
		struct bh_spill_key spill_key;
		struct bh_spill spill;

		bh_spill_pack(program, entry->class_dir, &entry->spills[i], &spill_key, &spill);
		err = bpf_map_delete_elem(map_of(tables, BH_MAP_bh_spills), &spill_key);
	}
	return err == -ENOENT ? 0 : err;
}

/* Entries without spills go in batches: ten thousand of them in a few milliseconds. */
static int write_program(struct bh_tables *tables, const struct bh_program *program)
{
	size_t room = program->n_entries < BATCH ? program->n_entries : BATCH;
	_cleanup_free_ struct bh_policy_key *keys = calloc(room + 1, sizeof(*keys));
	_cleanup_free_ struct bh_policy *values = calloc(room + 1, sizeof(*values));
	uint32_t n = 0;
	int err = 0;

	if (!keys || !values)
		return -ENOMEM;
	for (uint32_t i = 0; i < program->n_entries && !err; i++) {
		const struct bh_entry *entry = &program->entries[i];

		if (entry->n_spills) {
			err = write_entry(tables, program->number, entry);
			continue;
		}
		keys[n].program = program->number;
		keys[n].class_dir = entry->class_dir;
		values[n++] = entry->policy;
		if (n == room) {
			err = bh_map_put_many(map_of(tables, BH_MAP_bh_policies), keys,
				sizeof(*keys), values, sizeof(*values), n);
			n = 0;
		}
	}
	return err ? err
		   : bh_map_put_many(map_of(tables, BH_MAP_bh_policies), keys, sizeof(*keys),
			     values, sizeof(*values), n);
}

static int remove_program(struct bh_tables *tables, const struct bh_program *program)
{
	int err = 0;

	for (uint32_t i = 0; i < program->n_entries && !err; i++)
		err = remove_entry(tables, program->number, &program->entries[i]);
	return err;
}

static bool has_spill(const struct bh_entry *entry, const struct bh_spill_item *item)
{
	for (uint32_t i = 0; entry && i < entry->n_spills; i++) {
		const struct bh_spill_item *other = &entry->spills[i];

		if (other->protocol == item->protocol && other->bits == item->bits &&
			other->port == item->port)
			return true;
	}
	return false;
}

static int remove_spill(struct bh_tables *tables, uint32_t program, uint32_t class_dir,
	const struct bh_spill_item *item)
{
	struct bh_spill_key key;
	struct bh_spill value;
	int err;

	bh_spill_pack(program, class_dir, item, &key, &value);
	err = bpf_map_delete_elem(map_of(tables, BH_MAP_bh_spills), &key);
	return err == -ENOENT ? 0 : err;
}

/* What a program that was rewritten in force had too many. Last, so that nothing falls through. */
static int trim_program(struct bh_tables *tables, const struct bh_program *program)
{
	const struct bh_program *before = bh_world_program(&tables->world, program->number);
	int err = 0;

	for (uint32_t i = 0; before && i < before->n_entries && !err; i++) {
		const struct bh_entry *old = &before->entries[i];
		const struct bh_entry *now = bh_program_find(program, old->class_dir);

		if (!now)
			err = remove_entry(tables, program->number, old);
		for (uint32_t j = 0; now && j < old->n_spills && !err; j++) {
			if (!has_spill(now, &old->spills[j]))
				err = remove_spill(
					tables, program->number, old->class_dir, &old->spills[j]);
		}
	}
	return err;
}

/* Step 1. A leftover by the same number goes first: nobody has it in force. */
static int write_programs(struct bh_tables *tables, struct bh_plan *plan)
{
	int err = 0;

	for (size_t i = 0; i < plan->n_written && !err; i++) {
		const struct bh_program *leftover =
			bh_world_program(&tables->world, plan->written[i]->number);

		if (leftover)
			err = remove_program(tables, leftover);
		if (!err)
			err = write_program(tables, plan->written[i]);
	}
	for (size_t i = 0; i < plan->n_aliases && !err; i++)
		err = write_program(tables, plan->aliases[i]);
	return err;
}

/* ---- Addresses ------------------------------------------------------------------------------ */

static enum bh_map map_of_move(const struct bh_move *move)
{
	if (move->block)
		return move->family == 4 ? BH_MAP_bh_trie4 : BH_MAP_bh_trie6;
	return move->family == 4 ? BH_MAP_bh_addr4 : BH_MAP_bh_addr6;
}

static struct bh_table *mirror_of_move(struct bh_tables *tables, const struct bh_move *move)
{
	return move->block ? bh_world_blocks(&tables->world, move->family)
			   : bh_world_addresses(&tables->world, move->family);
}

/* The key of the move's map; returns its size. */
static size_t key_of_move(const struct bh_move *move, union bh_prefix *ret_key)
{
	if (move->block)
		return bh_prefix_make(move->family, move->ip, move->bits, ret_key);
	memcpy(ret_key, move->ip, move->family == 4 ? 4 : 16);
	return move->family == 4 ? 4 : 16;
}

static uint32_t local_slot(const struct bh_tables *tables, const struct bh_move *move)
{
	const uint32_t *slot =
		move->block ? NULL
			    : bh_table_get(move->family == 4 ? &tables->local4 : &tables->local6,
				      move->ip);

	return slot ? *slot : 0;
}

/* Collects writes for one map and sends them together. */
struct batch {
	struct bh_tables *tables;
	enum bh_map map;
	size_t key_size;
	uint32_t n;
	uint8_t *keys;
	struct bh_identity *values;
};

static int batch_flush(struct batch *batch)
{
	int err = bh_map_put_many(map_of(batch->tables, batch->map), batch->keys, batch->key_size,
		batch->values, sizeof(*batch->values), batch->n);

	batch->n = 0;
	return err;
}

static int batch_put(
	struct batch *batch, const struct bh_move *move, uint32_t class, uint32_t flags)
{
	union bh_prefix key;
	size_t size = key_of_move(move, &key);
	int err = 0;

	if (batch->n && (batch->n == BATCH || batch->map != map_of_move(move)))
		err = batch_flush(batch);
	batch->map = map_of_move(move);
	batch->key_size = size;
	memcpy(batch->keys + batch->n * size, &key, size);
	batch->values[batch->n++] = (struct bh_identity){
		.class = class,
		.workload = move->after.workload,
		.slot = local_slot(batch->tables, move),
		.flags = flags,
	};
	return err;
}

/*
 * Writes every move's entry: its transient class, or its last one. Exact addresses come first and
 * blocks from the longest to the shortest, so no address falls into a block that is not its own in
 * between; what shall go is first written as what it will be without it.
 */
static int write_moves(struct bh_tables *tables, const struct bh_plan *plan, bool transient)
{
	struct batch batch = {
		.tables = tables,
		.keys = calloc(BATCH, sizeof(union bh_prefix)),
		.values = calloc(BATCH, sizeof(*batch.values)),
	};
	int err = batch.keys && batch.values ? 0 : -ENOMEM;

	for (size_t i = 0; i < plan->n_moves && !err; i++) {
		const struct bh_move *move = &plan->moves[i];

		if (transient && !move->transient)
			continue;
		/* A split's class is its own transient. */
		if (!transient && move->transient == move->after.class && move->transient &&
			!(move->before.flags & ~move->after.flags))
			continue;
		/* Exact addresses wait for the blocks before they fall into them. */
		if (!transient && !move->stays && !move->block)
			continue;
		/* On the way it is a service for whichever program takes it for one. */
		if (transient)
			err = batch_put(&batch, move, move->transient,
				move->before.flags | move->after.flags);
		else
			err = batch_put(&batch, move, move->after.class, move->after.flags);
	}
	if (!err && batch.n)
		err = batch_flush(&batch);
	free(batch.keys);
	free(batch.values);
	return err;
}

/* Everything an address needs is written: what has no entry of its own any more loses it. */
static int remove_moved(struct bh_tables *tables, const struct bh_plan *plan)
{
	for (size_t i = 0; i < plan->n_moves; i++) {
		const struct bh_move *move = &plan->moves[i];
		union bh_prefix key;
		int err;

		if (move->stays)
			continue;
		key_of_move(move, &key);
		err = bpf_map_delete_elem(map_of(tables, map_of_move(move)), &key);
		if (err < 0 && err != -ENOENT)
			return err;
	}
	return 0;
}

static int mirror_moves(struct bh_tables *tables, const struct bh_plan *plan)
{
	for (size_t i = 0; i < plan->n_moves; i++) {
		const struct bh_move *move = &plan->moves[i];
		struct bh_table *mirror = mirror_of_move(tables, move);
		struct bh_identity *identity;
		union bh_prefix key;

		key_of_move(move, &key);
		if (!move->stays) {
			bh_table_remove(mirror, &key);
			continue;
		}
		identity = bh_table_put(mirror, &key, NULL);
		if (!identity)
			return -ENOMEM;
		*identity = (struct bh_identity){
			.class = move->after.class,
			.workload = move->after.workload,
			.slot = local_slot(tables, move),
			.flags = move->after.flags,
		};
	}
	return 0;
}

/* A trie is asked only while it has something to say: on before the first block, off after the
 * last. */
static void set_trie_flags(struct bh_tables *tables, const struct bh_plan *plan, bool before)
{
	uint32_t set = 0, clear = 0;

	for (size_t i = 0; i < plan->n_moves && before; i++) {
		if (plan->moves[i].block)
			set |= plan->moves[i].family == 4 ? BH_CONFIG_TRIE4 : BH_CONFIG_TRIE6;
	}
	if (!before) {
		clear |= tables->world.block4.n ? 0 : BH_CONFIG_TRIE4;
		clear |= tables->world.block6.n ? 0 : BH_CONFIG_TRIE6;
	}
	if ((tables->object->config->flags | set) != tables->object->config->flags ||
		tables->object->config->flags & clear)
		bh_object_set_flags(tables->object, set, clear);
}

int bh_tables_set_local(struct bh_tables *tables, uint8_t family, const void *ip, uint32_t slot)
{
	struct bh_table *local = family == 4 ? &tables->local4 : &tables->local6;
	struct bh_identity *identity = bh_table_get(bh_world_addresses(&tables->world, family), ip);
	uint32_t *place;
	int err;

	if (slot) {
		place = bh_table_put(local, ip, NULL);
		if (!place)
			return -ENOMEM;
		*place = slot;
	} else {
		bh_table_remove(local, ip);
	}
	if (!identity || identity->slot == slot)
		return 0;
	identity->slot = slot;
	err = bpf_map_update_elem(map_of(tables, family == 4 ? BH_MAP_bh_addr4 : BH_MAP_bh_addr6),
		ip, identity, BPF_EXIST);
	bh_object_move_generation(tables->object);
	return err;
}

/* ---- Endpoints ------------------------------------------------------------------------------ */

static bool uses(const struct bh_endpoint *endpoint, uint32_t number)
{
	return (uint32_t)endpoint->programs == number ||
	       (uint32_t)(endpoint->programs >> 32) == number;
}

/* Who has this program in force asks it again. */
static void move_epochs_of(struct bh_object *object, uint32_t number)
{
	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX; slot++) {
		if (object->endpoints[slot].epoch && uses(&object->endpoints[slot], number))
			bh_object_move_epoch(object, slot);
	}
}

/* Step 3. The program first, then the epoch: a verdict is never newer than its epoch says. */
static int switch_endpoints(struct bh_tables *tables, const struct bh_plan *plan)
{
	struct bh_object *object = tables->object;
	uint32_t flags;
	int err = 0;

	for (size_t i = 0; i < plan->n_switches; i++) {
		const struct bh_switch *wanted = &plan->switches[i];

		bh_object_store_programs(object, wanted->slot, wanted->meanwhile);
		bh_object_move_epoch(object, wanted->slot);
	}
	for (size_t i = 0; i < plan->n_rewritten && !err; i++) {
		err = write_program(tables, plan->rewritten[i]);
		move_epochs_of(object, plan->rewritten[i]->number);
	}
	flags = (plan->change->unknown_open ? BH_CONFIG_UNKNOWN_OPEN : 0) |
		(plan->change->hold ? BH_CONFIG_HOLD : 0);
	bh_object_set_flags(object, flags, ~flags & (BH_CONFIG_UNKNOWN_OPEN | BH_CONFIG_HOLD));
	return err;
}

static void leave_aliases(struct bh_tables *tables, const struct bh_plan *plan)
{
	for (size_t i = 0; i < plan->n_switches; i++) {
		const struct bh_switch *wanted = &plan->switches[i];

		if (wanted->meanwhile != wanted->programs)
			bh_object_store_programs(tables->object, wanted->slot, wanted->programs);
	}
}

static void move_all_epochs(struct bh_object *object)
{
	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX; slot++) {
		if (object->endpoints[slot].epoch)
			bh_object_move_epoch(object, slot);
	}
}

/* ---- The steps ------------------------------------------------------------------------------ */

static int fail(struct bh_tables *tables, int err, const char *step, struct bh_why *why)
{
	tables->dirty = true;
	bh_object_move_generation(tables->object);
	return bh_fail(why, err, "%s: %s; what is in force is read back, a full update mends it",
		step, strerror(-err));
}

/* Step 2. */
static int move_to_transients(struct bh_tables *tables, struct bh_plan *plan)
{
	int err = 0;

	for (size_t i = 0; i < plan->n_temps && !err; i++)
		err = write_entry(tables, plan->temps[i].program, &plan->temps[i].entry);
	if (!err)
		err = write_moves(tables, plan, true);
	if (!err)
		bh_tables_grace();
	return err;
}

/* What was written of the change's programs is the world's from here on. */
static int adopt_programs(
	struct bh_tables *tables, struct bh_plan *plan, struct bh_program **programs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t number = programs[i]->number;
		struct bh_program **staged = bh_table_get(&plan->change->programs, &number);
		int err = bh_world_put_program(&tables->world, bh_take_pointer(*staged));

		if (err < 0)
			return err;
	}
	return 0;
}

static int remove_temps(struct bh_tables *tables, const struct bh_plan *plan)
{
	int err = 0;

	for (size_t i = 0; i < plan->n_temps && !err; i++) {
		const struct bh_temp *temp = &plan->temps[i];
		const struct bh_program *program = bh_world_program(&tables->world, temp->program);

		/* A split's class may by now be one that the program names itself. */
		if (!program || !bh_program_find(program, temp->entry.class_dir))
			err = remove_entry(tables, temp->program, &temp->entry);
	}
	return err;
}

/*
 * The addresses have arrived: what programs had to know for the way is forgotten. Aliases are left
 * after that, because the program behind one may have been taught what it stood for before.
 */
static int forget_transients(struct bh_tables *tables, struct bh_plan *plan)
{
	int err = 0;

	if (plan->n_temps || plan->n_rewritten)
		bh_tables_grace();
	for (size_t i = 0; i < plan->n_rewritten && !err; i++) {
		err = trim_program(tables, plan->rewritten[i]);
		move_epochs_of(tables->object, plan->rewritten[i]->number);
	}
	if (!err)
		err = adopt_programs(tables, plan, plan->rewritten, plan->n_rewritten);
	if (!err)
		err = remove_temps(tables, plan);
	if (!err)
		leave_aliases(tables, plan);
	return err;
}

int bh_tables_apply(struct bh_tables *tables, struct bh_plan *plan, struct bh_why *why)
{
	/* Set already: an earlier update was cut short, maybe between a write and its epochs. */
	bool cut_short = tables->object->config->flags & BH_CONFIG_UPDATING;
	int err;

	bh_object_set_flags(tables->object, BH_CONFIG_UPDATING, 0);
	err = write_programs(tables, plan);
	if (!err)
		err = adopt_programs(tables, plan, plan->written, plan->n_written);
	if (err < 0)
		return fail(tables, err, "writing programs", why);
	set_trie_flags(tables, plan, true);
	if (plan->transients) {
		err = move_to_transients(tables, plan);
		if (err < 0)
			return fail(tables, err, "moving addresses to transient classes", why);
	}
	err = switch_endpoints(tables, plan);
	if (err < 0)
		return fail(tables, err, "switching endpoints", why);
	if (plan->transients)
		bh_tables_grace();
	err = write_moves(tables, plan, false);
	if (!err)
		err = remove_moved(tables, plan);
	if (!err)
		err = mirror_moves(tables, plan);
	if (err < 0)
		return fail(tables, err, "writing addresses", why);
	err = forget_transients(tables, plan);
	if (err < 0)
		return fail(tables, err, "clearing away transient classes", why);
	if (plan->identities_change || cut_short)
		move_all_epochs(tables->object);
	set_trie_flags(tables, plan, false);
	bh_object_move_generation(tables->object);
	bh_object_set_flags(tables->object, 0, BH_CONFIG_UPDATING);
	return 0;
}

int bh_tables_finish(struct bh_tables *tables, struct bh_plan *plan, struct bh_why *why)
{
	int err = 0;

	if (plan->n_aliases || plan->n_removed)
		bh_tables_grace();
	for (size_t i = 0; i < plan->n_aliases && !err; i++)
		err = remove_program(tables, plan->aliases[i]);
	for (size_t i = 0; i < plan->n_removed && !err; i++) {
		const struct bh_program *program =
			bh_world_program(&tables->world, plan->removed[i]);

		err = program ? remove_program(tables, program) : 0;
		if (!err)
			bh_world_remove_program(&tables->world, plan->removed[i]);
	}
	return err < 0 ? fail(tables, err, "removing programs nobody names any more", why) : 0;
}
