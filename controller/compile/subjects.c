/* SPDX-License-Identifier: Apache-2.0 */

/* The pods of this node: which policies select them, in which mode, and the programs that follow.
 */
#include "controller/compile/compilation.h"
#include "controller/model/memory.h"

bool bh_compilation_is_subject(const struct bh_compilation *compilation, const struct bh_pod *pod)
{
	return !pod->host_network && !pod->finished && bh_compilation_is_here(compilation, pod);
}

/* ---- Selecting --------------------------------------------------------------------------------
 */

/* The addresses the pod holds, as many of each family as an endpoint has room for. */
static void take_ips(struct bh_compilation *compilation, struct bh_subject *subject)
{
	const struct bh_pod *pod = subject->pod;
	size_t by_family[2] = {0, 0};

	subject->ips = bh_arena_array(&compilation->selection, pod->n_ips, struct bh_ip);
	for (size_t i = 0; i < pod->n_ips; i++) {
		const struct bh_ip *ip = &pod->ips[i];
		bool repeated = false;

		for (size_t j = 0; j < subject->n_ips; j++)
			repeated |= !bh_ip_compare(&subject->ips[j], ip);
		if (repeated || bh_compilation_holder(compilation, ip) != pod)
			continue;
		if (by_family[ip->family == 6]++ < BH_ENDPOINT_ADDRS)
			subject->ips[subject->n_ips++] = *ip;
	}
	if (by_family[0] > BH_ENDPOINT_ADDRS || by_family[1] > BH_ENDPOINT_ADDRS)
		bh_compilation_problem(compilation, BH_ABOUT_LOCAL, "too-many-addresses",
			bh_compilation_pod_object(compilation, pod),
			bh_arena_printf(compilation->out,
				"only its first %d addresses of each family are its own; what it "
				"sends from the others is dropped as spoofed",
				BH_ENDPOINT_ADDRS));
}

/* Policies are sorted by namespace: the index of the first one of it, or of the next. */
static size_t first_policy(const struct bh_compilation *compilation, const char *namespace)
{
	size_t low = 0, high = compilation->n_policies;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(compilation->policies[middle]->namespace, namespace) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Nothing but their names says which of the two is asked first. */
static bool are_tied(const struct bh_netpol *a, const struct bh_netpol *b)
{
	bool meet = false;

	for (int direction = BH_INGRESS; direction <= BH_EGRESS; direction++)
		meet |= a->n_rules[direction] && b->n_rules[direction];
	return meet && a->tier != BH_TIER_NETPOL && a->tier == b->tier &&
	       a->priority == b->priority && a->priority >= 0;
}

/* Adds those of [begin, end) that select the pod. */
static void take_selecting(
	struct bh_compilation *compilation, struct bh_subject *subject, size_t begin, size_t end)
{
	const struct bh_labels *labels =
		bh_model_namespace_labels(compilation->model, subject->pod->namespace);
	const struct bh_netpol *before = NULL;

	for (size_t i = begin; i < end; i++) {
		struct bh_netpol *policy = compilation->policies[i];

		if (!bh_netpol_selects(policy, subject->pod, labels))
			continue;
		policy->selects = true;
		subject->policies[subject->n_policies++] = policy;
		if (before && are_tied(before, policy) &&
			(!policy->tied || bh_netpol_compare(before, policy->tied) < 0))
			policy->tied = before;
		before = policy;
	}
}

static void take_policies(struct bh_compilation *compilation, struct bh_subject *subject)
{
	const char *namespace = subject->pod->namespace;
	size_t n_cluster = compilation->n_cluster_policies;
	size_t begin = first_policy(compilation, namespace), end = begin;

	while (end < compilation->n_policies &&
		!strcmp(compilation->policies[end]->namespace, namespace))
		end++;
	subject->policies = bh_arena_array(
		&compilation->selection, n_cluster + end - begin, const struct bh_netpol *);
	take_selecting(compilation, subject, 0, n_cluster);
	take_selecting(compilation, subject, begin, end);
}

static int compare_subjects(const void *a, const void *b)
{
	const struct bh_subject *left = a, *right = b;

	return strcmp(left->pod->uid, right->pod->uid);
}

bool bh_compilation_node_is_known(const struct bh_compilation *compilation)
{
	const struct bh_node *node;

	for (size_t at = 0; (node = bh_model_next_node(compilation->model, &at));) {
		if (!strcmp(node->name, compilation->node))
			return true;
	}
	return false;
}

/*
 * All pods are on other nodes, and nothing else knows of one by this name: most likely it is
 * misspelt, and then nothing at all is enforced.
 */
static void note_misspelt_node(struct bh_compilation *compilation)
{
	const struct bh_pod *pod, *first = NULL;
	char quoted[2][BH_QUOTE_MAX];

	for (size_t at = 0; (pod = bh_model_next_pod(compilation->model, &at));) {
		if (!pod->node_name || !strcmp(pod->node_name, compilation->node))
			return;
		if (!first || strcmp(pod->uid, first->uid) < 0)
			first = pod;
	}
	if (!first || bh_compilation_node_is_known(compilation))
		return;
	bh_compilation_problem(compilation, BH_ABOUT_LOCAL, "unknown-node",
		bh_arena_printf(
			compilation->out, "Node %s", bh_quote(compilation->node, quoted[0])),
		bh_arena_printf(compilation->out,
			"no pod is on a node of this name, so nothing is enforced; pod %s/%s is on "
			"%s: if that is this node, --node is wrong",
			first->namespace, first->name, bh_quote(first->node_name, quoted[1])));
}

static void check_annotations(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	char quoted[BH_QUOTE_MAX];

	if (pod->mode && bh_mode_parse(pod->mode) == BH_MODE_UNSET)
		bh_compilation_problem(compilation, BH_ABOUT_LOCAL, "unknown-mode",
			bh_compilation_pod_object(compilation, pod),
			bh_arena_printf(compilation->out,
				"annotation bulkhead.io/mode: %s is not one of observe, dry-run, "
				"enforce; the namespace's mode applies",
				bh_quote(pod->mode, quoted)));
	if (pod->hook && strcmp(pod->hook, "tc") && strcmp(pod->hook, "xdp"))
		bh_compilation_problem(compilation, BH_ABOUT_LOCAL, "unknown-hook",
			bh_compilation_pod_object(compilation, pod),
			bh_arena_printf(compilation->out,
				"annotation bulkhead.io/hook: %s is neither tc nor xdp; tc is used",
				bh_quote(pod->hook, quoted)));
}

static int compare_pods(const void *a, const void *b)
{
	const struct bh_pod *left = *(const struct bh_pod *const *)a;
	const struct bh_pod *right = *(const struct bh_pod *const *)b;

	return strcmp(left->uid, right->uid);
}

bool bh_compilation_is_here(const struct bh_compilation *compilation, const struct bh_pod *pod)
{
	/* Manifests for a plain host need not say the node's name. */
	return !pod->node_name || !strcmp(pod->node_name, compilation->node);
}

void bh_compilation_list_locals(struct bh_compilation *compilation)
{
	const struct bh_pod *pod;

	for (size_t at = 0; (pod = bh_model_next_pod(compilation->model, &at));) {
		compilation->n_here += bh_compilation_is_here(compilation, pod);
		if (!bh_compilation_is_subject(compilation, pod))
			continue;
		bh_xgrow(compilation->locals, compilation->n_locals, compilation->locals_room);
		compilation->locals[compilation->n_locals++] = pod;
	}
}

static void select_pod(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	struct bh_subject subject = {.pod = pod};

	take_ips(compilation, &subject);
	if (!subject.n_ips) {
		compilation->addressless[compilation->n_addressless++] = pod;
		return;
	}
	check_annotations(compilation, pod);
	take_policies(compilation, &subject);
	compilation->subjects[compilation->n_subjects++] = subject;
}

void bh_compilation_select(struct bh_compilation *compilation)
{
	size_t n = compilation->n_locals;

	bh_arena_clear(&compilation->selection);
	for (size_t i = 0; i < compilation->n_policies; i++) {
		compilation->policies[i]->selects = false;
		compilation->policies[i]->tied = NULL;
	}
	compilation->n_subjects = compilation->n_addressless = 0;
	compilation->subjects = bh_arena_array(&compilation->selection, n, struct bh_subject);
	compilation->addressless =
		bh_arena_array(&compilation->selection, n, const struct bh_pod *);
	for (size_t i = 0; i < n; i++)
		select_pod(compilation, compilation->locals[i]);
	if (compilation->n_subjects)
		qsort(compilation->subjects, compilation->n_subjects,
			sizeof(*compilation->subjects), compare_subjects);
	if (compilation->n_addressless)
		qsort(compilation->addressless, compilation->n_addressless,
			sizeof(*compilation->addressless), compare_pods);
	if (!compilation->n_subjects && !compilation->n_here)
		note_misspelt_node(compilation);
	bh_compilation_check_ties(compilation);
}

/* ---- Modes ------------------------------------------------------------------------------------
 */

/* Every level: what was set by command, else the annotation, else the next level's. */
static enum bh_mode pod_mode(struct bh_compilation *compilation, const struct bh_pod *pod)
{
	const struct bh_model *model = compilation->model;
	const struct bh_namespace *namespace = bh_model_namespace(model, pod->namespace);
	enum bh_mode mode = bh_model_mode(model, BH_SCOPE_POD, pod->namespace, pod->name);

	if (mode == BH_MODE_UNSET)
		mode = bh_mode_parse(pod->mode);
	if (mode == BH_MODE_UNSET)
		mode = bh_model_mode(model, BH_SCOPE_NAMESPACE, pod->namespace, NULL);
	if (mode == BH_MODE_UNSET && namespace)
		mode = bh_mode_parse(namespace->mode);
	return mode == BH_MODE_UNSET ? bh_model_node_mode(model) : mode;
}

static uint32_t compile_set(struct bh_compilation *compilation, const struct bh_subject *subject,
	enum bh_mode pod, enum bh_mode least)
{
	const struct bh_netpol **chosen = bh_xcalloc(subject->n_policies, sizeof(*chosen));
	size_t n = 0;

	for (size_t i = 0; i < subject->n_policies; i++) {
		enum bh_mode own = subject->policies[i]->mode;

		/* The modes are in order: observe, dry-run, enforce. */
		if ((own == BH_MODE_UNSET ? pod : own) >= least)
			chosen[n++] = subject->policies[i];
	}
	uint32_t number = bh_program_compile(&compilation->programs, subject->pod, chosen, n);

	free(chosen);
	return number;
}

/* The table in docs/architecture.md, "Modes". */
static void choose_programs(struct bh_compilation *compilation, const struct bh_subject *subject,
	struct bh_desired_endpoint *endpoint)
{
	bool any_enforced = false, any_asked = false;
	enum bh_mode mode = endpoint->mode;

	for (size_t i = 0; i < subject->n_policies; i++) {
		any_enforced |= subject->policies[i]->mode == BH_MODE_ENFORCE;
		any_asked |= subject->policies[i]->mode >= BH_MODE_DRY_RUN;
	}
	endpoint->active = BH_PROGRAM_OPEN;
	endpoint->pending = BH_PROGRAM_OPEN;
	if (endpoint->quarantined) {
		endpoint->active = endpoint->pending = bh_program_cut_off(&compilation->programs);
		return;
	}
	if (mode == BH_MODE_ENFORCE || any_enforced)
		endpoint->active = compile_set(compilation, subject, mode, BH_MODE_ENFORCE);
	if (mode >= BH_MODE_DRY_RUN || any_asked)
		endpoint->pending = compile_set(compilation, subject, mode, BH_MODE_DRY_RUN);
}

static void list_addressless(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	struct bh_arena *arena = bh_result_arena(compilation->result, BH_PART_LOCAL);
	struct bh_desired_addressless *list =
		bh_arena_array(arena, compilation->n_addressless, struct bh_desired_addressless);

	for (size_t i = 0; i < compilation->n_addressless; i++) {
		const struct bh_pod *pod = compilation->addressless[i];

		list[i].uid = bh_arena_strdup(arena, pod->uid);
		list[i].namespace = bh_arena_strdup(arena, pod->namespace);
		list[i].name = bh_arena_strdup(arena, pod->name);
		list[i].detail = pod->n_ips ? "no address is its own: see the problems"
					    : "the orchestrator has not told of an address yet";
		list[i].mode = pod_mode(compilation, pod);
		list[i].quarantined =
			bh_model_quarantined(compilation->model, pod->namespace, pod->name);
	}
	desired->n_addressless = compilation->n_addressless;
	desired->addressless = list;
}

void bh_compilation_judge(struct bh_compilation *compilation)
{
	struct bh_desired *desired = &compilation->result->public;
	struct bh_arena *arena = bh_result_arena(compilation->result, BH_PART_LOCAL);
	struct bh_desired_endpoint *endpoints =
		bh_arena_array(arena, compilation->n_subjects, struct bh_desired_endpoint);
	bool enforced = bh_model_node_mode(compilation->model) == BH_MODE_ENFORCE;

	for (size_t i = 0; i < compilation->n_subjects; i++) {
		const struct bh_subject *subject = &compilation->subjects[i];
		const struct bh_pod *pod = subject->pod;
		struct bh_desired_endpoint *endpoint = &endpoints[i];
		const char **names = bh_arena_array(arena, subject->n_policies, const char *);
		size_t n_cluster = 0;

		for (size_t j = 0; j < subject->n_policies; j++) {
			const struct bh_netpol *policy = subject->policies[j];

			names[j] = bh_arena_strdup(arena, policy->name);
			n_cluster += policy->tier != BH_TIER_NETPOL;
			endpoint->ingress_isolated |= policy->isolates[BH_INGRESS];
			endpoint->egress_isolated |= policy->isolates[BH_EGRESS];
		}
		endpoint->uid = bh_arena_strdup(arena, pod->uid);
		endpoint->namespace = bh_arena_strdup(arena, pod->namespace);
		endpoint->name = bh_arena_strdup(arena, pod->name);
		endpoint->n_ips = subject->n_ips;
		endpoint->ips =
			bh_arena_copy(arena, subject->ips, subject->n_ips, sizeof(*subject->ips));
		endpoint->workload = bh_compilation_pod_number(compilation, pod);
		endpoint->xdp = pod->hook && !strcmp(pod->hook, "xdp");
		endpoint->mode = pod_mode(compilation, pod);
		endpoint->quarantined =
			bh_model_quarantined(compilation->model, pod->namespace, pod->name);
		endpoint->n_cluster_policies = n_cluster;
		endpoint->cluster_policies = names;
		endpoint->n_policies = subject->n_policies - n_cluster;
		endpoint->policies = names + n_cluster;
		choose_programs(compilation, subject, endpoint);
		enforced |= endpoint->active != BH_PROGRAM_OPEN;
	}
	desired->n_endpoints = compilation->n_subjects;
	desired->endpoints = endpoints;
	list_addressless(compilation);
	desired->unknown_open = !enforced;
	desired->hold = bh_model_node_mode(compilation->model) == BH_MODE_ENFORCE;
}
