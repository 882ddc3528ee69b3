/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_PRIVILEGES_H
#define BULKHEAD_DATAPLANE_PRIVILEGES_H

/*
 * What root may do and this daemon need not. After bh_privileges_drop() the process has CAP_BPF,
 * CAP_NET_ADMIN and CAP_SYS_ADMIN and can gain no other.
 *
 * One thing has to come later and needs more: the socket is given to the controller's user, and the
 * library behind it starts threads that must not inherit what we drop. So a thread is started first
 * that keeps everything, does this one thing when it is told to, and ends.
 */

#include <pthread.h>
#include <semaphore.h>

#include "dataplane/why.h"

struct bh_privileged {
	pthread_t thread;
	sem_t go;
	int (*act)(void *arg);
	void *arg;
	int result;
};

/* Starts the thread that keeps its privileges. Returns 0 or -errno. */
int bh_privileges_keep(struct bh_privileged *kept);

/* Lets it do `act` (NULL: nothing) and ends it. Returns what `act` returned. */
int bh_privileges_use(struct bh_privileged *kept, int (*act)(void *arg), void *arg);

/* For the calling thread and those it will start. Returns 0 or -errno. */
int bh_privileges_drop(struct bh_why *why);

#endif
