/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_LOOKUP_H
#define BULKHEAD_COMPILE_LOOKUP_H

/* Asking a `struct bh_desired` what the kernel would answer, in the kernel's way. */

#include "bulkhead/abi.h"
#include "controller/compile/desired.h"

struct bh_lookup_identity {
	uint32_t class;
	uint32_t workload;
	bool service; /* a service's address */
};

/* Exact address first, then the longest prefix, then nobody. */
struct bh_lookup_identity bh_lookup_address(
	const struct bh_desired *desired, const struct bh_ip *ip);

/* Of those that somebody has; NULL: nobody has it. */
const struct bh_desired_address *bh_lookup_exact(
	const struct bh_desired *desired, const struct bh_ip *ip);

/*
 * What the program says to a packet of this protocol and destination port (0 where there is none)
 * and this class of peer. `port_known` false: a fragment, or a protocol without ports.
 * Sets *ret_rule to the rule that decided, or BH_RULE_NONE.
 */
enum bh_reason bh_lookup_verdict(const struct bh_desired *desired, uint32_t program,
	enum bh_direction direction, uint32_t class, uint8_t protocol, uint16_t port,
	bool port_known, uint32_t *ret_rule);

/* The rule of the entry (NULL: none) that decides; NULL if none does. */
const struct bh_desired_rule *bh_lookup_entry(
	const struct bh_desired_entry *entry, uint8_t protocol, uint16_t port, bool port_known);

/* The element with that key, or NULL. */
const struct bh_desired_program *bh_lookup_program(
	const struct bh_desired *desired, uint32_t number);
const struct bh_desired_endpoint *bh_lookup_endpoint(
	const struct bh_desired *desired, const char *uid);
const struct bh_desired_rule_name *bh_lookup_rule(
	const struct bh_desired *desired, uint32_t number);
const struct bh_desired_workload *bh_lookup_workload(
	const struct bh_desired *desired, uint32_t number);

#endif
