/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/leaving.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/clsact.h"
#include "dataplane/links.h"
#include "dataplane/rtnl.h"
#include "proto/cleanup.h"

/* An interface of this namespace, as far as it matters here. */
struct device {
	uint32_t ifindex;
	uint32_t master; /* ifindex, or 0 */
	bool loopback;
	bool l3;
	char name[IFNAMSIZ];
};

struct devices {
	struct bh_table table; /* ifindex → struct device */
	struct bh_table pods;  /* ifindex → 1: pods' interfaces, and their bridges */
	int error;
};

int bh_leaving_open(struct bh_leaving *leaving, struct bh_tables *tables, struct bh_attach *attach,
	struct bh_problems *problems, bool uplink, struct bh_why *why)
{
	int err;

	*leaving = (struct bh_leaving){
		.tables = tables,
		.attach = attach,
		.problems = problems,
		.uplink = uplink,
	};
	err = bh_rtnl_open(&leaving->sock);
	if (err < 0)
		return bh_fail(why, err, "netlink: %s", strerror(-err));
	bh_leaving_settle(leaving);
	return 0;
}

void bh_leaving_close(struct bh_leaving *leaving)
{
	bh_rtnl_close(leaving->sock);
	leaving->sock = NULL;
}

/* ---- Which devices -------------------------------------------------------------------------- */

static void on_link(const struct nlmsghdr *message, void *arg)
{
	struct devices *devices = arg;
	struct nlattr *attrs[IFLA_MAX + 1];
	const struct ifinfomsg *link = nlmsg_data(message);
	struct device *device;
	uint32_t ifindex;

	if (message->nlmsg_type != RTM_NEWLINK ||
		nlmsg_parse((struct nlmsghdr *)message, sizeof(*link), attrs, IFLA_MAX, NULL) < 0)
		return;
	ifindex = (uint32_t)link->ifi_index;
	device = bh_table_put(&devices->table, &ifindex, NULL);
	if (!device) {
		devices->error = -ENOMEM;
		return;
	}
	*device = (struct device){
		.ifindex = ifindex,
		.master = attrs[IFLA_MASTER] ? nla_get_u32(attrs[IFLA_MASTER]) : 0,
		.loopback = link->ifi_flags & IFF_LOOPBACK,
		.l3 = link->ifi_type != ARPHRD_ETHER,
	};
	if (attrs[IFLA_IFNAME])
		nla_strlcpy(device->name, attrs[IFLA_IFNAME], sizeof(device->name));
}

/*
 * By the endpoints in force, which are there from the start on; what is attached to whom is only
 * known when the controller has said which pods there are.
 */
static int find_pods(const struct bh_leaving *leaving, struct devices *devices)
{
	const struct bh_endpoint *endpoints = leaving->tables->object->endpoints;

	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX; slot++) {
		const struct device *device;

		if (!endpoints[slot].epoch)
			continue;
		if (!bh_table_put(&devices->pods, &endpoints[slot].ifindex, NULL))
			return -ENOMEM;
		device = bh_table_get(&devices->table, &endpoints[slot].ifindex);
		if (device && device->master &&
			!bh_table_put(&devices->pods, &device->master, NULL))
			return -ENOMEM;
	}
	return 0;
}

static int list_devices(struct bh_leaving *leaving, struct devices *devices)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	int err = bh_rtnl_dump(
		leaving->sock, RTM_GETLINK, &header, sizeof(header), 0, 0, on_link, devices);

	if (!err)
		err = devices->error;
	return err ? err : find_pods(leaving, devices);
}

static bool leaves(const struct bh_leaving *leaving, const struct devices *devices,
	const struct device *device)
{
	return device && !device->loopback && !bh_table_get(&devices->pods, &device->ifindex) &&
	       bh_attached_as(leaving->attach, device->ifindex) != BH_ATTACHED_POD;
}

/* ---- Giving and taking ---------------------------------------------------------------------- */

struct leftovers {
	const struct bh_leaving *leaving;
	const struct devices *devices; /* NULL: none is to stay */
	uint32_t *list;
	size_t n;
};

static void collect_leftover(uint32_t ifindex, const char *name, void *arg)
{
	struct leftovers *leftovers = arg;
	const struct devices *devices = leftovers->devices;
	uint32_t *grown;

	if (devices && leaves(leftovers->leaving, devices, bh_table_get(&devices->table, &ifindex)))
		return;
	grown = realloc(leftovers->list, (leftovers->n + 1) * sizeof(*grown));
	if (!grown)
		return; /* the next look takes it */
	leftovers->list = grown;
	leftovers->list[leftovers->n++] = ifindex;
}

static void release_leftovers(struct bh_leaving *leaving, const struct devices *devices)
{
	struct leftovers leftovers = {.leaving = leaving, .devices = devices};

	bh_attach_devices(leaving->attach, collect_leftover, &leftovers);
	for (size_t i = 0; i < leftovers.n; i++)
		bh_attach_release(leaving->attach, leftovers.list[i]);
	leaving->version += leftovers.n;
	free(leftovers.list);
}

/* Returns the first error that is not a device's having gone meanwhile. */
static int attach_all(
	struct bh_leaving *leaving, const struct devices *devices, struct bh_why *ret_why)
{
	size_t cursor = 0;
	const void *key;
	void *value;
	int first = 0;

	while (bh_table_next(&devices->table, &cursor, &key, &value)) {
		const struct device *device = value;
		struct bh_why why = {};
		int err;

		if (!leaves(leaving, devices, device) ||
			bh_attached_as(leaving->attach, device->ifindex) == BH_ATTACHED_DEVICE)
			continue;
		err = bh_attach_device(
			leaving->attach, device->ifindex, device->name, device->l3, &why);
		leaving->version++;
		if (!err || err == -ENODEV)
			continue;
		bh_problems_add(leaving->problems, BH_SOURCE_LEAVING, "not-attached", device->name,
			"%s: what pods send to services and leaves by it is not judged again: %s",
			device->name, why.text);
		if (!first)
			bh_fail(ret_why, first = err, "%s: %s", device->name, why.text);
	}
	return first;
}

static void devices_init(struct devices *devices)
{
	*devices = (struct devices){};
	bh_table_init(&devices->table, sizeof(uint32_t), sizeof(struct device));
	bh_table_init(&devices->pods, sizeof(uint32_t), 1);
}

static void devices_fini(struct devices *devices)
{
	bh_table_clear(&devices->table);
	bh_table_clear(&devices->pods);
}

static int look(struct bh_leaving *leaving, struct bh_why *why)
{
	struct devices devices;
	int err;

	devices_init(&devices);
	err = list_devices(leaving, &devices);
	if (err < 0) {
		bh_fail(why, err, "listing interfaces: %s", strerror(-err));
	} else {
		bh_problems_begin(leaving->problems, BH_SOURCE_LEAVING);
		release_leftovers(leaving, &devices);
		err = attach_all(leaving, &devices, why);
		bh_problems_end(leaving->problems, BH_SOURCE_LEAVING);
	}
	devices_fini(&devices);
	return err;
}

void bh_leaving_look(struct bh_leaving *leaving)
{
	struct bh_why why = {};

	if (leaving->wanted)
		look(leaving, &why); /* what it could not do is named */
}

/* ---- Who wipes marks ------------------------------------------------------------------------- */

/* The first filter of others that sees a packet after we have marked it. */
struct wiper {
	struct bh_filter filter;
	bool found;
};

static void look_at_filter(const struct bh_filter *filter, void *arg)
{
	struct wiper *wiper = arg;

	/* What ran before ours has been overwritten. Another instance ends no chain either. */
	if (filter->program != BH_PROG_COUNT) {
		wiper->found &= !filter->ours;
	} else if (!wiper->found) {
		wiper->filter = *filter;
		wiper->found = true;
	}
}

/* With TC_ACT_OK the kernel writes the filter's class into skb->tc_index, where our mark is. */
static void check_marks(struct bh_leaving *leaving, const struct device *device)
{
	struct wiper wiper = {};
	char object[IFNAMSIZ + 16], text[64];

	if (bh_clsact_list(leaving->sock, leaving->tables->object->pins.handle, device->ifindex,
		    false, look_at_filter, &wiper) < 0 ||
		!wiper.found)
		return;
	snprintf(object, sizeof(object), "%s ingress", device->name);
	bh_problems_add(leaving->problems, BH_SOURCE_MARKS, "wipes-marks", object,
		"ingress of %s: the %s filter %s (priority %u) runs behind Bulkhead; if it ends "
		"with "
		"TC_ACT_OK nobody knows any more who has sent a packet, and what pods send there "
		"to services is not judged again once it is masqueraded",
		device->name, wiper.filter.kind,
		wiper.filter.prog_id ? bh_program_text(wiper.filter.prog_id, text) : "",
		wiper.filter.priority);
}

void bh_leaving_check(struct bh_leaving *leaving)
{
	struct devices devices;
	size_t cursor = 0;
	const void *key;
	void *value;

	devices_init(&devices);
	if (leaving->wanted && list_devices(leaving, &devices) < 0)
		goto end; /* the next check tells */
	bh_problems_begin(leaving->problems, BH_SOURCE_MARKS);
	while (bh_table_next(&devices.pods, &cursor, &key, &value)) {
		const struct device *device = bh_table_get(&devices.table, key);

		if (device)
			check_marks(leaving, device);
	}
	bh_problems_end(leaving->problems, BH_SOURCE_MARKS);
end:
	devices_fini(&devices);
}

/* ---- Whether at all ------------------------------------------------------------------------- */

static bool programs_defer(const struct bh_table *programs)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(programs, &cursor, &key, &value)) {
		const struct bh_program *program = *(struct bh_program **)value;

		if (program && bh_program_defers(program))
			return true;
	}
	return false;
}

static bool knows_services(const struct bh_table *addresses)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(addresses, &cursor, &key, &value)) {
		if (((const struct bh_identity *)value)->flags & BH_IDENTITY_SERVICE)
			return true;
	}
	return false;
}

static bool is_needed(const struct bh_leaving *leaving)
{
	const struct bh_world *world = &leaving->tables->world;

	return programs_defer(&world->programs) ||
	       (leaving->uplink &&
		       (knows_services(&world->addr4) || knows_services(&world->addr6)));
}

int bh_leaving_prepare(
	struct bh_leaving *leaving, const struct bh_change *change, struct bh_why *why)
{
	struct bh_why inner = {};
	int err;

	if (!programs_defer(&change->programs))
		return 0;
	leaving->wanted = true;
	err = look(leaving, &inner);
	return err ? bh_fail(why, err,
			     "what is let through to services has to be judged where it leaves the "
			     "node, and cannot be: %s",
			     inner.text)
		   : 0;
}

void bh_leaving_settle(struct bh_leaving *leaving)
{
	leaving->wanted = is_needed(leaving);
	if (leaving->wanted) {
		bh_leaving_look(leaving);
		return;
	}
	release_leftovers(leaving, NULL);
	bh_problems_begin(leaving->problems, BH_SOURCE_LEAVING);
	bh_problems_end(leaving->problems, BH_SOURCE_LEAVING);
}
