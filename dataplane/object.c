/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/loadlog.h"
#include "dataplane/programs.h"
#include "dataplane/sizes.h"
#include "dataplane/walk.h"
#include "proto/cleanup.h"

static const struct {
	const char *name;
	uint32_t entries;
	uint32_t flags;
} maps[BH_MAP_COUNT] = {
#define BH_MAP_ROW(name, entries, flags) [BH_MAP_##name] = {#name, entries, flags},
	BH_MAPS(BH_MAP_ROW)
#undef BH_MAP_ROW
};

#define ENTRIES_MAX (16u * 1024 * 1024)

const char *bh_map_name(enum bh_map map)
{
	return maps[map].name;
}

bool bh_map_is_sized(enum bh_map map)
{
	return maps[map].flags & BH_MAP_SIZED;
}

static void object_cleanup(struct bh_object **object)
{
	bh_object_free(*object);
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

static bool counts_edges(enum bh_map map)
{
	return map == BH_MAP_bh_edges || map == BH_MAP_bh_edge_free || map == BH_MAP_bh_edge_index;
}

/* The sets of a flow table are as many as it has room for flows by sixteens. */
static enum bh_map flows_of_sets(enum bh_map map)
{
	if (map == BH_MAP_bh_sets4)
		return BH_MAP_bh_flows4;
	return map == BH_MAP_bh_sets6 ? BH_MAP_bh_flows6 : map;
}

/* Entries as people count them, and elements as the kernel has them. */
static uint32_t entries_of(enum bh_map map, uint32_t elements)
{
	return maps[map].flags & BH_MAP_SETS ? elements * BH_FLOW_WAYS : elements;
}

static uint32_t elements_of(enum bh_map map, uint32_t entries)
{
	return maps[flows_of_sets(map)].flags & BH_MAP_SETS ? entries / BH_FLOW_WAYS : entries;
}

/* The next power of two, which a ring buffer and a flow table must be. */
static uint32_t power_size(uint32_t wanted, uint32_t least)
{
	uint32_t size = least;

	while (size < wanted)
		size *= 2;
	return size;
}

int bh_object_parse_size(const char *text, uint32_t sizes[BH_MAP_COUNT], struct bh_why *why)
{
	const char *equals = strchr(text, '=');
	unsigned long n;
	char *end;

	if (!equals)
		return bh_fail(why, -EINVAL, "map size '%s': it takes NAME=ENTRIES", text);
	n = strtoul(equals + 1, &end, 10);
	if (*end || end == equals + 1 || n < 16 || n > ENTRIES_MAX)
		return bh_fail(why, -EINVAL, "map size '%s': 16 to %u entries", text, ENTRIES_MAX);
	for (int i = 0; i < BH_MAP_COUNT; i++) {
		size_t skip = strncmp(text, "bh_", 3) ? 3 : 0;
		size_t length = (size_t)(equals - text);

		if (strncmp(maps[i].name + skip, text, length) || maps[i].name[skip + length])
			continue;
		if (!(maps[i].flags & BH_MAP_SIZED))
			return bh_fail(why, -EINVAL, "map %s: its size is fixed", maps[i].name);
		/* The three edge maps are one table in three pieces. */
		for (int j = 0; j < BH_MAP_COUNT; j++) {
			if (j == i || (counts_edges(i) && counts_edges(j)))
				sizes[j] = (uint32_t)n;
		}
		if (i == BH_MAP_bh_events)
			sizes[i] = power_size((uint32_t)n, 4096); /* whole pages */
		if (maps[i].flags & BH_MAP_SETS)
			sizes[i] = power_size((uint32_t)n, BH_FLOW_WAYS);
		return 0;
	}
	return bh_fail(why, -EINVAL, "map size '%s': there is no such map", text);
}

/* ---- Loading -------------------------------------------------------------------------------- */

static int check_kernel(struct bh_why *why)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
		(major < 5 || (major == 5 && minor < 10)))
		return bh_fail(why, -EOPNOTSUPP, "Linux %s is too old: 5.10 or later is needed",
			name.release);
	return 0;
}

/* Before 5.11 BPF maps count as locked memory. */
static void raise_memlock(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	/* Without the right to raise it, loading says what is missing. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

/* Same shape? The number of entries may differ: it is configuration. */
static int check_pinned(const struct bpf_map *wanted, const struct bpf_map_info *pinned,
	const char *folder, struct bh_why *why)
{
	if (pinned->type == (__u32)bpf_map__type(wanted) &&
		pinned->key_size == bpf_map__key_size(wanted) &&
		pinned->value_size == bpf_map__value_size(wanted) &&
		pinned->map_flags == bpf_map__map_flags(wanted))
		return 0;
	return bh_fail(why, -EEXIST,
		"%s/%s is not the map this program knows by that name: end it with --down first",
		folder, pinned->name);
}

static int open_pinned(struct bh_object *object, const struct bpf_object *tc, enum bh_map i,
	uint32_t wanted_size, struct bh_why *why)
{
	struct bpf_map *map = bpf_object__find_map_by_name(tc, maps[i].name);
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);
	char path[BH_PINS_PATH];
	size_t used;
	int err;

	snprintf(path, sizeof(path), "%s/%s", object->pins.abi, maps[i].name);
	object->map[i] = bpf_obj_get(path);
	if (object->map[i] < 0)
		return bh_fail(why, object->map[i],
			"%s: %s; what is pinned there is not whole: end it with --down first", path,
			strerror(-object->map[i]));
	err = bpf_obj_get_info_by_fd(object->map[i], &info, &length);
	if (err < 0)
		return bh_fail(why, err, "%s: %s", path, strerror(-err));
	err = check_pinned(map, &info, object->pins.abi, why);
	if (err < 0)
		return err;
	object->size[i] = entries_of(i, info.max_entries);
	used = strlen(object->resized);
	if (wanted_size && wanted_size != object->size[i])
		snprintf(object->resized + used, sizeof(object->resized) - used,
			"%s%s has %u entries, not %u", used ? ", " : "", maps[i].name,
			object->size[i], wanted_size);
	return 0;
}

static int take_over(
	struct bh_object *object, struct bpf_object *tc, const uint32_t *sizes, struct bh_why *why)
{
	int err = 0;

	for (int i = 0; i < BH_MAP_COUNT && !err; i++)
		err = open_pinned(object, tc, i, sizes[i], why);
	return err;
}

static void set_sizes(const struct bpf_object *tc, const uint32_t *sizes)
{
	uint64_t memory = bh_sizes_memory();

	for (int i = 0; i < BH_MAP_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(tc, maps[i].name);
		enum bh_map by = flows_of_sets(i);
		uint32_t size = sizes[by] ? sizes[by] : bh_sizes_default(by, memory);

		if (map && size)
			bpf_map__set_max_entries(map, elements_of(i, size));
	}
}

static int hold_maps(struct bh_object *object, const struct bpf_object *tc, struct bh_why *why)
{
	for (int i = 0; i < BH_MAP_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(tc, maps[i].name);
		int fd = map ? bpf_map__fd(map) : -1;

		if (fd < 0)
			return bh_fail(why, -ENOENT, "the BPF object has no map %s", maps[i].name);
		object->map[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (object->map[i] < 0)
			return bh_fail(why, -errno, "map %s: %s", maps[i].name, strerror(errno));
		object->size[i] = entries_of(i, bpf_map__max_entries(map));
	}
	return 0;
}

static int publish(struct bh_object *object, struct bh_why *why)
{
	char staged[BH_PINS_PATH];
	int err = bh_pins_stage(&object->pins, staged, why);

	for (int i = 0; i < BH_MAP_COUNT && !err; i++) {
		char path[BH_PINS_PATH + 16];

		snprintf(path, sizeof(path), "%s/%s", staged, maps[i].name);
		err = bpf_obj_pin(object->map[i], path);
		if (err < 0)
			bh_fail(why, err, "%s: cannot be pinned: %s", path, strerror(-err));
	}
	if (!err)
		err = bh_pins_publish(&object->pins, staged, why);
	if (err < 0)
		bh_pins_remove(staged);
	return err;
}

/* ---- What is written through memory --------------------------------------------------------- */

/* A mapping where the kernel gives one, else a copy that every change is flushed from. */
static void *map_memory(int fd, size_t size, size_t value_size, bool *ret_mapped)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	*ret_mapped = memory != MAP_FAILED;
	if (*ret_mapped)
		return memory;
	memory = calloc(1, size);
	for (__u32 i = 0; memory && i < size / value_size; i++)
		bpf_map_lookup_elem(fd, &i, (uint8_t *)memory + i * value_size);
	return memory;
}

static void unmap_memory(void *memory, size_t size, bool mapped)
{
	if (mapped && memory)
		munmap(memory, size);
	else
		free(memory);
}

static void flush_config(struct bh_object *object)
{
	__u32 zero = 0;

	if (!object->config_mapped)
		bpf_map_update_elem(object->map[BH_MAP_bh_config], &zero, object->config, BPF_ANY);
}

static void flush_endpoint(struct bh_object *object, uint32_t slot)
{
	if (!object->endpoints_mapped)
		bpf_map_update_elem(
			object->map[BH_MAP_bh_endpoints], &slot, &object->endpoints[slot], BPF_ANY);
}

uint64_t bh_object_new_epoch(struct bh_object *object)
{
	uint64_t epoch = object->config->epoch + 1;

	/* Kept before it is used: were we killed in between, it would be skipped, never repeated.
	 */
	__atomic_store_n(&object->config->epoch, epoch, __ATOMIC_SEQ_CST);
	flush_config(object);
	return epoch;
}

void bh_object_move_generation(struct bh_object *object)
{
	__atomic_add_fetch(&object->config->generation, 1, __ATOMIC_SEQ_CST);
	flush_config(object);
}

void bh_object_set_flags(struct bh_object *object, uint32_t set, uint32_t clear)
{
	uint32_t flags = (object->config->flags | set) & ~clear;

	__atomic_store_n(&object->config->flags, flags, __ATOMIC_SEQ_CST);
	flush_config(object);
}

void bh_object_fill_endpoint(
	struct bh_object *object, uint32_t slot, const struct bh_endpoint *endpoint)
{
	struct bh_endpoint *target = &object->endpoints[slot];
	struct bh_endpoint filled = *endpoint;

	filled.epoch = 0;
	*target = filled;
	__atomic_store_n(&target->epoch, endpoint->epoch, __ATOMIC_SEQ_CST);
	flush_endpoint(object, slot);
}

void bh_object_store_programs(struct bh_object *object, uint32_t slot, uint64_t programs)
{
	__atomic_store_n(&object->endpoints[slot].programs, programs, __ATOMIC_SEQ_CST);
	flush_endpoint(object, slot);
}

void bh_object_move_epoch(struct bh_object *object, uint32_t slot)
{
	__atomic_store_n(
		&object->endpoints[slot].epoch, bh_object_new_epoch(object), __ATOMIC_SEQ_CST);
	flush_endpoint(object, slot);
}

void bh_object_clear_endpoint(struct bh_object *object, uint32_t slot)
{
	__atomic_store_n(&object->endpoints[slot].epoch, 0, __ATOMIC_SEQ_CST);
	object->endpoints[slot] = (struct bh_endpoint){};
	flush_endpoint(object, slot);
}

/* ---- Clock and configuration ---------------------------------------------------------------- */

int bh_object_clock(struct bh_object *object, struct bh_clock *ret_clock)
{
	char frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));
	__u32 zero = 0;
	int err = bpf_prog_test_run_opts(object->clock_fd, &run);

	if (err < 0)
		return err;
	return bpf_map_lookup_elem(object->map[BH_MAP_bh_clock], &zero, ret_clock);
}

int bh_object_flow_op(struct bh_object *object, struct bh_flow_request *request)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = request, .data_size_in = sizeof(*request));
	int err;

	memset(request->frame, 0, sizeof(request->frame));
	err = bpf_prog_test_run_opts(object->flow_fd, &run);
	return err < 0 ? err : (int)run.retval;
}

/* Jiffies per second: two readings, 60 ms apart, and the kernel's choices to round to. */
static int measure_hz(struct bh_object *object, uint32_t *ret_hz, struct bh_why *why)
{
	static const uint32_t choices[] = {100, 250, 300, 1000};
	const struct timespec pause = {.tv_nsec = 60 * 1000 * 1000};
	struct bh_clock before, after;
	double hz, best = 1e9;
	int err = bh_object_clock(object, &before);

	if (!err) {
		nanosleep(&pause, NULL);
		err = bh_object_clock(object, &after);
	}
	if (err < 0)
		return bh_fail(why, err, "reading the kernel's clock: %s", strerror(-err));
	hz = (double)(after.jiffies - before.jiffies) * 1e9 /
	     (double)(after.monotonic - before.monotonic);
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		double ratio = hz > choices[i] ? hz / choices[i] : choices[i] / (hz + 1e-9);

		if (ratio < best) {
			best = ratio;
			*ret_hz = choices[i];
		}
	}
	return 0;
}

static int configure(struct bh_object *object, struct bh_why *why)
{
	/* Idle seconds by enum bh_flow_state; as Linux's own conntrack has them, or shorter. */
	static const uint32_t seconds[BH_FLOW_STATES] = {
		[BH_FLOW_NEW] = 60,
		[BH_FLOW_SYN_RECV] = 60,
		[BH_FLOW_ESTABLISHED] = 432000,
		[BH_FLOW_REPLIED] = 180,
		[BH_FLOW_CLOSING] = 120,
		[BH_FLOW_CLOSED] = 10,
	};
	struct bh_config *config = object->config;
	uint32_t hz = config->hz;
	int err = hz ? 0 : measure_hz(object, &hz, why);

	if (err < 0)
		return err;
	/* For as long as the tables are there: another seed, and nothing is found any more. */
	if (!config->flow_seed && getrandom(&config->flow_seed, sizeof(config->flow_seed), 0) < 0)
		return bh_fail(why, -errno, "no random numbers: %s", strerror(errno));
	config->flow_mask4 = object->size[BH_MAP_bh_flows4] - 1;
	config->flow_mask6 = object->size[BH_MAP_bh_flows6] - 1;
	config->abi = BH_ABI;
	config->hz = hz;
	for (int i = 0; i < BH_FLOW_STATES; i++)
		config->timeout[i] = seconds[i] * hz;
	config->deny_rate = 1;
	config->deny_burst = 10;
	flush_config(object);
	return 0;
}

static int open_flows(struct bh_object *object, struct bh_why *why)
{
	int err = bh_flow_table_open(&object->flows[0], 4, object->map[BH_MAP_bh_flows4],
		object->map[BH_MAP_bh_sets4], object->size[BH_MAP_bh_flows4] / BH_FLOW_WAYS);

	if (!err)
		err = bh_flow_table_open(&object->flows[1], 6, object->map[BH_MAP_bh_flows6],
			object->map[BH_MAP_bh_sets6],
			object->size[BH_MAP_bh_flows6] / BH_FLOW_WAYS);
	return err < 0 ? bh_fail(why, err, "the flow tables cannot be mapped: %s", strerror(-err))
		       : 0;
}

static int fill_edge_slots(struct bh_object *object, struct bh_why *why)
{
	/* Pushed from the top, so the low ones are taken first; slot 0 counts the overflow. */
	for (uint32_t slot = object->size[BH_MAP_bh_edges] - 1; slot > 0; slot--) {
		int err = bpf_map_update_elem(object->map[BH_MAP_bh_edge_free], NULL, &slot, 0);

		if (err < 0)
			return bh_fail(why, err, "filling bh_edge_free: %s", strerror(-err));
	}
	return 0;
}

/* Map ids are not reused while the machine runs, and the boot id tells one run from another. */
static uint64_t generation_of(int fd)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);
	char boot[64] = "";
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	uint64_t hash = 0xcbf29ce484222325u;

	if (file && !fgets(boot, sizeof(boot), file))
		boot[0] = '\0';
	bpf_obj_get_info_by_fd(fd, &info, &length);
	for (const char *c = boot; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	return (hash ^ info.id) * 0x100000001b3u;
}

/* ---- Opening and closing -------------------------------------------------------------------- */

static struct bh_object *object_new(void)
{
	struct bh_object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	for (int i = 0; i < BH_MAP_COUNT; i++)
		object->map[i] = -1;
	for (int i = 0; i < BH_PROG_COUNT; i++)
		object->programs.fd[i] = -1;
	object->clock_fd = -1;
	object->flow_fd = -1;
	return object;
}

/* The programs of every pod, with new maps or over those that are pinned. */
static int load(struct bh_object *object, const uint32_t *sizes, struct bh_why *why)
{
	struct bpf_program *clock, *flow;
	struct bpf_object *tc;
	int err = bh_programs_open_first(object, &tc, why);

	if (err < 0)
		return err;
	object->fresh = !bh_pins_exist(&object->pins);
	if (object->fresh)
		set_sizes(tc, sizes);
	else if ((err = take_over(object, tc, sizes, why)) < 0)
		return err;
	err = bh_programs_load_first(object, why);
	if (err < 0)
		return err;
	if (object->fresh && (err = hold_maps(object, tc, why)) < 0)
		return err;
	clock = bpf_object__find_program_by_name(tc, "bh_clock_read");
	object->clock_fd = clock ? bpf_program__fd(clock) : -1;
	flow = bpf_object__find_program_by_name(tc, "bh_flow_command");
	object->flow_fd = flow ? bpf_program__fd(flow) : -1;
	return 0;
}

int bh_object_open(const char *run_dir, const uint32_t sizes[BH_MAP_COUNT],
	struct bh_object **ret_object, struct bh_why *why)
{
	_cleanup_(object_cleanup) struct bh_object *object = object_new();
	int err;

	if (!object)
		return -ENOMEM;
	err = check_kernel(why);
	if (!err)
		err = bh_pins_name(run_dir, &object->pins, why);
	if (!err)
		err = bh_pins_prepare(&object->pins, why);
	if (err < 0)
		return err;
	raise_memlock();
	bh_loadlog_begin();
	err = load(object, sizes, why);
	if (err < 0)
		return err;
	object->config = map_memory(object->map[BH_MAP_bh_config], sizeof(*object->config),
		sizeof(*object->config), &object->config_mapped);
	object->endpoints = map_memory(object->map[BH_MAP_bh_endpoints],
		BH_ENDPOINTS_MAX * sizeof(*object->endpoints), sizeof(*object->endpoints),
		&object->endpoints_mapped);
	if (!object->config || !object->endpoints)
		return -ENOMEM;
	object->generation = generation_of(object->map[BH_MAP_bh_edges]);
	err = configure(object, why);
	if (!err)
		err = open_flows(object, why);
	if (!err && object->fresh)
		err = fill_edge_slots(object, why);
	if (!err && object->fresh)
		err = publish(object, why);
	if (err < 0)
		return err;
	*ret_object = bh_take_pointer(object);
	return 0;
}

void bh_object_free(struct bh_object *object)
{
	if (!object)
		return;
	bh_flow_table_close(&object->flows[0]);
	bh_flow_table_close(&object->flows[1]);
	unmap_memory(object->config, sizeof(*object->config), object->config_mapped);
	unmap_memory(object->endpoints, BH_ENDPOINTS_MAX * sizeof(*object->endpoints),
		object->endpoints_mapped);
	bh_programs_close(object);
	for (int i = 0; i < BH_MAP_COUNT; i++) {
		if (object->map[i] >= 0)
			close(object->map[i]);
	}
	free(object);
}
