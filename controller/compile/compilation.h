/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_COMPILATION_H
#define BULKHEAD_COMPILE_COMPILATION_H

/* One compilation under way, and the compiler it belongs to: shared by the files of this folder
 * only. */

#include "controller/compile/backends.h"
#include "controller/compile/compile.h"
#include "controller/compile/program.h"
#include "controller/compile/result.h"
#include "controller/compile/services.h"

/* So many changes taken in step by step make the registries as old as one compilation does. A whole
 * one comes before any of them has aged so much that what is in use would be forgotten. */
#define BH_CHANGES_A_TURN 64
#define BH_CHANGES_MAX (BH_CHANGES_A_TURN * BH_REGISTRY_AGE / 2)

struct bh_compilation;

struct bh_compiler {
	struct bh_table policies;        /* by uid, as parsed last */
	struct bh_compilation *standing; /* the last one, as the next one goes on from it; NULL */
	struct bh_compile_counts counts;
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

/* What a problem is about, so that it is found when that changes. */
enum bh_problem_about {
	BH_ABOUT_REST,
	BH_ABOUT_POLICY,
	BH_ABOUT_ADDRESS, /* who has it */
	BH_ABOUT_SERVICE, /* whoever has its addresses */
	BH_ABOUT_LOCAL,   /* a pod of this node, and what selects it */
};

struct bh_problem {
	struct bh_desired_problem public;
	enum bh_problem_about about;
	struct bh_ip ip;
};

struct bh_problem_list {
	size_t n;
	size_t capacity;
	struct bh_problem *items;
};

/* A workload that is in the result, and how much there is of it. */
struct bh_workload {
	struct bh_desired_workload public; /* its texts are behind it */
	size_t references;
	bool touched; /* in the step under way */
	char texts[];
};

struct bh_compilation {
	struct bh_compiler *compiler;
	const struct bh_model *model;
	const char *node; /* whose pods are compiled */
	struct bh_result *result;
	struct bh_arena scratch; /* for as long as the compilation stands */
	struct bh_arena *out;    /* texts of problems; the scratch */
	size_t n_policies;
	size_t n_cluster_policies;   /* which come first */
	struct bh_netpol **policies; /* all of the cluster, sorted */
	size_t n_holders;
	struct bh_holder *holders; /* sorted by address, each address once; NULL in a step */
	struct bh_desired_address *addresses; /* of the holders */
	size_t n_nodes;
	struct bh_holder *nodes; /* nodes' alone, sorted by address, each address once */
	size_t n_here;           /* pods that are, or may be, on this node, whatever they are */
	size_t n_locals, locals_room;
	const struct bh_pod **locals; /* pods of this node that are its business */
	struct bh_arena selection;    /* what the subjects are made of */
	size_t n_subjects;
	struct bh_subject *subjects; /* sorted by uid */
	size_t n_addressless;
	const struct bh_pod **addressless; /* would be subjects, had they an address; by uid */
	struct bh_classes classes;
	struct bh_services services;
	struct bh_programs programs;
	struct bh_arena making;    /* what programs are made of */
	struct bh_table workloads; /* by number, values are struct bh_workload */
	struct bh_problem_list problems;
	/* Of a compilation that stands. */
	uint64_t identity; /* of its model */
	struct bh_desired *last;
	size_t changes;      /* that were taken in since all was compiled */
	size_t scratch_size; /* that it had then; the same of what programs are made of */
	size_t making_size;
	bool stepping; /* a step is under way, and keeps a list of what it touches: */
	size_t n_touched, touched_room;
	struct bh_workload **touched;
};

/* Compiles as the node of that name would, in this node's modes. NULL: this node. */
struct bh_desired *bh_compile_as(
	struct bh_compiler *compiler, const struct bh_model *model, const char *node);

/* True if a pod of this compilation's node is its business: alive, with a network of its own. */
bool bh_compilation_is_subject(const struct bh_compilation *compilation, const struct bh_pod *pod);

/* True if it is, or may be, on the compilation's node, whatever it is. */
bool bh_compilation_is_here(const struct bh_compilation *compilation, const struct bh_pod *pod);

/*
 * Takes in what has changed since the compilation that stands, which then is the compilation of the
 * model as it is now. False if that cannot be done: *ret_why says why not, and it is of no use any
 * more. (step.c)
 */
bool bh_compilation_step(struct bh_compilation *compilation, enum bh_compile_cause *ret_why);
void bh_compilation_free(struct bh_compilation *compilation);

/* Notes a problem; object and text are formatted by the caller into `out`. */
void bh_compilation_problem(struct bh_compilation *compilation, enum bh_problem_about about,
	const char *code, const char *object, const char *text);
void bh_compilation_address_problem(struct bh_compilation *compilation, const struct bh_ip *ip,
	const char *code, const char *object, const char *text);

/* "Pod shop/web-1" */
const char *bh_compilation_pod_object(struct bh_compilation *compilation, const struct bh_pod *pod);

/* addresses.c: false for what nobody can have: the kernel would be told nonsense. */
bool bh_address_is_usable(const struct bh_ip *ip);
/* Fills `holders` with pods and nodes. */
void bh_compilation_hold(struct bh_compilation *compilation);
/* Who has the address, with the problems there are with it. False: nobody. */
bool bh_compilation_resolve(
	struct bh_compilation *compilation, const struct bh_ip *ip, struct bh_holder *ret_holder);
/* The same without the problems. */
bool bh_compilation_who_has(const struct bh_compilation *compilation, const struct bh_ip *ip,
	struct bh_holder *ret_holder);
/* NULL: nobody has the address. While there are `holders`. */
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
/* What the address is, unless it is a service's. *ret_class: its class, not counted; NULL: none. */
struct bh_desired_address bh_compilation_place_holder(struct bh_compilation *compilation,
	const struct bh_holder *holder, struct bh_class **ret_class);

/* services.c: adds the services to `holders`, then fills in their addresses, and `services`. */
void bh_compilation_hold_services(struct bh_compilation *compilation);
void bh_compilation_place_services(struct bh_compilation *compilation);
/* What a service's address is, with the problems there are with it. */
struct bh_desired_address bh_compilation_place_service(struct bh_compilation *compilation,
	struct bh_backends *backends, const struct bh_holder *holder,
	struct bh_service_class **ret_class);
/* True if one of those that claim it does so for the world outside. */
bool bh_service_is_outside(const struct bh_holder *holder);
/* Sets the claims of the address. */
void bh_services_claims(
	const struct bh_services *services, const struct bh_ip *ip, struct bh_holder *ret_holder);
/* Lists services and their addresses anew; *ret_before has the claims until now: free() them. */
void bh_compilation_claim_anew(struct bh_compilation *compilation, struct bh_services *ret_before);
void bh_compilation_note_taken(struct bh_compilation *compilation, const struct bh_holder *keeper,
	const struct bh_claim *claims, size_t n);

/* subjects.c: fills `locals`, `subjects` from these, then turns them into the result's endpoints.
 */
void bh_compilation_list_locals(struct bh_compilation *compilation);
void bh_compilation_select(struct bh_compilation *compilation);
bool bh_compilation_node_is_known(const struct bh_compilation *compilation);
void bh_compilation_judge(struct bh_compilation *compilation);

/* compile.c: fills `policies`, parsing those that are new, and forgets those that are gone; then
 * gives their rules their numbers, and the result the names of these. */
void bh_compilation_gather_policies(struct bh_compilation *compilation);
void bh_compilation_name_rules(struct bh_compilation *compilation);
/* True if those that select pods of this node now tell no other peers apart than those before. */
bool bh_compilation_keep_classes(struct bh_compilation *compilation);
/* The result's programs and problems, as its own. */
void bh_compilation_list_programs(struct bh_compilation *compilation);
void bh_compilation_list_problems(struct bh_compilation *compilation);
/* Policies of one tier and priority that select the same pods. */
void bh_compilation_check_ties(struct bh_compilation *compilation);

/* One reference more or less is seen by the step under way. */
void bh_compilation_touch_workload(
	struct bh_compilation *compilation, struct bh_workload *workload);

/* The number of a workload. The first two also put it into the result, once more. */
uint32_t bh_compilation_workload(struct bh_compilation *compilation, const char *namespace,
	const char *kind, const char *name);
uint32_t bh_compilation_pod_workload(struct bh_compilation *compilation, const struct bh_pod *pod);
uint32_t bh_compilation_pod_number(struct bh_compilation *compilation, const struct bh_pod *pod);

#endif
