/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/classes.h"

#include "controller/model/memory.h"

/* ---- Collecting atoms --------------------------------------------------------------------------
 */

static int compare_atoms(const void *a, const void *b)
{
	const struct bh_atom *left = a, *right = b;

	return strcmp(left->peer->key, right->peer->key);
}

static int compare_names(const void *a, const void *b)
{
	const struct bh_port_name *left = a, *right = b;

	if (left->protocol != right->protocol)
		return left->protocol < right->protocol ? -1 : 1;
	return strcmp(left->name, right->name);
}

/* Sorts and drops repetitions. Returns how many are left. */
static size_t distinct(
	void *items, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	size_t kept = 0;
	char *bytes = items;

	if (n)
		qsort(items, n, size, compare);
	for (size_t i = 0; i < n; i++) {
		if (kept && !compare(bytes + (kept - 1) * size, bytes + i * size))
			continue;
		memmove(bytes + kept++ * size, bytes + i * size, size);
	}
	return kept;
}

struct collection {
	size_t n_atoms, atoms_capacity;
	struct bh_atom *atoms;
	size_t n_names, names_capacity;
	struct bh_port_name *names;
};

static void collect_rule(struct collection *all, const struct bh_netpol_rule *rule, bool egress)
{
	for (size_t i = 0; i < rule->n_peers; i++) {
		bh_xgrow(all->atoms, all->n_atoms, all->atoms_capacity);
		all->atoms[all->n_atoms++] = (struct bh_atom){.peer = &rule->peers[i]};
	}
	for (size_t i = 0; egress && i < rule->n_ports; i++) {
		const struct bh_netpol_port *port = &rule->ports[i];

		if (port->kind != BH_PORT_NAMED)
			continue;
		bh_xgrow(all->names, all->n_names, all->names_capacity);
		all->names[all->n_names++] =
			(struct bh_port_name){.name = port->name, .protocol = port->protocol};
	}
}

/* Calls for every rule that has effect. */
#define FOR_EACH_RULE(policy, direction, rule)                                            \
	for (int direction = BH_INGRESS; direction <= BH_EGRESS; direction++)             \
		for (struct bh_netpol_rule *rule = (policy)->rules[direction];            \
			bh_netpol_speaks(policy, (enum bh_direction)direction) && rule && \
			rule < (policy)->rules[direction] + (policy)->n_rules[direction]; \
			rule++)

static void place_rule(struct bh_classes *classes, struct bh_netpol_rule *rule, bool egress)
{
	for (size_t i = 0; i < rule->n_peers; i++) {
		const struct bh_atom key = {.peer = &rule->peers[i]};
		const struct bh_atom *atom =
			bsearch(&key, classes->atoms, classes->n_atoms, sizeof(key), compare_atoms);

		rule->peers[i].atom = (uint32_t)(atom - classes->atoms);
	}
	for (size_t i = 0; egress && i < rule->n_ports; i++) {
		struct bh_netpol_port *port = &rule->ports[i];
		const struct bh_port_name key = {.name = port->name, .protocol = port->protocol};

		if (port->kind != BH_PORT_NAMED)
			continue;
		const struct bh_port_name *name =
			bsearch(&key, classes->names, classes->n_names, sizeof(key), compare_names);

		port->named = (uint32_t)(name - classes->names);
	}
}

static void sort_atoms(struct bh_classes *classes)
{
	struct bh_blocks_input *inputs =
		bh_arena_array(classes->arena, classes->n_atoms, struct bh_blocks_input);
	size_t n = 0;

	classes->pod_atoms = bh_arena_array(classes->arena, classes->n_atoms, uint32_t);
	classes->node_atoms = bh_arena_array(classes->arena, classes->n_atoms, uint32_t);
	for (size_t i = 0; i < classes->n_atoms; i++) {
		const struct bh_netpol_peer *peer = classes->atoms[i].peer;

		switch (peer->kind) {
		case BH_PEER_PODS:
			classes->pod_atoms[classes->n_pod_atoms++] = (uint32_t)i;
			break;
		case BH_PEER_BLOCK:
			inputs[n++] = (struct bh_blocks_input){&peer->block, (uint32_t)i};
			break;
		case BH_PEER_NODES:
			classes->node_atoms[classes->n_node_atoms++] = (uint32_t)i;
			break;
		}
	}
	bh_blocks_build(&classes->blocks, classes->arena, inputs, n);
}

/* ---- What is remembered -------------------------------------------------------------------------
 */

struct signature {
	uint64_t labels[2]; /* of the pod, of its namespace */
	uint64_t used;
	size_t n;
	uint32_t atoms[];
};

static void forget(struct bh_class_cache *cache, bool all)
{
	struct signature **old = NULL, *signature;
	size_t n = 0, capacity = 0;

	for (size_t at = 0; (signature = bh_table_next(&cache->signatures, &at));) {
		if (!all && signature->used == cache->age)
			continue;
		bh_xgrow(old, n, capacity);
		old[n++] = signature;
	}
	for (size_t i = 0; i < n; i++) {
		bh_table_remove(&cache->signatures, old[i]->labels, sizeof(old[i]->labels));
		free(old[i]);
	}
	free(old);
}

/* A signature is a list of places among the atoms: it stands as long as the atoms do. */
static void check_cache(struct bh_classes *classes)
{
	struct bh_class_cache *cache = classes->cache;
	size_t size = 0;

	for (size_t i = 0; i < classes->n_atoms; i++)
		size += strlen(classes->atoms[i].peer->key) + 1;
	char *atoms = bh_xcalloc(1, size), *at = atoms;

	for (size_t i = 0; i < classes->n_atoms; i++)
		at = stpcpy(at, classes->atoms[i].peer->key) + 1;
	cache->age++;
	if (cache->atoms && cache->atoms_size == size && !memcmp(cache->atoms, atoms, size)) {
		free(atoms);
		return;
	}
	forget(cache, true);
	free(cache->atoms);
	cache->atoms = atoms;
	cache->atoms_size = size;
}

static const struct signature *pod_signature(struct bh_classes *classes, const struct bh_pod *pod,
	const struct bh_labels *namespace_labels)
{
	uint64_t key[2] = {pod->labels->id, namespace_labels->id};
	struct signature *known = bh_table_get(&classes->cache->signatures, key, sizeof(key));

	if (known) {
		known->used = classes->cache->age;
		return known;
	}
	struct signature *signature =
		bh_xcalloc(1, sizeof(*signature) + classes->n_pod_atoms * sizeof(uint32_t));

	for (size_t i = 0; i < classes->n_pod_atoms; i++) {
		uint32_t atom = classes->pod_atoms[i];
		const struct bh_netpol_peer *peer = classes->atoms[atom].peer;

		if (bh_selector_matches(&peer->namespaces, namespace_labels) &&
			bh_selector_matches(&peer->pods, pod->labels))
			signature->atoms[signature->n++] = atom;
	}
	signature = bh_xreallocarray(
		signature, 1, sizeof(*signature) + signature->n * sizeof(uint32_t));
	memcpy(signature->labels, key, sizeof(key));
	signature->used = classes->cache->age;
	bh_table_put(&classes->cache->signatures, signature->labels, sizeof(key), signature);
	return signature;
}

void bh_class_cache_clear(struct bh_class_cache *cache)
{
	forget(cache, true);
	bh_table_clear(&cache->signatures);
	free(cache->atoms);
}

static void collect(struct collection *all, struct bh_netpol *const *policies, size_t n_policies)
{
	*all = (struct collection){0};
	for (size_t i = 0; i < n_policies; i++) {
		FOR_EACH_RULE(policies[i], direction, rule)
		collect_rule(all, rule, direction == BH_EGRESS);
	}
	all->n_atoms = distinct(all->atoms, all->n_atoms, sizeof(*all->atoms), compare_atoms);
	all->n_names = distinct(all->names, all->n_names, sizeof(*all->names), compare_names);
}

static void place_rules(
	struct bh_classes *classes, struct bh_netpol *const *policies, size_t n_policies)
{
	for (size_t i = 0; i < n_policies; i++) {
		FOR_EACH_RULE(policies[i], direction, rule)
		place_rule(classes, rule, direction == BH_EGRESS);
	}
}

void bh_classes_begin(struct bh_classes *classes, struct bh_arena *arena,
	struct bh_class_cache *cache, struct bh_registry *registry,
	struct bh_netpol *const *policies, size_t n_policies)
{
	struct collection all;

	*classes = (struct bh_classes){.arena = arena, .cache = cache, .registry = registry};
	collect(&all, policies, n_policies);
	classes->n_atoms = all.n_atoms;
	classes->atoms = bh_arena_copy(arena, all.atoms, all.n_atoms, sizeof(*all.atoms));
	classes->n_names = all.n_names;
	classes->names = bh_arena_copy(arena, all.names, all.n_names, sizeof(*all.names));
	for (size_t i = 0; i < all.n_names; i++)
		classes->names[i].name = bh_arena_strdup(arena, all.names[i].name);
	free(all.atoms);
	free(all.names);
	place_rules(classes, policies, n_policies);
	sort_atoms(classes);
	check_cache(classes);
}

/* The keys of the atoms that stand: their peers may be gone. */
static bool same_atoms(const struct bh_classes *classes, const struct collection *all)
{
	const char *key = classes->cache->atoms;
	bool same = all->n_atoms == classes->n_atoms;

	for (size_t i = 0; same && i < all->n_atoms; i++) {
		same = !strcmp(key, all->atoms[i].peer->key);
		key += strlen(key) + 1;
	}
	return same;
}

/* As those that stand; their texts may be gone, so they are kept. */
static bool same_names(const struct bh_classes *classes, const struct collection *all)
{
	bool same = all->n_names == classes->n_names;

	for (size_t i = 0; same && i < all->n_names; i++)
		same = !compare_names(&classes->names[i], &all->names[i]);
	return same;
}

bool bh_classes_adopt(
	struct bh_classes *classes, struct bh_netpol *const *policies, size_t n_policies)
{
	struct collection all;
	bool same;

	collect(&all, policies, n_policies);
	same = same_atoms(classes, &all) && same_names(classes, &all);
	for (size_t i = 0; same && i < all.n_atoms; i++)
		classes->atoms[i].peer = all.atoms[i].peer;
	free(all.atoms);
	free(all.names);
	if (same)
		place_rules(classes, policies, n_policies);
	return same;
}

static void clear_list(struct bh_class_list *list)
{
	free(list->items);
	*list = (struct bh_class_list){0};
}

void bh_classes_clear(struct bh_classes *classes)
{
	forget(classes->cache, false);
	for (size_t i = 0; i < classes->n_atoms; i++)
		clear_list(&classes->atoms[i].classes);
	for (size_t i = 0; i < classes->n_names; i++)
		clear_list(&classes->names[i].classes);
	bh_table_clear(&classes->by_content);
	bh_table_clear(&classes->by_number);
}

/* ---- Classes ----------------------------------------------------------------------------------
 */

static void append(struct bh_class_list *list, struct bh_class *class)
{
	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = class;
}

/* What the number is the name of: the atoms in words, not their places, which change. */
static uint32_t number_of(struct bh_classes *classes, const struct bh_class *class)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = bh_xcheck(open_memstream(&text, &size));

	for (size_t i = 0; i < class->n_atoms; i++)
		fprintf(out, "%s\n", classes->atoms[class->atoms[i]].peer->key);
	for (size_t i = 0; i < class->n_ports; i++) {
		const struct bh_port_name *name = &classes->names[class->ports[i].named];

		fprintf(out, "port:%s/%s=%u\n", name->name, bh_protocol_name(name->protocol),
			class->ports[i].port);
	}
	if (fclose(out))
		abort();
	uint32_t number = bh_registry_number(classes->registry, text, size);

	free(text);
	return number;
}

/* The one class of these atoms and ports. */
static const struct bh_class *intern(struct bh_classes *classes, const uint32_t *atoms,
	size_t n_atoms, const struct bh_class_port *ports, size_t n_ports)
{
	if (!n_atoms && !n_ports)
		return NULL;
	size_t n_key = n_atoms + 2 * n_ports + 1;
	uint32_t small[64];
	uint32_t *key = n_key <= 64 ? small : bh_xcalloc(n_key, sizeof(*key));

	key[0] = (uint32_t)n_atoms;
	if (n_atoms)
		memcpy(key + 1, atoms, n_atoms * sizeof(*key));
	for (size_t i = 0; i < n_ports; i++) {
		key[1 + n_atoms + 2 * i] = ports[i].named;
		key[2 + n_atoms + 2 * i] = ports[i].port;
	}
	struct bh_class *class = bh_table_get(&classes->by_content, key, n_key * sizeof(*key));

	if (!class) {
		const uint32_t *kept = bh_arena_copy(classes->arena, key, n_key, sizeof(*key));

		class = bh_arena_new(classes->arena, struct bh_class);
		class->n_atoms = n_atoms;
		class->atoms = kept + 1;
		class->n_ports = n_ports;
		class->ports = bh_arena_copy(classes->arena, ports, n_ports, sizeof(*ports));
		class->number = number_of(classes, class);
		bh_table_put(&classes->by_content, kept, n_key * sizeof(*key), class);
		bh_table_put(&classes->by_number, &class->number, sizeof(class->number), class);
		for (size_t i = 0; i < n_atoms; i++)
			append(&classes->atoms[atoms[i]].classes, class);
		for (size_t i = 0; i < n_ports; i++) {
			if (!i || ports[i].named != ports[i - 1].named)
				append(&classes->names[ports[i].named].classes, class);
		}
	}
	if (key != small)
		free(key);
	return class;
}

static int compare_class_ports(const void *a, const void *b)
{
	const struct bh_class_port *left = a, *right = b;

	if (left->named != right->named)
		return left->named < right->named ? -1 : 1;
	return (left->port > right->port) - (left->port < right->port);
}

/* The ports of the pod whose names are in use. */
static size_t named_ports(
	struct bh_classes *classes, const struct bh_pod *pod, struct bh_class_port **ret_ports)
{
	struct bh_class_port *ports = bh_xcalloc(pod->n_ports, sizeof(*ports));
	size_t n = 0;

	for (size_t i = 0; i < pod->n_ports; i++) {
		const struct bh_port_name key = {
			.name = pod->ports[i].name, .protocol = pod->ports[i].protocol};
		const struct bh_port_name *name =
			bsearch(&key, classes->names, classes->n_names, sizeof(key), compare_names);

		if (name)
			ports[n++] = (struct bh_class_port){
				(uint32_t)(name - classes->names), pod->ports[i].port};
	}
	*ret_ports = ports;
	return distinct(ports, n, sizeof(*ports), compare_class_ports);
}

const struct bh_class *bh_class_of_block(
	struct bh_classes *classes, const struct bh_blocks_node *block)
{
	return intern(classes, block->atoms, block->n_atoms, NULL, 0);
}

/* The class of an address that matches `own` by what has it, and its blocks. Both are sorted and
 * have nothing in common. */
static const struct bh_class *class_of(struct bh_classes *classes, const struct bh_ip *ip,
	const uint32_t *own, size_t n_own, const struct bh_class_port *ports, size_t n_ports)
{
	const struct bh_blocks_node *block = bh_blocks_find(&classes->blocks, ip);
	size_t n_block = block ? block->n_atoms : 0, n = 0, i = 0, j = 0;
	uint32_t small[64];
	uint32_t *atoms =
		n_own + n_block <= 64 ? small : bh_xcalloc(n_own + n_block, sizeof(*atoms));

	while (i < n_own || j < n_block) {
		if (j == n_block || (i < n_own && own[i] < block->atoms[j]))
			atoms[n++] = own[i++];
		else
			atoms[n++] = block->atoms[j++];
	}
	const struct bh_class *class = intern(classes, atoms, n, ports, n_ports);

	if (atoms != small)
		free(atoms);
	return class;
}

const struct bh_class *bh_class_of_pod(struct bh_classes *classes, const struct bh_ip *ip,
	const struct bh_pod *pod, const struct bh_labels *namespace_labels)
{
	const struct signature *own = pod_signature(classes, pod, namespace_labels);
	struct bh_class_port *ports = NULL;
	size_t n_ports = 0;

	if (classes->n_names && pod->n_ports)
		n_ports = named_ports(classes, pod, &ports);
	const struct bh_class *class = class_of(classes, ip, own->atoms, own->n, ports, n_ports);

	free(ports);
	return class;
}

const struct bh_class *bh_class_of_node(
	struct bh_classes *classes, const struct bh_ip *ip, const struct bh_labels *node_labels)
{
	uint32_t *own = bh_xcalloc(classes->n_node_atoms + 1, sizeof(*own));
	size_t n = 0;

	for (size_t i = 0; node_labels && i < classes->n_node_atoms; i++) {
		uint32_t atom = classes->node_atoms[i];

		if (bh_selector_matches(&classes->atoms[atom].peer->pods, node_labels))
			own[n++] = atom;
	}
	const struct bh_class *class = class_of(classes, ip, own, n, NULL, 0);

	free(own);
	return class;
}
