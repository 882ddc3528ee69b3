/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/explain.h"

#include "tests/unit/controller/fixture.h"

#define SHOP                                                                                       \
	"{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: front, labels: {app: "      \
	"front}}, spec: {nodeName: n1}, status: {podIP: 10.0.0.1}}\n"                              \
	"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: db, labels: {app: "    \
	"db}}, spec: {nodeName: n1}, status: {podIP: 10.0.0.2}}\n"                                 \
	"---\n{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: far, labels: {app: "   \
	"far}}, spec: {nodeName: n2}, status: {podIP: 10.0.1.1}}\n"                                \
	"---\n{kind: Node, apiVersion: v1, metadata: {name: n1}, status: {addresses: [{type: "     \
	"InternalIP, address: 192.168.0.1}]}}\n"                                                   \
	"---\n{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {namespace: "      \
	"shop, name: db}, spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: "         \
	"[{podSelector: {matchLabels: {app: front}}}], ports: [{port: 5432}]}]}}\n"                \
	"---\n{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {namespace: "      \
	"shop, name: far}, spec: {podSelector: {matchLabels: {app: far}}, policyTypes: [Egress], " \
	"egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 1}]}]}}\n"

static struct bh_explanation *explain(
	struct cluster *cluster, const char *src, const char *dst, uint8_t protocol, uint16_t port)
{
	struct bh_explain_query query = {src, dst, protocol, port};
	struct bh_explanation *explanation = NULL;
	char *error = NULL;

	if (bh_explain(cluster->compiler, cluster->model, &query, &explanation, &error))
		fail_msg("%s", error);
	return explanation;
}

static void names_the_rule_that_allows(void **state)
{
	struct cluster cluster = new_cluster(SHOP);
	struct bh_explanation *e = explain(&cluster, "shop/front", "shop/db", IPPROTO_TCP, 5432);

	assert_true(e->allowed && e->pending_allowed);
	assert_string_equal(e->src, "shop/front (10.0.0.1)");
	assert_string_equal(e->dst, "shop/db (10.0.0.2)");
	assert_string_equal(e->sides[0].active.reason, "not-isolated");
	assert_string_equal(e->sides[1].active.reason, "policy");
	assert_string_equal(
		e->sides[1].active.text, "shop/db ingress[0]: from pods app=front, TCP 5432");
	assert_int_equal(e->sides[1].n_policies, 1);
	assert_string_equal(e->sides[1].policies[0], "shop/db");
	bh_explanation_free(e);
	free_cluster(&cluster);
}

static void names_the_policies_that_isolate(void **state)
{
	struct cluster cluster = new_cluster(SHOP);
	struct bh_explanation *e = explain(&cluster, "10.0.0.1", "shop/db", IPPROTO_TCP, 22);

	assert_false(e->allowed);
	assert_string_equal(e->src, "shop/front (10.0.0.1)");
	assert_string_equal(e->sides[1].active.reason, "isolated");
	assert_string_equal(e->sides[1].active.text,
		"isolated for ingress by shop/db, and no rule allows TCP 22 from 10.0.0.1");
	bh_explanation_free(e);
	free_cluster(&cluster);
}

static void in_dry_run_the_pending_program_answers_otherwise(void **state)
{
	struct cluster cluster = new_cluster(SHOP);

	bh_model_set_mode(cluster.model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_DRY_RUN);
	struct bh_explanation *e = explain(&cluster, "shop/front", "shop/db", IPPROTO_TCP, 22);

	assert_true(e->allowed);
	assert_false(e->pending_allowed);
	assert_string_equal(e->sides[1].mode, "dry-run");
	assert_string_equal(e->sides[1].active.reason, "open");
	assert_string_equal(e->sides[1].pending.reason, "isolated");
	bh_explanation_free(e);
	free_cluster(&cluster);
}

static void the_node_always_reaches_its_pods(void **state)
{
	struct cluster cluster = new_cluster(SHOP);
	struct bh_explanation *by_word = explain(&cluster, "node", "shop/db", IPPROTO_TCP, 22);
	struct bh_explanation *by_ip = explain(&cluster, "192.168.0.1", "shop/db", IPPROTO_TCP, 22);

	assert_true(by_word->allowed);
	assert_string_equal(by_word->sides[1].active.reason, "node");
	assert_false(by_word->sides[0].judged);
	assert_true(by_ip->allowed);
	bh_explanation_free(by_word);
	bh_explanation_free(by_ip);
	free_cluster(&cluster);
}

static void a_pod_elsewhere_is_judged_as_its_node_would(void **state)
{
	struct cluster cluster = new_cluster(SHOP);
	struct bh_explanation *good = explain(&cluster, "shop/far", "shop/db", IPPROTO_TCP, 1);
	struct bh_explanation *bad = explain(&cluster, "shop/far", "shop/front", IPPROTO_TCP, 1);

	assert_true(good->sides[0].judged);
	assert_false(good->sides[0].here);
	assert_string_equal(good->sides[0].node, "n2");
	assert_string_equal(good->sides[0].active.reason, "policy");
	assert_string_equal(bad->sides[0].active.reason, "isolated");
	assert_string_equal(bad->sides[1].active.reason, "not-isolated");
	assert_false(bad->allowed);
	bh_explanation_free(good);
	bh_explanation_free(bad);
	free_cluster(&cluster);
}

static void an_address_nobody_has_is_judged_at_one_end_only(void **state)
{
	struct cluster cluster = new_cluster(SHOP);
	struct bh_explanation *e = explain(&cluster, "8.8.8.8", "shop/db", IPPROTO_ICMP, 0);

	assert_false(e->sides[0].judged);
	assert_string_equal(e->src, "8.8.8.8");
	assert_string_equal(e->sides[1].active.text,
		"isolated for ingress by shop/db, and no rule allows ICMP from 8.8.8.8");
	bh_explanation_free(e);
	free_cluster(&cluster);
}

static void quarantine_is_the_reason_where_it_is(void **state)
{
	struct cluster cluster = new_cluster(SHOP);

	bh_model_set_quarantine(cluster.model, "shop", "front", true);
	struct bh_explanation *e = explain(&cluster, "shop/front", "shop/db", IPPROTO_TCP, 5432);

	assert_false(e->allowed);
	assert_string_equal(e->sides[0].active.text, "the pod is in quarantine");
	bh_explanation_free(e);
	free_cluster(&cluster);
}

static void a_pod_always_reaches_itself(void **state)
{
	struct cluster cluster = new_cluster(SHOP);
	struct bh_explanation *e = explain(&cluster, "shop/db", "10.0.0.2", IPPROTO_TCP, 22);

	assert_true(e->allowed);
	assert_false(e->sides[0].judged || e->sides[1].judged);
	bh_explanation_free(e);
	free_cluster(&cluster);
}

#define SERVICES                                                                                   \
	SHOP "---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: all}, spec: " \
	     "{clusterIP: 10.96.0.1, ports: [{port: 80}]}}\n"                                      \
	     "---\n{kind: EndpointSlice, apiVersion: discovery.k8s.io/v1, metadata: {namespace: "  \
	     "shop, name: all, labels: {kubernetes.io/service-name: all}}, addressType: IPv4, "    \
	     "ports: [{port: 1}], endpoints: [{addresses: [10.0.0.2]}, {addresses: [9.9.9.9]}]}\n" \
	     "---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: db}, spec: "  \
	     "{clusterIP: 10.96.0.2, selector: {app: db}, ports: [{port: 80, targetPort: "         \
	     "5432}]}}\n"                                                                          \
	     "---\n{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: headless}, "  \
	     "spec: {clusterIP: None}}\n"

static void a_service_is_what_is_behind_it(void **state)
{
	struct cluster cluster = new_cluster(SERVICES);
	struct bh_explanation *e = explain(&cluster, "shop/front", "svc/shop/db", IPPROTO_TCP, 80);

	assert_true(e->service && e->allowed && e->pending_allowed && !e->depends);
	assert_string_equal(e->dst, "svc/shop/db (10.96.0.2)");
	assert_string_equal(e->sides[0].active.reason, "not-isolated");
	assert_false(e->sides[1].judged);
	assert_int_equal(e->n_backends, 1);
	assert_int_equal(e->n_backends_all, 1);
	assert_string_equal(e->backends[0].name, "shop/db (10.0.0.2)");
	assert_int_equal(e->backends[0].port, 5432);
	assert_string_equal(e->backends[0].sides[1].active.text,
		"shop/db ingress[0]: from pods app=front, TCP 5432");
	bh_explanation_free(e);
	free_cluster(&cluster);
}

static void where_backends_differ_it_depends(void **state)
{
	struct cluster cluster = new_cluster(SERVICES);
	struct bh_explanation *e = explain(&cluster, "shop/far", "10.96.0.1", IPPROTO_TCP, 80);

	assert_string_equal(e->dst, "svc/shop/all (10.96.0.1)");
	assert_string_equal(e->sides[0].active.reason, "service");
	assert_int_equal(e->n_backends, 2);
	assert_string_equal(e->backends[0].name, "9.9.9.9");
	assert_string_equal(e->backends[0].sides[0].active.text,
		"isolated for egress by shop/far, and no rule allows TCP 1 to 9.9.9.9");
	assert_true(e->backends[1].sides[0].active.allowed);
	/* The one that its egress allows does not let it in. */
	assert_false(e->allowed || e->depends);
	bh_explanation_free(e);
	e = explain(&cluster, "shop/front", "svc/shop/all", IPPROTO_TCP, 80);
	assert_true(!e->allowed && e->depends && e->pending_depends);
	bh_explanation_free(e);
	e = explain(&cluster, "shop/far", "svc/shop/db", IPPROTO_TCP, 80);
	assert_string_equal(e->sides[0].active.text,
		"isolated for egress by shop/far, and no rule allows TCP 80 to any backend of "
		"10.96.0.2");
	bh_explanation_free(e);
	/* No such port. */
	e = explain(&cluster, "shop/front", "svc/shop/all", IPPROTO_TCP, 81);
	assert_true(e->allowed && !e->service);
	bh_explanation_free(e);
	free_cluster(&cluster);
}

static void says_clearly_what_it_cannot_find(void **state)
{
	static const char *const cases[][3] = {
		{"shop/nobody", "shop/db", "there is no pod \"shop/nobody\""},
		{"shop", "shop/db",
			"\"shop\" is neither namespace/pod, nor svc/namespace/service, nor an "
			"address, nor \"node\""},
		{"shop/db", "svc/shop/no", "there is no service \"shop/no\""},
		{"shop/db", "svc/shop/headless",
			"service \"shop/headless\" has no address of its own: ask for one of its "
			"pods"},
		{"svc/shop/db", "shop/db",
			"svc/shop/db is a service, which sends nothing by itself"},
		{"10.96.0.2", "shop/db", "svc/shop/db is a service, which sends nothing by itself"},
		{"shop/db", "svc/db", "there is no pod \"svc/db\""},
		{"fd00::1", "shop/db", "fd00::1 and shop/db have no address of the same family"},
		{"/", "shop/db", "there is no pod \"/\""},
		{"10.0.0.1/8", "shop/db", "there is no pod \"10.0.0.1/8\""},
	};
	struct cluster cluster = new_cluster(SERVICES);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_explain_query query = {cases[i][0], cases[i][1], IPPROTO_TCP, 80};
		struct bh_explanation *explanation;
		char *error = NULL;

		assert_true(bh_explain(cluster.compiler, cluster.model, &query, &explanation,
				    &error) < 0);
		assert_string_equal(error, cases[i][2]);
		free(error);
	}
	free_cluster(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_rule_that_allows),
		cmocka_unit_test(names_the_policies_that_isolate),
		cmocka_unit_test(in_dry_run_the_pending_program_answers_otherwise),
		cmocka_unit_test(the_node_always_reaches_its_pods),
		cmocka_unit_test(a_pod_elsewhere_is_judged_as_its_node_would),
		cmocka_unit_test(an_address_nobody_has_is_judged_at_one_end_only),
		cmocka_unit_test(quarantine_is_the_reason_where_it_is),
		cmocka_unit_test(a_pod_always_reaches_itself),
		cmocka_unit_test(a_service_is_what_is_behind_it),
		cmocka_unit_test(where_backends_differ_it_depends),
		cmocka_unit_test(says_clearly_what_it_cannot_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
