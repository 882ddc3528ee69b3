/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/flows/names.h"
#include "controller/model/arena.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"

struct bh_names {
	const struct bh_model *model;

	/* Learnt, and kept when what they name is gone. Copies share the texts. */
	struct learnt *learnt;
	struct bh_table workloads; /* number → struct bh_workload_name */
	struct bh_table rules;     /* number → struct bh_rule_label */
	struct bh_table endpoints; /* uid → struct endpoint_name */

	struct bh_pod_name found; /* by address, last */
};

struct learnt {
	size_t references;
	struct bh_arena arena;
};

struct endpoint_name {
	struct bh_pod_name pod;
	const char *uid;
};

static struct learnt *learnt_new(void)
{
	struct learnt *learnt = bh_xcalloc(1, sizeof(*learnt));

	learnt->references = 1;
	return learnt;
}

static void learnt_unref(struct learnt *learnt)
{
	if (--learnt->references)
		return;
	bh_arena_clear(&learnt->arena);
	free(learnt);
}

struct bh_names *bh_names_new(const struct bh_model *model)
{
	struct bh_names *names = bh_xcalloc(1, sizeof(*names));

	names->model = model;
	names->learnt = learnt_new();
	return names;
}

static void clear_tables(struct bh_names *names)
{
	bh_table_clear(&names->workloads);
	bh_table_clear(&names->rules);
	bh_table_clear(&names->endpoints);
}

static void forget_learnt(struct bh_names *names)
{
	clear_tables(names);
	learnt_unref(names->learnt);
	names->learnt = learnt_new();
}

void bh_names_free(struct bh_names *names)
{
	if (!names)
		return;
	clear_tables(names);
	learnt_unref(names->learnt);
	free(names);
}

/* ---- Learning -------------------------------------------------------------------------------- */

static void learn_workload(struct bh_names *names, const struct bh_desired_workload *from)
{
	struct bh_workload_name *to;

	if (bh_names_workload(names, from->number))
		return;
	to = bh_arena_new(&names->learnt->arena, struct bh_workload_name);
	to->number = from->number;
	to->namespace = bh_arena_strdup(&names->learnt->arena, from->namespace);
	to->kind = bh_arena_strdup(&names->learnt->arena, from->kind);
	to->name = bh_arena_strdup(&names->learnt->arena, from->name);
	bh_table_put(&names->workloads, &to->number, sizeof(to->number), to);
}

static void learn_rule(struct bh_names *names, const struct bh_desired_rule_name *from)
{
	struct bh_rule_label *to;

	if (bh_names_rule(names, from->number))
		return;
	to = bh_arena_new(&names->learnt->arena, struct bh_rule_label);
	to->number = from->number;
	to->namespace = bh_arena_strdup(&names->learnt->arena, from->namespace);
	to->policy = bh_arena_strdup(&names->learnt->arena, from->policy);
	to->egress = from->egress;
	to->index = from->index;
	to->text = bh_arena_strdup(&names->learnt->arena, from->text);
	bh_table_put(&names->rules, &to->number, sizeof(to->number), to);
}

/* A pod that was made anew under the same name and uid (a manifest without uid) is the same name.
 */
static void learn_endpoint(struct bh_names *names, const struct bh_desired_endpoint *from)
{
	struct endpoint_name *to;

	if (bh_names_endpoint(names, from->uid))
		return;
	to = bh_arena_new(&names->learnt->arena, struct endpoint_name);
	to->uid = bh_arena_strdup(&names->learnt->arena, from->uid);
	to->pod.namespace = bh_arena_strdup(&names->learnt->arena, from->namespace);
	to->pod.name = bh_arena_strdup(&names->learnt->arena, from->name);
	bh_table_put(&names->endpoints, to->uid, strlen(to->uid) + 1, to);
}

void bh_names_learn(
	struct bh_names *names, const struct bh_desired *desired, const struct bh_desired *before)
{
	static const struct bh_desired nothing;
	struct bh_run_at old = {0}, new = {0};

	if (names->workloads.n + names->rules.n + names->endpoints.n > BH_NAMES_MAX) {
		forget_learnt(names);
		before = NULL;
	}
	before = before ? before : &nothing;
	for (const struct bh_desired_workload *workload;
		(workload = bh_desired_next_new_workload(desired, &new, before, &old));)
		learn_workload(names, workload);
	for (size_t i = 0; desired->rule_names != before->rule_names && i < desired->n_rule_names;
		i++)
		learn_rule(names, &desired->rule_names[i]);
	for (size_t i = 0; desired->endpoints != before->endpoints && i < desired->n_endpoints; i++)
		learn_endpoint(names, &desired->endpoints[i]);
}

void bh_names_recall(struct bh_names *names, size_t n_workloads,
	const struct bh_workload_name *workloads, size_t n_rules, const struct bh_rule_label *rules)
{
	for (size_t i = 0; i < n_workloads; i++) {
		const struct bh_workload_name *from = &workloads[i];

		learn_workload(names, &(struct bh_desired_workload){from->number, from->namespace,
					      from->kind, from->name});
	}
	for (size_t i = 0; i < n_rules; i++) {
		const struct bh_rule_label *from = &rules[i];

		learn_rule(names, &(struct bh_desired_rule_name){from->number, from->namespace,
					  from->policy, from->egress, from->index, from->text});
	}
}

struct bh_names *bh_names_copy(const struct bh_names *names)
{
	struct bh_names *copy = bh_xcalloc(1, sizeof(*copy));

	copy->learnt = names->learnt;
	copy->learnt->references++;
	bh_table_copy(&copy->workloads, &names->workloads);
	bh_table_copy(&copy->rules, &names->rules);
	return copy;
}

/* ---- Looking up ------------------------------------------------------------------------------ */

const struct bh_workload_name *bh_names_workload(const struct bh_names *names, uint32_t number)
{
	return bh_table_get(&names->workloads, &number, sizeof(number));
}

const struct bh_rule_label *bh_names_rule(const struct bh_names *names, uint32_t number)
{
	return bh_table_get(&names->rules, &number, sizeof(number));
}

const struct bh_pod_name *bh_names_endpoint(const struct bh_names *names, const char *uid)
{
	const struct endpoint_name *found = bh_table_get(&names->endpoints, uid, strlen(uid) + 1);

	return found ? &found->pod : NULL;
}

const struct bh_pod_name *bh_names_address(struct bh_names *names, const struct bh_ip *ip)
{
	const struct bh_pod *pod = bh_model_pod_at(names->model, ip);

	if (!pod)
		return NULL;
	names->found = (struct bh_pod_name){pod->namespace, pod->name};
	return &names->found;
}
