/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The interfaces that are pods' by the look of them, the devices on which an instance of Bulkhead
 * judges what leaves the node, and whose programs hang there beside ours. A program before ours
 * that ends the chain, one on any interface that redirects past the pods', or a filter that wipes
 * the mark of who sent a packet makes a hole that only its owner can close.
 */

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "proto/cleanup.h"
#include "proto/foreign.h"
#include "tools/bulkhead/doctor.h"

#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define EGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)
#define PROGRAMS_MAX 64
#define INTERFACES_MAX 4096
#define NAMED_MAX 8 /* more are counted */

struct interface {
	uint32_t ifindex;
	uint32_t master;
	bool pod;     /* a veth that leads into another network namespace */
	bool bridge;  /* of pods */
	bool leaving; /* has our programs for what leaves the node */
	uint32_t xdp; /* program id, 0: none */
	char name[IFNAMSIZ];
};

struct links {
	struct mnl_socket *socket;
	struct interface *list;
	size_t n;
	size_t n_pods;
	unsigned int parents; /* macvlan and ipvlan interfaces of this namespace */
	/* Programs of others. */
	char named[NAMED_MAX][96];
	unsigned int n_foreign;
	/* Programs of others that redirect past pods' interfaces; and that may, for all one can
	 * see. */
	char redirecting[NAMED_MAX][192];
	unsigned int n_redirecting;
	unsigned int n_hidden;
	/* Filters of others that see what pods send after we have marked it. */
	char wiping[NAMED_MAX][96];
	unsigned int n_wiping;
	/* The look under way. */
	struct interface *at;
	bool looking_for_ours; /* only whether it is a device that leaves the node */
	bool behind_ours;      /* on a side where the next filter sees our mark */
};

/* ---- Asking ---------------------------------------------------------------------------------- */

static int dump(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t callback, void *data)
{
	char buffer[32 * 1024] __attribute__((aligned(8))); /* what a dump sends at a time */
	unsigned int port = mnl_socket_get_portid(socket);
	int r = 1;

	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = 1;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (r > 0) {
		ssize_t n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));

		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)n, 1, port, callback, data);
	}
	return r < 0 ? -errno : 0;
}

static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(__NR_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static void program_name(uint32_t id, char *ret_name, size_t size)
{
	struct bpf_prog_info info = {0};
	union bpf_attr ask = {.prog_id = id};
	_cleanup_close_ int fd = bpf(BPF_PROG_GET_FD_BY_ID, &ask);
	union bpf_attr attr = {
		.info = {.bpf_fd = (uint32_t)fd,
			.info_len = sizeof(info),
			.info = (uint64_t)(uintptr_t)&info},
	};

	if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && info.name[0])
		snprintf(ret_name, size, "%.15s", info.name);
	else
		snprintf(ret_name, size, "id %u", id);
}

/* ---- Interfaces ------------------------------------------------------------------------------ */

static const struct nlattr *nested(const struct nlattr *outer, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, outer)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static const char *kind_of(const struct nlattr *info)
{
	const struct nlattr *kind = info ? nested(info, IFLA_INFO_KIND) : NULL;

	return kind ? mnl_attr_get_str(kind) : "";
}

static int on_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[IFLA_MAX + 1] = {0}, *attr, *xdp;
	struct links *links = data;
	struct interface *list;

	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		if (mnl_attr_get_type(attr) <= IFLA_MAX)
			attrs[mnl_attr_get_type(attr)] = attr;
	}
	if (!strcmp(kind_of(attrs[IFLA_LINKINFO]), "macvlan") ||
		!strcmp(kind_of(attrs[IFLA_LINKINFO]), "ipvlan"))
		links->parents++;
	if (links->n == INTERFACES_MAX)
		return MNL_CB_OK;
	list = realloc(links->list, (links->n + 1) * sizeof(*list));
	if (!list)
		return MNL_CB_ERROR;
	links->list = list;
	list[links->n] = (struct interface){
		.ifindex = (uint32_t)header->ifi_index,
		.pod = !strcmp(kind_of(attrs[IFLA_LINKINFO]), "veth") && attrs[IFLA_LINK_NETNSID] &&
		       (int32_t)mnl_attr_get_u32(attrs[IFLA_LINK_NETNSID]) >= 0,
	};
	links->n_pods += list[links->n].pod;
	if (attrs[IFLA_IFNAME])
		snprintf(list[links->n].name, IFNAMSIZ, "%s", mnl_attr_get_str(attrs[IFLA_IFNAME]));
	if (attrs[IFLA_MASTER])
		list[links->n].master = mnl_attr_get_u32(attrs[IFLA_MASTER]);
	xdp = attrs[IFLA_XDP] ? nested(attrs[IFLA_XDP], IFLA_XDP_PROG_ID) : NULL;
	list[links->n++].xdp = xdp ? mnl_attr_get_u32(xdp) : 0;
	return MNL_CB_OK;
}

static int list_interfaces(struct links *links)
{
	char buffer[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = RTM_GETLINK;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	return dump(links->socket, request, on_link, links);
}

/* Quadratic in what is small: bridges are few. */
static void find_bridges(struct links *links)
{
	for (size_t i = 0; i < links->n; i++) {
		uint32_t master = links->list[i].pod ? links->list[i].master : 0;

		for (size_t j = 0; master && j < links->n; j++)
			links->list[j].bridge |= links->list[j].ifindex == master;
	}
}

/* ---- Programs -------------------------------------------------------------------------------- */

/* Does the program put packets into pods behind the pods' hooks? */
static void look_for_redirects(
	struct links *links, const char *where, const char *name, uint32_t id)
{
	struct bh_foreign foreign;
	bool ours = strncmp(name, "bh_", 3) == 0;

	if (bh_foreign_look(id, &foreign) < 0 || foreign.evidence == BH_EVIDENCE_NONE)
		return;
	if (foreign.evidence == BH_EVIDENCE_HIDDEN) {
		links->n_hidden += !ours;
		return;
	}
	if (links->n_redirecting < NAMED_MAX)
		snprintf(links->redirecting[links->n_redirecting], sizeof(links->redirecting[0]),
			"%s%s%s (%s of %s%s)", foreign.text, foreign.callee[0] ? " through " : "",
			foreign.callee, where, links->at->name,
			foreign.evidence == BH_EVIDENCE_NAME ? ", by its name" : "");
	links->n_redirecting++;
}

static bool starts_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* A program on a TC or XDP hook, by the name it goes by there. `id` 0: not a BPF program. */
static void note(struct links *links, const char *where, const char *name, uint32_t id)
{
	if (links->looking_for_ours) {
		links->at->leaving |=
			starts_with(name, "bh_leaving") || starts_with(name, "bh_arriving");
		return;
	}
	if (id)
		look_for_redirects(links, where, name, id);
	if (starts_with(name, "bh_") || (!links->at->pod && !links->at->leaving))
		return;
	if (links->n_foreign < NAMED_MAX)
		snprintf(links->named[links->n_foreign], sizeof(links->named[0]), "%s (%s of %s)",
			name, where, links->at->name);
	links->n_foreign++;
}

/* A filter on the way of what pods send: what runs before ours wipes nothing. */
static void note_wiper(struct links *links, const char *name)
{
	if (starts_with(name, "bh_")) {
		links->behind_ours = true;
		return;
	}
	if (!links->behind_ours)
		return;
	if (links->n_wiping < NAMED_MAX)
		snprintf(links->wiping[links->n_wiping], sizeof(links->wiping[0]),
			"%s (filter of %s)", name, links->at->name);
	links->n_wiping++;
}

static int on_filter(const struct nlmsghdr *message, void *data)
{
	const struct tcmsg *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr, *kind = NULL, *options = NULL, *name = NULL, *id = NULL;
	struct links *links = data;

	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		if (mnl_attr_get_type(attr) == TCA_KIND)
			kind = attr;
		else if (mnl_attr_get_type(attr) == TCA_OPTIONS)
			options = attr;
	}
	/* Without options it is the chain's head, which is there for each priority. */
	if (!kind || !options)
		return MNL_CB_OK;
	if (strcmp(mnl_attr_get_str(kind), "bpf") == 0) {
		name = nested(options, TCA_BPF_NAME);
		id = nested(options, TCA_BPF_ID);
	}
	note(links, "filter", mnl_attr_get_str(name ? name : kind), id ? mnl_attr_get_u32(id) : 0);
	if (!links->looking_for_ours && header->tcm_parent == INGRESS)
		note_wiper(links, mnl_attr_get_str(name ? name : kind));
	return MNL_CB_OK;
}

static void look_at_filters(struct links *links)
{
	static const uint32_t parents[] = {INGRESS, EGRESS};

	for (size_t i = 0; i < 2; i++) {
		char buffer[256];
		struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
		struct tcmsg *tc;

		request->nlmsg_type = RTM_GETTFILTER;
		tc = mnl_nlmsg_put_extra_header(request, sizeof(*tc));
		tc->tcm_ifindex = (int)links->at->ifindex;
		tc->tcm_parent = parents[i];
		/* Without the qdisc there is nothing to list, which is an error to the kernel. */
		(void)dump(links->socket, request, on_filter, links);
	}
}

static void look_at_tcx(struct links *links)
{
	static const uint32_t types[] = {TCX_INGRESS, TCX_EGRESS};

	for (size_t i = 0; i < 2; i++) {
		uint32_t ids[PROGRAMS_MAX] = {0};
		union bpf_attr attr = {
			.query = {.target_fd = links->at->ifindex,
				.attach_type = types[i],
				.prog_ids = (uint64_t)(uintptr_t)ids,
				.prog_cnt = PROGRAMS_MAX},
		};

		if (bpf(BPF_PROG_QUERY, &attr) < 0)
			continue; /* no TCX here, or too many to be named */
		for (uint32_t j = 0; j < attr.query.prog_cnt && j < PROGRAMS_MAX; j++) {
			char name[32];

			program_name(ids[j], name, sizeof(name));
			note(links, "TCX", name, ids[j]);
			/* TCX comes before any filter. */
			links->behind_ours |= types[i] == TCX_INGRESS && links->at->pod &&
					      starts_with(name, "bh_");
		}
	}
}

/* Is it one of those that leave the node? */
static void look_for_ours(struct links *links, struct interface *interface)
{
	links->at = interface;
	links->looking_for_ours = true;
	look_at_tcx(links);
	look_at_filters(links);
	links->looking_for_ours = false;
}

static void look_at(struct links *links, struct interface *interface)
{
	char name[32];

	links->at = interface;
	links->behind_ours = interface->bridge;
	look_at_tcx(links);
	look_at_filters(links);
	/* XDP programs have no such helper. */
	if (interface->xdp) {
		program_name(interface->xdp, name, sizeof(name));
		note(links, "XDP", name, 0);
	}
}

static void report_foreign(struct bh_doctor *doctor, const struct links *links)
{
	char text[NAMED_MAX * 100] = "";
	size_t used = 0;

	if (!links->n_foreign) {
		bh_doctor_report(doctor, BH_HEALTH_OK, "programs", NULL,
			"no programs of others on pods' interfaces, nor where Bulkhead judges what "
			"leaves the node");
		return;
	}
	for (unsigned int i = 0; i < links->n_foreign && i < NAMED_MAX; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%s", i ? ", " : "", links->named[i]);
	bh_doctor_report(doctor, BH_HEALTH_WARNING, "programs",
		"a program that ends the chain before Bulkhead's skips policy: see whose they are; "
		"Bulkhead goes first where the kernel has TCX",
		"%u of others: %s%s", links->n_foreign, text,
		links->n_foreign > NAMED_MAX ? ", …" : "");
}

/* Only where something is judged by its mark. */
static void report_leaving(struct bh_doctor *doctor, const struct links *links)
{
	char devices[NAMED_MAX * (IFNAMSIZ + 2)] = "", text[NAMED_MAX * 100] = "";
	size_t used = 0;
	unsigned int n = 0;

	for (size_t i = 0; i < links->n; i++) {
		if (links->list[i].leaving && n++ < NAMED_MAX)
			used += (size_t)snprintf(devices + used, sizeof(devices) - used, "%s%s",
				used ? ", " : "", links->list[i].name);
	}
	if (!n)
		return;
	bh_doctor_report(doctor, BH_HEALTH_OK, "leaving", NULL,
		"what pods send to services is judged again at %s%s", devices,
		n > NAMED_MAX ? ", …" : "");
	used = 0;
	for (unsigned int i = 0; i < links->n_wiping && i < NAMED_MAX; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%s", i ? ", " : "", links->wiping[i]);
	if (used)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "marks",
			"a filter there that ends with TC_ACT_OK wipes the mark of who sent a "
			"packet: what is sent to services is not judged again once it is "
			"masqueraded; let it end with TC_ACT_UNSPEC, or not masquerade pods",
			"%u of others see what pods send behind Bulkhead: %s%s", links->n_wiping,
			text, links->n_wiping > NAMED_MAX ? ", …" : "");
}

static void report_redirects(struct bh_doctor *doctor, const struct links *links)
{
	char text[NAMED_MAX * 196] = "";
	size_t used = 0;

	if (!links->n_redirecting && links->n_hidden) {
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "redirects",
			"run doctor with CAP_SYSLOG and sysctl kernel.kptr_restrict below 2: then "
			"the kernel shows what they call",
			"whether programs of others redirect past pods' interfaces cannot be told "
			"of %u",
			links->n_hidden);
		return;
	}
	if (!links->n_redirecting) {
		bh_doctor_report(doctor, BH_HEALTH_OK, "redirects", NULL,
			"no program redirects past pods' interfaces");
		return;
	}
	for (unsigned int i = 0; i < links->n_redirecting && i < NAMED_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "",
			links->redirecting[i]);
	bh_doctor_report(doctor, BH_HEALTH_WARNING, "redirects",
		"eBPF host routing (bpf_redirect_peer) skips pods' ingress policy: switch it off "
		"(Cilium: bpf.hostLegacyRouting=true; Calico: do not use its eBPF data plane)",
		"past pods' interfaces: %s%s", text, links->n_redirecting > NAMED_MAX ? ", …" : "");
}

static void report_interfaces(struct bh_doctor *doctor, const struct links *links)
{
	if (links->n_pods)
		bh_doctor_report(doctor, BH_HEALTH_OK, "interfaces", NULL,
			"%zu veths lead into other network namespaces", links->n_pods);
	else
		bh_doctor_report(doctor, BH_HEALTH_OK, "interfaces", NULL,
			"no veth leads into another network namespace (yet)");
	if (links->parents)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "macvlan",
			"pods on macvlan or ipvlan have no end on the host: no policy can be "
			"enforced on "
			"them, and 'bulkhead pods' says so",
			"%u macvlan or ipvlan interfaces", links->parents);
}

void bh_doctor_links(struct bh_doctor *doctor)
{
	struct links links = {.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
	int r = links.socket && mnl_socket_bind(links.socket, 0, MNL_SOCKET_AUTOPID) == 0
			? list_interfaces(&links)
			: -errno;

	if (r < 0) {
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "interfaces",
			"see whether netlink is allowed", "they cannot be listed: %s",
			strerror(-r));
	} else {
		report_interfaces(doctor, &links);
		find_bridges(&links);
		for (size_t i = 0; i < links.n; i++)
			look_for_ours(&links, &links.list[i]);
		for (size_t i = 0; i < links.n; i++)
			look_at(&links, &links.list[i]);
		report_foreign(doctor, &links);
		report_leaving(doctor, &links);
		report_redirects(doctor, &links);
	}
	if (links.socket)
		mnl_socket_close(links.socket);
	free(links.list);
}
