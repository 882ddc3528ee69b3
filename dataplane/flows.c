/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flows.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/flowkey.h"
#include "dataplane/walk.h"
#include "proto/cleanup.h"

/* Flows, fragments, and sets of a flow table that may be empty, at a time. */
#define SLICE 4096
/* As bpf/lib/fragment.h has it. */
#define FRAGMENT_LIFETIME_S 30

#define TABLES 2 /* struct bh_object has them */

struct bh_flows {
	struct bh_object *object;
	const struct bh_tables *tables;
	struct bh_events *events;
	struct bh_reports *reports; /* or NULL */
	size_t at;                  /* the table being read; TABLES = no round is under way */
	uint32_t set;               /* … and where in it */
	uint64_t counting[TABLES];
	uint64_t counted[TABLES];
	uint64_t fragments;
	uint64_t rounds;
	uint8_t *marking; /* a bit for each edge slot */
	uint8_t *marked;  /* … of the last whole round */
};

static void flows_cleanup(struct bh_flows **flows)
{
	bh_flows_free(*flows);
}

static size_t mark_bytes(const struct bh_object *object)
{
	return object->size[BH_MAP_bh_edges] / 8 + 1;
}

int bh_flows_new(struct bh_object *object, const struct bh_tables *tables, struct bh_events *events,
	struct bh_flows **ret_flows, struct bh_why *why)
{
	_cleanup_(flows_cleanup) struct bh_flows *flows = calloc(1, sizeof(*flows));

	if (!flows)
		return -ENOMEM;
	flows->object = object;
	flows->tables = tables;
	flows->events = events;
	flows->at = TABLES;
	flows->marking = calloc(1, mark_bytes(object));
	flows->marked = calloc(1, mark_bytes(object));
	if (!flows->marking || !flows->marked)
		return -ENOMEM;
	*ret_flows = bh_take_pointer(flows);
	return 0;
}

void bh_flows_free(struct bh_flows *flows)
{
	if (!flows)
		return;
	free(flows->marking);
	free(flows->marked);
	free(flows);
}

/* ---- One flow ------------------------------------------------------------------------------- */

static bool is_expired(const struct bh_config *config, const struct bh_flow *flow, uint64_t jiffies)
{
	/* The low bits wrap after weeks; no timeout comes near half of that. */
	int32_t age = (int32_t)((uint32_t)jiffies - flow->seen);

	return flow->state < BH_FLOW_STATES && age > 0 &&
	       (uint32_t)age > config->timeout[flow->state];
}

static uint32_t workload_of(const struct bh_flows *flows, uint8_t family, const struct bh_end *end)
{
	return bh_world_identity(&flows->tables->world, family, end->ip).workload;
}

/* Whose leg it is: behind a service the packets may wear another's address. */
static uint32_t local_of(const struct bh_flows *flows, const struct bh_leg *leg, uint8_t family,
	const struct bh_end *end)
{
	if (leg->flags & BH_LEG_AWAY && leg->slot < BH_ENDPOINTS_MAX)
		return flows->object->endpoints[leg->slot].workload;
	return workload_of(flows, family, end);
}

/* What is to be told of a flow, in the form in which the programs tell of one that was ended. */
static struct bh_event event_of(const struct bh_flows *flows, uint8_t family,
	const union bh_flow_key *key, const struct bh_flow *flow, const struct bh_clock *clock)
{
	uint8_t opener = flow->opener & 1, side = flow->leg[opener].epoch ? opener : !opener;
	const struct bh_leg *leg = &flow->leg[side];
	struct bh_end ends[2] = {
		bh_flow_key_end(family, key, opener), bh_flow_key_end(family, key, !opener)};
	struct bh_event event = {
		.time = clock->monotonic,
		.type = BH_EVENT_CLOSED,
		.reason = leg->reason,
		.pending = flow->pending[side],
		.hook = side == opener ? BH_HOOK_FROM_POD : BH_HOOK_TO_POD,
		.family = family,
		.protocol = family == 4 ? key->v4.protocol : key->v6.protocol,
		.direction = side == opener ? BH_EGRESS : BH_INGRESS,
		.ifindex = leg->slot < BH_ENDPOINTS_MAX
				   ? flows->object->endpoints[leg->slot].ifindex
				   : 0,
		.slot = leg->slot,
		.local = local_of(flows, leg, family, &ends[side == opener ? 0 : 1]),
		.remote = leg->reason == BH_REASON_NODE
				  ? BH_WORKLOAD_NODE
				  : workload_of(flows, family, &ends[side == opener ? 1 : 0]),
		.rule = flow->rule[side],
		.pending_rule = flow->pending_rule[side],
		.ethertype = family == 4 ? 0x0800 : 0x86dd,
		.sport = ends[0].port,
		.dport = ends[1].port,
		.flags = flow->flags & (__u8)~BH_FLOW_WATCHED,
		.talk = flow->talk,
		.tls = flow->tls,
		.trip_us = bh_flow_trip_us(flow),
		.packets = {bh_flow_packets(flow, opener), bh_flow_packets(flow, !opener)},
		.octets = {flow->octets[opener], flow->octets[!opener]},
		.started = flow->started,
	};

	memcpy(event.src, ends[0].ip, 16);
	memcpy(event.dst, ends[1].ip, 16);
	return event;
}

static bool is_told_of(const struct bh_flows *flows, const struct bh_flow *flow)
{
	return !(flow->flags & BH_FLOW_CLOSE_SENT) && (flow->leg[0].epoch || flow->leg[1].epoch) &&
	       !(flows->object->config->flags & BH_CONFIG_NO_NEW_EVENTS);
}

/* Nobody has seen it for long: is that still so, now? */
static void end_flow(struct bh_flows *flows, uint8_t family, uint32_t at,
	const union bh_flow_key *key, const struct bh_flow *flow, bool settled)
{
	struct bh_flow_request request = {
		.op = BH_FLOW_OP_END, .family = family, .at = at, .key = *key};
	struct bh_clock clock;
	struct bh_event event;

	if (bh_object_flow_op(flows->object, &request) != BH_FLOW_DONE || !settled ||
		!is_told_of(flows, flow) || bh_object_clock(flows->object, &clock) < 0)
		return;
	event = event_of(flows, family, key, flow, &clock);
	bh_events_add_closed(flows->events, &event);
}

/* It goes on; but it is old, and it is its turn. */
static void tell_active(struct bh_flows *flows, uint8_t family, const union bh_flow_key *key,
	const struct bh_flow *flow, const struct bh_clock *clock)
{
	struct bh_event event = event_of(flows, family, key, flow, clock);

	bh_events_add_active(flows->events, &event);
}

static void mark_edges(struct bh_flows *flows, const struct bh_flow *flow)
{
	for (int side = 0; side < 2; side++) {
		uint32_t slot = flow->leg[side].edge;

		if (slot < flows->object->size[BH_MAP_bh_edges])
			flows->marking[slot / 8] |= (uint8_t)(1u << slot % 8);
	}
}

/* ---- Fragments ------------------------------------------------------------------------------ */

/* Those that still vouch for others; nobody removes the rest but who comes after them. */
static void count_fragments(struct bh_flows *flows)
{
	const struct bh_object *object = flows->object;
	uint32_t lifetime = object->config->hz * FRAGMENT_LIFETIME_S;
	struct bh_walk walk;
	struct bh_clock clock;
	uint64_t n = 0;

	if (bh_object_clock(flows->object, &clock) < 0 ||
		bh_walk_begin(&walk, object->map[BH_MAP_bh_fragments],
			sizeof(struct bh_fragment_key), sizeof(struct bh_fragment), SLICE) < 0)
		return;
	while (bh_walk_step(&walk) > 0) {
		for (uint32_t i = 0; i < walk.n; i++) {
			const struct bh_fragment *fragment = bh_walk_value(&walk, i);

			n += (uint32_t)clock.jiffies - fragment->seen <= lifetime;
		}
	}
	bh_walk_end(&walk);
	flows->fragments = n;
}

/* ---- Rounds --------------------------------------------------------------------------------- */

void bh_flows_set_reports(struct bh_flows *flows, struct bh_reports *reports)
{
	flows->reports = reports;
}

void bh_flows_begin(struct bh_flows *flows)
{
	struct bh_clock clock;

	if (flows->at < TABLES)
		return;
	if (flows->reports && bh_object_clock(flows->object, &clock) == 0)
		bh_reports_begin(flows->reports, clock.jiffies);
	flows->at = 0;
	flows->set = 0;
	memset(flows->counting, 0, sizeof(flows->counting));
	memset(flows->marking, 0, mark_bytes(flows->object));
}

static void end_round(struct bh_flows *flows)
{
	uint8_t *marked = flows->marked;

	flows->marked = flows->marking;
	flows->marking = marked;
	memcpy(flows->counted, flows->counting, sizeof(flows->counted));
	count_fragments(flows);
	if (flows->reports)
		bh_reports_end(flows->reports);
	flows->rounds++;
}

static void look_at(struct bh_flows *flows, struct bh_flow_table *table, uint32_t at,
	const struct bh_clock *clock)
{
	union bh_flow_key key;
	struct bh_flow flow;
	bool settled;

	if (!bh_flow_table_read(table, at, &key, &flow, &settled))
		return;
	mark_edges(flows, &flow);
	flows->counting[flows->at]++;
	if (is_expired(flows->object->config, &flow, clock->jiffies))
		end_flow(flows, table->family, at, &key, &flow, settled);
	else if (settled && flows->reports &&
		 bh_reports_due(flows->reports, table->family, &key, &flow) &&
		 is_told_of(flows, &flow))
		tell_active(flows, table->family, &key, &flow, clock);
}

bool bh_flows_step(struct bh_flows *flows)
{
	struct bh_flow_table *table;
	struct bh_clock clock;
	uint32_t end, read = 0;

	if (flows->at == TABLES)
		return false;
	/* No memory now: the next round's time goes on with this one. */
	if (bh_object_clock(flows->object, &clock) < 0)
		return false;
	table = &flows->object->flows[flows->at];
	end = table->n_sets - flows->set > SLICE ? flows->set + SLICE : table->n_sets;
	for (; flows->set < end && read < SLICE; flows->set++) {
		if (bh_flow_table_is_empty(table, flows->set))
			continue;
		read += BH_FLOW_WAYS;
		for (uint32_t way = 0; way < BH_FLOW_WAYS; way++)
			look_at(flows, table, flows->set * BH_FLOW_WAYS + way, &clock);
	}
	if (flows->set < table->n_sets)
		return true;
	flows->set = 0;
	bh_flow_table_rest(table);
	if (++flows->at == TABLES)
		end_round(flows);
	return flows->at < TABLES;
}

uint64_t bh_flows_rounds(const struct bh_flows *flows)
{
	return flows->rounds;
}

bool bh_flows_use_edge(const struct bh_flows *flows, uint32_t slot)
{
	return flows->marked[slot / 8] & 1u << slot % 8;
}

uint64_t bh_flows_count(const struct bh_flows *flows, enum bh_map map)
{
	if (map == BH_MAP_bh_flows4 || map == BH_MAP_bh_flows6)
		return flows->counted[map == BH_MAP_bh_flows6];
	return map == BH_MAP_bh_fragments ? flows->fragments : 0;
}
