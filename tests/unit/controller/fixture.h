/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CONTROLLER_FIXTURE_H
#define TESTS_UNIT_CONTROLLER_FIXTURE_H

/* A model filled from manifests in a string, its compilation, and questions to it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "controller/compile/compile.h"
#include "controller/compile/lookup.h"
#include "controller/model/memory.h"
#include "controller/source/object.h"
#include "controller/source/yaml.h"

struct cluster {
	struct bh_model *model;
	struct bh_compiler *compiler;
	struct bh_desired *desired; /* of the last compile_cluster() */
};

/* Puts every object of the text into the model; it must be right. */
static inline void put_yaml(struct bh_model *model, const char *text)
{
	struct bh_text_error error;
	struct bh_arena arena = {0};
	struct bh_object_list list = {0};
	json_t *documents = bh_yaml_parse(text, strlen(text), &error);

	if (!documents)
		fail_msg("line %zu: %s", error.line, error.text);
	for (size_t i = 0; i < json_array_size(documents); i++) {
		struct bh_fault fault = {0};

		if (!bh_object_decode(json_array_get(documents, i), &arena, &fault, &list))
			fail_msg("%s", fault.text);
	}
	for (size_t i = 0; i < list.n; i++)
		bh_object_put(&list.items[i], model);
	json_decref(documents);
	bh_object_list_clear(&list);
	bh_arena_clear(&arena);
}

static inline void compile_cluster(struct cluster *cluster)
{
	bh_desired_unref(cluster->desired);
	cluster->desired = bh_compile(cluster->compiler, cluster->model);
}

/* The address or workload of that place among all. */
static inline const void *run_item(const struct bh_run *run, size_t size, size_t index)
{
	size_t piece = 0;

	while (index >= run->pieces[piece]->n)
		index -= run->pieces[piece++]->n;
	return run->pieces[piece]->items + index * size;
}

static inline const struct bh_desired_address *nth_address(
	const struct bh_desired *desired, size_t index)
{
	return run_item(&desired->addresses, sizeof(struct bh_desired_address), index);
}

static inline const struct bh_desired_workload *nth_workload(
	const struct bh_desired *desired, size_t index)
{
	return run_item(&desired->workloads, sizeof(struct bh_desired_workload), index);
}

/* On node "n1", in mode enforce, compiled. */
static inline struct cluster new_cluster(const char *yaml)
{
	struct cluster cluster = {bh_model_new("n1", BH_MODE_ENFORCE), bh_compiler_new(), NULL};

	put_yaml(cluster.model, yaml);
	compile_cluster(&cluster);
	return cluster;
}

static inline void free_cluster(struct cluster *cluster)
{
	bh_desired_unref(cluster->desired);
	bh_compiler_free(cluster->compiler);
	bh_model_free(cluster->model);
}

static inline struct bh_ip ip_of(const char *text)
{
	struct bh_ip ip;

	assert_int_equal(bh_ip_parse(text, &ip), 0);
	return ip;
}

/* The pod of this node that has the address. */
static inline const struct bh_desired_endpoint *endpoint_of(
	const struct cluster *cluster, const char *address)
{
	struct bh_ip ip = ip_of(address);

	for (size_t i = 0; i < cluster->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &cluster->desired->endpoints[i];

		for (size_t j = 0; j < endpoint->n_ips; j++) {
			if (!bh_ip_compare(&endpoint->ips[j], &ip))
				return endpoint;
		}
	}
	return NULL;
}

/* What the program of the pod at `own` says about the peer, as the kernel would. */
static inline enum bh_reason judge(const struct cluster *cluster, uint32_t program,
	enum bh_direction direction, const char *peer, uint8_t protocol, uint16_t port)
{
	struct bh_ip ip = ip_of(peer);
	uint32_t rule;
	bool has_ports =
		protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;

	return bh_lookup_verdict(cluster->desired, program, direction,
		bh_lookup_address(cluster->desired, &ip).class, protocol, port, has_ports, &rule);
}

/* True if the pod at `own` may be reached from `peer` (ingress), or reach it (egress). */
static inline bool allows(const struct cluster *cluster, const char *own,
	enum bh_direction direction, const char *peer, uint8_t protocol, uint16_t port)
{
	const struct bh_desired_endpoint *endpoint = endpoint_of(cluster, own);

	assert_non_null(endpoint);
	return BH_REASON_PASSES(judge(cluster, endpoint->active, direction, peer, protocol, port));
}

/* The text of the problem of that code and object, or NULL. */
static inline const char *problem_of(
	const struct cluster *cluster, const char *code, const char *object)
{
	for (size_t i = 0; i < cluster->desired->n_problems; i++) {
		const struct bh_desired_problem *problem = &cluster->desired->problems[i];

		if (!strcmp(problem->code, code) && !strcmp(problem->object, object))
			return problem->text;
	}
	return NULL;
}

#endif
