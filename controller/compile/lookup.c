/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/lookup.h"

#include <stdlib.h>
#include <string.h>

/*
 * The longest prefix that contains the address. Prefixes are few and this is asked by people, so it
 * reads them all.
 */
static const struct bh_desired_block *longest(
	const struct bh_desired *desired, const struct bh_ip *ip)
{
	const struct bh_desired_block *best = NULL;

	for (size_t i = 0; i < desired->n_blocks; i++) {
		const struct bh_desired_block *block = &desired->blocks[i];

		if (bh_ip_in_prefix(ip, &block->ip, block->bits) &&
			(!best || block->bits > best->bits))
			best = block;
	}
	return best;
}

const struct bh_desired_address *bh_lookup_exact(
	const struct bh_desired *desired, const struct bh_ip *ip)
{
	const struct bh_desired_address key = {.ip = *ip};

	return bh_run_find(&bh_desired_addresses, &desired->addresses, &key);
}

struct bh_lookup_identity bh_lookup_address(
	const struct bh_desired *desired, const struct bh_ip *ip)
{
	const struct bh_desired_address *address = bh_lookup_exact(desired, ip);

	if (address)
		return (struct bh_lookup_identity){
			address->class, address->workload, address->service};
	const struct bh_desired_block *block = longest(desired, ip);

	if (block)
		return (struct bh_lookup_identity){block->class, block->workload, false};
	return (struct bh_lookup_identity){BH_CLASS_NONE, BH_WORKLOAD_WORLD, false};
}

static const struct bh_desired_entry *find_entry(
	const struct bh_desired_program *program, bool egress, uint32_t class)
{
	for (size_t i = 0; program && i < program->n_entries; i++) {
		if (program->entries[i].egress == egress && program->entries[i].class == class)
			return &program->entries[i];
	}
	return NULL;
}

const struct bh_desired_rule *bh_lookup_entry(
	const struct bh_desired_entry *entry, uint8_t protocol, uint16_t port, bool port_known)
{
	const struct bh_desired_rule *everything = NULL;
	bool denies = false; /* some port of the protocol */

	for (size_t i = 0; entry && i < entry->n_rules; i++) {
		const struct bh_desired_rule *rule = &entry->rules[i];
		bool whole = rule->port_lo == 0 && rule->port_hi == 65535;

		if (!rule->protocol)
			everything = rule;
		denies |= rule->protocol == protocol && rule->deny;
		if (rule->protocol == protocol && (whole || port_known) && port >= rule->port_lo &&
			port <= rule->port_hi)
			return rule;
	}
	return everything && !port_known && denies && !everything->deny ? NULL : everything;
}

/* What no rule decides has been said for protocol 0's sake. */
static enum bh_reason reason_of(const struct bh_desired_rule *rule)
{
	if (rule->defer)
		return BH_REASON_SERVICE;
	if (rule->deny)
		return rule->rule ? BH_REASON_POLICY_DENY : BH_REASON_ISOLATED;
	return rule->rule ? BH_REASON_POLICY : BH_REASON_NOT_ISOLATED;
}

enum bh_reason bh_lookup_verdict(const struct bh_desired *desired, uint32_t program,
	enum bh_direction direction, uint32_t class, uint8_t protocol, uint16_t port,
	bool port_known, uint32_t *ret_rule)
{
	bool egress = direction == BH_EGRESS;

	*ret_rule = BH_RULE_NONE;
	if (program == BH_PROGRAM_OPEN)
		return BH_REASON_OPEN;
	if (!(program & (egress ? BH_PROGRAM_EGRESS_ISOLATED : BH_PROGRAM_INGRESS_ISOLATED)))
		return BH_REASON_NOT_ISOLATED;
	const struct bh_desired_program *found = bh_lookup_program(desired, program);
	const struct bh_desired_entry *entry = find_entry(found, egress, class);

	if (!entry)
		entry = find_entry(found, egress, BH_CLASS_ANY);
	const struct bh_desired_rule *rule = bh_lookup_entry(entry, protocol, port, port_known);

	if (!rule)
		return BH_REASON_ISOLATED;
	*ret_rule = rule->rule;
	return reason_of(rule);
}

static int compare_numbers(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int by_program(const void *key, const void *element)
{
	return compare_numbers(
		*(const uint32_t *)key, ((const struct bh_desired_program *)element)->number);
}

const struct bh_desired_program *bh_lookup_program(
	const struct bh_desired *desired, uint32_t number)
{
	return bsearch(&number, desired->programs, desired->n_programs, sizeof(*desired->programs),
		by_program);
}

static int by_uid(const void *key, const void *element)
{
	return strcmp(key, ((const struct bh_desired_endpoint *)element)->uid);
}

const struct bh_desired_endpoint *bh_lookup_endpoint(
	const struct bh_desired *desired, const char *uid)
{
	return bsearch(
		uid, desired->endpoints, desired->n_endpoints, sizeof(*desired->endpoints), by_uid);
}

static int by_rule(const void *key, const void *element)
{
	return compare_numbers(
		*(const uint32_t *)key, ((const struct bh_desired_rule_name *)element)->number);
}

const struct bh_desired_rule_name *bh_lookup_rule(const struct bh_desired *desired, uint32_t number)
{
	return bsearch(&number, desired->rule_names, desired->n_rule_names,
		sizeof(*desired->rule_names), by_rule);
}

const struct bh_desired_workload *bh_lookup_workload(
	const struct bh_desired *desired, uint32_t number)
{
	const struct bh_desired_workload key = {.number = number};

	return bh_run_find(&bh_desired_workloads, &desired->workloads, &key);
}
