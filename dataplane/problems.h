/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_PROBLEMS_H
#define BULKHEAD_DATAPLANE_PROBLEMS_H

/*
 * What the operator has to know or mend, until it is over. A source that looks at everything each
 * time brackets its look with begin and end: what it did not find again is over. What happened
 * once (a repair) is noted for a while instead. Named by (code, object), so nothing is listed
 * twice.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_PROBLEMS_MAX 256 /* more are counted in one closing problem */

enum bh_problem_source {
	BH_SOURCE_NOTES = 0, /* each with its own end */
	BH_SOURCE_OBJECT,
	BH_SOURCE_ATTACH,
	BH_SOURCE_CHECK,
	BH_SOURCE_ENDPOINTS,
	BH_SOURCE_MAPS,
	BH_SOURCE_HOLD,
	BH_SOURCE_REDIRECTS,
	BH_SOURCE_LEAVING,
	BH_SOURCE_MARKS,
	BH_SOURCES,
};

struct bh_problem {
	enum bh_problem_source source;
	char code[32];
	char object[128];
	char text[512];
	uint64_t until_ms; /* notes only */
	bool seen;         /* since begin */
	bool told;         /* logged */
};

struct bh_problems {
	struct bh_problem list[BH_PROBLEMS_MAX];
	size_t n;
	uint64_t dropped; /* since begin of any source, for lack of room */
	uint64_t version; /* moves with every change */
};

void bh_problems_begin(struct bh_problems *problems, enum bh_problem_source source);
void bh_problems_end(struct bh_problems *problems, enum bh_problem_source source);

void bh_problems_add(struct bh_problems *problems, enum bh_problem_source source, const char *code,
	const char *object, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A problem that is over after `ms` milliseconds unless it comes again. */
void bh_problems_note(struct bh_problems *problems, uint64_t ms, const char *code,
	const char *object, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Removes one that is over. */
void bh_problems_clear(struct bh_problems *problems, enum bh_problem_source source,
	const char *code, const char *object);

/* Drops notes whose time is over. */
void bh_problems_expire(struct bh_problems *problems);

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t bh_now_ms(void);

#endif
