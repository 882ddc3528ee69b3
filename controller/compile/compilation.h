/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_COMPILATION_H
#define BULKHEAD_COMPILE_COMPILATION_H

/* One compilation under way, and the compiler it belongs to: shared by the files of this folder
 * only. */

#include "controller/compile/compile.h"
#include "controller/compile/program.h"
#include "controller/compile/result.h"
#include "controller/compile/services.h"

struct bh_compiler {
	struct bh_table policies; /* by uid, as parsed last */
	struct bh_class_cache class_cache;
	struct bh_registry classes;
	struct bh_registry programs;
	struct bh_registry workloads;
	struct bh_registry rules;
};

/* Who has an address: a pod, services (n_claims), or a node. */
struct bh_holder {
	struct bh_ip ip;
	const struct bh_pod *pod;
	const char *node;               /* NULL: this one */
	const struct bh_labels *labels; /* of the Node object that says so; NULL: none does */
	size_t n_claims;
	const struct bh_claim *claims;
};

/* A pod of this node that policy is about. */
struct bh_subject {
	const struct bh_pod *pod;
	size_t n_ips;
	struct bh_ip *ips; /* those it holds */
	size_t n_policies;
	const struct bh_netpol **policies; /* that select it, sorted */
};

struct bh_problem_list {
	size_t n;
	size_t capacity;
	struct bh_desired_problem *items;
};

struct bh_compilation {
	struct bh_compiler *compiler;
	const struct bh_model *model;
	const char *node; /* whose pods are compiled */
	struct bh_result *result;
	struct bh_arena *out; /* the result's */
	struct bh_arena scratch;
	size_t n_policies;
	size_t n_cluster_policies;   /* which come first */
	struct bh_netpol **policies; /* all of the cluster, sorted */
	size_t n_holders;
	struct bh_holder *holders; /* sorted by address, each address once */
	size_t n_subjects;
	struct bh_subject *subjects; /* sorted by uid */
	size_t n_addressless;
	const struct bh_pod **addressless; /* would be subjects, had they an address */
	struct bh_classes classes;
	struct bh_services services;
	struct bh_programs programs;
	struct bh_table workloads; /* by number, values are struct bh_desired_workload */
	struct bh_problem_list problems;
};

/* Compiles as the node of that name would, in this node's modes. NULL: this node. */
struct bh_desired *bh_compile_as(
	struct bh_compiler *compiler, const struct bh_model *model, const char *node);

/* True if a pod of this compilation's node is its business: alive, with a network of its own. */
bool bh_compilation_is_subject(const struct bh_compilation *compilation, const struct bh_pod *pod);

/* Notes a problem; object and text are formatted by the caller into `out`. */
void bh_compilation_problem(
	struct bh_compilation *compilation, const char *code, const char *object, const char *text);

/* "Pod shop/web-1" */
const char *bh_compilation_pod_object(struct bh_compilation *compilation, const struct bh_pod *pod);

/* addresses.c: false for what nobody can have: the kernel would be told nonsense. */
bool bh_address_is_usable(const struct bh_ip *ip);
/* Fills `holders` with pods and nodes. */
void bh_compilation_hold(struct bh_compilation *compilation);
/* NULL: nobody has the address. */
const struct bh_holder *bh_compilation_find_holder(
	const struct bh_compilation *compilation, const struct bh_ip *ip);
/* "Pod shop/web-1", "Node n1" */
const char *bh_compilation_holder_object(
	struct bh_compilation *compilation, const struct bh_holder *holder);
/* The pod that holds the address; NULL for nodes, services and what nobody holds. */
const struct bh_pod *bh_compilation_holder(
	const struct bh_compilation *compilation, const struct bh_ip *ip);
/* Turns `holders` and the blocks into the result's addresses and blocks. */
void bh_compilation_place(struct bh_compilation *compilation);

/* services.c: adds the services to `holders`, then fills in their addresses, and `services`. */
void bh_compilation_hold_services(struct bh_compilation *compilation);
void bh_compilation_place_services(
	struct bh_compilation *compilation, struct bh_desired_address *addresses);

/* subjects.c: fills `subjects`, then turns them into the result's endpoints. */
void bh_compilation_select(struct bh_compilation *compilation);
void bh_compilation_judge(struct bh_compilation *compilation);

/* The number of a workload, which is then in the result. */
uint32_t bh_compilation_workload(struct bh_compilation *compilation, const char *namespace,
	const char *kind, const char *name);
uint32_t bh_compilation_pod_workload(struct bh_compilation *compilation, const struct bh_pod *pod);

#endif
