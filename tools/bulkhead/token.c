/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead token: who may ask over HTTP. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/bulkhead/cli.h"

#define TIMEOUT_MS 10000

struct token_options {
	const char *action;
	const char *id;
	const char *role;
	json_t *namespaces;
};

static const struct argp_option options[] = {
	{"role", 'r', "reader|operator", 0,
		"Of a new token: a reader sees, an operator also sets modes and quarantines "
		"(reader)",
		0},
	{"namespace", 'n', "NAMESPACE", 0,
		"Of a new token: it sees only this namespace, and may be given more than once", 0},
	{0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct token_options *wanted = state->input;

	switch (key) {
	case 'r':
		if (strcmp(argument, "reader") != 0 && strcmp(argument, "operator") != 0)
			argp_error(state, "'%s' is no role: reader or operator", argument);
		wanted->role = argument;
		return 0;
	case 'n':
		json_array_append_new(wanted->namespaces, json_string(argument) ?: json_null());
		return 0;
	case ARGP_KEY_ARG:
		if (!wanted->action)
			wanted->action = argument;
		else if (!wanted->id && strcmp(wanted->action, "revoke") == 0)
			wanted->id = argument;
		else
			argp_error(state, "unexpected argument '%s'", argument);
		return 0;
	case ARGP_KEY_END:
		if (!wanted->action)
			wanted->action = "list";
		if (strcmp(wanted->action, "list") != 0 && strcmp(wanted->action, "create") != 0 &&
			strcmp(wanted->action, "revoke") != 0)
			argp_error(state, "'%s' is none of create, list, revoke", wanted->action);
		if (strcmp(wanted->action, "revoke") == 0 && !wanted->id)
			argp_error(state, "which one? 'bulkhead token list' shows their ids");
		if (strcmp(wanted->action, "create") != 0 &&
			(wanted->role || json_array_size(wanted->namespaces)))
			argp_error(state, "--role and --namespace are for 'create'");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const char *print_namespaces(const json_t *namespaces, char *text, size_t size)
{
	const json_t *name;
	size_t used = 0;
	size_t i;

	snprintf(text, size, "%s", json_is_null(namespaces) ? "all" : "");
	json_array_foreach(namespaces, i, name)
	{
		if (used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
				json_string_value(name));
	}
	return text;
}

static int print_tokens(const json_t *tokens)
{
	static const char *const columns[] = {"ID", "ROLE", "NAMESPACES", "CREATED", NULL};
	struct libscols_table *table = bh_table_begin(columns);
	const json_t *token;
	char text[256];
	size_t i;

	json_array_foreach(tokens, i, token)
	{
		struct libscols_line *line = bh_table_row(table);

		bh_table_cell(line, 0, BH_PLAIN, bh_json_get_text(token, "id"));
		bh_table_cell(line, 1, BH_PLAIN, bh_json_get_text(token, "role"));
		bh_table_cell(line, 2, BH_PLAIN,
			print_namespaces(json_object_get(token, "namespaces"), text, sizeof(text)));
		bh_table_cell(line, 3, BH_PLAIN,
			bh_print_date(bh_json_get_text(token, "created"), text, sizeof(text)));
	}
	return bh_table_end(table, "there is no token");
}

/* The token alone on stdout: for a script to take. */
static int print_new(const json_t *answer)
{
	printf("%s\n", bh_json_get_text(answer, "secret"));
	fprintf(stderr, "bulkhead: token %s; it is shown only now\n",
		bh_json_get_text(json_object_get(answer, "token"), "id"));
	return 0;
}

int bh_cli_token(int argc, char **argv)
{
	const struct argp argp = {.options = options,
		.parser = parse_option,
		.args_doc = "[create | list | revoke ID]",
		.doc = "Who may use the page and the HTTP API (of 'up --http'): makes a token and "
		       "prints it, lists those there are, or revokes one at once.",
		.children = bh_cli_children};
	struct token_options wanted = {.namespaces = json_array()};
	json_t *arguments = json_object();
	json_t *answer;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &wanted);
	if (!bh_cli_output_is("token", BH_ALLOW(BH_OUTPUT_TABLE) | BH_ALLOW(BH_OUTPUT_JSON)))
		return BH_CLI_USAGE;
	json_object_set_new(arguments, "action", json_string(wanted.action));
	json_object_set_new(arguments, "role", json_string(wanted.role ? wanted.role : "reader"));
	json_object_set_new(arguments, "namespaces", wanted.namespaces);
	if (wanted.id)
		json_object_set_new(arguments, "id", json_string(wanted.id));
	answer = bh_ask("token", arguments, TIMEOUT_MS);
	if (!answer)
		return BH_CLI_FAILED;
	json_object_del(answer, "ok");
	if (bh_cli.output == BH_OUTPUT_JSON)
		return bh_json_print(answer);
	r = strcmp(wanted.action, "create") == 0 ? print_new(answer)
						 : print_tokens(json_object_get(answer, "tokens"));
	json_decref(answer);
	return r;
}
