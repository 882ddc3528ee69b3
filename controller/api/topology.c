/* SPDX-License-Identifier: Apache-2.0 */

/* The graph of a window, the difference of two, and both as files. */

#include <string.h>

#include "controller/api/view.h"
#include "controller/model/memory.h"
#include "controller/topology/diff.h"
#include "controller/topology/export.h"
#include "proto/cleanup.h"

/* ---- Reading the question -------------------------------------------------------------------- */

struct question {
	struct bh_view view;
	struct bh_graph_query query;
	enum bh_view_ends ends;
	char *expanded; /* what query.expanded points into */
};

static void question_cleanup(struct question *question)
{
	bh_view_clear(&question->view);
	free(question->expanded);
}

static json_t *read_group(const json_t *request, struct question *question)
{
	const char *group;
	json_t *error = bh_api_string(request, "group", &group);

	question->query.group = BH_GROUP_WORKLOAD;
	if (error || !group || strcmp(group, "workload") == 0)
		return error;
	if (strcmp(group, "namespace") == 0)
		question->query.group = BH_GROUP_NAMESPACE;
	else if (strcmp(group, "pod") == 0)
		question->ends = BH_VIEW_PODS;
	else if (strncmp(group, "label:", 6) == 0 && group[6]) {
		question->query.group = BH_GROUP_LABEL;
		question->query.label = group + 6;
	} else
		return bh_control_error("group: '%.64s' is none of namespace, workload, pod, "
					"label:KEY",
			group);
	return NULL;
}

static json_t *read_expanded(const json_t *request, struct question *question)
{
	const char *list;
	char *rest = NULL;
	json_t *error = bh_api_string(request, "expand", &list);

	if (error || !list)
		return error;
	question->expanded = bh_xstrdup(list);
	for (char *name = strtok_r(question->expanded, ",", &rest); name;
		name = strtok_r(NULL, ",", &rest)) {
		if (question->query.n_expanded == BH_GRAPH_EXPAND_MAX)
			return bh_control_error("'expand' lists more than %d", BH_GRAPH_EXPAND_MAX);
		question->query.expanded[question->query.n_expanded++] = name;
	}
	return NULL;
}

static json_t *read_limit(const json_t *request, size_t *ret_limit)
{
	uint64_t limit = BH_GRAPH_LIMIT_DEFAULT;
	json_t *error = bh_api_number(request, "limit", BH_GRAPH_LIMIT_MAX, &limit);

	if (!error && limit < BH_GRAPH_LIMIT_MIN)
		return bh_control_error("'limit' is at least %d", BH_GRAPH_LIMIT_MIN);
	*ret_limit = limit;
	return error;
}

static bool wants_labels(const struct question *question)
{
	return question->query.group == BH_GROUP_LABEL || question->view.filter.n_labels > 0;
}

static json_t *read_question(
	struct bh_api *api, const struct bh_control_call *call, struct question *question)
{
	json_t *error = bh_view_window(call->request, "from", "to", &question->view.window);

	error = error ?: bh_view_filter(call->request, &question->view.filter);
	error = error ?: read_group(call->request, question);
	error = error ?: read_expanded(call->request, question);
	error = error ?: read_limit(call->request, &question->query.limit);
	question->view.api = api;
	question->view.sight = call->sight;
	error = error ?: bh_view_scope(call->request, &question->view);
	if (!error && question->view.cluster &&
		(question->ends == BH_VIEW_PODS || question->query.group == BH_GROUP_LABEL))
		error = bh_control_error(
			"group: of a cluster workloads are known, and neither their "
			"pods nor labels");
	question->query.filter = &question->view.filter;
	question->query.sight = call->sight;
	question->query.text = bh_view_text_of;
	question->query.text_data = &question->view;
	return error;
}

/* ---- The graph ------------------------------------------------------------------------------- */

static json_t *graph_object(const struct question *question, const struct bh_graph *graph)
{
	static const char *const groups[] = {"namespace", "workload", "label:"};
	_cleanup_free_ char *group = bh_xasprintf("%s%s",
		question->ends == BH_VIEW_PODS ? "pod" : groups[question->query.group],
		question->query.label ? question->query.label : "");
	json_t *answer = bh_json_graph(
		graph, group, question->query.limit, bh_json_window(&question->view.window));

	json_object_set_new(answer, "ok", json_true());
	/* What a Prometheus knows of is not only what this node does. */
	if (!graph->n_edges && question->view.filter.n_namespaces == 1 && !question->view.cluster)
		bh_api_set_known(answer, question->view.api->model, question->view.sight,
			question->view.filter.namespaces[0]);
	bh_view_set_cluster(&question->view, answer);
	return answer;
}

json_t *bh_api_topology(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(question_cleanup) struct question question = {0};
	struct bh_graph graph;
	json_t *answer = read_question(api, call, &question);

	if (answer)
		return answer;
	if (!bh_view_ask(&question.view, call, question.ends, NULL, &answer))
		return NULL;
	if (answer)
		return answer;
	if (bh_view_elsewhere(
		    &question.view, call, bh_api_topology, question.ends, wants_labels(&question)))
		return NULL;
	bh_view_fill(&question.view, question.ends, wants_labels(&question));
	bh_graph_make(question.view.world, &question.view.conversations, &question.query, &graph);
	answer = graph_object(&question, &graph);
	bh_graph_clear(&graph);
	return answer;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void write_file(struct question *question, const char *format, const struct bh_graph *graph,
	struct bh_text *to)
{
	struct bh_view *view = &question->view;

	if (strcmp(format, "csv") == 0)
		bh_export_csv(to, &view->conversations, &view->filter, bh_view_text_of, view);
	else if (strcmp(format, "dot") == 0)
		bh_export_dot(to, graph);
	else if (strcmp(format, "graphml") == 0)
		bh_export_graphml(to, graph);
	else
		bh_export_svg(to, graph);
}

json_t *bh_api_export(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(question_cleanup) struct question question = {0};
	struct bh_text text = {0};
	struct bh_graph graph;
	const char *format;
	json_t *answer = bh_api_string(call->request, "format", &format);

	answer = answer ?: read_question(api, call, &question);
	if (answer)
		return answer;
	if (!format || (strcmp(format, "json") != 0 && strcmp(format, "csv") != 0 &&
			       strcmp(format, "dot") != 0 && strcmp(format, "graphml") != 0 &&
			       strcmp(format, "svg") != 0))
		return bh_control_error("'format' is json, csv, dot, graphml or svg");
	if (!bh_view_ask(&question.view, call, question.ends, NULL, &answer))
		return NULL;
	if (answer)
		return answer;
	if (bh_view_elsewhere(
		    &question.view, call, bh_api_export, question.ends, wants_labels(&question)))
		return NULL;
	bh_view_fill(&question.view, question.ends, wants_labels(&question));
	bh_graph_make(question.view.world, &question.view.conversations, &question.query, &graph);
	if (strcmp(format, "json") == 0) {
		answer = graph_object(&question, &graph);
	} else {
		write_file(&question, format, &graph, &text);
		answer = json_pack("{s:b, s:s, s:o}", "ok", 1, "format", format, "text",
			bh_json_text(text.data ? text.data : ""));
	}
	bh_text_clear(&text);
	bh_graph_clear(&graph);
	return answer;
}

/* ---- Difference ------------------------------------------------------------------------------ */

/* As long as the later one, ending where that begins, unless something else is said. */
static json_t *earlier_window(
	const json_t *request, const struct bh_window *later, struct bh_window *ret_window)
{
	uint64_t length = later->to_ns - later->from_ns;
	const char *from;
	const char *to;
	json_t *error = bh_api_string(request, "beforeFrom", &from);

	error = error ?: bh_api_string(request, "beforeTo", &to);
	if (error)
		return error;
	if (from || to) {
		json_t *both = json_object();

		json_object_set_new(both, "beforeFrom", from ? json_string(from) : json_null());
		json_object_set_new(both, "beforeTo", to ? json_string(to) : json_null());
		error = bh_view_window(both, "beforeFrom", "beforeTo", ret_window);
		json_decref(both);
		if (!error && !to) {
			ret_window->to_ns = later->from_ns;
			ret_window->open = false;
		}
		if (!error && ret_window->from_ns >= ret_window->to_ns)
			error = bh_control_error("the earlier window ends before it begins");
		return error;
	}
	*ret_window = (struct bh_window){
		.from_ns = later->from_ns > length ? later->from_ns - length : 1,
		.to_ns = later->from_ns,
		.given = true,
		.exact = true,
	};
	return NULL;
}

json_t *bh_api_topology_diff(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(question_cleanup) struct question question = {0};
	struct bh_conversations before;
	struct bh_window earlier = {0};
	struct bh_diff diff;
	json_t *answer = read_question(api, call, &question);

	if (!answer && !question.view.window.from_ns)
		answer = bh_control_error("a difference needs 'last', or 'from' and 'to'");
	answer = answer ?: earlier_window(call->request, &question.view.window, &earlier);
	if (answer)
		return answer;
	if (!bh_view_ask(&question.view, call, BH_VIEW_WORKLOADS, &earlier, &answer))
		return NULL;
	if (answer)
		return answer;
	if (bh_view_elsewhere(&question.view, call, bh_api_topology_diff, BH_VIEW_WORKLOADS,
		    wants_labels(&question)))
		return NULL;
	bh_view_fill(&question.view, BH_VIEW_WORKLOADS, wants_labels(&question));
	bh_view_conversations(&question.view, &earlier, &before);
	bh_diff_make(&before, &question.view.conversations, &question.view.filter, bh_view_text_of,
		&question.view, &diff);
	answer = bh_json_diff(&diff, question.query.limit, bh_view_text_of, &question.view);
	json_object_set_new(answer, "ok", json_true());
	json_object_set_new(answer, "before", bh_json_window(&earlier));
	json_object_set_new(answer, "after", bh_json_window(&question.view.window));
	bh_view_set_cluster(&question.view, answer);
	free(diff.pairs);
	bh_conversations_clear(&before);
	return answer;
}
