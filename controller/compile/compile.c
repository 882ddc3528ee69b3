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
	bh_compilation_free(compiler->standing);
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

static void add_problem(struct bh_compilation *compilation, const struct bh_problem *problem)
{
	struct bh_problem_list *list = &compilation->problems;

	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = *problem;
}

void bh_compilation_problem(struct bh_compilation *compilation, enum bh_problem_about about,
	const char *code, const char *object, const char *text)
{
	add_problem(compilation, &(struct bh_problem){{code, object, text}, about, {0}});
}

void bh_compilation_address_problem(struct bh_compilation *compilation, const struct bh_ip *ip,
	const char *code, const char *object, const char *text)
{
	add_problem(compilation, &(struct bh_problem){{code, object, text}, BH_ABOUT_ADDRESS, *ip});
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
		bh_compilation_problem(compilation, BH_ABOUT_POLICY, "invalid-policy", object,
			bh_arena_printf(compilation->out,
				"%s; until that is mended it isolates %s (%s) and allows nothing",
				policy->fault,
				policy->subjects.n ? "the pods it selects"
						   : "every pod of its namespace",
				directions[policy->isolates[BH_INGRESS]]
					  [policy->isolates[BH_EGRESS]]));
	for (size_t i = 0; i < policy->n_notes; i++)
		bh_compilation_problem(compilation, BH_ABOUT_POLICY, policy->notes[i].code, object,
			bh_arena_strdup(compilation->out, policy->notes[i].text));
	if (policy->bad_mode)
		bh_compilation_problem(compilation, BH_ABOUT_POLICY, "unknown-mode", object,
			bh_arena_printf(compilation->out,
				"annotation bulkhead.io/mode: %s is not one of observe, dry-run, "
				"enforce; the pod's mode applies",
				bh_quote(policy->bad_mode, quoted)));
}

/* Which one goes first would be up to whoever enforces it; here it is the name, and said. */
void bh_compilation_check_ties(struct bh_compilation *compilation)
{
	for (size_t i = 0; i < compilation->n_cluster_policies; i++) {
		const struct bh_netpol *policy = compilation->policies[i];

		if (policy->tied)
			bh_compilation_problem(compilation, BH_ABOUT_LOCAL, "priority-tie",
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
		bh_compilation_problem(compilation, BH_ABOUT_REST, "unknown-mode",
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

void bh_compilation_gather_policies(struct bh_compilation *compilation)
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
	compilation->n_cluster_policies = 0;
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

void bh_compilation_name_rules(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	struct bh_arena *arena = bh_result_arena(compilation->result, BH_PART_POLICY);
	size_t total = 0, n = 0;

	for (size_t i = 0; i < compilation->n_policies; i++)
		total += compilation->policies[i]->n_rules[BH_INGRESS] +
			 compilation->policies[i]->n_rules[BH_EGRESS];
	struct bh_desired_rule_name *names =
		bh_arena_array(arena, total, struct bh_desired_rule_name);

	for (size_t i = 0; i < compilation->n_policies; i++) {
		const struct bh_netpol *policy = compilation->policies[i];
		const char *namespace = bh_arena_strdup(arena, policy->namespace);
		const char *name = bh_arena_strdup(arena, policy->name);

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
					.text = bh_arena_strdup(arena, rule->text),
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

static struct bh_workload *make_workload(
	uint32_t number, const char *namespace, const char *kind, const char *name)
{
	struct bh_desired_workload public = {number, namespace, kind, name};
	struct bh_workload *workload =
		bh_xcalloc(1, sizeof(*workload) + bh_desired_workloads.measure(&public));

	workload->public = public;
	bh_desired_workloads.move(&workload->public, workload->texts);
	return workload;
}

static uint32_t add_workload(struct bh_compilation *compilation, uint32_t number,
	const char *namespace, const char *kind, const char *name)
{
	struct bh_workload *workload =
		bh_table_get(&compilation->workloads, &number, sizeof(number));

	if (!workload) {
		workload = make_workload(number, namespace, kind, name);
		bh_table_put(&compilation->workloads, &workload->public.number,
			sizeof(workload->public.number), workload);
	}
	workload->references++;
	bh_compilation_touch_workload(compilation, workload);
	return number;
}

static uint32_t workload_number(struct bh_compilation *compilation, const char *namespace,
	const char *kind, const char *name)
{
	char content[1024];
	int length = snprintf(content, sizeof(content), "%s\n%s\n%s", kind, namespace, name);
	size_t size = (size_t)length < sizeof(content) ? (size_t)length : sizeof(content) - 1;

	return bh_registry_number(&compilation->compiler->workloads, content, size);
}

uint32_t bh_compilation_workload(struct bh_compilation *compilation, const char *namespace,
	const char *kind, const char *name)
{
	return add_workload(compilation, workload_number(compilation, namespace, kind, name),
		namespace, kind, name);
}

uint32_t bh_compilation_pod_workload(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	struct bh_workload_name workload = bh_workload_of(pod);

	return bh_compilation_workload(compilation, pod->namespace, workload.kind, workload.name);
}

uint32_t bh_compilation_pod_number(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	struct bh_workload_name workload = bh_workload_of(pod);

	return workload_number(compilation, pod->namespace, workload.kind, workload.name);
}

static void list_workloads(struct bh_compilation *compilation)
{
	const struct bh_workload *workload;
	size_t n = 0;
	struct bh_desired_workload *all = bh_xcalloc(compilation->workloads.n, sizeof(*all));

	for (size_t at = 0; (workload = bh_table_next(&compilation->workloads, &at));)
		all[n++] = workload->public;
	qsort(all, n, sizeof(*all), bh_desired_workloads.compare);
	compilation->result->public.workloads = bh_run_new(&bh_desired_workloads, all, n);
	free(all);
}

/* ---- The compilation
 * ------------------------------------------------------------------------------ */

/* Only what policies of this node's own pods ask can tell two peers apart. */
static size_t list_used(struct bh_compilation *compilation, struct bh_netpol ***ret_used)
{
	struct bh_netpol **used = bh_xcalloc(compilation->n_policies, sizeof(*used));
	size_t n = 0;

	for (size_t i = 0; i < compilation->n_policies; i++) {
		if (compilation->policies[i]->selects)
			used[n++] = compilation->policies[i];
	}
	*ret_used = used;
	return n;
}

static void begin_classes(struct bh_compilation *compilation)
{
	struct bh_netpol **used;
	size_t n = list_used(compilation, &used);

	bh_classes_begin(&compilation->classes, &compilation->scratch,
		&compilation->compiler->class_cache, &compilation->compiler->classes, used, n);
	free(used);
}

bool bh_compilation_keep_classes(struct bh_compilation *compilation)
{
	struct bh_netpol **used;
	size_t n = list_used(compilation, &used);
	bool kept = bh_classes_adopt(&compilation->classes, used, n);

	free(used);
	return kept;
}

static int compare_programs(const void *a, const void *b)
{
	const struct bh_desired_program *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

/* Those of the endpoints, each once. */
static size_t gather_programs(
	struct bh_compilation *compilation, const struct bh_desired_program **list)
{
	const struct bh_desired *desired = &compilation->result->public;
	struct bh_table seen = {0};
	size_t n = 0;

	for (size_t i = 0; i < 2 * desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &desired->endpoints[i / 2];
		const struct bh_desired_program *program = bh_programs_find(
			&compilation->programs, i % 2 ? endpoint->active : endpoint->pending);

		if (program && !bh_table_put(&seen, &program->number, sizeof(program->number),
				       (void *)program))
			list[n++] = program;
	}
	bh_table_clear(&seen);
	return n;
}

void bh_compilation_list_programs(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	struct bh_arena *arena = bh_result_arena(compilation->result, BH_PART_LOCAL);
	const struct bh_desired_program **list =
		bh_xcalloc(2 * desired->n_endpoints, sizeof(*list));
	size_t n = gather_programs(compilation, list);
	struct bh_desired_program *programs = bh_arena_array(arena, n, struct bh_desired_program);

	for (size_t i = 0; i < n; i++) {
		struct bh_desired_entry *entries = bh_arena_copy(
			arena, list[i]->entries, list[i]->n_entries, sizeof(*entries));

		for (size_t j = 0; j < list[i]->n_entries; j++)
			entries[j].rules = bh_arena_copy(arena, entries[j].rules,
				entries[j].n_rules, sizeof(*entries[j].rules));
		programs[i] = *list[i];
		programs[i].entries = entries;
	}
	if (n)
		qsort(programs, n, sizeof(*programs), compare_programs);
	desired->n_programs = n;
	desired->programs = programs;
	free(list);
}

void bh_compilation_list_problems(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	struct bh_arena *arena = bh_result_arena(compilation->result, BH_PART_PROBLEMS);
	const struct bh_problem_list *list = &compilation->problems;
	struct bh_desired_problem *problems =
		bh_arena_array(arena, list->n, struct bh_desired_problem);

	for (size_t i = 0; i < list->n; i++) {
		const struct bh_desired_problem *problem = &list->items[i].public;

		problems[i].code = bh_arena_strdup(arena, problem->code);
		problems[i].object = bh_arena_strdup(arena, problem->object);
		problems[i].text = bh_arena_strdup(arena, problem->text);
	}
	if (list->n)
		qsort(problems, list->n, sizeof(*problems), compare_problems);
	desired->n_problems = list->n;
	desired->problems = problems;
}

void bh_compilation_free(struct bh_compilation *compilation)
{
	struct bh_workload *workload;

	if (!compilation)
		return;
	bh_programs_clear(&compilation->programs);
	bh_services_clear(&compilation->services);
	bh_classes_clear(&compilation->classes);
	for (size_t at = 0; (workload = bh_table_next(&compilation->workloads, &at));)
		free(workload);
	bh_table_clear(&compilation->workloads);
	bh_arena_clear(&compilation->scratch);
	bh_arena_clear(&compilation->selection);
	bh_arena_clear(&compilation->making);
	bh_desired_unref(compilation->last);
	free(compilation->touched);
	free(compilation->holders);
	free(compilation->nodes);
	free(compilation->locals);
	free(compilation->problems.items);
	free(compilation);
}

static struct bh_compilation *begin(
	struct bh_compiler *compiler, const struct bh_model *model, const char *node)
{
	struct bh_compilation *compilation = bh_xcalloc(1, sizeof(*compilation));

	compilation->compiler = compiler;
	compilation->model = model;
	compilation->identity = bh_model_identity(model);
	compilation->node = node ? node : bh_model_node_name(model);
	compilation->result = bh_result_new();
	compilation->out = &compilation->scratch;
	compilation->programs = (struct bh_programs){.scratch = &compilation->making,
		.classes = &compilation->classes,
		.services = &compilation->services,
		.registry = &compiler->programs};
	return compilation;
}

/* `changes`: since the last one. Entries of the registries age by compilations or by many changes.
 */
static void turn_registries(struct bh_compiler *compiler, size_t changes)
{
	for (size_t i = 0; i <= changes / BH_CHANGES_A_TURN; i++) {
		bh_registry_turn(&compiler->classes);
		bh_registry_turn(&compiler->programs);
		bh_registry_turn(&compiler->workloads);
		bh_registry_turn(&compiler->rules);
	}
}

/* All of it; the compilation's `last` is the result. */
static struct bh_compilation *compile(
	struct bh_compiler *compiler, const struct bh_model *model, const char *node)
{
	struct bh_compilation *compilation = begin(compiler, model, node);
	struct bh_desired *desired = &compilation->result->public;

	desired->revision = bh_model_revision(model);
	add_workload(compilation, BH_WORKLOAD_WORLD, "", "World", "");
	add_workload(compilation, BH_WORKLOAD_NODE, "", "Node", compilation->node);
	add_workload(compilation, BH_WORKLOAD_HELD, "", "Held", "");
	bh_compilation_gather_policies(compilation);
	bh_compilation_name_rules(compilation);
	check_namespaces(compilation);
	bh_compilation_hold(compilation);
	bh_compilation_hold_services(compilation);
	bh_compilation_list_locals(compilation);
	bh_compilation_select(compilation);
	begin_classes(compilation);
	bh_compilation_place(compilation);
	bh_compilation_judge(compilation);
	bh_compilation_list_programs(compilation);
	list_workloads(compilation);
	bh_compilation_list_problems(compilation);
	compilation->last = desired;
	compilation->result = NULL;
	compilation->scratch_size = compilation->scratch.size;
	compilation->making_size = compilation->making.size;
	return compilation;
}

/* What stands in the compiler is of no use after a compilation of another kind. */
static size_t drop_standing(struct bh_compiler *compiler)
{
	size_t changes = compiler->standing ? compiler->standing->changes : 0;

	bh_compilation_free(compiler->standing);
	compiler->standing = NULL;
	return changes;
}

struct bh_desired *bh_compile_as(
	struct bh_compiler *compiler, const struct bh_model *model, const char *node)
{
	turn_registries(compiler, drop_standing(compiler));
	struct bh_compilation *compilation = compile(compiler, model, node);
	struct bh_desired *desired = bh_desired_ref(compilation->last);

	bh_compilation_free(compilation);
	return desired;
}

struct bh_desired *bh_compile(struct bh_compiler *compiler, const struct bh_model *model)
{
	struct bh_compilation *standing = compiler->standing;
	enum bh_compile_cause cause = BH_COMPILE_FIRST;

	if (standing && standing->identity == bh_model_identity(model)) {
		if (standing->last->revision == bh_model_revision(model))
			return bh_desired_ref(standing->last);
		if (bh_compilation_step(standing, &cause)) {
			compiler->counts.steps++;
			return bh_desired_ref(standing->last);
		}
	}
	compiler->counts.whole[cause]++;
	turn_registries(compiler, drop_standing(compiler));
	compiler->standing = compile(compiler, model, NULL);
	return bh_desired_ref(compiler->standing->last);
}

void bh_compiler_counts(const struct bh_compiler *compiler, struct bh_compile_counts *ret_counts)
{
	*ret_counts = compiler->counts;
}

const char *bh_compile_cause_name(enum bh_compile_cause cause)
{
	static const char *const names[BH_COMPILE_CAUSES] = {
		[BH_COMPILE_FIRST] = "first",
		[BH_COMPILE_OTHER] = "other-objects",
		[BH_COMPILE_MANY] = "many-changes",
		[BH_COMPILE_POLICIES] = "other-policies",
		[BH_COMPILE_NOWHERE] = "unknown-node",
		[BH_COMPILE_SLICE] = "slice-without-service",
		[BH_COMPILE_MODE] = "unknown-mode",
		[BH_COMPILE_TIDY] = "tidying",
	};

	return names[cause];
}
