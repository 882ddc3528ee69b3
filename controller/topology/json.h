/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_JSON_H
#define BULKHEAD_TOPOLOGY_JSON_H

/* The graph, and what it is made of, as JSON; docs/api.md says what the fields mean. */

#include <jansson.h>

#include "controller/topology/diff.h"
#include "controller/topology/graph.h"

/* A string, with what is not UTF-8 replaced. */
json_t *bh_json_text(const char *text);
/* Sets `name` to a text. */
void bh_json_set_text(json_t *object, const char *name, const char *text);
/* RFC 3339 with microseconds, UTC; null for 0. */
json_t *bh_json_time(uint64_t ns);
/* "TCP", "ICMPv6", or the number as a string. */
json_t *bh_json_protocol(uint8_t protocol);
/* {"fromClient": a, "fromServer": b} */
json_t *bh_json_both_ways(const uint64_t counts[2]);

json_t *bh_json_party(const struct bh_party *party);
/* "app", "encrypted", "tlsVersion", "sni" and "roundTrip" of what is spoken. */
void bh_json_add_talk(json_t *object, const struct bh_talk *talk);
/* `text`: why it is in its state. */
json_t *bh_json_conversation(const struct bh_conversation *conversation, const char *text);
/* The lists and totals of /api/v1/graph/diff; at most `limit` conversations. */
json_t *bh_json_diff(
	const struct bh_diff *diff, size_t limit, bh_filter_text *text, void *text_data);

/* The answer of /api/v1/edges/{id}/series; `step_ns` at least. Takes `window`. */
json_t *bh_json_series(const char *id, json_t *window, uint64_t step_ns, size_t n,
	const struct bh_history_point *points);

/* The answer of /api/v1/graph, without what is of one question only. Takes `window`. */
json_t *bh_json_graph(
	const struct bh_graph *graph, const char *group, size_t limit, json_t *window);

#endif
