/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/stream.h"

#include <errno.h>
#include <string.h>

#include "controller/model/memory.h"

enum state {
	BEFORE,      /* the list's '{', or the next value of a stream */
	KEY_OR_END,  /* after '{' */
	KEY,         /* after ',' in the list */
	COLON,       /* after a key */
	MEMBER,      /* after ':' */
	MEMBER_NEXT, /* after a member */
	ITEM_OR_END, /* after '[' */
	ITEM,        /* after ',' in items */
	ITEM_NEXT,   /* after an item */
	END,         /* after the list's '}' */
};

struct bh_stream {
	enum bh_stream_form form;
	const struct bh_stream_parts *parts;
	void *data;
	enum state state;
	/* The value under way, as far as it has come. */
	bool inside;
	size_t depth;
	bool quoted;
	bool escaped;
	bool scalar; /* a number or a word: ends before what follows it */
	size_t n;
	size_t capacity;
	char *text;
	char key[BH_STREAM_KEY_MAX + 1];
};

struct bh_stream *bh_stream_new(
	enum bh_stream_form form, const struct bh_stream_parts *parts, void *data)
{
	struct bh_stream *stream = bh_xcalloc(1, sizeof(*stream));

	stream->form = form;
	stream->parts = parts;
	stream->data = data;
	return stream;
}

void bh_stream_free(struct bh_stream *stream)
{
	if (!stream)
		return;
	free(stream->text);
	free(stream);
}

bool bh_stream_complete(const struct bh_stream *stream)
{
	return stream->form == BH_STREAM_LIST ? stream->state == END : !stream->inside;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- One value --------------------------------------------------------------------------------
 */

static size_t longest(const struct bh_stream *stream)
{
	switch (stream->state) {
	case KEY_OR_END:
	case KEY:
		return BH_STREAM_KEY_MAX + 2; /* with its quotes */
	case MEMBER:
		return BH_STREAM_MEMBER_MAX;
	default:
		return BH_STREAM_ITEM_MAX;
	}
}

static int keep(struct bh_stream *stream, const char *bytes, size_t size)
{
	if (stream->n + size > longest(stream))
		return -EMSGSIZE;
	while (stream->n + size > stream->capacity) {
		stream->capacity = stream->capacity ? stream->capacity * 2 : 4096;
		stream->text = bh_xreallocarray(stream->text, stream->capacity, 1);
	}
	memcpy(stream->text + stream->n, bytes, size);
	stream->n += size;
	return 0;
}

/* How many of the bytes belong to the value under way; *ret_done if it ends with them. */
static size_t measure(struct bh_stream *stream, const char *bytes, size_t size, bool *ret_done)
{
	for (size_t i = 0; i < size; i++) {
		char c = bytes[i];

		if (stream->escaped) {
			stream->escaped = false;
		} else if (stream->quoted) {
			stream->escaped = c == '\\';
			stream->quoted = c != '"';
			*ret_done = !stream->quoted && !stream->depth;
		} else if (stream->scalar) {
			if (is_space(c) || c == ',' || c == ']' || c == '}') {
				*ret_done = true;
				return i;
			}
		} else if (c == '"') {
			stream->quoted = true;
		} else if (c == '{' || c == '[') {
			stream->depth++;
		} else if (c == '}' || c == ']') {
			*ret_done = !--stream->depth;
		} else if (!stream->depth) {
			stream->scalar = true;
		}
		if (*ret_done)
			return i + 1;
	}
	return size;
}

/* A value has ended: hands it out, and says what may follow. */
static int finish(struct bh_stream *stream)
{
	stream->inside = stream->scalar = false;
	switch (stream->state) {
	case KEY_OR_END:
	case KEY:
		memcpy(stream->key, stream->text + 1, stream->n - 2);
		stream->key[stream->n - 2] = '\0';
		stream->state = COLON;
		return 0;
	case MEMBER:
		stream->state = MEMBER_NEXT;
		return stream->parts->member(stream->data, stream->key, stream->text, stream->n);
	case ITEM_OR_END:
	case ITEM:
		stream->state = ITEM_NEXT;
		break;
	default:
		break;
	}
	return stream->parts->item(stream->data, stream->text, stream->n);
}

static int begin(struct bh_stream *stream, char c)
{
	bool key = stream->state == KEY || stream->state == KEY_OR_END;

	if ((key && c != '"') || strchr("]},:", c))
		return -EBADMSG;
	stream->inside = true;
	stream->n = 0;
	return 0;
}

/* ---- Between values -----------------------------------------------------------------------------
 */

static int expect(struct bh_stream *stream, char c, char wanted, enum state next)
{
	if (c != wanted)
		return -EBADMSG;
	stream->state = next;
	return 0;
}

static int begin_member(struct bh_stream *stream, char c, bool *ret_taken)
{
	if (strcmp(stream->key, "items"))
		return begin(stream, c);
	if (c != '[' && c != 'n')
		return -EBADMSG;
	int r = stream->parts->member(stream->data, stream->key, &c, 1);

	if (r < 0 || c != '[')
		return r < 0 ? r : begin(stream, c);
	*ret_taken = true;
	stream->state = ITEM_OR_END;
	return 0;
}

/* One byte that is no space, outside of any value. It is taken, or a value begins with it. */
static int step(struct bh_stream *stream, char c, bool *ret_taken)
{
	*ret_taken = true;
	switch (stream->state) {
	case BEFORE:
		if (stream->form == BH_STREAM_LIST)
			return expect(stream, c, '{', KEY_OR_END);
		break;
	case KEY_OR_END:
		if (c == '}')
			return expect(stream, c, '}', END);
		break;
	case COLON:
		return expect(stream, c, ':', MEMBER);
	case MEMBER:
		*ret_taken = false;
		return begin_member(stream, c, ret_taken);
	case MEMBER_NEXT:
		return c == ',' ? expect(stream, c, ',', KEY) : expect(stream, c, '}', END);
	case ITEM_OR_END:
		if (c == ']')
			return expect(stream, c, ']', MEMBER_NEXT);
		break;
	case ITEM_NEXT:
		return c == ',' ? expect(stream, c, ',', ITEM)
				: expect(stream, c, ']', MEMBER_NEXT);
	case END:
		return -EBADMSG;
	case KEY:
	case ITEM:
		break;
	}
	*ret_taken = false;
	return begin(stream, c);
}

int bh_stream_feed(struct bh_stream *stream, const char *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		bool done = false, taken;

		if (stream->inside) {
			size_t n = measure(stream, bytes + at, size - at, &done);
			int r = keep(stream, bytes + at, n);

			if (!r && done)
				r = finish(stream);
			if (r < 0)
				return r;
			at += n;
			continue;
		}
		if (is_space(bytes[at])) {
			at++;
			continue;
		}
		int r = step(stream, bytes[at], &taken);

		if (r < 0)
			return r;
		at += taken;
	}
	return 0;
}
