/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/history/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "proto/cleanup.h"

/* More counters than a kernel is ever made to hold; beyond it those that are gone are forgotten. */
#define COUNTERS_MAX 262144
/* Rows that wait for a hand-over. Fifteen seconds make some thousands. */
#define ROWS_MAX 262144
#define PODS_MAX 131072
/* Addresses outside that one pod speaks with at one port before they are counted in blocks. */
#define FAN 64
/* A counter's beginning, told by jiffies, is the same within this. */
#define SAME_NS 2000000000ull

struct counter {
	struct bh_counter c;
	bool dirty;
};

struct pod_entry {
	struct bh_history_pod pod;
	char key[];
};

/* How many addresses outside were counted one by one, per pod, port and side. */
struct fan {
	unsigned int n;
	char key[];
};

/* A name that was handed over. */
struct told {
	uint32_t number;
};

struct bh_recorder {
	struct bh_table counters; /* bh_counter_key → counter */
	uint64_t generation;
	struct bh_table rows; /* bh_history_key → bh_history_edge */
	struct bh_table pods; /* text → pod_entry */
	struct bh_table fans; /* text → fan */
	uint64_t lost;        /* records, since the last hand-over */
	uint64_t log_lost;    /* what the log said last */
	uint64_t kernel_lost;
	bool kernel_said; /* how many it has lost */
	uint64_t dropped;
	struct bh_table workloads; /* number → told */
	struct bh_table rules;
	bool forgot; /* the names that were told */
	/* To be handed over. */
	struct bh_arena new_names;
	size_t n_workloads, workloads_room;
	struct bh_workload_name *new_workloads;
	size_t n_rules, rules_room;
	struct bh_rule_label *new_rules;
};

struct bh_recorder *bh_recorder_new(void)
{
	return bh_xcalloc(1, sizeof(struct bh_recorder));
}

static void free_all(struct bh_table *table)
{
	void *value;

	for (size_t at = 0; (value = bh_table_next(table, &at));)
		free(value);
	bh_table_clear(table);
}

void bh_recorder_free(struct bh_recorder *recorder)
{
	if (!recorder)
		return;
	free_all(&recorder->counters);
	free_all(&recorder->rows);
	free_all(&recorder->pods);
	free_all(&recorder->fans);
	free_all(&recorder->workloads);
	free_all(&recorder->rules);
	bh_arena_clear(&recorder->new_names);
	free(recorder->new_workloads);
	free(recorder->new_rules);
	free(recorder);
}

uint64_t bh_recorder_dropped(const struct bh_recorder *recorder)
{
	return recorder->dropped;
}

/* ---- Counters -------------------------------------------------------------------------------- */

static void forget_gone(struct bh_recorder *recorder)
{
	struct counter **gone = NULL, *counter;
	size_t n = 0, capacity = 0;

	for (size_t at = 0; (counter = bh_table_next(&recorder->counters, &at));) {
		if (!counter->c.gone || counter->dirty)
			continue;
		bh_xgrow(gone, n, capacity);
		gone[n++] = counter;
	}
	for (size_t i = 0; i < n; i++) {
		bh_table_remove(&recorder->counters, &gone[i]->c.key, sizeof(gone[i]->c.key));
		free(gone[i]);
	}
	free(gone);
}

/* NULL: there is no room. */
static struct counter *counter_at(struct bh_recorder *recorder, const struct bh_counter_key *key)
{
	struct counter *counter = bh_table_get(&recorder->counters, key, sizeof(*key));

	if (counter)
		return counter;
	if (recorder->counters.n >= COUNTERS_MAX)
		forget_gone(recorder);
	if (recorder->counters.n >= COUNTERS_MAX)
		return NULL;
	counter = bh_xcalloc(1, sizeof(*counter));
	counter->c.key = *key;
	bh_table_put(&recorder->counters, &counter->c.key, sizeof(counter->c.key), counter);
	return counter;
}

static struct bh_counter counter_of(
	const Bulkhead__Wire__Edge *edge, uint64_t real_ns, uint64_t mono_ns)
{
	return (struct bh_counter){
		.key =
			{
				.local = edge->local,
				.remote = edge->remote,
				.port = (uint16_t)edge->port,
				.protocol = (uint8_t)edge->protocol,
				.egress = edge->egress,
				.verdict = (uint8_t)edge->verdict,
				.pending = (uint8_t)edge->pending,
				.peer_local = edge->peer_local,
				.family = (uint8_t)edge->family,
			},
		.packets = {edge->packets_out, edge->packets_in},
		.octets = {edge->octets_out, edge->octets_in},
		.flows = edge->flows,
		.resets = edge->resets,
		.refusals = edge->refusals,
		.rtt_sum_us = edge->trip_sum_us,
		.rtt_n = edge->trips,
		/* May be before the clock's zero, seen from a clock that was set: still one value.
		 */
		.first_mono = edge->first_ns - real_ns + mono_ns,
		.seen_s = real_ns / 1000000000,
		.gone = edge->gone,
	};
}

bool bh_counter_goes_on(const struct bh_counter *before, const struct bh_counter *now)
{
	uint64_t apart = now->first_mono - before->first_mono;

	if (apart > SAME_NS && 0 - apart > SAME_NS)
		return false;
	for (int i = 0; i < 2; i++) {
		if (now->packets[i] < before->packets[i] || now->octets[i] < before->octets[i])
			return false;
	}
	return now->flows >= before->flows && now->resets >= before->resets &&
	       now->refusals >= before->refusals && now->rtt_n >= before->rtt_n &&
	       now->rtt_sum_us >= before->rtt_sum_us;
}

/* What of it is not recorded yet, from the client's point of view. */
static struct bh_history_counts news(const struct bh_counter *before, const struct bh_counter *now)
{
	static const struct bh_counter nothing;
	const struct bh_counter *base = bh_counter_goes_on(before, now) ? before : &nothing;
	/* The client's end sends the client's packets, the server's end receives them. */
	int client = now->key.egress ? 0 : 1;
	struct bh_history_counts counts = {
		.flows = now->flows - base->flows,
		.resets = now->resets - base->resets,
		.refusals = now->refusals - base->refusals,
	};

	for (int i = 0; i < 2; i++) {
		int side = i == 0 ? client : 1 - client;

		counts.packets[i] = now->packets[side] - base->packets[side];
		counts.octets[i] = now->octets[side] - base->octets[side];
	}
	return counts;
}

/* What is spoken, and the round-trips that are not recorded yet. */
static struct bh_talk talk_news(const Bulkhead__Wire__Edge *edge, const struct bh_counter *before,
	const struct bh_counter *now)
{
	static const struct bh_counter nothing;
	const struct bh_counter *base = bh_counter_goes_on(before, now) ? before : &nothing;
	struct bh_talk talk;

	bh_talk_of_edge(edge, &talk);
	talk.rtt_n = now->rtt_n - base->rtt_n;
	talk.rtt_sum_us = now->rtt_sum_us - base->rtt_sum_us;
	if (!talk.rtt_n)
		talk.rtt_min_us = 0;
	return talk;
}

static bool is_nothing(const struct bh_history_counts *counts)
{
	return !(counts->packets[0] | counts->packets[1] | counts->octets[0] | counts->octets[1] |
		 counts->flows | counts->resets | counts->refusals);
}

static bool add_row(struct bh_recorder *recorder, const Bulkhead__Wire__Edge *edge,
	const struct bh_history_counts *counts, const struct bh_talk *talk)
{
	const struct bh_history_key key = {
		.client = edge->egress ? edge->local : edge->remote,
		.server = edge->egress ? edge->remote : edge->local,
		.rule = edge->rule,
		.pending_rule = edge->pending_rule,
		.port = (uint16_t)edge->port,
		.protocol = (uint8_t)edge->protocol,
		.egress = edge->egress,
		.verdict = (uint8_t)edge->verdict,
		.pending = (uint8_t)edge->pending,
		.family = (uint8_t)edge->family,
		.peer_local = edge->peer_local,
	};
	struct bh_history_edge *row = bh_table_get(&recorder->rows, &key, sizeof(key));

	if (!row) {
		if (recorder->rows.n >= ROWS_MAX)
			return false;
		row = bh_xcalloc(1, sizeof(*row));
		row->key = key;
		bh_table_put(&recorder->rows, &row->key, sizeof(row->key), row);
	}
	bh_history_add_counts(&row->counts, counts);
	bh_history_add_talk(&row->talk, talk);
	return true;
}

static void record_edge(struct bh_recorder *recorder, const Bulkhead__Wire__Edge *edge,
	uint64_t real_ns, uint64_t mono_ns)
{
	struct bh_counter now = counter_of(edge, real_ns, mono_ns);
	struct counter *counter = counter_at(recorder, &now.key);
	struct bh_history_counts counts;
	struct bh_talk talk;
	bool begun = false;

	if (!counter) {
		recorder->dropped++;
		return;
	}
	counts = news(&counter->c, &now);
	talk = talk_news(edge, &counter->c, &now);
	begun = !bh_counter_goes_on(&counter->c, &now) || !counter->c.first_mono;
	if (is_nothing(&counts) && !talk.sni[0] && counter->c.gone == now.gone && !begun)
		return;
	if (!is_nothing(&counts) || talk.sni[0]) {
		/* The first packet counted here: the edge's own only where all of it is new. */
		counts.first_ns = begun ? edge->first_ns : edge->last_ns;
		counts.last_ns = edge->last_ns;
		if (!add_row(recorder, edge, &counts, &talk)) {
			/* Not marked as recorded: the next report of it brings it again. */
			recorder->dropped++;
			return;
		}
	}
	counter->c = now;
	counter->dirty = true;
}

void bh_recorder_edges(struct bh_recorder *recorder, const Bulkhead__Wire__EdgeBatch *batch,
	uint64_t real_ns, uint64_t mono_ns)
{
	if (batch->generation != recorder->generation) {
		free_all(&recorder->counters);
		recorder->generation = batch->generation;
	}
	for (size_t i = 0; i < batch->n_edges; i++)
		record_edge(recorder, batch->edges[i], real_ns, mono_ns);
}

/* ---- Conversations of pods ------------------------------------------------------------------- */

/* The block of an address that is no pod's: the more of them there are, the wider. */
static void name_outside(struct bh_recorder *recorder, const struct bh_ip *ip, const char *fan_key,
	char ret_name[BH_PREFIX_TEXT_MAX])
{
	static const uint8_t bits[2][4] = {{32, 24, 16, 0}, {128, 64, 32, 0}};
	struct fan *fan = bh_table_get(&recorder->fans, fan_key, strlen(fan_key));
	unsigned int tier = fan ? fan->n / FAN : 0;
	struct bh_ip masked = *ip;
	char text[BH_IP_TEXT_MAX];
	uint8_t length = bits[ip->family == 6][tier < 3 ? tier : 3];

	bh_ip_mask(&masked, length);
	snprintf(ret_name, BH_PREFIX_TEXT_MAX, "%s/%u", bh_ip_format(&masked, text), length);
}

static void widen(struct bh_recorder *recorder, const char *key)
{
	size_t size = strlen(key);
	struct fan *fan = bh_table_get(&recorder->fans, key, size);

	if (!fan) {
		fan = bh_xcalloc(1, sizeof(*fan) + size + 1);
		memcpy(fan->key, key, size);
		bh_table_put(&recorder->fans, fan->key, size, fan);
	}
	fan->n++;
}

static bool is_outside(const struct bh_flow_end *end)
{
	return !end->pod[0] && end->ip.family;
}

static struct pod_entry *new_pod(
	struct bh_recorder *recorder, const char *key, const struct bh_history_pod *like)
{
	const char *texts[4] = {
		like->client_namespace, like->client_pod, like->server_namespace, like->server_pod};
	const char *copies[4];
	size_t room = strlen(key) + 1;
	struct pod_entry *entry;
	char *at;

	for (int i = 0; i < 4; i++)
		room += strlen(texts[i]) + 1;
	entry = bh_xcalloc(1, sizeof(*entry) + room);
	at = stpcpy(entry->key, key) + 1;
	for (int i = 0; i < 4; i++) {
		copies[i] = at;
		at = stpcpy(at, texts[i]) + 1;
	}
	entry->pod = *like;
	entry->pod.client_namespace = copies[0];
	entry->pod.client_pod = copies[1];
	entry->pod.server_namespace = copies[2];
	entry->pod.server_pod = copies[3];
	bh_table_put(&recorder->pods, entry->key, strlen(entry->key), entry);
	return entry;
}

static void count_record(struct bh_history_pod *pod, const struct bh_flow_record *record)
{
	const struct bh_flow_delta delta = bh_flow_delta(record);

	switch (record->type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW:
		pod->began++;
		break;
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE:
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED:
		pod->ended += record->type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED;
		for (int i = 0; i < 2; i++) {
			pod->packets[i] += delta.packets[i];
			pod->octets[i] += delta.octets[i];
		}
		break;
	default:
		pod->denials += 1 + (uint64_t)record->suppressed;
	}
	if (!pod->first_ns || record->time_ns < pod->first_ns)
		pod->first_ns = record->time_ns;
	if (record->time_ns > pod->last_ns)
		pod->last_ns = record->time_ns;
}

/* False: there is no room for it. */
static bool record_flow(struct bh_recorder *recorder, const struct bh_flow_record *record)
{
	const struct bh_flow_end *ends[2] = {&record->src, &record->dst};
	char outside[2][BH_PREFIX_TEXT_MAX] = {"", ""};
	_cleanup_free_ char *fan_key = NULL;
	_cleanup_free_ char *key = NULL;
	struct pod_entry *entry;
	struct bh_history_pod pod = {
		.client = record->src.workload,
		.server = record->dst.workload,
		.client_namespace = record->src.namespace,
		.server_namespace = record->dst.namespace,
		.protocol = record->protocol,
		.port = record->dst.port,
		.verdict = record->verdict,
	};

	if (!record->src.ip.family)
		return true; /* a frame without addresses is nobody's conversation */
	fan_key = bh_xasprintf("%d\n%s\n%s\n%s\n%s\n%u\n%u", record->verdict, record->src.namespace,
		record->src.pod, record->dst.namespace, record->dst.pod, record->protocol,
		record->dst.port);
	for (int i = 0; i < 2; i++) {
		if (is_outside(ends[i]))
			name_outside(recorder, &ends[i]->ip, fan_key, outside[i]);
	}
	pod.client_pod = is_outside(ends[0]) ? outside[0] : record->src.pod;
	pod.server_pod = is_outside(ends[1]) ? outside[1] : record->dst.pod;
	key = bh_xasprintf(
		"%s\n%s\n%s\n%u\n%u", fan_key, outside[0], outside[1], pod.client, pod.server);
	entry = bh_table_get(&recorder->pods, key, strlen(key));
	if (!entry) {
		if (recorder->pods.n >= PODS_MAX)
			return false;
		entry = new_pod(recorder, key, &pod);
		if (outside[0][0] || outside[1][0])
			widen(recorder, fan_key);
	}
	count_record(&entry->pod, record);
	return true;
}

void bh_recorder_flows(struct bh_recorder *recorder, const struct bh_flow_log *log, uint64_t *next)
{
	uint64_t lost = bh_flow_log_lost(log);

	recorder->lost += lost - recorder->log_lost;
	recorder->log_lost = lost;
	if (*next < bh_flow_log_first(log)) {
		recorder->lost += bh_flow_log_first(log) - *next;
		*next = bh_flow_log_first(log);
	}
	for (; *next < bh_flow_log_next(log); (*next)++) {
		if (!record_flow(recorder, bh_flow_log_get(log, *next)))
			recorder->lost++;
	}
}

void bh_recorder_losses(struct bh_recorder *recorder, uint64_t total)
{
	if (recorder->kernel_said && total > recorder->kernel_lost)
		recorder->lost += total - recorder->kernel_lost;
	recorder->kernel_said = true;
	recorder->kernel_lost = total;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* True the first time. */
static bool tell(struct bh_table *table, uint32_t number)
{
	struct told *told;

	if (bh_table_get(table, &number, sizeof(number)))
		return false;
	told = bh_xcalloc(1, sizeof(*told));
	told->number = number;
	bh_table_put(table, &told->number, sizeof(told->number), told);
	return true;
}

bool bh_recorder_names(struct bh_recorder *recorder, const struct bh_desired *desired,
	const struct bh_desired *before)
{
	static const struct bh_desired nothing;
	struct bh_arena *arena = &recorder->new_names;
	struct bh_run_at old = {0}, new = {0};
	const struct bh_desired_workload *from;

	before = before && !recorder->forgot ? before : &nothing;
	recorder->forgot = false;
	while ((from = bh_desired_next_new_workload(desired, &new, before, &old))) {
		if (!tell(&recorder->workloads, from->number))
			continue;
		bh_xgrow(recorder->new_workloads, recorder->n_workloads, recorder->workloads_room);
		recorder->new_workloads[recorder->n_workloads++] = (struct bh_workload_name){
			.number = from->number,
			.namespace = bh_arena_strdup(arena, from->namespace),
			.kind = bh_arena_strdup(arena, from->kind),
			.name = bh_arena_strdup(arena, from->name),
		};
	}
	for (size_t i = 0; desired->rule_names != before->rule_names && i < desired->n_rule_names;
		i++) {
		const struct bh_desired_rule_name *rule = &desired->rule_names[i];

		if (!tell(&recorder->rules, rule->number))
			continue;
		bh_xgrow(recorder->new_rules, recorder->n_rules, recorder->rules_room);
		recorder->new_rules[recorder->n_rules++] = (struct bh_rule_label){
			.number = rule->number,
			.namespace = bh_arena_strdup(arena, rule->namespace),
			.policy = bh_arena_strdup(arena, rule->policy),
			.egress = rule->egress,
			.index = rule->index,
			.text = bh_arena_strdup(arena, rule->text),
		};
	}
	return recorder->n_workloads || recorder->n_rules;
}

/* ---- Hand-over ------------------------------------------------------------------------------- */

void bh_recorder_load(struct bh_recorder *recorder, const struct bh_batch *known)
{
	recorder->generation = known->generation;
	for (size_t i = 0; i < known->n_counters; i++) {
		struct counter *counter = counter_at(recorder, &known->counters[i].key);

		if (counter)
			counter->c = known->counters[i];
	}
	for (size_t i = 0; i < known->n_workloads; i++)
		tell(&recorder->workloads, known->workloads[i].number);
	for (size_t i = 0; i < known->n_rules; i++)
		tell(&recorder->rules, known->rules[i].number);
}

static void take_rows(struct bh_recorder *recorder, struct bh_batch *batch)
{
	const struct bh_history_edge *row;
	const struct pod_entry *entry;
	size_t n = 0;

	batch->edges = bh_arena_array(&batch->arena, recorder->rows.n, struct bh_history_edge);
	for (size_t at = 0; (row = bh_table_next(&recorder->rows, &at));)
		batch->edges[n++] = *row;
	batch->n_edges = n;
	free_all(&recorder->rows);

	n = 0;
	batch->pods = bh_arena_array(&batch->arena, recorder->pods.n, struct bh_history_pod);
	for (size_t at = 0; (entry = bh_table_next(&recorder->pods, &at)); n++) {
		struct bh_history_pod *pod = &batch->pods[n];

		*pod = entry->pod;
		pod->client_namespace = bh_arena_strdup(&batch->arena, pod->client_namespace);
		pod->client_pod = bh_arena_strdup(&batch->arena, pod->client_pod);
		pod->server_namespace = bh_arena_strdup(&batch->arena, pod->server_namespace);
		pod->server_pod = bh_arena_strdup(&batch->arena, pod->server_pod);
	}
	batch->n_pods = n;
	free_all(&recorder->pods);
	free_all(&recorder->fans);
	batch->lost = recorder->lost;
	recorder->lost = 0;
}

static void take_counters(struct bh_recorder *recorder, struct bh_batch *batch)
{
	_cleanup_free_ struct bh_counter *list = NULL;
	struct counter *counter;
	size_t n = 0, capacity = 0;

	for (size_t at = 0; (counter = bh_table_next(&recorder->counters, &at));) {
		if (!counter->dirty)
			continue;
		bh_xgrow(list, n, capacity);
		list[n++] = counter->c;
		counter->dirty = false;
	}
	batch->counters = bh_arena_copy(&batch->arena, list, n, sizeof(*list));
	batch->n_counters = n;
}

static void take_names(struct bh_recorder *recorder, struct bh_batch *batch)
{
	struct bh_arena *arena = &batch->arena;

	batch->workloads = bh_arena_copy(arena, recorder->new_workloads, recorder->n_workloads,
		sizeof(*recorder->new_workloads));
	batch->n_workloads = recorder->n_workloads;
	for (size_t i = 0; i < batch->n_workloads; i++) {
		struct bh_workload_name *name = &batch->workloads[i];

		name->namespace = bh_arena_strdup(arena, name->namespace);
		name->kind = bh_arena_strdup(arena, name->kind);
		name->name = bh_arena_strdup(arena, name->name);
	}
	batch->rules = bh_arena_copy(
		arena, recorder->new_rules, recorder->n_rules, sizeof(*recorder->new_rules));
	batch->n_rules = recorder->n_rules;
	for (size_t i = 0; i < batch->n_rules; i++) {
		struct bh_rule_label *rule = &batch->rules[i];

		rule->namespace = bh_arena_strdup(arena, rule->namespace);
		rule->policy = bh_arena_strdup(arena, rule->policy);
		rule->text = bh_arena_strdup(arena, rule->text);
	}
	recorder->n_workloads = 0;
	recorder->n_rules = 0;
	bh_arena_clear(&recorder->new_names);
}

struct bh_batch *bh_recorder_take(struct bh_recorder *recorder, uint64_t real_ns)
{
	struct bh_batch *batch = bh_xcalloc(1, sizeof(*batch));

	batch->time_ns = real_ns;
	batch->generation = recorder->generation;
	take_rows(recorder, batch);
	take_counters(recorder, batch);
	take_names(recorder, batch);
	return batch;
}

void bh_recorder_repeat(struct bh_recorder *recorder)
{
	struct counter *counter;

	for (size_t at = 0; (counter = bh_table_next(&recorder->counters, &at));)
		counter->dirty = true;
	free_all(&recorder->workloads);
	free_all(&recorder->rules);
	recorder->forgot = true;
}
