/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_REDIRECTS_H
#define BULKHEAD_DATAPLANE_REDIRECTS_H

/*
 * Programs of others that put packets into pods behind the pods' hooks (bpf_redirect_peer): on any
 * interface of this node, as it does not matter where a packet is taken from. Such a program makes
 * a hole in ingress policy that only its owner can close, so it is named as a problem for as long
 * as it hangs there. proto/foreign.h says how it is recognised.
 */

#include <stdbool.h>

#include "dataplane/problems.h"
#include "dataplane/table.h"
#include "dataplane/why.h"

struct nl_sock;

struct bh_redirects {
	struct nl_sock *sock;
	struct bh_problems *problems;
	bool tcx;              /* the kernel has it */
	struct bh_table known; /* program's number → what was found out about it */
};

/* `problems` must outlive it. Returns 0 or -errno. */
int bh_redirects_open(
	struct bh_redirects *redirects, struct bh_problems *problems, struct bh_why *why);
void bh_redirects_close(struct bh_redirects *redirects);

/*
 * Looks at every TC hook of this network namespace; a program is only read when it is new, and
 * again after a while, since what it tail-calls may change. The first look is best taken before
 * privileges are dropped: the kernel shows more then.
 */
void bh_redirects_look(struct bh_redirects *redirects);

#endif
