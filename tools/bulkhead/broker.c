/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What comes in is not trusted: it may be from a controller that has been taken over. It can name a
 * file of the folder, nothing else, and gets it read-only. Symbolic links are followed as long as
 * they stay inside the folder (a mounted ConfigMap is made of such); the kernel sees to that with
 * RESOLVE_BENEATH, so no race between looking and opening can lead out of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/broker.h"
#include "proto/cleanup.h"
#include "tools/bulkhead/broker.h"

static int open_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_inotify(const char *folder)
{
	_cleanup_close_ int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0 || inotify_add_watch(fd, folder, BH_BROKER_INOTIFY_MASK) < 0)
		return -errno;
	return bh_take_fd(fd);
}

static int open_beneath(int folder, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, folder, name, &how, sizeof(how));

	/* A sandbox may know no openat2: then links are not followed at all. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(folder, name, (int)how.flags | O_NOFOLLOW);
	return fd < 0 ? -errno : (int)fd;
}

static int open_file(const char *folder, const char *name, size_t size)
{
	char copy[BH_BROKER_NAME_MAX + 1];
	_cleanup_close_ int directory = -1;
	_cleanup_close_ int fd = -1;
	struct stat status;

	if (size == 0 || size > BH_BROKER_NAME_MAX || memchr(name, '/', size) ||
		memchr(name, '\0', size))
		return -EINVAL;
	memcpy(copy, name, size);
	copy[size] = '\0';
	if (strcmp(copy, ".") == 0 || strcmp(copy, "..") == 0)
		return -EINVAL;
	directory = open_folder(folder);
	if (directory < 0)
		return directory;
	fd = open_beneath(directory, copy);
	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? bh_take_fd(fd) : -EINVAL;
}

/* ---- A kubeconfig -------------------------------------------------------------------------------
 */

#define KUBECONFIG_MAX (1024 * 1024)

static int open_regular(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? bh_take_fd(fd) : -EINVAL;
}

/* The value of a line "  client-key: 'VALUE'" without its quotes, if it names a file; else NULL. */
static char *named_by(char *line)
{
	static const char *const fields[] = {
		"certificate-authority:", "client-certificate:", "client-key:", "tokenFile:"};
	char *at = line + strspn(line, " -");

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t n = strlen(fields[i]);

		if (strncmp(at, fields[i], n) != 0)
			continue;
		at += n + strspn(at + n, " \t");
		n = strcspn(at, "\r\n");
		while (n && (at[n - 1] == ' ' || at[n - 1] == '\t'))
			n--;
		if (n >= 2 && (*at == '"' || *at == '\'') && at[n - 1] == *at) {
			at++;
			n -= 2;
		}
		at[n] = '\0';
		return at;
	}
	return NULL;
}

/*
 * Not a YAML parser, on purpose: this runs as root. A kubeconfig that names its files in another
 * form than one to a line gets EACCES, and the operator puts the content into it
 * (kubectl config view --flatten).
 */
static int check_named(const char *kubeconfig, const char *wanted)
{
	int fd = open_regular(kubeconfig);
	_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	_cleanup_free_ char *line = NULL;
	size_t capacity = 0, total = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	while ((n = getline(&line, &capacity, file)) >= 0 && total < KUBECONFIG_MAX) {
		const char *name = named_by(line);

		if (name && strcmp(name, wanted) == 0)
			return 0;
		total += (size_t)n;
	}
	return -EACCES;
}

static int open_named(const char *kubeconfig, const char *name, size_t size)
{
	char copy[BH_BROKER_PATH_MAX + 1];
	char path[PATH_MAX];
	const char *slash = strrchr(kubeconfig, '/');
	int r;

	if (size == 0 || size > BH_BROKER_PATH_MAX || memchr(name, '\0', size))
		return -EINVAL;
	memcpy(copy, name, size);
	copy[size] = '\0';
	r = check_named(kubeconfig, copy);
	if (r < 0)
		return r;
	if (*copy == '/')
		return open_regular(copy);
	r = snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash + 1 - kubeconfig) : 0,
		kubeconfig, copy);
	return r < (int)sizeof(path) ? open_regular(path) : -ENAMETOOLONG;
}

/* ---- Requests -----------------------------------------------------------------------------------
 */

static int answer_about_kubeconfig(const char *kubeconfig, const char *request, size_t size)
{
	if (size == 1 && request[0] == BH_BROKER_KUBECONFIG)
		return open_regular(kubeconfig);
	if (size > 1 && request[0] == BH_BROKER_NAMED)
		return open_named(kubeconfig, request + 1, size - 1);
	return -EINVAL;
}

static int answer_about_folder(const char *folder, const char *request, size_t size)
{
	if (size == 1 && request[0] == BH_BROKER_LIST)
		return open_folder(folder);
	if (size == 1 && request[0] == BH_BROKER_INOTIFY)
		return open_inotify(folder);
	if (size > 1 && request[0] == BH_BROKER_OPEN)
		return open_file(folder, request + 1, size - 1);
	return -EINVAL;
}

/* The reply, with the descriptor unless it is a negative errno. */
static void reply(int socket, int fd)
{
	struct bh_broker_reply body = {.error = fd < 0 ? (uint32_t)-fd : 0};
	struct iovec part = {.iov_base = &body, .iov_len = sizeof(body)};
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t)))) = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	if (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* who does not read its answers asks again or goes without */
}

int bh_broker_serve(int fd, enum bh_broker_subject subject, const char *path)
{
	char request[BH_BROKER_REQUEST_MAX + 1];
	_cleanup_close_ int opened = -1;
	ssize_t size = recv(fd, request, sizeof(request), MSG_DONTWAIT);

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	if (size == 0)
		return -EPIPE;
	opened = subject == BH_BROKER_FOLDER ? answer_about_folder(path, request, (size_t)size)
					     : answer_about_kubeconfig(path, request, (size_t)size);
	reply(fd, opened);
	return 0;
}
