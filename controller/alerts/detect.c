/* SPDX-License-Identifier: Apache-2.0 */

/* From counters and records to events for the book. */

#include <stdlib.h>
#include <string.h>

#include "bulkhead.pb-c.h"
#include "bulkhead/abi.h"
#include "bulkhead/reasons.h"
#include "controller/alerts/internal.h"
#include "controller/flows/reasons.h"
#include "controller/history/edge.h"
#include "controller/model/memory.h"

#define SECOND 1000000000ull
/* Counters of interest whose last value is remembered. */
#define ROWS_MAX 16384
/* The kernel's times are told by its ticks, and come out a little otherwise each time. */
#define SAME_NS (2 * SECOND)
/* Room for two names of pods, or addresses. */
#define SUBJECT_MAX 1100

#define TCP 6
#define UDP 17
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
/* Where clients' ports begin (/proc/sys/net/ipv4/ip_local_port_range). */
#define EPHEMERAL 32768

/* ---- Counters of the kernel ------------------------------------------------------------------ */

/* No padding: compared as bytes. */
struct row_key {
	uint32_t client;
	uint32_t server;
	uint16_t port;
	uint8_t protocol;
	uint8_t egress;
	uint8_t verdict;
	uint8_t pending;
	uint8_t family;
	uint8_t peer_local;
};
_Static_assert(sizeof(struct row_key) == 16, "compared as bytes");

struct row {
	struct row_key key;
	uint64_t flows;
};

struct ends {
	const struct bh_workload_name *client;
	const struct bh_workload_name *server;
};

static void forget_rows(struct bh_alerts *alerts)
{
	struct row *row;

	for (size_t at = 0; (row = bh_table_next(&alerts->rows, &at));)
		free(row);
	bh_table_clear(&alerts->rows);
}

/* How many flows the counter has counted since it was looked at last. */
static uint64_t news(
	struct bh_alerts *alerts, const struct bh_alert_edge *edge, const struct bh_alert *alert)
{
	const struct row_key key = {edge->client, edge->server, edge->port, edge->protocol,
		edge->egress, edge->verdict, edge->pending, edge->family, edge->peer_local};
	struct row *row = bh_table_get(&alerts->rows, &key, sizeof(key));
	uint64_t before;

	if (!row) {
		if (alerts->rows.n >= ROWS_MAX)
			forget_rows(alerts);
		row = bh_xcalloc(1, sizeof(*row));
		row->key = key;
		bh_table_put(&alerts->rows, &row->key, sizeof(row->key), row);
		row->flows = edge->flows;
		/* Of an alert from before this start, what happened until its end is counted. */
		if (!alert || !alert->counted_ns || edge->first_ns > alert->counted_ns + SAME_NS)
			return edge->flows ? edge->flows : 1;
		return edge->last_ns > alert->counted_ns + SAME_NS;
	}
	before = row->flows;
	row->flows = edge->flows;
	/* Fewer than before: the counter began anew. */
	return edge->flows >= before ? edge->flows - before : edge->flows;
}

static bool passes(const struct bh_alert_edge *edge)
{
	return !bh_reason_drops(edge->verdict);
}

static enum bh_alert_verdict verdict_of(const struct bh_alert_edge *edge)
{
	if (!passes(edge))
		return BH_ALERT_DENIED;
	return bh_reason_drops(edge->pending) ? BH_ALERT_WOULD_DENY : BH_ALERT_ALLOWED;
}

static void note_edge(struct bh_alerts *alerts, const struct bh_alert_edge *edge,
	const struct ends *ends, struct bh_alert_event *event)
{
	const struct bh_alert *alert = bh_alert_of(alerts, event->kind, ends->client, ends->server);
	uint64_t count = news(alerts, edge, alert);

	/* Reported again, and nothing has happened. */
	if (alert && count == 0 && edge->last_ns <= alert->last_ns + SAME_NS)
		return;
	event->source = ends->client;
	event->target = ends->server;
	event->distinct = bh_alert_port_value(edge->protocol, edge->port);
	/* What both ends count is counted at the client's. */
	event->count = edge->egress || !edge->peer_local ? count : 0;
	event->first_ns = alert ? edge->last_ns : edge->first_ns;
	event->last_ns = edge->last_ns;
	event->protocol = edge->protocol;
	event->port = edge->port;
	event->verdict = verdict_of(edge);
	if (bh_alert_note(alerts, event))
		bh_alert_raise(alerts, event);
}

/* True if the namespace's baseline lacks it. */
static bool is_novel(const struct bh_alerts *alerts, const struct bh_alert_edge *edge,
	const char *namespace, bool *ret_was_denied)
{
	const struct bh_baseline_key key = {
		.client = edge->client,
		.server = edge->server,
		.port = edge->port,
		.protocol = edge->protocol,
	};
	const struct bh_baseline *baseline =
		*namespace ? bh_alerts_baseline(alerts, namespace) : NULL;
	const struct bh_baseline_conversation *known;

	if (!baseline || edge->last_ns <= baseline->locked_ns)
		return false;
	known = bh_baseline_find(baseline, &key);
	*ret_was_denied |= known && !known->passed;
	return !known || (!known->passed && passes(edge));
}

static void look_for_new_edge(
	struct bh_alerts *alerts, const struct bh_alert_edge *edge, const struct ends *ends)
{
	struct bh_alert_event event = {.kind = BH_ALERT_NEW_EDGE};

	event.baselines[0] = is_novel(alerts, edge, ends->client->namespace, &event.was_denied);
	event.baselines[1] = is_novel(alerts, edge, ends->server->namespace, &event.was_denied);
	if (!event.baselines[0] && !event.baselines[1])
		return;
	event.severity = passes(edge) ? BH_ALERT_WARNING : BH_ALERT_INFO;
	note_edge(alerts, edge, ends, &event);
}

/* True if the client's first contact was this very conversation, which goes on. */
static bool is_first_contact(
	struct bh_alerts *alerts, const struct bh_alert_edge *edge, const struct ends *ends)
{
	const struct bh_alert *alert =
		bh_alert_of(alerts, BH_ALERT_FIRST_WORLD, ends->client, ends->server);

	return alert && alert->target.number == edge->server &&
	       alert->distinct[0] == bh_alert_port_value(edge->protocol, edge->port);
}

/*
 * True if this is told as a first contact. Until something was learned everybody's would be; a
 * baseline says that enough was.
 */
static bool look_for_first_world(struct bh_alerts *alerts, const struct bh_alert_edge *edge,
	const struct ends *ends, uint64_t now_ns)
{
	struct bh_alert_event event = {.kind = BH_ALERT_FIRST_WORLD, .severity = BH_ALERT_WARNING};
	const struct bh_baseline *baseline;
	bool was_denied = false;

	if (strcmp(ends->server->kind, "World") != 0 || !*ends->client->namespace || !passes(edge))
		return false;
	if (is_first_contact(alerts, edge, ends)) {
		note_edge(alerts, edge, ends, &event);
		return true;
	}
	if (bh_table_get(&alerts->speakers, &edge->client, sizeof(edge->client)) ||
		alerts->speakers.n >= BH_ALERT_SPEAKERS_MAX)
		return false;
	bh_alert_add_speaker(alerts, edge->client);
	alerts->changed++; /* to be kept */
	baseline = bh_alerts_baseline(alerts, ends->client->namespace);
	if (baseline && !is_novel(alerts, edge, ends->client->namespace, &was_denied))
		return false;
	if (!baseline && now_ns < alerts->learning_since_ns + alerts->config.learn_s * SECOND)
		return false;
	event.baselines[0] = baseline != NULL;
	note_edge(alerts, edge, ends, &event);
	return true;
}

static bool is_database(uint8_t app)
{
	return app == BH_APP_POSTGRESQL || app == BH_APP_MYSQL || app == BH_APP_REDIS ||
	       app == BH_APP_MONGODB;
}

static void look_for_plaintext(
	struct bh_alerts *alerts, const struct bh_alert_edge *edge, const struct ends *ends)
{
	struct bh_alert_event event = {
		.kind = BH_ALERT_PLAINTEXT_DATABASE,
		.severity = BH_ALERT_WARNING,
		.app = edge->app,
	};

	if (is_database(edge->app) && edge->encrypted == BH_ENCRYPTED_NO && passes(edge))
		note_edge(alerts, edge, ends, &event);
}

void bh_alerts_edge(struct bh_alerts *alerts, const struct bh_alert_edge *edge, uint64_t now_ns)
{
	const struct ends ends = {
		bh_names_workload(alerts->config.names, edge->client),
		bh_names_workload(alerts->config.names, edge->server),
	};

	/* A pod that nobody knew yet will be known, and then it is counted by its name. */
	if (!ends.client || !ends.server || strcmp(ends.client->kind, "Held") == 0 ||
		strcmp(ends.server->kind, "Held") == 0)
		return;
	if (!look_for_first_world(alerts, edge, &ends, now_ns))
		look_for_new_edge(alerts, edge, &ends);
	look_for_plaintext(alerts, edge, &ends);
}

/* ---- Flow records ---------------------------------------------------------------------------- */

/* Allowed, and nobody there: each of its packets was answered by a RST, with nothing in it. */
static bool is_refused(const struct bh_flow_record *record)
{
	size_t header = record->src.ip.family == 6 ? 60 : 40;

	return record->type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED && record->protocol == TCP &&
	       record->tcp_flags & TCP_RST && record->packets[1] > 0 &&
	       record->packets[0] == record->packets[1] &&
	       record->octets[1] == record->packets[1] * header;
}

/* The answer to something that was allowed once: its "source" is who was asked. */
static bool is_answer(const struct bh_flow_record *record)
{
	if (record->flags & BH_FLOW_MIDSTREAM)
		return true;
	if (record->protocol == TCP)
		return record->tcp_flags & TCP_RST ||
		       (record->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	return record->protocol == UDP && record->src.port < EPHEMERAL &&
	       record->dst.port >= EPHEMERAL;
}

/* Denied for what it asked for, and not because it lied or made no sense. */
static bool is_policy(uint32_t reason)
{
	return reason == BH_REASON_ISOLATED || reason == BH_REASON_POLICY_DENY ||
	       reason == BH_REASON_TCP_FLAGS;
}

/* True if it is an attempt that came to nothing, or would have. */
static bool is_attempt(const struct bh_flow_record *record, enum bh_alert_verdict *ret_verdict)
{
	if (!record->src.known || !record->dst.known || !record->dst.ip.family)
		return false;
	if (is_refused(record)) {
		*ret_verdict = BH_ALERT_REFUSED;
		return true;
	}
	if (is_answer(record))
		return false;
	switch (record->type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED:
		*ret_verdict = BH_ALERT_DENIED;
		return is_policy(record->reason);
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY:
		*ret_verdict = BH_ALERT_WOULD_DENY;
		return is_policy(record->pending);
	default:
		return false;
	}
}

static const char *end_text(const struct bh_flow_end *end, char *text, size_t size)
{
	char ip[BH_IP_TEXT_MAX];

	if (*end->pod)
		snprintf(text, size, "%s/%s", end->namespace, end->pod);
	else
		snprintf(text, size, "%s", end->ip.family ? bh_ip_format(&end->ip, ip) : "?");
	return text;
}

/* Only to tell addresses apart: the first bits of IPv6 are the same in one network. */
static uint64_t address_value(const struct bh_ip *ip)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (unsigned int i = 0; i < bh_ip_bits(ip) / 8; i++)
		hash = (hash ^ ip->ip[i]) * 0x100000001b3;
	return hash;
}

struct attempt {
	const struct bh_flow_record *record;
	const struct bh_workload_name *source;
	const struct bh_workload_name *target;
	struct bh_sighting sighting;
};

/* The pod that has the address now: of its workload, or it is another's by now. */
static const char *pod_of(struct bh_alerts *alerts, const struct bh_ip *ip)
{
	const struct bh_pod_name *pod =
		ip->family ? bh_names_address(alerts->config.names, ip) : NULL;

	return pod ? pod->name : "";
}

static bool note_sighting(struct bh_alerts *alerts, const struct attempt *attempt,
	struct bh_alert_event *event, const struct bh_sighting *sighting)
{
	event->distinct = sighting->value;
	event->first_ns = sighting->time_ns;
	event->last_ns = sighting->time_ns;
	event->source_ip = sighting->source_ip;
	event->destination_ip = sighting->ip;
	event->source_pod = attempt->record->src.pod;
	event->destination_pod = pod_of(alerts, &sighting->ip);
	event->protocol = sighting->protocol;
	event->port = sighting->port;
	event->verdict = (enum bh_alert_verdict)sighting->verdict;
	if (!event->target) {
		event->destination = bh_names_workload(alerts->config.names, sighting->workload);
		if (!event->destination)
			return false;
	}
	return bh_alert_note(alerts, event);
}

/* `n` distinct ones of the subject are there: enough, or goes on. */
static void look_for_scan(struct bh_alerts *alerts, const struct attempt *attempt,
	struct bh_alert_event *event, size_t n, size_t threshold, const struct bh_sighting *all)
{
	const struct bh_alert *alert;
	bool raised = false;

	if (n < threshold)
		return;
	event->source = attempt->source;
	alert = bh_alert_of(alerts, event->kind, event->source, event->target);
	/* Quiet for longer than the window: it has begun again. */
	event->anew = alert &&
		      alert->last_ns + alerts->config.window_s * SECOND < attempt->sighting.time_ns;
	for (size_t i = alert && !event->anew ? n - 1 : 0; i < n; i++) {
		event->count = i + 1 < n ? 1 : 1 + attempt->record->suppressed;
		raised |= note_sighting(alerts, attempt, event, &all[i]);
		event->anew = false;
	}
	if (raised)
		bh_alert_raise(alerts, event);
}

static void look_for_port_scan(
	struct bh_alerts *alerts, const struct attempt *attempt, const char *source, bool outside)
{
	struct bh_alert_event event = {
		.kind = BH_ALERT_PORT_SCAN, .severity = BH_ALERT_HIGH, .target = attempt->target};
	struct bh_sighting sighting = attempt->sighting;
	const struct bh_sighting *all;
	char subject[2 * SUBJECT_MAX];
	char destination[SUBJECT_MAX];
	size_t n;

	if (!sighting.port)
		return;
	snprintf(subject, sizeof(subject), "%s %s", source,
		end_text(&attempt->record->dst, destination, sizeof(destination)));
	sighting.value = bh_alert_port_value(sighting.protocol, sighting.port);
	n = bh_sightings_add(alerts->ports, subject, outside, &sighting, &all);
	look_for_scan(alerts, attempt, &event, n, alerts->config.ports, all);
}

static void look_for_movement(
	struct bh_alerts *alerts, const struct attempt *attempt, const char *source, bool outside)
{
	struct bh_alert_event event = {
		.kind = BH_ALERT_LATERAL_MOVEMENT, .severity = BH_ALERT_HIGH};
	struct bh_sighting sighting = attempt->sighting;
	const struct bh_sighting *all;
	size_t n;

	/* What would be denied shows that a policy lacks something more often than an intruder. */
	if (sighting.verdict == BH_ALERT_WOULD_DENY)
		return;
	sighting.value = address_value(&sighting.ip);
	n = bh_sightings_add(alerts->hosts, source, outside, &sighting, &all);
	look_for_scan(alerts, attempt, &event, n, alerts->config.hosts, all);
}

void bh_alerts_flow(struct bh_alerts *alerts, const struct bh_flow_record *record)
{
	enum bh_alert_verdict verdict;
	char source[SUBJECT_MAX];
	struct attempt attempt = {.record = record};
	bool outside;

	if (!is_attempt(record, &verdict))
		return;
	attempt.source = bh_names_workload(alerts->config.names, record->src.workload);
	attempt.target = bh_names_workload(alerts->config.names, record->dst.workload);
	if (!attempt.source || !attempt.target)
		return;
	attempt.sighting = (struct bh_sighting){
		.time_ns = record->time_ns,
		.source_ip = record->src.ip,
		.ip = record->dst.ip,
		.workload = record->dst.workload,
		.port = record->dst.port,
		.protocol = record->protocol,
		.verdict = (uint8_t)verdict,
	};
	outside = strcmp(attempt.source->kind, "World") == 0;
	end_text(&record->src, source, sizeof(source));
	look_for_port_scan(alerts, &attempt, source, outside);
	look_for_movement(alerts, &attempt, source, outside);
}
