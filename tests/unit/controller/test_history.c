/* SPDX-License-Identifier: Apache-2.0 */

/* History on a real disk: exact sums over ages, ends of every kind, and disks that fail. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "controller/history/history.h"
#include "controller/history/recorder.h"
#include "controller/history/schema.h"
#include "controller/history/sql.h"
#include "controller/history/store.h"
#include "controller/model/memory.h"
#include "include/bulkhead/reasons.h"
#include "proto/cleanup.h"
#include "proto/log.h"

#define DAY 86400ull
#define NS 1000000000ull
#define MIB (1024ull * 1024)

static char folder[64];

static char *path_of(const char *name)
{
	return bh_xasprintf("%s/%s", folder, name);
}

static int make_folder(void **state)
{
	strcpy(folder, "/tmp/bulkhead-history-XXXXXX");
	bh_log_open("test", BH_LOG_ERROR);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	_cleanup_free_ char *command = bh_xasprintf("rm -rf '%s'", folder);

	return system(command);
}

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

static uint64_t mono_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- A store alone --------------------------------------------------------------------------- */

static struct bh_store *open_store(const char *path, uint64_t max_bytes, uint32_t days)
{
	const struct bh_store_config config = {path, max_bytes, days};
	struct bh_store *store;
	char *text = NULL;

	if (bh_store_open(&config, &store, &text) < 0)
		fail_msg("%s", text);
	return store;
}

static struct bh_history_edge edge_of(uint32_t client, uint16_t port, uint64_t second)
{
	return (struct bh_history_edge){
		.key = {.client = client,
			.server = 2,
			.port = port,
			.protocol = 6,
			.egress = 1,
			.verdict = BH_REASON_POLICY,
			.pending = BH_REASON_POLICY,
			.family = 4},
		.counts = {.packets = {3, 2},
			.octets = {300, 200},
			.flows = 1,
			.first_ns = second * NS,
			.last_ns = second * NS + 7000},
		.talk = {.rtt_min_us = 50 + port, .rtt_sum_us = 100 + port, .rtt_n = 1},
	};
}

static void put(struct bh_store *store, uint64_t second, size_t n, struct bh_history_edge *edges)
{
	const struct bh_batch batch = {
		.time_ns = second * NS + 8000, .n_edges = n, .edges = edges, .lost = 1};

	assert_int_equal(bh_store_write(store, &batch), 0);
}

struct sum {
	uint64_t packets, octets, flows, rtt_n, rtt_min, lost, first, last, resolution, from, to;
	size_t n;
};

static struct sum sum_of(struct bh_store *store, uint64_t from, uint64_t to)
{
	const struct bh_history_question question = {
		.subject = BH_HISTORY_EDGES, .from_ns = from * NS, .to_ns = to * NS};
	struct bh_gather *gather = bh_gather_new(&question);
	const struct bh_history_answer *answer;
	struct sum sum = {0};

	assert_int_equal(bh_gather_from(gather, store), 0);
	answer = bh_gather_finish(gather, 0, "");
	for (size_t i = 0; i < answer->n_edges; i++) {
		const struct bh_history_edge *edge = &answer->edges[i];

		sum.packets += edge->counts.packets[0] + edge->counts.packets[1];
		sum.octets += edge->counts.octets[0] + edge->counts.octets[1];
		sum.flows += edge->counts.flows;
		sum.rtt_n += edge->talk.rtt_n;
		if (!sum.rtt_min || edge->talk.rtt_min_us < sum.rtt_min)
			sum.rtt_min = edge->talk.rtt_min_us;
		if (!sum.first || edge->counts.first_ns < sum.first)
			sum.first = edge->counts.first_ns;
		if (edge->counts.last_ns > sum.last)
			sum.last = edge->counts.last_ns;
	}
	sum.n = answer->n_edges;
	sum.lost = answer->lost;
	sum.resolution = answer->resolution_ns / NS;
	sum.from = answer->from_ns / NS;
	sum.to = answer->to_ns / NS;
	bh_gather_free(gather);
	return sum;
}

/* Ten days, a batch each 7 minutes and some late ones; every window sums up what lies in it. */
static void every_age_sums_up_exactly(void **state)
{
	struct bh_store *store = open_store(NULL, 256 * MIB, 90);
	const uint64_t begin = 20000 * DAY, end = begin + 10 * DAY;
	unsigned int seed = 7;
	uint64_t seconds[4096];
	size_t n = 0;

	for (uint64_t at = begin; at < end; at += 420) {
		uint64_t late = rand_r(&seed) % 5 ? 0 : (uint64_t)(rand_r(&seed) % 20000);
		uint64_t second = at > begin + late ? at - late : at;
		struct bh_history_edge edge =
			edge_of(1 + (uint32_t)(n % 7), (uint16_t)(n % 5), second);
		const struct bh_batch batch = {
			.time_ns = at * NS + 8000, .n_edges = 1, .edges = &edge};

		assert_int_equal(bh_store_write(store, &batch), 0);
		assert_int_equal(bh_store_tidy(store, at), 0);
		seconds[n++] = second;
	}
	for (int i = 0; i < 400; i++) {
		uint64_t from = begin + (uint64_t)rand_r(&seed) % (10 * DAY);
		uint64_t to = from + (uint64_t)rand_r(&seed) % (i % 2 ? 10 * DAY : 9000);
		struct sum sum = sum_of(store, from, to);
		uint64_t wanted = 0;

		/* Whole spans are answered, and the answer says which. */
		assert_true(sum.from <= from && sum.to >= to);
		assert_true(from - sum.from < 3600 && sum.to - to < 3600);
		for (size_t j = 0; j < n; j++)
			wanted += seconds[j] >= sum.from && seconds[j] < sum.to;
		assert_int_equal(sum.flows, wanted);
		assert_int_equal(sum.packets, wanted * 5);
		assert_int_equal(sum.octets, wanted * 500);
		assert_int_equal(sum.rtt_n, wanted);
	}
	bh_store_close(store);
}

static void first_last_and_round_trips_survive_the_summing_up(void **state)
{
	struct bh_store *store = open_store(NULL, 64 * MIB, 90);
	const uint64_t begin = 20000 * DAY;
	struct sum sum;

	for (int i = 0; i < 100; i++) {
		struct bh_history_edge edge = edge_of(1, 80, begin + (uint64_t)i * 60 + 3);

		edge.talk.rtt_min_us = 1000 - (uint32_t)i;
		put(store, begin + (uint64_t)i * 60 + 3, 1, &edge);
	}
	assert_int_equal(bh_store_tidy(store, begin + 30 * DAY), 0);
	sum = sum_of(store, begin, begin + DAY);
	assert_int_equal(sum.n, 1);
	assert_int_equal(sum.flows, 100);
	assert_int_equal(sum.lost, 100);
	assert_int_equal(sum.rtt_min, 901);
	assert_int_equal(sum.first, (begin + 3) * NS);
	assert_int_equal(sum.last, (begin + 99 * 60 + 3) * NS + 7000);
	assert_int_equal(sum.resolution, 3600);
	bh_store_close(store);
}

static void history_begins_with_the_first_that_was_seen_however_it_is_summed_up(void **state)
{
	struct bh_store *store = open_store(NULL, 64 * MIB, 90);
	const uint64_t first = 20000 * DAY + 47 * 60 + 13;
	struct bh_history_edge edges[] = {edge_of(1, 80, first), edge_of(1, 81, first + 9)};
	struct bh_store_state standing;

	put(store, first, 2, edges);
	assert_int_equal(bh_store_state(store, &standing), 0);
	assert_int_equal(standing.since_ns[0], first * NS);
	for (uint64_t later = 600; later <= DAY; later *= 12) {
		assert_int_equal(bh_store_tidy(store, first + later), 0);
		assert_int_equal(bh_store_state(store, &standing), 0);
		assert_int_equal(standing.since_ns[1], first * NS);
	}
	assert_int_equal(standing.since_ns[2], first * NS);
	assert_int_equal(standing.since_ns[0], 0);
	bh_store_close(store);
}

static void what_is_too_old_is_forgotten(void **state)
{
	struct bh_store *store = open_store(NULL, 64 * MIB, 2);
	const uint64_t begin = 20000 * DAY;
	struct bh_history_edge edge = edge_of(1, 80, begin);
	struct bh_history_edge later = edge_of(1, 81, begin + 3 * DAY);
	struct bh_store_state standing;

	put(store, begin, 1, &edge);
	assert_int_equal(bh_store_tidy(store, begin + DAY), 0);
	assert_int_equal(sum_of(store, begin, begin + DAY).flows, 1);
	put(store, begin + 3 * DAY, 1, &later);
	assert_int_equal(bh_store_tidy(store, begin + 3 * DAY + 10), 0);
	assert_int_equal(sum_of(store, 0, begin + 4 * DAY).flows, 1);
	assert_int_equal(bh_store_state(store, &standing), 0);
	assert_int_equal(standing.edges, 1); /* the names of rows go with them */
	bh_store_close(store);
}

static void a_store_stays_within_its_size_and_keeps_the_newest(void **state)
{
	_cleanup_free_ char *path = path_of("bounded.db");
	struct bh_store *store = open_store(path, 16 * MIB, 90);
	const uint64_t begin = 20000 * DAY;
	static struct bh_history_edge edges[2000];
	uint64_t at = begin;
	struct stat status;

	for (int round = 0; round < 400; round++, at += 15) {
		for (uint32_t i = 0; i < 2000; i++)
			edges[i] = edge_of(i + 1, 80, at);
		put(store, at, 2000, edges);
		assert_int_equal(bh_store_tidy(store, at), 0);
		assert_int_equal(stat(path, &status), 0);
		assert_true((uint64_t)status.st_size <= 16 * MIB);
	}
	/* The last quarter of an hour is all there. */
	assert_int_equal(sum_of(store, at - 900, at).flows, 60 * 2000);
	bh_store_close(store);
}

static void a_database_of_the_first_version_is_taken_over(void **state)
{
	_cleanup_free_ char *path = path_of("old.db");
	struct bh_store old = {0};
	struct bh_store *store;
	struct sum sum;

	assert_int_equal(sqlite3_open(path, &old.db), SQLITE_OK);
	assert_int_equal(bh_schema_make(&old, 1), 0);
	assert_int_equal(
		bh_sql_run(&old,
			"INSERT INTO edges VALUES (5, 1, 2, 6, 80, 1, 1, 1, 0, 0, 4, 0, "
			"1700000000);"
			"INSERT INTO counts_0 VALUES (1700000010, 5, 3, 2, 300, 200, 1, 0, 0, 9);"
			"INSERT INTO counters VALUES"
			" (1, 2, 80, 6, 1, 1, 1, 0, 4, 3, 2, 300, 200, 1, 0, 77, 1700000010, 0);"
			"INSERT INTO workloads VALUES (1, 'shop', 'Deployment', 'web')"),
		0);
	sqlite3_close(old.db);

	store = open_store(path, 64 * MIB, 3650);
	sum = sum_of(store, 1700000000, 1700000100);
	assert_int_equal(sum.flows, 1);
	assert_int_equal(sum.octets, 500);
	assert_int_equal(sum.rtt_n, 0);

	struct bh_batch known = {0};

	assert_int_equal(bh_store_load(store, &known), 0);
	assert_int_equal(known.n_counters, 1);
	assert_int_equal(known.counters[0].octets[0], 300);
	assert_int_equal(known.counters[0].refusals, 0);
	assert_int_equal(known.n_workloads, 1);
	assert_string_equal(known.workloads[0].name, "web");
	bh_arena_clear(&known.arena);
	bh_store_close(store);
}

/* ---- The recorder ---------------------------------------------------------------------------- */

/* The counter of one edge as the data plane reports it. */
static Bulkhead__Wire__Edge wire_edge(uint64_t flows, uint64_t first_ns)
{
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT;

	edge.local = 10;
	edge.remote = 20;
	edge.port = 80;
	edge.protocol = 6;
	edge.egress = true;
	edge.verdict = BH_REASON_POLICY;
	edge.pending = BH_REASON_POLICY;
	edge.family = 4;
	edge.packets_out = flows * 2;
	edge.octets_out = flows * 100;
	edge.flows = flows;
	edge.first_ns = first_ns;
	edge.last_ns = real_ns();
	return edge;
}

static void report(struct bh_recorder *recorder, uint64_t generation, Bulkhead__Wire__Edge edge,
	uint64_t step_ns)
{
	Bulkhead__Wire__Edge *edges[1] = {&edge};
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;

	/* The wall clock was set by `step_ns`: what is told in it has moved along. */
	edge.first_ns += step_ns;
	edge.last_ns += step_ns;
	batch.generation = generation;
	batch.n_edges = 1;
	batch.edges = edges;
	bh_recorder_edges(recorder, &batch, real_ns() + step_ns, mono_ms() * 1000000);
}

/* Flows in what is handed over. */
static uint64_t flows_taken(struct bh_recorder *recorder, struct bh_store *store)
{
	struct bh_batch *batch = bh_recorder_take(recorder, real_ns());
	uint64_t flows = 0;

	for (size_t i = 0; i < batch->n_edges; i++)
		flows += batch->edges[i].counts.flows;
	if (store)
		assert_int_equal(bh_store_write(store, batch), 0);
	bh_batch_free(batch);
	return flows;
}

static void counters_are_counted_once_over_every_kind_of_change(void **state)
{
	struct bh_recorder *recorder = bh_recorder_new();
	uint64_t first = real_ns() - 60 * NS;
	Bulkhead__Wire__Edge gone;

	report(recorder, 1, wire_edge(5, first), 0);
	report(recorder, 1, wire_edge(7, first), 0);
	report(recorder, 1, wire_edge(7, first), 0);
	assert_int_equal(flows_taken(recorder, NULL), 7);
	report(recorder, 1, wire_edge(9, first), 3600 * NS); /* the clock is set an hour on */
	assert_int_equal(flows_taken(recorder, NULL), 2);
	gone = wire_edge(10, first);
	gone.gone = true;
	report(recorder, 1, gone, 0);
	report(recorder, 1, gone, 0); /* told twice */
	assert_int_equal(flows_taken(recorder, NULL), 1);
	report(recorder, 1, wire_edge(12, first), 0); /* a flow woke the same counter up */
	assert_int_equal(flows_taken(recorder, NULL), 2);
	report(recorder, 1, wire_edge(20, first + 30 * NS), 0); /* another one under its key */
	assert_int_equal(flows_taken(recorder, NULL), 20);
	report(recorder, 1, wire_edge(3, first + 30 * NS), 0); /* it cannot have counted back */
	assert_int_equal(flows_taken(recorder, NULL), 3);
	report(recorder, 2, wire_edge(4, first), 0); /* all counters began anew */
	assert_int_equal(flows_taken(recorder, NULL), 4);
	bh_recorder_free(recorder);
}

static void a_restart_goes_on_where_the_database_ends(void **state)
{
	_cleanup_free_ char *path = path_of("restart.db");
	struct bh_store *store = open_store(path, 64 * MIB, 90);
	struct bh_recorder *recorder = bh_recorder_new();
	struct bh_batch known = {0};
	uint64_t first = real_ns() - 60 * NS;

	report(recorder, 1, wire_edge(5, first), 0);
	assert_int_equal(flows_taken(recorder, store), 5);
	report(recorder, 1, wire_edge(6, first), 0); /* never written */
	bh_recorder_free(recorder);
	bh_store_close(store);

	store = open_store(path, 64 * MIB, 90);
	assert_int_equal(bh_store_load(store, &known), 0);
	recorder = bh_recorder_new();
	bh_recorder_load(recorder, &known);
	bh_arena_clear(&known.arena);
	report(recorder, 1, wire_edge(8, first), 0);
	assert_int_equal(flows_taken(recorder, store), 3);
	assert_int_equal(sum_of(store, 0, real_ns() / NS + 15).flows, 8);
	bh_recorder_free(recorder);
	bh_store_close(store);
}

/* ---- Conversations of pods, and series ----------------------------------------------------------
 */

static const struct bh_history_answer *answer_of(struct bh_store *store,
	const struct bh_history_question *question, struct bh_gather **ret_gather)
{
	struct bh_gather *gather = bh_gather_new(question);

	assert_int_equal(bh_gather_from(gather, store), 0);
	*ret_gather = gather;
	return bh_gather_finish(gather, 0, "");
}

/* The n-th address outside speaks with the pod web: a flow of that type. */
static void log_flow(
	struct bh_flow_log *log, struct bh_names *own, Bulkhead__Wire__FlowType type, uint32_t n)
{
	Bulkhead__Wire__Flow flow = BULKHEAD__WIRE__FLOW__INIT;
	Bulkhead__Wire__Flow *flows[1] = {&flow};
	Bulkhead__Wire__FlowBatch batch = BULKHEAD__WIRE__FLOW_BATCH__INIT;
	uint8_t src[4] = {203, 0, (uint8_t)(n >> 8), (uint8_t)n}, dst[4] = {10, 0, 0, 1};

	flow.type = type;
	flow.time_ns = real_ns();
	flow.reason = type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED ? BH_REASON_ISOLATED
								     : BH_REASON_POLICY;
	flow.pending = flow.reason;
	flow.uid = (char *)"web";
	flow.local = 10;
	flow.remote = 1;
	flow.src = (ProtobufCBinaryData){4, src};
	flow.dst = (ProtobufCBinaryData){4, dst};
	flow.dport = 80;
	flow.protocol = 6;
	flow.packets_out = 5;
	flow.octets_out = 500;
	if (type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED)
		flow.told_octets_out = 300; /* by a record while it lasted */
	if (type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE)
		flow.octets_out = 300;
	flow.suppressed = 2;
	batch.n_flows = 1;
	batch.flows = flows;
	bh_flow_log_add(log, own, &batch);
}

static void conversations_of_pods_come_from_records_and_say_what_is_lost(void **state)
{
	const struct bh_history_question question = {
		.subject = BH_HISTORY_PODS, .to_ns = real_ns() + 60 * NS};
	struct bh_model *own_model = bh_model_new("n1", BH_MODE_ENFORCE);
	struct bh_names *own = bh_names_new(own_model);
	struct bh_flow_log *log = bh_flow_log_new(300, 1 << 20);
	struct bh_recorder *recorder = bh_recorder_new();
	struct bh_store *store = open_store(NULL, 64 * MIB, 90);
	const struct bh_desired_endpoint web = {.uid = "web", .namespace = "shop", .name = "web"};
	const struct bh_desired desired = {.n_endpoints = 1, .endpoints = &web};
	const struct bh_history_answer *answer;
	uint64_t next = 1, began = 0, wide = 0;
	struct bh_gather *gather;

	bh_names_learn(own, &desired, NULL);
	for (int i = 0; i < 3; i++)
		log_flow(log, own, BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW, 0xff07);
	log_flow(log, own, BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE, 0xff07);
	log_flow(log, own, BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED, 0xff07);
	log_flow(log, own, BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED, 0xff07);
	bh_recorder_flows(recorder, log, &next);
	bh_recorder_losses(recorder, 100);
	bh_recorder_losses(recorder, 107);
	flows_taken(recorder, store);
	answer = answer_of(store, &question, &gather);
	assert_int_equal(answer->n_pods, 2); /* allowed, denied */
	assert_int_equal(answer->lost, 7);
	assert_string_equal(answer->pods[0].client_pod, "203.0.255.7/32");
	assert_string_equal(answer->pods[0].client_namespace, "");
	assert_string_equal(answer->pods[0].server_pod, "web");
	assert_string_equal(answer->pods[0].server_namespace, "shop");
	assert_int_equal(answer->pods[0].began, 3);
	assert_int_equal(answer->pods[0].ended, 1);
	assert_int_equal(answer->pods[0].octets[0], 500);
	assert_int_equal(answer->pods[1].verdict, BH_FLOW_DENIED);
	assert_int_equal(answer->pods[1].denials, 3);
	bh_gather_free(gather);

	/* Five hundred records in a log of three hundred, each from another address. */
	for (uint32_t i = 0; i < 500; i++)
		log_flow(log, own, BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW, i * 17);
	bh_recorder_flows(recorder, log, &next);
	flows_taken(recorder, store);
	answer = answer_of(store, &question, &gather);
	assert_true(answer->n_pods < 200);
	assert_int_equal(answer->lost, 207);
	for (size_t i = 0; i < answer->n_pods; i++) {
		began += answer->pods[i].began;
		wide += strstr(answer->pods[i].client_pod, "/24") != NULL;
	}
	assert_int_equal(began, 303);
	assert_true(wide > 0);
	bh_gather_free(gather);
	bh_recorder_free(recorder);
	bh_store_close(store);
	bh_flow_log_free(log);
	bh_names_free(own);
	bh_model_free(own_model);
}

static void a_series_has_what_its_window_has_once_for_both_ends(void **state)
{
	struct bh_store *store = open_store(NULL, 256 * MIB, 90);
	const uint64_t begin = 20000 * DAY, end = begin + 2 * DAY;
	static const size_t points[] = {0, 10, 100, 3000};
	uint64_t written = 0, both_ways = 0;

	for (uint64_t at = begin; at < end; at += 600) {
		struct bh_history_edge edges[2] = {edge_of(1, 80, at), edge_of(1, 80, at)};

		both_ways = edges[1].counts.packets[0] + edges[1].counts.packets[1];

		edges[0].key.peer_local = edges[1].key.peer_local = 1;
		edges[1].key.egress = 0; /* the same packets, at the server's end */
		edges[1].key.verdict = BH_REASON_ISOLATED;
		put(store, at, 2, edges);
		assert_int_equal(bh_store_tidy(store, at), 0);
		written++;
	}
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		const struct bh_history_question question = {.subject = BH_HISTORY_SERIES,
			.from_ns = begin * NS,
			.to_ns = end * NS,
			.client = 1,
			.server = 2,
			.protocol = 6,
			.port = 80,
			.max_points = points[i]};
		struct bh_gather *gather;
		const struct bh_history_answer *answer = answer_of(store, &question, &gather);
		uint64_t flows = 0, denied = 0, packets = 0, after = 0;

		for (size_t j = 0; j < answer->n_points; j++) {
			assert_true(answer->points[j].start_ns >= after);
			after = answer->points[j].start_ns + answer->points[j].length_ns;
			flows += answer->points[j].counts.flows;
			denied += answer->points[j].flows_denied;
			packets += answer->points[j].packets_denied;
		}
		assert_int_equal(flows, written);
		assert_int_equal(denied, written);
		assert_int_equal(packets, written * both_ways);
		if (points[i])
			assert_true(answer->n_points <= points[i] + 1);
		bh_gather_free(gather);
	}
	bh_store_close(store);
}

/* ---- The whole ------------------------------------------------------------------------------- */

static struct bh_names *names;
static struct bh_model *model;

static struct bh_history *open_history(const char *path)
{
	const struct bh_history_config config = {
		.path = path, .max_bytes = 64 * MIB, .keep_days = 90, .names = names};

	return bh_history_open(&config);
}

static int make_names(void **state)
{
	model = bh_model_new("n1", BH_MODE_ENFORCE);
	names = bh_names_new(model);
	return make_folder(state);
}

static int free_names(void **state)
{
	bh_names_free(names);
	bh_model_free(model);
	return remove_folder(state);
}

static void record(struct bh_history *history, uint64_t flows, uint64_t first)
{
	Bulkhead__Wire__Edge edge = wire_edge(flows, first);
	Bulkhead__Wire__Edge *edges[1] = {&edge};
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;

	batch.generation = 1;
	batch.n_edges = 1;
	batch.edges = edges;
	bh_history_record_edges(history, &batch);
}

static void wait_for(struct bh_history *history)
{
	struct pollfd waiting = {.fd = bh_history_fd(history), .events = POLLIN};

	poll(&waiting, 1, 100);
	bh_history_dispatch(history, mono_ms());
}

/* Flows in all of history. */
static uint64_t ask(struct bh_history *history)
{
	const struct bh_history_question question = {.subject = BH_HISTORY_EDGES};
	uint64_t ticket = bh_history_ask(history, &question, NULL, NULL);
	const struct bh_history_answer *answer;
	uint64_t flows = 0, deadline = mono_ms() + 60000;

	assert_int_not_equal(ticket, 0);
	while (!(answer = bh_history_answer(history, ticket))) {
		assert_true(mono_ms() < deadline);
		wait_for(history);
	}
	if (answer->error)
		fail_msg("%s", answer->text);
	for (size_t i = 0; i < answer->n_edges; i++)
		flows += answer->edges[i].counts.flows;
	bh_history_release(history, ticket);
	return flows;
}

static bool has_problem(struct bh_history *history, const char *code)
{
	struct bh_history_status status;

	bh_history_status(history, &status);
	for (size_t i = 0; i < status.n_problems; i++) {
		if (!strcmp(status.problems[i].code, code))
			return true;
	}
	return false;
}

static void a_question_sees_what_was_counted_this_moment(void **state)
{
	_cleanup_free_ char *path = path_of("fresh.db");
	struct bh_history *history = open_history(path);
	uint64_t first = real_ns();

	assert_int_equal(ask(history), 0);
	record(history, 3, first);
	assert_int_equal(ask(history), 3);
	record(history, 4, first);
	assert_int_equal(ask(history), 4);
	bh_history_close(history);
}

static void released_questions_leave_room_for_others(void **state)
{
	_cleanup_free_ char *path = path_of("tickets.db");
	struct bh_history *history = open_history(path);
	const struct bh_history_question question = {.subject = BH_HISTORY_PODS};
	uint64_t tickets[BH_HISTORY_QUESTIONS];
	uint64_t deadline = mono_ms() + 60000, one;

	for (int i = 0; i < BH_HISTORY_QUESTIONS; i++) {
		tickets[i] = bh_history_ask(history, &question, NULL, NULL);
		assert_int_not_equal(tickets[i], 0);
	}
	assert_int_equal(bh_history_ask(history, &question, NULL, NULL), 0);
	for (int i = 0; i < BH_HISTORY_QUESTIONS; i++)
		bh_history_release(history, tickets[i]);
	while (!(one = bh_history_ask(history, &question, NULL, NULL))) {
		assert_true(mono_ms() < deadline);
		wait_for(history);
	}
	bh_history_release(history, one);
	bh_history_close(history);
}

static void names_come_back_with_the_database(void **state)
{
	_cleanup_free_ char *path = path_of("names.db");
	struct bh_history *history = open_history(path);
	const struct bh_desired_workload workload = {10, "shop", "Deployment", "web"};
	const struct bh_desired_rule_name rule = {
		5, "shop", "web", false, 0, "shop/web ingress[0]"};
	struct bh_desired desired = {
		.workloads = bh_run_new(&bh_desired_workloads, &workload, 1),
		.n_rule_names = 1,
		.rule_names = &rule,
	};

	bh_history_record_names(history, &desired, NULL);
	bh_run_unref(&desired.workloads);
	bh_history_close(history);
	assert_null(bh_names_workload(names, 10));
	history = open_history(path);
	assert_string_equal(bh_names_workload(names, 10)->name, "web");
	assert_string_equal(bh_names_rule(names, 5)->text, "shop/web ingress[0]");
	bh_history_close(history);
}

/* Records as fast as it can until it is killed. Says how far it was told in advance. */
static void record_until_killed(const char *path, uint64_t flows, int said)
{
	struct bh_history *history = open_history(path);
	uint64_t first = 1700000000 * NS;

	for (;;) {
		flows++;
		record(history, flows, first);
		if (write(said, &flows, sizeof(flows)) < 0)
			_exit(1);
		ask(history);
	}
}

static void killed_in_the_middle_nothing_is_lost_or_counted_twice(void **state)
{
	_cleanup_free_ char *path = path_of("killed.db");
	uint64_t total = 0;

	/* The kernel's counter goes on over all the lives of the process. */
	for (int life = 0; life < 12; life++) {
		uint64_t flows;
		int pipes[2];
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		if (pid == 0) {
			close(pipes[0]);
			record_until_killed(path, total, pipes[1]);
		}
		close(pipes[1]);
		for (int i = 0; i < 5 + life * 3; i++)
			assert_int_equal(read(pipes[0], &flows, sizeof(flows)), sizeof(flows));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(pipes[0], &flows, sizeof(flows)) == sizeof(flows))
			;
		close(pipes[0]);
		if (flows > total)
			total = flows;

		struct bh_history *history = open_history(path);

		record(history, total, 1700000000 * NS);
		assert_int_equal(ask(history), total);
		assert_false(has_problem(history, "history-corrupt"));
		bh_history_close(history);
	}
}

static void a_corrupt_database_is_kept_aside_and_begun_anew(void **state)
{
	_cleanup_free_ char *path = path_of("corrupt.db");
	_cleanup_free_ char *aside = path_of("corrupt.db.corrupt");
	struct bh_history *history;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	assert_int_equal(write(fd, "this is no database, it only looks like a file", 46), 46);
	assert_int_equal(ftruncate(fd, 100000), 0);
	close(fd);
	history = open_history(path);
	wait_for(history);
	assert_true(has_problem(history, "history-corrupt"));
	assert_int_equal(access(aside, F_OK), 0);
	record(history, 3, real_ns());
	assert_int_equal(ask(history), 3);
	bh_history_close(history);
	history = open_history(path);
	wait_for(history);
	assert_false(has_problem(history, "history-corrupt"));
	assert_int_equal(ask(history), 3);
	bh_history_close(history);
}

/* Half of its pages overwritten while it is open. */
static void a_database_damaged_in_use_loses_the_past_and_counts_on(void **state)
{
	_cleanup_free_ char *path = path_of("damaged.db");
	_cleanup_free_ char *aside = path_of("damaged.db.corrupt");
	struct bh_history *history = open_history(path);
	uint64_t first = real_ns(), flows = 0, deadline = mono_ms() + 60000;
	char garbage[4096];

	record(history, ++flows, first);
	ask(history);
	bh_history_close(history);
	memset(garbage, 0x5a, sizeof(garbage));

	int fd = open(path, O_WRONLY);

	for (int page = 1; page < 40; page++)
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), page * 4096), 4096);
	close(fd);
	history = open_history(path);
	while (access(aside, F_OK) < 0) {
		assert_true(mono_ms() < deadline);
		record(history, ++flows, first);
		ask(history);
	}
	wait_for(history);
	assert_true(has_problem(history, "history-corrupt"));
	record(history, ++flows, first);
	assert_true(ask(history) > 0);
	bh_history_close(history);
}

static void a_newer_database_is_kept_aside(void **state)
{
	_cleanup_free_ char *path = path_of("newer.db");
	_cleanup_free_ char *aside = path_of("newer.db.newer");
	struct bh_store store = {0};
	struct bh_history *history;

	assert_int_equal(sqlite3_open(path, &store.db), SQLITE_OK);
	assert_int_equal(bh_sql_run(&store, "PRAGMA user_version=%d", BH_SCHEMA_VERSION + 1), 0);
	sqlite3_close(store.db);
	history = open_history(path);
	assert_int_equal(access(aside, F_OK), 0);
	record(history, 3, real_ns());
	assert_int_equal(ask(history), 3);
	bh_history_close(history);
}

/* Its folder is not there at the start, and comes back with what earlier lives have recorded. */
static void a_file_that_can_be_read_only_later_is_counted_once(void **state)
{
	const struct bh_desired_workload workload = {10, "shop", "Deployment", "gone"};
	struct bh_desired desired = {.workloads = bh_run_new(&bh_desired_workloads, &workload, 1)};
	_cleanup_free_ char *place = path_of("away");
	_cleanup_free_ char *aside = path_of("away.aside");
	_cleanup_free_ char *path = path_of("away/history.db");
	uint64_t first = real_ns(), deadline = mono_ms() + 120000;
	struct bh_names *names_before = names;
	struct bh_history *history;

	mkdir(place, 0700);
	history = open_history(path);
	bh_history_record_names(history, &desired, NULL);
	bh_run_unref(&desired.workloads);
	record(history, 5, first);
	assert_int_equal(ask(history), 5);
	bh_history_close(history);

	names = bh_names_new(model);
	assert_int_equal(rename(place, aside), 0);
	history = open_history(path);
	wait_for(history);
	assert_true(has_problem(history, "history-unwritable"));
	record(history, 7, first);
	assert_int_equal(ask(history), 7); /* all that is known of */
	record(history, 9, first);
	assert_int_equal(ask(history), 9);
	assert_null(bh_names_workload(names, 10));
	assert_int_equal(rename(aside, place), 0);
	for (uint64_t flows = 10; has_problem(history, "history-unwritable"); flows++) {
		assert_true(mono_ms() < deadline);
		record(history, flows, first);
		ask(history);
		wait_for(history);
		usleep(50000);
	}
	record(history, 100000, first);
	assert_int_equal(ask(history), 100000);
	assert_string_equal(bh_names_workload(names, 10)->name, "gone");
	bh_history_close(history);
	history = open_history(path);
	assert_int_equal(ask(history), 100000);
	bh_history_close(history);
	bh_names_free(names);
	names = names_before;
}

/* A file of a tiny tmpfs takes up what is left. */
static int fill(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	char block[4096] = {1};

	while (write(fd, block, sizeof(block)) > 0)
		;
	return fd;
}

static void a_full_disk_is_waited_for_in_memory(void **state)
{
	_cleanup_free_ char *mount_point = path_of("small");
	_cleanup_free_ char *path = path_of("small/history.db");
	_cleanup_free_ char *filler = path_of("small/filler");
	struct bh_history_status status;
	struct bh_history *history;
	uint64_t first = real_ns(), flows = 5, deadline = mono_ms() + 120000;
	int fd;

	mkdir(mount_point, 0700);
	if (geteuid() != 0 || mount("tmpfs", mount_point, "tmpfs", 0, "size=2m") < 0)
		skip();
	history = open_history(path);
	record(history, flows, first);
	assert_int_equal(ask(history), flows);
	fd = fill(filler);
	while (!has_problem(history, "history-unwritable")) {
		assert_true(mono_ms() < deadline);
		record(history, ++flows, first);
		assert_int_equal(ask(history), flows);
		wait_for(history);
	}
	bh_history_status(history, &status);
	assert_false(status.on_disk);
	record(history, ++flows, first);
	assert_int_equal(ask(history), flows); /* from the disk and from memory */

	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	while (has_problem(history, "history-unwritable")) {
		assert_true(mono_ms() < deadline);
		record(history, ++flows, first);
		assert_int_equal(ask(history), flows);
		wait_for(history);
		usleep(50000);
	}
	bh_history_close(history);
	history = open_history(path);
	assert_int_equal(ask(history), flows);
	bh_history_close(history);
	umount2(mount_point, MNT_DETACH);
}

int main(void)
{
	const struct CMUnitTest stores[] = {
		cmocka_unit_test(every_age_sums_up_exactly),
		cmocka_unit_test(first_last_and_round_trips_survive_the_summing_up),
		cmocka_unit_test(
			history_begins_with_the_first_that_was_seen_however_it_is_summed_up),
		cmocka_unit_test(what_is_too_old_is_forgotten),
		cmocka_unit_test(a_store_stays_within_its_size_and_keeps_the_newest),
		cmocka_unit_test(a_database_of_the_first_version_is_taken_over),
		cmocka_unit_test(counters_are_counted_once_over_every_kind_of_change),
		cmocka_unit_test(a_restart_goes_on_where_the_database_ends),
		cmocka_unit_test(conversations_of_pods_come_from_records_and_say_what_is_lost),
		cmocka_unit_test(a_series_has_what_its_window_has_once_for_both_ends),
	};
	const struct CMUnitTest histories[] = {
		cmocka_unit_test(a_question_sees_what_was_counted_this_moment),
		cmocka_unit_test(released_questions_leave_room_for_others),
		cmocka_unit_test(names_come_back_with_the_database),
		cmocka_unit_test(killed_in_the_middle_nothing_is_lost_or_counted_twice),
		cmocka_unit_test(a_corrupt_database_is_kept_aside_and_begun_anew),
		cmocka_unit_test(a_database_damaged_in_use_loses_the_past_and_counts_on),
		cmocka_unit_test(a_newer_database_is_kept_aside),
		cmocka_unit_test(a_full_disk_is_waited_for_in_memory),
		cmocka_unit_test(a_file_that_can_be_read_only_later_is_counted_once),
	};
	int failed = cmocka_run_group_tests(stores, make_folder, remove_folder);

	return failed + cmocka_run_group_tests(histories, make_names, free_names);
}
