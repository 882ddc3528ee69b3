/* SPDX-License-Identifier: Apache-2.0 */

/* Who has which address, and what class and workload that makes it. */
#include "controller/compile/compilation.h"
#include "controller/compile/workload.h"
#include "controller/model/memory.h"

bool bh_address_is_usable(const struct bh_ip *ip)
{
	static const uint8_t zero[16], loopback6[16] = {[15] = 1};

	if (ip->family == 4)
		return ip->ip[0] && ip->ip[0] != 127 && ip->ip[0] < 224;
	return memcmp(ip->ip, zero, 16) && memcmp(ip->ip, loopback6, 16) && ip->ip[0] != 0xff;
}

struct holders {
	size_t n;
	size_t capacity;
	struct bh_holder *items;
};

static void add_holder(struct holders *holders, const struct bh_holder *holder)
{
	bh_xgrow(holders->items, holders->n, holders->capacity);
	holders->items[holders->n++] = *holder;
}

static void add_pods(struct bh_compilation *compilation, struct holders *holders)
{
	const struct bh_pod *pod;

	for (size_t at = 0; (pod = bh_model_next_pod(compilation->model, &at));) {
		if (pod->host_network || pod->finished)
			continue;
		for (size_t i = 0; i < pod->n_ips; i++) {
			char text[BH_IP_TEXT_MAX];

			if (bh_address_is_usable(&pod->ips[i])) {
				add_holder(holders,
					&(struct bh_holder){.ip = pod->ips[i], .pod = pod});
				continue;
			}
			bh_compilation_problem(compilation, "bad-address",
				bh_compilation_pod_object(compilation, pod),
				bh_arena_printf(compilation->out,
					"%s is not an address a pod can have; it is left out",
					bh_ip_format(&pod->ips[i], text)));
		}
	}
}

/* `labels` is NULL where only interfaces say that the addresses are the node's. */
static void add_node(struct holders *holders, const char *name, const struct bh_labels *labels,
	size_t n_ips, const struct bh_ip *ips)
{
	for (size_t i = 0; i < n_ips; i++) {
		const struct bh_holder holder = {.ip = ips[i], .node = name, .labels = labels};

		if (bh_address_is_usable(&ips[i]))
			add_holder(holders, &holder);
	}
}

/* The node that is compiled for has no name here: it is told apart by that. */
static void add_nodes(struct bh_compilation *compilation, struct holders *holders)
{
	const char *here = bh_model_node_name(compilation->model);
	const struct bh_node *node;
	const struct bh_ip *ips;
	size_t n = bh_model_host_addresses(compilation->model, &ips);

	add_node(holders, strcmp(compilation->node, here) ? here : NULL, NULL, n, ips);
	for (size_t at = 0; (node = bh_model_next_node(compilation->model, &at));)
		add_node(holders, strcmp(node->name, compilation->node) ? node->name : NULL,
			node->labels, node->n_ips, node->ips);
}

/*
 * By address; of those that claim the same one, whoever keeps it first: this node, another node,
 * the newest pod. An address is given on as soon as its pod ends, but the news of the end may be
 * late.
 */
static int compare_holders(const void *a, const void *b)
{
	const struct bh_holder *left = a, *right = b;
	int order = bh_ip_compare(&left->ip, &right->ip);

	if (order)
		return order;
	if (!left->pod != !right->pod)
		return left->pod ? 1 : -1;
	if (!left->pod) {
		if (!left->node != !right->node)
			return left->node ? 1 : -1;
		order = left->node ? strcmp(left->node, right->node) : 0;
		/* What an interface has and what the Node object says are one: its labels count. */
		return order ? order : !left->labels - !right->labels;
	}
	if (left->pod->created != right->pod->created)
		return left->pod->created > right->pod->created ? -1 : 1;
	return -strcmp(left->pod->uid, right->pod->uid);
}

const char *bh_compilation_holder_object(
	struct bh_compilation *compilation, const struct bh_holder *holder)
{
	if (holder->pod)
		return bh_compilation_pod_object(compilation, holder->pod);
	return bh_arena_printf(
		compilation->out, "Node %s", holder->node ? holder->node : compilation->node);
}

static void note_conflict(struct bh_compilation *compilation, const struct bh_holder *winner,
	const struct bh_holder *loser)
{
	char text[BH_IP_TEXT_MAX];

	if (!loser->pod || loser->pod == winner->pod)
		return;
	const char *keeper = bh_compilation_holder_object(compilation, winner);

	bh_compilation_problem(compilation, "address-conflict",
		bh_compilation_pod_object(compilation, loser->pod),
		bh_arena_printf(compilation->out,
			"its address %s also belongs to %s, which keeps it: remove the one that no "
			"longer exists",
			bh_ip_format(&loser->ip, text), keeper));
}

void bh_compilation_hold(struct bh_compilation *compilation)
{
	struct holders all = {0};
	size_t kept = 0;

	add_pods(compilation, &all);
	add_nodes(compilation, &all);
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), compare_holders);
	for (size_t i = 0; i < all.n; i++) {
		if (kept && !bh_ip_compare(&all.items[kept - 1].ip, &all.items[i].ip))
			note_conflict(compilation, &all.items[kept - 1], &all.items[i]);
		else
			all.items[kept++] = all.items[i];
	}
	compilation->holders = all.items;
	compilation->n_holders = kept;
}

static int by_ip(const void *key, const void *element)
{
	return bh_ip_compare(key, &((const struct bh_holder *)element)->ip);
}

const struct bh_holder *bh_compilation_find_holder(
	const struct bh_compilation *compilation, const struct bh_ip *ip)
{
	return bsearch(ip, compilation->holders, compilation->n_holders,
		sizeof(*compilation->holders), by_ip);
}

const struct bh_pod *bh_compilation_holder(
	const struct bh_compilation *compilation, const struct bh_ip *ip)
{
	const struct bh_holder *holder = bh_compilation_find_holder(compilation, ip);

	return holder ? holder->pod : NULL;
}

static uint32_t holder_workload(struct bh_compilation *compilation, const struct bh_holder *holder)
{
	if (holder->pod)
		return bh_compilation_pod_workload(compilation, holder->pod);
	if (!holder->node)
		return BH_WORKLOAD_NODE;
	return bh_compilation_workload(compilation, "", "Node", holder->node);
}

/* The world by the blocks that policies name; what is in none of them, or in all, is just that. */
static uint32_t block_workload(struct bh_compilation *compilation, const struct bh_prefix *prefix)
{
	char text[BH_PREFIX_TEXT_MAX];

	if (prefix->bits == 0)
		return BH_WORKLOAD_WORLD;
	return bh_compilation_workload(compilation, "", "World", bh_prefix_format(prefix, text));
}

void bh_compilation_place(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	const struct bh_blocks *blocks = &compilation->classes.blocks;
	struct bh_desired_address *addresses =
		bh_arena_array(compilation->out, compilation->n_holders, struct bh_desired_address);
	struct bh_desired_block *out =
		bh_arena_array(compilation->out, blocks->n, struct bh_desired_block);

	for (size_t i = 0; i < compilation->n_holders; i++) {
		const struct bh_holder *holder = &compilation->holders[i];

		addresses[i].ip = holder->ip;
		if (holder->n_claims)
			continue;
		const struct bh_class *class =
			holder->pod
				? bh_class_of_pod(&compilation->classes, &holder->ip, holder->pod,
					  bh_model_namespace_labels(
						  compilation->model, holder->pod->namespace))
				: bh_class_of_node(
					  &compilation->classes, &holder->ip, holder->labels);

		addresses[i].class = class ? class->number : BH_CLASS_NONE;
		addresses[i].workload = holder_workload(compilation, holder);
	}
	for (size_t i = 0; i < blocks->n; i++) {
		const struct bh_class *class =
			bh_class_of_block(&compilation->classes, &blocks->nodes[i]);

		out[i].ip = blocks->nodes[i].prefix.ip;
		out[i].bits = blocks->nodes[i].prefix.bits;
		out[i].class = class ? class->number : BH_CLASS_NONE;
		out[i].workload = block_workload(compilation, &blocks->nodes[i].prefix);
	}
	bh_compilation_place_services(compilation, addresses);
	desired->n_addresses = compilation->n_holders;
	desired->addresses = addresses;
	desired->n_blocks = blocks->n;
	desired->blocks = out;
}
