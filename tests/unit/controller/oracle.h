/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CONTROLLER_ORACLE_H
#define TESTS_UNIT_CONTROLLER_ORACLE_H

/*
 * Random clusters, and an evaluator that reads the JSON of NetworkPolicies by the Kubernetes API
 * documentation, sentence by sentence. It shares no code with the compiler.
 */

#include "tests/unit/controller/fixture.h"

#include <arpa/inet.h>
#include <time.h>

#define N_PODS 14
#define N_POLICIES 6
#define N_NAMESPACES 3

static unsigned int seed;

static int roll(int sides)
{
	return rand_r(&seed) / 7 % sides;
}

/* The cluster as the evaluator sees it. */
struct pod {
	bool exists;
	char name[16];
	const char *namespace;
	json_t *labels;
	json_t *ports; /* name → number, TCP */
	const char *node;
	bool host_network;
	bool finished;
	char ip[2][BH_IP_TEXT_MAX];
};

struct policy {
	bool exists;
	char name[16];
	const char *namespace;
	json_t *spec;
};

static const char *const namespaces[N_NAMESPACES] = {"red", "green", "blue"};
static json_t *namespace_labels[N_NAMESPACES]; /* NULL: no Namespace object */
static struct pod pods[N_PODS];
static struct policy policies[N_POLICIES];

static const char *const strangers[] = {"10.0.200.1", "10.0.3.77", "172.16.0.1", "172.16.5.5",
	"8.8.8.8", "fd00::200:1", "fd01::1", "2001:db8::1", "0.0.0.1", "255.255.255.254"};
static const char *const keys[] = {"app", "tier", "env"};
static const char *const values[] = {"a", "b", "c", ""};
static const char *const port_names[] = {"http", "db", "metrics"};
static const int ports[] = {80, 443, 5432, 8080};

/* ---- Generating -------------------------------------------------------------------------------
 */

static json_t *random_labels(void)
{
	json_t *labels = json_object();

	for (int i = 0; i < 3; i++) {
		if (roll(3))
			json_object_set_new(labels, keys[i], json_string(values[roll(4)]));
	}
	return labels;
}

static json_t *random_selector(void)
{
	static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist"};
	json_t *selector = json_object();

	if (!roll(4))
		return selector;
	if (roll(2)) {
		json_t *labels = json_object();

		for (int n = roll(2); n >= 0; n--)
			json_object_set_new(labels, keys[roll(3)], json_string(values[roll(3)]));
		json_object_set_new(selector, "matchLabels", labels);
	}
	if (roll(2)) {
		json_t *list = json_array();

		for (int n = roll(2); n >= 0; n--) {
			int op = roll(4);
			json_t *e = json_pack(
				"{s:s, s:s}", "key", keys[roll(3)], "operator", operators[op]);

			if (op < 2) {
				json_t *in = json_array();

				for (int m = roll(3); m >= 0; m--)
					json_array_append_new(in, json_string(values[roll(4)]));
				json_object_set_new(e, "values", in);
			}
			json_array_append_new(list, e);
		}
		json_object_set_new(selector, "matchExpressions", list);
	}
	return selector;
}

static json_t *random_block(void)
{
	static const struct {
		const char *cidr;
		const char *inside[4];
	} blocks[] = {
		{"0.0.0.0/0", {"10.0.0.0/8", "172.16.0.0/12", "10.0.1.0/24", "8.8.8.8/32"}},
		{"10.0.0.0/16", {"10.0.1.0/24", "10.0.2.128/25", "10.0.0.3/32", "10.0.128.0/17"}},
		{"10.0.1.7/24", {"10.0.1.0/25", "10.0.1.3/32", "10.0.1.64/26", "10.0.1.2/31"}},
		{"172.16.0.0/12",
			{"172.16.5.0/24", "172.16.0.1/32", "172.24.0.0/13", "172.16.0.0/13"}},
		{"::/0", {"fd00::/16", "fd00::2:0/112", "2001:db8::/32", "fd01::1/128"}},
		{"fd00::/64", {"fd00::1:0/112", "fd00::200:0/112", "fd00::2:3/128", "fd00::/96"}},
		{"10.0.0.3/32", {NULL}},
	};
	int chosen = roll(7);
	json_t *block = json_pack("{s:s}", "cidr", blocks[chosen].cidr);

	if (roll(2) && blocks[chosen].inside[0]) {
		json_t *excepts = json_array();

		for (int n = roll(3); n >= 0; n--)
			json_array_append_new(excepts, json_string(blocks[chosen].inside[roll(4)]));
		json_object_set_new(block, "except", excepts);
	}
	return json_pack("{s:o}", "ipBlock", block);
}

static json_t *random_peer(void)
{
	json_t *peer = json_object();

	switch (roll(4)) {
	case 0:
		json_decref(peer);
		return random_block();
	case 1:
		json_object_set_new(peer, "podSelector", random_selector());
		break;
	case 2:
		json_object_set_new(peer, "namespaceSelector", random_selector());
		break;
	default:
		json_object_set_new(peer, "podSelector", random_selector());
		json_object_set_new(peer, "namespaceSelector", random_selector());
	}
	return peer;
}

static json_t *random_port(void)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP"};
	json_t *port = json_object();

	switch (roll(5)) {
	case 0:
		break;
	case 1:
		json_object_set_new(port, "port", json_string(port_names[roll(3)]));
		break;
	case 2:
		json_object_set_new(port, "port", json_integer(70 + roll(20)));
		json_object_set_new(port, "endPort", json_integer(100 + roll(400)));
		break;
	default:
		json_object_set_new(port, "port", json_integer(ports[roll(4)]));
	}
	if (!roll(3))
		json_object_set_new(port, "protocol", json_string(protocols[roll(3)]));
	return port;
}

static json_t *random_list(json_t *(*member)(void))
{
	json_t *list = json_array();

	for (int n = roll(4); n > 0; n--)
		json_array_append_new(list, member());
	return list;
}

static json_t *random_rule(const char *peers)
{
	json_t *rule = json_object();

	if (roll(5))
		json_object_set_new(rule, peers, random_list(random_peer));
	if (roll(3))
		json_object_set_new(rule, "ports", random_list(random_port));
	return rule;
}

static json_t *random_spec(void)
{
	static const char *const types[] = {
		"[]", "[\"Ingress\"]", "[\"Egress\"]", "[\"Ingress\", \"Egress\"]"};
	json_t *spec = json_pack("{s:o}", "podSelector", random_selector());

	for (int egress = 0; egress < 2; egress++) {
		if (!roll(4))
			continue;
		json_t *rules = json_array();

		for (int n = roll(3); n > 0; n--)
			json_array_append_new(rules, random_rule(egress ? "to" : "from"));
		json_object_set_new(spec, egress ? "egress" : "ingress", rules);
	}
	if (roll(2))
		json_object_set_new(spec, "policyTypes", json_loads(types[roll(4)], 0, NULL));
	return spec;
}

static void random_pod(struct pod *pod, int index)
{
	json_decref(pod->labels);
	json_decref(pod->ports);
	pod->exists = roll(8) != 0;
	snprintf(pod->name, sizeof(pod->name), "p%d", index);
	pod->namespace = namespaces[index % N_NAMESPACES];
	pod->labels = random_labels();
	pod->ports = json_object();
	for (int i = 0; i < 3; i++) {
		if (roll(2))
			json_object_set_new(
				pod->ports, port_names[i], json_integer(ports[roll(4)]));
	}
	pod->node = roll(3) ? "n1" : "n2";
	pod->host_network = !roll(10);
	pod->finished = !roll(10);
	snprintf(pod->ip[0], sizeof(pod->ip[0]), "10.0.%d.%d", 1 + index % 3, index);
	snprintf(pod->ip[1], sizeof(pod->ip[1]), "fd00::%d:%d", 1 + index % 3, index);
}

static void random_policy(struct policy *policy, int index)
{
	json_decref(policy->spec);
	policy->exists = roll(4) != 0;
	snprintf(policy->name, sizeof(policy->name), "np%d", index);
	policy->namespace = namespaces[roll(N_NAMESPACES)];
	policy->spec = random_spec();
}

static void random_namespace(int index)
{
	json_decref(namespace_labels[index]);
	namespace_labels[index] = roll(3) ? random_labels() : NULL;
}

/* ---- Telling the model --------------------------------------------------------------------------
 */

static size_t fill_labels(const json_t *json, struct bh_label items[4])
{
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)json, key, value) items[n++] =
		(struct bh_label){key, json_string_value(value)};
	return n;
}

static void tell_pod(struct bh_model *model, const struct pod *pod)
{
	struct bh_label items[4];
	struct bh_labels labels = {.n = fill_labels(pod->labels, items), .items = items};
	struct bh_pod_port named[3];
	struct bh_ip ips[2] = {ip_of(pod->ip[0]), ip_of(pod->ip[1])};
	const char *name;
	json_t *number;
	size_t n = 0;

	if (!pod->exists) {
		bh_model_remove(model, pod->name);
		return;
	}
	json_object_foreach(pod->ports, name, number) named[n++] =
		(struct bh_pod_port){name, IPPROTO_TCP, (uint16_t)json_integer_value(number)};
	bh_model_put_pod(model, &(struct bh_pod){.uid = pod->name,
					.namespace = pod->namespace,
					.name = pod->name,
					.labels = &labels,
					.node_name = pod->node,
					.host_network = pod->host_network,
					.finished = pod->finished,
					.n_ips = 2,
					.ips = ips,
					.n_ports = n,
					.ports = named});
}

static void tell_policy(struct bh_model *model, const struct policy *policy)
{
	bh_model_remove(model, policy->name);
	if (policy->exists)
		bh_model_put_policy(model, &(struct bh_network_policy){.uid = policy->name,
						   .namespace = policy->namespace,
						   .name = policy->name,
						   .spec = policy->spec});
}

static void tell_namespace(struct bh_model *model, int index)
{
	struct bh_label items[4];
	struct bh_labels labels = {
		.n = fill_labels(namespace_labels[index], items), .items = items};

	if (!namespace_labels[index])
		bh_model_remove(model, namespaces[index]);
	else
		bh_model_put_namespace(model, &(struct bh_namespace){.uid = namespaces[index],
						      .name = namespaces[index],
						      .labels = &labels});
}

/* ---- The evaluator ------------------------------------------------------------------------------
 */

static const struct pod *pod_at(const char *address)
{
	for (int i = 0; i < N_PODS; i++) {
		const struct pod *pod = &pods[i];

		if (pod->exists && !pod->host_network && !pod->finished &&
			(!strcmp(pod->ip[0], address) || !strcmp(pod->ip[1], address)))
			return pod;
	}
	return NULL;
}

static bool expression_holds(const json_t *e, const json_t *labels)
{
	const char *op = json_string_value(json_object_get(e, "operator"));
	const char *value = json_string_value(
		json_object_get(labels, json_string_value(json_object_get(e, "key"))));
	bool in = false;
	size_t i;
	json_t *candidate;

	json_array_foreach(json_object_get(e, "values"), i, candidate) in |=
		value && !strcmp(value, json_string_value(candidate));
	if (!strcmp(op, "In"))
		return in;
	if (!strcmp(op, "NotIn"))
		return !in;
	return !strcmp(op, "Exists") == (value != NULL);
}

static bool selects(const json_t *selector, const json_t *labels)
{
	const char *key;
	json_t *value, *e;
	size_t i;

	json_object_foreach(json_object_get(selector, "matchLabels"), key, value)
	{
		const json_t *own = json_object_get(labels, key);

		if (!own || strcmp(json_string_value(own), json_string_value(value)))
			return false;
	}
	json_array_foreach(json_object_get(selector, "matchExpressions"), i, e)
	{
		if (!expression_holds(e, labels))
			return false;
	}
	return true;
}

static bool inside(const char *cidr, const char *address)
{
	char network[BH_IP_TEXT_MAX];
	unsigned char a[16], b[16];
	const char *slash = strchr(cidr, '/');
	int family = strchr(cidr, ':') ? AF_INET6 : AF_INET, bits = atoi(slash + 1);

	snprintf(network, sizeof(network), "%.*s", (int)(slash - cidr), cidr);
	if (family != (strchr(address, ':') ? AF_INET6 : AF_INET))
		return false;
	assert_int_equal(inet_pton(family, network, a), 1);
	assert_int_equal(inet_pton(family, address, b), 1);
	for (int i = 0; i < bits; i++) {
		if ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1)
			return false;
	}
	return true;
}

static bool in_block(const json_t *block, const char *address)
{
	size_t i;
	json_t *except;

	if (!inside(json_string_value(json_object_get(block, "cidr")), address))
		return false;
	json_array_foreach(json_object_get(block, "except"), i, except)
	{
		if (inside(json_string_value(except), address))
			return false;
	}
	return true;
}

static bool peer_matches(const struct policy *policy, const json_t *peer, const char *address)
{
	const json_t *block = json_object_get(peer, "ipBlock");
	const json_t *namespace_selector = json_object_get(peer, "namespaceSelector");
	const json_t *pod_selector = json_object_get(peer, "podSelector");
	const struct pod *pod = pod_at(address);

	if (block)
		return in_block(block, address);
	if (!pod)
		return false;
	if (namespace_selector) {
		json_t *labels = NULL;

		for (int i = 0; i < N_NAMESPACES; i++) {
			if (!strcmp(namespaces[i], pod->namespace))
				labels = json_copy(namespace_labels[i]);
		}
		labels = labels ? labels : json_object();
		bool selected = selects(namespace_selector, labels);

		json_decref(labels);
		if (!selected)
			return false;
	} else if (strcmp(pod->namespace, policy->namespace)) {
		return false;
	}
	return !pod_selector || selects(pod_selector, pod->labels);
}

static bool port_matches(
	const json_t *port, const char *destination, const char *protocol, int number)
{
	const json_t *wanted = json_object_get(port, "port"),
		     *end = json_object_get(port, "endPort");
	const char *own = json_string_value(json_object_get(port, "protocol"));
	const struct pod *pod = pod_at(destination);

	if (strcmp(own ? own : "TCP", protocol))
		return false;
	if (!wanted)
		return true;
	if (json_is_integer(wanted))
		return number >= json_integer_value(wanted) &&
		       number <= json_integer_value(end ? end : wanted);
	/* The pods here name TCP ports only. */
	const json_t *named = pod && !strcmp(protocol, "TCP")
				      ? json_object_get(pod->ports, json_string_value(wanted))
				      : NULL;

	return named && json_integer_value(named) == number;
}

static bool rule_allows(const struct policy *policy, const json_t *rule, bool egress,
	const char *peer, const char *destination, const char *protocol, int number)
{
	const json_t *peers = json_object_get(rule, egress ? "to" : "from");
	const json_t *wanted = json_object_get(rule, "ports");
	bool peer_fits = !json_array_size(peers), port_fits = !json_array_size(wanted);
	size_t i;
	json_t *member;

	json_array_foreach((json_t *)peers, i, member) peer_fits |=
		peer_matches(policy, member, peer);
	json_array_foreach((json_t *)wanted, i, member) port_fits |=
		port_matches(member, destination, protocol, number);
	return peer_fits && port_fits;
}

static bool affects(const struct policy *policy, bool egress)
{
	const json_t *types = json_object_get(policy->spec, "policyTypes");
	size_t i;
	json_t *type;

	if (!json_array_size(types))
		return !egress || json_array_size(json_object_get(policy->spec, "egress"));
	json_array_foreach((json_t *)types, i, type)
	{
		if (!strcmp(json_string_value(type), egress ? "Egress" : "Ingress"))
			return true;
	}
	return false;
}

enum answer {
	SILENT,
	ALLOWED,
	DENIED,
};

/* SILENT: no NetworkPolicy isolates the pod in this direction. */
static enum answer network_policies(const struct pod *subject, bool egress, const char *own,
	const char *peer, const char *protocol, int number)
{
	bool isolated = false;

	for (int i = 0; i < N_POLICIES; i++) {
		const struct policy *policy = &policies[i];
		size_t j;
		json_t *rule;

		if (!policy->exists || strcmp(policy->namespace, subject->namespace) ||
			!affects(policy, egress) ||
			!selects(json_object_get(policy->spec, "podSelector"), subject->labels))
			continue;
		isolated = true;
		json_array_foreach(
			json_object_get(policy->spec, egress ? "egress" : "ingress"), j, rule)
		{
			if (rule_allows(policy, rule, egress, peer, egress ? peer : own, protocol,
				    number))
				return ALLOWED;
		}
	}
	return isolated ? DENIED : SILENT;
}

#endif
