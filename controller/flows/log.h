/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_FLOWS_LOG_H
#define BULKHEAD_FLOWS_LOG_H

/*
 * The recent flow records, in memory, oldest thrown away first. Records are named when they
 * arrive: an address means the pod that has it then. Each has a sequence number, from 1, without
 * gaps, so a reader can go on where it stopped and see what it missed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead.pb-c.h"
#include "controller/flows/names.h"
#include "controller/flows/talk.h"

#define BH_FLOW_LOG_RECORDS 100000
#define BH_FLOW_LOG_BYTES (64u * 1024 * 1024)

struct bh_flow_end {
	struct bh_ip ip;       /* family 0: no address was parsed */
	uint16_t port;         /* 0 where there is none */
	const char *namespace; /* "" if it is no pod that we know */
	const char *pod;
	uint32_t workload;
	bool known; /* the workload number is: of the far end of a frame without addresses it is not
		     */
};

enum bh_flow_verdict {
	BH_FLOW_ALLOWED,
	BH_FLOW_WOULD_DENY, /* passed, and the pending policy would not have let it */
	BH_FLOW_DENIED,
};

struct bh_flow_record {
	uint64_t sequence;
	uint64_t time_ns; /* since 1970 */
	uint64_t started_ns;
	uint64_t packets[2]; /* by the opener, by the responder */
	uint64_t octets[2];
	/* Of these, what records before this one have told, and when the last was made; 0: none. */
	uint64_t told_ns;
	uint64_t told_packets[2];
	uint64_t told_octets[2];
	uint32_t reason; /* enum bh_reason */
	uint32_t pending;
	uint32_t rule;
	uint32_t pending_rule;
	uint32_t suppressed; /* like ones that were not reported before this one */
	uint32_t flags;      /* BH_FLOW_* of the ABI */
	uint16_t ethertype;
	uint8_t type; /* Bulkhead__Wire__FlowType */
	uint8_t protocol;
	uint8_t tcp_flags;
	uint8_t hook;
	bool egress; /* seen from the pod that reports it: it is the source */
	enum bh_flow_verdict verdict;
	struct bh_flow_talk talk; /* of a flow that ended, or lasts */
	struct bh_flow_end src;   /* opener */
	struct bh_flow_end dst;
	size_t bytes;
	char text[]; /* the names */
};

/*
 * What no record before it has told: of a flow that lasts or ended what it has carried since the
 * last one, of what was denied the packet itself, else nothing. So it may be added up.
 */
struct bh_flow_delta {
	uint64_t since_ns; /* 0: not known, as the beginning is not */
	uint64_t packets[2];
	uint64_t octets[2];
};
struct bh_flow_delta bh_flow_delta(const struct bh_flow_record *record);

struct bh_flow_log;

struct bh_flow_log *bh_flow_log_new(size_t max_records, size_t max_bytes);
void bh_flow_log_free(struct bh_flow_log *log);

/* Takes the records of a batch in; fields that make no sense are read as absent. */
void bh_flow_log_add(
	struct bh_flow_log *log, struct bh_names *names, const Bulkhead__Wire__FlowBatch *batch);

/* Sequence numbers of the oldest record there is and of the next to come. */
uint64_t bh_flow_log_first(const struct bh_flow_log *log);
uint64_t bh_flow_log_next(const struct bh_flow_log *log);

/* The record, or NULL if it is gone or not there yet. */
const struct bh_flow_record *bh_flow_log_get(const struct bh_flow_log *log, uint64_t sequence);

/* Records the data plane had and could not send. */
uint64_t bh_flow_log_lost(const struct bh_flow_log *log);

/* What a reader wants to see; all zero: everything. Strings are borrowed. */
struct bh_flow_filter {
	const char *namespace; /* of either end */
	const char *pod;       /* "namespace/name", or a name, of either end */
	bool by_verdict;
	enum bh_flow_verdict verdict;
	bool by_protocol;
	uint8_t protocol;
	uint16_t port; /* of the responder; 0: any */
};

bool bh_flow_matches(const struct bh_flow_record *record, const struct bh_flow_filter *filter);

/* "new", "closed", "active", "denied", "would-deny" */
const char *bh_flow_type_word(const struct bh_flow_record *record);
/* "allowed", "would-deny", "denied" */
const char *bh_flow_verdict_word(enum bh_flow_verdict verdict);

#endif
