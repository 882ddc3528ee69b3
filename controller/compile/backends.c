/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/backends.h"

#include "controller/model/memory.h"

struct bh_backends {
	const struct bh_model *model;
	const struct bh_service *only; /* the one it is about; NULL: all */
	size_t n_slices;
	const struct bh_slice **slices; /* by namespace, service, uid */
	size_t n_pods;
	const struct bh_pod **pods; /* by namespace, labels, uid; NULL until somebody asks */
	size_t n;
	size_t capacity;
	struct bh_backend *list; /* of the last answer */
};

/* ---- Slices -----------------------------------------------------------------------------------
 */

static int compare_names(const char *namespace, const char *service, const struct bh_slice *slice)
{
	int order = strcmp(namespace, slice->namespace);

	return order ? order : strcmp(service, slice->service);
}

static int compare_slices(const void *a, const void *b)
{
	const struct bh_slice *left = *(const struct bh_slice *const *)a;
	const struct bh_slice *right = *(const struct bh_slice *const *)b;
	int order = compare_names(left->namespace, left->service, right);

	return order ? order : strcmp(left->uid, right->uid);
}

struct bh_backends *bh_backends_new(const struct bh_model *model)
{
	struct bh_backends *backends = bh_xcalloc(1, sizeof(*backends));
	const struct bh_slice *slice;

	backends->model = model;
	backends->slices = bh_xcalloc(bh_model_count_slices(model), sizeof(*backends->slices));
	for (size_t at = 0; (slice = bh_model_next_slice(model, &at));) {
		if (slice->service)
			backends->slices[backends->n_slices++] = slice;
	}
	if (backends->n_slices)
		qsort(backends->slices, backends->n_slices, sizeof(*backends->slices),
			compare_slices);
	return backends;
}

struct bh_backends *bh_backends_new_of(
	const struct bh_model *model, const struct bh_service *service)
{
	struct bh_backends *backends = bh_xcalloc(1, sizeof(*backends));
	const struct bh_slice *slice;
	size_t capacity = 0;

	backends->model = model;
	backends->only = service;
	for (const struct bh_ring *at = NULL;
		(slice = bh_model_next_slice_of(model, service->namespace, service->name, &at));) {
		bh_xgrow(backends->slices, backends->n_slices, capacity);
		backends->slices[backends->n_slices++] = slice;
	}
	if (backends->n_slices)
		qsort(backends->slices, backends->n_slices, sizeof(*backends->slices),
			compare_slices);
	return backends;
}

bool bh_backends_are_selected(const struct bh_model *model, const struct bh_service *service)
{
	const struct bh_ring *at = NULL;

	return service->selector->n &&
	       !bh_model_next_slice_of(model, service->namespace, service->name, &at);
}

void bh_backends_free(struct bh_backends *backends)
{
	if (!backends)
		return;
	free(backends->slices);
	free(backends->pods);
	free(backends->list);
	free(backends);
}

/* The first of the service's slices. */
static size_t first_slice(const struct bh_backends *backends, const struct bh_service *service)
{
	size_t low = 0, high = backends->n_slices;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare_names(service->namespace, service->name, backends->slices[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool same_port_name(const char *a, const char *b)
{
	return !a ? !b : b && !strcmp(a, b);
}

static void add(struct bh_backends *backends, const struct bh_ip *ip, uint16_t port)
{
	bh_xgrow(backends->list, backends->n, backends->capacity);
	backends->list[backends->n++] = (struct bh_backend){*ip, port};
}

/* A slice's port belongs to the service's of the same name and protocol. */
static void add_slice(struct bh_backends *backends, const struct bh_slice *slice,
	const struct bh_service_port *port, uint8_t family)
{
	for (size_t i = 0; i < slice->n_ports; i++) {
		const struct bh_slice_port *theirs = &slice->ports[i];

		if (theirs->protocol != port->protocol || !same_port_name(theirs->name, port->name))
			continue;
		for (size_t j = 0; j < slice->n_ips; j++) {
			if (slice->ips[j].family == family)
				add(backends, &slice->ips[j], theirs->port);
		}
	}
}

/* ---- Pods -------------------------------------------------------------------------------------
 */

static int compare_pods(const void *a, const void *b)
{
	const struct bh_pod *left = *(const struct bh_pod *const *)a;
	const struct bh_pod *right = *(const struct bh_pod *const *)b;
	int order = strcmp(left->namespace, right->namespace);

	if (order)
		return order;
	if (left->labels->id != right->labels->id)
		return left->labels->id < right->labels->id ? -1 : 1;
	return strcmp(left->uid, right->uid);
}

/* Of the one service's namespace. */
static void list_pods_of(struct bh_backends *backends, const char *namespace)
{
	const struct bh_pod *pod;
	size_t capacity = 0;

	for (const struct bh_ring *at = NULL;
		(pod = bh_model_next_pod_in(backends->model, namespace, &at));) {
		if (pod->finished)
			continue;
		bh_xgrow(backends->pods, backends->n_pods, capacity);
		backends->pods[backends->n_pods++] = pod;
	}
	if (backends->n_pods)
		qsort(backends->pods, backends->n_pods, sizeof(*backends->pods), compare_pods);
}

static void list_pods(struct bh_backends *backends)
{
	const struct bh_pod *pod;

	if (backends->only) {
		list_pods_of(backends, backends->only->namespace);
		return;
	}
	backends->pods = bh_xcalloc(bh_model_count_pods(backends->model), sizeof(*backends->pods));
	for (size_t at = 0; (pod = bh_model_next_pod(backends->model, &at));) {
		if (!pod->finished)
			backends->pods[backends->n_pods++] = pod;
	}
	if (backends->n_pods)
		qsort(backends->pods, backends->n_pods, sizeof(*backends->pods), compare_pods);
}

static size_t first_pod(const struct bh_backends *backends, const char *namespace)
{
	size_t low = 0, high = backends->n_pods;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(namespace, backends->pods[middle]->namespace) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool bh_backends_select(const struct bh_labels *selector, const struct bh_labels *labels)
{
	for (size_t i = 0; i < selector->n; i++) {
		const char *value = bh_labels_get(labels, selector->items[i].key);

		if (!value || strcmp(value, selector->items[i].value))
			return false;
	}
	return true;
}

static void add_pod_port(
	struct bh_backends *backends, const struct bh_pod *pod, uint16_t port, uint8_t family)
{
	for (size_t i = 0; i < pod->n_ips; i++) {
		if (pod->ips[i].family == family)
			add(backends, &pod->ips[i], port);
	}
}

/* The target's number, or the pod's own number for its name. */
static void add_pod(struct bh_backends *backends, const struct bh_pod *pod,
	const struct bh_service_port *port, uint8_t family)
{
	if (!port->target_name) {
		add_pod_port(backends, pod, port->target, family);
		return;
	}
	for (size_t i = 0; i < pod->n_ports; i++) {
		if (pod->ports[i].protocol == port->protocol &&
			!strcmp(pod->ports[i].name, port->target_name))
			add_pod_port(backends, pod, pod->ports[i].port, family);
	}
}

static void add_selected(struct bh_backends *backends, const struct bh_service *service,
	const struct bh_service_port *port, uint8_t family)
{
	const struct bh_labels *asked = NULL;
	bool selected = false;

	if (!backends->pods)
		list_pods(backends);
	for (size_t i = first_pod(backends, service->namespace); i < backends->n_pods; i++) {
		const struct bh_pod *pod = backends->pods[i];

		if (strcmp(pod->namespace, service->namespace))
			break;
		/* Pods with the same labels stand together. */
		if (pod->labels != asked)
			selected = bh_backends_select(service->selector, pod->labels);
		asked = pod->labels;
		if (selected)
			add_pod(backends, pod, port, family);
	}
}

size_t bh_backends_of(struct bh_backends *backends, const struct bh_service *service,
	const struct bh_service_port *port, uint8_t family, const struct bh_backend **ret_list)
{
	size_t first = first_slice(backends, service), at = first;

	backends->n = 0;
	for (; at < backends->n_slices &&
		!compare_names(service->namespace, service->name, backends->slices[at]);
		at++)
		add_slice(backends, backends->slices[at], port, family);
	if (at == first && service->selector->n)
		add_selected(backends, service, port, family);
	*ret_list = backends->list;
	return backends->n;
}

/* ---- By address -------------------------------------------------------------------------------
 */

static bool has_address(const struct bh_service *service, const struct bh_ip *ip)
{
	for (size_t i = 0; i < service->n_ips; i++) {
		if (!bh_ip_compare(&service->ips[i], ip))
			return true;
	}
	return false;
}

static int compare_backends(const void *a, const void *b)
{
	const struct bh_backend *left = a, *right = b;
	int order = bh_ip_compare(&left->ip, &right->ip);

	return order ? order : (left->port > right->port) - (left->port < right->port);
}

struct found {
	bool any; /* service with that port */
	size_t n;
	size_t capacity;
	struct bh_backend *list;
};

static void gather(struct bh_backends *backends, const struct bh_service *service,
	const struct bh_service_port *port, uint8_t family, struct found *found)
{
	const struct bh_backend *some;
	size_t n = bh_backends_of(backends, service, port, family, &some);

	found->any = true;
	for (size_t i = 0; i < n; i++) {
		bh_xgrow(found->list, found->n, found->capacity);
		found->list[found->n++] = some[i];
	}
}

bool bh_backends_behind(const struct bh_model *model, struct bh_arena *arena,
	const struct bh_ip *ip, uint8_t protocol, uint16_t port, const struct bh_backend **ret_list,
	size_t *ret_n)
{
	struct bh_backends *backends = bh_backends_new(model);
	const struct bh_service *service;
	struct found found = {0};
	size_t kept = 0;

	for (size_t at = 0; (service = bh_model_next_service(model, &at));) {
		for (size_t i = 0; i < service->n_ports && has_address(service, ip); i++) {
			if (service->ports[i].protocol == protocol &&
				service->ports[i].port == port)
				gather(backends, service, &service->ports[i], ip->family, &found);
		}
	}
	bh_backends_free(backends);
	if (found.n)
		qsort(found.list, found.n, sizeof(*found.list), compare_backends);
	for (size_t i = 0; i < found.n; i++) {
		if (!kept || compare_backends(&found.list[kept - 1], &found.list[i]))
			found.list[kept++] = found.list[i];
	}
	*ret_list = bh_arena_copy(arena, found.list, kept, sizeof(*found.list));
	*ret_n = kept;
	free(found.list);
	return found.any;
}
