/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"

#define PORT_MAX 65535

static void entry_cleanup(struct bh_entry *entry)
{
	bh_entry_fini(entry);
}

void bh_entry_fini(struct bh_entry *entry)
{
	free(entry->spills);
	entry->spills = NULL;
	entry->n_spills = 0;
}

struct bh_program *bh_program_new(uint32_t number)
{
	struct bh_program *program = calloc(1, sizeof(*program));

	if (program)
		program->number = number;
	return program;
}

void bh_program_free(struct bh_program *program)
{
	if (!program)
		return;
	for (uint32_t i = 0; i < program->n_entries; i++)
		bh_entry_fini(&program->entries[i]);
	free(program->entries);
	free(program);
}

int bh_program_add(struct bh_program *program, struct bh_entry *entry)
{
	uint32_t n = program->n_entries;

	/* Grows at each power of two. */
	if ((n & (n - 1)) == 0) {
		struct bh_entry *entries =
			realloc(program->entries, (n ? 2 * (size_t)n : 1) * sizeof(*entries));

		if (!entries) {
			bh_entry_fini(entry);
			return -ENOMEM;
		}
		program->entries = entries;
	}
	program->entries[n] = *entry;
	program->n_entries++;
	*entry = (struct bh_entry){};
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct bh_entry *x = a, *y = b;

	return (x->class_dir > y->class_dir) - (x->class_dir < y->class_dir);
}

static int compare_spills(const void *a, const void *b)
{
	const struct bh_spill_item *x = a, *y = b;

	if (x->protocol != y->protocol)
		return x->protocol - y->protocol;
	if (x->port != y->port)
		return x->port - y->port;
	return x->bits - y->bits;
}

int bh_program_seal(struct bh_program *program, uint32_t *ret_class_dir)
{
	if (program->n_entries > 1)
		qsort(program->entries, program->n_entries, sizeof(*program->entries),
			compare_entries);
	for (uint32_t i = 0; i < program->n_entries; i++) {
		struct bh_entry *entry = &program->entries[i];

		if (i && entry->class_dir == entry[-1].class_dir) {
			*ret_class_dir = entry->class_dir;
			return -EEXIST;
		}
		if (entry->n_spills > 1)
			qsort(entry->spills, entry->n_spills, sizeof(*entry->spills),
				compare_spills);
	}
	return 0;
}

const struct bh_entry *bh_program_find(const struct bh_program *program, uint32_t class_dir)
{
	struct bh_entry wanted = {.class_dir = class_dir};

	if (!program->n_entries)
		return NULL;
	return bsearch(
		&wanted, program->entries, program->n_entries, sizeof(wanted), compare_entries);
}

size_t bh_program_spills(const struct bh_program *program)
{
	size_t n = 0;

	for (uint32_t i = 0; i < program->n_entries; i++)
		n += program->entries[i].n_spills;
	return n;
}

static bool entry_defers(const struct bh_entry *entry)
{
	for (uint32_t i = 0; i < entry->policy.n_rules && i < BH_RULES_INLINE; i++) {
		if (entry->policy.rules[i].flags & BH_RULE_DEFER)
			return true;
	}
	for (uint32_t i = 0; i < entry->n_spills; i++) {
		if (entry->spills[i].flags & BH_RULE_DEFER)
			return true;
	}
	return false;
}

bool bh_program_defers(const struct bh_program *program)
{
	for (uint32_t i = 0; i < program->n_entries; i++) {
		if (entry_defers(&program->entries[i]))
			return true;
	}
	return false;
}

bool bh_entry_equal(const struct bh_entry *a, const struct bh_entry *b)
{
	if (!a || !b)
		return a == b;
	if (memcmp(&a->policy, &b->policy, sizeof(a->policy)) || a->n_spills != b->n_spills)
		return false;
	for (uint32_t i = 0; i < a->n_spills; i++) {
		const struct bh_spill_item *x = &a->spills[i], *y = &b->spills[i];

		if (compare_spills(x, y) || x->rule != y->rule || x->flags != y->flags)
			return false;
	}
	return true;
}

bool bh_program_equal(const struct bh_program *a, const struct bh_program *b)
{
	if (a->number != b->number || a->n_entries != b->n_entries)
		return false;
	for (uint32_t i = 0; i < a->n_entries; i++) {
		if (a->entries[i].class_dir != b->entries[i].class_dir ||
			!bh_entry_equal(&a->entries[i], &b->entries[i]))
			return false;
	}
	return true;
}

int bh_entry_copy(const struct bh_entry *entry, uint32_t class_dir, struct bh_entry *ret_entry)
{
	struct bh_entry copy = *entry;

	copy.class_dir = class_dir;
	copy.spills = NULL;
	if (entry->n_spills) {
		copy.spills = calloc(entry->n_spills, sizeof(*copy.spills));
		if (!copy.spills)
			return -ENOMEM;
		memcpy(copy.spills, entry->spills, entry->n_spills * sizeof(*copy.spills));
	}
	*ret_entry = copy;
	return 0;
}

/* ---- From the wire -------------------------------------------------------------------------- */

/* Protocol 0 is asked last, so it stands last. */
static int compare_rules(const void *a, const void *b)
{
	const struct bh_rule *x = a, *y = b;
	int xp = x->protocol ? x->protocol : 256, yp = y->protocol ? y->protocol : 256;

	return xp != yp ? xp - yp : x->port_lo - y->port_lo;
}

static int rule_from_wire(
	const Bulkhead__Wire__Rule *wire, bool egress, struct bh_rule *ret_rule, struct bh_why *why)
{
	if (wire->protocol > 255)
		return bh_fail(why, -EINVAL, "protocol %u is above 255", wire->protocol);
	if (wire->port_lo > PORT_MAX || wire->port_hi > PORT_MAX || wire->port_lo > wire->port_hi)
		return bh_fail(why, -EINVAL, "ports %u-%u are not a range within 0-65535",
			wire->port_lo, wire->port_hi);
	if (!wire->protocol && (wire->port_lo != 0 || wire->port_hi != PORT_MAX))
		return bh_fail(why, -EINVAL, "ports %u-%u without a protocol", wire->port_lo,
			wire->port_hi);
	if (wire->defer && wire->deny)
		return bh_fail(why, -EINVAL, "ports %u-%u are both denied and deferred",
			wire->port_lo, wire->port_hi);
	if (wire->defer && !egress)
		return bh_fail(why, -EINVAL,
			"ports %u-%u are deferred, which only egress can be: what comes in is "
			"rewritten already",
			wire->port_lo, wire->port_hi);
	*ret_rule = (struct bh_rule){
		.protocol = (__u8)wire->protocol,
		.flags = wire->deny    ? BH_RULE_DENY
			 : wire->defer ? BH_RULE_DEFER
				       : 0,
		.port_lo = (__u16)wire->port_lo,
		.port_hi = (__u16)wire->port_hi,
		.rule = wire->rule,
	};
	return 0;
}

static int check_overlaps(const struct bh_rule *rules, size_t n, struct bh_why *why)
{
	for (size_t i = 1; i < n; i++) {
		const struct bh_rule *rule = &rules[i], *before = rule - 1;

		if (rule->protocol == before->protocol && rule->port_lo <= before->port_hi)
			return bh_fail(why, -EINVAL,
				"the ranges %u-%u and %u-%u of protocol %u overlap",
				before->port_lo, before->port_hi, rule->port_lo, rule->port_hi,
				rule->protocol);
	}
	return 0;
}

/* Cuts one range into aligned blocks: at most 30, since no two of a size are neighbours twice. */
static size_t cut_range(const struct bh_rule *rule, struct bh_spill_item *ret_items)
{
	uint32_t lo = rule->port_lo, hi = rule->port_hi;
	size_t n = 0;

	while (lo <= hi) {
		uint32_t size = lo ? lo & -lo : PORT_MAX + 1;

		while (size > hi - lo + 1)
			size /= 2;
		ret_items[n++] = (struct bh_spill_item){
			.protocol = rule->protocol,
			.bits = (uint8_t)(16 - __builtin_ctz(size)),
			.port = (uint16_t)lo,
			.rule = rule->rule,
			.flags = rule->flags,
		};
		lo += size;
	}
	return n;
}

#define BLOCKS_PER_RANGE 30

/* `rules` are sorted, those of protocol 0 (at most one) last. */
static int spill(struct bh_entry *entry, const struct bh_rule *rules, size_t n)
{
	struct bh_spill_item *items = calloc(n, BLOCKS_PER_RANGE * sizeof(*items));
	struct bh_spill_item *fitted;

	if (!items)
		return -ENOMEM;
	entry->policy.flags |= BH_POLICY_SPILLED;
	for (size_t i = 0; i < n; i++) {
		if (rules[i].protocol)
			entry->n_spills += cut_range(&rules[i], items + entry->n_spills);
		else
			entry->policy.rules[entry->policy.n_rules++] = rules[i];
	}
	fitted = realloc(items, entry->n_spills * sizeof(*items));
	entry->spills = fitted ? fitted : items;
	return 0;
}

int bh_entry_from_wire(
	const Bulkhead__Wire__ProgramEntry *wire, struct bh_entry *ret_entry, struct bh_why *why)
{
	_cleanup_(entry_cleanup) struct bh_entry entry = {};
	_cleanup_free_ struct bh_rule *rules = NULL;
	int err;

	if (wire->class_ >= BH_CLASS_TRANSIENT && wire->class_ != BH_CLASS_ANY)
		return bh_fail(
			why, -EINVAL, "class 0x%x is not the controller's to use", wire->class_);
	entry.class_dir = wire->class_ | (wire->egress ? BH_POLICY_EGRESS : 0);
	rules = calloc(wire->n_rules + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < wire->n_rules; i++) {
		err = rule_from_wire(wire->rules[i], wire->egress, &rules[i], why);
		if (err < 0)
			return err;
	}
	qsort(rules, wire->n_rules, sizeof(*rules), compare_rules);
	err = check_overlaps(rules, wire->n_rules, why);
	if (err < 0)
		return err;
	for (size_t i = 0; i < wire->n_rules; i++) {
		if (rules[i].flags & BH_RULE_DENY)
			entry.policy.flags |= bh_policy_denies(rules[i].protocol);
	}
	if (wire->n_rules > BH_RULES_INLINE) {
		err = spill(&entry, rules, wire->n_rules);
		if (err < 0)
			return err;
	} else {
		entry.policy.n_rules = (__u16)wire->n_rules;
		memcpy(entry.policy.rules, rules, wire->n_rules * sizeof(*rules));
	}
	*ret_entry = entry;
	entry.spills = NULL;
	return 0;
}

/* ---- The spill trie ------------------------------------------------------------------------- */

void bh_spill_pack(uint32_t program, uint32_t class_dir, const struct bh_spill_item *item,
	struct bh_spill_key *ret_key, struct bh_spill *ret_value)
{
	*ret_key = (struct bh_spill_key){
		.bits = BH_SPILL_BITS_BASE + item->bits,
		.program = htonl(program),
		.class_dir = htonl(class_dir),
		.protocol = item->protocol,
		.port = {(__u8)(item->port >> 8), (__u8)item->port},
	};
	*ret_value = (struct bh_spill){.rule = item->rule, .flags = item->flags};
}

void bh_spill_unpack(const struct bh_spill_key *key, const struct bh_spill *value,
	uint32_t *ret_program, uint32_t *ret_class_dir, struct bh_spill_item *ret_item)
{
	*ret_program = ntohl(key->program);
	*ret_class_dir = ntohl(key->class_dir);
	*ret_item = (struct bh_spill_item){
		.protocol = key->protocol,
		.bits = (uint8_t)(key->bits - BH_SPILL_BITS_BASE),
		.port = (uint16_t)(key->port[0] << 8 | key->port[1]),
		.rule = value->rule,
		.flags = value->flags,
	};
}
