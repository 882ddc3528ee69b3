/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/clsact.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/loadlog.h"
#include "dataplane/rtnl.h"

/*
 * The first is left to whoever must come first. Somebody else's filter of another kind or protocol
 * may have a priority for itself: then the next one is tried.
 */
#define PRIORITY_FIRST 2
#define PRIORITY_LAST 16

static enum bpf_tc_attach_point side_of(bool egress)
{
	return egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

/* ---- Listing -------------------------------------------------------------------------------- */

struct listing {
	bh_filter_visit visit;
	void *arg;
	uint32_t handle; /* ours */
};

/* libbpf names a filter "<program>:[<id>]". */
static enum bh_program_kind program_of(const struct bh_filter *filter)
{
	char name[sizeof(filter->name)];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(filter->name, ":"), filter->name);
	return bh_program_kind(name);
}

static bool is_ours(const struct bh_filter *filter, const struct listing *listing)
{
	return filter->handle == listing->handle && !strcmp(filter->kind, "bpf") &&
	       filter->program < BH_PROG_COUNT;
}

static void read_bpf(struct nlattr *options, struct bh_filter *filter)
{
	struct nlattr *attrs[TCA_BPF_MAX + 1];

	if (nla_parse_nested(attrs, TCA_BPF_MAX, options, NULL) < 0)
		return;
	if (attrs[TCA_BPF_NAME])
		nla_strlcpy(filter->name, attrs[TCA_BPF_NAME], sizeof(filter->name));
	if (attrs[TCA_BPF_ID])
		filter->prog_id = nla_get_u32(attrs[TCA_BPF_ID]);
}

static void on_filter(const struct nlmsghdr *message, void *arg)
{
	const struct listing *listing = arg;
	struct nlattr *attrs[TCA_MAX + 1];
	const struct tcmsg *tc = nlmsg_data(message);
	struct bh_filter filter = {};

	if (message->nlmsg_type != RTM_NEWTFILTER ||
		nlmsg_parse((struct nlmsghdr *)message, sizeof(*tc), attrs, TCA_MAX, NULL) < 0)
		return;
	/* A classifier is announced with handle 0 before its filters. */
	if (!tc->tcm_handle || !attrs[TCA_KIND])
		return;
	filter.priority = TC_H_MAJ(tc->tcm_info) >> 16;
	filter.handle = tc->tcm_handle;
	nla_strlcpy(filter.kind, attrs[TCA_KIND], sizeof(filter.kind));
	if (!strcmp(filter.kind, "bpf") && attrs[TCA_OPTIONS])
		read_bpf(attrs[TCA_OPTIONS], &filter);
	filter.program = program_of(&filter);
	filter.ours = is_ours(&filter, listing);
	listing->visit(&filter, listing->arg);
}

int bh_clsact_list(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress,
	bh_filter_visit visit, void *arg)
{
	struct tcmsg header = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)ifindex,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS),
	};
	struct listing listing = {
		.visit = visit,
		.arg = arg,
		.handle = handle,
	};
	int err = bh_rtnl_dump(
		sock, RTM_GETTFILTER, &header, sizeof(header), 0, 0, on_filter, &listing);

	/* Without the qdisc there is nothing to list. */
	return err == -EINVAL || err == -ENOENT || err == -EOPNOTSUPP ? 0 : err;
}

static void keep_ours(const struct bh_filter *filter, void *arg)
{
	struct bh_filter *kept = arg;

	if (filter->ours && !kept->handle)
		*kept = *filter;
}

bool bh_clsact_find(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress,
	struct bh_filter *ret_filter)
{
	struct bh_filter found = {};

	if (bh_clsact_list(sock, handle, ifindex, egress, keep_ours, &found) < 0 || !found.handle)
		return false;
	if (ret_filter)
		*ret_filter = found;
	return true;
}

/* ---- Changing ------------------------------------------------------------------------------- */

static int make_qdisc(uint32_t ifindex, bool egress, struct bh_why *why)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = side_of(egress));
	int err = bpf_tc_hook_create(&hook);

	if (err < 0 && err != -EEXIST)
		return bh_fail(
			why, err, "interface %u: no clsact qdisc: %s", ifindex, strerror(-err));
	return 0;
}

static int put_filter(uint32_t handle, uint32_t ifindex, bool egress, uint32_t priority,
	int prog_fd, bool replace)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = side_of(egress));
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = handle, .priority = priority,
		.flags = replace ? BPF_TC_F_REPLACE : 0);

	return bpf_tc_attach(&hook, &opts);
}

int bh_clsact_ensure(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress,
	int prog_fd, uint32_t prog_id, bool *ret_made, struct bh_why *why)
{
	struct bh_filter ours;
	bool made = false;
	int err;

	bh_loadlog_begin();
	if (bh_clsact_find(sock, handle, ifindex, egress, &ours)) {
		err = ours.prog_id == prog_id
			      ? 0
			      : put_filter(handle, ifindex, egress, ours.priority, prog_fd, true);
	} else {
		err = make_qdisc(ifindex, egress, why);
		if (err < 0)
			return err;
		err = -EINVAL;
		for (uint32_t p = PRIORITY_FIRST; p <= PRIORITY_LAST && err < 0 && err != -ENODEV;
			p++)
			err = put_filter(handle, ifindex, egress, p, prog_fd, false);
		made = !err;
	}
	if (err < 0)
		return bh_fail(
			why, err, "interface %u: no filter on clsact: %s", ifindex, strerror(-err));
	if (ret_made)
		*ret_made = made;
	return 0;
}

int bh_clsact_remove(uint32_t ifindex, bool egress, const struct bh_filter *filter)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = side_of(egress));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = filter->handle, .priority = filter->priority);

	bh_loadlog_begin();
	return bpf_tc_detach(&hook, &opts);
}

void bh_clsact_drop(struct nl_sock *sock, uint32_t handle, uint32_t ifindex, bool egress)
{
	struct bh_filter ours;

	if (bh_clsact_find(sock, handle, ifindex, egress, &ours))
		bh_clsact_remove(ifindex, egress, &ours);
}
