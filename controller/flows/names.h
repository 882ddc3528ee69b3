/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_FLOWS_NAMES_H
#define BULKHEAD_FLOWS_NAMES_H

/*
 * What the numbers in flows and edges mean to people. Numbers name content, so one that was learnt
 * stays true: names of workloads, rules and endpoints are kept for the whole run, also when what
 * they name is gone (up to a bound, then only what exists now is kept).
 */

#include <stdbool.h>
#include <stdint.h>

#include "controller/compile/desired.h"
#include "controller/model/model.h"

#define BH_NAMES_MAX 100000

struct bh_workload_name {
	uint32_t number;
	const char *namespace; /* "" for cluster-wide things */
	const char *kind;
	const char *name;
};

struct bh_rule_label {
	uint32_t number;
	const char *namespace;
	const char *policy;
	bool egress;
	int index;
	const char *text;
};

struct bh_pod_name {
	const char *namespace;
	const char *name;
};

struct bh_names;

/* `model` is borrowed: where addresses become pods. */
struct bh_names *bh_names_new(const struct bh_model *model);
void bh_names_free(struct bh_names *names);

/* Learns the names that a compilation knows; `before` is one that was learnt already, or NULL. */
void bh_names_learn(
	struct bh_names *names, const struct bh_desired *desired, const struct bh_desired *before);

/* Takes in names that were kept from before; what is known already stays. */
void bh_names_recall(struct bh_names *names, size_t n_workloads,
	const struct bh_workload_name *workloads, size_t n_rules,
	const struct bh_rule_label *rules);

/*
 * The names of workloads and rules as they are now, for another thread to look up; not those of
 * pods. Made, and freed, on this one: the texts are shared.
 */
struct bh_names *bh_names_copy(const struct bh_names *names);

/*
 * Each returns NULL for what nobody ever named. Results live until the next bh_names_learn(), those
 * by address until the next question or change of the model.
 */
const struct bh_workload_name *bh_names_workload(const struct bh_names *names, uint32_t number);
const struct bh_rule_label *bh_names_rule(const struct bh_names *names, uint32_t number);
const struct bh_pod_name *bh_names_endpoint(const struct bh_names *names, const char *uid);
const struct bh_pod_name *bh_names_address(struct bh_names *names, const struct bh_ip *ip);

#endif
