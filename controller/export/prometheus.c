/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/prometheus.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "controller/export/escape.h"

void bh_prometheus_family(
	struct bh_text *text, const char *name, const char *type, const char *help)
{
	bh_text_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Of ASCII's or Latin-1's: a terminal might obey it. */
static bool is_control(const char *at)
{
	unsigned char first = (unsigned char)at[0], second = (unsigned char)at[1];

	return first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0);
}

static void put_value(struct bh_text *text, const char *value)
{
	while (*value) {
		size_t n = bh_text_character(value);

		if (*value == '\n')
			bh_text_add(text, "\\n");
		else if (n == 0 || is_control(value))
			bh_text_add(text, "\xef\xbf\xbd");
		else if (*value == '\\' || *value == '"')
			bh_text_format(text, "\\%c", *value);
		else
			bh_text_add_bytes(text, value, n);
		value += n ? n : 1;
	}
}

static void put_labels(struct bh_text *text, va_list labels)
{
	const char *comma = "{";
	const char *name;

	while ((name = va_arg(labels, const char *))) {
		bh_text_format(text, "%s%s=\"", comma, name);
		put_value(text, va_arg(labels, const char *));
		bh_text_add(text, "\"");
		comma = ",";
	}
	if (*comma == ',')
		bh_text_add(text, "}");
}

void bh_prometheus_sample(struct bh_text *text, const char *name, double value, ...)
{
	va_list labels;

	bh_text_add(text, name);
	va_start(labels, value);
	put_labels(text, labels);
	va_end(labels);
	bh_text_format(text, " %.16g\n", value);
}

void bh_prometheus_count(struct bh_text *text, const char *name, uint64_t value, ...)
{
	va_list labels;

	bh_text_add(text, name);
	va_start(labels, value);
	put_labels(text, labels);
	va_end(labels);
	bh_text_format(text, " %" PRIu64 "\n", value);
}
