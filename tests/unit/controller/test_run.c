/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/compile/run.h"
#include "controller/model/memory.h"

#define KEYS 3000

struct item {
	unsigned int key;
	const char *text;
};

static int compare(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	return (left->key > right->key) - (left->key < right->key);
}

static size_t measure(const void *item)
{
	return strlen(((const struct item *)item)->text) + 1;
}

static void move(void *item, char *text)
{
	((struct item *)item)->text = strcpy(text, ((struct item *)item)->text);
}

static const struct bh_run_kind kind = {sizeof(struct item), compare, measure, move};

/* What should be in the run. */
static char texts[KEYS][16];

static void check(const struct bh_run *run)
{
	struct bh_run_at at = {0};
	const struct item *item;
	size_t n = 0;

	for (unsigned int key = 0; key < KEYS; key++) {
		const struct item *found = bh_run_find(&kind, run, &(struct item){.key = key});

		assert_int_equal(found != NULL, texts[key][0] != 0);
		if (!found)
			continue;
		item = bh_run_here(run, sizeof(*item), &at);
		assert_ptr_equal(item, found);
		assert_int_equal(item->key, key);
		assert_string_equal(item->text, texts[key]);
		bh_run_step(run, &at);
		n++;
	}
	assert_null(bh_run_here(run, sizeof(*item), &at));
	assert_int_equal(run->n, n);
}

/* Some edits of neighbours, or all over. */
static size_t random_edits(struct item *items, struct bh_run_edit *edits)
{
	unsigned int wide = rand() % 2 ? 8 : KEYS, from = (unsigned int)(rand() % KEYS);
	unsigned int most = rand() % 4 ? 5 : 400, fewer = (unsigned int)(rand() % 4);
	size_t n = 0;

	for (unsigned int key = from; key < KEYS && key < from + wide && n < most; key++) {
		if (rand() % 3)
			continue;
		bool remove = (unsigned int)(rand() % 4) < fewer;

		if (remove)
			texts[key][0] = 0;
		else
			snprintf(texts[key], sizeof(texts[key]), "%x", (unsigned int)rand());
		items[n] = (struct item){key, texts[key]};
		edits[n] = (struct bh_run_edit){&items[n], remove};
		n++;
	}
	return n;
}

static void edits_give_what_an_array_would(void **state)
{
	static struct item items[KEYS];
	static struct bh_run_edit edits[KEYS];
	struct bh_run run = bh_run_new(&kind, NULL, 0);

	srand(1);
	for (int i = 0; i < 2000; i++) {
		size_t n = random_edits(items, edits);
		struct bh_run next = bh_run_edit(&kind, &run, edits, n);

		bh_run_unref(&run);
		run = next;
		check(&run);
		/* Not more pieces than a list of them is worth. */
		assert_true(run.n_pieces <= 2 + run.n / 16);
	}
	bh_run_unref(&run);
}

static void an_edit_shares_the_pieces_it_does_not_touch(void **state)
{
	static struct item items[KEYS];
	struct item new = {1, "new"};
	struct bh_run_edit edit = {&new, false};
	struct bh_run_at i = {0}, j = {0};
	size_t shared = 0;

	for (unsigned int key = 0; key < KEYS; key++)
		items[key] = (struct item){2 * key, "text"};
	struct bh_run before = bh_run_new(&kind, items, KEYS);
	struct bh_run after = bh_run_edit(&kind, &before, &edit, 1);

	assert_int_equal(after.n, KEYS + 1);
	assert_int_equal(before.n, KEYS);
	while (bh_run_here(&before, sizeof(struct item), &i)) {
		if (bh_run_skip(&before, &i, &after, &j)) {
			shared++;
			continue;
		}
		bh_run_step(&before, &i);
		bh_run_step(&after, &j);
		/* The one that is new. */
		if (j.piece == 0 && j.index == 1)
			bh_run_step(&after, &j);
	}
	assert_int_equal(shared, before.n_pieces - 1);
	bh_run_unref(&before);
	assert_string_equal(
		((const struct item *)bh_run_find(&kind, &after, &(struct item){.key = 4}))->text,
		"text");
	bh_run_unref(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits_give_what_an_array_would),
		cmocka_unit_test(an_edit_shares_the_pieces_it_does_not_touch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
