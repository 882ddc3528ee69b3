/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A step: from the compilation that stands to that of the model as it is now, where only pods,
 * slices, namespaces and policies have changed in between. It never
 * follows the changes one by one. What they touch is gathered first, as it was when the last
 * compilation was made; then it is asked anew of the model:
 *
 *   pods, slices, pods' namespaces that changed → addresses they have or had → who has these now,
 * and what that is → services whose backends are among them → what these are now → classes that
 * came or went → programs pods of this node among them → which policies select them → programs
 *
 * Everything else stays, in the compilation and in the result. Whatever a step cannot do it does
 * not begin to do by halves: it says why, and everything is compiled.
 */
#include "controller/compile/compilation.h"
#include "controller/model/memory.h"

/* What a step may leave behind before all is made anew: what it had at first, and this. */
#define SCRATCH_SLACK (16 * 1024 * 1024)
/* Where more addresses than this, and a quarter of all, are to be looked at, all are. */
#define LARGE_PART 1024

/* An object that has changed: as it was, and as it is. NULL: it was or is not there. */
struct changed_pod {
	const struct bh_pod *before, *now;
};

struct changed_slice {
	const struct bh_slice *before, *now;
};

/* Its pods are as they were, and may be something else to policies. */
struct changed_namespace {
	const struct bh_namespace *before, *now;
};

struct ip_list {
	size_t n;
	size_t capacity;
	struct bh_ip *items;
};

struct step {
	struct bh_compilation *compilation;
	struct bh_result *result;
	size_t n_pods, pods_room;
	struct changed_pod *pods;
	size_t n_slices, slices_room;
	struct changed_slice *slices;
	size_t n_namespaces, namespaces_room;
	struct changed_namespace *namespaces;
	struct ip_list ips;      /* that the pods have or had; sorted */
	struct ip_list moved;    /* those of them that are something else than before */
	struct ip_list services; /* addresses of services that may be, too */
	size_t n_edits, edits_room;
	struct bh_desired_address *edits; /* what addresses are now; class … */
	bool *removed;
	size_t removed_room;
	size_t n_classes, classes_room;
	struct bh_class *
		*classes; /* of which there are more or fewer now; then, that came or went */
	size_t n_service_classes, service_room;
	struct bh_service_class **service_classes; /* of which there are more or fewer now */
	struct bh_services come;                   /* those that came … */
	size_t come_room;
	struct bh_table gone; /* … or went, and such that are both, as the world knows them now */
	bool programs_changed; /* of pods that did not */
	bool policies_changed;
	bool local_changed; /* who is selected by what */
	bool problems_changed;
};

/* ---- Lists ----------------------------------------------------------------------------------- */

static int compare_ips(const void *a, const void *b)
{
	return bh_ip_compare(a, b);
}

static void add_ip(struct ip_list *list, const struct bh_ip *ip)
{
	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = *ip;
}

static void sort_ips(struct ip_list *list)
{
	size_t kept = 0;

	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), compare_ips);
	for (size_t i = 0; i < list->n; i++) {
		if (!kept || bh_ip_compare(&list->items[kept - 1], &list->items[i]))
			list->items[kept++] = list->items[i];
	}
	list->n = kept;
}

static bool holds_ip(const struct ip_list *list, const struct bh_ip *ip)
{
	return list->n && bsearch(ip, list->items, list->n, sizeof(*list->items), compare_ips);
}

/* ---- What has changed ------------------------------------------------------------------------ */

static void add_change(struct step *step, const struct bh_change *change)
{
	const struct bh_model *model = step->compilation->model;

	if (change->kind == BH_CHANGE_POD) {
		bh_xgrow(step->pods, step->n_pods, step->pods_room);
		step->pods[step->n_pods++] =
			(struct changed_pod){change->pod, bh_model_pod(model, change->uid)};
	} else if (change->kind == BH_CHANGE_NAMESPACE) {
		bh_xgrow(step->namespaces, step->n_namespaces, step->namespaces_room);
		step->namespaces[step->n_namespaces++] = (struct changed_namespace){
			change->namespace, bh_model_namespace_by_uid(model, change->uid)};
	} else {
		bh_xgrow(step->slices, step->n_slices, step->slices_room);
		step->slices[step->n_slices++] =
			(struct changed_slice){change->slice, bh_model_slice(model, change->uid)};
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
static bool gather_changes(struct step *step, enum bh_compile_cause *ret_why)
{
	const struct bh_model *model = step->compilation->model;
	uint64_t first = step->compilation->last->revision + 1, last = bh_model_revision(model);
	struct bh_table seen = {0};
	bool done = true;

	step->compilation->changes += last + 1 - first;
	for (uint64_t revision = first; done && revision <= last; revision++) {
		const struct bh_change *change = bh_model_change(model, revision);

		if (!change || change->kind == BH_CHANGE_OTHER) {
			*ret_why = change ? BH_COMPILE_OTHER : BH_COMPILE_MANY;
			done = false;
		} else if (change->kind == BH_CHANGE_POLICY) {
			step->policies_changed = true;
		} else if (!bh_table_put(&seen, change->uid, strlen(change->uid), (void *)change)) {
			add_change(step, change);
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

static void gather_ips(struct step *step, const struct bh_pod *pod)
{
	for (size_t i = 0; pod && !pod->host_network && !pod->finished && i < pod->n_ips; i++)
		add_ip(&step->ips, &pod->ips[i]);
}

/* The addresses of all its pods; and of those that are here, what selects them and in which mode.
 */
static void gather_namespace(struct step *step, const struct bh_namespace *namespace)
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

/* ---- Problems -------------------------------------------------------------------------------- */

/* Drops those that will be said again if they are still so. */
static void drop_problems(struct step *step, enum bh_problem_about about, const struct ip_list *ips)
{
	struct bh_problem_list *list = &step->compilation->problems;
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct bh_problem *problem = &list->items[i];

		if (problem->about != about || (ips && !holds_ip(ips, &problem->ip)))
			list->items[kept++] = *problem;
	}
	step->problems_changed |= kept < list->n;
	list->n = kept;
}

/* ---- Counting -------------------------------------------------------------------------------- */

static void count_class(struct step *step, struct bh_class *class, bool more)
{
	if (!class)
		return;
	if (!class->touched) {
		class->touched = true;
		class->counted = class->references > 0;
		bh_xgrow(step->classes, step->n_classes, step->classes_room);
		step->classes[step->n_classes++] = class;
	}
	class->references += more ? 1 : -1;
}

static void count_service_class(struct step *step, struct bh_service_class *class,
	const struct bh_holder *holder, bool more)
{
	if (!class->touched) {
		class->touched = true;
		class->counted = class->references > 0;
		class->counted_outside = class->n_outside > 0;
		bh_xgrow(step->service_classes, step->n_service_classes, step->service_room);
		step->service_classes[step->n_service_classes++] = class;
	}
	class->references += more ? 1 : -1;
	if (bh_service_is_outside(holder))
		class->n_outside += more ? 1 : -1;
}

void bh_compilation_touch_workload(struct bh_compilation *compilation, struct bh_workload *workload)
{
	if (!compilation->stepping || workload->touched)
		return;
	workload->touched = true;
	bh_xgrow(compilation->touched, compilation->n_touched, compilation->touched_room);
	compilation->touched[compilation->n_touched++] = workload;
}

static void release_workload(struct bh_compilation *compilation, uint32_t number)
{
	struct bh_workload *workload =
		bh_table_get(&compilation->workloads, &number, sizeof(number));

	/* This node is always there. */
	if (number == BH_WORKLOAD_NODE)
		return;
	workload->references--;
	bh_compilation_touch_workload(compilation, workload);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static void add_edit(struct step *step, const struct bh_desired_address *address, bool removed)
{
	bh_xgrow(step->removed, step->n_edits, step->removed_room);
	bh_xgrow(step->edits, step->n_edits, step->edits_room);
	step->removed[step->n_edits] = removed;
	step->edits[step->n_edits++] = *address;
}

static void edit_addresses(struct step *step)
{
	struct bh_desired *desired = &step->result->public;
	struct bh_run_edit *edits = bh_xcalloc(step->n_edits, sizeof(*edits));

	for (size_t i = 0; i < step->n_edits; i++)
		edits[i] = (struct bh_run_edit){&step->edits[i], step->removed[i]};
	if (step->n_edits) {
		struct bh_run run = bh_run_edit(
			&bh_desired_addresses, &desired->addresses, edits, step->n_edits);

		bh_run_unref(&desired->addresses);
		desired->addresses = run;
	}
	step->n_edits = 0;
	free(edits);
}

static const struct bh_desired_address *address_of(struct step *step, const struct bh_ip *ip)
{
	const struct bh_desired_address key = {.ip = *ip};

	return bh_run_find(&bh_desired_addresses, &step->result->public.addresses, &key);
}

/* Takes back what was counted for an address when it became what it was. */
static void release_address(struct step *step, const struct bh_desired_address *old)
{
	struct bh_compilation *compilation = step->compilation;

	release_workload(compilation, old->workload);
	if (old->service) {
		struct bh_holder claimed = {.ip = old->ip};

		bh_compilation_claims(compilation, &old->ip, &claimed);
		count_service_class(step,
			bh_table_get(
				&compilation->services.by_number, &old->class, sizeof(old->class)),
			&claimed, false);
	} else if (old->class != BH_CLASS_NONE) {
		count_class(step,
			bh_table_get(
				&compilation->classes.by_number, &old->class, sizeof(old->class)),
			false);
	}
}

static bool same_address(const struct bh_desired_address *a, const struct bh_desired_address *b)
{
	return a->class == b->class && a->workload == b->workload && a->service == b->service;
}

/* Who has the address now, and what does that make it? One that is a service's now comes later. */
static void place_ip(struct step *step, const struct bh_ip *ip)
{
	struct bh_compilation *compilation = step->compilation;
	const struct bh_desired_address *old = address_of(step, ip);
	struct bh_desired_address new = {0};
	struct bh_holder holder;
	struct bh_class *class = NULL;
	bool held = bh_compilation_resolve(compilation, ip, &holder);

	if (held && holder.n_claims) {
		add_ip(&step->services, ip);
		if (old && old->service)
			return;
		held = false;
	} else if (held) {
		new = bh_compilation_place_holder(compilation, &holder, &class);
		count_class(step, class, true);
	}
	if (old)
		release_address(step, old);
	if (held ? old && same_address(old, &new) : !old)
		return;
	add_ip(&step->moved, ip);
	add_edit(step, held ? &new : old, !held);
}

static void place_ips(struct step *step)
{
	for (size_t i = 0; i < step->ips.n; i++)
		place_ip(step, &step->ips.items[i]);
	edit_addresses(step);
}

/* ---- Services -------------------------------------------------------------------------------- */

static void add_service(struct step *step, const struct bh_service *service)
{
	for (size_t i = 0; i < service->n_ips; i++)
		add_ip(&step->services, &service->ips[i]);
}

static int compare_to_name(
	const char *namespace, const char *name, const struct bh_service *service)
{
	int order = strcmp(namespace, service->namespace);

	return order || !name ? order : strcmp(name, service->name);
}

/* The first of the services of that namespace and name (NULL: any), or where it would be. */
static size_t first_service(
	const struct bh_services *services, const char *namespace, const char *name)
{
	size_t low = 0, high = services->n_by_name;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare_to_name(namespace, name, services->by_name[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_services_of(struct step *step, const struct bh_slice *slice)
{
	const struct bh_services *services = &step->compilation->services;

	if (!slice || !slice->service)
		return;
	for (size_t i = first_service(services, slice->namespace, slice->service);
		i < services->n_by_name &&
		!compare_to_name(slice->namespace, slice->service, services->by_name[i]);
		i++)
		add_service(step, services->by_name[i]);
}

/* Services that have the pod among their backends because they select it. */
static void add_services_selecting(struct step *step, const struct bh_pod *pod)
{
	const struct bh_services *services = &step->compilation->services;

	if (!pod)
		return;
	for (size_t i = first_service(services, pod->namespace, NULL);
		i < services->n_by_name &&
		!compare_to_name(pod->namespace, NULL, services->by_name[i]);
		i++) {
		const struct bh_service *service = services->by_name[i];

		if (bh_backends_select(service->selector, pod->labels) &&
			bh_backends_are_selected(step->compilation->model, service))
			add_service(step, service);
	}
}

static void add_services_at(struct step *step, const struct bh_ip *ip)
{
	const struct bh_model *model = step->compilation->model;
	const struct bh_slice *slice;
	const struct bh_pod *pod;

	for (const struct bh_ring *at = NULL; (slice = bh_model_next_slice_at(model, ip, &at));)
		add_services_of(step, slice);
	for (const struct bh_ring *at = NULL; (pod = bh_model_next_pod_at(model, ip, &at));)
		add_services_selecting(step, pod);
}

static void gather_services(struct step *step)
{
	if (!step->compilation->services.n_by_name)
		return;
	for (size_t i = 0; i < step->moved.n; i++)
		add_services_at(step, &step->moved.items[i]);
	for (size_t i = 0; i < step->n_slices; i++) {
		add_services_of(step, step->slices[i].before);
		add_services_of(step, step->slices[i].now);
	}
	for (size_t i = 0; i < step->n_pods; i++) {
		add_services_selecting(step, step->pods[i].before);
		add_services_selecting(step, step->pods[i].now);
	}
	sort_ips(&step->services);
}

static void place_service(struct step *step, const struct bh_holder *holder)
{
	const struct bh_desired_address *old = address_of(step, &holder->ip);
	struct bh_service_class *class;
	struct bh_desired_address new =
		bh_compilation_place_service(step->compilation, NULL, holder, &class);

	if (old && same_address(old, &new)) {
		release_workload(step->compilation, old->workload);
		return;
	}
	count_service_class(step, class, holder, true);
	if (old)
		release_address(step, old);
	add_edit(step, &new, false);
}

static void place_services(struct step *step)
{
	struct bh_problem_list *problems = &step->compilation->problems;
	size_t n;

	gather_services(step);
	drop_problems(step, BH_ABOUT_ADDRESS, &step->services);
	n = problems->n;
	for (size_t i = 0; i < step->services.n; i++) {
		struct bh_holder holder;

		if (bh_compilation_resolve(step->compilation, &step->services.items[i], &holder) &&
			holder.n_claims)
			place_service(step, &holder);
	}
	step->problems_changed |= problems->n > n;
	edit_addresses(step);
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

static void change_locals(struct step *step, const struct changed_pod *pod)
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
static bool is_wanted_here(struct step *step, const struct bh_ip *ip)
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

static void forget_programs(struct step *step)
{
	struct bh_compilation *compilation = step->compilation;

	bh_programs_forget(&compilation->programs);
	bh_arena_clear(&compilation->making);
	compilation->services.indexed = false;
	step->programs_changed = true;
}

/* Who is selected by what. A serial is another one for every content of a policy. */
static bool select_same(struct step *step)
{
	struct bh_compilation *compilation = step->compilation;
	uint64_t *before = bh_xcalloc(compilation->n_policies, sizeof(*before)), *after;
	size_t n_before = list_selecting(compilation, before), n_after;
	bool same;

	drop_problems(step, BH_ABOUT_LOCAL, NULL);
	if (step->policies_changed) {
		drop_problems(step, BH_ABOUT_POLICY, NULL);
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
static bool select_anew(struct step *step, enum bh_compile_cause *ret_why)
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

static void judge_anew(struct step *step)
{
	bh_result_renew(step->result, BH_PART_LOCAL);
	bh_compilation_judge(step->compilation);
	bh_compilation_list_programs(step->compilation);
}

/* ---- Classes --------------------------------------------------------------------------------- */

/* Leaves those that came or went. */
static void keep_changed(struct step *step)
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

static void part_services(struct step *step)
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

static void follow_classes(struct step *step)
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
static void edit_workloads(struct step *step)
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

static bool take_step(struct step *step, enum bh_compile_cause *ret_why)
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
	sort_ips(&step->ips);
	if (step->ips.n > LARGE_PART && step->ips.n > compilation->last->addresses.n / 4) {
		*ret_why = BH_COMPILE_MANY;
		return false;
	}
	drop_problems(step, BH_ABOUT_ADDRESS, &step->ips);
	n_problems = compilation->problems.n;
	place_ips(step);
	step->problems_changed |= compilation->problems.n > n_problems;
	place_services(step);
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
	struct step step = {.compilation = compilation};
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
