/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A compilation from top to bottom: policies are parsed, addresses find their holders, pods of this
 * node the policies that select them; those policies' peers are the atoms, the atoms cut the world
 * into classes, services answer for their backends, and every pod gets its programs over the
 * classes.
 */
#include "controller/compile/compile.h"

#include "controller/compile/cnp.h"
#include "controller/compile/compilation.h"
#include "controller/compile/workload.h"
#include "controller/model/memory.h"

struct bh_compiler *bh_compiler_new(void)
{
	struct bh_compiler *compiler = bh_xcalloc(1, sizeof(*compiler));

	compiler->classes.low = BH_CLASS_NONE + 1;
	compiler->classes.high = BH_CLASS_TRANSIENT - 1;
	compiler->programs.low = (BH_PROGRAM_HELD & (BH_PROGRAM_INGRESS_ISOLATED - 1)) + 1;
	compiler->programs.high = BH_PROGRAM_INGRESS_ISOLATED - 1;
	compiler->workloads.low = BH_WORKLOAD_HELD + 1;
	compiler->workloads.high = UINT32_MAX;
	compiler->rules.low = BH_RULE_NONE + 1;
	compiler->rules.high = UINT32_MAX;
	return compiler;
}

/* A parsed policy of the cache, by its object's uid. */
struct cached {
	struct bh_netpol *policy;
	char uid[];
};

static void free_cached(struct cached *cached)
{
	bh_netpol_free(cached->policy);
	free(cached);
}

void bh_compiler_free(struct bh_compiler *compiler)
{
	struct cached *cached;

	if (!compiler)
		return;
	for (size_t at = 0; (cached = bh_table_next(&compiler->policies, &at));)
		free_cached(cached);
	bh_table_clear(&compiler->policies);
	bh_class_cache_clear(&compiler->class_cache);
	bh_registry_clear(&compiler->classes);
	bh_registry_clear(&compiler->programs);
	bh_registry_clear(&compiler->workloads);
	bh_registry_clear(&compiler->rules);
	free(compiler);
}

/* ---- Problems -----------------------------------------------------------------------------------
 */

void bh_compilation_problem(
	struct bh_compilation *compilation, const char *code, const char *object, const char *text)
{
	struct bh_problem_list *list = &compilation->problems;

	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = (struct bh_desired_problem){code, object, text};
}

const char *bh_compilation_pod_object(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	return bh_arena_printf(compilation->out, "Pod %s/%s", pod->namespace, pod->name);
}

static int compare_problems(const void *a, const void *b)
{
	const struct bh_desired_problem *left = a, *right = b;
	int order = strcmp(left->object, right->object);

	if (!order)
		order = strcmp(left->code, right->code);
	return order ? order : strcmp(left->text, right->text);
}

static const char *policy_object(struct bh_compilation *compilation, const struct bh_netpol *policy)
{
	if (policy->tier != BH_TIER_NETPOL)
		return bh_arena_printf(compilation->out, "ClusterNetworkPolicy %s", policy->name);
	return bh_arena_printf(
		compilation->out, "NetworkPolicy %s/%s", policy->namespace, policy->name);
}

static void check_policy(struct bh_compilation *compilation, const struct bh_netpol *policy)
{
	static const char *const directions[2][2] = {
		{"", "egress"}, {"ingress", "ingress and egress"}};
	const char *object = policy_object(compilation, policy);
	char quoted[BH_QUOTE_MAX];

	if (policy->fault)
		bh_compilation_problem(compilation, "invalid-policy", object,
			bh_arena_printf(compilation->out,
				"%s; until that is mended it isolates %s (%s) and allows nothing",
				policy->fault,
				policy->subjects.n ? "the pods it selects"
						   : "every pod of its namespace",
				directions[policy->isolates[BH_INGRESS]]
					  [policy->isolates[BH_EGRESS]]));
	for (size_t i = 0; i < policy->n_notes; i++)
		bh_compilation_problem(compilation, policy->notes[i].code, object,
			bh_arena_strdup(compilation->out, policy->notes[i].text));
	if (policy->bad_mode)
		bh_compilation_problem(compilation, "unknown-mode", object,
			bh_arena_printf(compilation->out,
				"annotation bulkhead.io/mode: %s is not one of observe, dry-run, "
				"enforce; the pod's mode applies",
				bh_quote(policy->bad_mode, quoted)));
}

/* Which one goes first would be up to whoever enforces it; here it is the name, and said. */
static void check_ties(struct bh_compilation *compilation)
{
	for (size_t i = 0; i < compilation->n_cluster_policies; i++) {
		const struct bh_netpol *policy = compilation->policies[i];

		if (policy->tied)
			bh_compilation_problem(compilation, "priority-tie",
				policy_object(compilation, policy),
				bh_arena_printf(compilation->out,
					"has priority %d in tier %s, and so has "
					"ClusterNetworkPolicy %s, for the same pods; that one goes "
					"first, by its name: give them different priorities",
					policy->priority, bh_tier_name(policy->tier),
					policy->tied->name));
	}
}

static void check_namespaces(struct bh_compilation *compilation)
{
	const struct bh_namespace *namespace;
	char quoted[BH_QUOTE_MAX];

	for (size_t at = 0; (namespace = bh_model_next_namespace(compilation->model, &at));) {
		if (!namespace->mode || bh_mode_parse(namespace->mode) != BH_MODE_UNSET)
			continue;
		bh_compilation_problem(compilation, "unknown-mode",
			bh_arena_printf(compilation->out, "Namespace %s", namespace->name),
			bh_arena_printf(compilation->out,
				"annotation bulkhead.io/mode: %s is not one of observe, dry-run, "
				"enforce; the node's mode applies",
				bh_quote(namespace->mode, quoted)));
	}
}

/* ---- Policies -----------------------------------------------------------------------------------
 */

/* Parses what is new or changed. */
static struct bh_netpol *parse(struct bh_compiler *compiler, const struct bh_network_policy *object)
{
	size_t length = strlen(object->uid);
	struct cached *cached = bh_table_get(&compiler->policies, object->uid, length);

	if (!cached) {
		cached = bh_xcalloc(1, sizeof(*cached) + length + 1);
		memcpy(cached->uid, object->uid, length);
		bh_table_put(&compiler->policies, cached->uid, length, cached);
	}
	if (!cached->policy || cached->policy->serial != object->serial) {
		bh_netpol_free(cached->policy);
		cached->policy = bh_netpol_parse(object);
	}
	cached->policy->used = true;
	cached->policy->selects = false;
	cached->policy->tied = NULL;
	return cached->policy;
}

static void drop_unused(struct bh_compiler *compiler)
{
	struct cached **old = NULL, *cached;
	size_t n = 0, capacity = 0;

	for (size_t at = 0; (cached = bh_table_next(&compiler->policies, &at));) {
		if (!cached->policy->used) {
			bh_xgrow(old, n, capacity);
			old[n++] = cached;
		}
		cached->policy->used = false;
	}
	for (size_t i = 0; i < n; i++) {
		bh_table_remove(&compiler->policies, old[i]->uid, strlen(old[i]->uid));
		free_cached(old[i]);
	}
	free(old);
}

static int compare_policies(const void *a, const void *b)
{
	return bh_netpol_compare(*(struct bh_netpol *const *)a, *(struct bh_netpol *const *)b);
}

static void gather_policies(struct bh_compilation *compilation)
{
	const struct bh_network_policy *object;
	size_t n = 0;

	compilation->policies = bh_arena_array(&compilation->scratch,
		bh_model_count_policies(compilation->model), struct bh_netpol *);
	for (size_t at = 0; (object = bh_model_next_policy(compilation->model, &at));)
		compilation->policies[n++] = parse(compilation->compiler, object);
	drop_unused(compilation->compiler);
	if (n)
		qsort(compilation->policies, n, sizeof(*compilation->policies), compare_policies);
	compilation->n_policies = n;
	for (size_t i = 0; i < n; i++)
		compilation->n_cluster_policies += compilation->policies[i]->tier != BH_TIER_NETPOL;
	for (size_t i = 0; i < n; i++)
		check_policy(compilation, compilation->policies[i]);
}

/* ---- Names of rules
 * ------------------------------------------------------------------------------- */

static int compare_rule_names(const void *a, const void *b)
{
	const struct bh_desired_rule_name *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

static void name_rules(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	size_t total = 0, n = 0;

	for (size_t i = 0; i < compilation->n_policies; i++)
		total += compilation->policies[i]->n_rules[BH_INGRESS] +
			 compilation->policies[i]->n_rules[BH_EGRESS];
	struct bh_desired_rule_name *names =
		bh_arena_array(compilation->out, total, struct bh_desired_rule_name);

	for (size_t i = 0; i < compilation->n_policies; i++) {
		const struct bh_netpol *policy = compilation->policies[i];
		const char *namespace = bh_arena_strdup(compilation->out, policy->namespace);
		const char *name = bh_arena_strdup(compilation->out, policy->name);

		for (int direction = BH_INGRESS; direction <= BH_EGRESS; direction++) {
			for (size_t j = 0; j < policy->n_rules[direction]; j++) {
				struct bh_netpol_rule *rule = &policy->rules[direction][j];
				char *content = bh_xasprintf(
					"%s\n%s\n%d\n%zu", namespace, name, direction, j);

				rule->number = bh_registry_number(
					&compilation->compiler->rules, content, strlen(content));
				free(content);
				names[n++] = (struct bh_desired_rule_name){
					.number = rule->number,
					.namespace = namespace,
					.policy = name,
					.egress = direction == BH_EGRESS,
					.index = (int)j,
					.text = bh_arena_strdup(compilation->out, rule->text),
				};
			}
		}
	}
	if (n)
		qsort(names, n, sizeof(*names), compare_rule_names);
	desired->n_rule_names = n;
	desired->rule_names = names;
}

/* ---- Workloads ----------------------------------------------------------------------------------
 */

static uint32_t add_workload(struct bh_compilation *compilation, uint32_t number,
	const char *namespace, const char *kind, const char *name)
{
	if (bh_table_get(&compilation->workloads, &number, sizeof(number)))
		return number;
	struct bh_desired_workload *workload =
		bh_arena_new(&compilation->scratch, struct bh_desired_workload);

	*workload = (struct bh_desired_workload){
		.number = number,
		.namespace = bh_arena_strdup(compilation->out, namespace),
		.kind = bh_arena_strdup(compilation->out, kind),
		.name = bh_arena_strdup(compilation->out, name),
	};
	bh_table_put(&compilation->workloads, &workload->number, sizeof(number), workload);
	return number;
}

uint32_t bh_compilation_workload(struct bh_compilation *compilation, const char *namespace,
	const char *kind, const char *name)
{
	char content[1024];
	int length = snprintf(content, sizeof(content), "%s\n%s\n%s", kind, namespace, name);
	size_t size = (size_t)length < sizeof(content) ? (size_t)length : sizeof(content) - 1;

	return add_workload(compilation,
		bh_registry_number(&compilation->compiler->workloads, content, size), namespace,
		kind, name);
}

uint32_t bh_compilation_pod_workload(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	struct bh_workload_name workload = bh_workload_of(pod);

	return bh_compilation_workload(compilation, pod->namespace, workload.kind, workload.name);
}

static int compare_workloads(const void *a, const void *b)
{
	const struct bh_desired_workload *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

static void list_workloads(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	const struct bh_desired_workload *workload;
	size_t n = 0;
	struct bh_desired_workload *all = bh_arena_array(
		compilation->out, compilation->workloads.n, struct bh_desired_workload);

	for (size_t at = 0; (workload = bh_table_next(&compilation->workloads, &at));)
		all[n++] = *workload;
	qsort(all, n, sizeof(*all), compare_workloads);
	desired->n_workloads = n;
	desired->workloads = all;
}

/* ---- The compilation
 * ------------------------------------------------------------------------------ */

/* Only what policies of this node's own pods ask can tell two peers apart. */
static void begin_classes(struct bh_compilation *compilation)
{
	struct bh_netpol **used =
		bh_arena_array(&compilation->scratch, compilation->n_policies, struct bh_netpol *);
	size_t n = 0;

	for (size_t i = 0; i < compilation->n_policies; i++) {
		if (compilation->policies[i]->selects)
			used[n++] = compilation->policies[i];
	}
	bh_classes_begin(&compilation->classes, &compilation->scratch,
		&compilation->compiler->class_cache, &compilation->compiler->classes, used, n);
}

static int compare_programs(const void *a, const void *b)
{
	const struct bh_desired_program *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

static void list_programs(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	struct bh_programs *programs = &compilation->programs;

	if (programs->n)
		qsort(programs->list, programs->n, sizeof(*programs->list), compare_programs);
	desired->n_programs = programs->n;
	desired->programs = bh_arena_copy(
		compilation->out, programs->list, programs->n, sizeof(*programs->list));
}

static void list_problems(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	struct bh_problem_list *list = &compilation->problems;

	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), compare_problems);
	desired->n_problems = list->n;
	desired->problems =
		bh_arena_copy(compilation->out, list->items, list->n, sizeof(*list->items));
}

static void finish(struct bh_compilation *compilation)
{
	bh_programs_clear(&compilation->programs);
	bh_services_clear(&compilation->services);
	bh_classes_clear(&compilation->classes);
	bh_table_clear(&compilation->workloads);
	bh_arena_clear(&compilation->scratch);
	free(compilation->holders);
	free(compilation->problems.items);
}

struct bh_desired *bh_compile_as(
	struct bh_compiler *compiler, const struct bh_model *model, const char *node)
{
	struct bh_result *result = bh_result_new();
	struct bh_compilation compilation = {
		.compiler = compiler,
		.model = model,
		.node = node ? node : bh_model_node_name(model),
		.result = result,
		.out = &result->arena,
	};

	compilation.programs = (struct bh_programs){.out = compilation.out,
		.scratch = &compilation.scratch,
		.classes = &compilation.classes,
		.services = &compilation.services,
		.registry = &compiler->programs};
	bh_registry_turn(&compiler->classes);
	bh_registry_turn(&compiler->programs);
	bh_registry_turn(&compiler->workloads);
	bh_registry_turn(&compiler->rules);
	result->public.revision = bh_model_revision(model);
	add_workload(&compilation, BH_WORKLOAD_WORLD, "", "World", "");
	add_workload(&compilation, BH_WORKLOAD_NODE, "", "Node", compilation.node);
	add_workload(&compilation, BH_WORKLOAD_HELD, "", "Held", "");
	gather_policies(&compilation);
	name_rules(&compilation);
	check_namespaces(&compilation);
	bh_compilation_hold(&compilation);
	bh_compilation_hold_services(&compilation);
	bh_compilation_select(&compilation);
	check_ties(&compilation);
	begin_classes(&compilation);
	bh_compilation_place(&compilation);
	bh_compilation_judge(&compilation);
	list_programs(&compilation);
	list_workloads(&compilation);
	list_problems(&compilation);
	finish(&compilation);
	return &result->public;
}

struct bh_desired *bh_compile(struct bh_compiler *compiler, const struct bh_model *model)
{
	return bh_compile_as(compiler, model, NULL);
}
