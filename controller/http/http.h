/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HTTP_H
#define BULKHEAD_HTTP_H

/*
 * The HTTP server: the page, and the API that docs/openapi.yaml describes. It answers with what the
 * commands of the control socket answer with, to whoever shows a token.
 *
 * Nobody waits for anybody: a request that has to wait is parked, what is sent is sent as its
 * reader takes it, and everything has an end (BH_HTTP_… below) after which the connection is cut,
 * however busy it looks. When too many connections have shown nothing yet, the oldest of whoever
 * has the most goes, so slow ones only keep themselves waiting.
 *
 * Driven by the caller's loop like the link: bh_http_dispatch() when bh_http_fd() is readable, when
 * bh_http_deadline() has come, and when anything changed that a parked request may wait for. Times
 * are CLOCK_MONOTONIC milliseconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_api;
struct bh_tokens;

#define BH_HTTP_CONNECTIONS 512   /* in all */
#define BH_HTTP_IDLE 192          /* of those that wait for their other side */
#define BH_HTTP_IDLE_EACH 64      /* … from one address */
#define BH_HTTP_STREAMS 128       /* of server-sent events */
#define BH_HTTP_STREAMS_EACH 64   /* … of one token */
#define BH_HTTP_FILTERS 32        /* different ones, of all streams */
#define BH_HTTP_FILTERS_EACH 12   /* … of one token */
#define BH_HTTP_WORKING 64        /* requests under way, of all tokens */
#define BH_HTTP_WORKING_EACH 16   /* … of one */
#define BH_HTTP_HEADERS_MAX 32768 /* bytes of request line and headers */
#define BH_HTTP_BODY_MAX (1024 * 1024)
#define BH_HTTP_LOGIN_MAX 4096
/* Bytes of answers that nobody has taken yet, of all tokens and of one; one answer may always be.
 */
#define BH_HTTP_UNTAKEN_MAX (256ull * 1024 * 1024)
#define BH_HTTP_UNTAKEN_EACH (64ull * 1024 * 1024)
#define BH_HTTP_HEADERS_MS 20000 /* from the connection, or the last answer, to a request's end */
#define BH_HTTP_BODY_MS 20000
#define BH_HTTP_SEND_MS 60000 /* for an answer to be taken */

struct bh_http_config {
	const char *address;     /* literal */
	unsigned int port;       /* 0: any */
	const char *certificate; /* PEM files; NULL: no TLS */
	const char *key;
	size_t n_hosts; /* names besides localhost and addresses */
	const char *const *hosts;
	struct bh_api *api;
	struct bh_tokens *tokens;
};

struct bh_http;

/* Listens. Returns 0 and *ret_http, or -errno and *ret_problem, one line to free(). Borrows all. */
int bh_http_open(
	const struct bh_http_config *config, struct bh_http **ret_http, char **ret_problem);
void bh_http_close(struct bh_http *http);

int bh_http_fd(const struct bh_http *http);
uint64_t bh_http_deadline(const struct bh_http *http); /* 0: none */
void bh_http_dispatch(struct bh_http *http, uint64_t now);

/* "http://127.0.0.1:7070/" */
const char *bh_http_url(const struct bh_http *http);

/* Why the certificate on disk is not the one in use, or NULL: one line. */
const char *bh_http_tls_problem(const struct bh_http *http);

#endif
