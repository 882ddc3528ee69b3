/* SPDX-License-Identifier: Apache-2.0 */

/* The options of `up`, from the command line; config.c reads the same ones from a file. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/listen.h"
#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/up.h"

enum {
	OPTION_CONFIG = 256,
	OPTION_FIRST,
};

/* In the order of `members` below. */
static const struct argp_option argp_options[] = {
	{"config", OPTION_CONFIG, "FILE", 0,
		"Options from a YAML or JSON file; the command line wins", 0},
	{"state-dir", OPTION_FIRST, "DIR", 0,
		"Where settings made by command and the history are kept (/var/lib/bulkhead; with "
		"another run "
		"directory: its folder state)",
		0},
	{"manifests", OPTION_FIRST + 1, "DIR", 0, "Folder of Kubernetes manifests", 0},
	{"kube", OPTION_FIRST + 2, "yes|no", OPTION_ARG_OPTIONAL,
		"Kubernetes' API server instead of a folder; without --kubeconfig by the service "
		"account of the pod we are in",
		0},
	{"kubeconfig", OPTION_FIRST + 3, "FILE", 0, "How to reach the API server", 0},
	{"context", OPTION_FIRST + 4, "NAME", 0, "Which of the kubeconfig's contexts", 0},
	{"node", OPTION_FIRST + 5, "NAME", 0, "This node, as pods' spec.nodeName says (hostname)",
		0},
	{"mode", OPTION_FIRST + 6, "MODE", 0, "observe, dry-run or enforce (dry-run)", 0},
	{"user", OPTION_FIRST + 7, "USER", 0, "Who the controller runs as (bulkhead, or nobody)",
		0},
	{"attach", OPTION_FIRST + 8, "HOW", 0, "auto, tcx or clsact (auto)", 0},
	{"uplink", OPTION_FIRST + 9, "INTERFACE", 0, "Judge what arrives there with XDP", 0},
	{"xdp-generic", OPTION_FIRST + 10, "yes|no", 0,
		"Where a driver refuses native XDP, run the slower generic one (no)", 0},
	{"map-size", OPTION_FIRST + 11, "NAME=ENTRIES,...", 0, "Sizes of maps, when they are made",
		0},
	{"hold", OPTION_FIRST + 12, "yes|no", 0,
		"While the node's mode is enforce, cut new interfaces off until their pod is known "
		"(with --kube: yes)",
		0},
	{"hold-exclude", OPTION_FIRST + 13, "PATTERN,...", 0,
		"Interfaces, or whose bridge, are called so are no pods'", 0},
	{"hold-timeout", OPTION_FIRST + 14, "SECONDS", 0,
		"After which an interface that is still held is named as a problem (30)", 0},
	{"history-days", OPTION_FIRST + 15, "N", 0, "How long history is kept (90)", 0},
	{"history-size", OPTION_FIRST + 16, "MIB", 0, "How large history may become on disk (1024)",
		0},
	{"http", OPTION_FIRST + 17, "ADDRESS:PORT", 0,
		"Serve the page and the HTTP API there (off)", 0},
	{"http-cert", OPTION_FIRST + 18, "FILE", 0,
		"TLS: the certificate and its chain, PEM; needed beyond loopback", 0},
	{"http-key", OPTION_FIRST + 19, "FILE", 0,
		"TLS: its private key, PEM, readable by the controller's user", 0},
	{"http-host", OPTION_FIRST + 20, "NAME,...", 0,
		"Names the server is asked by, besides localhost and addresses", 0},
	{"http-tokens", OPTION_FIRST + 21, "FILE", 0,
		"Tokens besides those made by command: for whoever asks many nodes", 0},
	{"log-level", OPTION_FIRST + 22, "LEVEL", 0, "error, warning, info or debug (info)", 0},
	{"export-json", OPTION_FIRST + 23, "FILE", 0,
		"Write flows there as lines of JSON; a relative FILE is in the state directory", 0},
	{"export-json-size", OPTION_FIRST + 24, "MIB", 0,
		"Set the file aside when it would grow larger (64)", 0},
	{"export-json-files", OPTION_FIRST + 25, "N", 0, "Keep so many that were set aside (5)", 0},
	{"export-json-age", OPTION_FIRST + 26, "SECONDS", 0,
		"Set the file aside when it is so old (0: at any age)", 0},
	{"export-json-sync", OPTION_FIRST + 27, "yes|no", 0,
		"Count a line as delivered only when the disk has it (no)", 0},
	{"export-ipfix", OPTION_FIRST + 28, "udp|tcp:HOST:PORT", 0,
		"Send flows to the IPFIX collector there", 0},
	{"export-ipfix-enterprise", OPTION_FIRST + 29, "NUMBER", 0,
		"Private enterprise number of the elements that IANA does not have (32473)", 0},
	{"export-ipfix-templates", OPTION_FIRST + 30, "SECONDS", 0,
		"Over UDP, send the templates again that often (60)", 0},
	{"export-queue", OPTION_FIRST + 31, "KIB", 0,
		"What may wait in memory for each exporter (8192)", 0},
	{"metrics-series", OPTION_FIRST + 32, "N", 0,
		"Edges told apart in the metrics; those that come later are called other (1000)",
		0},
	{"alert-ports", OPTION_FIRST + 33, "N", 0,
		"Distinct ports of one destination, tried in vain, that are a scan (15)", 0},
	{"alert-hosts", OPTION_FIRST + 34, "N", 0,
		"Distinct destinations, tried in vain, that are lateral movement (10)", 0},
	{"alert-window", OPTION_FIRST + 35, "SECONDS", 0,
		"Within so long what was tried in vain is added up (300)", 0},
	{"alert-learn", OPTION_FIRST + 36, "HOURS", 0,
		"Before that nobody's contact with the world is the first (24)", 0},
	{"alert-days", OPTION_FIRST + 37, "N", 0,
		"How long an alert is kept after its last time (30)", 0},
	{"alert-webhook", OPTION_FIRST + 38, "URL", 0, "Post alerts there, as JSON", 0},
	{"alert-webhook-secret", OPTION_FIRST + 39, "FILE", 0,
		"Sign what is posted with the secret that is in there, readable by the "
		"controller's user",
		0},
	{"alert-webhook-ca", OPTION_FIRST + 40, "FILE", 0,
		"Trust these certificates (PEM) instead of the system's", 0},
	{"cluster", OPTION_FIRST + 41, "prometheus=URL", 0,
		"The Prometheus that scrapes all nodes: the page shows the cluster's graph, too",
		0},
	{"cluster-token", OPTION_FIRST + 42, "FILE", 0,
		"A bearer token for it, readable by the controller's user", 0},
	{"cluster-login", OPTION_FIRST + 43, "FILE", 0,
		"USER:PASSWORD for it, readable by the controller's user", 0},
	{"cluster-ca", OPTION_FIRST + 44, "FILE", 0,
		"Certificates (PEM) it is trusted by, instead of the system's", 0},
	{"cluster-tenant", OPTION_FIRST + 45, "NAME", 0, "X-Scope-OrgID for it, of Mimir", 0},
	{"cluster-match", OPTION_FIRST + 46, "LABEL=VALUE,...", 0,
		"Only series with these labels, of a Prometheus for several clusters", 0},
	{"flow-active", OPTION_FIRST + 47, "SECONDS", 0,
		"A flow that lasts has a record in each such time, not only at its end (60; 0: no)",
		0},
	{0},
};

char **bh_up_option(struct bh_up_options *options, const char *name)
{
	char **members[] = {&options->state_dir, &options->manifests, &options->kube,
		&options->kubeconfig, &options->context, &options->node, &options->mode,
		&options->user, &options->attach, &options->uplink, &options->xdp_generic,
		&options->map_size, &options->hold, &options->hold_exclude, &options->hold_timeout,
		&options->history_days, &options->history_size, &options->http, &options->http_cert,
		&options->http_key, &options->http_host, &options->http_tokens, &options->log_level,
		&options->export_json, &options->export_json_size, &options->export_json_files,
		&options->export_json_age, &options->export_json_sync, &options->export_ipfix,
		&options->export_ipfix_enterprise, &options->export_ipfix_templates,
		&options->export_queue, &options->metrics_series, &options->alert_ports,
		&options->alert_hosts, &options->alert_window, &options->alert_learn,
		&options->alert_days, &options->alert_webhook, &options->alert_webhook_secret,
		&options->alert_webhook_ca, &options->cluster, &options->cluster_token,
		&options->cluster_login, &options->cluster_ca, &options->cluster_tenant,
		&options->cluster_match, &options->flow_active};

	if (strcmp(name, "run-dir") == 0)
		return &options->run_dir;
	for (const struct argp_option *option = argp_options; option->name; option++) {
		if (option->key >= OPTION_FIRST && strcmp(option->name, name) == 0)
			return members[option->key - OPTION_FIRST];
	}
	return NULL;
}

/* NAME=ENTRIES, and more of them after commas. The data plane knows the names. */
static bool are_sizes(const char *value)
{
	for (;;) {
		size_t name = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_");
		size_t digits = value[name] == '=' ? strspn(value + name + 1, "0123456789") : 0;

		if (name == 0 || digits == 0)
			return false;
		value += name + 1 + digits;
		if (!*value)
			return true;
		if (*value++ != ',')
			return false;
	}
}

static bool is_listen_address(const char *value)
{
	char address[BH_LISTEN_ADDRESS_MAX];
	unsigned int port;

	return bh_listen_parse(value, address, &port) == 0;
}

/* Those that the controller takes as numbers, which checks them itself as well. */
static const struct {
	const char *name;
	unsigned long min;
	unsigned long max;
	const char *reason;
} numbers[] = {
	{"hold-timeout", 1, 86400, "hold-timeout is a number of seconds, 1 to 86400, not"},
	{"flow-active", 0, 86400, "flow-active is a number of seconds, 0 to 86400, not"},
	{"history-days", 1, 3650, "history-days is a number of days, 1 to 3650, not"},
	{"history-size", 16, 1048576, "history-size is a number of MiB, 16 to 1048576, not"},
	{"export-json-size", 1, 1048576, "export-json-size is a number of MiB, 1 to 1048576, not"},
	{"export-json-files", 0, 1000, "export-json-files is a number, 0 to 1000, not"},
	{"export-json-age", 0, 31622400,
		"export-json-age is a number of seconds, 0 to 31622400, not"},
	{"export-ipfix-enterprise", 1, 4294967295,
		"export-ipfix-enterprise is a number, 1 to 4294967295, not"},
	{"export-ipfix-templates", 1, 86400,
		"export-ipfix-templates is a number of seconds, 1 to 86400, not"},
	{"alert-ports", 2, 100, "alert-ports is a number, 2 to 100, not"},
	{"alert-hosts", 2, 100, "alert-hosts is a number, 2 to 100, not"},
	{"alert-window", 1, 86400, "alert-window is a number of seconds, 1 to 86400, not"},
	{"alert-learn", 0, 8760, "alert-learn is a number of hours, 0 to 8760, not"},
	{"alert-days", 1, 3650, "alert-days is a number of days, 1 to 3650, not"},
	{"metrics-series", 0, 100000, "metrics-series is a number, 0 to 100000, not"},
	{"export-queue", 64, 1048576, "export-queue is a number of KiB, 64 to 1048576, not"},
};

static const char *check_number(const char *name, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	unsigned long number = strtoul(value, NULL, 10);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(numbers[i].name, name) != 0)
			continue;
		return digits && digits <= 10 && !value[digits] && number >= numbers[i].min &&
				       number <= numbers[i].max
			       ? NULL
			       : numbers[i].reason;
	}
	return NULL;
}

/* TRANSPORT:HOST:PORT. The controller looks closer. */
static bool is_collector(const char *value)
{
	const char *port = strrchr(value, ':');
	unsigned long number = port ? strtoul(port + 1, NULL, 10) : 0;

	return (strncmp(value, "udp:", 4) == 0 || strncmp(value, "tcp:", 4) == 0) &&
	       port > value + 4 && number >= 1 && number <= 65535 &&
	       strspn(port + 1, "0123456789") == strlen(port + 1);
}

const char *bh_up_check(const char *name, const char *value)
{
	static const struct {
		const char *name;
		const char *values[5];
		const char *reason;
	} choices[] = {
		{"mode", {"observe", "dry-run", "enforce"},
			"mode is observe, dry-run or enforce, not"},
		{"attach", {"auto", "tcx", "clsact"}, "attach is auto, tcx or clsact, not"},
		{"kube", {"yes", "no"}, "kube is yes or no, not"},
		{"xdp-generic", {"yes", "no"}, "xdp-generic is yes or no, not"},
		{"hold", {"yes", "no"}, "hold is yes or no, not"},
		{"export-json-sync", {"yes", "no"}, "export-json-sync is yes or no, not"},
		{"log-level", {"error", "warning", "info", "debug"},
			"log-level is error, warning, info or debug, not"},
	};

	if (!*value)
		return "an option is empty:";
	if (strcmp(name, "map-size") == 0 && !are_sizes(value))
		return "map-size is like bh_flows4=262144,bh_edges=16384, not";
	if (strcmp(name, "http") == 0 && !is_listen_address(value))
		return "http is an address and a port like 127.0.0.1:7070 or [::1]:7070, not";
	if (strcmp(name, "alert-webhook") == 0 && strncmp(value, "http://", 7) != 0 &&
		strncmp(value, "https://", 8) != 0)
		return "alert-webhook is a URL that begins with http:// or https://, not";
	if (check_number(name, value))
		return check_number(name, value);
	if (strcmp(name, "export-ipfix") == 0 && !is_collector(value))
		return "export-ipfix is like udp:192.0.2.1:4739 or tcp:[2001:db8::1]:4739, not";
	if (strcmp(name, "cluster") == 0 && strncmp(value, "prometheus=http", 15) != 0)
		return "cluster is like prometheus=https://HOST:9090, not";
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (strcmp(choices[i].name, name) != 0)
			continue;
		for (int j = 0; choices[i].values[j]; j++) {
			if (strcmp(choices[i].values[j], value) == 0)
				return NULL;
		}
		return choices[i].reason;
	}
	return NULL;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct bh_up_options *options = state->input;
	const char *reason;
	char **option;

	if (key == OPTION_CONFIG) {
		options->config = argument;
		return 0;
	}
	if (key == ARGP_KEY_ARG)
		argp_error(state, "unexpected argument '%s'", argument);
	if (!argument)
		argument = (char *)"yes"; /* an option that needs none */
	for (const struct argp_option *o = argp_options; o->name; o++) {
		if (o->key != key)
			continue;
		reason = bh_up_check(o->name, argument);
		if (reason)
			argp_error(state, "%s '%s'", reason, argument);
		option = bh_up_option(options, o->name);
		free(*option);
		*option = strdup(argument);
		return *option ? 0 : ENOMEM;
	}
	return ARGP_ERR_UNKNOWN;
}

void bh_up_options_free(struct bh_up_options *options)
{
	free(options->run_dir);
	for (const struct argp_option *option = argp_options; option->name; option++) {
		if (option->key >= OPTION_FIRST)
			free(*bh_up_option(options, option->name));
	}
}

const struct argp bh_up_argp = {
	.options = argp_options,
	.parser = parse_option,
	.doc = "Starts both daemons, in the foreground, and starts them again should one end. "
	       "SIGINT and SIGTERM end them; what is enforced stays enforced until "
	       "'bulkhead down'.",
	.children = bh_cli_children,
};
