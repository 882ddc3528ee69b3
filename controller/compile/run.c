/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/run.h"

#include "controller/model/memory.h"

/* Items of a piece: an edit copies so many, and a version of the whole lists the pieces. */
#define PIECE_MAX 256
#define PIECE_MIN 64

/* Items on their way into pieces. */
struct buffer {
	const struct bh_run_kind *kind;
	size_t n;
	size_t capacity;
	char *items;
	struct bh_run out;
	size_t room; /* for pieces */
};

static void add_item(struct buffer *buffer, const void *item)
{
	size_t size = buffer->kind->size;

	if (buffer->n == buffer->capacity) {
		buffer->capacity = buffer->capacity ? buffer->capacity * 2 : PIECE_MAX;
		buffer->items = bh_xreallocarray(buffer->items, buffer->capacity, size);
	}
	memcpy(buffer->items + buffer->n++ * size, item, size);
}

static void add_piece(struct buffer *buffer, struct bh_run_piece *piece)
{
	bh_xgrow(buffer->out.pieces, buffer->out.n_pieces, buffer->room);
	buffer->out.pieces[buffer->out.n_pieces++] = piece;
	buffer->out.n += piece->n;
}

static struct bh_run_piece *make_piece(const struct bh_run_kind *kind, const char *items, size_t n)
{
	size_t size = n * kind->size, text = 0;

	for (size_t i = 0; kind->measure && i < n; i++)
		text += kind->measure(items + i * kind->size);
	struct bh_run_piece *piece = bh_xcalloc(1, sizeof(*piece) + size + text);
	char *to = piece->items + size;

	piece->references = 1;
	piece->n = n;
	memcpy(piece->items, items, size);
	for (size_t i = 0; kind->measure && i < n; i++) {
		size_t length = kind->measure(items + i * kind->size);

		kind->move(piece->items + i * kind->size, to);
		to += length;
	}
	return piece;
}

/* As few pieces as hold what is in the buffer, of one size. */
static void flush(struct buffer *buffer)
{
	size_t n_pieces = (buffer->n + PIECE_MAX - 1) / PIECE_MAX, done = 0;

	for (size_t i = 0; i < n_pieces; i++) {
		size_t n = (buffer->n - done) / (n_pieces - i);

		add_piece(buffer,
			make_piece(buffer->kind, buffer->items + done * buffer->kind->size, n));
		done += n;
	}
	buffer->n = 0;
}

static struct bh_run finish(struct buffer *buffer)
{
	flush(buffer);
	free(buffer->items);
	return buffer->out;
}

struct bh_run bh_run_new(const struct bh_run_kind *kind, const void *items, size_t n)
{
	struct buffer buffer = {.kind = kind, .n = n, .items = (char *)items};

	flush(&buffer);
	return buffer.out;
}

/* The items of the piece with the edits that fall in between them, or behind its last one. */
static void merge(struct buffer *buffer, const struct bh_run_piece *piece,
	const struct bh_run_edit *edits, size_t n)
{
	const struct bh_run_kind *kind = buffer->kind;
	size_t i = 0, j = 0;

	while (i < piece->n || j < n) {
		const char *item = piece->items + i * kind->size;
		int order = i == piece->n ? 1 : j == n ? -1 : kind->compare(item, edits[j].item);

		if (order < 0)
			add_item(buffer, item);
		else if (!edits[j].remove)
			add_item(buffer, edits[j].item);
		i += order <= 0;
		j += order >= 0;
	}
}

/* How many of the edits come before the first item of the piece. */
static size_t count_before(const struct bh_run_kind *kind, const struct bh_run_piece *piece,
	const struct bh_run_edit *edits, size_t n)
{
	size_t before = 0;

	while (before < n && kind->compare(edits[before].item, piece->items) < 0)
		before++;
	return before;
}

struct bh_run bh_run_edit(const struct bh_run_kind *kind, const struct bh_run *run,
	const struct bh_run_edit *edits, size_t n)
{
	static const struct bh_run_piece nothing;
	struct buffer buffer = {.kind = kind, .room = run->n_pieces + 4};

	buffer.out.pieces = bh_xcalloc(buffer.room, sizeof(*buffer.out.pieces));
	if (!run->n_pieces)
		merge(&buffer, &nothing, edits, n);
	for (size_t i = 0; i < run->n_pieces; i++) {
		struct bh_run_piece *piece = run->pieces[i];
		size_t here = i + 1 == run->n_pieces
				      ? n
				      : count_before(kind, run->pieces[i + 1], edits, n);

		/* What became small takes the next piece in, too. */
		if (here || (buffer.n && buffer.n < PIECE_MIN)) {
			merge(&buffer, piece, edits, here);
			edits += here;
			n -= here;
			continue;
		}
		flush(&buffer);
		piece->references++;
		add_piece(&buffer, piece);
	}
	return finish(&buffer);
}

struct bh_run bh_run_ref(const struct bh_run *run)
{
	struct bh_run copy = *run;

	copy.pieces = bh_xcalloc(run->n_pieces, sizeof(*copy.pieces));
	for (size_t i = 0; i < run->n_pieces; i++) {
		copy.pieces[i] = run->pieces[i];
		copy.pieces[i]->references++;
	}
	return copy;
}

void bh_run_unref(struct bh_run *run)
{
	for (size_t i = 0; i < run->n_pieces; i++) {
		if (!--run->pieces[i]->references)
			free(run->pieces[i]);
	}
	free(run->pieces);
	*run = (struct bh_run){0};
}

const void *bh_run_find(const struct bh_run_kind *kind, const struct bh_run *run, const void *key)
{
	size_t low = 0, high = run->n_pieces;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (kind->compare(run->pieces[middle]->items, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	const struct bh_run_piece *piece = run->pieces[low - 1];

	return bsearch(key, piece->items, piece->n, kind->size, kind->compare);
}
