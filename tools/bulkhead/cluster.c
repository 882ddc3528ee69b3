/* SPDX-License-Identifier: Apache-2.0 */

/*
 * bulkhead graph --from prometheus=URL: the graph of all nodes, from the metrics that a Prometheus
 * has scraped of them. Nothing of ours needs to run here.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uv.h>

#include "controller/cluster/fetch.h"
#include "controller/topology/diff.h"
#include "controller/topology/export.h"
#include "controller/topology/json.h"
#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

#define ANSWER_MAX (64u << 20)
#define TOTAL_MS 300000
#define WINDOW_S 3600

/* One window. */
struct look {
	bool beside; /* of two: it may be empty */
	char *edge;  /* matchers of the one that is asked for over time; NULL: the graph is */
	struct bh_cluster_window window;
	struct bh_cluster_answer *answer;
	struct bh_world *world;
	struct bh_conversations conversations;
};

struct drawing {
	struct bh_filter filter;
	struct bh_graph_query query;
	char *expanded;
	struct look now;
	struct look earlier; /* --compare */
	struct look series;  /* --series */
	struct bh_graph graph;
};

static void look_clear(struct look *look)
{
	bh_conversations_clear(&look->conversations);
	bh_world_free(look->world);
	bh_cluster_answer_free(look->answer);
	free(look->edge);
}

static void drawing_cleanup(struct drawing *drawing)
{
	bh_graph_clear(&drawing->graph);
	look_clear(&drawing->now);
	look_clear(&drawing->earlier);
	look_clear(&drawing->series);
	bh_filter_clear(&drawing->filter);
	free(drawing->expanded);
}

static int usage(const char *format, const char *value)
{
	bh_cli_fail(format, value);
	return BH_CLI_USAGE;
}

/* ---- What is asked for ----------------------------------------------------------------------- */

static const char *argument(const json_t *arguments, const char *name)
{
	return json_string_value(json_object_get(arguments, name));
}

static int read_filter(const json_t *arguments, struct bh_filter *filter)
{
	static const char *const names[] = {"namespace", "port", "protocol", "verdict", "text"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = argument(arguments, names[i]);
		_cleanup_free_ char *problem = NULL;

		if (value && bh_filter_set(filter, names[i], value, &problem) < 0)
			return usage("%s", problem);
	}
	return 0;
}

static int read_group(const json_t *arguments, struct drawing *drawing)
{
	const char *group = argument(arguments, "group");
	const char *expand = argument(arguments, "expand");
	char *rest = NULL;

	drawing->query.group = BH_GROUP_WORKLOAD;
	if (argument(arguments, "label") ||
		(group && (strncmp(group, "label:", 6) == 0 || strcmp(group, "pod") == 0)))
		return usage("metrics know workloads, not %s",
			group && strcmp(group, "pod") == 0 ? "pods" : "labels");
	if (group && strcmp(group, "namespace") == 0)
		drawing->query.group = BH_GROUP_NAMESPACE;
	else if (group && strcmp(group, "workload") != 0)
		return usage("--group '%s' is neither namespace nor workload", group);
	drawing->expanded = strdup(expand ? expand : "");
	for (char *name = strtok_r(drawing->expanded, ",", &rest); name;
		name = strtok_r(NULL, ",", &rest)) {
		if (drawing->query.n_expanded == BH_GRAPH_EXPAND_MAX)
			return usage("--expand lists too many%s", "");
		drawing->query.expanded[drawing->query.n_expanded++] = name;
	}
	return 0;
}

static int read_window(const json_t *arguments, struct bh_cluster_window *window)
{
	const char *from = argument(arguments, "from");
	const char *to = argument(arguments, "to");
	const char *last = argument(arguments, "last");
	char since[BH_MOMENT_MAX];

	if (last && (from || to))
		return usage("say either --last or --since and --until%s", "");
	if (last && (strchr(last, 'T') || bh_cli_parse_moment(last, since) < 0))
		return usage("--last '%s' is no span like 15m, 24h or 7d", last);
	from = last ? since : from;
	window->to_s = (uint64_t)time(NULL);
	if (to && !bh_cli_parse_time(to, &window->to_s))
		return usage("'%s' is no time like 2026-01-31T12:00:00Z", to);
	window->from_s = window->to_s - WINDOW_S;
	if (from && !bh_cli_parse_time(from, &window->from_s))
		return usage("'%s' is no time like 2026-01-31T12:00:00Z", from);
	if (window->from_s >= window->to_s)
		return usage("the window ends before it begins%s", "");
	return 0;
}

static int read_source(const json_t *arguments, struct bh_cluster_source *source)
{
	_cleanup_free_ char *wrong = NULL;

	*source = (struct bh_cluster_source){
		.url = argument(arguments, "prometheus"),
		.token = argument(arguments, "from-token"),
		.login = argument(arguments, "from-login"),
		.ca = argument(arguments, "from-ca"),
		.tenant = argument(arguments, "from-tenant"),
		.match = argument(arguments, "from-match"),
		.answer_max = ANSWER_MAX,
		.total_ms = TOTAL_MS,
	};
	wrong = bh_cluster_source_check(source);
	return wrong ? usage("--from: %s", wrong) : 0;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void take(void *data, struct bh_cluster_answer *answer)
{
	*(struct bh_cluster_answer **)data = answer;
}

/* Asks for the look's window. Returns 0 and what was answered is in it, or the exit code. */
static int fetch(const struct bh_cluster_source *source, struct look *look)
{
	struct bh_cluster_answer *answer = NULL;
	uv_loop_t loop;

	uv_loop_init(&loop);
	if (!bh_cluster_fetch_begin(&loop, source, &look->window, look->edge, take, &answer))
		return bh_cli_fail("libcurl cannot be used");
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	if (answer->error && !(answer->unheard && look->beside)) {
		bh_cli_fail("%s", answer->error);
		bh_cluster_answer_free(answer);
		return BH_CLI_FAILED;
	}
	look->answer = answer;
	look->world = bh_cluster_world(answer);
	bh_conversations_make(
		look->world, NULL, answer->n_edges, answer->edges, &look->conversations);
	return 0;
}

/* ---- Drawing --------------------------------------------------------------------------------- */

static json_t *window_of(const struct bh_cluster_answer *answer)
{
	_cleanup_free_ char *note = bh_cluster_note(answer);
	json_t *window = json_pack("{s:o, s:o, s:b}", "from",
		bh_json_time(answer->window.from_s * 1000000000), "to",
		bh_json_time(answer->window.to_s * 1000000000), "exact",
		answer->exact && !answer->unheard);

	if (answer->unheard)
		bh_json_set_text(window, "note", "nothing was scraped in that time");
	else if (note)
		bh_json_set_text(window, "note", note);
	return window;
}

static json_t *object_of(const struct drawing *drawing)
{
	const struct bh_cluster_answer *answer = drawing->now.answer;
	json_t *object = bh_json_graph(&drawing->graph,
		drawing->query.group == BH_GROUP_NAMESPACE ? "namespace" : "workload",
		drawing->query.limit, window_of(answer));

	json_object_set_new(object, "cluster", bh_cluster_object(answer, true));
	return object;
}

static json_t *difference_of(const struct drawing *drawing)
{
	struct bh_diff diff;
	json_t *object;

	bh_diff_make(&drawing->earlier.conversations, &drawing->now.conversations, &drawing->filter,
		bh_cluster_text, NULL, &diff);
	object = bh_json_diff(&diff, drawing->query.limit, bh_cluster_text, NULL);
	json_object_set_new(object, "before", window_of(drawing->earlier.answer));
	json_object_set_new(object, "after", window_of(drawing->now.answer));
	json_object_set_new(object, "cluster", bh_cluster_object(drawing->now.answer, true));
	free(diff.pairs);
	return object;
}

static json_t *series_of(const struct drawing *drawing, const char *id)
{
	const struct bh_cluster_answer *answer = drawing->series.answer;

	return bh_json_series(id, window_of(answer), answer->step_s * 1000000000, answer->n_points,
		answer->points);
}

static int print_series(const struct drawing *drawing, const char *id)
{
	json_t *object = series_of(drawing, id);
	int r;

	if (bh_cli.output == BH_OUTPUT_JSON)
		return bh_json_print(object);
	r = bh_cli_print_series(object);
	json_decref(object);
	return r;
}

static int print_file(const struct drawing *drawing)
{
	struct bh_text text = {0};

	if (bh_cli.output == BH_OUTPUT_CSV)
		bh_export_csv(&text, &drawing->now.conversations, &drawing->filter, bh_cluster_text,
			NULL);
	else if (bh_cli.output == BH_OUTPUT_DOT)
		bh_export_dot(&text, &drawing->graph);
	else if (bh_cli.output == BH_OUTPUT_GRAPHML)
		bh_export_graphml(&text, &drawing->graph);
	else
		bh_export_svg(&text, &drawing->graph);
	fwrite(text.data, 1, text.n, stdout);
	bh_text_clear(&text);
	return fflush(stdout) == EOF ? bh_cli_fail("writing the output") : 0;
}

static int print(const struct drawing *drawing)
{
	bool compares = drawing->earlier.answer;
	json_t *object;
	int r;

	if (bh_cli.output != BH_OUTPUT_TABLE && bh_cli.output != BH_OUTPUT_JSON)
		return print_file(drawing);
	object = compares ? difference_of(drawing) : object_of(drawing);
	if (bh_cli.output == BH_OUTPUT_JSON)
		return bh_json_print(object);
	bh_json_clean(object);
	r = compares ? bh_cli_print_diff(object)
		     : bh_cli_print_grouped(object, "nothing of that has been seen");
	json_decref(object);
	return r;
}

/* Beside what is printed, as it may be read by a program. */
static void print_notes(const struct bh_cluster_answer *answer)
{
	for (size_t i = 0; i < answer->n_notes; i++) {
		json_t *note = bh_json_text(answer->notes[i]);

		bh_json_clean(note);
		fprintf(stderr, "bulkhead: %s\n", json_string_value(note));
		json_decref(note);
	}
}

static struct bh_cluster_end end_of(const struct look *look, uint32_t number)
{
	const struct bh_party *party = bh_world_party(look->world, number);

	return (struct bh_cluster_end){party->namespace, party->kind, party->name};
}

/* Asks for the conversation of that id over time. Returns 0 or the exit code. */
static int fetch_series(
	const struct bh_cluster_source *source, struct drawing *drawing, const char *id)
{
	const struct look *now = &drawing->now;
	const struct bh_conversation *found = bh_conversations_find(&now->conversations, id);
	char protocol[BH_PROTOCOL_TEXT_MAX];
	struct bh_cluster_end client, server;

	if (!found)
		return bh_cli_fail("there is no conversation '%s' in this window", id);
	client = end_of(now, found->rows[0].key.client);
	server = end_of(now, found->rows[0].key.server);
	if (strcmp(client.kind, "Other") == 0)
		return bh_cli_fail("what nodes add up as Other is no one conversation");
	drawing->series.window = now->window;
	drawing->series.edge = bh_cluster_edge_matchers(
		&client, &server, bh_protocol_word(found->protocol, protocol), found->port);
	return fetch(source, &drawing->series);
}

int bh_cli_cluster_graph(json_t *arguments)
{
	_cleanup_(drawing_cleanup) struct drawing drawing = {0};
	struct bh_cluster_source source;
	bool compares = json_object_get(arguments, "compare");
	const char *id = argument(arguments, "series");
	struct look *now = &drawing.now, *earlier = &drawing.earlier;
	uint64_t shift_ms;
	int limit = (int)json_integer_value(json_object_get(arguments, "limit"));
	int r = read_source(arguments, &source);

	r = r ?: read_filter(arguments, &drawing.filter);
	r = r ?: read_group(arguments, &drawing);
	r = r ?: read_window(arguments, &now->window);
	r = r ?: bh_cli_read_compare(arguments, &shift_ms);
	if (!r && compares && (argument(arguments, "group") || argument(arguments, "expand")))
		r = usage("--compare is of conversations: without %s", "--group and --expand");
	r = r ?: fetch(&source, now);
	if (!r && compares) {
		bh_cli_earlier(shift_ms, now->window.from_s, now->window.to_s,
			&earlier->window.from_s, &earlier->window.to_s);
		earlier->beside = true;
		r = fetch(&source, earlier);
	}
	if (!r && id)
		r = fetch_series(&source, &drawing, id);
	if (r)
		return r;
	if (id) {
		print_notes(drawing.series.answer);
		return print_series(&drawing, id);
	}
	drawing.query.limit = limit ? (size_t)limit : BH_GRAPH_LIMIT_DEFAULT;
	drawing.query.filter = &drawing.filter;
	drawing.query.text = bh_cluster_text;
	bh_graph_make(now->world, &now->conversations, &drawing.query, &drawing.graph);
	print_notes(now->answer);
	if (compares)
		print_notes(earlier->answer);
	return print(&drawing);
}
