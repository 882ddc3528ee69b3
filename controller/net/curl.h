/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_NET_CURL_H
#define BULKHEAD_NET_CURL_H

/* libcurl's multi interface on a libuv loop: any number of transfers, none of which waits. */

#include <curl/curl.h>
#include <uv.h>

struct bh_curl;

/*
 * `done` is called when a transfer has ended; the handle is still in. `turned` is called after
 * every turn of the loop in which something came, from outside of all of libcurl's callbacks; NULL:
 * nobody wants to know. Returns 0 and *ret_curl, or -errno.
 */
int bh_curl_new(uv_loop_t *loop, void (*done)(CURL *easy, CURLcode code),
	void (*turned)(void *data), void *data, struct bh_curl **ret_curl);

/* Every transfer must have been taken out. Handles are closed by the loop's next turn. */
void bh_curl_free(struct bh_curl *curl);

/* Begins a transfer, and takes one out. */
void bh_curl_add(struct bh_curl *curl, CURL *easy);
void bh_curl_remove(struct bh_curl *curl, CURL *easy);

/* What every transfer of ours is like: certificates are verified, TLS 1.2 at least, redirects not
 * followed, no proxy asked, and a peer that is gone is noticed. */
void bh_curl_set_defaults(CURL *easy);

#endif
