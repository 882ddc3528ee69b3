/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_PIDFILE_H
#define BULKHEAD_PROTO_PIDFILE_H

/*
 * A file that says who runs, and is locked (fcntl(2)) for as long as that process lives: the lock,
 * not the number in it, is the truth. A file left over by a killed process is simply not locked.
 */

#include <sys/types.h>

/*
 * Takes the lock and writes this process's number. Returns 0 and *ret_fd, which stays open as long
 * as the lock is wanted (and no other descriptor of the file may be closed meanwhile); -EALREADY
 * and *ret_holder when another process has it; or another -errno.
 */
int bh_pidfile_take(const char *path, int *ret_fd, pid_t *ret_holder);

/* Returns 0 and the process that holds the lock, -ESRCH when nobody does, or another -errno. */
int bh_pidfile_holder(const char *path, pid_t *ret_holder);

#endif
