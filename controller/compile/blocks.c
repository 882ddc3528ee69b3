/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/blocks.h"

#include "controller/model/memory.h"

/* At this prefix this block begins to match, or (an except) ceases to. */
struct edge {
	struct bh_prefix prefix;
	uint32_t atom;
	bool ends;
};

static int compare_edges(const void *a, const void *b)
{
	const struct edge *left = a, *right = b;
	int order = bh_prefix_compare(&left->prefix, &right->prefix);

	return order ? order : (left->atom > right->atom) - (left->atom < right->atom);
}

static size_t list_edges(struct bh_arena *arena, const struct bh_blocks_input *inputs, size_t n,
	struct edge **ret_edges)
{
	size_t total = 0, at = 0;

	for (size_t i = 0; i < n; i++)
		total += 1 + inputs[i].block->n_excepts;
	struct edge *edges = bh_arena_array(arena, total, struct edge);

	for (size_t i = 0; i < n; i++) {
		const struct bh_block *block = inputs[i].block;

		edges[at++] = (struct edge){block->cidr, inputs[i].atom, false};
		for (size_t j = 0; j < block->n_excepts; j++)
			edges[at++] = (struct edge){block->excepts[j], inputs[i].atom, true};
	}
	if (total)
		qsort(edges, total, sizeof(*edges), compare_edges);
	*ret_edges = edges;
	return total;
}

/*
 * The atoms of a prefix: its parent's, less those whose except it is, plus those whose cidr it is.
 * Both lists are sorted, so is the result. An except lies strictly inside its cidr, so no atom does
 * both here.
 */
static void inherit(
	struct bh_blocks_node *node, struct bh_arena *arena, const struct edge *edges, size_t n)
{
	size_t n_up = node->up ? node->up->n_atoms : 0, i = 0, j = 0;
	uint32_t *atoms = bh_arena_array(arena, n_up + n, uint32_t);

	while (i < n_up || j < n) {
		uint32_t up = i < n_up ? node->up->atoms[i] : UINT32_MAX;
		uint32_t here = j < n ? edges[j].atom : UINT32_MAX;

		if (up < here) {
			atoms[node->n_atoms++] = up;
			i++;
			continue;
		}
		if (!edges[j].ends)
			atoms[node->n_atoms++] = here;
		i += up == here;
		j++;
	}
	node->atoms = atoms;
}

void bh_blocks_build(struct bh_blocks *blocks, struct bh_arena *arena,
	const struct bh_blocks_input *inputs, size_t n_inputs)
{
	struct edge *edges;
	size_t n = list_edges(arena, inputs, n_inputs, &edges);
	const struct bh_blocks_node *above = NULL;

	blocks->n = 0;
	blocks->nodes = bh_arena_array(arena, n, struct bh_blocks_node);
	for (size_t begin = 0, end; begin < n; begin = end) {
		const struct bh_prefix *prefix = &edges[begin].prefix;
		struct bh_blocks_node *node = &blocks->nodes[blocks->n++];

		for (end = begin; end < n && !bh_prefix_compare(prefix, &edges[end].prefix);)
			end++;
		while (above &&
			!bh_ip_in_prefix(&prefix->ip, &above->prefix.ip, above->prefix.bits))
			above = above->up;
		node->prefix = *prefix;
		node->up = above;
		inherit(node, arena, &edges[begin], end - begin);
		above = node;
	}
}

const struct bh_blocks_node *bh_blocks_find(const struct bh_blocks *blocks, const struct bh_ip *ip)
{
	size_t low = 0, high = blocks->n;

	/* The last prefix that begins at the address or before; what contains it is that or above
	 * that. */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (bh_ip_compare(&blocks->nodes[middle].prefix.ip, ip) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	const struct bh_blocks_node *node = low ? &blocks->nodes[low - 1] : NULL;

	while (node && !bh_ip_in_prefix(ip, &node->prefix.ip, node->prefix.bits))
		node = node->up;
	return node;
}
