/* SPDX-License-Identifier: Apache-2.0 */

/* What a survey of the cluster asks, and what it makes of answers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cluster/series.h"
#include "controller/cluster/survey.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/text.h"
#include "proto/cleanup.h"

static const struct bh_cluster_window window = {.from_s = 1000, .to_s = 2000};

/* Answers in the order of the questions; NULL: nothing found. */
struct answers {
	const char *of[BH_CLUSTER_SUBJECTS];
	long status; /* 0: 200 */
};

/* Which question it is, by what only that one has in it. */
static enum bh_cluster_subject subject_of(const char *expression)
{
	static const struct {
		enum bh_cluster_subject subject;
		const char *word;
	} words[] = {
		{BH_CLUSTER_NODES, "instance, node)"},
		{BH_CLUSTER_RESET, "resets(bulkhead_edge_flows"},
		{BH_CLUSTER_SERIES, "source_workload=\""},
		{BH_CLUSTER_SAMPLES, "{__name__=~"},
		{BH_CLUSTER_FLOWS, "(bulkhead_edge_flows_total"},
		{BH_CLUSTER_PACKETS, "(bulkhead_edge_packets_total"},
		{BH_CLUSTER_OCTETS, "(bulkhead_edge_bytes_total"},
		{BH_CLUSTER_RESETS, "(bulkhead_edge_resets_total"},
		{BH_CLUSTER_REFUSALS, "(bulkhead_edge_refusals_total"},
		{BH_CLUSTER_LAST, "bulkhead_edge_last_timestamp"},
		{BH_CLUSTER_DOWN, "up{"},
		{BH_CLUSTER_SEEN, "max_over_time(timestamp"},
		{BH_CLUSTER_FRESH, "(timestamp("},
		{BH_CLUSTER_KNOWN, "offset"},
		{BH_CLUSTER_FIRST, "min by"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(expression, words[i].word))
			return words[i].subject;
	}
	fail_msg("what is asked by %s?", expression);
	return BH_CLUSTER_SUBJECTS;
}

/* Of an edge over time, or NULL: of the graph. */
static struct bh_cluster_answer *run_of(const struct answers *answers, const char *edge)
{
	struct bh_survey *survey = bh_survey_new(&window, "");
	struct bh_cluster_answer *answer;
	const char *expression;

	if (edge)
		bh_survey_of_edge(survey, edge);
	while ((expression = bh_survey_next(survey))) {
		enum bh_cluster_subject subject = subject_of(expression);
		struct bh_text body = {0};

		bh_text_format(&body,
			"{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":[%s]}}",
			subject == BH_CLUSTER_SAMPLES || subject == BH_CLUSTER_SERIES ? "matrix"
										      : "vector",
			answers->of[subject] ? answers->of[subject] : "");
		bh_survey_take(survey, answers->status ? answers->status : 200, body.data, body.n);
		bh_text_clear(&body);
	}
	answer = bh_survey_answer(survey);
	bh_survey_free(survey);
	return answer;
}

static struct bh_cluster_answer *run(const struct answers *answers)
{
	return run_of(answers, NULL);
}

#define TARGET(instance, more, value)                                   \
	"{\"metric\":{\"job\":\"j\",\"instance\":\"" instance "\"" more \
	"},\"value\":[2000,\"" value "\"]}"
#define NODE(instance, name) TARGET(instance, ",\"node\":\"" name "\"", "1")
#define EDGE(client, server, end, verdict, more)                                             \
	"\"source_namespace\":\"a\",\"source_workload\":\"Deployment/" client                \
	"\",\"destination_namespace\":\"b\",\"destination_workload\":\"Deployment/" server   \
	"\",\"protocol\":\"TCP\",\"port\":\"80\",\"end\":\"" end "\",\"verdict\":\"" verdict \
	"\"" more
#define ROW(client, server, end, verdict, more, value)                                             \
	"{\"metric\":{" EDGE(client, server, end, verdict, more) "},\"value\":[2000,\"" value "\"" \
								 "]}"

/* One node that was there all the time. */
#define ALONE                                                                            \
	[BH_CLUSTER_NODES] = NODE("i", "n1"), [BH_CLUSTER_KNOWN] = TARGET("i", "", "1"), \
	[BH_CLUSTER_FRESH] = TARGET("i", "", "1999.5")

static bool noted(const struct bh_cluster_answer *answer, const char *text)
{
	_cleanup_free_ char *note = bh_cluster_note(answer);

	return note && strstr(note, text);
}

static void make(struct bh_cluster_answer *answer, struct bh_world **ret_world,
	struct bh_conversations *ret_conversations)
{
	assert_null(answer->error);
	*ret_world = bh_cluster_world(answer);
	bh_conversations_make(*ret_world, NULL, answer->n_edges, answer->edges, ret_conversations);
}

static void clear(struct bh_cluster_answer *answer, struct bh_world *world,
	struct bh_conversations *conversations)
{
	bh_conversations_clear(conversations);
	bh_world_free(world);
	bh_cluster_answer_free(answer);
}

/* ---- Counting -------------------------------------------------------------------------------- */

static void an_edge_two_nodes_saw_counts_once_with_both_verdicts(void **state)
{
	const struct answers answers = {
		.of = {ALONE,
			[BH_CLUSTER_FLOWS] = ROW("x", "y", "egress", "allowed", "", "9") "," ROW(
				"x", "y", "ingress", "allowed", "", "5") "," ROW("x", "y",
				"ingress", "denied", "",
				"4") "," ROW("far", "y", "ingress", "allowed", "", "3"),
			[BH_CLUSTER_OCTETS] = ROW("x", "y", "egress", "allowed",
				",\"from\":\"client\"", "90") "," ROW("x", "y", "egress", "allowed",
				",\"from\":\"server\"", "900") "," ROW("x", "y", "ingress",
				"allowed", ",\"from\":\"client\"", "50"),
			[BH_CLUSTER_LAST] = ROW("x", "y", "ingress", "allowed", "", "1500") "," ROW(
				"x", "y", "ingress", "denied", "", "1600")}};
	struct bh_cluster_answer *answer = run(&answers);
	struct bh_conversations found;
	struct bh_world *world;
	_cleanup_free_ char *text = NULL;

	make(answer, &world, &found);
	assert_true(answer->exact);
	assert_int_equal(answer->n_notes, 0);
	assert_int_equal(found.n, 2);
	assert_string_equal(found.items[0].client->id, "a/Deployment/far");
	assert_int_equal(found.items[0].counts.flows, 3); /* nobody else saw it */
	assert_int_equal(found.items[1].counts.flows, 9);
	assert_int_equal(found.items[1].counts.octets[0], 90);
	assert_int_equal(found.items[1].counts.octets[1], 900);
	assert_int_equal(found.items[1].flows_denied, 4);
	assert_int_equal(found.items[1].state, BH_STATE_DENIED); /* the latest at that end */
	text = bh_cluster_text(NULL, &found.items[1]);
	assert_string_equal(text, "allowed at the client's end; denied at the server's");
	clear(answer, world, &found);
}

static void the_latest_verdict_of_an_end_stands(void **state)
{
	const struct answers answers = {
		.of = {ALONE,
			[BH_CLUSTER_FLOWS] = ROW("x", "y", "egress", "denied", "", "4") "," ROW(
				"x", "y", "egress", "allowed", ",\"pending\":\"denied\"", "5"),
			[BH_CLUSTER_LAST] = ROW("x", "y", "egress", "denied", "", "1500") "," ROW(
				"x", "y", "egress", "allowed", ",\"pending\":\"denied\"", "1600")}};
	struct bh_cluster_answer *answer = run(&answers);
	struct bh_conversations found;
	struct bh_world *world;

	make(answer, &world, &found);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.items[0].state, BH_STATE_WOULD_DENY);
	assert_int_equal(found.items[0].counts.flows, 9);
	assert_int_equal(found.items[0].counts.last_ns, 1600000000000ull);
	clear(answer, world, &found);
}

/* It is told with the time of the latest packet, whichever order the answers come in. */
static void what_was_spoken_last_is_what_is_spoken(void **state)
{
	const char *const last[] = {
		ROW("x", "y", "egress", "allowed", ",\"app\":\"unknown\",\"encrypted\":\"unknown\"",
			"1500"),
		ROW("x", "y", "egress", "allowed", ",\"app\":\"redis\",\"encrypted\":\"no\"",
			"1600"),
		ROW("x", "y", "egress", "allowed", ",\"app\":\"tls\",\"encrypted\":\"yes\"",
			"1700"),
	};

	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *list =
			bh_xasprintf("%s,%s,%s", last[i], last[(i + 1) % 3], last[(i + 2) % 3]);
		const struct answers answers = {
			.of = {ALONE,
				[BH_CLUSTER_FLOWS] = ROW("x", "y", "egress", "allowed", "", "9"),
				[BH_CLUSTER_REFUSALS] = ROW("x", "y", "egress", "allowed", "", "3"),
				[BH_CLUSTER_LAST] = list}};
		struct bh_cluster_answer *answer = run(&answers);

		assert_null(answer->error);
		assert_int_equal(answer->n_edges, 1);
		assert_int_equal(answer->edges[0].talk.app, BH_APP_TLS);
		assert_int_equal(answer->edges[0].talk.encrypted, BH_ENCRYPTED_YES);
		assert_int_equal(answer->edges[0].counts.last_ns, 1700000000000ull);
		assert_int_equal(answer->edges[0].counts.refusals, 3);
		bh_cluster_answer_free(answer);
	}
}

#define RESTARTED                                         \
	ALONE, [BH_CLUSTER_RESET] = TARGET("i", "", "1"), \
	       [BH_CLUSTER_FIRST] = TARGET("i", "", "500")
#define FLOWS(values)                                                    \
	"{\"metric\":{\"__name__\":\"bulkhead_edge_flows_total\"," EDGE( \
		"x", "y", "egress", "allowed", "") "},\"values\":[" values "]}"
#define FIRST(values)                                                                       \
	"{\"metric\":{\"__name__\":\"bulkhead_edges_first_timestamp_seconds\"},\"values\":" \
	"[" values "]}"

static void counters_that_begin_anew_are_added_up(void **state)
{
	/* 10 before the window, 4 in it; then 3 and 2 after a beginning. */
	const struct answers answers = {
		.of = {RESTARTED,
			[BH_CLUSTER_SAMPLES] = FLOWS(
				"[990,\"10\"],[1010,\"12\"],[1020,\"14\"],[1030,"
				"\"3\"],[1040,\"5\"]") "," FIRST("[990,\"500\"],[1030,\"1025\"]")}};
	struct bh_cluster_answer *answer = run(&answers);

	assert_null(answer->error);
	assert_int_equal(answer->n_edges, 1);
	assert_int_equal(answer->edges[0].counts.flows, 9);
	assert_true(answer->exact);
	bh_cluster_answer_free(answer);
}

/* Between two scrapes it may come further than it was: no counter has gone down. */
static void counters_that_begin_anew_and_overtake_are_added_up(void **state)
{
	const struct answers answers = {
		.of = {RESTARTED,
			[BH_CLUSTER_SAMPLES] =
				FLOWS("[990,\"10\"],[1010,\"12\"],[1020,\"13\"]") "," FIRST(
					"[990,\"500\"],[1010,\"1005\"],[1020,\"1005\"]")}};
	struct bh_cluster_answer *answer = run(&answers);

	assert_null(answer->error);
	assert_int_equal(answer->edges[0].counts.flows, 13);
	assert_true(answer->exact);
	bh_cluster_answer_free(answer);
}

static void what_began_anew_with_old_counts_is_not_called_exact(void **state)
{
	const struct answers answers = {
		.of = {RESTARTED, [BH_CLUSTER_SAMPLES] =
					  FLOWS("[990,\"10\"],[1030,\"3\"]") "," FIRST(
						  "[990,\"500\"],[1030,\"700\"]")}};
	struct bh_cluster_answer *answer = run(&answers);

	assert_null(answer->error);
	assert_false(answer->exact);
	assert_true(noted(answer, "the counters of n1 began anew"));
	bh_cluster_answer_free(answer);
}

static void a_series_that_begins_within_the_window_counts_from_nothing(void **state)
{
	const struct answers answers = {
		.of = {RESTARTED, [BH_CLUSTER_SAMPLES] = FLOWS("[1010,\"7\"],[1020,\"8\"]")}};
	struct bh_cluster_answer *answer = run(&answers);

	assert_int_equal(answer->edges[0].counts.flows, 8);
	bh_cluster_answer_free(answer);
}

static void what_nodes_call_other_is_shown_and_told(void **state)
{
#define OTHER(end)                                                                        \
	"{\"metric\":{\"source_namespace\":\"\",\"source_workload\":\"other\","           \
	"\"destination_namespace\":\"\",\"destination_workload\":\"other\",\"protocol\":" \
	"\"other\","                                                                      \
	"\"port\":\"other\",\"end\":\"" end "\",\"verdict\":\"allowed\"},\"value\":[1,\"6\"]}"
	const struct answers answers = {
		.of = {ALONE, [BH_CLUSTER_FLOWS] = OTHER("egress") "," OTHER("ingress")}};
	struct bh_cluster_answer *answer = run(&answers);
	struct bh_conversations found;
	struct bh_world *world;

	make(answer, &world, &found);
	assert_int_equal(found.n, 2);
	assert_string_equal(found.items[0].client->id, "Other/seen-by-clients");
	assert_string_equal(found.items[1].server->id, "Other/seen-by-servers");
	assert_int_equal(found.items[0].counts.flows + found.items[1].counts.flows, 12);
	assert_false(answer->exact);
	assert_true(noted(answer, "--metrics-series"));
	clear(answer, world, &found);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static void nodes_that_are_silent_late_or_twice_are_named(void **state)
{
	const struct answers answers = {
		.of = {
			[BH_CLUSTER_NODES] = NODE("gone", "n1") "," NODE("late", "n2") "," NODE(
				"one", "n3") "," NODE("two", "n3") "," NODE("old",
				"n4") "," NODE("new", "n4"),
			[BH_CLUSTER_KNOWN] = TARGET("gone", "", "1") "," TARGET("one", "",
				"1") "," TARGET("two", "", "1") "," TARGET("old", "", "1"),
			[BH_CLUSTER_FRESH] = TARGET("late", "", "2000") "," TARGET(
				"one", "", "2000") "," TARGET("two", "", "2000") "," TARGET("new",
				"", "2000") "," TARGET("gone", "", "1990"),
			[BH_CLUSTER_SEEN] = TARGET("gone", "", "1700"),
			[BH_CLUSTER_DOWN] = TARGET("gone", "", "0") "," TARGET("never", "", "0"),
			[BH_CLUSTER_FIRST] = TARGET("late", "", "10") "," TARGET("new", "", "1500"),
		}};
	struct bh_cluster_answer *answer = run(&answers);

	assert_null(answer->error);
	assert_int_equal(answer->n_stale, 2);
	assert_false(answer->exact);
	assert_true(noted(answer, "no word from never, n1 (since 1970-01-01T00:33:10Z)"));
	assert_true(noted(answer, "before is left out: n2"));
	assert_true(noted(answer, "n3 is scraped twice"));
	assert_false(noted(answer, "n4")); /* it is heard under another address */
	bh_cluster_answer_free(answer);
}

static void a_store_that_knows_no_node_is_an_error(void **state)
{
	const struct answers answers = {0};
	struct bh_cluster_answer *answer = run(&answers);

	assert_non_null(strstr(answer->error, "no metrics of Bulkhead's"));
	bh_cluster_answer_free(answer);
}

static void samples_that_are_refused_leave_what_is_certain(void **state)
{
	struct bh_survey *survey = bh_survey_new(&window, "");
	static const char *const bodies[] = {[BH_CLUSTER_NODES] = NODE("i", "n1"),
		[BH_CLUSTER_FRESH] = TARGET("i", "", "2000"),
		[BH_CLUSTER_RESET] = TARGET("i", "", "1"),
		[BH_CLUSTER_FLOWS] = ROW("x", "y", "egress", "allowed", "", "2"),
		[BH_CLUSTER_LAST] = NULL};
	struct bh_cluster_answer *answer;
	const char *expression;

	while ((expression = bh_survey_next(survey))) {
		enum bh_cluster_subject subject = subject_of(expression);
		struct bh_text body = {0};

		if (subject == BH_CLUSTER_SAMPLES) {
			bh_survey_fail(survey, "an answer is longer than 16 MiB");
			continue;
		}
		assert_null(strstr(expression, "unless")); /* it is asked for with the others */
		bh_text_format(&body,
			"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[%"
			"s]}}",
			bodies[subject] ? bodies[subject] : "");
		bh_survey_take(survey, 200, body.data, body.n);
		bh_text_clear(&body);
	}
	answer = bh_survey_answer(survey);
	bh_survey_free(survey);
	assert_null(answer->error);
	assert_int_equal(answer->edges[0].counts.flows, 2);
	assert_false(answer->exact);
	assert_true(noted(answer, "only what came since is counted"));
	bh_cluster_answer_free(answer);
}

/* ---- One edge over time ---------------------------------------------------------------------- */

static const char the_edge[] = "source_workload=\"Deployment/x\"";

#define COUNTER(metric, instance, end, verdict, more, values) \
	"{\"metric\":{\"__name__\":\"bulkhead_edge_" metric   \
	"_total\",\"job\":\"j\",\"instance\":\"" instance     \
	"\"," EDGE("x", "y", end, verdict, more) "},\"values\":[" values "]}"

/* The window's first span is [990, 1005), and a sample is of the span that ends with it. */
static void increments_are_in_the_spans_they_were_scraped_in(void **state)
{
	const struct answers answers = {
		.of = {ALONE, [BH_CLUSTER_SERIES] = COUNTER("flows", "i", "egress", "allowed", "",
				      "[975,\"5\"],[1005,\"7\"],[1020,\"7\"],[1035,"
				      "\"12\"]") "," COUNTER("bytes", "i", "egress", "allowed",
				      ",\"from\":\"server\"",
				      "[975,\"0\"],[1035,\"400\"]") "," COUNTER("flows", "i",
				      "ingress", "denied", "", "[1035,\"3\"]") "," COUNTER("flows",
				      "stranger", "egress", "allowed", "",
				      "[975,\"5\"],[1005,\"99\"]")}};
	struct bh_cluster_answer *answer = run_of(&answers, the_edge);

	assert_null(answer->error);
	assert_true(answer->exact);
	assert_int_equal(answer->step_s, 15);
	assert_int_equal(answer->window.from_s, 990);
	assert_int_equal(answer->n_points, 2);
	assert_int_equal(answer->points[0].start_ns, 990 * 1000000000ull);
	assert_int_equal(answer->points[0].counts.flows, 2);
	assert_int_equal(answer->points[1].start_ns, 1020 * 1000000000ull);
	assert_int_equal(answer->points[1].counts.flows, 5);
	assert_int_equal(answer->points[1].counts.octets[1], 400);
	assert_int_equal(answer->points[1].flows_denied, 3);
	bh_cluster_answer_free(answer);
}

static void the_servers_end_counts_where_no_node_saw_the_clients(void **state)
{
	const struct answers answers = {
		.of = {ALONE, [BH_CLUSTER_SERIES] = COUNTER("flows", "i", "ingress", "allowed", "",
				      "[975,\"5\"],[1005,\"7\"]") "," COUNTER("flows", "i",
				      "egress", "allowed", "", "[975,\"4\"],[1005,\"4\"]")}};
	struct bh_cluster_answer *answer = run_of(&answers, the_edge);

	assert_int_equal(answer->n_points, 1);
	assert_int_equal(answer->points[0].counts.flows, 2);
	bh_cluster_answer_free(answer);
}

static void a_counter_that_went_down_began_at_nothing_and_is_told(void **state)
{
	const struct answers answers = {
		.of = {ALONE, [BH_CLUSTER_SERIES] = COUNTER("flows", "i", "egress", "allowed", "",
				      "[975,\"50\"],[1005,\"60\"],[1020,\"NaN\"],[1035,\"4\"]")}};
	struct bh_cluster_answer *answer = run_of(&answers, the_edge);

	assert_int_equal(answer->n_points, 2);
	assert_int_equal(answer->points[1].counts.flows, 4);
	assert_false(answer->exact);
	assert_true(noted(answer, "the counters of n1 began anew"));
	bh_cluster_answer_free(answer);
}

static void a_window_of_any_length_has_so_many_spans_at_most(void **state)
{
	for (uint64_t span = 1; span < 4000000000; span = span * 3 + 1) {
		const struct bh_cluster_window any = {2000000000, 2000000000 + span};
		struct bh_cluster_series series = {0};

		bh_cluster_series_begin(&series, &any);
		assert_in_range(series.n, 1, BH_CLUSTER_POINTS_MAX);
		assert_true(series.first_s <= any.from_s);
		assert_true(series.first_s + series.n * series.step_s >= any.to_s);
		bh_cluster_series_clear(&series);
	}
}

static void an_edge_is_asked_for_by_its_names_in_their_quotes(void **state)
{
	const struct bh_cluster_end client = {"a\"}", "Deployment", "x"}, world = {"", "World", ""};
	const struct bh_cluster_end unknown = {"", "Unknown", "unknown-0badcafe"};
	_cleanup_free_ char *one = bh_cluster_edge_matchers(&client, &world, "TCP", 80);
	_cleanup_free_ char *other = bh_cluster_edge_matchers(&unknown, &client, "UDP", 53);

	assert_string_equal(one, "source_namespace=\"a\\\"}\",source_workload=\"Deployment/"
				 "x\",destination_namespace=\"\","
				 "destination_workload=\"World\",protocol=\"TCP\",port=\"80\"");
	assert_non_null(strstr(other, "source_workload=\"unknown-0badcafe\","));
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void nothing_is_extrapolated_and_labels_stay_in_their_quotes(void **state)
{
	const struct bh_cluster_target target = {"j\"}", "i\\\n"};
	_cleanup_free_ char *matchers = bh_cluster_matchers("cluster=a\"b,job=");

	assert_string_equal(matchers, "cluster=\"a\\\"b\",job=\"\",");
	for (int subject = 0; subject < BH_CLUSTER_SERIES; subject++) {
		_cleanup_free_ char *text = bh_cluster_promql(
			(enum bh_cluster_subject)subject, &window, matchers, 1, &target);

		assert_null(strstr(text, "increase("));
		assert_null(strstr(text, "rate("));
		assert_null(strchr(text, '\n'));
		assert_non_null(strstr(text, "cluster=\"a\\\"b\","));
		if (subject >= BH_CLUSTER_SAMPLES && subject != BH_CLUSTER_LAST)
			assert_non_null(strstr(text, "job=\"j\\\"}\",instance=\"i\\\\\\n\""));
	}
	assert_null(bh_cluster_matchers("cluster"));
	assert_null(bh_cluster_matchers("=x"));
	assert_null(bh_cluster_matchers("a=b,"));
	assert_null(bh_cluster_matchers("__name__=x"));
	assert_null(bh_cluster_matchers("a}=b"));
}

/* ---- Hostile answers ------------------------------------------------------------------------- */

static void a_cut_answer_is_an_error_at_any_length(void **state)
{
	static const char whole[] = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\","
				    "\"result\":[" NODE("i", "n1") "]}}";

	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct bh_survey *survey = bh_survey_new(&window, "");
		struct bh_cluster_answer *answer;

		assert_non_null(bh_survey_next(survey));
		bh_survey_take(survey, 200, whole, n);
		assert_null(bh_survey_next(survey));
		answer = bh_survey_answer(survey);
		assert_non_null(answer->error);
		assert_null(strchr(answer->error, '\n'));
		bh_cluster_answer_free(answer);
		bh_survey_free(survey);
	}
}

static void values_that_are_no_counts_are_left_out_and_told(void **state)
{
	static const char *const values[] = {"NaN", "+Inf", "-Inf", "-1", "1e300", "", "1x"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char row[1024];
		const struct answers answers = {.of = {ALONE, [BH_CLUSTER_FLOWS] = row}};
		struct bh_cluster_answer *answer;

		snprintf(row, sizeof(row),
			"{\"metric\":{" EDGE(
				"x", "y", "egress", "allowed", "") "},\"value\":[1,\"%s\"]}",
			values[i]);
		answer = run(&answers);
		assert_null(answer->error);
		assert_int_equal(answer->n_edges, 0);
		assert_true(noted(answer, "1 series make no sense"));
		bh_cluster_answer_free(answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_edge_two_nodes_saw_counts_once_with_both_verdicts),
		cmocka_unit_test(the_latest_verdict_of_an_end_stands),
		cmocka_unit_test(what_was_spoken_last_is_what_is_spoken),
		cmocka_unit_test(counters_that_begin_anew_are_added_up),
		cmocka_unit_test(counters_that_begin_anew_and_overtake_are_added_up),
		cmocka_unit_test(what_began_anew_with_old_counts_is_not_called_exact),
		cmocka_unit_test(a_series_that_begins_within_the_window_counts_from_nothing),
		cmocka_unit_test(what_nodes_call_other_is_shown_and_told),
		cmocka_unit_test(nodes_that_are_silent_late_or_twice_are_named),
		cmocka_unit_test(a_store_that_knows_no_node_is_an_error),
		cmocka_unit_test(samples_that_are_refused_leave_what_is_certain),
		cmocka_unit_test(increments_are_in_the_spans_they_were_scraped_in),
		cmocka_unit_test(the_servers_end_counts_where_no_node_saw_the_clients),
		cmocka_unit_test(a_counter_that_went_down_began_at_nothing_and_is_told),
		cmocka_unit_test(a_window_of_any_length_has_so_many_spans_at_most),
		cmocka_unit_test(an_edge_is_asked_for_by_its_names_in_their_quotes),
		cmocka_unit_test(nothing_is_extrapolated_and_labels_stay_in_their_quotes),
		cmocka_unit_test(a_cut_answer_is_an_error_at_any_length),
		cmocka_unit_test(values_that_are_no_counts_are_left_out_and_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
