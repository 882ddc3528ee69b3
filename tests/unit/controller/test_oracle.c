/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random clusters and policies, compiled and asked as the kernel asks (exact address, longest
 * prefix, class, program, entry for any), against an evaluator that reads the JSON by the API
 * documentation. What is said of a service must follow from what is said of every backend. The
 * clusters then change, object by object, under one compiler: what it remembers
 * must never show.
 *
 * BULKHEAD_SEED=N repeats one run.
 */
#include "tests/unit/controller/oracle_services.h"

/* ---- Comparing --------------------------------------------------------------------------------
 */

static size_t questions, deferred;

static void compare_directions(const struct cluster *cluster, const struct pod *subject, int family,
	const char *peer, int directions)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"SCTP", IPPROTO_SCTP}};
	static const int asked[] = {1, 79, 80, 81, 95, 100, 443, 500, 5432, 8080, 65535};
	const char *own = subject->ip[family];

	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < sizeof(asked) / sizeof(asked[0]); j++) {
			for (int egress = 0; egress < directions; egress++) {
				bool want = expected(
					subject, egress, own, peer, protocols[i].name, asked[j]);
				bool got = allows(cluster, own, egress ? BH_EGRESS : BH_INGRESS,
					peer, protocols[i].number, (uint16_t)asked[j]);

				questions++;
				if (want == got)
					continue;
				for (int k = 0; k < N_POLICIES; k++) {
					if (policies[k].exists)
						print_message("%s %s\n", policies[k].namespace,
							json_dumps(policies[k].spec, 0));
				}
				for (int k = 0; k < N_CLUSTER_POLICIES; k++) {
					if (cluster_policies[k].exists)
						print_message("%s %s\n", cluster_policies[k].name,
							json_dumps(cluster_policies[k].spec, 0));
				}
				fail_msg("%s of %s/%s (%s) with %s, %s %d: %s, should be %s",
					egress ? "egress" : "ingress", subject->namespace,
					subject->name, own, peer, protocols[i].name, asked[j],
					got ? "allowed" : "denied", want ? "allowed" : "denied");
			}
		}
	}
}

static void compare_pair(
	const struct cluster *cluster, const struct pod *subject, int family, const char *peer)
{
	compare_directions(cluster, subject, family, peer, 2);
}

static void compare_ingress_only(
	const struct cluster *cluster, const struct pod *subject, const char *peer)
{
	compare_directions(cluster, subject, 0, peer, 1);
}

static const char *answer_of_service(const struct cluster *cluster, const char *own,
	const char *address, uint8_t protocol, int number)
{
	const struct bh_desired_endpoint *endpoint = endpoint_of(cluster, own);
	enum bh_reason reason =
		judge(cluster, endpoint->active, BH_EGRESS, address, protocol, (uint16_t)number);

	if (reason == BH_REASON_SERVICE)
		return "defer";
	return BH_REASON_PASSES(reason) ? "pass" : "drop";
}

static void compare_service(
	const struct cluster *cluster, const struct pod *subject, const struct service *service)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP"};
	static const int asked[] = {1, 79, 80, 81, 443, 5432, 8080, 65535};

	for (int address = 0; address < 3; address++) {
		const char *own = subject->ip[address == 1], *vip = service->ip[address];

		for (size_t i = 0; i < 3; i++) {
			for (size_t j = 0; j < sizeof(asked) / sizeof(asked[0]); j++) {
				const char *want = expected_of_service(
					subject, own, service, vip, protocols[i], asked[j]);
				const char *got = answer_of_service(
					cluster, own, vip, protocol_number(protocols[i]), asked[j]);

				questions++;
				deferred += want && !strcmp(want, "defer");
				if (want ? strcmp(want, got) : !strcmp(got, "drop"))
					fail_msg("%s/%s (%s) to service %s (%s), %s %d: %s, should "
						 "be %s",
						subject->namespace, subject->name, own,
						service->name, vip, protocols[i], asked[j], got,
						want ? want : "let through");
			}
		}
	}
}

static void compare_all(const struct cluster *cluster)
{
	for (int i = 0; i < N_PODS; i++) {
		const struct pod *subject = &pods[i];

		if (!subject->exists || subject->host_network || subject->finished ||
			strcmp(subject->node, "n1")) {
			assert_null(endpoint_of(cluster, subject->ip[0]));
			continue;
		}
		for (int j = 0; j < N_PODS; j++) {
			if (i != j)
				compare_pair(cluster, subject, j % 2, pods[j].ip[j % 2]);
		}
		for (size_t j = 0; j < sizeof(strangers) / sizeof(strangers[0]); j++)
			compare_pair(
				cluster, subject, strchr(strangers[j], ':') != NULL, strangers[j]);
		for (int j = 0; j < N_SERVICES; j++) {
			if (services[j].exists)
				compare_service(cluster, subject, &services[j]);
			else
				compare_pair(cluster, subject, 0, services[j].ip[0]);
			/* Who sends from there is no service. */
			compare_ingress_only(cluster, subject, services[j].ip[2]);
		}
	}
}

/* The compiler that has seen everything and one that has seen nothing say the same. */
static void compare_with_fresh(const struct cluster *cluster)
{
	struct cluster fresh = {cluster->model, bh_compiler_new(), NULL};
	const struct bh_desired *a = cluster->desired;

	compile_cluster(&fresh);
	const struct bh_desired *b = fresh.desired;

	assert_int_equal(a->addresses.n, b->addresses.n);
	for (size_t i = 0; i < a->addresses.n; i++)
		assert_int_equal(nth_address(a, i)->class, nth_address(b, i)->class);
	assert_int_equal(a->n_endpoints, b->n_endpoints);
	for (size_t i = 0; i < a->n_endpoints; i++)
		assert_int_equal(a->endpoints[i].active, b->endpoints[i].active);
	assert_int_equal(a->n_programs, b->n_programs);
	bh_desired_unref(fresh.desired);
	bh_compiler_free(fresh.compiler);
}

static void change_something(struct bh_model *model)
{
	int index;

	switch (roll(6)) {
	case 0:
		index = roll(N_PODS);
		random_pod(&pods[index], index);
		tell_pod(model, &pods[index]);
		break;
	case 1:
		index = roll(N_POLICIES);
		random_policy(&policies[index], index);
		tell_policy(model, &policies[index]);
		break;
	case 2:
		index = roll(N_CLUSTER_POLICIES);
		random_cluster_policy(&cluster_policies[index], index);
		tell_cluster_policy(model, &cluster_policies[index]);
		break;
	case 3:
		index = roll(N_NODES);
		random_node(&nodes[index]);
		tell_node(model, &nodes[index]);
		break;
	case 4:
		index = roll(N_SERVICES);
		random_service(&services[index], index);
		tell_service(model, &services[index]);
		break;
	default:
		index = roll(N_NAMESPACES);
		random_namespace(index);
		tell_namespace(model, index);
	}
}

static void forget_everything(void)
{
	for (int i = 0; i < N_PODS; i++) {
		json_decref(pods[i].labels);
		json_decref(pods[i].ports);
	}
	for (int i = 0; i < N_POLICIES; i++)
		json_decref(policies[i].spec);
	for (int i = 0; i < N_NAMESPACES; i++)
		json_decref(namespace_labels[i]);
	for (int i = 0; i < N_CLUSTER_POLICIES; i++)
		json_decref(cluster_policies[i].spec);
	for (int i = 0; i < N_NODES; i++) {
		json_decref(nodes[i].labels);
		nodes[i].labels = NULL;
	}
	for (int i = 0; i < N_SERVICES; i++)
		json_decref(services[i].selector);
	memset(services, 0, sizeof(services));
	memset(cluster_policies, 0, sizeof(cluster_policies));
	memset(pods, 0, sizeof(pods));
	memset(policies, 0, sizeof(policies));
	memset(namespace_labels, 0, sizeof(namespace_labels));
}

static void agrees_with_the_api_documentation_on_random_clusters(void **state)
{
	const char *given = getenv("BULKHEAD_SEED");
	unsigned int first =
		given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);

	for (unsigned int round = 0; round < (given ? 1 : 40); round++) {
		struct cluster cluster = {
			bh_model_new("n1", BH_MODE_ENFORCE), bh_compiler_new(), NULL};

		seed = first + round;
		print_message("# seed %u\n", seed);
		for (int i = 0; i < N_NAMESPACES; i++) {
			random_namespace(i);
			tell_namespace(cluster.model, i);
		}
		for (int i = 0; i < N_PODS; i++) {
			random_pod(&pods[i], i);
			tell_pod(cluster.model, &pods[i]);
		}
		for (int i = 0; i < N_POLICIES; i++) {
			random_policy(&policies[i], i);
			tell_policy(cluster.model, &policies[i]);
		}
		for (int i = 0; i < N_NODES; i++) {
			random_node(&nodes[i]);
			tell_node(cluster.model, &nodes[i]);
		}
		/* Every fourth cluster has none of these. */
		for (int i = 0; round % 4 && i < N_CLUSTER_POLICIES; i++) {
			random_cluster_policy(&cluster_policies[i], i);
			tell_cluster_policy(cluster.model, &cluster_policies[i]);
		}
		for (int i = 0; i < N_SERVICES; i++) {
			random_service(&services[i], i);
			tell_service(cluster.model, &services[i]);
		}
		for (int change = 0; change < 12; change++) {
			compile_cluster(&cluster);
			for (size_t i = 0; i < cluster.desired->n_problems; i++)
				assert_string_equal(
					cluster.desired->problems[i].code, "priority-tie");
			compare_all(&cluster);
			compare_with_fresh(&cluster);
			change_something(cluster.model);
		}
		free_cluster(&cluster);
		forget_everything();
	}
	print_message("# %zu questions, %zu deferred\n", questions, deferred);
	assert_true(given || deferred);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_api_documentation_on_random_clusters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
