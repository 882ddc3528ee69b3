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
	va_list arguments;
	char *line = NULL;
	int n;

	va_start(arguments, format);
	n = vasprintf(&line, format, arguments);
	va_end(arguments);
	if (n < 0)
		abort();
	bh_text_add_bytes(text, line, (size_t)n);
	free(line);
}

void bh_text_clear(struct bh_text *text)
{
	free(text->data);
	*text = (struct bh_text){0};
}
