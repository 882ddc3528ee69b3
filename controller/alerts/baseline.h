/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_ALERTS_BASELINE_H
#define BULKHEAD_ALERTS_BASELINE_H

/*
 * What a namespace's workloads were seen to do when somebody said: this is all they do. Ends are
 * numbers, which are hashes of their names, so that a baseline means the same after a restart.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "controller/model/table.h"

/* Of all baselines together. */
#define BH_BASELINE_CONVERSATIONS_MAX 100000
#define BH_BASELINES_MAX 1000
#define BH_BASELINE_BY_MAX 33

/* No padding: compared and hashed as bytes. */
struct bh_baseline_key {
	uint32_t client;
	uint32_t server;
	uint16_t port; /* 0: whichever, of a pair that spoke on more than are told apart */
	uint8_t protocol;
	uint8_t reserved;
};
_Static_assert(sizeof(struct bh_baseline_key) == 12, "compared as bytes");

struct bh_baseline_conversation {
	struct bh_baseline_key key;
	bool passed; /* false: it was only ever denied */
};

struct bh_baseline {
	char *namespace;
	uint64_t locked_ns; /* since 1970 */
	char by[BH_BASELINE_BY_MAX];
	uint64_t from_ns; /* what it was learned from; 0: all there was */
	uint64_t to_ns;
	struct bh_table conversations; /* key → bh_baseline_conversation */
};

struct bh_baseline *bh_baseline_new(const char *namespace);
void bh_baseline_free(struct bh_baseline *baseline);

/* Adds it; what passed once, passed. */
void bh_baseline_add(struct bh_baseline *baseline, const struct bh_baseline_key *key, bool passed);
/* NULL: it is not known. */
const struct bh_baseline_conversation *bh_baseline_find(
	const struct bh_baseline *baseline, const struct bh_baseline_key *key);
/* In the order of their keys; free() the array. */
const struct bh_baseline_conversation **bh_baseline_list(const struct bh_baseline *baseline);

json_t *bh_baseline_save(const struct bh_baseline *baseline);
/* NULL for what makes no sense. */
struct bh_baseline *bh_baseline_load(const json_t *saved);

#endif
