/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_WIRE_H
#define BULKHEAD_PROTO_WIRE_H

/*
 * The socket between controller and dataplane: protobuf envelopes over nng pair0 on an ipc path,
 * one peer at a time, sizes bounded, driven by the caller's event loop through bh_wire_fd().
 * The schema is in bulkhead.proto.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bulkhead.pb-c.h"

#define BH_WIRE_VERSION 1
#define BH_WIRE_MESSAGE_MAX (1024 * 1024)
/* What a sender aims at when it cuts an update or a batch into parts. */
#define BH_WIRE_PART_TARGET (256 * 1024)

struct bh_wire;

/*
 * Listens on `path` (a leftover socket file is replaced), mode 0600 and owned by `owner`. A
 * peer whose uid is neither `owner` nor 0 is turned away. One peer at a time.
 * Returns 0 and *ret_wire (free with bh_wire_free()), or -errno.
 */
int bh_wire_listen(const char *path, uid_t owner, struct bh_wire **ret_wire);

/* Connects to `path`, and again whenever the other side goes away. As bh_wire_listen(). */
int bh_wire_dial(const char *path, struct bh_wire **ret_wire);

void bh_wire_free(struct bh_wire *wire);

/* Readable when bh_wire_receive() has something to say. Owned by the wire. */
int bh_wire_fd(const struct bh_wire *wire);

enum bh_wire_event {
	BH_WIRE_NOTHING = 0, /* no more for now */
	BH_WIRE_CONNECTED,   /* a new peer: say Hello, forget what the last one knew */
	BH_WIRE_DISCONNECTED,
	BH_WIRE_MESSAGE, /* *ret_message is set: free with bh_wire_message_free() */
	BH_WIRE_GARBAGE, /* *ret_reason says what was wrong; answered with a Refusal already */
};

/*
 * Takes the next event; call until BH_WIRE_NOTHING. ret_reason points to storage of the wire, valid
 * until the next call. Never blocks.
 */
enum bh_wire_event bh_wire_receive(
	struct bh_wire *wire, Bulkhead__Wire__Envelope **ret_message, const char **ret_reason);

void bh_wire_message_free(Bulkhead__Wire__Envelope *message);

/*
 * Sends one envelope, which stays the caller's. Never blocks: what the socket cannot take yet is
 * queued, up to `BH_WIRE_QUEUE_MAX` bytes. Returns 0, -ENOTCONN without a peer, -EMSGSIZE above
 * BH_WIRE_MESSAGE_MAX, -ENOBUFS when the queue is full (nothing was sent), -ENOMEM.
 */
#define BH_WIRE_QUEUE_MAX (64 * 1024 * 1024)
int bh_wire_send(struct bh_wire *wire, const Bulkhead__Wire__Envelope *message);

bool bh_wire_connected(const struct bh_wire *wire);

/* Decodes one message as bh_wire_receive() does; for tests and fuzzing. Returns NULL and
 * *ret_reason. */
Bulkhead__Wire__Envelope *bh_wire_decode(const uint8_t *data, size_t size, const char **ret_reason);

#endif
