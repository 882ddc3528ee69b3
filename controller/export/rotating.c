/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/rotating.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/model/memory.h"
#include "proto/cleanup.h"

/* Longer than any line we write: where the end of a file is looked for. */
#define TAIL_BYTES (128u * 1024)

struct bh_rotating {
	struct bh_rotating_config config;
	char *path;
	int fd; /* -1: to be opened */
	uint64_t size;
	uint64_t born_s;
	uint64_t opened;
};

struct bh_rotating *bh_rotating_new(const struct bh_rotating_config *config)
{
	struct bh_rotating *file = bh_xcalloc(1, sizeof(*file));

	file->config = *config;
	file->path = bh_xstrdup(config->path);
	file->fd = -1;
	return file;
}

static void shut(struct bh_rotating *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

void bh_rotating_free(struct bh_rotating *file)
{
	if (!file)
		return;
	shut(file);
	free(file->path);
	free(file);
}

uint64_t bh_rotating_opened(const struct bh_rotating *file)
{
	return file->opened;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* A process that was killed may have left half a line: it is taken away. */
static int mend_end(int fd, uint64_t *size)
{
	_cleanup_free_ char *tail = bh_xcalloc(1, TAIL_BYTES);
	size_t n = *size < TAIL_BYTES ? (size_t)*size : TAIL_BYTES;
	ssize_t got = n ? pread(fd, tail, n, (off_t)(*size - n)) : 0;
	const char *newline;

	if (got < 0)
		return -errno;
	if ((size_t)got != n)
		return -EIO;
	if (n == 0 || tail[n - 1] == '\n')
		return 0;
	newline = memrchr(tail, '\n', n);
	if (!newline && *size > TAIL_BYTES)
		return -EBADMSG; /* whatever it is, it is not ours */
	*size -= n - (newline ? (size_t)(newline - tail) + 1 : 0);
	return ftruncate(fd, (off_t)*size) < 0 ? -errno : 0;
}

static uint64_t birth_of(int fd, const struct stat *status)
{
	struct statx extended;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &extended) == 0 &&
		(extended.stx_mask & STATX_BTIME))
		return (uint64_t)extended.stx_btime.tv_sec;
	return (uint64_t)status->st_mtim.tv_sec;
}

static int open_file(struct bh_rotating *file, uint64_t now_s)
{
	/* O_NONBLOCK: whatever else has that name must not keep us waiting. */
	_cleanup_close_ int fd = open(file->path,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	struct stat status;
	uint64_t size;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	/* In a folder of others' a name may have been laid for us: another name of some file that
	 * we may write and would cut, or a file whose owner reads along. */
	if (status.st_nlink != 1 || (status.st_uid != geteuid() && status.st_uid != 0))
		return -EPERM;
	size = (uint64_t)status.st_size;
	r = mend_end(fd, &size);
	if (r < 0)
		return r;
	file->size = size;
	file->born_s = size ? birth_of(fd, &status) : now_s;
	file->fd = bh_take_fd(fd);
	file->opened++;
	return 0;
}

/* True if the name leads elsewhere by now: somebody else has set the file aside. */
static bool is_lost(const struct bh_rotating *file)
{
	struct stat ours, named;

	return fstat(file->fd, &ours) < 0 || lstat(file->path, &named) < 0 ||
	       ours.st_dev != named.st_dev || ours.st_ino != named.st_ino;
}

/* ---- Setting aside --------------------------------------------------------------------------- */

/* The name of the n-th that was set aside; the 0th is the file itself. */
static char *name_of(const struct bh_rotating *file, unsigned int n)
{
	return n ? bh_xasprintf("%s.%u", file->path, n) : bh_xstrdup(file->path);
}

static int set_aside(struct bh_rotating *file)
{
	_cleanup_free_ char *oldest = name_of(file, file->config.max_files);

	shut(file);
	if (unlink(oldest) < 0 && errno != ENOENT)
		return -errno;
	for (unsigned int n = file->config.max_files; n > 0; n--) {
		_cleanup_free_ char *from = name_of(file, n - 1);
		_cleanup_free_ char *to = name_of(file, n);

		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static bool is_old(const struct bh_rotating *file, uint64_t now_s)
{
	return file->config.max_age_s && file->size && now_s > file->born_s &&
	       now_s - file->born_s >= file->config.max_age_s;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* How many of the bytes go into the file there is: whole lines; 0 if another is to be begun. */
static size_t fitting(const struct bh_rotating *file, const char *lines, size_t n)
{
	uint64_t room =
		file->config.max_bytes > file->size ? file->config.max_bytes - file->size : 0;
	const char *newline;

	if (n <= room)
		return n;
	newline = memrchr(lines, '\n', (size_t)room);
	if (newline)
		return (size_t)(newline - lines) + 1;
	if (file->size)
		return 0;
	newline = memchr(lines, '\n', n);
	return newline ? (size_t)(newline - lines) + 1 : n;
}

/* Takes back what is behind `size`. If even that fails, opening the file again mends its end. */
static void take_back(struct bh_rotating *file)
{
	if (ftruncate(file->fd, (off_t)file->size) < 0)
		shut(file);
}

static int append(struct bh_rotating *file, const char *lines, size_t n, size_t *ret_written)
{
	size_t written = 0;
	int r = 0;

	*ret_written = 0;
	while (written < n && r == 0) {
		ssize_t k = write(file->fd, lines + written, n - written);

		if (k > 0)
			written += (size_t)k;
		else if (k == 0 || errno != EINTR)
			r = k == 0 ? -ENOSPC : -errno;
	}
	if (r < 0) {
		const char *newline = written ? memrchr(lines, '\n', written) : NULL;

		written = newline ? (size_t)(newline - lines) + 1 : 0;
	}
	if (written && file->config.sync && fdatasync(file->fd) < 0) {
		r = -errno;
		written = 0;
	}
	file->size += written;
	*ret_written = written;
	if (r < 0)
		take_back(file);
	return r;
}

int bh_rotating_write(
	struct bh_rotating *file, const char *lines, size_t n, uint64_t now_s, size_t *ret_written)
{
	int r = 0;

	*ret_written = 0;
	if (file->fd >= 0 && is_lost(file))
		shut(file);
	while (r == 0 && n) {
		size_t part, written;

		if (file->fd < 0)
			r = open_file(file, now_s);
		if (r < 0)
			break;
		part = is_old(file, now_s) ? 0 : fitting(file, lines, n);
		if (part == 0) {
			r = set_aside(file);
			continue;
		}
		r = append(file, lines, part, &written);
		*ret_written += written;
		lines += written;
		n -= written;
	}
	return r;
}
