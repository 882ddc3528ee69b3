/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/escape.h"

#include <string.h>
#include <time.h>

void bh_text_drop(struct bh_text *text, size_t n)
{
	text->n -= n;
	if (text->data)
		memmove(text->data, text->data + n, text->n + 1);
}

size_t bh_text_character(const char *value)
{
	const unsigned char *u = (const unsigned char *)value;
	size_t n = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

	if (n == 4 && u[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	}
	/* The second byte says what the first leaves open: too long, a surrogate, too high. */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
		(u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

static void put_json_character(struct bh_text *text, const char *at, size_t n)
{
	if (n == 0)
		bh_text_add(text, "\xef\xbf\xbd");
	else if (*at == '"' || *at == '\\')
		bh_text_format(text, "\\%c", *at);
	else if ((unsigned char)*at < 0x20 || *at == 0x7f)
		bh_text_format(text, "\\u%04x", (unsigned int)*at);
	else
		bh_text_add_bytes(text, at, n);
}

void bh_text_json(struct bh_text *text, const char *value)
{
	bh_text_add(text, "\"");
	while (*value) {
		size_t n = bh_text_character(value);

		put_json_character(text, value, n);
		value += n ? n : 1;
	}
	bh_text_add(text, "\"");
}

void bh_text_time(struct bh_text *text, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char day[32];

	if (!gmtime_r(&seconds, &tm))
		return;
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	bh_text_format(text, "%s.%09uZ", day, (unsigned int)(ns % 1000000000));
}
