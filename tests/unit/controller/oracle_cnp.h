/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CONTROLLER_ORACLE_CNP_H
#define TESTS_UNIT_CONTROLLER_ORACLE_CNP_H

/*
 * The same for ClusterNetworkPolicies: random ones, nodes for them to name, and an evaluator by the
 * comments of the API's types (policy.networking.k8s.io/v1alpha2).
 */

#include "tests/unit/controller/oracle.h"

#define N_CLUSTER_POLICIES 5
#define N_NODES 3

struct cluster_policy {
	bool exists;
	char name[16];
	json_t *spec;
};

struct node {
	const char *name;
	const char *ip[2];
	json_t *labels;
};

static struct cluster_policy cluster_policies[N_CLUSTER_POLICIES];
/* Some of the strangers are nodes. */
static struct node nodes[N_NODES] = {
	{"n1", {"172.16.0.1", "fd01::1"}, NULL},
	{"n2", {"172.16.5.5", "fd00::200:1"}, NULL},
	{"n3", {"10.0.3.77", "2001:db8::1"}, NULL},
};

/* ---- Generating -------------------------------------------------------------------------------
 */

static json_t *random_cluster_pods(void)
{
	if (roll(2))
		return json_pack("{s:o}", "namespaces", random_selector());
	return json_pack("{s:{s:o, s:o}}", "pods", "namespaceSelector", random_selector(),
		"podSelector", random_selector());
}

static json_t *random_networks(void)
{
	static const char *const cidrs[] = {"0.0.0.0/0", "10.0.0.0/8", "10.0.1.0/24", "10.0.2.5/32",
		"172.16.0.0/12", "::/0", "fd00::/16", "fd00::1:0/112"};
	json_t *list = json_array();

	for (int n = roll(2); n >= 0; n--)
		json_array_append_new(list, json_string(cidrs[roll(8)]));
	return json_pack("{s:o}", "networks", list);
}

static json_t *random_cluster_peer(bool egress, bool named)
{
	int kind = egress && !named ? roll(4) : 3;

	if (kind == 0)
		return random_networks();
	if (kind == 1)
		return json_pack("{s:o}", "nodes", random_selector());
	return random_cluster_pods();
}

static json_t *random_protocol(bool named)
{
	static const char *const protocols[] = {"tcp", "tcp", "udp", "sctp"};
	json_t *port;

	if (named && roll(2))
		return json_pack("{s:s}", "destinationNamedPort", port_names[roll(3)]);
	if (roll(3))
		port = json_pack("{s:i}", "number", ports[roll(4)]);
	else
		port = json_pack(
			"{s:{s:i, s:i}}", "range", "start", 70 + roll(20), "end", 100 + roll(400));
	return json_pack("{s:{s:o}}", protocols[roll(4)], "destinationPort", port);
}

static json_t *random_cluster_rule(bool egress)
{
	static const char *const actions[] = {"Accept", "Deny", "Pass"};
	bool named = !roll(3);
	json_t *peers = json_array(), *protocols = json_array();
	json_t *rule =
		json_pack("{s:s, s:o}", "action", actions[roll(3)], egress ? "to" : "from", peers);

	for (int n = roll(3); n >= 0; n--)
		json_array_append_new(peers, random_cluster_peer(egress, named));
	for (int n = roll(3); n >= 0; n--)
		json_array_append_new(protocols, random_protocol(named));
	if (roll(2))
		json_object_set(rule, "protocols", protocols);
	json_decref(protocols);
	if (!roll(4))
		json_object_set_new(rule, "name", json_string("a rule"));
	return rule;
}

static void random_cluster_policy(struct cluster_policy *policy, int index)
{
	json_decref(policy->spec);
	policy->exists = roll(4) != 0;
	snprintf(policy->name, sizeof(policy->name), "cnp%d", index);
	/* Few priorities, so that some are the same. */
	policy->spec = json_pack("{s:s, s:i, s:o}", "tier", roll(2) ? "Admin" : "Baseline",
		"priority", roll(4) * 250, "subject", random_cluster_pods());
	for (int egress = 0; egress < 2; egress++) {
		json_t *rules = json_array();

		for (int n = roll(4); n > 0; n--)
			json_array_append_new(rules, random_cluster_rule(egress));
		json_object_set_new(policy->spec, egress ? "egress" : "ingress", rules);
	}
}

static void random_node(struct node *node)
{
	json_decref(node->labels);
	node->labels = random_labels();
}

static void tell_cluster_policy(struct bh_model *model, const struct cluster_policy *policy)
{
	bh_model_remove(model, policy->name);
	if (policy->exists)
		bh_model_put_policy(model, &(struct bh_network_policy){.uid = policy->name,
						   .namespace = "",
						   .name = policy->name,
						   .spec = policy->spec});
}

static void tell_node(struct bh_model *model, const struct node *node)
{
	struct bh_label items[4];
	struct bh_labels labels = {.n = fill_labels(node->labels, items), .items = items};
	struct bh_ip ips[2] = {ip_of(node->ip[0]), ip_of(node->ip[1])};

	bh_model_put_node(model, &(struct bh_node){.uid = node->name,
					 .name = node->name,
					 .labels = &labels,
					 .n_ips = 2,
					 .ips = ips});
}

/* ---- The evaluator ------------------------------------------------------------------------------
 */

/* "Namespaces is used to select pods via namespace selectors. Pods is used to select pods via
 * namespace AND pod selectors." */
static bool cluster_pods_match(const json_t *pods_of, const struct pod *pod)
{
	const json_t *whole = json_object_get(pods_of, "namespaces");
	const json_t *both = json_object_get(pods_of, "pods");
	json_t *labels = NULL;

	for (int i = 0; i < N_NAMESPACES; i++) {
		if (!strcmp(namespaces[i], pod->namespace))
			labels = json_copy(namespace_labels[i]);
	}
	labels = labels ? labels : json_object();
	bool matches = whole ? selects(whole, labels)
			     : selects(json_object_get(both, "namespaceSelector"), labels) &&
				       selects(json_object_get(both, "podSelector"), pod->labels);

	json_decref(labels);
	return matches;
}

static bool cluster_peer_matches(const json_t *peer, const char *address)
{
	const json_t *networks = json_object_get(peer, "networks");
	const json_t *of_nodes = json_object_get(peer, "nodes");
	const struct pod *pod = pod_at(address);
	size_t i;
	json_t *cidr;

	/* "cluster-internal traffic will be checked against the rule as well" */
	json_array_foreach((json_t *)networks, i, cidr)
	{
		if (inside(json_string_value(cidr), address))
			return true;
	}
	/* "It selects the nodeIPs […] by matching on the IPs present in node.Status.Addresses" */
	for (i = 0; of_nodes && i < N_NODES; i++) {
		if ((!strcmp(nodes[i].ip[0], address) || !strcmp(nodes[i].ip[1], address)) &&
			selects(of_nodes, nodes[i].labels))
			return true;
	}
	return !networks && !of_nodes && pod && cluster_pods_match(peer, pod);
}

/* "DestinationNamedPort selects a destination port on a pod based on the ContainerPort name." */
static bool cluster_port_matches(
	const json_t *wanted, const char *destination, const char *protocol, int number)
{
	static const char *const fields[][2] = {{"tcp", "TCP"}, {"udp", "UDP"}, {"sctp", "SCTP"}};
	const json_t *name = json_object_get(wanted, "destinationNamedPort");
	const struct pod *pod = pod_at(destination);

	if (name) {
		const json_t *named =
			pod ? json_object_get(pod->ports, json_string_value(name)) : NULL;

		/* The pods here name TCP ports only. */
		return named && !strcmp(protocol, "TCP") && json_integer_value(named) == number;
	}
	for (size_t i = 0; i < 3; i++) {
		const json_t *own = json_object_get(wanted, fields[i][0]);
		const json_t *port = json_object_get(own, "destinationPort");
		const json_t *range = json_object_get(port, "range");

		if (!own || strcmp(fields[i][1], protocol))
			continue;
		if (!range)
			return json_integer_value(json_object_get(port, "number")) == number;
		/* "an inclusive range" */
		return number >= json_integer_value(json_object_get(range, "start")) &&
		       number <= json_integer_value(json_object_get(range, "end"));
	}
	return false;
}

/* "If any element matches […] then the specified action is applied." */
static bool cluster_rule_matches(const json_t *rule, bool egress, const char *peer,
	const char *destination, const char *protocol, int number)
{
	const json_t *protocols = json_object_get(rule, "protocols");
	bool peer_fits = false, port_fits = !protocols;
	size_t i;
	json_t *member;

	json_array_foreach(json_object_get(rule, egress ? "to" : "from"), i, member)
	{
		peer_fits |= cluster_peer_matches(member, peer);
	}
	json_array_foreach((json_t *)protocols, i, member)
	{
		port_fits |= cluster_port_matches(member, destination, protocol, number);
	}
	return peer_fits && port_fits;
}

/* "Policies with lower priority values […] are checked before policies with higher priority values
 * in the same tier." Of two with one priority the name decides: that is ours. */
static bool comes_before(const struct cluster_policy *a, const struct cluster_policy *b)
{
	json_int_t x = json_integer_value(json_object_get(a->spec, "priority"));
	json_int_t y = json_integer_value(json_object_get(b->spec, "priority"));

	return x != y ? x < y : strcmp(a->name, b->name) < 0;
}

/* The first matching rule of this policy: its action, or NULL. */
static const char *first_action(const struct cluster_policy *policy, bool egress, const char *own,
	const char *peer, const char *protocol, int number)
{
	size_t i;
	json_t *rule;

	/* "a rule that appears at the top […] would take the highest precedence" */
	json_array_foreach(json_object_get(policy->spec, egress ? "egress" : "ingress"), i, rule)
	{
		if (cluster_rule_matches(rule, egress, peer, egress ? peer : own, protocol, number))
			return json_string_value(json_object_get(rule, "action"));
	}
	return NULL;
}

/* SILENT: nothing of the tier decides. "Pass: Skips all further ClusterNetworkPolicy rules in the
 * current tier for the selected traffic, and passes evaluation to the next tier." */
static enum answer tier(const char *name, const struct pod *subject, bool egress, const char *own,
	const char *peer, const char *protocol, int number)
{
	bool asked[N_CLUSTER_POLICIES] = {false};

	for (;;) {
		int next = -1;

		for (int i = 0; i < N_CLUSTER_POLICIES; i++) {
			const struct cluster_policy *policy = &cluster_policies[i];

			if (asked[i] || !policy->exists ||
				strcmp(name,
					json_string_value(json_object_get(policy->spec, "tier"))))
				continue;
			if (next < 0 || comes_before(policy, &cluster_policies[next]))
				next = i;
		}
		if (next < 0)
			return SILENT;
		asked[next] = true;
		if (!cluster_pods_match(
			    json_object_get(cluster_policies[next].spec, "subject"), subject))
			continue;
		const char *action =
			first_action(&cluster_policies[next], egress, own, peer, protocol, number);

		if (action)
			return !strcmp(action, "Accept") ? ALLOWED
			       : !strcmp(action, "Deny") ? DENIED
							 : SILENT;
	}
}

/* "Policy tiers are evaluated in the following order: Admin tier, NetworkPolicy tier, Baseline
 * tier. […] v1.NetworkPolicy always makes a final decision for selected pods. […] If a given
 * connection wasn't allowed or denied by any of the tiers, […] all pods can communicate." */
static bool expected(const struct pod *subject, bool egress, const char *own, const char *peer,
	const char *protocol, int number)
{
	enum answer answer = tier("Admin", subject, egress, own, peer, protocol, number);

	if (answer == SILENT)
		answer = network_policies(subject, egress, own, peer, protocol, number);
	if (answer == SILENT)
		answer = tier("Baseline", subject, egress, own, peer, protocol, number);
	return answer != DENIED;
}

#endif
