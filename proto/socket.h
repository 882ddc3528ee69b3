/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_SOCKET_H
#define BULKHEAD_PROTO_SOCKET_H

/* What every listener on a unix socket of the run directory needs. */

#include <stddef.h>
#include <sys/types.h>

/* Writes nng's address of the socket file. Returns 0, or -ENAMETOOLONG (107 bytes of path is most).
 */
int bh_socket_url(const char *path, char *ret_url, size_t size);

/*
 * Removes the socket file that a process which is gone left behind. Returns 0, -EADDRINUSE when
 * somebody listens there, -EEXIST when it is no socket, or another -errno.
 */
int bh_socket_remove_leftover(const char *path);

/* -errno for an nng error. */
int bh_socket_errno(int nng_error);

#endif
