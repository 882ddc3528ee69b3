/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_PINS_H
#define BULKHEAD_DATAPLANE_PINS_H

/*
 * Where an instance keeps what outlives its processes: a folder of bpffs, named by the run
 * directory, with one folder for each ABI:
 *
 *   /sys/fs/bpf/bulkhead/bh<16 hex digits>/abi<N>/          maps, by name
 *   /sys/fs/bpf/bulkhead/bh<16 hex digits>/abi<N>/links/    links: <ifindex>_ingress, _egress,
 * _xdp, _uplink
 *
 * A new folder is filled under the name stage-<pid> and renamed into place when it is whole, so an
 * abi folder is never half made. What a killed start left staged is removed by the next.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/why.h"

#define BH_PINS_ROOT "/sys/fs/bpf"
#define BH_PINS_PATH 256
#define BH_PINS_OLD_MAX 4

struct bh_pins {
	char base[64];   /* …/bh<hash> */
	char abi[96];    /* …/abi<N> */
	char links[128]; /* …/abi<N>/links */
	uint32_t handle; /* of this instance's clsact filters */
	size_t n_old;    /* folders of other ABIs */
	char old[BH_PINS_OLD_MAX][96];
};

/*
 * The folder names for a run directory, which need not exist. Touches nothing. Returns 0 or -errno
 * when the path cannot be made absolute.
 */
int bh_pins_name(const char *run_dir, struct bh_pins *ret_pins, struct bh_why *why);

/*
 * Makes sure bpffs is mounted and the base folder exists, removes staged leftovers, lists the
 * folders of other ABIs. The caller holds the instance's lock.
 */
int bh_pins_prepare(struct bh_pins *pins, struct bh_why *why);

/* Lists folders of other ABIs into pins->old. */
int bh_pins_list_old(struct bh_pins *pins);

bool bh_pins_exist(const struct bh_pins *pins);

/* Makes an empty staging folder, links/ in it, and says where. */
int bh_pins_stage(const struct bh_pins *pins, char ret_path[BH_PINS_PATH], struct bh_why *why);

/* Renames a staged folder to its ABI name. -EEXIST if there is one already. */
int bh_pins_publish(const struct bh_pins *pins, const char *staged, struct bh_why *why);

/* Removes a folder of pins and its links folder, if it is there. Links in it are let go. */
int bh_pins_remove(const char *path);

/* True if `path` is on a mounted bpf file system. */
bool bh_pins_is_bpffs(const char *path);

#endif
