/* SPDX-License-Identifier: Apache-2.0 */

#include <bpf/bpf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/pkt_cls.h>

#include "tools/bench/bench.h"

/* Programs by their rules, each of another class; remote and db are among them. */
#define ONE ISOLATED_BOTH(10)
#define TEN ISOLATED_BOTH(11)
#define HUNDRED ISOLATED_BOTH(12)
#define MANY ISOLATED_BOTH(13)    /* 10,000 */
#define NOTHING ISOLATED_BOTH(14) /* allows nothing */
/* 10,000 rules of fewer classes: more ports of each. */
#define MANY_OF_10 ISOLATED_BOTH(15)
#define MANY_OF_1K ISOLATED_BOTH(16)

#define FIRST_CLASS 10000
/* The flow that is walked from; its destination port is even, which the walk needs. */
#define SPORT 0x8000
#define DPORT 80

/* Known by an address block only, and by the smallest of three that contain it. */
static struct party in_block = {
	.mac = {2, 0, 0, 0, 0, 9}, .ip4 = {10, 77, 7, 7}, .class = 9001, .workload = 901};

/* ---- Situations -------------------------------------------------------------------------------
 */

static struct frame segment(const struct party *to)
{
	return tcp(4, &web, SPORT, to, DPORT, ACK | PSH);
}

static struct frame opening(const struct party *to)
{
	return tcp_headers(4, &web, SPORT, to, DPORT, SYN);
}

static struct party class_peer(uint32_t i)
{
	return (struct party){.ip4 = {10, 200, i >> 8, i & 0xff},
		.ip6 = {0xfd, 9, [14] = i >> 8, [15] = i & 0xff}};
}

static void allow_ours(uint32_t program, uint32_t rule)
{
	const struct party *ours[] = {&remote, &db, &in_block};

	for (unsigned i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		allow(program, BH_EGRESS, ours[i]->class, 6, DPORT, DPORT + 1, rule);
		allow(program, BH_EGRESS, ours[i]->class, 17, DPORT, DPORT + 1, rule);
	}
}

/* `n` rules of `n` classes with an address each; the last is ours. */
static void fill_program(uint32_t program, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i++) {
		struct party peer = class_peer(i);

		allow(program, BH_EGRESS, FIRST_CLASS + i, 6, DPORT, DPORT, i);
		identify(&peer, FIRST_CLASS + i, 1000 + i % 100);
	}
	allow_ours(program, n);
}

/* 10,000 rules, every one of another port, and those of a class in the table of spilled ports. */
static void fill_ports(uint32_t program, uint32_t classes)
{
	uint32_t ports = 10000 / classes;

	for (uint32_t i = 0; i < classes; i++) {
		uint32_t class = i + 1 < classes ? FIRST_CLASS + i : remote.class;

		for (uint32_t j = 0; j < ports; j++)
			spill(program, BH_EGRESS, class, 6, DPORT + 2 * j, 16, i, 0);
		spill(program, BH_EGRESS, class, 6, DPORT + 1, 16, i, 0);
	}
}

/* Nested blocks of 10.0.0.0/8, and many beside them. */
static void fill_blocks(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		block(4, (uint8_t[]){100, 64 + (i >> 12), i >> 4, i << 4}, 28, 20000 + i % 500, 5);
	block(4, (uint8_t[]){10, 0, 0, 0}, 8, 9003, 903);
	block(4, (uint8_t[]){10, 77, 0, 0}, 16, 9002, 902);
	block(4, (uint8_t[]){10, 77, 7, 0}, 24, in_block.class, in_block.workload);
}

static void establish(int family)
{
	struct frame syn = tcp(family, &web, SPORT, &db, DPORT, SYN);
	struct frame syn_ack = tcp(family, &db, DPORT, &web, SPORT, SYN | ACK);
	struct frame ack = tcp(family, &web, SPORT, &db, DPORT, ACK);

	fire_from_pod(&web, &syn);
	fire_to_pod(&db, &syn);
	fire_from_pod(&db, &syn_ack);
	fire_to_pod(&web, &syn_ack);
	fire_from_pod(&web, &ack);
	fire_to_pod(&db, &ack);
}

/* The floor's table, by its own unsorted key. */
static void fill_floor(void)
{
	const struct bh_flow seen = {0};

	for (unsigned flow = 0; flow < 65536; flow++) {
		struct bh_flow_key4 key = {.protocol = 6};

		memcpy(&key.addr[0], web.ip4, 4);
		memcpy(&key.addr[1], db.ip4, 4);
		key.port[0] = htobe16(0x8000 | (flow & 0x7fff));
		key.port[1] = htobe16(DPORT | flow >> 15);
		bpf_map_update_elem(bench_floor_table(), &key, &seen, BPF_ANY);
	}
}

static void put_in_force(const struct bench_case *c, uint32_t burst)
{
	empty_flows();
	ring_drain();
	bed_config.deny_burst = burst;
	bed_config.flags &= ~BH_CONFIG_TRIE4;
	bed_config.flags |= c->blocks ? BH_CONFIG_TRIE4 : 0;
	configure();
	use(&web, c->program, c->program);
}

static void fresh(const struct bench_case *c)
{
	put_in_force(c, 100);
}

static void dry_run(const struct bench_case *c)
{
	fresh(c);
	use(&web, BH_PROGRAM_OPEN, c->program);
}

static void established(const struct bench_case *c)
{
	fresh(c);
	establish(4);
	establish(6);
}

static void established_in_dry_run(const struct bench_case *c)
{
	dry_run(c);
	establish(4);
}

/* … for every flow that is walked over, with BH_FLOW_WATCHED or without. */
static void store_all(const struct bench_case *c, uint8_t flags)
{
	struct frame f = segment(&db);
	struct bh_flow flow;

	fresh(c);
	establish(4);
	flow_of(&f, &flow);
	flow.flags = (flow.flags & (uint8_t)~BH_FLOW_WATCHED) | flags;
	for (unsigned i = 0; i < c->flows; i++) {
		f = tcp(4, &web, 0x8000 | (i & 0x7fff), &db, DPORT | i >> 15, ACK | PSH);
		flow_store(&f, &flow);
	}
}

static void established_all(const struct bench_case *c)
{
	store_all(c, 0);
}

/* Their first payloads are still to be looked into. */
static void watched_all(const struct bench_case *c)
{
	store_all(c, BH_FLOW_WATCHED);
}

static void without_inserts(const struct bench_case *c)
{
	struct bh_flow_key4 keys[2];
	int fd = bench_insert_table();
	unsigned at = 0;
	bool more = !bpf_map_get_next_key(fd, NULL, &keys[at]);

	while (more) {
		more = !bpf_map_get_next_key(fd, &keys[at], &keys[!at]);
		bpf_map_delete_elem(fd, &keys[at]);
		at = !at;
	}
}

/* The table holds nothing but other flows. */
static void full_table(const struct bench_case *c)
{
	fresh(c);
	flows_fill(4);
}

/* The first hook has seen every packet; the second has not. */
static void seen_at_first_hook(const struct bench_case *c)
{
	struct frame f = opening(&db);

	fresh(c);
	bench_walk(bed_program_fd(BED_FROM_POD), &web, &f, c->flows, c->flows, TC_ACT_UNSPEC);
	ring_drain();
}

static void quiet(const struct bench_case *c)
{
	put_in_force(c, 0);
}

static void told(const struct bench_case *c)
{
	put_in_force(c, UINT32_MAX);
}

static struct frame datagram(uint16_t offset, int more)
{
	struct frame f = {0};

	frame_ethernet(&f, &web, &db);
	frame_ip(&f, 4, &web, &db);
	frame_fragment(&f, 7, offset, more);
	if (offset)
		frame_protocol(&f, 17);
	else
		frame_udp(&f, SPORT, DPORT);
	frame_zeros(&f, 64);
	return f;
}

/* A datagram's first fragment has passed. */
static void first_fragment(const struct bench_case *c)
{
	struct frame f = datagram(0, 1);

	fresh(c);
	fire_from_pod(&web, &f);
}

/* ---- Samples ----------------------------------------------------------------------------------
 */

static double floor_sample(const struct bench_case *c, unsigned scale)
{
	struct frame f = segment(&db);
	unsigned n = c->kind == BENCH_INSERT ? c->flows : scale * BENCH_WALK;

	if (!c->flows)
		return bench_still(bench_floor_fd(c->kind), &web, &f, n, TC_ACT_UNSPEC);
	return bench_walk(bench_floor_fd(c->kind), &web, &f, c->flows, n, TC_ACT_UNSPEC);
}

static double from_pod_still(const struct frame *f, unsigned scale)
{
	return bench_still(
		bed_program_fd(BED_FROM_POD), &web, f, scale * BENCH_WALK, TC_ACT_UNSPEC);
}

static double known(const struct bench_case *c, unsigned scale)
{
	struct frame f = segment(&db);

	return from_pod_still(&f, scale);
}

static double known_at_second(const struct bench_case *c, unsigned scale)
{
	struct frame f = segment(&db);

	return bench_still(bed_program_fd(BED_TO_POD), &db, &f, scale * BENCH_WALK, TC_ACT_UNSPEC);
}

static double known6(const struct bench_case *c, unsigned scale)
{
	struct frame f = tcp(6, &web, SPORT, &db, DPORT, ACK | PSH);

	return from_pod_still(&f, scale);
}

static double later_fragment(const struct bench_case *c, unsigned scale)
{
	struct frame f = datagram(1480, 0);

	return from_pod_still(&f, scale);
}

static double known_walk(const struct bench_case *c, unsigned scale)
{
	struct frame f = segment(&db);
	/* Every flow once at least, and not the part that the last sample ended with. */
	unsigned n = scale * BENCH_WALK < c->flows ? c->flows : scale * BENCH_WALK;

	return bench_walk(bed_program_fd(BED_FROM_POD), &web, &f, c->flows, n, TC_ACT_UNSPEC);
}

/* No more of a flow's than are looked into. */
static double first_payloads(const struct bench_case *c, unsigned scale)
{
	return known_walk(c, scale < BH_LOOKS ? scale : BH_LOOKS);
}

/* A new flow is new once: these walk over the flows a single time. */
static double new_flows(const struct bench_case *c, unsigned scale)
{
	struct frame f = opening(c->peer);

	return bench_walk(
		bed_program_fd(BED_FROM_POD), &web, &f, c->flows, c->flows, TC_ACT_UNSPEC);
}

static double new_flows6(const struct bench_case *c, unsigned scale)
{
	struct frame f = tcp_headers(6, &web, SPORT, c->peer, DPORT, SYN);

	return bench_walk(
		bed_program_fd(BED_FROM_POD), &web, &f, c->flows, c->flows, TC_ACT_UNSPEC);
}

static double second_hook(const struct bench_case *c, unsigned scale)
{
	struct frame f = opening(&db);

	return bench_walk(bed_program_fd(BED_TO_POD), &db, &f, c->flows, c->flows, TC_ACT_UNSPEC);
}

/* … as on a real way: the first hook has seen the packet a moment before. Only the second's time.
 */
static double second_hook_at_once(const struct bench_case *c, unsigned scale)
{
	const unsigned at_once = 256;
	double sum = 0;

	for (unsigned i = 0; i < c->flows; i += at_once) {
		/* The walk begins with the next. */
		struct frame f =
			tcp_headers(4, &web, 0x8000 | ((i - 1) & (c->flows - 1)), &db, DPORT, SYN);

		bench_walk(
			bed_program_fd(BED_FROM_POD), &web, &f, c->flows, at_once, TC_ACT_UNSPEC);
		sum += bench_walk(
			bed_program_fd(BED_TO_POD), &db, &f, c->flows, at_once, TC_ACT_UNSPEC);
	}
	return sum * at_once / c->flows;
}

/* A denial leaves no flow, so it can be repeated; with an event, as often as the ring has room. */
static double denied(const struct bench_case *c, unsigned scale)
{
	struct frame f = opening(&world);
	unsigned n = c->before == told && scale > 3 ? 3 : scale;

	return bench_walk(
		bed_program_fd(BED_FROM_POD), &web, &f, c->flows, n * BENCH_WALK, TC_ACT_SHOT);
}

/* ---- The list ---------------------------------------------------------------------------------
 */

#define K 1024
#define FLOOR(name_, kind_, flows_, before_)                                      \
	{                                                                         \
		.name = name_, .kind = kind_, .flows = flows_, .before = before_, \
		.sample = floor_sample                                            \
	}
#define STILL(name_, program_, before_, sample_)                                           \
	{                                                                                  \
		.name = name_, .kind = BENCH_REAL, .program = program_, .before = before_, \
		.sample = sample_                                                          \
	}
#define WALK(name_, flows_)                                                         \
	{                                                                           \
		.name = name_, .kind = BENCH_REAL, .flows = flows_, .program = TEN, \
		.before = established_all, .sample = known_walk                     \
	}
#define NEW(name_, program_, peer_, before_, sample_)                             \
	{                                                                         \
		.name = name_, .kind = BENCH_REAL, .flows = BENCH_WALK,           \
		.blocks = peer_ == &in_block, .program = program_, .peer = peer_, \
		.before = before_, .sample = sample_                              \
	}

struct bench_case bench_cases[] = {
	FLOOR("empty program", BENCH_EMPTY, 0, NULL),
	FLOOR("parse the five-tuple", BENCH_TUPLE, 0, NULL),
	FLOOR("parse, one LRU lookup", BENCH_LOOKUP, 0, NULL),
	STILL("established, from the pod", TEN, established, known),
	STILL("established, to the pod", TEN, established, known_at_second),
	STILL("established, dry-run (two programs)", TEN, established_in_dry_run, known),
	STILL("established, IPv6", TEN, established, known6),
	STILL("established, 10,000 rules", MANY, established, known),
	STILL("a later fragment", TEN, first_fragment, later_fragment),
	FLOOR("empty program, 1k flows", BENCH_EMPTY, K, NULL),
	FLOOR("parse, one LRU lookup, 1k flows", BENCH_LOOKUP, K, NULL),
	WALK("established, 1k flows", K),
	FLOOR("empty program, 8k flows", BENCH_EMPTY, 8 * K, NULL),
	FLOOR("parse, one LRU lookup, 8k flows", BENCH_LOOKUP, 8 * K, NULL),
	WALK("established, 8k flows", 8 * K),
	{.name = "first payloads, 8k flows",
		.kind = BENCH_REAL,
		.flows = 8 * K,
		.program = TEN,
		.before = watched_all,
		.sample = first_payloads},
	FLOOR("empty program, 64k flows", BENCH_EMPTY, 64 * K, NULL),
	FLOOR("parse, one LRU lookup, 64k flows", BENCH_LOOKUP, 64 * K, NULL),
	WALK("established, 64k flows", 64 * K),
	FLOOR("parse, one LRU insert, 8k flows", BENCH_INSERT, BENCH_WALK, without_inserts),
	NEW("new, 1 rule", ONE, &remote, fresh, new_flows),
	NEW("new, 10 rules", TEN, &remote, fresh, new_flows),
	NEW("new, 100 rules", HUNDRED, &remote, fresh, new_flows),
	NEW("new, 10,000 rules of 10,000 classes", MANY, &remote, fresh, new_flows),
	NEW("new, 10,000 rules of 1,000 classes", MANY_OF_1K, &remote, fresh, new_flows),
	NEW("new, 10,000 rules of 10 classes", MANY_OF_10, &remote, fresh, new_flows),
	NEW("new, peer known by a block, 10,000 blocks", TEN, &in_block, fresh, new_flows),
	NEW("new, IPv6", TEN, &remote, fresh, new_flows6),
	NEW("new, dry-run (two programs)", TEN, &remote, dry_run, new_flows),
	NEW("new, the table full", TEN, &remote, full_table, new_flows),
	NEW("new, second hook", TEN, &db, seen_at_first_hook, second_hook),
	NEW("new, second hook, at once", TEN, &db, fresh, second_hook_at_once),
	NEW("denied, no event", NOTHING, &world, quiet, denied),
	NEW("denied, no event, 10,000 rules", MANY, &world, quiet, denied),
	{.name = "denied, no event, 10,000 blocks",
		.kind = BENCH_REAL,
		.flows = BENCH_WALK,
		.blocks = true,
		.program = NOTHING,
		.before = quiet,
		.sample = denied},
	NEW("denied, with event", NOTHING, &world, told, denied),
};
const unsigned bench_n_cases = sizeof(bench_cases) / sizeof(*bench_cases);

int bench_open(void)
{
	/* The sizes a node of 2 to 16 GiB has by default. */
	bed_sizes = (struct bed_sizes){.flows = 131072,
		.edges = 8192,
		.policies = 131072,
		.addresses = 131072,
		.ring = 4 << 20,
		.blocks = 16384,
		.spills = 65536};
	if (bed_setup(NULL) || bench_run_open() < 0)
		return -EINVAL;
	bed_reset(NULL);
	fill_program(ONE, 1);
	fill_program(TEN, 10);
	fill_program(HUNDRED, 100);
	fill_program(MANY, 10000);
	fill_ports(MANY_OF_10, 10);
	fill_ports(MANY_OF_1K, 1000);
	fill_blocks(10000);
	fill_floor();
	return 0;
}

void bench_close(void)
{
	bench_run_close();
	bed_teardown(NULL);
}
