/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_CLSACT_H
#define BULKHEAD_DATAPLANE_CLSACT_H

/*
 * TC filters on a clsact qdisc: how programs hang on an interface where the kernel has no TCX. Ours
 * are told from others' by kind, program name and a handle that is the instance's (bh_pins.handle);
 * they are replaced in place, and nobody else's filter and not the qdisc itself are ever touched.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/object.h"
#include "dataplane/why.h"

struct nl_sock;

/* One filter, as the kernel lists it. */
struct bh_filter {
	uint32_t priority; /* lower runs first */
	uint32_t handle;
	uint32_t prog_id; /* 0 unless it is a BPF filter */
	char kind[16];
	char name[64];
	enum bh_program_kind program; /* by its name, or BH_PROG_COUNT */
	bool ours;
};

typedef void (*bh_filter_visit)(const struct bh_filter *filter, void *arg);

/* Lists the filters of one side in the order they run. Returns 0 (also without clsact) or -errno.
 */
int bh_clsact_list(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress,
	bh_filter_visit visit, void *arg);

/*
 * Our program on this side. Returns 0 (*ret_made, may be NULL: there was none of ours), -ENODEV, or
 * -errno with a sentence.
 */
int bh_clsact_ensure(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress,
	int prog_fd, uint32_t prog_id, bool *ret_made, struct bh_why *why);

/* Removes our filter from this side; none there is fine. */
void bh_clsact_drop(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress);

/* Removes one filter that bh_clsact_list() has shown. Returns 0 or -errno. */
int bh_clsact_remove(uint32_t ifindex, bool egress, const struct bh_filter *filter);

/* Is one of ours there? (*ret_filter, may be NULL). */
bool bh_clsact_find(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress,
	struct bh_filter *ret_filter);

#endif
