/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "controller/link/update.h"
#include "controller/model/arena.h"
#include "controller/model/memory.h"
#include "proto/wire.h"

/* Upper bounds of what an element takes on the wire besides its strings and lists. */
#define ADDRESS_BYTES 40
#define BLOCK_BYTES 48
#define RULE_BYTES 28
#define ENTRY_BYTES 16
#define PROGRAM_BYTES 16
#define ENDPOINT_BYTES 64
#define PREFIX_BYTES 6 /* tag and length in front of a list element */

/* One repeated field of the part being built: an array of pointers (or of values) that grows. */
struct list {
	void **items;
	size_t n;
	size_t capacity;
};

struct builder {
	bh_update_sink *sink;
	void *data;
	int result;
	size_t bytes;          /* estimate of the part so far, never too small */
	struct bh_arena arena; /* what the part's messages live in */
	Bulkhead__Wire__Update update;
	struct list addresses;
	struct list blocks;
	struct list removed_blocks;
	struct list programs;
	struct list endpoints;
	struct list removed_endpoints;
	ProtobufCBinaryData *removed_addresses;
	size_t removed_addresses_capacity;
	uint32_t *removed_programs;
	size_t removed_programs_capacity;
};

static void list_add(struct list *list, void *item)
{
	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = item;
}

/* Sends the part that has been built and begins the next one. */
static void flush(struct builder *b, bool last)
{
	Bulkhead__Wire__Update *u = &b->update;

	if (b->result == 0) {
		u->last = last;
		u->n_addresses = b->addresses.n;
		u->addresses = (Bulkhead__Wire__Address **)b->addresses.items;
		u->n_blocks = b->blocks.n;
		u->blocks = (Bulkhead__Wire__Block **)b->blocks.items;
		u->n_removed_blocks = b->removed_blocks.n;
		u->removed_blocks = (Bulkhead__Wire__Block **)b->removed_blocks.items;
		u->n_programs = b->programs.n;
		u->programs = (Bulkhead__Wire__Program **)b->programs.items;
		u->n_endpoints = b->endpoints.n;
		u->endpoints = (Bulkhead__Wire__Endpoint **)b->endpoints.items;
		u->n_removed_endpoints = b->removed_endpoints.n;
		u->removed_endpoints = (char **)b->removed_endpoints.items;
		u->removed_addresses = b->removed_addresses;
		u->removed_programs = b->removed_programs;
		b->result = b->sink(b->data, u);
	}
	b->addresses.n = b->blocks.n = b->removed_blocks.n = 0;
	b->programs.n = b->endpoints.n = b->removed_endpoints.n = 0;
	u->n_removed_addresses = u->n_removed_programs = 0;
	u->part++;
	b->bytes = 0;
	bh_arena_clear(&b->arena);
}

/* Makes room for `bytes` more in the part. */
static void reserve(struct builder *b, size_t bytes)
{
	if (b->bytes && b->bytes + bytes > BH_WIRE_PART_TARGET)
		flush(b, false);
	b->bytes += bytes;
}

static ProtobufCBinaryData ip_bytes(const struct bh_ip *ip)
{
	return (ProtobufCBinaryData){.len = bh_ip_bits(ip) / 8, .data = (uint8_t *)ip->ip};
}

/* ---- One thing each -------------------------------------------------------------------------- */

static void add_address(struct builder *b, const struct bh_desired_address *from)
{
	Bulkhead__Wire__Address *to;

	reserve(b, ADDRESS_BYTES);
	to = bh_arena_new(&b->arena, Bulkhead__Wire__Address);
	bulkhead__wire__address__init(to);
	to->ip = ip_bytes(&from->ip);
	to->class_ = from->class;
	to->workload = from->workload;
	to->service = from->service;
	list_add(&b->addresses, to);
}

static void remove_address(struct builder *b, const struct bh_desired_address *from)
{
	reserve(b, ADDRESS_BYTES);
	bh_xgrow(
		b->removed_addresses, b->update.n_removed_addresses, b->removed_addresses_capacity);
	b->removed_addresses[b->update.n_removed_addresses++] = ip_bytes(&from->ip);
}

static void put_block(struct builder *b, struct list *list, const struct bh_desired_block *from)
{
	Bulkhead__Wire__Block *to;

	reserve(b, BLOCK_BYTES);
	to = bh_arena_new(&b->arena, Bulkhead__Wire__Block);
	bulkhead__wire__block__init(to);
	to->ip = ip_bytes(&from->ip);
	to->bits = from->bits;
	to->class_ = from->class;
	to->workload = from->workload;
	list_add(list, to);
}

static void add_block(struct builder *b, const struct bh_desired_block *from)
{
	put_block(b, &b->blocks, from);
}

static void remove_block(struct builder *b, const struct bh_desired_block *from)
{
	put_block(b, &b->removed_blocks, from);
}

static Bulkhead__Wire__ProgramEntry *entry_message(
	struct bh_arena *arena, const struct bh_desired_entry *from)
{
	Bulkhead__Wire__ProgramEntry *to = bh_arena_new(arena, Bulkhead__Wire__ProgramEntry);
	Bulkhead__Wire__Rule *rules = bh_arena_array(arena, from->n_rules, Bulkhead__Wire__Rule);

	bulkhead__wire__program_entry__init(to);
	to->egress = from->egress;
	to->class_ = from->class;
	to->n_rules = from->n_rules;
	to->rules = bh_arena_array(arena, from->n_rules, Bulkhead__Wire__Rule *);
	for (size_t i = 0; i < from->n_rules; i++) {
		bulkhead__wire__rule__init(&rules[i]);
		rules[i].protocol = from->rules[i].protocol;
		rules[i].port_lo = from->rules[i].port_lo;
		rules[i].port_hi = from->rules[i].port_hi;
		rules[i].rule = from->rules[i].rule;
		rules[i].deny = from->rules[i].deny;
		rules[i].defer = from->rules[i].defer;
		to->rules[i] = &rules[i];
	}
	return to;
}

static void add_program(struct builder *b, const struct bh_desired_program *from)
{
	Bulkhead__Wire__Program *to;
	size_t bytes = PROGRAM_BYTES + PREFIX_BYTES;

	for (size_t i = 0; i < from->n_entries; i++)
		bytes += ENTRY_BYTES + PREFIX_BYTES + from->entries[i].n_rules * RULE_BYTES;
	reserve(b, bytes);
	to = bh_arena_new(&b->arena, Bulkhead__Wire__Program);
	bulkhead__wire__program__init(to);
	to->number = from->number;
	to->n_entries = from->n_entries;
	to->entries = bh_arena_array(&b->arena, from->n_entries, Bulkhead__Wire__ProgramEntry *);
	for (size_t i = 0; i < from->n_entries; i++)
		to->entries[i] = entry_message(&b->arena, &from->entries[i]);
	list_add(&b->programs, to);
}

static void remove_program(struct builder *b, const struct bh_desired_program *from)
{
	reserve(b, PROGRAM_BYTES);
	bh_xgrow(b->removed_programs, b->update.n_removed_programs, b->removed_programs_capacity);
	b->removed_programs[b->update.n_removed_programs++] = from->number;
}

static void add_endpoint(struct builder *b, const struct bh_desired_endpoint *from)
{
	Bulkhead__Wire__Endpoint *to;

	reserve(b, ENDPOINT_BYTES + strlen(from->uid) + strlen(from->namespace) +
			   strlen(from->name) + from->n_ips * (16 + PREFIX_BYTES));
	to = bh_arena_new(&b->arena, Bulkhead__Wire__Endpoint);
	bulkhead__wire__endpoint__init(to);
	to->uid = (char *)from->uid;
	to->name = bh_arena_printf(&b->arena, "%s/%s", from->namespace, from->name);
	to->n_ips = from->n_ips;
	to->ips = bh_arena_array(&b->arena, from->n_ips, ProtobufCBinaryData);
	for (size_t i = 0; i < from->n_ips; i++)
		to->ips[i] = ip_bytes(&from->ips[i]);
	to->workload = from->workload;
	to->active = from->active;
	to->pending = from->pending;
	to->hook = from->xdp ? BULKHEAD__WIRE__HOOK__HOOK_XDP : BULKHEAD__WIRE__HOOK__HOOK_TC;
	list_add(&b->endpoints, to);
}

static void remove_endpoint(struct builder *b, const struct bh_desired_endpoint *from)
{
	reserve(b, PREFIX_BYTES + strlen(from->uid));
	list_add(&b->removed_endpoints, (void *)from->uid);
}

/* ---- Order and equality ---------------------------------------------------------------------- */

static int compare_numbers(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_address(const struct bh_desired_address *a, const struct bh_desired_address *b)
{
	return bh_ip_compare(&a->ip, &b->ip);
}

static bool same_address(const struct bh_desired_address *a, const struct bh_desired_address *b)
{
	return a->class == b->class && a->workload == b->workload && a->service == b->service;
}

static int compare_block(const struct bh_desired_block *a, const struct bh_desired_block *b)
{
	int order = bh_ip_compare(&a->ip, &b->ip);

	return order ? order : compare_numbers(a->bits, b->bits);
}

static bool same_block(const struct bh_desired_block *a, const struct bh_desired_block *b)
{
	return a->class == b->class && a->workload == b->workload;
}

static int compare_program(const struct bh_desired_program *a, const struct bh_desired_program *b)
{
	return compare_numbers(a->number, b->number);
}

/* The number names the content, but not the numbers of the rules in it. */
static bool same_program(const struct bh_desired_program *a, const struct bh_desired_program *b)
{
	if (a->n_entries != b->n_entries)
		return false;
	for (size_t i = 0; i < a->n_entries; i++) {
		const struct bh_desired_entry *x = &a->entries[i];
		const struct bh_desired_entry *y = &b->entries[i];

		if (x->egress != y->egress || x->class != y->class ||
			!bh_desired_same_rules(x->rules, x->n_rules, y->rules, y->n_rules))
			return false;
	}
	return true;
}

static int compare_endpoint(
	const struct bh_desired_endpoint *a, const struct bh_desired_endpoint *b)
{
	return strcmp(a->uid, b->uid);
}

static bool same_endpoint(const struct bh_desired_endpoint *a, const struct bh_desired_endpoint *b)
{
	if (a->n_ips != b->n_ips || a->workload != b->workload || a->active != b->active ||
		a->pending != b->pending || a->xdp != b->xdp || strcmp(a->name, b->name) != 0 ||
		strcmp(a->namespace, b->namespace) != 0)
		return false;
	for (size_t i = 0; i < a->n_ips; i++) {
		if (bh_ip_compare(&a->ips[i], &b->ips[i]) != 0)
			return false;
	}
	return true;
}

/*
 * The one pass, for each kind of thing: what only `base` has is removed, what only `wanted` has or
 * what differs is added. What both share is not looked at.
 */
#define DEFINE_DIFFERENCE(kind, kinds)                                                             \
	static void differ_##kinds(                                                                \
		struct builder *b, const struct bh_desired *base, const struct bh_desired *wanted) \
	{                                                                                          \
		size_t n_base = base ? base->n_##kinds : 0;                                        \
		size_t i = 0;                                                                      \
		size_t j = 0;                                                                      \
                                                                                                   \
		if (base && base->kinds == wanted->kinds && n_base == wanted->n_##kinds)           \
			return;                                                                    \
		while (i < n_base || j < wanted->n_##kinds) {                                      \
			int order = i == n_base ? 1                                                \
				    : j == wanted->n_##kinds                                       \
					    ? -1                                                   \
					    : compare_##kind(&base->kinds[i], &wanted->kinds[j]);  \
			if (order < 0) {                                                           \
				remove_##kind(b, &base->kinds[i++]);                               \
				continue;                                                          \
			}                                                                          \
			if (order > 0 || !same_##kind(&base->kinds[i], &wanted->kinds[j]))         \
				add_##kind(b, &wanted->kinds[j]);                                  \
			i += order == 0;                                                           \
			j++;                                                                       \
		}                                                                                  \
	}

/* clang-format off */
DEFINE_DIFFERENCE(block, blocks)
DEFINE_DIFFERENCE(program, programs)
DEFINE_DIFFERENCE(endpoint, endpoints)
/* clang-format on */

/* The same for addresses, of which there are many: piece by piece. */
static void differ_addresses(
	struct builder *b, const struct bh_desired *base, const struct bh_desired *wanted)
{
	static const struct bh_run nothing;
	const struct bh_run *from = base ? &base->addresses : &nothing, *to = &wanted->addresses;
	struct bh_run_at i = {0}, j = {0};

	for (;;) {
		if (bh_run_skip(from, &i, to, &j))
			continue;
		const struct bh_desired_address *old = bh_run_here(from, sizeof(*old), &i);
		const struct bh_desired_address *new = bh_run_here(to, sizeof(*new), &j);

		if (!old && !new)
			return;
		int order = !old ? 1 : !new ? -1 : compare_address(old, new);

		if (order < 0)
			remove_address(b, old);
		else if (order > 0 || !same_address(old, new))
			add_address(b, new);
		if (order <= 0)
			bh_run_step(from, &i);
		if (order >= 0)
			bh_run_step(to, &j);
	}
}

int bh_update_emit(const struct bh_desired *base, const struct bh_desired *wanted,
	bh_update_sink *sink, void *data)
{
	struct builder b = {.sink = sink, .data = data};

	bulkhead__wire__update__init(&b.update);
	b.update.revision = wanted->revision;
	b.update.base_revision = base ? base->revision : 0;
	b.update.full = base == NULL;
	b.update.unknown_open = wanted->unknown_open;
	b.update.hold = wanted->hold;
	differ_addresses(&b, base, wanted);
	differ_blocks(&b, base, wanted);
	differ_programs(&b, base, wanted);
	differ_endpoints(&b, base, wanted);
	flush(&b, true);

	bh_arena_clear(&b.arena);
	free(b.addresses.items);
	free(b.blocks.items);
	free(b.removed_blocks.items);
	free(b.programs.items);
	free(b.endpoints.items);
	free(b.removed_endpoints.items);
	free(b.removed_addresses);
	free(b.removed_programs);
	return b.result;
}
