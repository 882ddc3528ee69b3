/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_FOREIGN_H
#define BULKHEAD_PROTO_FOREIGN_H

/*
 * What a BPF program of somebody else does to pods' traffic, read from the kernel's own copy of it.
 *
 * A program that calls bpf_redirect_peer() puts a packet into a pod behind the host's end of its
 * veth: no program on that end sees it, and no ingress policy there can be enforced. Nobody but the
 * program's owner can change that, so it has to be found. Its instructions tell, and those of the
 * programs it may tail-call. The kernel shows which helper an instruction calls only to who may see
 * kernel addresses (CAP_SYSLOG, kernel.kptr_restrict); to others the source lines tell that most
 * compilers leave with a program, and in the end its name.
 *
 * Needs no library beyond libc; the data plane and `bulkhead doctor` both use it.
 */

#include <stdint.h>

enum bh_evidence {
	BH_EVIDENCE_NONE = 0, /* it does not, by its instructions or its source lines */
	BH_EVIDENCE_HIDDEN, /* the kernel does not show them, and nothing else says that it does */
	BH_EVIDENCE_NAME,   /* … and it has the name of one that does (Cilium, Calico) */
	BH_EVIDENCE_SOURCE, /* a source line of it says so */
	BH_EVIDENCE_CALL,   /* an instruction calls it */
};

/* "name (id 12)", or "id 12". */
#define BH_FOREIGN_TEXT 64

struct bh_foreign {
	enum bh_evidence evidence;    /* that it redirects past pods' interfaces */
	char text[BH_FOREIGN_TEXT];   /* the program asked about */
	char callee[BH_FOREIGN_TEXT]; /* if it is another one, which this one tail-calls; else "" */
};

/*
 * Looks at the program with this number, and at up to a few hundred that it may tail-call. Returns
 * 0, -ENOENT when there is none (any more), -EPERM without CAP_SYS_ADMIN, or another -errno.
 */
int bh_foreign_look(uint32_t id, struct bh_foreign *ret_foreign);

#endif
