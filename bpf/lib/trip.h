/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_TRIP_H
#define BULKHEAD_BPF_TRIP_H

/*
 * A TCP handshake: where each side's stream begins, and how long the other end takes to answer. It
 * needs nothing but the headers, so it is done while the flow is in hand; only what has payload is
 * looked into (lib/look.h).
 */

#include "lib/edge.h"
#include "lib/packet.h"

static __always_inline __u32 bh_trip_now(struct bh_packet *p)
{
	__u32 now = bh_packet_clock(p) / 1000;

	return now << 1 ?: 2;
}

/*
 * At the opener's end from SYN to SYN-ACK, at the other from SYN-ACK to what comes back. What had
 * to be sent twice tells nothing: which of the two was answered?
 */
static __always_inline void bh_trip_handshake(struct bh_packet *p, struct bh_flow *flow, __u32 side)
{
	const bool sent = p->src_side == side, syn = p->tcp_flags & BH_TCP_SYN;
	__u32 *trip = &flow->trip[side], us;

	if (bh_likely(*trip & BH_TRIP_DONE) || !flow->leg[side].epoch)
		return;
	if (p->tcp_flags & BH_TCP_RST) {
		*trip = BH_TRIP_DONE;
	} else if (sent && syn) {
		*trip = *trip ? BH_TRIP_DONE : bh_trip_now(p);
	} else if (!sent && *trip && syn == (flow->opener == side)) {
		us = (bh_trip_now(p) - *trip) >> 1;
		bh_edge_trip(flow->leg[side].edge, us);
		*trip = us << 1 | BH_TRIP_DONE;
	}
}

/* One packet of a watched flow, at the one hook that counts it there. */
static __always_inline void bh_trip_packet(struct bh_packet *p, struct bh_flow *flow)
{
	if (!bh_is_tcp(p))
		return;
	if (p->tcp_flags & BH_TCP_SYN)
		flow->start[p->src_side & 1] = p->sequence + 1;
	bh_trip_handshake(p, flow, 0);
	bh_trip_handshake(p, flow, 1);
}

#endif
