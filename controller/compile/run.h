/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_RUN_H
#define BULKHEAD_COMPILE_RUN_H

/*
 * A sorted array in pieces, so that two versions of it share what they have in common: an edit
 * makes the pieces anew that it falls into, and counts one reference more for all the others. So
 * the memory and time of a change are those of the change, and whoever compares two versions skips
 * every piece that both hold. Immutable but for the counts.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_run_piece {
	size_t references;
	size_t n; /* never 0 */
	_Alignas(16) char items[];
};

struct bh_run {
	size_t n;
	size_t n_pieces;
	struct bh_run_piece **pieces;
};

/* What the items are. */
struct bh_run_kind {
	size_t size;
	int (*compare)(const void *a, const void *b); /* by their keys */
	/* What an item points to: how much, and moving it to where `text` is. Both may be NULL. */
	size_t (*measure)(const void *item);
	void (*move)(void *item, char *text);
};

/* Of the item with this key. */
struct bh_run_edit {
	const void *item; /* what takes its place, or is new */
	bool remove;      /* of `item` only the key counts */
};

/* All items are sorted, their keys distinct. */
struct bh_run bh_run_new(const struct bh_run_kind *kind, const void *items, size_t n);

/* The edits are sorted, their keys distinct; what is removed need not be there. */
struct bh_run bh_run_edit(const struct bh_run_kind *kind, const struct bh_run *run,
	const struct bh_run_edit *edits, size_t n);

struct bh_run bh_run_ref(const struct bh_run *run);
/* Leaves it empty. */
void bh_run_unref(struct bh_run *run);

/* The item with this key, or NULL. */
const void *bh_run_find(const struct bh_run_kind *kind, const struct bh_run *run, const void *key);

/* ---- Reading in order ------------------------------------------------------------------------ */

/* Zero is the beginning. */
struct bh_run_at {
	size_t piece;
	size_t index; /* in it */
};

static inline const void *bh_run_here(
	const struct bh_run *run, size_t size, const struct bh_run_at *at)
{
	return at->piece < run->n_pieces ? run->pieces[at->piece]->items + at->index * size : NULL;
}

static inline void bh_run_step(const struct bh_run *run, struct bh_run_at *at)
{
	if (++at->index < run->pieces[at->piece]->n)
		return;
	at->index = 0;
	at->piece++;
}

/* Both begin a piece that is the same, at the end of which they arrive then. */
static inline bool bh_run_skip(const struct bh_run *a, struct bh_run_at *at_a,
	const struct bh_run *b, struct bh_run_at *at_b)
{
	if (at_a->index || at_b->index || at_a->piece >= a->n_pieces ||
		at_b->piece >= b->n_pieces || a->pieces[at_a->piece] != b->pieces[at_b->piece])
		return false;
	at_a->piece++;
	at_b->piece++;
	return true;
}

#endif
