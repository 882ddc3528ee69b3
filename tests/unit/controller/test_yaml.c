/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/fixture.h"

#include "controller/source/source.h"

/* What the YAML means, as compact JSON in braces, or "line: error". The caller frees it. */
static char *read_as(json_t *(*parse)(const char *, size_t, struct bh_text_error *),
	const char *text, size_t size)
{
	struct bh_text_error error;
	json_t *documents = parse(text, size, &error);

	if (!documents)
		return bh_xasprintf("%zu: %s", error.line, error.text);
	char *dump = json_dumps(documents, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(documents);
	return dump;
}

/* libyaml takes the square of their number: a megabyte of them would take a minute. */
static void tag_directives_are_few(void **state)
{
	static const char *const breaks[] = {"\n", "\r", "\r\n", "\xc2\x85", "\xe2\x80\xa8"};

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);

		for (int n = 0; n < 70000; n++)
			fprintf(out, "%%TAG !%x! x%s", n, breaks[i]);
		fprintf(out, "--- {}\n");
		fclose(out);

		char *got = read_as(bh_yaml_parse, text, size);

		assert_non_null(strstr(got, ": more than 100 times %TAG"));
		free(got);
		free(text);
	}

	static const char few[] = "%TAG !e! tag:yaml.org,2002:\n--- !e!str 1\n";
	char *got = read_as(bh_yaml_parse, few, strlen(few));

	assert_string_equal(got, "[\"1\"]");
	free(got);
}

static void reads_plain_scalars_as_kubectl_does(void **state)
{
	static const char *const cases[][2] = {
		{"yes", "[true]"},
		{"y", "[true]"},
		{"Off", "[false]"},
		{"true", "[true]"},
		{"'true'", "[\"true\"]"},
		{"\"1\"", "[\"1\"]"},
		{"!!str 1", "[\"1\"]"},
		{"! 1", "[\"1\"]"},
		{"1", "[1]"},
		{"-12", "[-12]"},
		{"0x1F", "[31]"},
		{"0644", "[420]"},
		{"0o17", "[15]"},
		{"0b11", "[3]"},
		{"1_000", "[1000]"},
		{"089", "[89.0]"},
		{"1.5", "[1.5]"},
		{"1e3", "[1000.0]"},
		{"10.0.0.1", "[\"10.0.0.1\"]"},
		{"99999999999999999999", "[1e20]"},
		{"~", "[null]"},
		{"a:", "[{\"a\":null}]"},
		{"2024-01-01T00:00:00Z", "[\"2024-01-01T00:00:00Z\"]"},
		{"yesterday", "[\"yesterday\"]"},
		{".", "[\".\"]"},
		{"-", "[[null]]"},
		{"0x", "[\"0x\"]"},
		{"|\n  a\n  b\n", "[\"a\\nb\\n\"]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = read_as(bh_yaml_parse, cases[i][0], strlen(cases[i][0]));

		if (strcmp(got, cases[i][1]))
			fail_msg("%s is %s, not %s", cases[i][0], got, cases[i][1]);
		free(got);
	}
}

static void reads_documents_aliases_and_comments(void **state)
{
	static const char *const cases[][2] = {
		{"", "[]"},
		{"# nothing\n", "[]"},
		{"---\n---\na: 1\n", "[null,{\"a\":1}]"},
		{"a: 1\n---\nb: 2\n...\n---\nc: 3\n", "[{\"a\":1},{\"b\":2},{\"c\":3}]"},
		{"a: &x [1, 2]\nb: *x\n", "[{\"a\":[1,2],\"b\":[1,2]}]"},
		{"{\"a\": [1, {\"b\": null}]}", "[{\"a\":[1,{\"b\":null}]}]"},
		{"\xEF\xBB\xBF"
		 "a: 1\n",
			"[{\"a\":1}]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = read_as(bh_yaml_parse, cases[i][0], strlen(cases[i][0]));

		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

static void refuses_what_has_two_readings_and_names_the_line(void **state)
{
	static const char *const cases[][2] = {
		{"a: 1\nb: 2\na: 3\n", "3: key \"a\" is there twice"},
		{"a: 1\nb: *x\n", "2: unknown alias *x"},
		{"a: &x [*x]\n", "1: unknown alias *x"},
		{"a: &x {b: 1}\n---\nc: *x\n", "3: unknown alias *x"},
		{"x: &x {a: 1}\ny:\n  <<: *x\n",
			"3: merge keys (<<) are not read: write the fields out"},
		{"a: !!python/object x\n", "1: unknown tag tag:yaml.org,2002:python/object"},
		{"a: \"x\\0y\"\n", "1: a string holds a zero byte"},
		{"? [a]\n: b\n", "1: a key must be a string"},
		{"a: [1\nb: 2\n",
			"2: while parsing a flow sequence, did not find expected ',' or ']'"},
		{"a:\n\t- b\n", "2: while scanning for the next token, found character that cannot "
				"start any token"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = read_as(bh_yaml_parse, cases[i][0], strlen(cases[i][0]));

		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

static void refuses_bytes_that_are_not_utf8(void **state)
{
	char *got = read_as(bh_yaml_parse, "a: \xff\xfe\n", 6);

	assert_non_null(strstr(got, "UTF-8"));
	free(got);
}

static void refuses_depth(void **state)
{
	char text[400] = "";

	for (int i = 0; i < 100; i++)
		strcat(text, "[");
	char *yaml = read_as(bh_yaml_parse, text, strlen(text));
	char *json = read_as(bh_json_parse, text, strlen(text));

	assert_string_equal(yaml, "1: nested deeper than 64 levels");
	assert_string_equal(json, "1: nested too deep");
	free(yaml);
	free(json);
}

/* Nine levels of ten aliases each: a thousand million strings in 400 bytes. */
static void refuses_a_billion_laughs(void **state)
{
	char text[2048] = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";

	for (int i = 1; i <= 9; i++) {
		sprintf(text + strlen(text), "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			sprintf(text + strlen(text), "%s*a%d", j ? "," : "", i - 1);
		strcat(text, "]\n");
	}
	char *got = read_as(bh_yaml_parse, text, strlen(text));

	assert_string_equal(got + 3, "aliases make the file larger than 2000000 values");
	free(got);
}

/* A long string is not copied without end either. */
static void refuses_a_long_string_many_times(void **state)
{
	size_t size = 1000000, at;
	char *text = bh_xcalloc(size * 2, 1);

	at = (size_t)sprintf(text, "a: &a \"");
	memset(text + at, 'x', size);
	at += size;
	at += (size_t)sprintf(text + at, "\"\nb: [");
	for (int i = 0; i < 1000; i++)
		at += (size_t)sprintf(text + at, "*a,");
	at += (size_t)sprintf(text + at, "]\n");
	char *got = read_as(bh_yaml_parse, text, at);

	assert_string_equal(got, "2: aliases make the file larger than 2000000 values");
	free(got);
	free(text);
}

static void reads_json_strictly(void **state)
{
	static const char *const cases[][2] = {
		{"", "[]"},
		{"{\"a\": 1} {\"b\": \"[\\\"\"}\n", "[{\"a\":1},{\"b\":\"[\\\"\"}]"},
		{"{\"a\": 1,\n\"a\": 2}", "2: duplicate object key near '\"a\"'"},
		{"{\"a\": 1}\n{\"b\": }", "2: unexpected token near '}'"},
		{"{\"a\": 'x'}", "1: invalid token near '''"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = read_as(bh_json_parse, cases[i][0], strlen(cases[i][0]));

		assert_string_equal(got, cases[i][1]);
		free(got);
	}
}

static void finds_the_line_of_a_path(void **state)
{
	static const char text[] = "kind: Pod\n"
				   "metadata:\n"
				   "  labels:\n"
				   "    app: yes\n"
				   "---\n"
				   "kind: List\n"
				   "items:\n"
				   "- kind: Pod\n"
				   "- kind: Pod\n"
				   "  metadata:\n"
				   "    labels: {a: b,\n"
				   "      app: 1}\n";
	const struct bh_path *first =
		BH_FIELD(BH_FIELD(BH_FIELD(NULL, "metadata"), "labels"), "app");
	const struct bh_path *item = BH_ELEMENT(BH_FIELD(NULL, "items"), 1);
	const struct bh_path *second =
		BH_FIELD(BH_FIELD(BH_FIELD(item, "metadata"), "labels"), "app");

	assert_int_equal(bh_yaml_line(text, strlen(text), 0, first), 4);
	assert_int_equal(bh_yaml_line(text, strlen(text), 1, second), 12);
	assert_int_equal(bh_yaml_line(text, strlen(text), 1, item), 9);
	/* A missing field: the line of what it is missing from. */
	assert_int_equal(bh_yaml_line(text, strlen(text), 1, BH_FIELD(item, "spec")), 9);
	assert_int_equal(bh_yaml_line(text, strlen(text), 7, first), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_plain_scalars_as_kubectl_does),
		cmocka_unit_test(tag_directives_are_few),
		cmocka_unit_test(reads_documents_aliases_and_comments),
		cmocka_unit_test(refuses_what_has_two_readings_and_names_the_line),
		cmocka_unit_test(refuses_bytes_that_are_not_utf8),
		cmocka_unit_test(refuses_depth),
		cmocka_unit_test(refuses_a_billion_laughs),
		cmocka_unit_test(refuses_a_long_string_many_times),
		cmocka_unit_test(reads_json_strictly),
		cmocka_unit_test(finds_the_line_of_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
