/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLI_CNI_CONFIG_H
#define BULKHEAD_CLI_CNI_CONFIG_H

/*
 * The network configuration of container runtimes, as they find it themselves (libcni's ConfFiles):
 * the first file in name order that is *.conflist, *.conf or *.json and can be read.
 */

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct bh_cni_names {
	struct dirent **list;
	int n;
};

/* The names of the files that may be one, in the runtimes' order. 0 or -errno. */
int bh_cni_list(const char *folder, struct bh_cni_names *ret_names);
void bh_cni_names_fini(struct bh_cni_names *names);

/* The configuration if the runtimes would take it, else NULL. The caller's. */
json_t *bh_cni_load(const char *path, const char *name);

/* A list of plugins, rather than a single one. */
bool bh_cni_is_list(const char *name, const json_t *config);

/* Reads a file of at most `max` bytes. Returns 0 and *ret_data (free()), or -errno. */
int bh_cni_read_file(const char *path, size_t max, char **ret_data, size_t *ret_size);

#endif
