/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_HTTP_H
#define BULKHEAD_SOURCE_HTTP_H

/*
 * GET requests to the API server, any number at a time, on the caller's libuv loop (libcurl's multi
 * interface; HTTP/2 where the server speaks it, HTTP/1.1 otherwise). The server's certificate is
 * always verified, redirects are not followed, no proxy is asked.
 */

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "controller/source/access.h"

/* What is kept of the body of an answer other than 200. */
#define BH_HTTP_ERROR_BODY_MAX (64u * 1024)

struct bh_http;
struct bh_http_request;

struct bh_http_result {
	long status;              /* of HTTP; 0: no answer */
	const char *error;        /* why the transfer did not come to its end; NULL: it did */
	const char *body;         /* of an answer other than 200, terminated */
	unsigned int retry_after; /* seconds, as the server wishes; 0: it does not say */
};

struct bh_http_events {
	/* The head of an answer 200 has come. */
	void (*begun)(void *data);
	/* A piece of its body. 0, or -errno to end the transfer. No request may be begun or
	 * cancelled from here. */
	int (*body)(void *data, const char *bytes, size_t size);
	/* The end, in every case but bh_http_cancel(). `result` is valid for the call. */
	void (*done)(void *data, const struct bh_http_result *result);
};

struct bh_http_get {
	const char *path;    /* with its query */
	uint64_t silence_ms; /* it ends when nothing has come for so long */
	uint64_t total_ms;   /* it ends then in any case */
	bool fresh;          /* on a connection of its own: the present one may be dead */
};

/* `turned` is called after every turn of the loop in which something came, from outside of all
 * callbacks above. Returns 0 and *ret_http, or -errno. */
int bh_http_new(uv_loop_t *loop, void (*turned)(void *data), void *data, struct bh_http **ret_http);
/* Cancels what is under way. Handles are closed by the loop's next turn. */
void bh_http_free(struct bh_http *http);

/* Borrowed; for requests from here on. */
void bh_http_use(struct bh_http *http, const struct bh_access *access);

/* Begins a request. It ends by `done`, or by bh_http_cancel(). */
struct bh_http_request *bh_http_get(struct bh_http *http, const struct bh_http_get *get,
	const struct bh_http_events *events, void *data);
void bh_http_cancel(struct bh_http_request *request);

/* When something of it last came; CLOCK_MONOTONIC milliseconds of the loop. 0: nothing yet. */
uint64_t bh_http_heard(const struct bh_http_request *request);

#endif
