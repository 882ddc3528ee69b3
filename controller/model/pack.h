/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_PACK_H
#define BULKHEAD_MODEL_PACK_H

/*
 * An object and everything it points to as one allocation. Packing is run twice over the same
 * object: with `to` NULL it only measures, and returns NULL for every part.
 */

#include "controller/model/memory.h"
#include "controller/model/types.h"

struct bh_pack {
	char *to;
	size_t used;
};

static inline void *bh_pack_bytes(struct bh_pack *pack, const void *from, size_t size, size_t align)
{
	pack->used = (pack->used + align - 1) & ~(align - 1);
	void *at = pack->to ? pack->to + pack->used : NULL;

	if (at && size)
		memcpy(at, from, size);
	pack->used += size;
	return at;
}

/* Room for what is written there later; zero until then. */
static inline void *bh_pack_room(struct bh_pack *pack, size_t size, size_t align)
{
	pack->used = (pack->used + align - 1) & ~(align - 1);
	void *at = pack->to ? pack->to + pack->used : NULL;

	pack->used += size;
	return at;
}

static inline const char *bh_pack_text(struct bh_pack *pack, const char *text)
{
	return text ? bh_pack_bytes(pack, text, strlen(text) + 1, 1) : NULL;
}

static inline const struct bh_ip *bh_pack_ips(
	struct bh_pack *pack, const struct bh_ip *ips, size_t n)
{
	return bh_pack_bytes(pack, ips, n * sizeof(*ips), _Alignof(struct bh_ip));
}

/* ---- Comparing what is packed ---------------------------------------------------------------- */

static inline bool bh_same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static inline bool bh_same_ips(const struct bh_ip *a, size_t n_a, const struct bh_ip *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (bh_ip_compare(&a[i], &b[i]))
			return false;
	}
	return true;
}

#endif
