/* SPDX-License-Identifier: Apache-2.0 */

/* The part of a step that is about addresses: pods', then services'. */
#include "controller/compile/step.h"

#include "controller/model/memory.h"

/* ---- Lists ----------------------------------------------------------------------------------- */

static int compare_ips(const void *a, const void *b)
{
	return bh_ip_compare(a, b);
}

void bh_step_add_ip(struct bh_step_ips *list, const struct bh_ip *ip)
{
	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = *ip;
}

void bh_step_sort_ips(struct bh_step_ips *list)
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

static bool holds_ip(const struct bh_step_ips *list, const struct bh_ip *ip)
{
	return list->n && bsearch(ip, list->items, list->n, sizeof(*list->items), compare_ips);
}

/* ---- Problems -------------------------------------------------------------------------------- */

/* Drops those that will be said again if they are still so. */
void bh_step_drop_problems(
	struct bh_step *step, enum bh_problem_about about, const struct bh_step_ips *ips)
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

static void count_class(struct bh_step *step, struct bh_class *class, bool more)
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

static void count_service_class(struct bh_step *step, struct bh_service_class *class,
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

static void add_edit(struct bh_step *step, const struct bh_desired_address *address, bool removed)
{
	bh_xgrow(step->removed, step->n_edits, step->removed_room);
	bh_xgrow(step->edits, step->n_edits, step->edits_room);
	step->removed[step->n_edits] = removed;
	step->edits[step->n_edits++] = *address;
}

static void edit_addresses(struct bh_step *step)
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

static const struct bh_desired_address *address_of(struct bh_step *step, const struct bh_ip *ip)
{
	const struct bh_desired_address key = {.ip = *ip};

	return bh_run_find(&bh_desired_addresses, &step->result->public.addresses, &key);
}

/* Services as they had the addresses when the last compilation was made. */
static const struct bh_services *claims_before(const struct bh_step *step)
{
	return step->n_fronts ? &step->claimed : &step->compilation->services;
}

/* Takes back what was counted for an address when it became what it was. */
static void release_address(struct bh_step *step, const struct bh_desired_address *old)
{
	struct bh_compilation *compilation = step->compilation;

	release_workload(compilation, old->workload);
	if (old->service) {
		struct bh_holder claimed = {.ip = old->ip};

		bh_services_claims(claims_before(step), &old->ip, &claimed);
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
static void place_ip(struct bh_step *step, const struct bh_ip *ip)
{
	struct bh_compilation *compilation = step->compilation;
	const struct bh_desired_address *old = address_of(step, ip);
	struct bh_desired_address new = {0};
	struct bh_holder holder;
	struct bh_class *class = NULL;
	bool held = bh_compilation_resolve(compilation, ip, &holder);

	if (held && holder.n_claims) {
		bh_step_add_ip(&step->services, ip);
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
	bh_step_add_ip(&step->moved, ip);
	add_edit(step, held ? &new : old, !held);
}

void bh_step_place_ips(struct bh_step *step)
{
	for (size_t i = 0; i < step->ips.n; i++)
		place_ip(step, &step->ips.items[i]);
	edit_addresses(step);
}

/* ---- Services -------------------------------------------------------------------------------- */

static void add_service(struct bh_step *step, const struct bh_service *service)
{
	for (size_t i = 0; i < service->n_ips; i++)
		bh_step_add_ip(&step->services, &service->ips[i]);
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

static void add_services_of(struct bh_step *step, const struct bh_slice *slice)
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
static void add_services_selecting(struct bh_step *step, const struct bh_pod *pod)
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

static void add_services_at(struct bh_step *step, const struct bh_ip *ip)
{
	const struct bh_model *model = step->compilation->model;
	const struct bh_slice *slice;
	const struct bh_pod *pod;

	for (const struct bh_ring *at = NULL; (slice = bh_model_next_slice_at(model, ip, &at));)
		add_services_of(step, slice);
	for (const struct bh_ring *at = NULL; (pod = bh_model_next_pod_at(model, ip, &at));)
		add_services_selecting(step, pod);
}

/* What is said of a service's addresses is said of those alone that it had, or has. */
void bh_step_claim_services(struct bh_step *step)
{
	struct bh_problem_list *problems = &step->compilation->problems;
	size_t n;

	if (!step->n_fronts)
		return;
	bh_step_drop_problems(step, BH_ABOUT_SERVICE, NULL);
	n = problems->n;
	bh_compilation_claim_anew(step->compilation, &step->claimed);
	step->problems_changed |= problems->n > n;
	for (size_t i = 0; i < step->n_fronts; i++) {
		const struct bh_service *both[] = {step->fronts[i].before, step->fronts[i].now};

		for (int j = 0; j < 2; j++) {
			for (size_t k = 0; both[j] && k < both[j]->n_ips; k++)
				bh_step_add_ip(&step->ips, &both[j]->ips[k]);
		}
	}
}

static void gather_services(struct bh_step *step)
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
	bh_step_sort_ips(&step->services);
}

static void place_service(struct bh_step *step, const struct bh_holder *holder)
{
	const struct bh_desired_address *old = address_of(step, &holder->ip);
	struct bh_service_class *class;
	struct bh_desired_address new =
		bh_compilation_place_service(step->compilation, NULL, holder, &class);
	struct bh_holder claimed;
	bool same = old && same_address(old, &new);

	bh_services_claims(claims_before(step), &holder->ip, &claimed);
	if (same && bh_service_is_outside(&claimed) == bh_service_is_outside(holder)) {
		release_workload(step->compilation, old->workload);
		return;
	}
	count_service_class(step, class, holder, true);
	if (old)
		release_address(step, old);
	if (!same)
		add_edit(step, &new, false);
}

void bh_step_place_services(struct bh_step *step)
{
	struct bh_problem_list *problems = &step->compilation->problems;
	size_t n;

	gather_services(step);
	bh_step_drop_problems(step, BH_ABOUT_ADDRESS, &step->services);
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
