/* SPDX-License-Identifier: Apache-2.0 */

/* Which addresses are services', and what classes that makes them. */
#include "controller/compile/services.h"

#include "controller/compile/backends.h"
#include "controller/compile/compilation.h"
#include "controller/model/memory.h"

static const char *service_object(
	struct bh_compilation *compilation, const struct bh_service *service)
{
	return bh_arena_printf(
		compilation->out, "Service %s/%s", service->namespace, service->name);
}

/* ---- Addresses --------------------------------------------------------------------------------
 */

/* By address; the cluster's own come before what anybody may write into a service of his. */
static int compare_claims(const void *a, const void *b)
{
	const struct bh_claim *left = a, *right = b;
	int order = bh_ip_compare(&left->ip, &right->ip);

	if (order)
		return order;
	if (left->outside != right->outside)
		return left->outside ? 1 : -1;
	return strcmp(left->service->uid, right->service->uid);
}

static size_t gather_claims(struct bh_compilation *compilation)
{
	const struct bh_service *service;
	struct bh_claim *claims = NULL;
	size_t n = 0, capacity = 0;
	char text[BH_IP_TEXT_MAX];

	for (size_t at = 0; (service = bh_model_next_service(compilation->model, &at));) {
		for (size_t i = 0; i < service->n_ips; i++) {
			const struct bh_ip *ip = &service->ips[i];

			if (!bh_address_is_usable(ip)) {
				bh_compilation_problem(compilation, BH_ABOUT_SERVICE, "bad-address",
					service_object(compilation, service),
					bh_arena_printf(compilation->out,
						"%s is not an address a service can have; it is "
						"left out",
						bh_ip_format(ip, text)));
				continue;
			}
			bh_xgrow(claims, n, capacity);
			claims[n++] = (struct bh_claim){*ip, service, i >= service->n_cluster_ips};
		}
	}
	if (n)
		qsort(claims, n, sizeof(*claims), compare_claims);
	compilation->services.claims = claims;
	compilation->services.n_claims = n;
	return n;
}

static int compare_by_name(const void *a, const void *b)
{
	const struct bh_service *left = *(const struct bh_service *const *)a;
	const struct bh_service *right = *(const struct bh_service *const *)b;
	int order = strcmp(left->namespace, right->namespace);

	return order ? order : strcmp(left->name, right->name);
}

static void sort_by_name(struct bh_compilation *compilation)
{
	struct bh_services *services = &compilation->services;
	const struct bh_service *service;

	services->by_name =
		bh_xcalloc(bh_model_count_services(compilation->model), sizeof(*services->by_name));
	for (size_t at = 0; (service = bh_model_next_service(compilation->model, &at));)
		services->by_name[services->n_by_name++] = service;
	if (services->n_by_name)
		qsort(services->by_name, services->n_by_name, sizeof(*services->by_name),
			compare_by_name);
}

void bh_compilation_claim_anew(struct bh_compilation *compilation, struct bh_services *ret_before)
{
	struct bh_services *services = &compilation->services;

	*ret_before =
		(struct bh_services){.n_claims = services->n_claims, .claims = services->claims};
	free(services->by_name);
	services->n_by_name = 0;
	gather_claims(compilation);
	sort_by_name(compilation);
}

void bh_services_claims(
	const struct bh_services *services, const struct bh_ip *ip, struct bh_holder *ret_holder)
{
	size_t low = 0, high = services->n_claims;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (bh_ip_compare(&services->claims[middle].ip, ip) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	ret_holder->claims = &services->claims[low];
	ret_holder->n_claims = 0;
	while (low < services->n_claims && !bh_ip_compare(&services->claims[low].ip, ip)) {
		ret_holder->n_claims++;
		low++;
	}
}

void bh_compilation_note_taken(struct bh_compilation *compilation, const struct bh_holder *keeper,
	const struct bh_claim *claims, size_t n)
{
	char text[BH_IP_TEXT_MAX];
	const char *name = bh_compilation_holder_object(compilation, keeper);

	for (size_t i = 0; i < n; i++)
		bh_compilation_address_problem(compilation, &claims[i].ip, "address-conflict",
			service_object(compilation, claims[i].service),
			bh_arena_printf(compilation->out,
				"its address %s is also %s's, which keeps it: what is sent to it "
				"is judged as sent to that",
				bh_ip_format(&claims[i].ip, text), name));
}

/*
 * A pod's address and one that a Node object names stay what they are. One that only an interface
 * of this node has may well be a service's: kube-proxy in IPVS mode puts them all on one.
 */
void bh_compilation_hold_services(struct bh_compilation *compilation)
{
	size_t n_claims = gather_claims(compilation), n = 0, i = 0;
	const struct bh_claim *claims = compilation->services.claims;
	struct bh_holder *all = bh_xcalloc(compilation->n_holders + n_claims, sizeof(*all));

	sort_by_name(compilation);

	for (size_t begin = 0, end; begin < n_claims; begin = end) {
		const struct bh_ip *ip = &claims[begin].ip;
		const struct bh_holder *holder = NULL;

		for (end = begin; end < n_claims && !bh_ip_compare(&claims[end].ip, ip);)
			end++;
		while (i < compilation->n_holders &&
			bh_ip_compare(&compilation->holders[i].ip, ip) < 0)
			all[n++] = compilation->holders[i++];
		if (i < compilation->n_holders && !bh_ip_compare(&compilation->holders[i].ip, ip))
			holder = &compilation->holders[i++];
		if (holder && (holder->pod || holder->labels)) {
			bh_compilation_note_taken(compilation, holder, &claims[begin], end - begin);
			all[n++] = *holder;
			continue;
		}
		all[n++] = (struct bh_holder){
			.ip = *ip, .n_claims = end - begin, .claims = &claims[begin]};
	}
	while (i < compilation->n_holders)
		all[n++] = compilation->holders[i++];
	free(compilation->holders);
	compilation->holders = all;
	compilation->n_holders = n;
}

/* ---- Ports ------------------------------------------------------------------------------------
 */

/* A port of an address in the making, and whose it is. */
struct front {
	const struct bh_service *service;
	const struct bh_service_port *port;
};

static int compare_fronts(const void *a, const void *b)
{
	const struct front *left = a, *right = b;

	if (left->port->protocol != right->port->protocol)
		return left->port->protocol < right->port->protocol ? -1 : 1;
	if (left->port->port != right->port->port)
		return left->port->port < right->port->port ? -1 : 1;
	return strcmp(left->service->uid, right->service->uid);
}

static bool same_front(const struct front *a, const struct front *b)
{
	return a->port->protocol == b->port->protocol && a->port->port == b->port->port;
}

/* The ports of all services that have the address, sorted. */
static size_t list_fronts(const struct bh_holder *holder, struct front **ret_fronts)
{
	size_t total = 0, n = 0;

	for (size_t i = 0; i < holder->n_claims; i++)
		total += holder->claims[i].service->n_ports;
	struct front *fronts = bh_xcalloc(total, sizeof(*fronts));

	for (size_t i = 0; i < holder->n_claims; i++) {
		const struct bh_service *service = holder->claims[i].service;

		for (size_t j = 0; j < service->n_ports; j++)
			fronts[n++] = (struct front){service, &service->ports[j]};
	}
	if (n)
		qsort(fronts, n, sizeof(*fronts), compare_fronts);
	*ret_fronts = fronts;
	return n;
}

static void note_contested(struct bh_compilation *compilation, const struct bh_holder *holder,
	const struct front *first, const struct front *second)
{
	char text[BH_IP_TEXT_MAX];

	bh_compilation_address_problem(compilation, &holder->ip, "address-conflict",
		service_object(compilation, second->service),
		bh_arena_printf(compilation->out,
			"its address %s with %s %u is also that of Service %s/%s: what is sent "
			"there is judged where the address is rewritten",
			bh_ip_format(&holder->ip, text), bh_protocol_name(first->port->protocol),
			first->port->port, first->service->namespace, first->service->name));
}

static void note_too_many(
	struct bh_compilation *compilation, const struct bh_holder *holder, size_t n)
{
	char text[BH_IP_TEXT_MAX];

	bh_compilation_address_problem(compilation, &holder->ip, "too-many-ports",
		service_object(compilation, holder->claims[0].service),
		bh_arena_printf(compilation->out,
			"%s has %zu ports, more than the %d that are told apart: what is sent to "
			"it is judged where the address is rewritten",
			bh_ip_format(&holder->ip, text), n, BH_SERVICE_PORTS_MAX));
}

/* ---- Targets ----------------------------------------------------------------------------------
 */

static int compare_targets(const void *a, const void *b)
{
	const struct bh_service_target *left = a, *right = b;

	if (left->class != right->class)
		return left->class < right->class ? -1 : 1;
	if (left->protocol != right->protocol)
		return left->protocol < right->protocol ? -1 : 1;
	return (left->port > right->port) - (left->port < right->port);
}

/* Sorts and drops repetitions. Returns how many are left. */
static size_t distinct_targets(struct bh_service_target *targets, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(targets, n, sizeof(*targets), compare_targets);
	for (size_t i = 0; i < n; i++) {
		if (!kept || compare_targets(&targets[kept - 1], &targets[i]))
			targets[kept++] = targets[i];
	}
	return kept;
}

/* What the compilation under way, or the one that stands, says of the address. */
static const struct bh_desired_address *address_at(
	const struct bh_compilation *compilation, const struct bh_ip *ip)
{
	const struct bh_desired_address key = {.ip = *ip};
	const struct bh_holder *holder;

	if (!compilation->holders)
		return bh_run_find(
			&bh_desired_addresses, &compilation->result->public.addresses, &key);
	holder = bh_compilation_find_holder(compilation, ip);
	return holder ? &compilation->addresses[holder - compilation->holders] : NULL;
}

static bool is_service(const struct bh_compilation *compilation, const struct bh_ip *ip)
{
	const struct bh_holder *holder;

	if (!compilation->holders)
		return false;
	holder = bh_compilation_find_holder(compilation, ip);
	return holder && holder->n_claims;
}

static uint32_t class_at(struct bh_compilation *compilation, const struct bh_ip *ip)
{
	const struct bh_desired_address *address = address_at(compilation, ip);

	/* A service behind a service is nobody's: nothing is rewritten twice. */
	if (address && !address->service && !is_service(compilation, ip))
		return address->class;
	const struct bh_class *class = bh_class_of_node(&compilation->classes, ip, NULL);

	return class ? class->number : BH_CLASS_NONE;
}

/* `backends` is NULL where a few services are looked at, and not all. */
static void list_targets(struct bh_compilation *compilation, struct bh_backends *backends,
	const struct front *front, uint8_t family, struct bh_service_class_port *port)
{
	struct bh_backends *own =
		backends ? NULL : bh_backends_new_of(compilation->model, front->service);
	const struct bh_backend *list;
	size_t n = bh_backends_of(
		backends ? backends : own, front->service, front->port, family, &list);
	struct bh_service_target *targets = bh_xcalloc(n, sizeof(*targets));

	for (size_t i = 0; i < n; i++)
		targets[i] = (struct bh_service_target){
			class_at(compilation, &list[i].ip), port->protocol, list[i].port};
	port->n_targets = distinct_targets(targets, n);
	port->targets =
		bh_arena_copy(&compilation->scratch, targets, port->n_targets, sizeof(*targets));
	free(targets);
	bh_backends_free(own);
}

/* ---- Classes ----------------------------------------------------------------------------------
 */

/* What the number is the name of. */
static uint32_t number_of(struct bh_compilation *compilation, const struct bh_service_class *class)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = bh_xcheck(open_memstream(&text, &size));

	fprintf(out, "service %u%s\n", class->base, class->too_many ? " any" : "");
	for (size_t i = 0; i < class->n_ports; i++) {
		const struct bh_service_class_port *port = &class->ports[i];

		fprintf(out, "%u/%u", port->protocol, port->port);
		for (size_t j = 0; j < port->n_targets; j++)
			fprintf(out, " %u:%u", port->targets[j].class, port->targets[j].port);
		fputc('\n', out);
	}
	if (fclose(out))
		abort();
	uint32_t number = bh_registry_number(&compilation->compiler->classes, text, size);

	free(text);
	return number;
}

/* The one class of this content. */
static struct bh_service_class *intern(
	struct bh_compilation *compilation, const struct bh_service_class *class)
{
	struct bh_services *services = &compilation->services;
	uint32_t number = number_of(compilation, class);
	struct bh_service_class *known =
		bh_table_get(&services->by_number, &number, sizeof(number));

	if (known)
		return known;
	known = bh_arena_copy(&compilation->scratch, class, 1, sizeof(*class));
	known->number = number;
	bh_table_put(&services->by_number, &known->number, sizeof(number), known);
	return known;
}

static void list_ports(struct bh_compilation *compilation, struct bh_backends *backends,
	const struct bh_holder *holder, struct bh_service_class *class)
{
	struct front *fronts;
	size_t n = list_fronts(holder, &fronts);
	struct bh_service_class_port *ports =
		bh_arena_array(&compilation->scratch, n, struct bh_service_class_port);

	for (size_t begin = 0, end; begin < n; begin = end) {
		struct bh_service_class_port *port = &ports[class->n_ports++];

		for (end = begin + 1; end < n && same_front(&fronts[begin], &fronts[end]); end++)
			note_contested(compilation, holder, &fronts[begin], &fronts[end]);
		port->protocol = fronts[begin].port->protocol;
		port->port = fronts[begin].port->port;
		if (end == begin + 1)
			list_targets(
				compilation, backends, &fronts[begin], holder->ip.family, port);
	}
	class->ports = ports;
	free(fronts);
}

/* What the address is while policy looks at it: its class, and the name people know it by. */
struct bh_desired_address bh_compilation_place_service(struct bh_compilation *compilation,
	struct bh_backends *backends, const struct bh_holder *holder,
	struct bh_service_class **ret_class)
{
	const struct bh_service *first = holder->claims[0].service;
	const struct bh_class *base = bh_class_of_node(&compilation->classes, &holder->ip, NULL);
	struct bh_service_class class = {.base = base ? base->number : BH_CLASS_NONE};
	size_t n_ports = 0;

	for (size_t i = 0; i < holder->n_claims; i++)
		n_ports += holder->claims[i].service->n_ports;
	class.too_many = n_ports > BH_SERVICE_PORTS_MAX;
	if (class.too_many)
		note_too_many(compilation, holder, n_ports);
	else
		list_ports(compilation, backends, holder, &class);
	*ret_class = intern(compilation, &class);
	return (struct bh_desired_address){.ip = holder->ip,
		.class = (*ret_class)->number,
		.workload = bh_compilation_workload(
			compilation, first->namespace, "Service", first->name),
		.service = true};
}

bool bh_service_is_outside(const struct bh_holder *holder)
{
	for (size_t i = 0; i < holder->n_claims; i++) {
		if (holder->claims[i].outside)
			return true;
	}
	return false;
}

/* Those in use. */
static void list_classes(struct bh_services *services)
{
	struct bh_service_class *class;

	services->n = 0;
	for (size_t at = 0; (class = bh_table_next(&services->by_number, &at));) {
		if (!class->references)
			continue;
		class->outside = class->n_outside > 0;
		bh_xgrow(services->classes, services->n, services->capacity);
		services->classes[services->n++] = class;
	}
}

/* All targets in one sorted list, and where those of each port stand in it. */
void bh_services_index_some(struct bh_services *services, struct bh_arena *arena)
{
	size_t total = 0, n = 0;

	for (size_t i = 0; i < services->n; i++) {
		for (size_t j = 0; j < services->classes[i]->n_ports; j++)
			total += services->classes[i]->ports[j].n_targets;
	}
	services->targets = bh_arena_array(arena, total, struct bh_service_target);
	for (size_t i = 0; i < services->n; i++) {
		for (size_t j = 0; j < services->classes[i]->n_ports; j++) {
			const struct bh_service_class_port *port = &services->classes[i]->ports[j];

			for (size_t k = 0; k < port->n_targets; k++)
				services->targets[n++] = port->targets[k];
		}
	}
	services->n_targets = distinct_targets(services->targets, n);
	for (size_t i = 0; i < services->n; i++) {
		struct bh_service_class_port *ports =
			(struct bh_service_class_port *)services->classes[i]->ports;

		for (size_t j = 0; j < services->classes[i]->n_ports; j++) {
			uint32_t *places = bh_arena_array(arena, ports[j].n_targets, uint32_t);

			for (size_t k = 0; k < ports[j].n_targets; k++) {
				const struct bh_service_target *found = bsearch(
					&ports[j].targets[k], services->targets,
					services->n_targets, sizeof(*found), compare_targets);

				places[k] = (uint32_t)(found - services->targets);
			}
			ports[j].places = places;
		}
	}
}

void bh_services_index(struct bh_services *services, struct bh_arena *arena)
{
	list_classes(services);
	bh_services_index_some(services, arena);
	services->indexed = true;
}

/* A slice that nothing refers to is most likely a mistake of whoever wrote it by hand. */
static void check_slices(struct bh_compilation *compilation)
{
	const struct bh_slice *slice;

	for (size_t at = 0; (slice = bh_model_next_slice(compilation->model, &at));) {
		if (slice->service)
			continue;
		bh_compilation_problem(compilation, BH_ABOUT_REST, "slice-without-service",
			bh_arena_printf(compilation->out, "EndpointSlice %s/%s", slice->namespace,
				slice->name),
			"it has no label kubernetes.io/service-name, so it is no service's; it is "
			"left out");
	}
}

void bh_compilation_place_services(struct bh_compilation *compilation)
{
	struct bh_backends *backends = bh_backends_new(compilation->model);

	check_slices(compilation);
	for (size_t i = 0; i < compilation->n_holders; i++) {
		const struct bh_holder *holder = &compilation->holders[i];
		struct bh_service_class *class;

		if (!holder->n_claims)
			continue;
		compilation->addresses[i] =
			bh_compilation_place_service(compilation, backends, holder, &class);
		class->references++;
		class->n_outside += bh_service_is_outside(holder);
	}
	bh_backends_free(backends);
}

void bh_services_clear(struct bh_services *services)
{
	free(services->claims);
	free(services->by_name);
	free(services->classes);
	bh_table_clear(&services->by_number);
}
