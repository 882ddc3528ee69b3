/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "controller/model/memory.h"
#include "proto/broker.h"
#include "proto/cleanup.h"

#define BROKER_TIMEOUT_MS 5000

/* ---- Through the broker -----------------------------------------------------------------------
 */

/* One reply: the descriptor, or -errno. */
static int receive(int broker)
{
	struct bh_broker_reply reply = {0};
	char control[CMSG_SPACE(sizeof(int) * 4)] __attribute__((aligned(8)));
	struct iovec iov = {.iov_base = &reply, .iov_len = sizeof(reply)};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = recvmsg(broker, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	_cleanup_close_ int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n_fds; i++) {
			if (fd >= 0)
				close(fd);
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		}
	}
	if (!n)
		return -ECONNRESET;
	if (n != sizeof(reply) || (!reply.error && fd < 0))
		return -EPROTO;
	if (reply.error)
		return reply.error < 4096 ? -(int)reply.error : -EPROTO;
	return bh_take_fd(fd);
}

static int await(int broker)
{
	struct pollfd ready = {.fd = broker, .events = POLLIN};
	int n;

	do {
		n = poll(&ready, 1, BROKER_TIMEOUT_MS);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int ask(int broker, char kind, const char *name)
{
	char request[BH_BROKER_REQUEST_MAX];
	size_t length = name ? strlen(name) : 0;

	if (length > (kind == BH_BROKER_NAMED ? BH_BROKER_PATH_MAX : BH_BROKER_NAME_MAX))
		return -ENAMETOOLONG;
	request[0] = kind;
	if (name)
		memcpy(request + 1, name, length);
	if (send(broker, request, 1 + length, MSG_NOSIGNAL) < 0)
		return -errno;
	int r = await(broker);

	if (!r)
		r = receive(broker);
	/* A reply that came late would be taken for the next one's: one file's content for
	 * another's. */
	if (r == -ETIMEDOUT || r == -EPROTO)
		shutdown(broker, SHUT_RDWR);
	return r;
}

/* ---- Directly ---------------------------------------------------------------------------------
 */

static int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int watch_folder(const char *path)
{
	_cleanup_close_ int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0 || inotify_add_watch(fd, path, BH_BROKER_INOTIFY_MASK) < 0)
		return -errno;
	return bh_take_fd(fd);
}

static int open_regular(int folder, const char *name)
{
	struct stat st;
	/* Not blocking: it may be a pipe somebody put there. */
	_cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? bh_take_fd(fd) : -EINVAL;
}

static int open_file(const char *path, const char *name)
{
	_cleanup_close_ int folder = open_folder(path);

	return folder < 0 ? folder : open_regular(folder, name);
}

static int open_beside(const char *path, const char *name)
{
	_cleanup_free_ char *copy = bh_xstrdup(path);

	return open_file(dirname(copy), name);
}

/* ---- Public -----------------------------------------------------------------------------------
 */

int bh_opener_list(const struct bh_opener *opener)
{
	return opener->broker < 0 ? open_folder(opener->path)
				  : ask(opener->broker, BH_BROKER_LIST, NULL);
}

int bh_opener_inotify(const struct bh_opener *opener)
{
	return opener->broker < 0 ? watch_folder(opener->path)
				  : ask(opener->broker, BH_BROKER_INOTIFY, NULL);
}

int bh_opener_open(const struct bh_opener *opener, const char *name)
{
	return opener->broker < 0 ? open_file(opener->path, name)
				  : ask(opener->broker, BH_BROKER_OPEN, name);
}

int bh_opener_file(const struct bh_opener *opener)
{
	return opener->broker < 0 ? open_regular(AT_FDCWD, opener->path)
				  : ask(opener->broker, BH_BROKER_KUBECONFIG, NULL);
}

int bh_opener_named(const struct bh_opener *opener, const char *path)
{
	return opener->broker < 0 ? open_beside(opener->path, path)
				  : ask(opener->broker, BH_BROKER_NAMED, path);
}
