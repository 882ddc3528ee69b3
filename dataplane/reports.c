/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/reports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/table.h"

/* A flow whose end nobody told (the event was lost) is forgotten after so many periods. */
#define FORGET_PERIODS 10
#define FORGET_AT_ONCE 4096

struct note {
	uint64_t started; /* the flow's: another flow may have the key by now */
	uint64_t met;     /* jiffies, when it was last its turn */
	struct bh_told told;
};

struct bh_reports {
	uint64_t period;
	uint64_t born;
	uint64_t began; /* this round */
	uint64_t window;
	uint64_t forgot;
	bool adopts;           /* there are flows of the process before */
	bool first;            /* no round has ended yet */
	struct bh_table notes; /* by union bh_flow_key; the families' keys are never the same */
};

int bh_reports_new(uint64_t period, uint64_t jiffies, bool adopt, struct bh_reports **ret_reports)
{
	struct bh_reports *reports = calloc(1, sizeof(*reports));

	if (!reports)
		return -ENOMEM;
	reports->period = period;
	reports->born = reports->began = reports->forgot = jiffies;
	reports->adopts = adopt;
	reports->first = true;
	bh_table_init(&reports->notes, sizeof(union bh_flow_key), sizeof(struct note));
	*ret_reports = reports;
	return 0;
}

void bh_reports_free(struct bh_reports *reports)
{
	if (!reports)
		return;
	bh_table_clear(&reports->notes);
	free(reports);
}

size_t bh_reports_count(const struct bh_reports *reports)
{
	return reports->notes.n;
}

/* ---- Notes ---------------------------------------------------------------------------------- */

static union bh_flow_key whole_key(uint8_t family, const union bh_flow_key *key)
{
	union bh_flow_key whole = {};

	memcpy(&whole, key, family == 4 ? sizeof(key->v4) : sizeof(key->v6));
	return whole;
}

static struct note *find_note(
	const struct bh_reports *reports, const union bh_flow_key *key, uint64_t started)
{
	struct note *note = bh_table_get(&reports->notes, key);

	return note && note->started == started ? note : NULL;
}

/* Without room or memory there is none, and the flow is told of at its end. */
static struct note *put_note(
	struct bh_reports *reports, const union bh_flow_key *key, uint64_t started)
{
	struct note *note = bh_table_get(&reports->notes, key);

	if (!note && reports->notes.n >= BH_REPORTS_MAX)
		return NULL;
	note = bh_table_put(&reports->notes, key, NULL);
	if (note && note->started != started)
		*note = (struct note){.started = started};
	return note;
}

/* Was it told of by the process before, nobody knows how far? */
static bool is_adopted(const struct bh_reports *reports, uint64_t started)
{
	return reports->adopts && reports->born - started >= reports->period;
}

static struct bh_told carried_by(const struct bh_flow *flow, uint64_t jiffies)
{
	const uint8_t opener = flow->opener & 1;

	return (struct bh_told){
		.jiffies = jiffies,
		.packets = {bh_flow_packets(flow, opener), bh_flow_packets(flow, !opener)},
		.octets = {flow->octets[opener], flow->octets[!opener]},
	};
}

/* The flow's own counts are not exact where two CPUs carry it: a later one may be lower. */
static void limit(struct bh_told *before, const struct bh_event *event)
{
	for (int i = 0; i < 2; i++) {
		if (before->packets[i] > event->packets[i])
			before->packets[i] = event->packets[i];
		if (before->octets[i] > event->octets[i])
			before->octets[i] = event->octets[i];
	}
}

/* ---- Rounds --------------------------------------------------------------------------------- */

void bh_reports_begin(struct bh_reports *reports, uint64_t jiffies)
{
	reports->window = jiffies - reports->began;
	reports->began = jiffies;
}

void bh_reports_end(struct bh_reports *reports)
{
	union bh_flow_key gone[FORGET_AT_ONCE];
	const void *key;
	void *value;
	size_t cursor = 0, n = 0;

	reports->first = false;
	if (reports->began - reports->forgot < reports->period)
		return;
	reports->forgot = reports->began;
	while (n < FORGET_AT_ONCE && bh_table_next(&reports->notes, &cursor, &key, &value)) {
		const struct note *note = value;

		if (reports->began - note->met > FORGET_PERIODS * reports->period)
			memcpy(&gone[n++], key, sizeof(gone[0]));
	}
	for (size_t i = 0; i < n; i++)
		bh_table_remove(&reports->notes, &gone[i]);
}

static uint32_t spread(uint8_t family, const union bh_flow_key *key)
{
	const __be16 *port = family == 4 ? key->v4.port : key->v6.port;

	return (uint32_t)port[0] * 2654435761u ^ (uint32_t)port[1] * 2246822519u;
}

/* Once in each period of its life, from the second on. */
static bool is_its_turn(const struct bh_reports *reports, uint8_t family,
	const union bh_flow_key *key, uint64_t age)
{
	uint32_t phase = spread(family, key) >> 8;

	return (uint32_t)(age + phase) % (uint32_t)reports->period < reports->window;
}

static void adopt(
	struct bh_reports *reports, const union bh_flow_key *key, const struct bh_flow *flow)
{
	struct note *note = put_note(reports, key, flow->started);

	if (!note)
		return;
	note->met = reports->began;
	note->told = carried_by(flow, reports->began);
}

bool bh_reports_due(struct bh_reports *reports, uint8_t family, const union bh_flow_key *key,
	const struct bh_flow *flow)
{
	const uint64_t age = reports->began - flow->started;
	union bh_flow_key whole;
	struct bh_told now;
	struct note *note;

	/* One that began after the round did is not old, it is not born yet. */
	if ((int64_t)age < (int64_t)reports->period)
		return false;
	if (reports->first && is_adopted(reports, flow->started)) {
		whole = whole_key(family, key);
		adopt(reports, &whole, flow);
		return false;
	}
	if (!is_its_turn(reports, family, key, age))
		return false;
	whole = whole_key(family, key);
	note = find_note(reports, &whole, flow->started);
	if (!note)
		return reports->notes.n < BH_REPORTS_MAX;
	note->met = reports->began;
	now = carried_by(flow, note->told.jiffies);
	return memcmp(&now, &note->told, sizeof(now)) != 0;
}

/* ---- Telling -------------------------------------------------------------------------------- */

static union bh_flow_key key_of(const struct bh_event *event)
{
	struct bh_end opener = {.port = event->sport}, responder = {.port = event->dport};
	union bh_flow_key key;

	memcpy(opener.ip, event->src, sizeof(opener.ip));
	memcpy(responder.ip, event->dst, sizeof(responder.ip));
	bh_flow_key_make(event->family, event->protocol, &opener, &responder, &key);
	return key;
}

static struct bh_told all_of(const struct bh_event *event, uint64_t jiffies)
{
	return (struct bh_told){
		.jiffies = jiffies,
		.packets = {event->packets[0], event->packets[1]},
		.octets = {event->octets[0], event->octets[1]},
	};
}

static void tell_ended(
	struct bh_reports *reports, const struct bh_event *event, struct bh_told *ret_before)
{
	const union bh_flow_key key = key_of(event);
	const struct note *note = find_note(reports, &key, event->started);

	if (note) {
		*ret_before = note->told;
		bh_table_remove(&reports->notes, &key);
	} else if (is_adopted(reports, event->started)) {
		*ret_before = all_of(event, reports->born);
	}
}

static void tell_active(struct bh_reports *reports, const struct bh_event *event, uint64_t jiffies,
	struct bh_told *ret_before)
{
	const union bh_flow_key key = key_of(event);
	struct note *note = put_note(reports, &key, event->started);

	/* What cannot be noted must not be told: its end tells everything. */
	if (!note) {
		*ret_before = all_of(event, jiffies);
		return;
	}
	*ret_before = note->told;
	note->met = jiffies;
	note->told = all_of(event, jiffies);
}

void bh_reports_tell(struct bh_reports *reports, const struct bh_event *event, bool ended,
	uint64_t jiffies, struct bh_told *ret_before)
{
	*ret_before = (struct bh_told){};
	/* Most flows end before anything was told of them. */
	if (ended && jiffies - event->started < reports->period)
		return;
	if (ended)
		tell_ended(reports, event, ret_before);
	else
		tell_active(reports, event, jiffies, ret_before);
	limit(ret_before, event);
}
