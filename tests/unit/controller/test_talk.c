/* SPDX-License-Identifier: Apache-2.0 */

/* The name in a ClientHello, and what a report says that anybody may have made up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead.pb-c.h"
#include "controller/flows/talk.h"

struct hello {
	size_t n;
	uint8_t octets[1024];
};

static void put(struct hello *hello, const void *octets, size_t n)
{
	memcpy(hello->octets + hello->n, octets, n);
	hello->n += n;
}

static void put16(struct hello *hello, size_t number)
{
	const uint8_t octets[] = {(uint8_t)(number >> 8), (uint8_t)number};

	put(hello, octets, 2);
}

static void put_extension(struct hello *hello, size_t type, size_t n)
{
	static const uint8_t zeros[300];

	put16(hello, type);
	put16(hello, n);
	put(hello, zeros, n);
}

/* As OpenSSL makes them: name first or behind `before` octets of another extension. */
static struct hello hello_for(const char *name, size_t n, size_t before)
{
	static const uint8_t start[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3};
	static const uint8_t random[32];
	struct hello hello = {0};

	put(&hello, start, sizeof(start));
	put(&hello, random, 32);
	put(&hello, "\x20", 1);
	put(&hello, random, 32);
	put(&hello, "\x00\x04\x13\x01\x13\x02\x01\x00", 8);
	put16(&hello, (before ? 4 + before : 0) + 9 + n + 6);
	if (before)
		put_extension(&hello, 0x15, before);
	put16(&hello, 0);
	put16(&hello, n + 5);
	put16(&hello, n + 3);
	put(&hello, "\x00", 1);
	put16(&hello, n);
	put(&hello, name, n);
	put_extension(&hello, 0x17, 2);
	return hello;
}

static void expect_name(const struct hello *hello, size_t size, const char *wanted)
{
	/* A copy of its own, so that a sanitizer sees what is read behind it. */
	uint8_t *copy = malloc(size ? size : 1);
	char name[BH_SNI_MAX];
	bool found;

	assert_non_null(copy);
	memcpy(copy, hello->octets, size);
	found = bh_talk_server_name(copy, size, name);
	free(copy);
	assert_string_equal(name, wanted);
	assert_int_equal(found, *wanted != '\0');
}

static void name_is_found(void **state)
{
	struct hello hello = hello_for("db.shop.svc", 11, 0);

	expect_name(&hello, hello.n, "db.shop.svc");
}

static void name_behind_other_extensions_is_found(void **state)
{
	struct hello hello = hello_for("db.shop.svc", 11, 200);

	expect_name(&hello, hello.n, "db.shop.svc");
}

static void hello_that_is_cut_has_its_name_or_none(void **state)
{
	struct hello hello = hello_for("db.shop.svc", 11, 20);

	for (size_t n = 0; n <= hello.n; n++)
		expect_name(&hello, n, n >= hello.n - 6 ? "db.shop.svc" : "");
}

static void long_name_is_cut(void **state)
{
	char name[200], wanted[BH_SNI_MAX] = "";
	struct hello hello;

	memset(name, 'a', sizeof(name));
	memset(wanted, 'a', BH_SNI_MAX - 1);
	hello = hello_for(name, sizeof(name), 0);
	expect_name(&hello, hello.n, wanted);
}

static void name_that_no_host_has_is_none(void **state)
{
	static const struct {
		const char *name;
		size_t n;
	} names[] = {
		{"<script>", 8},
		{"a\0b", 3},
		{"a b", 3},
		{"a\nb", 3},
		{"\x1b[2J", 4},
		{"\xc3\xa9", 2},
		{"", 0},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct hello hello = hello_for(names[i].name, names[i].n, 0);

		expect_name(&hello, hello.n, "");
	}
}

static void what_is_no_client_hello_has_no_name(void **state)
{
	struct hello hello = hello_for("db.shop.svc", 11, 0);

	hello.octets[0] = 23;
	expect_name(&hello, hello.n, "");
	hello.octets[0] = 22;
	hello.octets[5] = 2;
	expect_name(&hello, hello.n, "");
}

static void lengths_that_lie_are_survived(void **state)
{
	const struct hello honest = hello_for("db.shop.svc", 11, 20);

	for (size_t i = 0; i < honest.n; i++) {
		for (int value = 0; value < 256; value += 51) {
			struct hello hello = honest;
			uint8_t *copy = malloc(hello.n);
			char name[BH_SNI_MAX];

			assert_non_null(copy);
			hello.octets[i] = (uint8_t)value;
			memcpy(copy, hello.octets, hello.n);
			bh_talk_server_name(copy, hello.n, name);
			assert_true(strlen(name) < BH_SNI_MAX);
			free(copy);
		}
	}
}

static void numbers_nobody_knows_are_unknown(void **state)
{
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT;
	struct bh_talk talk;

	edge.app = 4711;
	edge.encrypted = 3;
	edge.tls = 0x10304;
	edge.trip_min_us = 5;
	bh_talk_of_edge(&edge, &talk);
	assert_int_equal(talk.app, BH_APP_UNKNOWN);
	assert_int_equal(talk.encrypted, BH_ENCRYPTED_UNKNOWN);
	assert_int_equal(talk.tls_version, 0);
	assert_int_equal(talk.rtt_min_us, 0);
}

static void plain_text_has_neither_version_nor_name(void **state)
{
	struct bh_talk talk = {.app = BH_APP_POSTGRESQL,
		.encrypted = BH_ENCRYPTED_YES,
		.tls_version = 0x0304,
		.sni = "db.shop.svc"};

	bh_talk_learn(&talk, &(struct bh_talk){.app = BH_APP_POSTGRESQL});
	assert_int_equal(talk.tls_version, 0x0304);
	assert_string_equal(talk.sni, "db.shop.svc");
	bh_talk_learn(&talk, &(struct bh_talk){.encrypted = BH_ENCRYPTED_NO});
	assert_int_equal(talk.encrypted, BH_ENCRYPTED_NO);
	assert_int_equal(talk.tls_version, 0);
	assert_string_equal(talk.sni, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_is_found),
		cmocka_unit_test(name_behind_other_extensions_is_found),
		cmocka_unit_test(hello_that_is_cut_has_its_name_or_none),
		cmocka_unit_test(long_name_is_cut),
		cmocka_unit_test(name_that_no_host_has_is_none),
		cmocka_unit_test(what_is_no_client_hello_has_no_name),
		cmocka_unit_test(lengths_that_lie_are_survived),
		cmocka_unit_test(numbers_nobody_knows_are_unknown),
		cmocka_unit_test(plain_text_has_neither_version_nor_name),
	};

	return cmocka_run_group_tests_name("talk", tests, NULL, NULL);
}
