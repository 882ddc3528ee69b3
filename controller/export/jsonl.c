/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/jsonl.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "controller/export/hubble.h"
#include "controller/model/memory.h"

/* Lines gather for so long, or until there are so many bytes of them. */
#define GATHER_MS 200
#define GATHER_BYTES (256u * 1024)
#define RETRY_MS 1000
/*
 * Of one write. The loop hears of its end once a turn, and a turn may bring four thousand lines, 5
 * MB: with less than that in one write the queue overflows while nobody has anything to do (of
 * 100,000 flows a second one in a hundred was written with 1 MiB).
 */
#define WRITE_BYTES_MAX (16u * 1024 * 1024)

struct bh_jsonl {
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_work_t work;
	struct bh_export_account account;
	struct bh_rotating *file;
	struct bh_text waiting;
	struct bh_text writing; /* the thread's while `busy`, otherwise what it did not write */
	size_t queue_bytes;
	uint64_t instance;
	bool full;  /* since something did not fit, until half of the queue was written */
	bool armed; /* the timer */
	bool busy;
	bool closing;
	void (*changed)(void *data);
	void *data;
	/* The thread's answer. */
	size_t written;
	int result;
	atomic_bool answered; /* both are there */
};

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- The other thread ------------------------------------------------------------------------ */

static void write_lines(uv_work_t *work)
{
	struct bh_jsonl *jsonl = work->data;

	jsonl->result = bh_rotating_write(
		jsonl->file, jsonl->writing.data, jsonl->writing.n, now_s(), &jsonl->written);
	atomic_store(&jsonl->answered, true);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static uint64_t count_lines(const char *bytes, size_t n)
{
	uint64_t lines = 0;

	for (const char *at = bytes; n && (at = memchr(at, '\n', n - (size_t)(at - bytes))); at++)
		lines++;
	return lines;
}

/* Up to WRITE_BYTES_MAX of what waits, whole lines. */
static void take_waiting(struct bh_jsonl *jsonl)
{
	struct bh_text *waiting = &jsonl->waiting, all = jsonl->waiting;
	const char *newline;
	size_t n;

	if (all.n <= WRITE_BYTES_MAX) {
		*waiting = jsonl->writing; /* empty, with the room it had */
		jsonl->writing = all;
		return;
	}
	newline = memrchr(waiting->data, '\n', WRITE_BYTES_MAX);
	n = (size_t)(newline - waiting->data) + 1;
	bh_text_add_bytes(&jsonl->writing, waiting->data, n);
	bh_text_drop(waiting, n);
}

/* What waits, without what is in the file already and only not settled: a turn is long. */
static size_t backlog(const struct bh_jsonl *jsonl)
{
	bool answered = jsonl->busy && atomic_load(&jsonl->answered);

	return jsonl->waiting.n + jsonl->writing.n - (answered ? jsonl->written : 0);
}

static void settle(struct bh_jsonl *jsonl)
{
	struct bh_export_account *account = &jsonl->account;
	bool failed = account->failing_since_ns;

	bh_export_deliver(
		account, count_lines(jsonl->writing.data, jsonl->written), jsonl->written);
	bh_text_drop(&jsonl->writing, jsonl->written);
	/* Half the queue is to be free before it is well again: it would be said at every write. */
	if (jsonl->written && backlog(jsonl) <= jsonl->queue_bytes / 2)
		jsonl->full = false;
	account->begun = bh_rotating_opened(jsonl->file);
	if (jsonl->result < 0)
		bh_export_fail(account, "cannot be written: %s", strerror(-jsonl->result));
	else if (!jsonl->full)
		bh_export_recover(account);
	if (failed != (account->failing_since_ns != 0))
		jsonl->changed(jsonl->data);
}

static void schedule(struct bh_jsonl *jsonl);

static void written(uv_work_t *work, int status)
{
	struct bh_jsonl *jsonl = work->data;

	jsonl->busy = false;
	if (status == UV_ECANCELED) /* it never ran */
		return;
	settle(jsonl);
	if (!jsonl->closing)
		schedule(jsonl);
}

static void begin(struct bh_jsonl *jsonl)
{
	if (jsonl->writing.n == 0)
		take_waiting(jsonl);
	jsonl->written = 0;
	atomic_store(&jsonl->answered, false);
	jsonl->busy = true;
	uv_queue_work(jsonl->loop, &jsonl->work, write_lines, written);
}

static void on_timer(uv_timer_t *timer)
{
	struct bh_jsonl *jsonl = timer->data;

	jsonl->armed = false;
	begin(jsonl);
}

static void arm(struct bh_jsonl *jsonl, uint64_t ms)
{
	jsonl->armed = true;
	uv_timer_start(&jsonl->timer, on_timer, ms, 0);
}

/* Decides when the next write begins. */
static void schedule(struct bh_jsonl *jsonl)
{
	if (jsonl->busy || (jsonl->waiting.n == 0 && jsonl->writing.n == 0))
		return;
	if (jsonl->writing.n) {
		if (!jsonl->armed)
			arm(jsonl, RETRY_MS);
	} else if (jsonl->waiting.n >= GATHER_BYTES || jsonl->waiting.n >= jsonl->queue_bytes / 4) {
		uv_timer_stop(&jsonl->timer);
		jsonl->armed = false;
		begin(jsonl);
	} else if (!jsonl->armed) {
		arm(jsonl, GATHER_MS);
	}
}

bool bh_jsonl_is_full(const struct bh_jsonl *jsonl)
{
	return jsonl->full;
}

static void lose(struct bh_jsonl *jsonl)
{
	bh_export_lose(&jsonl->account, 1, BH_EXPORT_LOSS_QUEUE_FULL);
	if (jsonl->account.failing_since_ns)
		return;
	bh_export_fail(&jsonl->account, "more comes than can be written");
	jsonl->changed(jsonl->data);
}

void bh_jsonl_lose(struct bh_jsonl *jsonl)
{
	bh_export_emit(&jsonl->account, 1);
	lose(jsonl);
}

void bh_jsonl_add(struct bh_jsonl *jsonl, const struct bh_export_flow *flow)
{
	size_t before = jsonl->waiting.n;

	bh_export_emit(&jsonl->account, 1);
	bh_hubble_line(&jsonl->waiting, flow, jsonl->instance);
	if (backlog(jsonl) > jsonl->queue_bytes) {
		jsonl->waiting.n = before;
		jsonl->full = jsonl->waiting.n || jsonl->writing.n;
		lose(jsonl);
	}
	schedule(jsonl);
}

const struct bh_export_account *bh_jsonl_account(const struct bh_jsonl *jsonl)
{
	return &jsonl->account;
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct bh_jsonl *bh_jsonl_new(uv_loop_t *loop, const struct bh_rotating_config *config,
	size_t queue_bytes, uint64_t instance, void (*changed)(void *data), void *data)
{
	struct bh_jsonl *jsonl = bh_xcalloc(1, sizeof(*jsonl));

	jsonl->loop = loop;
	jsonl->queue_bytes = queue_bytes;
	jsonl->instance = instance;
	jsonl->changed = changed;
	jsonl->data = data;
	jsonl->file = bh_rotating_new(config);
	bh_export_account_init(&jsonl->account, "json", config->path);
	uv_timer_init(loop, &jsonl->timer);
	jsonl->timer.data = jsonl;
	jsonl->work.data = jsonl;
	return jsonl;
}

void bh_jsonl_close(struct bh_jsonl *jsonl)
{
	if (!jsonl)
		return;
	jsonl->closing = true;
	uv_close((uv_handle_t *)&jsonl->timer, NULL);
}

void bh_jsonl_finish(struct bh_jsonl *jsonl)
{
	if (jsonl->waiting.n) {
		bh_text_add_bytes(&jsonl->writing, jsonl->waiting.data, jsonl->waiting.n);
		jsonl->waiting.n = 0;
	}
	if (jsonl->writing.n) {
		jsonl->written = 0;
		write_lines(&jsonl->work);
		settle(jsonl);
	}
	bh_export_lose(&jsonl->account, bh_export_queued(&jsonl->account), BH_EXPORT_LOSS_ENDED);
}

void bh_jsonl_free(struct bh_jsonl *jsonl)
{
	if (!jsonl)
		return;
	bh_rotating_free(jsonl->file);
	bh_text_clear(&jsonl->waiting);
	bh_text_clear(&jsonl->writing);
	bh_export_account_clear(&jsonl->account);
	free(jsonl);
}
