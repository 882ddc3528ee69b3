/* SPDX-License-Identifier: Apache-2.0 */

#include <bpf/bpf.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/pkt_cls.h>

#include "floor.skel.h"
#include "tests/lib/send.h"
#include "tools/bench/bench.h"

#define FEW ISOLATED_BOTH(10)     /* a program of 10 rules */
#define MANY ISOLATED_BOTH(10000) /* and one of 10,000 */
#define NOTHING ISOLATED_BOTH(11) /* allows nothing */

static struct floor *floor_programs;

/* ---- Running ----------------------------------------------------------------------------------
 */

static uint64_t thread_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/*
 * Processor time of this thread and not time that passed: the machine's other work, and what a
 * hypervisor takes away, are then in the noise and not in the figure.
 */
static double run(
	int program, const struct party *pod, const struct frame *f, unsigned repeat, int wanted)
{
	struct __sk_buff context = {.ifindex = pod->ifindex, .ingress_ifindex = uplink_ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->data, .data_size_in = f->length,
		.ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = repeat);
	uint64_t begin = thread_time(), spent;
	int error = bpf_prog_test_run_opts(program, &options);

	spent = thread_time() - begin;
	if (error || (int)options.retval != wanted) {
		fprintf(stderr, "bench: a program answered %d instead of %d (%s)\n",
			(int)options.retval, wanted, strerror(-error));
		exit(1);
	}
	return (double)spent / repeat;
}

/* One packet, over and over. */
static double still(
	int program, const struct party *pod, const struct frame *f, unsigned scale, int wanted)
{
	return run(program, pod, f, scale * BENCH_PORTS, wanted);
}

/* Every one of BENCH_PORTS source ports, `scale` times. */
static double walk(
	int program, const struct party *pod, const struct frame *f, unsigned scale, int wanted)
{
	const uint32_t zero = 0;

	if (bpf_map_update_elem(
		    bpf_map__fd(floor_programs->maps.bench_next), &zero, &program, BPF_ANY)) {
		fprintf(stderr, "bench: cannot walk to the program: %s\n", strerror(errno));
		exit(1);
	}
	return run(bpf_program__fd(floor_programs->progs.bench_walk), pod, f, scale * BENCH_PORTS,
		wanted);
}

static int empty_fd(void)
{
	return bpf_program__fd(floor_programs->progs.bench_empty);
}

static int tuple_fd(void)
{
	return bpf_program__fd(floor_programs->progs.bench_tuple);
}

static int lookup_fd(void)
{
	return bpf_program__fd(floor_programs->progs.bench_lookup);
}

static int from_fd(void)
{
	return bed_program_fd(BED_FROM_POD);
}

static int to_fd(void)
{
	return bed_program_fd(BED_TO_POD);
}

/* ---- Situations -------------------------------------------------------------------------------
 */

static struct frame segment(const struct party *to, uint16_t sport)
{
	return tcp(4, &web, sport, to, 80, ACK | PSH);
}

static struct frame opening(const struct party *to)
{
	return tcp(4, &web, 0x8000, to, 80, SYN);
}

/* `n` rules, of as many classes with an address each; the last is remote's port 80. */
static void fill_program(uint32_t program, uint32_t n)
{
	for (uint32_t i = 0; i < n - 1; i++) {
		struct party peer = {.ip4 = {10, 200, i >> 8, i & 0xff},
			.ip6 = {0xfd, 9, [14] = i >> 8, [15] = i & 0xff}};

		allow(program, BH_EGRESS, 10000 + i, 6, 80, 80, i);
		identify(&peer, 10000 + i, 1000 + i % 100);
	}
	allow(program, BH_EGRESS, remote.class, 6, 80, 80, n);
	allow(program, BH_EGRESS, db.class, 6, 80, 80, n);
}

static void establish(int family)
{
	struct frame syn = tcp(family, &web, 0x8000, &db, 80, SYN);
	struct frame syn_ack = tcp(family, &db, 80, &web, 0x8000, SYN | ACK);
	struct frame ack = tcp(family, &web, 0x8000, &db, 80, ACK);

	fire_from_pod(&web, &syn);
	fire_to_pod(&db, &syn);
	fire_from_pod(&db, &syn_ack);
	fire_to_pod(&web, &syn_ack);
	fire_from_pod(&web, &ack);
	fire_to_pod(&db, &ack);
}

/*
 * The flow of web's to db, established for every port that is walked over. `flags`: of its
 * legs, BH_LEG_WATCHED while its first payloads are still looked into.
 */
static void establish_all(uint8_t flags)
{
	struct frame f = segment(&db, 0x8000);
	struct bh_flow flow;

	establish(4);
	flow_of(&f, &flow);
	flow.leg[0].flags = flow.leg[1].flags = flags;
	for (unsigned port = 0; port < BENCH_PORTS; port++) {
		f = segment(&db, 0x8000 | port);
		flow_store(&f, ESTABLISHED_TABLE, &flow);
	}
}

/* The floor's table, by its own unsorted key. */
static void fill_floor(void)
{
	const struct bh_flow seen = {0};

	for (unsigned port = 0; port < BENCH_PORTS; port++) {
		struct bh_flow_key4 key = {.protocol = 6};

		memcpy(&key.addr[0], web.ip4, 4);
		memcpy(&key.addr[1], db.ip4, 4);
		key.port[0] = htobe16(0x8000 | port);
		key.port[1] = htobe16(80);
		bpf_map_update_elem(
			bpf_map__fd(floor_programs->maps.bench_lru), &key, &seen, BPF_ANY);
	}
}

static void clear(uint32_t program, uint32_t pending, uint32_t burst)
{
	empty_flows();
	ring_drain();
	bed_config.deny_burst = burst;
	configure();
	use(&web, program, pending);
}

static void before_established(void)
{
	clear(FEW, FEW, 100);
	establish(4);
	establish(6);
}

static void before_established_walk(void)
{
	clear(FEW, FEW, 100);
	establish_all(0);
}

static void before_watched_walk(void)
{
	clear(FEW, FEW, 100);
	establish_all(BH_LEG_WATCHED);
}

static void before_insert(void)
{
	int fd = bpf_map__fd(floor_programs->maps.bench_half);
	struct bh_flow_key4 key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
}

static void before_new_few(void)
{
	clear(FEW, FEW, 100);
}

static void before_new_many(void)
{
	clear(MANY, MANY, 100);
}

static void before_dry_run(void)
{
	clear(BH_PROGRAM_OPEN, FEW, 100);
}

/* The first hook has seen every packet; the second has not. */
static void before_second_hook(void)
{
	struct frame f = opening(&db);

	clear(FEW, FEW, 100);
	walk(from_fd(), &web, &f, 1, TC_ACT_UNSPEC);
	ring_drain();
}

static void before_denied_quiet(void)
{
	clear(NOTHING, NOTHING, 0);
}

static void before_denied_told(void)
{
	clear(NOTHING, NOTHING, UINT32_MAX);
}

static void before_denied_many(void)
{
	clear(MANY, MANY, 0);
}

/* ---- Samples ----------------------------------------------------------------------------------
 */

static double still_floor(int program, unsigned scale)
{
	struct frame f = segment(&db, 0x8000);

	return still(program, &web, &f, scale, TC_ACT_UNSPEC);
}

static double walk_floor(int program, unsigned scale)
{
	struct frame f = segment(&db, 0x8000);

	return walk(program, &web, &f, scale, TC_ACT_UNSPEC);
}

static double still_empty(unsigned scale)
{
	return still_floor(empty_fd(), scale);
}

static double still_tuple(unsigned scale)
{
	return still_floor(tuple_fd(), scale);
}

static double still_lookup(unsigned scale)
{
	return still_floor(lookup_fd(), scale);
}

static double walk_empty(unsigned scale)
{
	return walk_floor(empty_fd(), scale);
}

static double walk_lookup(unsigned scale)
{
	return walk_floor(lookup_fd(), scale);
}

static double walk_insert(unsigned scale)
{
	struct frame f = segment(&db, 0x8000);

	return walk(
		bpf_program__fd(floor_programs->progs.bench_insert), &web, &f, 1, TC_ACT_UNSPEC);
}

static double established_from(unsigned scale)
{
	return still_floor(from_fd(), scale);
}

static double established_to(unsigned scale)
{
	struct frame f = segment(&db, 0x8000);

	return still(to_fd(), &db, &f, scale, TC_ACT_UNSPEC);
}

static double established6(unsigned scale)
{
	struct frame f = tcp(6, &web, 0x8000, &db, 80, ACK | PSH);

	return still(from_fd(), &web, &f, scale, TC_ACT_UNSPEC);
}

static double established_walk(unsigned scale)
{
	return walk_floor(from_fd(), scale);
}

/* No more than are looked into. */
static double watched_walk(unsigned scale)
{
	return walk_floor(from_fd(), scale < BH_LOOKS ? scale : BH_LOOKS);
}

/* A new flow is new once: these walk over the ports a single time. */
static double new_flows(unsigned scale)
{
	struct frame f = opening(&remote);

	return walk(from_fd(), &web, &f, 1, TC_ACT_UNSPEC);
}

static double second_hook(unsigned scale)
{
	struct frame f = opening(&db);

	return walk(to_fd(), &db, &f, 1, TC_ACT_UNSPEC);
}

/* A denial leaves no flow, so it can be repeated. */
static double denied(unsigned scale)
{
	struct frame f = opening(&world);

	return walk(from_fd(), &web, &f, scale, TC_ACT_SHOT);
}

/* As many as the ring of events holds. */
static double denied_told(unsigned scale)
{
	struct frame f = opening(&world);

	return walk(from_fd(), &web, &f, scale < 3 ? scale : 3, TC_ACT_SHOT);
}

struct bench_case bench_cases[] = {
	{.name = "empty program", .sample = still_empty},
	{.name = "parse the five-tuple", .sample = still_tuple},
	{.name = "parse, one LRU lookup", .sample = still_lookup},
	{.name = "established, from the pod",
		.floor = FLOOR_STILL,
		.before = before_established,
		.sample = established_from},
	{.name = "established, to the pod",
		.floor = FLOOR_STILL,
		.before = before_established,
		.sample = established_to},
	{.name = "established, IPv6",
		.floor = FLOOR_STILL,
		.before = before_established,
		.sample = established6},
	{.name = "empty program, 8k flows", .sample = walk_empty},
	{.name = "parse, one LRU lookup, 8k flows", .sample = walk_lookup},
	{.name = "parse, one LRU insert, 8k flows", .before = before_insert, .sample = walk_insert},
	{.name = "established, 8k flows",
		.floor = FLOOR_WALK,
		.before = before_established_walk,
		.sample = established_walk},
	{.name = "first payloads, 8k flows",
		.floor = FLOOR_WALK,
		.before = before_watched_walk,
		.sample = watched_walk},
	{.name = "new, allowed, 10 rules",
		.floor = FLOOR_WALK,
		.before = before_new_few,
		.sample = new_flows},
	{.name = "new, allowed, 10,000 rules",
		.floor = FLOOR_WALK,
		.before = before_new_many,
		.sample = new_flows},
	{.name = "new, dry-run (two programs)",
		.floor = FLOOR_WALK,
		.before = before_dry_run,
		.sample = new_flows},
	{.name = "new, second hook",
		.floor = FLOOR_WALK,
		.before = before_second_hook,
		.sample = second_hook},
	{.name = "denied, no event",
		.floor = FLOOR_WALK,
		.before = before_denied_quiet,
		.sample = denied},
	{.name = "denied, no event, 10,000 rules",
		.floor = FLOOR_WALK,
		.before = before_denied_many,
		.sample = denied},
	{.name = "denied, with event",
		.floor = FLOOR_WALK,
		.before = before_denied_told,
		.sample = denied_told},
};
const unsigned bench_n_cases = sizeof(bench_cases) / sizeof(*bench_cases);

int bench_open(void)
{
	/* The sizes a node has by default. */
	bed_sizes = (struct bed_sizes){.flows = 131072,
		.half = 16384,
		.edges = 8192,
		.policies = 131072,
		.addresses = 131072,
		.ring = 4 << 20};
	if (bed_setup(NULL))
		return -EINVAL;
	floor_programs = floor__open_and_load();
	if (!floor_programs)
		return -errno;
	bed_reset(NULL);
	fill_program(FEW, 10);
	fill_program(MANY, 10000);
	fill_floor();
	return 0;
}

void bench_close(void)
{
	floor__destroy(floor_programs);
	bed_teardown(NULL);
}
