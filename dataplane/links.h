/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_LINKS_H
#define BULKHEAD_DATAPLANE_LINKS_H

/*
 * Pinned BPF links on an interface: TCX and XDP. The pin is the memory: what is in the links folder
 * is ours, and nothing else is. Every operation may be repeated after being killed half-way.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/object.h"
#include "dataplane/why.h"

/* Not in the headers of a 6.1 libc, see linux/bpf.h since 6.6. */
#define BH_BPF_TCX_INGRESS 46
#define BH_BPF_TCX_EGRESS 47
#define BH_BPF_F_BEFORE (1u << 3)

enum bh_link_place {
	BH_LINK_INGRESS = 0,
	BH_LINK_EGRESS,
	BH_LINK_XDP,
	BH_LINK_UPLINK,
	BH_LINK_PLACES,
};

/* Returns 1 if the kernel has TCX, 0 if not, -errno if that cannot be told. */
int bh_links_probe_tcx(void);

/*
 * The program on this place of this interface: the pinned link is updated, one of an older ABI
 * taken over, or a new one made (first in its chain, where there is one). `flags`: XDP_FLAGS_* for
 * XDP. Returns 0 (*ret_made, may be NULL: a new link was made), -ENODEV if the interface is gone,
 * or -errno.
 */
int bh_link_ensure(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place,
	int prog_fd, uint32_t flags, bool *ret_made, struct bh_why *why);

/* As bh_link_ensure(), but only for a link that is pinned already; -ENOENT if there is none. */
int bh_link_refresh(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place,
	int prog_fd, struct bh_why *why);

/*
 * Makes ours the first program of a TCX chain again, with never a moment without it: `twin_fd`, the
 * same program loaded twice, takes the old place while the new link is made.
 */
int bh_link_lead(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place,
	int prog_fd, int twin_fd, struct bh_why *why);

/* Detaches and unpins; nothing there is fine. */
void bh_link_drop(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place);

/* What runs there, by the name of the program; BH_PROG_COUNT where there is no pinned link. */
enum bh_program_kind bh_link_program(
	const struct bh_object *object, uint32_t ifindex, enum bh_link_place place);

bool bh_link_exists(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place);

/* Calls `visit` for every pinned link of a links folder whose name can be read. */
typedef void (*bh_link_visit)(uint32_t ifindex, enum bh_link_place place, void *arg);
void bh_links_each(const char *folder, bh_link_visit visit, void *arg);

/* Detaches and unpins every link of a folder, whatever its name. */
void bh_links_drop_all(const char *folder);

/* The programs on a TCX place, in order: ids into `ret_ids` (at most `max`), their number, or
 * -errno. */
int bh_links_tcx_chain(uint32_t ifindex, enum bh_link_place place, uint32_t *ret_ids, uint32_t max);

/* The XDP program on an interface: its id, 0 = none, or -errno. */
int bh_links_xdp_program(uint32_t ifindex, uint32_t *ret_id);

/* "name (id 12)" of a program, as far as the kernel says. */
const char *bh_program_text(uint32_t id, char text[64]);

#endif
