/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_ROTATING_H
#define BULKHEAD_EXPORT_ROTATING_H

/*
 * A file of lines that never holds half a line, and is set aside before it grows too large or too
 * old: FILE becomes FILE.1, that one FILE.2, and so on; beyond max_files they are removed. It may
 * also be renamed or removed by others: then a new one is begun.
 *
 * Everything here blocks; it is called from a thread that may.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_rotating_config {
	const char *path;
	uint64_t max_bytes;     /* a line that is longer has a file of its own */
	unsigned int max_files; /* that are set aside; 0: none is kept */
	uint64_t max_age_s;     /* of the file that is written; 0: any */
	bool sync;              /* a line counts as written when the disk has it */
};

struct bh_rotating;

/* The path is copied. Nothing is opened before the first write. */
struct bh_rotating *bh_rotating_new(const struct bh_rotating_config *config);
void bh_rotating_free(struct bh_rotating *file);

/*
 * Writes lines, each with its newline. Returns 0, or -errno of what failed; *ret_written says in
 * both cases how many bytes, whole lines, are in the file for good. The rest is not in it.
 */
int bh_rotating_write(
	struct bh_rotating *file, const char *lines, size_t n, uint64_t now_s, size_t *ret_written);

/* Files opened so far. */
uint64_t bh_rotating_opened(const struct bh_rotating *file);

#endif
