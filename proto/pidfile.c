/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/pidfile.h"

/* The run directory may be writable by the controller's user: links are not followed. */
#define OPEN_FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

static int open_regular(const char *path, int flags)
{
	_cleanup_close_ int fd = open(path, flags | OPEN_FLAGS, 0644);
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? bh_take_fd(fd) : -EINVAL;
}

static int holder_of(int fd, pid_t *ret_holder)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) < 0)
		return -errno;
	if (lock.l_type == F_UNLCK || lock.l_pid <= 0)
		return -ESRCH;
	*ret_holder = lock.l_pid;
	return 0;
}

int bh_pidfile_take(const char *path, int *ret_fd, pid_t *ret_holder)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int fd = open_regular(path, O_RDWR | O_CREAT);
	char text[16];
	int n;

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		if (errno != EACCES && errno != EAGAIN)
			return -errno;
		if (holder_of(fd, ret_holder) < 0)
			*ret_holder = 0; /* gone this very moment */
		return -EALREADY;
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return -EIO;
	*ret_fd = bh_take_fd(fd);
	return 0;
}

int bh_pidfile_holder(const char *path, pid_t *ret_holder)
{
	_cleanup_close_ int fd = open_regular(path, O_RDONLY);

	if (fd == -ENOENT)
		return -ESRCH;
	return fd < 0 ? fd : holder_of(fd, ret_holder);
}
