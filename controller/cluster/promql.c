/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster/promql.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "controller/model/memory.h"
#include "controller/topology/text.h"
#include "proto/cleanup.h"

#define INFO "bulkhead_build_info"
#define FIRST "bulkhead_edges_first_timestamp_seconds"
/* What tells one row from another. Only the time of the latest packet has app and encrypted: they
 * are as of then, and no part of what is counted. */
#define LABELS                                                                             \
	"source_namespace, source_workload, destination_namespace, destination_workload, " \
	"protocol, port, end, verdict, pending"
#define SEEN_STEPS 240
#define SEEN_STEP_MIN_S 15
#define SEEN_CLOSE_S 600
#define SEEN_CLOSE_STEP_S 2

struct writer {
	struct bh_text text;
	const char *matchers;
	uint64_t span_s;
};

/* A string between quotes. */
static void put_value(struct bh_text *text, const char *value)
{
	bh_text_add(text, "\"");
	for (; *value; value++) {
		if (*value == '\n')
			bh_text_add(text, "\\n");
		else if (*value == '"' || *value == '\\')
			bh_text_format(text, "\\%c", *value);
		else
			bh_text_add_bytes(text, value, 1);
	}
	bh_text_add(text, "\"");
}

static void put_target(struct bh_text *text, const struct bh_cluster_target *target)
{
	bh_text_add(text, "job=");
	put_value(text, target->job);
	bh_text_add(text, ",instance=");
	put_value(text, target->instance);
}

/* function(metric[window]), and before the window function(metric[…] offset window) */
static void put_over(struct writer *w, const char *function, const char *metric)
{
	bh_text_format(
		&w->text, "%s(%s{%s}[%" PRIu64 "s])", function, metric, w->matchers, w->span_s);
}

static void put_before(struct writer *w, const char *metric)
{
	bh_text_format(&w->text, "last_over_time(%s{%s}[%ds] offset %" PRIu64 "s)", metric,
		w->matchers, BH_CLUSTER_BEFORE_S, w->span_s);
}

/* ---- Targets --------------------------------------------------------------------------------- */

/* The latest of many looks; the last minutes are looked at more closely. */
static void put_seen(struct writer *w)
{
	static const char look[] =
		"max_over_time(timestamp(" INFO "{%s})[%" PRIu64 "s:%" PRIu64 "s])";
	uint64_t step = w->span_s / SEEN_STEPS;
	uint64_t close = w->span_s < SEEN_CLOSE_S ? w->span_s : SEEN_CLOSE_S;

	bh_text_add(&w->text, "max by (job, instance) (");
	bh_text_format(&w->text, look, w->matchers, close, (uint64_t)SEEN_CLOSE_STEP_S);
	bh_text_add(&w->text, " or ");
	bh_text_format(&w->text, look, w->matchers, w->span_s,
		step < SEEN_STEP_MIN_S ? SEEN_STEP_MIN_S : step);
	bh_text_add(&w->text, ")");
}

static void put_down(struct writer *w)
{
	bh_text_format(&w->text, "up{%s} == 0 and on (job) count by (job) (", w->matchers);
	put_over(w, "last_over_time", INFO);
	bh_text_add(&w->text, ")");
}

/* A counter went down; or what is counted began later than it did, though it may have come further
 * between two scrapes than it was. */
static void put_reset(struct writer *w)
{
	static const char *const metrics[] = {"flows", "packets", "bytes", "resets"};

	bh_text_add(&w->text, "(");
	for (int i = 0; i < 4; i++)
		bh_text_format(&w->text,
			"%ssum by (job, instance) (resets(bulkhead_edge_%s_total{%s}[%" PRIu64
			"s]))",
			i ? " + " : "", metrics[i], w->matchers, w->span_s + BH_CLUSTER_BEFORE_S);
	bh_text_format(&w->text,
		") > 0 or max by (job, instance) (last_over_time(" FIRST "{%s}[%" PRIu64
		"s])) > (min by (job, instance) (min_over_time(" FIRST "{%s}[%" PRIu64 "s])) > 0)",
		w->matchers, w->span_s + BH_CLUSTER_BEFORE_S, w->matchers,
		w->span_s + BH_CLUSTER_BEFORE_S);
}

static void put_samples(struct writer *w, const struct bh_cluster_target *target)
{
	bh_text_format(&w->text,
		"{__name__=~\"bulkhead_edge_(flows|packets|bytes|resets|refusals)_total|" FIRST
		"\",%s",
		w->matchers);
	put_target(&w->text, target);
	bh_text_format(&w->text, "}[%" PRIu64 "s]", w->span_s + BH_CLUSTER_BEFORE_S);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

/* Those whose counters were at nothing where a series begins within the window. */
static void put_born(struct writer *w, uint64_t from_s)
{
	put_before(w, INFO);
	bh_text_add(&w->text, " or ");
	put_over(w, "min_over_time", FIRST);
	bh_text_format(&w->text, " >= %" PRIu64 " or ", from_s);
	put_over(w, "min_over_time", FIRST);
	bh_text_add(&w->text, " == 0");
}

static void put_left_out(
	struct writer *w, size_t n_targets, const struct bh_cluster_target *targets)
{
	for (size_t i = 0; i < n_targets; i++) {
		bh_text_format(&w->text, "%slast_over_time(" INFO "{%s",
			i ? " or " : " unless on (job, instance) (", w->matchers);
		put_target(&w->text, &targets[i]);
		bh_text_format(&w->text, "}[%" PRIu64 "s])", w->span_s);
	}
	if (n_targets)
		bh_text_add(&w->text, ")");
}

/*
 * Of each series how far it has come since the beginning: the difference to what it was then;
 * all of it where it was not there yet, but its target was (or had counted nothing); else the
 * difference to its first value in the window. One that is lower at the end than at the beginning
 * has begun anew, and has come at least as far as it is.
 */
static void put_added(struct writer *w, const struct bh_cluster_window *window, const char *metric,
	const char *more_labels, size_t n_targets, const struct bh_cluster_target *targets)
{
	bh_text_format(&w->text, "sum by (" LABELS "%s) (((", more_labels);
	put_over(w, "last_over_time", metric);
	bh_text_add(&w->text, " - ");
	put_before(w, metric);
	bh_text_add(&w->text, ") >= 0 or (");
	put_over(w, "last_over_time", metric);
	bh_text_add(&w->text, " and on (job, instance) (");
	put_born(w, window->from_s);
	bh_text_add(&w->text, ")) or (");
	put_over(w, "last_over_time", metric);
	bh_text_add(&w->text, " - ");
	put_over(w, "min_over_time", metric);
	bh_text_add(&w->text, "))");
	put_left_out(w, n_targets, targets);
	bh_text_add(&w->text, ") > 0");
}

static void put_last(struct writer *w, uint64_t from_s)
{
	bh_text_add(&w->text, "max by (" LABELS ", app, encrypted) (");
	put_over(w, "last_over_time", "bulkhead_edge_last_timestamp_seconds");
	/* A packet may have been seen some time before it is scraped. */
	bh_text_format(&w->text, ") >= %" PRIu64,
		from_s > BH_CLUSTER_BEFORE_S ? from_s - BH_CLUSTER_BEFORE_S : 0);
}

char *bh_cluster_promql(enum bh_cluster_subject subject, const struct bh_cluster_window *window,
	const char *matchers, size_t n_targets, const struct bh_cluster_target *targets)
{
	struct writer w = {.matchers = matchers, .span_s = window->to_s - window->from_s};

	switch (subject) {
	case BH_CLUSTER_NODES:
		bh_text_add(&w.text, "max by (job, instance, node) (");
		put_over(&w, "last_over_time", INFO);
		bh_text_add(&w.text, ")");
		break;
	case BH_CLUSTER_KNOWN:
		bh_text_add(&w.text, "max by (job, instance) (");
		put_before(&w, INFO);
		bh_text_add(&w.text, ")");
		break;
	case BH_CLUSTER_FRESH:
		bh_text_format(
			&w.text, "max by (job, instance) (timestamp(" INFO "{%s}))", matchers);
		break;
	case BH_CLUSTER_SEEN:
		put_seen(&w);
		break;
	case BH_CLUSTER_DOWN:
		put_down(&w);
		break;
	case BH_CLUSTER_FIRST:
		bh_text_add(&w.text, "min by (job, instance) (");
		put_over(&w, "min_over_time", FIRST);
		bh_text_add(&w.text, ")");
		break;
	case BH_CLUSTER_RESET:
		put_reset(&w);
		break;
	case BH_CLUSTER_SAMPLES:
		put_samples(&w, &targets[0]);
		break;
	case BH_CLUSTER_FLOWS:
		put_added(&w, window, "bulkhead_edge_flows_total", "", n_targets, targets);
		break;
	case BH_CLUSTER_PACKETS:
		put_added(&w, window, "bulkhead_edge_packets_total", ", from", n_targets, targets);
		break;
	case BH_CLUSTER_OCTETS:
		put_added(&w, window, "bulkhead_edge_bytes_total", ", from", n_targets, targets);
		break;
	case BH_CLUSTER_RESETS:
		put_added(&w, window, "bulkhead_edge_resets_total", "", n_targets, targets);
		break;
	case BH_CLUSTER_REFUSALS:
		put_added(&w, window, "bulkhead_edge_refusals_total", "", n_targets, targets);
		break;
	case BH_CLUSTER_LAST:
		put_last(&w, window->from_s);
		break;
	case BH_CLUSTER_SERIES:
	case BH_CLUSTER_SUBJECTS:
		break;
	}
	return w.text.data;
}

/* ---- One edge over time ---------------------------------------------------------------------- */

char *bh_cluster_promql_series(const struct bh_cluster_window *window, const char *matchers,
	const char *edge, uint64_t step_s)
{
	struct bh_text text = {0};

	/* A subquery is evaluated at multiples of its step. */
	bh_text_format(&text,
		"{__name__=~\"bulkhead_edge_(flows|packets|bytes|resets)_total\",%s%s}"
		"[%" PRIu64 "s:%" PRIu64 "s]",
		matchers, edge, window->to_s - window->from_s + step_s + BH_CLUSTER_BEFORE_S,
		step_s);
	return text.data;
}

static void put_end(struct bh_text *text, const char *which, const struct bh_cluster_end *end)
{
	bool unknown = strcmp(end->kind, "Unknown") == 0;
	_cleanup_free_ char *workload = bh_xasprintf(
		"%s%s%s", unknown ? "" : end->kind, unknown || !*end->name ? "" : "/", end->name);

	bh_text_format(text, "%s_namespace=", which);
	put_value(text, end->namespace);
	bh_text_format(text, ",%s_workload=", which);
	put_value(text, workload);
	bh_text_add(text, ",");
}

char *bh_cluster_edge_matchers(const struct bh_cluster_end *client,
	const struct bh_cluster_end *server, const char *protocol, uint16_t port)
{
	struct bh_text text = {0};

	put_end(&text, "source", client);
	put_end(&text, "destination", server);
	bh_text_add(&text, "protocol=");
	put_value(&text, protocol);
	bh_text_format(&text, ",port=\"%u\"", (unsigned int)port);
	return text.data;
}

/* ---- Matchers -------------------------------------------------------------------------------- */

static bool is_label(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char more[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	return *name && strchr(letters, *name) && !name[strspn(name, more)] &&
	       strcmp(name, "__name__") != 0;
}

char *bh_cluster_matchers(const char *list)
{
	_cleanup_free_ char *copy = bh_xstrdup(list);
	struct bh_text text = {0};
	char *rest = copy;

	for (char *item; (item = strsep(&rest, ","));) {
		char *value = strchr(item, '=');

		if (value)
			*value++ = '\0';
		if (!value || !is_label(item)) {
			bh_text_clear(&text);
			return NULL;
		}
		bh_text_format(&text, "%s=", item);
		put_value(&text, value);
		bh_text_add(&text, ",");
	}
	return text.data;
}
