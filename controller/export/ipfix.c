/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/ipfix.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/abi.h"
#include "bulkhead/reasons.h"
#include "controller/export/escape.h"
#include "controller/flows/reasons.h"
#include "controller/topology/words.h"

#define VERSION 10
#define TEMPLATE_SET 2
#define ENTERPRISE_BIT 0x8000
#define VARIABLE 65535
/* RFC 5103: an element of IANA's, seen from the other side. */
#define REVERSE 29305

/* firewallEvent (IANA, element 233) */
enum {
	EVENT_CREATED = 1,
	EVENT_DELETED = 2,
	EVENT_DENIED = 3,
	EVENT_ALERT = 4,
	EVENT_UPDATE = 5,
};
/* flowEndReason (IANA, element 136); 0 is none of them: nothing has ended */
enum { END_NONE = 0, END_IDLE = 1, END_ACTIVE = 2, END_DETECTED = 3 };
/* forwardingStatus (RFC 7270): two bits of status, six of reason */
enum { STATUS_FORWARDED = 64, STATUS_DROPPED = 128, STATUS_DROPPED_ACL = 129 };

enum scope { IANA, IANA_REVERSE, OURS };

struct field {
	enum scope scope;
	uint16_t id;
	uint16_t length;
	uint8_t templates; /* bits: 1 IPv4, 2 IPv6, 4 frames */
};

#define V4 1
#define V6 2
#define FRAME 4
#define ALL (V4 | V6 | FRAME)

/* In the order of the record. The templates are made of this list, and so are the records. */
static const struct field fields[] = {
	{IANA, 152, 8, ALL},       /* flowStartMilliseconds */
	{IANA, 153, 8, ALL},       /* flowEndMilliseconds */
	{IANA, 8, 4, V4},          /* sourceIPv4Address */
	{IANA, 12, 4, V4},         /* destinationIPv4Address */
	{IANA, 27, 16, V6},        /* sourceIPv6Address */
	{IANA, 28, 16, V6},        /* destinationIPv6Address */
	{IANA, 256, 2, FRAME},     /* ethernetType */
	{IANA, 7, 2, V4 | V6},     /* sourceTransportPort */
	{IANA, 11, 2, V4 | V6},    /* destinationTransportPort */
	{IANA, 4, 1, V4 | V6},     /* protocolIdentifier */
	{IANA, 6, 1, V4 | V6},     /* tcpControlBits, as one byte: pmacct reads two as 0 */
	{IANA, 61, 1, ALL},        /* flowDirection */
	{IANA, 233, 1, ALL},       /* firewallEvent */
	{IANA, 89, 1, ALL},        /* forwardingStatus */
	{IANA, 136, 1, ALL},       /* flowEndReason */
	{IANA, 96, VARIABLE, ALL}, /* applicationName */
	{IANA, 1, 8, ALL},         /* octetDeltaCount */
	{IANA, 2, 8, ALL},         /* packetDeltaCount */
	{IANA_REVERSE, 1, 8, ALL}, /* reverseOctetDeltaCount */
	{IANA_REVERSE, 2, 8, ALL}, /* reversePacketDeltaCount */
	{OURS, BH_IPFIX_SOURCE_NAMESPACE, VARIABLE, ALL},
	{OURS, BH_IPFIX_SOURCE_POD, VARIABLE, ALL},
	{OURS, BH_IPFIX_SOURCE_WORKLOAD, VARIABLE, ALL},
	{OURS, BH_IPFIX_DESTINATION_NAMESPACE, VARIABLE, ALL},
	{OURS, BH_IPFIX_DESTINATION_POD, VARIABLE, ALL},
	{OURS, BH_IPFIX_DESTINATION_WORKLOAD, VARIABLE, ALL},
	{OURS, BH_IPFIX_VERDICT, VARIABLE, ALL},
	{OURS, BH_IPFIX_PENDING_VERDICT, VARIABLE, ALL},
	{OURS, BH_IPFIX_REASON, VARIABLE, ALL},
	{OURS, BH_IPFIX_PENDING_REASON, VARIABLE, ALL},
	{OURS, BH_IPFIX_RULE, VARIABLE, ALL},
	{OURS, BH_IPFIX_PENDING_RULE, VARIABLE, ALL},
	{OURS, BH_IPFIX_SUPPRESSED, 4, ALL},
	{OURS, BH_IPFIX_NODE, VARIABLE, ALL},
	{OURS, BH_IPFIX_ENCRYPTED, VARIABLE, ALL},
	{OURS, BH_IPFIX_TLS_VERSION, VARIABLE, ALL},
	{OURS, BH_IPFIX_ROUND_TRIP, 4, ALL},
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* The `n` low bytes of a number, the highest first. Returns what is behind them. */
static uint8_t *put(uint8_t *at, uint64_t value, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		at[i] = (uint8_t)(value >> 8 * (n - 1 - i));
	return at + n;
}

static uint8_t *put_string(uint8_t *at, const char *text)
{
	uint8_t *length = at++;
	size_t n = 0;

	/* RFC 7011 wants UTF-8: what is none becomes a question mark. */
	while (text[n]) {
		size_t k = bh_text_character(text + n);

		if (n + (k ? k : 1) > BH_IPFIX_STRING_MAX)
			break;
		memcpy(at + n, k ? text + n : "?", k ? k : 1);
		n += k ? k : 1;
	}
	*length = (uint8_t)n;
	return at + n;
}

void bh_ipfix_set(uint8_t *set, uint16_t id, size_t size)
{
	put(put(set, id, 2), size, 2);
}

void bh_ipfix_header(
	uint8_t *message, size_t size, uint32_t export_s, uint32_t sequence, uint32_t domain)
{
	uint8_t *at = put(message, VERSION, 2);

	at = put(at, size, 2);
	at = put(at, export_s, 4);
	at = put(at, sequence, 4);
	put(at, domain, 4);
}

uint32_t bh_ipfix_domain(const char *node)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *node; node++)
		hash = (hash ^ (uint8_t)*node) * 16777619u;
	return hash ? hash : 1;
}

/* ---- Templates ------------------------------------------------------------------------------- */

static uint8_t *put_field(uint8_t *at, const struct field *field, uint32_t enterprise)
{
	at = put(at, field->id | (field->scope == IANA ? 0 : ENTERPRISE_BIT), 2);
	at = put(at, field->length, 2);
	if (field->scope != IANA)
		at = put(at, field->scope == OURS ? enterprise : REVERSE, 4);
	return at;
}

static uint8_t *put_template(uint8_t *at, uint16_t id, uint8_t bit, uint32_t enterprise)
{
	uint8_t *count = put(at, id, 2);
	unsigned int n = 0;

	at = count + 2;
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (!(fields[i].templates & bit))
			continue;
		at = put_field(at, &fields[i], enterprise);
		n++;
	}
	put(count, n, 2);
	return at;
}

size_t bh_ipfix_templates(uint32_t enterprise, uint8_t bytes[BH_IPFIX_TEMPLATES_MAX])
{
	uint8_t *at = bytes + BH_IPFIX_SET_HEADER;

	_Static_assert(BH_IPFIX_SET_HEADER + 3 * (4 + 8 * N_FIELDS) <= BH_IPFIX_TEMPLATES_MAX,
		"three templates fit");
	at = put_template(at, BH_IPFIX_TEMPLATE_V4, V4, enterprise);
	at = put_template(at, BH_IPFIX_TEMPLATE_V6, V6, enterprise);
	at = put_template(at, BH_IPFIX_TEMPLATE_FRAME, FRAME, enterprise);
	bh_ipfix_set(bytes, TEMPLATE_SET, (size_t)(at - bytes));
	return (size_t)(at - bytes);
}

/* ---- Records --------------------------------------------------------------------------------- */

static int firewall_event(const struct bh_flow_record *record)
{
	switch (record->type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED:
		return EVENT_DELETED;
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE:
		return EVENT_UPDATE;
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED:
		return EVENT_DENIED;
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY:
		return EVENT_ALERT;
	default:
		return EVENT_CREATED;
	}
}

static int forwarding_status(const struct bh_flow_record *record)
{
	if (record->verdict != BH_FLOW_DENIED)
		return STATUS_FORWARDED;
	return record->reason == BH_REASON_ISOLATED || record->reason == BH_REASON_POLICY_DENY
		       ? STATUS_DROPPED_ACL
		       : STATUS_DROPPED;
}

/* The programs mark what they have told the end of; the rest was ended by silence. */
static int end_reason(const struct bh_flow_record *record)
{
	switch (record->type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE:
		return END_ACTIVE;
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED:
		return record->flags & BH_FLOW_CLOSE_SENT ? END_DETECTED : END_IDLE;
	default:
		return END_NONE;
	}
}

/* Of what the record counts: collectors make rates of it. */
static uint64_t start_ms(const struct bh_flow_record *record)
{
	uint64_t since_ns = bh_flow_delta(record).since_ns;

	return (since_ns ? since_ns : record->time_ns) / 1000000;
}

static uint8_t *put_iana(uint8_t *at, const struct field *field, const struct bh_flow_record *r)
{
	const bool reverse = field->scope == IANA_REVERSE;

	switch (field->id) {
	case 152:
		return put(at, start_ms(r), 8);
	case 153:
		return put(at, r->time_ns / 1000000, 8);
	case 8:
	case 27:
		return (uint8_t *)memcpy(at, r->src.ip.ip, field->length) + field->length;
	case 12:
	case 28:
		return (uint8_t *)memcpy(at, r->dst.ip.ip, field->length) + field->length;
	case 256:
		return put(at, r->ethertype, 2);
	case 7:
		return put(at, r->src.port, 2);
	case 11:
		return put(at, r->dst.port, 2);
	case 4:
		return put(at, r->protocol, 1);
	case 6: /* elsewhere the byte holds the type of ICMP */
		return put(at, r->protocol == IPPROTO_TCP ? r->tcp_flags : 0, 1);
	case 61:
		return put(at, r->egress, 1);
	case 233:
		return put(at, (uint64_t)firewall_event(r), 1);
	case 89:
		return put(at, (uint64_t)forwarding_status(r), 1);
	case 136:
		return put(at, (uint64_t)end_reason(r), 1);
	case 96:
		return put_string(at, r->talk.app ? bh_app_word(r->talk.app) : "");
	case 1:
		return put(at, bh_flow_delta(r).octets[reverse], 8);
	default: /* 2 */
		return put(at, bh_flow_delta(r).packets[reverse], 8);
	}
}

static uint8_t *put_workload(uint8_t *at, const struct bh_workload_name *workload)
{
	char text[512];

	if (!workload)
		return put_string(at, "");
	snprintf(text, sizeof(text), "%s%s%s", workload->kind, *workload->name ? "/" : "",
		workload->name);
	return put_string(at, text);
}

static uint8_t *put_ours(uint8_t *at, uint16_t id, const struct bh_export_flow *flow)
{
	const struct bh_flow_record *record = flow->record;

	switch (id) {
	case BH_IPFIX_SOURCE_NAMESPACE:
		return put_string(at, record->src.namespace);
	case BH_IPFIX_SOURCE_POD:
		return put_string(at, record->src.pod);
	case BH_IPFIX_SOURCE_WORKLOAD:
		return put_workload(at, flow->source.workload);
	case BH_IPFIX_DESTINATION_NAMESPACE:
		return put_string(at, record->dst.namespace);
	case BH_IPFIX_DESTINATION_POD:
		return put_string(at, record->dst.pod);
	case BH_IPFIX_DESTINATION_WORKLOAD:
		return put_workload(at, flow->destination.workload);
	case BH_IPFIX_VERDICT:
		return put_string(at, record->verdict == BH_FLOW_DENIED ? "denied" : "allowed");
	case BH_IPFIX_PENDING_VERDICT:
		return put_string(at, bh_reason_drops(record->pending) ? "denied" : "allowed");
	case BH_IPFIX_REASON:
		return put_string(at, bh_reason_word(record->reason));
	case BH_IPFIX_PENDING_REASON:
		return put_string(at, bh_reason_word(record->pending));
	case BH_IPFIX_RULE:
		return put_string(at, flow->rule ? flow->rule->text : "");
	case BH_IPFIX_PENDING_RULE:
		return put_string(at, flow->pending_rule ? flow->pending_rule->text : "");
	case BH_IPFIX_NODE:
		return put_string(at, flow->node);
	case BH_IPFIX_ENCRYPTED:
		return put_string(at,
			record->talk.encrypted ? bh_encrypted_word(record->talk.encrypted) : "");
	case BH_IPFIX_TLS_VERSION:
		return put_string(at, bh_tls_word(record->talk.tls_version));
	case BH_IPFIX_ROUND_TRIP:
		return put(at, record->talk.round_trip_us, 4);
	default: /* BH_IPFIX_SUPPRESSED */
		return put(at, record->suppressed, 4);
	}
}

size_t bh_ipfix_record(const struct bh_export_flow *flow, uint8_t bytes[BH_IPFIX_RECORD_MAX],
	uint16_t *ret_template)
{
	const struct bh_flow_record *record = flow->record;
	/* Both ends or none: a record with one address only is a frame's. */
	uint8_t family = record->src.ip.family == record->dst.ip.family ? record->src.ip.family : 0;
	uint8_t bit = family == 4 ? V4 : family == 6 ? V6 : FRAME;
	uint8_t *at = bytes;

	_Static_assert(16 * (BH_IPFIX_STRING_MAX + 1) + 128 <= BH_IPFIX_RECORD_MAX,
		"a record of the longest strings fits");
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (!(fields[i].templates & bit))
			continue;
		at = fields[i].scope == OURS ? put_ours(at, fields[i].id, flow)
					     : put_iana(at, &fields[i], record);
	}
	*ret_template = bit == V4   ? BH_IPFIX_TEMPLATE_V4
			: bit == V6 ? BH_IPFIX_TEMPLATE_V6
				    : BH_IPFIX_TEMPLATE_FRAME;
	return (size_t)(at - bytes);
}
