/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TESTS_SEND_H
#define BULKHEAD_TESTS_SEND_H

/*
 * One packet through one hook, with BPF_PROG_TEST_RUN, and everything that came of it. A frame must
 * leave a program as it came: that is checked here, for every packet of every test.
 */

#include "tests/lib/bed.h"

/* A packet of a known flow: its edge counts it, no reason does. */
#define KNOWN_FLOW BH_REASON_NONE

#define EVENTS_SEEN_MAX 16

struct outcome {
	bool passed;
	int reason;       /* enum bh_reason, or KNOWN_FLOW */
	uint64_t sent;    /* packets: segments of a train */
	uint64_t counted; /* packets, under all reasons */
	uint64_t edges;   /* packets, on all edges */
	unsigned n_events;
	struct bh_event event[EVENTS_SEEN_MAX];
	unsigned n_hellos;
	struct bh_hello hello[2]; /* the last two */
};

struct outcome from_pod(const struct party *pod, const struct frame *f);
/* Forwarded to the pod by the node. */
struct outcome to_pod(const struct party *pod, const struct frame *f);
/* Sent to the pod by the node itself. */
struct outcome from_node(const struct party *pod, const struct frame *f);
struct outcome xdp_from_pod(const struct party *pod, const struct frame *f);
struct outcome uplink(const struct frame *f);

/* As the two above, for a packet whose skb->tc_index is `mark`; *ret_mark: what it is afterwards.
 */
struct outcome marked_from_pod(
	const struct party *pod, const struct frame *f, uint32_t mark, uint32_t *ret_mark);
struct outcome marked_to_pod(const struct party *pod, const struct frame *f, uint32_t mark);

/* Through a device that leaves the node, `up0`: by somebody here, and from outside. */
struct outcome leaving_marked(const struct frame *f, uint32_t mark);
struct outcome arriving(const struct frame *f);
/* The same through a device without a link layer: the frame begins with its IP header. */
struct outcome leaving_l3(const struct frame *f, uint32_t mark);
/* What the node itself sends there. */
struct outcome leaving_from_node(const struct frame *f);

/* Out of one local pod and into another; the outcome of the hook that dropped it, or the last. */
struct outcome between(const struct party *from, const struct party *to, const struct frame *f);

/* Sends and looks at nothing but the verdict: for floods. */
bool fire_from_pod(const struct party *pod, const struct frame *f);
bool fire_xdp_from_pod(const struct party *pod, const struct frame *f);
bool fire_to_pod(const struct party *pod, const struct frame *f);

/* Events are left in the ring while this is true. */
extern bool ring_unread;
unsigned ring_drain(void);

const char *reason_word(int reason);
/* Passed or dropped as the reason's kind says, counted once under it and under no other. */
void expect_outcome(const char *file, int line, struct outcome outcome, int reason);
#define expect(outcome, wanted) expect_outcome(__FILE__, __LINE__, outcome, BH_REASON_##wanted)
#define expect_known(outcome) expect_outcome(__FILE__, __LINE__, outcome, KNOWN_FLOW)

/* SYN, SYN-ACK, ACK between two pods of this node, or between one and somebody elsewhere. */
void handshake(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport);
/* Through every hook of this node that is on its way. */
struct outcome carry(const struct party *from, const struct party *to, const struct frame *f);

#endif
