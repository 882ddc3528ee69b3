/* SPDX-License-Identifier: Apache-2.0 */

/* Counters and records in, alerts out: each detector, its thresholds, what is bounded. */

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead.pb-c.h"
#include "bulkhead/abi.h"
#include "bulkhead/reasons.h"
#include "controller/alerts/alerts.h"
#include "controller/alerts/sightings.h"
#include "controller/history/edge.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define S 1000000000ull
#define NOW (1800000000 * S)
#define TCP 6
#define UDP 17

enum {
	WORLD,
	WEB = 1, /* shop */
	DB,      /* data */
	SPY,     /* evil */
	HELD,
	NODE,
	TARGETS = 100, /* targets: and so on */
};

struct fixture {
	struct bh_model *model;
	struct bh_names *names;
	struct bh_alerts *alerts;
	size_t raised;
	char last[64]; /* kind of the one that was raised last */
};

static void raised(void *data, const struct bh_alert *alert)
{
	struct fixture *f = data;

	f->raised++;
	snprintf(f->last, sizeof(f->last), "%s", bh_alert_kind_word(alert->kind));
}

static struct bh_alerts *begin(struct fixture *f)
{
	const struct bh_alerts_config config = {
		.names = f->names,
		.ports = 5,
		.hosts = 4,
		.window_s = 60,
		.learn_s = 3600,
		.keep_s = 86400,
		.raised = raised,
		.data = f,
	};

	return bh_alerts_new(&config, NOW);
}

static int setup(void **state)
{
	struct bh_workload_name names[] = {
		{WORLD, "", "World", ""},
		{WEB, "shop", "Deployment", "web"},
		{DB, "data", "StatefulSet", "db"},
		{SPY, "evil", "Pod", "spy"},
		{HELD, "", "Held", ""},
		{NODE, "", "Node", "n1"},
	};
	struct fixture *f = bh_xcalloc(1, sizeof(*f));

	f->model = bh_model_new("n1", BH_MODE_ENFORCE);
	f->names = bh_names_new(f->model);
	bh_names_recall(f->names, sizeof(names) / sizeof(names[0]), names, 0, NULL);
	for (uint32_t i = 0; i < 2000; i++) {
		char name[16];
		struct bh_workload_name target = {TARGETS + i, "targets", "Pod", name};

		snprintf(name, sizeof(name), "t%u", i);
		bh_names_recall(f->names, 1, &target, 0, NULL);
	}
	f->alerts = begin(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bh_alerts_free(f->alerts);
	bh_names_free(f->names);
	bh_model_free(f->model);
	free(f);
	return 0;
}

/* The only one of the kind. */
static const struct bh_alert *one(const struct fixture *f, enum bh_alert_kind kind)
{
	const struct bh_alert *alert, *found = NULL;

	for (size_t at = 0; (alert = bh_alerts_next(f->alerts, &at));) {
		if (alert->kind != kind)
			continue;
		assert_null(found);
		found = alert;
	}
	return found;
}

/* ---- Edges ----------------------------------------------------------------------------------- */

static struct bh_alert_edge edge(uint32_t client, uint32_t server, uint16_t port, uint64_t time_s)
{
	return (struct bh_alert_edge){
		.client = client,
		.server = server,
		.port = port,
		.protocol = TCP,
		.egress = 1,
		.verdict = BH_REASON_POLICY,
		.pending = BH_REASON_POLICY,
		.family = 4,
		.flows = 1,
		.first_ns = NOW + time_s * S,
		.last_ns = NOW + time_s * S,
	};
}

static void see(struct fixture *f, struct bh_alert_edge seen)
{
	bh_alerts_edge(f->alerts, &seen, seen.last_ns);
}

static void lock(struct fixture *f, const char *namespace, uint64_t time_s, size_t n,
	const struct bh_baseline_key *keys, bool passed)
{
	struct bh_baseline *baseline = bh_baseline_new(namespace);

	baseline->locked_ns = NOW + time_s * S;
	strcpy(baseline->by, "command");
	for (size_t i = 0; i < n; i++)
		bh_baseline_add(baseline, &keys[i], passed);
	bh_baseline_free(bh_alerts_set_baseline(f->alerts, namespace, baseline));
	bh_alerts_settle(f->alerts, baseline, baseline->locked_ns);
}

static const struct bh_baseline_key web_db = {WEB, DB, 5432, TCP, 0};

static void an_edge_without_a_baseline_is_no_news(void **state)
{
	struct fixture *f = *state;

	see(f, edge(WEB, DB, 5432, 1));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
}

static void what_the_baseline_lacks_is_new(void **state)
{
	struct fixture *f = *state;
	const struct bh_alert *alert;

	lock(f, "data", 10, 1, &web_db, true);
	see(f, edge(WEB, DB, 5432, 11));
	see(f, edge(SPY, WEB, 80, 11)); /* nobody locked either end */
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	see(f, edge(SPY, DB, 5432, 12));
	alert = one(f, BH_ALERT_NEW_EDGE);
	assert_non_null(alert);
	assert_string_equal(alert->source.name, "spy");
	assert_string_equal(alert->target.name, "db");
	assert_true(!alert->baselines[0] && alert->baselines[1]);
	assert_int_equal(alert->severity, BH_ALERT_WARNING);
	assert_int_equal(alert->count, 1);
	assert_int_equal(alert->evidence[0].port, 5432);
	assert_int_equal(f->raised, 1);
}

static void what_was_before_the_lock_is_not_new(void **state)
{
	struct fixture *f = *state;
	struct bh_alert_edge late = edge(SPY, DB, 5432, 9);

	lock(f, "data", 10, 1, &web_db, true);
	see(f, late);
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	/* It was known to the kernel, but not learned: when it goes on, it is. */
	late.last_ns = NOW + 11 * S;
	see(f, late);
	assert_int_equal(bh_alerts_count(f->alerts), 1);
}

static void an_attempt_that_was_denied_is_only_info(void **state)
{
	struct fixture *f = *state;
	struct bh_alert_edge denied = edge(SPY, DB, 22, 11);

	lock(f, "data", 10, 1, &web_db, true);
	denied.verdict = denied.pending = BH_REASON_ISOLATED;
	see(f, denied);
	assert_int_equal(one(f, BH_ALERT_NEW_EDGE)->severity, BH_ALERT_INFO);
	/* Once it passes it is more. */
	see(f, edge(SPY, DB, 22, 12));
	assert_int_equal(one(f, BH_ALERT_NEW_EDGE)->severity, BH_ALERT_WARNING);
}

static void what_was_only_denied_is_new_when_it_passes(void **state)
{
	struct fixture *f = *state;
	const struct bh_baseline_key spy_db = {SPY, DB, 22, TCP, 0};
	struct bh_alert_edge denied = edge(SPY, DB, 22, 11);

	lock(f, "data", 10, 1, &spy_db, false);
	denied.verdict = denied.pending = BH_REASON_ISOLATED;
	see(f, denied);
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	see(f, edge(SPY, DB, 22, 12));
	assert_true(one(f, BH_ALERT_NEW_EDGE)->was_denied);
}

static void many_ports_in_the_baseline_are_all_ports(void **state)
{
	struct fixture *f = *state;
	const struct bh_baseline_key any = {WEB, DB, 0, TCP, 0};
	struct bh_alert_edge udp = edge(WEB, DB, 31000, 12);

	lock(f, "data", 10, 1, &any, true);
	see(f, edge(WEB, DB, 31000, 11));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	udp.protocol = UDP;
	see(f, udp);
	assert_int_equal(bh_alerts_count(f->alerts), 1);
}

static void connections_are_counted_once(void **state)
{
	struct fixture *f = *state;
	struct bh_alert_edge client = edge(SPY, DB, 80, 11), server;

	lock(f, "data", 10, 0, NULL, true);
	client.flows = 3;
	client.peer_local = 1;
	server = client;
	server.egress = 0;
	see(f, server); /* either may come first */
	see(f, client);
	assert_int_equal(one(f, BH_ALERT_NEW_EDGE)->count, 3);
	/* Told again, as it stands: nothing has happened. */
	see(f, client);
	assert_int_equal(one(f, BH_ALERT_NEW_EDGE)->count, 3);
	client.flows = 8;
	client.last_ns += S;
	server.flows = client.flows;
	server.last_ns = client.last_ns;
	see(f, client);
	see(f, server);
	assert_int_equal(one(f, BH_ALERT_NEW_EDGE)->count, 8);
}

static void another_port_opens_it_again(void **state)
{
	struct fixture *f = *state;
	const struct bh_alert *alert;

	lock(f, "data", 10, 0, NULL, true);
	see(f, edge(SPY, DB, 80, 11));
	alert = one(f, BH_ALERT_NEW_EDGE);
	assert_int_equal(bh_alerts_acknowledge(f->alerts, alert->id, "me", NOW + 12 * S), 0);
	see(f, edge(SPY, DB, 80, 13));
	assert_int_not_equal(alert->acknowledged_ns, 0);
	assert_int_equal(f->raised, 1);
	see(f, edge(SPY, DB, 443, 14));
	assert_int_equal(alert->acknowledged_ns, 0);
	assert_int_equal(alert->reopened, 1);
	assert_int_equal(f->raised, 2);
	assert_int_equal(bh_alerts_acknowledge(f->alerts, "none", "me", NOW), -ENOENT);
}

static void locking_again_settles_what_it_learned(void **state)
{
	struct fixture *f = *state;
	const struct bh_baseline_key spy_db = {SPY, DB, 80, TCP, 0};

	lock(f, "data", 10, 0, NULL, true);
	see(f, edge(SPY, DB, 80, 11));
	see(f, edge(WEB, DB, 80, 11));
	lock(f, "data", 12, 1, &spy_db, true);
	assert_int_equal(bh_alerts_count(f->alerts), 2);
	for (size_t at = 0;;) {
		const struct bh_alert *alert = bh_alerts_next(f->alerts, &at);

		if (!alert)
			break;
		assert_int_equal(
			alert->acknowledged_ns != 0, strcmp(alert->source.name, "spy") == 0);
	}
}

static void pods_that_nobody_knows_yet_are_waited_for(void **state)
{
	struct fixture *f = *state;

	lock(f, "data", 10, 0, NULL, true);
	see(f, edge(HELD, DB, 80, 11));
	see(f, edge(77, DB, 80, 11));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
}

/* ---- The world ------------------------------------------------------------------------------- */

static void while_learning_nobody_is_the_first(void **state)
{
	struct fixture *f = *state;

	see(f, edge(WEB, WORLD, 443, 3599));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	see(f, edge(WEB, WORLD, 443, 4000)); /* it was learned */
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	see(f, edge(DB, WORLD, 443, 4000));
	assert_string_equal(one(f, BH_ALERT_FIRST_WORLD)->source.name, "db");
	see(f, edge(DB, WORLD, 80, 4001));
	assert_int_equal(bh_alerts_count(f->alerts), 1);
}

static void a_baseline_ends_the_learning(void **state)
{
	struct fixture *f = *state;
	const struct bh_baseline_key web_world = {WEB, WORLD, 443, TCP, 0};

	lock(f, "shop", 10, 1, &web_world, true);
	see(f, edge(WEB, WORLD, 443, 11));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	lock(f, "data", 10, 0, NULL, true);
	see(f, edge(DB, WORLD, 443, 11));
	assert_int_equal(f->raised, 1);
	assert_string_equal(f->last, "first-world");
	/* What goes on is counted there, and is not told as something else. */
	see(f, edge(DB, WORLD, 443, 12));
	assert_int_equal(bh_alerts_count(f->alerts), 1);
	/* It is no stranger there any more; that it speaks to other ports is still new. */
	see(f, edge(DB, WORLD, 22, 12));
	assert_string_equal(f->last, "new-edge");
}

static void a_contact_that_was_denied_is_none(void **state)
{
	struct fixture *f = *state;
	struct bh_alert_edge denied = edge(WEB, WORLD, 443, 4000);

	denied.verdict = BH_REASON_ISOLATED;
	see(f, denied);
	see(f, edge(NODE, WORLD, 443, 4000)); /* in no namespace */
	see(f, edge(WORLD, WEB, 443, 4000));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
}

/* ---- Databases ------------------------------------------------------------------------------- */

static void a_database_in_plain_text(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint8_t app, encrypted, verdict;
		size_t wanted;
	} cases[] = {
		{BH_APP_UNKNOWN, BH_ENCRYPTED_NO, BH_REASON_POLICY, 0},
		{BH_APP_POSTGRESQL, BH_ENCRYPTED_UNKNOWN, BH_REASON_POLICY, 0},
		{BH_APP_POSTGRESQL, BH_ENCRYPTED_YES, BH_REASON_POLICY, 0},
		{BH_APP_HTTP1, BH_ENCRYPTED_NO, BH_REASON_POLICY, 0},
		{BH_APP_REDIS, BH_ENCRYPTED_NO, BH_REASON_ISOLATED, 0},
		{BH_APP_POSTGRESQL, BH_ENCRYPTED_NO, BH_REASON_POLICY, 1},
	};
	const bool baselines[2] = {false};
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_alert_edge seen = edge(WEB, DB, 5432, 1);

		seen.app = cases[i].app;
		seen.encrypted = cases[i].encrypted;
		seen.verdict = cases[i].verdict;
		see(f, seen);
		assert_int_equal(bh_alerts_count(f->alerts), cases[i].wanted);
	}
	text = bh_alert_text(one(f, BH_ALERT_PLAINTEXT_DATABASE), "shop/web", "data/db", baselines);
	assert_string_equal(
		text, "shop/web speaks PostgreSQL to data/db in plain text on TCP 5432");
}

/* ---- Scans ----------------------------------------------------------------------------------- */

static struct bh_ip ip(uint32_t number)
{
	return (struct bh_ip){
		4, {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static struct bh_flow_record denied(
	uint32_t source, uint32_t target, uint16_t port, uint64_t time_s)
{
	return (struct bh_flow_record){
		.time_ns = NOW + time_s * S,
		.reason = BH_REASON_ISOLATED,
		.pending = BH_REASON_ISOLATED,
		.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED,
		.protocol = TCP,
		.tcp_flags = 0x02,
		.verdict = BH_FLOW_DENIED,
		.src = {ip(source), 40000, "evil", "spy", source, true},
		.dst = {ip(target), port, "", "", target, true},
	};
}

static void tell(struct fixture *f, struct bh_flow_record record)
{
	bh_alerts_flow(f->alerts, &record);
}

static void many_ports_are_a_scan(void **state)
{
	struct fixture *f = *state;
	const struct bh_alert *alert;

	for (uint16_t i = 0; i < 4; i++)
		tell(f, denied(SPY, DB, 1000 + i, i));
	tell(f, denied(SPY, DB, 1000, 5)); /* the same again */
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	tell(f, denied(SPY, DB, 1004, 6));
	alert = one(f, BH_ALERT_PORT_SCAN);
	assert_int_equal(alert->n_distinct, 5);
	assert_int_equal(alert->n_evidence, 5);
	assert_int_equal(alert->severity, BH_ALERT_HIGH);
	assert_int_equal(f->raised, 1);
	for (uint16_t i = 0; i < 20; i++)
		tell(f, denied(SPY, DB, 2000 + i, 7));
	assert_int_equal(alert->n_distinct, 25);
	assert_int_equal(alert->n_evidence, BH_ALERT_EVIDENCE);
	assert_int_equal(f->raised, 1);
}

static void a_slow_walk_is_none(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < 100; i++)
		tell(f, denied(SPY, DB, 1000 + i, 20 * i));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
}

static void many_destinations_are_lateral_movement(void **state)
{
	struct fixture *f = *state;
	const struct bh_alert *alert;

	for (uint32_t i = 0; i < 3; i++)
		tell(f, denied(SPY, TARGETS + i, 22, i));
	assert_int_equal(bh_alerts_count(f->alerts), 0);
	tell(f, denied(SPY, TARGETS + 3, 22, 4));
	alert = one(f, BH_ALERT_LATERAL_MOVEMENT);
	assert_null(alert->target.namespace);
	assert_int_equal(alert->n_evidence, 4);
	assert_string_equal(alert->evidence[3].destination.name, "t3");
	assert_string_equal(f->last, "lateral-movement");
}

/* Each is told five times over, with five ports, and is no scan. */
static void what_is_no_attempt(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < 10; i++) {
		struct bh_flow_record record = denied(SPY, DB, 40000 + i, 1);

		record.flags = BH_FLOW_MIDSTREAM;
		tell(f, record);
		record = denied(SPY, DB, 40000 + i, 1);
		record.tcp_flags = 0x12; /* SYN-ACK: an answer */
		tell(f, record);
		record.tcp_flags = 0x14; /* RST */
		tell(f, record);
		record = denied(SPY, DB, 40000 + i, 1);
		record.protocol = UDP; /* DNS answers, too late */
		record.src.port = 53;
		tell(f, record);
		record = denied(SPY, DB, 40000 + i, 1);
		record.reason = BH_REASON_SPOOFED_IP;
		tell(f, record);
		record = denied(SPY, DB, 40000 + i, 1);
		record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW;
		record.reason = BH_REASON_POLICY;
		tell(f, record);
		record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED; /* it was answered */
		record.packets[0] = 6;
		record.packets[1] = 5;
		record.octets[1] = 500;
		tell(f, record);
		record = denied(SPY, DB, 40000 + i, 1);
		record.dst.known = false;
		tell(f, record);
	}
	assert_int_equal(bh_alerts_count(f->alerts), 0);
}

static void what_is_refused_is_an_attempt(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < 5; i++) {
		struct bh_flow_record record = denied(SPY, DB, 1000 + i, 1);

		record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED;
		record.reason = record.pending = BH_REASON_NOT_ISOLATED;
		record.verdict = BH_FLOW_ALLOWED;
		record.tcp_flags = 0x14;
		record.packets[0] = record.packets[1] = 1;
		record.octets[1] = 40;
		tell(f, record);
	}
	assert_int_equal(one(f, BH_ALERT_PORT_SCAN)->evidence[0].verdict, BH_ALERT_REFUSED);
}

static void what_would_be_denied_is_a_scan_but_no_movement(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < 50; i++) {
		struct bh_flow_record record = denied(SPY, TARGETS + i % 10, 1000 + i, 1);

		record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY;
		record.reason = BH_REASON_OPEN;
		record.verdict = BH_FLOW_WOULD_DENY;
		tell(f, record);
	}
	assert_null(one(f, BH_ALERT_LATERAL_MOVEMENT));
	assert_int_equal(bh_alerts_count(f->alerts), 10);
}

static void a_scan_that_begins_again_is_open_again(void **state)
{
	struct fixture *f = *state;
	const struct bh_alert *alert;

	for (uint16_t i = 0; i < 5; i++)
		tell(f, denied(SPY, DB, 1000 + i, 1));
	alert = one(f, BH_ALERT_PORT_SCAN);
	bh_alerts_acknowledge(f->alerts, alert->id, "me", NOW + 2 * S);
	for (uint16_t i = 0; i < 5; i++)
		tell(f, denied(SPY, DB, 1000 + i, 3)); /* goes on */
	assert_int_not_equal(alert->acknowledged_ns, 0);
	for (uint16_t i = 0; i < 5; i++)
		tell(f, denied(SPY, DB, 1000 + i, 200)); /* more than a minute later */
	assert_int_equal(alert->acknowledged_ns, 0);
	assert_int_equal(f->raised, 2);
	assert_int_equal(bh_alerts_count(f->alerts), 1);
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

static void a_million_tuples_are_one_alert(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 1000000; i++)
		tell(f, denied(SPY, DB, (uint16_t)(1 + i % 65535), i / 10000));
	assert_int_equal(bh_alerts_count(f->alerts), 1);
	assert_int_equal(one(f, BH_ALERT_PORT_SCAN)->n_distinct, BH_ALERT_DISTINCT);
	assert_int_equal(f->raised, 1);
}

static void made_up_addresses_push_no_pod_out(void **state)
{
	struct bh_sightings *sightings = bh_sightings_new(60 * S);
	const struct bh_sighting *all;
	struct bh_sighting sighting = {.time_ns = NOW};
	char subject[32];

	for (sighting.value = 0; sighting.value < 4; sighting.value++)
		bh_sightings_add(sightings, "shop/web", false, &sighting, &all);
	for (uint32_t i = 0; i < 1000000; i++) {
		snprintf(subject, sizeof(subject), "10.%u", i);
		bh_sightings_add(sightings, subject, true, &sighting, &all);
	}
	assert_int_equal(bh_sightings_count(sightings), BH_SIGHTINGS_SUBJECTS + 1);
	assert_int_equal(bh_sightings_add(sightings, "shop/web", false, &sighting, &all), 5);
	for (sighting.value = 0; sighting.value < 1000; sighting.value++)
		assert_true(bh_sightings_add(sightings, "shop/web", false, &sighting, &all) <=
			    BH_SIGHTINGS_VALUES);
	bh_sightings_free(sightings);
}

static void too_many_alerts_push_the_least_out(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < 5; i++)
		tell(f, denied(SPY, DB, 1000 + i, 1));
	lock(f, "targets", 2, 0, NULL, true);
	for (uint32_t i = 0; i < 2000; i++)
		see(f, edge(SPY, TARGETS + i, 80, 10 + i));
	assert_int_equal(bh_alerts_count(f->alerts), BH_ALERTS_MAX);
	assert_int_equal(bh_alerts_dropped(f->alerts), 2001 - BH_ALERTS_MAX);
	/* The oldest, and the worst. */
	assert_non_null(one(f, BH_ALERT_PORT_SCAN));
}

static void what_is_old_is_forgotten(void **state)
{
	struct fixture *f = *state;

	lock(f, "targets", 2, 0, NULL, true);
	for (uint32_t i = 0; i < 300; i++)
		see(f, edge(SPY, TARGETS + i, 80, 10 + i));
	bh_alerts_expire(f->alerts, NOW + (86400 + 10 + 200) * S);
	assert_int_equal(bh_alerts_count(f->alerts), 100);
}

/* ---- Over restarts --------------------------------------------------------------------------- */

static char *state_text(const struct fixture *f)
{
	json_t *state = bh_alerts_save(f->alerts);
	json_t *baselines = bh_alerts_save_baselines(f->alerts);
	json_t *both = json_pack("[o, o]", state, baselines);
	char *text = json_dumps(both, JSON_SORT_KEYS);

	json_decref(both);
	return text;
}

static void fill(struct fixture *f)
{
	lock(f, "data", 10, 1, &web_db, true);
	see(f, edge(SPY, DB, 80, 11));
	see(f, edge(WEB, WORLD, 443, 5000));
	for (uint16_t i = 0; i < 40; i++) {
		tell(f, denied(SPY, TARGETS + i, 22, 11));
		tell(f, denied(SPY, DB, 1000 + i, 11));
	}
	bh_alerts_acknowledge(f->alerts, one(f, BH_ALERT_PORT_SCAN)->id, "command", NOW + 12 * S);
}

static void all_of_it_survives(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = NULL, *after = NULL;
	json_t *saved, *baselines;
	struct bh_alert_edge again;

	fill(f);
	before = state_text(f);
	saved = bh_alerts_save(f->alerts);
	baselines = bh_alerts_save_baselines(f->alerts);
	bh_alerts_free(f->alerts);
	f->alerts = begin(f);
	/* As the program does: alerts first. Locking is a change, too. */
	assert_int_equal(bh_alerts_load_baselines(f->alerts, baselines), 0);
	assert_int_equal(bh_alerts_load(f->alerts, saved), 0);
	after = state_text(f);
	assert_string_equal(before, after);
	f->raised = 0;
	/* The kernel tells all it has, and its times are not told to the nanosecond. */
	again = edge(SPY, DB, 80, 11);
	again.last_ns += 4000000;
	see(f, again);
	see(f, edge(WEB, DB, 5432, 20));
	see(f, edge(WEB, WORLD, 443, 5000));
	assert_int_equal(f->raised, 0);
	assert_int_equal(one(f, BH_ALERT_NEW_EDGE)->count, 1);
	again.flows = 4;
	again.last_ns += 60 * S;
	see(f, again);
	assert_int_equal(one(f, BH_ALERT_NEW_EDGE)->count, 4);
	json_decref(saved);
	json_decref(baselines);
}

/* Not as a table keeps it, which is another order in every process. */
static void it_is_saved_in_order(void **state)
{
	struct fixture *f = *state;
	json_t *saved, *list, *item;
	const char *last_id = "";
	json_int_t last_number = -1;
	size_t i;

	for (uint32_t pod = 0; pod < 100; pod++) {
		see(f, edge(TARGETS + 100 - pod, WORLD, 443, 5000));
		for (uint16_t port = 0; port < 5; port++)
			tell(f, denied(SPY, TARGETS + pod, 1000 + port, 11));
	}
	saved = bh_alerts_save(f->alerts);
	list = json_object_get(saved, "alerts");
	assert_true(json_array_size(list) >= 100);
	json_array_foreach(list, i, item)
	{
		const char *id = json_string_value(json_object_get(item, "id"));

		assert_true(strcmp(last_id, id) < 0);
		last_id = id;
	}
	list = json_object_get(saved, "speakers");
	assert_int_equal(json_array_size(list), 100);
	json_array_foreach(list, i, item)
	{
		assert_true(json_integer_value(item) > last_number);
		last_number = json_integer_value(item);
	}
	json_decref(saved);
}

static void the_same_input_gives_the_same_alerts(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *first = NULL, *second = NULL;

	fill(f);
	first = state_text(f);
	bh_alerts_free(f->alerts);
	f->alerts = begin(f);
	fill(f);
	second = state_text(f);
	assert_string_equal(first, second);
}

static void broken_files_are_refused_or_read_as_far_as_they_go(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text;
		int alerts;
		int baselines;
	} cases[] = {
		{"{}", -EBADMSG, -EBADMSG},
		{"[]", -EBADMSG, -EBADMSG},
		{"{\"version\": 2, \"alerts\": [], \"speakers\": [], \"baselines\": []}", -EBADMSG,
			-EBADMSG},
		{"{\"version\": 1, \"alerts\": [7, {}, {\"kind\": \"new-edge\", \"id\": "
		 "\"0123456789abcdef\", \"source\": [1]}], \"speakers\": [\"x\"], \"baselines\": "
		 "[7]}",
			0, -EBADMSG},
		{"{\"version\": 1, \"alerts\": [], \"speakers\": [], \"baselines\": "
		 "[{\"namespace\": \"a\", \"locked\": 1, \"by\": \"\", \"conversations\": [\"1 2 6 "
		 "99999999999 passed\"]}]}",
			0, -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *json = json_loads(cases[i].text, 0, NULL);

		assert_non_null(json);
		assert_int_equal(bh_alerts_load(f->alerts, json), cases[i].alerts);
		assert_int_equal(bh_alerts_load_baselines(f->alerts, json), cases[i].baselines);
		json_decref(json);
	}
	assert_int_equal(bh_alerts_count(f->alerts), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_edge_without_a_baseline_is_no_news),
		TEST(what_the_baseline_lacks_is_new),
		TEST(what_was_before_the_lock_is_not_new),
		TEST(an_attempt_that_was_denied_is_only_info),
		TEST(what_was_only_denied_is_new_when_it_passes),
		TEST(many_ports_in_the_baseline_are_all_ports),
		TEST(connections_are_counted_once),
		TEST(another_port_opens_it_again),
		TEST(locking_again_settles_what_it_learned),
		TEST(pods_that_nobody_knows_yet_are_waited_for),
		TEST(while_learning_nobody_is_the_first),
		TEST(a_baseline_ends_the_learning),
		TEST(a_contact_that_was_denied_is_none),
		TEST(a_database_in_plain_text),
		TEST(many_ports_are_a_scan),
		TEST(a_slow_walk_is_none),
		TEST(many_destinations_are_lateral_movement),
		TEST(what_is_no_attempt),
		TEST(what_is_refused_is_an_attempt),
		TEST(what_would_be_denied_is_a_scan_but_no_movement),
		TEST(a_scan_that_begins_again_is_open_again),
		TEST(a_million_tuples_are_one_alert),
		TEST(made_up_addresses_push_no_pod_out),
		TEST(too_many_alerts_push_the_least_out),
		TEST(what_is_old_is_forgotten),
		TEST(all_of_it_survives),
		TEST(it_is_saved_in_order),
		TEST(the_same_input_gives_the_same_alerts),
		TEST(broken_files_are_refused_or_read_as_far_as_they_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
