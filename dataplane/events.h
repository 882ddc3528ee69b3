/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_EVENTS_H
#define BULKHEAD_DATAPLANE_EVENTS_H

/*
 * The kernel's event ring into FlowBatches. Nobody is woken by the kernel; the owner looks in every
 * so often. What cannot be passed on (no controller, its queue is full) is dropped and counted.
 */

#include <stdint.h>

#include "bulkhead.pb-c.h"
#include "dataplane/object.h"
#include "proto/wire.h"

struct bh_endpoints;
struct bh_reports;
struct bh_events;

/* All three must outlive the events. Returns 0 or -errno. */
int bh_events_new(struct bh_object *object, const struct bh_endpoints *endpoints,
	struct bh_events **ret_events, struct bh_why *why);
void bh_events_free(struct bh_events *events);

/*
 * Takes what the ring has, up to a bound, and sends it to `wire` (NULL: nobody is there, and what
 * is taken is lost without being counted: a controller that comes later begins with now). Returns
 * how many records there were.
 */
int bh_events_consume(struct bh_events *events, struct bh_wire *wire);

/* The most bytes that waited in the ring when it was looked into, between the last two sums. */
uint64_t bh_events_high(const struct bh_events *events);
void bh_events_sum_up(struct bh_events *events);

/*
 * Queues a record that did not come from the ring, for the next consume: of a flow that ended, or
 * of one that lasts.
 */
void bh_events_add_closed(struct bh_events *events, const struct bh_event *event);
void bh_events_add_active(struct bh_events *events, const struct bh_event *event);

/* Who knows what was told of flows before; until then nothing was. Must outlive the events. */
void bh_events_set_reports(struct bh_events *events, struct bh_reports *reports);

/* Who gets what TLS clients say first; until then nobody. */
void bh_events_set_hello(struct bh_events *events,
	void (*take)(void *data, const struct bh_hello *hello), void *data);

/* What clocks say now, to turn the kernel's times into CLOCK_REALTIME. */
struct bh_times {
	uint64_t jiffies;
	uint64_t monotonic;
	uint64_t realtime;
	uint32_t hz;
};
int bh_times_now(struct bh_object *object, struct bh_times *ret_times);
uint64_t bh_times_of_jiffies(const struct bh_times *times, uint64_t jiffies);
uint64_t bh_times_of_monotonic(const struct bh_times *times, uint64_t ns);

#endif
