/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/selector.h"

#include "tests/unit/controller/fixture.h"

/* A selector from flow-style YAML. */
static bool parse(struct bh_arena *arena, const char *yaml, struct bh_selector *ret_selector,
	struct bh_fault *fault)
{
	struct bh_text_error error;
	json_t *documents = bh_yaml_parse(yaml, strlen(yaml), &error);

	if (!documents)
		fail_msg("%s: %s", yaml, error.text);
	bool good = bh_selector_parse(
		arena, fault, BH_FIELD(NULL, "s"), json_array_get(documents, 0), ret_selector);

	json_decref(documents);
	return good;
}

static void matches_as_apimachinery_does(void **state)
{
	static const struct bh_label items[] = {{"app", "web"}, {"empty", ""}, {"tier", "front"}};
	static const struct bh_labels labels = {.n = 3, .items = items};
	static const struct {
		const char *selector;
		bool matches;
	} cases[] = {
		{"{}", true},
		{"{matchLabels: {}}", true},
		{"{matchLabels: {app: web}}", true},
		{"{matchLabels: {app: db}}", false},
		{"{matchLabels: {none: web}}", false},
		{"{matchLabels: {app: web, tier: back}}", false},
		{"{matchLabels: {empty: ''}}", true},
		{"{matchLabels: {none: ''}}", false},
		{"{matchExpressions: [{key: app, operator: In, values: [db, web]}]}", true},
		{"{matchExpressions: [{key: app, operator: In, values: [db]}]}", false},
		{"{matchExpressions: [{key: none, operator: In, values: [db]}]}", false},
		{"{matchExpressions: [{key: app, operator: NotIn, values: [db]}]}", true},
		{"{matchExpressions: [{key: app, operator: NotIn, values: [db, web]}]}", false},
		{"{matchExpressions: [{key: none, operator: NotIn, values: [db]}]}", true},
		{"{matchExpressions: [{key: app, operator: Exists}]}", true},
		{"{matchExpressions: [{key: empty, operator: Exists}]}", true},
		{"{matchExpressions: [{key: none, operator: Exists}]}", false},
		{"{matchExpressions: [{key: app, operator: DoesNotExist}]}", false},
		{"{matchExpressions: [{key: none, operator: DoesNotExist}]}", true},
		{"{matchExpressions: [{key: none, operator: DoesNotExist, values: []}]}", true},
		{"{matchLabels: {app: web}, matchExpressions: [{key: tier, operator: Exists}]}",
			true},
		{"{matchLabels: {app: web}, matchExpressions: [{key: none, operator: Exists}]}",
			false},
		{"{matchLabels: null, matchExpressions: null}", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_arena arena = {0};
		struct bh_fault fault = {0};
		struct bh_selector selector;

		if (!parse(&arena, cases[i].selector, &selector, &fault))
			fail_msg("%s: %s", cases[i].selector, fault.text);
		if (bh_selector_matches(&selector, &labels) != cases[i].matches)
			fail_msg("%s: expected %d", cases[i].selector, cases[i].matches);
		bh_arena_clear(&arena);
	}
}

static void refuses_what_kubernetes_refuses_and_says_where(void **state)
{
	static const struct {
		const char *selector;
		const char *fault;
	} cases[] = {
		{"[]", "s: must be an object, not a list"},
		{"{matchLabel: {a: b}}", "s: unknown field \"matchLabel\""},
		{"{matchLabels: [a]}", "s.matchLabels: must be an object, not a list"},
		{"{matchLabels: {app: yes}}",
			"s.matchLabels.app: must be a string, not a boolean: put it in quotes"},
		{"{matchLabels: {app: 1}}",
			"s.matchLabels.app: must be a string, not an integer: put it in quotes"},
		{"{matchLabels: {app: -web}}",
			"s.matchLabels.app: \"-web\" is not a valid label value"},
		{"{matchLabels: {'a b': c}}", "s.matchLabels: \"a b\" is not a valid label key"},
		{"{matchLabels: {'Example.com/a': c}}",
			"s.matchLabels: \"Example.com/a\" is not a valid label key"},
		{"{matchLabels: {'a/b/c': c}}",
			"s.matchLabels: \"a/b/c\" is not a valid label key"},
		{"{matchExpressions: {key: a}}",
			"s.matchExpressions: must be a list, not an object"},
		{"{matchExpressions: [{operator: Exists}]}",
			"s.matchExpressions[0]: key is missing"},
		{"{matchExpressions: [{key: a}]}", "s.matchExpressions[0]: operator is missing"},
		{"{matchExpressions: [{key: a, operator: in, values: [b]}]}",
			"s.matchExpressions[0].operator: \"in\" is not one of In, NotIn, Exists, "
			"DoesNotExist"},
		{"{matchExpressions: [{key: a, operator: In}]}",
			"s.matchExpressions[0].values: must not be empty with In"},
		{"{matchExpressions: [{key: a, operator: NotIn, values: []}]}",
			"s.matchExpressions[0].values: must not be empty with NotIn"},
		{"{matchExpressions: [{key: a, operator: Exists, values: [b]}]}",
			"s.matchExpressions[0].values: must be empty with Exists"},
		{"{matchExpressions: [{key: a, operator: In, values: [b, 2]}]}",
			"s.matchExpressions[0].values[1]: must be a string, not an integer: put it "
			"in quotes"},
		{"{matchExpressions: [{key: a, operator: Exists, value: x}]}",
			"s.matchExpressions[0]: unknown field \"value\""},
		{"{matchExpressions: [null]}",
			"s.matchExpressions[0]: must be an object, not null"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_arena arena = {0};
		struct bh_fault fault = {0};
		struct bh_selector selector;

		assert_false(parse(&arena, cases[i].selector, &selector, &fault));
		assert_string_equal(fault.text, cases[i].fault);
		bh_arena_clear(&arena);
	}
}

static void one_meaning_has_one_text(void **state)
{
	static const char *const cases[][2] = {
		{"{matchLabels: {b: '2', a: '1'}}", "a=1,b=2"},
		{"{matchLabels: {a: '1'}, matchExpressions: [{key: a, operator: In, values: "
		 "['1']}]}",
			"a=1"},
		{"{matchExpressions: [{key: a, operator: In, values: [z, w, z]}]}", "a in (w,z)"},
		{"{matchExpressions: [{key: a, operator: NotIn, values: [z, w]}]}",
			"a notin (w,z)"},
		{"{matchExpressions: [{key: a, operator: NotIn, values: [z]}]}", "a!=z"},
		{"{matchExpressions: [{key: b, operator: DoesNotExist}, {key: a, operator: "
		 "Exists}]}",
			"a,!b"},
		{"{}", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_arena arena = {0};
		struct bh_fault fault = {0};
		struct bh_selector selector;

		assert_true(parse(&arena, cases[i][0], &selector, &fault));
		assert_string_equal(selector.text, cases[i][1]);
		bh_arena_clear(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_as_apimachinery_does),
		cmocka_unit_test(refuses_what_kubernetes_refuses_and_says_where),
		cmocka_unit_test(one_meaning_has_one_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
