/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bulkhead/cni_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/cleanup.h"

#define CONFIG_MAX (1024 * 1024)

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

int bh_cni_read_file(const char *path, size_t max, char **ret_data, size_t *ret_size)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char *data;
	struct stat status;
	size_t size;

	if (!file)
		return -errno;
	if (fstat(fileno(file), &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || (size_t)status.st_size > max)
		return -EFBIG;
	data = malloc((size_t)status.st_size + 1);
	if (!data)
		return -ENOMEM;
	size = fread(data, 1, (size_t)status.st_size, file);
	if (ferror(file)) {
		free(data);
		return -EIO;
	}
	*ret_data = data;
	*ret_size = size;
	return 0;
}

static int is_config(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       (ends_with(entry->d_name, ".conflist") || ends_with(entry->d_name, ".conf") ||
		       ends_with(entry->d_name, ".json"));
}

/* In byte order, whatever the locale, as the runtimes sort. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void bh_cni_names_fini(struct bh_cni_names *names)
{
	for (int i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
}

int bh_cni_list(const char *folder, struct bh_cni_names *ret_names)
{
	ret_names->n = scandir(folder, &ret_names->list, is_config, by_name);
	if (ret_names->n >= 0)
		return 0;
	ret_names->n = 0;
	return -errno;
}

bool bh_cni_is_list(const char *name, const json_t *config)
{
	return ends_with(name, ".conflist") &&
	       json_array_size(json_object_get(config, "plugins")) > 0;
}

static bool is_single(const char *name, const json_t *config)
{
	return !ends_with(name, ".conflist") && json_is_string(json_object_get(config, "type"));
}

json_t *bh_cni_load(const char *path, const char *name)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	json_t *config;

	if (bh_cni_read_file(path, CONFIG_MAX, &text, &size) < 0)
		return NULL;
	config = json_loadb(text, size, 0, NULL);
	if (json_is_object(config) && (bh_cni_is_list(name, config) || is_single(name, config)))
		return config;
	json_decref(config);
	return NULL;
}
