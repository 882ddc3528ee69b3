/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/seed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/flowkey.h"
#include "proto/cleanup.h"

#define DUMP_BUFFER ((size_t)64 * 1024)

struct seeding {
	struct bh_object *object;
	const struct bh_table *want4;
	const struct bh_table *want6;
	uint64_t jiffies;
	size_t n;
	int error;
};

/* One direction of a connection as conntrack has it. */
struct tuple {
	uint8_t family; /* 0 = could not be read */
	uint8_t protocol;
	struct bh_end src;
	struct bh_end dst;
};

static void socket_cleanup(struct mnl_socket **sock)
{
	if (*sock)
		mnl_socket_close(*sock);
}

/* ---- Reading attributes --------------------------------------------------------------------- */

struct attrs {
	const struct nlattr *at[32];
};

static int keep_attr(const struct nlattr *attr, void *arg)
{
	struct attrs *attrs = arg;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < 32)
		attrs->at[type] = attr;
	return MNL_CB_OK;
}

static struct attrs nested(const struct nlattr *attr)
{
	struct attrs attrs = {};

	if (attr)
		mnl_attr_parse_nested(attr, keep_attr, &attrs);
	return attrs;
}

static bool copy_payload(const struct nlattr *attr, void *target, size_t size)
{
	if (!attr || mnl_attr_get_payload_len(attr) < size)
		return false;
	memcpy(target, mnl_attr_get_payload(attr), size);
	return true;
}

static struct tuple read_tuple(const struct nlattr *attr)
{
	struct attrs outer = nested(attr), ip = nested(outer.at[CTA_TUPLE_IP]),
		     proto = nested(outer.at[CTA_TUPLE_PROTO]);
	struct tuple tuple = {};

	if (!copy_payload(proto.at[CTA_PROTO_NUM], &tuple.protocol, 1) ||
		!copy_payload(proto.at[CTA_PROTO_SRC_PORT], &tuple.src.port, 2) ||
		!copy_payload(proto.at[CTA_PROTO_DST_PORT], &tuple.dst.port, 2))
		return tuple;
	if (copy_payload(ip.at[CTA_IP_V4_SRC], tuple.src.ip, 4) &&
		copy_payload(ip.at[CTA_IP_V4_DST], tuple.dst.ip, 4))
		tuple.family = 4;
	else if (copy_payload(ip.at[CTA_IP_V6_SRC], tuple.src.ip, 16) &&
		 copy_payload(ip.at[CTA_IP_V6_DST], tuple.dst.ip, 16))
		tuple.family = 6;
	return tuple;
}

/* Has it been answered, and is it not on its way out? */
static bool is_alive(const struct attrs *connection, uint8_t protocol)
{
	struct attrs info = nested(connection->at[CTA_PROTOINFO]);
	struct attrs tcp = nested(info.at[CTA_PROTOINFO_TCP]);
	uint32_t status = 0;
	uint8_t state = 0;

	if (protocol == IPPROTO_TCP)
		return copy_payload(tcp.at[CTA_PROTOINFO_TCP_STATE], &state, 1) &&
		       state == TCP_CONNTRACK_ESTABLISHED;
	return protocol == IPPROTO_UDP &&
	       copy_payload(connection->at[CTA_STATUS], &status, sizeof(status)) &&
	       ntohl(status) & IPS_SEEN_REPLY;
}

/* ---- Entering flows ------------------------------------------------------------------------- */

static bool is_wanted(const struct seeding *seeding, const struct tuple *tuple)
{
	const struct bh_table *want = tuple->family == 4 ? seeding->want4 : seeding->want6;

	return bh_table_get(want, tuple->src.ip) || bh_table_get(want, tuple->dst.ip);
}

static void enter(struct seeding *seeding, const struct tuple *tuple)
{
	struct bh_flow_request request = {
		.op = BH_FLOW_OP_PUT,
		.family = tuple->family,
		.flow.state =
			tuple->protocol == IPPROTO_TCP ? BH_FLOW_ESTABLISHED : BH_FLOW_REPLIED,
		.flow.flags = BH_FLOW_SEEDED,
		.flow.seen = (uint32_t)seeding->jiffies,
		.flow.started = seeding->jiffies,
	};
	int done;

	if (!is_wanted(seeding, tuple))
		return;
	request.flow.opener = bh_flow_key_make(
		tuple->family, tuple->protocol, &tuple->src, &tuple->dst, &request.key);
	done = bh_object_flow_op(seeding->object, &request);
	if (done == BH_FLOW_DONE)
		seeding->n++;
	else if (done < 0)
		seeding->error = done;
}

static int on_connection(const struct nlmsghdr *message, void *arg)
{
	struct seeding *seeding = arg;
	struct attrs attrs = {};
	struct tuple original, reply, translated;

	mnl_attr_parse(message, sizeof(struct nfgenmsg), keep_attr, &attrs);
	original = read_tuple(attrs.at[CTA_TUPLE_ORIG]);
	reply = read_tuple(attrs.at[CTA_TUPLE_REPLY]);
	if (!original.family || !is_alive(&attrs, original.protocol))
		return MNL_CB_OK;
	enter(seeding, &original);
	/* What the answers come from and go to is what the opener's packets look like translated.
	 */
	translated = reply;
	translated.src = reply.dst;
	translated.dst = reply.src;
	if (reply.family == original.family && memcmp(&translated, &original, sizeof(original)))
		enter(seeding, &translated);
	return MNL_CB_OK;
}

/* ---- The dump ------------------------------------------------------------------------------- */

static int dump(struct mnl_socket *sock, struct seeding *seeding)
{
	_cleanup_free_ char *buffer = malloc(DUMP_BUFFER);
	struct nlmsghdr *request;
	struct nfgenmsg *header;
	int r = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	request = mnl_nlmsg_put_header(buffer);
	request->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = (uint32_t)time(NULL);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->nfgen_family = AF_UNSPEC; /* both */
	header->version = NFNETLINK_V0;
	if (mnl_socket_sendto(sock, request, request->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(sock, buffer, DUMP_BUFFER);

		if (n < 0)
			return -errno;
		r = mnl_cb_run(
			buffer, (size_t)n, 0, mnl_socket_get_portid(sock), on_connection, seeding);
		if (r < 0)
			return -errno;
	}
	return seeding->error;
}

int bh_seed(struct bh_object *object, const struct bh_table *want4, const struct bh_table *want6,
	size_t *ret_n, struct bh_why *why)
{
	_cleanup_(socket_cleanup) struct mnl_socket *sock =
		mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct seeding seeding = {.object = object, .want4 = want4, .want6 = want6};
	struct bh_clock clock;
	int err = bh_object_clock(object, &clock);

	if (err < 0)
		return bh_fail(why, err, "reading the kernel's clock: %s", strerror(-err));
	if (!sock || mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return bh_fail(why, -EOPNOTSUPP, "connection tracking cannot be asked: %s",
			strerror(errno));
	seeding.jiffies = clock.jiffies;
	err = dump(sock, &seeding);
	/* The subsystem is a module; without it the request is unknown. */
	if (err == -EINVAL || err == -EPROTONOSUPPORT)
		return bh_fail(why, -EOPNOTSUPP, "this kernel has no connection tracking to ask");
	if (err < 0)
		return bh_fail(why, err, "reading the kernel's connections: %s", strerror(-err));
	*ret_n = seeding.n;
	return 0;
}
