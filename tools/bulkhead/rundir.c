/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The run directory belongs to root and to the controller's group, with the sticky bit: the
 * controller makes its own socket and pid file in it, and cannot touch those of others.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/pidfile.h"
#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/up.h"

#define POLL_MS 20

int bh_rundir_path(const char *run_dir, const char *name, char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/%s", run_dir, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/*
 * realpath() of the part that exists: both daemons derive names from this path, so two ways to
 * write it must not be two instances.
 */
int bh_rundir_absolute(const char *path, char ret_path[PATH_MAX])
{
	char copy[PATH_MAX];
	char parent[PATH_MAX];
	char *end;
	char *name;

	if (realpath(path, ret_path))
		return 0;
	if (errno != ENOENT)
		return -errno;
	strcpy(copy, path); /* realpath() has measured it */
	for (end = copy + strlen(copy); end > copy + 1 && end[-1] == '/'; end--)
		end[-1] = '\0';
	name = strrchr(copy, '/');
	if (name)
		*name++ = '\0';
	if (bh_rundir_absolute(!name ? "." : *copy ? copy : "/", parent) < 0)
		return -ENOENT;
	name = name ? name : copy;
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	return bh_rundir_path(strcmp(parent, "/") == 0 ? "" : parent, name, ret_path, PATH_MAX);
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* Of an absolute path. */
static int make_parents(const char *path)
{
	char copy[PATH_MAX];

	if (bh_rundir_path("", path + 1, copy, sizeof(copy)) < 0)
		return -ENAMETOOLONG;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* Makes the folder, or takes it over, with exactly this owner and mode. */
static int make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	int r = make_parents(path);

	if (r < 0)
		return r;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

int bh_rundir_prepare_folder_of(const char *path, uid_t uid, gid_t gid)
{
	char folder[PATH_MAX];
	struct stat status;
	char *slash;
	int r = 0;

	if (bh_rundir_path("", path + 1, folder, sizeof(folder)) < 0)
		return bh_cli_fail("%s: %s", path, strerror(ENAMETOOLONG));
	slash = strrchr(folder, '/');
	if (slash == folder)
		return 0;
	*slash = '\0';
	if (stat(folder, &status) < 0)
		r = errno == ENOENT ? make_folder(folder, uid, gid, 0750) : -errno;
	else if (!S_ISDIR(status.st_mode))
		r = -ENOTDIR;
	return r < 0 ? bh_cli_fail("%s: %s", folder, strerror(-r)) : 0;
}

int bh_rundir_prepare(const char *run_dir, const char *state_dir, uid_t uid, gid_t gid)
{
	int r = make_folder(run_dir, 0, gid, 01775);

	if (r < 0)
		return bh_cli_fail("%s: %s", run_dir, strerror(-r));
	r = make_folder(state_dir, uid, gid, 0700);
	if (r < 0)
		return bh_cli_fail("%s: %s", state_dir, strerror(-r));
	return 0;
}

void bh_rundir_clean(const char *run_dir)
{
	static const char *const pairs[][2] = {
		{"dataplane.pid", "dataplane.sock"}, {"controller.pid", "control.sock"}};
	char path[PATH_MAX];
	pid_t holder;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (bh_rundir_path(run_dir, pairs[i][0], path, sizeof(path)) < 0 ||
			bh_pidfile_holder(path, &holder) == 0)
			continue;
		for (int j = 0; j < 2; j++) {
			if (bh_rundir_path(run_dir, pairs[i][j], path, sizeof(path)) == 0)
				unlink(path); /* mostly it is not there */
		}
	}
}

/* ---- Ending ---------------------------------------------------------------------------------- */

bool bh_rundir_wait_free(const char *run_dir, const char *name, unsigned int ms)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	char path[PATH_MAX];
	pid_t holder;

	if (bh_rundir_path(run_dir, name, path, sizeof(path)) < 0)
		return true;
	for (unsigned int waited = 0; bh_pidfile_holder(path, &holder) == 0; waited += POLL_MS) {
		if (waited >= ms)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

bool bh_rundir_end(const char *run_dir, const char *name, unsigned int ms)
{
	char path[PATH_MAX];
	pid_t holder;

	if (bh_rundir_path(run_dir, name, path, sizeof(path)) < 0 ||
		bh_pidfile_holder(path, &holder) < 0 || holder == getpid())
		return false;
	if (kill(holder, SIGTERM) < 0 || bh_rundir_wait_free(run_dir, name, ms))
		return true;
	if (bh_pidfile_holder(path, &holder) == 0) {
		bh_cli_fail("process %d (%s) does not end, killing it", (int)holder, name);
		kill(holder, SIGKILL);
		bh_rundir_wait_free(run_dir, name, ms);
	}
	return true;
}
