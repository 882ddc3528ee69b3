/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "controller/link/link.h"
#include "controller/link/update.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "proto/cleanup.h"
#include "proto/wire.h"

/* Before a refused update is tried again unchanged, and the most that doubles to. */
#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 30000
/*
 * One dispatch handles at most this much before the loop gets its turn. Each may be a thousand flow
 * records, some 10 ms in which nobody else is served.
 */
#define MESSAGES_PER_DISPATCH 2

struct bh_link {
	struct bh_wire *wire;
	struct bh_link_events events;
	void *data;
	char *node;
	uint64_t instance;

	struct bh_desired *wanted;
	struct bh_desired *flying;  /* sent, not yet acknowledged */
	struct bh_desired *applied; /* acknowledged on this connection: the base of differences */
	bool flying_full;
	bool need_full;
	uint64_t flying_since;
	uint64_t retry_at; /* 0: as soon as there is something to send */
	uint64_t retry_ms;

	enum bh_link_hold hold;
	bool enforcing; /* the peer had something in force that an update could take away */
	bool greeted;
	bool unread; /* dispatch stopped early: the descriptor alone would not bring us back */
	char *peer_program;
	char *incompatible;
	char *refused;
	uint64_t refused_revision;
	uint64_t garbage;
	uint64_t asked; /* tokens of requests for a status, never used twice */
	uint64_t refreshed;

	Bulkhead__Wire__Envelope *status; /* whose body the table below points into */
	struct bh_table endpoints;        /* uid → Bulkhead__Wire__EndpointStatus */
};

static void replace_text(char **text, const char *with)
{
	free(*text);
	*text = with ? bh_xstrdup(with) : NULL;
}

static void replace_desired(struct bh_desired **slot, struct bh_desired *with)
{
	if (with)
		bh_desired_ref(with);
	if (*slot)
		bh_desired_unref(*slot);
	*slot = with;
}

static void forget_status(struct bh_link *link)
{
	bh_table_clear(&link->endpoints);
	bh_wire_message_free(link->status);
	link->status = NULL;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void send_hello(struct bh_link *link)
{
	Bulkhead__Wire__Hello hello = BULKHEAD__WIRE__HELLO__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	hello.wire_version = BH_WIRE_VERSION;
	hello.program = "bulkhead-controller " BH_VERSION;
	hello.instance = link->instance;
	hello.node = link->node;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	bh_wire_send(link->wire, &envelope); /* failing means the peer is gone: we will be told */
}

static int send_part(void *data, const Bulkhead__Wire__Update *part)
{
	struct bh_link *link = data;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_UPDATE;
	envelope.update = (Bulkhead__Wire__Update *)part;
	return bh_wire_send(link->wire, &envelope);
}

static void retry_later(struct bh_link *link, uint64_t now)
{
	link->retry_ms = link->retry_ms ? link->retry_ms * 2 : RETRY_MIN_MS;
	if (link->retry_ms > RETRY_MAX_MS)
		link->retry_ms = RETRY_MAX_MS;
	link->retry_at = now + link->retry_ms;
	link->need_full = true;
}

/* The update in flight has come to nothing. */
static void update_refused(struct bh_link *link, uint64_t now, const char *reason)
{
	replace_text(&link->refused, reason);
	link->refused_revision = link->flying->revision;
	replace_desired(&link->flying, NULL);
	retry_later(link, now);
	link->events.changed(link->data);
}

static bool is_holding(const struct bh_link *link)
{
	return link->hold == BH_LINK_HOLD_ALL ||
	       (link->hold == BH_LINK_HOLD_ENFORCING && link->enforcing);
}

/* Sends what is wanted, if the peer is ready for it and does not have it yet. */
static void push(struct bh_link *link, uint64_t now)
{
	const struct bh_desired *base;
	int r;

	if (!link->greeted || link->incompatible || link->flying || !link->wanted ||
		is_holding(link))
		return;
	if (link->wanted == link->applied && !link->need_full)
		return;
	if (link->retry_at > now)
		return;

	base = link->need_full ? NULL : link->applied;
	replace_desired(&link->flying, link->wanted);
	link->flying_full = base == NULL;
	link->flying_since = now;
	link->retry_at = 0;
	r = bh_update_emit(base, link->wanted, send_part, link);
	if (r == -EMSGSIZE) {
		update_refused(link, now,
			"a single program or endpoint is larger than a message may be; "
			"use fewer distinct peers or ports in the policies of one pod");
	} else if (r < 0) {
		/* What was sent of it is thrown away by the peer when the next update begins. */
		replace_desired(&link->flying, NULL);
		retry_later(link, now);
	}
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static void forget_peer(struct bh_link *link)
{
	link->greeted = false;
	link->enforcing = false;
	link->need_full = true;
	link->retry_at = 0;
	link->retry_ms = 0;
	replace_desired(&link->flying, NULL);
	replace_desired(&link->applied, NULL);
	replace_text(&link->peer_program, NULL);
	replace_text(&link->incompatible, NULL);
	forget_status(link);
}

static void on_hello(struct bh_link *link, const Bulkhead__Wire__Hello *hello)
{
	replace_text(&link->peer_program, hello->program);
	if (hello->wire_version != BH_WIRE_VERSION) {
		free(link->incompatible);
		link->incompatible = bh_xasprintf(
			"it speaks version %u of the wire, this controller %u; install the same "
			"version of both",
			hello->wire_version, BH_WIRE_VERSION);
		link->events.notice(link->data, link->incompatible);
		link->events.changed(link->data);
		return;
	}
	link->greeted = true;
	link->enforcing = hello->endpoints > 0;
	link->events.connected(link->data, hello->program);
}

static void on_ack(struct bh_link *link, const Bulkhead__Wire__Ack *ack, uint64_t now)
{
	if (!link->flying || ack->revision != link->flying->revision)
		return; /* of an update that was given up */
	if (ack->ok) {
		replace_desired(&link->applied, link->flying);
		replace_desired(&link->flying, NULL);
		replace_text(&link->refused, NULL);
		link->hold =
			BH_LINK_HOLD_NONE; /* what the peer has in force is ours from here on */
		link->need_full = false;
		link->retry_ms = 0;
		link->events.changed(link->data);
		return;
	}
	if (ack->want_full && !link->flying_full) {
		link->events.notice(link->data, "the data plane asks for everything anew");
		link->need_full = true;
		replace_desired(&link->flying, NULL);
		return;
	}
	update_refused(link, now, ack->reason[0] ? ack->reason : "no reason was given");
}

static void on_refusal(struct bh_link *link, const Bulkhead__Wire__Refusal *refusal, uint64_t now)
{
	_cleanup_free_ char *text =
		bh_xasprintf("the data plane did not understand a message: %s", refusal->reason);

	link->garbage++;
	link->events.notice(link->data, text);
	if (link->flying)
		update_refused(link, now, text);
}

/* Keeps the whole message, as the state of endpoints is asked for by uid at any time. */
static void on_status(struct bh_link *link, Bulkhead__Wire__Envelope *message)
{
	forget_status(link);
	link->status = message;
	for (size_t i = 0; i < message->status->n_endpoints; i++) {
		Bulkhead__Wire__EndpointStatus *endpoint = message->status->endpoints[i];

		bh_table_put(&link->endpoints, endpoint->uid, strlen(endpoint->uid) + 1, endpoint);
	}
	link->events.status(link->data, message->status);
}

static void on_message(struct bh_link *link, Bulkhead__Wire__Envelope *message, uint64_t now)
{
	switch (message->body_case) {
	case BULKHEAD__WIRE__ENVELOPE__BODY_HELLO:
		on_hello(link, message->hello);
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_ACK:
		on_ack(link, message->ack, now);
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_STATUS:
		on_status(link, message);
		return; /* kept */
	case BULKHEAD__WIRE__ENVELOPE__BODY_FLOWS:
		link->events.flows(link->data, message->flows);
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_EDGES:
		link->events.edges(link->data, message->edges);
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL:
		on_refusal(link, message->refusal, now);
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_STATUS_REQUEST:
		if (message->status_request->token <= link->asked)
			link->refreshed = message->status_request->token;
		break;
	default:
		link->garbage++;
		link->events.notice(
			link->data, "a message that only a controller may send came in");
		break;
	}
	bh_wire_message_free(message);
}

static bool receive_one(struct bh_link *link, uint64_t now)
{
	Bulkhead__Wire__Envelope *message = NULL;
	const char *reason = NULL;
	bool was_greeted = link->greeted;

	switch (bh_wire_receive(link->wire, &message, &reason)) {
	case BH_WIRE_NOTHING:
		return false;
	case BH_WIRE_CONNECTED:
		forget_peer(link);
		send_hello(link);
		break;
	case BH_WIRE_DISCONNECTED:
		forget_peer(link);
		if (was_greeted)
			link->events.disconnected(link->data);
		break;
	case BH_WIRE_MESSAGE:
		on_message(link, message, now);
		break;
	case BH_WIRE_GARBAGE:
		link->garbage++;
		link->events.notice(link->data, reason);
		break;
	}
	return true;
}

void bh_link_dispatch(struct bh_link *link, uint64_t now)
{
	unsigned int n = 0;

	while (n < MESSAGES_PER_DISPATCH && receive_one(link, now))
		n++;
	link->unread = n == MESSAGES_PER_DISPATCH;
	push(link, now);
}

/* ---- For the caller -------------------------------------------------------------------------- */

int bh_link_new(const char *path, const char *node, const struct bh_link_events *events, void *data,
	struct bh_link **ret_link)
{
	struct bh_link *link = bh_xcalloc(1, sizeof(*link));
	int r = bh_wire_dial(path, &link->wire);

	if (r < 0) {
		free(link);
		return r;
	}
	if (getrandom(&link->instance, sizeof(link->instance), GRND_NONBLOCK) < 0)
		link->instance = (uint64_t)getpid();
	link->node = bh_xstrdup(node);
	link->events = *events;
	link->data = data;
	link->need_full = true;
	*ret_link = link;
	return 0;
}

void bh_link_free(struct bh_link *link)
{
	if (!link)
		return;
	forget_peer(link);
	replace_desired(&link->wanted, NULL);
	bh_wire_free(link->wire);
	free(link->refused);
	free(link->node);
	free(link);
}

int bh_link_fd(const struct bh_link *link)
{
	return bh_wire_fd(link->wire);
}

uint64_t bh_link_deadline(const struct bh_link *link)
{
	if (link->unread)
		return 1; /* now */
	return link->greeted && !link->flying ? link->retry_at : 0;
}

void bh_link_want(struct bh_link *link, struct bh_desired *desired, uint64_t now)
{
	replace_desired(&link->wanted, desired);
	link->retry_at = 0; /* a change deserves a try of its own */
	push(link, now);
}

void bh_link_hold(struct bh_link *link, enum bh_link_hold hold)
{
	link->hold = hold;
}

void bh_link_release(struct bh_link *link, uint64_t now)
{
	link->hold = BH_LINK_HOLD_NONE;
	push(link, now);
}

uint64_t bh_link_refresh(struct bh_link *link)
{
	Bulkhead__Wire__StatusRequest request = BULKHEAD__WIRE__STATUS_REQUEST__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	if (!link->greeted)
		return 0;
	request.token = ++link->asked;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_STATUS_REQUEST;
	envelope.status_request = &request;
	return bh_wire_send(link->wire, &envelope) < 0 ? 0 : request.token;
}

uint64_t bh_link_refreshed(const struct bh_link *link)
{
	return link->refreshed;
}

uint64_t bh_link_applied(const struct bh_link *link)
{
	return link->applied ? link->applied->revision : 0;
}

void bh_link_state(const struct bh_link *link, struct bh_link_state *ret_state)
{
	*ret_state = (struct bh_link_state){
		.connected = link->greeted,
		.holding = link->greeted && is_holding(link),
		.program = link->peer_program ? link->peer_program : "",
		.refused = link->refused,
		.refused_revision = link->refused_revision,
		.incompatible = link->incompatible,
		.waiting_since = link->flying ? link->flying_since : 0,
		.garbage = link->garbage,
		.status = link->status ? link->status->status : NULL,
	};
}

const Bulkhead__Wire__EndpointStatus *bh_link_endpoint(const struct bh_link *link, const char *uid)
{
	return bh_table_get(&link->endpoints, uid, strlen(uid) + 1);
}
