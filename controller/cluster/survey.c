/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster/survey.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "controller/cluster/rows.h"
#include "controller/cluster/series.h"
#include "controller/model/memory.h"
#include "controller/topology/export.h"
#include "controller/topology/text.h"
#include "proto/cleanup.h"

#define SECOND_NS 1000000000ull
#define NOTES_MAX 32
#define LINE_MAX_BYTES 240
/* Names in one note. */
#define NAMES_MAX 5
/* Times that a target's counters may begin anew and be told apart. */
#define BEGINNINGS_MAX 32
/* What is more is no count of ours. */
#define COUNT_MAX 9.2e18

struct bh_survey {
	struct bh_cluster_answer *answer;
	char *matchers;
	char *expression;
	enum bh_cluster_subject subject;
	bool begun;
	struct bh_cluster_rows rows;
	struct bh_table targets; /* "JOB\nINSTANCE" → node */
	size_t nodes_capacity;
	struct bh_cluster_node **nodes; /* the arena's */
	size_t sampled;                 /* index of the node whose samples are asked for */
	size_t n_left_out;
	struct bh_cluster_target *left_out;
	char *edge; /* matchers of the one that is asked for over time; NULL: the graph is */
	struct bh_cluster_series series;
};

/* ---- What is said besides -------------------------------------------------------------------- */

/* Strangers' text in one line that is not too long: free() it. */
static char *one_line(const char *text)
{
	char *line = bh_xasprintf("%.*s", LINE_MAX_BYTES, text);
	size_t n = strlen(line);

	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	/* Not within a character. */
	while (n == LINE_MAX_BYTES && n > 0 && ((unsigned char)line[n - 1] & 0x80))
		line[--n] = '\0';
	return line;
}

static void __attribute__((format(printf, 2, 3)))
note(struct bh_survey *survey, const char *format, ...)
{
	struct bh_cluster_answer *answer = survey->answer;
	_cleanup_free_ char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	for (size_t i = 0; i < answer->n_notes; i++) {
		if (strcmp(answer->notes[i], text) == 0)
			return;
	}
	if (answer->n_notes < NOTES_MAX)
		answer->notes[answer->n_notes++] = bh_arena_strdup(&answer->arena, text);
}

static void __attribute__((format(printf, 2, 3)))
fail(struct bh_survey *survey, const char *format, ...)
{
	va_list arguments;

	if (survey->answer->error)
		return;
	va_start(arguments, format);
	if (vasprintf(&survey->answer->error, format, arguments) < 0)
		abort();
	va_end(arguments);
}

/* ---- An answer ------------------------------------------------------------------------------- */

static void note_warnings(struct bh_survey *survey, const json_t *root)
{
	const json_t *warnings = json_object_get(root, "warnings");
	const json_t *warning;
	size_t i;

	json_array_foreach(warnings, i, warning)
	{
		const char *text = json_string_value(warning);
		_cleanup_free_ char *line = text ? one_line(text) : NULL;

		/* What it thinks of the question itself. */
		if (!line || strncmp(line, "PromQL info", 11) == 0)
			continue;
		survey->answer->exact = false;
		note(survey, "the answer is partial: %s", line);
	}
	if (json_is_true(json_object_get(root, "isPartial"))) {
		survey->answer->exact = false;
		note(survey, "the answer is partial");
	}
}

/* Why there is no result: one line to free(). */
static char *refusal(long status, const json_t *root, const json_error_t *error)
{
	const char *said = json_string_value(json_object_get(root, "error"));
	_cleanup_free_ char *line = said ? one_line(said) : NULL;

	if (line)
		return bh_xasprintf("it answers %ld: %s", status, line);
	if (status == 401 || status == 403)
		return bh_xasprintf(
			"it answers %ld: it wants a token or a login, or others", status);
	if (status >= 300 && status < 400)
		return bh_xasprintf("it answers %ld, and redirects are not followed", status);
	if (status != 200)
		return bh_xasprintf("it answers %ld", status);
	return root ? bh_xstrdup("the answer is none of Prometheus' query API")
		    : bh_xasprintf("the answer is no JSON: %s", error->text);
}

/* The list of series, borrowed from *ret_root; or NULL and *ret_problem, to free(). */
static const json_t *parse(struct bh_survey *survey, long status, const char *body, size_t n,
	json_t **ret_root, char **ret_problem)
{
	json_error_t error;
	json_t *root = json_loadb(body, n, 0, &error);
	const json_t *data = json_object_get(root, "data");
	const char *type = json_string_value(json_object_get(data, "resultType"));
	bool matrix = survey->subject == BH_CLUSTER_SAMPLES || survey->subject == BH_CLUSTER_SERIES;
	const char *wanted = matrix ? "matrix" : "vector";
	const json_t *result = json_object_get(data, "result");
	const char *word = json_string_value(json_object_get(root, "status"));

	*ret_root = root;
	if (status == 200 && word && strcmp(word, "success") == 0 && type &&
		strcmp(type, wanted) == 0 && json_is_array(result)) {
		note_warnings(survey, root);
		return result;
	}
	*ret_problem = refusal(status, root, &error);
	return NULL;
}

/* The value of a vector's series. */
static bool read_value(const json_t *series, double *ret_value)
{
	double seconds;

	return bh_cluster_sample(json_object_get(series, "value"), &seconds, ret_value);
}

static uint64_t to_ns(double seconds)
{
	return seconds > 0 && seconds < 1e10 ? (uint64_t)(seconds * 1e3) * 1000000 : 0;
}

/* ---- Targets --------------------------------------------------------------------------------- */

static const char *label(const json_t *series, const char *name)
{
	const char *value =
		json_string_value(json_object_get(json_object_get(series, "metric"), name));

	return value ? value : "";
}

static struct bh_cluster_node *find(struct bh_survey *survey, const json_t *series)
{
	_cleanup_free_ char *key =
		bh_xasprintf("%s\n%s", label(series, "job"), label(series, "instance"));

	return bh_table_get(&survey->targets, key, strlen(key));
}

static struct bh_cluster_node *add(struct bh_survey *survey, const json_t *series)
{
	struct bh_arena *arena = &survey->answer->arena;
	struct bh_cluster_node *node = find(survey, series);
	const char *key;

	if (node)
		return node;
	node = bh_arena_new(arena, struct bh_cluster_node);
	node->name = "";
	node->target.job = bh_arena_strdup(arena, label(series, "job"));
	node->target.instance = bh_arena_strdup(arena, label(series, "instance"));
	key = bh_arena_printf(arena, "%s\n%s", node->target.job, node->target.instance);
	bh_table_put(&survey->targets, key, strlen(key), node);
	bh_xgrow(survey->nodes, survey->answer->n_nodes, survey->nodes_capacity);
	survey->nodes[survey->answer->n_nodes++] = node;
	return node;
}

static void take_target(struct bh_survey *survey, const json_t *series)
{
	bool named = survey->subject == BH_CLUSTER_NODES || survey->subject == BH_CLUSTER_DOWN;
	struct bh_cluster_node *node = named ? add(survey, series) : find(survey, series);
	double value;

	if (!node || !read_value(series, &value))
		return;
	switch (survey->subject) {
	case BH_CLUSTER_NODES:
		node->name = bh_arena_strdup(&survey->answer->arena, label(series, "node"));
		node->heard = true;
		break;
	case BH_CLUSTER_KNOWN:
		node->known = true;
		break;
	case BH_CLUSTER_FRESH:
		node->fresh = true;
		node->last_ns = to_ns(value);
		break;
	case BH_CLUSTER_SEEN:
		if (to_ns(value) > node->last_ns)
			node->last_ns = to_ns(value);
		break;
	case BH_CLUSTER_DOWN:
		node->fresh = false;
		break;
	case BH_CLUSTER_FIRST:
		node->counting = true;
		node->first_ns = to_ns(value);
		break;
	case BH_CLUSTER_RESET:
		node->reset = true;
		break;
	default:
		break;
	}
}

/* ---- Once all of the targets is known -------------------------------------------------------- */

static int compare_nodes(const void *a, const void *b)
{
	const struct bh_cluster_node *x = *(struct bh_cluster_node *const *)a;
	const struct bh_cluster_node *y = *(struct bh_cluster_node *const *)b;
	int order = strcmp(x->name, y->name);

	/* Of several of one name the one that answers is the node. */
	if (!order && x->fresh != y->fresh)
		order = x->fresh ? -1 : 1;
	if (!order)
		order = strcmp(x->target.job, y->target.job);
	return order ? order : strcmp(x->target.instance, y->target.instance);
}

static const char *name_of(const struct bh_cluster_node *node)
{
	return *node->name ? node->name : node->target.instance;
}

static void leave_out(struct bh_survey *survey, struct bh_cluster_node *node)
{
	node->left_out = true;
	survey->left_out = bh_xreallocarray(
		survey->left_out, survey->n_left_out + 1, sizeof(*survey->left_out));
	survey->left_out[survey->n_left_out++] = node->target;
}

/* True if series of the target that begin within the window began at nothing. */
static bool is_born(const struct bh_survey *survey, const struct bh_cluster_node *node)
{
	return node->known ||
	       (node->counting && (!node->first_ns || node->first_ns / SECOND_NS >=
							      survey->answer->window.from_s));
}

/* "node1, node2 and 3 more": free() it. NULL if none is such. */
static char *names(struct bh_survey *survey,
	bool (*is)(const struct bh_survey *survey, const struct bh_cluster_node *node))
{
	struct bh_text text = {0};
	size_t n = 0;

	for (size_t i = 0; i < survey->answer->n_nodes; i++) {
		const struct bh_cluster_node *node = survey->nodes[i];
		_cleanup_free_ char *name = NULL;
		char time[BH_EXPORT_TIME_MAX];

		if (!is(survey, node) || n++ >= NAMES_MAX)
			continue;
		name = one_line(name_of(node));
		bh_text_format(&text, "%s%s", n > 1 ? ", " : "", name);
		if (node->stale && node->last_ns)
			bh_text_format(
				&text, " (since %.19sZ)", bh_export_time(node->last_ns, time));
	}
	if (n > NAMES_MAX)
		bh_text_format(&text, " and %zu more", n - NAMES_MAX);
	return text.data;
}

static bool is_stale(const struct bh_survey *survey, const struct bh_cluster_node *node)
{
	return node->stale;
}

static bool is_late(const struct bh_survey *survey, const struct bh_cluster_node *node)
{
	return node->heard && !node->left_out && !is_born(survey, node);
}

static void note_names(struct bh_survey *survey,
	bool (*is)(const struct bh_survey *survey, const struct bh_cluster_node *node),
	const char *format)
{
	_cleanup_free_ char *list = names(survey, is);
	struct bh_text text = {0};

	if (!list)
		return;
	survey->answer->exact = false;
	bh_text_format(&text, "%s%s", format, list);
	note(survey, "%s", text.data);
	bh_text_clear(&text);
}

static void judge_targets(struct bh_survey *survey)
{
	struct bh_cluster_answer *answer = survey->answer;
	size_t heard = 0;

	if (answer->n_nodes)
		qsort(survey->nodes, answer->n_nodes, sizeof(*survey->nodes), compare_nodes);
	for (size_t i = 0; i < answer->n_nodes; i++) {
		struct bh_cluster_node *node = survey->nodes[i];
		struct bh_cluster_node *before = i ? survey->nodes[i - 1] : NULL;
		bool again = before && *node->name && strcmp(before->name, node->name) == 0;

		heard += node->heard;
		/* Those that follow one of their name come after the one that answers. */
		node->stale = !node->fresh && !again;
		answer->n_stale += node->stale;
		if (!again || !node->fresh)
			continue;
		_cleanup_free_ char *name = one_line(node->name);

		leave_out(survey, node);
		note(survey, "%s is scraped twice, and counted once", name);
	}
	if (!heard && !answer->error)
		answer->unheard = true;
	if (!heard)
		fail(survey, "it has no metrics of Bulkhead's in this window "
			     "(bulkhead_build_info)");
	note_names(survey, is_stale, "no word from ");
}

/* ---- Samples --------------------------------------------------------------------------------- */

static uint64_t *counter_of(struct bh_history_edge *edge, const char *metric, bool server)
{
	struct bh_history_counts *counts = &edge->counts;

	if (strcmp(metric, "bulkhead_edge_flows_total") == 0)
		return &counts->flows;
	if (strcmp(metric, "bulkhead_edge_resets_total") == 0)
		return &counts->resets;
	if (strcmp(metric, "bulkhead_edge_refusals_total") == 0)
		return &counts->refusals;
	if (strcmp(metric, "bulkhead_edge_packets_total") == 0)
		return &counts->packets[server];
	if (strcmp(metric, "bulkhead_edge_bytes_total") == 0)
		return &counts->octets[server];
	return NULL;
}

/* A time at which a target was found to count anew, and since when it did. */
struct beginning {
	double at_s;
	double first_s;
};

struct beginnings {
	size_t n;
	struct beginning of[BEGINNINGS_MAX];
};

static void find_beginnings(const json_t *result, struct beginnings *found)
{
	const json_t *series, *sample;
	double last = 0, seconds, value;
	size_t i, j;

	found->n = 0;
	json_array_foreach(result, i, series)
	{
		if (strcmp(label(series, "__name__"), "bulkhead_edges_first_timestamp_seconds"))
			continue;
		json_array_foreach(json_object_get(series, "values"), j, sample)
		{
			if (!bh_cluster_sample(sample, &seconds, &value))
				continue;
			if (last > 0 && value > last && found->n < BEGINNINGS_MAX)
				found->of[found->n++] = (struct beginning){seconds, value};
			last = value;
		}
	}
}

/* True if all that the target counts at `now_s` is from after `last_s`. */
static bool began_between(const struct beginnings *beginnings, double last_s, double now_s)
{
	for (size_t i = 0; i < beginnings->n; i++) {
		const struct beginning *beginning = &beginnings->of[i];

		if (beginning->at_s > last_s && beginning->at_s <= now_s &&
			beginning->first_s > last_s)
			return true;
	}
	return false;
}

/*
 * What was added since the window began. A target that counts anew counts from nothing, even where
 * it has come further than it was meanwhile. A counter that went down without that is taken to have
 * begun at nothing, too, but some of it may have been counted before (*ret_doubt).
 */
static double added(const struct bh_survey *survey, const struct bh_cluster_node *node,
	const struct beginnings *beginnings, const json_t *series, bool *ret_doubt)
{
	const json_t *values = json_object_get(series, "values");
	double from = (double)survey->answer->window.from_s;
	double sum = 0, last = 0, last_s = 0, seconds, value;
	bool begun = is_born(survey, node);
	const json_t *sample;
	size_t i;

	json_array_foreach(values, i, sample)
	{
		if (!bh_cluster_sample(sample, &seconds, &value))
			continue;
		if (seconds > from && begun) {
			bool anew = began_between(beginnings, last_s, seconds);

			sum += anew || value < last ? value : value - last;
			*ret_doubt |= value < last && !anew;
		}
		begun = true;
		last = value;
		last_s = seconds;
	}
	return sum < COUNT_MAX ? sum : COUNT_MAX;
}

static void take_samples(struct bh_survey *survey, const json_t *result)
{
	struct bh_cluster_node *node = survey->nodes[survey->sampled];
	struct beginnings beginnings;
	bool doubt = false;
	const json_t *series;
	size_t i;

	find_beginnings(result, &beginnings);
	json_array_foreach(result, i, series)
	{
		const json_t *labels = json_object_get(series, "metric");
		const char *metric = label(series, "__name__");
		struct bh_history_edge *edge;
		bool server;

		if (strncmp(metric, "bulkhead_edge_", 14) != 0)
			continue;
		edge = bh_cluster_row(&survey->rows, labels, &server);
		if (edge && counter_of(edge, metric, server))
			*counter_of(edge, metric, server) +=
				(uint64_t)added(survey, node, &beginnings, series, &doubt);
	}
	leave_out(survey, node);
	if (!is_born(survey, node))
		doubt = true;
	if (doubt) {
		_cleanup_free_ char *name = one_line(name_of(node));

		survey->answer->exact = false;
		note(survey,
			"the counters of %s began anew, and some of what they had counted "
			"may be missing or twice",
			name);
	}
}

/* ---- Edges ----------------------------------------------------------------------------------- */

/* What was spoken when it was seen last stands. */
static void take_last(struct bh_history_edge *edge, const json_t *labels, uint64_t last_ns)
{
	bool latest = last_ns > edge->counts.last_ns;
	struct bh_talk talk = bh_cluster_row_talk(labels);

	if (latest)
		edge->counts.last_ns = last_ns;
	if (latest || !edge->talk.app)
		bh_talk_learn(&edge->talk, &talk);
}

static void take_edge(struct bh_survey *survey, const json_t *series)
{
	struct bh_history_edge *edge;
	bool server;
	double value;

	edge = bh_cluster_row(&survey->rows, json_object_get(series, "metric"), &server);
	if (!edge)
		return;
	if (!read_value(series, &value)) {
		survey->rows.strange++;
		return;
	}
	switch (survey->subject) {
	case BH_CLUSTER_FLOWS:
		edge->counts.flows += (uint64_t)value;
		break;
	case BH_CLUSTER_PACKETS:
		edge->counts.packets[server] += (uint64_t)value;
		break;
	case BH_CLUSTER_OCTETS:
		edge->counts.octets[server] += (uint64_t)value;
		break;
	case BH_CLUSTER_RESETS:
		edge->counts.resets += (uint64_t)value;
		break;
	case BH_CLUSTER_REFUSALS:
		edge->counts.refusals += (uint64_t)value;
		break;
	case BH_CLUSTER_LAST:
		take_last(edge, json_object_get(series, "metric"), to_ns(value));
		break;
	default:
		break;
	}
}

/* ---- One edge over time ---------------------------------------------------------------------- */

static void take_counter(struct bh_survey *survey, const json_t *series)
{
	const struct bh_cluster_node *node = find(survey, series);
	const char *metric = label(series, "__name__");
	struct bh_history_edge *row;
	bool server;

	/* Nobody was heard under that name, or somebody twice. */
	if (!node || node->left_out)
		return;
	row = bh_cluster_row(&survey->rows, json_object_get(series, "metric"), &server);
	if (!row || bh_cluster_series_take(&survey->series, &row->key, metric, server,
			    json_object_get(series, "values"), is_born(survey, node)))
		return;
	_cleanup_free_ char *name = one_line(name_of(node));

	survey->answer->exact = false;
	note(survey,
		"the counters of %s began anew, and what it had counted since the last look "
		"is missing",
		name);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void finish(struct bh_survey *survey)
{
	struct bh_cluster_answer *answer = survey->answer;

	answer->nodes = bh_arena_array(&answer->arena, answer->n_nodes + 1, struct bh_cluster_node);
	for (size_t i = 0; i < answer->n_nodes; i++)
		answer->nodes[i] = *survey->nodes[i];
	if (survey->edge)
		bh_cluster_series_finish(&survey->series, answer);
	else
		bh_cluster_rows_finish(&survey->rows, answer);
	note_names(survey, is_late,
		"counting had begun before these were first heard, and what they counted before "
		"is left out: ");
	if (survey->rows.others > 0) {
		answer->exact = false;
		note(survey, "nodes have more edges than --metrics-series; what they add up is "
			     "shown as Other, for each end that saw it");
	}
	if (survey->rows.strange > 0) {
		answer->exact = false;
		note(survey, "%zu series make no sense, and are left out", survey->rows.strange);
	}
}

/* ---- The order of the questions -------------------------------------------------------------- */

/* The next node whose samples are wanted, from `at` on; n_nodes if there is none. */
static size_t next_reset(const struct bh_survey *survey, size_t at)
{
	for (; at < survey->answer->n_nodes; at++) {
		if (survey->nodes[at]->reset && !survey->nodes[at]->left_out)
			break;
	}
	return at;
}

static void note_unsampled(struct bh_survey *survey)
{
	_cleanup_free_ char *name = one_line(name_of(survey->nodes[survey->sampled]));

	survey->answer->exact = false;
	note(survey, "the counters of %s began anew, and only what came since is counted", name);
}

/* Steps on to the next node to sample, or beyond. Returns false at the end of them. */
static bool step_samples(struct bh_survey *survey, size_t from)
{
	survey->sampled = next_reset(survey, from);
	while (survey->sampled < survey->answer->n_nodes &&
		survey->n_left_out >= BH_CLUSTER_SAMPLED_MAX) {
		note_unsampled(survey);
		survey->sampled = next_reset(survey, survey->sampled + 1);
	}
	return survey->sampled < survey->answer->n_nodes;
}

static void step(struct bh_survey *survey)
{
	if (!survey->begun) {
		survey->begun = true;
		survey->subject = BH_CLUSTER_NODES;
		return;
	}
	if (survey->subject == BH_CLUSTER_SAMPLES && step_samples(survey, survey->sampled + 1))
		return;
	survey->subject++;
	if (survey->subject == BH_CLUSTER_SERIES && !survey->edge)
		survey->subject++;
	if (survey->subject == BH_CLUSTER_RESET && survey->edge) {
		judge_targets(survey);
		survey->subject = BH_CLUSTER_SERIES;
	}
	if (survey->subject == BH_CLUSTER_SAMPLES) {
		judge_targets(survey);
		if (!step_samples(survey, 0))
			survey->subject++;
	}
}

const char *bh_survey_next(struct bh_survey *survey)
{
	const struct bh_cluster_answer *answer = survey->answer;
	bool sampling;

	if (answer->error || survey->subject == BH_CLUSTER_SUBJECTS)
		return NULL;
	step(survey);
	if (answer->error)
		return NULL;
	if (survey->subject == BH_CLUSTER_SUBJECTS) {
		finish(survey);
		return NULL;
	}
	sampling = survey->subject == BH_CLUSTER_SAMPLES;
	free(survey->expression);
	if (survey->subject == BH_CLUSTER_SERIES) {
		survey->expression = bh_cluster_promql_series(
			&answer->window, survey->matchers, survey->edge, survey->series.step_s);
		return survey->expression;
	}
	survey->expression = bh_cluster_promql(survey->subject, &answer->window, survey->matchers,
		sampling ? 1 : survey->n_left_out,
		sampling ? &survey->nodes[survey->sampled]->target : survey->left_out);
	return survey->expression;
}

void bh_survey_fail(struct bh_survey *survey, const char *why)
{
	if (survey->subject == BH_CLUSTER_SAMPLES) {
		note_unsampled(survey);
		return;
	}
	fail(survey, "%s", why);
}

void bh_survey_give_up(struct bh_survey *survey, const char *why)
{
	fail(survey, "%s", why);
}

void bh_survey_take(struct bh_survey *survey, long status, const char *body, size_t n)
{
	_cleanup_free_ char *problem = NULL;
	json_t *root = NULL;
	const json_t *result = parse(survey, status, body, n, &root, &problem);
	const json_t *series;
	size_t i;

	if (problem)
		bh_survey_fail(survey, problem);
	else if (survey->subject == BH_CLUSTER_SAMPLES)
		take_samples(survey, result);
	else
		json_array_foreach(result, i, series)
		{
			if (survey->subject < BH_CLUSTER_SAMPLES)
				take_target(survey, series);
			else if (survey->subject == BH_CLUSTER_SERIES)
				take_counter(survey, series);
			else
				take_edge(survey, series);
		}
	json_decref(root);
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct bh_survey *bh_survey_new(const struct bh_cluster_window *window, const char *matchers)
{
	struct bh_survey *survey = bh_xcalloc(1, sizeof(*survey));

	survey->answer = bh_xcalloc(1, sizeof(*survey->answer));
	survey->answer->window = *window;
	survey->answer->exact = true;
	survey->answer->notes = bh_arena_array(&survey->answer->arena, NOTES_MAX, const char *);
	survey->matchers = bh_xstrdup(matchers);
	survey->rows.arena = &survey->answer->arena;
	return survey;
}

void bh_survey_of_edge(struct bh_survey *survey, const char *edge)
{
	survey->edge = bh_xstrdup(edge);
	bh_cluster_series_begin(&survey->series, &survey->answer->window);
}

const struct bh_cluster_window *bh_survey_window(const struct bh_survey *survey)
{
	return &survey->answer->window;
}

struct bh_cluster_answer *bh_survey_answer(struct bh_survey *survey)
{
	return bh_take_pointer(survey->answer);
}

void bh_survey_free(struct bh_survey *survey)
{
	if (!survey)
		return;
	bh_cluster_rows_clear(&survey->rows);
	bh_table_clear(&survey->targets);
	bh_cluster_answer_free(survey->answer);
	free(survey->nodes);
	free(survey->left_out);
	bh_cluster_series_clear(&survey->series);
	free(survey->edge);
	free(survey->matchers);
	free(survey->expression);
	free(survey);
}
