/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bulkhead/abi.h"
#include "proto/cleanup.h"

#define BPFFS_MAGIC 0xcafe4a11
#define BASE BH_PINS_ROOT "/bulkhead/bh"

static void closedir_cleanup(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t fnv1a(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

/* An absolute path without symbolic links; of a folder that is not there, the path as written. */
static int absolute(const char *path, char ret_path[PATH_MAX])
{
	char cwd[PATH_MAX];
	size_t length;

	if (realpath(path, ret_path))
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return -errno;
	if (snprintf(ret_path, PATH_MAX, "%s%s%s", path[0] == '/' ? "" : cwd,
		    path[0] == '/' ? "" : "/", path) >= PATH_MAX)
		return -ENAMETOOLONG;
	for (length = strlen(ret_path); length > 1 && ret_path[length - 1] == '/'; length--)
		ret_path[length - 1] = '\0';
	return 0;
}

int bh_pins_name(const char *run_dir, struct bh_pins *ret_pins, struct bh_why *why)
{
	struct bh_pins pins = {};
	char path[PATH_MAX];
	int err = absolute(run_dir, path);
	uint64_t hash;

	if (err < 0)
		return bh_fail(why, err, "run directory %s: %s", run_dir, strerror(-err));
	hash = fnv1a(path);
	pins.handle = (uint32_t)(hash & 0x7fffffff) | 1;
	snprintf(pins.base, sizeof(pins.base), BASE "%016" PRIx64, hash);
	snprintf(pins.abi, sizeof(pins.abi), BASE "%016" PRIx64 "/abi%d", hash, BH_ABI);
	snprintf(pins.links, sizeof(pins.links), BASE "%016" PRIx64 "/abi%d/links", hash, BH_ABI);
	*ret_pins = pins;
	return 0;
}

bool bh_pins_is_bpffs(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 && (unsigned long)status.f_type == BPFFS_MAGIC;
}

static int mount_bpffs(struct bh_why *why)
{
	if (bh_pins_is_bpffs(BH_PINS_ROOT))
		return 0;
	if (mkdir(BH_PINS_ROOT, 0700) < 0 && errno != EEXIST)
		return bh_fail(
			why, -errno, "%s: cannot be made: %s", BH_PINS_ROOT, strerror(errno));
	if (mount("bpf", BH_PINS_ROOT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return bh_fail(why, -errno,
			"%s: no bpf file system is mounted there, and mounting one failed: %s",
			BH_PINS_ROOT, strerror(errno));
	return 0;
}

static int make_folder(const char *path, struct bh_why *why)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return bh_fail(why, -errno, "%s: cannot be made: %s", path, strerror(errno));
	return 0;
}

/* Everything of one level; what is no folder is a pin and is unlinked. */
static int empty_folder(const char *path)
{
	_cleanup_(closedir_cleanup) DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != EISDIR && errno != EPERM)
			return -errno;
	}
	return 0;
}

int bh_pins_remove(const char *path)
{
	char links[BH_PINS_PATH];
	int err;

	snprintf(links, sizeof(links), "%s/links", path);
	err = empty_folder(links);
	if (!err && rmdir(links) < 0 && errno != ENOENT)
		err = -errno;
	if (!err)
		err = empty_folder(path);
	if (!err && rmdir(path) < 0 && errno != ENOENT)
		err = -errno;
	return err;
}

int bh_pins_list_old(struct bh_pins *pins)
{
	_cleanup_(closedir_cleanup) DIR *dir = opendir(pins->base);
	struct dirent *entry;
	char base[sizeof(pins->base)];

	memcpy(base, pins->base, sizeof(base));
	pins->n_old = 0;
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir)) && pins->n_old < BH_PINS_OLD_MAX) {
		char *end;
		long abi;

		if (strncmp(entry->d_name, "abi", 3))
			continue;
		abi = strtol(entry->d_name + 3, &end, 10);
		if (*end || abi == BH_ABI || strlen(entry->d_name) > 16)
			continue;
		snprintf(pins->old[pins->n_old++], sizeof(pins->old[0]), "%.63s/abi%ld", base, abi);
	}
	return 0;
}

static int remove_staged(const struct bh_pins *pins)
{
	_cleanup_(closedir_cleanup) DIR *dir = opendir(pins->base);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir))) {
		char path[BH_PINS_PATH];

		if (strncmp(entry->d_name, "stage-", 6) || strlen(entry->d_name) > 32)
			continue;
		snprintf(path, sizeof(path), "%s/%.32s", pins->base, entry->d_name);
		err = bh_pins_remove(path);
	}
	return err;
}

int bh_pins_prepare(struct bh_pins *pins, struct bh_why *why)
{
	int err = mount_bpffs(why);

	if (!err)
		err = make_folder(BH_PINS_ROOT "/bulkhead", why);
	if (!err)
		err = make_folder(pins->base, why);
	if (err < 0)
		return err;
	err = remove_staged(pins);
	if (!err)
		err = bh_pins_list_old(pins);
	if (err < 0)
		return bh_fail(why, err, "%s: clearing away an earlier start failed: %s",
			pins->base, strerror(-err));
	return 0;
}

bool bh_pins_exist(const struct bh_pins *pins)
{
	return access(pins->abi, F_OK) == 0;
}

int bh_pins_stage(const struct bh_pins *pins, char ret_path[BH_PINS_PATH], struct bh_why *why)
{
	char links[BH_PINS_PATH];
	int err;

	snprintf(ret_path, BH_PINS_PATH, "%s/stage-%d", pins->base, (int)getpid());
	snprintf(links, sizeof(links), "%s/stage-%d/links", pins->base, (int)getpid());
	err = make_folder(ret_path, why);
	return err ? err : make_folder(links, why);
}

int bh_pins_publish(const struct bh_pins *pins, const char *staged, struct bh_why *why)
{
	if (renameat2(AT_FDCWD, staged, AT_FDCWD, pins->abi, RENAME_NOREPLACE) < 0)
		return bh_fail(
			why, -errno, "%s: cannot be put in place: %s", pins->abi, strerror(errno));
	return 0;
}
