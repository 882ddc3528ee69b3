/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/options.h"

#include <argp.h>
#include <errno.h>
#include <net/if.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

enum {
	OPTION_RUN_DIR = 256,
	OPTION_USER,
	OPTION_DOWN,
	OPTION_ATTACH,
	OPTION_UPLINK,
	OPTION_XDP_GENERIC,
	OPTION_MAP_SIZE,
	OPTION_HOLD,
	OPTION_HOLD_EXCLUDE,
	OPTION_HOLD_TIMEOUT,
	OPTION_FLOW_ACTIVE,
	OPTION_LOG_LEVEL,
};

static const struct argp_option options[] = {
	{"run-dir", OPTION_RUN_DIR, "DIR", 0, "Folder of this instance (/run/bulkhead)", 0},
	{"user", OPTION_USER, "NAME|UID", 0, "The controller's user, who may connect", 0},
	{"attach", OPTION_ATTACH, "auto|tcx|clsact", 0, "How TC programs are attached", 0},
	{"uplink", OPTION_UPLINK, "IFACE", 0, "Judge what arrives for pods here too, with XDP", 0},
	{"xdp-generic", OPTION_XDP_GENERIC, NULL, 0,
		"Where native XDP is refused, run the slower generic one", 0},
	{"map-size", OPTION_MAP_SIZE, "NAME=ENTRIES", 0, "Size of a map, when it is made", 0},
	{"hold", OPTION_HOLD, NULL, 0,
		"While the node's mode is enforce, cut new interfaces off until their pod is known",
		0},
	{"hold-exclude", OPTION_HOLD_EXCLUDE, "PATTERN,...", 0,
		"Interfaces, or whose bridge, are called so are no pods'", 0},
	{"hold-timeout", OPTION_HOLD_TIMEOUT, "SECONDS", 0,
		"After which an interface that is still held is named as a problem (30)", 0},
	{"flow-active", OPTION_FLOW_ACTIVE, "SECONDS", 0,
		"A flow that lasts has a record in each such time, not only at its end (60; 0: no)",
		0},
	{"log-level", OPTION_LOG_LEVEL, "error|warning|info|debug", 0, "What is logged (info)", 0},
	{"down", OPTION_DOWN, NULL, 0,
		"Take everything of this instance out of the kernel, and end", 0},
	{NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0},
	{},
};

/* The position of `text` in a list that ends with NULL, or -1. */
static int choose(const char *text, const char *const *words)
{
	for (int i = 0; words[i]; i++) {
		if (!strcmp(text, words[i]))
			return i;
	}
	return -1;
}

static void parse_user(const char *text, struct bh_options *parsed, struct argp_state *state)
{
	const struct passwd *user = getpwnam(text);
	unsigned long uid;
	char *end;

	if (user) {
		parsed->user = user->pw_uid;
		return;
	}
	uid = strtoul(text, &end, 10);
	if (!*text || *end || uid >= (uid_t)-1)
		argp_error(state, "--user '%s': there is no such user", text);
	parsed->user = (uid_t)uid;
}

/* "cali*,lxc_health": cut in place, as the command line lives as long as we do. */
static void parse_excludes(char *text, struct bh_hold_options *hold, struct argp_state *state)
{
	char *rest;

	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		if (hold->n_excludes == BH_HOLD_EXCLUDES_MAX)
			argp_error(state, "--hold-exclude: more than %d patterns",
				BH_HOLD_EXCLUDES_MAX);
		hold->excludes[hold->n_excludes++] = word;
	}
}

static uint64_t parse_seconds(
	const char *text, unsigned long min, const char *option, struct argp_state *state)
{
	unsigned long seconds;
	char *end;

	seconds = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || seconds < min || seconds > 86400)
		argp_error(state, "%s '%s': a number of seconds, %lu to 86400", option, text, min);
	return seconds;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const attach[] = {"auto", "tcx", "clsact", NULL};
	static const char *const words[] = {"error", "warning", "info", "debug", NULL};
	static const enum bh_log_level levels[] = {
		BH_LOG_ERROR, BH_LOG_WARNING, BH_LOG_INFO, BH_LOG_DEBUG};
	struct bh_options *parsed = state->input;
	struct bh_why why;
	int choice;

	switch (key) {
	case OPTION_RUN_DIR:
		parsed->run_dir = arg;
		return 0;
	case OPTION_USER:
		parse_user(arg, parsed, state);
		return 0;
	case OPTION_DOWN:
		parsed->down = true;
		return 0;
	case OPTION_ATTACH:
		choice = choose(arg, attach);
		if (choice < 0)
			argp_error(state, "--attach '%s': one of auto, tcx, clsact", arg);
		parsed->attach = (enum bh_attach_mode)choice;
		return 0;
	case OPTION_UPLINK:
		if (!*arg || strlen(arg) >= IFNAMSIZ)
			argp_error(state, "--uplink '%s': no interface is called that", arg);
		parsed->uplink = arg;
		return 0;
	case OPTION_XDP_GENERIC:
		parsed->xdp_generic = true;
		return 0;
	case OPTION_MAP_SIZE:
		if (bh_object_parse_size(arg, parsed->sizes, &why) < 0)
			argp_error(state, "--map-size: %s", why.text);
		return 0;
	case OPTION_HOLD:
		parsed->hold.on = true;
		return 0;
	case OPTION_HOLD_EXCLUDE:
		parse_excludes(arg, &parsed->hold, state);
		return 0;
	case OPTION_HOLD_TIMEOUT:
		parsed->hold.timeout_ms = 1000 * parse_seconds(arg, 1, "--hold-timeout", state);
		return 0;
	case OPTION_FLOW_ACTIVE:
		parsed->flow_active_s = (uint32_t)parse_seconds(arg, 0, "--flow-active", state);
		return 0;
	case OPTION_LOG_LEVEL:
		choice = choose(arg, words);
		if (choice < 0)
			argp_error(
				state, "--log-level '%s': one of error, warning, info, debug", arg);
		parsed->log_level = levels[choice];
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

void bh_options_parse(int argc, char **argv, struct bh_options *ret_options)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Holds the kernel's side of Bulkhead: BPF programs, maps and links. Started "
		       "by "
		       "`bulkhead up`.",
	};

	*ret_options = (struct bh_options){
		.run_dir = "/run/bulkhead",
		.log_level = BH_LOG_INFO,
		.hold = {.timeout_ms = 30000},
		.flow_active_s = 60,
	};
	argp_program_version = "bulkhead-dataplane " BH_VERSION;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, ret_options);
	ret_options->hold.uplink = ret_options->uplink;
}
