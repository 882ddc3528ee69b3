/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Policies tried on what was seen, and made of it. Random clusters, policies and conversations; the
 * answers are compared with the real model compiled for each pod's own node and asked pod by pod.
 *
 * BULKHEAD_SEED=N repeats one run.
 */
#include "tests/unit/controller/fixture.h"

#include <time.h>

#include "controller/compile/compilation.h"
#include "controller/replay/backends.h"
#include "controller/replay/diff.h"
#include "controller/replay/labels.h"
#include "controller/replay/suggest.h"
#include "proto/cleanup.h"

#define N_WORKLOADS 9
#define N_PODS 24
#define N_EDGES 40
#define N_POLICIES 5
#define N_CLUSTER_POLICIES 4
#define N_SERVICES 4
#define SLICE_MAX 3

static unsigned int seed;

static int roll(int sides)
{
	return rand_r(&seed) / 7 % sides;
}

static const char *const namespaces[] = {"red", "green", "blue"};
static const char *const keys[] = {"app", "tier", "env", "pod-template-hash"};
static const char *const values[] = {"a", "b", "c"};
static const uint16_t ports[] = {53, 80, 443, 5432, 8080};

/* Then the world, the node, and the services. */
#define WORLD N_WORKLOADS
#define NODE (N_WORKLOADS + 1)
#define SERVICES (N_WORKLOADS + 2)
static struct bh_desired_workload workloads[SERVICES + N_SERVICES];
static struct {
	char name[16];
	int workload;
	char ip[BH_IP_TEXT_MAX];
	const char *node;
	json_t *labels;
} pods[N_PODS];

/* At port 80. What is behind it: the pods it selects, or what a slice lists. */
static struct {
	char name[16];
	int namespace;
	uint16_t target;
	json_t *selector; /* NULL: a slice */
	size_t n_ips;
	const char *ips[SLICE_MAX];
} services[N_SERVICES];

static json_t *random_labels(void)
{
	json_t *labels = json_object();

	for (int i = 0; i < 3; i++) {
		if (roll(4))
			json_object_set_new(labels, keys[i], json_string(values[roll(3)]));
	}
	return labels;
}

static void put_pod(struct bh_model *model, int i, const json_t *labels)
{
	struct bh_label items[8];
	struct bh_labels list = {.items = items};
	struct bh_ip ip = ip_of(pods[i].ip);
	const struct bh_desired_workload *workload = &workloads[pods[i].workload];
	char hash[16];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)labels, key, value) items[list.n++] =
		(struct bh_label){key, json_string_value(value)};
	snprintf(hash, sizeof(hash), "h%d", i % 2);
	items[list.n++] = (struct bh_label){"pod-template-hash", hash};
	bh_model_put_pod(model, &(struct bh_pod){.uid = pods[i].name,
					.namespace = workload->namespace,
					.name = pods[i].name,
					.labels = &list,
					.node_name = pods[i].node,
					.n_ips = 1,
					.ips = &ip,
					.owner_kind = "StatefulSet",
					.owner_name = workload->name});
}

static const char *const outsiders[] = {"203.0.113.7", "203.0.113.9", "198.51.100.1"};

static void put_service(struct bh_model *model, int i)
{
	const char *namespace = namespaces[services[i].namespace];
	json_t *service = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:o, s:[{s:i, s:i}]}}",
		"apiVersion", "v1", "kind", "Service", "metadata", "name", services[i].name,
		"namespace", namespace, "spec", "clusterIP", json_sprintf("10.96.0.%d", i + 1),
		"ports", "port", 80, "targetPort", services[i].target);
	json_t *endpoints = json_array();
	json_t *slice = json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:[{s:i}], s:o}",
		"apiVersion", "discovery.k8s.io/v1", "kind", "EndpointSlice", "addressType", "IPv4",
		"metadata", "name", services[i].name, "namespace", namespace, "labels",
		"kubernetes.io/service-name", services[i].name, "ports", "port", services[i].target,
		"endpoints", endpoints);
	_cleanup_free_ char *text = NULL;

	for (size_t j = 0; j < services[i].n_ips; j++)
		json_array_append_new(
			endpoints, json_pack("{s:[s]}", "addresses", services[i].ips[j]));
	if (services[i].selector)
		json_object_set(json_object_get(service, "spec"), "selector", services[i].selector);
	text = json_dumps(services[i].selector ? service : slice, 0);
	if (!services[i].selector) {
		_cleanup_free_ char *other = json_dumps(service, 0);

		put_yaml(model, other);
	}
	put_yaml(model, text);
	json_decref(service);
	json_decref(slice);
}

static void random_services(struct bh_model *model)
{
	for (int i = 0; i < N_SERVICES; i++) {
		json_decref(services[i].selector);
		memset(&services[i], 0, sizeof(services[i]));
		snprintf(services[i].name, sizeof(services[i].name), "s%d", i);
		services[i].namespace = roll(3);
		services[i].target = ports[roll(5)];
		if (roll(2)) {
			services[i].selector = json_object();
			json_object_set_new(
				services[i].selector, keys[roll(3)], json_string(values[roll(3)]));
		}
		for (int n = roll(SLICE_MAX + 1); n > 0 && !services[i].selector; n--)
			services[i].ips[services[i].n_ips++] =
				roll(3) ? pods[roll(N_PODS)].ip : outsiders[roll(3)];
		workloads[SERVICES + i] = (struct bh_desired_workload){(uint32_t)i + 100,
			namespaces[services[i].namespace], "Service", services[i].name};
		put_service(model, i);
	}
}

/* Workloads whose pods mostly, but not always, have the same labels. */
static struct bh_model *random_cluster(void)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_DRY_RUN);
	static char names[N_WORKLOADS][16];
	json_t *labels[N_WORKLOADS];

	for (int i = 0; i < N_WORKLOADS; i++) {
		snprintf(names[i], sizeof(names[i]), "w%d", i);
		workloads[i] = (struct bh_desired_workload){
			(uint32_t)i + 10, namespaces[i % 3], "StatefulSet", names[i]};
		labels[i] = random_labels();
	}
	workloads[WORLD] = (struct bh_desired_workload){1, "", "World", ""};
	workloads[NODE] = (struct bh_desired_workload){2, "", "Node", "n1"};
	for (int i = 0; i < N_PODS; i++) {
		json_t *own;

		snprintf(pods[i].name, sizeof(pods[i].name), "p%d", i);
		snprintf(pods[i].ip, sizeof(pods[i].ip), "10.0.0.%d", i + 1);
		pods[i].workload = i % N_WORKLOADS;
		pods[i].node = roll(2) ? "n1" : "n2";
		own = roll(25) ? json_incref(labels[pods[i].workload]) : random_labels();
		put_pod(model, i, own);
		json_decref(pods[i].labels);
		pods[i].labels = own;
	}
	for (int i = 0; i < N_WORKLOADS; i++)
		json_decref(labels[i]);
	bh_model_put_node(model, &(struct bh_node){.uid = "n1",
					 .name = "n1",
					 .n_ips = 1,
					 .ips = &(struct bh_ip){4, {192, 168, 0, 1}}});
	random_services(model);
	return model;
}

static json_t *random_selector(void)
{
	json_t *match = json_object();

	for (int n = roll(3); n > 0; n--)
		json_object_set_new(match, keys[roll(3)], json_string(values[roll(3)]));
	return json_pack("{s:o}", "matchLabels", match);
}

static json_t *random_peer(void)
{
	static const char *const blocks[] = {
		"203.0.113.0/24", "203.0.113.7/32", "10.0.0.0/28", "192.168.0.1/32"};

	switch (roll(3)) {
	case 0:
		return json_pack("{s:{s:s}}", "ipBlock", "cidr", blocks[roll(4)]);
	case 1:
		return json_pack("{s:o}", "podSelector", random_selector());
	default:
		return json_pack(
			"{s:o, s:{}}", "podSelector", random_selector(), "namespaceSelector");
	}
}

static json_t *random_spec(void)
{
	json_t *spec = json_pack("{s:o, s:[ss]}", "podSelector", random_selector(), "policyTypes",
		"Ingress", "Egress");

	for (int egress = 0; egress < 2; egress++) {
		json_t *rules = json_array();

		for (int n = roll(3); n > 0; n--) {
			json_t *rule = json_pack("{s:[o]}", egress ? "to" : "from", random_peer());

			if (roll(2))
				json_object_set_new(rule, "ports",
					json_pack("[{s:i}]", "port", ports[roll(5)]));
			json_array_append_new(rules, rule);
		}
		json_object_set_new(spec, egress ? "egress" : "ingress", rules);
	}
	return spec;
}

static void put_policy(
	struct bh_model *model, const char *namespace, const char *name, json_t *spec)
{
	char uid[320];

	snprintf(uid, sizeof(uid), "%s/%s", namespace, name);
	bh_model_put_policy(
		model, &(struct bh_network_policy){
			       .uid = uid, .namespace = namespace, .name = name, .spec = spec});
}

static json_t *random_cluster_pods(void)
{
	if (roll(2))
		return json_pack("{s:{}}", "namespaces");
	return json_pack(
		"{s:{s:{}, s:o}}", "pods", "namespaceSelector", "podSelector", random_selector());
}

static json_t *random_cluster_peer(bool egress)
{
	switch (egress ? roll(4) : 3) {
	case 0:
		return json_pack("{s:[s]}", "networks", roll(2) ? "203.0.113.0/24" : "0.0.0.0/0");
	case 1:
		return json_pack("{s:{}}", "nodes");
	default:
		return random_cluster_pods();
	}
}

static json_t *random_cluster_spec(void)
{
	static const char *const actions[] = {"Accept", "Deny", "Pass"};
	json_t *spec = json_pack("{s:s, s:i, s:o}", "tier", roll(2) ? "Admin" : "Baseline",
		"priority", roll(4), "subject", random_cluster_pods());

	for (int egress = 0; egress < 2; egress++) {
		json_t *rules = json_array();

		for (int n = roll(3); n > 0; n--) {
			json_t *rule = json_pack("{s:s, s:[o]}", "action", actions[roll(3)],
				egress ? "to" : "from", random_cluster_peer(egress));

			if (roll(2))
				json_object_set_new(rule, "protocols",
					json_pack("[{s:{s:{s:i}}}]", roll(3) ? "tcp" : "udp",
						"destinationPort", "number", ports[roll(5)]));
			json_array_append_new(rules, rule);
		}
		json_object_set_new(spec, egress ? "egress" : "ingress", rules);
	}
	return spec;
}

static void random_policies(struct bh_model *model)
{
	for (int i = 0; i < N_CLUSTER_POLICIES; i++) {
		json_t *spec = random_cluster_spec();
		char name[16];

		snprintf(name, sizeof(name), "cnp%d", i);
		if (roll(2))
			put_policy(model, "", name, spec);
		json_decref(spec);
	}

	for (int i = 0; i < N_POLICIES; i++) {
		json_t *spec = random_spec();
		char name[16];

		snprintf(name, sizeof(name), "np%d", i);
		if (roll(2))
			put_policy(model, namespaces[roll(3)], name, spec);
		json_decref(spec);
	}
}

/* One conversation of two different workloads, with the world, the node, or through a service. */
static struct bh_replay_edge random_edge(void)
{
	int client = roll(N_WORKLOADS + 1), server = roll(N_WORKLOADS);
	struct bh_replay_edge edge = {
		.protocol = roll(3) ? IPPROTO_TCP : IPPROTO_UDP,
		.port = ports[roll(5)],
		.family = 4,
		.packets = {10, 10},
		.octets = {1000, 1000},
		.flows = 3,
		.last_ns = 1700000000000000000,
	};

	if (client == WORLD && roll(2)) {
		client = server;
		server = WORLD;
	} else if (!roll(3)) {
		server = SERVICES + roll(N_SERVICES);
		edge.port = 80;
	} else if (client != WORLD && !roll(10)) {
		server = NODE;
	}
	edge.client = &workloads[client];
	edge.server = &workloads[server];
	return edge;
}

static struct bh_replay_edges random_edges(const struct bh_model *model)
{
	static struct bh_prefix blocks[N_EDGES];
	struct bh_replay_edges edges = {0};

	edges.edges = bh_arena_array(&edges.arena, N_EDGES, struct bh_replay_edge);
	for (int i = 0; i < N_EDGES; i++) {
		struct bh_replay_edge edge = random_edge();
		bool twice = false;

		for (size_t j = 0; j < edges.n; j++)
			twice |= edges.edges[j].client == edge.client &&
				 edges.edges[j].server == edge.server &&
				 edges.edges[j].protocol == edge.protocol &&
				 edges.edges[j].port == edge.port;
		if (twice || edge.client == edge.server)
			continue;
		if (bh_replay_is_world(edge.client) || bh_replay_is_world(edge.server)) {
			blocks[i] = (struct bh_prefix){ip_of(outsiders[roll(3)]), 32};
			edge.blocks = &blocks[i];
			edge.n_blocks = 1;
		}
		edges.edges[edges.n++] = edge;
	}
	bh_replay_edges_resolve(&edges, model);
	return edges;
}

/* ---- The judge ------------------------------------------------------------------------------- */

/* The model in force everywhere, compiled for both nodes. */
struct truth {
	struct bh_compiler *compilers[2];
	struct bh_desired *nodes[2];
};

static struct truth truth_of(struct bh_model *model)
{
	struct truth truth;

	bh_model_set_mode(model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_ENFORCE);
	for (int i = 0; i < 2; i++) {
		truth.compilers[i] = bh_compiler_new();
		truth.nodes[i] = bh_compile_as(truth.compilers[i], model, i ? "n2" : "n1");
	}
	return truth;
}

static void free_truth(struct truth *truth)
{
	for (int i = 0; i < 2; i++) {
		bh_desired_unref(truth->nodes[i]);
		bh_compiler_free(truth->compilers[i]);
	}
}

enum answer { NOBODY_ASKED, ALLOWED, DENIED };

static enum answer pod_says(const struct truth *truth, int pod, bool egress, const char *peer,
	uint8_t protocol, uint16_t port)
{
	const struct bh_desired *desired = truth->nodes[pods[pod].node[1] == '2'];
	const struct bh_desired_endpoint *endpoint = bh_lookup_endpoint(desired, pods[pod].name);
	struct bh_ip ip = ip_of(peer);
	enum bh_reason reason;
	uint32_t rule;

	assert_non_null(endpoint);
	reason = bh_lookup_verdict(desired, endpoint->active, egress ? BH_EGRESS : BH_INGRESS,
		bh_lookup_address(desired, &ip).class, protocol, port, true, &rule);
	/* Up to who is behind the service. */
	if (reason == BH_REASON_SERVICE)
		return NOBODY_ASKED;
	return BH_REASON_PASSES(reason) ? ALLOWED : DENIED;
}

/* One end of a conversation: the addresses it may have, and which of them are pods. */
struct side {
	size_t n;
	const char *ips[N_PODS + SLICE_MAX];
	int pods[N_PODS + SLICE_MAX]; /* -1: none */
	uint16_t port;
};

static int pod_at(const char *ip)
{
	for (int i = 0; i < N_PODS; i++) {
		if (!strcmp(pods[i].ip, ip))
			return i;
	}
	return -1;
}

static void add_address(struct side *side, const char *ip)
{
	for (size_t i = 0; i < side->n; i++) {
		if (!strcmp(side->ips[i], ip))
			return;
	}
	side->ips[side->n] = ip;
	side->pods[side->n++] = pod_at(ip);
}

static void add_pods_of(struct side *side, int workload)
{
	for (int i = 0; i < N_PODS; i++) {
		if (pods[i].workload == workload)
			add_address(side, pods[i].ip);
	}
}

static bool selects(const json_t *selector, const json_t *labels)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)selector, key, value)
	{
		if (!json_equal(json_object_get(labels, key), value))
			return false;
	}
	return true;
}

/* A workload is asked as a whole, also where a service selects only some of its pods. */
static void add_backends(struct side *side, int service, uint8_t protocol)
{
	static char address[BH_IP_TEXT_MAX];
	uint16_t port = side->port;

	side->port = services[service].target;
	for (int i = 0; i < N_PODS && protocol == IPPROTO_TCP; i++) {
		if (services[service].selector &&
			pods[i].workload % 3 == services[service].namespace &&
			selects(services[service].selector, pods[i].labels))
			add_pods_of(side, pods[i].workload);
	}
	for (size_t i = 0; i < services[service].n_ips && protocol == IPPROTO_TCP; i++) {
		int pod = pod_at(services[service].ips[i]);

		if (pod >= 0)
			add_pods_of(side, pods[pod].workload);
		else
			add_address(side, services[service].ips[i]);
	}
	if (side->n)
		return;
	/* Nobody is behind it: what can be said of the address itself. */
	snprintf(address, sizeof(address), "10.96.0.%d", service + 1);
	add_address(side, address);
	side->port = port;
}

static struct side side_of(const struct bh_replay_edge *edge, bool client)
{
	static char outside[BH_IP_TEXT_MAX];
	int index = (int)((client ? edge->client : edge->server) - workloads);
	struct side side = {.port = edge->port};

	if (index >= SERVICES)
		add_backends(&side, index - SERVICES, edge->protocol);
	else if (index == WORLD)
		add_address(&side, bh_ip_format(&edge->blocks[0].ip, outside));
	else if (index == NODE)
		add_address(&side, "192.168.0.1");
	else
		add_pods_of(&side, index);
	return side;
}

/* Is some pod of an end not allowed to speak with some address of the other? */
static enum answer answer_of(const struct truth *truth, const struct bh_replay_edge *edge)
{
	struct side client = side_of(edge, true), server = side_of(edge, false);
	enum answer answer = NOBODY_ASKED;

	for (size_t i = 0; i < client.n; i++) {
		for (size_t j = 0; j < server.n; j++) {
			enum answer ends[2] = {NOBODY_ASKED, NOBODY_ASKED};

			if (client.pods[i] >= 0)
				ends[0] = pod_says(truth, client.pods[i], true, server.ips[j],
					edge->protocol, server.port);
			if (server.pods[j] >= 0)
				ends[1] = pod_says(truth, server.pods[j], false, client.ips[i],
					edge->protocol, server.port);
			for (int end = 0; end < 2; end++)
				answer = ends[end] > answer ? ends[end] : answer;
		}
	}
	return answer;
}

static bool is_denied(const struct truth *truth, const struct bh_replay_edge *edge)
{
	return answer_of(truth, edge) == DENIED;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void answers_are_what_every_pods_own_node_would_say(void **state)
{
	size_t answers[3] = {0}, through_services = 0, by_cluster = 0;

	for (int run = 0; run < 60; run++) {
		struct bh_model *model = random_cluster();
		struct bh_replay_edges edges = random_edges(model);
		struct bh_replay_world *world;
		struct truth truth;

		random_policies(model);
		world = bh_replay_world_new(model, &edges, 0, NULL);
		truth = truth_of(model);
		for (size_t i = 0; i < edges.n; i++) {
			const struct bh_replay_edge *edge = &edges.edges[i];
			struct bh_replay_verdict verdict = bh_replay_judge(world, edge);
			enum answer wanted = answer_of(&truth, edge);

			if (verdict.judged != (wanted != NOBODY_ASKED) ||
				verdict.denied != (wanted == DENIED))
				fail_msg("seed %u run %d edge %zu %s %s -> %s %s: %s, not %d", seed,
					run, i, edge->client->kind, edge->client->name,
					edge->server->kind, edge->server->name, verdict.text,
					wanted);
			answers[wanted]++;
			through_services += edge->n_backends != 0;
			by_cluster += verdict.denied && strstr(verdict.text, "cnp") != NULL;
		}
		free_truth(&truth);
		bh_replay_world_free(world);
		bh_replay_edges_clear(&edges);
		bh_model_free(model);
	}
	printf("# %zu allowed, %zu denied (%zu by ClusterNetworkPolicies), %zu with nobody to ask; "
	       "%zu through services\n",
		answers[ALLOWED], answers[DENIED], by_cluster, answers[NOBODY_ASKED],
		through_services);
	/* All of it was tried. */
	assert_true(answers[ALLOWED] > 50 && answers[DENIED] > 50 && by_cluster > 20 &&
		    answers[NOBODY_ASKED] > 5 && through_services > 50);
}

static void a_diff_is_the_difference_of_two_clusters(void **state)
{
	for (int run = 0; run < 40; run++) {
		struct bh_model *model = random_cluster();
		struct bh_replay_edges edges = random_edges(model);
		json_t *spec = random_spec(), *cluster_spec = random_cluster_spec();
		const struct bh_replay_change changes[3] = {
			{namespaces[roll(3)], "np1", NULL, roll(4) ? spec : NULL},
			{namespaces[roll(3)], "added", NULL, spec},
			{"", "cnp1", NULL, roll(4) ? cluster_spec : NULL}};
		struct bh_replay_world *before, *after;
		struct bh_replay_diff diff;
		struct truth truths[2];
		size_t n = 0;
		char uid[64];

		random_policies(model);
		before = bh_replay_world_new(model, &edges, 0, NULL);
		after = bh_replay_world_new(model, &edges, 3, changes);
		bh_replay_diff(&edges, before, after, &diff);
		truths[0] = truth_of(model);
		for (int i = 0; i < 3; i++) {
			snprintf(uid, sizeof(uid), "%s/%s", changes[i].namespace, changes[i].name);
			bh_model_remove(model, uid);
			if (changes[i].spec)
				put_policy(model, changes[i].namespace, changes[i].name,
					changes[i].spec);
		}
		truths[1] = truth_of(model);
		for (size_t i = 0; i < edges.n; i++) {
			bool was = is_denied(&truths[0], &edges.edges[i]);
			bool is = is_denied(&truths[1], &edges.edges[i]);

			if (was == is)
				continue;
			assert_true(n < diff.n);
			assert_ptr_equal(diff.items[n].edge, &edges.edges[i]);
			assert_int_equal(diff.items[n++].after.denied, is);
		}
		assert_int_equal(n, diff.n);
		for (size_t i = 0; i < edges.n; i++)
			n -= diff.changes[i] == BH_REPLAY_NEWLY_DENIED ||
			     diff.changes[i] == BH_REPLAY_NEWLY_ALLOWED;
		assert_int_equal(n, 0);
		bh_replay_diff_clear(&diff);
		bh_replay_world_free(before);
		bh_replay_world_free(after);
		for (int i = 0; i < 2; i++)
			free_truth(&truths[i]);
		json_decref(spec);
		json_decref(cluster_spec);
		bh_replay_edges_clear(&edges);
		bh_model_free(model);
	}
}

/* The suggestion, as kubectl would apply it: by its YAML. */
static void apply(struct bh_model *model, const struct bh_suggestion *suggestion)
{
	for (size_t i = 0; i < suggestion->n_policies; i++) {
		const struct bh_suggest_policy *policy = &suggestion->policies[i];
		struct bh_text_error error;
		json_t *documents = bh_yaml_parse(policy->yaml, strlen(policy->yaml), &error);

		if (!documents)
			fail_msg("line %zu: %s\n%s", error.line, error.text, policy->yaml);
		if (!json_equal(json_array_get(documents, 0), policy->manifest))
			fail_msg("not what the manifest says:\n%s", policy->yaml);
		json_decref(documents);
		put_yaml(model, policy->yaml);
	}
}

/* Both ends could be named, and it was left out all the same. */
static bool is_unnamed_for_nothing(const struct bh_model *model, const struct bh_suggest_edge *edge)
{
	struct bh_arena arena = {0};
	bool named = edge->fate == BH_SUGGEST_UNNAMED;
	struct bh_replay_edge behind;

	for (size_t i = 0; i < bh_replay_behind(edge->edge, i, &behind); i++) {
		const struct bh_desired_workload *ends[2] = {behind.client, behind.server};

		for (int j = 0; j < 2; j++) {
			if (bh_replay_is_pods(ends[j]))
				named &= bh_replay_labels_of(&arena, model, ends[j]).n != 0;
		}
	}
	bh_arena_clear(&arena);
	return named;
}

static void what_is_suggested_denies_nothing_that_was_approved(void **state)
{
	size_t included = 0, left = 0, kept_out = 0;

	for (int run = 0; run < 80; run++) {
		struct bh_model *model = random_cluster();
		struct bh_replay_edges edges = random_edges(model);
		struct bh_suggest_query query = {.model = model,
			.edges = &edges,
			.namespace = roll(3) ? NULL : namespaces[roll(3)]};
		struct bh_suggestion *suggestion;
		struct truth before, after;

		if (roll(2))
			random_policies(model);
		for (size_t i = 0; i < edges.n; i++) {
			if (!roll(10))
				edges.edges[i].denied = 1;
		}
		before = truth_of(model);
		suggestion = bh_suggest(&query);
		apply(model, suggestion);
		after = truth_of(model);
		for (size_t i = 0; i < suggestion->n_edges; i++) {
			const struct bh_suggest_edge *edge = &suggestion->edges[i];

			included += edge->fate == BH_SUGGEST_INCLUDED;
			left += edge->fate == BH_SUGGEST_UNNAMED;
			assert_false(is_unnamed_for_nothing(model, edge));
			kept_out +=
				edge->fate == BH_SUGGEST_DENIED && is_denied(&after, edge->edge);
			if (edge->fate == BH_SUGGEST_INCLUDED && !is_denied(&before, edge->edge) &&
				is_denied(&after, edge->edge))
				fail_msg("seed %u run %d: %s %s -> %s is denied", seed, run,
					edge->id, edge->edge->client->name,
					edge->edge->server->name);
		}
		free_truth(&before);
		free_truth(&after);
		bh_suggestion_free(suggestion);
		bh_replay_edges_clear(&edges);
		bh_model_free(model);
	}
	printf("# %zu included, %zu without a name, %zu kept out\n", included, left, kept_out);
	/* Most can be said, and what was denied stays out as a rule. */
	assert_true(included > 3 * left);
	assert_true(kept_out > 20);
}

static const char shop[] =
	"{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: front-7d4b9c8f6d-x, namespace: shop,"
	" labels: {app: front, pod-template-hash: 7d4b9c8f6d},"
	" ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: front-7d4b9c8f6d,"
	" controller: true, uid: a}]}, spec: {nodeName: n1},"
	" status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}}\n---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop,"
	" labels: {app: db, statefulset.kubernetes.io/pod-name: db-0},"
	" ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, controller: true,"
	" uid: b}]}, spec: {nodeName: n1},"
	" status: {phase: Running, podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}]}}\n---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: odd, namespace: shop}, spec: {nodeName: n1},"
	" status: {phase: Running, podIP: 10.0.0.3, podIPs: [{ip: 10.0.0.3}]}}\n";

/* So many packets from the client and from the server, two flows. */
#define SEEN(client_, server_, protocol_, port_, from_client, from_server)                         \
	.client = &client_, .server = &server_, .protocol = protocol_, .port = port_, .family = 4, \
	.packets = {from_client, from_server}, .octets = {100, 100}, .flows = 2

static const struct bh_desired_workload front = {1, "shop", "Deployment", "front"};
static const struct bh_desired_workload db = {2, "shop", "StatefulSet", "db"};
static const struct bh_desired_workload odd = {3, "shop", "Pod", "odd"};
static const struct bh_desired_workload gone = {4, "shop", "Deployment", "gone"};
static const struct bh_desired_workload node = {5, "", "Node", "n1"};
static const struct bh_desired_workload elsewhere = {6, "", "World", ""};

static bool yes_to_all(void *data, const char *id)
{
	return !data || !strcmp(data, id);
}

static void what_is_no_conversation_is_left_out_and_said(void **state)
{
	struct cluster cluster = new_cluster(shop);
	struct bh_replay_edge list[] = {
		{SEEN(front, db, IPPROTO_TCP, 5432, 10, 10)},
		{SEEN(front, db, IPPROTO_TCP, 22, 10, 10), .denied = 1},
		{SEEN(front, db, IPPROTO_TCP, 23, 10, 10), .would_deny = 1},
		{SEEN(front, db, IPPROTO_TCP, 0, 10, 10)},
		{SEEN(front, db, IPPROTO_TCP, 81, 10, 0)},
		{SEEN(front, db, IPPROTO_TCP, 82, 2, 2), .resets = 2},
		{SEEN(odd, db, IPPROTO_TCP, 5432, 10, 10)},
		{SEEN(front, db, IPPROTO_ICMP, 0, 10, 10)},
		{SEEN(gone, db, IPPROTO_TCP, 5432, 10, 10)},
		{SEEN(node, db, IPPROTO_TCP, 8080, 10, 10), .node_probe = true},
		{SEEN(front, elsewhere, IPPROTO_TCP, 443, 10, 10)},
	};
	static const enum bh_suggest_fate fates[] = {BH_SUGGEST_INCLUDED, BH_SUGGEST_DENIED,
		BH_SUGGEST_WOULD_DENY, BH_SUGGEST_SCAN, BH_SUGGEST_UNANSWERED,
		BH_SUGGEST_UNANSWERED, BH_SUGGEST_UNNAMED, BH_SUGGEST_NO_PORTS, BH_SUGGEST_GONE,
		BH_SUGGEST_ELSEWHERE, BH_SUGGEST_UNNAMED};
	size_t n = sizeof(list) / sizeof(list[0]);
	const struct bh_replay_edges edges = {.n = n, .edges = list};
	struct bh_suggest_query query = {.model = cluster.model, .edges = &edges};
	struct bh_suggestion *suggestion = bh_suggest(&query);
	char first[BH_REPLAY_ID_MAX];

	for (size_t i = 0; i < n; i++)
		assert_string_equal(
			bh_suggest_word(suggestion->edges[i].fate), bh_suggest_word(fates[i]));
	assert_int_equal(suggestion->n_policies, 2);
	assert_string_equal(suggestion->policies[0].name, "suggested-deployment-front");
	assert_non_null(strstr(suggestion->policies[0].yaml, "\"app\": \"front\""));
	assert_null(strstr(suggestion->policies[0].yaml, "hash"));
	assert_null(strstr(suggestion->policies[1].yaml, "pod-name"));
	strcpy(first, suggestion->edges[0].id);
	bh_suggestion_free(suggestion);

	/* The operator's word goes before all of this; rejecting before approving. */
	query.approved = yes_to_all;
	query.data = NULL;
	suggestion = bh_suggest(&query);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(suggestion->edges[i].fate,
			fates[i] == BH_SUGGEST_GONE || fates[i] == BH_SUGGEST_ELSEWHERE
				? fates[i]
				: BH_SUGGEST_INCLUDED);
	bh_suggestion_free(suggestion);
	query.rejected = yes_to_all;
	query.data = first;
	suggestion = bh_suggest(&query);
	assert_int_equal(suggestion->edges[0].fate, BH_SUGGEST_REJECTED);
	bh_suggestion_free(suggestion);
	free_cluster(&cluster);
}

static void dns_is_allowed_over_both_transports(void **state)
{
	struct cluster cluster = new_cluster(shop);
	struct bh_replay_edge list[] = {{SEEN(front, db, IPPROTO_UDP, 53, 10, 10)}};
	const struct bh_replay_edges edges = {.n = 1, .edges = list};
	const struct bh_suggest_query query = {.model = cluster.model, .edges = &edges};
	struct bh_suggestion *suggestion = bh_suggest(&query);

	apply(cluster.model, suggestion);
	compile_cluster(&cluster);
	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_UDP, 53));
	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_TCP, 53));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_TCP, 54));
	bh_suggestion_free(suggestion);
	free_cluster(&cluster);
}

/* What is behind a service is named, asked and allowed, and never its address. */
static const char service[] =
	"{apiVersion: v1, kind: Service, metadata: {name: store, namespace: shop},"
	" spec: {clusterIP: 10.96.0.9, clusterIPs: [10.96.0.9], selector: {app: db},"
	" ports: [{port: 80, targetPort: 5432, protocol: TCP}]}}\n---\n"
	"{apiVersion: v1, kind: Service, metadata: {name: far, namespace: shop},"
	" spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10],"
	" ports: [{port: 80, protocol: TCP}]}}\n---\n"
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: far-x,"
	" namespace: shop, labels: {kubernetes.io/service-name: far}}, addressType: IPv4,"
	" ports: [{port: 8080, protocol: TCP}], endpoints: [{addresses: [198.51.100.7]}]}\n";

static const struct bh_desired_workload store = {7, "shop", "Service", "store"};
static const struct bh_desired_workload far = {8, "shop", "Service", "far"};
static const struct bh_desired_workload lost = {9, "shop", "Service", "lost"};

static const char deny_all[] =
	"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: none,"
	" namespace: shop}, spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}\n";

static void a_service_is_its_backends(void **state)
{
	struct cluster cluster = new_cluster(shop);
	struct bh_replay_edge list[] = {
		{SEEN(front, store, IPPROTO_TCP, 80, 10, 10)},
		{SEEN(front, far, IPPROTO_TCP, 80, 10, 10)},
		{SEEN(front, lost, IPPROTO_TCP, 80, 10, 10)},
		{SEEN(front, store, IPPROTO_TCP, 81, 10, 10)},
	};
	struct bh_replay_edges edges = {.n = 4, .edges = list};
	const struct bh_suggest_query query = {.model = cluster.model, .edges = &edges};
	struct bh_suggestion *suggestion;
	struct bh_replay_world *world;

	put_yaml(cluster.model, service);
	bh_replay_edges_resolve(&edges, cluster.model);
	assert_int_equal(list[0].n_backends, 1);
	assert_string_equal(list[0].backends[0].workload->name, "db");
	assert_int_equal(list[0].backends[0].port, 5432);
	assert_string_equal(list[1].backends[0].workload->name, "198.51.100.7/32");
	assert_int_equal(list[2].n_backends, 0);
	assert_int_equal(list[3].n_backends, 0);

	suggestion = bh_suggest(&query);
	assert_int_equal(suggestion->edges[0].fate, BH_SUGGEST_INCLUDED);
	assert_int_equal(suggestion->edges[1].fate, BH_SUGGEST_INCLUDED);
	assert_int_equal(suggestion->edges[2].fate, BH_SUGGEST_GONE);
	assert_int_equal(suggestion->edges[3].fate, BH_SUGGEST_GONE);
	assert_int_equal(suggestion->n_policies, 2);
	assert_non_null(strstr(suggestion->policies[0].yaml, "198.51.100.7/32"));
	assert_non_null(strstr(suggestion->policies[0].yaml, "through shop/Service/store 80"));
	assert_null(strstr(suggestion->policies[0].yaml, "10.96.0."));

	put_yaml(cluster.model, deny_all);
	world = bh_replay_world_new(cluster.model, &edges, 0, NULL);
	assert_true(bh_replay_judge(world, &list[0]).denied);
	bh_replay_world_free(world);
	apply(cluster.model, suggestion);
	world = bh_replay_world_new(cluster.model, &edges, 0, NULL);
	for (int i = 0; i < 2; i++)
		assert_true(bh_replay_judge(world, &list[i]).allowed);
	assert_true(bh_replay_judge(world, &list[3]).denied);
	bh_replay_world_free(world);
	/* … and the compiler says the same of the address itself. */
	compile_cluster(&cluster);
	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.96.0.9", IPPROTO_TCP, 80));
	assert_true(allows(&cluster, "10.0.0.2", BH_INGRESS, "10.0.0.1", IPPROTO_TCP, 5432));
	assert_false(allows(&cluster, "10.0.0.2", BH_INGRESS, "10.0.0.1", IPPROTO_TCP, 80));
	bh_suggestion_free(suggestion);
	bh_replay_edges_clear(&edges);
	free_cluster(&cluster);
}

static void names_cannot_break_out_of_the_yaml(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_ENFORCE);
	const char *evil = "x\"\n---\nkind: \xc2\x85Secret # {}\\";
	const struct bh_label label = {"app", "fine"};
	const struct bh_labels labels = {.n = 1, .items = &label};
	const struct bh_desired_workload bad = {1, "shop", "Pod", evil};
	struct bh_replay_edge list[] = {{SEEN(bad, elsewhere, IPPROTO_TCP, 80, 9, 9)}};
	struct bh_prefix block = {ip_of("203.0.113.7"), 32};
	const struct bh_replay_edges edges = {.n = 1, .edges = list};
	const struct bh_suggest_query query = {.model = model, .edges = &edges};
	struct bh_suggestion *suggestion;

	list[0].blocks = &block;
	list[0].n_blocks = 1;
	bh_model_put_pod(model, &(struct bh_pod){.uid = "u",
					.namespace = "shop",
					.name = evil,
					.labels = &labels,
					.node_name = "n1",
					.n_ips = 1,
					.ips = &(struct bh_ip){4, {10, 0, 0, 1}}});
	suggestion = bh_suggest(&query);
	assert_int_equal(suggestion->n_policies, 1);
	apply(model, suggestion);
	bh_suggestion_free(suggestion);
	bh_model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_what_every_pods_own_node_would_say),
		cmocka_unit_test(a_diff_is_the_difference_of_two_clusters),
		cmocka_unit_test(what_is_suggested_denies_nothing_that_was_approved),
		cmocka_unit_test(what_is_no_conversation_is_left_out_and_said),
		cmocka_unit_test(dns_is_allowed_over_both_transports),
		cmocka_unit_test(a_service_is_its_backends),
		cmocka_unit_test(names_cannot_break_out_of_the_yaml),
	};
	const char *given = getenv("BULKHEAD_SEED");

	seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	printf("# BULKHEAD_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
