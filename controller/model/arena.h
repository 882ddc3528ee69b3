/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_ARENA_H
#define BULKHEAD_MODEL_ARENA_H

/* Memory that is freed all at once. Zeroed, aligned for any type. All zero is an empty arena. */

#include <stddef.h>

struct bh_arena_chunk;

struct bh_arena {
	struct bh_arena_chunk *chunks;
	size_t left; /* bytes free at the end of the newest chunk */
	size_t next; /* size of the next chunk; they grow */
	size_t size; /* of all chunks */
};

void *bh_arena_alloc(struct bh_arena *arena, size_t n, size_t size);
void *bh_arena_copy(struct bh_arena *arena, const void *from, size_t n, size_t size);
char *bh_arena_strdup(struct bh_arena *arena, const char *text);
char *bh_arena_printf(struct bh_arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Frees everything and leaves an empty arena. */
void bh_arena_clear(struct bh_arena *arena);

#define bh_arena_new(arena, type) ((type *)bh_arena_alloc((arena), 1, sizeof(type)))
#define bh_arena_array(arena, n, type) ((type *)bh_arena_alloc((arena), (n), sizeof(type)))

#endif
