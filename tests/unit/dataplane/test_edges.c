/* SPDX-License-Identifier: Apache-2.0 */

/* One edge out of what each CPU has counted of it, in whatever order they come. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/edges.h"

#define SPAN 1000u

/* The sum of two CPUs, which does not depend on which of them is first. */
static struct bh_edge sum_of(const struct bh_edge *a, const struct bh_edge *b)
{
	struct bh_edge sum = {}, other = {};

	bh_edges_add(&sum, a, SPAN);
	bh_edges_add(&sum, b, SPAN);
	bh_edges_add(&other, b, SPAN);
	bh_edges_add(&other, a, SPAN);
	assert_memory_equal(&sum, &other, sizeof(sum));
	return sum;
}

static void counters_add_up(void **state)
{
	const struct bh_edge a = {
		.packets = {1, 2}, .octets = {3, 4}, .flows = 5, .first = 90, .last = 95};
	const struct bh_edge b = {.packets = {10, 20},
		.octets = {30, 40},
		.resets = 6,
		.refusals = 7,
		.first = 80,
		.last = 85};
	struct bh_edge sum = sum_of(&a, &b);

	assert_int_equal(sum.packets[0], 11);
	assert_int_equal(sum.packets[1], 22);
	assert_int_equal(sum.octets[0], 33);
	assert_int_equal(sum.octets[1], 44);
	assert_int_equal(sum.flows, 5);
	assert_int_equal(sum.resets, 6);
	assert_int_equal(sum.refusals, 7);
	assert_int_equal(sum.first, 80);
	assert_int_equal(sum.last, 95);
}

static void what_is_spoken_is_what_was_found_out_last(void **state)
{
	/* Across the wrap of the low bits of jiffies. */
	const struct bh_edge before = {.app = BH_APP_TLS,
		.encrypted = BH_ENCRYPTED_YES,
		.tls = 0x304,
		.talked = UINT32_MAX};
	const struct bh_edge after = {
		.app = BH_APP_HTTP1, .encrypted = BH_ENCRYPTED_NO, .talked = 3};
	const struct bh_edge silent = {.packets = {1}, .talked = 9};
	struct bh_edge sum = sum_of(&before, &after);

	assert_int_equal(sum.app, BH_APP_HTTP1);
	assert_int_equal(sum.encrypted, BH_ENCRYPTED_NO);
	assert_int_equal(sum.tls, 0);
	sum = sum_of(&before, &silent);
	assert_int_equal(sum.app, BH_APP_TLS);
	assert_int_equal(sum.tls, 0x304);
}

/* The greeting and its answer, the question and the ServerHello: seen by two CPUs at once. */
static void within_one_jiffy_it_is_what_says_more(void **state)
{
	static const struct {
		struct bh_edge less, more;
	} pairs[] = {
		{{.app = BH_APP_MYSQL}, {.app = BH_APP_MYSQL, .encrypted = BH_ENCRYPTED_NO}},
		{{.app = BH_APP_NATS}, {.app = BH_APP_NATS, .encrypted = BH_ENCRYPTED_YES}},
		{{.app = BH_APP_TLS, .encrypted = BH_ENCRYPTED_YES},
			{.app = BH_APP_TLS, .encrypted = BH_ENCRYPTED_YES, .tls = 0x304}},
		{{.app = BH_APP_HTTP2, .encrypted = BH_ENCRYPTED_NO},
			{.app = BH_APP_GRPC, .encrypted = BH_ENCRYPTED_NO}},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct bh_edge less = pairs[i].less, more = pairs[i].more, sum;

		less.talked = more.talked = 77;
		sum = sum_of(&less, &more);
		assert_int_equal(sum.app, more.app);
		assert_int_equal(sum.encrypted, more.encrypted);
		assert_int_equal(sum.tls, more.tls);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_add_up),
		cmocka_unit_test(what_is_spoken_is_what_was_found_out_last),
		cmocka_unit_test(within_one_jiffy_it_is_what_says_more),
	};

	return cmocka_run_group_tests_name("edges", tests, NULL, NULL);
}
