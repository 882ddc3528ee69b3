/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/alerting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/flows/talk.h"
#include "controller/model/memory.h"
#include "controller/settings.h"
#include "proto/cleanup.h"
#include "proto/log.h"

/* What changed is written so long after it did… */
#define KEEP_MS 500
/* … but not more often than this, however much happens; and tried again if it did not work. */
#define KEEP_EACH_MS 3000
#define EXPIRE_MS 60000
/* No change has this number. */
#define NEVER UINT64_MAX

struct bh_alerting {
	uv_loop_t *loop;
	struct bh_alerts *alerts;
	char *path;
	char *baselines_path;
	uint64_t next_record;
	uint64_t expire_at;
	/* Writing: at most one at a time, of a copy. */
	uint64_t kept; /* the last change that is on disk, or on its way */
	uint64_t keep_at;
	uint64_t kept_at;
	bool writing;
	uv_work_t work;
	json_t *copy;
	int result;
	char *problem;
};

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* NULL, or what is wrong. A file that makes no sense is kept aside. */
static char *load(struct bh_alerts *alerts, const char *path,
	int (*take)(struct bh_alerts *alerts, const json_t *state), const char *lost)
{
	char text[256] = "it does not say what it should";
	json_t *state = NULL;
	int r = bh_settings_read_json(path, &state, text, sizeof(text));

	if (r == 0)
		r = take(alerts, state);
	json_decref(state);
	if (r == 0 || r == -ENOENT)
		return NULL;
	if (r == -EBADMSG) {
		_cleanup_free_ char *aside = bh_xasprintf("%s.corrupt", path);

		if (rename(path, aside) == 0)
			return bh_xasprintf("%s cannot be used: %s; it is kept as %s. %s", path,
				text, aside, lost);
	}
	return bh_xasprintf(
		"%s cannot be read: %s. %s", path, r == -EBADMSG ? text : strerror(-r), lost);
}

struct bh_alerting *bh_alerting_new(uv_loop_t *loop, const struct bh_alerting_options *options,
	const char *state_dir, struct bh_names *names,
	void (*raised)(void *data, const struct bh_alert *alert), void *data,
	struct bh_alerting_problems *ret_problems)
{
	const struct bh_alerts_config config = {
		.names = names,
		.ports = options->ports,
		.hosts = options->hosts,
		.window_s = options->window_s,
		.learn_s = options->learn_h * 3600,
		.keep_s = options->keep_days * 86400,
		.raised = raised,
		.data = data,
	};
	struct bh_alerting *alerting = bh_xcalloc(1, sizeof(*alerting));

	alerting->loop = loop;
	alerting->alerts = bh_alerts_new(&config, real_ns());
	alerting->path = bh_xasprintf("%s/alerts.json", state_dir);
	alerting->baselines_path = bh_xasprintf("%s/baselines.json", state_dir);
	alerting->next_record = 1;
	alerting->kept = NEVER; /* since when it learns is kept from the start */
	ret_problems->alerts = load(alerting->alerts, alerting->path, bh_alerts_load,
		"Earlier alerts are lost, and what speaks to the world is learned anew");
	ret_problems->baselines =
		load(alerting->alerts, alerting->baselines_path, bh_alerts_load_baselines,
			"No namespace has a baseline: lock them again ('bulkhead baseline lock')");
	return alerting;
}

struct bh_alerts *bh_alerting_alerts(const struct bh_alerting *alerting)
{
	return alerting->alerts;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void set_problem(struct bh_alerting *alerting, int r)
{
	bool before = alerting->problem != NULL;

	free(alerting->problem);
	alerting->problem =
		r < 0 ? bh_xasprintf("%s cannot be written: %s; alerts go on, and are lost if the "
				     "controller ends before it can",
				alerting->path, strerror(-r))
		      : NULL;
	if (alerting->problem && !before)
		bh_warning("%s", alerting->problem);
	else if (before && !alerting->problem)
		bh_info("%s can be written again", alerting->path);
}

/* On another thread: the disk may take its time. */
static void write_copy(uv_work_t *work)
{
	struct bh_alerting *alerting = work->data;

	alerting->result = bh_settings_write_json(alerting->path, alerting->copy);
}

static void on_written(uv_work_t *work, int status)
{
	struct bh_alerting *alerting = work->data;

	alerting->writing = false;
	json_decref(alerting->copy);
	alerting->copy = NULL;
	set_problem(alerting, alerting->result);
	if (alerting->result < 0)
		alerting->kept = NEVER;
}

static void keep(struct bh_alerting *alerting, uint64_t now)
{
	alerting->copy = bh_alerts_save(alerting->alerts);
	alerting->kept = bh_alerts_changed(alerting->alerts);
	alerting->kept_at = now;
	alerting->keep_at = 0;
	alerting->work.data = alerting;
	alerting->writing =
		uv_queue_work(alerting->loop, &alerting->work, write_copy, on_written) == 0;
	if (!alerting->writing) {
		json_decref(alerting->copy);
		alerting->copy = NULL;
		alerting->kept = NEVER;
	}
}

int bh_alerting_keep_baselines(struct bh_alerting *alerting)
{
	json_t *baselines = bh_alerts_save_baselines(alerting->alerts);
	int r = bh_settings_write_json(alerting->baselines_path, baselines);

	json_decref(baselines);
	return r;
}

const char *bh_alerting_problem(const struct bh_alerting *alerting)
{
	return alerting->problem;
}

void bh_alerting_free(struct bh_alerting *alerting)
{
	json_t *state;
	int r;

	if (!alerting)
		return;
	if (alerting->kept != bh_alerts_changed(alerting->alerts)) {
		state = bh_alerts_save(alerting->alerts);
		r = bh_settings_write_json(alerting->path, state);
		json_decref(state);
		if (r < 0)
			bh_warning("%s cannot be written: %s; the latest alerts are lost",
				alerting->path, strerror(-r));
	}
	bh_alerts_free(alerting->alerts);
	free(alerting->path);
	free(alerting->baselines_path);
	free(alerting->problem);
	free(alerting);
}

/* ---- What comes in --------------------------------------------------------------------------- */

void bh_alerting_take_edges(struct bh_alerting *alerting, const Bulkhead__Wire__EdgeBatch *batch)
{
	uint64_t now_ns = real_ns();

	for (size_t i = 0; i < batch->n_edges; i++) {
		const Bulkhead__Wire__Edge *from = batch->edges[i];
		struct bh_talk talk;

		bh_talk_of_edge(from, &talk);
		const struct bh_alert_edge edge = {
			.client = from->egress ? from->local : from->remote,
			.server = from->egress ? from->remote : from->local,
			.port = (uint16_t)from->port,
			.protocol = (uint8_t)from->protocol,
			.egress = from->egress,
			.verdict = (uint8_t)from->verdict,
			.pending = (uint8_t)from->pending,
			.family = (uint8_t)from->family,
			.peer_local = from->peer_local,
			.app = talk.app,
			.encrypted = talk.encrypted,
			.flows = from->flows,
			.first_ns = from->first_ns,
			.last_ns = from->last_ns,
		};

		bh_alerts_edge(alerting->alerts, &edge, now_ns);
	}
}

void bh_alerting_take_flows(struct bh_alerting *alerting, const struct bh_flow_log *log)
{
	uint64_t end = bh_flow_log_next(log);

	if (alerting->next_record < bh_flow_log_first(log))
		alerting->next_record = bh_flow_log_first(log);
	for (; alerting->next_record < end; alerting->next_record++)
		bh_alerts_flow(alerting->alerts, bh_flow_log_get(log, alerting->next_record));
}

/* ---- The loop -------------------------------------------------------------------------------- */

uint64_t bh_alerting_deadline(const struct bh_alerting *alerting)
{
	uint64_t keep_at = alerting->writing ? 0 : alerting->keep_at;

	return keep_at && keep_at < alerting->expire_at ? keep_at : alerting->expire_at;
}

void bh_alerting_dispatch(struct bh_alerting *alerting, uint64_t now)
{
	if (now >= alerting->expire_at) {
		bh_alerts_expire(alerting->alerts, real_ns());
		alerting->expire_at = now + EXPIRE_MS;
	}
	if (alerting->writing || alerting->kept == bh_alerts_changed(alerting->alerts))
		return;
	if (!alerting->keep_at) {
		alerting->keep_at = now + KEEP_MS;
		if (alerting->kept_at && alerting->keep_at < alerting->kept_at + KEEP_EACH_MS)
			alerting->keep_at = alerting->kept_at + KEEP_EACH_MS;
	}
	if (now >= alerting->keep_at)
		keep(alerting, now);
}

/* ---- Options --------------------------------------------------------------------------------- */

const struct bh_alerting_options bh_alerting_defaults = {
	.ports = BH_ALERT_PORTS_DEFAULT,
	.hosts = BH_ALERT_HOSTS_DEFAULT,
	.window_s = BH_ALERT_WINDOW_DEFAULT,
	.learn_h = BH_ALERT_LEARN_DEFAULT / 3600,
	.keep_days = BH_ALERT_KEEP_DEFAULT / 86400,
};

enum {
	OPTION_PORTS = 2048, /* behind the parent's */
	OPTION_HOSTS,
	OPTION_WINDOW,
	OPTION_LEARN,
	OPTION_DAYS,
};

static const struct argp_option argp_options[] = {
	{0, 0, 0, 0, "Alerts:", 0},
	{"alert-ports", OPTION_PORTS, "N", 0,
		"Distinct ports of one destination, tried in vain, that are a scan (15)", 0},
	{"alert-hosts", OPTION_HOSTS, "N", 0,
		"Distinct destinations, tried in vain, that are lateral movement (10)", 0},
	{"alert-window", OPTION_WINDOW, "SECONDS", 0, "Within so long (300)", 0},
	{"alert-learn", OPTION_LEARN, "HOURS", 0,
		"Before that nobody's contact with the world is the first (24)", 0},
	{"alert-days", OPTION_DAYS, "N", 0, "How long an alert is kept after its last time (30)",
		0},
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

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct bh_alerting_options *options = state->input;

	switch (key) {
	case OPTION_PORTS:
		options->ports = parse_number(state, argument, 2, BH_ALERT_THRESHOLD_MAX);
		break;
	case OPTION_HOSTS:
		options->hosts = parse_number(state, argument, 2, BH_ALERT_THRESHOLD_MAX);
		break;
	case OPTION_WINDOW:
		options->window_s = parse_number(state, argument, 1, BH_ALERT_WINDOW_MAX);
		break;
	case OPTION_LEARN:
		options->learn_h = parse_number(state, argument, 0, 8760);
		break;
	case OPTION_DAYS:
		options->keep_days = parse_number(state, argument, 1, 3650);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp bh_alerting_argp = {
	.options = argp_options,
	.parser = parse_option,
};
