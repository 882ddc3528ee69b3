/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_ATTACH_H
#define BULKHEAD_DATAPLANE_ATTACH_H

/*
 * Which program hangs where. A pod's interface has one for what comes from the pod (TC ingress, or
 * XDP where the operator asks for it) and one for what goes to it (TC egress). Devices that leave
 * the node have two while a program in force defers to them, see leaving.h. TC means TCX links
 * where the kernel has them, clsact filters elsewhere.
 *
 * Whatever changes (hook, kind, ABI), the new program is attached before the old is detached; for a
 * moment both run, and they share the flow table, so a packet is only counted twice. The
 * check finds what others did to our hooks: what is gone is put back, what was put before us and
 * could end the chain is overtaken (TCX) or named.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/object.h"
#include "dataplane/problems.h"
#include "dataplane/why.h"

#define BH_HOOK_TEXT 32 /* "xdp-generic+clsact" */

enum bh_attach_mode {
	BH_ATTACH_AUTO = 0,
	BH_ATTACH_TCX,
	BH_ATTACH_CLSACT,
};

struct bh_attach;

/*
 * `xdp_generic`: native XDP that is refused may be replaced by the generic one. Returns 0, or
 * -EOPNOTSUPP when TCX is asked for and the kernel has none, or another -errno.
 */
int bh_attach_new(struct bh_object *object, enum bh_attach_mode mode, bool xdp_generic,
	struct bh_problems *problems, struct bh_attach **ret_attach, struct bh_why *why);
void bh_attach_free(struct bh_attach *attach);

/* "tcx" or "clsact". */
const char *bh_attach_kind(const struct bh_attach *attach);

/* After a start over existing pins: every link and filter runs this process's programs from now on.
 */
void bh_attach_refresh(struct bh_attach *attach);

/*
 * Both programs on an interface, whatever was there before. `ret_hook` says what it has now. XDP
 * that cannot be had becomes TC and a problem. Returns 0, -ENODEV if the interface is gone, or
 * -errno.
 */
int bh_attach_interface(struct bh_attach *attach, uint32_t ifindex, const char *name, bool xdp,
	char ret_hook[BH_HOOK_TEXT], struct bh_why *why);

/*
 * The programs of a device that leaves the node; `l3`: it has no link layer. Returns 0, -ENODEV if
 * it is gone, or -errno.
 */
int bh_attach_device(
	struct bh_attach *attach, uint32_t ifindex, const char *name, bool l3, struct bh_why *why);

/* What an interface is by what was attached to it: nobody's, a pod's, or one that leaves the node.
 */
enum bh_attached_as { BH_ATTACHED_NOT = 0, BH_ATTACHED_POD, BH_ATTACHED_DEVICE };
enum bh_attached_as bh_attached_as(const struct bh_attach *attach, uint32_t ifindex);

/* Calls `visit` for each device; it may not attach or release. */
typedef void (*bh_attach_visit)(uint32_t ifindex, const char *name, void *arg);
void bh_attach_devices(const struct bh_attach *attach, bh_attach_visit visit, void *arg);

/* Takes everything of ours off an interface, which may be gone. */
void bh_attach_release(struct bh_attach *attach, uint32_t ifindex);

/* Keeps the XDP program on this interface, now and whenever it comes back. */
void bh_attach_uplink(struct bh_attach *attach, const char *name);

/* After the first full update: links nobody wants and folders of older ABIs go. */
void bh_attach_sweep(struct bh_attach *attach);

/* Looks at every hook, repairs and names. */
void bh_attach_check(struct bh_attach *attach);

#endif
