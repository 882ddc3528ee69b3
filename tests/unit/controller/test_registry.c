/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/registry.h"

#include "tests/unit/controller/fixture.h"

static void the_same_content_has_the_same_number_everywhere(void **state)
{
	struct bh_registry one = {.low = 1, .high = UINT32_MAX}, two = one;

	bh_registry_number(&two, "other", 5);
	assert_int_equal(
		bh_registry_number(&one, "content", 7), bh_registry_number(&two, "content", 7));
	bh_registry_clear(&one);
	bh_registry_clear(&two);
}

static void contents_that_collide_get_numbers_of_their_own(void **state)
{
	struct bh_registry registry = {.low = 5, .high = 8};
	bool taken[9] = {false};

	for (char c = 'a'; c < 'e'; c++) {
		uint32_t number = bh_registry_number(&registry, &c, 1);

		assert_in_range(number, 5, 8);
		assert_false(taken[number]);
		taken[number] = true;
		assert_int_equal(bh_registry_number(&registry, &c, 1), number);
	}
	bh_registry_clear(&registry);
}

static void a_number_is_free_again_long_after_its_last_use(void **state)
{
	struct bh_registry registry = {.low = 1, .high = 2};

	bh_registry_number(&registry, "a", 1);
	uint32_t used = bh_registry_number(&registry, "b", 1);

	for (int i = 0; i < 3 * BH_REGISTRY_AGE; i++) {
		bh_registry_turn(&registry);
		assert_int_equal(bh_registry_number(&registry, "b", 1), used);
	}
	assert_int_equal(registry.contents.n, 1);
	assert_int_equal(bh_registry_number(&registry, "c", 1), 3 - used);
	bh_registry_clear(&registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_content_has_the_same_number_everywhere),
		cmocka_unit_test(contents_that_collide_get_numbers_of_their_own),
		cmocka_unit_test(a_number_is_free_again_long_after_its_last_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
