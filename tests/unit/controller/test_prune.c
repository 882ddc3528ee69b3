/* SPDX-License-Identifier: Apache-2.0 */

/* What nobody reads goes, everything else stays as it is, and what is no JSON does no harm. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "controller/source/prune.h"

struct example {
	const char *text;
	const char *inside;
	const char *wanted;
};

/* As a buffer of its own size, so that a sanitizer sees what is read or written beyond. */
static void check(const char *text, size_t size, const char *inside, const char *wanted)
{
	char *copy = malloc(size + 1);

	memcpy(copy, text, size);
	char *exact = realloc(copy, size ? size : 1);
	size_t n = bh_prune(exact, size, inside);

	assert_true(n <= size);
	if (wanted && (n != strlen(wanted) || memcmp(exact, wanted, n)))
		fail_msg("%.*s\n  became %.*s\n  not %s", (int)size, text, (int)n, exact, wanted);
	free(exact);
}

static const struct example examples[] = {
	{"{\"metadata\":{\"name\":\"a\",\"managedFields\":[{\"x\":[1,\"]\"]}],\"labels\":{\"b\":"
	 "\"c\"}}}",
		NULL,
		"{\"metadata\":{\"name\":\"a\",\"managedFields\":[],\"labels\":{\"b\":\"c\"}}}"},
	{" { \"spec\" : { \"volumes\" : [ 1 , 2 ] , \"nodeName\" : \"n\" } , \"status\" : { "
	 "\"podIP\" : 1 } } ",
		NULL,
		" { \"spec\" : { \"volumes\" : [] , \"nodeName\" : \"n\" } , \"status\" : { "
		"\"podIP\" : 1 } } "},
	/* Of each container, of every kind; its ports are read. */
	{"{\"spec\":{\"containers\":[{\"env\":[{}],\"ports\":[{\"name\":\"e\"}]},{\"env\":[{}],"
	 "\"name\":1}],"
	 "\"initContainers\":[{\"resources\":{\"a\":{}},\"restartPolicy\":\"Always\"}]}}",
		NULL,
		"{\"spec\":{\"containers\":[{\"env\":[],\"ports\":[{\"name\":\"e\"}]},{\"env\":[],"
		"\"name\":1}],"
		"\"initContainers\":[{\"resources\":{},\"restartPolicy\":\"Always\"}]}}"},
	{"{\"status\":{\"containerStatuses\":[1],\"ephemeralContainerStatuses\":[2],\"phase\":"
	 "\"Running\","
	 "\"conditions\":[{}],\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}",
		NULL,
		"{\"status\":{\"containerStatuses\":[],\"ephemeralContainerStatuses\":[],\"phase\":"
		"\"Running\","
		"\"conditions\":[],\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}"},
	/* The same words elsewhere are somebody's labels, or mean something else. */
	{"{\"metadata\":{\"labels\":{\"env\":{},\"managedFields\":[1]},\"annotations\":{"
	 "\"conditions\":[1]}}}",
		NULL, NULL},
	{"{\"endpoints\":[{\"conditions\":{\"ready\":true}}],\"managedFields\":[1],\"volumes\":[1]"
	 "}",
		NULL, NULL},
	{"{\"spec\":{\"env\":[1],\"ingress\":[{\"env\":[1],\"containers\":[{\"env\":[1]}]}]}}",
		NULL, NULL},
	{"{\"spec\":{\"containers\":{\"env\":[1]}}}", NULL, NULL},
	{"{\"status\":{\"containers\":[{\"env\":[1]}]}}", NULL, NULL},
	/* Not under a name that only looks like it, nor what is no object or array. */
	{"{\"metadata\":{\"managed\\u0046ields\":[1],\"managedFields\":\"text\"}}", NULL, NULL},
	{"{\"spec\":{\"volumes\":\"a \\\" [ {\",\"tolerations\":null,\"affinity\":7}}", NULL, NULL},
	/* Strings hide brackets, and backslashes quotes. */
	{"{\"metadata\":{\"managedFields\":{\"a\":\"}\\\\\\\"}\"},\"name\":\"\\\\\"}}", NULL,
		"{\"metadata\":{\"managedFields\":{},\"name\":\"\\\\\"}}"},
	/* Events. */
	{"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"managedFields\":[1],\"uid\":\"u\"}}}",
		"object",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"managedFields\":[],\"uid\":\"u\"}}"
		"}"},
	{"{\"object\":{\"spec\":{\"containers\":[{\"env\":[1],\"ports\":[]}]}},\"type\":\"ADDED\"}",
		"object",
		"{\"object\":{\"spec\":{\"containers\":[{\"env\":[],\"ports\":[]}]}},\"type\":"
		"\"ADDED\"}"},
	{"{\"metadata\":{\"managedFields\":[1]},\"other\":{\"metadata\":{\"managedFields\":[1]}}}",
		"object", NULL},
	/* No JSON, or no object. */
	{"", NULL, NULL},
	{"   ", NULL, NULL},
	{"[{\"metadata\":{\"managedFields\":[1]}}]", NULL, NULL},
	{"\"text\"", NULL, NULL},
	{"{\"spec\" \"volumes\":[1]}", NULL, NULL},
	{"{,}", NULL, NULL},
	{"{]}}}", NULL, NULL},
	{"{\"spec\":{\"volumes\":[[[1", NULL, "{\"spec\":{\"volumes\":[]"},
};

static void takes_out_what_nobody_reads_and_nothing_else(void **state)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];

		check(e->text, strlen(e->text), e->inside, e->wanted ? e->wanted : e->text);
	}
}

static void what_is_cut_off_or_damaged_does_no_harm(void **state)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];
		size_t size = strlen(e->text);

		for (size_t n = 0; n <= size; n++) {
			char *copy = strdup(e->text);

			check(copy, n, e->inside, NULL);
			for (const char *c = "\"\\{}[],:0"; n < size && *c; c++) {
				copy[n] = *c;
				check(copy, size, e->inside, NULL);
			}
			copy[n] = '\0';
			check(copy, size, e->inside, NULL);
			free(copy);
		}
	}
}

static void what_was_json_is_json(void **state)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		char *text = strdup(examples[i].text);
		json_t *before = json_loads(text, JSON_DECODE_ANY, NULL);
		size_t n = bh_prune(text, strlen(text), examples[i].inside);
		json_t *after = json_loadb(text, n, JSON_DECODE_ANY, NULL);

		assert_int_equal(before != NULL, after != NULL);
		json_decref(before);
		json_decref(after);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_out_what_nobody_reads_and_nothing_else),
		cmocka_unit_test(what_is_cut_off_or_damaged_does_no_harm),
		cmocka_unit_test(what_was_json_is_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
