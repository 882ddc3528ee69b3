/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include <zlib.h>

#include "controller/http/assets.h"
#include "controller/http/server.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

/* Nothing but our own files runs, nothing frames us, nothing learns where a reader came from. */
static const struct {
	const char *name;
	const char *value;
} common_headers[] = {
	{"Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
		"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
};

void bh_reply_headers(const struct bh_connection *connection, struct MHD_Response *response)
{
	for (size_t i = 0; i < sizeof(common_headers) / sizeof(common_headers[0]); i++)
		MHD_add_response_header(response, common_headers[i].name, common_headers[i].value);
}

/* Queues it, and gives the reader so long to take it. */
static enum MHD_Result queue(
	struct bh_connection *connection, unsigned int status, struct MHD_Response *response)
{
	enum MHD_Result result;

	bh_reply_headers(connection, response);
	/* A body that was not read to its end cannot be told from the next request. */
	if (status == MHD_HTTP_CONTENT_TOO_LARGE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	result = MHD_queue_response(connection->mhd, status, response);
	MHD_destroy_response(response);
	bh_connection_set(connection, BH_CONNECTION_SENDING, BH_HTTP_SEND_MS);
	return result;
}

/* Smaller answers are never refused: errors are among them. */
#define SMALL_BYTES (64u * 1024)

/*
 * Whoever asks and does not read leaves answers in our memory. Counts this one in; false if it is
 * too much. Who has nothing left to take gets any answer.
 */
static bool has_room(struct bh_connection *connection, size_t size)
{
	uint64_t all = 0;
	uint64_t own = 0;

	for (const struct bh_connection *c = connection->http->connections; c; c = c->next) {
		all += c->untaken;
		if (strcmp(c->token, connection->token) == 0)
			own += c->untaken;
	}
	if (size > SMALL_BYTES && own > 0 &&
		(own + size > BH_HTTP_UNTAKEN_EACH || all + size > BH_HTTP_UNTAKEN_MAX))
		return false;
	connection->untaken = size;
	return true;
}

static enum MHD_Result reply_busy(struct bh_connection *connection)
{
	return bh_reply_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
		"too many answers that were asked for before have not been read yet");
}

enum MHD_Result bh_reply_json(
	struct bh_connection *connection, unsigned int status, json_t *body, const char *cookie)
{
	char *text = json_dumps(body, JSON_COMPACT);
	struct MHD_Response *response;

	json_decref(body);
	if (!text)
		abort();
	if (!has_room(connection, strlen(text))) {
		free(text);
		return reply_busy(connection);
	}
	response = bh_xcheck(
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE));
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (cookie)
		MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, cookie);
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(
			response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"bulkhead\"");
	return queue(connection, status, response);
}

enum MHD_Result bh_reply_error(struct bh_connection *connection, unsigned int status,
	const char *code, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	return bh_reply_json(connection, status,
		json_pack("{s:s, s:o}", "error", code, "detail",
			json_string(text) ?: json_string("(the text is not valid UTF-8)")),
		NULL);
}

enum MHD_Result bh_reply_empty(struct bh_connection *connection, unsigned int status,
	const char *header, const char *value)
{
	struct MHD_Response *response =
		bh_xcheck(MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT));

	if (header)
		MHD_add_response_header(response, header, value);
	return queue(connection, status, response);
}

static const struct {
	const char *format;
	const char *type;
	const char *disposition;
} files[] = {
	{"csv", "text/csv; charset=utf-8", "attachment; filename=\"bulkhead.csv\""},
	{"dot", "text/vnd.graphviz; charset=utf-8", "attachment; filename=\"bulkhead.dot\""},
	{"graphml", "application/graphml+xml", "attachment; filename=\"bulkhead.graphml\""},
	{"svg", "image/svg+xml", "attachment; filename=\"bulkhead.svg\""},
	{"prometheus", "text/plain; version=0.0.4; charset=utf-8", NULL},
};

/* What `export` and `metrics` answer with. */
static enum MHD_Result reply_file(struct bh_connection *connection, const json_t *answer)
{
	const char *format = json_string_value(json_object_get(answer, "format"));
	const json_t *text = json_object_get(answer, "text");
	struct MHD_Response *response;

	if (!has_room(connection, json_string_length(text)))
		return reply_busy(connection);
	response = bh_xcheck(MHD_create_response_from_buffer(
		json_string_length(text), (void *)json_string_value(text), MHD_RESPMEM_MUST_COPY));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i].format, format) != 0)
			continue;
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, files[i].type);
		if (files[i].disposition)
			MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION,
				files[i].disposition);
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return queue(connection, MHD_HTTP_OK, response);
}

enum MHD_Result bh_reply_answer(struct bh_connection *connection, json_t *answer)
{
	const char *code = json_string_value(json_object_get(answer, "code"));
	enum MHD_Result result;
	unsigned int status;

	if (json_is_true(json_object_get(answer, "ok"))) {
		if (json_object_get(answer, "format")) {
			result = reply_file(connection, answer);
			json_decref(answer);
			return result;
		}
		json_object_del(answer, "ok");
		return bh_reply_json(connection, MHD_HTTP_OK, answer, NULL);
	}
	code = code ?: "bad-request";
	status = strcmp(code, "not-found") == 0   ? MHD_HTTP_NOT_FOUND
		 : strcmp(code, "forbidden") == 0 ? MHD_HTTP_FORBIDDEN
		 : strcmp(code, "busy") == 0      ? MHD_HTTP_SERVICE_UNAVAILABLE
						  : MHD_HTTP_BAD_REQUEST;
	result = bh_reply_error(connection, status, code, "%s",
		json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
	return result;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Who does not take gzip gets it unpacked; nobody but scripts. */
static struct MHD_Response *unpacked(const struct bh_asset *asset)
{
	/* The last four bytes of a gzip file: the size of what is in it. */
	const unsigned char *end = asset->gzip + asset->size - 4;
	size_t size =
		(size_t)end[0] | (size_t)end[1] << 8 | (size_t)end[2] << 16 | (size_t)end[3] << 24;
	unsigned char *text = bh_xcalloc(size, 1);
	z_stream stream = {
		.next_in = (unsigned char *)asset->gzip,
		.avail_in = (unsigned int)asset->size,
		.next_out = text,
		.avail_out = (unsigned int)size,
	};

	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK ||
		inflate(&stream, Z_FINISH) != Z_STREAM_END)
		abort(); /* it was built in */
	inflateEnd(&stream);
	return bh_xcheck(MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE));
}

static const char *request_header(const struct bh_connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, name);
}

enum MHD_Result bh_reply_asset(struct bh_connection *connection, const struct bh_asset *asset)
{
	const char *known = request_header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const char *encodings = request_header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	bool gzip = encodings && strstr(encodings, "gzip");
	struct MHD_Response *response;

	if (known && strstr(known, asset->etag))
		return bh_reply_empty(
			connection, MHD_HTTP_NOT_MODIFIED, MHD_HTTP_HEADER_ETAG, asset->etag);
	if (gzip) {
		response = bh_xcheck(MHD_create_response_from_buffer(
			asset->size, (void *)asset->gzip, MHD_RESPMEM_PERSISTENT));
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	} else {
		response = unpacked(asset);
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, asset->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, asset->etag);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	return queue(connection, MHD_HTTP_OK, response);
}

const struct bh_asset *bh_asset_find(const char *path)
{
	for (size_t i = 0; i < bh_n_assets; i++) {
		if (strcmp(bh_assets[i].path, path) == 0)
			return &bh_assets[i];
	}
	return NULL;
}
