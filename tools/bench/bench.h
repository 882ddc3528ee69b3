/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_BENCH_H
#define BULKHEAD_BENCH_H

/*
 * Cases and their samples. A case is one program in one situation; a sample is the processor time
 * of one run of it, per packet.
 */

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 500
/* Distinct packets of a walking case; must be what tools/bench/floor.bpf.c walks. */
#define BENCH_PORTS 8192

enum bench_floor {
	FLOOR_NONE,  /* it is a floor itself */
	FLOOR_STILL, /* beside the programs that see one packet over and over */
	FLOOR_WALK,  /* beside those that walk over BENCH_PORTS packets */
};

struct bench_case {
	const char *name;
	enum bench_floor floor;
	/* Makes the situation before each sample, not timed; may be NULL. */
	void (*before)(void);
	/* Runs it; returns nanoseconds of processor time per packet. */
	double (*sample)(unsigned scale);
	double samples[BENCH_ROUNDS_MAX];
};

extern struct bench_case bench_cases[];
extern const unsigned bench_n_cases;

/* Opens the programs, the floors and the maps. Returns 0 or -errno. */
int bench_open(void);
void bench_close(void);

#endif
