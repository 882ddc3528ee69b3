/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_PROGRAMS_H
#define BULKHEAD_DATAPLANE_PROGRAMS_H

/*
 * The BPF programs as this process has loaded them. They come in three objects over the same maps:
 * what every pod needs is loaded at the start, XDP and what hangs on devices that leave the node
 * when first asked for, because each takes the verifier its time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/why.h"

enum bh_program_kind {
	BH_PROG_FROM_POD = 0, /* TC, a pod's veth */
	BH_PROG_TO_POD,
	BH_PROG_XDP_POD, /* XDP, a pod's veth */
	BH_PROG_XDP_UPLINK,
	BH_PROG_MARK,    /* TC, beside the XDP program of a pod's veth */
	BH_PROG_LEAVING, /* TC, devices that leave the node */
	BH_PROG_ARRIVING,
	BH_PROG_LEAVING_L3, /* … without a link layer */
	BH_PROG_ARRIVING_L3,
	BH_PROG_COUNT
};

/* The BPF objects they come in. */
enum bh_program_set { BH_SET_TC = 0, BH_SET_XDP, BH_SET_LEAVING };
#define BH_SET_COUNT 3

struct bpf_object;
struct bh_object;

struct bh_programs_loaded {
	int fd[BH_PROG_COUNT]; /* -1 = not loaded */
	uint32_t id[BH_PROG_COUNT];
	/* Skeletons, NULL until needed; the second of each: see bh_programs_twin(). */
	void *skeleton[BH_SET_COUNT][2];
};

/* "bh_from_pod" */
const char *bh_program_name(enum bh_program_kind kind);

/* The kind with exactly this name, or BH_PROG_COUNT. */
enum bh_program_kind bh_program_kind(const char *name);

/*
 * The first object opened, so that its maps can be given sizes or replaced by pinned ones
 * (object->map[], where they are not -1), and loaded. Returns 0 or -errno.
 */
int bh_programs_open_first(
	struct bh_object *object, struct bpf_object **ret_bpf, struct bh_why *why);
int bh_programs_load_first(struct bh_object *object, struct bh_why *why);

/* Loads what this program comes with unless it is; its fd and id are in object->programs then. */
int bh_programs_need(struct bh_object *object, enum bh_program_kind kind, struct bh_why *why);

/*
 * A second copy of a program over the same maps: what runs for a moment while a link is put in
 * another place, because the kernel does not take one program twice on a hook.
 */
int bh_programs_twin(
	struct bh_object *object, enum bh_program_kind kind, int *ret_fd, struct bh_why *why);
void bh_programs_drop_twins(struct bh_object *object);

void bh_programs_close(struct bh_object *object);

#endif
