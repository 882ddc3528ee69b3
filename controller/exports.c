/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/exports.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "controller/export/collector.h"
#include "controller/export/ipfix.h"
#include "controller/export/jsonl.h"
#include "controller/export/webhook.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"
#include "proto/log.h"

struct bh_exports {
	const struct bh_model *model;
	const struct bh_names *names;
	uint64_t next; /* sequence of the record to be exported next */
	struct bh_jsonl *jsonl;
	struct bh_collector *collector;
	struct bh_webhook *webhook;
};

/* ---- Life ------------------------------------------------------------------------------------ */

static uint64_t new_instance(void)
{
	uint64_t instance = 0;

	if (getrandom(&instance, sizeof(instance), 0) != sizeof(instance))
		abort();
	return instance;
}

static struct bh_jsonl *new_jsonl(uv_loop_t *loop, const struct bh_exports_options *options,
	const char *folder, void (*changed)(void *data), void *data)
{
	_cleanup_free_ char *path = *options->json == '/'
					    ? bh_xstrdup(options->json)
					    : bh_xasprintf("%s/%s", folder, options->json);
	const struct bh_rotating_config config = {
		.path = path,
		.max_bytes = (uint64_t)options->json_mib << 20,
		.max_files = options->json_files,
		.max_age_s = options->json_age_s,
		.sync = options->json_sync,
	};

	return bh_jsonl_new(
		loop, &config, (size_t)options->queue_kib << 10, new_instance(), changed, data);
}

static struct bh_collector *new_collector(uv_loop_t *loop, const struct bh_exports_options *options,
	const char *node, void (*changed)(void *data), void *data)
{
	_cleanup_free_ char *copy = bh_xstrdup(options->ipfix);
	struct bh_collector_config config = {
		.enterprise = options->ipfix_enterprise,
		.templates_s = options->ipfix_templates_s,
		.queue_bytes = (size_t)options->queue_kib << 10,
	};

	bh_collector_parse(copy, &config); /* the command line's parser has seen it */
	return bh_collector_new(loop, &config, node, changed, data);
}

static struct bh_webhook *new_webhook(uv_loop_t *loop, const struct bh_exports_options *options,
	void (*changed)(void *data), void *data)
{
	const struct bh_webhook_config config = {
		.url = options->webhook,
		.secret = options->webhook_secret,
		.ca = options->webhook_ca,
		.queue_bytes = (size_t)options->queue_kib << 10,
	};
	struct bh_webhook *webhook = NULL;
	int r = bh_webhook_new(loop, &config, changed, data, &webhook);

	/* The command line's parser has seen the URL: there are no file descriptors. */
	if (r < 0)
		bh_error("alerts are not posted anywhere: %s", strerror(-r));
	return webhook;
}

struct bh_exports *bh_exports_new(uv_loop_t *loop, const struct bh_exports_options *options,
	const char *folder, const struct bh_model *model, const struct bh_names *names,
	void (*changed)(void *data), void *data)
{
	struct bh_exports *exports = bh_xcalloc(1, sizeof(*exports));

	exports->model = model;
	exports->names = names;
	exports->next = 1;
	if (options->json)
		exports->jsonl = new_jsonl(loop, options, folder, changed, data);
	if (options->ipfix)
		exports->collector =
			new_collector(loop, options, bh_model_node_name(model), changed, data);
	if (options->webhook)
		exports->webhook = new_webhook(loop, options, changed, data);
	return exports;
}

void bh_exports_close(struct bh_exports *exports)
{
	if (!exports)
		return;
	bh_jsonl_close(exports->jsonl);
	bh_collector_close(exports->collector);
	bh_webhook_close(exports->webhook);
}

void bh_exports_free(struct bh_exports *exports)
{
	const struct bh_export_account *accounts[BH_EXPORTS_MAX];
	char text[512];

	if (!exports)
		return;
	if (exports->jsonl)
		bh_jsonl_finish(exports->jsonl);
	if (exports->collector)
		bh_collector_finish(exports->collector);
	if (exports->webhook)
		bh_webhook_finish(exports->webhook);
	for (size_t i = bh_exports_accounts(exports, accounts); i-- > 0;)
		bh_info("%s", bh_export_sum_up(accounts[i], text, sizeof(text)));
	bh_jsonl_free(exports->jsonl);
	bh_collector_free(exports->collector);
	bh_webhook_free(exports->webhook);
	free(exports);
}

size_t bh_exports_accounts(const struct bh_exports *exports,
	const struct bh_export_account *ret_accounts[BH_EXPORTS_MAX])
{
	size_t n = 0;

	if (exports->jsonl)
		ret_accounts[n++] = bh_jsonl_account(exports->jsonl);
	if (exports->collector)
		ret_accounts[n++] = bh_collector_account(exports->collector);
	if (exports->webhook)
		ret_accounts[n++] = bh_webhook_account(exports->webhook);
	return n;
}

/* ---- Records --------------------------------------------------------------------------------- */

static void take_one(struct bh_exports *exports, const struct bh_flow_record *record)
{
	bool full = exports->jsonl && bh_jsonl_is_full(exports->jsonl);
	struct bh_export_flow flow;

	if (full)
		bh_jsonl_lose(exports->jsonl);
	if (full && !exports->collector)
		return;
	flow = bh_export_flow(exports->model, exports->names, record);
	if (exports->jsonl && !full)
		bh_jsonl_add(exports->jsonl, &flow);
	if (exports->collector)
		bh_collector_add(exports->collector, &flow);
}

void bh_exports_take(struct bh_exports *exports, const struct bh_flow_log *log)
{
	uint64_t end = bh_flow_log_next(log);

	if (exports->next < bh_flow_log_first(log))
		exports->next = bh_flow_log_first(log);
	if (!exports->jsonl && !exports->collector)
		exports->next = end;
	for (; exports->next < end; exports->next++)
		take_one(exports, bh_flow_log_get(log, exports->next));
}

/* ---- Alerts ---------------------------------------------------------------------------------- */

void bh_exports_alert(struct bh_exports *exports, json_t *alert)
{
	_cleanup_free_ char *text = NULL;
	json_t *document;

	if (!exports->webhook)
		return;
	document = json_pack("{s:s, s:s, s:O}", "event", "alert", "node",
		bh_model_node_name(exports->model), "alert", alert);
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	if (text)
		bh_webhook_send(exports->webhook, text, strlen(text));
}

/* ---- Options --------------------------------------------------------------------------------- */

const struct bh_exports_options bh_exports_defaults = {
	.json_mib = 64,
	.json_files = 5,
	.ipfix_enterprise = BH_IPFIX_ENTERPRISE,
	.ipfix_templates_s = 60,
	.queue_kib = 8192,
	.metrics_series = 1000,
};

enum {
	OPTION_JSON = 1024, /* behind the parent's */
	OPTION_JSON_SIZE,
	OPTION_JSON_FILES,
	OPTION_JSON_AGE,
	OPTION_JSON_SYNC,
	OPTION_IPFIX,
	OPTION_IPFIX_ENTERPRISE,
	OPTION_IPFIX_TEMPLATES,
	OPTION_QUEUE,
	OPTION_METRICS_SERIES,
	OPTION_WEBHOOK,
	OPTION_WEBHOOK_SECRET,
	OPTION_WEBHOOK_CA,
};

static const struct argp_option argp_options[] = {
	{0, 0, 0, 0, "Exports:", 0},
	{"export-json", OPTION_JSON, "FILE", 0,
		"Write flows there as lines of JSON; a relative FILE is in the state directory", 0},
	{"export-json-size", OPTION_JSON_SIZE, "MIB", 0,
		"Set the file aside when it would grow larger (64)", 0},
	{"export-json-files", OPTION_JSON_FILES, "N", 0, "Keep so many that were set aside (5)", 0},
	{"export-json-age", OPTION_JSON_AGE, "SECONDS", 0,
		"Set the file aside when it is so old (0: at any age)", 0},
	{"export-json-sync", OPTION_JSON_SYNC, "yes|no", 0,
		"Count a line as delivered only when the disk has it (no)", 0},
	{"export-ipfix", OPTION_IPFIX, "udp|tcp:HOST:PORT", 0,
		"Send flows to the IPFIX collector there", 0},
	{"export-ipfix-enterprise", OPTION_IPFIX_ENTERPRISE, "NUMBER", 0,
		"Private enterprise number of the elements that IANA does not have (32473)", 0},
	{"export-ipfix-templates", OPTION_IPFIX_TEMPLATES, "SECONDS", 0,
		"Over UDP, send the templates again that often (60)", 0},
	{"export-queue", OPTION_QUEUE, "KIB", 0, "What may wait in memory for each exporter (8192)",
		0},
	{"metrics-series", OPTION_METRICS_SERIES, "N", 0,
		"Edges told apart in the metrics; those that come later are called other (1000)",
		0},
	{"alert-webhook", OPTION_WEBHOOK, "URL", 0, "Post alerts there, as JSON", 0},
	{"alert-webhook-secret", OPTION_WEBHOOK_SECRET, "FILE", 0,
		"Sign what is posted with the secret that is in there", 0},
	{"alert-webhook-ca", OPTION_WEBHOOK_CA, "FILE", 0,
		"Trust these certificates (PEM) instead of the system's", 0},
	{0},
};

static unsigned int parse_number(
	struct argp_state *state, const char *text, unsigned int min, unsigned int max)
{
	char *end_of_number;
	unsigned long number = strtoul(text, &end_of_number, 10);

	if (*text < '0' || *text > '9' || *end_of_number || number < min || number > max)
		argp_error(state, "'%s' is no number from %u to %u", text, min, max);
	return (unsigned int)number;
}

static void check_collector(struct argp_state *state, const char *text)
{
	_cleanup_free_ char *copy = bh_xstrdup(text);
	struct bh_collector_config config;
	const char *wrong = bh_collector_parse(copy, &config);

	if (wrong)
		argp_error(state, "--export-ipfix '%s' %s", text, wrong);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct bh_exports_options *options = state->input;

	switch (key) {
	case OPTION_JSON:
		options->json = argument;
		break;
	case OPTION_JSON_SIZE:
		options->json_mib = parse_number(state, argument, 1, 1 << 20);
		break;
	case OPTION_JSON_FILES:
		options->json_files = parse_number(state, argument, 0, 1000);
		break;
	case OPTION_JSON_AGE:
		options->json_age_s = parse_number(state, argument, 0, 366 * 86400);
		break;
	case OPTION_JSON_SYNC:
		options->json_sync = strcmp(argument, "yes") == 0;
		if (!options->json_sync && strcmp(argument, "no") != 0)
			argp_error(state, "'%s' is neither yes nor no", argument);
		break;
	case OPTION_IPFIX:
		check_collector(state, argument);
		options->ipfix = argument;
		break;
	case OPTION_IPFIX_ENTERPRISE:
		options->ipfix_enterprise = parse_number(state, argument, 1, UINT32_MAX);
		break;
	case OPTION_IPFIX_TEMPLATES:
		options->ipfix_templates_s = parse_number(state, argument, 1, 86400);
		break;
	case OPTION_QUEUE:
		options->queue_kib = parse_number(state, argument, 64, 1 << 20);
		break;
	case OPTION_METRICS_SERIES:
		options->metrics_series = parse_number(state, argument, 0, 100000);
		break;
	case OPTION_WEBHOOK:
		if (bh_webhook_check(argument))
			argp_error(state, "--alert-webhook %s", bh_webhook_check(argument));
		options->webhook = argument;
		break;
	case OPTION_WEBHOOK_SECRET:
		options->webhook_secret = argument;
		break;
	case OPTION_WEBHOOK_CA:
		options->webhook_ca = argument;
		break;
	case ARGP_KEY_END:
		if (!options->webhook && (options->webhook_secret || options->webhook_ca))
			argp_error(state, "--alert-webhook-secret and --alert-webhook-ca need "
					  "--alert-webhook");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp bh_exports_argp = {
	.options = argp_options,
	.parser = parse_option,
};
