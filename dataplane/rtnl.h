/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_RTNL_H
#define BULKHEAD_DATAPLANE_RTNL_H

/*
 * Rtnetlink through libnl's sockets, with the attributes read by hand: libnl's caches know neither
 * IFA_TARGET_NETNSID nor BPF filters, and those two are what is needed here.
 */

#include <stddef.h>
#include <stdint.h>

struct nl_sock;
struct nl_msg;
struct nlmsghdr;

/* A route socket with strict checking, so that what a kernel does not know is an error. 0 or
 * -errno. */
int bh_rtnl_open(struct nl_sock **ret_sock);
void bh_rtnl_close(struct nl_sock *sock);

typedef void (*bh_rtnl_visit)(const struct nlmsghdr *message, void *arg);

/*
 * Sends a dump request of `type` with `header` (an ifaddrmsg, ifinfomsg, tcmsg) and up to one
 * 32-bit attribute (type 0 = none), and shows each answer to `visit`. Repeats when the kernel says
 * the dump was disturbed: `visit` may see an object again. Returns 0 or -errno.
 */
int bh_rtnl_dump(struct nl_sock *sock, int type, const void *header, size_t header_size,
	uint16_t attribute, uint32_t value, bh_rtnl_visit visit, void *arg);

/* Asks about one link of this namespace. Returns 0 or -errno: -ENODEV if there is none. */
int bh_rtnl_ask_link(struct nl_sock *sock, uint32_t ifindex, bh_rtnl_visit visit, void *arg);

/*
 * As bh_rtnl_dump() for links, of which the kernel is asked for veths only: a pod's namespace has a
 * tunnel device or two of each kind that the kernel knows. An old kernel may show the others as
 * well.
 */
int bh_rtnl_dump_veths(
	struct nl_sock *sock, uint16_t attribute, uint32_t value, bh_rtnl_visit visit, void *arg);

#endif
