/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "controller/model/memory.h"
#include "controller/net/curl.h"
#include "proto/cleanup.h"

/* Longer wishes are cut: a server that errs must not silence us for a day. */
#define RETRY_AFTER_MAX_S 300

struct bh_http {
	uv_loop_t *loop;
	struct bh_curl *curl;
	const struct bh_access *access;
	void (*turned)(void *data);
	void *data;
	struct bh_http_request *requests;
};

struct bh_http_request {
	struct bh_http *http;
	struct bh_http_request *next;
	const struct bh_http_events *events;
	void *data;
	CURL *easy;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	uv_timer_t *watchdog;
	uint64_t silence_ms;
	uint64_t begun_at;
	uint64_t heard_at;
	unsigned int retry_after;
	int refused; /* what `body` returned */
	size_t n_body;
	char *body; /* of an answer other than 200 */
	char error[CURL_ERROR_SIZE];
};

/* ---- Handles of the loop ------------------------------------------------------------------------
 */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static uv_timer_t *new_timer(uv_loop_t *loop, void *data)
{
	uv_timer_t *timer = bh_xcalloc(1, sizeof(*timer));

	uv_timer_init(loop, timer);
	timer->data = data;
	return timer;
}

static void close_timer(uv_timer_t *timer)
{
	uv_timer_stop(timer);
	uv_close((uv_handle_t *)timer, free_handle);
}

/* ---- Ends ---------------------------------------------------------------------------------------
 */

static void detach(struct bh_http_request *request)
{
	struct bh_http_request **at = &request->http->requests;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	bh_curl_remove(request->http->curl, request->easy);
}

static void free_request(struct bh_http_request *request)
{
	curl_easy_cleanup(request->easy);
	curl_slist_free_all(request->headers);
	curl_slist_free_all(request->connect_to);
	close_timer(request->watchdog);
	free(request->body);
	free(request);
}

static void finish(struct bh_http_request *request, const char *error)
{
	struct bh_http_result result = {
		.error = error,
		.body = request->body ? request->body : "",
		.retry_after = request->retry_after,
	};

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &result.status);
	detach(request);
	request->events->done(request->data, &result);
	free_request(request);
}

/* In words that are the same each time: libcurl's own count milliseconds, and every try would be a
 * new line in the log. */
static const char *words_of(struct bh_http_request *request, CURLcode code)
{
	long number = 0;

	curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &number);
	if (request->refused)
		return strerror(-request->refused);
	if (code == CURLE_COULDNT_CONNECT && number) {
		snprintf(request->error, sizeof(request->error), "cannot connect: %s",
			strerror((int)number));
		return request->error;
	}
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT || !*request->error)
		return curl_easy_strerror(code);
	return request->error;
}

static void finish_transfer(CURL *easy, CURLcode code)
{
	struct bh_http_request *request = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&request);
	finish(request, code ? words_of(request, code) : NULL);
}

static void on_watchdog(uv_timer_t *timer)
{
	struct bh_http_request *request = timer->data;
	struct bh_http *http = request->http;
	uint64_t since = request->heard_at ? request->heard_at : request->begun_at;
	uint64_t end = since + request->silence_ms;
	uint64_t now = uv_now(http->loop);
	char text[64];

	if (now < end) {
		uv_timer_start(timer, on_watchdog, end - now, 0);
		return;
	}
	snprintf(text, sizeof(text), "nothing has come for %llu s",
		(unsigned long long)((request->silence_ms + 999) / 1000));
	finish(request, text);
	http->turned(http->data);
}

/* ---- What comes -------------------------------------------------------------------------------
 */

static long status_of(const struct bh_http_request *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *data)
{
	static const char name[] = "retry-after:";
	struct bh_http_request *request = data;
	size_t length = size * n;

	request->heard_at = uv_now(request->http->loop);
	if (length > sizeof(name) && !strncasecmp(bytes, name, sizeof(name) - 1)) {
		/* Seconds; a date, which it may be too, counts as not said. The line ends in CR LF.
		 */
		unsigned long seconds = strtoul(bytes + sizeof(name) - 1, NULL, 10);

		request->retry_after =
			(unsigned int)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
	}
	if (length <= 2 && status_of(request) == 200)
		request->events->begun(request->data);
	return length;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct bh_http_request *request = data;
	size_t length = size * n;

	request->heard_at = uv_now(request->http->loop);
	if (status_of(request) == 200) {
		request->refused = request->events->body(request->data, bytes, length);
		return request->refused < 0 ? 0 : length;
	}
	size_t room = BH_HTTP_ERROR_BODY_MAX - request->n_body;
	size_t kept = length < room ? length : room;

	request->body = bh_xreallocarray(request->body, request->n_body + kept + 1, 1);
	memcpy(request->body + request->n_body, bytes, kept);
	request->n_body += kept;
	request->body[request->n_body] = '\0';
	/* Who says no at such length has said enough. */
	return kept;
}

/* ---- Beginning --------------------------------------------------------------------------------
 */

static void set_blob(CURL *easy, CURLoption option, const char *text)
{
	struct curl_blob blob = {.flags = CURL_BLOB_COPY};

	if (!text)
		return;
	blob.data = (void *)text;
	blob.len = strlen(text);
	curl_easy_setopt(easy, option, &blob);
}

static void set_credentials(struct bh_http_request *request, const struct bh_access *access)
{
	CURL *easy = request->easy;

	if (access->token) {
		char *header = bh_xasprintf("Authorization: Bearer %s", access->token);

		request->headers = curl_slist_append(request->headers, header);
		explicit_bzero(header, strlen(header));
		free(header);
	}
	set_blob(easy, CURLOPT_CAINFO_BLOB, access->ca);
	if (access->ca) /* and nobody else */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, access->certificate);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, access->key);
}

/* With another name for its certificate the URL says that name, and is led to the host. */
static char *url_of(
	struct bh_http_request *request, const struct bh_access *access, const char *path)
{
	const char *host = strstr(access->server, "://") + 3;
	size_t n = strcspn(host, "/");
	const char *port = memrchr(host, ':', n), *bracket = memrchr(host, ']', n);

	if (!access->tls_name)
		return bh_xasprintf("%s%s", access->server, path);
	if (!port || (bracket && port < bracket))
		port = host + n;
	_cleanup_free_ char *lead = bh_xasprintf("::%.*s:%.*s", (int)(port - host), host,
		(int)(host + n - port) - (port < host + n), port + (port < host + n));

	request->connect_to = curl_slist_append(NULL, lead);
	curl_easy_setopt(request->easy, CURLOPT_CONNECT_TO, request->connect_to);
	return bh_xasprintf("%.*s%s%s%s", (int)(host - access->server), access->server,
		access->tls_name, port, path);
}

static void set_options(struct bh_http_request *request, const struct bh_http_get *get)
{
	CURL *easy = request->easy;
	_cleanup_free_ char *url = url_of(request, request->http->access, get->path);

	bh_curl_set_defaults(easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, get->fresh ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, get->fresh ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)get->total_ms);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	request->headers = curl_slist_append(request->headers, "Accept: application/json");
	set_credentials(request, request->http->access);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
}

struct bh_http_request *bh_http_get(struct bh_http *http, const struct bh_http_get *get,
	const struct bh_http_events *events, void *data)
{
	struct bh_http_request *request = bh_xcalloc(1, sizeof(*request));

	request->http = http;
	request->events = events;
	request->data = data;
	request->silence_ms = get->silence_ms;
	request->begun_at = uv_now(http->loop);
	request->easy = bh_xcheck(curl_easy_init());
	request->watchdog = new_timer(http->loop, request);
	uv_timer_start(request->watchdog, on_watchdog, get->silence_ms, 0);
	set_options(request, get);
	request->next = http->requests;
	http->requests = request;
	bh_curl_add(http->curl, request->easy);
	return request;
}

void bh_http_cancel(struct bh_http_request *request)
{
	if (!request)
		return;
	detach(request);
	free_request(request);
}

uint64_t bh_http_heard(const struct bh_http_request *request)
{
	return request->heard_at;
}

/* ---- Life ---------------------------------------------------------------------------------------
 */

void bh_http_use(struct bh_http *http, const struct bh_access *access)
{
	http->access = access;
}

int bh_http_new(uv_loop_t *loop, void (*turned)(void *data), void *data, struct bh_http **ret_http)
{
	struct bh_http *http = bh_xcalloc(1, sizeof(*http));
	int r = bh_curl_new(loop, finish_transfer, turned, data, &http->curl);

	if (r < 0) {
		free(http);
		return r;
	}
	http->loop = loop;
	http->turned = turned;
	http->data = data;
	*ret_http = http;
	return 0;
}

void bh_http_free(struct bh_http *http)
{
	if (!http)
		return;
	while (http->requests)
		bh_http_cancel(http->requests);
	bh_curl_free(http->curl);
	free(http);
}
