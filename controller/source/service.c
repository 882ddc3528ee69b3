/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/service.h"

#include "controller/model/memory.h"

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"

/* ---- Services ---------------------------------------------------------------------------------
 */

/* A number, or the name of a port of each backend; by default the service's own number. */
static bool decode_target(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *json, struct bh_service_port *port)
{
	const struct bh_path *at = BH_FIELD(path, "targetPort");
	const json_t *target = bh_read_field(json, "targetPort");

	port->target = port->port;
	if (!target || (json_is_integer(target) && !json_integer_value(target)))
		return true; /* 0 is how some clients write that it is not there */
	if (json_is_integer(target))
		return bh_decode_port(decoder, at, target, &port->target);
	if (!json_is_string(target) || !*json_string_value(target))
		return bh_fault_note(decoder->fault, at,
			"must be a number between 1 and 65535 or a port's name");
	port->target = 0;
	port->target_name = bh_arena_strdup(decoder->arena, json_string_value(target));
	return true;
}

static bool decode_service_port(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *json, struct bh_service_port *port)
{
	if (!json_is_object(json))
		return bh_fault_note(
			decoder->fault, path, "must be an object, not %s", bh_json_kind(json));
	return bh_decode_text(decoder, path, json, "name", &port->name) &&
	       bh_decode_protocol(decoder, path, json, &port->protocol) &&
	       bh_decode_port(
		       decoder, BH_FIELD(path, "port"), bh_read_field(json, "port"), &port->port) &&
	       decode_target(decoder, path, json, port);
}

static bool decode_service_ports(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *spec, struct bh_service *service)
{
	const struct bh_path *list_path = BH_FIELD(path, "ports");
	const json_t *list;
	size_t n;

	if (!bh_decode_list(decoder, path, spec, "ports", &list, &n))
		return false;
	struct bh_service_port *ports = bh_arena_array(decoder->arena, n, struct bh_service_port);

	for (size_t i = 0; i < n; i++) {
		if (!decode_service_port(
			    decoder, BH_ELEMENT(list_path, i), json_array_get(list, i), &ports[i]))
			return false;
	}
	service->n_ports = n;
	service->ports = ports;
	return true;
}

/*
 * Reads the addresses of clusterIPs, or of clusterIP where an older server or a hand writes only
 * that. *ret_own is false where kube-proxy has nothing to do: no address yet, or "None".
 */
static bool decode_cluster_ips(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *spec, const json_t *list, size_t n, struct bh_ips *ips, bool *ret_own)
{
	const json_t *first = bh_read_field(spec, "clusterIP");
	bool headless = first && json_is_string(first) && !strcmp(json_string_value(first), "None");

	if (first && !headless && !bh_decode_ip(decoder, BH_FIELD(path, "clusterIP"), first, ips))
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(list, i);

		if (json_is_string(value) && !strcmp(json_string_value(value), "None"))
			headless = true;
		else if (!bh_decode_ip(
				 decoder, BH_ELEMENT(BH_FIELD(path, "clusterIPs"), i), value, ips))
			return false;
	}
	*ret_own = ips->n && !headless;
	return true;
}

/* Of status.loadBalancer.ingress those that reach the node as they are (ipMode VIP). */
static bool decode_ingress(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *entry, struct bh_ips *ips)
{
	const json_t *ip = bh_read_field(entry, "ip");
	const char *mode;

	if (!json_is_object(entry))
		return bh_fault_note(
			decoder->fault, path, "must be an object, not %s", bh_json_kind(entry));
	if (!bh_decode_text(decoder, path, entry, "ipMode", &mode))
		return false;
	if (!ip || (mode && strcmp(mode, "VIP")))
		return true;
	return bh_decode_ip(decoder, BH_FIELD(path, "ip"), ip, ips);
}

static bool decode_service_addresses(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *json, const json_t *spec, struct bh_service *service)
{
	const struct bh_path *spec_path = BH_FIELD(path, "spec");
	const struct bh_path *status_path = BH_FIELD(path, "status");
	const struct bh_path *balancer_path = BH_FIELD(status_path, "loadBalancer");
	const json_t *cluster, *external, *status, *balancer, *ingress;
	size_t n_cluster, n_external, n_ingress;
	struct bh_ips ips = {0};
	bool own;

	if (!bh_decode_list(decoder, spec_path, spec, "clusterIPs", &cluster, &n_cluster) ||
		!bh_decode_list(decoder, spec_path, spec, "externalIPs", &external, &n_external) ||
		!bh_decode_member(decoder, path, json, "status", &status) ||
		!bh_decode_member(decoder, status_path, status, "loadBalancer", &balancer) ||
		!bh_decode_list(decoder, balancer_path, balancer, "ingress", &ingress, &n_ingress))
		return false;
	ips.items = bh_arena_array(
		decoder->arena, 1 + n_cluster + n_external + n_ingress, struct bh_ip);
	if (!decode_cluster_ips(decoder, spec_path, spec, cluster, n_cluster, &ips, &own))
		return false;
	service->n_cluster_ips = ips.n;
	for (size_t i = 0; i < n_external; i++) {
		if (!bh_decode_ip(decoder, BH_ELEMENT(BH_FIELD(spec_path, "externalIPs"), i),
			    json_array_get(external, i), &ips))
			return false;
	}
	for (size_t i = 0; i < n_ingress; i++) {
		if (!decode_ingress(decoder, BH_ELEMENT(BH_FIELD(balancer_path, "ingress"), i),
			    json_array_get(ingress, i), &ips))
			return false;
	}
	service->n_ips = ips.n;
	service->ips = ips.items;
	if (!own)
		service->n_ips = service->n_cluster_ips = 0;
	return true;
}

bool bh_decode_service(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct bh_metadata *metadata, struct bh_object *object)
{
	struct bh_service *service = &object->service;
	const struct bh_path *spec_path = BH_FIELD(path, "spec");
	const json_t *spec;
	const char *type;

	*service = (struct bh_service){
		.uid = object->uid, .namespace = metadata->namespace, .name = metadata->name};
	if (!bh_decode_member(decoder, path, json, "spec", &spec) ||
		!bh_decode_text(decoder, spec_path, spec, "type", &type) ||
		!bh_decode_labels(decoder, spec_path, spec, "selector", &service->selector) ||
		!decode_service_ports(decoder, spec_path, spec, service) ||
		!decode_service_addresses(decoder, path, json, spec, service))
		return false;
	/* A name in DNS for another name. */
	if (type && !strcmp(type, "ExternalName"))
		service->n_ips = service->n_cluster_ips = 0;
	/* Nothing refers to a service without an address. */
	if (!service->n_ips)
		service->n_ports = 0;
	return true;
}

/* ---- Slices -----------------------------------------------------------------------------------
 */

static bool decode_slice_port(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *json, struct bh_slice_port *port, bool *ret_numbered)
{
	if (!json_is_object(json))
		return bh_fault_note(
			decoder->fault, path, "must be an object, not %s", bh_json_kind(json));
	const json_t *number = bh_read_field(json, "port");

	/* Without a number it stands for all ports, which kube-proxy does not do. */
	*ret_numbered = number != NULL;
	return bh_decode_text(decoder, path, json, "name", &port->name) &&
	       bh_decode_protocol(decoder, path, json, &port->protocol) &&
	       (!number || bh_decode_port(decoder, BH_FIELD(path, "port"), number, &port->port));
}

static bool decode_slice_ports(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *json, struct bh_slice *slice)
{
	const struct bh_path *list_path = BH_FIELD(path, "ports");
	const json_t *list;
	size_t n;

	if (!bh_decode_list(decoder, path, json, "ports", &list, &n))
		return false;
	struct bh_slice_port *ports = bh_arena_array(decoder->arena, n, struct bh_slice_port);

	for (size_t i = 0; i < n; i++) {
		bool numbered = false;

		if (!decode_slice_port(decoder, BH_ELEMENT(list_path, i), json_array_get(list, i),
			    &ports[slice->n_ports], &numbered))
			return false;
		slice->n_ports += numbered;
	}
	slice->ports = ports;
	return true;
}

struct members {
	size_t n;
	size_t capacity;
	struct bh_ip *items;
};

static bool decode_endpoint(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *endpoint, uint8_t family, struct members *members)
{
	const struct bh_path *list_path = BH_FIELD(path, "addresses");
	const json_t *list;
	size_t n;

	if (!json_is_object(endpoint))
		return bh_fault_note(
			decoder->fault, path, "must be an object, not %s", bh_json_kind(endpoint));
	if (!bh_decode_list(decoder, path, endpoint, "addresses", &list, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct bh_path *at = BH_ELEMENT(list_path, i);
		struct bh_ip ip;
		struct bh_ips one = {.items = &ip};
		char text[BH_IP_TEXT_MAX];

		if (!bh_decode_ip(decoder, at, json_array_get(list, i), &one))
			return false;
		if (!one.n)
			return bh_fault_note(decoder->fault, at, "must not be empty");
		if (ip.family != family)
			return bh_fault_note(decoder->fault, at,
				"%s is not an IPv%u address, as addressType says",
				bh_ip_format(&ip, text), family);
		bh_xgrow(members->items, members->n, members->capacity);
		members->items[members->n++] = ip;
	}
	return true;
}

/* Sorted, each once: two lists of the same endpoints in another order are the same slice. */
static int compare_ips(const void *a, const void *b)
{
	return bh_ip_compare(a, b);
}

static void keep_members(
	struct bh_decoder *decoder, const struct members *members, struct bh_slice *slice)
{
	struct bh_ip *ips = bh_arena_copy(decoder->arena, members->items, members->n, sizeof(*ips));

	if (members->n)
		qsort(ips, members->n, sizeof(*ips), compare_ips);
	for (size_t i = 0; i < members->n; i++) {
		if (!slice->n_ips || bh_ip_compare(&ips[slice->n_ips - 1], &ips[i]))
			ips[slice->n_ips++] = ips[i];
	}
	slice->ips = ips;
}

static bool decode_endpoints(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *json, uint8_t family, struct bh_slice *slice)
{
	const struct bh_path *list_path = BH_FIELD(path, "endpoints");
	struct members members = {0};
	const json_t *list;
	bool well = true;
	size_t n;

	if (!bh_decode_list(decoder, path, json, "endpoints", &list, &n))
		return false;
	for (size_t i = 0; i < n && well; i++)
		well = decode_endpoint(decoder, BH_ELEMENT(list_path, i), json_array_get(list, i),
			family, &members);
	if (well)
		keep_members(decoder, &members, slice);
	free(members.items);
	return well;
}

bool bh_decode_slice(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct bh_metadata *metadata, struct bh_object *object)
{
	struct bh_slice *slice = &object->slice;
	const struct bh_path *labels_path = BH_FIELD(metadata->path, "labels");
	const json_t *labels;
	const char *type;

	*slice = (struct bh_slice){
		.uid = object->uid, .namespace = metadata->namespace, .name = metadata->name};
	if (!bh_decode_member(decoder, metadata->path, metadata->json, "labels", &labels) ||
		!bh_decode_text(
			decoder, labels_path, labels, SERVICE_NAME_LABEL, &slice->service) ||
		!bh_decode_text(decoder, path, json, "addressType", &type) ||
		!decode_slice_ports(decoder, path, json, slice))
		return false;
	if (type && !strcmp(type, "FQDN"))
		return true; /* nothing is rewritten to a name */
	if (!type || (strcmp(type, "IPv4") && strcmp(type, "IPv6")))
		return bh_fault_note(decoder->fault, BH_FIELD(path, "addressType"),
			"must be one of IPv4, IPv6, FQDN");
	return decode_endpoints(decoder, path, json, type[3] == '4' ? 4 : 6, slice);
}
