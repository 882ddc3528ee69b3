/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_COLLECTOR_H
#define BULKHEAD_EXPORT_COLLECTOR_H

/*
 * Flows to an IPFIX collector, over UDP or TCP. Records gather for a moment into messages; messages
 * wait in a queue until the collector is there, and stay in it until they are known to have
 * arrived, or may be taken for it:
 *
 *   TCP  its kernel has acknowledged every byte (SIOCOUTQ);
 *   UDP  it was sent and not refused (ICMP) within CONFIRM_MS. UDP knows no more than that.
 *
 * Delivered is counted then. When a connection breaks, or a datagram is refused, all that was not
 * confirmed is sent again on the next one, which is a new session of IPFIX (RFC 7011, 3.1): it
 * begins with the templates, and its sequence numbers at 0. Some messages may so arrive twice, none
 * is lost. What does not fit into the queue meanwhile is lost, the newest first, and counted.
 *
 * Each try over UDP is a socket of its own on which the templates go first: while nobody listens,
 * only they are refused.
 */

#include <uv.h>

#include "controller/export/account.h"
#include "controller/export/flow.h"

struct bh_collector_config {
	bool tcp;
	const char *host; /* a name or an address; resolved for each try */
	const char *port;
	uint32_t enterprise;
	unsigned int templates_s; /* over UDP they are sent again that often */
	size_t queue_bytes;
};

struct bh_collector;

/*
 * Reads "udp:HOST:PORT", "tcp:[ADDRESS]:PORT". Host and port are cut out of `copy`, a copy of the
 * text that lives as long as the config. NULL, or what is wrong with it.
 */
const char *bh_collector_parse(char *copy, struct bh_collector_config *ret_config);

/* Strings are copied. `changed` is called when it began to fail or recovered. */
struct bh_collector *bh_collector_new(uv_loop_t *loop, const struct bh_collector_config *config,
	const char *node, void (*changed)(void *data), void *data);

void bh_collector_add(struct bh_collector *collector, const struct bh_export_flow *flow);
const struct bh_export_account *bh_collector_account(const struct bh_collector *collector);

/* The end: close() sends what goes at once; the caller runs the loop until it is empty; finish()
 * counts what is left. */
void bh_collector_close(struct bh_collector *collector);
void bh_collector_finish(struct bh_collector *collector);
void bh_collector_free(struct bh_collector *collector);

#endif
