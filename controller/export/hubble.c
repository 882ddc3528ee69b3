/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/hubble.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "bulkhead/abi.h"
#include "bulkhead/reasons.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/words.h"
#include "proto/cleanup.h"

/* Of one end's labels. */
#define LABELS_BYTES_MAX (24u * 1024)

/* Cilium's numbers of events (pkg/monitor/api), and of what a policy matched by. */
#define EVENT_DROP 1
#define EVENT_TRACE 4
#define EVENT_POLICY_VERDICT 5
#define MATCH_L3_L4 2
#define MATCH_ALL 4

/* ---- What Hubble calls it -------------------------------------------------------------------- */

struct drop_reason {
	uint32_t reason;
	int number; /* flow.DropReason */
	const char *word;
};

static const struct drop_reason drop_reasons[] = {
	{BH_REASON_ISOLATED, 133, "POLICY_DENIED"},
	{BH_REASON_POLICY_DENY, 181, "POLICY_DENY"},
	{BH_REASON_NO_ENDPOINT, 203, "DROP_EP_NOT_READY"},
	{BH_REASON_SPOOFED_IP, 132, "INVALID_SOURCE_IP"},
	{BH_REASON_SPOOFED_MAC, 130, "INVALID_SOURCE_MAC"},
	{BH_REASON_SPOOFED_ARP, 132, "INVALID_SOURCE_IP"},
	{BH_REASON_SPOOFED_ND, 132, "INVALID_SOURCE_IP"},
	{BH_REASON_ROUTER_ADVERT, 176, "FORBIDDEN_ICMPV6_MESSAGE"},
	{BH_REASON_ROGUE_DHCP, 134, "INVALID_PACKET_DROPPED"},
	{BH_REASON_TRUNCATED, 134, "INVALID_PACKET_DROPPED"},
	{BH_REASON_ETHERTYPE, 139, "UNSUPPORTED_L3_PROTOCOL"},
	{BH_REASON_VLAN_DEPTH, 166, "UNSUPPORTED_L2_PROTOCOL"},
	{BH_REASON_IP_HEADER, 134, "INVALID_PACKET_DROPPED"},
	{BH_REASON_EXTENSION_HEADERS, 156, "INVALID_IPV6_EXTENSION_HEADER"},
	{BH_REASON_L4_HEADER, 135, "CT_TRUNCATED_OR_INVALID_HEADER"},
	{BH_REASON_TCP_FLAGS, 135, "CT_TRUNCATED_OR_INVALID_HEADER"},
	{BH_REASON_FRAGMENT_TINY, 134, "INVALID_PACKET_DROPPED"},
	{BH_REASON_FRAGMENT_NO_FIRST, 175, "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND"},
	{BH_REASON_ARP_MALFORMED, 134, "INVALID_PACKET_DROPPED"},
	{BH_REASON_ND_MALFORMED, 134, "INVALID_PACKET_DROPPED"},
	{BH_REASON_ICMP_TYPE, 144, "UNKNOWN_ICMPV4_TYPE"},
	{BH_REASON_ICMP_NO_FLOW, 163, "UNKNOWN_CONNECTION_TRACKING_STATE"},
	{BH_REASON_TABLE_FULL, 155, "CT_MAP_INSERTION_FAILED"},
	{BH_REASON_INTERNAL, 165, "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION"},
};

/* Never NULL: of what is new here Hubble knows nothing. */
static const struct drop_reason *drop_reason_of(const struct bh_flow_record *record)
{
	static const struct drop_reason unknown = {0, 0, "DROP_REASON_UNKNOWN"};
	static const struct drop_reason icmpv6_type = {0, 146, "UNKNOWN_ICMPV6_TYPE"};

	if (record->reason == BH_REASON_ICMP_TYPE && record->protocol == IPPROTO_ICMPV6)
		return &icmpv6_type;
	for (size_t i = 0; i < sizeof(drop_reasons) / sizeof(drop_reasons[0]); i++) {
		if (drop_reasons[i].reason == record->reason)
			return &drop_reasons[i];
	}
	return &unknown;
}

static const char *verdict_of(const struct bh_flow_record *record)
{
	switch (record->verdict) {
	case BH_FLOW_DENIED:
		return "DROPPED";
	case BH_FLOW_WOULD_DENY:
		return "AUDIT";
	default:
		return "FORWARDED";
	}
}

/* ---- Parts ----------------------------------------------------------------------------------- */

/* ,"name":"value"; nothing for an empty one, as protobuf has it. */
static void put_field(struct bh_text *text, const char *name, const char *value)
{
	if (!*value)
		return;
	bh_text_format(text, ",\"%s\":", name);
	bh_text_json(text, value);
}

static void put_time(struct bh_text *text, uint64_t ns)
{
	bh_text_add(text, "\"");
	bh_text_time(text, ns);
	bh_text_add(text, "\"");
}

/* Version 8 (RFC 9562): ours to make. */
static void put_uuid(struct bh_text *text, uint64_t instance, uint64_t sequence)
{
	bh_text_format(text, ",\"uuid\":\"%08x-%04x-8%03x-%04x-%012" PRIx64 "\"",
		(unsigned int)(instance >> 32), (unsigned int)(instance >> 16 & 0xffff),
		(unsigned int)(instance >> 4 & 0xfff),
		(unsigned int)(0x8000 | (sequence >> 48 & 0x3fff)), sequence & 0xffffffffffff);
}

static void put_ip(struct bh_text *text, const struct bh_flow_record *record)
{
	char source[BH_IP_TEXT_MAX], destination[BH_IP_TEXT_MAX];

	if (!record->src.ip.family || !record->dst.ip.family)
		return;
	bh_text_format(text,
		",\"IP\":{\"source\":\"%s\",\"destination\":\"%s\",\"ipVersion\":\"IPv%u\"}",
		bh_ip_format(&record->src.ip, source), bh_ip_format(&record->dst.ip, destination),
		(unsigned int)record->src.ip.family);
}

static const struct {
	uint8_t bit;
	const char *name;
} tcp_flags[] = {
	{0x01, "FIN"},
	{0x02, "SYN"},
	{0x04, "RST"},
	{0x08, "PSH"},
	{0x10, "ACK"},
	{0x20, "URG"},
	{0x40, "ECE"},
	{0x80, "CWR"},
};

static void put_tcp_flags(struct bh_text *text, uint8_t flags)
{
	const char *comma = "";

	if (!flags)
		return;
	bh_text_add(text, ",\"flags\":{");
	for (size_t i = 0; i < sizeof(tcp_flags) / sizeof(tcp_flags[0]); i++) {
		if (!(flags & tcp_flags[i].bit))
			continue;
		bh_text_format(text, "%s\"%s\":true", comma, tcp_flags[i].name);
		comma = ",";
	}
	bh_text_add(text, "}");
}

static void put_l4(struct bh_text *text, const struct bh_flow_record *record)
{
	const char *name = record->protocol == IPPROTO_TCP      ? "TCP"
			   : record->protocol == IPPROTO_UDP    ? "UDP"
			   : record->protocol == IPPROTO_SCTP   ? "SCTP"
			   : record->protocol == IPPROTO_ICMP   ? "ICMPv4"
			   : record->protocol == IPPROTO_ICMPV6 ? "ICMPv6"
								: NULL;

	if (!name)
		return;
	if (name[0] == 'I') { /* the type is where TCP has its flags */
		bh_text_format(text, ",\"l4\":{\"%s\":{\"type\":%u}}", name,
			(unsigned int)record->tcp_flags);
		return;
	}
	bh_text_format(text, ",\"l4\":{\"%s\":{\"source_port\":%u,\"destination_port\":%u", name,
		(unsigned int)record->src.port, (unsigned int)record->dst.port);
	if (record->protocol == IPPROTO_TCP)
		put_tcp_flags(text, record->tcp_flags);
	bh_text_add(text, "}}");
}

/* What Hubble says of whom it has no pod for; NULL: nothing is known. */
static const char *reserved_label(const struct bh_export_end *end)
{
	if (!end->workload || *end->flow->pod)
		return NULL;
	if (strcmp(end->workload->kind, "Node") == 0)
		return "reserved:host";
	return strcmp(end->workload->kind, "World") == 0 ? "reserved:world" : NULL;
}

static void put_labels(struct bh_text *text, const struct bh_labels *labels)
{
	size_t start = text->n;
	const char *comma = "";

	bh_text_add(text, ",\"labels\":[");
	for (size_t i = 0; i < labels->n; i++) {
		_cleanup_free_ char *label =
			bh_xasprintf("k8s:%s=%s", labels->items[i].key, labels->items[i].value);
		size_t before = text->n;

		bh_text_add(text, comma);
		bh_text_json(text, label);
		if (text->n - start > LABELS_BYTES_MAX) {
			text->n = before;
			break;
		}
		comma = ",";
	}
	bh_text_add(text, "]");
}

static void put_end(struct bh_text *text, const char *name, const struct bh_export_end *end)
{
	const char *reserved = reserved_label(end);
	size_t start;

	bh_text_format(text, ",\"%s\":{", name);
	start = text->n;
	if (reserved)
		bh_text_format(text, ",\"identity\":%d,\"labels\":[\"%s\"]",
			reserved[9] == 'h' ? 1 : 2, reserved);
	put_field(text, "namespace", end->flow->namespace);
	if (end->labels && end->labels->n)
		put_labels(text, end->labels);
	put_field(text, "pod_name", end->flow->pod);
	if (end->workload && !reserved) {
		bh_text_add(text, ",\"workloads\":[{\"name\":");
		bh_text_json(text, end->workload->name);
		put_field(text, "kind", end->workload->kind);
		bh_text_add(text, "}]");
	}
	if (text->n > start) { /* the first comma is one too many */
		memmove(text->data + start, text->data + start + 1, text->n - start - 1);
		text->n--;
	}
	bh_text_add(text, "}");
}

static void put_event(struct bh_text *text, const struct bh_flow_record *record)
{
	bool from_pod = record->hook == BH_HOOK_FROM_POD;

	if (record->verdict == BH_FLOW_DENIED) {
		const struct drop_reason *drop = drop_reason_of(record);

		bh_text_format(text, ",\"event_type\":{\"type\":%d,\"sub_type\":%d}", EVENT_DROP,
			drop->number);
		bh_text_format(text, ",\"drop_reason_desc\":\"%s\"", drop->word);
	} else if (record->type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED ||
		   record->type == BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE) {
		bh_text_format(text, ",\"event_type\":{\"type\":%d%s},", EVENT_TRACE,
			from_pod ? ",\"sub_type\":5" : "");
		bh_text_format(text, "\"trace_observation_point\":\"%s\"",
			from_pod ? "FROM_ENDPOINT" : "TO_ENDPOINT");
	} else {
		bh_text_format(text, ",\"event_type\":{\"type\":%d},\"policy_match_type\":%d",
			EVENT_POLICY_VERDICT, record->rule ? MATCH_L3_L4 : MATCH_ALL);
	}
}

/* The rule that let it through or that denies it, as the end that reports it has it. */
static void put_policy(struct bh_text *text, const struct bh_export_flow *flow)
{
	const struct bh_flow_record *record = flow->record;
	bool denied = record->verdict != BH_FLOW_ALLOWED;
	const struct bh_rule_label *rule =
		record->verdict == BH_FLOW_WOULD_DENY ? flow->pending_rule : flow->rule;

	if (!rule)
		return;
	bh_text_format(text, ",\"%s_%s_by\":[{\"name\":", record->egress ? "egress" : "ingress",
		denied ? "denied" : "allowed");
	bh_text_json(text, rule->policy);
	put_field(text, "namespace", rule->namespace);
	put_field(text, "kind", *rule->namespace ? "NetworkPolicy" : "ClusterNetworkPolicy");
	bh_text_add(text, "}]");
}

/* "TCP Flags: SYN, ACK", "UDP", "ICMPv4" */
static void put_summary(struct bh_text *text, const struct bh_flow_record *record)
{
	const char *comma = "";

	if (record->protocol == IPPROTO_TCP && record->tcp_flags) {
		bh_text_add(text, ",\"Summary\":\"TCP Flags: ");
		for (size_t i = 0; i < sizeof(tcp_flags) / sizeof(tcp_flags[0]); i++) {
			if (!(record->tcp_flags & tcp_flags[i].bit))
				continue;
			bh_text_format(text, "%s%s", comma, tcp_flags[i].name);
			comma = ", ";
		}
		bh_text_add(text, "\"");
	} else if (record->protocol == IPPROTO_UDP || record->protocol == IPPROTO_SCTP) {
		put_field(text, "Summary", record->protocol == IPPROTO_UDP ? "UDP" : "SCTP");
	}
}

static void put_sums(struct bh_text *text, const uint64_t packets[2], const uint64_t octets[2])
{
	bh_text_format(text,
		",\"packets\":{\"fromClient\":%" PRIu64 ",\"fromServer\":%" PRIu64
		"},\"bytes\":{\"fromClient\":%" PRIu64 ",\"fromServer\":%" PRIu64 "}",
		packets[0], packets[1], octets[0], octets[1]);
}

/* What is not known is left out. No `l7`: Hubble's is a request with its answer. */
static void put_talk(struct bh_text *text, const struct bh_flow_talk *talk)
{
	if (talk->app)
		put_field(text, "app", bh_app_word(talk->app));
	if (talk->encrypted)
		put_field(text, "encrypted", bh_encrypted_word(talk->encrypted));
	put_field(text, "tlsVersion", bh_tls_word(talk->tls_version));
	if (talk->round_trip_us)
		bh_text_format(text, ",\"roundTrip\":%" PRIu32, talk->round_trip_us);
}

/* What only we have. Numbers of a Struct are doubles: exact to 2^53. */
static void put_extensions(
	struct bh_text *text, const struct bh_export_flow *flow, uint64_t instance)
{
	const struct bh_flow_record *record = flow->record;
	const struct bh_flow_delta delta = bh_flow_delta(record);

	bh_text_add(text,
		",\"extensions\":{\"@type\":\"type.googleapis.com/google.protobuf.Struct\","
		"\"value\":{\"bulkhead\":{");
	bh_text_format(text, "\"sequence\":%" PRIu64 ",\"instance\":\"%016" PRIx64 "\"",
		record->sequence, instance);
	put_field(text, "type", bh_flow_type_word(record));
	put_field(text, "verdict", bh_flow_verdict_word(record->verdict));
	put_field(text, "reason", bh_reason_word(record->reason));
	put_field(text, "pendingReason", bh_reason_word(record->pending));
	if (flow->rule)
		put_field(text, "rule", flow->rule->text);
	if (flow->pending_rule)
		put_field(text, "pendingRule", flow->pending_rule->text);
	put_sums(text, record->packets, record->octets);
	bh_text_add(text, ",\"delta\":{\"since\":");
	put_time(text, delta.since_ns ? delta.since_ns : record->time_ns);
	put_sums(text, delta.packets, delta.octets);
	bh_text_add(text, "}");
	bh_text_format(text, ",\"protocol\":%u,\"ethertype\":%u,\"suppressed\":%" PRIu32,
		(unsigned int)record->protocol, (unsigned int)record->ethertype,
		record->suppressed);
	if (record->started_ns) {
		bh_text_add(text, ",\"started\":");
		put_time(text, record->started_ns);
	}
	put_talk(text, &record->talk);
	bh_text_add(text, "}}}");
}

/* ---- The line -------------------------------------------------------------------------------- */

static void put_line(struct bh_text *text, const struct bh_export_flow *flow, uint64_t instance)
{
	const struct bh_flow_record *record = flow->record;

	bh_text_add(text, "{\"flow\":{\"time\":");
	put_time(text, record->time_ns);
	put_uuid(text, instance, record->sequence);
	bh_text_format(text, ",\"verdict\":\"%s\"", verdict_of(record));
	if (record->verdict == BH_FLOW_DENIED)
		bh_text_format(text, ",\"drop_reason\":%d", drop_reason_of(record)->number);
	put_ip(text, record);
	put_l4(text, record);
	put_end(text, "source", &flow->source);
	put_end(text, "destination", &flow->destination);
	bh_text_add(text, ",\"Type\":\"L3_L4\"");
	put_field(text, "node_name", flow->node);
	put_event(text, record);
	bh_text_format(text, ",\"traffic_direction\":\"%s\",\"is_reply\":false",
		record->egress ? "EGRESS" : "INGRESS");
	put_policy(text, flow);
	put_extensions(text, flow, instance);
	put_summary(text, record);
	bh_text_add(text, "}");
	put_field(text, "node_name", flow->node);
	bh_text_add(text, ",\"time\":");
	put_time(text, record->time_ns);
	bh_text_add(text, "}\n");
}

void bh_hubble_line(struct bh_text *text, const struct bh_export_flow *flow, uint64_t instance)
{
	size_t start = text->n;
	struct bh_export_flow bare = *flow;

	put_line(text, flow, instance);
	if (text->n - start <= BH_HUBBLE_LINE_MAX)
		return;
	/* All else is names, which are short, and one rule's text or two. */
	text->n = start;
	bare.source.labels = NULL;
	bare.destination.labels = NULL;
	bare.rule = NULL;
	bare.pending_rule = NULL;
	put_line(text, &bare, instance);
}
