/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/api/work.h"
#include "controller/model/memory.h"

enum state {
	STATE_RESERVED,
	STATE_WAITING, /* for a thread */
	STATE_RUNNING,
	STATE_DONE,
};

struct item {
	uv_work_t request;
	struct item *next;
	struct bh_work *work;
	uint64_t ticket;
	char asker[BH_WORK_ASKER_MAX];
	enum state state;
	bool released;
	struct bh_task *task;
};

/* All of it is the loop's thread's; a thread sees its task only. */
struct bh_work {
	uv_loop_t *loop;
	void (*done)(void *data);
	void *data;
	uint64_t last_ticket;
	bool closing;
	struct item *items; /* in the order they came */
};

struct bh_work *bh_work_new(uv_loop_t *loop, void (*done)(void *data), void *data)
{
	struct bh_work *work = bh_xcalloc(1, sizeof(*work));

	work->loop = loop;
	work->done = done;
	work->data = data;
	return work;
}

static void drop(struct item *item)
{
	struct item **at = &item->work->items;

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	if (item->task)
		item->task->free(item->task);
	free(item);
}

static struct item *find(const struct bh_work *work, uint64_t ticket)
{
	for (struct item *item = work->items; item; item = item->next) {
		if (item->ticket == ticket && !item->released)
			return item;
	}
	return NULL;
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void on_thread(uv_work_t *request)
{
	struct item *item = request->data;

	item->task->run(item->task);
}

static void start_waiting(struct bh_work *work);

static void on_done(uv_work_t *request, int status)
{
	struct item *item = request->data;
	struct bh_work *work = item->work;

	item->state = STATE_DONE;
	if (item->released)
		drop(item);
	if (work->closing)
		return;
	start_waiting(work);
	work->done(work->data);
}

/* Puts those that wait on the threads that are free. */
static void start_waiting(struct bh_work *work)
{
	size_t running = 0;

	for (const struct item *item = work->items; item; item = item->next)
		running += item->state == STATE_RUNNING;
	for (struct item *item = work->items; item && running < BH_WORK_THREADS;
		item = item->next) {
		if (item->state != STATE_WAITING)
			continue;
		item->state = STATE_RUNNING;
		item->request.data = item;
		if (uv_queue_work(work->loop, &item->request, on_thread, on_done) < 0)
			abort(); /* it takes no resources that could be missing */
		running++;
	}
}

/* ---- Tickets --------------------------------------------------------------------------------- */

uint64_t bh_work_reserve(struct bh_work *work, const char *asker)
{
	struct item **last = &work->items;
	size_t all = 0, each = 0;
	struct item *item;

	for (; *last; last = &(*last)->next) {
		all++;
		each += strcmp((*last)->asker, asker) == 0;
	}
	if (all >= BH_WORK_ALL || each >= BH_WORK_EACH || work->closing)
		return 0;
	item = bh_xcalloc(1, sizeof(*item));
	item->work = work;
	item->ticket = ++work->last_ticket;
	snprintf(item->asker, sizeof(item->asker), "%s", asker);
	*last = item;
	return item->ticket;
}

void bh_work_begin(struct bh_work *work, uint64_t ticket, struct bh_task *task)
{
	struct item *item = find(work, ticket);

	assert(item && item->state == STATE_RESERVED);
	item->task = task;
	item->state = STATE_WAITING;
	start_waiting(work);
}

bool bh_work_begun(const struct bh_work *work, uint64_t ticket)
{
	const struct item *item = find(work, ticket);

	return item && item->state != STATE_RESERVED;
}

struct bh_task *bh_work_done(const struct bh_work *work, uint64_t ticket)
{
	const struct item *item = find(work, ticket);

	return item && item->state == STATE_DONE ? item->task : NULL;
}

void bh_work_release(struct bh_work *work, uint64_t ticket)
{
	struct item *item = find(work, ticket);

	if (!item)
		return;
	item->released = true;
	if (item->state != STATE_RUNNING)
		drop(item);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void drop_idle(struct bh_work *work)
{
	struct item *next;

	for (struct item *item = work->items; item; item = next) {
		next = item->next;
		if (item->state != STATE_RUNNING)
			drop(item);
	}
}

void bh_work_close(struct bh_work *work)
{
	if (!work)
		return;
	work->closing = true;
	drop_idle(work);
}

void bh_work_free(struct bh_work *work)
{
	if (!work)
		return;
	drop_idle(work);
	assert(!work->items);
	free(work);
}
