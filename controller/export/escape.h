/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_ESCAPE_H
#define BULKHEAD_EXPORT_ESCAPE_H

/* Strangers' strings made harmless in a text: labels and names may hold anything. */

#include <stddef.h>
#include <stdint.h>

#include "controller/topology/text.h"

/* Takes the first `n` bytes away. */
void bh_text_drop(struct bh_text *text, size_t n);

/* A JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void bh_text_json(struct bh_text *text, const char *value);

/* RFC 3339, UTC, nanoseconds, without quotes. */
void bh_text_time(struct bh_text *text, uint64_t ns);

/*
 * How many bytes at the start of `value` are one character in UTF-8: 1 to 4, or 0 if they are none
 * (RFC 3629: no surrogates, nothing longer than needed).
 */
size_t bh_text_character(const char *value);

#endif
