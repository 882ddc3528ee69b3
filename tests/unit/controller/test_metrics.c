/* SPDX-License-Identifier: Apache-2.0 */

/* Counters for Prometheus: they never go down, and strangers' names stay inside their quotes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/reasons.h"
#include "controller/export/prometheus.h"
#include "controller/export/tally.h"

static void say(struct bh_edges *edges, uint64_t generation, uint32_t local, uint32_t remote,
	bool egress, uint32_t verdict, uint64_t packets, uint64_t flows)
{
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT;
	Bulkhead__Wire__Edge *list = &edge;

	edge.local = local;
	edge.remote = remote;
	edge.egress = egress;
	edge.port = 80;
	edge.protocol = 6;
	edge.verdict = edge.pending = verdict;
	edge.packets_out = packets;
	edge.packets_in = 2 * packets;
	edge.octets_out = 100 * packets;
	edge.octets_in = 200 * packets;
	edge.flows = flows;
	edge.first_ns = edge.last_ns = 1;
	batch.generation = generation;
	batch.n_edges = 1;
	batch.edges = &list;
	bh_edges_add(edges, &batch);
}

static const struct bh_tally_series *find(const struct bh_tally *tally, uint32_t client,
	uint32_t server, bool egress, enum bh_tally_verdict verdict)
{
	const struct bh_tally_series *const *series;
	size_t n = bh_tally_series(tally, &series);

	for (size_t i = 0; i < n; i++) {
		if (series[i]->client == client && series[i]->server == server &&
			series[i]->egress == egress && series[i]->verdict == verdict)
			return series[i];
	}
	return NULL;
}

static void both_ends_are_told_apart_and_the_client_is_the_client(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_tally *tally = bh_tally_new(10);
	const struct bh_tally_series *end;

	say(edges, 1, 1, 2, true, BH_REASON_POLICY, 10, 1);
	say(edges, 1, 2, 1, false, BH_REASON_ISOLATED, 7, 1);
	bh_tally_take(tally, edges);
	end = find(tally, 1, 2, true, BH_TALLY_ALLOWED);
	assert_non_null(end);
	assert_int_equal(end->packets[0], 10);
	assert_int_equal(end->packets[1], 20);
	assert_int_equal(end->octets[1], 2000);
	end = find(tally, 1, 2, false, BH_TALLY_DENIED);
	assert_non_null(end);
	assert_int_equal(end->packets[0], 14); /* what reached the server came from the client */
	assert_int_equal(end->packets[1], 7);
	bh_tally_free(tally);
	bh_edges_free(edges);
}

static void a_new_beginning_adds_and_takes_nothing_away(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_tally *tally = bh_tally_new(10);
	const struct bh_tally_series *series;

	say(edges, 1, 1, 2, true, BH_REASON_POLICY, 10, 3);
	bh_tally_take(tally, edges);
	bh_tally_take(tally, edges); /* twice is once */
	series = find(tally, 1, 2, true, BH_TALLY_ALLOWED);
	assert_int_equal(series->flows, 3);
	say(edges, 2, 7, 8, true, BH_REASON_POLICY, 1, 1); /* the kernel's maps are new */
	bh_tally_take(tally, edges);
	assert_int_equal(series->flows, 3);
	say(edges, 2, 1, 2, true, BH_REASON_POLICY, 4, 2);
	bh_tally_take(tally, edges);
	assert_ptr_equal(find(tally, 1, 2, true, BH_TALLY_ALLOWED), series);
	assert_int_equal(series->flows, 5);
	assert_int_equal(series->packets[0], 14);
	bh_tally_free(tally);
	bh_edges_free(edges);
}

/* What is denied, and would be allowed, is not what is denied for good. */
static void the_pending_verdict_makes_a_series_of_its_own(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_tally *tally = bh_tally_new(10);
	const struct bh_tally_series *const *series;
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT;
	Bulkhead__Wire__Edge *list = &edge;

	edge.local = 1;
	edge.remote = 2;
	edge.egress = true;
	edge.verdict = BH_REASON_ISOLATED;
	edge.flows = 1;
	batch.generation = 1;
	batch.n_edges = 1;
	batch.edges = &list;
	for (int i = 0; i < 2; i++) {
		edge.pending = i ? BH_REASON_POLICY : BH_REASON_ISOLATED;
		edge.first_ns = i ? 5 : 7;
		edge.last_ns = i ? 30 : 20;
		bh_edges_add(edges, &batch);
	}
	bh_tally_take(tally, edges);
	assert_int_equal(bh_tally_series(tally, &series), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(series[i]->verdict, BH_TALLY_DENIED);
		assert_int_equal(series[i]->last_ns, series[i]->pending_denies ? 20 : 30);
	}
	assert_true(series[0]->pending_denies != series[1]->pending_denies);
	assert_int_equal(bh_tally_first(tally), 5);
	bh_tally_free(tally);
	bh_edges_free(edges);
}

static void too_many_series_become_other_and_are_counted(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_tally *tally = bh_tally_new(2);
	const struct bh_tally_series *const *series;
	uint64_t flows = 0;

	for (uint32_t i = 0; i < 50; i++)
		say(edges, 1, 100 + i, 2, i % 2, i % 5 ? BH_REASON_POLICY : BH_REASON_ISOLATED, 1,
			1);
	for (int round = 0; round < 3; round++)
		bh_tally_take(tally, edges);
	assert_int_equal(bh_tally_folded(tally), 48);
	assert_int_equal(bh_tally_series(tally, &series), 2 + 4); /* both ends, two verdicts */
	for (size_t i = 0; i < 6; i++)
		flows += series[i]->flows;
	assert_int_equal(flows, 50);
	bh_tally_free(tally);
	bh_edges_free(edges);
}

/* What is spoken becomes known later, and may change: what is counted goes on where it was. */
static void what_is_spoken_splits_no_series(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_tally *tally = bh_tally_new(10);
	const struct bh_tally_series *const *series;
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT;
	Bulkhead__Wire__Edge *list = &edge;
	static const uint32_t apps[] = {BH_APP_UNKNOWN, BH_APP_REDIS, BH_APP_TLS};
	static const uint32_t encrypted[] = {
		BH_ENCRYPTED_UNKNOWN, BH_ENCRYPTED_NO, BH_ENCRYPTED_YES};

	edge.local = 1;
	edge.remote = 2;
	edge.egress = true;
	edge.protocol = 6;
	edge.verdict = edge.pending = BH_REASON_POLICY;
	edge.first_ns = 1;
	batch.generation = 1;
	batch.n_edges = 1;
	batch.edges = &list;
	for (unsigned int i = 0; i < 3; i++) {
		edge.app = apps[i];
		edge.encrypted = encrypted[i];
		edge.flows = edge.last_ns = i + 1;
		edge.refusals = 2 * (i + 1);
		edge.trips = 3 * (i + 1);
		edge.trip_sum_us = 100 * (i + 1);
		bh_edges_add(edges, &batch);
		bh_tally_take(tally, edges);
		assert_int_equal(bh_tally_series(tally, &series), 1);
		assert_int_equal(series[0]->app, apps[i]);
		assert_int_equal(series[0]->encrypted, encrypted[i]);
		assert_int_equal(series[0]->flows, i + 1);
		assert_int_equal(series[0]->refusals, 2 * (i + 1));
		assert_int_equal(series[0]->handshakes, 3 * (i + 1));
		assert_int_equal(series[0]->handshakes_us, 100 * (i + 1));
	}
	bh_tally_free(tally);
	bh_edges_free(edges);
}

static void other_counters_go_on_where_they_were(void **state)
{
	struct bh_tally *tally = bh_tally_new(1);

	assert_int_equal(bh_tally_count(tally, "a", 5), 5);
	assert_int_equal(bh_tally_count(tally, "b", 1), 1);
	assert_int_equal(bh_tally_count(tally, "a", 7), 7);
	assert_int_equal(bh_tally_count(tally, "a", 2), 9); /* it began anew */
	assert_int_equal(bh_tally_count(tally, "a", 3), 10);
	assert_int_equal(bh_tally_count(tally, "b", 1), 1);
	bh_tally_free(tally);
}

static void values_of_labels_cannot_leave_their_quotes(void **state)
{
	struct bh_text text = {0};

	bh_prometheus_family(&text, "x_total", "counter", "Help.");
	bh_prometheus_count(
		&text, "x_total", UINT64_MAX, "a", "1\"} 2\n\\y \xff\x1b", "b", "", NULL);
	bh_prometheus_sample(&text, "x_total", 0.25, NULL);
	bh_text_add(&text, "");
	assert_string_equal(text.data,
		"# HELP x_total Help.\n# TYPE x_total counter\n"
		"x_total{a=\"1\\\"} 2\\n\\\\y \xef\xbf\xbd\xef\xbf\xbd\",b=\"\"} "
		"18446744073709551615\nx_total 0.25\n");
	bh_text_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_are_told_apart_and_the_client_is_the_client),
		cmocka_unit_test(a_new_beginning_adds_and_takes_nothing_away),
		cmocka_unit_test(the_pending_verdict_makes_a_series_of_its_own),
		cmocka_unit_test(too_many_series_become_other_and_are_counted),
		cmocka_unit_test(what_is_spoken_splits_no_series),
		cmocka_unit_test(other_counters_go_on_where_they_were),
		cmocka_unit_test(values_of_labels_cannot_leave_their_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
