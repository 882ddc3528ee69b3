/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/walk.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What kernels answer where a map type has no batch operations; the first is not in errno.h. */
static bool means_no_batches(int err)
{
	return err == -524 || err == -EOPNOTSUPP || err == -EINVAL;
}

int bh_walk_begin(
	struct bh_walk *walk, int fd, size_t key_size, size_t value_size, uint32_t capacity)
{
	*walk = (struct bh_walk){
		.fd = fd,
		.key_size = key_size,
		.value_size = value_size,
		.capacity = capacity,
	};
	walk->keys = calloc(capacity, key_size);
	walk->values = calloc(capacity, value_size);
	if (walk->keys && walk->values && key_size <= sizeof(walk->token))
		return 0;
	bh_walk_end(walk);
	return -ENOMEM;
}

void bh_walk_end(struct bh_walk *walk)
{
	free(walk->keys);
	free(walk->values);
	walk->keys = NULL;
	walk->values = NULL;
	walk->n = 0;
}

static int enlarge(struct bh_walk *walk)
{
	uint32_t capacity = walk->capacity * 2;
	uint8_t *keys = realloc(walk->keys, capacity * walk->key_size);
	uint8_t *values;

	if (!keys)
		return -ENOMEM;
	walk->keys = keys;
	values = realloc(walk->values, capacity * walk->value_size);
	if (!values)
		return -ENOMEM;
	walk->values = values;
	walk->capacity = capacity;
	return 0;
}

static int step_batch(struct bh_walk *walk)
{
	for (;;) {
		uint8_t next[sizeof(walk->token)];
		uint32_t n = walk->capacity;
		int err = bpf_map_lookup_batch(walk->fd, walk->begun ? walk->token : NULL, next,
			walk->keys, walk->values, &n, NULL);

		if (err == -ENOSPC) {
			/* One bucket holds more than there is room for. */
			err = enlarge(walk);
			if (err < 0)
				return err;
			continue;
		}
		if (err < 0 && err != -ENOENT)
			return err;
		memcpy(walk->token, next, sizeof(next));
		walk->begun = true;
		walk->ended = err == -ENOENT;
		walk->n = n;
		if (n || walk->ended)
			return (int)n;
	}
}

static int step_single(struct bh_walk *walk)
{
	walk->n = 0;
	while (walk->n < walk->capacity) {
		uint8_t *key = walk->keys + walk->n * walk->key_size;
		int err = bpf_map_get_next_key(walk->fd, walk->begun ? walk->token : NULL, key);

		if (err < 0) {
			walk->ended = true;
			return err == -ENOENT ? (int)walk->n : err;
		}
		walk->begun = true;
		memcpy(walk->token, key, walk->key_size);
		if (bpf_map_lookup_elem(walk->fd, key, walk->values + walk->n * walk->value_size) ==
			0)
			walk->n++;
	}
	return (int)walk->n;
}

int bh_walk_step(struct bh_walk *walk)
{
	walk->n = 0;
	if (walk->ended)
		return 0;
	if (!walk->single) {
		int n = step_batch(walk);

		if (n >= 0 || walk->begun || !means_no_batches(n))
			return n;
		walk->single = true;
	}
	return step_single(walk);
}

int bh_map_put_many(int fd, const void *keys, size_t key_size, const void *values,
	size_t value_size, uint32_t n)
{
	uint32_t done = n;
	int err;

	if (!n)
		return 0;
	err = bpf_map_update_batch(fd, keys, values, &done, NULL);
	if (!err)
		return 0;
	if (!means_no_batches(err))
		return err;
	for (uint32_t i = 0; i < n; i++) {
		err = bpf_map_update_elem(fd, (const uint8_t *)keys + i * key_size,
			(const uint8_t *)values + i * value_size, BPF_ANY);
		if (err < 0)
			return err;
	}
	return 0;
}

int bh_map_remove_many(int fd, const void *keys, size_t key_size, uint32_t n)
{
	/* A batch would stop at the first key that is missing. */
	for (uint32_t i = 0; i < n; i++) {
		int err = bpf_map_delete_elem(fd, (const uint8_t *)keys + i * key_size);

		if (err < 0 && err != -ENOENT)
			return err;
	}
	return 0;
}

long bh_percpu_size(size_t value_size)
{
	int cpus = libbpf_num_possible_cpus();

	return cpus < 0 ? cpus : (long)((value_size + 7) / 8 * 8 * (size_t)cpus);
}
