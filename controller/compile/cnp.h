/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_CNP_H
#define BULKHEAD_COMPILE_CNP_H

/*
 * A ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), read strictly: what the API server
 * would refuse is not understood here either. Nothing is then read wider than written, and nobody
 * is cut off who has nothing to do with it:
 *
 * - A rule: Accept matches nothing; Deny and Pass deny. That is the API's own reading ("for Accept
 *   rules, fail closed means: treat the rule as matching no traffic; for Deny and Pass rules: treat
 *   the rule as a Deny all rule"), kept to the rule's peers where these are understood.
 * - Tier, priority, an unknown field, too many rules: what else the policy overrules cannot be
 *   known, so its Accept and Pass rules match nothing; its Deny rules hold, in the Admin tier if
 *   the tier is not understood, before all others if the priority is not.
 * - The subject: whom the policy is about cannot be known, and it might be everyone. It selects
 *   nobody.
 */

#include "controller/compile/netpol.h"

/* Fills in the policy, whose name is there already. */
void bh_cnp_parse(struct bh_netpol *policy, const json_t *spec);

/* "Admin", "Baseline" */
const char *bh_tier_name(enum bh_tier tier);

/* "Accept", "Deny", "Pass" */
const char *bh_action_name(enum bh_action action);

#endif
