/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_WALK_H
#define BULKHEAD_DATAPLANE_WALK_H

/*
 * Reading and writing many elements of a BPF map: by batches where the kernel has them for the
 * map's type, one by one where not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A walk through a map that may be continued later. Elements that come or go meanwhile may be
 * missed. */
struct bh_walk {
	int fd;
	size_t key_size;
	size_t value_size; /* of all CPUs together, for per-CPU maps */
	uint32_t n;        /* elements in keys and values now */
	uint8_t *keys;
	uint8_t *values;
	uint32_t capacity;
	bool begun;
	bool ended;
	bool single; /* no batches for this type of map */
	uint8_t token[64];
};

/* `capacity` is how many elements a step reads. Free with bh_walk_end(). Returns 0 or -ENOMEM. */
int bh_walk_begin(
	struct bh_walk *walk, int fd, size_t key_size, size_t value_size, uint32_t capacity);
void bh_walk_end(struct bh_walk *walk);

/* The next elements: how many (walk->n), 0 at the end, or -errno. */
int bh_walk_step(struct bh_walk *walk);

static inline const void *bh_walk_key(const struct bh_walk *walk, uint32_t i)
{
	return walk->keys + i * walk->key_size;
}

static inline const void *bh_walk_value(const struct bh_walk *walk, uint32_t i)
{
	return walk->values + i * walk->value_size;
}

/* Writes n elements, new or not. Stops at the first that fails. Returns 0 or -errno. */
int bh_map_put_many(int fd, const void *keys, size_t key_size, const void *values,
	size_t value_size, uint32_t n);

/* Removes n keys; those that are not there are fine. Returns 0 or -errno. */
int bh_map_remove_many(int fd, const void *keys, size_t key_size, uint32_t n);

/* Size of one element's value, over all CPUs, of a per-CPU map with this value size; or -errno. */
long bh_percpu_size(size_t value_size);

#endif
