/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_FLOWS_TALK_H
#define BULKHEAD_FLOWS_TALK_H

/*
 * What a conversation is, as the data plane reports it: what is spoken, whether it is encrypted,
 * whom the client asked for, how long the other end takes to answer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead/talk.h"

struct Bulkhead__Wire__Edge;
struct Bulkhead__Wire__Flow;

#define BH_SNI_MAX 64 /* with the terminating zero; longer names are cut */

struct bh_talk {
	uint8_t app;          /* enum bh_app, the latest that was recognised */
	uint8_t encrypted;    /* enum bh_encrypted */
	uint16_t tls_version; /* as on the wire: 0x0303 is TLS 1.2 */
	char sni[BH_SNI_MAX]; /* "": none; letters, digits, '.', '-', '_', else nothing */
	/* TCP handshakes: microseconds. */
	uint32_t rtt_min_us;
	uint64_t rtt_sum_us;
	uint64_t rtt_n;
};

/* What a report says. Values that nobody knows count as unknown. */
void bh_talk_of_edge(const struct Bulkhead__Wire__Edge *edge, struct bh_talk *ret_talk);

/* What is spoken in one flow. */
struct bh_flow_talk {
	uint8_t app;
	uint8_t encrypted;
	uint16_t tls_version;
	uint32_t round_trip_us; /* of its handshake; 0: not known */
};
struct bh_flow_talk bh_talk_of_flow(const struct Bulkhead__Wire__Flow *flow);

/* Takes over what `from` knows to be spoken. */
void bh_talk_learn(struct bh_talk *to, const struct bh_talk *from);
/* Adds its round-trips. */
void bh_talk_add_trips(struct bh_talk *to, const struct bh_talk *from);

/*
 * The name that a ClientHello asks for (RFC 6066), from its beginning: `size` octets from the
 * record's header on, which anybody may have made up. Returns false where there is none, it lies
 * behind the end, or it has characters that no host name has; *ret_name is then "".
 */
bool bh_talk_server_name(const uint8_t *hello, size_t size, char ret_name[BH_SNI_MAX]);

#endif
