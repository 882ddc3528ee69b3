/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "bulkhead.pb-c.h"
#include "controller/flows/log.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"

struct bh_flow_log {
	struct bh_flow_record **ring; /* the record of sequence s is at s % capacity */
	size_t capacity;
	size_t max_bytes;
	size_t bytes;
	uint64_t first;
	uint64_t next;
	uint64_t lost;
};

struct bh_flow_log *bh_flow_log_new(size_t max_records, size_t max_bytes)
{
	struct bh_flow_log *log = bh_xcalloc(1, sizeof(*log));

	log->ring = bh_xcalloc(max_records, sizeof(log->ring[0]));
	log->capacity = max_records;
	log->max_bytes = max_bytes;
	log->first = 1;
	log->next = 1;
	return log;
}

static struct bh_flow_record **slot(const struct bh_flow_log *log, uint64_t sequence)
{
	return &log->ring[sequence % log->capacity];
}

static void drop_oldest(struct bh_flow_log *log)
{
	struct bh_flow_record **oldest = slot(log, log->first++);

	log->bytes -= (*oldest)->bytes;
	free(*oldest);
	*oldest = NULL;
}

void bh_flow_log_free(struct bh_flow_log *log)
{
	if (!log)
		return;
	while (log->first < log->next)
		drop_oldest(log);
	free(log->ring);
	free(log);
}

/* ---- From the wire --------------------------------------------------------------------------- */

static struct bh_ip ip_of(const ProtobufCBinaryData *bytes)
{
	struct bh_ip ip = {0};

	if (bytes->len != 4 && bytes->len != 16)
		return ip;
	ip.family = bytes->len == 4 ? 4 : 6;
	memcpy(ip.ip, bytes->data, bytes->len);
	return ip;
}

static enum bh_flow_verdict verdict_of(const Bulkhead__Wire__Flow *flow)
{
	switch (flow->type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED:
		return BH_FLOW_DENIED;
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY:
		return BH_FLOW_WOULD_DENY;
	default:
		break;
	}
	if (bh_reason_drops(flow->reason))
		return BH_FLOW_DENIED;
	return bh_reason_drops(flow->pending) ? BH_FLOW_WOULD_DENY : BH_FLOW_ALLOWED;
}

/*
 * The pod at one end: the reporting end is known by its uid, the far end by its address. A pod that
 * lies about its address is named all the same.
 */
static struct bh_pod_name pod_at(
	struct bh_names *names, const char *uid, bool reporting, const struct bh_ip *ip)
{
	static const struct bh_pod_name nobody = {"", ""};
	const struct bh_pod_name *pod = NULL;

	if (reporting)
		pod = bh_names_endpoint(names, uid);
	else if (ip->family)
		pod = bh_names_address(names, ip);
	return pod ? *pod : nobody;
}

static const char *store(char **at, const char *text)
{
	const char *stored = *at;

	*at = stpcpy(*at, text) + 1;
	return stored;
}

static struct bh_flow_record *record_of(struct bh_names *names, const Bulkhead__Wire__Flow *flow)
{
	struct bh_ip src_ip = ip_of(&flow->src);
	struct bh_ip dst_ip = ip_of(&flow->dst);
	struct bh_pod_name src = pod_at(names, flow->uid, flow->egress, &src_ip);
	struct bh_pod_name dst = pod_at(names, flow->uid, !flow->egress, &dst_ip);
	size_t text = strlen(src.namespace) + strlen(src.name) + strlen(dst.namespace) +
		      strlen(dst.name) + 4;
	struct bh_flow_record *record = bh_xcalloc(1, sizeof(*record) + text);
	char *at = record->text;

	record->bytes = sizeof(*record) + text;
	record->time_ns = flow->time_ns;
	record->started_ns = flow->started_ns;
	record->packets[0] = flow->packets_out;
	record->packets[1] = flow->packets_in;
	record->octets[0] = flow->octets_out;
	record->octets[1] = flow->octets_in;
	record->told_ns = flow->told_ns;
	record->told_packets[0] = flow->told_packets_out;
	record->told_packets[1] = flow->told_packets_in;
	record->told_octets[0] = flow->told_octets_out;
	record->told_octets[1] = flow->told_octets_in;
	record->reason = flow->reason;
	record->pending = flow->pending;
	record->rule = flow->rule;
	record->pending_rule = flow->pending_rule;
	record->suppressed = flow->suppressed;
	record->flags = flow->flags;
	record->ethertype = (uint16_t)flow->ethertype;
	record->type = (uint8_t)flow->type;
	record->protocol = (uint8_t)flow->protocol;
	record->tcp_flags = (uint8_t)flow->tcp_flags;
	record->hook = (uint8_t)flow->hook;
	record->egress = flow->egress;
	record->verdict = verdict_of(flow);
	record->talk = bh_talk_of_flow(flow);
	record->src.ip = src_ip;
	record->src.port = (uint16_t)flow->sport;
	record->src.workload = flow->egress ? flow->local : flow->remote;
	record->src.known = flow->egress || src_ip.family;
	record->src.namespace = store(&at, src.namespace);
	record->src.pod = store(&at, src.name);
	record->dst.ip = dst_ip;
	record->dst.port = (uint16_t)flow->dport;
	record->dst.workload = flow->egress ? flow->remote : flow->local;
	record->dst.known = !flow->egress || dst_ip.family;
	record->dst.namespace = store(&at, dst.namespace);
	record->dst.pod = store(&at, dst.name);
	return record;
}

void bh_flow_log_add(
	struct bh_flow_log *log, struct bh_names *names, const Bulkhead__Wire__FlowBatch *batch)
{
	log->lost += batch->lost;
	for (size_t i = 0; i < batch->n_flows; i++) {
		struct bh_flow_record *record = record_of(names, batch->flows[i]);

		while (log->first < log->next &&
			(log->next - log->first >= log->capacity ||
				log->bytes + record->bytes > log->max_bytes))
			drop_oldest(log);
		record->sequence = log->next;
		log->bytes += record->bytes;
		*slot(log, log->next++) = record;
	}
}

static uint64_t untold(uint64_t now, uint64_t told)
{
	return now > told ? now - told : 0;
}

struct bh_flow_delta bh_flow_delta(const struct bh_flow_record *record)
{
	struct bh_flow_delta delta = {
		.since_ns = record->told_ns ? record->told_ns : record->started_ns};

	if (record->type != BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED &&
		record->type != BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE &&
		record->type != BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED)
		return delta;
	for (int i = 0; i < 2; i++) {
		delta.packets[i] = untold(record->packets[i], record->told_packets[i]);
		delta.octets[i] = untold(record->octets[i], record->told_octets[i]);
	}
	return delta;
}

/* ---- Reading --------------------------------------------------------------------------------- */

uint64_t bh_flow_log_first(const struct bh_flow_log *log)
{
	return log->first;
}

uint64_t bh_flow_log_next(const struct bh_flow_log *log)
{
	return log->next;
}

const struct bh_flow_record *bh_flow_log_get(const struct bh_flow_log *log, uint64_t sequence)
{
	if (sequence < log->first || sequence >= log->next)
		return NULL;
	return *slot(log, sequence);
}

uint64_t bh_flow_log_lost(const struct bh_flow_log *log)
{
	return log->lost;
}

static bool end_is_pod(const struct bh_flow_end *end, const char *pod)
{
	const char *slash = strchr(pod, '/');
	size_t n = slash ? (size_t)(slash - pod) : 0;

	if (!slash)
		return strcmp(end->pod, pod) == 0;
	return strlen(end->namespace) == n && strncmp(end->namespace, pod, n) == 0 &&
	       strcmp(end->pod, slash + 1) == 0;
}

bool bh_flow_matches(const struct bh_flow_record *record, const struct bh_flow_filter *filter)
{
	if (filter->namespace && strcmp(record->src.namespace, filter->namespace) != 0 &&
		strcmp(record->dst.namespace, filter->namespace) != 0)
		return false;
	if (filter->pod && !end_is_pod(&record->src, filter->pod) &&
		!end_is_pod(&record->dst, filter->pod))
		return false;
	if (filter->by_verdict && record->verdict != filter->verdict)
		return false;
	if (filter->by_protocol && record->protocol != filter->protocol)
		return false;
	return filter->port == 0 || record->dst.port == filter->port;
}

/* ---- Words ----------------------------------------------------------------------------------- */

const char *bh_flow_type_word(const struct bh_flow_record *record)
{
	switch (record->type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW:
		return "new";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED:
		return "closed";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE:
		return "active";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED:
		return "denied";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY:
		return "would-deny";
	}
	return "unknown";
}

const char *bh_flow_verdict_word(enum bh_flow_verdict verdict)
{
	static const char *const words[] = {
		[BH_FLOW_ALLOWED] = "allowed",
		[BH_FLOW_WOULD_DENY] = "would-deny",
		[BH_FLOW_DENIED] = "denied",
	};

	return words[verdict];
}
