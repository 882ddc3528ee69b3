/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/program.h"

#include "controller/model/memory.h"

/* A program, and what it takes to say whether it would be made otherwise now. */
struct bh_made {
	uint32_t number;
	uint32_t isolated;
	size_t n_own;
	const struct bh_desired_entry *own; /* without services', sorted */
	size_t n_services;
	const struct bh_desired_entry *services;
	size_t n_asked;
	uint32_t *asked; /* atoms, sorted; some more than once */
	bool asks_names; /* a rule for anyone names a port of the peer's */
	size_t key_size;
	char key[];
};

/* A rule asks for this atom. `index` is its place among the rules of the direction, in order. */
struct ask {
	uint32_t atom;
	uint32_t index;
};

/* A rule and when it is asked. */
struct ranked {
	const struct bh_netpol_rule *rule;
	enum bh_tier tier;
};

/* One program in the making. */
struct build {
	struct bh_programs *programs;
	const struct bh_pod *pod;
	const struct bh_netpol *const *policies;
	size_t n_policies;
	enum bh_direction direction; /* under way, with its rules in order and what they ask for */
	bool isolated;               /* by a NetworkPolicy */
	bool tiers;                  /* there are rules of ClusterNetworkPolicies */
	size_t n_rules;
	struct ranked *rules;
	size_t n_anyone;
	uint32_t *anyone; /* those without peers, in order */
	size_t n_asks;
	struct ask *asks; /* sorted by atom */
	uint32_t *chosen; /* room for every rule */
	size_t n;
	size_t capacity;
	struct bh_desired_entry *entries;
	size_t n_asked;
	size_t asked_room;
	uint32_t *asked; /* atoms, of both directions */
	bool asks_names;
};

/* ---- What a rule is about ----------------------------------------------------------------------
 */

/* Ingress: the port of this name at the pod itself. A name the pod does not have is no port. */
static void add_own_port(
	struct build *build, const struct bh_netpol_rule *rule, const struct bh_netpol_port *port)
{
	for (size_t i = 0; i < build->pod->n_ports; i++) {
		const struct bh_pod_port *own = &build->pod->ports[i];

		if (own->protocol == port->protocol && !strcmp(own->name, port->name))
			bh_ranges_add(&build->programs->ranges, port->protocol, own->port,
				own->port, rule->number, rule->action);
	}
}

/* Egress: whatever ports of this name the peers of this class have. */
static void add_peer_port(struct build *build, const struct bh_netpol_rule *rule,
	const struct bh_netpol_port *port, const struct bh_class *class)
{
	for (size_t i = 0; class && i < class->n_ports; i++) {
		const struct bh_class_port *theirs = &class->ports[i];

		if (theirs->named == port->named)
			bh_ranges_add(&build->programs->ranges, port->protocol, theirs->port,
				theirs->port, rule->number, rule->action);
	}
}

static void add_rule(
	struct build *build, const struct bh_netpol_rule *rule, const struct bh_class *class)
{
	struct bh_ranges *ranges = &build->programs->ranges;

	if (!rule->n_ports)
		bh_ranges_add(ranges, 0, 0, 65535, rule->number, rule->action);
	for (size_t i = 0; i < rule->n_ports; i++) {
		const struct bh_netpol_port *port = &rule->ports[i];

		if (port->kind == BH_PORT_RANGE)
			bh_ranges_add(ranges, port->protocol, port->lo, port->hi, rule->number,
				rule->action);
		else if (build->direction == BH_INGRESS)
			add_own_port(build, rule, port);
		else
			add_peer_port(build, rule, port, class);
	}
}

/* ---- Which rules match a class ------------------------------------------------------------------
 */

static int compare_asks(const void *a, const void *b)
{
	const struct ask *left = a, *right = b;

	if (left->atom != right->atom)
		return left->atom < right->atom ? -1 : 1;
	return (left->index > right->index) - (left->index < right->index);
}

static int compare_indexes(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static void list_rule(struct build *build, const struct bh_netpol *policy, size_t index)
{
	const struct bh_netpol_rule *rule = &policy->rules[build->direction][index];
	uint32_t at = (uint32_t)build->n_rules++;

	build->rules[at] = (struct ranked){rule, policy->tier};
	if (rule->never)
		return;
	for (size_t i = 0; i < rule->n_peers; i++)
		build->asks[build->n_asks++] = (struct ask){rule->peers[i].atom, at};
	if (!rule->n_peers)
		build->anyone[build->n_anyone++] = at;
}

/* The rules of the direction, and an index from atoms to them: a class finds its few among many. */
static void list_rules(struct build *build, enum bh_direction direction)
{
	struct bh_arena *scratch = build->programs->scratch;
	size_t n_rules = 0, n_asks = 0;

	build->direction = direction;
	build->n_rules = build->n_anyone = build->n_asks = 0;
	build->isolated = build->tiers = false;
	for (size_t i = 0; i < build->n_policies; i++) {
		const struct bh_netpol *policy = build->policies[i];

		if (!bh_netpol_speaks(policy, direction))
			continue;
		build->isolated |= policy->isolates[direction];
		build->tiers |= policy->tier != BH_TIER_NETPOL;
		n_rules += policy->n_rules[direction];
		for (size_t j = 0; j < policy->n_rules[direction]; j++)
			n_asks += policy->rules[direction][j].n_peers;
	}
	build->rules = bh_arena_array(scratch, n_rules, struct ranked);
	build->anyone = bh_arena_array(scratch, n_rules, uint32_t);
	build->chosen = bh_arena_array(scratch, n_asks + n_rules, uint32_t);
	build->asks = bh_arena_array(scratch, n_asks, struct ask);
	for (size_t i = 0; i < build->n_policies; i++) {
		const struct bh_netpol *policy = build->policies[i];

		for (size_t j = 0;
			bh_netpol_speaks(policy, direction) && j < policy->n_rules[direction]; j++)
			list_rule(build, policy, j);
	}
	if (n_asks)
		qsort(build->asks, build->n_asks, sizeof(*build->asks), compare_asks);
}

/* The first of the asks for this atom. */
static size_t first_ask(const struct build *build, uint32_t atom)
{
	size_t low = 0, high = build->n_asks;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (build->asks[middle].atom < atom)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The rules with a peer of this class, in order, into `chosen`, and with them those for anyone
 * whose place counts. One may be there more than once.
 */
static size_t choose_rules(struct build *build, const struct bh_class *class)
{
	size_t n = 0;

	for (size_t i = 0; class && i < class->n_atoms; i++) {
		size_t at = first_ask(build, class->atoms[i]);

		for (; at < build->n_asks && build->asks[at].atom == class->atoms[i]; at++)
			build->chosen[n++] = build->asks[at].index;
	}
	for (size_t i = 0; i < build->n_anyone; i++) {
		if (build->rules[build->anyone[i]].tier != BH_TIER_NETPOL)
			build->chosen[n++] = build->anyone[i];
	}
	if (n)
		qsort(build->chosen, n, sizeof(*build->chosen), compare_indexes);
	return n;
}

/* Those of a tier among the chosen. */
static void add_tier(
	struct build *build, const struct bh_class *class, size_t n_chosen, enum bh_tier tier)
{
	for (size_t i = 0; i < n_chosen; i++) {
		const struct ranked *ranked = &build->rules[build->chosen[i]];

		if (ranked->tier == tier && (!i || build->chosen[i] != build->chosen[i - 1]))
			add_rule(build, ranked->rule, class);
	}
}

/* Rules for anyone come first, so that where they already allow a port they also name it, and a
 * class that gains nothing else is not listed. */
static void add_network_policies(struct build *build, const struct bh_class *class, size_t n_chosen)
{
	for (size_t i = 0; i < build->n_anyone; i++) {
		const struct ranked *ranked = &build->rules[build->anyone[i]];

		if (ranked->tier == BH_TIER_NETPOL)
			add_rule(build, ranked->rule, class);
	}
	add_tier(build, class, n_chosen, BH_TIER_NETPOL);
}

/*
 * Everything that applies to the class (NULL: any), tier by tier. NetworkPolicies that isolate the
 * pod have the last word; without any, Baseline has, and what it does not decide passes by no rule.
 */
static size_t decide(
	struct build *build, const struct bh_class *class, const struct bh_desired_rule **ret_rules)
{
	struct bh_ranges *ranges = &build->programs->ranges;
	size_t n = choose_rules(build, class);

	bh_ranges_reset(ranges);
	if (build->tiers) {
		add_tier(build, class, n, BH_TIER_ADMIN);
		bh_ranges_settle(ranges, BH_TIER_ADMIN);
	}
	if (build->isolated) {
		add_network_policies(build, class, n);
		bh_ranges_settle(ranges, BH_TIER_NETPOL);
	} else {
		add_tier(build, class, n, BH_TIER_BASELINE);
		bh_ranges_settle(ranges, BH_TIER_BASELINE);
		bh_ranges_add(ranges, 0, 0, 65535, BH_RULE_NONE, BH_ACTION_ACCEPT);
		bh_ranges_settle(ranges, BH_TIER_BASELINE);
	}
	return bh_ranges_flatten(ranges, build->programs->scratch, ret_rules);
}

/* ---- Entries ----------------------------------------------------------------------------------
 */

static void add_entry(
	struct build *build, uint32_t class, const struct bh_desired_rule *rules, size_t n)
{
	bh_xgrow(build->entries, build->n, build->capacity);
	build->entries[build->n++] = (struct bh_desired_entry){
		.egress = build->direction == BH_EGRESS,
		.class = class,
		.n_rules = n,
		.rules = rules,
	};
}

struct candidates {
	size_t n;
	size_t capacity;
	struct bh_class **items;
};

static void add_candidates(
	struct build *build, struct candidates *candidates, const struct bh_class_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct bh_class *class = list->items[i];

		/* One that nobody is of any more is kept for its return. */
		if (class->visited == build->programs->visit || !class->references)
			continue;
		class->visited = build->programs->visit;
		bh_xgrow(candidates->items, candidates->n, candidates->capacity);
		candidates->items[candidates->n++] = class;
	}
}

/* The classes that some rule may treat differently from all others. */
static void find_candidates(struct build *build, struct candidates *candidates)
{
	const struct bh_classes *classes = build->programs->classes;

	build->programs->visit++;
	for (size_t i = 0; i < build->n_asks; i++)
		add_candidates(build, candidates, &classes->atoms[build->asks[i].atom].classes);
	for (size_t i = 0; i < build->n_asks; i++) {
		bh_xgrow(build->asked, build->n_asked, build->asked_room);
		build->asked[build->n_asked++] = build->asks[i].atom;
	}
	if (build->direction != BH_EGRESS)
		return;
	for (size_t i = 0; i < build->n_anyone; i++) {
		const struct bh_netpol_rule *rule = build->rules[build->anyone[i]].rule;

		for (size_t j = 0; j < rule->n_ports; j++) {
			if (rule->ports[j].kind != BH_PORT_NAMED)
				continue;
			build->asks_names = true;
			add_candidates(
				build, candidates, &classes->names[rule->ports[j].named].classes);
		}
	}
}

static void build_direction(struct build *build, enum bh_direction direction)
{
	struct candidates candidates = {0};
	const struct bh_desired_rule *any, *rules;

	list_rules(build, direction);
	size_t n_any = decide(build, NULL, &any);

	if (n_any)
		add_entry(build, BH_CLASS_ANY, any, n_any);
	find_candidates(build, &candidates);
	for (size_t i = 0; i < candidates.n; i++) {
		size_t n = decide(build, candidates.items[i], &rules);

		if (!bh_desired_same_rules(any, n_any, rules, n))
			add_entry(build, candidates.items[i]->number, rules, n);
	}
	free(candidates.items);
}

static int compare_entries(const void *a, const void *b)
{
	const struct bh_desired_entry *left = a, *right = b;

	if (left->egress != right->egress)
		return left->egress ? 1 : -1;
	return (left->class > right->class) - (left->class < right->class);
}

static void add_entries(struct build *build, const struct bh_desired_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bh_xgrow(build->entries, build->n, build->capacity);
		build->entries[build->n++] = entries[i];
	}
}

/* What the program says to services follows from the rest, which is kept. */
static void add_services(struct build *build, struct bh_made *made)
{
	struct bh_programs *programs = build->programs;

	if (build->n)
		qsort(build->entries, build->n, sizeof(*build->entries), compare_entries);
	made->n_own = build->n;
	made->own =
		bh_arena_copy(programs->scratch, build->entries, build->n, sizeof(*build->entries));
	if (!programs->services->indexed)
		bh_services_index(programs->services, programs->scratch);
	made->n_services = bh_services_entries(programs->services, programs->scratch,
		made->isolated, made->own, made->n_own, &made->services);
	add_entries(build, made->services, made->n_services);
}

/* ---- Naming -----------------------------------------------------------------------------------
 */

/* What the number is the name of. Written out field by field: structs have padding. */
static uint32_t number_of(struct build *build, uint32_t isolated)
{
	size_t words = 1, at = 0;

	for (size_t i = 0; i < build->n; i++)
		words += 3 + 3 * build->entries[i].n_rules;
	uint32_t *content = bh_xcalloc(words, sizeof(*content));

	content[at++] = isolated;
	for (size_t i = 0; i < build->n; i++) {
		const struct bh_desired_entry *entry = &build->entries[i];

		content[at++] = entry->egress;
		content[at++] = entry->class;
		content[at++] = (uint32_t)entry->n_rules;
		for (size_t j = 0; j < entry->n_rules; j++) {
			const struct bh_desired_rule *rule = &entry->rules[j];

			content[at++] = (uint32_t)rule->protocol << 2 | (uint32_t)rule->defer << 1 |
					rule->deny;
			content[at++] = (uint32_t)rule->port_hi << 16 | rule->port_lo;
			content[at++] = rule->rule;
		}
	}
	uint32_t number =
		bh_registry_number(build->programs->registry, content, words * sizeof(*content));

	free(content);
	return number | isolated;
}

/* Puts the program into the result unless an equal one is there already. */
static uint32_t finish(struct build *build, uint32_t isolated)
{
	struct bh_programs *programs = build->programs;

	if (build->n)
		qsort(build->entries, build->n, sizeof(*build->entries), compare_entries);
	uint32_t number = number_of(build, isolated);

	if (!bh_table_get(&programs->by_number, &number, sizeof(number))) {
		struct bh_desired_program *program =
			bh_arena_new(programs->scratch, struct bh_desired_program);

		*program = (struct bh_desired_program){.number = number,
			.n_entries = build->n,
			.entries = bh_arena_copy(programs->scratch, build->entries, build->n,
				sizeof(*build->entries))};
		bh_table_put(
			&programs->by_number, &program->number, sizeof(program->number), program);
	}
	free(build->entries);
	return number;
}

/* ---- Public -----------------------------------------------------------------------------------
 */

static bool uses_own_names(const struct bh_netpol *policy)
{
	for (size_t i = 0; bh_netpol_speaks(policy, BH_INGRESS) && i < policy->n_rules[BH_INGRESS];
		i++) {
		const struct bh_netpol_rule *rule = &policy->rules[BH_INGRESS][i];

		for (size_t j = 0; j < rule->n_ports; j++) {
			if (rule->ports[j].kind == BH_PORT_NAMED)
				return true;
		}
	}
	return false;
}

/* Which policies, and how the pod names its ports if that matters: equal keys, equal programs. Free
 * it.
 */
static char *make_key(struct build *build, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = bh_xcheck(open_memstream(&text, ret_size));
	bool names = false;

	for (size_t i = 0; i < build->n_policies; i++) {
		fwrite(&build->policies[i], sizeof(build->policies[i]), 1, out);
		names |= uses_own_names(build->policies[i]);
	}
	for (size_t i = 0; names && i < build->pod->n_ports; i++)
		fprintf(out, "%s/%u=%u,", build->pod->ports[i].name, build->pod->ports[i].protocol,
			build->pod->ports[i].port);
	if (fclose(out))
		abort();
	return text;
}

static void make(struct build *build, struct bh_made *made)
{
	if (made->isolated & BH_PROGRAM_INGRESS_ISOLATED)
		build_direction(build, BH_INGRESS);
	if (made->isolated & BH_PROGRAM_EGRESS_ISOLATED)
		build_direction(build, BH_EGRESS);
	if (build->n_asked)
		qsort(build->asked, build->n_asked, sizeof(*build->asked), compare_indexes);
	made->n_asked = build->n_asked;
	made->asked = bh_arena_copy(
		build->programs->scratch, build->asked, build->n_asked, sizeof(*build->asked));
	made->asks_names = build->asks_names;
	free(build->asked);
	add_services(build, made);
	made->number = finish(build, made->isolated);
}

uint32_t bh_program_compile(struct bh_programs *programs, const struct bh_pod *pod,
	const struct bh_netpol *const *policies, size_t n_policies)
{
	struct build build = {
		.programs = programs, .pod = pod, .policies = policies, .n_policies = n_policies};
	uint32_t isolated = 0;
	size_t size;

	for (size_t i = 0; i < n_policies; i++) {
		if (bh_netpol_speaks(policies[i], BH_INGRESS))
			isolated |= BH_PROGRAM_INGRESS_ISOLATED;
		if (bh_netpol_speaks(policies[i], BH_EGRESS))
			isolated |= BH_PROGRAM_EGRESS_ISOLATED;
	}
	if (!isolated)
		return BH_PROGRAM_NONE;
	char *key = make_key(&build, &size);
	struct bh_made *made = bh_table_get(&programs->by_key, key, size);

	if (!made) {
		made = bh_arena_alloc(programs->scratch, 1, sizeof(*made) + size);
		made->isolated = isolated;
		made->key_size = size;
		memcpy(made->key, key, size);
		make(&build, made);
		bh_table_put(&programs->by_key, made->key, size, made);
	}
	free(key);
	return made->number;
}

uint32_t bh_program_cut_off(struct bh_programs *programs)
{
	struct build build = {.programs = programs};

	return finish(&build, BH_PROGRAM_INGRESS_ISOLATED | BH_PROGRAM_EGRESS_ISOLATED);
}

/* ---- When classes change ------------------------------------------------------------------------
 */

/* Would the program have had a look at this class? */
static bool asks(const struct bh_made *made, const struct bh_class *class)
{
	for (size_t i = 0; i < class->n_atoms; i++) {
		if (made->n_asked && bsearch(&class->atoms[i], made->asked, made->n_asked,
					     sizeof(*made->asked), compare_indexes))
			return true;
	}
	return made->asks_names && class->n_ports;
}

static bool asks_any(const struct bh_made *made, struct bh_class *const *classes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (asks(made, classes[i]))
			return true;
	}
	return false;
}

/* Without what it said to those that went, with what it says to those that came. */
static bool follow_services(struct bh_programs *programs, struct bh_made *made,
	const struct bh_services *come, const struct bh_table *gone)
{
	const struct bh_desired_entry *more;
	size_t n = bh_services_entries(
		come, programs->scratch, made->isolated, made->own, made->n_own, &more);
	struct build build = {.programs = programs};

	for (size_t i = 0; i < made->n_services; i++) {
		const struct bh_desired_entry *entry = &made->services[i];

		if (!bh_table_get(gone, &entry->class, sizeof(entry->class)))
			add_entries(&build, entry, 1);
	}
	if (!n && build.n == made->n_services) {
		free(build.entries);
		return false;
	}
	add_entries(&build, more, n);
	made->n_services = build.n;
	made->services =
		bh_arena_copy(programs->scratch, build.entries, build.n, sizeof(*build.entries));
	add_entries(&build, made->own, made->n_own);
	uint32_t before = made->number;

	made->number = finish(&build, made->isolated);
	return made->number != before;
}

bool bh_programs_follow(struct bh_programs *programs, struct bh_class *const *changed,
	size_t n_changed, struct bh_services *come, const struct bh_table *gone)
{
	struct bh_made **old = bh_xcalloc(programs->by_key.n, sizeof(*old)), *made;
	bool others = false;
	size_t n = 0;

	for (size_t at = 0; (made = bh_table_next(&programs->by_key, &at));) {
		if (asks_any(made, changed, n_changed))
			old[n++] = made;
		else if (come->n || gone->n)
			others |= follow_services(programs, made, come, gone);
	}
	for (size_t i = 0; i < n; i++)
		bh_table_remove(&programs->by_key, old[i]->key, old[i]->key_size);
	free(old);
	return others || n;
}

const struct bh_desired_program *bh_programs_find(
	const struct bh_programs *programs, uint32_t number)
{
	return bh_table_get(&programs->by_number, &number, sizeof(number));
}

void bh_programs_forget(struct bh_programs *programs)
{
	bh_table_clear(&programs->by_key);
	bh_table_clear(&programs->by_number);
}

void bh_programs_clear(struct bh_programs *programs)
{
	bh_programs_forget(programs);
	bh_ranges_clear(&programs->ranges);
}
