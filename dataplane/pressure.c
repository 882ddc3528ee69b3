/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pressure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t endpoints_in_use(const struct bh_object *object)
{
	uint64_t n = 0;

	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX; slot++)
		n += object->endpoints[slot].epoch != 0;
	return n;
}

uint64_t bh_pressure_high(enum bh_map map)
{
	return map == BH_MAP_bh_flows4 || map == BH_MAP_bh_flows6 ? BH_PRESSURE_HIGH_SETS
								  : BH_PRESSURE_HIGH;
}

void bh_pressure_measure(
	const struct bh_status_sources *s, struct bh_pressure ret_pressures[BH_PRESSURES])
{
	const struct bh_world *world = &s->tables->world;
	const struct {
		enum bh_map map;
		uint64_t entries;
	} use[] = {
		{BH_MAP_bh_ifaces, s->endpoints->claimed.n},
		{BH_MAP_bh_endpoints, endpoints_in_use(s->object)},
		{BH_MAP_bh_addr4, world->addr4.n},
		{BH_MAP_bh_addr6, world->addr6.n},
		{BH_MAP_bh_trie4, world->block4.n},
		{BH_MAP_bh_trie6, world->block6.n},
		{BH_MAP_bh_policies, world->n_entries},
		{BH_MAP_bh_spills, world->n_spills},
		{BH_MAP_bh_flows4, bh_flows_count(s->flows, BH_MAP_bh_flows4)},
		{BH_MAP_bh_flows6, bh_flows_count(s->flows, BH_MAP_bh_flows6)},
		{BH_MAP_bh_fragments, bh_flows_count(s->flows, BH_MAP_bh_fragments)},
		{BH_MAP_bh_edge_index, bh_edges_count(s->edges)},
		{BH_MAP_bh_events, s->events ? bh_events_high(s->events) : 0},
	};

	_Static_assert(
		sizeof(use) / sizeof(use[0]) == BH_PRESSURES, "as many as there is room for");
	for (size_t i = 0; i < BH_PRESSURES; i++)
		ret_pressures[i] = (struct bh_pressure){.map = use[i].map,
			.entries = use[i].entries,
			.max = s->object->size[use[i].map]};
}

/* What happens when there is no more room: the reader's first question. */
static const char *when_full(enum bh_map map)
{
	switch (map) {
	case BH_MAP_bh_ifaces:
	case BH_MAP_bh_endpoints:
		return "when it is, no further pod can be enforced on";
	case BH_MAP_bh_flows4:
	case BH_MAP_bh_flows6:
		return "some of the flows not used for longest are forgotten, and judged anew";
	case BH_MAP_bh_fragments:
		return "when it is, fragments whose first is forgotten are judged without ports";
	case BH_MAP_bh_edge_index:
		return "when it is, further conversations are counted as one, without names";
	case BH_MAP_bh_events:
		return "when it is, flow records are lost, and counted";
	default:
		return "when it is, updates that need more are refused";
	}
}

void bh_pressure_text(const struct bh_pressure *pressure, char *ret_text, size_t size)
{
	const char *name = bh_map_name(pressure->map);
	const char *unit = pressure->map == BH_MAP_bh_events ? "bytes" : "entries";
	int n = snprintf(ret_text, size, "%s is more than %" PRIu64 " %% full (%" PRIu64 " %s); %s",
		name, bh_pressure_high(pressure->map), pressure->max, unit,
		when_full(pressure->map));

	if (n < 0 || (size_t)n >= size)
		return;
	if (bh_map_is_sized(pressure->map))
		snprintf(ret_text + n, size - (size_t)n,
			": give it more room with --map-size %s=%" PRIu64 ", after `down`", name,
			pressure->max * 2);
	else
		snprintf(ret_text + n, size - (size_t)n, ": its size is fixed");
}

void bh_pressure_check(const struct bh_status_sources *s)
{
	struct bh_pressure pressures[BH_PRESSURES];
	char text[384];

	if (s->events)
		bh_events_sum_up(s->events);
	bh_pressure_measure(s, pressures);
	bh_problems_begin(s->problems, BH_SOURCE_MAPS);
	for (size_t i = 0; i < BH_PRESSURES; i++) {
		if (pressures[i].entries * 100 <=
			pressures[i].max * bh_pressure_high(pressures[i].map))
			continue;
		bh_pressure_text(&pressures[i], text, sizeof(text));
		bh_problems_add(s->problems, BH_SOURCE_MAPS, "map-pressure",
			bh_map_name(pressures[i].map), "%s", text);
	}
	bh_problems_end(s->problems, BH_SOURCE_MAPS);
}
