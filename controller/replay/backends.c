/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/backends.h"

#include "controller/compile/backends.h"
#include "controller/compile/workload.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"

struct resolver {
	const struct bh_model *model;
	struct bh_arena *arena;
	struct bh_backends *backends;
	struct bh_table services; /* "namespace\nname" → service */
	struct bh_table pods;     /* address → pod */
};

struct found {
	size_t n;
	size_t capacity;
	struct bh_replay_backend *list;
};

bool bh_replay_is_service(const struct bh_desired_workload *workload)
{
	return !strcmp(workload->kind, "Service");
}

/* ---- Indexes --------------------------------------------------------------------------------- */

static const char *service_key(struct bh_arena *arena, const char *namespace, const char *name)
{
	return bh_arena_printf(arena, "%s\n%s", namespace, name);
}

static void index_services(struct resolver *resolver)
{
	const struct bh_service *service;

	for (size_t at = 0; (service = bh_model_next_service(resolver->model, &at));) {
		const char *key = service_key(resolver->arena, service->namespace, service->name);

		bh_table_put(&resolver->services, key, strlen(key), (void *)service);
	}
}

/* Who shares the node's address is named by the address. */
static void index_pods(struct resolver *resolver)
{
	const struct bh_pod *pod;

	for (size_t at = 0; (pod = bh_model_next_pod(resolver->model, &at));) {
		for (size_t i = 0; i < pod->n_ips && !pod->finished && !pod->host_network; i++)
			bh_table_put(
				&resolver->pods, &pod->ips[i], sizeof(pod->ips[i]), (void *)pod);
	}
}

/* ---- One edge -------------------------------------------------------------------------------- */

static struct bh_desired_workload *workload_of(
	const struct resolver *resolver, const struct bh_ip *ip)
{
	const struct bh_pod *pod = bh_table_get(&resolver->pods, ip, sizeof(*ip));
	struct bh_desired_workload *workload =
		bh_arena_new(resolver->arena, struct bh_desired_workload);
	char address[BH_IP_TEXT_MAX];

	if (pod) {
		struct bh_workload_name name = bh_workload_of(pod);

		workload->namespace = bh_arena_strdup(resolver->arena, pod->namespace);
		workload->kind = bh_arena_strdup(resolver->arena, name.kind);
		workload->name = bh_arena_strdup(resolver->arena, name.name);
	} else {
		workload->namespace = "";
		workload->kind = "World";
		workload->name = bh_arena_printf(
			resolver->arena, "%s/%u", bh_ip_format(ip, address), bh_ip_bits(ip));
	}
	return workload;
}

static bool same_workload(const struct bh_desired_workload *a, const struct bh_desired_workload *b)
{
	return !strcmp(a->namespace, b->namespace) && !strcmp(a->kind, b->kind) &&
	       !strcmp(a->name, b->name);
}

/* Many backends are pods of one workload: that counts once. */
static void add(struct resolver *resolver, struct found *found, const struct bh_backend *backend)
{
	const struct bh_replay_backend added = {workload_of(resolver, &backend->ip), backend->port};

	for (size_t i = 0; i < found->n; i++) {
		if (found->list[i].port == added.port &&
			same_workload(found->list[i].workload, added.workload))
			return;
	}
	bh_xgrow(found->list, found->n, found->capacity);
	found->list[found->n++] = added;
}

static int compare_backends(const void *a, const void *b)
{
	const struct bh_replay_backend *x = a, *y = b;
	int order = strcmp(x->workload->namespace, y->workload->namespace);

	if (!order)
		order = strcmp(x->workload->kind, y->workload->kind);
	if (!order)
		order = strcmp(x->workload->name, y->workload->name);
	return order ? order : (x->port > y->port) - (x->port < y->port);
}

static void resolve(struct resolver *resolver, struct bh_replay_edge *edge)
{
	const char *key = service_key(resolver->arena, edge->server->namespace, edge->server->name);
	const struct bh_service *service = bh_table_get(&resolver->services, key, strlen(key));
	struct found found = {0};

	for (size_t i = 0; service && i < service->n_ports; i++) {
		const struct bh_service_port *port = &service->ports[i];
		const struct bh_backend *list;
		size_t n;

		if (port->protocol != edge->protocol || port->port != edge->port)
			continue;
		n = bh_backends_of(resolver->backends, service, port, edge->family, &list);
		for (size_t j = 0; j < n; j++)
			add(resolver, &found, &list[j]);
	}
	if (found.n)
		qsort(found.list, found.n, sizeof(*found.list), compare_backends);
	edge->n_backends = found.n;
	edge->backends = bh_arena_copy(resolver->arena, found.list, found.n, sizeof(*found.list));
	free(found.list);
}

void bh_replay_edges_resolve(struct bh_replay_edges *edges, const struct bh_model *model)
{
	struct resolver resolver = {.model = model, .arena = &edges->arena};

	for (size_t i = 0; i < edges->n; i++) {
		if (!bh_replay_is_service(edges->edges[i].server))
			continue;
		if (!resolver.backends) {
			resolver.backends = bh_backends_new(model);
			index_services(&resolver);
			index_pods(&resolver);
		}
		resolve(&resolver, &edges->edges[i]);
	}
	bh_backends_free(resolver.backends);
	bh_table_clear(&resolver.services);
	bh_table_clear(&resolver.pods);
}

size_t bh_replay_behind(
	const struct bh_replay_edge *edge, size_t index, struct bh_replay_edge *ret_edge)
{
	size_t n = edge->n_backends ? edge->n_backends : 1;

	if (index >= n)
		return n;
	*ret_edge = *edge;
	if (!edge->n_backends)
		return n;
	ret_edge->server = edge->backends[index].workload;
	ret_edge->port = edge->backends[index].port;
	ret_edge->n_backends = 0;
	/* What records tell of outside addresses is of who spoke to the service. */
	if (!bh_replay_is_world(edge->client))
		ret_edge->n_blocks = 0;
	return n;
}
