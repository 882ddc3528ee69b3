/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/options.h"

#include <argp.h>
#include <stdlib.h>

#include "controller/history/history.h"

const char *argp_program_version = "bulkhead-controller " BH_VERSION;

enum {
	OPTION_RUN_DIR = 256,
	OPTION_STATE_DIR,
	OPTION_NODE,
	OPTION_MODE,
	OPTION_MANIFESTS,
	OPTION_BROKER,
	OPTION_KUBE,
	OPTION_KUBECONFIG,
	OPTION_CONTEXT,
	OPTION_KUBE_PAGE,
	OPTION_KUBE_WATCH,
	OPTION_KUBE_SILENCE,
	OPTION_HISTORY_DAYS,
	OPTION_HISTORY_SIZE,
	OPTION_HTTP,
	OPTION_HTTP_CERT,
	OPTION_HTTP_KEY,
	OPTION_HTTP_HOST,
	OPTION_HTTP_TOKENS,
	OPTION_LOG_LEVEL,
};

static const struct argp_option argp_options[] = {
	{"run-dir", OPTION_RUN_DIR, "DIR", 0, "Where the sockets are (/run/bulkhead)", 0},
	{"state-dir", OPTION_STATE_DIR, "DIR", 0,
		"Where settings made by command and the history are kept (/var/lib/bulkhead)", 0},
	{"node", OPTION_NODE, "NAME", 0, "This node's name, as pods' spec.nodeName says it", 0},
	{"mode", OPTION_MODE, "observe|dry-run|enforce", 0, "The node's mode (dry-run)", 0},
	{"manifests", OPTION_MANIFESTS, "DIR", 0, "Folder of Kubernetes manifests", 0},
	{"broker", OPTION_BROKER, "FD", 0,
		"Socket of the process that opens the folder's files, or the kubeconfig, for us",
		0},
	{"kube", OPTION_KUBE, 0, 0,
		"Kubernetes' API server instead of a folder; without --kubeconfig by the service "
		"account of the pod we are in",
		0},
	{"kubeconfig", OPTION_KUBECONFIG, "FILE", 0, "How to reach it", 0},
	{"context", OPTION_CONTEXT, "NAME", 0, "Which of the kubeconfig's contexts", 0},
	{"kube-page", OPTION_KUBE_PAGE, "N", 0, "Objects in a page of a list (500)", 0},
	{"kube-watch", OPTION_KUBE_WATCH, "SECONDS", 0,
		"A watch is begun anew after one to two times that (300)", 0},
	{"kube-silence", OPTION_KUBE_SILENCE, "SECONDS", 0,
		"A request on which nothing came for so long is given up (120)", 0},
	{"history-days", OPTION_HISTORY_DAYS, "N", 0, "How long history is kept (90)", 0},
	{"history-size", OPTION_HISTORY_SIZE, "MIB", 0, "How large it may become on disk (1024)",
		0},
	{"http", OPTION_HTTP, "ADDRESS:PORT", 0, "Serve the page and the HTTP API there (off)", 0},
	{"http-cert", OPTION_HTTP_CERT, "FILE", 0,
		"TLS: the certificate and its chain, PEM; needed beyond loopback", 0},
	{"http-key", OPTION_HTTP_KEY, "FILE", 0, "TLS: its private key, PEM", 0},
	{"http-tokens", OPTION_HTTP_TOKENS, "FILE", 0, "Tokens besides those made here, YAML", 0},
	{"http-host", OPTION_HTTP_HOST, "NAME,...", 0,
		"Names the server is asked by, besides localhost and addresses", 0},
	{"log-level", OPTION_LOG_LEVEL, "error|warning|info|debug", 0, "How much to say (info)", 0},
	{NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0},
	{0},
};

static unsigned int parse_number(struct argp_state *state, const char *text, long min, long max)
{
	char *end_of_number;
	long number = strtol(text, &end_of_number, 10);

	if (!*text || *end_of_number || number < min || number > max)
		argp_error(state, "'%s' is no number from %ld to %ld", text, min, max);
	return (unsigned int)number;
}

static unsigned int parse_count(struct argp_state *state, const char *text, long max)
{
	return parse_number(state, text, 1, max);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct bh_options *options = state->input;
	char *end_of_number;
	char *problem;
	long number;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &options->exports;
		state->child_inputs[1] = &options->alerting;
		state->child_inputs[2] = &options->cluster;
		break;
	case OPTION_RUN_DIR:
		options->run_dir = argument;
		break;
	case OPTION_STATE_DIR:
		options->state_dir = argument;
		break;
	case OPTION_NODE:
		options->node = argument;
		break;
	case OPTION_MODE:
		options->mode = bh_mode_parse(argument);
		if (options->mode == BH_MODE_UNSET)
			argp_error(state, "'%s' is no mode: observe, dry-run or enforce", argument);
		break;
	case OPTION_MANIFESTS:
		options->manifests = argument;
		break;
	case OPTION_BROKER:
		number = strtol(argument, &end_of_number, 10);
		if (!*argument || *end_of_number || number < 3 || number > 1 << 20)
			argp_error(state, "'%s' is no file descriptor", argument);
		options->broker = (int)number;
		break;
	case OPTION_KUBE:
		options->kube = true;
		break;
	case OPTION_KUBECONFIG:
		options->kubeconfig = argument;
		break;
	case OPTION_CONTEXT:
		options->context = argument;
		break;
	case OPTION_KUBE_PAGE:
		options->kube_page = parse_count(state, argument, 100000);
		break;
	case OPTION_KUBE_WATCH:
		options->kube_watch_s = parse_count(state, argument, 3600);
		break;
	case OPTION_KUBE_SILENCE:
		options->kube_silence_s = parse_count(state, argument, 3600);
		break;
	case OPTION_HISTORY_DAYS:
		options->history_days = parse_count(state, argument, BH_HISTORY_DAYS_MAX);
		break;
	case OPTION_HISTORY_SIZE:
		options->history_mib = parse_number(
			state, argument, BH_HISTORY_BYTES_MIN / 1024 / 1024, 1024 * 1024);
		break;
	case OPTION_HTTP:
		options->serve.http = argument;
		break;
	case OPTION_HTTP_CERT:
		options->serve.certificate = argument;
		break;
	case OPTION_HTTP_KEY:
		options->serve.key = argument;
		break;
	case OPTION_HTTP_HOST:
		options->serve.hosts = argument;
		break;
	case OPTION_HTTP_TOKENS:
		options->serve.tokens = argument;
		break;
	case OPTION_LOG_LEVEL:
		if (bh_log_level_parse(argument, &options->log_level) < 0)
			argp_error(state, "'%s' is no log level: error, warning, info or debug",
				argument);
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		break;
	case ARGP_KEY_END:
		if (!options->node || !*options->node)
			argp_error(state, "--node is missing");
		if (options->kube == (options->manifests != NULL))
			argp_error(state, "say either --manifests or --kube");
		if (!options->kube && (options->kubeconfig || options->context))
			argp_error(state, "--kubeconfig and --context need --kube");
		if (options->context && !options->kubeconfig)
			argp_error(state, "--context needs --kubeconfig");
		problem = bh_serve_check(&options->serve);
		if (problem)
			argp_error(state, "%s", problem);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child argp_children[] = {{&bh_exports_argp, 0, NULL, 0},
	{&bh_alerting_argp, 0, NULL, 0}, {&bh_cluster_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.children = argp_children,
	.doc = "Compiles network policy and keeps bulkhead-dataplane told. Usually started by "
	       "'bulkhead up'.",
};

void bh_options_parse(struct bh_options *ret_options, int argc, char **argv)
{
	*ret_options = (struct bh_options){
		.run_dir = "/run/bulkhead",
		.state_dir = "/var/lib/bulkhead",
		.mode = BH_MODE_DRY_RUN,
		.broker = -1,
		.kube_page = 500,
		.kube_watch_s = 300,
		.kube_silence_s = 120,
		.history_days = BH_HISTORY_DAYS_DEFAULT,
		.history_mib = BH_HISTORY_BYTES_DEFAULT / 1024 / 1024,
		.log_level = BH_LOG_INFO,
		.exports = bh_exports_defaults,
		.alerting = bh_alerting_defaults,
		.cluster = bh_cluster_defaults,
	};
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, ret_options);
}
