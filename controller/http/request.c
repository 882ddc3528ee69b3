/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One request, from its headers to its answer:
 *
 *   host, origin → route → token → role → body → the command's arguments → the command
 *
 * Each step answers by itself if it has something against it. The library calls us with the
 * headers, then with each piece of the body, then with none; and again after a request was parked.
 */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "controller/http/assets.h"
#include "controller/http/routes.h"
#include "controller/http/server.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"
#include "proto/log.h"

#define COOKIE_NAME "bulkhead"

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

static const char *header(const struct bh_connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, name);
}

static const char *cookie(const struct bh_connection *connection)
{
	return MHD_lookup_connection_value(connection->mhd, MHD_COOKIE_KIND, COOKIE_NAME);
}

const struct bh_token *bh_request_token(const struct bh_connection *connection)
{
	return bh_tokens_find(connection->http->config.tokens, connection->token);
}

const char *bh_request_cookie(const struct bh_connection *connection)
{
	return connection->by_cookie ? cookie(connection) : NULL;
}

bool bh_request_cookie_is_good(const struct bh_connection *connection, const char *cookie)
{
	return bh_tokens_check_cookie(connection->http->config.tokens, cookie, now_s()) != NULL;
}

void bh_request_clear(struct bh_connection *connection)
{
	if (connection->stream)
		bh_live_end(connection);
	if (connection->state == BH_CONNECTION_PARKED)
		connection->http->n_working--;
	connection->state = BH_CONNECTION_WAITING;
	bh_text_clear(&connection->body);
	bh_api_leave(connection->http->config.api, &connection->call);
	json_decref(connection->request);
	json_decref(connection->answer);
	free(connection->path_argument);
	connection->request = NULL;
	connection->answer = NULL;
	connection->path_argument = NULL;
	connection->route = NULL;
	connection->token[0] = '\0';
	connection->by_cookie = false;
	connection->untaken = 0;
	connection->begun = false;
}

/* ---- Who asks -------------------------------------------------------------------------------- */

/* The token of the request, and whether a browser added it by itself. */
static const struct bh_token *find_token(
	const struct bh_connection *connection, bool *ret_by_cookie)
{
	const struct bh_tokens *tokens = connection->http->config.tokens;
	const char *authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
	const char *by_cookie = cookie(connection);

	*ret_by_cookie = false;
	if (authorization) {
		if (strncasecmp(authorization, "Bearer ", 7) != 0)
			return NULL;
		authorization += 7 + strspn(authorization + 7, " ");
		return bh_tokens_check(tokens, authorization);
	}
	*ret_by_cookie = true;
	return by_cookie ? bh_tokens_check_cookie(tokens, by_cookie, now_s()) : NULL;
}

static bool is_read(const char *method)
{
	return strcmp(method, "GET") == 0;
}

/* ---- What can be read in two ways ------------------------------------------------------------ */

/* Headers of which two would let a proxy before us read another request than we do. */
static const char *const single_headers[] = {
	MHD_HTTP_HEADER_HOST,
	MHD_HTTP_HEADER_CONTENT_LENGTH,
	MHD_HTTP_HEADER_TRANSFER_ENCODING,
	MHD_HTTP_HEADER_AUTHORIZATION,
	MHD_HTTP_HEADER_ORIGIN,
	MHD_HTTP_HEADER_CONTENT_TYPE,
};
#define N_SINGLE (sizeof(single_headers) / sizeof(single_headers[0]))

static enum MHD_Result count_header(
	void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	unsigned int *counts = data;

	for (size_t i = 0; i < N_SINGLE; i++)
		counts[i] += strcasecmp(name, single_headers[i]) == 0;
	return MHD_YES;
}

/* What makes the headers ambiguous, or NULL. */
static const char *find_ambiguity(const struct bh_connection *connection)
{
	const char *encoding = header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	unsigned int counts[N_SINGLE] = {0};

	MHD_get_connection_values(connection->mhd, MHD_HEADER_KIND, count_header, counts);
	for (size_t i = 0; i < N_SINGLE; i++) {
		if (counts[i] > 1)
			return single_headers[i];
	}
	if (encoding && (header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
				strcasecmp(encoding, "chunked") != 0))
		return MHD_HTTP_HEADER_TRANSFER_ENCODING;
	return NULL;
}

/* False, and *ret_result, if the request goes or comes where it should not. */
static bool check_place(struct bh_connection *connection, const char *url, const char *method,
	enum MHD_Result *ret_result)
{
	const char *host = header(connection, MHD_HTTP_HEADER_HOST);
	const char *origin = header(connection, MHD_HTTP_HEADER_ORIGIN);
	const char *site = header(connection, "Sec-Fetch-Site");

	if (!host || !bh_hosts_take(&connection->http->hosts, host)) {
		*ret_result =
			bh_reply_error(connection, MHD_HTTP_MISDIRECTED_REQUEST, "misdirected",
				"the Host '%.128s' is none of this server's names (--http-host)",
				host ? host : "");
		return false;
	}
	if (origin && !bh_origin_is_own(origin, host, connection->http->tls != NULL)) {
		*ret_result = bh_reply_error(connection, MHD_HTTP_FORBIDDEN, "forbidden",
			"the request comes from another site (Origin '%.128s')", origin);
		return false;
	}
	/* What browsers say of it where they send no Origin. Another port of this host is a site
	 * of somebody else's, and SameSite lets its pages have our cookie. The page itself may be
	 * linked to from anywhere. */
	if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0 &&
		!(is_read(method) && bh_asset_find(url))) {
		*ret_result = bh_reply_error(connection, MHD_HTTP_FORBIDDEN, "forbidden",
			"the request comes from another site (Sec-Fetch-Site '%.32s')", site);
		return false;
	}
	return true;
}

/* False, and *ret_result, if whoever asks may not. */
static bool check_token(struct bh_connection *connection, enum MHD_Result *ret_result)
{
	const struct bh_route *route = connection->route;
	const struct bh_token *token;
	bool by_cookie;

	if (route->kind == BH_ROUTE_LOGIN)
		return true;
	token = find_token(connection, &by_cookie);
	if (!token) {
		*ret_result = bh_reply_error(connection, MHD_HTTP_UNAUTHORIZED, "unauthorized",
			header(connection, MHD_HTTP_HEADER_AUTHORIZATION)
				? "this token is not known; like this it would be: "
				  "Authorization: Bearer bh_…"
				: "this needs a token: Authorization: Bearer …");
		return false;
	}
	connection->proven = true;
	if (by_cookie && !is_read(route->method) && !header(connection, MHD_HTTP_HEADER_ORIGIN)) {
		*ret_result = bh_reply_error(connection, MHD_HTTP_FORBIDDEN, "forbidden",
			"a write with a cookie needs the page's Origin");
		return false;
	}
	if (token->role < route->role) {
		*ret_result = bh_reply_error(connection, MHD_HTTP_FORBIDDEN, "forbidden",
			"this needs a token of an operator");
		return false;
	}
	strcpy(connection->token, token->id);
	connection->by_cookie = by_cookie;
	return true;
}

/* ---- What is asked --------------------------------------------------------------------------- */

/* A parameter of the query, read as its type says. NULL: it is not of that type. */
static json_t *parse_parameter(char type, const char *text, size_t n)
{
	char *end;
	long long number;

	if (type == 's')
		return json_stringn(text, n); /* NULL if it is not UTF-8 */
	if (type == 'b')
		return strcmp(text, "true") == 0    ? json_true()
		       : strcmp(text, "false") == 0 ? json_false()
						    : NULL;
	if (n == 0 || n > 18 || text[strspn(text, "0123456789")])
		return NULL;
	number = strtoll(text, &end, 10);
	return json_integer(number);
}

struct reading {
	const struct bh_route *route;
	json_t *request;
	char *problem;
};

static enum MHD_Result read_parameter(void *data, enum MHD_ValueKind kind, const char *name,
	size_t name_size, const char *text, size_t size)
{
	struct reading *reading = data;
	char type = strlen(name) == name_size ? bh_route_parameter(reading->route, name) : 0;
	json_t *value = NULL;

	if (!type) {
		reading->problem = bh_xasprintf("there is no parameter '%.64s' here", name);
	} else if (json_object_get(reading->request, name)) {
		reading->problem = bh_xasprintf("'%s' is there twice", name);
	} else {
		value = text && strlen(text) == size ? parse_parameter(type, text, size) : NULL;
		if (!value)
			reading->problem =
				bh_xasprintf("%s: '%.64s' is not %s", name, text ? text : "",
					type == 'n'   ? "a whole number"
					: type == 'b' ? "true or false"
						      : "valid text");
	}
	if (value)
		json_object_set_new(reading->request, name, value);
	return reading->problem ? MHD_NO : MHD_YES;
}

static char *read_query(struct bh_connection *connection)
{
	struct reading reading = {.route = connection->route, .request = connection->request};

	MHD_get_connection_values_n(
		connection->mhd, MHD_GET_ARGUMENT_KIND, read_parameter, &reading);
	return reading.problem;
}

/* Only what the route knows gets through: a body names no command. */
static char *read_body(struct bh_connection *connection)
{
	json_error_t error;
	json_t *body = json_loadb(connection->body.data ? connection->body.data : "",
		connection->body.n, JSON_REJECT_DUPLICATES, &error);
	char *problem = NULL;
	const char *name;
	json_t *value;

	if (!json_is_object(body))
		problem = body ? bh_xstrdup("the body is JSON, but not an object")
			       : bh_xasprintf("the body is not JSON: %s", error.text);
	json_object_foreach(body, name, value)
	{
		if (!bh_route_parameter(connection->route, name)) {
			free(problem);
			problem = bh_xasprintf("there is no member '%.64s' here", name);
			break;
		}
		json_object_set(connection->request, name, value);
	}
	json_decref(body);
	return problem;
}

/* What the command takes for granted otherwise than the control socket does. */
static void set_defaults(struct bh_connection *connection)
{
	json_t *request = connection->request;

	json_object_set_new(request, "command", json_string(connection->route->command));
	if (strcmp(connection->route->command, "flows") == 0) {
		if (!json_object_get(request, "limit"))
			json_object_set_new(request, "limit", json_integer(500));
		if (!json_object_get(request, "newest"))
			json_object_set_new(request, "newest",
				json_boolean(!json_object_get(request, "since")));
	}
	if (connection->route->argument)
		json_object_set_new(request, connection->route->argument,
			json_string(connection->path_argument) ?: json_string(""));
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static json_t *session_object(const struct bh_http *http, const struct bh_token *token)
{
	json_t *namespaces = token->bound ? json_array() : json_null();

	for (size_t i = 0; i < token->sight.n; i++)
		json_array_append_new(namespaces, json_string(token->sight.namespaces[i]));
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:b}", "id", token->id, "role",
		bh_role_name(token->role), "namespaces", namespaces, "node",
		bh_model_node_name(http->config.api->model), "version", BH_VERSION, "cluster",
		http->config.api->cluster != NULL);
}

static enum MHD_Result login(struct bh_connection *connection)
{
	struct bh_http *http = connection->http;
	const char *secret = json_string_value(json_object_get(connection->request, "token"));
	const struct bh_token *token = secret ? bh_tokens_check(http->config.tokens, secret) : NULL;
	_cleanup_free_ char *set = NULL;
	char text[BH_COOKIE_MAX];

	if (!secret)
		return bh_reply_error(
			connection, MHD_HTTP_BAD_REQUEST, "bad-request", "'token' is missing");
	if (!token)
		return bh_reply_error(connection, MHD_HTTP_UNAUTHORIZED, "unauthorized",
			"this token is not known");
	connection->proven = true;
	bh_tokens_cookie(http->config.tokens, token, now_s(), text);
	set = bh_xasprintf("%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s", COOKIE_NAME,
		text, BH_COOKIE_SECONDS, http->tls ? "; Secure" : "");
	return bh_reply_json(connection, MHD_HTTP_OK, session_object(http, token), set);
}

static enum MHD_Result logout(struct bh_connection *connection)
{
	const char *text = cookie(connection);

	if (text)
		bh_tokens_end_cookie(connection->http->config.tokens, text, now_s());
	return bh_reply_empty(connection, MHD_HTTP_NO_CONTENT, MHD_HTTP_HEADER_SET_COOKIE,
		COOKIE_NAME "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* Asks the command; leaves connection->answer NULL if it waits for something. */
static void ask(struct bh_connection *connection)
{
	struct bh_control_call *call = &connection->call;
	const struct bh_token *token = bh_request_token(connection);

	if (!token) {
		/* Revoked while its request was waiting. */
		connection->answer = json_pack("{s:b, s:s, s:s}", "ok", 0, "code", "forbidden",
			"error", "the token was revoked");
		return;
	}
	call->request = connection->request;
	call->sight = bh_token_sight(token);
	call->asker = connection->token;
	call->now = connection->http->now;
	call->expired = !call->first && call->deadline <= call->now;
	connection->answer = bh_api_handle(connection->http->config.api, call);
	if (!connection->answer && call->expired)
		connection->answer = bh_control_error("timed out");
	call->first = false;
}

void bh_request_proceed(struct bh_connection *connection)
{
	ask(connection);
	if (connection->answer)
		bh_connection_resume(connection);
}

/* Requests of the same token that are parked. */
static size_t count_working(const struct bh_connection *connection)
{
	size_t n = 0;

	for (const struct bh_connection *c = connection->http->connections; c; c = c->next)
		n += c->state == BH_CONNECTION_PARKED && strcmp(c->token, connection->token) == 0;
	return n;
}

static enum MHD_Result begin_command(struct bh_connection *connection)
{
	struct bh_http *http = connection->http;
	json_t *answer;

	if (http->n_working >= BH_HTTP_WORKING)
		return bh_reply_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
			"%d requests are under way already", BH_HTTP_WORKING);
	if (count_working(connection) >= BH_HTTP_WORKING_EACH)
		return bh_reply_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
			"%d requests of this token are under way already", BH_HTTP_WORKING_EACH);
	set_defaults(connection);
	connection->call = (struct bh_control_call){.arrived = http->now, .first = true};
	ask(connection);
	if (connection->answer) {
		answer = bh_take_pointer(connection->answer);
		return bh_reply_answer(connection, answer);
	}
	/* No deadline of its own: the command has one. */
	bh_connection_set(connection, BH_CONNECTION_PARKED, 0);
	http->n_working++;
	bh_connection_suspend(connection);
	return MHD_YES;
}

static void log_order(const struct bh_connection *connection)
{
	_cleanup_free_ char *text = NULL;

	if (connection->route->role != BH_ROLE_OPERATOR)
		return;
	text = json_dumps(connection->request, JSON_COMPACT);
	bh_info("token %s orders: %s %s %.1000s", connection->token, connection->route->method,
		connection->route->path, text ? text : "");
}

/* Everything is there. */
static enum MHD_Result run(struct bh_connection *connection)
{
	const struct bh_route *route = connection->route;
	_cleanup_free_ char *problem = NULL;

	connection->request = json_object();
	problem = is_read(route->method) || strcmp(route->method, "DELETE") == 0
			  ? read_query(connection)
			  : read_body(connection);
	if (problem)
		return bh_reply_error(
			connection, MHD_HTTP_BAD_REQUEST, "bad-request", "%s", problem);
	log_order(connection);
	switch (route->kind) {
	case BH_ROUTE_SESSION:
		return bh_reply_json(connection, MHD_HTTP_OK,
			session_object(connection->http, bh_request_token(connection)), NULL);
	case BH_ROUTE_LOGIN:
		return login(connection);
	case BH_ROUTE_LOGOUT:
		return logout(connection);
	case BH_ROUTE_LIVE:
		return bh_live_begin(connection);
	case BH_ROUTE_COMMAND:
		break;
	}
	return begin_command(connection);
}

/* ---- The library's calls --------------------------------------------------------------------- */

static bool takes_body(const char *method)
{
	return strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0;
}

static size_t body_max(const struct bh_connection *connection)
{
	if (!connection->route || !takes_body(connection->route->method))
		return 0;
	return connection->route->kind == BH_ROUTE_LOGIN ? BH_HTTP_LOGIN_MAX : BH_HTTP_BODY_MAX;
}

static bool is_json(const struct bh_connection *connection)
{
	const char *type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
	static const char json[] = "application/json";

	return type && strncasecmp(type, json, sizeof(json) - 1) == 0 &&
	       (!type[sizeof(json) - 1] || strchr("; \t", type[sizeof(json) - 1]));
}

/* The headers are there. Nothing of the body is taken before they are in order. */
static enum MHD_Result begin(struct bh_connection *connection, const char *url, const char *method)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *ambiguity = find_ambiguity(connection);
	bool head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	enum MHD_Result result;
	bool known = false;

	connection->begun = true;
	if (head)
		method = MHD_HTTP_METHOD_GET;
	if (ambiguity)
		return bh_reply_error(connection, MHD_HTTP_BAD_REQUEST, "bad-request",
			"%s can be read in more than one way", ambiguity);
	if (!check_place(connection, url, method, &result))
		return result;
	/* Answered at the next call: an answer before the request's end would end the connection.
	 */
	if (is_read(method) && bh_asset_find(url)) {
		bh_connection_set(connection, BH_CONNECTION_BODY, BH_HTTP_BODY_MS);
		return MHD_YES;
	}
	connection->route = bh_route_find(method, url, &connection->path_argument, &known);
	/* A stream has no end, so it has no headers that come before none of it. */
	if (head && connection->route && connection->route->kind == BH_ROUTE_LIVE)
		return bh_reply_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "not-allowed",
			"there is no HEAD here");
	if (!connection->route)
		return known ? bh_reply_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				       "not-allowed", "there is no %.16s here", method)
			     : bh_reply_error(connection, MHD_HTTP_NOT_FOUND, "not-found",
				       "there is nothing at %.128s", url);
	if (!check_token(connection, &result))
		return result;
	if (takes_body(method) && !is_json(connection))
		return bh_reply_error(connection, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "not-json",
			"the body has to be application/json, and say so");
	if (length && !takes_body(method) && strtoull(length, NULL, 10) > 0)
		return bh_reply_error(connection, MHD_HTTP_BAD_REQUEST, "bad-request",
			"a %.16s has no body", method);
	/* One that is only a little too long is thrown away as it comes: whoever is still sending
	 * would not hear the answer. */
	if (length && (strlen(length) > 8 || strtoull(length, NULL, 10) > 16 * BH_HTTP_BODY_MAX))
		return bh_reply_error(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
			"the body may have %zu bytes", body_max(connection));
	bh_connection_set(connection, BH_CONNECTION_BODY, BH_HTTP_BODY_MS);
	return MHD_YES;
}

static enum MHD_Result take_body(
	struct bh_connection *connection, const char *upload, size_t *upload_size)
{
	size_t max = body_max(connection);

	/* One byte too many is kept to remember that there were. */
	if (connection->body.n + *upload_size <= max)
		bh_text_add_bytes(&connection->body, upload, *upload_size);
	else
		connection->body.n = max + 1;
	*upload_size = 0;
	return MHD_YES;
}

enum MHD_Result bh_http_handle(void *data, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **request)
{
	struct bh_connection *connection =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	json_t *answer;

	if (!connection || connection->doomed)
		return MHD_NO;
	if (!connection->begun) {
		*request = connection;
		return begin(connection, url, method);
	}
	if (*upload_size > 0)
		return take_body(connection, upload, upload_size);
	if (connection->state == BH_CONNECTION_PARKED) {
		if (!connection->answer)
			return MHD_YES;
		connection->http->n_working--;
		answer = bh_take_pointer(connection->answer);
		return bh_reply_answer(connection, answer);
	}
	if (connection->state != BH_CONNECTION_BODY)
		return MHD_NO;
	if (connection->body.n > 0 && body_max(connection) == 0)
		return bh_reply_error(connection, MHD_HTTP_BAD_REQUEST, "bad-request",
			"a %.16s has no body", method);
	if (connection->body.n > body_max(connection))
		return bh_reply_error(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
			"the body may have %zu bytes", body_max(connection));
	if (!connection->route)
		return bh_reply_asset(connection, bh_asset_find(url));
	return run(connection);
}
