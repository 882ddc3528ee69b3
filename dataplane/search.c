/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Looking for an address in every network namespace there is, by entering them. A thread of its own
 * does it: a namespace is a thread's, so nothing here can end up in the wrong one.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "dataplane/discover.h"
#include "dataplane/rtnl.h"
#include "proto/cleanup.h"

struct searching {
	struct bh_search *searches;
	size_t n;
	struct bh_table seen; /* inodes of namespaces */
	/* The namespace being looked at, and the interface asked about. */
	const char *label;
	bool own;
	uint32_t ifindex;
	char kind[16];
	char name[IFNAMSIZ];
	struct {
		struct bh_search *search;
		uint32_t ifindex;
	} hits[16];
	size_t n_hits;
};

static void closedir_cleanup(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void on_address(const struct nlmsghdr *message, void *arg)
{
	struct searching *searching = arg;
	const struct ifaddrmsg *info = nlmsg_data(message);
	struct nlattr *attrs[IFA_MAX + 1], *attr;

	if (message->nlmsg_type != RTM_NEWADDR ||
		nlmsg_parse((struct nlmsghdr *)message, sizeof(*info), attrs, IFA_MAX, NULL) < 0)
		return;
	attr = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	for (size_t i = 0; attr && i < searching->n; i++) {
		struct bh_search *search = &searching->searches[i];
		int length = search->family == 4 ? 4 : 16;

		if (search->unsupported || searching->n_hits == 16 || nla_len(attr) != length ||
			memcmp(nla_data(attr), search->ip, (size_t)length))
			continue;
		searching->hits[searching->n_hits].search = search;
		searching->hits[searching->n_hits++].ifindex = info->ifa_index;
	}
}

static void on_link(const struct nlmsghdr *message, void *arg)
{
	struct searching *searching = arg;
	const struct ifinfomsg *info = nlmsg_data(message);
	struct nlattr *attrs[IFLA_MAX + 1], *inner[IFLA_INFO_MAX + 1];

	if (message->nlmsg_type != RTM_NEWLINK || (uint32_t)info->ifi_index != searching->ifindex ||
		nlmsg_parse((struct nlmsghdr *)message, sizeof(*info), attrs, IFLA_MAX, NULL) < 0)
		return;
	if (attrs[IFLA_IFNAME])
		nla_strlcpy(searching->name, attrs[IFLA_IFNAME], sizeof(searching->name));
	if (attrs[IFLA_LINKINFO] &&
		nla_parse_nested(inner, IFLA_INFO_MAX, attrs[IFLA_LINKINFO], NULL) == 0 &&
		inner[IFLA_INFO_KIND])
		nla_strlcpy(searching->kind, inner[IFLA_INFO_KIND], sizeof(searching->kind));
}

static void explain(const struct searching *searching, struct bh_search *search)
{
	const char *kind = searching->kind[0] ? searching->kind : "device of its own";
	bool unsupported = !searching->own && strcmp(kind, "veth") != 0;

	/*
	 * Addresses are not unique on a host: containers that are nobody's pods may have the same.
	 * Where nothing can be enforced is what somebody has to know; of the rest, the first one.
	 */
	if (search->found && !unsupported)
		return;
	search->found = true;
	search->unsupported = unsupported;
	if (searching->own) {
		snprintf(search->detail, sizeof(search->detail),
			"the address is the node's own, on %s", searching->name);
		return;
	}
	snprintf(search->detail, sizeof(search->detail),
		unsupported
			? "%s in %s is a %s: it has no end on the host where policy could be "
			  "enforced"
			: "%s in %s is a %s whose other end is not in this network namespace (yet)",
		searching->name, searching->label, kind);
}

/* Runs inside the namespace. */
static void look_around(struct searching *searching)
{
	struct nl_sock *sock;

	if (bh_rtnl_open(&sock) < 0)
		return;
	searching->n_hits = 0;
	for (int family = 0; family < 2; family++) {
		struct ifaddrmsg header = {.ifa_family = family ? AF_INET6 : AF_INET};

		bh_rtnl_dump(
			sock, RTM_GETADDR, &header, sizeof(header), 0, 0, on_address, searching);
	}
	for (size_t i = 0; i < searching->n_hits; i++) {
		struct ifinfomsg header = {.ifi_family = AF_UNSPEC};

		searching->ifindex = searching->hits[i].ifindex;
		searching->kind[0] = searching->name[0] = '\0';
		bh_rtnl_dump(sock, RTM_GETLINK, &header, sizeof(header), 0, 0, on_link, searching);
		explain(searching, searching->hits[i].search);
	}
	bh_rtnl_close(sock);
}

/* Then no further namespace can tell more. */
static bool all_settled(const struct searching *searching)
{
	for (size_t i = 0; i < searching->n; i++) {
		if (!searching->searches[i].unsupported)
			return false;
	}
	return true;
}

static void look_into(struct searching *searching, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	uint64_t inode;
	bool new;

	/* Other users' processes may not be looked into; their pods are found by name under /run.
	 */
	if (fd < 0 || fstat(fd, &status) < 0)
		return;
	inode = status.st_ino;
	if (!bh_table_put(&searching->seen, &inode, &new) || !new)
		return;
	if (setns(fd, CLONE_NEWNET) < 0)
		return;
	searching->label = path;
	look_around(searching);
}

static void look_into_folder(struct searching *searching, const char *folder, const char *suffix)
{
	_cleanup_(closedir_cleanup) DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && !all_settled(searching) && (entry = readdir(dir))) {
		char path[384];

		if (entry->d_name[0] == '.' ||
			(suffix[0] && (entry->d_name[0] < '1' || entry->d_name[0] > '9')))
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", folder, entry->d_name, suffix);
		look_into(searching, path);
	}
}

static void *search_thread(void *arg)
{
	struct searching *searching = arg;

	searching->own = true;
	look_into(searching, "/proc/thread-self/ns/net");
	searching->own = false;
	look_into_folder(searching, "/run/netns", "");
	look_into_folder(searching, "/run/docker/netns", "");
	look_into_folder(searching, "/proc", "/ns/net");
	return NULL;
}

void bh_search_namespaces(struct bh_search *searches, size_t n)
{
	struct searching searching = {.searches = searches, .n = n};
	pthread_t thread;

	bh_table_init(&searching.seen, sizeof(uint64_t), 1);
	if (pthread_create(&thread, NULL, search_thread, &searching) == 0)
		pthread_join(thread, NULL);
	bh_table_clear(&searching.seen);
}
