/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_KERNEL_H
#define BULKHEAD_BPF_KERNEL_H

/* What every BPF file needs: UAPI types, helpers, and a handful of idioms. */

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include <stdbool.h>

#include "bulkhead/abi.h"

#define bh_likely(x) __builtin_expect(!!(x), 1)
#define bh_unlikely(x) __builtin_expect(!!(x), 0)

/* One load, not repeated and not moved across another: what the dataplane stores while we run. */
#define BH_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))

#ifndef memcpy
#define memcpy(d, s, n) __builtin_memcpy((d), (s), (n))
#endif
#ifndef memset
#define memset(d, c, n) __builtin_memset((d), (c), (n))
#endif

static __always_inline __u32 bh_load32(const void *p)
{
	return *(const __u32 *)p;
}

static __always_inline __u16 bh_load16(const void *p)
{
	return *(const __u16 *)p;
}

static __always_inline bool bh_equal6(const void *a, const void *b)
{
	const __u8 *x = a, *y = b;

	return bh_load16(x) == bh_load16(y) && bh_load16(x + 2) == bh_load16(y + 2) &&
	       bh_load16(x + 4) == bh_load16(y + 4);
}

static __always_inline bool bh_equal16(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

#endif
