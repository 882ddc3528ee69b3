/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_LISTEN_H
#define BULKHEAD_PROTO_LISTEN_H

/* Where a server is told to listen. */

#include <stdbool.h>

#define BH_LISTEN_ADDRESS_MAX 46

/*
 * Reads "ADDRESS:PORT", "[ADDRESS6]:PORT". Returns 0, or -EINVAL. *ret_port may be 0: any that is
 * free.
 */
int bh_listen_parse(
	const char *text, char ret_address[BH_LISTEN_ADDRESS_MAX], unsigned int *ret_port);
/* True if nobody outside this machine can reach that address. */
bool bh_address_is_loopback(const char *address);

#endif
