/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_ALERTS_H
#define BULKHEAD_ALERTS_H

/*
 * What is out of the ordinary, found out from what comes in anyway: counters of edges, and flow
 * records. Pure: no clock, no file; the same input gives the same alerts.
 *
 *   new-edge            a conversation that the baseline of an end's namespace lacks, or that was
 *                       only ever denied when the baseline was locked, and now passes
 *   first-world         a workload that never spoke to the world before does
 *   port-scan           one source was denied or refused at many ports of one destination
 *   lateral-movement    … at many destinations
 *   plaintext-database  a database is spoken to without encryption
 *
 * The first two and the last come from the kernel's counters, which are exact; scans from flow
 * records, of which a flood loses some (it does not lose all of a scan's).
 *
 * There is one alert for each kind, source and target: what happens again is counted there. So a
 * scan of a million tuples is one alert, and everything that is remembered of it is bounded
 * (BH_ALERT… below): the number of alerts, their evidence, and the sources that are watched.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "controller/alerts/baseline.h"
#include "controller/flows/log.h"
#include "controller/flows/names.h"

#define BH_ALERTS_MAX 500
#define BH_ALERT_EVIDENCE 10
/* Distinct ports, or destinations, that one alert tells apart. */
#define BH_ALERT_DISTINCT 256
/* Who acknowledged. */
#define BH_ALERT_BY_MAX 33
#define BH_ALERT_ID_MAX 17

/* Thresholds, and their bounds. */
#define BH_ALERT_PORTS_DEFAULT 15
#define BH_ALERT_HOSTS_DEFAULT 10
#define BH_ALERT_THRESHOLD_MAX 100
#define BH_ALERT_WINDOW_DEFAULT 300
#define BH_ALERT_WINDOW_MAX 86400
#define BH_ALERT_LEARN_DEFAULT (24 * 3600)
#define BH_ALERT_KEEP_DEFAULT (30 * 86400)

enum bh_alert_kind {
	BH_ALERT_NEW_EDGE,
	BH_ALERT_FIRST_WORLD,
	BH_ALERT_PORT_SCAN,
	BH_ALERT_LATERAL_MOVEMENT,
	BH_ALERT_PLAINTEXT_DATABASE,
};
#define BH_ALERT_KINDS 5

enum bh_alert_severity {
	BH_ALERT_INFO,
	BH_ALERT_WARNING,
	BH_ALERT_HIGH,
};

enum bh_alert_verdict {
	BH_ALERT_ALLOWED,
	BH_ALERT_WOULD_DENY,
	BH_ALERT_DENIED,
	BH_ALERT_REFUSED, /* allowed, and answered by RST */
};

const char *bh_alert_kind_word(enum bh_alert_kind kind);
/* -1 for what is none. */
int bh_alert_kind_parse(const char *word);
const char *bh_alert_severity_word(enum bh_alert_severity severity);
const char *bh_alert_verdict_word(enum bh_alert_verdict verdict);

/* A workload, named when it was seen: the alert outlives it. */
struct bh_alert_party {
	uint32_t number;
	char *namespace; /* "" for what is in none; one block with the next two */
	char *kind;
	char *name;
};

struct bh_alert_evidence {
	uint64_t time_ns;
	struct bh_ip source_ip; /* family 0: not known */
	struct bh_ip destination_ip;
	char *source_pod; /* name, "" if it is not known */
	char *destination_pod;
	struct bh_alert_party destination; /* of many; else the alert's target */
	uint16_t port;
	uint8_t protocol;
	enum bh_alert_verdict verdict;
};

struct bh_alert {
	char id[BH_ALERT_ID_MAX];
	char *key; /* kind, source, target */
	enum bh_alert_kind kind;
	enum bh_alert_severity severity;
	struct bh_alert_party source;
	struct bh_alert_party target; /* namespace NULL: many */
	bool baselines[2];            /* new-edge: the source's, the target's namespace lacks it */
	bool was_denied;              /* new-edge: known, but as one that never passed */
	uint8_t app;                  /* plaintext-database: enum bh_app */
	uint64_t count;
	uint64_t first_ns; /* since 1970 */
	uint64_t last_ns;
	uint64_t counted_ns; /* read back: up to here; 0: it was opened since the start */
	uint64_t changed;
	uint64_t acknowledged_ns; /* 0: open */
	char acknowledged_by[BH_ALERT_BY_MAX];
	uint64_t reopened;
	size_t n_distinct;
	uint64_t *distinct; /* protocol and port, or a hash of the address */
	size_t n_evidence;
	struct bh_alert_evidence evidence[BH_ALERT_EVIDENCE];
};

struct bh_alerts_config {
	struct bh_names *names; /* borrowed */
	uint32_t ports;         /* distinct ports of one destination that make a scan */
	uint32_t hosts;         /* distinct destinations that make a movement */
	uint32_t window_s;      /* … within so long */
	uint32_t learn_s;       /* before that nobody's contact with the world is the first */
	uint32_t keep_s;        /* an alert is forgotten so long after its last time */
	/* An alert was opened, or opened again. May be NULL. */
	void (*raised)(void *data, const struct bh_alert *alert);
	void *data;
};

struct bh_alerts;

/* `now_ns` is since 1970, here and below: learning begins. */
struct bh_alerts *bh_alerts_new(const struct bh_alerts_config *config, uint64_t now_ns);
void bh_alerts_free(struct bh_alerts *alerts);

/* ---- What comes in --------------------------------------------------------------------------- */

/* One counter of the kernel, as it stands now. */
struct bh_alert_edge {
	uint32_t client; /* workloads */
	uint32_t server;
	uint16_t port;
	uint8_t protocol;
	uint8_t egress;  /* seen at the client's end */
	uint8_t verdict; /* enum bh_reason in force */
	uint8_t pending; /* enum bh_reason of the pending policy */
	uint8_t family;
	uint8_t peer_local; /* the other end is counted too */
	uint8_t app;        /* enum bh_app */
	uint8_t encrypted;  /* enum bh_encrypted */
	uint64_t flows;
	uint64_t first_ns;
	uint64_t last_ns;
};

void bh_alerts_edge(struct bh_alerts *alerts, const struct bh_alert_edge *edge, uint64_t now_ns);
void bh_alerts_flow(struct bh_alerts *alerts, const struct bh_flow_record *record);

/* ---- The alerts ------------------------------------------------------------------------------ */

/* Forgets what is too old. */
void bh_alerts_expire(struct bh_alerts *alerts, uint64_t now_ns);

size_t bh_alerts_count(const struct bh_alerts *alerts);
/* In no order; *position begins at 0, NULL at the end. */
const struct bh_alert *bh_alerts_next(const struct bh_alerts *alerts, size_t *position);
const struct bh_alert *bh_alerts_find(const struct bh_alerts *alerts, const char *id);
/* Of the last change of any alert; 0: none yet. */
uint64_t bh_alerts_changed(const struct bh_alerts *alerts);
/* Given up because there were too many. */
uint64_t bh_alerts_dropped(const struct bh_alerts *alerts);

/* 0, or -ENOENT. One that is acknowledged stays as it is. */
int bh_alerts_acknowledge(
	struct bh_alerts *alerts, const char *id, const char *by, uint64_t now_ns);

/*
 * One line for people. `source` and `target` are what the ends may be called; `baselines`: the
 * namespace of the source, of the target, may be named. free() it.
 */
char *bh_alert_text(const struct bh_alert *alert, const char *source, const char *target,
	const bool baselines[2]);

/* ---- Baselines ------------------------------------------------------------------------------- */

/* NULL: none. */
const struct bh_baseline *bh_alerts_baseline(const struct bh_alerts *alerts, const char *namespace);
/* By namespace; *ret_n of them, borrowed; free() the array. */
const struct bh_baseline **bh_alerts_baselines(const struct bh_alerts *alerts, size_t *ret_n);
/* Of all baselines together. */
size_t bh_alerts_baseline_conversations(const struct bh_alerts *alerts);

/* Puts one in the place of the namespace's (NULL: there is none then). Returns that one: free it,
 * or put it back. */
struct bh_baseline *bh_alerts_set_baseline(
	struct bh_alerts *alerts, const char *namespace, struct bh_baseline *baseline);
/* What the baseline knows is no news any more: who spoke to the world, and the open alerts about
 * it are acknowledged. */
void bh_alerts_settle(
	struct bh_alerts *alerts, const struct bh_baseline *baseline, uint64_t now_ns);

/* ---- Over restarts --------------------------------------------------------------------------- */

/* Everything but the baselines. */
json_t *bh_alerts_save(const struct bh_alerts *alerts);
/* Into a new one. 0, or -EBADMSG: then nothing was taken. */
int bh_alerts_load(struct bh_alerts *alerts, const json_t *state);
json_t *bh_alerts_save_baselines(const struct bh_alerts *alerts);
int bh_alerts_load_baselines(struct bh_alerts *alerts, const json_t *state);

#endif
