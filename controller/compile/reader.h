/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_READER_H
#define BULKHEAD_COMPILE_READER_H

/*
 * Strict reading of a JSON tree. Every complaint names the field by its path, as kubectl would:
 * `spec.ingress[0].ports[1].endPort: must be …`. The first complaint stands. As in Kubernetes, a
 * null is a field that is not there.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define BH_FAULT_MAX 400

/* Where in the tree we are; lives on the stack of whoever descends. */
struct bh_path {
	const struct bh_path *up;
	const char *key; /* NULL: an element of an array */
	size_t index;
};

/* All zero at first; `locate` may be set by who knows the text the tree was made from. */
struct bh_fault {
	bool set;
	char text[BH_FAULT_MAX];
	size_t line; /* where `locate` found the path; 0: not known */
	size_t (*locate)(void *context, const struct bh_path *path);
	void *context;
};

#define BH_FIELD(parent, name) (&(const struct bh_path){(parent), (name), 0})
#define BH_ELEMENT(parent, at) (&(const struct bh_path){(parent), NULL, (at)})

/* Notes "path: …" unless something was noted before. Always returns false. */
bool bh_fault_note(struct bh_fault *fault, const struct bh_path *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Longest text bh_quote() makes, its zero included. */
#define BH_QUOTE_MAX 80

/* `text` in double quotes, fit for one line of a log: cut when long, control characters as '?'. */
const char *bh_quote(const char *text, char buffer[BH_QUOTE_MAX]);

/* "a string", "a boolean", … */
const char *bh_json_kind(const json_t *value);

/* True if `value` is an object with no field but these (NULL-terminated). Otherwise notes why. */
bool bh_read_object(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	const char *const fields[]);

/* The field, or NULL if it is missing or null. */
json_t *bh_read_field(const json_t *object, const char *field);

/* Each is true and sets *ret_… if the value is of the type; otherwise notes what it is instead. */
bool bh_read_array(
	struct bh_fault *fault, const struct bh_path *path, const json_t *value, size_t *ret_n);
bool bh_read_string(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	const char **ret_text);

#endif
