/* SPDX-License-Identifier: Apache-2.0 */

/*
 * JSON as it came, with line breaks: an answer of ten thousand edges is a million values, and
 * making objects of them to write them again takes longer than everything else about it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/bulkhead/cli.h"

/* Our answers are not half as deep. */
#define DEPTH_MAX 64

static void begin_line(FILE *out, int depth)
{
	putc_unlocked('\n', out);
	for (int i = 0; i < depth; i++)
		fwrite("  ", 2, 1, out);
}

/* The end of the string that begins here. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\')
			at++;
	}
	return at < end ? at + 1 : end;
}

/* The end of a number or a word. */
static const char *skip_word(const char *at, const char *end)
{
	while (at < end && !strchr("{}[],:\"", *at))
		at++;
	return at;
}

int bh_json_indent(FILE *out, const char *text, size_t n)
{
	const char *at = text, *end = text + n, *next;
	int depth = 0;

	do {
		if (at == end)
			return -EBADMSG;
		switch (*at) {
		case '{':
		case '[':
			putc_unlocked(*at++, out);
			if (++depth > DEPTH_MAX)
				return -EBADMSG;
			if (at < end && *at != '}' && *at != ']')
				begin_line(out, depth);
			break;
		case '}':
		case ']':
			depth--;
			if (at > text && at[-1] != '{' && at[-1] != '[')
				begin_line(out, depth);
			putc_unlocked(*at++, out);
			break;
		case ',':
			putc_unlocked(*at++, out);
			begin_line(out, depth);
			break;
		case ':':
			at++;
			fwrite(": ", 2, 1, out);
			break;
		default:
			next = *at == '"' ? skip_string(at, end) : skip_word(at, end);
			fwrite(at, (size_t)(next - at), 1, out);
			at = next;
		}
	} while (depth > 0);
	return 0;
}
