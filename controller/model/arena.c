/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/arena.h"

#include "controller/model/memory.h"

#define ARENA_FIRST 512
#define ARENA_LARGEST (1024 * 1024)

struct bh_arena_chunk {
	struct bh_arena_chunk *next;
	size_t size;
	_Alignas(16) char bytes[];
};

void *bh_arena_alloc(struct bh_arena *arena, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total) || total > SIZE_MAX - 64)
		abort();
	total = (total + 15) & ~(size_t)15;
	if (total > arena->left || !arena->chunks) {
		size_t room = arena->next ? arena->next : ARENA_FIRST;

		if (room < total)
			room = total;
		struct bh_arena_chunk *chunk = bh_xcalloc(1, sizeof(*chunk) + room);

		chunk->size = room;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
		arena->size += room;
		arena->left = room;
		arena->next = room < ARENA_LARGEST / 2 ? room * 2 : ARENA_LARGEST;
	}
	char *at = arena->chunks->bytes + (arena->chunks->size - arena->left);

	arena->left -= total;
	return at;
}

void *bh_arena_copy(struct bh_arena *arena, const void *from, size_t n, size_t size)
{
	void *to = bh_arena_alloc(arena, n, size);

	if (n && size)
		memcpy(to, from, n * size);
	return to;
}

char *bh_arena_strdup(struct bh_arena *arena, const char *text)
{
	return bh_arena_copy(arena, text, strlen(text) + 1, 1);
}

char *bh_arena_printf(struct bh_arena *arena, const char *format, ...)
{
	va_list arguments, again;

	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);

	if (length < 0)
		abort();
	char *text = bh_arena_alloc(arena, (size_t)length + 1, 1);

	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	va_end(arguments);
	return text;
}

void bh_arena_clear(struct bh_arena *arena)
{
	struct bh_arena_chunk *chunk = arena->chunks;

	while (chunk) {
		struct bh_arena_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	*arena = (struct bh_arena){0};
}
