/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/tiers.h"

#include <string.h>

static bool meets_peer(const struct bh_netpol_peer *peer, const struct bh_meeting *meeting)
{
	switch (peer->kind) {
	case BH_PEER_PODS:
		return meeting->peer_pod &&
		       bh_selector_matches(&peer->namespaces, meeting->peer_namespace_labels) &&
		       bh_selector_matches(&peer->pods, meeting->peer_pod->labels);
	case BH_PEER_NODES:
		return meeting->node_labels &&
		       bh_selector_matches(&peer->pods, meeting->node_labels);
	case BH_PEER_BLOCK:
		break;
	}
	if (!bh_ip_in_prefix(&meeting->peer, &peer->block.cidr.ip, peer->block.cidr.bits))
		return false;
	for (size_t i = 0; i < peer->block.n_excepts; i++) {
		const struct bh_prefix *except = &peer->block.excepts[i];

		if (bh_ip_in_prefix(&meeting->peer, &except->ip, except->bits))
			return false;
	}
	return true;
}

/* Where the connection ends: the pod whose port names count. */
static bool meets_name(const struct bh_netpol_port *port, const struct bh_meeting *meeting)
{
	const struct bh_pod *pod =
		meeting->direction == BH_INGRESS ? meeting->own : meeting->peer_pod;

	for (size_t i = 0; pod && i < pod->n_ports; i++) {
		if (pod->ports[i].protocol == port->protocol &&
			pod->ports[i].port == meeting->port &&
			!strcmp(pod->ports[i].name, port->name))
			return true;
	}
	return false;
}

static bool meets_port(const struct bh_netpol_port *port, const struct bh_meeting *meeting)
{
	if (port->protocol != meeting->protocol || !meeting->has_ports)
		return false;
	if (port->kind == BH_PORT_NAMED)
		return meets_name(port, meeting);
	return port->lo <= meeting->port && meeting->port <= port->hi;
}

static bool meets_rule(const struct bh_netpol_rule *rule, const struct bh_meeting *meeting)
{
	bool peer = !rule->n_peers, port = !rule->n_ports;

	for (size_t i = 0; i < rule->n_peers && !peer; i++)
		peer = meets_peer(&rule->peers[i], meeting);
	for (size_t i = 0; i < rule->n_ports && !port; i++)
		port = meets_port(&rule->ports[i], meeting);
	return !rule->never && peer && port;
}

const struct bh_netpol_rule *bh_tier_first(const struct bh_netpol *const *policies,
	size_t n_policies, enum bh_tier tier, const struct bh_meeting *meeting)
{
	for (size_t i = 0; i < n_policies; i++) {
		const struct bh_netpol *policy = policies[i];

		if (policy->tier != tier)
			continue;
		for (size_t j = 0; j < policy->n_rules[meeting->direction]; j++) {
			if (meets_rule(&policy->rules[meeting->direction][j], meeting))
				return &policy->rules[meeting->direction][j];
		}
	}
	return NULL;
}
