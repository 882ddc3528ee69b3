/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/ownership.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/clsact.h"
#include "dataplane/links.h"
#include "dataplane/rtnl.h"
#include "proto/cleanup.h"

/* Any of our programs uses bh_config. */
#define MARK_MAP "bh_config"
#define MARKS_MAX (BH_PINS_OLD_MAX + 1)
#define PROGRAM_MAPS_MAX 64
#define FILTERS_MAX 16

struct marks {
	uint32_t id[MARKS_MAX];
	size_t n;
};

static void add_mark(struct marks *marks, const char *folder)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);
	char path[BH_PINS_PATH];

	snprintf(path, sizeof(path), "%s/" MARK_MAP, folder);
	fd = bpf_obj_get(path);
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && marks->n < MARKS_MAX)
		marks->id[marks->n++] = info.id;
}

static bool uses_marked_map(uint32_t prog_id, const struct marks *marks)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);
	uint32_t ids[PROGRAM_MAPS_MAX] = {};
	struct bpf_prog_info info = {
		.nr_map_ids = PROGRAM_MAPS_MAX,
		.map_ids = (__u64)(uintptr_t)ids,
	};
	__u32 length = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) < 0)
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < PROGRAM_MAPS_MAX; i++) {
		for (size_t j = 0; j < marks->n; j++) {
			if (ids[i] == marks->id[j])
				return true;
		}
	}
	return false;
}

/* Filters of ours on one side; removed after the listing, which must not change under way. */
struct collection {
	const struct marks *marks;
	struct bh_filter filter[FILTERS_MAX];
	size_t n;
};

static void collect(const struct bh_filter *filter, void *arg)
{
	struct collection *found = arg;

	if (filter->ours && found->n < FILTERS_MAX &&
		uses_marked_map(filter->prog_id, found->marks))
		found->filter[found->n++] = *filter;
}

static void remove_filters_of(
	struct nl_sock *sock, uint32_t handle, uint32_t ifindex, const struct marks *marks)
{
	for (int egress = 0; egress <= 1; egress++) {
		struct collection found = {.marks = marks};

		bh_clsact_list(sock, handle, ifindex, egress, collect, &found);
		for (size_t i = 0; i < found.n; i++)
			bh_clsact_remove(ifindex, egress, &found.filter[i]);
	}
}

void bh_ownership_remove_filters(struct nl_sock *sock, const struct bh_pins *pins,
	bool (*keep)(uint32_t ifindex, void *arg), void *arg)
{
	struct if_nameindex *interfaces = if_nameindex();
	struct marks marks = {};

	add_mark(&marks, pins->abi);
	for (size_t i = 0; i < pins->n_old; i++)
		add_mark(&marks, pins->old[i]);
	for (struct if_nameindex *i = interfaces; i && i->if_index; i++) {
		if (!keep || !keep(i->if_index, arg))
			remove_filters_of(sock, pins->handle, i->if_index, &marks);
	}
	if (interfaces)
		if_freenameindex(interfaces);
}

static int remove_folder(const char *folder, struct bh_why *why)
{
	char links[BH_PINS_PATH];
	int err;

	snprintf(links, sizeof(links), "%s/links", folder);
	bh_links_drop_all(links);
	err = bh_pins_remove(folder);
	return err < 0 ? bh_fail(why, err, "%s: cannot be removed: %s", folder, strerror(-err)) : 0;
}

int bh_ownership_down(const char *run_dir, struct bh_why *why)
{
	struct nl_sock *sock = NULL;
	struct bh_pins pins;
	int err = bh_pins_name(run_dir, &pins, why);

	if (err < 0)
		return err;
	if (access(pins.base, F_OK) < 0)
		return errno == ENOENT ? 0
				       : bh_fail(why, -errno, "%s: %s", pins.base, strerror(errno));
	err = bh_pins_prepare(&pins, why);
	if (!err)
		err = bh_rtnl_open(&sock);
	if (err < 0)
		return err;
	bh_ownership_remove_filters(sock, &pins, NULL, NULL);
	bh_rtnl_close(sock);
	for (size_t i = 0; i < pins.n_old && !err; i++)
		err = remove_folder(pins.old[i], why);
	if (!err)
		err = remove_folder(pins.abi, why);
	if (!err && rmdir(pins.base) < 0 && errno != ENOENT)
		err = bh_fail(why, -errno, "%s: cannot be removed: %s", pins.base, strerror(errno));
	/* The last instance takes the common folder along; another one's presence keeps it. */
	rmdir(BH_PINS_ROOT "/bulkhead");
	return err;
}
