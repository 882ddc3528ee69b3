/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/ranges.h"

#include "tests/unit/controller/fixture.h"

struct in {
	uint8_t protocol;
	uint16_t lo;
	uint16_t hi;
};

/* Rules are numbered 1, 2, … in the order given. "6:80-90@1 …" */
static char *merged(const struct in *in, size_t n)
{
	struct bh_ranges ranges = {0};
	struct bh_arena arena = {0};
	const struct bh_desired_rule *rules;
	char *text = bh_xstrdup("");

	for (size_t i = 0; i < n; i++)
		bh_ranges_add(&ranges, in[i].protocol, in[i].lo, in[i].hi, (uint32_t)i + 1,
			BH_ACTION_ACCEPT);
	bh_ranges_settle(&ranges, BH_TIER_NETPOL);
	size_t n_rules = bh_ranges_flatten(&ranges, &arena, &rules);

	for (size_t i = 0; i < n_rules; i++) {
		char *longer = bh_xasprintf("%s%s%u:%u-%u@%u", text, i ? " " : "",
			rules[i].protocol, rules[i].port_lo, rules[i].port_hi, rules[i].rule);

		free(text);
		text = longer;
	}
	bh_ranges_clear(&ranges);
	bh_arena_clear(&arena);
	return text;
}

static void merges_into_disjoint_ranges_named_by_the_first_rule(void **state)
{
	static const struct {
		struct in in[4];
		size_t n;
		const char *out;
	} cases[] = {
		{{{0}}, 0, ""},
		{{{6, 80, 80}}, 1, "6:80-80@1"},
		{{{6, 80, 80}, {6, 80, 80}}, 2, "6:80-80@1"},
		{{{6, 80, 90}, {6, 85, 95}}, 2, "6:80-90@1 6:91-95@2"},
		{{{6, 85, 95}, {6, 80, 90}}, 2, "6:80-84@2 6:85-95@1"},
		{{{6, 80, 90}, {6, 1, 65535}}, 2, "6:1-79@2 6:80-90@1 6:91-65535@2"},
		{{{6, 1, 65535}, {6, 80, 90}}, 2, "6:1-65535@1"},
		{{{6, 80, 80}, {17, 53, 53}}, 2, "6:80-80@1 17:53-53@2"},
		/* Everything of a protocol stays whole: fragments depend on it. */
		{{{6, 80, 80}, {6, 0, 65535}}, 2, "6:0-65535@2"},
		/* Everything swallows the rest. */
		{{{6, 80, 80}, {0, 0, 65535}, {17, 0, 65535}}, 3, "0:0-65535@2"},
		{{{6, 1, 1}, {6, 3, 3}, {6, 2, 2}}, 3, "6:1-1@1 6:2-2@3 6:3-3@2"},
		{{{6, 65535, 65535}, {6, 65534, 65535}}, 2, "6:65534-65534@2 6:65535-65535@1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = merged(cases[i].in, cases[i].n);

		assert_string_equal(got, cases[i].out);
		free(got);
	}
}

/* "A6:80-90" adds a range that accepts, D one that denies, P one that passes; "|" ends the Admin
 * tier, "/" a tier of NetworkPolicies. Rules are numbered by their place. The last tier is
 * Baseline. */
static char *flattened(const char *in)
{
	struct bh_ranges ranges = {0};
	struct bh_arena arena = {0};
	const struct bh_desired_rule *rules;
	char *text = bh_xstrdup("");
	uint32_t rule = 0;

	for (const char *at = in; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		static const char actions[] = "ADP";
		unsigned int protocol, lo, hi;

		if (*at == '|' || *at == '/') {
			bh_ranges_settle(&ranges, *at == '|' ? BH_TIER_ADMIN : BH_TIER_NETPOL);
			continue;
		}
		assert_int_equal(sscanf(at + 1, "%u:%u-%u", &protocol, &lo, &hi), 3);
		bh_ranges_add(&ranges, (uint8_t)protocol, (uint16_t)lo, (uint16_t)hi, ++rule,
			(enum bh_action)(strchr(actions, *at) - actions));
	}
	bh_ranges_settle(&ranges, BH_TIER_BASELINE);
	size_t n = bh_ranges_flatten(&ranges, &arena, &rules);

	for (size_t i = 0; i < n; i++) {
		char *longer = bh_xasprintf("%s%s%c%u:%u-%u@%u", text, i ? " " : "",
			rules[i].deny ? 'D' : 'A', rules[i].protocol, rules[i].port_lo,
			rules[i].port_hi, rules[i].rule);

		free(text);
		text = longer;
	}
	bh_ranges_clear(&ranges);
	bh_arena_clear(&arena);
	return text;
}

static void tiers_are_flattened_in_order(void **state)
{
	static const char *const cases[][2] = {
		/* The first of a tier decides, whatever comes after. */
		{"D6:80-80 A0:0-65535", "A0:0-65535@2 D6:80-80@1"},
		{"A0:0-65535 D6:80-80", "A0:0-65535@1"},
		{"A6:80-80 D0:0-65535 A6:443-443", "D0:0-65535@2 A6:80-80@1"},
		/* What a tier has decided no later one changes. */
		{"D6:80-80 | A6:70-90 /", "A6:70-79@2 D6:80-80@1 A6:81-90@2"},
		{"A6:80-80 | D0:0-65535", "D0:0-65535@2 A6:80-80@1"},
		/* Pass hides the rest of its tier, and nothing else. */
		{"P6:80-80 D6:0-65535 | A6:70-90 /", "D6:0-79@2 A6:80-80@3 D6:81-65535@2"},
		{"P0:0-65535 D0:0-65535 | A6:80-80 /", "A6:80-80@3"},
		{"P6:80-80 D0:0-65535 | A0:0-65535", "D0:0-65535@2 A6:80-80@3"},
		/* What nobody decides under a rule for everything is isolated, and said. */
		{"P6:80-80 A0:0-65535 | /", "A0:0-65535@2 D6:80-80@0"},
		/* A protocol with one end on every port has one range. */
		{"A6:80-80 | A6:0-65535 /", "A6:0-65535@2"},
		{"D6:80-80 | D6:0-65535 / A0:0-65535", "A0:0-65535@3 D6:0-65535@2"},
		{"A6:80-80 | A0:0-65535", "A0:0-65535@2 A6:80-80@1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = flattened(cases[i][0]);

		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

/* Against an array of ports painted one by one. */
static void agrees_with_painting_ports(void **state)
{
	unsigned int seed = 7;

	for (int round = 0; round < 200; round++) {
		static uint32_t painted[65536];
		struct bh_ranges ranges = {0};
		struct bh_arena arena = {0};
		const struct bh_desired_rule *rules;

		memset(painted, 0, sizeof(painted));
		for (uint32_t rule = 1; rule <= 12; rule++) {
			unsigned int lo = 1 + (unsigned int)rand_r(&seed) % 300;
			unsigned int hi = lo + (unsigned int)rand_r(&seed) % 60;

			bh_ranges_add(
				&ranges, 6, (uint16_t)lo, (uint16_t)hi, rule, BH_ACTION_ACCEPT);
			for (unsigned int port = lo; port <= hi; port++)
				painted[port] = painted[port] ? painted[port] : rule;
		}
		bh_ranges_settle(&ranges, BH_TIER_NETPOL);
		size_t n = bh_ranges_flatten(&ranges, &arena, &rules);

		for (size_t i = 0; i < n; i++) {
			assert_true(!i || rules[i].port_lo > rules[i - 1].port_hi);
			for (unsigned int port = rules[i].port_lo; port <= rules[i].port_hi;
				port++) {
				assert_int_equal(painted[port], rules[i].rule);
				painted[port] = 0;
			}
		}
		for (size_t port = 0; port < 65536; port++)
			assert_int_equal(painted[port], 0);
		bh_ranges_clear(&ranges);
		bh_arena_clear(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges_into_disjoint_ranges_named_by_the_first_rule),
		cmocka_unit_test(tiers_are_flattened_in_order),
		cmocka_unit_test(agrees_with_painting_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
