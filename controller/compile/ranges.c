/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/ranges.h"

#include <netinet/in.h>

#include "bulkhead/abi.h"
#include "controller/model/memory.h"

#define PORT_MAX 65535u

/* The protocol of each space. */
static const uint8_t spaces[BH_RANGE_SPACES] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
#define SPACE_OTHER 0

static void append(struct bh_range_list *list, struct bh_range range)
{
	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = range;
}

void bh_ranges_add(struct bh_ranges *ranges, uint8_t protocol, uint16_t lo, uint16_t hi,
	uint32_t rule, enum bh_action action)
{
	struct bh_range range = {lo, hi, rule, action, ranges->added++};

	if (!protocol) {
		append(&ranges->everything, range);
		return;
	}
	for (size_t i = 0; i < BH_RANGE_SPACES; i++) {
		if (spaces[i] == protocol)
			append(&ranges->under_way[i], range);
	}
}

/* ---- A heap of the ranges that are open at a port, the first added on top -----------------------
 */

static void push(struct bh_ranges *ranges, const struct bh_range *range)
{
	bh_xgrow(ranges->heap, ranges->n_heap, ranges->heap_capacity);
	size_t at = ranges->n_heap++;

	for (; at && ranges->heap[(at - 1) / 2]->order > range->order; at = (at - 1) / 2)
		ranges->heap[at] = ranges->heap[(at - 1) / 2];
	ranges->heap[at] = range;
}

static void pop(struct bh_ranges *ranges)
{
	const struct bh_range *last = ranges->heap[--ranges->n_heap];
	size_t at = 0;

	for (size_t child; (child = at * 2 + 1) < ranges->n_heap; at = child) {
		if (child + 1 < ranges->n_heap &&
			ranges->heap[child + 1]->order < ranges->heap[child]->order)
			child++;
		if (ranges->heap[child]->order >= last->order)
			break;
		ranges->heap[at] = ranges->heap[child];
	}
	ranges->heap[at] = last;
}

/* ---- Sweeping ---------------------------------------------------------------------------------
 */

static bool same_decision(const struct bh_range *a, const struct bh_range *b)
{
	return a->rule == b->rule && a->action == b->action;
}

static void add_piece(
	struct bh_range_list *out, uint32_t lo, uint32_t hi, const struct bh_range *decider)
{
	struct bh_range *last = out->n ? &out->items[out->n - 1] : NULL;
	struct bh_range piece = *decider;

	if (last && last->hi + 1u == lo && same_decision(last, decider)) {
		last->hi = (uint16_t)hi;
		return;
	}
	piece.lo = (uint16_t)lo;
	piece.hi = (uint16_t)hi;
	append(out, piece);
}

static int compare(const void *a, const void *b)
{
	const struct bh_range *left = a, *right = b;

	if (left->lo != right->lo)
		return left->lo < right->lo ? -1 : 1;
	return (left->order > right->order) - (left->order < right->order);
}

/* Walks the ports upwards; at each the open range that was added first decides. Sorts `in`. */
static void sweep(struct bh_ranges *ranges, struct bh_range_list *in, struct bh_range_list *out)
{
	uint32_t port = 0;

	if (in->n)
		qsort(in->items, in->n, sizeof(*in->items), compare);
	ranges->n_heap = 0;
	for (size_t i = 0; i < in->n || ranges->n_heap;) {
		if (!ranges->n_heap)
			port = in->items[i].lo;
		while (i < in->n && in->items[i].lo <= port)
			push(ranges, &in->items[i++]);
		while (ranges->n_heap && ranges->heap[0]->hi < port)
			pop(ranges);
		if (!ranges->n_heap)
			continue;
		const struct bh_range *top = ranges->heap[0];
		uint32_t end = top->hi;

		if (i < in->n && in->items[i].lo <= end)
			end = in->items[i].lo - 1u;
		add_piece(out, port, end, top);
		port = end + 1;
	}
}

/* ---- Tiers ------------------------------------------------------------------------------------
 */

static bool is_whole(const struct bh_range *range)
{
	return range->lo == 0 && range->hi == PORT_MAX;
}

/* The first of them that is everything; or NULL. */
static const struct bh_range *first_whole(const struct bh_range_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (is_whole(&list->items[i]))
			return &list->items[i];
	}
	return NULL;
}

/* What the tier under way says of one space, as disjoint pieces into `pieces`. */
static void decide_space(struct bh_ranges *ranges, size_t space, enum bh_tier tier)
{
	const struct bh_range *all = first_whole(&ranges->everything);
	const struct bh_range_list *own = &ranges->under_way[space];

	ranges->pieces.n = ranges->sorted.n = 0;
	if (tier == BH_TIER_NETPOL && !all)
		all = first_whole(own);
	if (tier == BH_TIER_NETPOL && all) {
		append(&ranges->pieces, *all);
		return;
	}
	if (all)
		append(&ranges->sorted, *all);
	for (size_t i = 0; i < own->n; i++) {
		if (!all || own->items[i].order < all->order)
			append(&ranges->sorted, own->items[i]);
	}
	sweep(ranges, &ranges->sorted, &ranges->pieces);
}

/* The pieces that decide something go below what earlier tiers have settled. */
static void settle_space(struct bh_ranges *ranges, size_t space)
{
	struct bh_range_list *settled = &ranges->settled[space];

	ranges->sorted.n = 0;
	for (size_t i = 0; i < settled->n; i++) {
		settled->items[i].order = 0;
		append(&ranges->sorted, settled->items[i]);
	}
	for (size_t i = 0; i < ranges->pieces.n; i++) {
		struct bh_range piece = ranges->pieces.items[i];

		piece.order = 1;
		if (piece.action != BH_ACTION_PASS)
			append(&ranges->sorted, piece);
	}
	settled->n = 0;
	sweep(ranges, &ranges->sorted, settled);
}

void bh_ranges_settle(struct bh_ranges *ranges, enum bh_tier tier)
{
	for (size_t space = 0; space < BH_RANGE_SPACES; space++) {
		decide_space(ranges, space, tier);
		settle_space(ranges, space);
		ranges->under_way[space].n = 0;
	}
	ranges->everything.n = 0;
}

/* ---- Flattening -------------------------------------------------------------------------------
 */

struct output {
	size_t n;
	size_t capacity;
	struct bh_desired_rule *rules;
};

static void emit(struct output *output, uint8_t protocol, const struct bh_range *range)
{
	bh_xgrow(output->rules, output->n, output->capacity);
	output->rules[output->n++] = (struct bh_desired_rule){
		.protocol = protocol,
		.deny = range->action == BH_ACTION_DENY,
		.port_lo = range->lo,
		.port_hi = range->hi,
		.rule = range->rule,
	};
}

/* Where protocol 0 would answer for ports nobody has decided, these have to be said: they are
 * isolated. */
static void fill_holes(struct bh_ranges *ranges, const struct bh_range_list *settled)
{
	static const struct bh_range isolated = {.rule = BH_RULE_NONE, .action = BH_ACTION_DENY};
	struct bh_range_list *pieces = &ranges->pieces;
	uint32_t port = 0;

	for (size_t i = 0; i < settled->n; i++) {
		const struct bh_range *piece = &settled->items[i];

		if (port < piece->lo)
			add_piece(pieces, port, piece->lo - 1u, &isolated);
		add_piece(pieces, piece->lo, piece->hi, piece);
		port = piece->hi + 1u;
	}
	if (port <= PORT_MAX)
		add_piece(pieces, port, PORT_MAX, &isolated);
}

/* If the same is done on all ports: the piece that has most of them. NULL if it is not. */
static const struct bh_range *widest_of_one_kind(const struct bh_range_list *pieces)
{
	const struct bh_range *widest = NULL;
	uint32_t port = 0;

	for (size_t i = 0; i < pieces->n; i++) {
		const struct bh_range *piece = &pieces->items[i];

		if (piece->lo != port || piece->action != pieces->items[0].action)
			return NULL;
		if (!widest || piece->hi - piece->lo > widest->hi - widest->lo)
			widest = piece;
		port = piece->hi + 1u;
	}
	return port > PORT_MAX ? widest : NULL;
}

static void flatten_space(
	struct bh_ranges *ranges, size_t space, const struct bh_range *other, struct output *output)
{
	const struct bh_range_list *pieces = &ranges->settled[space];

	ranges->pieces.n = 0;
	if (other) {
		fill_holes(ranges, pieces);
		pieces = &ranges->pieces;
	}
	const struct bh_range *widest = widest_of_one_kind(pieces);

	if (widest && (!other || other->action != widest->action)) {
		struct bh_range whole = *widest;

		whole.lo = 0;
		whole.hi = PORT_MAX;
		emit(output, spaces[space], &whole);
		return;
	}
	for (size_t i = 0; i < pieces->n; i++) {
		/* Protocol 0 says the same. */
		if (!other || !same_decision(other, &pieces->items[i]))
			emit(output, spaces[space], &pieces->items[i]);
	}
}

size_t bh_ranges_flatten(
	struct bh_ranges *ranges, struct bh_arena *arena, const struct bh_desired_rule **ret_rules)
{
	const struct bh_range_list *others = &ranges->settled[SPACE_OTHER];
	const struct bh_range *other = others->n ? &others->items[0] : NULL;
	struct output output = {0};

	if (other)
		emit(&output, 0, other);
	for (size_t space = SPACE_OTHER + 1; space < BH_RANGE_SPACES; space++)
		flatten_space(ranges, space, other, &output);
	*ret_rules = bh_arena_copy(arena, output.rules, output.n, sizeof(*output.rules));
	free(output.rules);
	return output.n;
}

void bh_ranges_reset(struct bh_ranges *ranges)
{
	ranges->added = 0;
	ranges->everything.n = 0;
	for (size_t space = 0; space < BH_RANGE_SPACES; space++)
		ranges->under_way[space].n = ranges->settled[space].n = 0;
}

void bh_ranges_clear(struct bh_ranges *ranges)
{
	for (size_t space = 0; space < BH_RANGE_SPACES; space++) {
		free(ranges->under_way[space].items);
		free(ranges->settled[space].items);
	}
	free(ranges->everything.items);
	free(ranges->sorted.items);
	free(ranges->pieces.items);
	free(ranges->heap);
	*ranges = (struct bh_ranges){0};
}
