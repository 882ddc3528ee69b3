/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define CONNECT_MS 10000L
/* A peer that is gone is noticed within 15 + 3 × 5 s, even where nothing is to be said. */
#define KEEPALIVE_IDLE_S 15L
#define KEEPALIVE_INTERVAL_S 5L
#define KEEPALIVE_PROBES 3
#define USER_TIMEOUT_MS 30000u
/* Longer wishes are cut: a server that errs must not silence us for a day. */
#define RETRY_AFTER_MAX_S 300

struct bh_http {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t *timer;
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
	curl_multi_remove_handle(request->http->multi, request->easy);
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

static void finish_transfer(struct bh_http_request *request, CURLcode code)
{
	finish(request, code ? words_of(request, code) : NULL);
}

/* Deals with the transfers that have ended. */
static void reap(struct bh_http *http)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct bh_http_request *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
		finish_transfer(request, message->data.result);
	}
	http->turned(http->data);
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

/* ---- libcurl on libuv (curl_multi_socket_action(3)) ---------------------------------------------
 */

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct bh_http *http = poll->data;
	int flags = (status < 0 ? CURL_CSELECT_ERR : 0) |
		    (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
		    (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	uv_os_fd_t fd = -1;
	int running;

	if (uv_fileno((uv_handle_t *)poll, &fd) < 0)
		return;
	curl_multi_socket_action(http->multi, fd, flags, &running);
	reap(http);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct bh_http *http = data;
	uv_poll_t *poll = socket_data;
	int events =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		if (poll) {
			uv_poll_stop(poll);
			uv_close((uv_handle_t *)poll, free_handle);
			curl_multi_assign(http->multi, fd, NULL);
		}
		return 0;
	}
	if (!poll) {
		poll = bh_xcalloc(1, sizeof(*poll));
		if (uv_poll_init(http->loop, poll, fd) < 0) {
			free(poll);
			return -1;
		}
		poll->data = http;
		curl_multi_assign(http->multi, fd, poll);
	}
	uv_poll_start(poll, events, on_socket);
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct bh_http *http = timer->data;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(http);
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *data)
{
	struct bh_http *http = data;

	if (timeout_ms < 0)
		uv_timer_stop(http->timer);
	else
		uv_timer_start(http->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
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

static int tune_socket(void *data, curl_socket_t fd, curlsocktype purpose)
{
	int probes = KEEPALIVE_PROBES;
	unsigned int timeout = USER_TIMEOUT_MS;

	/* Without them a dead peer is only noticed later. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout)) < 0)
		return CURL_SOCKOPT_OK;
	return CURL_SOCKOPT_OK;
}

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
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
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

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "bulkhead/" BH_VERSION);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, get->fresh ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, get->fresh ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)get->total_ms);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, tune_socket);
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
	curl_multi_add_handle(http->multi, request->easy);
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
	struct bh_http *http;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOTSUP;
	http = bh_xcalloc(1, sizeof(*http));
	http->loop = loop;
	http->turned = turned;
	http->data = data;
	http->multi = bh_xcheck(curl_multi_init());
	http->timer = new_timer(loop, http);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	*ret_http = http;
	return 0;
}

void bh_http_free(struct bh_http *http)
{
	if (!http)
		return;
	while (http->requests)
		bh_http_cancel(http->requests);
	curl_multi_cleanup(http->multi);
	close_timer(http->timer);
	free(http);
	curl_global_cleanup();
}
