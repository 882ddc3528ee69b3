/* SPDX-License-Identifier: Apache-2.0 */

/* By what objects are found, besides their uid: name, namespace, address, service. */
#include "controller/model/stored.h"

#include "controller/model/memory.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

/* ---- Rings ----------------------------------------------------------------------------------- */

static void open_ring(struct bh_ring *head)
{
	head->next = head->before = head;
}

static bool is_alone(const struct bh_ring *head)
{
	return head->next == head;
}

static void enter(struct bh_ring *head, struct bh_ring *member, struct bh_stored *object)
{
	member->object = object;
	member->next = head->next;
	member->before = head;
	head->next->before = member;
	head->next = member;
}

static void leave(struct bh_ring *member)
{
	member->next->before = member->before;
	member->before->next = member->next;
	member->next = member->before = NULL;
}

/* ---- Namespaces ------------------------------------------------------------------------------ */

/* Recomputes what a namespaceSelector sees. */
static void relabel_space(struct bh_model *model, struct bh_space *space)
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

static struct bh_space *enter_space(struct bh_model *model, const char *name)
{
	struct bh_space *space = bh_table_get(&model->spaces, name, strlen(name));

	if (!space) {
		space = bh_xcalloc(1, sizeof(*space) + strlen(name) + 1);
		strcpy(space->name, name);
		open_ring(&space->pods);
		bh_table_put(&model->spaces, space->name, strlen(name), space);
		relabel_space(model, space);
	}
	space->objects++;
	return space;
}

static void leave_space(struct bh_model *model, struct bh_space *space)
{
	if (--space->objects)
		return;
	bh_table_remove(&model->spaces, space->name, strlen(space->name));
	bh_label_store_put(&model->labels, space->labels);
	free(space);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* A stored pod's namespace and name lie side by side. */
static size_t pod_key_size(const struct bh_pod *pod)
{
	return strlen(pod->namespace) + 1 + strlen(pod->name);
}

static void link_name(struct bh_model *model, struct bh_stored *object)
{
	struct bh_pod *pod = &object->pod;

	object->sibling =
		bh_table_put(&model->pod_names, pod->namespace, pod_key_size(pod), object);
}

static void unlink_name(struct bh_model *model, struct bh_stored *object)
{
	const struct bh_pod *pod = &object->pod;
	struct bh_stored *first =
		bh_table_remove(&model->pod_names, pod->namespace, pod_key_size(pod));
	struct bh_stored **at = &first;

	while (*at != object)
		at = &(*at)->sibling;
	*at = object->sibling;
	if (first)
		bh_table_put(
			&model->pod_names, first->pod.namespace, pod_key_size(&first->pod), first);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static struct bh_place *make_place(struct bh_model *model, const struct bh_ip *ip)
{
	struct bh_place *place = bh_table_get(&model->places, ip, sizeof(*ip));

	if (place)
		return place;
	place = bh_xcalloc(1, sizeof(*place));
	place->ip = *ip;
	open_ring(&place->pods);
	open_ring(&place->slices);
	bh_table_put(&model->places, &place->ip, sizeof(place->ip), place);
	return place;
}

static void enter_places(
	struct bh_model *model, struct bh_stored *object, const struct bh_ip *ips, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct bh_place *place = make_place(model, &ips[i]);

		enter(object->kind == BH_STORED_POD ? &place->pods : &place->slices,
			&object->places[i], object);
	}
}

static void leave_places(
	struct bh_model *model, struct bh_stored *object, const struct bh_ip *ips, size_t n)
{
	for (size_t i = 0; i < n && object->places[i].next; i++) {
		struct bh_place *place = bh_table_get(&model->places, &ips[i], sizeof(ips[i]));

		leave(&object->places[i]);
		if (!is_alone(&place->pods) || !is_alone(&place->slices))
			continue;
		bh_table_remove(&model->places, &place->ip, sizeof(place->ip));
		free(place);
	}
}

/* ---- Services -------------------------------------------------------------------------------- */

static struct bh_front *find_front(
	const struct bh_model *model, const char *namespace, const char *service)
{
	size_t size = strlen(namespace) + 1 + strlen(service);
	char *key = bh_xcalloc(1, size + 1);

	strcpy(stpcpy(key, namespace) + 1, service);
	struct bh_front *front = bh_table_get(&model->fronts, key, size);

	free(key);
	return front;
}

static void enter_front(struct bh_model *model, struct bh_stored *object)
{
	const struct bh_slice *slice = &object->slice;
	struct bh_front *front;

	if (!slice->service)
		return;
	front = find_front(model, slice->namespace, slice->service);
	if (!front) {
		size_t size = strlen(slice->namespace) + 1 + strlen(slice->service);

		front = bh_xcalloc(1, sizeof(*front) + size + 1);
		front->key_size = size;
		strcpy(stpcpy(front->key, slice->namespace) + 1, slice->service);
		open_ring(&front->slices);
		bh_table_put(&model->fronts, front->key, size, front);
	}
	object->front = front;
	enter(&front->slices, &object->together, object);
}

static void leave_front(struct bh_model *model, struct bh_stored *object)
{
	struct bh_front *front = object->front;

	if (!front)
		return;
	leave(&object->together);
	object->front = NULL;
	if (!is_alone(&front->slices))
		return;
	bh_table_remove(&model->fronts, front->key, front->key_size);
	free(front);
}

/* ---- In and out ------------------------------------------------------------------------------ */

static const char *object_uid(const struct bh_stored *object)
{
	switch (object->kind) {
	case BH_STORED_POD:
		return object->pod.uid;
	case BH_STORED_NAMESPACE:
		return object->namespace.uid;
	case BH_STORED_NODE:
		return object->node.uid;
	case BH_STORED_SERVICE:
		return object->service.uid;
	case BH_STORED_SLICE:
		return object->slice.uid;
	default:
		return object->policy.uid;
	}
}

void bh_index_insert(struct bh_model *model, struct bh_stored *object)
{
	object->uid = object_uid(object);
	bh_table_put(&model->objects, object->uid, strlen(object->uid), object);
	bh_table_put(&model->kinds[object->kind], object->uid, strlen(object->uid), object);
	switch (object->kind) {
	case BH_STORED_POD:
		object->space = enter_space(model, object->pod.namespace);
		enter(&object->space->pods, &object->together, object);
		link_name(model, object);
		if (!object->pod.finished)
			enter_places(model, object, object->pod.ips, object->pod.n_ips);
		break;
	case BH_STORED_NAMESPACE:
		object->space = enter_space(model, object->namespace.name);
		object->space->namespace = object;
		relabel_space(model, object->space);
		break;
	case BH_STORED_POLICY:
		if (*object->policy.namespace)
			object->space = enter_space(model, object->policy.namespace);
		break;
	case BH_STORED_SLICE:
		enter_front(model, object);
		enter_places(model, object, object->slice.ips, object->slice.n_ips);
		break;
	default:
		break;
	}
}

/* A namespace deleted and made again may be there twice for a moment. */
static struct bh_stored *other_namespace(const struct bh_model *model, const char *name)
{
	struct bh_stored *object;

	for (size_t at = 0; (object = bh_table_next(&model->kinds[BH_STORED_NAMESPACE], &at));) {
		if (!strcmp(object->namespace.name, name))
			return object;
	}
	return NULL;
}

void bh_index_remove(struct bh_model *model, struct bh_stored *object)
{
	bh_table_remove(&model->objects, object->uid, strlen(object->uid));
	bh_table_remove(&model->kinds[object->kind], object->uid, strlen(object->uid));
	switch (object->kind) {
	case BH_STORED_POD:
		unlink_name(model, object);
		leave(&object->together);
		leave_places(model, object, object->pod.ips, object->pod.n_ips);
		break;
	case BH_STORED_NAMESPACE:
		if (object->space->namespace != object)
			break;
		object->space->namespace = other_namespace(model, object->space->name);
		relabel_space(model, object->space);
		break;
	case BH_STORED_SLICE:
		leave_front(model, object);
		leave_places(model, object, object->slice.ips, object->slice.n_ips);
		break;
	default:
		break;
	}
	if (object->space)
		leave_space(model, object->space);
	object->space = NULL;
	object->sibling = NULL;
}

void bh_index_clear(struct bh_model *model)
{
	for (int kind = 0; kind < BH_STORED_KINDS; kind++)
		bh_table_clear(&model->kinds[kind]);
	bh_table_clear(&model->objects);
	bh_table_clear(&model->pod_names);
	bh_table_clear(&model->spaces);
	bh_table_clear(&model->places);
	bh_table_clear(&model->fronts);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The objects of a ring one after the other. */
static const struct bh_stored *next_of(const struct bh_ring *head, const struct bh_ring **position)
{
	*position = *position ? (*position)->next : head->next;
	return *position == head ? NULL : (*position)->object;
}

const struct bh_pod *bh_model_next_pod_at(
	const struct bh_model *model, const struct bh_ip *ip, const struct bh_ring **position)
{
	const struct bh_place *place = bh_table_get(&model->places, ip, sizeof(*ip));
	const struct bh_stored *object = place ? next_of(&place->pods, position) : NULL;

	return object ? &object->pod : NULL;
}

const struct bh_slice *bh_model_next_slice_at(
	const struct bh_model *model, const struct bh_ip *ip, const struct bh_ring **position)
{
	const struct bh_place *place = bh_table_get(&model->places, ip, sizeof(*ip));
	const struct bh_stored *object = place ? next_of(&place->slices, position) : NULL;

	return object ? &object->slice : NULL;
}

const struct bh_pod *bh_model_next_pod_in(
	const struct bh_model *model, const char *namespace, const struct bh_ring **position)
{
	const struct bh_space *space = bh_table_get(&model->spaces, namespace, strlen(namespace));
	const struct bh_stored *object = space ? next_of(&space->pods, position) : NULL;

	return object ? &object->pod : NULL;
}

const struct bh_slice *bh_model_next_slice_of(const struct bh_model *model, const char *namespace,
	const char *service, const struct bh_ring **position)
{
	const struct bh_front *front = find_front(model, namespace, service);
	const struct bh_stored *object = front ? next_of(&front->slices, position) : NULL;

	return object ? &object->slice : NULL;
}

const struct bh_pod *bh_model_pod_at(const struct bh_model *model, const struct bh_ip *ip)
{
	const struct bh_pod *pod, *best = NULL;

	for (const struct bh_ring *at = NULL; (pod = bh_model_next_pod_at(model, ip, &at));) {
		if (pod->host_network)
			continue;
		if (!best || pod->created > best->created ||
			(pod->created == best->created && strcmp(pod->uid, best->uid) > 0))
			best = pod;
	}
	return best;
}
