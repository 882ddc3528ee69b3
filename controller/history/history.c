/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The thread that knows the disk, and what goes to and fro: batches to be written, questions to be
 * answered, in the order they came. The caller's thread only ever takes the lock for as long as it
 * takes to put a job into a list.
 *
 * The thread has one store on disk, or in its stead one in memory, or both: then the disk can be
 * read and not written, and every question is answered from the two together.
 */

#include "controller/history/history.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "controller/history/recorder.h"
#include "controller/history/store.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"
#include "proto/log.h"

/* What is kept in memory while the disk cannot be written. */
#define MEMORY_BYTES (64ull * 1024 * 1024)
/* The disk is tried again so often. */
#define RETRY_MS 15000
#define HAND_OVER_MS (BH_HISTORY_SPAN_0 * 1000)
/* After the end of a span, so that what was seen in its last second has come. */
#define HAND_OVER_LATE_MS 1500
/* New names are written so long after they came, together. */
#define NAMES_MS 100
#define PROBLEMS_MAX 3

enum job_kind {
	JOB_WRITE,
	JOB_ASK,
};

struct job {
	enum job_kind kind;
	struct job *next;
	struct bh_batch *batch;
	/* A question's; its ticket's owner may have gone. */
	uint64_t ticket;
	struct bh_history_question question;
	void (*done)(void *data, uint64_t ticket);
	void *data;
	struct bh_gather *gather;
	const struct bh_history_answer *answer;
	bool released;
};

struct list {
	struct job *first;
	struct job *last;
};

/* What the thread says of itself, copied under the lock. */
struct standing {
	bool on_disk;
	bool begun_anew; /* names and counters are wanted once more */
	struct bh_store_state state;
	uint64_t written_ns;
	uint64_t write_us;
	size_t n_problems;
	struct bh_history_problem problems[PROBLEMS_MAX];
};

struct bh_history {
	struct bh_history_config config;
	char *path;
	struct bh_recorder *recorder;
	uint64_t hand_over_at; /* CLOCK_MONOTONIC, ms */
	uint64_t late;
	uint64_t next_ticket;
	size_t n_questions;
	struct list answered; /* the caller's */
	int event_fd;
	struct standing shown;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	struct list waiting;
	struct list finished;
	struct job *at_work;
	size_t n_writes; /* waiting or at work */
	bool ending;
	struct standing standing;
	struct bh_batch *found; /* read late: names for the caller; NULL: none */

	/* The thread's own. */
	struct bh_store *disk;
	struct bh_store *memory;
	uint64_t retry_at; /* ms */
	char *corrupt;     /* the problem that stays until the end: a file was moved aside */
	char *trouble;     /* the problem of now */
	bool begun_anew;
	bool unread; /* what the file holds was not known when recording began */
	uint64_t written_ns;
	uint64_t write_us;
};

static uint64_t clock_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void append(struct list *list, struct job *job)
{
	job->next = NULL;
	if (list->last)
		list->last->next = job;
	else
		list->first = job;
	list->last = job;
}

static struct job *take_first(struct list *list)
{
	struct job *job = list->first;

	if (job) {
		list->first = job->next;
		if (!list->first)
			list->last = NULL;
	}
	return job;
}

static void free_job(struct job *job)
{
	bh_batch_free(job->batch);
	bh_gather_free(job->gather);
	free(job);
}

/* ---- The disk, on the thread ----------------------------------------------------------------- */

static void set_text(char **at, char *text)
{
	free(*at);
	*at = text;
}

/* Moves what cannot be read out of the way, log and all, for someone to look at. */
static void move_aside(struct bh_history *history, const char *suffix)
{
	static const char *const parts[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		_cleanup_free_ char *from = bh_xasprintf("%s%s", history->path, parts[i]);
		_cleanup_free_ char *to = bh_xasprintf("%s.%s%s", history->path, suffix, parts[i]);

		if (rename(from, to) < 0 && errno != ENOENT)
			bh_warning("%s: cannot be moved aside: %s", from, strerror(errno));
	}
}

static void begin_anew(struct bh_history *history, int error, const char *why)
{
	const char *suffix = error == -EPROTO ? "newer" : "corrupt";

	bh_store_close(history->disk);
	history->disk = NULL;
	set_text(&history->corrupt,
		bh_xasprintf("%s cannot be used: %s; it is kept as %s.%s, and history begins anew",
			history->path, why, history->path, suffix));
	bh_error("%s", history->corrupt);
	move_aside(history, suffix);
}

static int open_disk(struct bh_history *history, char **ret_text)
{
	const struct bh_store_config config = {
		.path = history->path,
		.max_bytes = history->config.max_bytes,
		.keep_days = history->config.keep_days,
	};

	return bh_store_open(&config, &history->disk, ret_text);
}

/* True if there is a store on disk; a damaged one is replaced. */
static bool try_disk(struct bh_history *history)
{
	char *text = NULL;
	int r = open_disk(history, &text);

	if (r == -EBADMSG || r == -EPROTO) {
		begin_anew(history, r, text);
		set_text(&text, NULL);
		r = open_disk(history, &text);
	}
	if (r < 0)
		set_text(&history->trouble,
			bh_xasprintf(
				"%s cannot be opened: %s; history is kept in memory (64 MiB at "
				"most) until it can",
				history->path, text));
	free(text);
	return r == 0;
}

static void use_memory(struct bh_history *history)
{
	const struct bh_store_config config = {
		.max_bytes = MEMORY_BYTES, .keep_days = history->config.keep_days};
	_cleanup_free_ char *text = NULL;

	if (history->memory)
		return;
	history->retry_at = clock_ns(CLOCK_MONOTONIC) / 1000000 + RETRY_MS;
	if (bh_store_open(&config, &history->memory, &text) < 0)
		abort(); /* there is no memory */
}

/* After a failed write: what to do with the disk. True if it can be tried at once. */
static bool recover_disk(struct bh_history *history, int error)
{
	if (error == -EBADMSG) {
		begin_anew(history, error, bh_store_error(history->disk));
		if (!try_disk(history))
			return false;
		history->begun_anew = true;
		return true;
	}
	set_text(&history->trouble,
		bh_xasprintf("%s cannot be written: %s; history is kept in memory (64 MiB at most) "
			     "until it can",
			history->path, bh_store_error(history->disk)));
	return false;
}

/* ---- Jobs, on the thread --------------------------------------------------------------------- */

static void say_trouble(struct bh_history *history)
{
	if (history->trouble)
		bh_warning("%s", history->trouble);
}

/* The names in a file that could not be read at the start. */
static int read_late(struct bh_history *history)
{
	struct bh_batch *found = bh_xcalloc(1, sizeof(*found)), *before;
	int r = bh_store_load(history->disk, found);

	if (r < 0) {
		bh_batch_free(found);
		return r;
	}
	pthread_mutex_lock(&history->lock);
	before = history->found;
	history->found = found;
	pthread_mutex_unlock(&history->lock);
	bh_batch_free(before);
	return 0;
}

/* What was kept in memory goes to the disk, if that can be written again. */
static void return_to_disk(struct bh_history *history)
{
	int r;

	if (!history->memory || clock_ns(CLOCK_MONOTONIC) / 1000000 < history->retry_at)
		return;
	history->retry_at = clock_ns(CLOCK_MONOTONIC) / 1000000 + RETRY_MS;
	if (!history->disk && !try_disk(history))
		return;
	r = history->unread ? read_late(history) : 0;
	if (r == 0)
		r = bh_store_merge(history->disk, history->memory, history->unread);
	if (r < 0) {
		recover_disk(history, r);
		bh_debug("%s", history->trouble);
		return;
	}
	history->unread = false;
	bh_store_close(history->memory);
	history->memory = NULL;
	set_text(&history->trouble, NULL);
	bh_info("%s can be written again; nothing of the history was lost", history->path);
}

static int write_to(struct bh_store *store, const struct bh_batch *batch)
{
	int r = bh_store_write(store, batch);

	/* Full by our own bound: make room first, and then it fits. */
	if (r == -ENOSPC && bh_store_tidy(store, batch->time_ns / 1000000000) == 0)
		r = bh_store_write(store, batch);
	return r;
}

static void write_to_memory(struct bh_history *history, const struct bh_batch *batch)
{
	int r;

	use_memory(history);
	r = write_to(history->memory, batch);
	if (r < 0)
		bh_error("history in memory: %s", bh_store_error(history->memory));
	bh_store_tidy(history->memory, batch->time_ns / 1000000000);
}

static int write_to_disk(struct bh_history *history, const struct bh_batch *batch)
{
	int r = write_to(history->disk, batch);

	if (r < 0) {
		r = recover_disk(history, r) ? write_to(history->disk, batch) : r;
		say_trouble(history);
	}
	if (r < 0)
		return r;
	/* The batch is written, whatever becomes of this. */
	r = bh_store_tidy(history->disk, batch->time_ns / 1000000000);
	if (r < 0 && !recover_disk(history, r)) {
		say_trouble(history);
		use_memory(history);
	}
	return 0;
}

static void write_batch(struct bh_history *history, const struct bh_batch *batch)
{
	uint64_t begun = clock_ns(CLOCK_MONOTONIC);

	return_to_disk(history);
	/* While there is something in memory the disk waits for it: the order is kept. */
	if (!history->disk || history->memory || write_to_disk(history, batch) < 0)
		write_to_memory(history, batch);
	history->written_ns = batch->time_ns;
	history->write_us = (clock_ns(CLOCK_MONOTONIC) - begun) / 1000;
}

static void answer_question(struct bh_history *history, struct job *job)
{
	struct bh_store *stores[2] = {history->disk, history->memory};
	const char *text = "";
	int r = 0;

	job->gather = bh_gather_new(&job->question);
	for (int i = 0; i < 2 && r == 0; i++) {
		if (!stores[i])
			continue;
		r = bh_gather_from(job->gather, stores[i]);
		if (r < 0)
			text = r == -E2BIG ? "there is more in this window than one answer holds: "
					     "ask for a shorter one"
					   : bh_store_error(stores[i]);
	}
	job->answer = bh_gather_finish(job->gather, r, text);
	if (r == -EBADMSG && history->disk && !recover_disk(history, r))
		use_memory(history);
}

/* The questions to the disk are asked without the lock: nobody waits for them. */
static void tell_standing(struct bh_history *history)
{
	struct bh_store *store = history->disk ? history->disk : history->memory;
	struct standing now = {
		.on_disk = history->disk && !history->memory,
		.written_ns = history->written_ns,
		.write_us = history->write_us,
	};
	struct standing before;

	if (history->corrupt)
		now.problems[now.n_problems++] = (struct bh_history_problem){
			"history-corrupt", history->path, bh_xstrdup(history->corrupt)};
	if (history->trouble)
		now.problems[now.n_problems++] = (struct bh_history_problem){
			"history-unwritable", history->path, bh_xstrdup(history->trouble)};
	if (store)
		bh_store_state(store, &now.state);
	pthread_mutex_lock(&history->lock);
	before = history->standing;
	now.begun_anew = before.begun_anew || history->begun_anew;
	history->standing = now;
	pthread_mutex_unlock(&history->lock);
	history->begun_anew = false;
	for (size_t i = 0; i < before.n_problems; i++)
		free((char *)before.problems[i].text);
}

static void finish_job(struct bh_history *history, struct job *job)
{
	uint64_t one = 1;

	tell_standing(history);
	pthread_mutex_lock(&history->lock);
	history->at_work = NULL;
	if (job->kind == JOB_WRITE)
		history->n_writes--;
	else
		append(&history->finished, job);
	pthread_mutex_unlock(&history->lock);
	if (job->kind == JOB_WRITE)
		free_job(job);
	if (write(history->event_fd, &one, sizeof(one)) < 0)
		return; /* readable already */
}

static void *work(void *data)
{
	struct bh_history *history = data;

	for (;;) {
		struct job *job;

		pthread_mutex_lock(&history->lock);
		while (!history->waiting.first && !history->ending)
			pthread_cond_wait(&history->wake, &history->lock);
		job = take_first(&history->waiting);
		history->at_work = job;
		pthread_mutex_unlock(&history->lock);
		if (!job)
			return NULL;
		if (job->kind == JOB_WRITE)
			write_batch(history, job->batch);
		else
			answer_question(history, job);
		finish_job(history, job);
	}
}

/* ---- Open and close -------------------------------------------------------------------------- */

static void learn(struct bh_history *history)
{
	struct bh_batch known = {0};
	int r = history->disk ? bh_store_load(history->disk, &known) : 0;

	history->unread = !history->disk || (r < 0 && r != -EBADMSG);
	if (r == -EBADMSG) {
		begin_anew(history, r, bh_store_error(history->disk));
		if (!try_disk(history))
			use_memory(history);
	} else if (r < 0) {
		recover_disk(history, r);
		use_memory(history);
	} else {
		bh_recorder_load(history->recorder, &known);
		bh_names_recall(history->config.names, known.n_workloads, known.workloads,
			known.n_rules, known.rules);
	}
	bh_arena_clear(&known.arena);
}

struct bh_history *bh_history_open(const struct bh_history_config *config)
{
	struct bh_history *history = bh_xcalloc(1, sizeof(*history));

	history->config = *config;
	history->path = bh_xstrdup(config->path);
	history->recorder = bh_recorder_new();
	history->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (history->event_fd < 0)
		abort(); /* no file descriptors, at the start: nothing will work */
	if (!try_disk(history))
		use_memory(history);
	learn(history);
	say_trouble(history);
	pthread_mutex_init(&history->lock, NULL);
	pthread_cond_init(&history->wake, NULL);
	tell_standing(history);
	if (pthread_create(&history->thread, NULL, work, history) != 0)
		abort();
	bh_history_dispatch(history, clock_ns(CLOCK_MONOTONIC) / 1000000);
	return history;
}

static void free_list(struct list *list)
{
	struct job *job;

	while ((job = take_first(list)))
		free_job(job);
}

static void put_write(struct bh_history *history)
{
	struct bh_batch *batch = bh_recorder_take(history->recorder, clock_ns(CLOCK_REALTIME));
	struct job *job;

	if (bh_batch_is_empty(batch)) {
		bh_batch_free(batch);
		return;
	}
	job = bh_xcalloc(1, sizeof(*job));
	job->kind = JOB_WRITE;
	job->batch = batch;
	pthread_mutex_lock(&history->lock);
	append(&history->waiting, job);
	history->n_writes++;
	pthread_cond_signal(&history->wake);
	pthread_mutex_unlock(&history->lock);
}

void bh_history_close(struct bh_history *history)
{
	if (!history)
		return;
	put_write(history);
	pthread_mutex_lock(&history->lock);
	history->ending = true;
	pthread_cond_signal(&history->wake);
	pthread_mutex_unlock(&history->lock);
	pthread_join(history->thread, NULL);
	pthread_cond_destroy(&history->wake);
	pthread_mutex_destroy(&history->lock);
	free_list(&history->finished);
	free_list(&history->answered);
	bh_store_close(history->disk);
	bh_store_close(history->memory);
	for (size_t i = 0; i < history->standing.n_problems; i++)
		free((char *)history->standing.problems[i].text);
	for (size_t i = 0; i < history->shown.n_problems; i++)
		free((char *)history->shown.problems[i].text);
	bh_recorder_free(history->recorder);
	bh_batch_free(history->found);
	close(history->event_fd);
	free(history->corrupt);
	free(history->trouble);
	free(history->path);
	free(history);
}

/* ---- On the caller's thread ------------------------------------------------------------------ */

int bh_history_fd(const struct bh_history *history)
{
	return history->event_fd;
}

uint64_t bh_history_deadline(const struct bh_history *history)
{
	return history->hand_over_at;
}

/* Shortly after the next span of the wall clock begins. */
static uint64_t next_hand_over(uint64_t now)
{
	uint64_t real = clock_ns(CLOCK_REALTIME) / 1000000;

	return now + HAND_OVER_MS - (real - HAND_OVER_LATE_MS) % HAND_OVER_MS;
}

static void hand_over(struct bh_history *history, uint64_t now)
{
	bool busy;

	if (history->hand_over_at > now)
		return;
	history->hand_over_at = next_hand_over(now);
	pthread_mutex_lock(&history->lock);
	busy = history->n_writes != 0;
	pthread_mutex_unlock(&history->lock);
	if (busy)
		history->late++;
	else
		put_write(history);
}

static void show_standing(struct bh_history *history)
{
	for (size_t i = 0; i < history->shown.n_problems; i++)
		free((char *)history->shown.problems[i].text);
	pthread_mutex_lock(&history->lock);
	history->shown = history->standing;
	for (size_t i = 0; i < history->shown.n_problems; i++)
		history->shown.problems[i].text = bh_xstrdup(history->shown.problems[i].text);
	history->standing.begun_anew = false;
	pthread_mutex_unlock(&history->lock);
	if (history->shown.begun_anew)
		bh_recorder_repeat(history->recorder);
	history->shown.begun_anew = false;
}

static void take_found(struct bh_history *history)
{
	struct bh_batch *found;

	pthread_mutex_lock(&history->lock);
	found = history->found;
	history->found = NULL;
	pthread_mutex_unlock(&history->lock);
	if (found)
		bh_names_recall(history->config.names, found->n_workloads, found->workloads,
			found->n_rules, found->rules);
	bh_batch_free(found);
}

static void take_answers(struct bh_history *history)
{
	for (;;) {
		struct job *job;
		bool released;

		pthread_mutex_lock(&history->lock);
		job = take_first(&history->finished);
		released = job && job->released;
		pthread_mutex_unlock(&history->lock);
		if (!job)
			return;
		if (released) {
			history->n_questions--;
			free_job(job);
			continue;
		}
		append(&history->answered, job);
		if (job->done)
			job->done(job->data, job->ticket);
	}
}

void bh_history_dispatch(struct bh_history *history, uint64_t now)
{
	uint64_t count;

	if (read(history->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	show_standing(history);
	take_found(history);
	hand_over(history, now);
	take_answers(history);
}

void bh_history_record_edges(struct bh_history *history, const Bulkhead__Wire__EdgeBatch *batch)
{
	bh_recorder_edges(
		history->recorder, batch, clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_MONOTONIC));
}

void bh_history_record_flows(
	struct bh_history *history, const struct bh_flow_log *log, uint64_t *next)
{
	bh_recorder_flows(history->recorder, log, next);
}

void bh_history_record_losses(struct bh_history *history, uint64_t total)
{
	bh_recorder_losses(history->recorder, total);
}

void bh_history_record_names(struct bh_history *history, const struct bh_desired *desired,
	const struct bh_desired *before)
{
	uint64_t soon = clock_ns(CLOCK_MONOTONIC) / 1000000 + NAMES_MS;

	/* A name that is lost is lost for good, unlike a count. */
	if (bh_recorder_names(history->recorder, desired, before) && soon < history->hand_over_at)
		history->hand_over_at = soon;
}

/* ---- Questions ------------------------------------------------------------------------------- */

uint64_t bh_history_ask(struct bh_history *history, const struct bh_history_question *question,
	void (*done)(void *data, uint64_t ticket), void *data)
{
	struct job *job;

	if (history->n_questions >= BH_HISTORY_QUESTIONS)
		return 0;
	put_write(history);
	job = bh_xcalloc(1, sizeof(*job));
	job->kind = JOB_ASK;
	job->ticket = ++history->next_ticket;
	job->question = *question;
	if (!job->question.to_ns)
		job->question.to_ns = clock_ns(CLOCK_REALTIME) + 1;
	job->done = done;
	job->data = data;
	history->n_questions++;
	pthread_mutex_lock(&history->lock);
	append(&history->waiting, job);
	pthread_cond_signal(&history->wake);
	pthread_mutex_unlock(&history->lock);
	return job->ticket;
}

const struct bh_history_answer *bh_history_answer(const struct bh_history *history, uint64_t ticket)
{
	for (const struct job *job = history->answered.first; job; job = job->next) {
		if (job->ticket == ticket)
			return job->answer;
	}
	return NULL;
}

/* Marks a question that is not the caller's yet. */
static void mark_released(struct list *list, uint64_t ticket)
{
	for (struct job *job = list->first; job; job = job->next) {
		if (job->kind == JOB_ASK && job->ticket == ticket)
			job->released = true;
	}
}

void bh_history_release(struct bh_history *history, uint64_t ticket)
{
	struct list kept = {0};
	struct job *job;

	while ((job = take_first(&history->answered))) {
		if (job->ticket != ticket) {
			append(&kept, job);
			continue;
		}
		history->n_questions--;
		free_job(job);
	}
	history->answered = kept;
	pthread_mutex_lock(&history->lock);
	if (history->at_work && history->at_work->kind == JOB_ASK &&
		history->at_work->ticket == ticket)
		history->at_work->released = true;
	mark_released(&history->waiting, ticket);
	mark_released(&history->finished, ticket);
	pthread_mutex_unlock(&history->lock);
}

/* ---- How it stands --------------------------------------------------------------------------- */

void bh_history_status(struct bh_history *history, struct bh_history_status *ret_status)
{
	const struct standing *shown = &history->shown;
	struct bh_history_status status = {
		.path = history->path,
		.on_disk = shown->on_disk,
		.bytes = shown->state.bytes,
		.max_bytes = history->config.max_bytes,
		.keep_days = history->config.keep_days,
		.edges = shown->state.edges,
		.written_ns = shown->written_ns,
		.write_us = shown->write_us,
		.dropped = bh_recorder_dropped(history->recorder),
		.late = history->late,
		.n_problems = shown->n_problems,
		.problems = shown->problems,
	};

	for (int i = 0; i < BH_HISTORY_LEVELS; i++) {
		uint64_t since = shown->state.since_ns[i];

		status.since_level_ns[i] = since;
		if (since && (!status.since_ns || since < status.since_ns))
			status.since_ns = since;
	}
	*ret_status = status;
}
