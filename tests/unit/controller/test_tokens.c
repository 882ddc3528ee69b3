/* SPDX-License-Identifier: Apache-2.0 */

/* Who may ask over HTTP, as far as it is decided without a server. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/access/tokens.h"

#include "tests/unit/controller/fixture.h"

#define LONG "0123456789012345678901234567890123456789"
#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct world {
	char folder[64];
	struct bh_tokens *tokens;
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char *problem = NULL;

	strcpy(world->folder, "/tmp/bh-tokens-XXXXXX");
	*state = world;
	return mkdtemp(world->folder) ? bh_tokens_open(world->folder, &world->tokens, &problem)
				      : -1;
}

static int tear_down(void **state)
{
	static const char *const files[] = {"tokens.json", "operator.token", "session.key"};
	struct world *world = *state;
	char path[128];

	bh_tokens_free(world->tokens);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", world->folder, files[i]);
		unlink(path);
	}
	rmdir(world->folder);
	free(world);
	return 0;
}

/* Returns what is wrong with it ("" if nothing), until the next call. */
static const char *give(struct world *world, const char *text)
{
	static char said[256];
	json_t *given = json_loads(text, JSON_DECODE_ANY, NULL);
	char *problem = NULL;
	int r = bh_tokens_give(world->tokens, given, &problem);

	assert_int_equal(r, problem ? -EINVAL : 0);
	snprintf(said, sizeof(said), "%s", problem ? problem : "");
	free(problem);
	json_decref(given);
	return said;
}

static void what_is_given_is_as_good_and_replaced_as_a_whole(void **state)
{
	struct world *world = *state;
	const struct bh_token *token;
	const struct bh_token *list;
	char id[17];

	assert_string_equal(
		give(world, "{\"tokens\": [{\"secret\": \"" LONG
			    "\", \"role\": \"operator\", \"namespaces\": [\"shop\", \"data\"]}]}"),
		"");
	token = bh_tokens_check(world->tokens, LONG);
	assert_non_null(token);
	assert_int_equal(token->role, BH_ROLE_OPERATOR);
	assert_true(token->bound);
	assert_int_equal(token->sight.n, 2);
	strcpy(id, token->id);
	assert_int_equal(bh_tokens_list(world->tokens, &list), 2);
	assert_int_equal(bh_tokens_revoke(world->tokens, id), -EPERM);
	/* Its own are made and revoked beside it. */
	assert_int_equal(bh_tokens_revoke(world->tokens, list[0].id), 0);
	assert_ptr_equal(bh_tokens_find(world->tokens, id), bh_tokens_check(world->tokens, LONG));
	assert_string_equal(
		give(world, "{\"tokens\": [{\"sha256\": \"" DIGITS "\", \"role\": \"reader\"}]}"),
		"");
	assert_null(bh_tokens_find(world->tokens, id));
	assert_null(bh_tokens_check(world->tokens, LONG));
	assert_null(bh_tokens_check(world->tokens, DIGITS));
	assert_int_equal(bh_tokens_list(world->tokens, &list), 1);
	assert_false(list[0].bound);
}

static void what_is_given_is_not_kept(void **state)
{
	struct world *world = *state;
	const struct bh_token *token;
	char *problem = NULL;
	char *secret;

	give(world, "{\"tokens\": [{\"secret\": \"" LONG "\", \"role\": \"reader\"}]}");
	assert_int_equal(
		bh_tokens_create(world->tokens, BH_ROLE_READER, 0, NULL, &secret, &token), 0);
	bh_tokens_free(world->tokens);
	assert_int_equal(bh_tokens_open(world->folder, &world->tokens, &problem), 0);
	assert_null(bh_tokens_check(world->tokens, LONG));
	assert_non_null(bh_tokens_check(world->tokens, secret));
	free(secret);
}

/* Whatever is misspelt must not end up as a token for more than was meant. */
static void mistakes_are_named_and_change_nothing(void **state)
{
#define ONE(more) "{\"tokens\": [{\"secret\": \"" LONG LONG "\"" more "}]}"
	static const char *const wrong[][2] = {
		{"3", "is not one list"},
		{"{}", "is not one list"},
		{"{\"tokens\": 3}", "is not one list"},
		{"{\"tokens\": [], \"more\": 1}", "is not one list"},
		{"{\"tokens\": [3]}", "number 1 is no mapping"},
		{"{\"tokens\": [{\"role\": \"reader\"}]}", "has to have a secret"},
		{"{\"tokens\": [{\"secret\": \"short\", \"role\": \"reader\"}]}", "32 to 256"},
		{"{\"tokens\": [{\"secret\": \"" LONG " \", \"role\": \"reader\"}]}", "no header"},
		{"{\"tokens\": [{\"sha256\": \"12\", \"role\": \"reader\"}]}", "64 hex digits"},
		{ONE(", \"sha256\": \"" DIGITS "\", \"role\": \"reader\""), "has to have a secret"},
		{ONE(""), "role has to be"},
		{ONE(", \"role\": \"root\""), "role has to be"},
		{ONE(", \"role\": \"operator\", \"namespace\": \"shop\""), "has keys other"},
		{ONE(", \"role\": \"operator\", \"namespaces\": []"), "no list of names"},
		{ONE(", \"role\": \"operator\", \"namespaces\": null"), "no list of names"},
		{ONE(", \"role\": \"operator\", \"namespaces\": [\"a\", 3]"), "no list of names"},
		{"{\"tokens\": [{\"secret\": \"" LONG "\", \"role\": \"reader\"}, {\"secret\": "
		 "\"" LONG "\", \"role\": \"operator\"}]}",
			"number 2 is there twice"},
	};
	struct world *world = *state;

	give(world, "{\"tokens\": [{\"secret\": \"" LONG "\", \"role\": \"reader\"}]}");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_non_null(strstr(give(world, wrong[i][0]), wrong[i][1]));
		assert_null(bh_tokens_check(world->tokens, LONG LONG));
		assert_int_equal(bh_tokens_check(world->tokens, LONG)->role, BH_ROLE_READER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_given_is_as_good_and_replaced_as_a_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_given_is_not_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			mistakes_are_named_and_change_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
