/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "controller/model/memory.h"
#include "controller/settings.h"
#include "proto/cleanup.h"

#define SETTINGS_VERSION 1
#define SETTINGS_BYTES_MAX (32 * 1024 * 1024)

static const char *const scope_words[] = {
	[BH_SCOPE_NODE] = "node",
	[BH_SCOPE_NAMESPACE] = "namespace",
	[BH_SCOPE_POD] = "pod",
};

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_cleanup)

/* ---- Reading --------------------------------------------------------------------------------- */

int bh_settings_read_json(const char *path, json_t **ret_json, char *ret_text, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	json_error_t error;
	struct stat status;
	json_t *json;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > SETTINGS_BYTES_MAX) {
		snprintf(ret_text, size, "it is no regular file of at most 32 MiB");
		return -EBADMSG;
	}
	json = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		snprintf(ret_text, size, "line %d: %s", error.line, error.text);
		return -EBADMSG;
	}
	*ret_json = json;
	return 0;
}

/* False if it is not one of ours, whole and sensible. */
static bool read_override(const json_t *item, struct bh_override *ret_override)
{
	const char *scope = json_string_value(json_object_get(item, "scope"));
	const char *namespace = json_string_value(json_object_get(item, "namespace"));
	const char *name = json_string_value(json_object_get(item, "name"));
	const char *mode = json_string_value(json_object_get(item, "mode"));
	struct bh_override override = {
		.namespace = namespace,
		.name = name,
		.mode = bh_mode_parse(mode),
		.quarantined = json_is_true(json_object_get(item, "quarantined")),
	};
	size_t i;

	for (i = 0; i < sizeof(scope_words) / sizeof(scope_words[0]); i++) {
		if (scope && strcmp(scope, scope_words[i]) == 0)
			break;
	}
	if (i == sizeof(scope_words) / sizeof(scope_words[0]))
		return false;
	override.scope = (enum bh_scope)i;
	if (override.scope != BH_SCOPE_NODE && (!namespace || !*namespace))
		return false;
	if (override.scope == BH_SCOPE_POD && (!name || !*name))
		return false;
	if (override.mode == BH_MODE_UNSET && !override.quarantined)
		return false;
	if (mode && override.mode == BH_MODE_UNSET && strcmp(mode, "unset") != 0)
		return false;
	*ret_override = override;
	return true;
}

static bool all_sensible(const json_t *overrides)
{
	struct bh_override override;
	const json_t *item;
	size_t i;

	if (!json_is_array(overrides))
		return false;
	json_array_foreach(overrides, i, item)
	{
		if (!read_override(item, &override))
			return false;
	}
	return true;
}

static void apply(struct bh_model *model, const json_t *overrides)
{
	struct bh_override override;
	const json_t *item;
	size_t i;

	json_array_foreach(overrides, i, item)
	{
		if (!read_override(item, &override))
			continue;
		if (override.mode != BH_MODE_UNSET)
			bh_model_set_mode(model, override.scope, override.namespace, override.name,
				override.mode);
		if (override.quarantined && override.scope == BH_SCOPE_POD)
			bh_model_set_quarantine(model, override.namespace, override.name, true);
	}
}

static void keep_aside(const char *path)
{
	_cleanup_free_ char *aside = bh_xasprintf("%s.corrupt", path);

	if (rename(path, aside) < 0)
		return; /* the next save replaces it, which is the lesser loss */
}

int bh_settings_load(const char *path, struct bh_model *model, char **ret_problem)
{
	_cleanup_json_ json_t *settings = NULL;
	char text[256] = "it does not say what settings say";
	int r = bh_settings_read_json(path, &settings, text, sizeof(text));

	if (r == -ENOENT)
		return 0;
	if (r == 0 &&
		(json_integer_value(json_object_get(settings, "version")) != SETTINGS_VERSION ||
			!all_sensible(json_object_get(settings, "overrides"))))
		r = -EBADMSG;
	if (r == -EBADMSG) {
		keep_aside(path);
		*ret_problem = bh_xasprintf(
			"%s cannot be used: %s; it is kept as %s.corrupt. Modes and quarantines "
			"set by command are lost: set them again",
			path, text, path);
		return r;
	}
	if (r < 0) {
		*ret_problem = bh_xasprintf("%s cannot be read: %s; modes and quarantines set by "
					    "command are not in force",
			path, strerror(-r));
		return r;
	}
	apply(model, json_object_get(settings, "overrides"));
	return 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static json_t *settings_of(const struct bh_model *model)
{
	_cleanup_free_ struct bh_override *list = NULL;
	size_t n = bh_model_overrides(model, &list);
	json_t *overrides = json_array();

	for (size_t i = 0; i < n; i++) {
		json_array_append_new(overrides,
			json_pack("{s:s, s:s, s:s, s:s, s:b}", "scope", scope_words[list[i].scope],
				"namespace", list[i].namespace ? list[i].namespace : "", "name",
				list[i].name ? list[i].name : "", "mode",
				bh_mode_name(list[i].mode), "quarantined", list[i].quarantined));
	}
	return json_pack("{s:i, s:o}", "version", SETTINGS_VERSION, "overrides", overrides);
}

static int sync_folder_of(const char *path)
{
	_cleanup_free_ char *copy = bh_xstrdup(path);
	_cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_file(const char *path, const char *text, size_t size)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	while (size) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int bh_settings_write_json(const char *path, const json_t *json)
{
	_cleanup_free_ char *text = json_dumps(json, JSON_INDENT(2));
	_cleanup_free_ char *line = text ? bh_xasprintf("%s\n", text) : NULL;
	_cleanup_free_ char *temporary = bh_xasprintf("%s.new", path);
	int r;

	if (!line)
		return -EILSEQ;
	/* What could not be read again must not take the place of what can. */
	if (strlen(line) > SETTINGS_BYTES_MAX)
		return -EFBIG;
	if (unlink(temporary) < 0 && errno != ENOENT)
		return -errno;
	r = write_file(temporary, line, strlen(line));
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return r;
	}
	return sync_folder_of(path);
}

int bh_settings_save(const char *path, const struct bh_model *model)
{
	_cleanup_json_ json_t *settings = settings_of(model);

	return settings ? bh_settings_write_json(path, settings) : -EILSEQ;
}
