/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_YAML_H
#define BULKHEAD_SOURCE_YAML_H

/*
 * YAML and JSON text to jansson trees, as kubectl reads them: YAML 1.1's plain scalars (an unquoted
 * `yes` is a boolean, 0644 is octal), quoted ones are strings. Stricter in what is dangerous:
 * duplicate keys, unknown tags, merge keys (<<), zero bytes in strings. Depth and size are bounded
 * (source.h); an alias counts as what it stands for, so a small text cannot grow into a huge tree.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "controller/compile/reader.h"

struct bh_text_error {
	size_t line; /* from 1; 0: not known */
	char text[200];
};

/*
 * All documents of the text, as a JSON array (json_decref() it), empty documents as null. NULL and
 * *ret_error if any part of it cannot be read.
 */
json_t *bh_yaml_parse(const char *text, size_t size, struct bh_text_error *ret_error);
json_t *bh_json_parse(const char *text, size_t size, struct bh_text_error *ret_error);

/*
 * The line on which the value at `path` of document number `document` begins; 0 if it is not found
 * (an alias on the way, or JSON that YAML reads otherwise).
 */
size_t bh_yaml_line(const char *text, size_t size, size_t document, const struct bh_path *path);

#endif
