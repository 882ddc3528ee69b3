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
#include "controller/topology/export.h"
#include "controller/topology/json.h"
#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"

#define ANSWER_MAX (64u << 20)
#define TOTAL_MS 300000
#define WINDOW_S 3600

struct drawing {
	struct bh_filter filter;
	struct bh_graph_query query;
	char *expanded;
	struct bh_cluster_answer *answer;
	struct bh_world *world;
	struct bh_conversations conversations;
	struct bh_graph graph;
};

static void drawing_cleanup(struct drawing *drawing)
{
	bh_graph_clear(&drawing->graph);
	bh_conversations_clear(&drawing->conversations);
	bh_world_free(drawing->world);
	bh_cluster_answer_free(drawing->answer);
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

/* "2026-01-31T12:00:00Z" in seconds. */
static bool parse_time(const char *text, uint64_t *ret_s)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t seconds = rest ? timegm(&tm) : -1;

	if (!rest || strcmp(rest, "Z") != 0 || seconds <= 0)
		return false;
	*ret_s = (uint64_t)seconds;
	return true;
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
	if (to && !parse_time(to, &window->to_s))
		return usage("'%s' is no time like 2026-01-31T12:00:00Z", to);
	window->from_s = window->to_s - WINDOW_S;
	if (from && !parse_time(from, &window->from_s))
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

/* Returns 0 and *ret_answer, or the exit code. */
static int fetch(const struct bh_cluster_source *source, const struct bh_cluster_window *window,
	struct bh_cluster_answer **ret_answer)
{
	struct bh_cluster_answer *answer = NULL;
	uv_loop_t loop;

	uv_loop_init(&loop);
	if (!bh_cluster_fetch_begin(&loop, source, window, take, &answer))
		return bh_cli_fail("libcurl cannot be used");
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	if (answer->error) {
		bh_cli_fail("%s", answer->error);
		bh_cluster_answer_free(answer);
		return BH_CLI_FAILED;
	}
	*ret_answer = answer;
	return 0;
}

/* ---- Drawing --------------------------------------------------------------------------------- */

static json_t *object_of(const struct drawing *drawing)
{
	const struct bh_cluster_answer *answer = drawing->answer;
	_cleanup_free_ char *note = bh_cluster_note(answer);
	json_t *window = json_pack("{s:o, s:o, s:b}", "from",
		bh_json_time(answer->window.from_s * 1000000000), "to",
		bh_json_time(answer->window.to_s * 1000000000), "exact", answer->exact);
	json_t *object;

	if (note)
		bh_json_set_text(window, "note", note);
	object = bh_json_graph(&drawing->graph,
		drawing->query.group == BH_GROUP_NAMESPACE ? "namespace" : "workload",
		drawing->query.limit, window);
	json_object_set_new(object, "cluster", bh_cluster_object(answer, true));
	return object;
}

static int print_file(const struct drawing *drawing)
{
	struct bh_text text = {0};

	if (bh_cli.output == BH_OUTPUT_CSV)
		bh_export_csv(
			&text, &drawing->conversations, &drawing->filter, bh_cluster_text, NULL);
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
	json_t *object;
	int r;

	if (bh_cli.output != BH_OUTPUT_TABLE && bh_cli.output != BH_OUTPUT_JSON)
		return print_file(drawing);
	object = object_of(drawing);
	if (bh_cli.output == BH_OUTPUT_JSON)
		return bh_json_print(object);
	bh_json_clean(object);
	r = bh_cli_print_grouped(object, "nothing of that has been seen");
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

int bh_cli_cluster_graph(json_t *arguments)
{
	_cleanup_(drawing_cleanup) struct drawing drawing = {0};
	struct bh_cluster_source source;
	struct bh_cluster_window window;
	int limit = (int)json_integer_value(json_object_get(arguments, "limit"));
	int r = read_source(arguments, &source);

	r = r ?: read_filter(arguments, &drawing.filter);
	r = r ?: read_group(arguments, &drawing);
	r = r ?: read_window(arguments, &window);
	r = r ?: fetch(&source, &window, &drawing.answer);
	if (r)
		return r;
	drawing.query.limit = limit ? (size_t)limit : BH_GRAPH_LIMIT_DEFAULT;
	drawing.query.filter = &drawing.filter;
	drawing.query.text = bh_cluster_text;
	drawing.world = bh_cluster_world(drawing.answer);
	bh_conversations_make(drawing.world, NULL, drawing.answer->n_edges, drawing.answer->edges,
		&drawing.conversations);
	bh_graph_make(drawing.world, &drawing.conversations, &drawing.query, &drawing.graph);
	print_notes(drawing.answer);
	return print(&drawing);
}
