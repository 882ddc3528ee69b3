/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ClusterNetworkPolicies by hand: what is understood and what is not, what becomes of it, and what
 * people are told. That they mean what the API says is shown by test_oracle.c.
 */
#include "controller/compile/explain.h"
#include "controller/compile/grammar.h"

#include "tests/unit/controller/fixture.h"

#define CLUSTER                                                                                   \
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n---\n"       \
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: ops, labels: {team: b}}\n---\n"        \
	"apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {role: worker}}\n"              \
	"status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}\n---\n"                  \
	"apiVersion: v1\nkind: Node\nmetadata: {name: n2, labels: {role: master}}\n"              \
	"status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}\n---\n"                  \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}\n" \
	"spec: {nodeName: n1}\nstatus: {podIP: 10.0.0.1}\n---\n"                                  \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: db, namespace: shop, labels: {app: db}}\n"   \
	"spec: {nodeName: n1, containers: [{ports: [{name: sql, containerPort: 5432},\n"          \
	"  {name: sql-udp, containerPort: 5432, protocol: UDP}]}]}\n"                             \
	"status: {podIP: 10.0.0.2}\n---\n"                                                        \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: probe, namespace: ops}\n"                    \
	"spec: {nodeName: n2}\nstatus: {podIP: 10.0.1.1}\n---\n"

#define WEB "10.0.0.1"
#define DB "10.0.0.2"
#define PROBE "10.0.1.1"

/* A ClusterNetworkPolicy called `name` with this spec, in flow style. */
#define CNP(name, spec)                                                                         \
	"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: " \
	"{name: " name "}\nspec: {" spec "}\n---\n"

#define ISOLATE_DB(rules)                                                                         \
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: " \
	"shop}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [" rules "]}\n---\n"

#define ALL "subject: {namespaces: {}}"
#define ADMIN "tier: Admin, priority: 10, " ALL
#define BASELINE "tier: Baseline, priority: 10, " ALL
#define EVERYONE "from: [{namespaces: {}}]"

static bool in(const struct cluster *cluster, const char *own, const char *peer, uint16_t port)
{
	return allows(cluster, own, BH_INGRESS, peer, IPPROTO_TCP, port);
}

static bool out(const struct cluster *cluster, const char *own, const char *peer, uint16_t port)
{
	return allows(cluster, own, BH_EGRESS, peer, IPPROTO_TCP, port);
}

static enum bh_reason why(
	const struct cluster *cluster, const char *own, const char *peer, uint16_t port)
{
	return judge(
		cluster, endpoint_of(cluster, own)->active, BH_INGRESS, peer, IPPROTO_TCP, port);
}

/* ---- Tiers ------------------------------------------------------------------------------------
 */

static void admin_goes_before_network_policies_and_baseline_behind(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("admin",
		ADMIN ", ingress: [{action: Deny, from: [{pods: {namespaceSelector: {matchLabels: "
		      "{team: b}}, podSelector: {}}}], protocols: [{tcp: {destinationPort: "
		      "{number: 22}}}]}]") CNP("base",
		BASELINE ", ingress: [{action: Deny, " EVERYONE "}]") ISOLATE_DB("{}"));

	/* The NetworkPolicy allows everything but what Admin denies; it keeps Baseline out. */
	assert_false(in(&cluster, DB, PROBE, 22));
	assert_true(in(&cluster, DB, PROBE, 23));
	assert_true(in(&cluster, DB, WEB, 22));
	/* Nothing isolates web: Baseline is asked. */
	assert_false(in(&cluster, WEB, DB, 80));
	assert_int_equal(cluster.desired->n_problems, 0);
	free_cluster(&cluster);
}

static void pass_hands_on_and_hides_the_rest_of_its_tier(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("a", ADMIN
		", ingress: [{action: Pass, " EVERYONE ", protocols: [{tcp: {destinationPort: "
		"{number: 80}}}]}, {action: Deny, " EVERYONE "}]")
			ISOLATE_DB("{ports: [{port: 80}, {port: 81}]}"));

	assert_true(in(&cluster, DB, WEB, 80));
	assert_false(in(&cluster, DB, WEB, 81));
	assert_true(in(&cluster, WEB, DB, 80)); /* no NetworkPolicy, no Baseline: open */
	assert_false(in(&cluster, WEB, DB, 81));
	free_cluster(&cluster);
}

static void the_reason_is_the_rule_or_that_there_was_none(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("a", ADMIN
		", ingress: [{action: Deny, " EVERYONE ", protocols: [{tcp: {destinationPort: "
		"{number: 22}}}]}, {action: Pass, " EVERYONE ", protocols: [{tcp: "
		"{destinationPort: {number: 23}}}]}, {action: Accept, " EVERYONE "}]")
			ISOLATE_DB(""));

	assert_int_equal(why(&cluster, WEB, DB, 22), BH_REASON_POLICY_DENY);
	assert_int_equal(why(&cluster, WEB, DB, 23), BH_REASON_NOT_ISOLATED);
	assert_int_equal(why(&cluster, WEB, DB, 24), BH_REASON_POLICY);
	assert_int_equal(why(&cluster, WEB, "8.8.8.8", 24), BH_REASON_NOT_ISOLATED);
	assert_int_equal(why(&cluster, DB, WEB, 23), BH_REASON_ISOLATED);
	assert_int_equal(why(&cluster, DB, WEB, 24), BH_REASON_POLICY);
	assert_int_equal(why(&cluster, DB, "8.8.8.8", 24), BH_REASON_ISOLATED);
	free_cluster(&cluster);
}

static void a_tie_of_priorities_is_decided_by_name_and_said(void **state)
{
	struct cluster cluster = new_cluster(
		CLUSTER CNP("second", ADMIN ", ingress: [{action: Deny, " EVERYONE "}]")
			CNP("first", ADMIN ", ingress: [{action: Accept, " EVERYONE "}]") CNP(
				"third", ADMIN ", egress: [{action: Deny, to: [{nodes: {}}]}]"));

	assert_true(in(&cluster, DB, WEB, 1));
	assert_non_null(strstr(problem_of(&cluster, "priority-tie", "ClusterNetworkPolicy second"),
		"has priority 10 in tier Admin, and so has ClusterNetworkPolicy first"));
	assert_int_equal(cluster.desired->n_problems, 1); /* the third is about egress */
	free_cluster(&cluster);
}

static void peers_are_nodes_by_label_and_networks(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("a",
		ADMIN ", egress: [{action: Deny, to: [{nodes: {matchLabels: {role: master}}}]},"
		      "{action: Accept, to: [{networks: [192.168.0.0/24, 2001:db8::/32]}]},"
		      "{action: Deny, to: [{networks: [192.168.0.0/16, '::/0']}]}]"));

	assert_false(out(&cluster, WEB, "192.168.0.2", 6443));
	assert_true(out(&cluster, WEB, "192.168.0.1", 6443));
	assert_false(out(&cluster, WEB, "192.168.1.1", 1));
	assert_true(out(&cluster, WEB, "2001:db8::1", 1));
	assert_false(out(&cluster, WEB, "2001:db9::1", 1));
	assert_true(out(&cluster, WEB, "8.8.8.8", 1));
	free_cluster(&cluster);
}

static void a_node_whose_labels_change_is_another_peer(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("a",
		ADMIN ", egress: [{action: Deny, to: [{nodes: {matchLabels: {role: master}}}]}]"));

	assert_false(out(&cluster, WEB, "192.168.0.2", 1));
	put_yaml(cluster.model,
		"apiVersion: v1\nkind: Node\nmetadata: {name: n2, labels: {role: worker}}\n"
		"status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}\n");
	compile_cluster(&cluster);
	assert_true(out(&cluster, WEB, "192.168.0.2", 1));
	free_cluster(&cluster);
}

static void a_named_port_is_of_every_protocol_that_has_it(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("a", ADMIN
		", ingress: [{action: Deny, " EVERYONE
		", protocols: [{destinationNamedPort: sql}, {destinationNamedPort: sql-udp}]}],"
		" egress: [{action: Deny, to: [{namespaces: {}}], protocols: "
		"[{destinationNamedPort: sql}]}]"));

	assert_false(in(&cluster, DB, WEB, 5432));
	assert_false(allows(&cluster, DB, BH_INGRESS, WEB, IPPROTO_UDP, 5432));
	assert_true(in(&cluster, WEB, DB, 5432));
	assert_false(out(&cluster, WEB, DB, 5432));
	assert_true(out(&cluster, WEB, PROBE, 5432));
	assert_true(allows(&cluster, WEB, BH_EGRESS, DB, IPPROTO_UDP, 5432));
	free_cluster(&cluster);
}

static void everything_is_denied_to_fragments_too(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("a",
		ADMIN ", ingress: [{action: Deny, " EVERYONE
		      ", protocols: [{tcp: {destinationPort: {number: 22}}}]}]") CNP("b",
		"tier: Admin, priority: 11, " ALL ", ingress: [{action: Deny, " EVERYONE "}]"));
	uint32_t rule;
	struct bh_ip ip = ip_of(WEB);

	assert_int_equal(bh_lookup_verdict(cluster.desired, endpoint_of(&cluster, DB)->active,
				 BH_INGRESS, bh_lookup_address(cluster.desired, &ip).class,
				 IPPROTO_TCP, 0, false, &rule),
		BH_REASON_POLICY_DENY);
	assert_false(allows(&cluster, DB, BH_INGRESS, WEB, IPPROTO_ICMP, 0));
	free_cluster(&cluster);
}

static void a_fragment_that_might_be_for_a_denied_port_does_not_pass(void **state)
{
	struct cluster cluster = new_cluster(
		CLUSTER CNP("a", ADMIN ", ingress: [{action: Deny, " EVERYONE
				       ", protocols: [{tcp: {destinationPort: {number: 22}}}]}]"));
	static const struct {
		uint8_t protocol;
		enum bh_reason reason;
	} cases[] = {{IPPROTO_TCP, BH_REASON_ISOLATED}, {IPPROTO_UDP, BH_REASON_NOT_ISOLATED}};
	struct bh_ip ip = ip_of(WEB);
	uint32_t rule;

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
			bh_lookup_verdict(cluster.desired, endpoint_of(&cluster, DB)->active,
				BH_INGRESS, bh_lookup_address(cluster.desired, &ip).class,
				cases[i].protocol, 0, false, &rule),
			cases[i].reason);
	free_cluster(&cluster);
}

static void a_policy_in_dry_run_only_would_deny(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER
		"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"
		"metadata: {name: a, annotations: {bulkhead.io/mode: dry-run}}\n"
		"spec: {" ADMIN ", ingress: [{action: Deny, " EVERYONE "}]}\n");
	const struct bh_desired_endpoint *db = endpoint_of(&cluster, DB);

	assert_int_equal(db->active, BH_PROGRAM_NONE);
	assert_int_equal(judge(&cluster, db->pending, BH_INGRESS, WEB, IPPROTO_TCP, 1),
		BH_REASON_POLICY_DENY);
	assert_int_equal(db->n_cluster_policies, 1);
	assert_int_equal(db->n_policies, 0);
	assert_false(db->ingress_isolated);
	free_cluster(&cluster);
}

/* ---- What is not understood -------------------------------------------------------------------
 */

#define RULE(rule) ADMIN ", ingress: [" rule "]"
#define EGRESS(rule) ADMIN ", egress: [" rule "]"

/* An Accept that is not understood matches nothing: db is closed to 81. A Deny denies. */
static void what_is_not_understood_is_never_read_wider(void **state)
{
	static const struct {
		const char *spec;
		const char *text;
		bool web; /* web lets db in on port 80: nothing but this policy is about it */
		bool db;  /* db lets web in on port 81: only an Accept could do that */
	} cases[] = {
		/* Rules. */
		{RULE("{action: Accept, from: [{}]}"), "spec.ingress[0].from[0]: must have one of",
			true, false},
		{RULE("{action: Accept, from: []}"), "from: must not be empty", true, false},
		{RULE("{action: Accept}"), "from: is missing", true, false},
		{RULE("{action: Accept, from: [{namespaces: {}, pods: {podSelector: {}}}]}"),
			"only one of them", true, false},
		{RULE("{action: Accept, from: [{networks: [10.0.0.0/8]}]}"),
			"unknown field \"networks\"", true, false},
		{RULE("{action: Accept, " EVERYONE ", ports: []}"), "unknown field \"ports\"", true,
			false},
		{RULE("{action: Accept, from: [{pods: {namespaceSelector: {}}}]}"),
			"podSelector is missing", true, false},
		{RULE("{action: Accept, " EVERYONE ", protocols: []}"), "must not be empty", true,
			false},
		{RULE("{action: Accept, " EVERYONE ", protocols: [{tcp: {}}]}"),
			"must have one of destinationPort", true, false},
		{RULE("{action: Accept, " EVERYONE
		      ", protocols: [{tcp: {destinationPort: {number: 0}}}]}"),
			"0 is not between 1 and 65535", true, false},
		{RULE("{action: Accept, " EVERYONE
		      ", protocols: [{tcp: {destinationPort: {range: {start: 9, end: 9}}}}]}"),
			"start 9 is not less than end 9", true, false},
		{RULE("{action: Accept, " EVERYONE ", protocols: [{destinationNamedPort: ''}]}"),
			"must not be empty", true, false},
		{RULE("{action: Deny, from: [{}]}"), "denies its subjects everything from anyone",
			false, false},
		{RULE("{action: Pass, from: [{}]}"), "denies its subjects everything from anyone",
			false, false},
		{RULE("{action: Allow, " EVERYONE "}"),
			"\"Allow\" is not one of Accept, Deny, Pass", false, false},
		{RULE("{action: Deny, from: [{namespaces: {matchLabels: {team: b}}}], protocols: "
		      "[{icmp: {}}]}"),
			"denies its subjects everything from its peers", true, false},
		{RULE("5"), "must be an object", false, false},
		{EGRESS("{action: Accept, to: [{networks: [10.0.0.0/33]}]}"),
			"\"10.0.0.0/33\" is not an address block", true, false},
		{EGRESS("{action: Accept, to: [{nodes: {}}], protocols: [{destinationNamedPort: "
			"sql}]}"),
			"destinationNamedPort does not go with nodes", true, false},
		{EGRESS("{action: Deny, to: [{domainNames: [example.com]}]}"),
			"go with Accept only", true, false},
		/* What is around them: only Deny is left. */
		{"tier: admin, priority: 1, " ALL ", ingress: [{action: Accept, " EVERYONE "}]",
			"\"admin\" is neither Admin nor Baseline", true, false},
		{"tier: baseline, priority: 1, " ALL ", ingress: [{action: Deny, " EVERYONE "}]",
			"its Deny rules hold in the Admin tier", false, false},
		{"tier: Admin, priority: 1001, " ALL ", ingress: [{action: Accept, " EVERYONE "}]",
			"1001 is not between 0 and 1000", true, false},
		{"tier: Admin, priority: '1', " ALL ", ingress: [{action: Deny, " EVERYONE "}]",
			"hold before all others", false, false},
		{ADMIN ", ingress: [{action: Pass, " EVERYONE "}, {action: Deny, " EVERYONE
		       "}], ingres: []",
			"unknown field \"ingres\"", false, false},
		{ADMIN ", ingress: {action: Accept, " EVERYONE "}", "must be a list", true, false},
		/* Whom it is about. */
		{"tier: Admin, priority: 1, ingress: [{action: Deny, " EVERYONE "}]",
			"spec.subject: is missing; whom it is about is not known", true, false},
		{"tier: Admin, priority: 1, subject: {}, ingress: [{action: Deny, " EVERYONE "}]",
			"must have one of namespaces, pods", true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *yaml = bh_xasprintf("%s" CLUSTER "apiVersion: "
					  "policy.networking.k8s.io/v1alpha2\nkind: "
					  "ClusterNetworkPolicy\nmetadata: {name: a}\nspec: {%s}\n",
			ISOLATE_DB("{ports: [{port: 80}]}"), cases[i].spec);
		struct cluster cluster = new_cluster(yaml);
		const char *problem =
			problem_of(&cluster, "invalid-policy", "ClusterNetworkPolicy a");

		if (!problem || !strstr(problem, cases[i].text))
			fail_msg("{%s}: %s", cases[i].spec, problem ? problem : "no problem");
		if (in(&cluster, WEB, DB, 80) != cases[i].web ||
			in(&cluster, DB, WEB, 81) != cases[i].db)
			fail_msg("{%s}: read wrongly", cases[i].spec);
		free_cluster(&cluster);
		free(yaml);
	}
}

static void more_than_25_rules_leave_only_those_that_deny(void **state)
{
	char rules[26 * 80] = "";

	for (int i = 0; i < 25; i++)
		strcat(rules, "{action: Accept, " EVERYONE "}, ");
	strcat(rules, "{action: Deny, " EVERYONE "}");
	char *yaml = bh_xasprintf(CLUSTER
		"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"
		"metadata: {name: a}\nspec: {" ADMIN ", ingress: [%s]}\n",
		rules);
	struct cluster cluster = new_cluster(yaml);

	assert_non_null(strstr(problem_of(&cluster, "invalid-policy", "ClusterNetworkPolicy a"),
		"spec.ingress: 26 rules are more than 25"));
	assert_false(in(&cluster, WEB, DB, 1));
	free_cluster(&cluster);
	free(yaml);
}

static void domain_names_match_nothing_and_are_named(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("a", ADMIN
		", egress: [{action: Accept, to: [{domainNames: ['*.example.com']}]},"
		"{action: Accept, to: [{domainNames: [example.org]}, {networks: [8.8.8.8/32]}]},"
		"{action: Deny, to: [{networks: [0.0.0.0/0]}]}]"));

	assert_non_null(strstr(problem_of(&cluster, "unsupported-peer", "ClusterNetworkPolicy a"),
		"domainNames: domain names cannot be enforced"));
	assert_false(out(&cluster, WEB, "1.1.1.1", 443));
	assert_true(out(&cluster, WEB, "8.8.8.8", 443));
	assert_null(problem_of(&cluster, "invalid-policy", "ClusterNetworkPolicy a"));
	free_cluster(&cluster);
}

/* ---- What people are told ---------------------------------------------------------------------
 */

static void rules_name_policy_tier_and_action(void **state)
{
	struct cluster cluster = new_cluster(CLUSTER CNP("lock",
		ADMIN ", egress: [{name: no metadata, action: Deny, to: [{networks: "
		      "[169.254.169.254/32]}, {nodes: {}}]}, {action: Pass, to: [{namespaces: "
		      "{matchLabels: {team: a}}}], protocols: [{destinationNamedPort: sql}, {udp: "
		      "{destinationPort: {range: {start: 1, end: 9}}}}]}]"));
	static const char *const texts[] = {
		"ClusterNetworkPolicy lock egress[0] (Admin, priority 10, \"no metadata\"): Deny "
		"to "
		"169.254.169.254/32 or all nodes, everything",
		"ClusterNetworkPolicy lock egress[1] (Admin, priority 10): Pass to all pods in "
		"namespaces team=a, port sql, UDP 1-9",
	};

	assert_int_equal(cluster.desired->n_rule_names, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct bh_desired_rule_name *name = &cluster.desired->rule_names[i];

		assert_string_equal(name->text, texts[name->index]);
		assert_string_equal(name->namespace, "");
	}
	free_cluster(&cluster);
}

static void explain_names_who_decides_and_who_handed_it_on(void **state)
{
	struct cluster cluster = new_cluster(
		CLUSTER CNP("a", ADMIN ", ingress: [{action: Pass, " EVERYONE "}]") CNP("b",
			BASELINE ", ingress: [{action: Deny, " EVERYONE "}]") ISOLATE_DB("{}"));
	struct bh_explain_query query = {"shop/db", "shop/web", IPPROTO_TCP, 80};
	struct bh_explanation *e = NULL;
	char *error = NULL;

	assert_int_equal(bh_explain(cluster.compiler, cluster.model, &query, &e, &error), 0);
	assert_false(e->allowed);
	assert_string_equal(e->sides[1].active.reason, "policy-deny");
	assert_string_equal(e->sides[1].active.text,
		"ClusterNetworkPolicy b ingress[0] (Baseline, priority 10): Deny from all pods in "
		"all namespaces, everything");
	assert_int_equal(e->sides[1].active.n_passes, 1);
	assert_string_equal(e->sides[1].active.passes[0],
		"ClusterNetworkPolicy a ingress[0] (Admin, priority 10): Pass from all pods in all "
		"namespaces, everything");
	assert_int_equal(e->sides[1].n_cluster_policies, 2);
	bh_explanation_free(e);
	query = (struct bh_explain_query){"shop/web", "shop/db", IPPROTO_TCP, 80};
	assert_int_equal(bh_explain(cluster.compiler, cluster.model, &query, &e, &error), 0);
	assert_true(e->allowed);
	assert_string_equal(e->sides[1].active.text, "shop/db ingress[0]: from anyone, everything");
	assert_int_equal(e->sides[1].active.n_passes, 1);
	bh_explanation_free(e);
	free_cluster(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(admin_goes_before_network_policies_and_baseline_behind),
		cmocka_unit_test(pass_hands_on_and_hides_the_rest_of_its_tier),
		cmocka_unit_test(the_reason_is_the_rule_or_that_there_was_none),
		cmocka_unit_test(a_tie_of_priorities_is_decided_by_name_and_said),
		cmocka_unit_test(peers_are_nodes_by_label_and_networks),
		cmocka_unit_test(a_node_whose_labels_change_is_another_peer),
		cmocka_unit_test(a_named_port_is_of_every_protocol_that_has_it),
		cmocka_unit_test(everything_is_denied_to_fragments_too),
		cmocka_unit_test(a_fragment_that_might_be_for_a_denied_port_does_not_pass),
		cmocka_unit_test(a_policy_in_dry_run_only_would_deny),
		cmocka_unit_test(what_is_not_understood_is_never_read_wider),
		cmocka_unit_test(more_than_25_rules_leave_only_those_that_deny),
		cmocka_unit_test(domain_names_match_nothing_and_are_named),
		cmocka_unit_test(rules_name_policy_tier_and_action),
		cmocka_unit_test(explain_names_who_decides_and_who_handed_it_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
