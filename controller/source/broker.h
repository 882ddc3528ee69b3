/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_BROKER_H
#define BULKHEAD_SOURCE_BROKER_H

/*
 * The opener: how a source gets at its folder, or at its kubeconfig. Either directly, by path, or
 * through the broker of `bulkhead up` (proto/broker.h), when the controller's user may not read it.
 */

struct bh_opener {
	const char *path; /* for messages, and for opening directly */
	int broker;       /* connected SOCK_SEQPACKET socket, or -1: open directly. Borrowed */
};

/* Each returns a new descriptor (close-on-exec) or -errno. -ETIMEDOUT: the broker did not answer in
 * 5 s; it is not asked again, and every later call fails. */
int bh_opener_list(const struct bh_opener *opener);
int bh_opener_inotify(const struct bh_opener *opener);
int bh_opener_open(const struct bh_opener *opener, const char *name);

/* The file at the opener's path itself; and a file that its content names, relative to its folder.
 */
int bh_opener_file(const struct bh_opener *opener);
int bh_opener_named(const struct bh_opener *opener, const char *path);

#endif
