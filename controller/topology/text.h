/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_TEXT_H
#define BULKHEAD_TOPOLOGY_TEXT_H

/* A text that grows. All zero is an empty one; bh_text_clear() frees it. */

#include <stddef.h>

struct bh_text {
	char *data; /* NULL while empty; ends with a zero that `n` does not count */
	size_t n;
	size_t capacity;
};

void bh_text_add(struct bh_text *text, const char *more);
void bh_text_add_bytes(struct bh_text *text, const char *more, size_t n);
void bh_text_format(struct bh_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void bh_text_clear(struct bh_text *text);

#endif
