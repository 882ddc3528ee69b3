/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TESTS_BED_H
#define BULKHEAD_TESTS_BED_H

/*
 * The BPF programs on a test bed: a network namespace of the test's own with an interface per pod,
 * the real objects loaded, and their maps filled as the dataplane fills them. What a packet meets
 * there is sent with tests/lib/send.h.
 *
 * The cast: three pods of this node (web, db, third), a pod of another node (remote), an
 * address that no policy names (world), and the node itself. After bed_reset() every pod runs
 * BH_PROGRAM_NONE: built-in checks and no policy.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/abi.h"
#include "tests/lib/frame.h"

extern struct party web, db, third, remote, world, node;
extern uint32_t uplink_ifindex;

/* Sizes to load the maps with; set before bed_setup(). */
struct bed_sizes {
	uint32_t flows; /* a power of two, 16 or more */
	uint32_t edges;
	uint32_t policies;
	uint32_t addresses;
	uint32_t ring;
	uint32_t blocks; /* 0: a few */
	uint32_t spills;
	bool xdp;    /* load the XDP programs, too */
	bool marked; /* … and those that show skb->tc_index, and of leaving devices */
};
extern struct bed_sizes bed_sizes;

enum bed_program {
	BED_FROM_POD,
	BED_TO_POD,
	BED_CLOCK,
	BED_XDP_POD,
	BED_XDP_UPLINK,
	/* With bed_sizes.marked; the context's mark is skb->tc_index. */
	BED_MARKED_FROM_POD,
	BED_MARKED_TO_POD,
	BED_LEAVING,
	BED_ARRIVING,
	BED_LEAVING_L3,
	BED_ARRIVING_L3,
};

/* cmocka fixtures: per group, and per test. */
int bed_setup(void **state);
int bed_teardown(void **state);
int bed_reset(void **state);

#define bed_test(name) cmocka_unit_test_setup(name, bed_reset)

int bed_program_fd(enum bed_program program);
/* A map by its name ("bh_flows4"); ends the test where there is none. */
int bed_map(const char *name);
struct bpf_object *bed_object(void);

/* ---- What the dataplane writes ---- */

extern struct bh_config bed_config;
/* Puts bed_config in force. */
void configure(void);
/* … as the dataplane does after every change of what a judgement is made of. */
void configure_anew(void);

/* Jiffies a second, as the programs are told: more than any kernel's, so no test waits for time. */
#define BED_HZ 10000u

#define ISOLATED_INGRESS(n) ((n) | BH_PROGRAM_INGRESS_ISOLATED)
#define ISOLATED_EGRESS(n) ((n) | BH_PROGRAM_EGRESS_ISOLATED)
#define ISOLATED_BOTH(n) ((n) | BH_PROGRAM_INGRESS_ISOLATED | BH_PROGRAM_EGRESS_ISOLATED)

/* One more range for (program, direction, class). */
void allow(uint32_t program, enum bh_direction direction, uint32_t class, uint8_t protocol,
	uint16_t lo, uint16_t hi, uint32_t rule);
/* Egress to a service: put off until its address is rewritten. */
void defer(uint32_t program, uint32_t class, uint8_t protocol, uint16_t lo, uint16_t hi);
void deny(uint32_t program, enum bh_direction direction, uint32_t class, uint8_t protocol,
	uint16_t lo, uint16_t hi, uint32_t rule);
/* The same in the spill trie; one aligned prefix of `bits` port bits. */
void spill(uint32_t program, enum bh_direction direction, uint32_t class, uint8_t protocol,
	uint16_t port, unsigned bits, uint32_t rule, uint32_t flags);

/* Switches a pod to other programs, then moves its epoch. */
void use(const struct party *pod, uint32_t active, uint32_t pending);
void enforce(const struct party *pod, uint32_t program);
void move_epoch(const struct party *pod);
/* Another pod gets the interface and the addresses: a new birth, a new epoch. */
void reborn(const struct party *pod);
void bed_endpoint_store(const struct party *pod, const struct bh_endpoint *endpoint);
/* A second address per family; and none of IPv6 at all. */
void add_address(const struct party *pod, const struct party *other);
void take_addresses6(const struct party *pod);
/* The pod's interface is only held, and nobody knows an address of it. */
void hold_nameless(const struct party *pod);
void forget_interface(const struct party *pod);

void identify(const struct party *who, uint32_t class, uint32_t workload);
void identify_service(const struct party *service);
/* An address block; `address` 4 or 16 bytes. */
void block(int family, const uint8_t *address, unsigned bits, uint32_t class, uint32_t workload);
void no_identity(const struct party *who);

/* ---- What the dataplane reads ---- */

uint64_t counter(uint32_t index);
void counters_read(uint64_t ret_counters[BH_COUNTERS]);

enum where { NOWHERE, HALF_OPEN, SETTLED };
/* The entry of a frame's flow; *ret_flow may be NULL. */
enum where flow_of(const struct frame *f, struct bh_flow *ret_flow);
/* Enters a flow, settled, or writes over the one that is there. */
void flow_store(const struct frame *f, const struct bh_flow *flow);
/* What the dataplane asks of the tables; `size`: how much of it. Returns enum bh_flow_done. */
int flow_command(const struct bh_flow_request *request, size_t size);
/* The key of a frame's flow. */
void flow_key_of(const struct frame *f, union bh_flow_key *ret_key);
/* The number of its entry; -1: there is none. */
int64_t flow_at(const struct frame *f);
/* Half-open flows of nobody's, seen now, wherever there is room. */
void flows_fill(int family);
/* From now on no flow finds a place. */
void flows_refuse(void);
/* Makes the flow look `seconds` older. */
void flow_age(const struct frame *f, unsigned seconds);
void fragments_age(unsigned seconds);
/* The token buckets, too. */
void buckets_age(unsigned seconds);
void empty_flows(void);
unsigned flow_count(int family, enum where where);

/* An edge's counters, summed over CPUs; false where there is no such edge. */
bool edge_find(
	const struct bh_edge_key *key, struct bh_edge *ret_edge, struct bh_edge_ref *ret_ref);
/* Packets counted on all edges, both directions, and on the overflow slot. */
uint64_t edges_packets(void);
uint64_t edge_slot_packets(uint32_t slot);
unsigned edge_index_count(void);
/* Takes every edge out of the index. */
void edges_retire(void);
unsigned edge_free_count(void);
/* Leaves `n` slots on the stack. */
void edge_free_leave(unsigned n);

#endif
