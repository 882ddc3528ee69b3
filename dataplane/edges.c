/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/edges.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/events.h"
#include "dataplane/plan.h"
#include "dataplane/walk.h"
#include "proto/cleanup.h"

#define BATCH_EDGES 1024 /* at most 240 bytes each, packed */
#define BATCH_HELLOS 256 /* … and 512 more */
#define HELLO_PASSES 4   /* that the edge of a hello may take to show in the index */
#define READ_AT_ONCE 2048
#define QUIET_ROUNDS 2

/* What is known of one key of the index. */
struct known {
	struct bh_edge_ref ref;
	struct bh_edge sum;
	struct bh_edge_ref sent_ref;
	struct bh_edge sent;
	bool ever_sent;
	bool gone; /* to be told so once, then forgotten */
};

/*
 * A slot that no edge has any more, and that is not free yet. So that a restart does not forget it,
 * the index holds an entry for it under a key that no packet makes (marker_of()).
 */
struct resting {
	struct bh_edge_key key; /* of the edge it was; all zero if that is not known any more */
	struct bh_edge_ref ref;
	uint64_t round; /* the last one looked at */
	uint32_t quiet; /* rounds without a flow that names it */
};

struct hello {
	uint32_t passes; /* it has waited for */
	uint32_t length;
	uint8_t data[BH_HELLO_MAX];
};

struct bh_edges {
	struct bh_object *object;
	const struct bh_flows *flows;
	struct bh_table known;  /* struct bh_edge_key → struct known */
	struct bh_table hellos; /* slot → struct hello */
	struct resting *resting;
	size_t n_resting;
	uint8_t *cpus; /* one element over all CPUs */
	size_t cpus_size;
	uint32_t idle;
	bool adopted;  /* slots that rested before a restart have been found */
	bool complete; /* the pass to come sends everything, and says so */
	struct bh_times times;
	Bulkhead__Wire__Edge edges[BATCH_EDGES];
	Bulkhead__Wire__Edge *pointers[BATCH_EDGES];
	struct known *in_batch[BATCH_EDGES];
	size_t n;
	size_t n_hellos; /* of them with one */
};

static void edges_cleanup(struct bh_edges **edges)
{
	bh_edges_free(*edges);
}

int bh_edges_new(struct bh_object *object, const struct bh_flows *flows,
	struct bh_edges **ret_edges, struct bh_why *why)
{
	_cleanup_(edges_cleanup) struct bh_edges *edges = calloc(1, sizeof(*edges));
	long size = bh_percpu_size(sizeof(struct bh_edge));

	if (size < 0)
		return bh_fail(why, (int)size, "counting the CPUs: %s", strerror((int)-size));
	if (!edges)
		return -ENOMEM;
	edges->object = object;
	edges->flows = flows;
	edges->idle = BH_EDGE_IDLE_S;
	edges->cpus_size = (size_t)size;
	edges->cpus = calloc(1, edges->cpus_size);
	if (!edges->cpus)
		return -ENOMEM;
	bh_table_init(&edges->known, sizeof(struct bh_edge_key), sizeof(struct known));
	bh_table_init(&edges->hellos, sizeof(uint32_t), sizeof(struct hello));
	*ret_edges = bh_take_pointer(edges);
	return 0;
}

void bh_edges_free(struct bh_edges *edges)
{
	if (!edges)
		return;
	bh_table_clear(&edges->known);
	bh_table_clear(&edges->hellos);
	free(edges->resting);
	free(edges->cpus);
	free(edges);
}

void bh_edges_restart(struct bh_edges *edges)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	edges->complete = true;
	while (bh_table_next(&edges->known, &cursor, &key, &value))
		((struct known *)value)->ever_sent = false;
}

void bh_edges_set_idle(struct bh_edges *edges, uint32_t seconds)
{
	edges->idle = seconds;
}

size_t bh_edges_count(const struct bh_edges *edges)
{
	return edges->known.n;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* The lowest round-trip of the latest span: what a CPU says of an earlier one is history. */
static void add_trips(struct bh_edge *sum, const struct bh_edge *cpu, uint32_t span)
{
	int32_t later = (int32_t)(cpu->trip_since - sum->trip_since);

	if (!cpu->trips)
		return;
	if (!sum->trips || later > (int32_t)span ||
		(later >= -(int32_t)span && cpu->trip_min < sum->trip_min))
		sum->trip_min = cpu->trip_min;
	if (!sum->trips || later > 0)
		sum->trip_since = cpu->trip_since;
	sum->trips += cpu->trips;
	sum->trip_sum += cpu->trip_sum;
}

/* A flow only ever learns: first the protocol, then how it is encrypted; and gRPC is HTTP/2. */
static uint32_t how_much(const struct bh_edge *edge)
{
	return (edge->encrypted != 0) << 9 | (edge->tls != 0) << 8 | edge->app;
}

/*
 * What was found out last. A question and its answer may be seen by two CPUs within one jiffy: then
 * it is what says more.
 */
static void add_talk(struct bh_edge *sum, const struct bh_edge *cpu)
{
	int32_t later = (int32_t)(cpu->talked - sum->talked);

	if (!how_much(cpu))
		return;
	if (how_much(sum) && (later < 0 || (!later && how_much(cpu) < how_much(sum))))
		return;
	sum->talked = cpu->talked;
	sum->app = cpu->app;
	sum->encrypted = cpu->encrypted;
	sum->tls = cpu->tls || cpu->encrypted == BH_ENCRYPTED_NO ? cpu->tls : sum->tls;
}

void bh_edges_add(struct bh_edge *sum, const struct bh_edge *cpu, uint32_t span)
{
	for (int i = 0; i < 2; i++) {
		sum->packets[i] += cpu->packets[i];
		sum->octets[i] += cpu->octets[i];
	}
	sum->flows += cpu->flows;
	sum->resets += cpu->resets;
	sum->refusals += cpu->refusals;
	add_trips(sum, cpu, span);
	add_talk(sum, cpu);
	if (cpu->first && (!sum->first || cpu->first < sum->first))
		sum->first = cpu->first;
	if (cpu->last > sum->last)
		sum->last = cpu->last;
}

static int sum_slot(struct bh_edges *edges, uint32_t slot, struct bh_edge *ret_sum)
{
	uint32_t span = BH_TRIP_SPAN * edges->object->config->hz;
	struct bh_edge sum = {};
	int err = bpf_map_lookup_elem(edges->object->map[BH_MAP_bh_edges], &slot, edges->cpus);

	if (err < 0)
		return err;
	for (size_t at = 0; at < edges->cpus_size; at += sizeof(sum))
		bh_edges_add(&sum, (const void *)(edges->cpus + at), span);
	*ret_sum = sum;
	return 0;
}

static struct bh_edge_key marker_of(uint32_t slot)
{
	return (struct bh_edge_key){.local = UINT32_MAX, .remote = slot, .family = 0};
}

static bool is_marker(const struct bh_edge_key *key)
{
	return !key->family && key->local == UINT32_MAX;
}

static int rest(struct bh_edges *edges, const struct bh_edge_key *key, struct bh_edge_ref ref)
{
	struct resting *resting =
		bh_list_grow(edges->resting, edges->n_resting, sizeof(*edges->resting));

	if (!resting)
		return -ENOMEM;
	edges->resting = resting;
	edges->resting[edges->n_resting++] = (struct resting){
		.key = *key,
		.ref = ref,
		.round = bh_flows_rounds(edges->flows),
	};
	return 0;
}

/*
 * The index into `known`. An entry with slot 0 only counts the ports of its pair; it is kept as
 * well, for its count, and never sent.
 */
static void read_index(struct bh_edges *edges)
{
	struct bh_walk walk;

	if (bh_walk_begin(&walk, edges->object->map[BH_MAP_bh_edge_index],
		    sizeof(struct bh_edge_key), sizeof(struct bh_edge_ref), READ_AT_ONCE) < 0)
		return;
	while (bh_walk_step(&walk) > 0) {
		for (uint32_t i = 0; i < walk.n; i++) {
			const struct bh_edge_key *key = bh_walk_key(&walk, i);
			struct known *known;

			if (is_marker(key)) {
				if (!edges->adopted)
					rest(edges, &(struct bh_edge_key){},
						(struct bh_edge_ref){.slot = key->remote});
				continue;
			}
			known = bh_table_put(&edges->known, key, NULL);
			if (!known)
				continue; /* without memory it waits for the next pass */
			memcpy(&known->ref, bh_walk_value(&walk, i), sizeof(known->ref));
			known->gone = false;
			if (known->ref.slot)
				sum_slot(edges, known->ref.slot, &known->sum);
		}
	}
	bh_walk_end(&walk);
	edges->adopted = true;
}

/* ---- Sending -------------------------------------------------------------------------------- */

static int flush(struct bh_edges *edges, struct bh_wire *wire, bool complete)
{
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;
	int err = 0;

	if (!edges->n && !complete)
		return 0;
	batch.generation = edges->object->generation;
	batch.complete = complete;
	batch.edges = edges->pointers;
	batch.n_edges = edges->n;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_EDGES;
	envelope.edges = &batch;
	err = bh_wire_send(wire, &envelope);
	for (size_t i = 0; !err && i < edges->n; i++) {
		struct known *known = edges->in_batch[i];

		known->sent = known->sum;
		known->sent_ref = known->ref;
		known->ever_sent = true;
		bh_table_remove(&edges->hellos, &known->ref.slot);
	}
	edges->n = 0;
	edges->n_hellos = 0;
	return err;
}

static void fill(struct bh_edges *edges, const struct bh_edge_key *key, struct known *known)
{
	Bulkhead__Wire__Edge *edge = &edges->edges[edges->n];
	struct hello *hello = bh_table_get(&edges->hellos, &known->ref.slot);

	bulkhead__wire__edge__init(edge);
	edge->local = key->local;
	edge->remote = key->remote;
	edge->port = key->port;
	edge->protocol = key->protocol;
	edge->egress = key->direction == BH_EGRESS;
	edge->verdict = key->verdict;
	edge->pending = key->pending;
	edge->peer_local = key->flags & BH_EDGE_PEER_LOCAL;
	edge->family = key->family;
	edge->rule = known->ref.rule;
	edge->pending_rule = known->ref.pending_rule;
	edge->packets_out = known->sum.packets[0];
	edge->packets_in = known->sum.packets[1];
	edge->octets_out = known->sum.octets[0];
	edge->octets_in = known->sum.octets[1];
	edge->flows = known->sum.flows;
	edge->resets = known->sum.resets;
	edge->first_ns = bh_times_of_jiffies(&edges->times, known->sum.first);
	edge->last_ns = bh_times_of_jiffies(&edges->times, known->sum.last);
	edge->gone = known->gone;
	edge->refusals = known->sum.refusals;
	edge->trips = known->sum.trips;
	edge->trip_sum_us = known->sum.trip_sum;
	edge->trip_min_us = known->sum.trip_min;
	edge->app = known->sum.app;
	edge->encrypted = known->sum.encrypted;
	edge->tls = known->sum.tls;
	if (hello) {
		edge->hello = (ProtobufCBinaryData){hello->length, hello->data};
		edges->n_hellos++;
	}
	edges->pointers[edges->n] = edge;
	edges->in_batch[edges->n++] = known;
}

static bool has_news(const struct known *known)
{
	return known->ref.slot && (!known->ever_sent || known->gone ||
					  memcmp(&known->sum, &known->sent, sizeof(known->sum)) ||
					  known->ref.rule != known->sent_ref.rule ||
					  known->ref.pending_rule != known->sent_ref.pending_rule);
}

static bool has_hello(struct bh_edges *edges, const struct known *known)
{
	return known->ref.slot && bh_table_get(&edges->hellos, &known->ref.slot);
}

/* What does not get through has news the next time too. */
static int send_news(struct bh_edges *edges, struct bh_wire *wire)
{
	size_t cursor = 0;
	const void *key;
	void *value;
	int err = 0;

	edges->n = 0;
	edges->n_hellos = 0;
	while (!err && bh_table_next(&edges->known, &cursor, &key, &value)) {
		if (!has_news(value) && !has_hello(edges, value))
			continue;
		if (edges->n == BATCH_EDGES || edges->n_hellos == BATCH_HELLOS)
			err = flush(edges, wire, false);
		if (!err)
			fill(edges, key, value);
	}
	if (!err)
		err = flush(edges, wire, edges->complete);
	if (!err)
		edges->complete = false;
	return err;
}

/* ---- Hellos --------------------------------------------------------------------------------- */

void bh_edges_take_hello(void *data, const struct bh_hello *from)
{
	struct bh_edges *edges = data;
	struct hello *hello = bh_table_get(&edges->hellos, &from->edge);

	if (!hello && edges->hellos.n < BH_EDGE_HELLOS)
		hello = bh_table_put(&edges->hellos, &from->edge, NULL);
	if (!hello)
		return;
	hello->passes = 0;
	hello->length = from->length;
	memcpy(hello->data, from->data, from->length);
}

/* Those whose edge does not come, or that nobody takes, wait for a few passes. */
static void forget_hellos(struct bh_edges *edges)
{
	uint32_t old[64];
	size_t n = 0, cursor = 0;
	const void *key;
	void *value;

	while (bh_table_next(&edges->hellos, &cursor, &key, &value)) {
		if (++((struct hello *)value)->passes > HELLO_PASSES && n < 64)
			old[n++] = *(const uint32_t *)key;
	}
	for (size_t i = 0; i < n; i++)
		bh_table_remove(&edges->hellos, &old[i]);
}

/* ---- Slots that come back ------------------------------------------------------------------- */

static bool has_ports(const struct bh_edge_key *key)
{
	return key->port && (key->protocol == IPPROTO_TCP || key->protocol == IPPROTO_UDP ||
				    key->protocol == IPPROTO_SCTP);
}

/* One port less of its pair has an edge; a pair without ports and slot is forgotten. */
static void give_port_back(struct bh_edges *edges, const struct bh_edge_key *key)
{
	int fd = edges->object->map[BH_MAP_bh_edge_index];
	struct bh_edge_key pair = *key;
	struct bh_edge_ref ref;

	pair.port = 0;
	if (!has_ports(key) || bpf_map_lookup_elem(fd, &pair, &ref) < 0 || !ref.ports)
		return;
	ref.ports--;
	if (ref.ports || ref.slot) {
		bpf_map_update_elem(fd, &pair, &ref, BPF_EXIST);
		return;
	}
	bpf_map_delete_elem(fd, &pair);
	bh_table_remove(&edges->known, &pair);
}

static int retire(struct bh_edges *edges, const struct bh_edge_key *key, struct known *known)
{
	struct bh_edge_key marker = marker_of(known->ref.slot);
	int fd = edges->object->map[BH_MAP_bh_edge_index];
	int err = bpf_map_update_elem(fd, &marker, &known->ref, BPF_ANY);

	if (!err)
		err = rest(edges, key, known->ref);
	if (!err)
		err = bpf_map_delete_elem(fd, key);
	if (!err)
		known->gone = true;
	return err;
}

/* A pair's entry counts ports as long as there are any: it stays. */
static bool is_idle(
	const struct bh_edges *edges, const struct bh_edge_key *key, const struct known *known)
{
	uint64_t idle = (uint64_t)edges->idle * edges->times.hz;

	return known->ref.slot && !known->gone && !known->ref.ports &&
	       edges->times.jiffies > known->sum.last + idle &&
	       !bh_flows_use_edge(edges->flows, known->ref.slot);
}

static void retire_idle(struct bh_edges *edges)
{
	struct bh_edge_key retired[64];
	size_t n = 0, cursor = 0;
	const void *key;
	void *value;

	if (!bh_flows_rounds(edges->flows))
		return; /* nobody knows yet which edges have flows */
	while (n < 64 && bh_table_next(&edges->known, &cursor, &key, &value)) {
		if (is_idle(edges, key, value) && retire(edges, key, value) == 0)
			retired[n++] = *(const struct bh_edge_key *)key;
	}
	for (size_t i = 0; i < n; i++)
		give_port_back(edges, &retired[i]);
	/* What recalls an edge by its slot asks for it again. */
	if (n)
		bh_object_move_generation(edges->object);
}

/* Everybody has been told, or nobody is there to be. */
static void forget_gone(struct bh_edges *edges)
{
	struct bh_edge_key gone[64];
	size_t n = 0, cursor = 0;
	const void *key;
	void *value;

	while (n < 64 && bh_table_next(&edges->known, &cursor, &key, &value)) {
		if (((const struct known *)value)->gone)
			gone[n++] = *(const struct bh_edge_key *)key;
	}
	for (size_t i = 0; i < n; i++)
		bh_table_remove(&edges->known, &gone[i]);
}

static void drop_resting(struct bh_edges *edges, size_t i)
{
	struct bh_edge_key marker = marker_of(edges->resting[i].ref.slot);

	bpf_map_delete_elem(edges->object->map[BH_MAP_bh_edge_index], &marker);
	edges->resting[i] = edges->resting[--edges->n_resting];
}

static void wake(struct bh_edges *edges, size_t i)
{
	const struct resting *resting = &edges->resting[i];

	/* The key may have got another slot meanwhile: then this one waits for its flows to end. */
	if (resting->key.family && bpf_map_update_elem(edges->object->map[BH_MAP_bh_edge_index],
					   &resting->key, &resting->ref, BPF_NOEXIST) == 0)
		drop_resting(edges, i);
}

/* Killed between the last two steps we lose a slot; the other way round it would be given out
 * twice. */
static void hand_back(struct bh_edges *edges, size_t i)
{
	uint32_t slot = edges->resting[i].ref.slot;

	memset(edges->cpus, 0, edges->cpus_size);
	if (bpf_map_update_elem(edges->object->map[BH_MAP_bh_edges], &slot, edges->cpus, BPF_ANY) <
		0)
		return;
	drop_resting(edges, i);
	bpf_map_update_elem(edges->object->map[BH_MAP_bh_edge_free], NULL, &slot, BPF_ANY);
}

static void look_at_resting(struct bh_edges *edges)
{
	uint64_t round = bh_flows_rounds(edges->flows);

	for (size_t i = edges->n_resting; i-- > 0;) {
		struct resting *resting = &edges->resting[i];

		if (resting->round == round)
			continue;
		resting->round = round;
		if (bh_flows_use_edge(edges->flows, resting->ref.slot)) {
			resting->quiet = 0;
			wake(edges, i);
		} else if (++resting->quiet > QUIET_ROUNDS) {
			/* The first of them may have begun before the edge left the index. */
			hand_back(edges, i);
		}
	}
}

void bh_edges_pass(struct bh_edges *edges, struct bh_wire *wire)
{
	if (bh_times_now(edges->object, &edges->times) < 0)
		return;
	read_index(edges);
	retire_idle(edges);
	if (!wire || send_news(edges, wire) == 0)
		forget_gone(edges);
	forget_hellos(edges);
	look_at_resting(edges);
}
