/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_BROKER_H
#define BULKHEAD_PROTO_BROKER_H

/*
 * How the controller, an ordinary user, reads a folder that only root may read: `bulkhead up` keeps
 * one end of a connected AF_UNIX SOCK_SEQPACKET pair and opens files on request; the controller
 * inherits the other end as a file descriptor. The folder is fixed when `up` starts: a request
 * names a file in it, never a path, so a taken-over controller can read that folder and nothing
 * else.
 *
 * One request at a time, one packet each; every request is answered by exactly one packet.
 *
 *   request   byte 0: the kind below. BH_BROKER_OPEN: the file's name follows, 1 to
 *             BH_BROKER_NAME_MAX bytes, no terminating zero. The others: nothing follows.
 *   reply     struct bh_broker_reply. With error 0 exactly one descriptor comes along (SCM_RIGHTS);
 *             otherwise none, and error is the positive errno.
 *
 * Kinds
 *   'L'  a fresh O_RDONLY | O_DIRECTORY | O_CLOEXEC descriptor of the folder, for listing. The path
 *        is opened anew each time: the folder may have been replaced.
 *   'I'  an inotify descriptor (IN_NONBLOCK | IN_CLOEXEC) that watches the folder for
 *        BH_BROKER_INOTIFY_MASK. A new instance each time.
 *   'O'  the file of that name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, opened relative to
 * the folder's path as it is now. Symbolic links are followed (a mounted ConfigMap is made of
 *        them). A name that is empty, ".", "..", too long, or holds a slash or a zero byte is
 * EINVAL; what is not a regular file is EINVAL too.
 *
 * For the API server as a source the broker serves one kubeconfig instead of a folder:
 *
 *   'K'  the kubeconfig, opened as with 'O', by its path as it is now
 *   'F'  a file the kubeconfig names: the text of a certificate-authority, client-certificate,
 *        client-key or tokenFile follows, 1 to BH_BROKER_PATH_MAX bytes, as it is written there; a
 *        relative path is relative to the kubeconfig's folder. Anything else is EACCES: a
 *        taken-over controller gets what root wrote into the kubeconfig, and nothing else.
 *
 * Anything else is EINVAL. The server ends when its peer closes the socket; it never blocks on a
 * slow peer for longer than one reply.
 */

#include <stdint.h>
#include <sys/inotify.h>

#define BH_BROKER_LIST 'L'
#define BH_BROKER_INOTIFY 'I'
#define BH_BROKER_OPEN 'O'
#define BH_BROKER_KUBECONFIG 'K'
#define BH_BROKER_NAMED 'F'

#define BH_BROKER_NAME_MAX 255
#define BH_BROKER_PATH_MAX 1023
#define BH_BROKER_REQUEST_MAX (1 + BH_BROKER_PATH_MAX)

#define BH_BROKER_INOTIFY_MASK                                                                   \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF | \
		IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR)

struct bh_broker_reply {
	uint32_t error; /* 0, or a positive errno */
};

#endif
