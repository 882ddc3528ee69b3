/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_BENCH_H
#define BULKHEAD_BENCH_H

/*
 * Cases and their samples. A case is one program in one situation; a sample is the processor time
 * of one run of it, per packet.
 */

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/send.h"

#define BENCH_ROUNDS_MAX 500
/* Distinct packets that most walks are over; as many new flows as the half-open table has room for
 * twice. */
#define BENCH_WALK 8192

enum bench_kind {
	BENCH_EMPTY, /* floors: nothing, … */
	BENCH_TUPLE,
	BENCH_LOOKUP, /* … and what the real ones are compared with */
	BENCH_INSERT,
	BENCH_REAL,
};

struct bench_case {
	const char *name;
	enum bench_kind kind;
	unsigned flows; /* walked over, one packet of each in turn; 0: the same packet over and over
			 */
	bool blocks;    /* address blocks are in use */
	uint32_t program;
	const struct party *peer;
	/* Makes the situation before each sample, not timed; may be NULL. */
	void (*before)(const struct bench_case *c);
	/* Runs it; returns nanoseconds of processor time per packet. */
	double (*sample)(const struct bench_case *c, unsigned scale);
	double samples[BENCH_ROUNDS_MAX];
	bool left_out; /* not asked for */
};

extern struct bench_case bench_cases[];
extern const unsigned bench_n_cases;

/* Opens the programs, the floors and the maps. Returns 0 or -errno. */
int bench_open(void);
void bench_close(void);

/* ---- Running one sample (run.c) ---- */

int bench_run_open(void);
void bench_run_close(void);
/* A floor's program, its table of so many flows, and the table that is inserted into. */
int bench_floor_fd(enum bench_kind kind);
int bench_floor_table(void);
int bench_insert_table(void);

/* Nanoseconds a packet: `n` times one packet; and `n` times the next of `flows`. Ends the program
 * where the answer is not `wanted`. */
double bench_still(
	int program, const struct party *pod, const struct frame *f, unsigned n, int wanted);
double bench_walk(int program, const struct party *pod, const struct frame *f, unsigned flows,
	unsigned n, int wanted);

#endif
