/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/redirects.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/clsact.h"
#include "dataplane/links.h"
#include "dataplane/rtnl.h"
#include "proto/cleanup.h"
#include "proto/foreign.h"

#define CHAIN_MAX 64
#define READ_AGAIN_MS (60 * 1000)

struct known {
	struct bh_foreign foreign;
	uint64_t read_ms;
	bool hangs; /* seen during this look */
};

struct interface {
	uint32_t ifindex;
	char name[IFNAMSIZ];
};

/* One look, for the callbacks. */
struct look {
	struct bh_redirects *redirects;
	struct interface *list;
	size_t n;
	const struct interface *at;
	bool egress;
};

int bh_redirects_open(
	struct bh_redirects *redirects, struct bh_problems *problems, struct bh_why *why)
{
	int err;

	*redirects = (struct bh_redirects){
		.problems = problems,
		.tcx = bh_links_probe_tcx() > 0,
	};
	bh_table_init(&redirects->known, sizeof(uint32_t), sizeof(struct known));
	err = bh_rtnl_open(&redirects->sock);
	return err < 0 ? bh_fail(why, err, "netlink: %s", strerror(-err)) : 0;
}

void bh_redirects_close(struct bh_redirects *redirects)
{
	bh_rtnl_close(redirects->sock);
	bh_table_clear(&redirects->known);
	*redirects = (struct bh_redirects){};
}

/* ---- One program ---------------------------------------------------------------------------- */

/* What is known of a program, read now if it has to be; NULL without memory, or if it is gone. */
static const struct known *know(struct bh_redirects *redirects, uint32_t id)
{
	struct known *known = bh_table_put(&redirects->known, &id, NULL);
	uint64_t now = bh_now_ms();

	if (!known)
		return NULL;
	known->hangs = true;
	/* What an instruction or a source line has told stays true; what they hide may yet show. */
	if (known->read_ms && (known->foreign.evidence >= BH_EVIDENCE_SOURCE ||
				      now - known->read_ms < READ_AGAIN_MS))
		return known;
	if (bh_foreign_look(id, &known->foreign) < 0)
		return NULL;
	known->read_ms = now;
	return known;
}

static void look_at_program(struct look *look, const char *kind, uint32_t id)
{
	const struct known *known = know(look->redirects, id);
	const struct bh_foreign *foreign;
	const char *side = look->egress ? "egress" : "ingress";
	char object[IFNAMSIZ + 16];

	if (!known || known->foreign.evidence == BH_EVIDENCE_NONE)
		return;
	foreign = &known->foreign;
	snprintf(object, sizeof(object), "%s %s", look->at->name, side);
	if (foreign->evidence == BH_EVIDENCE_HIDDEN) {
		/* Bulkhead's own, of this instance or another, hide their calls like everybody's.
		 */
		if (strncmp(foreign->text, "bh_", 3) != 0)
			bh_problems_add(look->redirects->problems, BH_SOURCE_REDIRECTS,
				"unreadable-program", object,
				"%s of %s: whether the %s program %s%s%s redirects past pods' "
				"interfaces, and so their ingress policy, cannot be seen from "
				"here: 'bulkhead doctor', run as root, can tell",
				side, look->at->name, kind, foreign->text,
				foreign->callee[0] ? ", through " : "", foreign->callee);
		return;
	}
	bh_problems_add(look->redirects->problems, BH_SOURCE_REDIRECTS, "redirects-past-pods",
		object,
		"%s of %s: the %s program %s%s%s %s bpf_redirect_peer: what it so puts into a pod "
		"skips the pod's ingress policy. Switch eBPF host routing off in whatever put it "
		"there (Cilium: bpf.hostLegacyRouting=true)",
		side, look->at->name, kind, foreign->text, foreign->callee[0] ? ", through " : "",
		foreign->callee,
		foreign->evidence == BH_EVIDENCE_NAME ? "cannot be read, and by its name calls"
						      : "calls");
}

/* ---- Every hook ----------------------------------------------------------------------------- */

static void look_at_filter(const struct bh_filter *filter, void *arg)
{
	if (filter->prog_id)
		look_at_program(arg, "TC", filter->prog_id);
}

static void look_at_side(struct look *look)
{
	enum bh_link_place place = look->egress ? BH_LINK_EGRESS : BH_LINK_INGRESS;
	uint32_t ids[CHAIN_MAX];
	int n = look->redirects->tcx ? bh_links_tcx_chain(look->at->ifindex, place, ids, CHAIN_MAX)
				     : 0;

	for (int i = 0; i < n; i++)
		look_at_program(look, "TCX", ids[i]);
	bh_clsact_list(
		look->redirects->sock, 0, look->at->ifindex, look->egress, look_at_filter, look);
}

static void on_link(const struct nlmsghdr *message, void *arg)
{
	const struct ifinfomsg *info = nlmsg_data(message);
	struct nlattr *attrs[IFLA_MAX + 1];
	struct interface *list;
	struct look *look = arg;

	if (message->nlmsg_type != RTM_NEWLINK ||
		nlmsg_parse((struct nlmsghdr *)message, sizeof(*info), attrs, IFLA_MAX, NULL) < 0)
		return;
	list = realloc(look->list, (look->n + 1) * sizeof(*list));
	if (!list)
		return; /* the rest is looked at next time */
	look->list = list;
	list[look->n] = (struct interface){.ifindex = (uint32_t)info->ifi_index};
	if (attrs[IFLA_IFNAME])
		nla_strlcpy(list[look->n].name, attrs[IFLA_IFNAME], IFNAMSIZ);
	look->n++;
}

/* Numbers come round again: what hangs nowhere any more is not known any more. */
static void forget_the_gone(struct bh_redirects *redirects)
{
	struct bh_table kept;
	size_t cursor = 0;
	const void *key;
	void *value;

	bh_table_init(&kept, sizeof(uint32_t), sizeof(struct known));
	while (bh_table_next(&redirects->known, &cursor, &key, &value)) {
		struct known *known = value, *copy;

		if (!known->hangs || !(copy = bh_table_put(&kept, key, NULL)))
			continue;
		*copy = *known;
		copy->hangs = false;
	}
	bh_table_clear(&redirects->known);
	redirects->known = kept;
}

void bh_redirects_look(struct bh_redirects *redirects)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	struct look look = {.redirects = redirects};

	if (bh_rtnl_dump(redirects->sock, RTM_GETLINK, &header, sizeof(header), 0, 0, on_link,
		    &look) == 0) {
		bh_problems_begin(redirects->problems, BH_SOURCE_REDIRECTS);
		for (size_t i = 0; i < look.n; i++) {
			look.at = &look.list[i];
			for (int side = 0; side < 2; side++) {
				look.egress = side;
				look_at_side(&look);
			}
		}
		bh_problems_end(redirects->problems, BH_SOURCE_REDIRECTS);
		forget_the_gone(redirects);
	}
	free(look.list);
}
