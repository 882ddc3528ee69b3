/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The last step of a program: what it says to services, from what it says to everybody else. It
 * reads the finished entries as the kernel would, so it does not matter what made them.
 *
 *   a port the service does not have   as for the address without the service
 *   all backends pass                  passes, by the first one's rule
 *   no backend passes                  does not pass; by a rule if one denies it
 *   they differ, or there are none     let through here, and judged where the address is rewritten
 */
#include "bulkhead/abi.h"
#include "controller/compile/lookup.h"
#include "controller/compile/services.h"
#include "controller/model/memory.h"

#define WHOLE_HI 65535

/* One program's answers. */
struct asking {
	const struct bh_services *services;
	struct bh_arena *arena;
	const struct bh_desired_entry *entries;
	size_t n_entries;
	const struct bh_desired_entry *any;     /* egress, for classes not listed; may be NULL */
	const struct bh_desired_rule **answers; /* by target: the rule that decides, or NULL */
	size_t n;
	struct bh_desired_entry *out;
};

/* Instead of what the address's own entry says about one port. */
struct change {
	bool nothing; /* no rule at all */
	struct bh_desired_rule rule;
};

/* ---- Answers ----------------------------------------------------------------------------------
 */

static int compare_keys(const struct bh_desired_entry *entry, bool egress, uint32_t class)
{
	if (entry->egress != egress)
		return entry->egress ? 1 : -1;
	return (entry->class > class) - (entry->class < class);
}

static const struct bh_desired_entry *own_entry(
	const struct asking *asking, bool egress, uint32_t class)
{
	size_t low = 0, high = asking->n_entries;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare_keys(&asking->entries[middle], egress, class);

		if (!order)
			return &asking->entries[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Both are sorted by class: one walk asks for every target. */
static void ask_targets(struct asking *asking)
{
	const struct bh_services *services = asking->services;
	size_t at = 0;

	asking->answers =
		bh_arena_array(asking->arena, services->n_targets, const struct bh_desired_rule *);
	for (size_t i = 0; i < services->n_targets; i++) {
		const struct bh_service_target *target = &services->targets[i];
		const struct bh_desired_entry *entry = asking->any;

		while (at < asking->n_entries &&
			compare_keys(&asking->entries[at], true, target->class) < 0)
			at++;
		if (at < asking->n_entries &&
			!compare_keys(&asking->entries[at], true, target->class))
			entry = &asking->entries[at];
		asking->answers[i] = bh_lookup_entry(entry, target->protocol, target->port, true);
	}
}

/* What all that may be behind the port have in common. */
static struct change judge(const struct asking *asking, const struct bh_service_class_port *port)
{
	const struct bh_desired_rule *passes = NULL, *denies = NULL;
	struct change change = {.rule = {.protocol = port->protocol,
					.port_lo = port->port,
					.port_hi = port->port,
					.rule = BH_RULE_NONE}};
	size_t n = 0;

	for (size_t i = 0; i < port->n_targets; i++) {
		const struct bh_desired_rule *answer = asking->answers[port->places[i]];

		if (answer && !answer->deny) {
			passes = passes ? passes : answer;
			n++;
		} else if (answer && answer->rule != BH_RULE_NONE && !denies) {
			denies = answer;
		}
	}
	if (!port->n_targets || (n && n < port->n_targets)) {
		change.rule.defer = true;
	} else if (passes) {
		change.rule.rule = passes->rule;
	} else if (denies) {
		change.rule.deny = true;
		change.rule.rule = denies->rule;
	} else {
		change.nothing = true;
	}
	return change;
}

/* ---- Rules ------------------------------------------------------------------------------------
 */

/* True if the entry of the address itself (NULL: there is none) says the same. */
static bool says_the_same(const struct bh_desired_entry *base, struct change *change)
{
	const struct bh_desired_rule *wanted = &change->rule;
	const struct bh_desired_rule *now =
		bh_lookup_entry(base, wanted->protocol, wanted->port_lo, true);

	if (!change->nothing)
		return now && now->deny == wanted->deny && now->defer == wanted->defer &&
		       now->rule == wanted->rule;
	return !now || now->deny;
}

/* The rule for every protocol, or NULL. */
static const struct bh_desired_rule *everything(const struct bh_desired_entry *base)
{
	for (size_t i = 0; base && i < base->n_rules; i++) {
		if (!base->rules[i].protocol)
			return &base->rules[i];
	}
	return NULL;
}

static size_t list_changes(const struct asking *asking, const struct bh_service_class *class,
	const struct bh_desired_entry *base, struct change *changes)
{
	const struct bh_desired_rule *all = everything(base);
	size_t n = 0;

	for (size_t i = 0; i < class->n_ports; i++) {
		struct change change = judge(asking, &class->ports[i]);

		if (says_the_same(base, &change))
			continue;
		/* Without a range of its own the port would pass by the one for everything. */
		if (change.nothing && all && !all->deny) {
			change.nothing = false;
			change.rule.deny = true;
		}
		changes[n++] = change;
	}
	return n;
}

struct rules {
	size_t n;
	struct bh_desired_rule *items;
};

/* What is left of a range when the changed ports are cut out. Changes are sorted. */
static void cut(
	struct rules *rules, struct bh_desired_rule rule, const struct change *changes, size_t n)
{
	uint32_t lo = rule.port_lo, hi = rule.port_hi;

	for (size_t i = 0; i < n && lo <= hi; i++) {
		const struct bh_desired_rule *by = &changes[i].rule;

		if (by->protocol != rule.protocol || by->port_lo < lo || by->port_lo > hi)
			continue;
		if (by->port_lo > lo) {
			rules->items[rules->n] = rule;
			rules->items[rules->n].port_lo = (uint16_t)lo;
			rules->items[rules->n++].port_hi = (uint16_t)(by->port_lo - 1);
		}
		lo = by->port_lo + 1u;
	}
	if (lo > hi)
		return;
	rules->items[rules->n] = rule;
	rules->items[rules->n++].port_lo = (uint16_t)lo;
}

static int compare_rules(const void *a, const void *b)
{
	const struct bh_desired_rule *left = a, *right = b;

	if (left->protocol != right->protocol)
		return left->protocol < right->protocol ? -1 : 1;
	return (left->port_lo > right->port_lo) - (left->port_lo < right->port_lo);
}

/*
 * Joins neighbours that say the same, but never to a range that is everything: such a one would
 * speak for packets without ports, which nobody has allowed.
 */
static void join(struct rules *rules)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->n; i++) {
		struct bh_desired_rule *last = kept ? &rules->items[kept - 1] : NULL;
		const struct bh_desired_rule *rule = &rules->items[i];

		if (last && last->protocol == rule->protocol && last->deny == rule->deny &&
			last->defer == rule->defer && last->rule == rule->rule &&
			last->port_hi + 1u == rule->port_lo &&
			!(last->port_lo == 0 && rule->port_hi == WHOLE_HI))
			last->port_hi = rule->port_hi;
		else
			rules->items[kept++] = *rule;
	}
	rules->n = kept;
}

/* The rules of the address's own entry, with the changes in their places. */
static void apply(const struct asking *asking, const struct bh_desired_entry *base,
	const struct change *changes, size_t n, struct rules *rules)
{
	size_t n_base = base ? base->n_rules : 0;

	/* A port that is cut out makes one piece more, and takes a rule itself. */
	rules->items = bh_arena_array(asking->arena, n_base + 2 * n, struct bh_desired_rule);
	for (size_t i = 0; i < n_base; i++)
		cut(rules, base->rules[i], changes, n);
	for (size_t i = 0; i < n; i++) {
		if (!changes[i].nothing)
			rules->items[rules->n++] = changes[i].rule;
	}
	if (rules->n)
		qsort(rules->items, rules->n, sizeof(*rules->items), compare_rules);
	join(rules);
}

/* ---- Entries ----------------------------------------------------------------------------------
 */

/* Adds an entry unless it says what the one for any class says. */
static void add_entry(struct asking *asking, bool egress, uint32_t class,
	const struct bh_desired_rule *rules, size_t n)
{
	const struct bh_desired_entry *any = own_entry(asking, egress, BH_CLASS_ANY);

	if (bh_desired_same_rules(any ? any->rules : NULL, any ? any->n_rules : 0, rules, n))
		return;
	asking->out[asking->n++] = (struct bh_desired_entry){
		.egress = egress, .class = class, .n_rules = n, .rules = rules};
}

static void add_egress(struct asking *asking, const struct bh_service_class *class)
{
	static const struct bh_desired_rule deferred = {.defer = true, .port_hi = WHOLE_HI};
	const struct bh_desired_entry *base = own_entry(asking, true, class->base);
	struct change changes[BH_SERVICE_PORTS_MAX];
	struct rules rules = {0};
	size_t n;

	if (class->too_many) {
		add_entry(asking, true, class->number, &deferred, 1);
		return;
	}
	base = base ? base : asking->any;
	n = list_changes(asking, class, base, changes);
	if (n) {
		apply(asking, base, changes, n, &rules);
		add_entry(asking, true, class->number, rules.items, rules.n);
	} else if (base) {
		add_entry(asking, true, class->number, base->rules, base->n_rules);
	}
}

/* Who sends from such an address is not the service, but whoever has the address outside. */
static void add_ingress(struct asking *asking, const struct bh_service_class *class)
{
	const struct bh_desired_entry *base = own_entry(asking, false, class->base);

	if (base && class->outside)
		add_entry(asking, false, class->number, base->rules, base->n_rules);
}

size_t bh_services_entries(const struct bh_services *services, struct bh_arena *arena,
	uint32_t isolated, const struct bh_desired_entry *entries, size_t n_entries,
	const struct bh_desired_entry **ret_entries)
{
	struct asking asking = {
		.services = services, .arena = arena, .entries = entries, .n_entries = n_entries};

	asking.any = own_entry(&asking, true, BH_CLASS_ANY);
	asking.out = bh_arena_array(arena, 2 * services->n, struct bh_desired_entry);
	if (isolated & BH_PROGRAM_EGRESS_ISOLATED)
		ask_targets(&asking);
	for (size_t i = 0; i < services->n; i++) {
		if (isolated & BH_PROGRAM_INGRESS_ISOLATED)
			add_ingress(&asking, services->classes[i]);
		if (isolated & BH_PROGRAM_EGRESS_ISOLATED)
			add_egress(&asking, services->classes[i]);
	}
	*ret_entries = asking.out;
	return asking.n;
}
