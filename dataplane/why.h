/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_WHY_H
#define BULKHEAD_DATAPLANE_WHY_H

/*
 * The sentence that goes with an errno: which object, and what is wrong with it. The layers below
 * main never log; they fill one of these and return, and whoever has to tell somebody tells it
 * once.
 */

#include <stddef.h>
#include <stdint.h>

struct bh_why {
	char text[512];
};

/* Fills `why` (may be NULL) with one line and returns `error`, so that a caller can return it on.
 */
int bh_fail(struct bh_why *why, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Room for any address, "/128" included. */
#define BH_IP_TEXT 64

/* "10.0.0.1" or "2001:db8::1" of a family (4 or 6) and its bytes; returns `text`. */
const char *bh_ip_text(uint8_t family, const void *ip, char text[BH_IP_TEXT]);

#endif
