/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_BROKER_H
#define BULKHEAD_SOURCE_BROKER_H

/*
 * The opener: how the manifests source gets at its folder. Either directly, by path, or through the
 * broker of `bulkhead up` (proto/broker.h), when the controller's user may not read the folder.
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

#endif
