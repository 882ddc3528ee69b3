/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/topology/writer.h"

#include <inttypes.h>
#include <jansson.h>

#include "controller/topology/json.h"
#include "tests/unit/controller/fixture.h"

/* Takes `value`: what the objects would have said. */
static void assert_written(struct bh_text *text, json_t *value)
{
	char *expected = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	assert_string_equal(text->data, expected);
	free(expected);
	json_decref(value);
	bh_text_clear(text);
}

static void texts_are_written_as_objects_say_them(void **state)
{
	static const char *const texts[] = {"", "plain", "a \"quote\" and a \\", "tab\tand\nline",
		"\x01\x1f\x7f", "ä€😀", "broken \xc3 utf-8 \xff", "</script>"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bh_text text = {0};
		struct bh_writer writer = {.to = &text};

		bh_write_text(&writer, NULL, texts[i]);
		assert_written(&text, bh_json_text(texts[i]));
	}
}

static void numbers_are_written_as_objects_say_them(void **state)
{
	static const uint64_t numbers[] = {
		0, 9, 10, 99, 12345678901, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct bh_text text = {0};
		struct bh_writer writer = {.to = &text};

		bh_write_number(&writer, NULL, numbers[i]);
		assert_written(&text, json_integer((json_int_t)numbers[i]));
	}
}

static void times_are_written_as_objects_say_them(void **state)
{
	static const uint64_t times[] = {0, 1, 999, 1000, 1763800851123456789,
		1709164800000000000 /* 29 February */, UINT64_MAX};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct bh_text text = {0};
		struct bh_writer writer = {.to = &text};

		bh_write_time(&writer, NULL, times[i]);
		assert_written(&text, bh_json_time(times[i]));
	}
}

static void members_are_parted_by_commas_and_nothing_else(void **state)
{
	const uint64_t counts[2] = {1, 2};
	struct bh_text text = {0};
	struct bh_writer writer = {.to = &text};

	bh_write_open(&writer, NULL, '{');
	bh_write_open(&writer, "none", '[');
	bh_write_close(&writer, ']');
	bh_write_open(&writer, "list", '[');
	bh_write_protocol(&writer, NULL, 6);
	bh_write_null(&writer, NULL);
	bh_write_open(&writer, NULL, '{');
	bh_write_close(&writer, '}');
	bh_write_close(&writer, ']');
	bh_write_flag(&writer, "yes", true);
	bh_write_flag(&writer, "no", false);
	bh_write_both_ways(&writer, "packets", counts);
	bh_write_json(&writer, "given", "[1]", 3);
	bh_write_close(&writer, '}');
	assert_written(&text,
		json_pack("{s:[], s:[s, n, {}], s:b, s:b, s:o, s:[i]}", "none", "list", "TCP",
			"yes", 1, "no", 0, "packets", bh_json_both_ways(counts), "given", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_written_as_objects_say_them),
		cmocka_unit_test(numbers_are_written_as_objects_say_them),
		cmocka_unit_test(times_are_written_as_objects_say_them),
		cmocka_unit_test(members_are_parted_by_commas_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
