/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_WORK_H
#define BULKHEAD_API_WORK_H

/*
 * What takes longer than the controller's loop may wait: done on threads, while the loop goes on. A
 * task is given everything it needs beforehand and touches nothing else, so nothing is locked.
 *
 * Each asker may have BH_WORK_EACH tasks, and all of them BH_WORK_ALL; whoever comes then is told
 * that it is busy. A task cannot be broken off: that of an asker who has left is finished, counted
 * as the asker's until then, and thrown away.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "controller/topology/text.h"

#define BH_WORK_EACH 2
#define BH_WORK_ALL 8
/* At once; the others wait. libuv has four threads, and looks names up on them too. */
#define BH_WORK_THREADS 2
#define BH_WORK_ASKER_MAX 32

/* The first member of what is to be done. */
struct bh_task {
	void (*run)(struct bh_task *task); /* on a thread */
	/* On the loop's, with whatever the task owns, its result too. */
	void (*free)(struct bh_task *task);
	/* Set by `run`: one of both. */
	json_t *result;
	struct bh_text text;
};

struct bh_work;

/* `done` is called on the loop's thread when something has been done. */
struct bh_work *bh_work_new(uv_loop_t *loop, void (*done)(void *data), void *data);
/* Throws away what has not begun. Then the loop has to run until nothing is left of it… */
void bh_work_close(struct bh_work *work);
/* … and everything can be freed. */
void bh_work_free(struct bh_work *work);

/* A place for a task of this asker: a ticket, or 0 if there is none. bh_work_release() ends it. */
uint64_t bh_work_reserve(struct bh_work *work, const char *asker);
/* Takes the task. */
void bh_work_begin(struct bh_work *work, uint64_t ticket, struct bh_task *task);
bool bh_work_begun(const struct bh_work *work, uint64_t ticket);
/* The ticket's task once it was run, until the ticket is released; NULL: not yet. */
struct bh_task *bh_work_done(const struct bh_work *work, uint64_t ticket);
void bh_work_release(struct bh_work *work, uint64_t ticket);

#endif
