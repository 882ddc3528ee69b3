/* SPDX-License-Identifier: Apache-2.0 */

/* JSON cut into items, whatever the pieces it arrives in. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/source/access.h"
#include "controller/source/stream.h"

struct seen {
	char text[4096];
	int item_error;
};

static int see_item(void *data, char *text, size_t size)
{
	struct seen *seen = data;
	size_t n = strlen(seen->text);

	snprintf(seen->text + n, sizeof(seen->text) - n, "<%.*s>", (int)size, text);
	return seen->item_error;
}

static int see_member(void *data, const char *key, const char *text, size_t size)
{
	struct seen *seen = data;
	size_t n = strlen(seen->text);

	snprintf(seen->text + n, sizeof(seen->text) - n, "%s=%.*s;", key, (int)size, text);
	return 0;
}

static const struct bh_stream_parts parts = {.item = see_item, .member = see_member};

/* Feeds the text in pieces of `piece` bytes. */
static int feed(enum bh_stream_form form, const char *text, size_t piece, struct seen *seen,
	bool *ret_complete)
{
	struct bh_stream *stream = bh_stream_new(form, &parts, seen);
	size_t size = strlen(text);
	int r = 0;

	seen->text[0] = '\0';
	for (size_t at = 0; at < size && r == 0; at += piece)
		r = bh_stream_feed(stream, text + at, size - at < piece ? size - at : piece);
	*ret_complete = r == 0 && bh_stream_complete(stream);
	bh_stream_free(stream);
	return r;
}

struct example {
	enum bh_stream_form form;
	const char *text;
	const char *seen;
	bool complete;
};

static const struct example examples[] = {
	{BH_STREAM_LIST, "{\"kind\":\"PodList\",\"items\":[{\"a\":[1,{}]},{\"b\":\"}]\\\"\"}]}",
		"kind=\"PodList\";items=[;<{\"a\":[1,{}]}><{\"b\":\"}]\\\"\"}>", true},
	{BH_STREAM_LIST, " { \"items\" : [ ] , \"metadata\" : { \"continue\" : \"x\" } } \n",
		"items=[;metadata={ \"continue\" : \"x\" };", true},
	{BH_STREAM_LIST, "{\"items\":null,\"n\":-1.5e3,\"t\":true}",
		"items=n;items=null;n=-1.5e3;t=true;", true},
	{BH_STREAM_LIST, "{}", "", true},
	{BH_STREAM_LIST, "{\"items\":[\"a\\\\\",17,null]}", "items=[;<\"a\\\\\"><17><null>", true},
	{BH_STREAM_LIST, "{\"items\":[{\"a\":1},{\"b\":", "items=[;<{\"a\":1}>", false},
	{BH_STREAM_LIST, "{\"items\":[{\"a\":1}]", "items=[;<{\"a\":1}>", false},
	{BH_STREAM_LIST, "", "", false},
	{BH_STREAM_EVENTS, "{\"type\":\"A\"}\n{\"type\":\"B\"}\n",
		"<{\"type\":\"A\"}><{\"type\":\"B\"}>", true},
	{BH_STREAM_EVENTS, "{\"type\":\"A\"}{\"x\":[[", "<{\"type\":\"A\"}>", false},
	{BH_STREAM_EVENTS, "", "", true},
};

static void pieces_of_any_size_give_the_same(void **state)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		for (size_t piece = 1; piece <= strlen(examples[i].text) + 1; piece++) {
			struct seen seen = {0};
			bool complete;

			assert_int_equal(
				feed(examples[i].form, examples[i].text, piece, &seen, &complete),
				0);
			assert_string_equal(seen.text, examples[i].seen);
			assert_int_equal(complete, examples[i].complete);
		}
	}
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const texts[] = {"[]", "null", "x", "{]", "{\"a\" 1}", "{\"a\":1 2}",
		"{\"a\":}", "{,}", "{1:2}", "{\"items\":{}}", "{\"items\":[}", "{\"items\":[1 2]}",
		"{\"items\":[,1]}", "{}{}", "{\"items\":[]]"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct seen seen = {0};
		bool complete;

		if (feed(BH_STREAM_LIST, texts[i], 1, &seen, &complete) != -EBADMSG)
			fail_msg("accepted: %s", texts[i]);
	}
}

static void an_error_of_the_reader_ends_it(void **state)
{
	struct seen seen = {.item_error = -ECANCELED};
	bool complete;

	assert_int_equal(
		feed(BH_STREAM_EVENTS, "{\"a\":1} {\"b\":2}", 100, &seen, &complete), -ECANCELED);
	assert_string_equal(seen.text, "<{\"a\":1}>");
}

/* `n` times the byte behind the head. */
static int feed_long(enum bh_stream_form form, const char *head, size_t n)
{
	struct seen seen = {0};
	struct bh_stream *stream = bh_stream_new(form, &parts, &seen);
	char piece[4096];
	int r = bh_stream_feed(stream, head, strlen(head));

	memset(piece, 'x', sizeof(piece));
	for (size_t at = 0; r == 0 && at < n; at += sizeof(piece))
		r = bh_stream_feed(stream, piece, sizeof(piece));
	bh_stream_free(stream);
	return r;
}

static void lengths_are_bounded(void **state)
{
	assert_int_equal(feed_long(BH_STREAM_LIST, "{\"", BH_STREAM_KEY_MAX * 32), -EMSGSIZE);
	assert_int_equal(
		feed_long(BH_STREAM_LIST, "{\"a\":\"", 2 * BH_STREAM_MEMBER_MAX), -EMSGSIZE);
	assert_int_equal(
		feed_long(BH_STREAM_LIST, "{\"items\":[\"", 2 * BH_STREAM_ITEM_MAX), -EMSGSIZE);
	assert_int_equal(feed_long(BH_STREAM_EVENTS, "{\"", 2 * BH_STREAM_ITEM_MAX), -EMSGSIZE);
	assert_int_equal(feed_long(BH_STREAM_EVENTS, "{\"", BH_STREAM_ITEM_MAX / 2), 0);
}

static void base64_is_decoded_or_refused(void **state)
{
	static const char *const pairs[][2] = {{"", ""}, {"YQ==", "a"}, {"YWI=", "ab"},
		{"YWJj", "abc"}, {"YWJj\nZGVm\n", "abcdef"}, {"Pj4+Pz8/", ">>>\x3f\x3f\x3f"},
		{"YQ", NULL}, {"YQ=a", NULL}, {"Y===", NULL}, {"====", NULL}, {"Y-Q=", NULL},
		{"AAAA", NULL}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *decoded = bh_base64_decode(pairs[i][0]);

		if (pairs[i][1])
			assert_string_equal(decoded, pairs[i][1]);
		else
			assert_null(decoded);
		free(decoded);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_give_the_same),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(an_error_of_the_reader_ends_it),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(base64_is_decoded_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
