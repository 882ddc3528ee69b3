/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_H
#define BULKHEAD_HISTORY_H

/*
 * What was seen, kept on disk: edges per span of time, conversations of pods, and the names of what
 * the numbers mean.
 *
 * The caller's thread never waits for the disk. It counts into tables in memory (bounded, because
 * what they hold is bounded), and every 15 seconds hands what is new to a worker thread, which
 * alone knows the database. While the worker is busy (a slow disk, a long question) nothing queues
 * up: the tables go on adding, and the next hand-over brings it all. Questions are answered by the
 * same thread, in the order they were asked.
 *
 * Exactness: edges come as cumulative counters of the kernel. What of them has been recorded is
 * written in the same transaction as the record itself, so after whatever kind of end the next
 * start adds what is missing, and nothing twice.
 *
 * When the database cannot be written (full disk, folder gone, corrupt file) recording goes on in
 * memory, `problems` says so, and what was kept in memory is written as soon as it can be.
 *
 * Driven by the caller's loop like the link: bh_history_dispatch() when bh_history_fd() is
 * readable and when bh_history_deadline() has come. `now` is CLOCK_MONOTONIC milliseconds; times in
 * nanoseconds are since 1970.
 */

#include "bulkhead.pb-c.h"
#include "controller/flows/log.h"
#include "controller/flows/names.h"
#include "controller/history/edge.h"

struct bh_history;

struct bh_history_config {
	const char *path;   /* of the database; its folder must exist */
	uint64_t max_bytes; /* on disk; what is oldest and finest goes first */
	uint32_t keep_days; /* hours' sums; finer ones are kept less long (BH_HISTORY_KEEP_…) */
	struct bh_names *names; /* learns what the database knows; borrowed */
};

#define BH_HISTORY_BYTES_DEFAULT (1024ull * 1024 * 1024)
#define BH_HISTORY_BYTES_MIN (16ull * 1024 * 1024)
#define BH_HISTORY_DAYS_DEFAULT 90u
#define BH_HISTORY_DAYS_MAX 3650u

/* The spans that are summed up, in seconds, and how long they are kept at most. */
#define BH_HISTORY_LEVELS 3
#define BH_HISTORY_SPAN_0 15u
#define BH_HISTORY_SPAN_1 300u
#define BH_HISTORY_SPAN_2 3600u
#define BH_HISTORY_KEEP_0 (6 * 3600u)
#define BH_HISTORY_KEEP_1 (7 * 86400u)

/*
 * Opens it, or begins it. Never fails for what the disk says: then it is kept in memory. Waits for
 * the disk once, before the caller's loop begins. Ends with bh_history_close(), which writes what
 * is left.
 */
struct bh_history *bh_history_open(const struct bh_history_config *config);
void bh_history_close(struct bh_history *history);

int bh_history_fd(const struct bh_history *history);
uint64_t bh_history_deadline(const struct bh_history *history); /* 0: none */
void bh_history_dispatch(struct bh_history *history, uint64_t now);

/* ---- Recording ------------------------------------------------------------------------------- */

/* The kernel's counters, as they come. */
void bh_history_record_edges(struct bh_history *history, const Bulkhead__Wire__EdgeBatch *batch);

/* What the log has from `*next` on, and that so many records were lost; moves *next. */
void bh_history_record_flows(
	struct bh_history *history, const struct bh_flow_log *log, uint64_t *next);

/* How many records the kernel had no room for, in all, as the data plane last said. */
void bh_history_record_losses(struct bh_history *history, uint64_t total);

/* The names of a compilation: those that are new are kept. `before`: one that was given already, or
 * NULL. */
void bh_history_record_names(struct bh_history *history, const struct bh_desired *desired,
	const struct bh_desired *before);

/* ---- Asking ---------------------------------------------------------------------------------- */

enum bh_history_subject {
	BH_HISTORY_EDGES,  /* every edge of the window: answer.edges */
	BH_HISTORY_SERIES, /* one conversation over time: answer.points */
	BH_HISTORY_PODS,   /* conversations of pods, from records: answer.pods */
	BH_HISTORY_BOTH,   /* edges and pods of one window */
};

struct bh_history_question {
	enum bh_history_subject subject;
	uint64_t from_ns;
	uint64_t to_ns; /* exclusive; 0: now, with what was counted this moment */
	/* Series: the conversation, and how many points at most (0: as fine as there are). */
	uint32_t client;
	uint32_t server;
	uint8_t protocol;
	uint16_t port;
	size_t max_points;
};

/*
 * Two pods, as flow records tell it: what records were lost is missing here. An end that is no pod
 * has namespace "" and the address block it is counted in as name ("203.0.113.7/32"; a wider one
 * when there were too many).
 */
struct bh_history_pod {
	uint32_t client; /* workloads */
	uint32_t server;
	const char *client_namespace;
	const char *client_pod;
	const char *server_namespace;
	const char *server_pod;
	uint8_t protocol;
	uint16_t port;
	enum bh_flow_verdict verdict;
	uint64_t began; /* records of flows that began, ended, … with this verdict */
	uint64_t ended;
	uint64_t denials;    /* packets, those that were not reported one by one included */
	uint64_t packets[2]; /* of flows that ended, or last: as told by now */
	uint64_t octets[2];
	uint64_t first_ns;
	uint64_t last_ns;
};

struct bh_history_answer {
	int error;        /* 0 or -errno; -E2BIG: more than BH_HISTORY_ROWS_MAX */
	const char *text; /* of the error, one line */
	/* The window as it was answered: widened to whole spans of what is kept of that time. */
	uint64_t from_ns;
	uint64_t to_ns;
	uint64_t resolution_ns; /* the longest span that took part */
	uint64_t since_ns;      /* when history begins; 0: there is none yet */
	uint64_t lost;          /* flow records of the window that were lost */
	size_t n_edges;         /* by bh_history_compare() */
	const struct bh_history_edge *edges;
	size_t n_points; /* by time */
	const struct bh_history_point *points;
	size_t n_pods; /* by client, server, protocol, port, verdict */
	const struct bh_history_pod *pods;
};

#define BH_HISTORY_ROWS_MAX 500000

/*
 * Asks. `done` (may be NULL) is called from bh_history_dispatch() when the answer is there. What is
 * counted but not written yet is in the answer. Returns a ticket, never 0; or 0 if
 * BH_HISTORY_QUESTIONS are under way already. Every ticket is given back with bh_history_release(),
 * answered or not; `done` is not called afterwards.
 */
#define BH_HISTORY_QUESTIONS 64
uint64_t bh_history_ask(struct bh_history *history, const struct bh_history_question *question,
	void (*done)(void *data, uint64_t ticket), void *data);

/* NULL: not yet. Valid until the ticket is released. */
const struct bh_history_answer *bh_history_answer(
	const struct bh_history *history, uint64_t ticket);
void bh_history_release(struct bh_history *history, uint64_t ticket);

/* ---- How it stands --------------------------------------------------------------------------- */

struct bh_history_problem {
	const char *code;   /* "history-unwritable", "history-corrupt", … */
	const char *object; /* the file */
	const char *text;
};

struct bh_history_status {
	const char *path;
	bool on_disk;                               /* false: in memory for now */
	uint64_t since_ns;                          /* the oldest there is; 0: nothing yet */
	uint64_t since_level_ns[BH_HISTORY_LEVELS]; /* … per span length */
	uint64_t bytes;                             /* on disk, or in memory */
	uint64_t max_bytes;
	uint32_t keep_days;
	uint64_t edges;      /* distinct ones */
	uint64_t written_ns; /* when it was last written */
	uint64_t write_us;   /* what that took */
	uint64_t dropped;    /* rows given up because memory was full too */
	uint64_t late;       /* hand-overs that found the worker still busy */
	size_t n_problems;
	const struct bh_history_problem *problems;
};

/* Points into the history; valid until the next bh_history_dispatch(). */
void bh_history_status(struct bh_history *history, struct bh_history_status *ret_status);

#endif
