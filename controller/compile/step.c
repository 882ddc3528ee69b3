/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A step: from the compilation that stands to that of the model as it is now, where only pods,
 * slices, services, namespaces and policies have changed in between. It never follows the changes
 * one by one. What they touch is gathered first, as it was when the last compilation was made; then
 * it is asked anew of the model:
 *
 *   pods, slices and services that changed, and pods whose namespace did
 *     their addresses: who has them now, and what that is
 *     services that have one of these behind them: what they are now
 *     classes that came or went: the programs that ask about them
 *   pods of this node among them, and policies: who is selected by what, and which programs follow
 *
 * Everything else stays, in the compilation and in the result. A step that comes upon what it
 * cannot do says why, and all that stands is thrown away: everything is compiled.
 */
#include "controller/compile/step.h"

#include "controller/model/memory.h"

/* What a step may leave behind before all is made anew: what it had at first, and this. */
#define SCRATCH_SLACK (4 * 1024 * 1024)
/* Where more addresses than this, and a quarter of all, are to be looked at, all are. */
#define LARGE_PART 1024

/* ---- What has changed ------------------------------------------------------------------------ */

static void add_change(struct bh_step *step, const struct bh_change *change)
{
	const struct bh_model *model = step->compilation->model;

	if (change->kind == BH_CHANGE_POD) {
		bh_xgrow(step->pods, step->n_pods, step->pods_room);
		step->pods[step->n_pods++] =
			(struct bh_step_pod){change->pod, bh_model_pod(model, change->uid)};
	} else if (change->kind == BH_CHANGE_NAMESPACE) {
		bh_xgrow(step->namespaces, step->n_namespaces, step->namespaces_room);
		step->namespaces[step->n_namespaces++] = (struct bh_step_namespace){
			change->namespace, bh_model_namespace_by_uid(model, change->uid)};
	} else if (change->kind == BH_CHANGE_SERVICE) {
		bh_xgrow(step->fronts, step->n_fronts, step->fronts_room);
		step->fronts[step->n_fronts++] = (struct bh_step_service){
			change->service, bh_model_service(model, change->uid)};
	} else {
		bh_xgrow(step->slices, step->n_slices, step->slices_room);
		step->slices[step->n_slices++] =
			(struct bh_step_slice){change->slice, bh_model_slice(model, change->uid)};
	}
}

static bool is_orphan(const struct bh_slice *slice)
{
	return slice && !slice->service;
}

static bool is_misread(const struct bh_namespace *namespace)
{
	return namespace && namespace->mode && bh_mode_parse(namespace->mode) == BH_MODE_UNSET;
}

/* Each object once, as the first of its changes found it. */
static bool gather_changes(struct bh_step *step, enum bh_compile_cause *ret_why)
{
	const struct bh_model *model = step->compilation->model;
	uint64_t first = step->compilation->last->revision + 1, last = bh_model_revision(model);
	struct bh_table seen = {0};
	bool done = true;

	step->compilation->changes += last + 1 - first;
	for (uint64_t revision = first; done && revision <= last; revision++) {
		const struct bh_change *change = bh_model_change(model, revision), *known;

		if (!change || change->kind == BH_CHANGE_OTHER) {
			*ret_why = change ? BH_COMPILE_OTHER : BH_COMPILE_MANY;
			done = false;
		} else if (change->kind == BH_CHANGE_POLICY) {
			step->policies_changed = true;
		} else if (!(known = bh_table_get(&seen, change->uid, strlen(change->uid)))) {
			bh_table_put(&seen, change->uid, strlen(change->uid), (void *)change);
			add_change(step, change);
		} else if (known->kind != change->kind) { /* one uid, two objects */
			*ret_why = BH_COMPILE_OTHER;
			done = false;
		}
	}
	bh_table_clear(&seen);
	for (size_t i = 0; done && i < step->n_namespaces; i++) {
		if (is_misread(step->namespaces[i].before) || is_misread(step->namespaces[i].now)) {
			*ret_why = BH_COMPILE_MODE;
			done = false;
		}
	}
	for (size_t i = 0; done && i < step->n_slices; i++) {
		if (is_orphan(step->slices[i].before) || is_orphan(step->slices[i].now)) {
			*ret_why = BH_COMPILE_SLICE;
			done = false;
		}
	}
	return done;
}

static void gather_ips(struct bh_step *step, const struct bh_pod *pod)
{
	for (size_t i = 0; pod && !pod->host_network && !pod->finished && i < pod->n_ips; i++)
		bh_step_add_ip(&step->ips, &pod->ips[i]);
}

/* The addresses of all its pods; and of those that are here, what selects them and in which mode.
 */
static void gather_namespace(struct bh_step *step, const struct bh_namespace *namespace)
{
	const struct bh_compilation *compilation = step->compilation;
	const struct bh_pod *pod;

	if (!namespace)
		return;
	for (const struct bh_ring *at = NULL;
		(pod = bh_model_next_pod_in(compilation->model, namespace->name, &at));) {
		gather_ips(step, pod);
		step->local_changed |= bh_compilation_is_subject(compilation, pod);
	}
}

/* ---- Pods of this node ----------------------------------------------------------------------- */

static void forget_local(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	for (size_t i = 0; i < compilation->n_locals; i++) {
		if (compilation->locals[i] != pod)
			continue;
		compilation->locals[i] = compilation->locals[--compilation->n_locals];
		return;
	}
}

static void change_locals(struct bh_step *step, const struct bh_step_pod *pod)
{
	struct bh_compilation *compilation = step->compilation;

	if (pod->before && bh_compilation_is_here(compilation, pod->before)) {
		step->local_changed = true;
		compilation->n_here--;
		forget_local(compilation, pod->before);
	}
	if (!pod->now || !bh_compilation_is_here(compilation, pod->now))
		return;
	step->local_changed = true;
	compilation->n_here++;
	if (!bh_compilation_is_subject(compilation, pod->now))
		return;
	bh_xgrow(compilation->locals, compilation->n_locals, compilation->locals_room);
	compilation->locals[compilation->n_locals++] = pod->now;
}

/* Has a pod of this node the address, or would have it if another did not? */
static bool is_wanted_here(struct bh_step *step, const struct bh_ip *ip)
{
	const struct bh_pod *pod;

	for (const struct bh_ring *at = NULL;
		(pod = bh_model_next_pod_at(step->compilation->model, ip, &at));) {
		if (bh_compilation_is_subject(step->compilation, pod))
			return true;
	}
	return false;
}

static size_t list_selecting(const struct bh_compilation *compilation, uint64_t *serials)
{
	size_t n = 0;

	for (size_t i = 0; i < compilation->n_policies; i++) {
		if (compilation->policies[i]->selects)
			serials[n++] = compilation->policies[i]->serial;
	}
	return n;
}

static void forget_programs(struct bh_step *step)
{
	struct bh_compilation *compilation = step->compilation;

	bh_programs_forget(&compilation->programs);
	bh_arena_clear(&compilation->making);
	compilation->services.indexed = false;
	step->programs_changed = true;
}

/* Who is selected by what. A serial is another one for every content of a policy. */
static bool select_same(struct bh_step *step)
{
	struct bh_compilation *compilation = step->compilation;
	uint64_t *before = bh_xcalloc(compilation->n_policies, sizeof(*before)), *after;
	size_t n_before = list_selecting(compilation, before), n_after;
	bool same;

	bh_step_drop_problems(step, BH_ABOUT_LOCAL, NULL);
	if (step->policies_changed) {
		bh_step_drop_problems(step, BH_ABOUT_POLICY, NULL);
		bh_compilation_gather_policies(compilation);
	}
	size_t n = compilation->problems.n;

	bh_compilation_select(compilation);
	step->problems_changed |= step->policies_changed || compilation->problems.n > n;
	after = bh_xcalloc(compilation->n_policies, sizeof(*after));
	n_after = list_selecting(compilation, after);
	same = n_before == n_after && !memcmp(before, after, n_after * sizeof(*after));
	free(before);
	free(after);
	return same;
}

/*
 * Policies that select no pod of this node, before or after, are names of rules and problems. Those
 * that do make programs; and as long as they tell the same peers apart as before, nothing else.
 */
static bool select_anew(struct bh_step *step, enum bh_compile_cause *ret_why)
{
	struct bh_compilation *compilation = step->compilation;
	struct bh_desired *desired = &step->result->public;
	const struct bh_desired_block *blocks = desired->blocks;
	bool same = select_same(step);

	*ret_why = BH_COMPILE_POLICIES;
	if (!same && !bh_compilation_keep_classes(compilation))
		return false;
	if (!same)
		forget_programs(step);
	if (!step->policies_changed)
		return true;
	/* The result before still has the part that the blocks are in. */
	desired->blocks = bh_arena_copy(bh_result_renew(step->result, BH_PART_POLICY), blocks,
		desired->n_blocks, sizeof(*blocks));
	bh_compilation_name_rules(compilation);
	return true;
}

/* Nobody here, and nobody knows this node: to be said with the name of one of all the pods. */
static bool is_nowhere(const struct bh_compilation *compilation)
{
	return !compilation->n_subjects && !compilation->n_here &&
	       !bh_compilation_node_is_known(compilation);
}

static void judge_anew(struct bh_step *step)
{
	bh_result_renew(step->result, BH_PART_LOCAL);
	bh_compilation_judge(step->compilation);
	bh_compilation_list_programs(step->compilation);
}

/* ---- Classes --------------------------------------------------------------------------------- */

/* Leaves those that came or went. */
static void keep_changed(struct bh_step *step)
{
	size_t kept = 0;

	for (size_t i = 0; i < step->n_classes; i++) {
		struct bh_class *class = step->classes[i];

		class->touched = false;
		if (class->counted != (class->references > 0))
			step->classes[kept++] = class;
	}
	step->n_classes = kept;
}

static void part_services(struct bh_step *step)
{
	for (size_t i = 0; i < step->n_service_classes; i++) {
		struct bh_service_class *class = step->service_classes[i];
		bool is = class->references > 0, outside = class->n_outside > 0;
		bool same = class->counted == is && class->counted_outside == outside;

		class->touched = false;
		class->outside = outside;
		if (class->counted && !same)
			bh_table_put(&step->gone, &class->number, sizeof(class->number), class);
		if (!is || same)
			continue;
		bh_xgrow(step->come.classes, step->come.n, step->come_room);
		step->come.classes[step->come.n++] = class;
	}
}

static void follow_classes(struct bh_step *step)
{
	struct bh_compilation *compilation = step->compilation;
	struct bh_programs *programs = &compilation->programs;

	keep_changed(step);
	part_services(step);
	if (!step->n_classes && !step->come.n && !step->gone.n)
		return;
	compilation->services.indexed = false;
	if (compilation->making.size > 2 * compilation->making_size + SCRATCH_SLACK) {
		forget_programs(step);
		return;
	}
	bh_services_index_some(&step->come, &compilation->making);
	step->programs_changed |= bh_programs_follow(
		programs, step->classes, step->n_classes, &step->come, &step->gone);
}

/* ---- The end --------------------------------------------------------------------------------- */

static int compare_workloads(const void *a, const void *b)
{
	const struct bh_workload *const *left = a, *const *right = b;

	return bh_desired_workloads.compare(&(*left)->public, &(*right)->public);
}

/* Those that came, and those that went; of the others only the number of references is another. */
static void edit_workloads(struct bh_step *step)
{
	struct bh_compilation *compilation = step->compilation;
	struct bh_desired *desired = &step->result->public;
	struct bh_run_edit *edits = bh_xcalloc(compilation->n_touched, sizeof(*edits));
	size_t n = 0;

	if (compilation->n_touched)
		qsort(compilation->touched, compilation->n_touched, sizeof(*compilation->touched),
			compare_workloads);
	for (size_t i = 0; i < compilation->n_touched; i++) {
		const struct bh_workload *workload = compilation->touched[i];
		bool there =
			bh_run_find(&bh_desired_workloads, &desired->workloads, &workload->public);

		if (there != (workload->references > 0))
			edits[n++] = (struct bh_run_edit){&workload->public, there};
	}
	if (n) {
		struct bh_run run =
			bh_run_edit(&bh_desired_workloads, &desired->workloads, edits, n);

		bh_run_unref(&desired->workloads);
		desired->workloads = run;
	}
	for (size_t i = 0; i < compilation->n_touched; i++) {
		struct bh_workload *workload = compilation->touched[i];

		workload->touched = false;
		if (workload->references)
			continue;
		bh_table_remove(&compilation->workloads, &workload->public.number,
			sizeof(workload->public.number));
		free(workload);
	}
	compilation->n_touched = 0;
	free(edits);
}

static bool take_step(struct bh_step *step, enum bh_compile_cause *ret_why)
{
	struct bh_compilation *compilation = step->compilation;
	size_t n_problems;

	for (size_t i = 0; i < step->n_pods; i++) {
		gather_ips(step, step->pods[i].before);
		gather_ips(step, step->pods[i].now);
		change_locals(step, &step->pods[i]);
	}
	for (size_t i = 0; i < step->n_namespaces; i++) {
		gather_namespace(step, step->namespaces[i].before);
		gather_namespace(step, step->namespaces[i].now);
	}
	bh_step_claim_services(step);
	bh_step_sort_ips(&step->ips);
	if (step->ips.n > LARGE_PART && step->ips.n > compilation->last->addresses.n / 4) {
		*ret_why = BH_COMPILE_MANY;
		return false;
	}
	bh_step_drop_problems(step, BH_ABOUT_ADDRESS, &step->ips);
	n_problems = compilation->problems.n;
	bh_step_place_ips(step);
	step->problems_changed |= compilation->problems.n > n_problems;
	bh_step_place_services(step);
	follow_classes(step);
	for (size_t i = 0; i < step->ips.n && !step->local_changed; i++)
		step->local_changed = is_wanted_here(step, &step->ips.items[i]);
	if ((step->local_changed || step->policies_changed) && !select_anew(step, ret_why))
		return false;
	if (is_nowhere(compilation)) {
		*ret_why = BH_COMPILE_NOWHERE;
		return false;
	}
	if (step->local_changed || step->programs_changed)
		judge_anew(step);
	edit_workloads(step);
	if (step->problems_changed) {
		bh_result_renew(step->result, BH_PART_PROBLEMS);
		bh_compilation_list_problems(compilation);
	}
	step->result->public.revision = bh_model_revision(compilation->model);
	return true;
}

static bool is_untidy(const struct bh_compilation *compilation)
{
	return compilation->changes > BH_CHANGES_MAX ||
	       compilation->scratch.size > 2 * compilation->scratch_size + SCRATCH_SLACK;
}

bool bh_compilation_step(struct bh_compilation *compilation, enum bh_compile_cause *ret_why)
{
	struct bh_step step = {.compilation = compilation};
	bool done = gather_changes(&step, ret_why);

	if (done && is_untidy(compilation)) {
		*ret_why = BH_COMPILE_TIDY;
		done = false;
	}
	if (done) {
		step.result = bh_result_like(compilation->last);
		compilation->result = step.result;
		compilation->stepping = true;
		done = take_step(&step, ret_why);
		compilation->stepping = false;
		compilation->result = NULL;
		if (done) {
			bh_desired_unref(compilation->last);
			compilation->last = &step.result->public;
		} else {
			bh_desired_unref(&step.result->public);
		}
	}
	free(step.pods);
	free(step.slices);
	free(step.namespaces);
	free(step.fronts);
	free(step.claimed.claims);
	free(step.ips.items);
	free(step.moved.items);
	free(step.services.items);
	free(step.edits);
	free(step.removed);
	free(step.classes);
	free(step.service_classes);
	free(step.come.classes);
	bh_table_clear(&step.gone);
	return done;
}
