/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nng answers on threads of its own; requests are handled on the caller's. Each of the calls goes
 * round in a circle: receiving (nng has it) → ready (here) → parked (here, maybe for long) →
 * sending (nng) → receiving.
 */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/transport/ipc/ipc.h>

#include "controller/api/control.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"
#include "proto/socket.h"

/* Who asks and does not read the answer is not waited for longer than this. */
#define SEND_TIMEOUT_MS 5000

enum call_state {
	CALL_RECEIVING,
	CALL_READY,
	CALL_PARKED,
	CALL_SENDING,
	CALL_ENDED,
};

struct call {
	struct bh_control *control;
	nng_ctx context;
	nng_aio *aio;
	enum call_state state; /* under the lock */
	struct bh_control_call call;
	json_t *request;
};

struct bh_control {
	nng_socket socket;
	int event_fd;
	bh_control_handler *handler;
	void *data;
	pthread_mutex_t lock;
	bool stopping;
	struct call calls[BH_CONTROL_CALLS];
};

json_t *bh_control_error(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	/* A text that is not UTF-8 came from a file's or a peer's name. */
	return json_pack("{s:b, s:o}", "ok", 0, "error",
		json_string(text) ?: json_string("failed, and the reason is not valid UTF-8"));
}

/* ---- On nng's threads ------------------------------------------------------------------------ */

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *data)
{
	uint64_t uid;

	if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) != 0 ||
		(uid != 0 && uid != geteuid()))
		nng_pipe_close(pipe);
}

static void set_state(struct call *call, enum call_state state)
{
	pthread_mutex_lock(&call->control->lock);
	call->state = state;
	pthread_mutex_unlock(&call->control->lock);
}

static void receive(struct call *call)
{
	set_state(call, CALL_RECEIVING);
	nng_aio_set_timeout(call->aio, NNG_DURATION_INFINITE);
	nng_ctx_recv(call->context, call->aio);
}

/* The one callback of both halves of the circle that are nng's. */
static void on_done(void *data)
{
	struct call *call = data;
	struct bh_control *control = call->control;
	int err = nng_aio_result(call->aio);
	uint64_t one = 1;
	enum call_state state;
	bool stopping;

	pthread_mutex_lock(&control->lock);
	state = call->state;
	stopping = control->stopping;
	if (stopping || err == NNG_ECLOSED)
		call->state = CALL_ENDED;
	else if (state == CALL_RECEIVING && err == 0)
		call->state = CALL_READY;
	pthread_mutex_unlock(&control->lock);

	/* A message that could not be sent, or that came too late, is still the aio's. */
	if ((state == CALL_SENDING && err != 0) ||
		(stopping && state == CALL_RECEIVING && err == 0)) {
		nng_msg_free(nng_aio_get_msg(call->aio));
		nng_aio_set_msg(call->aio, NULL);
	}
	if (stopping || err == NNG_ECLOSED)
		return;
	if (state == CALL_RECEIVING && err == 0) {
		if (write(control->event_fd, &one, sizeof(one)) < 0)
			return; /* readable already */
	} else {
		receive(call);
	}
}

/* ---- On the caller's thread ------------------------------------------------------------------ */

static void answer_text(struct call *call, const char *text, size_t n)
{
	nng_msg *message = NULL;

	json_decref(call->request);
	call->request = NULL;
	if (nng_msg_alloc(&message, 0) != 0 || nng_msg_append(message, text, n) != 0)
		abort();
	set_state(call, CALL_SENDING);
	nng_aio_set_timeout(call->aio, SEND_TIMEOUT_MS);
	nng_aio_set_msg(call->aio, message);
	nng_ctx_send(call->context, call->aio);
}

static void answer(struct call *call, json_t *body)
{
	_cleanup_free_ char *text = bh_xcheck(json_dumps(body, JSON_COMPACT));

	json_decref(body);
	answer_text(call, text, strlen(text));
}

static json_t *parse(const nng_msg *message, char *ret_problem, size_t size)
{
	json_error_t error;
	json_t *request = json_loadb(nng_msg_body((nng_msg *)message),
		nng_msg_len((nng_msg *)message), JSON_REJECT_DUPLICATES, &error);

	if (!request) {
		snprintf(ret_problem, size, "the request is not JSON: %s", error.text);
	} else if (!json_is_object(request)) {
		snprintf(ret_problem, size, "the request is JSON, but not an object");
		json_decref(request);
		request = NULL;
	}
	return request;
}

static void begin(struct call *call, uint64_t now)
{
	nng_msg *message = nng_aio_get_msg(call->aio);
	char problem[256];

	nng_aio_set_msg(call->aio, NULL);
	call->request = parse(message, problem, sizeof(problem));
	nng_msg_free(message);
	if (!call->request) {
		answer(call, bh_control_error("%s", problem));
		return;
	}
	call->call = (struct bh_control_call){
		.request = call->request, .asker = "", .arrived = now, .first = true};
	set_state(call, CALL_PARKED);
}

static void proceed(struct call *call, uint64_t now)
{
	struct bh_control *control = call->control;
	json_t *body;

	call->call.now = now;
	call->call.expired = !call->call.first && call->call.deadline <= now;
	body = control->handler(control->data, &call->call);
	if (!body && call->call.text.data) {
		answer_text(call, call->call.text.data, call->call.text.n);
		bh_text_clear(&call->call.text);
		return;
	}
	if (!body && call->call.expired)
		body = bh_control_error("timed out");
	call->call.first = false;
	if (body)
		answer(call, body);
}

static enum call_state state_of(struct call *call)
{
	enum call_state state;

	pthread_mutex_lock(&call->control->lock);
	state = call->state;
	pthread_mutex_unlock(&call->control->lock);
	return state;
}

void bh_control_dispatch(struct bh_control *control, uint64_t now)
{
	uint64_t count;

	if (read(control->event_fd, &count, sizeof(count)) < 0)
		count = 0; /* called for another reason */
	for (int i = 0; i < BH_CONTROL_CALLS; i++) {
		struct call *call = &control->calls[i];

		if (state_of(call) == CALL_READY)
			begin(call, now);
		if (state_of(call) == CALL_PARKED)
			proceed(call, now);
	}
}

uint64_t bh_control_deadline(const struct bh_control *control)
{
	uint64_t deadline = 0;

	for (int i = 0; i < BH_CONTROL_CALLS; i++) {
		struct call *call = (struct call *)&control->calls[i];

		if (state_of(call) == CALL_PARKED &&
			(deadline == 0 || call->call.deadline < deadline))
			deadline = call->call.deadline;
	}
	return deadline;
}

int bh_control_fd(const struct bh_control *control)
{
	return control->event_fd;
}

static void control_cleanup(struct bh_control **control)
{
	bh_control_free(*control);
}

static int open_calls(struct bh_control *control)
{
	int err;

	for (int i = 0; i < BH_CONTROL_CALLS; i++) {
		struct call *call = &control->calls[i];

		call->control = control;
		call->state = CALL_ENDED;
		if ((err = nng_ctx_open(&call->context, control->socket)) ||
			(err = nng_aio_alloc(&call->aio, on_done, call)))
			return err;
	}
	return 0;
}

int bh_control_new(
	const char *path, bh_control_handler *handler, void *data, struct bh_control **ret_control)
{
	_cleanup_(control_cleanup) struct bh_control *control = NULL;
	nng_listener listener;
	char url[128];
	int err;
	int r;

	r = bh_socket_url(path, url, sizeof(url));
	if (r < 0)
		return r;
	r = bh_socket_remove_leftover(path);
	if (r < 0)
		return r;

	control = bh_xcalloc(1, sizeof(*control));
	pthread_mutex_init(&control->lock, NULL);
	control->handler = handler;
	control->data = data;
	control->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->event_fd < 0)
		return -errno;
	if ((err = nng_rep0_open(&control->socket)) || (err = open_calls(control)) ||
		(err = nng_socket_set_size(
			 control->socket, NNG_OPT_RECVMAXSZ, BH_CONTROL_REQUEST_MAX)) ||
		(err = nng_pipe_notify(control->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, control)) ||
		(err = nng_listener_create(&listener, control->socket, url)) ||
		(err = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600)) ||
		(err = nng_listener_start(listener, 0)))
		return bh_socket_errno(err);
	for (int i = 0; i < BH_CONTROL_CALLS; i++)
		receive(&control->calls[i]);
	*ret_control = bh_take_pointer(control);
	return 0;
}

/* An answer that was given lets its asker know before the socket goes. */
void bh_control_free(struct bh_control *control)
{
	if (!control)
		return;
	pthread_mutex_lock(&control->lock);
	control->stopping = true;
	pthread_mutex_unlock(&control->lock);
	for (int i = 0; i < BH_CONTROL_CALLS; i++) {
		struct call *call = &control->calls[i];

		if (!call->aio)
			continue;
		if (state_of(call) == CALL_SENDING)
			nng_aio_wait(call->aio);
		nng_aio_stop(call->aio);
		if (state_of(call) == CALL_READY)
			nng_msg_free(nng_aio_get_msg(call->aio));
		nng_ctx_close(call->context);
		nng_aio_free(call->aio);
		json_decref(call->request);
	}
	if (nng_socket_id(control->socket) > 0)
		nng_close(control->socket);
	if (control->event_fd >= 0)
		close(control->event_fd);
	pthread_mutex_destroy(&control->lock);
	free(control);
}
