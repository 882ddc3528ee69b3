/* SPDX-License-Identifier: Apache-2.0 */

/* Tokens of the HTTP server: made, listed and revoked over the control socket only. */

#include <errno.h>
#include <string.h>

#include "controller/access/tokens.h"
#include "controller/api/common.h"
#include "controller/model/memory.h"

static json_t *token_object(const struct bh_token *token)
{
	json_t *namespaces = token->bound ? json_array() : json_null();

	for (size_t i = 0; i < token->sight.n; i++)
		json_array_append_new(namespaces, bh_json_text(token->sight.namespaces[i]));
	return json_pack("{s:s, s:s, s:o, s:o, s:b}", "id", token->id, "role",
		bh_role_name(token->role), "namespaces", namespaces, "created",
		bh_json_time(token->created_s * 1000000000), "given", token->given);
}

static json_t *list(const struct bh_api *api)
{
	const struct bh_token *tokens;
	size_t n = bh_tokens_list(api->tokens, &tokens);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, token_object(&tokens[i]));
	return json_pack("{s:b, s:o}", "ok", 1, "tokens", array);
}

/* Fills `names`, which borrow from the request. */
static json_t *read_namespaces(const json_t *request, const char **names, size_t *ret_n)
{
	const json_t *array = json_object_get(request, "namespaces");
	const json_t *name;
	size_t i;

	*ret_n = 0;
	if (!array || json_is_null(array))
		return NULL;
	if (!json_is_array(array) || json_array_size(array) > BH_TOKEN_NAMESPACES_MAX)
		return bh_control_error(
			"'namespaces' is a list of at most %d", BH_TOKEN_NAMESPACES_MAX);
	json_array_foreach(array, i, name)
	{
		const char *text = json_string_value(name);

		if (!text || !*text || strchr(text, '/') || strlen(text) > 253)
			return bh_control_error("'%.64s' is no namespace", text ? text : "");
		names[(*ret_n)++] = text;
	}
	return NULL;
}

static json_t *create_token(struct bh_api *api, const json_t *request)
{
	const char *names[BH_TOKEN_NAMESPACES_MAX];
	const struct bh_token *token;
	const char *word;
	enum bh_role role;
	char *secret;
	size_t n = 0;
	json_t *answer = bh_api_string(request, "role", &word);
	int r;

	answer = answer ?: read_namespaces(request, names, &n);
	if (answer)
		return answer;
	if (!word || bh_role_parse(word, &role) < 0)
		return bh_control_error("'role' is reader or operator");
	r = bh_tokens_create(api->tokens, role, n, names, &secret, &token);
	if (r == -ENOSPC)
		return bh_control_error("there are %d tokens already: revoke one", BH_TOKENS_MAX);
	if (r < 0)
		return bh_control_error("the token cannot be kept: %s", strerror(-r));
	answer = json_pack(
		"{s:b, s:s, s:o}", "ok", 1, "secret", secret, "token", token_object(token));
	free(secret);
	return answer;
}

static json_t *revoke_token(struct bh_api *api, const json_t *request)
{
	const char *id;
	json_t *error = bh_api_string(request, "id", &id);
	int r;

	if (error)
		return error;
	r = bh_tokens_revoke(api->tokens, id ? id : "");
	if (r == -ENOENT)
		return bh_control_error("there is no token '%.64s'", id ? id : "");
	if (r == -EPERM)
		return bh_control_error("token %s is given by the file of --http-tokens: take it "
					"out there",
			id);
	if (r < 0)
		return bh_control_error(
			"nothing was changed, because it cannot be kept: %s", strerror(-r));
	return list(api);
}

json_t *bh_api_token(struct bh_api *api, struct bh_control_call *call)
{
	const char *action;
	json_t *error = bh_api_string(call->request, "action", &action);

	if (error)
		return error;
	if (!api->tokens)
		return bh_control_error("there is no HTTP server here, so nobody needs a token: "
					"start 'bulkhead up' with --http%s%s",
			api->http_problem ? "; " : "", api->http_problem ? api->http_problem : "");
	if (!action || strcmp(action, "list") == 0)
		return list(api);
	if (strcmp(action, "create") == 0)
		return create_token(api, call->request);
	if (strcmp(action, "revoke") == 0)
		return revoke_token(api, call->request);
	return bh_control_error("action: '%.64s' is none of list, create, revoke", action);
}
