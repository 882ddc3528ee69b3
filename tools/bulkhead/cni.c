/* SPDX-License-Identifier: Apache-2.0 */

/*
 * bulkhead cni install | uninstall: puts bulkhead-cni at the end of the chain of CNI plugins that
 * the container runtime uses, and takes it out again. Both may be repeated at any time, and every
 * file is replaced in one step: a runtime that reads meanwhile sees the old or the new.
 *
 * The runtimes (libcni's ConfFiles) take the first file in name order that is *.conflist, *.conf or
 * *.json and can be read; so does this.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/cni_config.h"
#include "tools/bulkhead/up.h"

#define PLUGIN "bulkhead-cni"
/* What the runtimes do not read: a single plugin's file that has become a list. */
#define SAVED ".before-bulkhead"

struct cni_options {
	const char *verb;
	const char *bin_dir;
	const char *conf_dir;
	const char *fail;
	const char *timeout;
	bool keep_binary;
};

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_cleanup)

static int path_of(const char *folder, const char *name, const char *more, char ret_path[PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s/%s%s", folder, name, more);

	return n < 0 || n >= PATH_MAX ? bh_cli_fail("%s/%s: too long a name", folder, name) : 0;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Everything into a new file beside `path`, which it then becomes. Returns the exit code. */
static int replace_file(const char *path, const void *data, size_t size, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	char temporary[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int n = snprintf(temporary, sizeof(temporary), "%.*s/.%s.XXXXXX", (int)(slash - path), path,
		slash + 1);

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return bh_cli_fail("%s: too long a name", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return bh_cli_fail("%s: %s", path, strerror(errno));
	for (const char *at = data; size;) {
		ssize_t written = write(fd, at, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		at += written;
		size -= (size_t)written;
	}
	if (size || fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
		int r = bh_cli_fail("%s: %s", path, strerror(errno));

		unlink(temporary);
		return r;
	}
	return 0;
}

/* ---- The binary ------------------------------------------------------------------------------ */

#define BINARY_MAX (64 * 1024 * 1024)

static int install_binary(const struct cni_options *options)
{
	_cleanup_free_ char *new = NULL;
	_cleanup_free_ char *old = NULL;
	char source[PATH_MAX], target[PATH_MAX];
	size_t new_size = 0, old_size = 0;
	int r;

	if (bh_process_find(PLUGIN, source) < 0)
		return bh_cli_fail(PLUGIN " is not beside this program");
	if (path_of(options->bin_dir, PLUGIN, "", target) != 0)
		return BH_CLI_FAILED;
	r = bh_cni_read_file(source, BINARY_MAX, &new, &new_size);
	if (r < 0)
		return bh_cli_fail("%s: %s", source, strerror(-r));
	if (mkdir(options->bin_dir, 0755) < 0 && errno != EEXIST)
		return bh_cli_fail("%s: %s", options->bin_dir, strerror(errno));
	if (bh_cni_read_file(target, BINARY_MAX, &old, &old_size) == 0 && old_size == new_size &&
		memcmp(old, new, new_size) == 0)
		return 0;
	r = replace_file(target, new, new_size, 0755);
	if (r == 0)
		printf("bulkhead: installed %s\n", target);
	return r;
}

/* ---- The runtime's configuration ------------------------------------------------------------- */

static int save(const char *path, const json_t *config)
{
	_cleanup_free_ char *text = json_dumps(config, JSON_INDENT(2));
	_cleanup_free_ char *line = NULL;
	struct stat status = {.st_mode = 0644};

	if (!text || asprintf(&line, "%s\n", text) < 0)
		return bh_cli_fail("out of memory");
	(void)stat(path, &status); /* a new file has the usual mode */
	return replace_file(path, line, strlen(line), status.st_mode & 0777);
}

static bool is_ours(const json_t *plugin)
{
	return strcmp(bh_json_get_text(plugin, "type"), PLUGIN) == 0;
}

/* Takes ours out, wherever it is. True if it was there. */
static bool take_out(json_t *plugins)
{
	bool found = false;

	for (size_t i = json_array_size(plugins); i-- > 0;) {
		if (!is_ours(json_array_get(plugins, i)))
			continue;
		json_array_remove(plugins, i);
		found = true;
	}
	return found;
}

static json_t *our_plugin(const struct cni_options *options)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "type", PLUGIN, "runDir", bh_cli.run_dir,
		"timeout", options->timeout, "fail", options->fail);
}

/* A chained plugin is handed the result of the one before it since 0.3.0. */
static int check_version(const char *path, const json_t *config)
{
	const char *version = bh_json_get_text(config, "cniVersion");

	if (!*version || strncmp(version, "0.1", 3) == 0 || strncmp(version, "0.2", 3) == 0)
		return bh_cli_fail("%s: its cniVersion is '%s', and chained plugins need 0.3.0 or "
				   "later",
			path, version);
	return 0;
}

static int install_into_list(const struct cni_options *options, const char *path, json_t *config)
{
	_cleanup_json_ json_t *before = json_deep_copy(config);
	json_t *plugins = json_object_get(config, "plugins");
	int r = check_version(path, config);

	if (r != 0)
		return r;
	take_out(plugins);
	json_array_append_new(plugins, our_plugin(options));
	if (json_equal(before, config)) {
		printf("bulkhead: %s has it already\n", path);
		return 0;
	}
	r = save(path, config);
	if (r == 0)
		printf("bulkhead: %s ends with " PLUGIN " now\n", path);
	return r;
}

/* "10-net.conf" becomes "10-net.conflist"; what it was is kept for the way back. */
static int install_instead_of_single(
	const struct cni_options *options, const char *path, const char *name, const json_t *single)
{
	_cleanup_json_ json_t *list = json_object();
	char list_path[PATH_MAX], saved[PATH_MAX], stem[NAME_MAX + 1];
	int r = check_version(path, single);

	if (r != 0)
		return r;
	snprintf(stem, sizeof(stem), "%.*s", (int)(strrchr(name, '.') - name), name);
	if (path_of(options->conf_dir, stem, ".conflist", list_path) != 0 ||
		path_of(options->conf_dir, name, SAVED, saved) != 0)
		return BH_CLI_FAILED;
	json_object_set(list, "cniVersion", json_object_get(single, "cniVersion"));
	json_object_set(list, "name", json_object_get(single, "name"));
	json_object_set_new(
		list, "plugins", json_pack("[O, o]", (json_t *)single, our_plugin(options)));
	r = save(list_path, list);
	if (r != 0)
		return r;
	/* Until here the runtime goes on with the old one, which is first in name order. */
	if (rename(path, saved) < 0)
		return bh_cli_fail("%s: %s", path, strerror(errno));
	printf("bulkhead: %s is %s now, and ends with " PLUGIN "\n", path, list_path);
	return 0;
}

static int install(const struct cni_options *options)
{
	_cleanup_(bh_cni_names_fini) struct bh_cni_names names = {0};
	int r = bh_cni_list(options->conf_dir, &names);

	if (r < 0)
		r = bh_cli_fail("%s: %s", options->conf_dir, strerror(-r));
	for (int i = 0; r == 0 && i < names.n; i++) {
		const char *name = names.list[i]->d_name;
		_cleanup_json_ json_t *config = NULL;
		char path[PATH_MAX];

		if (path_of(options->conf_dir, name, "", path) != 0)
			return BH_CLI_FAILED;
		config = bh_cni_load(path, name);
		if (!config)
			continue;
		/* The program first: a chain that names what is not there starts no pod. */
		r = install_binary(options);
		if (r != 0)
			return r;
		return bh_cni_is_list(name, config)
			       ? install_into_list(options, path, config)
			       : install_instead_of_single(options, path, name, config);
	}
	return r != 0 ? r
		      : bh_cli_fail("%s: there is no network configuration (yet): install the "
				    "cluster's CNI plugin first",
				options->conf_dir);
}

/* ---- Uninstall ------------------------------------------------------------------------------- */

/* The file that this list was made of, if it still is that and nothing else. */
static bool find_saved(const struct cni_options *options, const char *name, const json_t *plugins,
	char ret_saved[PATH_MAX], char ret_original[PATH_MAX])
{
	static const char *const suffixes[] = {".conf", ".json"};
	char stem[NAME_MAX + 1], original[NAME_MAX + 16];

	if (json_array_size(plugins) != 1)
		return false;
	snprintf(stem, sizeof(stem), "%.*s", (int)(strrchr(name, '.') - name), name);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(original, sizeof(original), "%s%s", stem, suffixes[i]);
		if (path_of(options->conf_dir, original, SAVED, ret_saved) == 0 &&
			path_of(options->conf_dir, original, "", ret_original) == 0 &&
			access(ret_saved, F_OK) == 0)
			return true;
	}
	return false;
}

static int uninstall_from(const struct cni_options *options, const char *path, const char *name)
{
	_cleanup_json_ json_t *config = bh_cni_load(path, name);
	json_t *plugins = json_object_get(config, "plugins");
	char saved[PATH_MAX], original[PATH_MAX];
	int r;

	if (!take_out(plugins))
		return 0;
	if (find_saved(options, name, plugins, saved, original)) {
		if (rename(saved, original) < 0 || unlink(path) < 0)
			return bh_cli_fail("%s: %s", original, strerror(errno));
		printf("bulkhead: %s is back\n", original);
		return 0;
	}
	r = save(path, config);
	if (r == 0)
		printf("bulkhead: " PLUGIN " is out of %s\n", path);
	return r;
}

static int uninstall(const struct cni_options *options)
{
	_cleanup_(bh_cni_names_fini) struct bh_cni_names names = {0};
	char path[PATH_MAX];
	int r = bh_cni_list(options->conf_dir, &names);

	if (r < 0)
		r = r == -ENOENT ? 0 : bh_cli_fail("%s: %s", options->conf_dir, strerror(-r));
	for (int i = 0; r == 0 && i < names.n; i++) {
		const char *name = names.list[i]->d_name;

		r = path_of(options->conf_dir, name, "", path);
		if (r == 0)
			r = uninstall_from(options, path, name);
	}
	if (r != 0 || options->keep_binary)
		return r;
	/* Last: until nothing names it. */
	r = path_of(options->bin_dir, PLUGIN, "", path);
	if (r == 0 && unlink(path) == 0)
		printf("bulkhead: removed %s\n", path);
	else if (r == 0 && errno != ENOENT)
		r = bh_cli_fail("%s: %s", path, strerror(errno));
	return r;
}

/* ---- Options --------------------------------------------------------------------------------- */

enum {
	OPTION_BIN_DIR = 256,
	OPTION_CONF_DIR,
	OPTION_FAIL,
	OPTION_TIMEOUT,
	OPTION_KEEP_BINARY,
};

static const struct argp_option argp_options[] = {
	{"bin-dir", OPTION_BIN_DIR, "DIR", 0, "Where CNI plugins are (/opt/cni/bin)", 0},
	{"conf-dir", OPTION_CONF_DIR, "DIR", 0,
		"Where the runtime's network configuration is (/etc/cni/net.d)", 0},
	{"fail", OPTION_FAIL, "open|closed", 0,
		"What becomes of a pod whose policy is not in force in time (open)", 0},
	{"timeout", OPTION_TIMEOUT, "TIME", 0, "How long a pod's start may wait (10s, at most 2m)",
		0},
	{"keep-binary", OPTION_KEEP_BINARY, NULL, 0,
		"uninstall: leave the program there for sandboxes that remember it", 0},
	{0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct cni_options *options = state->input;
	uint64_t ms;

	switch (key) {
	case OPTION_BIN_DIR:
		options->bin_dir = argument;
		return 0;
	case OPTION_CONF_DIR:
		options->conf_dir = argument;
		return 0;
	case OPTION_FAIL:
		if (strcmp(argument, "open") != 0 && strcmp(argument, "closed") != 0)
			argp_error(state, "--fail is open or closed, not '%s'", argument);
		options->fail = argument;
		return 0;
	case OPTION_TIMEOUT:
		if (bh_cli_parse_duration(argument, &ms) < 0 || ms < 1 || ms > 120000 ||
			strpbrk(argument, "smh") == NULL || strchr(argument, 'h'))
			argp_error(state, "--timeout is like 500ms, 10s, 2m, at most 2m, not '%s'",
				argument);
		options->timeout = argument;
		return 0;
	case OPTION_KEEP_BINARY:
		options->keep_binary = true;
		return 0;
	case ARGP_KEY_ARG:
		if (options->verb ||
			(strcmp(argument, "install") != 0 && strcmp(argument, "uninstall") != 0))
			argp_error(state, "unexpected argument '%s'", argument);
		options->verb = argument;
		return 0;
	case ARGP_KEY_END:
		if (!options->verb)
			argp_error(state, "install or uninstall?");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int bh_cli_cni(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.args_doc = "install|uninstall",
		.doc = "Puts bulkhead-cni at the end of the runtime's chain of CNI plugins, so "
		       "that a "
		       "pod's containers start when its policy is in the kernel; or takes it out. "
		       "May be repeated at any time.",
		.children = bh_cli_children,
	};
	struct cni_options options = {
		.bin_dir = "/opt/cni/bin",
		.conf_dir = "/etc/cni/net.d",
		.fail = "open",
		.timeout = "10s",
	};

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!bh_cli_output_is("cni", BH_ALLOW(BH_OUTPUT_TABLE)))
		return BH_CLI_USAGE;
	return strcmp(options.verb, "install") == 0 ? install(&options) : uninstall(&options);
}
