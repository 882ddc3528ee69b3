/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/events.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/endpoints.h"
#include "dataplane/reports.h"
#include "proto/cleanup.h"

#define BATCH_RECORDS 1024
#define CONSUME_MAX 32768 /* records at once: the loop has other things to do */
/* An upper bound of one packed record without its uid: tags and full varints of every field. */
#define RECORD_BYTES 300

struct bh_events {
	struct bh_object *object;
	const struct bh_endpoints *endpoints;
	struct ring_buffer *ring;
	struct bh_reports *reports; /* or NULL */
	struct bh_wire *wire;
	struct bh_times times;
	void (*take_hello)(void *data, const struct bh_hello *hello);
	void *hello_data;
	int taken;
	/* Where the kernel writes and we read, in bytes since the ring was made; NULL where the
	 * kernel shows them to nobody. */
	const volatile unsigned long *written;
	const volatile unsigned long *read;
	size_t page;
	uint64_t waiting; /* the most since the last sum */
	uint64_t high;    /* … and between the two before */
	uint64_t lost;
	size_t n;
	size_t bytes;
	Bulkhead__Wire__Flow flows[BATCH_RECORDS];
	Bulkhead__Wire__Flow *pointers[BATCH_RECORDS];
	uint8_t ips[BATCH_RECORDS][32];
};

static void events_cleanup(struct bh_events **events)
{
	bh_events_free(*events);
}

/* ---- Times ---------------------------------------------------------------------------------- */

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int bh_times_now(struct bh_object *object, struct bh_times *ret_times)
{
	struct bh_clock clock;
	int err = bh_object_clock(object, &clock);

	if (err < 0)
		return err;
	*ret_times = (struct bh_times){
		.jiffies = clock.jiffies,
		.monotonic = clock.monotonic,
		.realtime = now_ns(CLOCK_REALTIME) - (now_ns(CLOCK_MONOTONIC) - clock.monotonic),
		.hz = object->config->hz,
	};
	return 0;
}

uint64_t bh_times_of_jiffies(const struct bh_times *times, uint64_t jiffies)
{
	int64_t ago = (int64_t)(times->jiffies - jiffies);

	return jiffies ? times->realtime - (uint64_t)(ago * (1000000000 / (int64_t)times->hz)) : 0;
}

uint64_t bh_times_of_monotonic(const struct bh_times *times, uint64_t ns)
{
	return times->realtime - (times->monotonic - ns);
}

/* ---- Records -------------------------------------------------------------------------------- */

/* Of a flow that ended, or lasts: what is spoken in it, and what was told of it before. */
static void fill_sums(
	const struct bh_events *events, Bulkhead__Wire__Flow *flow, const struct bh_event *event)
{
	struct bh_told before = {};

	flow->started_ns = bh_times_of_jiffies(&events->times, event->started);
	flow->app = event->talk & BH_TALK_APP_MASK;
	flow->encrypted = event->talk >> BH_TALK_ENCRYPTED_SHIFT;
	flow->tls = event->tls ? 0x0300u + event->tls - 1 : 0;
	flow->round_trip_us = event->trip_us;
	if (events->reports)
		bh_reports_tell(events->reports, event,
			flow->type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED, events->times.jiffies,
			&before);
	flow->told_ns = bh_times_of_jiffies(&events->times, before.jiffies);
	flow->told_packets_out = before.packets[0];
	flow->told_packets_in = before.packets[1];
	flow->told_octets_out = before.octets[0];
	flow->told_octets_in = before.octets[1];
}

static void fill(struct bh_events *events, size_t i, const struct bh_event *event,
	Bulkhead__Wire__FlowType type)
{
	Bulkhead__Wire__Flow *flow = &events->flows[i];
	size_t length = event->family == 4 ? 4 : event->family == 6 ? 16 : 0;

	bulkhead__wire__flow__init(flow);
	memcpy(events->ips[i], event->src, 16);
	memcpy(events->ips[i] + 16, event->dst, 16);
	flow->type = type;
	flow->time_ns = bh_times_of_monotonic(&events->times, event->time);
	flow->reason = event->reason;
	flow->pending = event->pending;
	flow->egress = event->direction == BH_EGRESS;
	flow->uid = (char *)bh_endpoints_uid(events->endpoints, event->slot);
	flow->local = event->local;
	flow->remote = event->remote;
	flow->rule = event->rule;
	flow->pending_rule = event->pending_rule;
	flow->src = (ProtobufCBinaryData){length, events->ips[i]};
	flow->dst = (ProtobufCBinaryData){length, events->ips[i] + 16};
	flow->sport = ntohs(event->sport);
	flow->dport = ntohs(event->dport);
	flow->protocol = event->protocol;
	flow->tcp_flags = event->tcp_flags;
	flow->flags = event->flags;
	flow->packets_out = event->packets[0];
	flow->packets_in = event->packets[1];
	flow->octets_out = event->octets[0];
	flow->octets_in = event->octets[1];
	flow->ethertype = event->ethertype;
	flow->hook = event->hook;
	if (event->type == BH_EVENT_CLOSED)
		fill_sums(events, flow, event);
	else
		flow->suppressed = event->suppressed;
	events->pointers[i] = flow;
	events->bytes += RECORD_BYTES + strlen(flow->uid);
}

static void flush(struct bh_events *events)
{
	Bulkhead__Wire__FlowBatch batch = BULKHEAD__WIRE__FLOW_BATCH__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	if (!events->n && !events->lost)
		return;
	batch.flows = events->pointers;
	batch.n_flows = events->n;
	batch.lost = events->lost;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_FLOWS;
	envelope.flows = &batch;
	if (!events->wire)
		events->lost = 0;
	else if (bh_wire_send(events->wire, &envelope) < 0)
		events->lost += events->n;
	else
		events->lost = 0;
	events->n = 0;
	events->bytes = 0;
}

static void add(
	struct bh_events *events, const struct bh_event *event, Bulkhead__Wire__FlowType type)
{
	if (events->n == BATCH_RECORDS || events->bytes >= BH_WIRE_PART_TARGET)
		flush(events);
	fill(events, events->n++, event, type);
}

void bh_events_add_closed(struct bh_events *events, const struct bh_event *event)
{
	add(events, event, BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED);
}

void bh_events_add_active(struct bh_events *events, const struct bh_event *event)
{
	add(events, event, BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE);
}

void bh_events_set_reports(struct bh_events *events, struct bh_reports *reports)
{
	events->reports = reports;
}

void bh_events_set_hello(struct bh_events *events,
	void (*take)(void *data, const struct bh_hello *hello), void *data)
{
	events->take_hello = take;
	events->hello_data = data;
}

static void on_hello(struct bh_events *events, const struct bh_hello *hello, size_t size)
{
	if (events->take_hello && hello->length <= BH_HELLO_MAX &&
		size >= offsetof(struct bh_hello, data) + hello->length)
		events->take_hello(events->hello_data, hello);
}

static int on_record(void *arg, void *data, size_t size)
{
	struct bh_events *events = arg;
	const struct bh_event *event = data;

	if (size >= offsetof(struct bh_hello, data) && event->type == BH_EVENT_HELLO)
		on_hello(events, data, size);
	else if (size >= sizeof(*event) && event->type && event->type < BH_EVENT_TYPES)
		add(events, event, (Bulkhead__Wire__FlowType)event->type);
	/* Anything negative ends the round; the ring goes on from the next record. */
	return ++events->taken >= CONSUME_MAX ? -EAGAIN : 0;
}

/* ---- The ring ------------------------------------------------------------------------------- */

static const volatile unsigned long *map_position(int fd, size_t page, off_t offset)
{
	void *memory = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, offset);

	return memory == MAP_FAILED ? NULL : memory;
}

/* The kernel's documented layout: a page of the reader's position, a page of the writer's. */
static void map_positions(struct bh_events *events)
{
	int fd = events->object->map[BH_MAP_bh_events];

	events->page = (size_t)sysconf(_SC_PAGESIZE);
	events->read = map_position(fd, events->page, 0);
	events->written = map_position(fd, events->page, (off_t)events->page);
}

static void unmap_positions(struct bh_events *events)
{
	if (events->read)
		munmap((void *)events->read, events->page);
	if (events->written)
		munmap((void *)events->written, events->page);
}

static void note_waiting(struct bh_events *events)
{
	uint64_t waiting;

	if (!events->read || !events->written)
		return;
	waiting = *events->written - *events->read;
	if (waiting > events->waiting)
		events->waiting = waiting;
}

uint64_t bh_events_high(const struct bh_events *events)
{
	return events->high > events->waiting ? events->high : events->waiting;
}

void bh_events_sum_up(struct bh_events *events)
{
	events->high = events->waiting;
	events->waiting = 0;
}

int bh_events_new(struct bh_object *object, const struct bh_endpoints *endpoints,
	struct bh_events **ret_events, struct bh_why *why)
{
	_cleanup_(events_cleanup) struct bh_events *events = calloc(1, sizeof(*events));

	if (!events)
		return -ENOMEM;
	events->object = object;
	events->endpoints = endpoints;
	events->ring = ring_buffer__new(object->map[BH_MAP_bh_events], on_record, events, NULL);
	if (!events->ring)
		return bh_fail(why, -errno, "the event ring: %s", strerror(errno));
	if (bh_times_now(object, &events->times) < 0)
		return bh_fail(why, -EIO, "reading the kernel's clock failed");
	map_positions(events);
	*ret_events = bh_take_pointer(events);
	return 0;
}

void bh_events_free(struct bh_events *events)
{
	if (!events)
		return;
	unmap_positions(events);
	ring_buffer__free(events->ring);
	free(events);
}

int bh_events_consume(struct bh_events *events, struct bh_wire *wire)
{
	events->wire = wire;
	events->taken = 0;
	bh_times_now(events->object, &events->times); /* else the last ones will do */
	note_waiting(events);
	ring_buffer__consume(events->ring);
	flush(events);
	return events->taken;
}
