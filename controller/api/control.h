/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_CONTROL_H
#define BULKHEAD_API_CONTROL_H

/*
 * The control socket: one JSON object in, one JSON object out, over nng req/rep. Many may ask at
 * the same time; a request that waits for something is parked and keeps nobody else waiting.
 *
 * Driven by the caller's loop like the link: bh_control_dispatch() when bh_control_fd() is
 * readable, when bh_control_deadline() has come, and when anything changed that a parked request
 * may wait for. Times are CLOCK_MONOTONIC milliseconds.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "controller/topology/text.h"

/* Longer requests are hung up on. */
#define BH_CONTROL_REQUEST_MAX (1024 * 1024)
/* What one request may ask of the history. */
#define BH_CONTROL_QUESTIONS 2
/* Requests under way at once; more wait their turn. */
#define BH_CONTROL_CALLS 32

struct bh_control;
struct bh_sight;
struct bh_history_answer;

struct bh_control_call {
	const json_t *request;        /* an object */
	const struct bh_sight *sight; /* what the asker may see; NULL: everything */
	const char *asker;            /* id of the token; "": who asks at the control socket */
	uint64_t now;
	uint64_t arrived;
	bool first;        /* asked for the first time */
	bool expired;      /* the deadline has come: answer now */
	uint64_t deadline; /* set by the handler when it does not answer yet */
	uint64_t memo;     /* the handler's, 0 at first */
	/* The handler's too: what it has asked of the history, 0 at first. */
	uint64_t tickets[BH_CONTROL_QUESTIONS];
	uint64_t work; /* … and what a thread does for it (work.h) */
	/* On such a thread: what the history has answered. */
	const struct bh_history_answer *answers[BH_CONTROL_QUESTIONS];
	bool elsewhere; /* … and everything is there: nothing is waited for */
	uint64_t surveys[BH_CONTROL_QUESTIONS]; /* … and of the cluster */
	/* An answer that was written at once, instead of an object. Whoever called takes it. */
	struct bh_text text;
};

/*
 * Answers a request: returns a new object, or NULL. Then call->text is the answer; or, where that
 * is empty, it is to be asked again after something changed, and for the last time at the deadline
 * it has set.
 */
typedef json_t *bh_control_handler(void *data, struct bh_control_call *call);

/*
 * Listens on `path`, mode 0600, for processes of this user and root. Returns 0 and *ret_control, or
 * -errno.
 */
int bh_control_new(
	const char *path, bh_control_handler *handler, void *data, struct bh_control **ret_control);
void bh_control_free(struct bh_control *control);

int bh_control_fd(const struct bh_control *control);
uint64_t bh_control_deadline(const struct bh_control *control); /* 0: none */
void bh_control_dispatch(struct bh_control *control, uint64_t now);

/* {"ok": false, "error": text}, the text made by printf's rules. */
json_t *bh_control_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
