/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_MEMORY_H
#define BULKHEAD_MODEL_MEMORY_H

/*
 * Allocation that does not fail: without memory the process ends. A model or a program that is half
 * there would be worse than none, the kernel goes on enforcing what it was last told, and the
 * controller begins again from its sources. What a stranger can make us allocate is bounded
 * where it comes in.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *bh_xcheck(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

static inline void *bh_xcalloc(size_t n, size_t size)
{
	return bh_xcheck(calloc(n ? n : 1, size ? size : 1));
}

static inline void *bh_xreallocarray(void *pointer, size_t n, size_t size)
{
	return bh_xcheck(reallocarray(pointer, n ? n : 1, size ? size : 1));
}

static inline char *bh_xstrdup(const char *text)
{
	return bh_xcheck(strdup(text));
}

static inline char *__attribute__((format(printf, 1, 2))) bh_xasprintf(const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	return text;
}

/* Makes room for one more element of a growing array. */
#define bh_xgrow(array, n, capacity)                                                       \
	do {                                                                               \
		if ((n) == (capacity)) {                                                   \
			(capacity) = (capacity) ? (capacity)*2 : 8;                        \
			(array) = bh_xreallocarray((array), (capacity), sizeof(*(array))); \
		}                                                                          \
	} while (0)

#endif
