/* SPDX-License-Identifier: Apache-2.0 */

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "bulkhead/maps.h"
#include "bulkhead_tc.skel.h"
#include "bulkhead_xdp.skel.h"
#include "marked_leaving.skel.h"
#include "marked_tc.skel.h"
#include "tests/lib/bed.h"

#define POD(n_, name_)                                                            \
	{                                                                         \
		.name = name_, .mac = {2, 0, 0, 0, 0, n_}, .ip4 = {10, 1, 0, n_}, \
		.ip6 = {0xfd, 0, 0, 1, [15] = n_}, .slot = n_, .class = 100 + n_, \
		.workload = 10 + n_                                               \
	}

static const struct party cast[] = {
	POD(1, "web"),
	POD(2, "db"),
	POD(3, "third"),
	{.name = "remote",
		.mac = {2, 0, 0, 0, 0, 0xfe},
		.ip4 = {10, 2, 0, 9},
		.ip6 = {0xfd, 0, 0, 2, [15] = 9},
		.class = 200,
		.workload = 20},
	{.name = "world",
		.mac = {2, 0, 0, 0, 0, 0xfe},
		.ip4 = {192, 0, 2, 7},
		.ip6 = {0x20, 1, 0x0d, 0xb8, [15] = 7},
		.class = BH_CLASS_NONE,
		.workload = BH_WORKLOAD_WORLD},
	{.name = "node",
		.mac = {2, 0, 0, 0, 0, 0xfe},
		.ip4 = {10, 1, 0, 254},
		.ip6 = {0xfd, 0, 0, 1, [15] = 0xfe},
		.class = 300,
		.workload = BH_WORKLOAD_NODE},
};

struct party web, db, third, remote, world, node;
static struct party *const players[] = {&web, &db, &third, &remote, &world, &node};
uint32_t uplink_ifindex;

struct bed_sizes bed_sizes = {
	.flows = 4096, .edges = 256, .policies = 256, .addresses = 256, .ring = 65536};
struct bh_config bed_config;

/* The flow tables, where they are. */
struct flows {
	size_t size; /* of an entry */
	size_t key;  /* … its key, and where in it the flow is */
	size_t flow;
	uint8_t *ways;
	struct bh_flow_set *sets;
};
static struct flows flows4 = {.size = sizeof(struct bh_flow4),
	.key = sizeof(struct bh_flow_key4),
	.flow = offsetof(struct bh_flow4, flow)};
static struct flows flows6 = {.size = sizeof(struct bh_flow6),
	.key = sizeof(struct bh_flow_key6),
	.flow = offsetof(struct bh_flow6, flow)};

static struct bulkhead_tc *tc;
static struct bulkhead_xdp *xdp;
static struct marked_tc *marked;
static struct marked_leaving *leaving;
/* Room for the values of a per-CPU map's element. */
#define CPUS_MAX 512
static int n_cpus;

int bed_map(const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(tc->obj, name);

	if (fd < 0)
		fail_msg("no map %s", name);
	return fd;
}

struct bpf_object *bed_object(void)
{
	return tc->obj;
}

int bed_program_fd(enum bed_program program)
{
	switch (program) {
	case BED_FROM_POD:
		return bpf_program__fd(tc->progs.bh_from_pod);
	case BED_TO_POD:
		return bpf_program__fd(tc->progs.bh_to_pod);
	case BED_CLOCK:
		return bpf_program__fd(tc->progs.bh_clock_read);
	case BED_XDP_POD:
		return bpf_program__fd(xdp->progs.bh_xdp_pod);
	case BED_XDP_UPLINK:
		return bpf_program__fd(xdp->progs.bh_xdp_uplink);
	case BED_MARKED_FROM_POD:
		return bpf_program__fd(marked->progs.bh_marked_from_pod);
	case BED_MARKED_TO_POD:
		return bpf_program__fd(marked->progs.bh_marked_to_pod);
	case BED_LEAVING:
		return bpf_program__fd(leaving->progs.bh_marked_leaving);
	case BED_ARRIVING:
		return bpf_program__fd(leaving->progs.bh_marked_arriving);
	case BED_LEAVING_L3:
		return bpf_program__fd(leaving->progs.bh_marked_leaving_l3);
	case BED_ARRIVING_L3:
		return bpf_program__fd(leaving->progs.bh_marked_arriving_l3);
	}
	return -EINVAL;
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* Names and sizes of the maps that a bed makes small. */
static uint32_t size_of(const char *name)
{
	const struct {
		const char *name;
		uint32_t size;
	} sizes[] = {
		{"bh_flows4", bed_sizes.flows / BH_FLOW_WAYS},
		{"bh_flows6", bed_sizes.flows / BH_FLOW_WAYS},
		{"bh_sets4", bed_sizes.flows / BH_FLOW_WAYS},
		{"bh_sets6", bed_sizes.flows / BH_FLOW_WAYS},
		{"bh_edges", bed_sizes.edges},
		{"bh_edge_index", bed_sizes.edges * 2},
		{"bh_edge_free", bed_sizes.edges},
		{"bh_events", bed_sizes.ring},
		{"bh_addr4", bed_sizes.addresses},
		{"bh_addr6", bed_sizes.addresses},
		{"bh_trie4", bed_sizes.blocks ? bed_sizes.blocks : 64},
		{"bh_trie6", bed_sizes.blocks ? bed_sizes.blocks : 64},
		{"bh_policies", bed_sizes.policies},
		{"bh_spills", bed_sizes.spills ? bed_sizes.spills : 256},
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (!strcmp(sizes[i].name, name))
			return sizes[i].size;
	}
	return 0;
}

static void shape_maps(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);
		uint32_t size = size_of(name);

		if (size)
			bpf_map__set_max_entries(map, size);
	}
}

static void share_maps(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		int fd = bpf_object__find_map_fd_by_name(tc->obj, bpf_map__name(map));

		if (fd >= 0)
			bpf_map__reuse_fd(map, fd);
	}
}

/* Only what the tests ask for: each program takes its time to verify. */
static void load_only_marked(struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_autoload(
			program, !strncmp(bpf_program__name(program), "bh_marked_", 10));
	}
}

static int load_marked(void)
{
	marked = marked_tc__open();
	leaving = marked_leaving__open();
	if (!marked || !leaving)
		return -errno;
	load_only_marked(marked->obj);
	load_only_marked(leaving->obj);
	share_maps(marked->obj);
	share_maps(leaving->obj);
	return marked_tc__load(marked) || marked_leaving__load(leaving) ? -errno : 0;
}

static int load(void)
{
	tc = bulkhead_tc__open();
	if (!tc)
		return -errno;
	shape_maps(tc->obj);
	if (bulkhead_tc__load(tc))
		return -errno;
	if (bed_sizes.marked && load_marked() < 0)
		return -errno;
	if (!bed_sizes.xdp)
		return 0;
	xdp = bulkhead_xdp__open();
	if (!xdp)
		return -errno;
	share_maps(xdp->obj);
	return bulkhead_xdp__load(xdp) ? -errno : 0;
}

static int make_interfaces(void)
{
	const char *commands[] = {
		"ip link set lo up",
		"ip link add pod1 type veth peer name in1 && ip link add pod2 type veth peer name "
		"in2",
		"ip link add pod3 type veth peer name in3 && ip link add up0 type veth peer name "
		"up1",
	};
	char name[] = "pod1";

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (system(commands[i]))
			return -EIO;
	}
	for (int i = 0; i < 3; i++) {
		name[3] = '1' + i;
		players[i]->ifindex = if_nametoindex(name);
	}
	uplink_ifindex = if_nametoindex("up0");
	return 0;
}

static size_t flow_bytes(const struct flows *flows)
{
	return bed_sizes.flows * flows->size;
}

static int map_flows(struct flows *flows, const char *ways, const char *sets)
{
	const int way_fd = bed_map(ways), set_fd = bed_map(sets);

	flows->ways = mmap(NULL, flow_bytes(flows), PROT_READ | PROT_WRITE, MAP_SHARED, way_fd, 0);
	flows->sets = mmap(NULL, bed_sizes.flows / BH_FLOW_WAYS * sizeof(*flows->sets),
		PROT_READ | PROT_WRITE, MAP_SHARED, set_fd, 0);
	return flows->ways == MAP_FAILED || flows->sets == MAP_FAILED ? -errno : 0;
}

static void unmap_flows(struct flows *flows)
{
	munmap(flows->ways, flow_bytes(flows));
	munmap(flows->sets, bed_sizes.flows / BH_FLOW_WAYS * sizeof(*flows->sets));
}

int bed_setup(void **state)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	cpu_set_t one;

	/* One CPU: per-CPU buckets and lists of free entries are then always the same ones. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	n_cpus = libbpf_num_possible_cpus();
	if (n_cpus < 1 || n_cpus > CPUS_MAX)
		return -1;
	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "bed: no network namespace: %s\n", strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < 6; i++)
		*players[i] = cast[i];
	if (make_interfaces() < 0 || load() < 0 ||
		map_flows(&flows4, "bh_flows4", "bh_sets4") < 0 ||
		map_flows(&flows6, "bh_flows6", "bh_sets6") < 0) {
		fprintf(stderr, "bed: cannot be made: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

int bed_teardown(void **state)
{
	unmap_flows(&flows4);
	unmap_flows(&flows6);
	bulkhead_xdp__destroy(xdp);
	marked_tc__destroy(marked);
	marked_leaving__destroy(leaving);
	bulkhead_tc__destroy(tc);
	xdp = NULL;
	marked = NULL;
	leaving = NULL;
	tc = NULL;
	return 0;
}

/* ---- Reset ----------------------------------------------------------------------------------- */

/* Key after key, and the one before only when its successor is known: from the beginning each time
 * a large table would be searched through once for every key. */
static void empty(const char *name)
{
	int fd = bed_map(name);
	uint8_t keys[2][64];
	unsigned at = 0;
	bool more = !bpf_map_get_next_key(fd, NULL, keys[at]);

	while (more) {
		more = !bpf_map_get_next_key(fd, keys[at], keys[!at]);
		if (bpf_map_delete_elem(fd, keys[at]))
			fail_msg("cannot empty %s", name);
		at = !at;
	}
}

/* Only what is in use, so that the rest of a large table is not brought to hand. */
static void empty_table(struct flows *flows)
{
	for (uint32_t at = 0; at < bed_sizes.flows; at++) {
		struct bh_flow_set *set = &flows->sets[at / BH_FLOW_WAYS];

		if (!set->tag[at % BH_FLOW_WAYS])
			continue;
		memset(flows->ways + at * flows->size, 0, flows->size);
		set->tag[at % BH_FLOW_WAYS] = 0;
		set->settled = 0;
	}
}

void empty_flows(void)
{
	empty_table(&flows4);
	empty_table(&flows6);
	empty("bh_fragments");
}

static void zero_array(const char *name, size_t value_size)
{
	int fd = bed_map(name);
	uint32_t entries = bpf_map__max_entries(bpf_object__find_map_by_name(tc->obj, name));
	void *zeros = calloc(n_cpus, value_size);

	for (uint32_t i = 0; i < entries; i++)
		assert_int_equal(bpf_map_update_elem(fd, &i, zeros, BPF_ANY), 0);
	free(zeros);
}

void edge_free_leave(unsigned n)
{
	int fd = bed_map("bh_edge_free");
	uint32_t slot;

	while (!bpf_map_lookup_and_delete_elem(fd, NULL, &slot))
		;
	/* Slot 0 is the overflow's. */
	for (slot = n; slot >= 1; slot--)
		assert_int_equal(bpf_map_update_elem(fd, NULL, &slot, BPF_ANY), 0);
}

unsigned edge_free_count(void)
{
	int fd = bed_map("bh_edge_free");
	uint32_t slots[4096], n = 0;

	while (n < 4096 && !bpf_map_lookup_and_delete_elem(fd, NULL, &slots[n]))
		n++;
	for (uint32_t i = n; i > 0; i--)
		bpf_map_update_elem(fd, NULL, &slots[i - 1], BPF_ANY);
	return n;
}

void configure(void)
{
	const uint32_t zero = 0;

	assert_int_equal(bpf_map_update_elem(bed_map("bh_config"), &zero, &bed_config, BPF_ANY), 0);
}

void configure_anew(void)
{
	bed_config.generation++;
	configure();
}

static void endpoint_read(const struct party *pod, struct bh_endpoint *ret)
{
	assert_int_equal(bpf_map_lookup_elem(bed_map("bh_endpoints"), &pod->slot, ret), 0);
}

void bed_endpoint_store(const struct party *pod, const struct bh_endpoint *endpoint)
{
	assert_int_equal(
		bpf_map_update_elem(bed_map("bh_endpoints"), &pod->slot, endpoint, BPF_ANY), 0);
}

static uint64_t next_epoch(void)
{
	bed_config.epoch++;
	configure();
	return bed_config.epoch;
}

static void make_endpoint(const struct party *pod)
{
	const struct bh_iface iface = {.slot = pod->slot};
	struct bh_endpoint endpoint = {
		.programs = BH_PROGRAM_NONE | (uint64_t)BH_PROGRAM_NONE << 32,
		.epoch = next_epoch(),
		.ifindex = pod->ifindex,
		.n_addr4 = 1,
		.n_addr6 = 1,
		.workload = pod->workload,
	};

	endpoint.born = endpoint.epoch;
	memcpy(endpoint.mac, pod->mac, 6);
	memcpy(&endpoint.addr4[0], pod->ip4, 4);
	memcpy(endpoint.addr6[0], pod->ip6, 16);
	bed_endpoint_store(pod, &endpoint);
	assert_int_equal(
		bpf_map_update_elem(bed_map("bh_ifaces"), &pod->ifindex, &iface, BPF_ANY), 0);
}

int bed_reset(void **state)
{
	static const char *const hashes[] = {"bh_ifaces", "bh_addr4", "bh_addr6", "bh_trie4",
		"bh_trie6", "bh_policies", "bh_spills", "bh_edge_index"};
	static const uint32_t seconds[] = {60, 60, 86400, 180, 120, 10};
	const uint64_t epoch = bed_config.epoch; /* epochs never repeat, not even here */
	const uint32_t generation = bed_config.generation + 1;

	for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++)
		empty(hashes[i]);
	empty_flows();
	zero_array("bh_edges", sizeof(struct bh_edge));
	zero_array("bh_counters", sizeof(uint64_t));
	zero_array("bh_buckets", sizeof(struct bh_bucket));
	edge_free_leave(bed_sizes.edges - 1);

	bed_config = (struct bh_config){.abi = BH_ABI,
		.hz = BED_HZ,
		.generation = generation,
		.epoch = epoch,
		.deny_rate = 10,
		.deny_burst = 100,
		.flow_seed = 0x0123456789abcdef,
		.flow_mask4 = bed_sizes.flows - 1,
		.flow_mask6 = bed_sizes.flows - 1};
	for (size_t i = 0; i < BH_FLOW_STATES; i++)
		bed_config.timeout[i] = seconds[i] * BED_HZ;
	for (size_t i = 0; i < 6; i++) {
		if (players[i]->slot)
			make_endpoint(players[i]);
		if (players[i] != &world)
			identify(players[i], players[i]->class, players[i]->workload);
	}
	configure();
	return 0;
}

/* ---- What the dataplane writes ----------------------------------------------------------------
 */

static void add_rule(
	uint32_t program, enum bh_direction direction, uint32_t class, const struct bh_rule *rule)
{
	struct bh_policy_key key = {.program = program,
		.class_dir = class | (direction == BH_EGRESS ? BH_POLICY_EGRESS : 0)};
	struct bh_policy policy = {0};
	int fd = bed_map("bh_policies");

	bpf_map_lookup_elem(fd, &key, &policy);
	if (rule) {
		assert_true(policy.n_rules < BH_RULES_INLINE);
		policy.rules[policy.n_rules++] = *rule;
		if (rule->flags & BH_RULE_DENY)
			policy.flags |= bh_policy_denies(rule->protocol);
	} else {
		policy.flags |= BH_POLICY_SPILLED;
	}
	assert_int_equal(bpf_map_update_elem(fd, &key, &policy, BPF_ANY), 0);
	configure_anew();
}

void allow(uint32_t program, enum bh_direction direction, uint32_t class, uint8_t protocol,
	uint16_t lo, uint16_t hi, uint32_t rule)
{
	const struct bh_rule r = {.protocol = protocol, .port_lo = lo, .port_hi = hi, .rule = rule};

	add_rule(program, direction, class, &r);
}

void defer(uint32_t program, uint32_t class, uint8_t protocol, uint16_t lo, uint16_t hi)
{
	const struct bh_rule r = {
		.protocol = protocol, .flags = BH_RULE_DEFER, .port_lo = lo, .port_hi = hi};

	add_rule(program, BH_EGRESS, class, &r);
}

void deny(uint32_t program, enum bh_direction direction, uint32_t class, uint8_t protocol,
	uint16_t lo, uint16_t hi, uint32_t rule)
{
	const struct bh_rule r = {.protocol = protocol,
		.flags = BH_RULE_DENY,
		.port_lo = lo,
		.port_hi = hi,
		.rule = rule};

	add_rule(program, direction, class, &r);
}

void spill(uint32_t program, enum bh_direction direction, uint32_t class, uint8_t protocol,
	uint16_t port, unsigned bits, uint32_t rule, uint32_t flags)
{
	struct bh_spill_key key = {.bits = BH_SPILL_BITS_BASE + bits,
		.program = htobe32(program),
		.class_dir = htobe32(class | (direction == BH_EGRESS ? BH_POLICY_EGRESS : 0)),
		.protocol = protocol,
		.port = {port >> 8, port & 0xff}};
	struct bh_spill value = {.rule = rule, .flags = flags};

	add_rule(program, direction, class, NULL);
	assert_int_equal(bpf_map_update_elem(bed_map("bh_spills"), &key, &value, BPF_ANY), 0);
	configure_anew();
}

void use(const struct party *pod, uint32_t active, uint32_t pending)
{
	struct bh_endpoint endpoint;

	endpoint_read(pod, &endpoint);
	endpoint.programs = active | (uint64_t)pending << 32;
	bed_endpoint_store(pod, &endpoint);
	move_epoch(pod);
}

void enforce(const struct party *pod, uint32_t program)
{
	use(pod, program, program);
}

void move_epoch(const struct party *pod)
{
	struct bh_endpoint endpoint;

	endpoint_read(pod, &endpoint);
	endpoint.epoch = next_epoch();
	bed_endpoint_store(pod, &endpoint);
}

void reborn(const struct party *pod)
{
	struct bh_endpoint endpoint;

	endpoint_read(pod, &endpoint);
	endpoint.epoch = next_epoch();
	endpoint.born = endpoint.epoch;
	bed_endpoint_store(pod, &endpoint);
}

void add_address(const struct party *pod, const struct party *other)
{
	struct bh_endpoint endpoint;

	endpoint_read(pod, &endpoint);
	memcpy(&endpoint.addr4[endpoint.n_addr4++], other->ip4, 4);
	memcpy(endpoint.addr6[endpoint.n_addr6++], other->ip6, 16);
	bed_endpoint_store(pod, &endpoint);
}

void take_addresses6(const struct party *pod)
{
	struct bh_endpoint endpoint;

	endpoint_read(pod, &endpoint);
	endpoint.n_addr6 = 0;
	memset(endpoint.addr6, 0, sizeof(endpoint.addr6));
	bed_endpoint_store(pod, &endpoint);
}

void hold_nameless(const struct party *pod)
{
	struct bh_endpoint endpoint;

	take_addresses6(pod);
	endpoint_read(pod, &endpoint);
	endpoint.workload = BH_WORKLOAD_HELD;
	endpoint.n_addr4 = 0;
	memset(endpoint.addr4, 0, sizeof(endpoint.addr4));
	bed_endpoint_store(pod, &endpoint);
	enforce(pod, BH_PROGRAM_HELD);
}

void forget_interface(const struct party *pod)
{
	assert_int_equal(bpf_map_delete_elem(bed_map("bh_ifaces"), &pod->ifindex), 0);
	configure_anew();
}

static void put_identity(const struct party *who, const struct bh_identity *identity)
{
	assert_int_equal(bpf_map_update_elem(bed_map("bh_addr4"), who->ip4, identity, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(bed_map("bh_addr6"), who->ip6, identity, BPF_ANY), 0);
	configure_anew();
}

void identify(const struct party *who, uint32_t class, uint32_t workload)
{
	const struct bh_identity identity = {
		.class = class, .workload = workload, .slot = who->slot};

	put_identity(who, &identity);
}

void identify_service(const struct party *service)
{
	const struct bh_identity identity = {.class = service->class,
		.workload = service->workload,
		.flags = BH_IDENTITY_SERVICE};

	put_identity(service, &identity);
}

void no_identity(const struct party *who)
{
	bpf_map_delete_elem(bed_map("bh_addr4"), who->ip4);
	bpf_map_delete_elem(bed_map("bh_addr6"), who->ip6);
	configure_anew();
}

void block(int family, const uint8_t *address, unsigned bits, uint32_t class, uint32_t workload)
{
	const struct bh_identity identity = {.class = class, .workload = workload};
	struct bh_prefix4 prefix4 = {.bits = bits};
	struct bh_prefix6 prefix6 = {.bits = bits};

	memcpy(&prefix4.addr, address, 4);
	if (family == 6)
		memcpy(prefix6.addr, address, 16);
	assert_int_equal(
		bpf_map_update_elem(bed_map(family == 4 ? "bh_trie4" : "bh_trie6"),
			family == 4 ? (void *)&prefix4 : (void *)&prefix6, &identity, BPF_ANY),
		0);
	bed_config.flags |= family == 4 ? BH_CONFIG_TRIE4 : BH_CONFIG_TRIE6;
	configure();
	configure_anew();
}

/* ---- What the dataplane reads -----------------------------------------------------------------
 */

void counters_read(uint64_t ret_counters[BH_COUNTERS])
{
	int fd = bed_map("bh_counters");
	static uint64_t values[CPUS_MAX];

	for (uint32_t i = 0; i < BH_COUNTERS; i++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &i, values), 0);
		ret_counters[i] = 0;
		for (int cpu = 0; cpu < n_cpus; cpu++)
			ret_counters[i] += values[cpu];
	}
}

uint64_t counter(uint32_t index)
{
	uint64_t all[BH_COUNTERS];

	counters_read(all);
	return all[index];
}

/*
 * The key by abi.h's words: the ends sorted as bytes of (address, port). Written out once more and
 * not taken from the programs, so that a mistake there is not repeated here.
 */
static void flow_key(const struct frame *f, uint8_t ret_key[40])
{
	const size_t n = f->family == 4 ? 4 : 16;
	const uint8_t *src = f->data + f->l3 + (f->family == 4 ? 12 : 8), *dst = src + n;
	const uint8_t *l4 = f->data + f->l4;
	uint8_t ends[2][18] = {0};
	int swap;

	memcpy(ends[0], src, n);
	memcpy(ends[1], dst, n);
	if (f->protocol == 6 || f->protocol == 17 || f->protocol == 132) {
		memcpy(ends[0] + n, l4, 2);
		memcpy(ends[1] + n, l4 + 2, 2);
	} else if (f->protocol == 1 || f->protocol == 58) {
		memcpy(ends[0] + n, l4 + 4, 2);
		memcpy(ends[1] + n, l4 + 4, 2);
	}
	swap = memcmp(ends[0], ends[1], n + 2) > 0;
	memset(ret_key, 0, 40);
	for (int side = 0; side < 2; side++) {
		memcpy(ret_key + side * n, ends[side ^ swap], n);
		memcpy(ret_key + 2 * n + side * 2, ends[side ^ swap] + n, 2);
	}
	ret_key[2 * n + 4] = f->protocol;
	ret_key[2 * n + 5] = 1;
}

static struct flows *flows_of(int family)
{
	return family == 4 ? &flows4 : &flows6;
}

static bool is_settled(const struct flows *flows, uint32_t at)
{
	return flows->sets[at / BH_FLOW_WAYS].settled >> at % BH_FLOW_WAYS & 1;
}

/* Its entry, by looking at all of them; NULL: there is none. */
static uint8_t *flow_entry(const struct frame *f, enum where *ret_where)
{
	const struct flows *flows = flows_of(f->family);
	uint8_t key[40];

	flow_key(f, key);
	for (uint32_t at = 0; at < bed_sizes.flows; at++) {
		uint8_t *entry = flows->ways + at * flows->size;

		if (memcmp(entry, key, flows->key))
			continue;
		/* Who is there has a tag by which the programs find it. */
		assert_int_not_equal(flows->sets[at / BH_FLOW_WAYS].tag[at % BH_FLOW_WAYS], 0);
		*ret_where = is_settled(flows, at) ? SETTLED : HALF_OPEN;
		return entry;
	}
	return NULL;
}

enum where flow_of(const struct frame *f, struct bh_flow *ret_flow)
{
	enum where where = NOWHERE;
	const uint8_t *entry = flow_entry(f, &where);

	if (entry && ret_flow)
		memcpy(ret_flow, entry + flows_of(f->family)->flow, sizeof(*ret_flow));
	return where;
}

int64_t flow_at(const struct frame *f)
{
	const struct flows *flows = flows_of(f->family);
	enum where where;
	const uint8_t *entry = flow_entry(f, &where);

	return entry ? (entry - flows->ways) / (int64_t)flows->size : -1;
}

int flow_command(const struct bh_flow_request *request, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = request, .data_size_in = size);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(tc->progs.bh_flow_command), &run), 0);
	return (int)run.retval;
}

void flow_key_of(const struct frame *f, union bh_flow_key *ret_key)
{
	uint8_t key[40];

	flow_key(f, key);
	memset(ret_key, 0, sizeof(*ret_key));
	memcpy(ret_key, key, flows_of(f->family)->key);
}

void flow_store(const struct frame *f, const struct bh_flow *flow)
{
	struct bh_flow_request request = {.op = BH_FLOW_OP_PUT, .family = f->family, .flow = *flow};
	enum where where;

	flow_key_of(f, &request.key);
	if (flow_command(&request, sizeof(request)) != BH_FLOW_DONE)
		memcpy(flow_entry(f, &where) + flows_of(f->family)->flow, flow, sizeof(*flow));
}

static uint64_t jiffies_now(void)
{
	uint8_t frame[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));
	struct bh_clock clock;
	uint32_t zero = 0;

	assert_int_equal(bpf_prog_test_run_opts(bed_program_fd(BED_CLOCK), &run), 0);
	assert_int_equal(bpf_map_lookup_elem(bed_map("bh_clock"), &zero, &clock), 0);
	return clock.jiffies;
}

void flows_fill(int family)
{
	const struct flows *flows = flows_of(family);
	const struct bh_flow flow = {.seen = (uint32_t)jiffies_now()};

	for (uint32_t at = 0; at < bed_sizes.flows; at++) {
		struct bh_flow_set *set = &flows->sets[at / BH_FLOW_WAYS];
		uint8_t *entry = flows->ways + at * flows->size;

		if (set->tag[at % BH_FLOW_WAYS])
			continue;
		/* Of addresses that nobody has. */
		memcpy(entry, &at, sizeof(at));
		entry[flows->key - 3] = 1;
		memcpy(entry + flows->flow, &flow, sizeof(flow));
		set->tag[at % BH_FLOW_WAYS] = 1;
	}
}

void flows_refuse(void)
{
	/* Places beyond the table: there is nothing there. */
	bed_config.flow_mask4 = bed_config.flow_mask6 = 0xffffff;
	configure();
}

void flow_age(const struct frame *f, unsigned seconds)
{
	enum where where = NOWHERE;
	uint8_t *entry = flow_entry(f, &where);
	struct bh_flow *flow;

	assert_non_null(entry);
	flow = (struct bh_flow *)(entry + flows_of(f->family)->flow);
	flow->seen -= seconds * BED_HZ;
}

void fragments_age(unsigned seconds)
{
	int fd = bed_map("bh_fragments");
	struct bh_fragment_key key, *at = NULL;
	struct bh_fragment fragment;

	for (; !bpf_map_get_next_key(fd, at, &key); at = &key) {
		assert_int_equal(bpf_map_lookup_elem(fd, &key, &fragment), 0);
		fragment.seen -= seconds * BED_HZ;
		assert_int_equal(bpf_map_update_elem(fd, &key, &fragment, BPF_EXIST), 0);
	}
}

void buckets_age(unsigned seconds)
{
	static struct bh_bucket values[CPUS_MAX];
	int fd = bed_map("bh_buckets");

	for (uint32_t i = 0; i < BH_BUCKETS; i++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &i, values), 0);
		for (int cpu = 0; cpu < n_cpus; cpu++)
			values[cpu].stamp -= seconds * BED_HZ;
		assert_int_equal(bpf_map_update_elem(fd, &i, values, BPF_ANY), 0);
	}
}

static unsigned count_keys(int fd)
{
	uint8_t key[64], next[64];
	unsigned n = 0;

	for (void *at = NULL; !bpf_map_get_next_key(fd, at, next); n++) {
		memcpy(key, next, sizeof(key));
		at = key;
	}
	return n;
}

unsigned flow_count(int family, enum where where)
{
	const struct flows *flows = flows_of(family);
	unsigned n = 0;

	for (uint32_t at = 0; at < bed_sizes.flows; at++) {
		const bool used = flows->sets[at / BH_FLOW_WAYS].tag[at % BH_FLOW_WAYS];

		n += used && is_settled(flows, at) == (where == SETTLED);
	}
	return n;
}

void edges_retire(void)
{
	empty("bh_edge_index");
}

unsigned edge_index_count(void)
{
	return count_keys(bed_map("bh_edge_index"));
}

static void edge_slot_read(uint32_t slot, struct bh_edge *ret_edge)
{
	static struct bh_edge values[CPUS_MAX];

	assert_int_equal(bpf_map_lookup_elem(bed_map("bh_edges"), &slot, values), 0);
	*ret_edge = values[0];
	for (int cpu = 1; cpu < n_cpus; cpu++) {
		if (values[cpu].talked && (!ret_edge->talked || (int32_t)(values[cpu].talked -
									  ret_edge->talked) > 0)) {
			ret_edge->talked = values[cpu].talked;
			ret_edge->app = values[cpu].app;
			ret_edge->encrypted = values[cpu].encrypted;
			ret_edge->tls = values[cpu].tls;
		}
		if (values[cpu].trips &&
			(!ret_edge->trips || values[cpu].trip_min < ret_edge->trip_min))
			ret_edge->trip_min = values[cpu].trip_min;
		ret_edge->trips += values[cpu].trips;
		ret_edge->trip_sum += values[cpu].trip_sum;
		ret_edge->refusals += values[cpu].refusals;
		for (int i = 0; i < 2; i++) {
			ret_edge->packets[i] += values[cpu].packets[i];
			ret_edge->octets[i] += values[cpu].octets[i];
		}
		ret_edge->flows += values[cpu].flows;
		ret_edge->resets += values[cpu].resets;
	}
}

bool edge_find(const struct bh_edge_key *key, struct bh_edge *ret_edge, struct bh_edge_ref *ret_ref)
{
	struct bh_edge_ref ref;

	if (bpf_map_lookup_elem(bed_map("bh_edge_index"), key, &ref))
		return false;
	if (ret_ref)
		*ret_ref = ref;
	if (ret_edge)
		edge_slot_read(ref.slot, ret_edge);
	return true;
}

uint64_t edge_slot_packets(uint32_t slot)
{
	struct bh_edge edge;

	edge_slot_read(slot, &edge);
	return edge.packets[0] + edge.packets[1];
}

uint64_t edges_packets(void)
{
	uint64_t sum = 0;

	for (uint32_t slot = 0; slot < bed_sizes.edges; slot++)
		sum += edge_slot_packets(slot);
	return sum;
}
