/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/model/memory.h"
#include "controller/topology/text.h"

static void reserve(struct bh_text *text, size_t more)
{
	size_t wanted = text->n + more + 1;

	if (wanted <= text->capacity)
		return;
	text->capacity = wanted > text->capacity * 2 ? wanted : text->capacity * 2;
	text->data = bh_xreallocarray(text->data, text->capacity, 1);
}

void bh_text_add_bytes(struct bh_text *text, const char *more, size_t n)
{
	reserve(text, n);
	memcpy(text->data + text->n, more, n);
	text->n += n;
	text->data[text->n] = '\0';
}

void bh_text_add(struct bh_text *text, const char *more)
{
	bh_text_add_bytes(text, more, strlen(more));
}

void bh_text_format(struct bh_text *text, const char *format, ...)
{
	va_list arguments, again;
	size_t room;
	int n;

	/* Most are short: written where they belong, and once more if there was no room. */
	reserve(text, 64);
	room = text->capacity - text->n;
	va_start(arguments, format);
	va_copy(again, arguments);
	n = vsnprintf(text->data + text->n, room, format, arguments);
	va_end(arguments);
	if (n < 0)
		abort();
	if ((size_t)n >= room) {
		reserve(text, (size_t)n);
		vsnprintf(text->data + text->n, (size_t)n + 1, format, again);
	}
	va_end(again);
	text->n += (size_t)n;
}

void bh_text_clear(struct bh_text *text)
{
	free(text->data);
	*text = (struct bh_text){0};
}
