/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/cleanup.h"

/* What is needed while a plan is made. */
struct planning {
	const struct bh_world *world;
	struct bh_change *change;
	const struct bh_object *object;
	struct bh_plan *plan;
	struct bh_table in_force; /* program numbers that endpoints have now */
	struct bh_table taught;   /* program numbers that know the transient classes */
	struct bh_table pairs;    /* struct pair → transient class */
	uint32_t *next_transient;
	struct bh_why *why;
};

struct pair {
	uint32_t before;
	uint32_t after;
};

static void plan_cleanup(struct bh_plan **plan)
{
	bh_plan_free(*plan);
}

void *bh_list_grow(void *list, size_t n, size_t size)
{
	/* Grows at each power of two, from 8 on. */
	if (n && (n < 8 || (n & (n - 1))))
		return list;
	return realloc(list, (n ? 2 * n : 8) * size);
}

#define PUSH(list, n, element)                                                        \
	({                                                                            \
		__typeof__(list) grown_ = bh_list_grow((list), (n), sizeof(*(list))); \
		if (grown_) {                                                         \
			(list) = grown_;                                              \
			(list)[(n)++] = (element);                                    \
		}                                                                     \
		grown_ ? 0 : -ENOMEM;                                                 \
	})

void bh_plan_free(struct bh_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_temps; i++)
		bh_entry_fini(&plan->temps[i].entry);
	for (size_t i = 0; i < plan->n_aliases; i++)
		bh_program_free(plan->aliases[i]);
	free(plan->moves);
	free(plan->temps);
	free(plan->written);
	free(plan->rewritten);
	free(plan->aliases);
	free(plan->removed);
	free(plan->switches);
	free(plan);
}

/* ---- Before and after ----------------------------------------------------------------------- */

static const struct bh_table *staged_addresses(const struct bh_change *change, uint8_t family)
{
	return family == 4 ? &change->addr4 : &change->addr6;
}

static const struct bh_table *staged_blocks(const struct bh_change *change, uint8_t family)
{
	return family == 4 ? &change->block4 : &change->block6;
}

/* What a key of `before` becomes: true and *ret_identity, or false if it is not there afterwards.
 */
static bool key_after(const struct bh_change *change, const struct bh_table *before,
	const struct bh_table *staged, const void *key, struct bh_identity *ret_identity)
{
	const struct bh_staged_identity *named = bh_table_get(staged, key);
	const struct bh_identity *kept;

	if (named) {
		*ret_identity = (struct bh_identity){
			.class = named->class,
			.workload = named->workload,
			.flags = named->flags,
		};
		return !named->removed;
	}
	kept = change->full ? NULL : bh_table_get(before, key);
	if (kept)
		*ret_identity = *kept;
	return kept != NULL;
}

/* As bh_world_block(), in the world to come. */
static struct bh_identity block_after(
	const struct planning *p, uint8_t family, const uint8_t *ip, int64_t bits)
{
	const struct bh_table *before = family == 4 ? &p->world->block4 : &p->world->block6;
	const struct bh_table *staged = staged_blocks(p->change, family);
	struct bh_identity identity = {};

	if (!before->n && !staged->n)
		return identity;
	for (; bits >= 0; bits--) {
		union bh_prefix key;

		bh_prefix_make(family, ip, (uint32_t)bits, &key);
		if (key_after(p->change, before, staged, &key, &identity))
			return identity;
	}
	return (struct bh_identity){};
}

static struct bh_identity block_before(
	const struct planning *p, uint8_t family, const uint8_t *ip, int64_t bits)
{
	const struct bh_identity *identity =
		bits < 0 ? NULL : bh_world_block(p->world, family, ip, (uint32_t)bits);

	return identity ? *identity : (struct bh_identity){};
}

bool bh_plan_knows_program(
	const struct bh_world *world, const struct bh_change *change, uint32_t number)
{
	struct bh_program **staged = bh_table_get(&change->programs, &number);

	if (number == BH_PROGRAM_OPEN || number == BH_PROGRAM_NONE)
		return true;
	if (staged)
		return *staged != NULL;
	return !change->full && bh_world_program(world, number);
}

bool bh_plan_knows_address(const struct bh_world *world, const struct bh_change *change,
	uint8_t family, const void *ip)
{
	struct bh_identity identity;

	return key_after(change, family == 4 ? &world->addr4 : &world->addr6,
		staged_addresses(change, family), ip, &identity);
}

/* ---- Moves ---------------------------------------------------------------------------------- */

/* `shorter`: how many bits a block may have that answers where this entry does not. */
static int add_move(struct planning *p, struct bh_move move, const struct bh_identity *own_before,
	bool stays, struct bh_identity own_after, int64_t shorter)
{
	move.had = own_before != NULL;
	move.stays = stays;
	if (!move.had && !stays)
		return 0;
	if (move.had && stays && own_before->class == own_after.class &&
		own_before->workload == own_after.workload && own_before->flags == own_after.flags)
		return 0;
	move.before = move.had ? *own_before : block_before(p, move.family, move.ip, shorter);
	move.after = stays ? own_after : block_after(p, move.family, move.ip, shorter);
	move.reclassed = move.before.class != move.after.class;
	move.renamed = move.before.workload != move.after.workload;
	/* A service's address marks the packets to it, which the flows it has remember. */
	p->plan->identities_change |=
		move.reclassed || move.renamed || move.before.flags != move.after.flags;
	return PUSH(p->plan->moves, p->plan->n_moves, move);
}

static int consider_address(struct planning *p, uint8_t family, const void *key)
{
	const struct bh_table *before = family == 4 ? &p->world->addr4 : &p->world->addr6;
	struct bh_move move = {.family = family};
	struct bh_identity after = {};
	bool stays = key_after(p->change, before, staged_addresses(p->change, family), key, &after);

	memcpy(move.ip, key, family == 4 ? 4 : 16);
	return add_move(p, move, bh_table_get(before, key), stays, after, family == 4 ? 32 : 128);
}

static int consider_block(struct planning *p, uint8_t family, const void *key)
{
	const struct bh_table *before = family == 4 ? &p->world->block4 : &p->world->block6;
	struct bh_move move = {.family = family, .block = true};
	struct bh_identity after = {};
	bool stays = key_after(p->change, before, staged_blocks(p->change, family), key, &after);

	if (family == 4) {
		const struct bh_prefix4 *prefix = key;

		move.bits = (uint8_t)prefix->bits;
		memcpy(move.ip, &prefix->addr, 4);
	} else {
		const struct bh_prefix6 *prefix = key;

		move.bits = (uint8_t)prefix->bits;
		memcpy(move.ip, prefix->addr, 16);
	}
	return add_move(p, move, bh_table_get(before, key), stays, after, (int64_t)move.bits - 1);
}

typedef int (*considerer)(struct planning *p, uint8_t family, const void *key);

/* Every key that is named, and in a full update every one that is there and not named. */
static int consider_all(struct planning *p, uint8_t family, const struct bh_table *before,
	const struct bh_table *staged, considerer consider)
{
	size_t cursor = 0;
	const void *key;
	void *value;
	int err = 0;

	while (!err && bh_table_next(staged, &cursor, &key, &value))
		err = consider(p, family, key);
	cursor = 0;
	while (!err && p->change->full && bh_table_next(before, &cursor, &key, &value)) {
		if (!bh_table_get(staged, key))
			err = consider(p, family, key);
	}
	return err;
}

/* Exact addresses before blocks, long blocks before short ones. */
static int compare_moves(const void *a, const void *b)
{
	const struct bh_move *x = a, *y = b;

	return x->block != y->block ? x->block - y->block : y->bits - x->bits;
}

static int find_moves(struct planning *p)
{
	int err = 0;

	for (uint8_t family = 4; family <= 6 && !err; family += 2) {
		err = consider_all(p, family, family == 4 ? &p->world->addr4 : &p->world->addr6,
			staged_addresses(p->change, family), consider_address);
		if (!err)
			err = consider_all(p, family,
				family == 4 ? &p->world->block4 : &p->world->block6,
				staged_blocks(p->change, family), consider_block);
	}
	if (!err && p->plan->n_moves)
		qsort(p->plan->moves, p->plan->n_moves, sizeof(*p->plan->moves), compare_moves);
	return err;
}

/* ---- Programs ------------------------------------------------------------------------------- */

static int note_in_force(struct planning *p, uint32_t number)
{
	return bh_table_put(&p->in_force, &number, NULL) ? 0 : -ENOMEM;
}

static int find_in_force(struct planning *p)
{
	int err = 0;

	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX && !err; slot++) {
		const struct bh_endpoint *endpoint = &p->object->endpoints[slot];

		if (!endpoint->epoch)
			continue;
		err = note_in_force(p, (uint32_t)endpoint->programs);
		if (!err)
			err = note_in_force(p, (uint32_t)(endpoint->programs >> 32));
	}
	return err;
}

static int find_programs(struct planning *p)
{
	struct bh_plan *plan = p->plan;
	size_t cursor = 0;
	const void *key;
	void *value;
	int err = 0;

	while (!err && bh_table_next(&p->change->programs, &cursor, &key, &value)) {
		struct bh_program *staged = *(struct bh_program **)value;
		const struct bh_program *now = bh_world_program(p->world, *(const uint32_t *)key);

		if (!staged) {
			if (now)
				err = PUSH(plan->removed, plan->n_removed, now->number);
			continue;
		}
		/* One without entries must be known too, though no map shows it. */
		if (now && bh_program_equal(now, staged))
			continue;
		if (now && bh_table_get(&p->in_force, &staged->number))
			err = PUSH(plan->rewritten, plan->n_rewritten, staged);
		else
			err = PUSH(plan->written, plan->n_written, staged);
	}
	cursor = 0;
	while (!err && p->change->full &&
		bh_table_next(&p->world->programs, &cursor, &key, &value)) {
		if (!bh_table_get(&p->change->programs, key))
			err = PUSH(plan->removed, plan->n_removed, *(const uint32_t *)key);
	}
	return err;
}

static int find_switches(struct planning *p, const struct bh_switch *switches, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		struct bh_switch wanted = switches[i];

		wanted.meanwhile = wanted.programs;
		if (p->object->endpoints[wanted.slot].programs != wanted.programs)
			err = PUSH(p->plan->switches, p->plan->n_switches, wanted);
	}
	return err;
}

/* The program as it will be: the staged one, or what is in force. */
static const struct bh_program *program_after(const struct planning *p, uint32_t number)
{
	struct bh_program **staged = bh_table_get(&p->change->programs, &number);

	return staged ? *staged : bh_world_program(p->world, number);
}

/* ---- Transient classes ---------------------------------------------------------------------- */

static uint32_t new_transient(struct planning *p)
{
	uint32_t class = BH_CLASS_TRANSIENT + *p->next_transient;

	/* Not reused before all others were: a packet may still carry it. */
	*p->next_transient = (*p->next_transient + 1) % (BH_CLASS_ANY - BH_CLASS_TRANSIENT);
	return class;
}

static bool any_program_names(const struct planning *p, uint32_t class)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(&p->world->programs, &cursor, &key, &value)) {
		const struct bh_program *program = *(struct bh_program **)value;

		if (bh_program_find(program, class) ||
			bh_program_find(program, class | BH_POLICY_EGRESS))
			return true;
	}
	return false;
}

static bool any_address_has(const struct bh_table *table, uint32_t class)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(table, &cursor, &key, &value)) {
		if (((const struct bh_identity *)value)->class == class)
			return true;
	}
	return false;
}

/* Nobody has it, nobody names it, and one old class alone moves into it. */
static bool is_split(const struct planning *p, uint32_t before, uint32_t after)
{
	if (after == BH_CLASS_NONE)
		return false;
	for (size_t i = 0; i < p->plan->n_moves; i++) {
		const struct bh_move *move = &p->plan->moves[i];

		if (move->reclassed && move->after.class == after && move->before.class != before)
			return false;
	}
	return !any_address_has(&p->world->addr4, after) &&
	       !any_address_has(&p->world->addr6, after) &&
	       !any_address_has(&p->world->block4, after) &&
	       !any_address_has(&p->world->block6, after) && !any_program_names(p, after);
}

static int give_transients(struct planning *p)
{
	for (size_t i = 0; i < p->plan->n_moves; i++) {
		struct bh_move *move = &p->plan->moves[i];
		struct pair pair = {move->before.class, move->after.class};
		uint32_t *class;
		bool new;

		if (!move->reclassed)
			continue;
		class = bh_table_put(&p->pairs, &pair, &new);
		if (!class)
			return -ENOMEM;
		if (new)
			*class = is_split(p, pair.before, pair.after) ? pair.after
								      : new_transient(p);
		move->transient = *class;
	}
	return 0;
}

static int add_temp(
	struct planning *p, uint32_t program, const struct bh_entry *entry, uint32_t class_dir)
{
	struct bh_temp temp = {.program = program};
	int err = bh_entry_copy(entry, class_dir, &temp.entry);

	if (!err)
		err = PUSH(p->plan->temps, p->plan->n_temps, temp);
	if (err < 0)
		bh_entry_fini(&temp.entry);
	return err;
}

/*
 * Teaches one program every transient class: the meaning of the class before, or of the one after.
 * Where it has no entry for that one, BH_CLASS_ANY answers for both.
 */
static int teach(struct planning *p, const struct bh_program *program, uint32_t number, bool after)
{
	static const uint32_t directions[] = {0, BH_POLICY_EGRESS};
	size_t cursor = 0;
	const void *key;
	void *value;
	int err = 0;
	bool new;

	if (!bh_table_put(&p->taught, &number, &new))
		return -ENOMEM;
	while (new && !err && bh_table_next(&p->pairs, &cursor, &key, &value)) {
		const struct pair *pair = key;
		uint32_t from = after ? pair->after : pair->before, to = *(uint32_t *)value;

		for (size_t i = 0; i < 2 && !err && from != to; i++) {
			const struct bh_entry *entry =
				bh_program_find(program, from | directions[i]);

			if (entry)
				err = add_temp(p, number, entry, to | directions[i]);
		}
	}
	return err;
}

/* ---- Aliases -------------------------------------------------------------------------------- */

/* Does it matter to this program whether an address has its old or its new class? */
static bool tells_apart(const struct planning *p, const struct bh_program *program)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(&p->pairs, &cursor, &key, &value)) {
		const struct pair *pair = key;

		for (uint32_t direction = 0; direction < 2; direction++) {
			uint32_t bit = direction ? BH_POLICY_EGRESS : 0;

			if (!bh_entry_equal(bh_program_find(program, pair->before | bit),
				    bh_program_find(program, pair->after | bit)))
				return true;
		}
	}
	return false;
}

static uint32_t unused_number(const struct planning *p, uint32_t like)
{
	uint32_t isolated = like & (BH_PROGRAM_INGRESS_ISOLATED | BH_PROGRAM_EGRESS_ISOLATED);
	uint32_t number;

	do {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			number = ++like;
		number = (number & (BH_PROGRAM_INGRESS_ISOLATED - 1)) | isolated;
	} while (number <= BH_PROGRAM_NONE || number == BH_PROGRAM_HELD ||
		 program_after(p, number) || bh_table_get(&p->in_force, &number));
	return number;
}

/* The number a newcomer uses for `number` while addresses are on their way. */
static int alias_of(
	struct planning *p, uint32_t number, struct bh_table *aliases, uint32_t *ret_number)
{
	const struct bh_program *program = program_after(p, number);
	struct bh_program *copy;
	uint32_t *alias;
	bool new;
	int err = 0;

	*ret_number = number;
	if (!program || !bh_table_get(&p->in_force, &number) || !tells_apart(p, program))
		return 0;
	alias = bh_table_put(aliases, &number, &new);
	if (!alias)
		return -ENOMEM;
	if (new) {
		*alias = unused_number(p, number);
		copy = bh_program_new(*alias);
		if (!copy)
			return -ENOMEM;
		err = PUSH(p->plan->aliases, p->plan->n_aliases, copy);
		if (err < 0) {
			bh_program_free(copy);
			return err;
		}
		for (uint32_t i = 0; i < program->n_entries && !err; i++) {
			struct bh_entry entry;

			err = bh_entry_copy(
				&program->entries[i], program->entries[i].class_dir, &entry);
			if (!err)
				err = bh_program_add(copy, &entry);
		}
		if (!err)
			err = teach(p, program, *alias, true);
	}
	*ret_number = *alias;
	return err;
}

static int give_aliases(struct planning *p)
{
	struct bh_table aliases;
	int err = 0;

	bh_table_init(&aliases, sizeof(uint32_t), sizeof(uint32_t));
	for (size_t i = 0; i < p->plan->n_switches && !err; i++) {
		struct bh_switch *wanted = &p->plan->switches[i];
		uint64_t now = p->object->endpoints[wanted->slot].programs;
		uint32_t active = (uint32_t)wanted->programs;
		uint32_t pending = (uint32_t)(wanted->programs >> 32);

		/* What this endpoint has already means the same to it before and after. */
		if (active != (uint32_t)now)
			err = alias_of(p, active, &aliases, &active);
		if (!err && pending != (uint32_t)(now >> 32))
			err = alias_of(p, pending, &aliases, &pending);
		wanted->meanwhile = bh_programs_pack(active, pending);
	}
	bh_table_clear(&aliases);
	return err;
}

static int plan_transients(struct planning *p)
{
	struct bh_plan *plan = p->plan;
	size_t cursor = 0;
	const void *key;
	void *value;
	int err = give_transients(p);

	while (!err && bh_table_next(&p->in_force, &cursor, &key, &value)) {
		const struct bh_program *program =
			bh_world_program(p->world, *(const uint32_t *)key);

		if (program)
			err = teach(p, program, program->number, false);
	}
	for (size_t i = 0; i < plan->n_written && !err; i++)
		err = teach(p, plan->written[i], plan->written[i]->number, true);
	/* Known before, in force for nobody, and now given to somebody. */
	for (size_t i = 0; i < plan->n_switches && !err; i++) {
		for (int half = 0; half < 2 && !err; half++) {
			uint32_t number = (uint32_t)(plan->switches[i].programs >> (32 * half));
			const struct bh_program *program = bh_world_program(p->world, number);

			if (!program || program_after(p, number) != program ||
				bh_table_get(&p->in_force, &number))
				continue;
			err = teach(p, program, number, true);
		}
	}
	return err ? err : give_aliases(p);
}

/* ---- Room ----------------------------------------------------------------------------------- */

static int check_room(const struct planning *p, enum bh_map map, size_t needed, size_t spare)
{
	if (needed + spare <= p->object->size[map])
		return 0;
	return bh_fail(p->why, -ENOSPC,
		"%s needs room for %zu entries while this change is made and has %u: start the "
		"dataplane "
		"with --map-size %s=%zu and fresh pins",
		bh_map_name(map), needed + spare, p->object->size[map], bh_map_name(map),
		(needed + spare) * 2);
}

static int check_rooms(struct planning *p)
{
	const struct bh_plan *plan = p->plan;
	size_t addr4 = p->world->addr4.n, addr6 = p->world->addr6.n;
	size_t block4 = p->world->block4.n, block6 = p->world->block6.n;
	size_t entries = p->world->n_entries, spills = p->world->n_spills;
	int err;

	for (size_t i = 0; i < plan->n_moves; i++) {
		const struct bh_move *move = &plan->moves[i];
		size_t more = move->had ? 0 : 1;

		*(move->block ? (move->family == 4 ? &block4 : &block6)
			      : (move->family == 4 ? &addr4 : &addr6)) += more;
	}
	for (size_t i = 0; i < plan->n_temps; i++) {
		entries++;
		spills += plan->temps[i].entry.n_spills;
	}
	for (size_t i = 0; i < plan->n_written; i++) {
		entries += plan->written[i]->n_entries;
		spills += bh_program_spills(plan->written[i]);
	}
	for (size_t i = 0; i < plan->n_rewritten; i++) {
		entries += plan->rewritten[i]->n_entries;
		spills += bh_program_spills(plan->rewritten[i]);
	}
	for (size_t i = 0; i < plan->n_aliases; i++) {
		entries += plan->aliases[i]->n_entries;
		spills += bh_program_spills(plan->aliases[i]);
	}
	/* Before 6.13 a full trie refuses even to replace an entry: one stays free. */
	err = check_room(p, BH_MAP_bh_addr4, addr4, 0);
	err = err ? err : check_room(p, BH_MAP_bh_addr6, addr6, 0);
	err = err ? err : check_room(p, BH_MAP_bh_trie4, block4, 1);
	err = err ? err : check_room(p, BH_MAP_bh_trie6, block6, 1);
	err = err ? err : check_room(p, BH_MAP_bh_policies, entries, 0);
	return err ? err : check_room(p, BH_MAP_bh_spills, spills, 1);
}

int bh_plan_make(const struct bh_world *world, struct bh_change *change,
	const struct bh_object *object, const struct bh_switch *switches, size_t n_switches,
	uint32_t *next_transient, struct bh_plan **ret_plan, struct bh_why *why)
{
	_cleanup_(plan_cleanup) struct bh_plan *plan = calloc(1, sizeof(*plan));
	struct planning p = {
		.world = world,
		.change = change,
		.object = object,
		.plan = plan,
		.next_transient = next_transient,
		.why = why,
	};
	int err;

	if (!plan)
		return -ENOMEM;
	plan->change = change;
	bh_table_init(&p.in_force, sizeof(uint32_t), 1);
	bh_table_init(&p.taught, sizeof(uint32_t), 1);
	bh_table_init(&p.pairs, sizeof(struct pair), sizeof(uint32_t));
	err = find_in_force(&p);
	err = err ? err : find_moves(&p);
	err = err ? err : find_programs(&p);
	err = err ? err : find_switches(&p, switches, n_switches);
	if (!err && plan->identities_change && plan->n_switches) {
		plan->transients = true;
		err = plan_transients(&p);
	}
	err = err ? err : check_rooms(&p);
	bh_table_clear(&p.in_force);
	bh_table_clear(&p.taught);
	bh_table_clear(&p.pairs);
	if (err < 0)
		return err;
	*ret_plan = bh_take_pointer(plan);
	return 0;
}
