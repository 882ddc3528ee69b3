/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/object.h"

#include <ctype.h>
#include <time.h>

#include "controller/model/memory.h"
#include "controller/source/service.h"
#include "controller/source/source.h"

#define UID_MAX_LENGTH 128

static const struct {
	const char *kind;
	const char *version;
	bool namespaced;
} kinds[] = {
	[BH_OBJECT_POD] = {"Pod", "v1", true},
	[BH_OBJECT_NAMESPACE] = {"Namespace", "v1", false},
	[BH_OBJECT_NODE] = {"Node", "v1", false},
	[BH_OBJECT_POLICY] = {"NetworkPolicy", "networking.k8s.io/v1", true},
	[BH_OBJECT_CLUSTER_POLICY] = {"ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2",
		false},
	[BH_OBJECT_SERVICE] = {"Service", "v1", true},
	[BH_OBJECT_SLICE] = {"EndpointSlice", "discovery.k8s.io/v1", true},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- Metadata ---------------------------------------------------------------------------------
 */

/* RFC 3339 in UTC, as Kubernetes writes it. Another form counts as not said. */
static int64_t parse_time(const char *text)
{
	struct tm tm = {0};
	const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return end && (*end == 'Z' || *end == '.') ? (int64_t)timegm(&tm) : 0;
}

/* Lower-case letters, digits, '-' and, where dots are allowed, '.': what names of objects are made
 * of. */
static bool is_name(const char *text, size_t max, bool dots)
{
	size_t length = strlen(text);

	if (!length || length > max || !isalnum((unsigned char)text[0]) ||
		!isalnum((unsigned char)text[length - 1]))
		return false;
	for (const char *at = text; *at; at++) {
		bool plain = islower((unsigned char)*at) || isdigit((unsigned char)*at);

		if (!plain && *at != '-' && !(dots && *at == '.'))
			return false;
	}
	return true;
}

static bool is_uid(const char *text)
{
	size_t length = strlen(text);

	for (const char *at = text; *at; at++) {
		if (!isgraph((unsigned char)*at))
			return false;
	}
	return length && length <= UID_MAX_LENGTH;
}

/* Stable, and in the form of the real ones; 122 bits of two FNV-1a hashes. */
static const char *derive_uid(struct bh_decoder *decoder, const char *name)
{
	uint64_t hash[2] = {0xcbf29ce484222325, 0x84222325cbf29ce4};

	for (const char *at = name; *at; at++) {
		hash[0] = (hash[0] ^ (uint8_t)*at) * 0x100000001b3;
		hash[1] = (hash[1] ^ (uint8_t)*at ^ 0x5a) * 0x100000001b3;
	}
	return bh_arena_printf(decoder->arena, "%08x-%04x-8%03x-%04x-%012llx",
		(unsigned int)(hash[0] >> 32), (unsigned int)(hash[0] >> 16 & 0xffff),
		(unsigned int)(hash[0] & 0xfff), (unsigned int)(0x8000 | (hash[1] >> 48 & 0x3fff)),
		(unsigned long long)(hash[1] & 0xffffffffffff));
}

static bool read_metadata(
	struct bh_decoder *decoder, struct bh_metadata *metadata, struct bh_object *object)
{
	const struct bh_path *path = metadata->path;
	char quoted[BH_QUOTE_MAX];
	bool is_namespace = object->kind == BH_OBJECT_NAMESPACE;

	if (!bh_decode_text(decoder, path, metadata->json, "name", &metadata->name) ||
		!bh_decode_text(decoder, path, metadata->json, "namespace", &metadata->namespace) ||
		!bh_decode_text(decoder, path, metadata->json, "uid", &object->uid))
		return false;
	if (!metadata->name)
		return bh_fault_note(decoder->fault, path, "name is missing");
	if (!is_name(metadata->name, is_namespace ? 63 : 253, !is_namespace))
		return bh_fault_note(decoder->fault, BH_FIELD(path, "name"),
			"%s is not a valid name", bh_quote(metadata->name, quoted));
	if (!metadata->namespace)
		metadata->namespace = "default";
	if (!is_name(metadata->namespace, 63, false))
		return bh_fault_note(decoder->fault, BH_FIELD(path, "namespace"),
			"%s is not a valid name", bh_quote(metadata->namespace, quoted));
	object->name =
		kinds[object->kind].namespaced
			? bh_arena_printf(decoder->arena, "%s %s/%s", kinds[object->kind].kind,
				  metadata->namespace, metadata->name)
			: bh_arena_printf(decoder->arena, "%s %s", kinds[object->kind].kind,
				  metadata->name);
	if (!object->uid)
		object->uid = derive_uid(decoder, object->name);
	if (!is_uid(object->uid))
		return bh_fault_note(decoder->fault, BH_FIELD(path, "uid"), "%s is not a valid uid",
			bh_quote(object->uid, quoted));
	return true;
}

/* ---- Pods -------------------------------------------------------------------------------------
 */

static bool decode_addresses(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *status, struct bh_pod *pod)
{
	const json_t *first = bh_read_field(status, "podIP"), *list;
	const struct bh_path *list_path = BH_FIELD(path, "podIPs");
	struct bh_ips ips = {0};
	size_t n;

	if (!bh_decode_list(decoder, path, status, "podIPs", &list, &n))
		return false;
	ips.items = bh_arena_array(decoder->arena, n + 1, struct bh_ip);
	if (first && !bh_decode_ip(decoder, BH_FIELD(path, "podIP"), first, &ips))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct bh_path *at = BH_ELEMENT(list_path, i);
		const json_t *entry = json_array_get(list, i);
		const json_t *ip = bh_read_field(entry, "ip");

		if (!json_is_object(entry))
			return bh_fault_note(decoder->fault, at, "must be an object, not %s",
				bh_json_kind(entry));
		if (ip && !bh_decode_ip(decoder, BH_FIELD(at, "ip"), ip, &ips))
			return false;
	}
	pod->n_ips = ips.n;
	pod->ips = ips.items;
	return true;
}

/* Only named ports are of use. */
static bool decode_port(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	struct bh_pod_port *port, bool *ret_named)
{
	if (!json_is_object(json))
		return bh_fault_note(
			decoder->fault, path, "must be an object, not %s", bh_json_kind(json));
	if (!bh_decode_text(decoder, path, json, "name", &port->name))
		return false;
	*ret_named = port->name != NULL;
	return !port->name || (bh_decode_port(decoder, BH_FIELD(path, "containerPort"),
				       bh_read_field(json, "containerPort"), &port->port) &&
				      bh_decode_protocol(decoder, path, json, &port->protocol));
}

static bool decode_ports(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *container, struct bh_pod *pod, struct bh_pod_port *ports)
{
	const json_t *list;
	size_t n;

	if (!json_is_object(container))
		return bh_fault_note(
			decoder->fault, path, "must be an object, not %s", bh_json_kind(container));
	if (!bh_decode_list(decoder, path, container, "ports", &list, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		bool named = false;

		if (!decode_port(decoder, BH_ELEMENT(BH_FIELD(path, "ports"), i),
			    json_array_get(list, i), &ports[pod->n_ports], &named))
			return false;
		pod->n_ports += named;
	}
	return true;
}

/* An init container that is restarted is a sidecar: it runs beside the others. */
static bool decode_containers(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *spec, struct bh_pod *pod)
{
	static const char *const fields[] = {"containers", "initContainers"};
	size_t total = 0;

	for (size_t kind = 0; kind < 2; kind++) {
		json_t *container;
		size_t i;

		json_array_foreach(bh_read_field(spec, fields[kind]), i, container) total +=
			json_array_size(json_object_get(container, "ports"));
	}
	struct bh_pod_port *ports = bh_arena_array(decoder->arena, total, struct bh_pod_port);

	for (size_t kind = 0; kind < 2; kind++) {
		const json_t *list;
		size_t n;

		if (!bh_decode_list(decoder, path, spec, fields[kind], &list, &n))
			return false;
		for (size_t i = 0; i < n; i++) {
			const json_t *container = json_array_get(list, i);
			const struct bh_path *at = BH_ELEMENT(BH_FIELD(path, fields[kind]), i);
			const char *policy =
				json_string_value(json_object_get(container, "restartPolicy"));

			if (kind == 1 && (!policy || strcmp(policy, "Always")))
				continue;
			if (!decode_ports(decoder, at, container, pod, ports))
				return false;
		}
	}
	pod->ports = ports;
	return true;
}

/* The owner that controls it, else the first. */
static bool decode_owner(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *metadata, struct bh_pod *pod)
{
	const struct bh_path *list_path = BH_FIELD(path, "ownerReferences");
	const json_t *list;
	size_t n, chosen = 0;

	if (!bh_decode_list(decoder, path, metadata, "ownerReferences", &list, &n) || !n)
		return !decoder->fault->set;
	for (size_t i = n; i-- > 0;) {
		if (json_is_true(json_object_get(json_array_get(list, i), "controller")))
			chosen = i;
	}
	const json_t *owner = json_array_get(list, chosen);
	const struct bh_path *at = BH_ELEMENT(list_path, chosen);

	return bh_decode_text(decoder, at, owner, "kind", &pod->owner_kind) &&
	       bh_decode_text(decoder, at, owner, "name", &pod->owner_name);
}

static bool decode_pod(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct bh_metadata *metadata, struct bh_object *object)
{
	struct bh_pod *pod = &object->pod;
	const struct bh_path *spec_path = BH_FIELD(path, "spec");
	const struct bh_path *status_path = BH_FIELD(path, "status");
	const json_t *spec, *status;
	const char *phase, *created;

	*pod = (struct bh_pod){
		.uid = object->uid, .namespace = metadata->namespace, .name = metadata->name};
	if (!bh_decode_member(decoder, path, json, "spec", &spec) ||
		!bh_decode_member(decoder, path, json, "status", &status) ||
		!bh_decode_labels(
			decoder, metadata->path, metadata->json, "labels", &pod->labels) ||
		!bh_decode_annotation(
			decoder, metadata->path, metadata->json, "bulkhead.io/mode", &pod->mode) ||
		!bh_decode_annotation(
			decoder, metadata->path, metadata->json, "bulkhead.io/hook", &pod->hook) ||
		!bh_decode_text(
			decoder, metadata->path, metadata->json, "creationTimestamp", &created) ||
		!decode_owner(decoder, metadata->path, metadata->json, pod) ||
		!bh_decode_text(decoder, spec_path, spec, "nodeName", &pod->node_name) ||
		!bh_decode_boolean(decoder, spec_path, spec, "hostNetwork", &pod->host_network) ||
		!decode_containers(decoder, spec_path, spec, pod) ||
		!bh_decode_text(decoder, status_path, status, "phase", &phase) ||
		!decode_addresses(decoder, status_path, status, pod))
		return false;
	pod->created = parse_time(created);
	pod->finished = phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"));
	return true;
}

/* ---- The other kinds --------------------------------------------------------------------------
 */

static bool decode_namespace(
	struct bh_decoder *decoder, const struct bh_metadata *metadata, struct bh_object *object)
{
	struct bh_namespace *namespace = &object->namespace;

	*namespace = (struct bh_namespace){.uid = object->uid, .name = metadata->name};
	return bh_decode_labels(
		       decoder, metadata->path, metadata->json, "labels", &namespace->labels) &&
	       bh_decode_annotation(decoder, metadata->path, metadata->json, "bulkhead.io/mode",
		       &namespace->mode);
}

/* InternalIP and ExternalIP; host names are not addresses, and a podCIDR is not the node's own. */
static bool decode_node(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct bh_metadata *metadata, struct bh_object *object)
{
	struct bh_node *node = &object->node;
	const struct bh_path *status_path = BH_FIELD(path, "status");
	const json_t *status, *list;
	struct bh_ips ips = {0};
	size_t n;

	*node = (struct bh_node){.uid = object->uid, .name = metadata->name};
	if (!bh_decode_labels(decoder, metadata->path, metadata->json, "labels", &node->labels) ||
		!bh_decode_member(decoder, path, json, "status", &status) ||
		!bh_decode_list(decoder, status_path, status, "addresses", &list, &n))
		return false;
	ips.items = bh_arena_array(decoder->arena, n, struct bh_ip);
	for (size_t i = 0; i < n; i++) {
		const struct bh_path *at = BH_ELEMENT(BH_FIELD(status_path, "addresses"), i);
		const json_t *entry = json_array_get(list, i);
		const json_t *address = bh_read_field(entry, "address");
		const char *type;

		if (!json_is_object(entry))
			return bh_fault_note(decoder->fault, at, "must be an object, not %s",
				bh_json_kind(entry));
		if (!bh_decode_text(decoder, at, entry, "type", &type))
			return false;
		if (!type || !address || (strcmp(type, "InternalIP") && strcmp(type, "ExternalIP")))
			continue;
		if (!bh_decode_ip(decoder, BH_FIELD(at, "address"), address, &ips))
			return false;
	}
	node->n_ips = ips.n;
	node->ips = ips.items;
	return true;
}

static bool decode_policy(struct bh_decoder *decoder, const json_t *json,
	const struct bh_metadata *metadata, struct bh_object *object)
{
	struct bh_network_policy *policy = &object->policy;

	*policy = (struct bh_network_policy){.uid = object->uid,
		.namespace = object->kind == BH_OBJECT_POLICY ? metadata->namespace : "",
		.name = metadata->name};
	if (!bh_decode_annotation(
		    decoder, metadata->path, metadata->json, "bulkhead.io/mode", &policy->mode))
		return false;
	policy->spec = json_incref(bh_read_field(json, "spec"));
	return true;
}

/* ---- Documents --------------------------------------------------------------------------------
 */

/* Somebody's policy that does not count here must not be thought to: `known` is what would. */
static void note_foreign(struct bh_decoder *decoder, const struct bh_metadata *metadata,
	const char *code, const char *kind, const char *version, const char *known)
{
	struct bh_object_list *list = decoder->list;
	const json_t *name = bh_read_field(metadata->json, "name");
	const json_t *namespace = bh_read_field(metadata->json, "namespace");
	char quoted[2][BH_QUOTE_MAX];

	bh_xgrow(list->foreign, list->n_foreign, list->foreign_capacity);
	list->foreign[list->n_foreign].code = code;
	list->foreign[list->n_foreign++].text = bh_arena_printf(decoder->arena,
		"%s %s%s%s has apiVersion %s; only %s is understood, so it has no effect", kind,
		json_is_string(namespace) ? json_string_value(namespace) : "",
		json_is_string(namespace) ? "/" : "",
		json_is_string(name) ? bh_quote(json_string_value(name), quoted[0]) : "?",
		bh_quote(version, quoted[1]), known);
}

static bool decode_object(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *json, enum bh_object_kind kind, const char *version)
{
	struct bh_object object = {.kind = kind};
	struct bh_metadata metadata = {.path = BH_FIELD(path, "metadata")};
	bool done = false;

	if (!bh_decode_member(decoder, path, json, "metadata", &metadata.json))
		return false;
	if (strcmp(version, kinds[kind].version)) {
		note_foreign(decoder, &metadata, "unknown-version", kinds[kind].kind, version,
			kinds[kind].version);
		return true;
	}
	if (!read_metadata(decoder, &metadata, &object))
		return false;
	switch (kind) {
	case BH_OBJECT_POD:
		done = decode_pod(decoder, path, json, &metadata, &object);
		break;
	case BH_OBJECT_NAMESPACE:
		done = decode_namespace(decoder, &metadata, &object);
		break;
	case BH_OBJECT_NODE:
		done = decode_node(decoder, path, json, &metadata, &object);
		break;
	case BH_OBJECT_POLICY:
	case BH_OBJECT_CLUSTER_POLICY:
		done = decode_policy(decoder, json, &metadata, &object);
		break;
	case BH_OBJECT_SERVICE:
		done = bh_decode_service(decoder, path, json, &metadata, &object);
		break;
	case BH_OBJECT_SLICE:
		done = bh_decode_slice(decoder, path, json, &metadata, &object);
		break;
	}
	if (!done)
		return false;
	bh_xgrow(decoder->list->items, decoder->list->n, decoder->list->capacity);
	decoder->list->items[decoder->list->n++] = object;
	return true;
}

/* What the items of a list are, when they don't say it themselves. */
struct default_kind {
	const char *kind;
	const char *version;
};

static bool decode_any(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct default_kind *fallback, unsigned int depth);

static bool decode_list(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const char *kind, const char *version, unsigned int depth)
{
	char item_kind[64];
	struct default_kind fallback = {NULL, version};
	const json_t *items;
	size_t n;

	/* A PodList's items need not say that they are Pods; a List's must. */
	if (strcmp(kind, "List")) {
		snprintf(item_kind, sizeof(item_kind), "%.*s", (int)(strlen(kind) - strlen("List")),
			kind);
		fallback.kind = item_kind;
	}
	if (!bh_decode_list(decoder, path, json, "items", &items, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!decode_any(decoder, BH_ELEMENT(BH_FIELD(path, "items"), i),
			    json_array_get(items, i), &fallback, depth + 1))
			return false;
	}
	return true;
}

static bool decode_any(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct default_kind *fallback, unsigned int depth)
{
	const char *kind, *version;

	if (!json_is_object(json))
		return bh_fault_note(decoder->fault, path, "a manifest must be an object, not %s",
			bh_json_kind(json));
	if (!bh_decode_text(decoder, path, json, "kind", &kind) ||
		!bh_decode_text(decoder, path, json, "apiVersion", &version))
		return false;
	if (!kind && fallback->kind) {
		kind = fallback->kind;
		version = version ? version : fallback->version;
	}
	if (!kind)
		return bh_fault_note(decoder->fault, path, "kind is missing");
	if (!version)
		return bh_fault_note(decoder->fault, path, "apiVersion is missing");
	size_t length = strlen(kind);

	if (length >= strlen("List") && length < 64 && depth < BH_MANIFEST_DEPTH_MAX &&
		!strcmp(kind + length - strlen("List"), "List"))
		return decode_list(decoder, path, json, kind, version, depth);
	for (size_t i = 0; i < N_KINDS; i++) {
		if (!strcmp(kind, kinds[i].kind))
			return decode_object(decoder, path, json, (enum bh_object_kind)i, version);
	}
	/* Cilium's, Calico's, and the API's own older kinds. */
	if (strstr(kind, "NetworkPolicy")) {
		struct bh_metadata metadata = {.path = BH_FIELD(path, "metadata")};

		if (!bh_decode_member(decoder, path, json, "metadata", &metadata.json))
			return false;
		note_foreign(decoder, &metadata, "foreign-policy", kind, version,
			"NetworkPolicy (networking.k8s.io/v1) or ClusterNetworkPolicy "
			"(policy.networking.k8s.io/v1alpha2)");
	}
	return true;
}

bool bh_object_decode(const json_t *document, struct bh_arena *arena, struct bh_fault *fault,
	struct bh_object_list *list)
{
	struct bh_decoder decoder = {arena, fault, list};
	const struct default_kind none = {NULL, NULL};

	/* A document of nothing but comments. */
	if (json_is_null(document))
		return true;
	return decode_any(&decoder, NULL, document, &none, 0);
}

bool bh_object_decode_as(enum bh_object_kind kind, const json_t *json, struct bh_arena *arena,
	struct bh_fault *fault, struct bh_object_list *list)
{
	struct bh_decoder decoder = {arena, fault, list};

	if (!json_is_object(json))
		return bh_fault_note(
			fault, NULL, "an object must be an object, not %s", bh_json_kind(json));
	return decode_object(&decoder, NULL, json, kind, kinds[kind].version);
}

void bh_object_list_clear(struct bh_object_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].kind == BH_OBJECT_POLICY ||
			list->items[i].kind == BH_OBJECT_CLUSTER_POLICY)
			json_decref(list->items[i].policy.spec);
	}
	free(list->items);
	free(list->foreign);
	*list = (struct bh_object_list){0};
}

bool bh_object_put(const struct bh_object *object, struct bh_model *model)
{
	switch (object->kind) {
	case BH_OBJECT_POD:
		return bh_model_put_pod(model, &object->pod);
	case BH_OBJECT_NAMESPACE:
		return bh_model_put_namespace(model, &object->namespace);
	case BH_OBJECT_NODE:
		return bh_model_put_node(model, &object->node);
	case BH_OBJECT_POLICY:
	case BH_OBJECT_CLUSTER_POLICY:
		return bh_model_put_policy(model, &object->policy);
	case BH_OBJECT_SERVICE:
		return bh_model_put_service(model, &object->service);
	case BH_OBJECT_SLICE:
		return bh_model_put_slice(model, &object->slice);
	}
	return false;
}
