/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/fixture.h"

#define POD(name, ip, labels)                                                      \
	"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: " name \
	", labels: " labels "}, spec: {nodeName: n1}, status: {podIP: " ip "}}\n"
#define ELSEWHERE(namespace, name, ip, labels)                                                     \
	"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: " namespace ", name: " name        \
									    ", labels: " labels    \
									    "}, spec: {nodeName: " \
									    "n2}, status: "        \
									    "{podIP: " ip "}}\n"
#define POLICY(name, spec)                                                                    \
	"---\n{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {namespace: " \
	"shop, name: " name "}, spec: " spec "}\n"

/* ---- Isolation --------------------------------------------------------------------------------
 */

static void without_policy_everything_passes(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{}"));
	const struct bh_desired_endpoint *endpoint = endpoint_of(&cluster, "10.0.0.1");

	assert_int_equal(endpoint->active, BH_PROGRAM_NONE);
	assert_int_equal(endpoint->pending, BH_PROGRAM_NONE);
	assert_false(endpoint->ingress_isolated || endpoint->egress_isolated);
	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "9.9.9.9", IPPROTO_TCP, 80));
	free_cluster(&cluster);
}

static void a_node_that_nobody_knows_is_named(void **state)
{
	struct cluster cluster = new_cluster(ELSEWHERE("shop", "a", "10.0.0.1", "{}"));

	assert_string_equal(problem_of(&cluster, "unknown-node", "Node \"n1\""),
		"no pod is on a node of this name, so nothing is enforced; pod shop/a is on "
		"\"n2\": if that is this node, --node is wrong");
	free_cluster(&cluster);
	cluster = new_cluster(ELSEWHERE(
		"shop", "a", "10.0.0.1", "{}") "---\n{kind: Node, apiVersion: v1, metadata: "
					       "{name: n1}}\n");
	assert_null(problem_of(&cluster, "unknown-node", "Node \"n1\""));
	free_cluster(&cluster);
}

static void isolates_only_in_the_direction_asked_for(void **state)
{
	struct cluster cluster =
		new_cluster(POD("a", "10.0.0.1", "{}") POLICY("deny", "{podSelector: {}}"));
	const struct bh_desired_endpoint *endpoint = endpoint_of(&cluster, "10.0.0.1");

	assert_true(endpoint->active & BH_PROGRAM_INGRESS_ISOLATED);
	assert_false(endpoint->active & BH_PROGRAM_EGRESS_ISOLATED);
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "9.9.9.9", IPPROTO_TCP, 80));
	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "9.9.9.9", IPPROTO_TCP, 80));
	assert_int_equal(endpoint->n_policies, 1);
	assert_string_equal(endpoint->policies[0], "deny");
	free_cluster(&cluster);
}

static void a_policy_selects_pods_of_its_own_namespace_only(void **state)
{
	struct cluster cluster =
		new_cluster("{kind: Pod, apiVersion: v1, metadata: {namespace: other, name: a}, "
			    "status: {podIP: 10.0.0.1}}\n" POLICY("deny", "{podSelector: {}}"));

	assert_int_equal(endpoint_of(&cluster, "10.0.0.1")->active, BH_PROGRAM_NONE);
	free_cluster(&cluster);
}

static void several_policies_add_up(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{app: a}") POD(
		"b", "10.0.0.2", "{app: b}") POD("c", "10.0.0.3", "{app: c}") POLICY("one",
		"{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: "
		"{matchLabels: {app: b}}}], ports: [{port: 80}]}]}") POLICY("two",
		"{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: "
		"{matchLabels: {app: b}}}], ports: [{port: 443}]}, {from: [{podSelector: "
		"{matchLabels: {app: c}}}]}]}"));

	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.2", IPPROTO_TCP, 443));
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.2", IPPROTO_TCP, 22));
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.2", IPPROTO_ICMP, 0));
	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.3", IPPROTO_TCP, 22));
	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.3", IPPROTO_ICMP, 0));
	free_cluster(&cluster);
}

static void an_invalid_policy_isolates_and_allows_nothing(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{app: a}") POD("b", "10.0.0.2",
		"{app: b}") POLICY("good", "{podSelector: {matchLabels: {app: b}}, ingress: [{}]}")
			POLICY("bad", "{podSelector: {matchLabels: {app: a}}, policyTypes: "
				      "[Ingress], ingress: [{from: [{}]}, {}]}"));
	const char *text = problem_of(&cluster, "invalid-policy", "NetworkPolicy shop/bad");

	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	assert_true(allows(&cluster, "10.0.0.2", BH_INGRESS, "10.0.0.1", IPPROTO_TCP, 80));
	assert_non_null(text);
	assert_string_equal(text, "spec.ingress[0].from[0]: must have podSelector, "
				  "namespaceSelector or ipBlock; until that is mended it isolates "
				  "the pods it selects (ingress) and allows nothing");
	free_cluster(&cluster);
}

/* ---- Peers ------------------------------------------------------------------------------------
 */

/* The pod 10.0.0.1 lets in what this peer stands for. */
#define PEER_CLUSTER(peer)                                                                      \
	POD("a", "10.0.0.1", "{app: a}")                                                        \
	POD("b", "10.0.0.2", "{app: b}")                                                        \
	ELSEWHERE("other", "o", "10.1.0.1", "{app: b, team: x}")                                \
	ELSEWHERE("third", "t", "10.1.0.2", "{app: c, team: x}")                                \
	ELSEWHERE("shop", "s", "10.1.0.3", "{app: b}")                                          \
	"---\n{kind: Namespace, apiVersion: v1, metadata: {name: other, labels: {team: x}}}\n"  \
	"---\n{kind: Node, apiVersion: v1, metadata: {name: n2}, status: {addresses: "          \
	"[{type: InternalIP, address: 192.168.0.2}, {type: Hostname, address: n2}]}}\n" POLICY( \
		"p", "{podSelector: {matchLabels: {app: a}}, ingress: [{from: [" peer "]}]}")

static void a_peer_is_who_its_selectors_say(void **state)
{
	static const char *const peers[] = {"10.0.0.1", "10.0.0.2", "10.1.0.1", "10.1.0.2",
		"10.1.0.3", "192.168.0.2", "8.8.8.8"};
	static const struct {
		const char *yaml;
		const char *allowed; /* a '1' for each of the above that is let in */
	} cases[] = {
		{PEER_CLUSTER("{podSelector: {matchLabels: {app: b}}}"), "0100100"},
		{PEER_CLUSTER("{podSelector: {}}"), "1100100"},
		{PEER_CLUSTER("{namespaceSelector: {}}"), "1111100"},
		{PEER_CLUSTER("{namespaceSelector: {matchLabels: {team: x}}}"), "0010000"},
		{PEER_CLUSTER("{namespaceSelector: {matchExpressions: [{key: team, operator: "
			      "DoesNotExist}]}}"),
			"1101100"},
		{PEER_CLUSTER("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "
			      "third}}}"),
			"0001000"},
		{PEER_CLUSTER("{namespaceSelector: {matchLabels: {team: x}}, podSelector: "
			      "{matchLabels: {app: b}}}"),
			"0010000"},
		{PEER_CLUSTER("{namespaceSelector: {matchLabels: {team: x}}, podSelector: "
			      "{matchLabels: {app: c}}}"),
			"0000000"},
		{PEER_CLUSTER("{namespaceSelector: {}, podSelector: {matchLabels: {app: c}}}"),
			"0001000"},
		{PEER_CLUSTER("{namespaceSelector: {matchLabels: {team: x}}}, {podSelector: "
			      "{matchLabels: {app: b}}}"),
			"0110100"},
		{PEER_CLUSTER("{ipBlock: {cidr: 10.1.0.0/16}}"), "0011100"},
		{PEER_CLUSTER("{ipBlock: {cidr: 10.1.0.1/32}}"), "0010000"},
		{PEER_CLUSTER("{ipBlock: {cidr: 0.0.0.0/0}}"), "1111111"},
		{PEER_CLUSTER("{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}"), "0000011"},
		{PEER_CLUSTER("{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: "
			      "{cidr: 10.1.0.2/32}}"),
			"1101000"},
		{PEER_CLUSTER("{ipBlock: {cidr: 192.168.0.0/24}}"), "0000010"},
		{PEER_CLUSTER("{ipBlock: {cidr: '::/0'}}"), "0000000"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cluster cluster = new_cluster(cases[i].yaml);

		assert_int_equal(cluster.desired->n_problems, 0);
		for (size_t j = 0; j < sizeof(peers) / sizeof(peers[0]); j++) {
			bool wanted = cases[i].allowed[j] == '1';

			if (allows(&cluster, "10.0.0.1", BH_INGRESS, peers[j], IPPROTO_TCP, 80) !=
				wanted)
				fail_msg("case %zu: %s should be %s", i, peers[j],
					wanted ? "let in" : "kept out");
		}
		free_cluster(&cluster);
	}
}

static void a_hole_in_one_block_may_be_filled_by_another(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{}") POLICY("p",
		"{podSelector: {}, ingress: ["
		"{from: [{ipBlock: {cidr: 20.0.0.0/8, except: [20.1.0.0/16, 20.1.2.0/24]}}], "
		"ports: [{port: 1}]},"
		"{from: [{ipBlock: {cidr: 20.1.2.0/24, except: [20.1.2.128/25]}}], ports: [{port: "
		"2}]},"
		"{from: [{ipBlock: {cidr: 20.1.2.200/32}}], ports: [{port: 3}]}]}"));
	static const struct {
		const char *peer;
		int port; /* the only one that is open; 0: none */
	} cases[] = {
		{"20.2.0.1", 1},
		{"20.1.0.1", 0},
		{"20.1.2.1", 2},
		{"20.1.2.129", 0},
		{"20.1.2.200", 3},
		{"21.0.0.0", 0},
		{"20.255.255.255", 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint16_t port = 1; port <= 3; port++)
			assert_int_equal(allows(&cluster, "10.0.0.1", BH_INGRESS, cases[i].peer,
						 IPPROTO_TCP, port),
				port == cases[i].port);
	}
	free_cluster(&cluster);
}

static void blocks_of_both_families_are_kept_apart(void **state)
{
	struct cluster cluster = new_cluster(
		"{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: a}, status: {podIP: "
		"10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}\n" POLICY("p",
			"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: '::/0', except: "
			"['fd01::/16']}}]}]}"));

	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "2001:db8::1", IPPROTO_TCP, 80));
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "fd01::1", IPPROTO_TCP, 80));
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "8.8.8.8", IPPROTO_TCP, 80));
	assert_int_equal(endpoint_of(&cluster, "fd00::1")->n_ips, 2);
	free_cluster(&cluster);
}

static void pods_of_the_host_network_are_nodes_to_policy(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1",
		"{}") "---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: h, "
		      "labels: {app: h}}, spec: {nodeName: n1, hostNetwork: true}, status: {podIP: "
		      "192.168.0.1}}\n"
		      "---\n{kind: Node, apiVersion: v1, metadata: {name: n1}, status: {addresses: "
		      "[{type: InternalIP, address: 192.168.0.1}]}}\n" POLICY(
			      "p", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"));
	struct bh_ip ip = ip_of("192.168.0.1");

	assert_null(endpoint_of(&cluster, "192.168.0.1"));
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "192.168.0.1", IPPROTO_TCP, 80));
	assert_int_equal(bh_lookup_address(cluster.desired, &ip).workload, BH_WORKLOAD_NODE);
	free_cluster(&cluster);
}

static void pods_that_ended_are_not_there(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1",
		"{}") "---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: done, "
		      "labels: {app: b}}, spec: {nodeName: n1}, status: {phase: Succeeded, podIP: "
		      "10.0.0.2}}\n"
		      "---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: failed}, "
		      "spec: {nodeName: n1}, status: {phase: Failed, podIP: 10.0.0.3}}\n"
		      "---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: going, "
		      "deletionTimestamp: '2024-01-01T00:00:00Z', labels: {app: b}}, spec: "
		      "{nodeName: n1}, status: {phase: Running, podIP: 10.0.0.4}}\n" POLICY("p",
			      "{podSelector: {}, ingress: [{from: [{podSelector: "
			      "{matchLabels: {app: b}}}]}]}"));

	assert_int_equal(cluster.desired->n_endpoints, 2);
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "10.0.0.4", IPPROTO_TCP, 80));
	free_cluster(&cluster);
}

/* ---- Ports ------------------------------------------------------------------------------------
 */

static void ports_by_number_range_and_protocol(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{}") POLICY("p",
		"{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 1000, endPort: "
		"1010}, {port: 53, protocol: UDP}, {protocol: SCTP}]}]}"));
	static const struct {
		uint8_t protocol;
		uint16_t port;
		bool allowed;
	} cases[] = {
		{IPPROTO_TCP, 80, true},
		{IPPROTO_TCP, 81, false},
		{IPPROTO_TCP, 999, false},
		{IPPROTO_TCP, 1000, true},
		{IPPROTO_TCP, 1010, true},
		{IPPROTO_TCP, 1011, false},
		{IPPROTO_UDP, 53, true},
		{IPPROTO_UDP, 80, false},
		{IPPROTO_TCP, 53, false},
		{IPPROTO_SCTP, 1, true},
		{IPPROTO_ICMP, 0, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (allows(&cluster, "10.0.0.1", BH_INGRESS, "9.9.9.9", cases[i].protocol,
			    cases[i].port) != cases[i].allowed)
			fail_msg("case %zu", i);
	}
	free_cluster(&cluster);
}

#define NAMED(name, ip, app, port)                                                       \
	"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: " name       \
	", labels: {app: " app "}}, spec: {nodeName: n1, containers: [{name: c, ports: " \
	"[{name: http, containerPort: " port "}]}]}, status: {podIP: " ip "}}\n"

static void ingress_port_names_are_the_pods_own(void **state)
{
	struct cluster cluster = new_cluster(NAMED("a", "10.0.0.1", "x", "8080") NAMED(
		"b", "10.0.0.2", "x", "9090") POD("c", "10.0.0.3", "{app: x}") POLICY("p",
		"{podSelector: {matchLabels: {app: x}}, ingress: [{ports: [{port: http}]}]}"));

	assert_true(allows(&cluster, "10.0.0.1", BH_INGRESS, "9.9.9.9", IPPROTO_TCP, 8080));
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "9.9.9.9", IPPROTO_TCP, 9090));
	assert_true(allows(&cluster, "10.0.0.2", BH_INGRESS, "9.9.9.9", IPPROTO_TCP, 9090));
	/* A name the pod does not have is no port, not every port. */
	assert_false(allows(&cluster, "10.0.0.3", BH_INGRESS, "9.9.9.9", IPPROTO_TCP, 8080));
	assert_false(allows(&cluster, "10.0.0.3", BH_INGRESS, "9.9.9.9", IPPROTO_ICMP, 0));
	free_cluster(&cluster);
}

static void egress_port_names_are_the_destinations(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{app: a}") NAMED(
		"b", "10.0.0.2", "x", "8080") NAMED("c", "10.0.0.3", "z", "9090") POLICY("p",
		"{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: "
		"[{podSelector: {matchLabels: {app: x}}}], ports: [{port: http}]}]}"));

	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_TCP, 8080));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_TCP, 9090));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_UDP, 8080));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.3", IPPROTO_TCP, 9090));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "9.9.9.9", IPPROTO_TCP, 8080));
	free_cluster(&cluster);
}

static void an_egress_port_name_to_anyone_means_each_pod_by_its_own_number(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{app: a}")
			NAMED("b", "10.0.0.2", "x", "8080") NAMED("c", "10.0.0.3", "z", "9090")
				POLICY("p", "{podSelector: {matchLabels: {app: a}}, policyTypes: "
					    "[Egress], egress: [{ports: [{port: http}]}]}"));

	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_TCP, 8080));
	assert_true(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.3", IPPROTO_TCP, 9090));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "10.0.0.2", IPPROTO_TCP, 9090));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "9.9.9.9", IPPROTO_TCP, 8080));
	free_cluster(&cluster);
}

/* ---- Modes ------------------------------------------------------------------------------------
 */

enum expect {
	OPEN,   /* BH_PROGRAM_OPEN */
	NONE,   /* BH_PROGRAM_NONE */
	CLOSED, /* a program that isolates */
};

static enum expect kind_of(uint32_t program)
{
	return program == BH_PROGRAM_OPEN ? OPEN : program == BH_PROGRAM_NONE ? NONE : CLOSED;
}

static void modes_choose_the_programs(void **state)
{
	static const struct {
		enum bh_mode node;
		const char *policy; /* annotation, "" none, NULL: no policy at all */
		enum expect active, pending;
	} cases[] = {
		{BH_MODE_ENFORCE, NULL, NONE, NONE},
		{BH_MODE_ENFORCE, "", CLOSED, CLOSED},
		{BH_MODE_ENFORCE, "enforce", CLOSED, CLOSED},
		{BH_MODE_ENFORCE, "dry-run", NONE, CLOSED},
		{BH_MODE_ENFORCE, "observe", NONE, NONE},
		{BH_MODE_DRY_RUN, NULL, OPEN, NONE},
		{BH_MODE_DRY_RUN, "", OPEN, CLOSED},
		{BH_MODE_DRY_RUN, "enforce", CLOSED, CLOSED},
		{BH_MODE_DRY_RUN, "dry-run", OPEN, CLOSED},
		{BH_MODE_DRY_RUN, "observe", OPEN, NONE},
		{BH_MODE_OBSERVE, NULL, OPEN, OPEN},
		{BH_MODE_OBSERVE, "", OPEN, OPEN},
		{BH_MODE_OBSERVE, "enforce", CLOSED, CLOSED},
		{BH_MODE_OBSERVE, "dry-run", OPEN, CLOSED},
		{BH_MODE_OBSERVE, "observe", OPEN, OPEN},
		{BH_MODE_ENFORCE, "nonsense", CLOSED, CLOSED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{}"));
		json_t *spec = json_object();

		bh_model_set_mode(cluster.model, BH_SCOPE_NODE, NULL, NULL, cases[i].node);
		if (cases[i].policy)
			bh_model_put_policy(cluster.model,
				&(struct bh_network_policy){.uid = "p",
					.namespace = "shop",
					.name = "p",
					.spec = spec,
					.mode = *cases[i].policy ? cases[i].policy : NULL});
		compile_cluster(&cluster);
		const struct bh_desired_endpoint *endpoint = endpoint_of(&cluster, "10.0.0.1");

		if (kind_of(endpoint->active) != cases[i].active ||
			kind_of(endpoint->pending) != cases[i].pending)
			fail_msg("case %zu: active %x, pending %x", i, endpoint->active,
				endpoint->pending);
		assert_int_equal(endpoint->ingress_isolated, cases[i].policy != NULL);
		assert_int_equal(cluster.desired->unknown_open,
			endpoint->active == BH_PROGRAM_OPEN && cases[i].node != BH_MODE_ENFORCE);
		assert_int_equal(cluster.desired->hold, cases[i].node == BH_MODE_ENFORCE);
		json_decref(spec);
		free_cluster(&cluster);
	}
}

static void the_nearest_level_decides_and_a_command_wins_there(void **state)
{
	struct cluster cluster = new_cluster("{kind: Pod, apiVersion: v1, metadata: {namespace: "
					     "shop, name: a}, status: {podIP: 10.0.0.1}}\n");
	struct bh_model *model = cluster.model;

#define EXPECT(wanted)                                                             \
	do {                                                                       \
		compile_cluster(&cluster);                                         \
		assert_int_equal(endpoint_of(&cluster, "10.0.0.1")->mode, wanted); \
	} while (0)
	EXPECT(BH_MODE_ENFORCE);
	bh_model_set_mode(model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_OBSERVE);
	EXPECT(BH_MODE_OBSERVE);
	put_yaml(model, "{kind: Namespace, apiVersion: v1, metadata: {name: shop, annotations: "
			"{bulkhead.io/mode: dry-run}}}");
	EXPECT(BH_MODE_DRY_RUN);
	bh_model_set_mode(model, BH_SCOPE_NAMESPACE, "shop", NULL, BH_MODE_ENFORCE);
	EXPECT(BH_MODE_ENFORCE);
	put_yaml(model, "{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: a, "
			"annotations: {bulkhead.io/mode: observe}}, status: {podIP: 10.0.0.1}}");
	EXPECT(BH_MODE_OBSERVE);
	bh_model_set_mode(model, BH_SCOPE_POD, "shop", "a", BH_MODE_DRY_RUN);
	EXPECT(BH_MODE_DRY_RUN);
	bh_model_set_mode(model, BH_SCOPE_POD, "shop", "a", BH_MODE_UNSET);
	EXPECT(BH_MODE_OBSERVE);
	put_yaml(model,
		"{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: a, annotations: "
		"{bulkhead.io/mode: Enforce, bulkhead.io/hook: dpdk}}, status: {podIP: 10.0.0.1}}");
	EXPECT(BH_MODE_ENFORCE); /* the namespace's: what is not understood is not there */
	assert_non_null(problem_of(&cluster, "unknown-mode", "Pod shop/a"));
	assert_non_null(problem_of(&cluster, "unknown-hook", "Pod shop/a"));
	assert_false(endpoint_of(&cluster, "10.0.0.1")->xdp);
#undef EXPECT
	free_cluster(&cluster);
}

static void quarantine_cuts_a_pod_off_in_every_mode(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{}")
			POLICY("p", "{podSelector: {}, ingress: [{}], egress: [{}]}"));

	bh_model_set_mode(cluster.model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_OBSERVE);
	bh_model_set_quarantine(cluster.model, "shop", "a", true);
	compile_cluster(&cluster);
	const struct bh_desired_endpoint *endpoint = endpoint_of(&cluster, "10.0.0.1");

	assert_true(endpoint->quarantined);
	assert_int_equal(endpoint->active, endpoint->pending);
	assert_false(allows(&cluster, "10.0.0.1", BH_INGRESS, "9.9.9.9", IPPROTO_TCP, 80));
	assert_false(allows(&cluster, "10.0.0.1", BH_EGRESS, "9.9.9.9", IPPROTO_TCP, 80));
	assert_non_null(bh_lookup_program(cluster.desired, endpoint->active));
	assert_false(cluster.desired->unknown_open);
	free_cluster(&cluster);
}

/* ---- Addresses and names ------------------------------------------------------------------------
 */

static void of_two_pods_with_one_address_the_newer_keeps_it(void **state)
{
	struct cluster cluster = new_cluster(
		"{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: old, uid: u9, "
		"creationTimestamp: '2024-01-01T00:00:00Z'}, status: {podIP: 10.0.0.1}}\n"
		"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: new, uid: u1, "
		"creationTimestamp: '2024-01-02T00:00:00Z'}, status: {podIP: 10.0.0.1}}\n");

	assert_int_equal(cluster.desired->n_endpoints, 1);
	assert_string_equal(endpoint_of(&cluster, "10.0.0.1")->name, "new");
	assert_non_null(problem_of(&cluster, "address-conflict", "Pod shop/old"));
	free_cluster(&cluster);
}

static void a_pod_cannot_take_the_nodes_address(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{app: a}"));
	struct bh_ip ip = ip_of("10.0.0.1");

	bh_model_set_host_addresses(cluster.model, 1, &ip);
	compile_cluster(&cluster);
	assert_int_equal(cluster.desired->n_endpoints, 0);
	assert_int_equal(bh_lookup_address(cluster.desired, &ip).workload, BH_WORKLOAD_NODE);
	assert_non_null(problem_of(&cluster, "address-conflict", "Pod shop/a"));
	free_cluster(&cluster);
}

static void addresses_no_pod_can_have_are_left_out(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "127.0.0.1", "{}") POD("b", "224.0.0.1",
		"{}") POD("c", "0.0.0.0", "{}") POD("d", "'::1'", "{}") POD("e", "10.0.0.1", "{}"));

	assert_int_equal(cluster.desired->n_endpoints, 1);
	assert_int_equal(cluster.desired->addresses.n, 1);
	assert_non_null(problem_of(&cluster, "bad-address", "Pod shop/a"));
	assert_non_null(problem_of(&cluster, "bad-address", "Pod shop/d"));
	free_cluster(&cluster);
}

static void an_endpoint_has_two_addresses_of_each_family(void **state)
{
	struct cluster cluster = new_cluster("{kind: Pod, apiVersion: v1, metadata: {namespace: "
					     "shop, name: a}, status: {podIPs: "
					     "[{ip: 10.0.0.1}, {ip: 'fd00::1'}, {ip: 10.0.0.2}, "
					     "{ip: 10.0.0.3}, {ip: 10.0.0.1}]}}");

	assert_int_equal(endpoint_of(&cluster, "10.0.0.1")->n_ips, 3);
	assert_null(endpoint_of(&cluster, "10.0.0.3"));
	assert_int_equal(cluster.desired->addresses.n, 4);
	assert_non_null(problem_of(&cluster, "too-many-addresses", "Pod shop/a"));
	free_cluster(&cluster);
}

static void a_rule_for_anyone_names_what_it_allows_before_others(void **state)
{
	struct cluster cluster = new_cluster(
		POD("a", "10.0.0.1", "{app: a}") POD("b", "10.0.0.2", "{app: b}")
			POLICY("p", "{podSelector: {matchLabels: {app: a}}, ingress: [{from: "
				    "[{podSelector: {matchLabels: "
				    "{app: b}}}], ports: [{port: 80}]}, {ports: [{port: 80}]}]}"));

	/* The class of b gains nothing, so it is not listed: one entry, for any. */
	assert_int_equal(cluster.desired->n_programs, 1);
	assert_int_equal(cluster.desired->programs[0].n_entries, 1);
	assert_int_equal(cluster.desired->programs[0].entries[0].class, BH_CLASS_ANY);
	free_cluster(&cluster);
}

static void only_pods_of_this_node_are_endpoints(void **state)
{
	struct cluster cluster = new_cluster(POD("here", "10.0.0.1", "{}") ELSEWHERE("shop",
		"there", "10.0.0.2", "{}") "---\n{kind: Pod, apiVersion: v1, metadata: {namespace: "
					   "shop, name: unsaid}, status: {podIP: 10.0.0.3}}\n"
					   "---\n{kind: Pod, apiVersion: v1, metadata: {namespace: "
					   "shop, name: waiting}, spec: {nodeName: n1}}\n");

	assert_int_equal(cluster.desired->n_endpoints, 2);
	assert_non_null(endpoint_of(&cluster, "10.0.0.1"));
	assert_non_null(endpoint_of(&cluster, "10.0.0.3"));
	assert_int_equal(cluster.desired->addresses.n, 3);
	free_cluster(&cluster);
}

static void workloads_are_what_people_call_them(void **state)
{
	static const struct {
		const char *owner; /* "kind/name", NULL: none */
		const char *hash;  /* pod-template-hash, NULL: none */
		const char *kind, *name;
	} cases[] = {
		{NULL, NULL, "Pod", "p"},
		{"ReplicaSet/web-6b7f8c9d5", "6b7f8c9d5", "Deployment", "web"},
		{"ReplicaSet/web-6b7f8c9d5", NULL, "Deployment", "web"},
		{"ReplicaSet/web-front-6b7f8c9d5", "6b7f8c9d5", "Deployment", "web-front"},
		{"ReplicaSet/web-front", NULL, "ReplicaSet", "web-front"},
		{"ReplicaSet/web-front", "other", "ReplicaSet", "web-front"},
		{"StatefulSet/db", NULL, "StatefulSet", "db"},
		{"DaemonSet/agent", NULL, "DaemonSet", "agent"},
		{"Job/backup", NULL, "Job", "backup"},
		{"Job/backup-28401234", NULL, "CronJob", "backup"},
		{"Job/backup-2840123", NULL, "Job", "backup-2840123"},
		{"ReplicationController/rc", NULL, "ReplicationController", "rc"},
		{"Node/n1", NULL, "Pod", "p"},
		{"Rollout/thing", NULL, "Pod", "p"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cluster cluster = {
			bh_model_new("n1", BH_MODE_ENFORCE), bh_compiler_new(), NULL};
		struct bh_label item = {"pod-template-hash", cases[i].hash};
		struct bh_labels labels = {.n = cases[i].hash != NULL, .items = &item};
		struct bh_ip ip = ip_of("10.0.0.1");
		char kind[64] = "";
		const char *slash = cases[i].owner ? strchr(cases[i].owner, '/') : NULL;

		if (slash)
			snprintf(kind, sizeof(kind), "%.*s", (int)(slash - cases[i].owner),
				cases[i].owner);
		bh_model_put_pod(cluster.model, &(struct bh_pod){.uid = "u",
							.namespace = "shop",
							.name = "p",
							.labels = &labels,
							.n_ips = 1,
							.ips = &ip,
							.owner_kind = slash ? kind : NULL,
							.owner_name = slash ? slash + 1 : NULL});
		compile_cluster(&cluster);
		const struct bh_desired_workload *workload = bh_lookup_workload(
			cluster.desired, endpoint_of(&cluster, "10.0.0.1")->workload);

		assert_string_equal(workload->kind, cases[i].kind);
		assert_string_equal(workload->name, cases[i].name);
		assert_string_equal(workload->namespace, "shop");
		free_cluster(&cluster);
	}
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

#define BUSY_CLUSTER                                                                            \
	POD("a", "10.0.0.1", "{app: a}")                                                        \
	POD("b", "10.0.0.2", "{app: b}")                                                        \
	NAMED("c", "10.0.0.3", "c", "8080")                                                     \
	ELSEWHERE("other", "o", "10.1.0.1", "{app: b}")                                         \
	POLICY("p", "{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: "   \
		    "{matchLabels: {app: b}}}, {ipBlock: {cidr: 10.1.0.0/16}}]}], egress: "     \
		    "[{ports: [{port: http}]}, {to: [{namespaceSelector: {}}], ports: [{port: " \
		    "53, protocol: UDP}]}]}")                                                   \
	POLICY("q", "{podSelector: {matchLabels: {app: b}}}")

static void assert_same(const struct bh_desired *a, const struct bh_desired *b)
{
	assert_int_equal(a->addresses.n, b->addresses.n);
	for (size_t i = 0; i < a->addresses.n; i++) {
		assert_int_equal(bh_ip_compare(&nth_address(a, i)->ip, &nth_address(b, i)->ip), 0);
		assert_int_equal(nth_address(a, i)->class, nth_address(b, i)->class);
		assert_int_equal(nth_address(a, i)->workload, nth_address(b, i)->workload);
	}
	assert_int_equal(a->n_blocks, b->n_blocks);
	for (size_t i = 0; i < a->n_blocks; i++)
		assert_int_equal(a->blocks[i].class, b->blocks[i].class);
	assert_int_equal(a->n_programs, b->n_programs);
	for (size_t i = 0; i < a->n_programs; i++) {
		assert_int_equal(a->programs[i].number, b->programs[i].number);
		assert_int_equal(a->programs[i].n_entries, b->programs[i].n_entries);
	}
	assert_int_equal(a->n_endpoints, b->n_endpoints);
	for (size_t i = 0; i < a->n_endpoints; i++) {
		assert_int_equal(a->endpoints[i].active, b->endpoints[i].active);
		assert_int_equal(a->endpoints[i].pending, b->endpoints[i].pending);
	}
}

static void another_process_gives_the_same_numbers(void **state)
{
	struct cluster first = new_cluster(BUSY_CLUSTER), second = new_cluster(BUSY_CLUSTER);

	assert_same(first.desired, second.desired);
	free_cluster(&first);
	free_cluster(&second);
}

static void compiling_again_and_going_back_gives_the_same_numbers(void **state)
{
	struct cluster cluster = new_cluster(BUSY_CLUSTER);
	struct bh_desired *before = bh_desired_ref(cluster.desired);

	compile_cluster(&cluster);
	assert_same(before, cluster.desired);
	put_yaml(cluster.model,
		POLICY("q",
			"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"));
	compile_cluster(&cluster);
	assert_true(cluster.desired->n_blocks > before->n_blocks);
	put_yaml(cluster.model, POLICY("q", "{podSelector: {matchLabels: {app: b}}}"));
	compile_cluster(&cluster);
	assert_same(before, cluster.desired);
	bh_desired_unref(before);
	free_cluster(&cluster);
}

static void policies_of_pods_elsewhere_make_no_classes(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{app: a}") ELSEWHERE(
		"shop", "b", "10.0.0.2", "{app: b}") POLICY("p",
		"{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: "
		"{matchLabels: {app: a}}}, {ipBlock: {cidr: 1.0.0.0/8}}]}]}"));

	assert_int_equal(cluster.desired->n_blocks, 0);
	for (size_t i = 0; i < cluster.desired->addresses.n; i++)
		assert_int_equal(nth_address(cluster.desired, i)->class, BH_CLASS_NONE);
	assert_int_equal(cluster.desired->n_programs, 0);
	/* It still has its rule's name, for whoever asks. */
	assert_int_equal(cluster.desired->n_rule_names, 1);
	free_cluster(&cluster);
}

static void every_array_is_sorted_and_every_number_in_range(void **state)
{
	struct cluster cluster = new_cluster(BUSY_CLUSTER);
	const struct bh_desired *d = cluster.desired;

	for (size_t i = 0; i < d->addresses.n; i++) {
		assert_true(!i ||
			    bh_ip_compare(&nth_address(d, i - 1)->ip, &nth_address(d, i)->ip) < 0);
		assert_true(nth_address(d, i)->class < BH_CLASS_TRANSIENT);
		assert_non_null(bh_lookup_workload(d, nth_address(d, i)->workload));
	}
	for (size_t i = 0; i < d->n_programs; i++) {
		const struct bh_desired_program *program = &d->programs[i];

		assert_true(!i || d->programs[i - 1].number < program->number);
		for (size_t j = 0; j < program->n_entries; j++) {
			const struct bh_desired_entry *entry = &program->entries[j];

			assert_true(
				entry->class == BH_CLASS_ANY || entry->class < BH_CLASS_TRANSIENT);
			assert_true(entry->class != BH_CLASS_NONE);
			assert_true(entry->n_rules > 0);
			for (size_t k = 0; k < entry->n_rules; k++)
				assert_non_null(bh_lookup_rule(d, entry->rules[k].rule));
		}
	}
	for (size_t i = 1; i < d->n_endpoints; i++)
		assert_true(strcmp(d->endpoints[i - 1].uid, d->endpoints[i].uid) < 0);
	for (size_t i = 1; i < d->workloads.n; i++)
		assert_true(nth_workload(d, i - 1)->number < nth_workload(d, i)->number);
	for (size_t i = 1; i < d->n_rule_names; i++)
		assert_true(d->rule_names[i - 1].number < d->rule_names[i].number);
	free_cluster(&cluster);
}

static void identical_pods_share_a_program(void **state)
{
	struct cluster cluster = new_cluster(POD("a", "10.0.0.1", "{app: a}") POD(
		"b", "10.0.0.2", "{app: a}") POLICY("p",
		"{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {}}]}]}"));

	assert_int_equal(cluster.desired->n_programs, 1);
	assert_int_equal(endpoint_of(&cluster, "10.0.0.1")->active,
		endpoint_of(&cluster, "10.0.0.2")->active);
	free_cluster(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_policy_everything_passes),
		cmocka_unit_test(a_node_that_nobody_knows_is_named),
		cmocka_unit_test(isolates_only_in_the_direction_asked_for),
		cmocka_unit_test(a_policy_selects_pods_of_its_own_namespace_only),
		cmocka_unit_test(several_policies_add_up),
		cmocka_unit_test(an_invalid_policy_isolates_and_allows_nothing),
		cmocka_unit_test(a_peer_is_who_its_selectors_say),
		cmocka_unit_test(a_hole_in_one_block_may_be_filled_by_another),
		cmocka_unit_test(blocks_of_both_families_are_kept_apart),
		cmocka_unit_test(pods_of_the_host_network_are_nodes_to_policy),
		cmocka_unit_test(pods_that_ended_are_not_there),
		cmocka_unit_test(ports_by_number_range_and_protocol),
		cmocka_unit_test(ingress_port_names_are_the_pods_own),
		cmocka_unit_test(egress_port_names_are_the_destinations),
		cmocka_unit_test(an_egress_port_name_to_anyone_means_each_pod_by_its_own_number),
		cmocka_unit_test(modes_choose_the_programs),
		cmocka_unit_test(the_nearest_level_decides_and_a_command_wins_there),
		cmocka_unit_test(quarantine_cuts_a_pod_off_in_every_mode),
		cmocka_unit_test(of_two_pods_with_one_address_the_newer_keeps_it),
		cmocka_unit_test(a_pod_cannot_take_the_nodes_address),
		cmocka_unit_test(addresses_no_pod_can_have_are_left_out),
		cmocka_unit_test(an_endpoint_has_two_addresses_of_each_family),
		cmocka_unit_test(a_rule_for_anyone_names_what_it_allows_before_others),
		cmocka_unit_test(only_pods_of_this_node_are_endpoints),
		cmocka_unit_test(workloads_are_what_people_call_them),
		cmocka_unit_test(another_process_gives_the_same_numbers),
		cmocka_unit_test(compiling_again_and_going_back_gives_the_same_numbers),
		cmocka_unit_test(policies_of_pods_elsewhere_make_no_classes),
		cmocka_unit_test(every_array_is_sorted_and_every_number_in_range),
		cmocka_unit_test(identical_pods_share_a_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
