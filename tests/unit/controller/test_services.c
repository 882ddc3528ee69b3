/* SPDX-License-Identifier: Apache-2.0 */

/* Services: what their addresses mean to the pods that send to them. */
#include "controller/compile/services.h"

#include "tests/unit/controller/fixture.h"

#define POD_PORTS(name, node, ip, labels, ports)                                        \
	"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: " name      \
	", labels: " labels "}, spec: {nodeName: " node ", containers: [{ports: " ports \
	"}]}, status: {podIP: "                                                         \
	"'" ip "'}}\n"
#define POD(name, ip, labels) POD_PORTS(name, "n1", ip, labels, "[]")
#define SERVICE(name, spec)                                                            \
	"---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: " name \
	"}, spec: " spec "}\n"
#define SLICE(name, service, family, ports, addresses)                                       \
	"---\n{kind: EndpointSlice, apiVersion: discovery.k8s.io/v1, metadata: {namespace: " \
	"shop, name: " name ", labels: {kubernetes.io/service-name: " service "}}, "         \
	"addressType: " family ", ports: " ports ", endpoints: [{addresses: " addresses "}]}\n"
#define EGRESS(rules)                                                                         \
	"---\n{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {namespace: " \
	"shop, name: front}, spec: {podSelector: {matchLabels: {app: front}}, policyTypes: "  \
	"[Egress], egress: " rules "}}\n"

#define FRONT "10.0.0.1"
#define VIP "10.96.0.1"
#define PEOPLE                                       \
	POD("front", FRONT, "{app: front}")          \
	POD("a1", "10.0.0.11", "{app: a, tier: db}") \
	POD("a2", "10.0.0.12", "{app: a}") POD("b1", "10.0.0.21", "{app: b, tier: db}")

static enum bh_reason ask(
	const struct cluster *cluster, const char *peer, uint8_t protocol, uint16_t port)
{
	return judge(cluster, endpoint_of(cluster, FRONT)->active, BH_EGRESS, peer, protocol, port);
}

static const struct bh_desired_address *address_of(const struct cluster *cluster, const char *text)
{
	struct bh_ip ip = ip_of(text);

	for (size_t i = 0; i < cluster->desired->addresses.n; i++) {
		if (!bh_ip_compare(&nth_address(cluster->desired, i)->ip, &ip))
			return nth_address(cluster->desired, i);
	}
	return NULL;
}

static void a_service_answers_for_its_backends(void **state)
{
	static const struct {
		const char *yaml;
		enum bh_reason reason;
	} cases[] = {
		/* All. */
		{EGRESS("[{to: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 8080}]}]"),
			BH_REASON_POLICY},
		/* None: by the service's port alone. */
		{EGRESS("[{to: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]"),
			BH_REASON_ISOLATED},
		{EGRESS("[{to: [{podSelector: {matchLabels: {app: b}}}]}]"), BH_REASON_ISOLATED},
		{EGRESS("[]"), BH_REASON_ISOLATED},
		/* They differ. */
		{EGRESS("[{to: [{podSelector: {matchLabels: {app: a, tier: db}}}]}]"),
			BH_REASON_SERVICE},
		{EGRESS("[{to: [{ipBlock: {cidr: 10.0.0.12/32}}]}]"), BH_REASON_SERVICE},
		/* A block that has the service's address says nothing of its backends. */
		{EGRESS("[{to: [{ipBlock: {cidr: 10.96.0.0/12}}]}]"), BH_REASON_ISOLATED},
		{EGRESS("[{to: [{ipBlock: {cidr: 10.96.0.0/12}}], ports: [{port: 80}]}]"),
			BH_REASON_ISOLATED},
		{EGRESS("[{to: [{ipBlock: {cidr: 10.96.0.0/12}}]}, {to: [{podSelector: "
			"{matchLabels: {app: a}}}], ports: [{port: 8080}]}]"),
			BH_REASON_POLICY},
		{EGRESS("[{}]"), BH_REASON_POLICY},
		{"", BH_REASON_NOT_ISOLATED},
	};
	char yaml[8192];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(yaml, sizeof(yaml), "%s%s",
			PEOPLE SERVICE("a", "{clusterIP: " VIP ", selector: {app: a}, ports: "
					    "[{port: 80, targetPort: 8080}]}"),
			cases[i].yaml);
		struct cluster cluster = new_cluster(yaml);

		print_message("# case %zu\n", i);
		assert_int_equal(cluster.desired->n_problems, 0);
		assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), cases[i].reason);
		free_cluster(&cluster);
	}
}

static const char *workload_of(const struct cluster *cluster, const char *address)
{
	static char text[128];
	const struct bh_desired_workload *workload =
		bh_lookup_workload(cluster->desired, address_of(cluster, address)->workload);

	snprintf(text, sizeof(text), "%s %s/%s", workload->kind, workload->namespace,
		workload->name);
	return text;
}

static void its_addresses_are_services_and_bear_its_name(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE("a",
		"{clusterIP: " VIP ", clusterIPs: [" VIP ", 'fd00::1'], externalIPs: [192.0.2.1], "
		"selector: {app: a}, ports: [{port: 80}]}, status: {loadBalancer: {ingress: [{ip: "
		"192.0.2.2, ipMode: VIP}, {ip: 192.0.2.3, ipMode: Proxy}, {ip: 192.0.2.4}, "
		"{hostname: x.example}]}}"));
	static const char *const all[] = {VIP, "fd00::1", "192.0.2.1", "192.0.2.2", "192.0.2.4"};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_non_null(address_of(&cluster, all[i]));
		assert_true(address_of(&cluster, all[i])->service);
		assert_string_equal(workload_of(&cluster, all[i]), "Service shop/a");
	}
	assert_null(address_of(&cluster, "192.0.2.3"));
	assert_false(address_of(&cluster, FRONT)->service);
	free_cluster(&cluster);
}

/* ---- Ports ------------------------------------------------------------------------------------
 */

#define SERVICE_A                                                                               \
	SERVICE("a", "{clusterIP: " VIP ", selector: {app: a}, ports: [{port: 80, targetPort: " \
		     "8080}]}")
#define TO_A "{to: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 8080}]}"

static void other_ports_are_as_without_the_service(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE_A EGRESS("[" TO_A "]"));

	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 8080), BH_REASON_ISOLATED);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_UDP, 80), BH_REASON_ISOLATED);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_ICMP, 0), BH_REASON_ISOLATED);
	free_cluster(&cluster);
	cluster = new_cluster(
		PEOPLE SERVICE_A EGRESS("[" TO_A ", {to: [{ipBlock: {cidr: 10.96.0.0/12}}]}]"));
	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 8080), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_ICMP, 0), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, "10.96.0.2", IPPROTO_TCP, 80), BH_REASON_POLICY);
	free_cluster(&cluster);
}

/* What has no ports meets only ranges that are everything, and those are not made of pieces. */
static void pieces_never_make_a_range_that_is_everything(void **state)
{
	static const struct {
		const char *policy;
		enum bh_reason port, none; /* TCP 80, and TCP without a port */
	} cases[] = {
		{EGRESS("[{to: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 8080}]}, "
			"{to: [{ipBlock: {cidr: 10.96.0.0/12}}], ports: [{protocol: TCP}]}]"),
			BH_REASON_POLICY, BH_REASON_ISOLATED},
		{EGRESS("[{to: [{ipBlock: {cidr: 10.96.0.0/12}}], ports: [{port: 1, endPort: 79}, "
			"{port: 81, endPort: 65535}]}, {to: [{podSelector: {matchLabels: {app: "
			"a}}}], ports: [{port: 8080}]}]"),
			BH_REASON_POLICY, BH_REASON_ISOLATED},
		{EGRESS("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{protocol: TCP}]}]"),
			BH_REASON_POLICY, BH_REASON_POLICY},
	};
	char yaml[8192];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t rule;

		snprintf(yaml, sizeof(yaml), "%s%s", PEOPLE SERVICE_A, cases[i].policy);
		struct cluster cluster = new_cluster(yaml);

		assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), cases[i].port);
		assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 81), BH_REASON_POLICY);
		assert_int_equal(
			bh_lookup_verdict(cluster.desired, endpoint_of(&cluster, FRONT)->active,
				BH_EGRESS, address_of(&cluster, VIP)->class, IPPROTO_TCP, 0, false,
				&rule),
			cases[i].none);
		free_cluster(&cluster);
	}
}

static void the_rule_of_the_first_backend_is_named(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE_A EGRESS(
		"[{to: [{ipBlock: {cidr: 10.96.0.0/12}}], ports: [{port: 80}]}, " TO_A "]"));
	uint32_t rule;

	assert_int_equal(
		bh_lookup_verdict(cluster.desired, endpoint_of(&cluster, FRONT)->active, BH_EGRESS,
			address_of(&cluster, VIP)->class, IPPROTO_TCP, 80, true, &rule),
		BH_REASON_POLICY);
	assert_int_equal(bh_lookup_rule(cluster.desired, rule)->index, 1);
	free_cluster(&cluster);
}

static void every_pod_has_its_own_number_for_a_named_target(void **state)
{
	static const char *const policies[] = {
		EGRESS("[{to: [{podSelector: {}}], ports: [{port: 1000}]}]"),
		EGRESS("[{to: [{podSelector: {}}], ports: [{port: 1000}, {port: 2000}]}]"),
		EGRESS("[{to: [{podSelector: {}}], ports: [{port: http}]}]"),
		EGRESS("[{to: [{podSelector: {}}], ports: [{port: 80}]}]"),
	};
	static const enum bh_reason wanted[] = {
		BH_REASON_SERVICE, BH_REASON_POLICY, BH_REASON_POLICY, BH_REASON_ISOLATED};
	char yaml[8192];

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		snprintf(yaml, sizeof(yaml), "%s%s",
			POD("front", FRONT, "{app: front}") POD_PORTS("a1", "n1", "10.0.0.11",
				"{app: a}", "[{name: http, containerPort: 1000}]")
				POD_PORTS("a2", "n2", "10.0.0.12", "{app: a}",
					"[{name: http, containerPort: 2000}]")
					POD("a3", "10.0.0.13", "{app: a}") SERVICE("a",
						"{clusterIP: " VIP ", selector: {app: a}, ports: "
						"[{port: 80, targetPort: http}]}"),
			policies[i]);
		struct cluster cluster = new_cluster(yaml);

		assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), wanted[i]);
		free_cluster(&cluster);
	}
}

static void protocols_are_told_apart(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE("a",
		"{clusterIP: " VIP ", selector: {app: a}, ports: [{name: t, port: 53}, {name: u, "
		"port: 53, protocol: UDP, targetPort: 5353}, {name: s, port: 53, protocol: SCTP}]}")
			EGRESS("[{to: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: "
			       "5353, protocol: UDP}, {port: 53, protocol: SCTP}]}]"));

	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 53), BH_REASON_ISOLATED);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_UDP, 53), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_SCTP, 53), BH_REASON_POLICY);
	free_cluster(&cluster);
}

static void too_many_ports_are_not_told_apart(void **state)
{
	char ports[16384] = "", yaml[20000];

	for (int i = 0; i < 129; i++)
		sprintf(ports + strlen(ports), "%s{name: p%d, port: %d}", i ? ", " : "", i,
			1000 + i);
	snprintf(yaml, sizeof(yaml),
		PEOPLE SERVICE("a", "{clusterIP: " VIP ", selector: {app: a}, ports: [%s]}")
			EGRESS("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"),
		ports);
	struct cluster cluster = new_cluster(yaml);

	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 1000), BH_REASON_SERVICE);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_UDP, 1), BH_REASON_SERVICE);
	assert_non_null(problem_of(&cluster, "too-many-ports", "Service shop/a"));
	free_cluster(&cluster);
}

/* ---- Backends ---------------------------------------------------------------------------------
 */

#define TWO_PORTS                                                                               \
	SERVICE("a", "{clusterIP: " VIP ", selector: {app: b}, ports: [{name: web, port: 80}, " \
		     "{name: db, port: 81, targetPort: x}]}")

static void slices_say_who_is_behind_a_service(void **state)
{
	static const struct {
		const char *slices;
		enum bh_reason web, db;
	} cases[] = {
		/* The selector (app: b) does not count once there is a slice. */
		{SLICE("s", "a", "IPv4", "[{name: web, port: 8080}, {name: db, port: 1}]",
			 "[10.0.0.11]"),
			BH_REASON_POLICY, BH_REASON_ISOLATED},
		{SLICE("s", "a", "IPv4", "[{name: web, port: 8080}]", "[10.0.0.11]")
				SLICE("t", "a", "IPv4", "[{name: web, port: 8080}]", "[10.0.0.21]"),
			BH_REASON_SERVICE, BH_REASON_SERVICE},
		/* Whatever its conditions. */
		{"---\n{kind: EndpointSlice, apiVersion: discovery.k8s.io/v1, metadata: "
		 "{namespace: "
		 "shop, name: s, labels: {kubernetes.io/service-name: a}}, addressType: IPv4, "
		 "ports: [{name: web, port: 8080}, {name: db, port: null}], endpoints: "
		 "[{addresses: [10.0.0.11], conditions: {ready: true}}, {addresses: [10.0.0.21], "
		 "conditions: {ready: false, serving: false, terminating: true}}]}\n",
			BH_REASON_SERVICE, BH_REASON_SERVICE},
		/* Names and protocols must be the service's. */
		{SLICE("s", "a", "IPv4",
			 "[{name: Web, port: 8080}, {name: db, port: 8080, "
			 "protocol: UDP}]",
			 "[10.0.0.11]"),
			BH_REASON_SERVICE, BH_REASON_SERVICE},
		/* A node, and somebody outside. */
		{SLICE("s", "a", "IPv4", "[{name: web, port: 8080}]",
			 "[192.168.0.2]") "---\n{kind: Node, apiVersion: v1, metadata: {name: n2}, "
					  "status: "
					  "{addresses: [{type: InternalIP, address: "
					  "192.168.0.2}]}}\n",
			BH_REASON_POLICY, BH_REASON_SERVICE},
		{SLICE("s", "a", "IPv4", "[{name: web, port: 8080}]", "[192.168.0.2, 9.9.9.9]"),
			BH_REASON_SERVICE, BH_REASON_SERVICE},
		/* Another's slice, one with nobody in it, one of names. */
		{SLICE("s", "other", "IPv4", "[{name: web, port: 8080}]", "[10.0.0.11]"),
			BH_REASON_ISOLATED, BH_REASON_SERVICE},
		{SLICE("s", "a", "IPv4", "[]", "[]"), BH_REASON_SERVICE, BH_REASON_SERVICE},
		{SLICE("s", "a", "FQDN", "[{name: web, port: 8080}]", "[a.example]"),
			BH_REASON_SERVICE, BH_REASON_SERVICE},
	};
	char yaml[8192];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(yaml, sizeof(yaml), "%s%s",
			PEOPLE TWO_PORTS EGRESS(
				"[" TO_A ", {to: [{ipBlock: {cidr: 192.168.0.0/16}}]}]"),
			cases[i].slices);
		struct cluster cluster = new_cluster(yaml);

		print_message("# case %zu\n", i);
		assert_int_equal(cluster.desired->n_problems, 0);
		assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), cases[i].web);
		assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 81), cases[i].db);
		free_cluster(&cluster);
	}
}

static void without_slices_the_selected_pods_are_behind_it(void **state)
{
	/* One has ended, one is on the host's network, one is in another namespace. */
	struct cluster cluster = new_cluster(PEOPLE SERVICE_A
		"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: done, labels: "
		"{app: a}}, spec: {nodeName: n2}, status: {podIP: 10.0.9.1, phase: Failed}}\n"
		"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: else, name: a, labels: "
		"{app: "
		"a}}, spec: {nodeName: n2}, status: {podIP: 10.0.9.2}}\n" EGRESS("[" TO_A "]"));

	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_POLICY);
	put_yaml(cluster.model, "{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: "
				"host, labels: {app: a}}, spec: {nodeName: n2, hostNetwork: true}, "
				"status: {podIP: 192.168.0.2}}\n");
	compile_cluster(&cluster);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_SERVICE);
	free_cluster(&cluster);
	cluster = new_cluster(PEOPLE SERVICE("a", "{clusterIP: " VIP ", ports: [{port: 80}]}")
			EGRESS("[{to: [{podSelector: {}}]}]"));
	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_SERVICE);
	free_cluster(&cluster);
}

static void the_sender_counts_as_any_other_backend(void **state)
{
	struct cluster cluster =
		new_cluster(PEOPLE SERVICE("all", "{clusterIP: " VIP ", selector: {app: front}, "
						  "ports: [{port: 80}]}") EGRESS("[" TO_A "]"));

	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_ISOLATED);
	free_cluster(&cluster);
}

static void each_family_has_its_own_backends(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE POD("a6", "fd00::11",
		"{app: a}") "---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: "
			    "dual, labels: "
			    "{app: dual}}, spec: {nodeName: n1}, status: {podIPs: [{ip: "
			    "10.0.0.99}, {ip: "
			    "'fd00::99'}]}}\n" SERVICE("a",
				    "{clusterIPs: [" VIP ", 'fd00:96::1'], ports: "
				    "[{port: 80}]}")
				    SLICE("v4", "a", "IPv4", "[{port: 8080}]", "[10.0.0.11]")
					    SLICE("v6", "a", "IPv6", "[{port: 80}]", "['fd00::11']")
						    EGRESS("[" TO_A "]"));

	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, "fd00:96::1", IPPROTO_TCP, 80), BH_REASON_ISOLATED);
	free_cluster(&cluster);
}

static void a_service_without_an_address_is_nobody(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE("headless",
		"{clusterIP: None, clusterIPs: [None], externalIPs: "
		"[192.0.2.1], ports: [{port: 80}]}") SERVICE("alias",
		"{type: ExternalName, externalName: x.example, externalIPs: "
		"[192.0.2.2]}") SERVICE("young", "{ports: [{port: 80}], selector: {app: a}}")
			SERVICE("empty", "{clusterIP: '', ports: [{port: 80}]}"));

	assert_null(address_of(&cluster, "192.0.2.1"));
	assert_null(address_of(&cluster, "192.0.2.2"));
	assert_int_equal(cluster.desired->addresses.n, 4);
	assert_int_equal(cluster.desired->n_problems, 0);
	free_cluster(&cluster);
}

/* ---- Classes ----------------------------------------------------------------------------------
 */

static void scaling_does_not_change_its_class(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE_A SERVICE("again",
		"{clusterIP: 10.96.0.9, selector: {app: a}, ports: [{port: 80, targetPort: 8080}]}")
			SERVICE("other", "{clusterIP: 10.96.0.10, selector: {app: a}, ports: "
					 "[{port: 80, targetPort: 8081}]}") EGRESS("[" TO_A "]"));
	uint32_t class = address_of(&cluster, VIP)->class;
	uint32_t program = endpoint_of(&cluster, FRONT)->active;

	assert_int_equal(address_of(&cluster, "10.96.0.9")->class, class);
	assert_int_not_equal(address_of(&cluster, "10.96.0.10")->class, class);
	put_yaml(cluster.model, POD("a3", "10.0.0.13", "{app: a, pod-template-hash: x}"));
	compile_cluster(&cluster);
	assert_int_equal(address_of(&cluster, VIP)->class, class);
	assert_int_equal(endpoint_of(&cluster, FRONT)->active, program);

	/* Nor does another process give other numbers. */
	struct cluster fresh = {cluster.model, bh_compiler_new(), NULL};

	compile_cluster(&fresh);
	assert_int_equal(address_of(&fresh, VIP)->class, class);
	assert_int_equal(endpoint_of(&fresh, FRONT)->active, program);
	bh_desired_unref(fresh.desired);
	bh_compiler_free(fresh.compiler);
	free_cluster(&cluster);
}

/* Somebody may really have a load balancer's address, and send from it. */
static void who_sends_from_an_outside_address_is_who_it_was(void **state)
{
	struct cluster cluster = new_cluster(POD("front", FRONT, "{app: front}") SERVICE("a",
		"{clusterIP: " VIP ", externalIPs: [192.0.2.1], ports: [{port: "
		"80}]}") "---\n{kind: NetworkPolicy, "
			 "apiVersion: networking.k8s.io/v1, "
			 "metadata: "
			 "{namespace: shop, name: in}, spec: "
			 "{podSelector: {}, ingress: [{from: "
			 "[{ipBlock: {cidr: 192.0.2.0/24}}], "
			 "ports: [{port: 443}]}]}}\n");

	assert_true(allows(&cluster, FRONT, BH_INGRESS, "192.0.2.1", IPPROTO_TCP, 443));
	assert_true(allows(&cluster, FRONT, BH_INGRESS, "192.0.2.2", IPPROTO_TCP, 443));
	assert_false(allows(&cluster, FRONT, BH_INGRESS, "192.0.2.1", IPPROTO_TCP, 80));
	assert_false(allows(&cluster, FRONT, BH_INGRESS, "192.0.3.1", IPPROTO_TCP, 443));
	free_cluster(&cluster);
}

/* ---- Conflicts --------------------------------------------------------------------------------
 */

static void pods_and_nodes_keep_their_addresses(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE
		"---\n{kind: Node, apiVersion: v1, metadata: {name: n2}, status: {addresses: "
		"[{type: "
		"InternalIP, address: 192.168.0.2}]}}\n" SERVICE(
			"a", "{clusterIP: 10.0.0.11, ports: [{port: 80}]}")
			SERVICE("b", "{clusterIP: " VIP
				     ", externalIPs: [192.168.0.2, 127.0.0.1], ports: [{port: "
				     "80}]}"));

	assert_false(address_of(&cluster, "10.0.0.11")->service);
	assert_string_equal(workload_of(&cluster, "10.0.0.11"), "Pod shop/a1");
	assert_string_equal(workload_of(&cluster, "192.168.0.2"), "Node /n2");
	assert_string_equal(problem_of(&cluster, "address-conflict", "Service shop/a"),
		"its address 10.0.0.11 is also Pod shop/a1's, which keeps it: what is sent to it "
		"is "
		"judged as sent to that");
	assert_non_null(problem_of(&cluster, "address-conflict", "Service shop/b"));
	assert_string_equal(problem_of(&cluster, "bad-address", "Service shop/b"),
		"127.0.0.1 is not an address a service can have; it is left out");
	assert_null(address_of(&cluster, "127.0.0.1"));
	free_cluster(&cluster);
}

/* As kube-proxy in IPVS mode does. */
static void an_address_on_an_interface_of_the_node_may_be_a_service(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE_A EGRESS("[" TO_A "]"));
	struct bh_ip ips[] = {ip_of(VIP), ip_of("192.168.0.1")};

	bh_model_set_host_addresses(cluster.model, 2, ips);
	compile_cluster(&cluster);
	assert_int_equal(cluster.desired->n_problems, 0);
	assert_true(address_of(&cluster, VIP)->service);
	assert_int_equal(address_of(&cluster, "192.168.0.1")->workload, BH_WORKLOAD_NODE);
	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_POLICY);
	free_cluster(&cluster);
}

static void what_two_services_claim_is_judged_after_the_rewrite(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE
		"---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: first, "
		"uid: "
		"u1}, spec: {clusterIP: 10.96.0.7, externalIPs: [192.0.2.1], selector: {app: a}, "
		"ports: [{name: w, port: 80, targetPort: 8080}, {name: v, port: 81, targetPort: "
		"8080}]}}\n"
		"---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: second, "
		"uid: "
		"u2}, spec: {clusterIP: 10.96.0.8, externalIPs: [192.0.2.1], selector: {app: a}, "
		"ports: [{name: w, port: 80, targetPort: 8080}, {name: v, port: 82, targetPort: "
		"8080}]}}\n" EGRESS("[" TO_A "]"));

	assert_string_equal(workload_of(&cluster, "192.0.2.1"), "Service shop/first");
	assert_int_equal(ask(&cluster, "192.0.2.1", IPPROTO_TCP, 80), BH_REASON_SERVICE);
	assert_int_equal(ask(&cluster, "192.0.2.1", IPPROTO_TCP, 81), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, "192.0.2.1", IPPROTO_TCP, 82), BH_REASON_POLICY);
	assert_int_equal(ask(&cluster, "192.0.2.1", IPPROTO_TCP, 83), BH_REASON_ISOLATED);
	assert_int_equal(ask(&cluster, "10.96.0.7", IPPROTO_TCP, 80), BH_REASON_POLICY);
	assert_int_equal(cluster.desired->n_problems, 1);
	assert_string_equal(problem_of(&cluster, "address-conflict", "Service shop/second"),
		"its address 192.0.2.1 with TCP 80 is also that of Service shop/first: what is "
		"sent "
		"there is judged where the address is rewritten");
	free_cluster(&cluster);
}

/* Whoever may write a service must not take another's cluster address by its uid. */
static void a_cluster_address_bears_the_name_of_its_own_service(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE
		"---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: thief, "
		"uid: "
		"u1}, spec: {externalIPs: [" VIP "], clusterIP: 10.96.0.7, ports: [{port: 80}]}}\n"
		"---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: owner, "
		"uid: "
		"u2}, spec: {clusterIP: " VIP
		", selector: {app: b}, ports: [{port: 80}]}}\n" EGRESS("[" TO_A "]"));

	assert_string_equal(workload_of(&cluster, VIP), "Service shop/owner");
	assert_int_equal(ask(&cluster, VIP, IPPROTO_TCP, 80), BH_REASON_SERVICE);
	free_cluster(&cluster);
}

static void a_slice_that_names_no_service_is_named(void **state)
{
	struct cluster cluster = new_cluster(PEOPLE SERVICE_A
		"---\n{kind: EndpointSlice, apiVersion: discovery.k8s.io/v1, metadata: {namespace: "
		"shop, name: s}, addressType: IPv4, endpoints: [{addresses: [9.9.9.9]}]}\n");

	assert_non_null(problem_of(&cluster, "slice-without-service", "EndpointSlice shop/s"));
	assert_int_equal(cluster.desired->n_problems, 1);
	free_cluster(&cluster);
}

/* ---- Entries of any making --------------------------------------------------------------------
 */

#define ALLOW(protocol_, lo, hi, number)                                            \
	{                                                                           \
		.protocol = protocol_, .port_lo = lo, .port_hi = hi, .rule = number \
	}
#define DENY(protocol_, lo, hi, number)                                                           \
	{                                                                                         \
		.protocol = protocol_, .deny = true, .port_lo = lo, .port_hi = hi, .rule = number \
	}
#define DEFER(port)                                                                      \
	{                                                                                \
		.protocol = IPPROTO_TCP, .defer = true, .port_lo = port, .port_hi = port \
	}

/* A service of base class 5 with TCP 80, behind which are classes 6 and 7 at TCP 8080. */
static void reads_deny_rules_and_rules_for_everything_as_the_kernel_does(void **state)
{
	static const struct {
		struct bh_desired_rule any[2], base[2], six[2],
			seven[2]; /* none: the first is empty */
		struct bh_desired_rule wanted[4];
	} cases[] = {
		/* Denied by a rule, and so is the service. */
		{.six = {DENY(0, 0, 65535, 1)},
			.seven = {DENY(IPPROTO_TCP, 1, 65535, 2)},
			.wanted = {DENY(IPPROTO_TCP, 80, 80, 1)}},
		{.six = {ALLOW(IPPROTO_TCP, 8080, 8080, 1)},
			.seven = {DENY(0, 0, 65535, 2)},
			.wanted = {DEFER(80)}},
		/* Denied by no rule, and by one. */
		{.six = {DENY(0, 0, 65535, 0)},
			.seven = {DENY(0, 0, 65535, 2)},
			.wanted = {DENY(IPPROTO_TCP, 80, 80, 2)}},
		{.six = {DENY(0, 0, 65535, 0)}, .seven = {DENY(0, 0, 65535, 0)}},
		/* What has a protocol goes before what has none. */
		{.any = {ALLOW(0, 0, 65535, 1)},
			.six = {ALLOW(0, 0, 65535, 1), DENY(IPPROTO_TCP, 8080, 8080, 2)},
			.seven = {ALLOW(0, 0, 65535, 1)},
			.wanted = {ALLOW(0, 0, 65535, 1), DEFER(80)}},
		{.any = {ALLOW(0, 0, 65535, 1)},
			.six = {DENY(0, 0, 65535, 2)},
			.seven = {DENY(0, 0, 65535, 2)},
			.wanted = {ALLOW(0, 0, 65535, 1), DENY(IPPROTO_TCP, 80, 80, 2)}},
		/* None is allowed, and nothing but a rule keeps it from being. */
		{.base = {ALLOW(0, 0, 65535, 1)},
			.wanted = {ALLOW(0, 0, 65535, 1), DENY(IPPROTO_TCP, 80, 80, 0)}},
		{.base = {ALLOW(IPPROTO_TCP, 0, 65535, 1)},
			.wanted = {ALLOW(IPPROTO_TCP, 0, 79, 1), ALLOW(IPPROTO_TCP, 81, 65535, 1)}},
		/* The address itself is denied, its backends are not. */
		{.base = {DENY(0, 0, 65535, 1)},
			.six = {ALLOW(0, 0, 65535, 2)},
			.seven = {ALLOW(0, 0, 65535, 3)},
			.wanted = {DENY(0, 0, 65535, 1), ALLOW(IPPROTO_TCP, 80, 80, 2)}},
		/* Three pieces by one rule that together are everything stay pieces. */
		{.base = {ALLOW(IPPROTO_TCP, 0, 79, 1), ALLOW(IPPROTO_TCP, 81, 65535, 1)},
			.six = {ALLOW(0, 0, 65535, 1)},
			.seven = {ALLOW(0, 0, 65535, 1)},
			.wanted = {ALLOW(IPPROTO_TCP, 0, 80, 1), ALLOW(IPPROTO_TCP, 81, 65535, 1)}},
		/* The same as for anyone: nothing is added. */
		{.any = {ALLOW(0, 0, 65535, 1)}},
		{.any = {DENY(0, 0, 65535, 1)}, .base = {DENY(0, 0, 65535, 1)}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_service_target targets[] = {
			{6, IPPROTO_TCP, 8080}, {7, IPPROTO_TCP, 8080}};
		uint32_t places[] = {0, 1};
		struct bh_service_class_port port = {IPPROTO_TCP, 80, 2, targets, places};
		struct bh_service_class class = {
			.number = 9, .base = 5, .n_ports = 1, .ports = &port};
		struct bh_service_class *classes[] = {&class};
		struct bh_services services = {
			.n_targets = 2, .targets = targets, .n = 1, .classes = classes};
		const struct bh_desired_rule *lists[] = {
			cases[i].base, cases[i].six, cases[i].seven, cases[i].any};
		const uint32_t numbers[] = {5, 6, 7, BH_CLASS_ANY};
		struct bh_desired_entry entries[4];
		const struct bh_desired_entry *more;
		struct bh_arena arena = {0};
		size_t n = 0, n_wanted = 0;

		for (size_t j = 0; j < 4; j++) {
			size_t n_rules = 0;

			while (n_rules < 2 && lists[j][n_rules].port_hi)
				n_rules++;
			if (n_rules)
				entries[n++] = (struct bh_desired_entry){
					true, numbers[j], n_rules, lists[j]};
		}
		while (cases[i].wanted[n_wanted].port_hi)
			n_wanted++;
		size_t n_more = bh_services_entries(
			&services, &arena, BH_PROGRAM_EGRESS_ISOLATED, entries, n, &more);

		print_message("# case %zu\n", i);
		assert_int_equal(n_more, n_wanted > 0);
		if (n_more) {
			assert_true(more[0].egress);
			assert_int_equal(more[0].class, 9);
			assert_true(bh_desired_same_rules(
				more[0].rules, more[0].n_rules, cases[i].wanted, n_wanted));
		}
		bh_arena_clear(&arena);
	}
}

/* ---- Bad input --------------------------------------------------------------------------------
 */

#define SLICE_OF(rest)                                                                        \
	"{kind: EndpointSlice, apiVersion: discovery.k8s.io/v1, metadata: {name: s, labels: " \
	"{kubernetes.io/service-name: a}}, " rest "}"
#define SERVICE_OF(spec) "{kind: Service, apiVersion: v1, metadata: {name: a}, " spec "}"

static void what_is_not_a_service_or_slice_is_refused_by_field(void **state)
{
	static const struct {
		const char *yaml;
		const char *fault;
	} cases[] = {
		{SERVICE_OF("spec: {clusterIP: nonsense}"),
			"spec.clusterIP: \"nonsense\" is not an address"},
		{SERVICE_OF("spec: {clusterIPs: [10.0.0.0/8]}"),
			"spec.clusterIPs[0]: \"10.0.0.0/8\" is not an address"},
		{SERVICE_OF("spec: {clusterIP: 10}"),
			"spec.clusterIP: must be a string, not an integer: put it in quotes"},
		{SERVICE_OF("spec: {externalIPs: [' ']}"),
			"spec.externalIPs[0]: \" \" is not an address"},
		{SERVICE_OF("status: {loadBalancer: {ingress: [{ip: x}]}}"),
			"status.loadBalancer.ingress[0].ip: \"x\" is not an address"},
		{SERVICE_OF("spec: {ports: [{port: 0}]}"),
			"spec.ports[0].port: must be a number between 1 and 65535"},
		{SERVICE_OF("spec: {ports: [{port: 65536}]}"),
			"spec.ports[0].port: must be a number between 1 and 65535"},
		{SERVICE_OF("spec: {ports: [{}]}"),
			"spec.ports[0].port: must be a number between 1 and 65535"},
		{SERVICE_OF("spec: {ports: [{port: 1, protocol: ICMP}]}"),
			"spec.ports[0].protocol: must be one of TCP, UDP, SCTP"},
		{SERVICE_OF("spec: {ports: [{port: 1, targetPort: 65536}]}"),
			"spec.ports[0].targetPort: must be a number between 1 and 65535"},
		{SERVICE_OF("spec: {ports: [{port: 1, targetPort: [1]}]}"),
			"spec.ports[0].targetPort: must be a number between 1 and 65535 or a "
			"port's "
			"name"},
		{SERVICE_OF("spec: {selector: {app: 1}}"),
			"spec.selector.app: must be a string, not an integer: put it in quotes"},
		{SERVICE_OF("spec: []"), "spec: must be an object, not a list"},
		{SLICE_OF("addressType: IPv5"), "addressType: must be one of IPv4, IPv6, FQDN"},
		{SLICE_OF("endpoints: []"), "addressType: must be one of IPv4, IPv6, FQDN"},
		{SLICE_OF("addressType: IPv6, endpoints: [{addresses: [10.0.0.1]}]"),
			"endpoints[0].addresses[0]: 10.0.0.1 is not an IPv6 address, as "
			"addressType "
			"says"},
		{SLICE_OF("addressType: IPv6, endpoints: [{addresses: ['::ffff:10.0.0.1']}]"),
			"endpoints[0].addresses[0]: 10.0.0.1 is not an IPv6 address, as "
			"addressType "
			"says"},
		{SLICE_OF("addressType: IPv4, endpoints: [{addresses: ['']}]"),
			"endpoints[0].addresses[0]: must not be empty"},
		{SLICE_OF("addressType: IPv4, endpoints: [{addresses: [x]}]"),
			"endpoints[0].addresses[0]: \"x\" is not an address"},
		{SLICE_OF("addressType: IPv4, endpoints: [{addresses: 10.0.0.1}]"),
			"endpoints[0].addresses: must be a list, not a string"},
		{SLICE_OF("addressType: IPv4, ports: [{port: 65536}]"),
			"ports[0].port: must be a number between 1 and 65535"},
		{SLICE_OF("addressType: IPv4, ports: [{port: 1, protocol: tcp}]"),
			"ports[0].protocol: must be one of TCP, UDP, SCTP"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_text_error error;
		struct bh_arena arena = {0};
		struct bh_object_list list = {0};
		struct bh_fault fault = {0};
		json_t *documents = bh_yaml_parse(cases[i].yaml, strlen(cases[i].yaml), &error);

		assert_non_null(documents);
		assert_false(bh_object_decode(json_array_get(documents, 0), &arena, &fault, &list));
		assert_string_equal(fault.text, cases[i].fault);
		json_decref(documents);
		bh_object_list_clear(&list);
		bh_arena_clear(&arena);
	}
}

static void the_same_again_changes_nothing(void **state)
{
	static const char *const same[] = {
		SERVICE_A SLICE("s", "a", "IPv4", "[{port: 1}]", "[10.0.0.11, 10.0.0.12]"),
		SERVICE_A SLICE(
			"s", "a", "IPv4", "[{port: 1}]", "[10.0.0.12, 10.0.0.11, 10.0.0.12]")};
	static const char *const other[] = {
		SLICE("s", "a", "IPv4", "[{port: 2}]", "[10.0.0.11, 10.0.0.12]"),
		SLICE("s", "a", "IPv4", "[{port: 2}]", "[10.0.0.11]"),
		SLICE("s", "b", "IPv4", "[{port: 2}]", "[10.0.0.11]"),
		SERVICE("a", "{clusterIP: " VIP ", selector: {app: b}, ports: [{port: 80, "
			     "targetPort: 8080}]}"),
		SERVICE("a", "{clusterIP: " VIP ", selector: {app: b}, ports: [{port: 80, "
			     "targetPort: web}]}"),
	};
	struct cluster cluster = new_cluster(same[0]);
	uint64_t revision = bh_model_revision(cluster.model);

	put_yaml(cluster.model, same[1]);
	assert_int_equal(bh_model_revision(cluster.model), revision);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		put_yaml(cluster.model, other[i]);
		assert_int_equal(bh_model_revision(cluster.model), ++revision);
	}
	assert_int_equal(bh_model_count_services(cluster.model), 1);
	assert_int_equal(bh_model_count_slices(cluster.model), 1);
	free_cluster(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_answers_for_its_backends),
		cmocka_unit_test(its_addresses_are_services_and_bear_its_name),
		cmocka_unit_test(other_ports_are_as_without_the_service),
		cmocka_unit_test(pieces_never_make_a_range_that_is_everything),
		cmocka_unit_test(the_rule_of_the_first_backend_is_named),
		cmocka_unit_test(every_pod_has_its_own_number_for_a_named_target),
		cmocka_unit_test(protocols_are_told_apart),
		cmocka_unit_test(too_many_ports_are_not_told_apart),
		cmocka_unit_test(slices_say_who_is_behind_a_service),
		cmocka_unit_test(without_slices_the_selected_pods_are_behind_it),
		cmocka_unit_test(the_sender_counts_as_any_other_backend),
		cmocka_unit_test(each_family_has_its_own_backends),
		cmocka_unit_test(a_service_without_an_address_is_nobody),
		cmocka_unit_test(scaling_does_not_change_its_class),
		cmocka_unit_test(who_sends_from_an_outside_address_is_who_it_was),
		cmocka_unit_test(pods_and_nodes_keep_their_addresses),
		cmocka_unit_test(an_address_on_an_interface_of_the_node_may_be_a_service),
		cmocka_unit_test(what_two_services_claim_is_judged_after_the_rewrite),
		cmocka_unit_test(a_cluster_address_bears_the_name_of_its_own_service),
		cmocka_unit_test(a_slice_that_names_no_service_is_named),
		cmocka_unit_test(reads_deny_rules_and_rules_for_everything_as_the_kernel_does),
		cmocka_unit_test(what_is_not_a_service_or_slice_is_refused_by_field),
		cmocka_unit_test(the_same_again_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
