/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/ranges.h"

#include "controller/model/memory.h"

void bh_ranges_add(
	struct bh_ranges *ranges, uint8_t protocol, uint16_t lo, uint16_t hi, uint32_t rule)
{
	bh_xgrow(ranges->items, ranges->n, ranges->capacity);
	ranges->items[ranges->n] = (struct bh_range){protocol, lo, hi, rule, ranges->n};
	ranges->n++;
}

static int compare(const void *a, const void *b)
{
	const struct bh_range *left = a, *right = b;

	if (left->protocol != right->protocol)
		return left->protocol < right->protocol ? -1 : 1;
	if (left->lo != right->lo)
		return left->lo < right->lo ? -1 : 1;
	return (left->order > right->order) - (left->order < right->order);
}

/* ---- A heap of the ranges that are open at a port, the first added on top
 * -------------------------- */

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

/* ---- Merging ----------------------------------------------------------------------------------
 */

struct list {
	size_t n;
	size_t capacity;
	struct bh_desired_rule *rules;
};

static void emit(struct list *list, uint8_t protocol, uint32_t lo, uint32_t hi, uint32_t rule)
{
	struct bh_desired_rule *last = list->n ? &list->rules[list->n - 1] : NULL;

	if (last && last->protocol == protocol && last->rule == rule &&
		(uint32_t)last->port_hi + 1 == lo) {
		last->port_hi = (uint16_t)hi;
		return;
	}
	bh_xgrow(list->rules, list->n, list->capacity);
	list->rules[list->n++] = (struct bh_desired_rule){.protocol = protocol,
		.port_lo = (uint16_t)lo,
		.port_hi = (uint16_t)hi,
		.rule = rule};
}

/* Of one protocol's ranges, sorted, the first added that is everything; or NULL. */
static const struct bh_range *whole(const struct bh_range *items, size_t n)
{
	const struct bh_range *best = NULL;

	for (size_t i = 0; i < n && !items[i].lo; i++) {
		if (items[i].hi == 65535 && (!best || items[i].order < best->order))
			best = &items[i];
	}
	return best;
}

/* Walks the ports upwards; at each the open range that was added first decides. */
static void sweep(
	struct bh_ranges *ranges, const struct bh_range *items, size_t n, struct list *list)
{
	uint32_t port = 0;

	ranges->n_heap = 0;
	for (size_t i = 0; i < n || ranges->n_heap;) {
		if (!ranges->n_heap)
			port = items[i].lo;
		while (i < n && items[i].lo <= port)
			push(ranges, &items[i++]);
		while (ranges->n_heap && ranges->heap[0]->hi < port)
			pop(ranges);
		if (!ranges->n_heap)
			continue;
		const struct bh_range *top = ranges->heap[0];
		uint32_t end = top->hi;

		if (i < n && items[i].lo <= end)
			end = items[i].lo - 1u;
		emit(list, top->protocol, port, end, top->rule);
		port = end + 1;
	}
}

size_t bh_ranges_merge(
	struct bh_ranges *ranges, struct bh_arena *arena, const struct bh_desired_rule **ret_rules)
{
	struct list list = {0};

	if (ranges->n)
		qsort(ranges->items, ranges->n, sizeof(*ranges->items), compare);
	for (size_t begin = 0, end; begin < ranges->n; begin = end) {
		uint8_t protocol = ranges->items[begin].protocol;

		for (end = begin; end < ranges->n && ranges->items[end].protocol == protocol;)
			end++;
		const struct bh_range *all = whole(&ranges->items[begin], end - begin);

		if (all)
			emit(&list, protocol, 0, 65535, all->rule);
		else
			sweep(ranges, &ranges->items[begin], end - begin, &list);
		if (!protocol)
			break;
	}
	*ret_rules = bh_arena_copy(arena, list.rules, list.n, sizeof(*list.rules));
	free(list.rules);
	return list.n;
}

void bh_ranges_reset(struct bh_ranges *ranges)
{
	ranges->n = 0;
}

void bh_ranges_clear(struct bh_ranges *ranges)
{
	free(ranges->items);
	free(ranges->heap);
	*ranges = (struct bh_ranges){0};
}
