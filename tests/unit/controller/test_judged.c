/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/flows/judged.h"

#include "tests/unit/controller/fixture.h"

#define POD(name, address)                                                                   \
	"{apiVersion: v1, kind: Pod, metadata: {name: " name ", namespace: shop, uid: " name \
	", labels: {app: " name "}}, spec: {nodeName: n1},"                                  \
	" status: {phase: Running, podIPs: [{ip: " address "}]}}\n---\n"

static const char policy_on_web[] =
	"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web,"
	" namespace: shop, uid: p}, spec: {podSelector: {matchLabels: {app: web}}}}";

/* Compiles what the model has become, and lets it be learnt at that time. */
static void learn(struct cluster *cluster, struct bh_judged *judged, uint64_t now_ns)
{
	struct bh_desired *before = cluster->desired;

	cluster->desired = bh_compile(cluster->compiler, cluster->model);
	bh_judged_learn(judged, cluster->desired, before, now_ns);
	bh_desired_unref(before);
}

static uint64_t since(
	const struct cluster *cluster, const struct bh_judged *judged, const char *address)
{
	return bh_judged_since(judged, endpoint_of(cluster, address)->workload);
}

static void a_policy_changes_those_that_it_selects(void **state)
{
	struct cluster cluster = new_cluster(POD("web", "10.0.0.1") POD("db", "10.0.0.2"));
	struct bh_judged *judged = bh_judged_new();

	bh_judged_learn(judged, cluster.desired, NULL, 5);
	assert_int_equal(since(&cluster, judged, "10.0.0.1"), 0);
	put_yaml(cluster.model, policy_on_web);
	learn(&cluster, judged, 10);
	assert_int_equal(since(&cluster, judged, "10.0.0.1"), 10);
	assert_int_equal(since(&cluster, judged, "10.0.0.2"), 0);
	bh_judged_free(judged);
	free_cluster(&cluster);
}

static void what_has_come_since_changes_nothing(void **state)
{
	struct cluster cluster = new_cluster(POD("web", "10.0.0.1"));
	struct bh_judged *judged = bh_judged_new();

	put_yaml(cluster.model, policy_on_web);
	learn(&cluster, judged, 10);
	put_yaml(cluster.model, POD("a", "10.0.0.3") POD("zoo", "10.0.0.4"));
	learn(&cluster, judged, 20);
	assert_int_equal(since(&cluster, judged, "10.0.0.1"), 10);
	assert_int_equal(since(&cluster, judged, "10.0.0.3"), 0);
	assert_int_equal(since(&cluster, judged, "10.0.0.4"), 0);
	bh_judged_free(judged);
	free_cluster(&cluster);
}

static void a_mode_that_is_set_is_a_change(void **state)
{
	struct cluster cluster = new_cluster(POD("web", "10.0.0.1") POD("db", "10.0.0.2"));
	struct bh_judged *judged = bh_judged_new();

	put_yaml(cluster.model, policy_on_web);
	learn(&cluster, judged, 10);
	bh_model_set_mode(cluster.model, BH_SCOPE_POD, "shop", "web", BH_MODE_OBSERVE);
	learn(&cluster, judged, 20);
	assert_int_equal(since(&cluster, judged, "10.0.0.1"), 20);
	assert_int_equal(since(&cluster, judged, "10.0.0.2"), 0);
	bh_judged_free(judged);
	free_cluster(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_changes_those_that_it_selects),
		cmocka_unit_test(what_has_come_since_changes_nothing),
		cmocka_unit_test(a_mode_that_is_set_is_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
