/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/discover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/rtnl.h"
#include "proto/cleanup.h"

#define HOST_ADDRESSES_MAX 1024

struct peer_key {
	int32_t nsid;
	uint32_t ifindex;
};

/* What one scan gathers. */
struct view {
	struct bh_table links; /* every ifindex of our own namespace */
	struct bh_table hosts; /* host ifindex → struct bh_place; mac not set until confirmed */
	struct bh_table peers; /* struct peer_key → host ifindex, both ends agreeing */
	struct bh_table found4;
	struct bh_table found6;
	struct bh_host_address *own;
	size_t n_own;
};

struct bh_discovery {
	struct nl_sock *sock;
	struct view view;
};

/* The scan under way, for the callbacks. */
struct scan {
	struct view *view;
	const struct bh_table *want4;
	const struct bh_table *want6;
	int32_t nsid; /* whose answers come in; -1 = our own namespace */
	int error;
};

static void discovery_cleanup(struct bh_discovery **discovery)
{
	bh_discovery_free(*discovery);
}

static void view_init(struct view *view)
{
	*view = (struct view){};
	bh_table_init(&view->links, sizeof(uint32_t), 1);
	bh_table_init(&view->hosts, sizeof(uint32_t), sizeof(struct bh_place));
	bh_table_init(&view->peers, sizeof(struct peer_key), sizeof(uint32_t));
	bh_table_init(&view->found4, 4, sizeof(struct bh_finding));
	bh_table_init(&view->found6, 16, sizeof(struct bh_finding));
}

static void view_fini(struct view *view)
{
	bh_table_clear(&view->links);
	bh_table_clear(&view->hosts);
	bh_table_clear(&view->peers);
	bh_table_clear(&view->found4);
	bh_table_clear(&view->found6);
	free(view->own);
}

int bh_discovery_new(struct bh_discovery **ret_discovery, struct bh_why *why)
{
	_cleanup_(discovery_cleanup) struct bh_discovery *discovery = calloc(1, sizeof(*discovery));
	int err;

	if (!discovery)
		return -ENOMEM;
	view_init(&discovery->view);
	err = bh_rtnl_open(&discovery->sock);
	if (err < 0)
		return bh_fail(why, err, "netlink: %s", strerror(-err));
	*ret_discovery = bh_take_pointer(discovery);
	return 0;
}

void bh_discovery_free(struct bh_discovery *discovery)
{
	if (!discovery)
		return;
	bh_rtnl_close(discovery->sock);
	view_fini(&discovery->view);
	free(discovery);
}

/* ---- Links ---------------------------------------------------------------------------------- */

struct link {
	uint32_t ifindex;
	bool veth;
	bool has_nsid;
	int32_t nsid;
	uint32_t link;
	uint32_t master;
	uint8_t mac[6];
	char name[IFNAMSIZ];
};

static bool kind_is_veth(struct nlattr *linkinfo)
{
	struct nlattr *attrs[IFLA_INFO_MAX + 1];

	return linkinfo && nla_parse_nested(attrs, IFLA_INFO_MAX, linkinfo, NULL) == 0 &&
	       attrs[IFLA_INFO_KIND] && !strcmp(nla_get_string(attrs[IFLA_INFO_KIND]), "veth");
}

static bool parse_link(const struct nlmsghdr *message, struct link *ret_link)
{
	const struct ifinfomsg *info = nlmsg_data(message);
	struct nlattr *attrs[IFLA_MAX + 1];
	struct link link = {};

	if (message->nlmsg_type != RTM_NEWLINK ||
		nlmsg_parse((struct nlmsghdr *)message, sizeof(*info), attrs, IFLA_MAX, NULL) < 0)
		return false;
	link.ifindex = (uint32_t)info->ifi_index;
	link.veth = kind_is_veth(attrs[IFLA_LINKINFO]);
	link.has_nsid = attrs[IFLA_LINK_NETNSID] != NULL;
	if (link.has_nsid)
		link.nsid = nla_get_s32(attrs[IFLA_LINK_NETNSID]);
	if (attrs[IFLA_LINK])
		link.link = nla_get_u32(attrs[IFLA_LINK]);
	if (attrs[IFLA_MASTER])
		link.master = nla_get_u32(attrs[IFLA_MASTER]);
	if (attrs[IFLA_ADDRESS] && nla_len(attrs[IFLA_ADDRESS]) == 6)
		memcpy(link.mac, nla_data(attrs[IFLA_ADDRESS]), 6);
	if (attrs[IFLA_IFNAME])
		nla_strlcpy(link.name, attrs[IFLA_IFNAME], sizeof(link.name));
	*ret_link = link;
	return true;
}

/* Our own side: veths whose other end is in a namespace with a number. */
static void on_host_link(const struct nlmsghdr *message, void *arg)
{
	struct scan *scan = arg;
	struct bh_place *place;
	struct link link;

	if (!parse_link(message, &link))
		return;
	if (!bh_table_put(&scan->view->links, &link.ifindex, NULL))
		scan->error = -ENOMEM;
	if (!link.veth || !link.has_nsid || link.nsid < 0)
		return;
	place = bh_table_put(&scan->view->hosts, &link.ifindex, NULL);
	if (!place) {
		scan->error = -ENOMEM;
		return;
	}
	*place = (struct bh_place){
		.ifindex = link.ifindex,
		.peer = link.link,
		.nsid = link.nsid,
	};
	memcpy(place->name, link.name, sizeof(place->name));
}

/* The other side: does it name the host end that names it? */
static void on_peer_link(const struct nlmsghdr *message, void *arg)
{
	struct scan *scan = arg;
	struct peer_key key;
	struct bh_place *place;
	struct link link;
	uint32_t *host;

	if (!parse_link(message, &link) || !link.veth)
		return;
	place = bh_table_get(&scan->view->hosts, &link.link);
	if (!place || place->nsid != scan->nsid || place->peer != link.ifindex)
		return;
	memcpy(place->mac, link.mac, sizeof(place->mac));
	key = (struct peer_key){.nsid = scan->nsid, .ifindex = link.ifindex};
	host = bh_table_put(&scan->view->peers, &key, NULL);
	if (host)
		*host = place->ifindex;
	else
		scan->error = -ENOMEM;
}

/* ---- Addresses ------------------------------------------------------------------------------ */

/* The interface's own address: IFA_ADDRESS is the other end's on a point-to-point link. */
static const void *parse_address(
	const struct nlmsghdr *message, uint8_t *ret_family, uint32_t *ret_ifindex)
{
	const struct ifaddrmsg *info = nlmsg_data(message);
	struct nlattr *attrs[IFA_MAX + 1];
	struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWADDR ||
		nlmsg_parse((struct nlmsghdr *)message, sizeof(*info), attrs, IFA_MAX, NULL) < 0)
		return NULL;
	attr = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	if (!attr || nla_len(attr) != (info->ifa_family == AF_INET ? 4 : 16))
		return NULL;
	*ret_family = info->ifa_family == AF_INET ? 4 : 6;
	*ret_ifindex = info->ifa_index;
	return nla_data(attr);
}

static void on_peer_address(const struct nlmsghdr *message, void *arg)
{
	struct scan *scan = arg;
	struct peer_key key = {.nsid = scan->nsid};
	struct bh_finding *finding;
	const uint32_t *host;
	uint8_t family;
	const void *ip = parse_address(message, &family, &key.ifindex);

	if (!ip || !bh_table_get(family == 4 ? scan->want4 : scan->want6, ip))
		return;
	host = bh_table_get(&scan->view->peers, &key);
	if (!host)
		return;
	finding = bh_table_put(family == 4 ? &scan->view->found4 : &scan->view->found6, ip, NULL);
	if (!finding) {
		scan->error = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < finding->n; i++) {
		if (finding->places[i].ifindex == *host)
			return; /* a repeated dump shows it again */
	}
	if (finding->n < BH_PLACES_MAX)
		finding->places[finding->n++] =
			*(const struct bh_place *)bh_table_get(&scan->view->hosts, host);
}

static bool is_local_only(uint8_t family, const uint8_t *ip)
{
	static const uint8_t loopback6[16] = {[15] = 1};

	if (family == 4)
		return ip[0] == 127 || (ip[0] == 169 && ip[1] == 254);
	return !memcmp(ip, loopback6, 16) || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
}

static void on_own_address(const struct nlmsghdr *message, void *arg)
{
	struct scan *scan = arg;
	struct view *view = scan->view;
	struct bh_host_address address = {};
	uint32_t ifindex;
	const void *ip = parse_address(message, &address.family, &ifindex);
	struct bh_host_address *own;

	if (!ip || is_local_only(address.family, ip) || view->n_own == HOST_ADDRESSES_MAX)
		return;
	memcpy(address.ip, ip, address.family == 4 ? 4 : 16);
	for (size_t i = 0; i < view->n_own; i++) {
		if (!memcmp(&view->own[i], &address, sizeof(address)))
			return;
	}
	own = realloc(view->own, (view->n_own + 1) * sizeof(*own));
	if (!own) {
		scan->error = -ENOMEM;
		return;
	}
	view->own = own;
	own[view->n_own++] = address;
}

static int dump_addresses(struct nl_sock *sock, struct scan *scan, bh_rtnl_visit visit)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int err = 0;

	for (size_t i = 0; i < sizeof(families) && !err; i++) {
		struct ifaddrmsg header = {.ifa_family = families[i]};

		err = bh_rtnl_dump(sock, RTM_GETADDR, &header, sizeof(header),
			scan->nsid < 0 ? 0 : IFA_TARGET_NETNSID, (uint32_t)scan->nsid, visit, scan);
	}
	return err;
}

/* ---- The scan ------------------------------------------------------------------------------- */

static int scan_namespace(struct nl_sock *sock, struct scan *scan)
{
	int err = bh_rtnl_dump_veths(
		sock, IFLA_TARGET_NETNSID, (uint32_t)scan->nsid, on_peer_link, scan);

	if (!err)
		err = dump_addresses(sock, scan, on_peer_address);
	/* A namespace that ended while we looked has no pods. */
	return err == -EINVAL || err == -ENOENT ? 0 : err;
}

static int scan_namespaces(struct nl_sock *sock, struct scan *scan)
{
	struct bh_table seen;
	size_t cursor = 0;
	const void *key;
	void *value;
	int err = 0;

	bh_table_init(&seen, sizeof(int32_t), 1);
	while (!err && bh_table_next(&scan->view->hosts, &cursor, &key, &value)) {
		bool new;

		scan->nsid = ((const struct bh_place *)value)->nsid;
		if (!bh_table_put(&seen, &scan->nsid, &new))
			err = -ENOMEM;
		else if (new)
			err = scan_namespace(sock, scan);
	}
	bh_table_clear(&seen);
	return err;
}

int bh_discovery_scan(struct bh_discovery *discovery, const struct bh_table *want4,
	const struct bh_table *want6, struct bh_why *why)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	struct scan scan = {.want4 = want4, .want6 = want6, .nsid = -1};
	struct view view;
	int err;

	view_init(&view);
	scan.view = &view;
	err = dump_addresses(discovery->sock, &scan, on_own_address);
	if (!err)
		err = bh_rtnl_dump(discovery->sock, RTM_GETLINK, &header, sizeof(header), 0, 0,
			on_host_link, &scan);
	if (!err)
		err = scan_namespaces(discovery->sock, &scan);
	if (!err)
		err = scan.error;
	if (err < 0) {
		view_fini(&view);
		return bh_fail(why, err, "looking for pods' interfaces: %s", strerror(-err));
	}
	view_fini(&discovery->view);
	discovery->view = view;
	return 0;
}

const struct bh_finding *bh_discovery_find(
	const struct bh_discovery *discovery, uint8_t family, const void *ip)
{
	return bh_table_get(family == 4 ? &discovery->view.found4 : &discovery->view.found6, ip);
}

bool bh_place_equal(const struct bh_place *a, const struct bh_place *b)
{
	return a->ifindex == b->ifindex && a->peer == b->peer && a->nsid == b->nsid &&
	       !memcmp(a->mac, b->mac, sizeof(a->mac));
}

const struct bh_place *bh_discovery_at(const struct bh_discovery *discovery, uint32_t ifindex)
{
	return bh_table_get(&discovery->view.hosts, &ifindex);
}

bool bh_discovery_has(const struct bh_discovery *discovery, const struct bh_place *place)
{
	const struct bh_place *now = bh_discovery_at(discovery, place->ifindex);

	return now && bh_place_equal(now, place);
}

bool bh_discovery_exists(const struct bh_discovery *discovery, uint32_t ifindex)
{
	return bh_table_get(&discovery->view.links, &ifindex) != NULL;
}

size_t bh_discovery_host_addresses(
	const struct bh_discovery *discovery, const struct bh_host_address **ret_addresses)
{
	*ret_addresses = discovery->view.own;
	return discovery->view.n_own;
}

/* ---- Strangers ------------------------------------------------------------------------------ */

struct strangers {
	struct bh_stranger *list;
	size_t n;
	int error;
};

static void on_stranger(const struct nlmsghdr *message, void *arg)
{
	struct strangers *strangers = arg;
	struct bh_stranger *list;
	struct link link;

	if (!parse_link(message, &link) || !link.veth || !link.has_nsid || link.nsid < 0)
		return;
	for (size_t i = 0; i < strangers->n; i++) {
		if (strangers->list[i].place.ifindex == link.ifindex)
			return; /* a repeated dump shows it again */
	}
	list = realloc(strangers->list, (strangers->n + 1) * sizeof(*list));
	if (!list) {
		strangers->error = -ENOMEM;
		return;
	}
	strangers->list = list;
	list[strangers->n] = (struct bh_stranger){
		.place = {.ifindex = link.ifindex, .peer = link.link, .nsid = link.nsid},
		.master = link.master,
	};
	memcpy(list[strangers->n++].place.name, link.name, sizeof(link.name));
}

int bh_discovery_strangers(
	struct bh_discovery *discovery, struct bh_stranger **ret_list, size_t *ret_n)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	struct strangers strangers = {};
	int err = bh_rtnl_dump(discovery->sock, RTM_GETLINK, &header, sizeof(header), 0, 0,
		on_stranger, &strangers);

	if (!err)
		err = strangers.error;
	if (err < 0) {
		free(strangers.list);
		return err;
	}
	*ret_list = strangers.list;
	*ret_n = strangers.n;
	return 0;
}

/* The question about one pair, for the callbacks. */
struct peer {
	struct bh_place *place;
	struct bh_peer_addresses *addresses;
	bool found;
};

static void on_asked_link(const struct nlmsghdr *message, void *arg)
{
	struct peer *peer = arg;
	struct link link;

	if (!parse_link(message, &link) || !link.veth || link.ifindex != peer->place->peer ||
		link.link != peer->place->ifindex)
		return;
	memcpy(peer->place->mac, link.mac, sizeof(link.mac));
	peer->found = true;
}

static void on_asked_address(const struct nlmsghdr *message, void *arg)
{
	struct peer *peer = arg;
	struct bh_peer_addresses *addresses = peer->addresses;
	uint32_t ifindex;
	uint8_t family;
	const void *ip = parse_address(message, &family, &ifindex);

	if (!ip || ifindex != peer->place->peer || is_local_only(family, ip))
		return;
	if (family == 4 && addresses->n4 < 2)
		memcpy(addresses->ip4[addresses->n4++], ip, 4);
	else if (family == 6 && addresses->n6 < 2)
		memcpy(addresses->ip6[addresses->n6++], ip, 16);
}

int bh_discovery_ask_peer(struct bh_discovery *discovery, struct bh_place *place,
	struct bh_peer_addresses *ret_addresses)
{
	struct bh_peer_addresses addresses = {};
	struct peer peer = {.place = place, .addresses = &addresses};
	int err = bh_rtnl_dump_veths(
		discovery->sock, IFLA_TARGET_NETNSID, (uint32_t)place->nsid, on_asked_link, &peer);

	if (!err && !peer.found)
		err = -ENODEV;
	for (int family = 0; family < 2 && !err; family++) {
		struct ifaddrmsg ask = {.ifa_family = family ? AF_INET6 : AF_INET};

		err = bh_rtnl_dump(discovery->sock, RTM_GETADDR, &ask, sizeof(ask),
			IFA_TARGET_NETNSID, (uint32_t)place->nsid, on_asked_address, &peer);
	}
	if (err == -EINVAL || err == -ENOENT)
		err = -ENODEV; /* the namespace ended while we looked */
	if (!err)
		*ret_addresses = addresses;
	return err;
}

static void on_route(const struct nlmsghdr *message, void *arg)
{
	const struct rtmsg *route = nlmsg_data(message);

	if (message->nlmsg_type == RTM_NEWROUTE && route->rtm_dst_len == 0 &&
		route->rtm_type == RTN_UNICAST)
		*(bool *)arg = true;
}

bool bh_discovery_is_way_out(struct bh_discovery *discovery, uint32_t ifindex)
{
	bool way_out = false;

	for (int family = 0; family < 2; family++) {
		struct rtmsg header = {.rtm_family = family ? AF_INET6 : AF_INET};

		/* A dump that fails says nothing: then it is a pod's. */
		bh_rtnl_dump(discovery->sock, RTM_GETROUTE, &header, sizeof(header), RTA_OIF,
			ifindex, on_route, &way_out);
	}
	return way_out;
}

/* ---- Events --------------------------------------------------------------------------------- */

int bh_discovery_listen(int *ret_fd, struct bh_why *why)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_TC, RTNLGRP_NSID};
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	/* Bound, because the kernel tells an unbound socket nothing that it does of its own accord.
	 */
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int one = 1, size = 1024 * 1024;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return bh_fail(why, -errno, "netlink: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) < 0)
			return bh_fail(
				why, -errno, "netlink group %d: %s", groups[i], strerror(errno));
	}
	/* Pods' address changes as well. Where that is not permitted the timer finds them. */
	setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*ret_fd = bh_take_fd(fd);
	return 0;
}

static unsigned int kind_of_event(const char *buffer, size_t length)
{
	unsigned int kinds = 0;

	for (const struct nlmsghdr *message = (const void *)buffer; NLMSG_OK(message, length);
		message = NLMSG_NEXT(message, length)) {
		switch (message->nlmsg_type) {
		case RTM_NEWTFILTER:
		case RTM_DELTFILTER:
		case RTM_NEWQDISC:
		case RTM_DELQDISC:
			kinds |= BH_EVENT_FILTERS;
			break;
		case RTM_NEWLINK: /* XDP shows up as a change of the link */
			kinds |= BH_EVENT_LINKS | BH_EVENT_FILTERS;
			break;
		case RTM_DELLINK:
		case RTM_NEWADDR:
		case RTM_DELADDR:
		case RTM_NEWNSID:
		case RTM_DELNSID:
			kinds |= BH_EVENT_LINKS;
			break;
		}
	}
	return kinds;
}

unsigned int bh_discovery_drain(int fd)
{
	char buffer[32 * 1024] __attribute__((aligned(NLMSG_ALIGNTO)));
	unsigned int kinds = 0;

	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n > 0)
			kinds |= kind_of_event(buffer, (size_t)n);
		else if (n < 0 && errno == ENOBUFS)
			kinds |= BH_EVENT_LINKS | BH_EVENT_FILTERS;
		else if (n == 0 || errno != EINTR)
			return kinds;
	}
}
