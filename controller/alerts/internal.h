/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_ALERTS_INTERNAL_H
#define BULKHEAD_ALERTS_INTERNAL_H

/* What the parts of alerts/ share: the book, and what detection remembers. */

#include "controller/alerts/alerts.h"
#include "controller/alerts/sightings.h"

/* Workloads that are known to have spoken to the world. Beyond it nobody is the first. */
#define BH_ALERT_SPEAKERS_MAX 65536

struct bh_speaker {
	uint32_t number;
};

struct bh_alerts {
	struct bh_alerts_config config;
	struct bh_table by_key; /* text → bh_alert */
	uint64_t changed;
	uint64_t next_id; /* begins with the clock: no two lives share one */
	uint64_t dropped;
	struct bh_table baselines; /* namespace → bh_baseline */
	struct bh_table speakers;  /* number → bh_speaker */
	uint64_t learning_since_ns;
	struct bh_table rows;       /* row_key → row: how far counters of interest had come */
	struct bh_sightings *ports; /* by source and destination */
	struct bh_sightings *hosts; /* by source */
};

/* ---- alerts.c -------------------------------------------------------------------------------- */

/* What happened, as the book takes it. Names are borrowed; `target` NULL: many. */
struct bh_alert_event {
	enum bh_alert_kind kind;
	enum bh_alert_severity severity;
	const struct bh_workload_name *source;
	const struct bh_workload_name *target;
	uint64_t distinct; /* what makes it another one of the same alert */
	uint64_t count;
	uint64_t first_ns;
	uint64_t last_ns;
	/* Evidence, if the value is new. `destination` only where `target` is NULL or stands for
	 * others too. */
	const struct bh_workload_name *destination;
	const char *source_pod;
	const char *destination_pod;
	struct bh_ip source_ip;
	struct bh_ip destination_ip;
	uint8_t protocol;
	uint16_t port;
	enum bh_alert_verdict verdict;
	/* Of some kinds: see struct bh_alert. */
	bool baselines[2];
	bool was_denied;
	uint8_t app;
	/* Something new about it even where its values were seen: it began again. */
	bool anew;
};

/* The alert that an event of this kind, source and target belongs to, or NULL. */
struct bh_alert *bh_alert_of(const struct bh_alerts *alerts, enum bh_alert_kind kind,
	const struct bh_workload_name *source, const struct bh_workload_name *target);
/* True if that opened it, or opened it again: bh_alert_raise() is due once all of it is noted. */
bool bh_alert_note(struct bh_alerts *alerts, const struct bh_alert_event *event);
void bh_alert_raise(const struct bh_alerts *alerts, const struct bh_alert_event *event);
void bh_alert_free(struct bh_alert *alert);
/* Takes it into the book. */
void bh_alert_file(struct bh_alerts *alerts, struct bh_alert *alert);
/* Copies the name into one block. */
struct bh_alert_party bh_alert_party_of(const struct bh_workload_name *name);
/* Makes the key of its kind and ends. */
void bh_alert_identify(struct bh_alert *alert);

void bh_alert_add_speaker(struct bh_alerts *alerts, uint32_t number);

/* ---- detect.c -------------------------------------------------------------------------------- */

/* Protocol and port as one value. */
static inline uint64_t bh_alert_port_value(uint8_t protocol, uint16_t port)
{
	return (uint64_t)protocol << 16 | port;
}

#endif
