/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/net/curl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "controller/model/memory.h"

#define CONNECT_MS 10000L
/* A peer that is gone is noticed within 15 + 3 × 5 s, even where nothing is to be said. */
#define KEEPALIVE_IDLE_S 15L
#define KEEPALIVE_INTERVAL_S 5L
#define KEEPALIVE_PROBES 3
#define USER_TIMEOUT_MS 30000u

struct bh_curl {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t *timer;
	void (*done)(CURL *easy, CURLcode code);
	void (*turned)(void *data);
	void *data;
};

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* Deals with the transfers that have ended. */
static void reap(struct bh_curl *curl)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(curl->multi, &left))) {
		if (message->msg == CURLMSG_DONE)
			curl->done(message->easy_handle, message->data.result);
	}
	if (curl->turned)
		curl->turned(curl->data);
}

/* ---- The loop (curl_multi_socket_action(3)) -------------------------------------------------- */

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct bh_curl *curl = poll->data;
	int flags = (status < 0 ? CURL_CSELECT_ERR : 0) |
		    (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
		    (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	uv_os_fd_t fd = -1;
	int running;

	if (uv_fileno((uv_handle_t *)poll, &fd) < 0)
		return;
	curl_multi_socket_action(curl->multi, fd, flags, &running);
	reap(curl);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct bh_curl *curl = data;
	uv_poll_t *poll = socket_data;
	int events =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		if (poll) {
			uv_poll_stop(poll);
			uv_close((uv_handle_t *)poll, free_handle);
			curl_multi_assign(curl->multi, fd, NULL);
		}
		return 0;
	}
	if (!poll) {
		poll = bh_xcalloc(1, sizeof(*poll));
		if (uv_poll_init(curl->loop, poll, fd) < 0) {
			free(poll);
			return -1;
		}
		poll->data = curl;
		curl_multi_assign(curl->multi, fd, poll);
	}
	uv_poll_start(poll, events, on_socket);
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct bh_curl *curl = timer->data;
	int running;

	curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(curl);
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *data)
{
	struct bh_curl *curl = data;

	if (timeout_ms < 0)
		uv_timer_stop(curl->timer);
	else
		uv_timer_start(curl->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

/* ---- Transfers ------------------------------------------------------------------------------- */

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

void bh_curl_set_defaults(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "bulkhead/" BH_VERSION);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, tune_socket);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

void bh_curl_add(struct bh_curl *curl, CURL *easy)
{
	curl_multi_add_handle(curl->multi, easy);
}

void bh_curl_remove(struct bh_curl *curl, CURL *easy)
{
	curl_multi_remove_handle(curl->multi, easy);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int bh_curl_new(uv_loop_t *loop, void (*done)(CURL *easy, CURLcode code),
	void (*turned)(void *data), void *data, struct bh_curl **ret_curl)
{
	struct bh_curl *curl;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOTSUP;
	curl = bh_xcalloc(1, sizeof(*curl));
	curl->loop = loop;
	curl->done = done;
	curl->turned = turned;
	curl->data = data;
	curl->multi = bh_xcheck(curl_multi_init());
	curl->timer = bh_xcalloc(1, sizeof(*curl->timer));
	uv_timer_init(loop, curl->timer);
	curl->timer->data = curl;
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
	*ret_curl = curl;
	return 0;
}

void bh_curl_free(struct bh_curl *curl)
{
	if (!curl)
		return;
	curl_multi_cleanup(curl->multi);
	uv_timer_stop(curl->timer);
	uv_close((uv_handle_t *)curl->timer, free_handle);
	free(curl);
	curl_global_cleanup();
}
