/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <nng/nng.h>

#include "proto/cleanup.h"
#include "proto/socket.h"

int bh_socket_url(const char *path, char *ret_url, size_t size)
{
	int n = snprintf(ret_url, size, "ipc://%s", path);

	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path) || n < 0 ||
		(size_t)n >= size)
		return -ENAMETOOLONG;
	return 0;
}

int bh_socket_remove_leftover(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	struct stat status;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int bh_socket_errno(int nng_error)
{
	if (nng_error == 0)
		return 0;
	if (nng_error & NNG_ESYSERR)
		return -(nng_error & ~NNG_ESYSERR);
	switch (nng_error) {
	case NNG_ENOMEM:
		return -ENOMEM;
	case NNG_EADDRINUSE:
		return -EADDRINUSE;
	case NNG_EPERM:
		return -EACCES;
	case NNG_ENOENT:
		return -ENOENT;
	case NNG_EINVAL:
	case NNG_EADDRINVAL:
		return -EINVAL;
	case NNG_ENOFILES:
		return -EMFILE;
	}
	return -EIO;
}

/*
 * In front of libc's own, for libnng. nng 1.5 takes EPIPE for the closing of its own listener: a
 * client that connects and leaves before nng has written its greeting (a probe, a killed process)
 * would make it stop accepting for good. Any other error makes it accept the next one, and
 * ECONNRESET is as true.
 */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t n = syscall(SYS_sendmsg, fd, message, flags);

	if (n < 0 && errno == EPIPE)
		errno = ECONNRESET;
	return n;
}
