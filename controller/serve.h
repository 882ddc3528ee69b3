/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SERVE_H
#define BULKHEAD_SERVE_H

/*
 * The HTTP server as the controller runs it: if it is wanted, with its tokens, on the controller's
 * loop. That it cannot be (a port that is taken, a certificate that is not there yet) is a problem
 * that the operator is told, and tried again; policy never waits for it.
 */

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct bh_api;
struct bh_serve;

/* As on the command line; NULL: not given. */
struct bh_serve_options {
	const char *http; /* ADDRESS:PORT */
	const char *certificate;
	const char *key;
	const char *hosts;  /* names, comma-separated */
	const char *tokens; /* file of tokens that are given from outside */
};

/* What is wrong with them, one line to free(), or NULL. */
char *bh_serve_check(const struct bh_serve_options *options);

/*
 * Begins. `options` are borrowed. `turn` is called when something came in, and is expected to call
 * bh_serve_dispatch(). NULL if no server is wanted.
 */
struct bh_serve *bh_serve_new(const struct bh_serve_options *options, const char *state_dir,
	uv_loop_t *loop, struct bh_api *api, void (*turn)(void *data), void *data);
/* Before the loop's handles are closed. */
void bh_serve_free(struct bh_serve *serve);

uint64_t bh_serve_deadline(const struct bh_serve *serve); /* 0: none; NULL is a server too */
void bh_serve_dispatch(struct bh_serve *serve, uint64_t now);

#endif
