/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_CLEANUP_H
#define BULKHEAD_PROTO_CLEANUP_H

/* Scope-bound ownership: `_cleanup_(fn) T x` calls fn(&x) when x leaves its scope. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(bh_cleanup_free)
#define _cleanup_close_ _cleanup_(bh_cleanup_close)
#define _cleanup_fclose_ _cleanup_(bh_cleanup_fclose)

static inline void bh_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void bh_cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void bh_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* Hands the value on and disarms the cleanup. */
#define bh_take_pointer(pointer)                        \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})
#define bh_take_fd(fd)             \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#endif
