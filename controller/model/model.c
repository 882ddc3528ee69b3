/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/model.h"

#include <assert.h>

#include "controller/model/memory.h"
#include "controller/model/pack.h"
#include "controller/model/services.h"
#include "controller/model/stored.h"

static struct bh_stored *find(const struct bh_model *model, const char *uid)
{
	return bh_table_get(&model->objects, uid, strlen(uid));
}

/* Puts `object` in the place of `before`, which may be of another kind, or NULL. */
static bool replace(struct bh_model *model, struct bh_stored *before, struct bh_stored *object)
{
	if (before)
		bh_index_remove(model, before);
	bh_index_insert(model, object);
	if (object->kind == BH_STORED_POLICY)
		json_incref(object->policy.spec);
	bh_journal_note(model, object, before);
	return true;
}

/* ---- Public ---------------------------------------------------------------------------------- */

struct bh_model *bh_model_new(const char *node, enum bh_mode mode)
{
	static uint64_t models; /* those of other threads included */
	struct bh_model *model = bh_xcalloc(1, sizeof(*model));

	model->node = bh_xstrdup(node);
	model->mode = mode;
	model->identity = __atomic_add_fetch(&models, 1, __ATOMIC_RELAXED);
	model->revision = 1;
	model->journal_first = 2;
	return model;
}

void bh_model_free(struct bh_model *model)
{
	struct bh_stored *object;

	if (!model)
		return;
	assert(!model->frozen.first);
	/* A removal may move others behind the position, hence as many rounds as it takes. */
	while (model->objects.n) {
		for (size_t at = 0; (object = bh_table_next(&model->objects, &at));) {
			bh_index_remove(model, object);
			bh_journal_note(model, NULL, object);
		}
	}
	bh_journal_clear(model);
	bh_overrides_clear(&model->overrides);
	bh_announced_clear(&model->announced);
	bh_index_clear(model);
	bh_label_store_clear(&model->labels);
	free(model->host_ips);
	free(model->node);
	free(model);
}

uint64_t bh_model_revision(const struct bh_model *model)
{
	return model->revision;
}

uint64_t bh_model_identity(const struct bh_model *model)
{
	return model->identity;
}

const char *bh_model_node_name(const struct bh_model *model)
{
	return model->node;
}

static bool put_pod(struct bh_model *model, const struct bh_pod *pod)
{
	const struct bh_labels *labels = bh_label_store_get(&model->labels, pod->labels);
	struct bh_stored *before = find(model, pod->uid);

	if (before && before->kind == BH_STORED_POD &&
		bh_stored_same_pod(&before->pod, pod, labels)) {
		bh_label_store_put(&model->labels, labels);
		return false;
	}
	struct bh_stored *object = bh_stored_new(BH_STORED_POD, pod);

	object->pod.labels = labels;
	return replace(model, before, object);
}

/* What the plugin has announced counts until the source says something new. */
bool bh_model_put_pod(struct bh_model *model, const struct bh_pod *pod)
{
	const struct bh_announcement *announcement = bh_announced_over(
		&model->announced, pod->namespace, pod->name, pod->uid, pod->n_ips, pod->ips);
	struct bh_pod as_announced = *pod;

	if (!announcement)
		return put_pod(model, pod);
	as_announced.n_ips = announcement->n_ips;
	as_announced.ips = announcement->ips;
	return put_pod(model, &as_announced);
}

bool bh_model_put_namespace(struct bh_model *model, const struct bh_namespace *namespace)
{
	const struct bh_labels *labels = bh_label_store_get(&model->labels, namespace->labels);
	struct bh_stored *before = find(model, namespace->uid);

	if (before && before->kind == BH_STORED_NAMESPACE && before->namespace.labels == labels &&
		bh_same_text(before->namespace.name, namespace->name) &&
		bh_same_text(before->namespace.mode, namespace->mode)) {
		bh_label_store_put(&model->labels, labels);
		return false;
	}
	struct bh_stored *object = bh_stored_new(BH_STORED_NAMESPACE, namespace);

	object->namespace.labels = labels;
	return replace(model, before, object);
}

bool bh_model_put_node(struct bh_model *model, const struct bh_node *node)
{
	const struct bh_labels *labels = bh_label_store_get(&model->labels, node->labels);
	struct bh_stored *before = find(model, node->uid);

	if (before && before->kind == BH_STORED_NODE && before->node.labels == labels &&
		bh_same_text(before->node.name, node->name) &&
		bh_same_ips(before->node.ips, before->node.n_ips, node->ips, node->n_ips)) {
		bh_label_store_put(&model->labels, labels);
		return false;
	}
	struct bh_stored *object = bh_stored_new(BH_STORED_NODE, node);

	object->node.labels = labels;
	return replace(model, before, object);
}

bool bh_model_put_policy(struct bh_model *model, const struct bh_network_policy *policy)
{
	struct bh_stored *before = find(model, policy->uid);

	if (before && before->kind == BH_STORED_POLICY &&
		bh_same_text(before->policy.namespace, policy->namespace) &&
		bh_same_text(before->policy.name, policy->name) &&
		bh_same_text(before->policy.mode, policy->mode) &&
		bh_stored_same_spec(before->policy.spec, policy->spec))
		return false;
	struct bh_stored *object = bh_stored_new(BH_STORED_POLICY, policy);

	object->policy.serial = ++model->last_serial;
	return replace(model, before, object);
}

bool bh_model_put_service(struct bh_model *model, const struct bh_service *service)
{
	const struct bh_labels *selector = bh_label_store_get(&model->labels, service->selector);
	struct bh_stored *before = find(model, service->uid);

	if (before && before->kind == BH_STORED_SERVICE &&
		bh_service_same(&before->service, service, selector)) {
		bh_label_store_put(&model->labels, selector);
		return false;
	}
	struct bh_stored *object = bh_stored_new(BH_STORED_SERVICE, service);

	object->service.selector = selector;
	return replace(model, before, object);
}

bool bh_model_put_slice(struct bh_model *model, const struct bh_slice *slice)
{
	struct bh_stored *before = find(model, slice->uid);

	if (before && before->kind == BH_STORED_SLICE && bh_slice_same(&before->slice, slice))
		return false;
	return replace(model, before, bh_stored_new(BH_STORED_SLICE, slice));
}

bool bh_model_remove(struct bh_model *model, const char *uid)
{
	struct bh_stored *object = find(model, uid);

	if (!object)
		return false;
	if (object->kind == BH_STORED_POD &&
		bh_announced_find(&model->announced, object->pod.namespace, object->pod.name, uid))
		bh_announced_remove(&model->announced, object->pod.namespace, object->pod.name);
	bh_index_remove(model, object);
	bh_journal_note(model, NULL, object);
	return true;
}

/* ---- What the operator said ------------------------------------------------------------------ */

bool bh_model_set_mode(struct bh_model *model, enum bh_scope scope, const char *namespace,
	const char *name, enum bh_mode mode)
{
	bool changed = bh_overrides_set_mode(&model->overrides, scope, namespace, name, mode);

	if (changed)
		bh_journal_note(model, NULL, NULL);
	return changed;
}

enum bh_mode bh_model_mode(
	const struct bh_model *model, enum bh_scope scope, const char *namespace, const char *name)
{
	return bh_overrides_get(&model->overrides, scope, namespace, name).mode;
}

enum bh_mode bh_model_node_mode(const struct bh_model *model)
{
	enum bh_mode mode = bh_model_mode(model, BH_SCOPE_NODE, NULL, NULL);

	return mode == BH_MODE_UNSET ? model->mode : mode;
}

bool bh_model_set_quarantine(
	struct bh_model *model, const char *namespace, const char *name, bool quarantined)
{
	bool changed = bh_overrides_set_quarantine(&model->overrides, namespace, name, quarantined);

	if (changed)
		bh_journal_note(model, NULL, NULL);
	return changed;
}

bool bh_model_quarantined(const struct bh_model *model, const char *namespace, const char *name)
{
	return bh_overrides_get(&model->overrides, BH_SCOPE_POD, namespace, name).quarantined;
}

size_t bh_model_overrides(const struct bh_model *model, struct bh_override **ret_overrides)
{
	return bh_overrides_list(&model->overrides, ret_overrides);
}

/* ---- What the CNI plugin said ---------------------------------------------------------------- */

static const struct bh_pod *announced_pod(
	const struct bh_model *model, const char *namespace, const char *name, const char *uid)
{
	const struct bh_pod *pod =
		uid ? bh_model_pod(model, uid) : bh_model_pod_by_name(model, namespace, name);

	return pod && !strcmp(pod->namespace, namespace) && !strcmp(pod->name, name) ? pod : NULL;
}

bool bh_model_announce(struct bh_model *model, const char *namespace, const char *name,
	const char *uid, size_t n_ips, const struct bh_ip *ips)
{
	const struct bh_pod *pod = announced_pod(model, namespace, name, uid);
	struct bh_announcement *announcement =
		bh_announced_put(&model->announced, namespace, name, uid, n_ips, ips);
	struct bh_pod as_announced;

	if (!announcement)
		return false;
	if (!pod)
		return true;
	if (!announcement->seen)
		bh_announced_over(
			&model->announced, namespace, name, pod->uid, pod->n_ips, pod->ips);
	as_announced = *pod;
	as_announced.n_ips = n_ips;
	as_announced.ips = ips;
	put_pod(model, &as_announced);
	return true;
}

bool bh_model_forget_announced(struct bh_model *model, const char *namespace, const char *name,
	const char *uid, size_t n_ips, const struct bh_ip *ips)
{
	struct bh_announcement *announcement =
		bh_announced_find(&model->announced, namespace, name, uid);
	const struct bh_pod *pod;
	struct bh_pod as_said;

	if (!announcement ||
		(n_ips && !bh_same_ips(announcement->ips, announcement->n_ips, ips, n_ips)))
		return false;
	pod = announced_pod(model, namespace, name, announcement->uid);
	if (pod && announcement->seen) {
		as_said = *pod;
		as_said.n_ips = announcement->n_said;
		as_said.ips = announcement->said;
		put_pod(model, &as_said);
	}
	return bh_announced_remove(&model->announced, namespace, name);
}

/* ---- Host ------------------------------------------------------------------------------------ */

static int compare_ips(const void *a, const void *b)
{
	return bh_ip_compare(a, b);
}

bool bh_model_set_host_addresses(struct bh_model *model, size_t n_ips, const struct bh_ip *ips)
{
	struct bh_ip *sorted = bh_xcalloc(n_ips, sizeof(*sorted));
	size_t n = 0;

	if (n_ips) {
		memcpy(sorted, ips, n_ips * sizeof(*sorted));
		qsort(sorted, n_ips, sizeof(*sorted), compare_ips);
	}
	for (size_t i = 0; i < n_ips; i++) {
		if (!n || bh_ip_compare(&sorted[n - 1], &sorted[i]))
			sorted[n++] = sorted[i];
	}
	if (bh_same_ips(sorted, n, model->host_ips, model->n_host_ips)) {
		free(sorted);
		return false;
	}
	free(model->host_ips);
	model->host_ips = sorted;
	model->n_host_ips = n;
	bh_journal_note(model, NULL, NULL);
	return true;
}

size_t bh_model_host_addresses(const struct bh_model *model, const struct bh_ip **ret_ips)
{
	*ret_ips = model->host_ips;
	return model->n_host_ips;
}

/* ---- Reading --------------------------------------------------------------------------------- */

const struct bh_pod *bh_model_pod(const struct bh_model *model, const char *uid)
{
	const struct bh_stored *object = find(model, uid);

	return object && object->kind == BH_STORED_POD ? &object->pod : NULL;
}

const struct bh_slice *bh_model_slice(const struct bh_model *model, const char *uid)
{
	const struct bh_stored *object = find(model, uid);

	return object && object->kind == BH_STORED_SLICE ? &object->slice : NULL;
}

const struct bh_service *bh_model_service(const struct bh_model *model, const char *uid)
{
	const struct bh_stored *object = find(model, uid);

	return object && object->kind == BH_STORED_SERVICE ? &object->service : NULL;
}

/* A pod that lives comes before one that has ended, then the newer one, then the higher uid. */
static bool is_newer(const struct bh_pod *a, const struct bh_pod *b)
{
	if (a->finished != b->finished)
		return !a->finished;
	if (a->created != b->created)
		return a->created > b->created;
	return strcmp(a->uid, b->uid) > 0;
}

const struct bh_pod *bh_model_pod_by_name(
	const struct bh_model *model, const char *namespace, const char *name)
{
	size_t size = strlen(namespace) + 1 + strlen(name);
	char *key = bh_xcalloc(1, size + 1);

	strcpy(stpcpy(key, namespace) + 1, name);
	const struct bh_stored *object = bh_table_get(&model->pod_names, key, size);
	const struct bh_pod *best = NULL;

	free(key);
	for (; object; object = object->sibling) {
		if (!best || is_newer(&object->pod, best))
			best = &object->pod;
	}
	return best;
}

const struct bh_namespace *bh_model_namespace(const struct bh_model *model, const char *name)
{
	const struct bh_space *space = bh_table_get(&model->spaces, name, strlen(name));

	return space && space->namespace ? &space->namespace->namespace : NULL;
}

const struct bh_namespace *bh_model_namespace_by_uid(const struct bh_model *model, const char *uid)
{
	const struct bh_stored *object = find(model, uid);

	return object && object->kind == BH_STORED_NAMESPACE ? &object->namespace : NULL;
}

const struct bh_labels *bh_model_namespace_labels(const struct bh_model *model, const char *name)
{
	const struct bh_space *space = bh_table_get(&model->spaces, name, strlen(name));

	return space ? space->labels : NULL;
}

const struct bh_pod *bh_model_next_pod(const struct bh_model *model, size_t *position)
{
	const struct bh_stored *object = bh_table_next(&model->kinds[BH_STORED_POD], position);

	return object ? &object->pod : NULL;
}

const struct bh_namespace *bh_model_next_namespace(const struct bh_model *model, size_t *position)
{
	const struct bh_stored *object =
		bh_table_next(&model->kinds[BH_STORED_NAMESPACE], position);

	return object ? &object->namespace : NULL;
}

const struct bh_node *bh_model_next_node(const struct bh_model *model, size_t *position)
{
	const struct bh_stored *object = bh_table_next(&model->kinds[BH_STORED_NODE], position);

	return object ? &object->node : NULL;
}

const struct bh_network_policy *bh_model_next_policy(const struct bh_model *model, size_t *position)
{
	const struct bh_stored *object = bh_table_next(&model->kinds[BH_STORED_POLICY], position);

	return object ? &object->policy : NULL;
}

const struct bh_service *bh_model_next_service(const struct bh_model *model, size_t *position)
{
	const struct bh_stored *object = bh_table_next(&model->kinds[BH_STORED_SERVICE], position);

	return object ? &object->service : NULL;
}

const struct bh_slice *bh_model_next_slice(const struct bh_model *model, size_t *position)
{
	const struct bh_stored *object = bh_table_next(&model->kinds[BH_STORED_SLICE], position);

	return object ? &object->slice : NULL;
}

size_t bh_model_count_pods(const struct bh_model *model)
{
	return model->kinds[BH_STORED_POD].n;
}

size_t bh_model_count_policies(const struct bh_model *model)
{
	return model->kinds[BH_STORED_POLICY].n;
}

size_t bh_model_count_services(const struct bh_model *model)
{
	return model->kinds[BH_STORED_SERVICE].n;
}

size_t bh_model_count_slices(const struct bh_model *model)
{
	return model->kinds[BH_STORED_SLICE].n;
}
