/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_IPFIX_H
#define BULKHEAD_EXPORT_IPFIX_H

/*
 * Flows as IPFIX (RFC 7011), with counters of both directions (RFC 5103). Pure: bytes out of
 * records, no sockets. The elements are in docs/exports.md.
 *
 * Three templates: IPv4, IPv6, and frames in which no address was parsed. Strings have variable
 * lengths and at most BH_IPFIX_STRING_MAX bytes.
 */

#include <stddef.h>
#include <stdint.h>

#include "controller/export/flow.h"

#define BH_IPFIX_TEMPLATE_V4 256
#define BH_IPFIX_TEMPLATE_V6 257
#define BH_IPFIX_TEMPLATE_FRAME 258

/* Elements of our own, in the private enterprise that is set; lower numbers upset collectors that
 * meet them beside reverse elements. */
enum bh_ipfix_element {
	BH_IPFIX_SOURCE_NAMESPACE = 100,
	BH_IPFIX_SOURCE_POD,
	BH_IPFIX_SOURCE_WORKLOAD, /* "Deployment/web" */
	BH_IPFIX_DESTINATION_NAMESPACE,
	BH_IPFIX_DESTINATION_POD,
	BH_IPFIX_DESTINATION_WORKLOAD,
	BH_IPFIX_VERDICT,         /* "allowed", "denied": what happened */
	BH_IPFIX_PENDING_VERDICT, /* what would, if what is pending were enforced */
	BH_IPFIX_REASON,          /* the words of `bulkhead flows` */
	BH_IPFIX_PENDING_REASON,
	BH_IPFIX_RULE,
	BH_IPFIX_PENDING_RULE,
	BH_IPFIX_SUPPRESSED, /* unsigned32: records like this one that were not reported */
	BH_IPFIX_NODE,
	BH_IPFIX_ENCRYPTED,   /* "yes", "no", "": not known */
	BH_IPFIX_TLS_VERSION, /* "1.3" */
	BH_IPFIX_ROUND_TRIP,  /* unsigned32: of the handshake, microseconds; 0: not known */
};

#define BH_IPFIX_HEADER 16
#define BH_IPFIX_SET_HEADER 4
/* A string is cut there, at a character. One byte then holds its length. */
#define BH_IPFIX_STRING_MAX 254
#define BH_IPFIX_RECORD_MAX 4608
#define BH_IPFIX_TEMPLATES_MAX 1024

/* RFC 5612's number for examples: whoever has one of their own says so. */
#define BH_IPFIX_ENTERPRISE 32473

/* The template set, with its header. Returns its size. */
size_t bh_ipfix_templates(uint32_t enterprise, uint8_t bytes[BH_IPFIX_TEMPLATES_MAX]);

/* One data record, without a set header. Returns its size, and the template it follows. */
size_t bh_ipfix_record(const struct bh_export_flow *flow, uint8_t bytes[BH_IPFIX_RECORD_MAX],
	uint16_t *ret_template);

/* Writes the header of a message whose sets are behind it already. `sequence`: data records of
 * this session before it. */
void bh_ipfix_header(
	uint8_t *message, size_t size, uint32_t export_s, uint32_t sequence, uint32_t domain);

/* Writes the header of a set. */
void bh_ipfix_set(uint8_t *set, uint16_t id, size_t size);

/* The observation domain of a node: the same after each start, different for each node as far as
 * 32 bits go, and never 0. */
uint32_t bh_ipfix_domain(const char *node);

#endif
