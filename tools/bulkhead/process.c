/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/up.h"

int bh_process_find(const char *program, char ret_path[PATH_MAX])
{
	/* Beside this program as make leaves them, or as make install does. */
	static const char *const places[] = {"", "../libexec/bulkhead/"};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int size = snprintf(ret_path, PATH_MAX, "%s/%s%s", self, places[i], program);

		if (size > 0 && size < PATH_MAX && access(ret_path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

/* In the child, before exec: only system calls from here on. Returns -errno. */
static int become(const struct bh_process_rights *rights)
{
	if (rights->drop &&
		(setgroups(0, NULL) < 0 || setresgid(rights->gid, rights->gid, rights->gid) < 0 ||
			setresuid(rights->uid, rights->uid, rights->uid) < 0))
		return -errno;
	/* With the uid went the capabilities; this keeps them from coming back by an exec. */
	if (rights->drop && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Last: a change of user clears it. */
	return prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 ? -errno : 0;
}

static void run_child(int program, const char *path, char *const *argv,
	const struct bh_process_rights *rights, int keep_fd, pid_t parent)
{
	char *const *environment = environ;
	sigset_t none;

	sigemptyset(&none);
	setpgid(0, 0);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (keep_fd >= 0 && fcntl(keep_fd, F_SETFD, 0) < 0)
		_exit(126);
	if (become(rights) < 0 || getppid() != parent)
		_exit(126);
	execve(path, argv, environment);
	/* The way to it may be closed to the user it has become; the file itself need not be. */
	if (errno == EACCES)
		fexecve(program, argv, environment);
	_exit(127);
}

pid_t bh_process_start(
	const char *path, char *const *argv, const struct bh_process_rights *rights, int keep_fd)
{
	_cleanup_close_ int program = open(path, O_RDONLY | O_CLOEXEC);
	pid_t parent = getpid();
	pid_t pid;

	if (program < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_child(program, path, argv, rights, keep_fd, parent);
	return pid;
}
