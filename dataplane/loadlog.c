/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/loadlog.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

#define KEPT 4096
#define SHOWN 240

static char kept[KEPT];
static char shown[SHOWN + 1];

/* Appends; the oldest half goes when there is no room. */
static void append(const char *text, size_t length)
{
	size_t used = strlen(kept);

	if (length >= KEPT / 2) {
		text += length - KEPT / 2 + 1;
		length = KEPT / 2 - 1;
	}
	if (used + length >= KEPT) {
		size_t keep = KEPT / 2 - 1 < used ? KEPT / 2 - 1 : used;

		memmove(kept, kept + used - keep, keep);
		used = keep;
	}
	memcpy(kept + used, text, length);
	kept[used + length] = '\0';
}

static int keep_line(enum libbpf_print_level level, const char *format, va_list args)
{
	static char line[64 * 1024];
	int n;

	if (level != LIBBPF_WARN)
		return 0;
	n = vsnprintf(line, sizeof(line), format, args);
	if (n > 0)
		append(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
	return n;
}

void bh_loadlog_begin(void)
{
	kept[0] = '\0';
	libbpf_set_print(keep_line);
}

const char *bh_loadlog_tail(void)
{
	size_t length = strlen(kept);
	const char *from = length > SHOWN ? kept + length - SHOWN : kept;

	if (!length)
		return "no more is known";
	snprintf(shown, sizeof(shown), "%.*s", SHOWN, from);
	for (char *c = shown; *c; c++) {
		if (*c == '\n')
			*c = ';';
	}
	length = strlen(shown);
	if (length && shown[length - 1] == ';')
		shown[length - 1] = '\0';
	return shown;
}
