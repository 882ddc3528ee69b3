/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tools/bulkhead/cli.h"

/* Returns what bh_json_indent() does; *ret_text is what it wrote: free() it. */
static int indent(const char *compact, char **ret_text)
{
	size_t size;
	FILE *out = open_memstream(ret_text, &size);
	int r = bh_json_indent(out, compact, strlen(compact));

	assert_int_equal(fclose(out), 0);
	return r;
}

static void json_is_indented_as_the_library_does_it(void **state)
{
	static const char *const texts[] = {
		"[]",
		"{}",
		"[1,-2,3.5,true,null]",
		"{\"a\":{},\"b\":[],\"c\":[[],{}]}",
		"{\"edges\":[{\"client\":{\"name\":\"a\"},\"ports\":[80,443]},{\"x\":null}]}",
		"[\"{\",\"}]\",\",:\",\"a \\\"quoted\\\" one\",\"\\\\\",\"ä\"]",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *value = json_loads(texts[i], 0, NULL);
		char *expected = json_dumps(value, JSON_INDENT(2)), *text;

		assert_int_equal(indent(texts[i], &text), 0);
		assert_string_equal(text, expected);
		free(text);
		free(expected);
		json_decref(value);
	}
}

static void it_ends_where_the_value_ends(void **state)
{
	char *text;

	assert_int_equal(indent("[1],\"window\":{}}", &text), 0);
	assert_string_equal(text, "[\n  1\n]");
	free(text);
}

static void what_is_cut_or_too_deep_is_no_value(void **state)
{
	char deep[101];
	const char *const texts[] = {"", "[", "{\"a", "{\"a\\", "[1,", "{\"a\":", deep};

	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text;

		assert_int_equal(indent(texts[i], &text), -EBADMSG);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_indented_as_the_library_does_it),
		cmocka_unit_test(it_ends_where_the_value_ends),
		cmocka_unit_test(what_is_cut_or_too_deep_is_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
