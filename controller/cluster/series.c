/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "controller/flows/reasons.h"
#include "controller/model/memory.h"

#define SECOND_NS 1000000000ull
/* What is more is no count of ours. */
#define COUNT_MAX 9.2e18

uint64_t bh_cluster_step(const struct bh_cluster_window *window)
{
	static const uint32_t steps[] = {BH_CLUSTER_STEP_MIN_S, 30, 60, 120, 300, 600, 900, 1800,
		3600, 7200, 14400, 28800, 86400};
	uint64_t span = window->to_s - window->from_s;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		/* One more at each end is cut. */
		if (span / steps[i] + 2 <= BH_CLUSTER_POINTS_MAX)
			return steps[i];
	}
	return (span / (BH_CLUSTER_POINTS_MAX - 2) / 86400 + 1) * 86400;
}

void bh_cluster_series_begin(
	struct bh_cluster_series *series, const struct bh_cluster_window *window)
{
	series->step_s = bh_cluster_step(window);
	series->first_s = window->from_s / series->step_s * series->step_s;
	series->n = (window->to_s - 1) / series->step_s - series->first_s / series->step_s + 1;
	for (int end = 0; end < 2; end++)
		series->ends[end] = bh_xcalloc(series->n, sizeof(*series->ends[end]));
}

void bh_cluster_series_clear(struct bh_cluster_series *series)
{
	free(series->ends[0]);
	free(series->ends[1]);
	*series = (struct bh_cluster_series){0};
}

bool bh_cluster_sample(const json_t *sample, double *ret_s, double *ret_value)
{
	const char *text = json_string_value(json_array_get(sample, 1));
	double seconds = json_number_value(json_array_get(sample, 0));
	char *end = NULL;
	double value = text ? strtod(text, &end) : NAN;

	if (!text || end == text || *end || !(value >= 0) || value > COUNT_MAX || !(seconds >= 0) ||
		seconds > 1e11)
		return false;
	*ret_s = seconds;
	*ret_value = value;
	return true;
}

/* ---- Taking in ------------------------------------------------------------------------------- */

/* Other counters are none of a span's. */
static void add(struct bh_history_point *point, const struct bh_history_key *key,
	const char *metric, bool server, uint64_t amount)
{
	bool denied = bh_reason_drops(key->verdict);

	if (strcmp(metric, "bulkhead_edge_packets_total") == 0) {
		point->counts.packets[server] += amount;
	} else if (strcmp(metric, "bulkhead_edge_bytes_total") == 0) {
		point->counts.octets[server] += amount;
	} else if (strcmp(metric, "bulkhead_edge_resets_total") == 0) {
		point->counts.resets += amount;
	} else if (strcmp(metric, "bulkhead_edge_flows_total") == 0) {
		point->counts.flows += amount;
		if (denied)
			point->flows_denied += amount;
		else if (bh_reason_drops(key->pending))
			point->flows_would_deny += amount;
	}
}

/* The span that ends with this time, or holds it; NULL: it is not in the window. */
static struct bh_history_point *span_of(
	struct bh_cluster_series *series, bool client, double seconds)
{
	double index = ceil((seconds - (double)series->first_s) / (double)series->step_s) - 1;

	return index >= 0 && index < (double)series->n ? &series->ends[client][(size_t)index]
						       : NULL;
}

bool bh_cluster_series_take(struct bh_cluster_series *series, const struct bh_history_key *key,
	const char *metric, bool server, const json_t *samples, bool born)
{
	double last = 0, seconds, value;
	bool begun = born, whole = true;
	const json_t *sample;
	size_t i;

	json_array_foreach(samples, i, sample)
	{
		struct bh_history_point *point;

		if (!bh_cluster_sample(sample, &seconds, &value))
			continue;
		point = span_of(series, key->egress, seconds);
		if (point && begun && value != last) {
			/* One that went down began at nothing. */
			whole &= value > last;
			add(point, key, metric, server,
				(uint64_t)(value < last ? value : value - last));
			series->client_seen |= key->egress;
		}
		begun = true;
		last = value;
	}
	return whole;
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool is_empty(const struct bh_history_point *point)
{
	static const struct bh_history_point nothing;

	return memcmp(point, &nothing, sizeof(nothing)) == 0;
}

void bh_cluster_series_finish(
	const struct bh_cluster_series *series, struct bh_cluster_answer *answer)
{
	struct bh_history_point *points =
		bh_arena_array(&answer->arena, series->n + 1, struct bh_history_point);

	for (size_t i = 0; i < series->n; i++) {
		const struct bh_history_point *seen = &series->ends[series->client_seen][i];
		const struct bh_history_point *other = &series->ends[!series->client_seen][i];
		struct bh_history_point *point = &points[answer->n_points];

		if (is_empty(seen) && is_empty(other))
			continue;
		/* Packets once; what was denied at either end. */
		*point = *seen;
		point->flows_denied += other->flows_denied;
		point->flows_would_deny += other->flows_would_deny;
		point->start_ns = (series->first_s + i * series->step_s) * SECOND_NS;
		point->length_ns = series->step_s * SECOND_NS;
		answer->n_points++;
	}
	answer->points = points;
	answer->step_s = series->step_s;
	answer->window.from_s = series->first_s;
}
