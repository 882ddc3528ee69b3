/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_DATAPLANE_FIXTURE_H
#define TESTS_UNIT_DATAPLANE_FIXTURE_H

/*
 * A node of the test's own: the process moves into a fresh network namespace, pods are namespaces
 * held by sleeping children, and a run directory under /tmp names the instance. Processes and names
 * of namespaces are its own as well: the data plane looks for addresses in every namespace that it
 * can see, and another checkout's tests use the same ones. Nothing outlives the process but pins,
 * which every test takes down.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/object.h"
#include "dataplane/ownership.h"
#include "dataplane/problems.h"
#include "dataplane/staging.h"

/* Runs a shell command that must succeed. */
__attribute__((format(printf, 1, 2))) static inline void sh(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("'%s' failed", command);
}

/* A pod's namespace: held open by a child that dies with us. */
static inline pid_t pod_start(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static inline void pod_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A veth pair: `host` here, eth0 with `address` in the pod's namespace. */
static inline void pod_wire(pid_t pid, const char *host, const char *address)
{
	sh("ip link add %s type veth peer name eth0 netns %d", host, (int)pid);
	sh("ip link set %s up", host);
	sh("nsenter -t %d -n ip link set eth0 up", (int)pid);
	sh("nsenter -t %d -n ip address add %s dev eth0", (int)pid, address);
}

static inline const char *run_dir(void)
{
	static char path[64];

	if (!path[0])
		snprintf(path, sizeof(path), "/tmp/bh-unit-%d", (int)getpid());
	mkdir(path, 0755);
	return path;
}

/* Group fixtures: a namespace of our own, and nothing left behind. */
static inline int node_setup(void **state)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	sh("ip link set lo up");
	run_dir();
	return 0;
}

static inline int node_teardown(void **state)
{
	struct bh_why why = {};

	if (bh_ownership_down(run_dir(), &why) < 0)
		print_error("%s\n", why.text);
	rmdir(run_dir());
	return 0;
}

static inline struct bh_object *object_open(void)
{
	uint32_t sizes[BH_MAP_COUNT] = {
		[BH_MAP_bh_addr4] = 1024,
		[BH_MAP_bh_addr6] = 1024,
		[BH_MAP_bh_trie4] = 256,
		[BH_MAP_bh_trie6] = 256,
		[BH_MAP_bh_policies] = 1024,
		[BH_MAP_bh_spills] = 1024,
		[BH_MAP_bh_flows4] = 4096,
		[BH_MAP_bh_flows6] = 1024,
		[BH_MAP_bh_edge_index] = 256,
		[BH_MAP_bh_edge_free] = 256,
		[BH_MAP_bh_edges] = 256,
		[BH_MAP_bh_events] = 65536,
	};
	struct bh_object *object = NULL;
	struct bh_why why = {};

	if (bh_object_open(run_dir(), sizes, &object, &why) < 0)
		fail_msg("%s", why.text);
	return object;
}

static inline void take_down(void)
{
	struct bh_why why = {};

	if (bh_ownership_down(run_dir(), &why) < 0)
		fail_msg("%s", why.text);
}

static inline uint32_t ip4(const char *text)
{
	uint32_t ip;

	assert_int_equal(inet_pton(AF_INET, text, &ip), 1);
	return ip;
}

/* Returns in a child; the caller ends as that does. */
static inline void go_on_in_child(void)
{
	pid_t pid = fork(), ended;
	int status = 0;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	do
		ended = waitpid(-1, &status, 0);
	while (pid > 0 && ended != pid && (ended > 0 || errno == EINTR));
	_exit(ended == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* Processes, /proc and names of network namespaces that nobody else has. */
static inline void machine_of_our_own(void)
{
	run_dir(); /* named after a process id that is nobody else's */
	if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
		perror("a process namespace of the test's own");
		exit(1);
	}
	go_on_in_child(); /* the first one in it only reaps */
	mkdir("/run/netns", 0755);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("proc", "/proc", "proc", 0, NULL) < 0 ||
		mount("tmpfs", "/run/netns", "tmpfs", 0, "mode=755") < 0 ||
		(mount("tmpfs", "/run/docker/netns", "tmpfs", 0, "mode=755") < 0 &&
			errno != ENOENT)) {
		perror("mounts of the test's own");
		exit(1);
	}
	go_on_in_child();
}

/* To be called first. Without root these tests cannot do anything: says so in TAP and ends. */
static inline void need_root(void)
{
	if (geteuid() != 0) {
		puts("1..1\nok 1 - dataplane # SKIP root");
		exit(0);
	}
	machine_of_our_own();
}

/* Polls until the condition holds; fails after a minute. */
#define EVENTUALLY(condition)                                              \
	do {                                                               \
		const struct timespec nap_ = {.tv_nsec = 5 * 1000 * 1000}; \
		int tries_ = 12000;                                        \
		while (!(condition) && tries_-- > 0)                       \
			nanosleep(&nap_, NULL);                            \
		assert_true(condition);                                    \
	} while (0)

/* ---- Updates as they come from the wire ----------------------------------------------------- */

/* One part of an update under construction; everything is freed with update_free(). */
struct update {
	Bulkhead__Wire__Update wire;
};

static inline struct update *update_new(uint64_t revision, bool full)
{
	struct update *update = calloc(1, sizeof(*update));

	assert_non_null(update);
	bulkhead__wire__update__init(&update->wire);
	update->wire.revision = revision;
	update->wire.base_revision = revision - 1;
	update->wire.full = full;
	update->wire.last = true;
	return update;
}

#define UPDATE_PUSH(list, n, element)                                  \
	do {                                                           \
		(list) = realloc((list), ((n) + 1) * sizeof(*(list))); \
		assert_non_null(list);                                 \
		(list)[(n)++] = (element);                             \
	} while (0)

static inline ProtobufCBinaryData ip_bytes(const char *text)
{
	ProtobufCBinaryData bytes = {.data = malloc(16)};

	assert_non_null(bytes.data);
	if (inet_pton(AF_INET, text, bytes.data) == 1)
		bytes.len = 4;
	else if (inet_pton(AF_INET6, text, bytes.data) == 1)
		bytes.len = 16;
	else
		fail_msg("'%s' is no address", text);
	return bytes;
}

static inline void add_address(
	struct update *update, const char *ip, uint32_t class, uint32_t workload)
{
	Bulkhead__Wire__Address *address = calloc(1, sizeof(*address));

	bulkhead__wire__address__init(address);
	address->ip = ip_bytes(ip);
	address->class_ = class;
	address->workload = workload;
	UPDATE_PUSH(update->wire.addresses, update->wire.n_addresses, address);
}

static inline void remove_address(struct update *update, const char *ip)
{
	UPDATE_PUSH(update->wire.removed_addresses, update->wire.n_removed_addresses, ip_bytes(ip));
}

static inline Bulkhead__Wire__Block *block_new(const char *ip, uint32_t bits, uint32_t class)
{
	Bulkhead__Wire__Block *block = calloc(1, sizeof(*block));

	bulkhead__wire__block__init(block);
	block->ip = ip_bytes(ip);
	block->bits = bits;
	block->class_ = class;
	return block;
}

static inline void add_block(struct update *update, const char *ip, uint32_t bits, uint32_t class)
{
	UPDATE_PUSH(update->wire.blocks, update->wire.n_blocks, block_new(ip, bits, class));
}

static inline void remove_block(struct update *update, const char *ip, uint32_t bits)
{
	UPDATE_PUSH(
		update->wire.removed_blocks, update->wire.n_removed_blocks, block_new(ip, bits, 0));
}

static inline Bulkhead__Wire__Program *add_program(struct update *update, uint32_t number)
{
	Bulkhead__Wire__Program *program = calloc(1, sizeof(*program));

	bulkhead__wire__program__init(program);
	program->number = number;
	UPDATE_PUSH(update->wire.programs, update->wire.n_programs, program);
	return program;
}

static inline Bulkhead__Wire__ProgramEntry *add_entry(
	Bulkhead__Wire__Program *program, bool egress, uint32_t class)
{
	Bulkhead__Wire__ProgramEntry *entry = calloc(1, sizeof(*entry));

	bulkhead__wire__program_entry__init(entry);
	entry->egress = egress;
	entry->class_ = class;
	UPDATE_PUSH(program->entries, program->n_entries, entry);
	return entry;
}

static inline void add_rule(Bulkhead__Wire__ProgramEntry *entry, uint32_t protocol, uint32_t lo,
	uint32_t hi, uint32_t number)
{
	Bulkhead__Wire__Rule *rule = calloc(1, sizeof(*rule));

	bulkhead__wire__rule__init(rule);
	rule->protocol = protocol;
	rule->port_lo = lo;
	rule->port_hi = hi;
	rule->rule = number;
	UPDATE_PUSH(entry->rules, entry->n_rules, rule);
}

/* A program with one ingress entry of one rule: TCP, all ports, by this rule number. */
static inline void add_simple_program(
	struct update *update, uint32_t number, uint32_t class, uint32_t rule)
{
	add_rule(add_entry(add_program(update, number), false, class), 6, 0, 65535, rule);
}

static inline Bulkhead__Wire__Endpoint *add_endpoint(
	struct update *update, const char *uid, const char *ip, uint32_t program)
{
	Bulkhead__Wire__Endpoint *endpoint = calloc(1, sizeof(*endpoint));

	bulkhead__wire__endpoint__init(endpoint);
	endpoint->uid = strdup(uid);
	endpoint->name = strdup(uid);
	endpoint->active = endpoint->pending = program;
	endpoint->workload = 77;
	if (ip)
		UPDATE_PUSH(endpoint->ips, endpoint->n_ips, ip_bytes(ip));
	UPDATE_PUSH(update->wire.endpoints, update->wire.n_endpoints, endpoint);
	return endpoint;
}

static inline void remove_endpoint(struct update *update, const char *uid)
{
	UPDATE_PUSH(update->wire.removed_endpoints, update->wire.n_removed_endpoints, strdup(uid));
}

/*
 * The members were allocated one by one, as protobuf-c does it: its own function frees them. The
 * static empty strings it starts with are not touched by it.
 */
static inline void update_free(struct update *update)
{
	Bulkhead__Wire__Update *copy = malloc(sizeof(*copy));

	assert_non_null(copy);
	*copy = update->wire;
	bulkhead__wire__update__free_unpacked(copy, NULL);
	free(update);
}

/* Stages one part; the result of bh_staging_part(). */
static inline int stage_part(struct bh_staging *staging, struct update *update,
	struct bh_change **ret_change, struct bh_why *why)
{
	int r = bh_staging_part(staging, &update->wire, ret_change, why);

	update_free(update);
	return r;
}

/* A whole update of one part that must be taken. */
static inline struct bh_change *change_of(struct update *update)
{
	struct bh_staging staging = {};
	struct bh_change *change = NULL;
	struct bh_why why = {};

	if (stage_part(&staging, update, &change, &why) != 1)
		fail_msg("refused: %s", why.text);
	return change;
}

/* ---- Flows ---- */

/* Where a key's flow is, by looking at all of them; -1: nowhere. */
static inline int64_t flow_at(struct bh_object *object, uint8_t family,
	const union bh_flow_key *key, struct bh_flow *ret_flow)
{
	struct bh_flow_table *table = &object->flows[family == 6];
	union bh_flow_key other;
	bool settled;

	for (uint32_t at = 0; at < bh_flow_table_size(table); at++) {
		if (bh_flow_table_read(table, at, &other, ret_flow, &settled) &&
			!memcmp(&other, key, family == 4 ? sizeof(other.v4) : sizeof(other.v6)))
			return at;
	}
	return -1;
}

/* Enters a flow, or writes over the one that is there. */
static inline void flow_put(struct bh_object *object, uint8_t family, const union bh_flow_key *key,
	const struct bh_flow *flow)
{
	const enum bh_map map = family == 4 ? BH_MAP_bh_flows4 : BH_MAP_bh_flows6;
	const size_t size = family == 4 ? sizeof(struct bh_flow4) : sizeof(struct bh_flow6),
		     offset = family == 4 ? offsetof(struct bh_flow4, flow)
					  : offsetof(struct bh_flow6, flow);
	struct bh_flow_request request = {
		.op = BH_FLOW_OP_PUT, .family = family, .key = *key, .flow = *flow};
	struct bh_flow there;
	uint8_t *ways;

	if (bh_object_flow_op(object, &request) == BH_FLOW_DONE)
		return;
	ways = mmap(NULL, object->size[map] * size, PROT_READ | PROT_WRITE, MAP_SHARED,
		object->map[map], 0);
	assert_ptr_not_equal(ways, MAP_FAILED);
	memcpy(ways + flow_at(object, family, key, &there) * size + offset, flow, sizeof(*flow));
	munmap(ways, object->size[map] * size);
}

#endif
