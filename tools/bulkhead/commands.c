/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead [--run-dir DIR] COMMAND …: finds the command and hands it the rest. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

static int version(int argc, char **argv)
{
	bh_cli_parse_plain(argc, argv, "Prints the version.");
	printf("bulkhead %s\n", BH_VERSION);
	return 0;
}

static int help(int argc, char **argv);

static const struct command {
	const char *name;
	bh_cli_command *run;
	const char *summary;
} commands[] = {
	{"up", bh_cli_up, "start both daemons in the foreground"},
	{"down", bh_cli_down, "end the daemons and take every program and map away"},
	{"wait", bh_cli_wait, "return once everything in the sources is in force"},
	{"status", bh_cli_status, "how it stands: mode, revision, pods, drops, problems"},
	{"pods", bh_cli_pods, "this node's pods: interface, mode, state, policies"},
	{"policies", bh_cli_policies, "the policies, whom they select, their rules"},
	{"policy", bh_cli_policy, "diff: try policies on what was seen; suggest: make some of it"},
	{"flows", bh_cli_flows, "what was seen, record by record; --follow goes on"},
	{"edges", bh_cli_edges, "who talks to whom, how much, and by which rule"},
	{"graph", bh_cli_graph, "the same as a graph: table, json, dot, svg, csv, graphml"},
	{"alerts", bh_cli_alerts, "what is out of the ordinary; --follow goes on, ack ID"},
	{"baseline", bh_cli_baseline, "lock what a namespace does as what is usual; show, unlock"},
	{"metrics", bh_cli_metrics, "everything that is counted, for Prometheus"},
	{"explain", bh_cli_explain, "SRC DST PORT/PROTO: would it pass, and by which rule"},
	{"mode", bh_cli_mode, "show or set observe, dry-run, enforce"},
	{"quarantine", bh_cli_quarantine, "cut a pod off, or let it back"},
	{"token", bh_cli_token, "create, list or revoke tokens for the page and the HTTP API"},
	{"doctor", bh_cli_doctor, "look at this host: what works here, what does not, and why"},
	{"cni", bh_cli_cni, "install or uninstall the CNI plugin that makes pods wait"},
	{"completion", bh_cli_completion, "bash: print the completion for this shell"},
	{"version", version, "print the version"},
	{"help", help, "this list, or help for one command"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void list_commands(FILE *out)
{
	fprintf(out, "Usage: bulkhead [--run-dir DIR] COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\n'bulkhead COMMAND --help' says more. The instance is named by its run "
		     "directory (/run/bulkhead).\n");
}

static int usage(const char *format, const char *word)
{
	fprintf(stderr, "bulkhead: ");
	fprintf(stderr, format, word);
	fprintf(stderr, "; 'bulkhead help' lists the commands\n");
	return BH_CLI_USAGE;
}

/* A command sees itself as "bulkhead NAME", which is what its usage message begins with. */
static int run(const struct command *command, int argc, char **argv)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "bulkhead %s", command->name) < 0)
		return bh_cli_fail("out of memory");
	argv[0] = name;
	return command->run(argc, argv);
}

static int help(int argc, char **argv)
{
	const struct command *command;
	char *rest[] = {argv[0], "--help", NULL};

	if (argc < 2) {
		list_commands(stdout);
		return 0;
	}
	command = find(argv[1]);
	if (!command)
		return usage("there is no command '%s'", argv[1]);
	return run(command, 2, rest);
}

/* ---- What stands before the command ---------------------------------------------------------- */

enum {
	OPTION_USAGE = 256,
};

static error_t parse_global(int key, char *argument, struct argp_state *state)
{
	int *ret_command = state->input;

	switch (key) {
	case '?':
	case 'h':
	case OPTION_USAGE:
		list_commands(stdout);
		exit(0);
	case 'V':
		printf("bulkhead %s\n", BH_VERSION);
		exit(0);
	case ARGP_KEY_ARG:
		*ret_command = state->next - 1;
		state->next = state->argc;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option global_options[] = {
	{"help", '?', 0, 0, "Give this help list", -1},
	{NULL, 'h', 0, OPTION_HIDDEN, NULL, -1},
	{"usage", OPTION_USAGE, 0, 0, "The same", -1},
	{"version", 'V', 0, 0, "Print program version", -1},
	{0},
};

static bool wants_colour(void)
{
	const char *term = getenv("TERM");
	const char *none = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(none && *none) && !(term && strcmp(term, "dumb") == 0);
}

int bh_cli_main(int argc, char **argv)
{
	const struct argp argp = {.options = global_options,
		.parser = parse_global,
		.args_doc = "COMMAND",
		.children = bh_cli_children};
	const struct command *command;
	int at = 0;

	argp_err_exit_status = BH_CLI_USAGE;
	bh_cli.colour = wants_colour();
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &at);
	if (at == 0) {
		list_commands(stderr);
		return BH_CLI_USAGE;
	}
	command = find(argv[at]);
	if (!command)
		return usage("there is no command '%s'", argv[at]);
	return run(command, argc - at, argv + at);
}
