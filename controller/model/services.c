/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/services.h"

void bh_service_pack(struct bh_pack *pack, const struct bh_service *in, struct bh_service *out)
{
	struct bh_service_port *ports = bh_pack_bytes(pack, in->ports,
		in->n_ports * sizeof(*in->ports), _Alignof(struct bh_service_port));

	*out = *in;
	out->ports = ports;
	out->ips = bh_pack_ips(pack, in->ips, in->n_ips);
	out->uid = bh_pack_text(pack, in->uid);
	out->namespace = bh_pack_text(pack, in->namespace);
	out->name = bh_pack_text(pack, in->name);
	for (size_t i = 0; i < in->n_ports; i++) {
		const char *name = bh_pack_text(pack, in->ports[i].name);
		const char *target_name = bh_pack_text(pack, in->ports[i].target_name);

		if (ports) {
			ports[i].name = name;
			ports[i].target_name = target_name;
		}
	}
}

bool bh_service_same(
	const struct bh_service *a, const struct bh_service *b, const struct bh_labels *selector)
{
	if (a->selector != selector || a->n_ports != b->n_ports ||
		a->n_cluster_ips != b->n_cluster_ips || !bh_same_text(a->namespace, b->namespace) ||
		!bh_same_text(a->name, b->name) || !bh_same_ips(a->ips, a->n_ips, b->ips, b->n_ips))
		return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		const struct bh_service_port *x = &a->ports[i], *y = &b->ports[i];

		if (x->protocol != y->protocol || x->port != y->port || x->target != y->target ||
			!bh_same_text(x->name, y->name) ||
			!bh_same_text(x->target_name, y->target_name))
			return false;
	}
	return true;
}

void bh_slice_pack(struct bh_pack *pack, const struct bh_slice *in, struct bh_slice *out)
{
	struct bh_slice_port *ports = bh_pack_bytes(
		pack, in->ports, in->n_ports * sizeof(*in->ports), _Alignof(struct bh_slice_port));

	*out = *in;
	out->ports = ports;
	out->ips = bh_pack_ips(pack, in->ips, in->n_ips);
	out->uid = bh_pack_text(pack, in->uid);
	out->namespace = bh_pack_text(pack, in->namespace);
	out->name = bh_pack_text(pack, in->name);
	out->service = bh_pack_text(pack, in->service);
	for (size_t i = 0; i < in->n_ports; i++) {
		const char *name = bh_pack_text(pack, in->ports[i].name);

		if (ports)
			ports[i].name = name;
	}
}

bool bh_slice_same(const struct bh_slice *a, const struct bh_slice *b)
{
	if (a->n_ports != b->n_ports || !bh_same_text(a->namespace, b->namespace) ||
		!bh_same_text(a->name, b->name) || !bh_same_text(a->service, b->service) ||
		!bh_same_ips(a->ips, a->n_ips, b->ips, b->n_ips))
		return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		if (a->ports[i].protocol != b->ports[i].protocol ||
			a->ports[i].port != b->ports[i].port ||
			!bh_same_text(a->ports[i].name, b->ports[i].name))
			return false;
	}
	return true;
}
