/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/links.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/rtnl.h"
#include "proto/cleanup.h"

static const struct {
	const char *suffix;
	int attach_type;
	bool chain; /* several programs, in an order */
} places[BH_LINK_PLACES] = {
	[BH_LINK_INGRESS] = {"ingress", BH_BPF_TCX_INGRESS, true},
	[BH_LINK_EGRESS] = {"egress", BH_BPF_TCX_EGRESS, true},
	[BH_LINK_XDP] = {"xdp", BPF_XDP, false},
	[BH_LINK_UPLINK] = {"uplink", BPF_XDP, false},
};

/* A link on its way to another place in the chain is pinned as <ifindex>_<suffix>_new. */
#define NEW "_new"

static void closedir_cleanup(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void link_path(const char *folder, uint32_t ifindex, enum bh_link_place place,
	const char *more, char path[BH_PINS_PATH])
{
	snprintf(path, BH_PINS_PATH, "%.200s/%u_%s%s", folder, ifindex, places[place].suffix, more);
}

int bh_links_probe_tcx(void)
{
	uint32_t ids[1], n = 0, flags = 0;
	int err = bpf_prog_query(1, (enum bpf_attach_type)BH_BPF_TCX_INGRESS, 0, &flags, ids, &n);

	/* Interface 1 is the loopback of any namespace; were it gone, the type is still known. */
	if (!err || err == -ENODEV || err == -ENOENT)
		return 1;
	return err == -EINVAL ? 0 : err;
}

static int create(uint32_t ifindex, enum bh_link_place place, int prog_fd, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		.flags = flags | (places[place].chain ? BH_BPF_F_BEFORE : 0));

	return bpf_link_create(
		prog_fd, (int)ifindex, (enum bpf_attach_type)places[place].attach_type, &opts);
}

static int create_pinned(uint32_t ifindex, enum bh_link_place place, int prog_fd, uint32_t flags,
	const char *path, struct bh_why *why)
{
	_cleanup_close_ int fd = create(ifindex, place, prog_fd, flags);
	int err;

	if (fd < 0)
		return bh_fail(why, fd, "attaching to interface %u (%s): %s", ifindex,
			places[place].suffix, strerror(-fd));
	err = bpf_obj_pin(fd, path);
	if (err < 0)
		return bh_fail(why, err, "%s: cannot be pinned: %s", path, strerror(-err));
	return 0;
}

/*
 * Puts the program behind the link pinned at `path`. Returns 0, -ENOENT when there is no link or
 * it hangs on nothing any more (then the pin is gone too), or another -errno.
 */
static int update(const char *path, int prog_fd, struct bh_why *why)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	int err;

	if (fd < 0)
		return fd == -ENOENT ? fd : bh_fail(why, fd, "%s: %s", path, strerror(-fd));
	err = bpf_link_update(fd, prog_fd, NULL);
	if (err == -ENOLINK) {
		unlink(path);
		return -ENOENT;
	}
	return err < 0 ? bh_fail(why, err, "%s: cannot be updated: %s", path, strerror(-err)) : 0;
}

/* A killed bh_link_lead() leaves two links; the newer one is where it shall be. */
static void finish_lead(const char *path, const char *path_new)
{
	if (access(path_new, F_OK) < 0)
		return;
	unlink(path);
	rename(path_new, path);
}

int bh_link_refresh(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place,
	int prog_fd, struct bh_why *why)
{
	char path[BH_PINS_PATH], path_new[BH_PINS_PATH];

	link_path(object->pins.links, ifindex, place, "", path);
	link_path(object->pins.links, ifindex, place, NEW, path_new);
	finish_lead(path, path_new);
	return update(path, prog_fd, why);
}

static int take_over_old(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place,
	int prog_fd, const char *path, struct bh_why *why)
{
	for (size_t i = 0; i < object->pins.n_old; i++) {
		char folder[BH_PINS_PATH], old[BH_PINS_PATH];
		int err;

		snprintf(folder, sizeof(folder), "%s/links", object->pins.old[i]);
		link_path(folder, ifindex, place, "", old);
		err = update(old, prog_fd, why);
		if (err == -ENOENT)
			continue;
		if (!err && rename(old, path) < 0)
			err = bh_fail(why, -errno, "%s: cannot be moved: %s", old, strerror(errno));
		return err;
	}
	return -ENOENT;
}

int bh_link_ensure(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place,
	int prog_fd, uint32_t flags, bool *ret_made, struct bh_why *why)
{
	char path[BH_PINS_PATH], path_new[BH_PINS_PATH];
	bool made = false;
	int err;

	link_path(object->pins.links, ifindex, place, "", path);
	link_path(object->pins.links, ifindex, place, NEW, path_new);
	finish_lead(path, path_new);
	err = update(path, prog_fd, why);
	if (err == -ENOENT)
		err = take_over_old(object, ifindex, place, prog_fd, path, why);
	if (err == -ENOENT) {
		err = create_pinned(ifindex, place, prog_fd, flags, path, why);
		made = !err;
	}
	if (!err && ret_made)
		*ret_made = made;
	return err;
}

int bh_link_lead(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place,
	int prog_fd, int twin_fd, struct bh_why *why)
{
	char path[BH_PINS_PATH], path_new[BH_PINS_PATH];
	int err;

	link_path(object->pins.links, ifindex, place, "", path);
	link_path(object->pins.links, ifindex, place, NEW, path_new);
	finish_lead(path, path_new);
	err = update(path, twin_fd, why);
	if (!err || err == -ENOENT)
		err = create_pinned(ifindex, place, prog_fd, 0, path_new, why);
	if (err < 0) {
		update(path, prog_fd, NULL); /* at least where it was */
		return err;
	}
	unlink(path);
	if (rename(path_new, path) < 0)
		return bh_fail(why, -errno, "%s: cannot be renamed: %s", path_new, strerror(errno));
	return 0;
}

static void drop_path(const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);

	/* Detaching is done when the call returns; dropping the last reference takes its time. */
	if (fd >= 0)
		bpf_link_detach(fd);
	unlink(path);
}

void bh_link_drop(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place)
{
	char path[BH_PINS_PATH];

	link_path(object->pins.links, ifindex, place, "", path);
	drop_path(path);
	link_path(object->pins.links, ifindex, place, NEW, path);
	drop_path(path);
	for (size_t i = 0; i < object->pins.n_old; i++) {
		char folder[BH_PINS_PATH];

		snprintf(folder, sizeof(folder), "%s/links", object->pins.old[i]);
		link_path(folder, ifindex, place, "", path);
		drop_path(path);
	}
}

enum bh_program_kind bh_link_program(
	const struct bh_object *object, uint32_t ifindex, enum bh_link_place place)
{
	_cleanup_close_ int fd = -1, prog_fd = -1;
	struct bpf_link_info link = {};
	struct bpf_prog_info program = {};
	__u32 length = sizeof(link);
	char path[BH_PINS_PATH];

	link_path(object->pins.links, ifindex, place, "", path);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &link, &length) < 0)
		return BH_PROG_COUNT;
	prog_fd = bpf_prog_get_fd_by_id(link.prog_id);
	length = sizeof(program);
	if (prog_fd < 0 || bpf_obj_get_info_by_fd(prog_fd, &program, &length) < 0)
		return BH_PROG_COUNT;
	return bh_program_kind(program.name);
}

bool bh_link_exists(const struct bh_object *object, uint32_t ifindex, enum bh_link_place place)
{
	char path[BH_PINS_PATH];

	link_path(object->pins.links, ifindex, place, "", path);
	return access(path, F_OK) == 0;
}

void bh_links_each(const char *folder, bh_link_visit visit, void *arg)
{
	_cleanup_(closedir_cleanup) DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *end;
		unsigned long ifindex = strtoul(entry->d_name, &end, 10);

		if (end == entry->d_name || *end != '_')
			continue;
		for (int place = 0; place < BH_LINK_PLACES; place++) {
			size_t length = strlen(places[place].suffix);

			if (!strncmp(end + 1, places[place].suffix, length) &&
				(!end[1 + length] || !strcmp(end + 1 + length, NEW)))
				visit((uint32_t)ifindex, (enum bh_link_place)place, arg);
		}
	}
}

void bh_links_drop_all(const char *folder)
{
	_cleanup_(closedir_cleanup) DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[BH_PINS_PATH + NAME_MAX + 2];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		drop_path(path);
	}
}

int bh_links_tcx_chain(uint32_t ifindex, enum bh_link_place place, uint32_t *ret_ids, uint32_t max)
{
	uint32_t n = max, flags = 0;
	int err = bpf_prog_query((int)ifindex, (enum bpf_attach_type)places[place].attach_type, 0,
		&flags, ret_ids, &n);

	if (err == -ENOENT)
		return 0;
	/* More than there is room for: the first ones are there all the same. */
	if (err == -ENOSPC)
		return (int)max;
	return err < 0 ? err : (int)n;
}

static void on_xdp_link(const struct nlmsghdr *message, void *arg)
{
	struct nlattr *attrs[IFLA_MAX + 1], *xdp[IFLA_XDP_MAX + 1];

	if (message->nlmsg_type == RTM_NEWLINK &&
		nlmsg_parse((struct nlmsghdr *)message, sizeof(struct ifinfomsg), attrs, IFLA_MAX,
			NULL) >= 0 &&
		attrs[IFLA_XDP] &&
		nla_parse_nested(xdp, IFLA_XDP_MAX, attrs[IFLA_XDP], NULL) >= 0 &&
		xdp[IFLA_XDP_PROG_ID])
		*(uint32_t *)arg = nla_get_u32(xdp[IFLA_XDP_PROG_ID]);
}

/* Not bpf_xdp_query_id(): for each interface that lists all there are. */
int bh_links_xdp_program(uint32_t ifindex, uint32_t *ret_id)
{
	struct nl_sock *sock;
	uint32_t id = 0;
	int err = bh_rtnl_open(&sock);

	if (err < 0)
		return err;
	err = bh_rtnl_ask_link(sock, ifindex, on_xdp_link, &id);
	bh_rtnl_close(sock);
	if (!err)
		*ret_id = id;
	return err;
}

const char *bh_program_text(uint32_t id, char text[64])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && info.name[0])
		snprintf(text, 64, "%s (id %u)", info.name, id);
	else
		snprintf(text, 64, "id %u", id);
	return text;
}
