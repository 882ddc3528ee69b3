/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/rtnl.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include "proto/cleanup.h"

#define TRIES 4
#define RECEIVE_BUFFER (1024 * 1024)

static void msg_cleanup(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

static void cb_cleanup(struct nl_cb **cb)
{
	if (*cb)
		nl_cb_put(*cb);
}

int bh_rtnl_open(struct nl_sock **ret_sock)
{
	struct nl_sock *sock = nl_socket_alloc();
	int one = 1;

	if (!sock)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_ROUTE) < 0) {
		nl_socket_free(sock);
		return -errno ? -errno : -EIO;
	}
	nl_socket_set_buffer_size(sock, RECEIVE_BUFFER, 0);
	/* Since 4.20. Without it an older kernel would answer for the wrong namespace. */
	if (setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one,
		    sizeof(one)) < 0) {
		nl_socket_free(sock);
		return -errno;
	}
	*ret_sock = sock;
	return 0;
}

void bh_rtnl_close(struct nl_sock *sock)
{
	if (sock)
		nl_socket_free(sock);
}

struct dump {
	bh_rtnl_visit visit;
	void *arg;
	int error;
};

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct dump *dump = arg;

	dump->visit(nlmsg_hdr(msg), dump->arg);
	return NL_OK;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *arg)
{
	struct dump *dump = arg;

	dump->error = error->error;
	return NL_STOP;
}

static int dump_once(struct nl_sock *sock, struct nl_msg *msg, struct dump *dump)
{
	_cleanup_(cb_cleanup) struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, dump);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, dump);
	dump->error = 0;
	if (nl_send_auto(sock, msg) < 0)
		return -EIO;
	r = nl_recvmsgs(sock, cb);
	if (dump->error)
		return dump->error;
	if (r == -NLE_DUMP_INTR)
		return -EAGAIN;
	if (r == -NLE_NOMEM)
		return -ENOBUFS;
	return r < 0 ? -EIO : 0;
}

static int put_kind(struct nl_msg *msg, const char *kind)
{
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO);

	if (!info || nla_put_string(msg, IFLA_INFO_KIND, kind) < 0)
		return -ENOMEM;
	nla_nest_end(msg, info);
	return 0;
}

static int dump(struct nl_sock *sock, int type, const char *kind, const void *header,
	size_t header_size, uint16_t attribute, uint32_t value, bh_rtnl_visit visit, void *arg)
{
	struct dump state = {.visit = visit, .arg = arg};
	int err = -EAGAIN;

	for (int i = 0; i < TRIES && err == -EAGAIN; i++) {
		_cleanup_(msg_cleanup) struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_DUMP);

		if (!msg || nlmsg_append(msg, (void *)header, header_size, NLMSG_ALIGNTO) < 0)
			return -ENOMEM;
		if (attribute && nla_put_u32(msg, attribute, value) < 0)
			return -ENOMEM;
		/* A link's statistics are most of it, and nobody here wants them. */
		if (type == RTM_GETLINK &&
			nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
			return -ENOMEM;
		if (kind && put_kind(msg, kind) < 0)
			return -ENOMEM;
		err = dump_once(sock, msg, &state);
	}
	return err == -EAGAIN ? 0 : err;
}

int bh_rtnl_dump(struct nl_sock *sock, int type, const void *header, size_t header_size,
	uint16_t attribute, uint32_t value, bh_rtnl_visit visit, void *arg)
{
	return dump(sock, type, NULL, header, header_size, attribute, value, visit, arg);
}

int bh_rtnl_ask_link(struct nl_sock *sock, uint32_t ifindex, bh_rtnl_visit visit, void *arg)
{
	_cleanup_(msg_cleanup) struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};
	struct dump state = {.visit = visit, .arg = arg};

	if (!msg || nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO) < 0 ||
		nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
		return -ENOMEM;
	return dump_once(sock, msg, &state);
}

int bh_rtnl_dump_veths(
	struct nl_sock *sock, uint16_t attribute, uint32_t value, bh_rtnl_visit visit, void *arg)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};

	return dump(
		sock, RTM_GETLINK, "veth", &header, sizeof(header), attribute, value, visit, arg);
}
