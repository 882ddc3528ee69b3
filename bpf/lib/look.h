/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_LOOK_H
#define BULKHEAD_BPF_LOOK_H

/*
 * A second look at a flow's first packets, once their verdict has been reached: what is spoken.
 * Only while the flow is marked BH_FLOW_WATCHED, which ends with an answer or after BH_LOOKS
 * payloads of one side; no packet behind that pays anything. A packet is looked into at one hook of
 * the node, that which counts it in its flow, and the edges of both its ends are told.
 *
 * Of a TCP connection only what is known to be the beginning of a side's stream counts, by its
 * sequence number, so that nobody's upload is taken for what it contains. What is cut into pieces
 * shorter than its signature stays unknown.
 */

#include <linux/if_ether.h>

#include "lib/skb.h"
#include "lib/talk.h"
#include "lib/verdict.h"
#include "lib/work.h"

/* ---- Where it is ----------------------------------------------------------------------------- */

struct bh_place {
	__u32 payload; /* from the frame's beginning */
	__u32 length;
	bool found;
};

#define BH_LOOK_TAGS 2

/* Offset of the network header; `l3`: the frame begins with it. */
static __always_inline __u32 bh_look_network(struct __sk_buff *skb, __u32 l3)
{
	__u32 at = 12;
	__be16 proto;

	if (l3)
		return 0;
	for (int i = 0; i < BH_LOOK_TAGS; i++) {
		if (bpf_skb_load_bytes(skb, at, &proto, sizeof(proto)) ||
			(proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD)))
			break;
		at += 4;
	}
	return at + 2;
}

/* An IPv6 packet with extension headers is not looked into. */
static __always_inline void bh_look_find(
	struct __sk_buff *skb, const struct bh_packet *p, __u32 l3, struct bh_place *place)
{
	const __u32 network = bh_look_network(skb, l3);
	__u8 next;

	place->found =
		p->family == 4 ||
		(!bpf_skb_load_bytes(skb, network + 6, &next, sizeof(next)) && next == p->protocol);
	place->payload = network + p->header_octets;
	place->length = p->octets - p->packets * p->header_octets;
}

/* Brings the beginning of the payload to hand. */
__noinline int bh_look_load(struct __sk_buff *skb, __u32 at, __u32 length)
{
	struct bh_work *work = bh_work_get();
	__u64 n = BH_AT_HAND(length) - 1;

	if (!work || !length)
		return -1;
	memset(work->payload, 0, sizeof(work->payload));
	/* Not 0 and not too many, in words that old verifiers and the compiler leave alone. */
	asm volatile("%0 &= %1\n\t%0 += 1" : "+r"(n) : "i"(BH_PAYLOAD_MASK));
	return bpf_skb_load_bytes(skb, at, work->payload, n) ? -1 : 0;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

#define BH_TLS_EXTENSIONS 16
#define BH_TLS_SUPPORTED_VERSIONS 43

struct bh_tls_extension {
	__be16 type;
	__be16 length;
};

/*
 * The minor version, and one, that the ServerHello in hand has chosen; 0: not known. From TLS 1.3
 * on it is in an extension, which may be behind a key of a thousand octets.
 */
__noinline __u32 bh_look_tls_version(struct __sk_buff *skb, __u32 at, __u32 length)
{
	struct bh_work *work = bh_work_get();
	struct bh_tls_extension extension;
	__u8 version[2];
	__u32 n, end;

	if (!work)
		return 0;
	end = 9u + bh_be16(work->payload + 7);
	n = 44u + work->payload[43] + 3 + 2;
	for (int i = 0; i < BH_TLS_EXTENSIONS; i++) {
		if (n + 4 > end)
			return work->payload[10] + 1u;
		if (n + 4 > length ||
			bpf_skb_load_bytes(skb, at + n, &extension, sizeof(extension)))
			return 0;
		n += 4;
		if (extension.type == bpf_htons(BH_TLS_SUPPORTED_VERSIONS))
			return extension.length == bpf_htons(2) && n + 2 <= length &&
					       !bpf_skb_load_bytes(skb, at + n, version, 2) &&
					       version[0] == 3 && version[1] <= 4
				       ? version[1] + 1u
				       : 0;
		n += bpf_ntohs(extension.length);
	}
	return 0;
}

/* The ClientHello in hand, for whoever reads the name in it. */
__noinline int bh_look_hello(struct __sk_buff *skb, __u32 at, __u32 length, __u32 edge)
{
	struct bh_work *work = bh_work_get();
	const struct bh_packet *p;
	struct bh_hello *hello;
	__u32 suppressed;
	__u64 n;

	if (!work || !length)
		return 0;
	p = &work->packet;
	if (!bh_event_allowed(p, BH_EVENT_HELLO, edge & 0xff, &suppressed))
		return 0;
	hello = &work->hello;
	n = (length < BH_HELLO_MAX ? length : BH_HELLO_MAX) - 1;
	asm volatile("%0 &= %1\n\t%0 += 1" : "+r"(n) : "i"(BH_HELLO_MAX - 1));
	if (bpf_skb_load_bytes(skb, at, hello->data, n))
		return 0;
	hello->time = bpf_ktime_get_ns();
	hello->type = BH_EVENT_HELLO;
	hello->reserved = 0;
	hello->length = n;
	hello->edge = edge;
	n += __builtin_offsetof(struct bh_hello, data);
	if (bpf_ringbuf_output(&bh_events, hello, n, BPF_RB_NO_WAKEUP))
		bh_count(BH_COUNTER_EVENTS_LOST + BH_EVENT_HELLO, 1);
	else
		bh_count(BH_COUNTER_EVENTS + BH_EVENT_HELLO, 1);
	return 0;
}

/* ---- What is spoken -------------------------------------------------------------------------- */

/* What was known first stays, except that gRPC is more than HTTP/2. */
static __always_inline __u32 bh_talk_merge(__u32 known, __u32 said)
{
	__u32 app = BH_TALK_APP(known) ?: BH_TALK_APP(said);
	__u32 encrypted = BH_TALK_ENCRYPTED(known) ?: BH_TALK_ENCRYPTED(said);

	if (app == BH_APP_HTTP2 && BH_TALK_APP(said) == BH_APP_GRPC)
		app = BH_APP_GRPC;
	return BH_TALK(app, encrypted);
}

/*
 * Does what is `offset` octets behind the beginning of a side's stream say anything? PostgreSQL's
 * client begins once more after each question whether it may encrypt. A server's hello may follow
 * what it said before. gRPC shows in a header.
 */
static __always_inline bool bh_look_worth(
	const struct bh_flow *flow, __u32 talk, bool client, __u32 offset)
{
	if (!offset)
		return true;
	if (!client)
		return BH_TALK_ENCRYPTED(talk) == BH_ENCRYPTED_YES && !flow->tls;
	return BH_TALK_APP(talk) == BH_APP_HTTP2 ||
	       (talk == BH_TALK(BH_APP_POSTGRESQL, BH_ENCRYPTED_UNKNOWN) &&
		       (offset == 8 || offset == 16));
}

static __always_inline bool bh_look_done(const struct bh_flow *flow)
{
	const __u32 app = BH_TALK_APP(flow->talk);

	if ((flow->looks & 15) >= BH_LOOKS || flow->looks >> 4 >= BH_LOOKS)
		return true;
	switch (BH_TALK_ENCRYPTED(flow->talk)) {
	case BH_ENCRYPTED_NO:
		return app != BH_APP_HTTP2;
	case BH_ENCRYPTED_YES:
		return app == BH_APP_SSH || flow->tls;
	}
	return false;
}

/* Reads the payload in hand. Returns what it says, BH_TALK_*. */
static __always_inline __u32 bh_look_read(struct __sk_buff *skb, const struct bh_packet *p,
	struct bh_flow *flow, const struct bh_place *place, bool client)
{
	const struct bh_work *work = bh_work_get();
	const __u32 talk = flow->talk;
	__u32 said;

	if (!work)
		return 0;
	if (!bh_is_tcp(p))
		return bh_talk_dns(place->length, 0, !client) ? BH_TALK(BH_APP_DNS, BH_ENCRYPTED_NO)
							      : 0;
	if (client) {
		said = bh_talk_client(place->length, talk);
		if (BH_TALK_APP(bh_talk_merge(talk, said)) == BH_APP_HTTP2 &&
			bh_talk_grpc(place->length))
			said = BH_TALK(BH_APP_GRPC, BH_ENCRYPTED_NO);
		return said;
	}
	said = bh_talk_server(place->length, talk);
	if (BH_TALK_ENCRYPTED(bh_talk_merge(talk, said)) == BH_ENCRYPTED_YES && !flow->tls &&
		bh_is_tls_hello(work->payload, place->length, 2))
		flow->tls = bh_look_tls_version(skb, place->payload, place->length);
	return said;
}

/* What was found out, to the edge of an end; `news`: it is more than was known. */
static __always_inline void bh_look_tell(struct __sk_buff *skb, const struct bh_leg *leg,
	const struct bh_flow *flow, const struct bh_place *place, bool news, __u32 said)
{
	if (!leg->epoch)
		return;
	if (news)
		bh_edge_talk(leg->edge, flow->talk, flow->tls);
	if (said & BH_TALK_HELLO)
		bh_look_hello(skb, place->payload, place->length, leg->edge);
}

static __always_inline void bh_look_payload(struct __sk_buff *skb, const struct bh_packet *p,
	struct bh_flow *flow, const struct bh_place *place)
{
	const bool client = flow->opener == p->src_side, syn = p->tcp_flags & BH_TCP_SYN;
	const __u32 offset = bh_is_tcp(p) ? p->sequence + syn - flow->start[p->src_side & 1] : 0;
	const __u32 talk = flow->talk, tls = flow->tls;
	__u32 said = 0;
	bool news;

	flow->looks += p->src_side ? 16 : 1;
	if (bh_look_worth(flow, talk, client, offset) &&
		!bh_look_load(skb, place->payload, place->length)) {
		said = bh_look_read(skb, p, flow, place, client);
		flow->talk = bh_talk_merge(talk, said);
	}
	if (bh_look_done(flow))
		flow->flags &= ~BH_FLOW_WATCHED;
	news = flow->talk != talk || flow->tls != tls;
	bh_look_tell(skb, &flow->leg[0], flow, place, news, said);
	bh_look_tell(skb, &flow->leg[1], flow, place, news, said);
}

static __always_inline int bh_look_packet(struct __sk_buff *skb, __u32 l3, const int family)
{
	struct bh_work *work = bh_work_get();
	struct bh_place place;
	struct bh_packet *p;
	struct bh_flow *flow;

	if (!work)
		return 0;
	p = &work->packet;
	flow = bh_flow_there(work, family);
	bh_look_find(skb, p, l3, &place);
	if (flow && place.found && place.length)
		bh_look_payload(skb, p, flow, &place);
	return 0;
}

__noinline int bh_look4(struct __sk_buff *skb, __u32 l3)
{
	return bh_look_packet(skb, l3, 4);
}

__noinline int bh_look6(struct __sk_buff *skb, __u32 l3)
{
	return bh_look_packet(skb, l3, 6);
}

/* `l3`: the device has no link layer. */
static __always_inline void bh_look(struct __sk_buff *skb, const struct bh_packet *p, __u32 l3)
{
	if (bh_likely(!p->look))
		return;
	if (p->family == 4)
		bh_look4(skb, l3);
	else
		bh_look6(skb, l3);
}

#endif
