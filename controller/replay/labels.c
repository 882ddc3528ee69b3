/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/labels.h"

#include <string.h>

#include "controller/compile/workload.h"

/* What controllers write on pods for themselves, and what a new version of the same thing changes.
 */
static const char *const unstable[] = {"pod-template-hash", "controller-revision-hash",
	"pod-template-generation", "statefulset.kubernetes.io/pod-name",
	"apps.kubernetes.io/pod-index", "controller-uid", "batch.kubernetes.io/controller-uid",
	"job-name", "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index",
	"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart", "chart",
	"heritage", "release-revision", "version", "deployment", "deploymentconfig",
	"kubernetes.io/metadata.name", "security.istio.io/tlsMode",
	"service.istio.io/canonical-revision"};

static const char *const well_known[] = {"app.kubernetes.io/name", "app.kubernetes.io/instance",
	"app.kubernetes.io/component", "k8s-app", "app", "component", "tier", "role", "name"};

static bool is_one_of(const char *key, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(key, list[i]))
			return true;
	}
	return false;
}

static bool belongs(const struct bh_pod *pod, const struct bh_desired_workload *workload)
{
	struct bh_workload_name name;

	if (strcmp(pod->namespace, workload->namespace) || pod->finished || pod->host_network)
		return false;
	name = bh_workload_of(pod);
	return !strcmp(name.kind, workload->kind) && !strcmp(name.name, workload->name);
}

static bool has_all(const struct bh_pod *pod, size_t n, const struct bh_label *items)
{
	for (size_t i = 0; i < n; i++) {
		const char *value = bh_labels_get(pod->labels, items[i].key);

		if (!value || strcmp(value, items[i].value))
			return false;
	}
	return true;
}

/* Of the labels those that the pod has too. */
static size_t keep_common(const struct bh_pod *pod, size_t n, struct bh_label *items)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (has_all(pod, 1, &items[i]))
			items[kept++] = items[i];
	}
	return kept;
}

static bool selects_others(const struct bh_model *model, const struct bh_desired_workload *workload,
	size_t n, const struct bh_label *items)
{
	const struct bh_pod *pod;

	for (size_t at = 0; (pod = bh_model_next_pod(model, &at));) {
		if (!strcmp(pod->namespace, workload->namespace) && !pod->finished &&
			!pod->host_network && has_all(pod, n, items) && !belongs(pod, workload))
			return true;
	}
	return false;
}

bool bh_replay_labels_select(const struct bh_model *model, const char *namespace,
	const struct bh_replay_labels *labels, const struct bh_desired_workload *workload)
{
	const struct bh_pod *pod;

	if (strcmp(namespace, workload->namespace))
		return false;
	for (size_t at = 0; (pod = bh_model_next_pod(model, &at));) {
		if (belongs(pod, workload) && has_all(pod, labels->n, labels->items))
			return true;
	}
	return false;
}

struct bh_replay_labels bh_replay_labels_of(struct bh_arena *arena, const struct bh_model *model,
	const struct bh_desired_workload *workload)
{
	struct bh_replay_labels labels = {0};
	struct bh_label *common = NULL, *known;
	size_t n = 0, n_known = 0;
	const struct bh_pod *pod;

	for (size_t at = 0; (pod = bh_model_next_pod(model, &at));) {
		if (!belongs(pod, workload))
			continue;
		if (labels.exists) {
			n = keep_common(pod, n, common);
			continue;
		}
		labels.exists = true;
		common = bh_arena_array(arena, pod->labels->n, struct bh_label);
		for (size_t i = 0; i < pod->labels->n; i++) {
			if (!is_one_of(pod->labels->items[i].key, unstable,
				    sizeof(unstable) / sizeof(unstable[0])))
				common[n++] = pod->labels->items[i];
		}
	}
	known = bh_arena_array(arena, n, struct bh_label);
	for (size_t i = 0; i < n; i++) {
		if (is_one_of(
			    common[i].key, well_known, sizeof(well_known) / sizeof(well_known[0])))
			known[n_known++] = common[i];
	}
	labels.others = n_known && selects_others(model, workload, n_known, known);
	if (n_known && (!labels.others || n_known == n)) {
		labels.n = n_known;
		labels.items = known;
		return labels;
	}
	labels.n = n;
	labels.items = common;
	labels.others = n && selects_others(model, workload, n, common);
	return labels;
}
