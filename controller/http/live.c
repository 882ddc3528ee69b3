/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Server-sent events. Readers who may see the same and ask for the same share a channel: what has
 * changed is found out once for all of them, and written once. Each has a queue of its own, so a
 * slow one only misses events itself, and is told how many.
 *
 * Looking costs time in which nobody else is served. So the more it costs, the more seldom it is
 * done: never more than a small part of the time, however often somebody comes anew, and not for
 * all channels at once if that takes long.
 */

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "controller/api/alerts.h"
#include "controller/api/view.h"
#include "controller/http/server.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define INTERVAL_MS 1000
/* Of the time, a look takes at most one part in so many. */
#define SHARE 20
/* Longer than this nobody else waits for us; one channel is always looked at. */
#define SLICE_MS 50
#define KEEPALIVE_MS 15000
/* A reader that has taken nothing of what is there for so long is gone. */
#define STALLED_MS 60000
#define QUEUE_BYTES_MAX (512u * 1024)
#define EDGES_MAX 200
#define ALERTS_MAX 50

/* What was last told of a conversation. */
struct told {
	char id[BH_CONVERSATION_ID_MAX];
	uint64_t packets;
	uint64_t flows;
	enum bh_state state;
};

struct channel {
	struct channel *next;
	char token[17];
	json_t *request; /* the filter */
	size_t n_streams;
	struct bh_table told; /* id → told */
	char *status;         /* as last told */
	bool primed;          /* `told` holds what there was when it began */
	uint64_t alerts;      /* the last change of an alert that was told */
	uint64_t round;       /* in which it was looked at last */
};

struct bh_stream {
	struct bh_stream *next;
	struct bh_connection *connection;
	struct channel *channel;
	char *cookie; /* what its reader showed; NULL: the token itself */
	struct bh_text queue;
	size_t taken; /* of the queue */
	uint64_t taken_at;
	uint64_t said_at;
	uint64_t lost;
	bool greeted;
	bool ending; /* once the queue is empty */
};

struct bh_live {
	struct bh_http *http;
	struct channel *channels;
	struct bh_stream *streams;
	size_t n_streams;
	uint64_t look_at;
	uint64_t earliest; /* looks before have had their share of the time until then */
	uint64_t round;    /* of looks, in which each channel has its turn */
};

struct bh_live *bh_live_new(struct bh_http *http)
{
	struct bh_live *live = bh_xcalloc(1, sizeof(*live));

	live->http = http;
	live->round = 1;
	return live;
}

/* ---- Queues ---------------------------------------------------------------------------------- */

/* "event: NAME\ndata: JSON\n\n"; JSON has no line breaks. */
static char *event_text(const char *name, json_t *data)
{
	_cleanup_free_ char *text = json_dumps(data, JSON_COMPACT);

	json_decref(data);
	return bh_xasprintf("event: %s\ndata: %s\n\n", name, text ? text : "{}");
}

static size_t waiting(const struct bh_stream *stream)
{
	return stream->queue.n - stream->taken;
}

static void append(struct bh_stream *stream, const char *text)
{
	/* What was taken makes room first. */
	if (stream->taken > 0) {
		memmove(stream->queue.data, stream->queue.data + stream->taken, waiting(stream));
		stream->queue.n -= stream->taken;
		stream->taken = 0;
	}
	if (stream->queue.n == 0)
		stream->taken_at = stream->connection->http->now;
	bh_text_add(&stream->queue, text);
	stream->said_at = stream->connection->http->now;
	bh_connection_resume(stream->connection);
}

static void send_event(struct bh_stream *stream, const char *text)
{
	_cleanup_free_ char *lost = NULL;

	if (waiting(stream) + strlen(text) > QUEUE_BYTES_MAX) {
		stream->lost++;
		return;
	}
	if (stream->lost) {
		lost = event_text("lost", json_pack("{s:I}", "events", (json_int_t)stream->lost));
		stream->lost = 0;
		append(stream, lost);
	}
	append(stream, text);
}

/* Called by the library when the reader has room. */
static ssize_t read_stream(void *data, uint64_t position, char *buffer, size_t size)
{
	struct bh_stream *stream = data;
	size_t n = waiting(stream);

	/* Not parked again, or nobody would ever notice that it was cut. */
	if (stream->connection->doomed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0 && stream->ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		bh_connection_suspend(stream->connection);
		return 0;
	}
	if (n > size)
		n = size;
	memcpy(buffer, stream->queue.data + stream->taken, n);
	stream->taken += n;
	stream->taken_at = stream->connection->http->now;
	return (ssize_t)n;
}

/* ---- Channels -------------------------------------------------------------------------------- */

static void free_channel(struct channel *channel)
{
	struct told *told;

	for (size_t at = 0; (told = bh_table_next(&channel->told, &at));)
		free(told);
	bh_table_clear(&channel->told);
	json_decref(channel->request);
	free(channel->status);
	free(channel);
}

static struct channel *join_channel(struct bh_live *live, const char *token, json_t *request)
{
	struct channel **end = &live->channels;
	struct channel *channel;
	size_t own = 0;
	size_t n = 0;

	for (; (channel = *end); end = &channel->next, n++) {
		if (strcmp(channel->token, token) != 0)
			continue;
		if (json_equal(channel->request, request))
			return channel;
		own++;
	}
	if (n >= BH_HTTP_FILTERS || own >= BH_HTTP_FILTERS_EACH)
		return NULL;
	channel = bh_xcalloc(1, sizeof(*channel));
	strcpy(channel->token, token);
	channel->request = json_incref(request);
	channel->alerts = bh_alerts_changed(live->http->config.api->alerts);
	*end = channel; /* behind those who wait for their turn */
	return channel;
}

static void leave_channel(struct bh_live *live, struct channel *channel)
{
	if (--channel->n_streams > 0)
		return;
	for (struct channel **at = &live->channels; *at; at = &(*at)->next) {
		if (*at == channel) {
			*at = channel->next;
			break;
		}
	}
	free_channel(channel);
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* True if something is to be told of the conversation; then it counts as told. */
static bool has_moved(struct channel *channel, const struct bh_conversation *conversation)
{
	uint64_t packets = conversation->counts.packets[0] + conversation->counts.packets[1];
	char id[BH_CONVERSATION_ID_MAX];
	struct told *told;

	bh_conversation_id(conversation, id);
	told = bh_table_get(&channel->told, id, strlen(id));
	if (told && told->packets == packets && told->flows == conversation->counts.flows &&
		told->state == conversation->state)
		return false;
	if (!told) {
		told = bh_xcalloc(1, sizeof(*told));
		strcpy(told->id, id);
		bh_table_put(&channel->told, told->id, strlen(told->id), told);
	}
	told->packets = packets;
	told->flows = conversation->counts.flows;
	told->state = conversation->state;
	return true;
}

/* Conversations that are no more (the counters began anew) would add up. */
static void forget_if_grown(struct channel *channel, size_t n)
{
	struct told *told;

	if (channel->told.n <= 2 * n + 1024)
		return;
	for (size_t at = 0; (told = bh_table_next(&channel->told, &at));)
		free(told);
	bh_table_clear(&channel->told);
	channel->primed = false;
}

/* The event to send, or NULL if nothing has changed. */
static char *look_at_edges(
	struct bh_live *live, struct channel *channel, const struct bh_sight *sight)
{
	_cleanup_(bh_view_clear) struct bh_view view = {
		.api = live->http->config.api,
		.sight = sight,
	};
	json_t *edges;
	size_t more = 0;
	json_t *error = bh_view_window(channel->request, "from", "to", &view.window);

	error = error ?: bh_view_filter(channel->request, &view.filter);
	if (error) {
		json_decref(error); /* it was read before */
		return NULL;
	}
	bh_view_fill(&view, BH_VIEW_WORKLOADS, view.filter.n_labels > 0);
	forget_if_grown(channel, view.conversations.n);
	edges = json_array();
	for (size_t i = 0; i < view.conversations.n; i++) {
		const struct bh_conversation *conversation = &view.conversations.items[i];

		if (!has_moved(channel, conversation) || !channel->primed ||
			!bh_filter_takes(&view.filter, conversation, bh_view_text_of, &view))
			continue;
		if (json_array_size(edges) < EDGES_MAX)
			json_array_append_new(edges, bh_view_conversation(&view, conversation));
		else
			more++;
	}
	channel->primed = true;
	if (json_array_size(edges) == 0) {
		json_decref(edges);
		return NULL;
	}
	return event_text(
		"edges", json_pack("{s:o, s:I}", "edges", edges, "more", (json_int_t)more));
}

static json_t *status_of(struct bh_live *live, const struct bh_sight *sight)
{
	json_t *request = json_pack("{s:s}", "command", "status");
	struct bh_control_call call = {
		.request = request,
		.sight = sight,
		.now = live->http->now,
		.arrived = live->http->now,
		.expired = true, /* what is known now is the answer */
	};
	json_t *status = bh_api_handle(live->http->config.api, &call);

	json_decref(request);
	json_object_del(status, "ok");
	return status;
}

/* What of it makes an event when it changes: counters that run do not. */
static char *essence_of(const json_t *status)
{
	static const char *const members[] = {"revision", "mode", "ready", "missing", "endpoints",
		"endpointStates", "endpointModes", "problems", "problemsElsewhere", "losses",
		"alerts", "dataplane"};
	json_t *essence = json_object();
	char *text;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set(essence, members[i], json_object_get(status, members[i]));
	text = json_dumps(essence, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(essence);
	return text;
}

static void tell(struct bh_live *live, struct channel *channel, const char *text)
{
	for (struct bh_stream *stream = live->streams; stream; stream = stream->next) {
		if (stream->channel == channel && stream->greeted && !stream->ending)
			send_event(stream, text);
	}
}

/* Newcomers are told how things are. */
static void greet(struct bh_live *live, struct channel *channel, const char *status)
{
	for (struct bh_stream *stream = live->streams; stream; stream = stream->next) {
		if (stream->channel != channel || stream->greeted || stream->ending)
			continue;
		stream->greeted = true;
		send_event(stream, status);
	}
}

static char *look_at_alerts(
	struct bh_live *live, struct channel *channel, const struct bh_sight *sight)
{
	json_t *changes =
		bh_api_alert_changes(live->http->config.api, sight, &channel->alerts, ALERTS_MAX);

	return changes ? event_text("alerts", changes) : NULL;
}

static void look_at_channel(struct bh_live *live, struct channel *channel)
{
	const struct bh_token *token = bh_tokens_find(live->http->config.tokens, channel->token);
	_cleanup_free_ char *edges = NULL;
	_cleanup_free_ char *alerts = NULL;
	_cleanup_free_ char *event = NULL;
	char *essence;
	json_t *status;

	if (!token)
		return; /* its streams are ended below */
	edges = look_at_edges(live, channel, bh_token_sight(token));
	if (edges)
		tell(live, channel, edges);
	alerts = look_at_alerts(live, channel, bh_token_sight(token));
	if (alerts)
		tell(live, channel, alerts);
	status = status_of(live, bh_token_sight(token));
	essence = essence_of(status);
	event = event_text("status", status);
	if (!channel->status || strcmp(channel->status, essence) != 0)
		tell(live, channel, event);
	free(channel->status);
	channel->status = essence;
	greet(live, channel, event);
}

/* While nothing is to be sent the library does not look. (With TLS the end hides behind an alert:
 * then the next comment finds out.) */
static bool has_gone(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Whoever opened it may not read on: the token was revoked, or the session is over. */
static const char *why_over(const struct bh_live *live, const struct bh_stream *stream)
{
	if (!bh_tokens_find(live->http->config.tokens, stream->channel->token))
		return "revoked";
	return stream->cookie && !bh_request_cookie_is_good(stream->connection, stream->cookie)
		       ? "logged-out"
		       : NULL;
}

/* Each stream by itself: over, silent, stalled. */
static void look_at_stream(struct bh_live *live, struct bh_stream *stream)
{
	uint64_t now = live->http->now;
	const char *over;

	if (stream->ending || stream->connection->doomed)
		return;
	if (has_gone(stream->connection->fd))
		bh_connection_cut(stream->connection);
	else if ((over = why_over(live, stream))) {
		_cleanup_free_ char *bye = event_text("bye", json_pack("{s:s}", "reason", over));

		append(stream, bye);
		stream->ending = true;
	} else if (waiting(stream) > 0 && now >= stream->taken_at + STALLED_MS) {
		bh_connection_cut(stream->connection);
	} else if (waiting(stream) == 0 && now >= stream->said_at + KEEPALIVE_MS) {
		append(stream, ":\n\n");
	}
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Those whose turn it is in this round; false if there was no time for all of them. */
static bool look_at_channels(struct bh_live *live, uint64_t until)
{
	bool looked = false;

	for (struct channel *channel = live->channels; channel; channel = channel->next) {
		if (channel->round == live->round)
			continue;
		if (looked && monotonic_ms() >= until)
			return false;
		look_at_channel(live, channel);
		channel->round = live->round;
		looked = true;
	}
	return true;
}

uint64_t bh_live_deadline(const struct bh_live *live)
{
	return live->streams ? live->look_at : 0;
}

void bh_live_dispatch(struct bh_live *live)
{
	uint64_t began = monotonic_ms();
	bool all;

	if (!live->streams || live->http->now < live->look_at)
		return;
	for (struct bh_stream *stream = live->streams; stream; stream = stream->next)
		look_at_stream(live, stream);
	all = look_at_channels(live, began + SLICE_MS);
	live->earliest = live->http->now + SHARE * (monotonic_ms() - began);
	live->look_at = live->earliest;
	if (!all)
		return;
	live->round++;
	if (live->look_at < live->http->now + INTERVAL_MS)
		live->look_at = live->http->now + INTERVAL_MS;
}

/* ---- Streams --------------------------------------------------------------------------------- */

static size_t streams_of(const struct bh_live *live, const char *token)
{
	size_t n = 0;

	for (const struct bh_stream *stream = live->streams; stream; stream = stream->next)
		n += strcmp(stream->channel->token, token) == 0;
	return n;
}

/* The filter has to make sense now: later there is nobody to tell. */
static json_t *check_filter(const json_t *request)
{
	struct bh_filter filter = {0};
	json_t *error = bh_view_filter(request, &filter);

	bh_filter_clear(&filter);
	return error;
}

enum MHD_Result bh_live_begin(struct bh_connection *connection)
{
	struct bh_live *live = connection->http->live;
	json_t *error = check_filter(connection->request);
	_cleanup_free_ char *hello = NULL;
	const char *cookie = bh_request_cookie(connection);
	struct MHD_Response *response;
	struct channel *channel = NULL;
	struct bh_stream *stream;
	enum MHD_Result result;

	if (error)
		return bh_reply_answer(connection, error);
	if (live->n_streams < BH_HTTP_STREAMS &&
		streams_of(live, connection->token) < BH_HTTP_STREAMS_EACH)
		channel = join_channel(live, connection->token, connection->request);
	if (!channel)
		return bh_reply_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
			"there are as many streams, or different filters of streams, as may be");
	stream = bh_xcalloc(1, sizeof(*stream));
	stream->connection = connection;
	stream->channel = channel;
	stream->cookie = cookie ? bh_xstrdup(cookie) : NULL;
	stream->next = live->streams;
	channel->n_streams++;
	live->streams = stream;
	live->n_streams++;
	connection->stream = stream;
	bh_connection_set(connection, BH_CONNECTION_STREAM, 0);
	hello = event_text(
		"hello", json_pack("{s:s, s:i}", "version", BH_VERSION, "interval", INTERVAL_MS));
	append(stream, hello);
	live->look_at = live->http->now > live->earliest ? live->http->now : live->earliest;

	response = bh_xcheck(MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, 16384, read_stream, stream, NULL));
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	bh_reply_headers(connection, response);
	result = MHD_queue_response(connection->mhd, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

void bh_live_end(struct bh_connection *connection)
{
	struct bh_live *live = connection->http->live;
	struct bh_stream *stream = connection->stream;

	for (struct bh_stream **at = &live->streams; *at; at = &(*at)->next) {
		if (*at == stream) {
			*at = stream->next;
			break;
		}
	}
	live->n_streams--;
	leave_channel(live, stream->channel);
	bh_text_clear(&stream->queue);
	free(stream->cookie);
	free(stream);
	connection->stream = NULL;
}

void bh_live_free(struct bh_live *live)
{
	free(live);
}
