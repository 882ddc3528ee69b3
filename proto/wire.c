/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nng works on threads of its own; both daemons are single event loops. Between them stand two
 * queues and one eventfd:
 *
 *   inbox   what nng's callbacks saw, in order: a peer came, a message, the peer left. The eventfd
 * is readable while it is not empty. When it is full no further receive is started, so the kernel's
 * socket buffer, and then the sender, feel it. outbox  what bh_wire_send() could not hand to nng
 * yet; one asynchronous send is under way at a time.
 *
 * A message belongs to the connection it was sent on. What is still queued when the peer leaves is
 * thrown away; one message may already be in nng's hands then, which would deliver it to the next
 * peer. So the receiving side lets nothing through on a new connection before the peer's Hello.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/transport/ipc/ipc.h>

#include "proto/cleanup.h"
#include "proto/socket.h"
#include "proto/wire.h"

/* Up to here a message that is too long is refused and the connection goes on; beyond, nng hangs
 * up. */
#define RECEIVE_MAX (4 * BH_WIRE_MESSAGE_MAX)
#define INBOX_MAX_ITEMS 256
#define INBOX_MAX_BYTES (8 * 1024 * 1024)
#define RECONNECT_MIN_MS 20
#define RECONNECT_MAX_MS 500
/* Connections gone lately, of which a last message or a late announcement may still come. */
#define GONE_PIPES 64

struct item {
	struct item *next;
	enum bh_wire_event event;
	nng_msg *message;
};

struct queue {
	struct item *head;
	struct item **tail;
	size_t n;
	size_t bytes;
};

struct bh_wire {
	nng_socket socket;
	nng_aio *receive_aio;
	nng_aio *send_aio;
	int event_fd;
	uid_t peer_uid; /* who may be at the other end, besides root */
	bool greeted;   /* the peer has said Hello; only bh_wire_receive() looks */
	char reason[256];

	pthread_mutex_t lock; /* all below */
	struct queue inbox;
	struct queue outbox;
	uint32_t peer; /* nng's id of the connection, 0 = none */
	uint32_t gone[GONE_PIPES];
	unsigned int n_gone;
	bool sending;
	bool receiving;
	bool stopping;
};

/* ---- Queues, locked by the caller ------------------------------------------------------------ */

static size_t item_bytes(const struct item *item)
{
	return item->message ? nng_msg_len(item->message) : 0;
}

static void queue_init(struct queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
}

static int queue_push(struct queue *queue, enum bh_wire_event event, nng_msg *message)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->event = event;
	item->message = message;
	*queue->tail = item;
	queue->tail = &item->next;
	queue->n++;
	queue->bytes += item_bytes(item);
	return 0;
}

/* The first item, the caller's from now on; NULL when there is none. */
static struct item *queue_pop(struct queue *queue)
{
	struct item *item = queue->head;

	if (!item)
		return NULL;
	queue->head = item->next;
	if (!queue->head)
		queue->tail = &queue->head;
	queue->n--;
	queue->bytes -= item_bytes(item);
	return item;
}

static void item_free(struct item *item)
{
	if (!item)
		return;
	if (item->message)
		nng_msg_free(item->message);
	free(item);
}

static void queue_clear(struct queue *queue)
{
	struct item *item;

	while ((item = queue_pop(queue)))
		item_free(item);
}

/* ---- Events, from nng's threads -------------------------------------------------------------- */

static void inbox_push(struct bh_wire *wire, enum bh_wire_event event, nng_msg *message)
{
	uint64_t one = 1;

	if (queue_push(&wire->inbox, event, message) < 0) {
		/* Out of memory: a lost message is a lost connection, which both sides know how to
		 * mend. */
		if (message)
			nng_msg_free(message);
		if (event == BH_WIRE_MESSAGE && wire->peer)
			nng_pipe_close((nng_pipe){.id = wire->peer});
		return;
	}
	if (write(wire->event_fd, &one, sizeof(one)) < 0)
		return; /* the counter is at its maximum: readable all the same */
}

static bool pipe_is_gone(const struct bh_wire *wire, uint32_t pipe)
{
	for (unsigned int i = 0; i < GONE_PIPES; i++) {
		if (wire->gone[i] == pipe)
			return true;
	}
	return false;
}

static void peer_left(struct bh_wire *wire)
{
	wire->peer = 0;
	queue_clear(&wire->outbox);
	if (wire->sending)
		nng_aio_abort(wire->send_aio, NNG_ECONNRESET);
	inbox_push(wire, BH_WIRE_DISCONNECTED, NULL);
}

static void remember_gone(struct bh_wire *wire, uint32_t pipe)
{
	wire->gone[wire->n_gone++ % GONE_PIPES] = pipe;
}

/* A connection's first message may overtake the callback that announces the connection. */
static void peer_seen(struct bh_wire *wire, uint32_t pipe)
{
	if (wire->peer == pipe)
		return;
	if (wire->peer) {
		remember_gone(wire, wire->peer);
		peer_left(wire);
	}
	wire->peer = pipe;
	inbox_push(wire, BH_WIRE_CONNECTED, NULL);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *data)
{
	struct bh_wire *wire = data;
	uint32_t id = (uint32_t)nng_pipe_id(pipe);
	uint64_t uid;

	if (event == NNG_PIPE_EV_ADD_PRE) {
		if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) != 0 ||
			(uid != 0 && uid != wire->peer_uid))
			nng_pipe_close(pipe);
		return;
	}

	pthread_mutex_lock(&wire->lock);
	if (!wire->stopping && event == NNG_PIPE_EV_ADD_POST && !pipe_is_gone(wire, id))
		peer_seen(wire, id);
	/* A connection that ends at once may be announced after its end. */
	if (!wire->stopping && event == NNG_PIPE_EV_REM_POST) {
		remember_gone(wire, id);
		if (wire->peer == id)
			peer_left(wire);
	}
	pthread_mutex_unlock(&wire->lock);
}

static bool inbox_has_room(const struct bh_wire *wire)
{
	return wire->inbox.n < INBOX_MAX_ITEMS && wire->inbox.bytes < INBOX_MAX_BYTES;
}

static void on_received(void *data)
{
	struct bh_wire *wire = data;
	int err = nng_aio_result(wire->receive_aio);
	nng_msg *message = err ? NULL : nng_aio_get_msg(wire->receive_aio);
	bool again;

	pthread_mutex_lock(&wire->lock);
	if (message) {
		uint32_t pipe = (uint32_t)nng_pipe_id(nng_msg_get_pipe(message));

		if (wire->stopping || pipe_is_gone(wire, pipe)) {
			nng_msg_free(message);
		} else {
			peer_seen(wire, pipe);
			inbox_push(wire, BH_WIRE_MESSAGE, message);
		}
	}
	again = !wire->stopping && err != NNG_ECLOSED && err != NNG_ECANCELED &&
		inbox_has_room(wire);
	wire->receiving = again;
	pthread_mutex_unlock(&wire->lock);
	if (again)
		nng_recv_aio(wire->socket, wire->receive_aio);
}

/* Hands nng the next queued message, unless one is still on its way. */
static void send_next(struct bh_wire *wire)
{
	struct item *item = NULL;

	pthread_mutex_lock(&wire->lock);
	if (!wire->sending && !wire->stopping && wire->peer) {
		item = queue_pop(&wire->outbox);
		wire->sending = item != NULL;
	}
	pthread_mutex_unlock(&wire->lock);
	if (!item)
		return;
	nng_aio_set_msg(wire->send_aio, item->message);
	item->message = NULL;
	item_free(item);
	nng_send_aio(wire->socket, wire->send_aio);
}

static void on_sent(void *data)
{
	struct bh_wire *wire = data;

	if (nng_aio_result(wire->send_aio) != 0) {
		nng_msg *message = nng_aio_get_msg(wire->send_aio);

		nng_aio_set_msg(wire->send_aio, NULL);
		if (message)
			nng_msg_free(message);
	}
	pthread_mutex_lock(&wire->lock);
	wire->sending = false;
	pthread_mutex_unlock(&wire->lock);
	send_next(wire);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static void wire_cleanup(struct bh_wire **wire)
{
	bh_wire_free(*wire);
}

static int wire_new(uid_t peer_uid, struct bh_wire **ret_wire)
{
	_cleanup_(wire_cleanup) struct bh_wire *wire = calloc(1, sizeof(*wire));
	int err;

	if (!wire)
		return -ENOMEM;
	pthread_mutex_init(&wire->lock, NULL);
	queue_init(&wire->inbox);
	queue_init(&wire->outbox);
	wire->peer_uid = peer_uid;
	wire->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wire->event_fd < 0)
		return -errno;

	if ((err = nng_pair0_open(&wire->socket)) ||
		(err = nng_aio_alloc(&wire->receive_aio, on_received, wire)) ||
		(err = nng_aio_alloc(&wire->send_aio, on_sent, wire)) ||
		(err = nng_socket_set_size(wire->socket, NNG_OPT_RECVMAXSZ, RECEIVE_MAX)) ||
		(err = nng_pipe_notify(wire->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, wire)) ||
		(err = nng_pipe_notify(wire->socket, NNG_PIPE_EV_ADD_POST, on_pipe, wire)) ||
		(err = nng_pipe_notify(wire->socket, NNG_PIPE_EV_REM_POST, on_pipe, wire)))
		return bh_socket_errno(err);
	*ret_wire = bh_take_pointer(wire);
	return 0;
}

static void wire_start_receiving(struct bh_wire *wire)
{
	wire->receiving = true;
	nng_recv_aio(wire->socket, wire->receive_aio);
}

int bh_wire_listen(const char *path, uid_t owner, struct bh_wire **ret_wire)
{
	_cleanup_(wire_cleanup) struct bh_wire *wire = NULL;
	char url[128];
	nng_listener listener;
	int err;

	err = bh_socket_url(path, url, sizeof(url));
	if (err < 0)
		return err;
	err = bh_socket_remove_leftover(path);
	if (err < 0)
		return err;
	err = wire_new(owner, &wire);
	if (err < 0)
		return err;
	/* The mode is set between bind and listen, so nobody else is ever in time to connect. */
	if ((err = nng_listener_create(&listener, wire->socket, url)) ||
		(err = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600)) ||
		(err = nng_listener_start(listener, 0)))
		return bh_socket_errno(err);
	if (owner != geteuid() && lchown(path, owner, (gid_t)-1) < 0)
		return -errno;
	wire_start_receiving(wire);
	*ret_wire = bh_take_pointer(wire);
	return 0;
}

int bh_wire_dial(const char *path, struct bh_wire **ret_wire)
{
	_cleanup_(wire_cleanup) struct bh_wire *wire = NULL;
	char url[128];
	nng_dialer dialer;
	int err;

	err = bh_socket_url(path, url, sizeof(url));
	if (err < 0)
		return err;
	err = wire_new(geteuid(), &wire);
	if (err < 0)
		return err;
	if ((err = nng_dialer_create(&dialer, wire->socket, url)) ||
		(err = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS)) ||
		(err = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS)) ||
		(err = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK)))
		return bh_socket_errno(err);
	wire_start_receiving(wire);
	*ret_wire = bh_take_pointer(wire);
	return 0;
}

void bh_wire_free(struct bh_wire *wire)
{
	if (!wire)
		return;
	pthread_mutex_lock(&wire->lock);
	wire->stopping = true;
	pthread_mutex_unlock(&wire->lock);
	if (wire->receive_aio)
		nng_aio_stop(wire->receive_aio);
	if (wire->send_aio)
		nng_aio_stop(wire->send_aio);
	if (nng_socket_id(wire->socket) > 0)
		nng_close(wire->socket);
	if (wire->receive_aio)
		nng_aio_free(wire->receive_aio);
	if (wire->send_aio)
		nng_aio_free(wire->send_aio);
	queue_clear(&wire->inbox);
	queue_clear(&wire->outbox);
	if (wire->event_fd >= 0)
		close(wire->event_fd);
	pthread_mutex_destroy(&wire->lock);
	free(wire);
}

int bh_wire_fd(const struct bh_wire *wire)
{
	return wire->event_fd;
}

bool bh_wire_connected(const struct bh_wire *wire)
{
	struct bh_wire *locked = (struct bh_wire *)wire;
	bool connected;

	pthread_mutex_lock(&locked->lock);
	connected = wire->peer != 0;
	pthread_mutex_unlock(&locked->lock);
	return connected;
}

#ifdef __SANITIZE_ADDRESS__
/*
 * nng 1.5.2 loses the message it is writing when its peer goes at that moment. What we queue
 * ourselves is allocated here, and still looked for.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnng.so\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}
#endif

/* ---- Decoding -------------------------------------------------------------------------------- */

/*
 * Two bytes on the wire can stand for a struct of two hundred. What we send ourselves stays well
 * below sixteen times its size; a message that asks for more is not one of ours.
 */
#define DECODE_FACTOR 16
#define DECODE_BASE (64 * 1024)
#define ALLOCATION_OVERHEAD 16

struct budget {
	size_t left;
	bool exceeded;
};

static void *budget_alloc(void *data, size_t size)
{
	struct budget *budget = data;

	if (size > SIZE_MAX - ALLOCATION_OVERHEAD || size + ALLOCATION_OVERHEAD > budget->left) {
		budget->exceeded = true;
		return NULL;
	}
	budget->left -= size + ALLOCATION_OVERHEAD;
	return malloc(size);
}

static void budget_free(void *data, void *pointer)
{
	free(pointer);
}

Bulkhead__Wire__Envelope *bh_wire_decode(const uint8_t *data, size_t size, const char **ret_reason)
{
	struct budget budget = {.left = DECODE_BASE + DECODE_FACTOR * size};
	ProtobufCAllocator allocator = {
		.alloc = budget_alloc,
		.free = budget_free,
		.allocator_data = &budget,
	};
	Bulkhead__Wire__Envelope *message;

	if (size > BH_WIRE_MESSAGE_MAX) {
		*ret_reason = "the message is longer than 1 MiB";
		return NULL;
	}
	message = bulkhead__wire__envelope__unpack(&allocator, size, data);
	if (!message) {
		*ret_reason = budget.exceeded ? "the message unpacks to far more than its size"
					      : "the message is not a protobuf envelope";
		return NULL;
	}
	if (message->body_case == BULKHEAD__WIRE__ENVELOPE__BODY__NOT_SET) {
		bh_wire_message_free(message);
		*ret_reason = "the envelope is empty, or its body is of a kind unknown here";
		return NULL;
	}
	return message;
}

void bh_wire_message_free(Bulkhead__Wire__Envelope *message)
{
	/* Same free() as the bounded allocator's. */
	if (message)
		bulkhead__wire__envelope__free_unpacked(message, NULL);
}

/* ---- For the event loop ---------------------------------------------------------------------- */

static struct item *inbox_pop(struct bh_wire *wire)
{
	struct item *item;
	bool restart;
	uint64_t count;

	pthread_mutex_lock(&wire->lock);
	item = queue_pop(&wire->inbox);
	if (!item && read(wire->event_fd, &count, sizeof(count)) < 0)
		count = 0; /* it was not readable, which is what we want it to be */
	restart = !wire->receiving && inbox_has_room(wire);
	if (restart)
		wire->receiving = true;
	pthread_mutex_unlock(&wire->lock);
	if (restart)
		nng_recv_aio(wire->socket, wire->receive_aio);
	return item;
}

static void refuse(struct bh_wire *wire, const char *reason)
{
	Bulkhead__Wire__Refusal refusal = BULKHEAD__WIRE__REFUSAL__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	refusal.reason = (char *)reason;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL;
	envelope.refusal = &refusal;
	bh_wire_send(wire, &envelope); /* if it cannot be sent there is nobody to tell */
}

static enum bh_wire_event receive_message(struct bh_wire *wire, nng_msg *data,
	Bulkhead__Wire__Envelope **ret_message, const char **ret_reason)
{
	const char *reason = NULL;
	Bulkhead__Wire__Envelope *message =
		bh_wire_decode(nng_msg_body(data), nng_msg_len(data), &reason);

	if (message && message->body_case == BULKHEAD__WIRE__ENVELOPE__BODY_HELLO)
		wire->greeted = true;
	if (message && !wire->greeted) {
		reason = "a message came before the peer's hello";
		bh_wire_message_free(message);
		message = NULL;
	}
	if (!message) {
		snprintf(wire->reason, sizeof(wire->reason), "%s (%zu bytes)", reason,
			nng_msg_len(data));
		refuse(wire, wire->reason);
		*ret_reason = wire->reason;
		return BH_WIRE_GARBAGE;
	}
	*ret_message = message;
	return BH_WIRE_MESSAGE;
}

enum bh_wire_event bh_wire_receive(
	struct bh_wire *wire, Bulkhead__Wire__Envelope **ret_message, const char **ret_reason)
{
	struct item *item = inbox_pop(wire);
	enum bh_wire_event event;

	if (!item)
		return BH_WIRE_NOTHING;
	event = item->event;
	if (event == BH_WIRE_MESSAGE)
		event = receive_message(wire, item->message, ret_message, ret_reason);
	else
		wire->greeted = false;
	item_free(item);
	return event;
}

int bh_wire_send(struct bh_wire *wire, const Bulkhead__Wire__Envelope *message)
{
	size_t size = bulkhead__wire__envelope__get_packed_size(message);
	nng_msg *packed;
	int r = 0;

	if (size > BH_WIRE_MESSAGE_MAX)
		return -EMSGSIZE;
	if (nng_msg_alloc(&packed, size) != 0)
		return -ENOMEM;
	bulkhead__wire__envelope__pack(message, nng_msg_body(packed));

	pthread_mutex_lock(&wire->lock);
	if (!wire->peer)
		r = -ENOTCONN;
	else if (wire->outbox.bytes + size > BH_WIRE_QUEUE_MAX)
		r = -ENOBUFS;
	else
		r = queue_push(&wire->outbox, BH_WIRE_MESSAGE, packed);
	pthread_mutex_unlock(&wire->lock);
	if (r < 0) {
		nng_msg_free(packed);
		return r;
	}
	send_next(wire);
	return 0;
}
