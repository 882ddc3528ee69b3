/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_ALERTING_H
#define BULKHEAD_ALERTING_H

/*
 * Alerts as the controller runs them: fed with what comes from the data plane, and kept in the
 * state directory (alerts.json, written by another thread some seconds after a change;
 * baselines.json, written when one is locked, or it is not locked).
 */

#include <argp.h>
#include <stdint.h>

#include <uv.h>

#include "bulkhead.pb-c.h"
#include "controller/alerts/alerts.h"

struct bh_alerting_options {
	unsigned int ports;
	unsigned int hosts;
	unsigned int window_s;
	unsigned int learn_h;
	unsigned int keep_days;
};

extern const struct bh_alerting_options bh_alerting_defaults;
/* The options of the command line; a child parser whose input is the struct. */
extern const struct argp bh_alerting_argp;

struct bh_alerting;

/* What of the state directory could not be read: one line to free(), or NULL. */
struct bh_alerting_problems {
	char *alerts;
	char *baselines;
};

/* `names` is borrowed. `raised` is called when an alert was opened, or opened again. */
struct bh_alerting *bh_alerting_new(uv_loop_t *loop, const struct bh_alerting_options *options,
	const char *state_dir, struct bh_names *names,
	void (*raised)(void *data, const struct bh_alert *alert), void *data,
	struct bh_alerting_problems *ret_problems);
/* Once the loop has run until it was empty: writes what is left. */
void bh_alerting_free(struct bh_alerting *alerting);

struct bh_alerts *bh_alerting_alerts(const struct bh_alerting *alerting);

void bh_alerting_take_edges(struct bh_alerting *alerting, const Bulkhead__Wire__EdgeBatch *batch);
/* The records that have come into the log since the last call. */
void bh_alerting_take_flows(struct bh_alerting *alerting, const struct bh_flow_log *log);

/* Writes the baselines. 0 or -errno. */
int bh_alerting_keep_baselines(struct bh_alerting *alerting);
/* Why alerts could not be written the last time, or NULL. */
const char *bh_alerting_problem(const struct bh_alerting *alerting);

uint64_t bh_alerting_deadline(const struct bh_alerting *alerting); /* 0: none */
void bh_alerting_dispatch(struct bh_alerting *alerting, uint64_t now);

#endif
