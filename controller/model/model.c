/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every stored object is one allocation: the public struct, then its strings and arrays, packed. It
 * is replaced as a whole, never edited, so what a reader holds is consistent. A namespace has a
 * record as long as anything is in it or names it, because its labels count whether or not there is
 * a Namespace object.
 */
#include "controller/model/model.h"

#include "controller/model/announced.h"
#include "controller/model/labels.h"
#include "controller/model/memory.h"
#include "controller/model/overrides.h"
#include "controller/model/services.h"
#include "controller/model/table.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

enum kind {
	KIND_POD,
	KIND_NAMESPACE,
	KIND_NODE,
	KIND_POLICY,
	KIND_SERVICE,
	KIND_SLICE,
	KINDS,
};

struct space;

struct object {
	enum kind kind;
	const char *uid;
	struct space *space;    /* pods, namespaces, policies that are in one */
	struct object *sibling; /* another pod of the same namespace and name */
	union {
		struct bh_pod pod;
		struct bh_namespace namespace;
		struct bh_node node;
		struct bh_network_policy policy;
		struct bh_service service;
		struct bh_slice slice;
	};
};

/* A namespace as far as the model knows of it. */
struct space {
	size_t objects; /* that are in it or are it */
	struct object *namespace;
	const struct bh_labels *labels; /* what a namespaceSelector sees */
	char name[];
};

struct bh_model {
	char *node;
	enum bh_mode mode;
	uint64_t revision;
	uint64_t last_serial;
	struct bh_table objects;      /* by uid */
	struct bh_table kinds[KINDS]; /* the same by kind */
	struct bh_table pod_names;    /* "namespace\0name" → newest sibling list */
	struct bh_table spaces;
	struct bh_label_store labels;
	struct bh_overrides overrides;
	struct bh_announced announced;
	size_t n_host_ips;
	struct bh_ip *host_ips;
};

/* ---- Packing --------------------------------------------------------------------------------- */

static void pack_pod(struct bh_pack *pack, const struct bh_pod *in, struct object *object)
{
	struct bh_pod *out = &object->pod;
	struct bh_pod_port *ports = bh_pack_bytes(
		pack, in->ports, in->n_ports * sizeof(*in->ports), _Alignof(struct bh_pod_port));

	*out = *in;
	out->ports = ports;
	out->ips = bh_pack_ips(pack, in->ips, in->n_ips);
	out->uid = bh_pack_text(pack, in->uid);
	out->namespace = bh_pack_text(pack, in->namespace);
	out->name = bh_pack_text(pack, in->name); /* right behind the namespace: pod_key() */
	out->node_name = bh_pack_text(pack, in->node_name);
	out->owner_kind = bh_pack_text(pack, in->owner_kind);
	out->owner_name = bh_pack_text(pack, in->owner_name);
	out->mode = bh_pack_text(pack, in->mode);
	out->hook = bh_pack_text(pack, in->hook);
	for (size_t i = 0; i < in->n_ports; i++) {
		const char *name = bh_pack_text(pack, in->ports[i].name);

		if (ports)
			ports[i].name = name;
	}
}

static void pack_namespace(
	struct bh_pack *pack, const struct bh_namespace *in, struct object *object)
{
	struct bh_namespace *out = &object->namespace;

	*out = *in;
	out->uid = bh_pack_text(pack, in->uid);
	out->name = bh_pack_text(pack, in->name);
	out->mode = bh_pack_text(pack, in->mode);
}

static void pack_node(struct bh_pack *pack, const struct bh_node *in, struct object *object)
{
	struct bh_node *out = &object->node;

	*out = *in;
	out->ips = bh_pack_ips(pack, in->ips, in->n_ips);
	out->uid = bh_pack_text(pack, in->uid);
	out->name = bh_pack_text(pack, in->name);
}

static void pack_policy(
	struct bh_pack *pack, const struct bh_network_policy *in, struct object *object)
{
	struct bh_network_policy *out = &object->policy;

	*out = *in;
	out->uid = bh_pack_text(pack, in->uid);
	out->namespace = bh_pack_text(pack, in->namespace);
	out->name = bh_pack_text(pack, in->name);
	out->mode = bh_pack_text(pack, in->mode);
}

static void pack_object(struct bh_pack *pack, enum kind kind, const void *in, struct object *object)
{
	bh_pack_bytes(pack, object, sizeof(*object), _Alignof(struct object));
	switch (kind) {
	case KIND_POD:
		pack_pod(pack, in, object);
		break;
	case KIND_NAMESPACE:
		pack_namespace(pack, in, object);
		break;
	case KIND_NODE:
		pack_node(pack, in, object);
		break;
	case KIND_POLICY:
		pack_policy(pack, in, object);
		break;
	case KIND_SERVICE:
		bh_service_pack(pack, in, &object->service);
		break;
	case KIND_SLICE:
		bh_slice_pack(pack, in, &object->slice);
		break;
	case KINDS:
		break;
	}
}

static struct object *store(enum kind kind, const void *in)
{
	struct object measure = {.kind = kind};
	struct bh_pack pack = {0};

	pack_object(&pack, kind, in, &measure);
	struct object *object = bh_xcalloc(1, pack.used);

	pack = (struct bh_pack){.to = (char *)object};
	object->kind = kind;
	pack_object(&pack, kind, in, object);
	return object;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* `labels` is the interned set of `b`. */
static bool same_pod(const struct bh_pod *a, const struct bh_pod *b, const struct bh_labels *labels)
{
	if (a->labels != labels || a->host_network != b->host_network ||
		a->finished != b->finished || a->created != b->created ||
		a->n_ports != b->n_ports || !bh_same_text(a->namespace, b->namespace) ||
		!bh_same_text(a->name, b->name) || !bh_same_text(a->node_name, b->node_name) ||
		!bh_same_text(a->owner_kind, b->owner_kind) ||
		!bh_same_text(a->owner_name, b->owner_name) || !bh_same_text(a->mode, b->mode) ||
		!bh_same_text(a->hook, b->hook) || !bh_same_ips(a->ips, a->n_ips, b->ips, b->n_ips))
		return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		if (!bh_same_text(a->ports[i].name, b->ports[i].name) ||
			a->ports[i].protocol != b->ports[i].protocol ||
			a->ports[i].port != b->ports[i].port)
			return false;
	}
	return true;
}

static bool same_spec(const json_t *a, const json_t *b)
{
	return a == b || (a && b && json_equal(a, b));
}

/* ---- Namespaces ------------------------------------------------------------------------------ */

/* Recomputes what a namespaceSelector sees. */
static void relabel_space(struct bh_model *model, struct space *space)
{
	const struct bh_labels *own = space->namespace ? space->namespace->namespace.labels : NULL;
	size_t n = own ? own->n : 0;
	struct bh_label *items = bh_xcalloc(n + 1, sizeof(*items));

	if (n)
		memcpy(items, own->items, n * sizeof(*items));
	items[n] = (struct bh_label){NAME_LABEL, space->name}; /* the last one counts */
	const struct bh_labels *before = space->labels;

	space->labels =
		bh_label_store_get(&model->labels, &(struct bh_labels){.n = n + 1, .items = items});
	if (before)
		bh_label_store_put(&model->labels, before);
	free(items);
}

static struct space *enter_space(struct bh_model *model, const char *name)
{
	struct space *space = bh_table_get(&model->spaces, name, strlen(name));

	if (!space) {
		space = bh_xcalloc(1, sizeof(*space) + strlen(name) + 1);
		strcpy(space->name, name);
		bh_table_put(&model->spaces, space->name, strlen(name), space);
		relabel_space(model, space);
	}
	space->objects++;
	return space;
}

static void leave_space(struct bh_model *model, struct space *space)
{
	if (--space->objects)
		return;
	bh_table_remove(&model->spaces, space->name, strlen(space->name));
	bh_label_store_put(&model->labels, space->labels);
	free(space);
}

/* ---- Indexes --------------------------------------------------------------------------------- */

/* A stored pod's namespace and name lie side by side. */
static size_t pod_key_size(const struct bh_pod *pod)
{
	return strlen(pod->namespace) + 1 + strlen(pod->name);
}

static void link_name(struct bh_model *model, struct object *object)
{
	struct bh_pod *pod = &object->pod;

	object->sibling =
		bh_table_put(&model->pod_names, pod->namespace, pod_key_size(pod), object);
}

static void unlink_name(struct bh_model *model, struct object *object)
{
	const struct bh_pod *pod = &object->pod;
	struct object *first =
		bh_table_remove(&model->pod_names, pod->namespace, pod_key_size(pod));
	struct object **at = &first;

	while (*at != object)
		at = &(*at)->sibling;
	*at = object->sibling;
	if (first)
		bh_table_put(
			&model->pod_names, first->pod.namespace, pod_key_size(&first->pod), first);
}

static const struct bh_labels **labels_of(struct object *object)
{
	switch (object->kind) {
	case KIND_POD:
		return &object->pod.labels;
	case KIND_NAMESPACE:
		return &object->namespace.labels;
	case KIND_NODE:
		return &object->node.labels;
	case KIND_SERVICE:
		return &object->service.selector;
	default:
		return NULL;
	}
}

static const char *object_uid(const struct object *object)
{
	switch (object->kind) {
	case KIND_POD:
		return object->pod.uid;
	case KIND_NAMESPACE:
		return object->namespace.uid;
	case KIND_NODE:
		return object->node.uid;
	case KIND_SERVICE:
		return object->service.uid;
	case KIND_SLICE:
		return object->slice.uid;
	default:
		return object->policy.uid;
	}
}

static void insert(struct bh_model *model, struct object *object)
{
	object->uid = object_uid(object);
	bh_table_put(&model->objects, object->uid, strlen(object->uid), object);
	bh_table_put(&model->kinds[object->kind], object->uid, strlen(object->uid), object);
	switch (object->kind) {
	case KIND_POD:
		object->space = enter_space(model, object->pod.namespace);
		link_name(model, object);
		break;
	case KIND_NAMESPACE:
		object->space = enter_space(model, object->namespace.name);
		object->space->namespace = object;
		relabel_space(model, object->space);
		break;
	case KIND_POLICY:
		if (*object->policy.namespace)
			object->space = enter_space(model, object->policy.namespace);
		json_incref(object->policy.spec);
		break;
	default:
		break;
	}
}

/* A namespace deleted and made again may be there twice for a moment. */
static struct object *other_namespace(const struct bh_model *model, const char *name)
{
	struct object *object;

	for (size_t at = 0; (object = bh_table_next(&model->kinds[KIND_NAMESPACE], &at));) {
		if (!strcmp(object->namespace.name, name))
			return object;
	}
	return NULL;
}

/* Takes the object out of every index, then frees it. */
static void discard(struct bh_model *model, struct object *object)
{
	bh_table_remove(&model->objects, object->uid, strlen(object->uid));
	bh_table_remove(&model->kinds[object->kind], object->uid, strlen(object->uid));
	if (object->kind == KIND_POD)
		unlink_name(model, object);
	if (object->kind == KIND_NAMESPACE && object->space->namespace == object) {
		object->space->namespace = other_namespace(model, object->space->name);
		relabel_space(model, object->space);
	}
	if (object->kind == KIND_POLICY)
		json_decref(object->policy.spec);
	if (labels_of(object))
		bh_label_store_put(&model->labels, *labels_of(object));
	if (object->space)
		leave_space(model, object->space);
	free(object);
}

static struct object *find(const struct bh_model *model, const char *uid)
{
	return bh_table_get(&model->objects, uid, strlen(uid));
}

/* Puts `object` in the place of `before`, which may be of another kind, or NULL. */
static bool replace(struct bh_model *model, struct object *before, struct object *object)
{
	if (before)
		discard(model, before);
	insert(model, object);
	model->revision++;
	return true;
}

/* ---- Public ---------------------------------------------------------------------------------- */

struct bh_model *bh_model_new(const char *node, enum bh_mode mode)
{
	struct bh_model *model = bh_xcalloc(1, sizeof(*model));

	model->node = bh_xstrdup(node);
	model->mode = mode;
	model->revision = 1;
	return model;
}

void bh_model_free(struct bh_model *model)
{
	struct object *object;

	if (!model)
		return;
	/* A removal may move others behind the position, hence as many rounds as it takes. */
	while (model->objects.n) {
		for (size_t at = 0; (object = bh_table_next(&model->objects, &at));)
			discard(model, object);
	}
	bh_overrides_clear(&model->overrides);
	bh_announced_clear(&model->announced);
	for (int kind = 0; kind < KINDS; kind++)
		bh_table_clear(&model->kinds[kind]);
	bh_table_clear(&model->objects);
	bh_table_clear(&model->pod_names);
	bh_table_clear(&model->spaces);
	bh_label_store_clear(&model->labels);
	free(model->host_ips);
	free(model->node);
	free(model);
}

uint64_t bh_model_revision(const struct bh_model *model)
{
	return model->revision;
}

const char *bh_model_node_name(const struct bh_model *model)
{
	return model->node;
}

static bool put_pod(struct bh_model *model, const struct bh_pod *pod)
{
	const struct bh_labels *labels = bh_label_store_get(&model->labels, pod->labels);
	struct object *before = find(model, pod->uid);

	if (before && before->kind == KIND_POD && same_pod(&before->pod, pod, labels)) {
		bh_label_store_put(&model->labels, labels);
		return false;
	}
	struct object *object = store(KIND_POD, pod);

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
	struct object *before = find(model, namespace->uid);

	if (before && before->kind == KIND_NAMESPACE && before->namespace.labels == labels &&
		bh_same_text(before->namespace.name, namespace->name) &&
		bh_same_text(before->namespace.mode, namespace->mode)) {
		bh_label_store_put(&model->labels, labels);
		return false;
	}
	struct object *object = store(KIND_NAMESPACE, namespace);

	object->namespace.labels = labels;
	return replace(model, before, object);
}

bool bh_model_put_node(struct bh_model *model, const struct bh_node *node)
{
	const struct bh_labels *labels = bh_label_store_get(&model->labels, node->labels);
	struct object *before = find(model, node->uid);

	if (before && before->kind == KIND_NODE && before->node.labels == labels &&
		bh_same_text(before->node.name, node->name) &&
		bh_same_ips(before->node.ips, before->node.n_ips, node->ips, node->n_ips)) {
		bh_label_store_put(&model->labels, labels);
		return false;
	}
	struct object *object = store(KIND_NODE, node);

	object->node.labels = labels;
	return replace(model, before, object);
}

bool bh_model_put_policy(struct bh_model *model, const struct bh_network_policy *policy)
{
	struct object *before = find(model, policy->uid);

	if (before && before->kind == KIND_POLICY &&
		bh_same_text(before->policy.namespace, policy->namespace) &&
		bh_same_text(before->policy.name, policy->name) &&
		bh_same_text(before->policy.mode, policy->mode) &&
		same_spec(before->policy.spec, policy->spec))
		return false;
	struct object *object = store(KIND_POLICY, policy);

	object->policy.serial = ++model->last_serial;
	return replace(model, before, object);
}

bool bh_model_put_service(struct bh_model *model, const struct bh_service *service)
{
	const struct bh_labels *selector = bh_label_store_get(&model->labels, service->selector);
	struct object *before = find(model, service->uid);

	if (before && before->kind == KIND_SERVICE &&
		bh_service_same(&before->service, service, selector)) {
		bh_label_store_put(&model->labels, selector);
		return false;
	}
	struct object *object = store(KIND_SERVICE, service);

	object->service.selector = selector;
	return replace(model, before, object);
}

bool bh_model_put_slice(struct bh_model *model, const struct bh_slice *slice)
{
	struct object *before = find(model, slice->uid);

	if (before && before->kind == KIND_SLICE && bh_slice_same(&before->slice, slice))
		return false;
	return replace(model, before, store(KIND_SLICE, slice));
}

bool bh_model_remove(struct bh_model *model, const char *uid)
{
	struct object *object = find(model, uid);

	if (!object)
		return false;
	if (object->kind == KIND_POD &&
		bh_announced_find(&model->announced, object->pod.namespace, object->pod.name, uid))
		bh_announced_remove(&model->announced, object->pod.namespace, object->pod.name);
	discard(model, object);
	model->revision++;
	return true;
}

/* ---- What the operator said ------------------------------------------------------------------ */

bool bh_model_set_mode(struct bh_model *model, enum bh_scope scope, const char *namespace,
	const char *name, enum bh_mode mode)
{
	bool changed = bh_overrides_set_mode(&model->overrides, scope, namespace, name, mode);

	model->revision += changed;
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

	model->revision += changed;
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
	model->revision++;
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
	const struct object *object = find(model, uid);

	return object && object->kind == KIND_POD ? &object->pod : NULL;
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
	const struct object *object = bh_table_get(&model->pod_names, key, size);
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
	const struct space *space = bh_table_get(&model->spaces, name, strlen(name));

	return space && space->namespace ? &space->namespace->namespace : NULL;
}

const struct bh_labels *bh_model_namespace_labels(const struct bh_model *model, const char *name)
{
	const struct space *space = bh_table_get(&model->spaces, name, strlen(name));

	return space ? space->labels : NULL;
}

const struct bh_pod *bh_model_next_pod(const struct bh_model *model, size_t *position)
{
	const struct object *object = bh_table_next(&model->kinds[KIND_POD], position);

	return object ? &object->pod : NULL;
}

const struct bh_namespace *bh_model_next_namespace(const struct bh_model *model, size_t *position)
{
	const struct object *object = bh_table_next(&model->kinds[KIND_NAMESPACE], position);

	return object ? &object->namespace : NULL;
}

const struct bh_node *bh_model_next_node(const struct bh_model *model, size_t *position)
{
	const struct object *object = bh_table_next(&model->kinds[KIND_NODE], position);

	return object ? &object->node : NULL;
}

const struct bh_network_policy *bh_model_next_policy(const struct bh_model *model, size_t *position)
{
	const struct object *object = bh_table_next(&model->kinds[KIND_POLICY], position);

	return object ? &object->policy : NULL;
}

const struct bh_service *bh_model_next_service(const struct bh_model *model, size_t *position)
{
	const struct object *object = bh_table_next(&model->kinds[KIND_SERVICE], position);

	return object ? &object->service : NULL;
}

const struct bh_slice *bh_model_next_slice(const struct bh_model *model, size_t *position)
{
	const struct object *object = bh_table_next(&model->kinds[KIND_SLICE], position);

	return object ? &object->slice : NULL;
}

size_t bh_model_count_pods(const struct bh_model *model)
{
	return model->kinds[KIND_POD].n;
}

size_t bh_model_count_policies(const struct bh_model *model)
{
	return model->kinds[KIND_POLICY].n;
}

size_t bh_model_count_services(const struct bh_model *model)
{
	return model->kinds[KIND_SERVICE].n;
}

size_t bh_model_count_slices(const struct bh_model *model)
{
	return model->kinds[KIND_SLICE].n;
}
