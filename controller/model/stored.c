/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/stored.h"

#include "controller/model/memory.h"
#include "controller/model/pack.h"
#include "controller/model/services.h"

/* ---- Packing --------------------------------------------------------------------------------- */

static struct bh_ring *pack_places(struct bh_pack *pack, size_t n)
{
	return bh_pack_room(pack, n * sizeof(struct bh_ring), _Alignof(struct bh_ring));
}

static void pack_pod(struct bh_pack *pack, const struct bh_pod *in, struct bh_stored *object)
{
	struct bh_pod *out = &object->pod;
	struct bh_pod_port *ports = bh_pack_bytes(
		pack, in->ports, in->n_ports * sizeof(*in->ports), _Alignof(struct bh_pod_port));

	*out = *in;
	object->places = pack_places(pack, in->n_ips);
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
	struct bh_pack *pack, const struct bh_namespace *in, struct bh_stored *object)
{
	struct bh_namespace *out = &object->namespace;

	*out = *in;
	out->uid = bh_pack_text(pack, in->uid);
	out->name = bh_pack_text(pack, in->name);
	out->mode = bh_pack_text(pack, in->mode);
}

static void pack_node(struct bh_pack *pack, const struct bh_node *in, struct bh_stored *object)
{
	struct bh_node *out = &object->node;

	*out = *in;
	out->ips = bh_pack_ips(pack, in->ips, in->n_ips);
	out->uid = bh_pack_text(pack, in->uid);
	out->name = bh_pack_text(pack, in->name);
}

static void pack_policy(
	struct bh_pack *pack, const struct bh_network_policy *in, struct bh_stored *object)
{
	struct bh_network_policy *out = &object->policy;

	*out = *in;
	out->uid = bh_pack_text(pack, in->uid);
	out->namespace = bh_pack_text(pack, in->namespace);
	out->name = bh_pack_text(pack, in->name);
	out->mode = bh_pack_text(pack, in->mode);
}

static void pack_object(
	struct bh_pack *pack, enum bh_stored_kind kind, const void *in, struct bh_stored *object)
{
	bh_pack_bytes(pack, object, sizeof(*object), _Alignof(struct bh_stored));
	switch (kind) {
	case BH_STORED_POD:
		pack_pod(pack, in, object);
		break;
	case BH_STORED_NAMESPACE:
		pack_namespace(pack, in, object);
		break;
	case BH_STORED_NODE:
		pack_node(pack, in, object);
		break;
	case BH_STORED_POLICY:
		pack_policy(pack, in, object);
		break;
	case BH_STORED_SERVICE:
		bh_service_pack(pack, in, &object->service);
		break;
	case BH_STORED_SLICE:
		object->places = pack_places(pack, ((const struct bh_slice *)in)->n_ips);
		bh_slice_pack(pack, in, &object->slice);
		break;
	case BH_STORED_KINDS:
		break;
	}
}

struct bh_stored *bh_stored_new(enum bh_stored_kind kind, const void *in)
{
	struct bh_stored measure = {.kind = kind};
	struct bh_pack pack = {0};

	pack_object(&pack, kind, in, &measure);
	struct bh_stored *object = bh_xcalloc(1, pack.used);

	pack = (struct bh_pack){.to = (char *)object};
	object->kind = kind;
	pack_object(&pack, kind, in, object);
	object->size = pack.used;
	return object;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* `labels` is the interned set of `b`. */
bool bh_stored_same_pod(
	const struct bh_pod *a, const struct bh_pod *b, const struct bh_labels *labels)
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

bool bh_stored_same_spec(const json_t *a, const json_t *b)
{
	return a == b || (a && b && json_equal(a, b));
}

const struct bh_labels **bh_stored_labels(struct bh_stored *object)
{
	switch (object->kind) {
	case BH_STORED_POD:
		return &object->pod.labels;
	case BH_STORED_NAMESPACE:
		return &object->namespace.labels;
	case BH_STORED_NODE:
		return &object->node.labels;
	case BH_STORED_SERVICE:
		return &object->service.selector;
	default:
		return NULL;
	}
}
