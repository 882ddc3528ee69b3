/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_ANNOUNCED_H
#define BULKHEAD_MODEL_ANNOUNCED_H

/*
 * Addresses that pods were given on this node, as the CNI plugin announces them. The orchestrator
 * learns them only when the sandbox is complete, and a policy that is to be in force by then must
 * know them before. An announcement counts until the source says something new of the pod's
 * addresses, or the pod is gone. The model's own.
 */

#include <stdbool.h>
#include <stddef.h>

#include "controller/model/table.h"
#include "controller/model/types.h"

/* Pods whose plugin has spoken and whose source has not. A node holds some hundred. */
#define BH_ANNOUNCED_MAX 4096

struct bh_announced {
	struct bh_table pods; /* "namespace\0name" → the announcement */
};

struct bh_announcement {
	char *uid; /* NULL: whoever is called so */
	bool seen; /* the source has spoken of the pod, and `said` is what it said */
	size_t n_said;
	struct bh_ip *said;
	size_t n_ips;
	struct bh_ip *ips;
	size_t key_size;
	char key[];
};

void bh_announced_clear(struct bh_announced *announced);

/* Puts or replaces one. What the source had said of the same pod is kept. NULL: there are too many.
 */
struct bh_announcement *bh_announced_put(struct bh_announced *announced, const char *namespace,
	const char *name, const char *uid, size_t n_ips, const struct bh_ip *ips);

/* True if there was one. */
bool bh_announced_remove(struct bh_announced *announced, const char *namespace, const char *name);

/* The one that is about this pod, or NULL. */
struct bh_announcement *bh_announced_find(const struct bh_announced *announced,
	const char *namespace, const char *name, const char *uid);

/*
 * The source says that the pod has these addresses. Returns the announcement that counts
 * nevertheless, or NULL: there is none, or the source's word is newer, and it is forgotten.
 */
const struct bh_announcement *bh_announced_over(struct bh_announced *announced,
	const char *namespace, const char *name, const char *uid, size_t n_ips,
	const struct bh_ip *ips);

#endif
