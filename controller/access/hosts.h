/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_ACCESS_HOSTS_H
#define BULKHEAD_ACCESS_HOSTS_H

/*
 * Where a request says it goes to and comes from. Pure.
 *
 * A page of a stranger can make a browser ask us under the stranger's own name, by letting that
 * name lead to our address (DNS rebinding): so names other than ours are refused. An address is
 * nobody's name: a browser that asks for one has gone there.
 */

#include <stdbool.h>
#include <stddef.h>

struct bh_hosts {
	size_t n;
	const char *const *names; /* besides localhost; any case */
};

/* True if `host`, the header of that name, is an address, localhost, or one of the names. */
bool bh_hosts_take(const struct bh_hosts *hosts, const char *host);

/* True if `origin`, the header of that name, is what our own page at `host` has. */
bool bh_origin_is_own(const char *origin, const char *host, bool tls);

#endif
