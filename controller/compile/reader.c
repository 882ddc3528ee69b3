/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Appends the path and returns the new length, which never reaches `size`. */
static size_t format_path(const struct bh_path *path, char *text, size_t size)
{
	char quoted[BH_QUOTE_MAX];
	int n;

	if (!path)
		return 0;
	size_t used = format_path(path->up, text, size);

	if (!path->key)
		n = snprintf(text + used, size - used, "[%zu]", path->index);
	else if (strpbrk(path->key, "./[] \"\n"))
		n = snprintf(text + used, size - used, "[%s]", bh_quote(path->key, quoted));
	else
		n = snprintf(text + used, size - used, "%s%.64s", path->up ? "." : "", path->key);
	if (n > 0)
		used += (size_t)n < size - used ? (size_t)n : size - used - 1;
	return used;
}

bool bh_fault_note(struct bh_fault *fault, const struct bh_path *path, const char *format, ...)
{
	va_list arguments;

	if (fault->set)
		return false;
	fault->set = true;
	if (fault->locate)
		fault->line = fault->locate(fault->context, path);
	/* Half of the room at most is the path's. */
	size_t used = format_path(path, fault->text, sizeof(fault->text) / 2);

	if (used)
		used += (size_t)snprintf(fault->text + used, sizeof(fault->text) - used, ": ");
	va_start(arguments, format);
	vsnprintf(fault->text + used, sizeof(fault->text) - used, format, arguments);
	va_end(arguments);
	return false;
}

const char *bh_quote(const char *text, char buffer[BH_QUOTE_MAX])
{
	size_t used = 0;

	buffer[used++] = '"';
	for (; *text && used < BH_QUOTE_MAX - 6; text++) {
		unsigned char c = (unsigned char)*text;

		buffer[used++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	strcpy(buffer + used, *text ? "…\"" : "\"");
	return buffer;
}

const char *bh_json_kind(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

bool bh_read_object(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	const char *const fields[])
{
	const char *key;
	json_t *member;
	char quoted[BH_QUOTE_MAX];

	if (!json_is_object(value))
		return bh_fault_note(fault, path, "must be an object, not %s", bh_json_kind(value));
	json_object_foreach((json_t *)value, key, member)
	{
		size_t i = 0;

		while (fields[i] && strcmp(fields[i], key))
			i++;
		if (!fields[i])
			return bh_fault_note(
				fault, path, "unknown field %s", bh_quote(key, quoted));
	}
	return true;
}

json_t *bh_read_field(const json_t *object, const char *field)
{
	json_t *value = json_object_get(object, field);

	return json_is_null(value) ? NULL : value;
}

bool bh_read_array(
	struct bh_fault *fault, const struct bh_path *path, const json_t *value, size_t *ret_n)
{
	if (!json_is_array(value))
		return bh_fault_note(fault, path, "must be a list, not %s", bh_json_kind(value));
	*ret_n = json_array_size(value);
	return true;
}

bool bh_read_string(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	const char **ret_text)
{
	if (!json_is_string(value))
		return bh_fault_note(fault, path, "must be a string, not %s: put it in quotes",
			bh_json_kind(value));
	*ret_text = json_string_value(value);
	return true;
}
