/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead_leaving.skel.h"
#include "bulkhead_tc.skel.h"
#include "bulkhead_xdp.skel.h"
#include "dataplane/loadlog.h"
#include "dataplane/object.h"

static const struct {
	const char *name;
	enum bh_program_set set;
} programs[BH_PROG_COUNT] = {
	[BH_PROG_FROM_POD] = {"bh_from_pod", BH_SET_TC},
	[BH_PROG_TO_POD] = {"bh_to_pod", BH_SET_TC},
	[BH_PROG_XDP_POD] = {"bh_xdp_pod", BH_SET_XDP},
	[BH_PROG_XDP_UPLINK] = {"bh_xdp_uplink", BH_SET_XDP},
	[BH_PROG_MARK] = {"bh_mark", BH_SET_XDP},
	[BH_PROG_LEAVING] = {"bh_leaving", BH_SET_LEAVING},
	[BH_PROG_ARRIVING] = {"bh_arriving", BH_SET_LEAVING},
	[BH_PROG_LEAVING_L3] = {"bh_leaving_l3", BH_SET_LEAVING},
	[BH_PROG_ARRIVING_L3] = {"bh_arriving_l3", BH_SET_LEAVING},
};

static const char *const set_names[BH_SET_COUNT] = {
	[BH_SET_TC] = "BPF programs",
	[BH_SET_XDP] = "XDP programs",
	[BH_SET_LEAVING] = "BPF programs for devices that leave the node",
};

const char *bh_program_name(enum bh_program_kind kind)
{
	return programs[kind].name;
}

enum bh_program_kind bh_program_kind(const char *name)
{
	int kind = 0;

	while (kind < BH_PROG_COUNT && strcmp(programs[kind].name, name))
		kind++;
	return (enum bh_program_kind)kind;
}

/* ---- Skeletons ------------------------------------------------------------------------------ */

static void *skeleton_open(enum bh_program_set set)
{
	if (set == BH_SET_XDP)
		return bulkhead_xdp__open();
	if (set == BH_SET_LEAVING)
		return bulkhead_leaving__open();
	return bulkhead_tc__open();
}

static void skeleton_close(enum bh_program_set set, void *skeleton)
{
	if (set == BH_SET_XDP)
		bulkhead_xdp__destroy(skeleton);
	else if (set == BH_SET_LEAVING)
		bulkhead_leaving__destroy(skeleton);
	else
		bulkhead_tc__destroy(skeleton);
}

static struct bpf_object *skeleton_object(enum bh_program_set set, void *skeleton)
{
	if (set == BH_SET_XDP)
		return ((struct bulkhead_xdp *)skeleton)->obj;
	if (set == BH_SET_LEAVING)
		return ((struct bulkhead_leaving *)skeleton)->obj;
	return ((struct bulkhead_tc *)skeleton)->obj;
}

/* ---- Loading -------------------------------------------------------------------------------- */

static int say_load_failure(int err, const char *doing, enum bh_program_set set, struct bh_why *why)
{
	if (err == -EPERM)
		return bh_fail(why, err,
			"%s the %s: the kernel does not permit it: run as root with CAP_BPF, "
			"CAP_NET_ADMIN and CAP_SYS_ADMIN (%s)",
			doing, set_names[set], bh_loadlog_tail());
	return bh_fail(why, err, "%s the %s: %s (%s)", doing, set_names[set], strerror(-err),
		bh_loadlog_tail());
}

static int find_program(struct bh_object *object, const struct bpf_object *bpf,
	enum bh_program_kind kind, struct bh_why *why)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf, bh_program_name(kind));
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);
	int fd = program ? bpf_program__fd(program) : -ENOENT;
	int err = fd < 0 ? fd : bpf_obj_get_info_by_fd(fd, &info, &length);

	if (err < 0)
		return bh_fail(why, err, "program %s: %s", bh_program_name(kind), strerror(-err));
	object->programs.fd[kind] = fd;
	object->programs.id[kind] = info.id;
	return 0;
}

static int find_programs(struct bh_object *object, enum bh_program_set set, struct bh_why *why)
{
	struct bpf_object *bpf = skeleton_object(set, object->programs.skeleton[set][0]);
	int err = 0;

	for (int kind = 0; kind < BH_PROG_COUNT && !err; kind++) {
		if (programs[kind].set == set)
			err = find_program(object, bpf, (enum bh_program_kind)kind, why);
	}
	return err;
}

static int open_set(struct bh_object *object, enum bh_program_set set, int copy, struct bh_why *why)
{
	bh_loadlog_begin();
	object->programs.skeleton[set][copy] = skeleton_open(set);
	return object->programs.skeleton[set][copy] ? 0
						    : say_load_failure(-errno, "opening", set, why);
}

/* Every map of it that the object holds already becomes that one. */
static int reuse_maps(struct bh_object *object, struct bpf_object *bpf)
{
	for (int i = 0; i < BH_MAP_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(bpf, bh_map_name(i));
		int err = map && object->map[i] >= 0 ? bpf_map__reuse_fd(map, object->map[i]) : 0;

		if (err < 0)
			return err;
	}
	return 0;
}

static void close_set(struct bh_object *object, enum bh_program_set set, int copy)
{
	skeleton_close(set, object->programs.skeleton[set][copy]);
	object->programs.skeleton[set][copy] = NULL;
}

static int load_set(struct bh_object *object, enum bh_program_set set, int copy, struct bh_why *why)
{
	struct bpf_object *bpf = skeleton_object(set, object->programs.skeleton[set][copy]);
	int err = reuse_maps(object, bpf);

	if (!err)
		err = bpf_object__load(bpf);
	if (err < 0) {
		say_load_failure(err, "loading", set, why);
		close_set(object, set, copy);
	}
	return err;
}

int bh_programs_open_first(
	struct bh_object *object, struct bpf_object **ret_bpf, struct bh_why *why)
{
	int err = open_set(object, BH_SET_TC, 0, why);

	if (!err)
		*ret_bpf = skeleton_object(BH_SET_TC, object->programs.skeleton[BH_SET_TC][0]);
	return err;
}

int bh_programs_load_first(struct bh_object *object, struct bh_why *why)
{
	int err = load_set(object, BH_SET_TC, 0, why);

	return err ? err : find_programs(object, BH_SET_TC, why);
}

int bh_programs_need(struct bh_object *object, enum bh_program_kind kind, struct bh_why *why)
{
	enum bh_program_set set = programs[kind].set;
	int err;

	if (object->programs.fd[kind] >= 0)
		return 0;
	err = open_set(object, set, 0, why);
	if (!err)
		err = load_set(object, set, 0, why);
	return err ? err : find_programs(object, set, why);
}

int bh_programs_twin(
	struct bh_object *object, enum bh_program_kind kind, int *ret_fd, struct bh_why *why)
{
	enum bh_program_set set = programs[kind].set;
	struct bpf_program *program;
	int err = 0;

	if (!object->programs.skeleton[set][1]) {
		err = open_set(object, set, 1, why);
		if (!err)
			err = load_set(object, set, 1, why);
	}
	if (err < 0)
		return err;
	program = bpf_object__find_program_by_name(
		skeleton_object(set, object->programs.skeleton[set][1]), bh_program_name(kind));
	if (!program)
		return bh_fail(
			why, -ENOENT, "program %s: not in the object", bh_program_name(kind));
	*ret_fd = bpf_program__fd(program);
	return 0;
}

void bh_programs_drop_twins(struct bh_object *object)
{
	for (int set = 0; set < BH_SET_COUNT; set++)
		close_set(object, (enum bh_program_set)set, 1);
}

void bh_programs_close(struct bh_object *object)
{
	bh_programs_drop_twins(object);
	for (int set = 0; set < BH_SET_COUNT; set++)
		close_set(object, (enum bh_program_set)set, 0);
}
