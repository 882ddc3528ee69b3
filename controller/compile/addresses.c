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

static void note_bad(
	struct bh_compilation *compilation, const struct bh_pod *pod, const struct bh_ip *ip)
{
	char text[BH_IP_TEXT_MAX];

	bh_compilation_address_problem(compilation, ip, "bad-address",
		bh_compilation_pod_object(compilation, pod),
		bh_arena_printf(compilation->out,
			"%s is not an address a pod can have; it is left out",
			bh_ip_format(ip, text)));
}

static void add_pods(struct bh_compilation *compilation, struct holders *holders)
{
	const struct bh_pod *pod;

	for (size_t at = 0; (pod = bh_model_next_pod(compilation->model, &at));) {
		if (pod->host_network || pod->finished)
			continue;
		for (size_t i = 0; i < pod->n_ips; i++) {
			if (bh_address_is_usable(&pod->ips[i]))
				add_holder(holders,
					&(struct bh_holder){.ip = pod->ips[i], .pod = pod});
			else
				note_bad(compilation, pod, &pod->ips[i]);
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

	bh_compilation_address_problem(compilation, &loser->ip, "address-conflict",
		bh_compilation_pod_object(compilation, loser->pod),
		bh_arena_printf(compilation->out,
			"its address %s also belongs to %s, which keeps it: remove the one that no "
			"longer exists",
			bh_ip_format(&loser->ip, text), keeper));
}

/* Each address once. */
static void hold_nodes(struct bh_compilation *compilation)
{
	struct holders all = {0};
	size_t kept = 0;

	add_nodes(compilation, &all);
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), compare_holders);
	for (size_t i = 0; i < all.n; i++) {
		if (!kept || bh_ip_compare(&all.items[kept - 1].ip, &all.items[i].ip))
			all.items[kept++] = all.items[i];
	}
	compilation->nodes = all.items;
	compilation->n_nodes = kept;
}

void bh_compilation_hold(struct bh_compilation *compilation)
{
	struct holders all = {0};
	size_t kept = 0;

	hold_nodes(compilation);
	add_pods(compilation, &all);
	for (size_t i = 0; i < compilation->n_nodes; i++)
		add_holder(&all, &compilation->nodes[i]);
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

static const struct bh_holder *find_node(
	const struct bh_compilation *compilation, const struct bh_ip *ip)
{
	if (!compilation->n_nodes)
		return NULL;
	return bsearch(
		ip, compilation->nodes, compilation->n_nodes, sizeof(*compilation->nodes), by_ip);
}

const struct bh_pod *bh_compilation_holder(
	const struct bh_compilation *compilation, const struct bh_ip *ip)
{
	const struct bh_holder *holder;

	if (!compilation->holders)
		return bh_address_is_usable(ip) && !find_node(compilation, ip)
			       ? bh_model_pod_at(compilation->model, ip)
			       : NULL;
	holder = bh_compilation_find_holder(compilation, ip);
	return holder ? holder->pod : NULL;
}

/* ---- One address ------------------------------------------------------------------------------
 */

/* Problems of pods that list an address which is another's, or nobody's. */
static void note_others(
	struct bh_compilation *compilation, const struct bh_holder *holder, const struct bh_ip *ip)
{
	const struct bh_pod *pod;

	for (const struct bh_ring *at = NULL;
		(pod = bh_model_next_pod_at(compilation->model, ip, &at));) {
		if (pod->host_network)
			continue;
		if (holder)
			note_conflict(
				compilation, holder, &(struct bh_holder){.ip = *ip, .pod = pod});
		else
			note_bad(compilation, pod, ip);
	}
}

bool bh_compilation_who_has(const struct bh_compilation *compilation, const struct bh_ip *ip,
	struct bh_holder *ret_holder)
{
	const struct bh_holder *node = find_node(compilation, ip);
	struct bh_holder holder = {.ip = *ip}, claimed = {.ip = *ip};

	if (!bh_address_is_usable(ip))
		return false;
	if (node)
		holder = *node;
	else
		holder.pod = bh_model_pod_at(compilation->model, ip);
	bh_services_claims(&compilation->services, ip, &claimed);
	if (claimed.n_claims && !holder.pod && !holder.labels)
		holder = claimed;
	else if (!node && !holder.pod)
		return false;
	*ret_holder = holder;
	return true;
}

bool bh_compilation_resolve(
	struct bh_compilation *compilation, const struct bh_ip *ip, struct bh_holder *ret_holder)
{
	struct bh_holder holder, claimed = {0};

	if (!bh_address_is_usable(ip)) {
		note_others(compilation, NULL, ip);
		return false;
	}
	if (!bh_compilation_who_has(compilation, ip, &holder))
		return false;
	/* A service that takes an address of an interface takes its conflicts, too. */
	note_others(compilation, holder.n_claims ? find_node(compilation, ip) : &holder, ip);
	bh_services_claims(&compilation->services, ip, &claimed);
	if (!holder.n_claims && claimed.n_claims)
		bh_compilation_note_taken(compilation, &holder, claimed.claims, claimed.n_claims);
	*ret_holder = holder;
	return true;
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

struct bh_desired_address bh_compilation_place_holder(struct bh_compilation *compilation,
	const struct bh_holder *holder, struct bh_class **ret_class)
{
	const struct bh_class *class =
		holder->pod ? bh_class_of_pod(&compilation->classes, &holder->ip, holder->pod,
				      bh_model_namespace_labels(
					      compilation->model, holder->pod->namespace))
			    : bh_class_of_node(&compilation->classes, &holder->ip, holder->labels);

	*ret_class = (struct bh_class *)class;
	return (struct bh_desired_address){.ip = holder->ip,
		.class = class ? class->number : BH_CLASS_NONE,
		.workload = holder_workload(compilation, holder)};
}

static void place_blocks(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	const struct bh_blocks *blocks = &compilation->classes.blocks;
	struct bh_desired_block *out =
		bh_arena_array(bh_result_arena(compilation->result, BH_PART_POLICY), blocks->n,
			struct bh_desired_block);

	for (size_t i = 0; i < blocks->n; i++) {
		struct bh_class *class = (struct bh_class *)bh_class_of_block(
			&compilation->classes, &blocks->nodes[i]);

		if (class)
			class->references++;
		out[i].ip = blocks->nodes[i].prefix.ip;
		out[i].bits = blocks->nodes[i].prefix.bits;
		out[i].class = class ? class->number : BH_CLASS_NONE;
		out[i].workload = block_workload(compilation, &blocks->nodes[i].prefix);
	}
	desired->n_blocks = blocks->n;
	desired->blocks = out;
}

void bh_compilation_place(struct bh_compilation *compilation)
{
	size_t n = compilation->n_holders;

	compilation->addresses = bh_xcalloc(n, sizeof(*compilation->addresses));
	for (size_t i = 0; i < n; i++) {
		const struct bh_holder *holder = &compilation->holders[i];
		struct bh_class *class;

		compilation->addresses[i].ip = holder->ip;
		if (holder->n_claims)
			continue;
		compilation->addresses[i] =
			bh_compilation_place_holder(compilation, holder, &class);
		if (class)
			class->references++;
	}
	place_blocks(compilation);
	bh_compilation_place_services(compilation);
	compilation->result->public.addresses =
		bh_run_new(&bh_desired_addresses, compilation->addresses, n);
	free(compilation->addresses);
	free(compilation->holders);
	compilation->addresses = NULL;
	compilation->holders = NULL;
	compilation->n_holders = 0;
}
