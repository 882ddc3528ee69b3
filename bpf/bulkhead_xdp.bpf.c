/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The same decision before there is an skb: on a pod's veth where the operator asks for it, and on
 * the node's uplink, where it drops what the pods' own hooks would drop later and dearer.
 */

#include <linux/bpf.h>

#include "lib/kernel.h"
#include "lib/packet.h"
#include "lib/parse.h"
#include "lib/skb.h"
#include "lib/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__noinline int bh_xdp_parse_icmp(struct xdp_md *xdp)
{
	struct bh_work *work = bh_work_get();

	return work ? bh_parse_icmp(
			      &work->packet, (void *)(long)xdp->data, (void *)(long)xdp->data_end)
		    : BH_REASON_INTERNAL;
}

__noinline int bh_xdp_parse_ip(struct xdp_md *xdp)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct bh_work *work = bh_work_get();

	return work ? bh_parse(&work->packet, data, end, end - data, 0) : BH_REASON_INTERNAL;
}

static __always_inline int bh_xdp_parse(struct xdp_md *xdp)
{
	int reason = bh_xdp_parse_ip(xdp);

	return bh_unlikely(reason == BH_PARSE_ICMP) ? bh_xdp_parse_icmp(xdp) : reason;
}

SEC("xdp")
int bh_xdp_pod(struct xdp_md *xdp)
{
	struct bh_work *work = bh_work_get();
	int reason;

	if (!work)
		return XDP_DROP;
	bh_packet_begin(&work->packet, xdp->ingress_ifindex, BH_HOOK_FROM_POD, 1);
	work->packet.blind = 1;
	reason = bh_xdp_parse(xdp);
	reason = bh_verdict(work, reason);
	return BH_REASON_PASSES(reason) ? XDP_PASS : XDP_DROP;
}

/* Beside the program above, which cannot mark a packet: this one does, and nothing else. */
SEC("tc")
int bh_mark(struct __sk_buff *skb)
{
	struct bh_work *work = bh_work_get();
	const struct bh_identity *peer = NULL;
	struct bh_packet *p;

	if (!work)
		return TC_ACT_SHOT;
	p = &work->packet;
	bh_packet_begin(p, skb->ifindex, BH_HOOK_FROM_POD, 1);
	if (!bh_skb_parse(skb, false) && p->family)
		peer = bh_identity_exact(p->family, p->dst);
	bh_skb_mark(skb, peer && peer->flags & BH_IDENTITY_SERVICE ? bh_endpoint_slot(p) : 0);
	return TC_ACT_UNSPEC;
}

/* Whose pod, if any, the packet is for: everything else is the node's business. */
static __always_inline const struct bh_endpoint *bh_uplink_endpoint(const struct bh_packet *p)
{
	const struct bh_config *config = bh_config_get();
	const struct bh_identity *identity;

	if (!config || !p->family)
		return NULL;
	identity = bh_identity_find(config, p->family, p->dst);
	return identity && identity->slot ? bh_endpoint_at(identity->slot) : NULL;
}

SEC("xdp")
int bh_xdp_uplink(struct xdp_md *xdp)
{
	struct bh_work *work = bh_work_get();
	const struct bh_endpoint *endpoint;
	struct bh_packet *p;
	int reason;

	if (!work)
		return XDP_PASS;
	p = &work->packet;
	bh_packet_begin(p, xdp->ingress_ifindex, BH_HOOK_UPLINK, 1);
	/*
	 * What cannot be parsed, fragments and all that is no flow of its own wait for the pod's
	 * own hook, which sees every packet that gets so far.
	 */
	if (bh_xdp_parse(xdp) || p->kind != BH_KIND_FLOW ||
		p->flags & (BH_PACKET_FIRST_FRAGMENT | BH_PACKET_LATER_FRAGMENT))
		return XDP_PASS;
	endpoint = bh_uplink_endpoint(p);
	if (!endpoint)
		return XDP_PASS;
	p->ifindex = endpoint->ifindex;
	reason = bh_verdict(work, BH_REASON_NONE);
	return BH_REASON_PASSES(reason) ? XDP_PASS : XDP_DROP;
}
