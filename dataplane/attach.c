/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/attach.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/clsact.h"
#include "dataplane/links.h"
#include "dataplane/ownership.h"
#include "dataplane/rtnl.h"
#include "dataplane/table.h"
#include "proto/cleanup.h"

#define CHAIN_MAX 64
#define REPAIRED_MS (5 * 60 * 1000)
/* More repairs of one interface in this time are a quarrel: then it is only named. */
#define QUARREL_MS (60 * 1000)
#define QUARREL_REPAIRS 3

enum side { INGRESS = 0, EGRESS = 1 };

/* One interface with programs of ours. */
struct attached {
	char name[IFNAMSIZ];
	enum bh_attached_as as;
	enum bh_program_kind program[2]; /* on TC, by side */
	uint32_t xdp_flags;              /* 0 = no XDP */
	uint32_t overtaken[2];           /* program that had been put before ours, by side */
	uint32_t repairs;
	uint64_t repairs_since;
};

struct bh_attach {
	struct bh_object *object;
	struct bh_problems *problems;
	struct nl_sock *sock;
	bool tcx;     /* what TC programs hang on */
	bool has_tcx; /* what the kernel knows */
	bool xdp_generic;
	struct bh_table interfaces; /* ifindex → struct attached */
	char uplink[IFNAMSIZ];
	uint32_t uplink_ifindex;
};

static void attach_cleanup(struct bh_attach **attach)
{
	bh_attach_free(*attach);
}

int bh_attach_new(struct bh_object *object, enum bh_attach_mode mode, bool xdp_generic,
	struct bh_problems *problems, struct bh_attach **ret_attach, struct bh_why *why)
{
	_cleanup_(attach_cleanup) struct bh_attach *attach = NULL;
	int has_tcx = bh_links_probe_tcx();
	int err;

	if (has_tcx < 0)
		return bh_fail(why, has_tcx, "asking the kernel for TCX: %s", strerror(-has_tcx));
	if (mode == BH_ATTACH_TCX && !has_tcx)
		return bh_fail(why, -EOPNOTSUPP,
			"this kernel has no TCX (Linux 6.6 brought it): use --attach clsact");
	attach = calloc(1, sizeof(*attach));
	if (!attach)
		return -ENOMEM;
	attach->object = object;
	attach->problems = problems;
	attach->has_tcx = has_tcx;
	attach->tcx = has_tcx && mode != BH_ATTACH_CLSACT;
	attach->xdp_generic = xdp_generic;
	bh_table_init(&attach->interfaces, sizeof(uint32_t), sizeof(struct attached));
	err = bh_rtnl_open(&attach->sock);
	if (err < 0)
		return bh_fail(why, err, "netlink: %s", strerror(-err));
	*ret_attach = bh_take_pointer(attach);
	return 0;
}

void bh_attach_free(struct bh_attach *attach)
{
	if (!attach)
		return;
	bh_rtnl_close(attach->sock);
	bh_table_clear(&attach->interfaces);
	free(attach);
}

const char *bh_attach_kind(const struct bh_attach *attach)
{
	return attach->tcx ? "tcx" : "clsact";
}

/* ---- One hook ------------------------------------------------------------------------------- */

static enum bh_link_place place_of(enum side side)
{
	return side == EGRESS ? BH_LINK_EGRESS : BH_LINK_INGRESS;
}

static int tc_ensure(struct bh_attach *attach, uint32_t ifindex, enum side side,
	enum bh_program_kind kind, struct bh_why *why)
{
	const struct bh_programs_loaded *programs = &attach->object->programs;
	int err = bh_programs_need(attach->object, kind, why);

	if (err < 0)
		return err;
	if (attach->tcx)
		return bh_link_ensure(
			attach->object, ifindex, place_of(side), programs->fd[kind], 0, NULL, why);
	return bh_clsact_ensure(attach->sock, attach->object->pins.handle, ifindex, side == EGRESS,
		programs->fd[kind], programs->id[kind], NULL, why);
}

/* Takes away what a TC hook has of the kind that is not in use (any more). */
static void tc_drop_other_kind(struct bh_attach *attach, uint32_t ifindex, enum side side)
{
	if (attach->tcx)
		bh_clsact_drop(attach->sock, attach->object->pins.handle, ifindex, side == EGRESS);
	else
		bh_link_drop(attach->object, ifindex, place_of(side));
}

static void tc_drop(struct bh_attach *attach, uint32_t ifindex, enum side side)
{
	bh_link_drop(attach->object, ifindex, place_of(side));
	bh_clsact_drop(attach->sock, attach->object->pins.handle, ifindex, side == EGRESS);
}

/* Native, or generic where that was allowed. *ret_flags: which it became. */
static int xdp_ensure(struct bh_attach *attach, uint32_t ifindex, enum bh_link_place place,
	uint32_t *ret_flags, struct bh_why *why)
{
	enum bh_program_kind kind = place == BH_LINK_UPLINK ? BH_PROG_XDP_UPLINK : BH_PROG_XDP_POD;
	uint32_t flags = XDP_FLAGS_DRV_MODE;
	int fd, err = bh_programs_need(attach->object, kind, why);

	if (err < 0)
		return err;
	fd = attach->object->programs.fd[kind];
	err = bh_link_ensure(attach->object, ifindex, place, fd, flags, NULL, why);
	if (err < 0 && err != -ENODEV && attach->xdp_generic) {
		flags = XDP_FLAGS_SKB_MODE;
		err = bh_link_ensure(attach->object, ifindex, place, fd, flags, NULL, why);
	}
	if (!err)
		*ret_flags = flags;
	return err;
}

/* ---- Interfaces ----------------------------------------------------------------------------- */

static void name_xdp_mode(
	struct bh_attach *attach, const char *name, uint32_t flags, const struct bh_why *why)
{
	if (!flags)
		bh_problems_add(attach->problems, BH_SOURCE_ATTACH, "xdp-refused", name,
			"%s: XDP was asked for and refused: %s; the TC program enforces instead",
			name, why->text);
	else if (flags & XDP_FLAGS_SKB_MODE)
		bh_problems_add(attach->problems, BH_SOURCE_ATTACH, "xdp-generic", name,
			"%s: native XDP was refused, generic XDP runs, which is slower than TC",
			name);
	else
		bh_problems_clear(attach->problems, BH_SOURCE_ATTACH, "xdp-refused", name);
}

int bh_attach_interface(struct bh_attach *attach, uint32_t ifindex, const char *name, bool xdp,
	char ret_hook[BH_HOOK_TEXT], struct bh_why *why)
{
	struct attached *attached = bh_table_put(&attach->interfaces, &ifindex, NULL);
	uint32_t flags = 0;
	int err;

	if (!attached)
		return -ENOMEM;
	snprintf(attached->name, sizeof(attached->name), "%s", name);
	attached->as = BH_ATTACHED_POD;
	attached->program[EGRESS] = BH_PROG_TO_POD;
	err = tc_ensure(attach, ifindex, EGRESS, BH_PROG_TO_POD, why);
	if (!err && xdp) {
		struct bh_why refusal = {};

		err = xdp_ensure(attach, ifindex, BH_LINK_XDP, &flags, &refusal);
		if (err != -ENODEV) {
			name_xdp_mode(attach, name, flags, &refusal);
			err = 0;
		}
	}
	/* XDP cannot mark a packet: that is left to a program behind it. */
	attached->program[INGRESS] = flags ? BH_PROG_MARK : BH_PROG_FROM_POD;
	if (!err)
		err = tc_ensure(attach, ifindex, INGRESS, attached->program[INGRESS], why);
	if (err < 0) {
		bh_attach_release(attach, ifindex);
		return err;
	}
	/* The new ones run: now the others may go. */
	tc_drop_other_kind(attach, ifindex, EGRESS);
	tc_drop_other_kind(attach, ifindex, INGRESS);
	if (!flags)
		bh_link_drop(attach->object, ifindex, BH_LINK_XDP);
	attached->xdp_flags = flags;
	snprintf(ret_hook, BH_HOOK_TEXT, "%s%s",
		!flags                       ? ""
		: flags & XDP_FLAGS_SKB_MODE ? "xdp-generic+"
					     : "xdp+",
		bh_attach_kind(attach));
	return 0;
}

int bh_attach_device(
	struct bh_attach *attach, uint32_t ifindex, const char *name, bool l3, struct bh_why *why)
{
	struct attached *attached = bh_table_put(&attach->interfaces, &ifindex, NULL);
	int err;

	if (!attached)
		return -ENOMEM;
	snprintf(attached->name, sizeof(attached->name), "%s", name);
	attached->as = BH_ATTACHED_DEVICE;
	attached->program[EGRESS] = l3 ? BH_PROG_LEAVING_L3 : BH_PROG_LEAVING;
	attached->program[INGRESS] = l3 ? BH_PROG_ARRIVING_L3 : BH_PROG_ARRIVING;
	/* The answers first: they are let through until something has left. */
	err = tc_ensure(attach, ifindex, INGRESS, attached->program[INGRESS], why);
	if (!err)
		err = tc_ensure(attach, ifindex, EGRESS, attached->program[EGRESS], why);
	if (err < 0) {
		bh_attach_release(attach, ifindex);
		return err;
	}
	tc_drop_other_kind(attach, ifindex, INGRESS);
	tc_drop_other_kind(attach, ifindex, EGRESS);
	bh_link_drop(attach->object, ifindex, BH_LINK_XDP);
	attached->xdp_flags = 0;
	return 0;
}

enum bh_attached_as bh_attached_as(const struct bh_attach *attach, uint32_t ifindex)
{
	const struct attached *attached = bh_table_get(&attach->interfaces, &ifindex);

	return attached ? attached->as : BH_ATTACHED_NOT;
}

void bh_attach_devices(const struct bh_attach *attach, bh_attach_visit visit, void *arg)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(&attach->interfaces, &cursor, &key, &value)) {
		const struct attached *attached = value;

		if (attached->as == BH_ATTACHED_DEVICE)
			visit(*(const uint32_t *)key, attached->name, arg);
	}
}

void bh_attach_release(struct bh_attach *attach, uint32_t ifindex)
{
	const struct attached *attached = bh_table_get(&attach->interfaces, &ifindex);

	tc_drop(attach, ifindex, INGRESS);
	tc_drop(attach, ifindex, EGRESS);
	bh_link_drop(attach->object, ifindex, BH_LINK_XDP);
	if (attached) {
		bh_problems_clear(
			attach->problems, BH_SOURCE_ATTACH, "xdp-refused", attached->name);
		bh_problems_clear(
			attach->problems, BH_SOURCE_ATTACH, "xdp-generic", attached->name);
	}
	bh_table_remove(&attach->interfaces, &ifindex);
}

/* ---- The uplink ----------------------------------------------------------------------------- */

static void keep_uplink(struct bh_attach *attach)
{
	uint32_t ifindex = if_nametoindex(attach->uplink), flags, program = 0;
	struct bh_why why;
	int err = -ENODEV;

	bh_fail(&why, 0, "there is no such interface");
	if (attach->uplink_ifindex && attach->uplink_ifindex != ifindex)
		bh_link_drop(attach->object, attach->uplink_ifindex, BH_LINK_UPLINK);
	attach->uplink_ifindex = ifindex;
	if (ifindex) {
		bh_links_xdp_program(ifindex, &program);
		if (program && program == attach->object->programs.id[BH_PROG_XDP_UPLINK])
			return;
		err = xdp_ensure(attach, ifindex, BH_LINK_UPLINK, &flags, &why);
	}
	if (err < 0)
		bh_problems_add(attach->problems, BH_SOURCE_ATTACH, "uplink", attach->uplink,
			"%s: no XDP program on the uplink: %s; the pods' own hooks enforce alone",
			attach->uplink, why.text);
	else
		bh_problems_clear(attach->problems, BH_SOURCE_ATTACH, "uplink", attach->uplink);
}

void bh_attach_uplink(struct bh_attach *attach, const char *name)
{
	snprintf(attach->uplink, sizeof(attach->uplink), "%s", name);
	keep_uplink(attach);
}

/* ---- After a start -------------------------------------------------------------------------- */

static void name_unrefreshed(
	struct bh_attach *attach, const char *what, int err, const struct bh_why *why)
{
	if (err < 0 && err != -ENOENT)
		bh_problems_add(attach->problems, BH_SOURCE_ATTACH, "refresh", what,
			"an interface goes on with the program of an earlier start: %s", why->text);
}

/* What hangs there keeps its role, and gets this process's program for it. */
static void refresh_link(uint32_t ifindex, enum bh_link_place place, void *arg)
{
	struct bh_attach *attach = arg;
	enum bh_program_kind kind = bh_link_program(attach->object, ifindex, place);
	struct bh_why why = {};
	int err;

	if (kind == BH_PROG_COUNT)
		return; /* it hangs on nothing any more */
	err = bh_programs_need(attach->object, kind, &why);
	if (!err)
		err = bh_link_refresh(
			attach->object, ifindex, place, attach->object->programs.fd[kind], &why);
	name_unrefreshed(attach, "links", err, &why);
}

static void refresh_filters(struct bh_attach *attach, uint32_t ifindex)
{
	for (enum side side = INGRESS; side <= EGRESS; side++) {
		struct bh_filter ours;
		struct bh_why why = {};
		int err;

		if (!bh_clsact_find(attach->sock, attach->object->pins.handle, ifindex,
			    side == EGRESS, &ours))
			continue;
		err = bh_programs_need(attach->object, ours.program, &why);
		if (!err)
			err = bh_clsact_ensure(attach->sock, attach->object->pins.handle, ifindex,
				side == EGRESS, attach->object->programs.fd[ours.program],
				attach->object->programs.id[ours.program], NULL, &why);
		name_unrefreshed(attach, "filters", err, &why);
	}
}

void bh_attach_refresh(struct bh_attach *attach)
{
	struct if_nameindex *interfaces = if_nameindex();

	bh_links_each(attach->object->pins.links, refresh_link, attach);
	for (struct if_nameindex *i = interfaces; i && i->if_index; i++)
		refresh_filters(attach, i->if_index);
	if (interfaces)
		if_freenameindex(interfaces);
}

static void sweep_link(uint32_t ifindex, enum bh_link_place place, void *arg)
{
	struct bh_attach *attach = arg;

	if (place == BH_LINK_UPLINK ? ifindex != attach->uplink_ifindex
				    : !bh_table_get(&attach->interfaces, &ifindex))
		bh_link_drop(attach->object, ifindex, place);
}

static bool keeps_interface(uint32_t ifindex, void *arg)
{
	return bh_table_get(&((struct bh_attach *)arg)->interfaces, &ifindex) != NULL;
}

void bh_attach_sweep(struct bh_attach *attach)
{
	struct bh_pins *pins = &attach->object->pins;

	bh_links_each(pins->links, sweep_link, attach);
	if (!pins->n_old)
		return;
	bh_ownership_remove_filters(attach->sock, pins, keeps_interface, attach);
	for (size_t i = 0; i < pins->n_old; i++) {
		char links[BH_PINS_PATH];

		snprintf(links, sizeof(links), "%s/links", pins->old[i]);
		bh_links_drop_all(links);
		bh_pins_remove(pins->old[i]);
	}
	pins->n_old = 0;
}

/* ---- The check ------------------------------------------------------------------------------ */

/* May this interface be repaired once more, or does somebody undo it each time? */
static bool may_repair(struct attached *attached)
{
	uint64_t now = bh_now_ms();

	if (now - attached->repairs_since > QUARREL_MS) {
		attached->repairs_since = now;
		attached->repairs = 0;
	}
	return attached->repairs++ < QUARREL_REPAIRS;
}

static const char *side_text(enum side side)
{
	return side == EGRESS ? "egress" : "ingress";
}

static void name_foreign(
	struct bh_attach *attach, const struct attached *attached, enum side side, const char *what)
{
	char object[IFNAMSIZ + 16];

	snprintf(object, sizeof(object), "%s %s", attached->name, side_text(side));
	bh_problems_add(attach->problems, BH_SOURCE_CHECK, "foreign-program", object,
		"%s of %s: %s runs before Bulkhead; if it ends the chain, policy is skipped there",
		side_text(side), attached->name, what);
}

static void note_repaired(
	struct bh_attach *attach, const struct attached *attached, enum side side, const char *what)
{
	char object[IFNAMSIZ + 16];

	snprintf(object, sizeof(object), "%s %s", attached->name, side_text(side));
	bh_problems_note(attach->problems, REPAIRED_MS, "repaired", object,
		"%s of %s: %s; it is attached again", side_text(side), attached->name, what);
}

/* Our program had gone: somebody removed it. */
static void put_back(
	struct bh_attach *attach, struct attached *attached, uint32_t ifindex, enum side side)
{
	struct bh_why why = {};
	int err = tc_ensure(attach, ifindex, side, attached->program[side], &why);

	if (!err)
		note_repaired(attach, attached, side, "somebody had removed Bulkhead's program");
	else if (err != -ENODEV)
		bh_problems_add(attach->problems, BH_SOURCE_CHECK, "not-attached", attached->name,
			"%s of %s: Bulkhead's program was removed and cannot be put back: %s",
			side_text(side), attached->name, why.text);
}

static int lead(struct bh_attach *attach, const struct attached *attached, uint32_t ifindex,
	enum side side, struct bh_why *why)
{
	enum bh_program_kind kind = attached->program[side];
	int twin, err = bh_programs_twin(attach->object, kind, &twin, why);

	return err ? err
		   : bh_link_lead(attach->object, ifindex, place_of(side),
			     attach->object->programs.fd[kind], twin, why);
}

/* Another instance's program passes what it does not drop, as ours does: the order is all one. */
static bool is_bulkhead(uint32_t id)
{
	char text[64];

	bh_program_text(id, text);
	text[strcspn(text, " ")] = '\0';
	return bh_program_kind(text) < BH_PROG_COUNT;
}

/* Somebody's program was before ours, and we went before it: worth knowing while it is there. */
static void name_overtaken(struct bh_attach *attach, struct attached *attached, enum side side,
	const uint32_t *ids, int n)
{
	char object[IFNAMSIZ + 16], text[64];
	int at = 0;

	while (at < n && ids[at] != attached->overtaken[side])
		at++;
	if (!attached->overtaken[side] || at == n) {
		attached->overtaken[side] = 0;
		return;
	}
	snprintf(object, sizeof(object), "%s %s", attached->name, side_text(side));
	bh_problems_add(attach->problems, BH_SOURCE_CHECK, "foreign-program", object,
		"%s of %s: TCX program %s had been put before Bulkhead; Bulkhead has gone before "
		"it "
		"again",
		side_text(side), attached->name, bh_program_text(attached->overtaken[side], text));
}

static void check_tcx(
	struct bh_attach *attach, struct attached *attached, uint32_t ifindex, enum side side)
{
	uint32_t ours = attach->object->programs.id[attached->program[side]], ids[CHAIN_MAX];
	int at = 0, before = -1, n = bh_links_tcx_chain(ifindex, place_of(side), ids, CHAIN_MAX);
	struct bh_why why = {};
	char text[64], said[128];

	if (n < 0)
		return; /* the interface is going away, which discovery will see */
	for (; at < n && ids[at] != ours; at++) {
		if (before < 0 && !is_bulkhead(ids[at]))
			before = at;
	}
	if (at == n) {
		put_back(attach, attached, ifindex, side);
		return;
	}
	if (before >= 0) {
		bh_program_text(ids[before], text);
		if (!may_repair(attached) || lead(attach, attached, ifindex, side, &why) < 0) {
			snprintf(said, sizeof(said), "TCX program %s", text);
			name_foreign(attach, attached, side, said);
			return;
		}
		snprintf(said, sizeof(said), "program %s had been put before Bulkhead's", text);
		note_repaired(attach, attached, side, said);
		attached->overtaken[side] = ids[before];
	}
	name_overtaken(attach, attached, side, ids, n);
}

struct filters {
	struct bh_filter before; /* the last one that runs before ours */
	bool has_before;
	bool found;
};

static void look_at_filter(const struct bh_filter *filter, void *arg)
{
	struct filters *filters = arg;

	if (filter->ours) {
		filters->found = true;
	} else if (!filters->found) {
		filters->before = *filter;
		filters->has_before = true;
	}
}

static void check_clsact(
	struct bh_attach *attach, struct attached *attached, uint32_t ifindex, enum side side)
{
	struct filters filters = {};
	uint32_t id;
	char text[64], said[160];

	if (bh_clsact_list(attach->sock, attach->object->pins.handle, ifindex, side == EGRESS,
		    look_at_filter, &filters) < 0)
		return;
	if (!filters.found) {
		if (if_indextoname(ifindex, said))
			put_back(attach, attached, ifindex, side);
		return;
	}
	if (filters.has_before) {
		snprintf(said, sizeof(said), "the %s filter %s (priority %u)", filters.before.kind,
			filters.before.prog_id ? bh_program_text(filters.before.prog_id, text) : "",
			filters.before.priority);
		name_foreign(attach, attached, side, said);
	} else if (attach->has_tcx && bh_links_tcx_chain(ifindex, place_of(side), &id, 1) > 0 &&
		   !is_bulkhead(id)) {
		snprintf(said, sizeof(said), "TCX program %s", bh_program_text(id, text));
		name_foreign(attach, attached, side, said);
	}
}

static void check_xdp(struct bh_attach *attach, struct attached *attached, uint32_t ifindex)
{
	uint32_t id = 0, flags;
	struct bh_why why = {};
	char text[64];

	if (bh_links_xdp_program(ifindex, &id) < 0)
		return;
	if (attached->xdp_flags) {
		if (id == attach->object->programs.id[BH_PROG_XDP_POD])
			return;
		if (xdp_ensure(attach, ifindex, BH_LINK_XDP, &flags, &why) == 0)
			note_repaired(attach, attached, INGRESS,
				"somebody had removed Bulkhead's XDP program");
		else
			bh_problems_add(attach->problems, BH_SOURCE_CHECK, "not-attached",
				attached->name, "%s: Bulkhead's XDP program is gone: %s",
				attached->name, why.text);
		return;
	}
	if (!id)
		return;
	bh_problems_add(attach->problems, BH_SOURCE_CHECK, "foreign-program", attached->name,
		"%s: XDP program %s runs before Bulkhead; what it redirects skips policy there",
		attached->name, bh_program_text(id, text));
}

void bh_attach_check(struct bh_attach *attach)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	bh_problems_begin(attach->problems, BH_SOURCE_CHECK);
	while (bh_table_next(&attach->interfaces, &cursor, &key, &value)) {
		struct attached *attached = value;
		uint32_t ifindex = *(const uint32_t *)key;

		for (enum side side = INGRESS; side <= EGRESS; side++) {
			if (attach->tcx)
				check_tcx(attach, attached, ifindex, side);
			else
				check_clsact(attach, attached, ifindex, side);
		}
		if (attached->as == BH_ATTACHED_POD)
			check_xdp(attach, attached, ifindex);
	}
	if (attach->uplink[0])
		keep_uplink(attach);
	bh_programs_drop_twins(attach->object);
	bh_problems_end(attach->problems, BH_SOURCE_CHECK);
}
