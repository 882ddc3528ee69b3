/* SPDX-License-Identifier: Apache-2.0 */

/* Rows in, graph out: nothing is lost, nothing is told that may not be, and it always fits. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/reasons.h"
#include "controller/access/hosts.h"
#include "controller/access/tokens.h"
#include "controller/topology/diff.h"
#include "controller/topology/export.h"
#include "controller/topology/fold.h"
#include "proto/listen.h"

#define NAMESPACES 12
#define EACH 25
#define ROWS 4000

static uint32_t dice;

/* xorshift32 (Marsaglia): the same rows in every run. */
static uint32_t roll(uint32_t below)
{
	dice ^= dice << 13;
	dice ^= dice >> 17;
	dice ^= dice << 5;
	return dice % below;
}

static struct bh_world *make_world(void)
{
	struct bh_world *world = bh_world_new();
	char namespace[32];
	char name[32];

	for (uint32_t i = 0; i < NAMESPACES * EACH; i++) {
		snprintf(namespace, sizeof(namespace), "ns%u", i / EACH);
		snprintf(name, sizeof(name), "w%u", i % EACH);
		bh_world_add(world, i + 1, namespace, "Deployment", name);
	}
	bh_world_add(world, 9001, "", "World", "");
	bh_world_add(world, 9002, "", "Node", "n1");
	return world;
}

static uint32_t any_party(void)
{
	uint32_t number = roll(NAMESPACES * EACH + 2);

	return number < NAMESPACES * EACH ? number + 1 : 9001 + number - NAMESPACES * EACH;
}

static int compare_rows(const void *a, const void *b)
{
	const struct bh_history_key *x = &((const struct bh_history_edge *)a)->key;
	const struct bh_history_key *y = &((const struct bh_history_edge *)b)->key;

	if (x->client != y->client)
		return x->client < y->client ? -1 : 1;
	if (x->server != y->server)
		return x->server < y->server ? -1 : 1;
	return (int)x->port - (int)y->port;
}

static struct bh_history_edge row(
	uint32_t client, uint32_t server, uint16_t port, uint8_t verdict, uint8_t pending)
{
	return (struct bh_history_edge){
		.key = {.client = client,
			.server = server,
			.port = port,
			.protocol = 6,
			.egress = 1,
			.verdict = verdict,
			.pending = pending,
			.family = 4},
		.counts = {.packets = {3, 2},
			.octets = {300, 200},
			.flows = 1,
			.first_ns = 1000,
			.last_ns = 2000},
	};
}

static struct bh_history_edge *make_rows(uint32_t seed, size_t n)
{
	struct bh_history_edge *rows = calloc(n, sizeof(*rows));

	dice = seed;
	for (size_t i = 0; i < n; i++) {
		uint32_t kind = roll(10);

		rows[i] = row(any_party(), any_party(), (uint16_t)(1 + roll(500)),
			kind == 0 ? BH_REASON_ISOLATED : BH_REASON_OPEN,
			kind <= 1 ? BH_REASON_ISOLATED : BH_REASON_POLICY);
		rows[i].counts.octets[0] = roll(1u << 20);
		rows[i].counts.flows = 1 + roll(9);
	}
	qsort(rows, n, sizeof(*rows), compare_rows);
	return rows;
}

static struct bh_aggregate sum_of(const struct bh_conversations *conversations)
{
	struct bh_aggregate sum = {0};

	for (size_t i = 0; i < conversations->n; i++)
		bh_aggregate_add(&sum, &conversations->items[i]);
	return sum;
}

static struct bh_aggregate sum_of_graph(const struct bh_graph *graph)
{
	struct bh_aggregate sum = {0};

	for (size_t i = 0; i < graph->n_nodes; i++)
		bh_aggregate_merge(&sum, &graph->nodes[i].inside);
	for (size_t i = 0; i < graph->n_edges; i++)
		bh_aggregate_merge(&sum, &graph->edges[i].sum);
	return sum;
}

static void check_order(const struct bh_graph *graph)
{
	for (size_t i = 1; i < graph->n_nodes; i++)
		assert_true(strcmp(graph->nodes[i - 1].id, graph->nodes[i].id) < 0);
}

static void whatever_the_limit_it_fits_and_nothing_is_lost(void **state)
{
	static const size_t limits[] = {10, 11, 25, 60, 100, 300, 700, 1000};
	struct bh_filter filter = {0};

	for (uint32_t seed = 1; seed <= 4; seed++) {
		struct bh_world *world = make_world();
		size_t n_rows = seed == 4 ? 40 : ROWS;
		struct bh_history_edge *rows = make_rows(seed, n_rows);
		struct bh_conversations conversations;
		struct bh_aggregate wanted;

		bh_conversations_make(world, NULL, n_rows, rows, &conversations);
		wanted = sum_of(&conversations);
		for (size_t i = 0; i < 2 * sizeof(limits) / sizeof(limits[0]); i++) {
			struct bh_graph_query query = {
				.group = i % 2 ? BH_GROUP_WORKLOAD : BH_GROUP_NAMESPACE,
				.n_expanded = 2,
				.expanded = {"ns3", "ns5"},
				.limit = limits[i / 2],
				.filter = &filter,
			};
			struct bh_aggregate sum;
			struct bh_graph graph;

			bh_graph_make(world, &conversations, &query, &graph);
			assert_true(graph.n_nodes + graph.n_edges <= query.limit);
			sum = sum_of_graph(&graph);
			assert_memory_equal(&sum, &wanted, sizeof(sum));
			check_order(&graph);
			bh_graph_clear(&graph);
		}
		bh_conversations_clear(&conversations);
		bh_world_free(world);
		free(rows);
	}
}

static void what_is_denied_is_folded_last(void **state)
{
	struct bh_world *world = make_world();
	struct bh_filter filter = {0};
	struct bh_graph_query query = {.group = BH_GROUP_WORKLOAD, .limit = 12, .filter = &filter};
	struct bh_history_edge rows[EACH - 1];
	struct bh_conversations conversations;
	struct bh_graph graph;
	bool found = false;

	for (uint32_t i = 0; i < EACH - 1; i++) {
		rows[i] = row(i + 1, i + 2, 80, BH_REASON_OPEN, BH_REASON_POLICY);
		rows[i].counts.octets[0] = 1000000;
	}
	rows[20] = row(21, 22, 80, BH_REASON_ISOLATED, BH_REASON_ISOLATED);
	bh_conversations_make(world, NULL, EACH - 1, rows, &conversations);
	bh_graph_make(world, &conversations, &query, &graph);
	assert_true(graph.n_nodes + graph.n_edges <= 12);
	assert_true(graph.folded_nodes > 0);
	for (size_t i = 0; i < graph.n_edges; i++)
		found |= strcmp(graph.edges[i].source->id, "ns0/Deployment/w20") == 0 &&
			 strcmp(graph.edges[i].target->id, "ns0/Deployment/w21") == 0;
	assert_true(found);
	bh_graph_clear(&graph);
	bh_conversations_clear(&conversations);
	bh_world_free(world);
}

static void both_ends_count_once_and_keep_their_verdicts(void **state)
{
	struct bh_world *world = make_world();
	struct bh_conversations conversations;
	struct bh_history_edge rows[2] = {
		row(1, 2, 80, BH_REASON_OPEN, BH_REASON_POLICY),
		row(1, 2, 80, BH_REASON_OPEN, BH_REASON_ISOLATED),
	};

	rows[1].key.egress = 0;
	rows[1].key.peer_local = 1;
	bh_conversations_make(world, NULL, 2, rows, &conversations);
	assert_int_equal(conversations.n, 1);
	assert_int_equal(conversations.items[0].counts.flows, 1);
	assert_int_equal(conversations.items[0].counts.octets[0], 300);
	assert_int_equal(conversations.items[0].state, BH_STATE_WOULD_DENY);
	assert_ptr_equal(bh_conversation_deciding(&conversations.items[0], true),
		conversations.items[0].ingress);
	bh_conversations_clear(&conversations);
	bh_world_free(world);
}

static void a_bound_viewer_sees_namespaces_in_place_of_their_workloads(void **state)
{
	struct bh_world *world = make_world();
	struct bh_history_edge *rows = make_rows(7, ROWS);
	char *names[] = {"ns2", "ns7"};
	struct bh_sight sight = {2, names};
	struct bh_conversations conversations;
	struct bh_conversations all;
	uint64_t wanted = 0;
	uint64_t flows = 0;

	bh_conversations_make(world, NULL, ROWS, rows, &all);
	for (size_t i = 0; i < all.n; i++) {
		const char *client = all.items[i].client->namespace;
		const char *server = all.items[i].server->namespace;

		if ((*client && bh_sight_sees(&sight, client)) ||
			(*server && bh_sight_sees(&sight, server)))
			wanted += all.items[i].counts.flows;
	}
	bh_conversations_make(world, &sight, ROWS, rows, &conversations);
	for (size_t i = 0; i < conversations.n; i++) {
		const struct bh_conversation *conversation = &conversations.items[i];
		const struct bh_party *ends[2] = {conversation->client, conversation->server};

		flows += conversation->counts.flows;
		if (i > 0)
			assert_true(bh_conversation_compare(conversation - 1, conversation) < 0);
		for (int end = 0; end < 2; end++) {
			bool own = bh_sight_sees(&sight, ends[end]->namespace);

			assert_true(own != ends[end]->is_namespace);
			assert_true(own != (end ? conversation->server_hidden
						: conversation->client_hidden));
		}
	}
	assert_true(conversations.n < all.n);
	assert_int_equal(flows, wanted);
	bh_conversations_clear(&all);
	bh_conversations_clear(&conversations);
	bh_world_free(world);
	free(rows);
}

static void packets_denied_are_counted_where_no_flow_began(void **state)
{
	struct bh_world *world = make_world();
	struct bh_history_edge rows[2] = {
		row(1, 2, 80, BH_REASON_OPEN, BH_REASON_POLICY),
		row(1, 2, 80, BH_REASON_ISOLATED, BH_REASON_ISOLATED),
	};
	struct bh_conversations conversations;

	rows[1].counts = (struct bh_history_counts){.packets = {7, 0}, .first_ns = 1, .last_ns = 3};
	bh_conversations_make(world, NULL, 2, rows, &conversations);
	assert_int_equal(conversations.n, 1);
	assert_int_equal(conversations.items[0].counts.flows, 1);
	assert_int_equal(conversations.items[0].flows_denied, 0);
	assert_int_equal(conversations.items[0].packets_denied, 7);
	bh_conversations_clear(&conversations);
	bh_world_free(world);
}

static void differences_are_new_vanished_and_changed(void **state)
{
	struct bh_world *world = make_world();
	struct bh_filter filter = {0};
	struct bh_history_edge before[3] = {
		row(1, 2, 80, BH_REASON_OPEN, BH_REASON_POLICY),
		row(1, 3, 80, BH_REASON_OPEN, BH_REASON_POLICY),
		row(1, 4, 80, BH_REASON_OPEN, BH_REASON_POLICY),
	};
	struct bh_history_edge after[3] = {
		row(1, 2, 80, BH_REASON_OPEN, BH_REASON_POLICY),
		row(1, 3, 80, BH_REASON_ISOLATED, BH_REASON_ISOLATED),
		row(1, 5, 80, BH_REASON_OPEN, BH_REASON_POLICY),
	};
	struct bh_conversations a;
	struct bh_conversations b;
	struct bh_diff diff;

	bh_conversations_make(world, NULL, 3, before, &a);
	bh_conversations_make(world, NULL, 3, after, &b);
	bh_diff_make(&a, &b, &filter, NULL, NULL, &diff);
	assert_int_equal(diff.n_same, 1);
	assert_int_equal(diff.n_changed, 1);
	assert_int_equal(diff.n_new, 1);
	assert_int_equal(diff.n_vanished, 1);
	assert_int_equal(diff.n, 3);
	free(diff.pairs);
	bh_conversations_clear(&a);
	bh_conversations_clear(&b);
	bh_world_free(world);
}

static void files_hold_texts_that_stay_texts(void **state)
{
	struct bh_world *world = bh_world_new();
	struct bh_filter filter = {0};
	struct bh_graph_query query = {.group = BH_GROUP_WORKLOAD, .limit = 100, .filter = &filter};
	struct bh_history_edge one = row(1, 2, 80, BH_REASON_OPEN, BH_REASON_POLICY);
	struct bh_conversations conversations;
	struct bh_text text = {0};
	struct bh_graph graph;

	bh_world_add(world, 1, "a\"];b", "Pod", "=1+2\"x");
	bh_world_add(world, 2, "<b>&",
		"Pod\x1b[2J\xc2\x9b"
		"7m",
		"\x01\xff\xed\xa0\x80 end");
	bh_conversations_make(world, NULL, 1, &one, &conversations);
	bh_graph_make(world, &conversations, &query, &graph);
	bh_export_csv(&text, &conversations, &filter, NULL, NULL);
	assert_non_null(strstr(text.data, "\"'=1+2\"\"x\""));
	assert_non_null(strstr(text.data, "\"Pod [2J 7m\""));
	bh_text_clear(&text);
	bh_export_dot(&text, &graph);
	assert_non_null(strstr(text.data, "\"a\\\"];b/Pod/=1+2\\\"x\""));
	bh_text_clear(&text);
	bh_export_svg(&text, &graph);
	assert_null(strstr(text.data, "<b>"));
	assert_non_null(strstr(text.data, "&lt;b&gt;&amp;"));
	for (size_t i = 0; i < text.n; i++)
		assert_true((unsigned char)text.data[i] >= 0x20 || text.data[i] == '\n');
	bh_text_clear(&text);
	bh_graph_clear(&graph);
	bh_conversations_clear(&conversations);
	bh_world_free(world);
}

static void hosts_and_origins(void **state)
{
	static const char *const names[] = {"ops.example"};
	static const struct {
		const char *host;
		bool good;
	} cases[] = {
		{"localhost", true},
		{"LOCALHOST.:80", true},
		{"127.0.0.1:7070", true},
		{"[::1]:7070", true},
		{"[::1]", true},
		{"10.1.2.3", true},
		{"ops.example:1", true},
		{"Ops.Example", true},
		{"", false},
		{":80", false},
		{"[]", false},
		{"[::1", false},
		{"evil.example", false},
		{"localhost.evil", false},
		{"ops.example.evil", false},
		{"127.0.0.1.evil", false},
		{"0x7f.1", false},
		{"localhost:80x", false},
		{"localhost:123456", false},
		{"user@localhost", false},
		{"[::1]x", false},
	};
	struct bh_hosts hosts = {1, names};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (bh_hosts_take(&hosts, cases[i].host) != cases[i].good)
			fail_msg("'%s'", cases[i].host);
	}
	assert_true(bh_origin_is_own("http://localhost:80", "LOCALHOST:80", false));
	assert_false(bh_origin_is_own("https://localhost:80", "localhost:80", false));
	assert_false(bh_origin_is_own("http://localhost", "localhost:80", false));
	assert_false(bh_origin_is_own("null", "localhost", false));
}

static void addresses_to_listen_on(void **state)
{
	static const struct {
		const char *text;
		bool good;
		bool loopback;
	} cases[] = {
		{"127.0.0.1:7070", true, true},
		{"127.9.9.9:0", true, true},
		{"[::1]:1", true, true},
		{"0.0.0.0:1", true, false},
		{"[::]:1", true, false},
		{"192.0.2.1:65535", true, false},
		{"[::ffff:127.0.0.1]:1", true, true},
		{"::1:1", false, false},
		{"127.0.0.1", false, false},
		{"127.0.0.1:", false, false},
		{"127.0.0.1:65536", false, false},
		{"[127.0.0.1]:1", false, false},
		{"localhost:1", false, false},
		{"[::1]", false, false},
		{":1", false, false},
		{"[]:1", false, false},
		{"127.0.0.1:-1", false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char address[BH_LISTEN_ADDRESS_MAX];
		unsigned int port;
		bool good = bh_listen_parse(cases[i].text, address, &port) == 0;

		if (good != cases[i].good ||
			(good && bh_address_is_loopback(address) != cases[i].loopback))
			fail_msg("'%s'", cases[i].text);
	}
}

static void tokens_are_made_checked_bound_and_revoked(void **state)
{
	char folder[] = "/tmp/bh-tokens-XXXXXX";
	const char *names[] = {"shop"};
	const struct bh_token *token;
	struct bh_tokens *tokens;
	char cookie[BH_COOKIE_MAX];
	char command[128];
	char *problem = NULL;
	char *secret;

	assert_non_null(mkdtemp(folder));
	assert_int_equal(bh_tokens_open(folder, &tokens, &problem), 0);
	assert_int_equal(bh_tokens_list(tokens, &token), 1);
	assert_int_equal(bh_tokens_create(tokens, BH_ROLE_READER, 1, names, &secret, &token), 0);
	assert_true(token->bound);
	assert_true(bh_sight_sees(bh_token_sight(token), "shop"));
	assert_false(bh_sight_sees(bh_token_sight(token), "data"));
	bh_tokens_cookie(tokens, token, 1000, cookie);
	bh_tokens_free(tokens);

	assert_int_equal(bh_tokens_open(folder, &tokens, &problem), 0);
	token = bh_tokens_check(tokens, secret);
	assert_non_null(token);
	assert_true(token->bound && token->role == BH_ROLE_READER);
	assert_null(bh_tokens_check(tokens, ""));
	assert_null(bh_tokens_check(tokens, "bh_"));
	assert_ptr_equal(bh_tokens_check_cookie(tokens, cookie, 1001), token);
	assert_null(bh_tokens_check_cookie(tokens, cookie, 1000 + BH_COOKIE_SECONDS));
	cookie[0] ^= 1;
	assert_null(bh_tokens_check_cookie(tokens, cookie, 1001));
	cookie[0] ^= 1;
	bh_tokens_end_cookie(tokens, cookie, 1002);
	assert_null(bh_tokens_check_cookie(tokens, cookie, 1003));
	assert_int_equal(bh_tokens_revoke(tokens, token->id), 0);
	assert_null(bh_tokens_check(tokens, secret));
	assert_int_equal(bh_tokens_list(tokens, &token), 1);
	bh_tokens_free(tokens);
	free(secret);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

static void protocols_have_their_names_and_others_their_numbers(void **state)
{
	static const struct {
		int number;
		const char *word;
	} cases[] = {{6, "TCP"}, {17, "UDP"}, {132, "SCTP"}, {1, "ICMP"}, {58, "ICMPv6"},
		{2, "IGMP"}, {47, "47"}};
	char text[BH_PROTOCOL_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(
			bh_protocol_word((uint8_t)cases[i].number, text), cases[i].word);
		assert_int_equal(bh_protocol_number(cases[i].word), cases[i].number);
	}
	assert_int_equal(bh_protocol_number("igmp"), 2);
	assert_int_equal(bh_protocol_number("2"), 2);
	assert_int_equal(bh_protocol_number("256"), -1);
	assert_int_equal(bh_protocol_number("tcpx"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_the_limit_it_fits_and_nothing_is_lost),
		cmocka_unit_test(what_is_denied_is_folded_last),
		cmocka_unit_test(both_ends_count_once_and_keep_their_verdicts),
		cmocka_unit_test(a_bound_viewer_sees_namespaces_in_place_of_their_workloads),
		cmocka_unit_test(packets_denied_are_counted_where_no_flow_began),
		cmocka_unit_test(differences_are_new_vanished_and_changed),
		cmocka_unit_test(files_hold_texts_that_stay_texts),
		cmocka_unit_test(hosts_and_origins),
		cmocka_unit_test(protocols_have_their_names_and_others_their_numbers),
		cmocka_unit_test(addresses_to_listen_on),
		cmocka_unit_test(tokens_are_made_checked_bound_and_revoked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
