/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/status.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "dataplane/pressure.h"
#include "dataplane/walk.h"
#include "proto/cleanup.h"

/* ---- Counters ------------------------------------------------------------------------------- */

static const struct {
	uint32_t number;
	const char *word;
} reasons[] = {
#define BH_REASON_ROW(name, number, kind, word, sentence) {number, word},
	BH_REASONS(BH_REASON_ROW)
#undef BH_REASON_ROW
};
#define REASONS (sizeof(reasons) / sizeof(reasons[0]))

static const struct {
	uint32_t counter;
	const char *word;
} losses[] = {
	{BH_COUNTER_EVENTS_LOST + BH_EVENT_NEW, "events-lost-new"},
	{BH_COUNTER_EVENTS_LOST + BH_EVENT_CLOSED, "events-lost-closed"},
	{BH_COUNTER_EVENTS_LOST + BH_EVENT_DENIED, "events-lost-denied"},
	{BH_COUNTER_EVENTS_LOST + BH_EVENT_WOULD_DENY, "events-lost-would-deny"},
	{BH_COUNTER_EVENTS_SUPPRESSED + BH_EVENT_DENIED, "events-suppressed-denied"},
	{BH_COUNTER_EVENTS_SUPPRESSED + BH_EVENT_WOULD_DENY, "events-suppressed-would-deny"},
	{BH_COUNTER_EDGE_OVERFLOW, "edge-overflow"},
	{BH_COUNTER_FLOW_INSERT_FAILED, "flow-insert-failed"},
	{BH_COUNTER_FLOW_EVICTED, "flow-evicted"},
};
#define LOSSES (sizeof(losses) / sizeof(losses[0]))

static int read_counters(const struct bh_object *object, uint64_t ret_counters[BH_COUNTERS])
{
	long size = bh_percpu_size(sizeof(uint64_t));
	_cleanup_free_ uint64_t *cpus = size > 0 ? calloc(1, (size_t)size) : NULL;

	if (!cpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < BH_COUNTERS; i++) {
		int err = bpf_map_lookup_elem(object->map[BH_MAP_bh_counters], &i, cpus);

		if (err < 0)
			return err;
		ret_counters[i] = 0;
		for (size_t cpu = 0; cpu < (size_t)size / sizeof(uint64_t); cpu++)
			ret_counters[i] += cpus[cpu];
	}
	return 0;
}

struct counters {
	Bulkhead__Wire__Counter list[REASONS + LOSSES];
	Bulkhead__Wire__Counter *drops[REASONS];
	Bulkhead__Wire__Counter *passes[REASONS];
	Bulkhead__Wire__Counter *losses[LOSSES];
	size_t n_drops;
	size_t n_passes;
};

/* Reasons that never were are left out, losses are not: zero says something there. */
static void fill_counters(struct counters *counters, const uint64_t *values)
{
	Bulkhead__Wire__Counter *counter = counters->list;

	for (size_t i = 0; i < REASONS; i++) {
		if (!values[reasons[i].number])
			continue;
		bulkhead__wire__counter__init(counter);
		counter->name = (char *)reasons[i].word;
		counter->value = values[reasons[i].number];
		if (BH_REASON_PASSES(reasons[i].number))
			counters->passes[counters->n_passes++] = counter++;
		else
			counters->drops[counters->n_drops++] = counter++;
	}
	for (size_t i = 0; i < LOSSES; i++) {
		bulkhead__wire__counter__init(counter);
		counter->name = (char *)losses[i].word;
		counter->value = values[losses[i].counter];
		counters->losses[i] = counter++;
	}
}

/* ---- Putting it together -------------------------------------------------------------------- */

struct lists {
	Bulkhead__Wire__EndpointStatus *endpoints;
	Bulkhead__Wire__EndpointStatus **endpoint_pointers;
	Bulkhead__Wire__Problem problems[BH_PROBLEMS_MAX + 1];
	Bulkhead__Wire__Problem *problem_pointers[BH_PROBLEMS_MAX + 1];
	Bulkhead__Wire__MapPressure maps[BH_PRESSURES];
	Bulkhead__Wire__MapPressure *map_pointers[BH_PRESSURES];
	ProtobufCBinaryData *host;
	Bulkhead__Wire__Held *held;
	Bulkhead__Wire__Held **held_pointers;
	ProtobufCBinaryData *held_ips; /* four for each */
	char **leaving;
	size_t n_leaving;
	struct counters counters;
	char dropped[96];
};

static void lists_cleanup(struct lists **lists)
{
	if (!*lists)
		return;
	free((*lists)->endpoints);
	free((*lists)->endpoint_pointers);
	free((*lists)->host);
	free((*lists)->held);
	free((*lists)->held_pointers);
	free((*lists)->held_ips);
	free((*lists)->leaving);
	free(*lists);
}

static int list_endpoints(
	const struct bh_status_sources *s, struct lists *lists, Bulkhead__Wire__Status *status)
{
	size_t n = s->endpoints->n_pods;

	lists->endpoints = calloc(n + 1, sizeof(*lists->endpoints));
	lists->endpoint_pointers = calloc(n + 1, sizeof(*lists->endpoint_pointers));
	if (!lists->endpoints || !lists->endpoint_pointers)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct bh_pod *pod = &s->endpoints->pods[i];
		Bulkhead__Wire__EndpointStatus *entry = &lists->endpoints[i];

		bulkhead__wire__endpoint_status__init(entry);
		entry->uid = pod->wanted.uid;
		entry->state = pod->state;
		entry->detail = pod->detail;
		if (pod->slot) {
			entry->ifindex = pod->place.ifindex;
			entry->interface = pod->place.name;
			entry->hook = pod->hook;
		}
		lists->endpoint_pointers[i] = entry;
	}
	status->n_endpoints = n;
	status->endpoints = lists->endpoint_pointers;
	return 0;
}

static void list_problems(
	const struct bh_status_sources *s, struct lists *lists, Bulkhead__Wire__Status *status)
{
	size_t n = 0;

	for (size_t i = 0; i <= s->problems->n; i++) {
		Bulkhead__Wire__Problem *problem = &lists->problems[n];
		bool more = i == s->problems->n;

		if (more && !s->problems->dropped)
			break;
		bulkhead__wire__problem__init(problem);
		problem->code = more ? (char *)"more-problems" : s->problems->list[i].code;
		problem->object = more ? (char *)"status" : s->problems->list[i].object;
		problem->text = more ? lists->dropped : s->problems->list[i].text;
		lists->problem_pointers[n++] = problem;
	}
	snprintf(lists->dropped, sizeof(lists->dropped), "there are more problems than %d",
		BH_PROBLEMS_MAX);
	status->n_problems = n;
	status->problems = lists->problem_pointers;
}

static void list_maps(
	const struct bh_status_sources *s, struct lists *lists, Bulkhead__Wire__Status *status)
{
	struct bh_pressure pressures[BH_PRESSURES];

	bh_pressure_measure(s, pressures);
	for (size_t i = 0; i < BH_PRESSURES; i++) {
		bulkhead__wire__map_pressure__init(&lists->maps[i]);
		lists->maps[i].map = (char *)bh_map_name(pressures[i].map);
		lists->maps[i].entries = pressures[i].entries;
		lists->maps[i].max = pressures[i].max;
		lists->map_pointers[i] = &lists->maps[i];
	}
	status->n_maps = BH_PRESSURES;
	status->maps = lists->map_pointers;
}

static int list_host_addresses(
	const struct bh_status_sources *s, struct lists *lists, Bulkhead__Wire__Status *status)
{
	const struct bh_host_address *addresses;
	size_t n = bh_discovery_host_addresses(s->discovery, &addresses);

	lists->host = calloc(n + 1, sizeof(*lists->host));
	if (!lists->host)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		lists->host[i] = (ProtobufCBinaryData){
			.len = addresses[i].family == 4 ? 4 : 16,
			.data = (uint8_t *)addresses[i].ip,
		};
	status->n_host_addresses = n;
	status->host_addresses = lists->host;
	return 0;
}

static void fill_held(
	Bulkhead__Wire__Held *entry, ProtobufCBinaryData *ips, const struct bh_held *held)
{
	bulkhead__wire__held__init(entry);
	entry->interface = (char *)held->place.name;
	entry->ifindex = held->place.ifindex;
	entry->ms = bh_now_ms() - held->since_ms;
	entry->overdue = held->overdue;
	entry->ips = ips;
	for (uint8_t i = 0; i < held->addresses.n4; i++)
		ips[entry->n_ips++] = (ProtobufCBinaryData){
			.len = 4,
			.data = (uint8_t *)held->addresses.ip4[i],
		};
	for (uint8_t i = 0; i < held->addresses.n6; i++)
		ips[entry->n_ips++] = (ProtobufCBinaryData){
			.len = 16,
			.data = (uint8_t *)held->addresses.ip6[i],
		};
}

static int list_held(
	const struct bh_status_sources *s, struct lists *lists, Bulkhead__Wire__Status *status)
{
	size_t n = s->hold ? s->hold->n : 0;

	lists->held = calloc(n + 1, sizeof(*lists->held));
	lists->held_pointers = calloc(n + 1, sizeof(*lists->held_pointers));
	lists->held_ips = calloc(n + 1, 4 * sizeof(*lists->held_ips));
	if (!lists->held || !lists->held_pointers || !lists->held_ips)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!s->hold->list[i].slot)
			continue; /* only watched */
		fill_held(&lists->held[i], &lists->held_ips[4 * i], &s->hold->list[i]);
		lists->held_pointers[status->n_held++] = &lists->held[i];
	}
	status->held = lists->held_pointers;
	status->holds = s->hold ? s->hold->total : 0;
	return 0;
}

static void count_device(uint32_t ifindex, const char *name, void *arg)
{
	(*(size_t *)arg)++;
}

static void list_device(uint32_t ifindex, const char *name, void *arg)
{
	struct lists *lists = arg;

	lists->leaving[lists->n_leaving++] = (char *)name;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_leaving(
	const struct bh_status_sources *s, struct lists *lists, Bulkhead__Wire__Status *status)
{
	size_t n = 0;

	bh_attach_devices(s->attach, count_device, &n);
	lists->leaving = calloc(n + 1, sizeof(*lists->leaving));
	if (!lists->leaving)
		return -ENOMEM;
	bh_attach_devices(s->attach, list_device, lists);
	if (n)
		qsort(lists->leaving, n, sizeof(*lists->leaving), compare_names);
	status->n_leaving = n;
	status->leaving = lists->leaving;
	return 0;
}

int bh_status_send(const struct bh_status_sources *s, uint64_t applied, struct bh_wire *wire)
{
	_cleanup_(lists_cleanup) struct lists *lists = calloc(1, sizeof(*lists));
	Bulkhead__Wire__Status status = BULKHEAD__WIRE__STATUS__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;
	uint64_t values[BH_COUNTERS];
	struct utsname kernel = {};
	int err = lists ? 0 : -ENOMEM;

	if (!err)
		err = read_counters(s->object, values);
	if (!err)
		err = list_endpoints(s, lists, &status);
	if (!err)
		err = list_host_addresses(s, lists, &status);
	if (!err)
		err = list_held(s, lists, &status);
	if (!err)
		err = list_leaving(s, lists, &status);
	if (err < 0)
		return err;
	uname(&kernel);
	list_problems(s, lists, &status);
	list_maps(s, lists, &status);
	fill_counters(&lists->counters, values);
	status.applied = applied;
	status.attach = (char *)bh_attach_kind(s->attach);
	status.kernel = kernel.release;
	status.n_drops = lists->counters.n_drops;
	status.drops = lists->counters.drops;
	status.n_passes = lists->counters.n_passes;
	status.passes = lists->counters.passes;
	status.n_losses = LOSSES;
	status.losses = lists->counters.losses;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_STATUS;
	envelope.status = &status;
	return bh_wire_send(wire, &envelope);
}
