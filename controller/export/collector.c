/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/collector.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controller/export/ipfix.h"
#include "controller/model/memory.h"

/* What a message may hold besides its first record: it goes through any path unfragmented. */
#define MESSAGE_MAX 1400
#define GATHER_MS 200
/* A refusal comes within a round trip. */
#define CONFIRM_MS 250
/* How often TCP is asked what was acknowledged. */
#define ASK_MS 50
#define CONNECT_MS 10000
#define USER_TIMEOUT_MS 30000u
#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 15000
/* At the end, for what is under way. */
#define END_MS 500

struct message {
	TAILQ_ENTRY(message) link;
	size_t size;
	uint32_t records; /* 0: the templates, of this session only */
	uint64_t sent_at; /* UDP: when it went */
	uint64_t end;     /* TCP: bytes of the connection up to its last */
	uint8_t bytes[];
};

TAILQ_HEAD(messages, message);

enum state {
	STATE_WAITING, /* for retry_at */
	STATE_RESOLVING,
	STATE_CONNECTING,
	STATE_PROBING, /* UDP: the templates went; whether they are refused is awaited */
	STATE_UP,
};

struct bh_collector {
	struct bh_collector_config config;
	char *host, *port;
	uint32_t domain;
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_getaddrinfo_t resolving;
	struct bh_export_account account;
	void (*changed)(void *data);
	void *data;

	enum state state;
	bool closing;
	bool overflowing; /* that is what is wrong */
	int fd;
	uv_poll_t *poll;
	unsigned int tries; /* since it was up: which of the host's addresses is next */
	uint64_t retry_ms;
	/* Times of the loop; 0: nothing is due. */
	uint64_t state_at; /* what the state waits for */
	uint64_t gather_at;
	uint64_t templates_at;

	struct messages queue;  /* unconfirmed ones first */
	struct message *unsent; /* the first that did not go whole */
	size_t sent;            /* bytes of it that did */
	size_t queue_bytes;
	uint32_t sequence; /* of the session */
	uint64_t stream;   /* bytes written to the connection */

	/* The message that is being gathered. */
	uint8_t building[MESSAGE_MAX + BH_IPFIX_HEADER + BH_IPFIX_SET_HEADER + BH_IPFIX_RECORD_MAX];
	size_t building_size;
	size_t building_set; /* where its last set begins */
	uint16_t building_template;
	uint32_t building_records;
};

static void begin(struct bh_collector *c);
static void arm(struct bh_collector *c);

/* ---- Failing and recovering ------------------------------------------------------------------ */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void hang_up(struct bh_collector *c)
{
	if (c->poll) {
		uv_poll_stop(c->poll);
		uv_close((uv_handle_t *)c->poll, free_handle);
	}
	c->poll = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void drop(struct bh_collector *c, struct message *message)
{
	if (c->unsent == message) {
		c->unsent = TAILQ_NEXT(message, link);
		c->sent = 0;
	}
	TAILQ_REMOVE(&c->queue, message, link);
	c->queue_bytes -= sizeof(*message) + message->size;
	free(message);
}

/* What was not confirmed goes again; the templates are the next session's to send. */
static void rewind_queue(struct bh_collector *c)
{
	struct message *message, *next;

	for (message = TAILQ_FIRST(&c->queue); message; message = next) {
		next = TAILQ_NEXT(message, link);
		if (message->records == 0)
			drop(c, message);
	}
	c->unsent = TAILQ_FIRST(&c->queue);
	c->sent = 0;
}

static void __attribute__((format(printf, 2, 3)))
fail(struct bh_collector *c, const char *format, ...)
{
	bool failing = c->account.failing_since_ns;
	char text[BH_EXPORT_ERROR_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	hang_up(c);
	rewind_queue(c);
	c->state = STATE_WAITING;
	c->state_at = uv_now(c->loop) + c->retry_ms;
	c->templates_at = 0;
	c->tries++;
	c->retry_ms = c->retry_ms * 2 < RETRY_MAX_MS ? c->retry_ms * 2 : RETRY_MAX_MS;
	c->overflowing = false;
	bh_export_fail(&c->account, "%s", text);
	if (!failing)
		c->changed(c->data);
}

static void recover(struct bh_collector *c)
{
	c->overflowing = false;
	if (!c->account.failing_since_ns)
		return;
	bh_export_recover(&c->account);
	c->changed(c->data);
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void on_socket(uv_poll_t *poll, int status, int events);

static void watch(struct bh_collector *c, int events)
{
	uv_poll_start(c->poll, events, on_socket);
}

static void confirm(struct bh_collector *c, struct message *message)
{
	/* The try after this one begins with patience anew: it was worth it. */
	c->retry_ms = RETRY_MIN_MS;
	bh_export_deliver(&c->account, message->records, message->records ? message->size : 0);
	drop(c, message);
	if (c->overflowing && c->queue_bytes < c->config.queue_bytes / 2)
		recover(c);
}

/* Counts what may be taken for arrived by now. */
static void confirm_all(struct bh_collector *c)
{
	struct message *message;
	uint64_t now = uv_now(c->loop);
	int left = 0;

	if (c->config.tcp && ioctl(c->fd, SIOCOUTQ, &left) < 0)
		return;
	while ((message = TAILQ_FIRST(&c->queue)) && message != c->unsent) {
		if (c->config.tcp ? message->end > c->stream - (uint64_t)left
				  : now < message->sent_at + CONFIRM_MS)
			break;
		confirm(c, message);
	}
}

/* Puts the templates in front of what goes next. */
static void insert_templates(struct bh_collector *c)
{
	struct message *message =
		bh_xcalloc(1, sizeof(*message) + BH_IPFIX_HEADER + BH_IPFIX_TEMPLATES_MAX);

	message->size = BH_IPFIX_HEADER +
			bh_ipfix_templates(c->config.enterprise, message->bytes + BH_IPFIX_HEADER);
	if (c->unsent)
		TAILQ_INSERT_BEFORE(c->unsent, message, link);
	else
		TAILQ_INSERT_TAIL(&c->queue, message, link);
	c->unsent = message;
	c->queue_bytes += sizeof(*message) + message->size;
	/* RFC 7011, 8.1 and 8.3: over TCP they are good for the connection. */
	c->templates_at =
		c->config.tcp ? 0 : uv_now(c->loop) + (uint64_t)c->config.templates_s * 1000;
}

/* False if there is no more to send, or no room for it. */
static bool send_next(struct bh_collector *c)
{
	struct message *message = c->unsent;
	ssize_t n;

	if (!message)
		return false;
	if (c->sent == 0)
		bh_ipfix_header(message->bytes, message->size, (uint32_t)time(NULL), c->sequence,
			c->domain);
	n = send(c->fd, message->bytes + c->sent, message->size - c->sent,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) {
		watch(c, UV_READABLE | UV_WRITABLE);
		return false;
	}
	if (n < 0 && errno == EMSGSIZE && !c->config.tcp) {
		bh_export_lose(&c->account, message->records, BH_EXPORT_LOSS_TOO_LARGE);
		drop(c, message);
		return true;
	}
	if (n < 0) {
		fail(c, "it is refused: %s", strerror(errno));
		return false;
	}
	c->sent += (size_t)n;
	c->stream += (uint64_t)n;
	if (c->sent < message->size)
		return true;
	message->sent_at = uv_now(c->loop);
	message->end = c->stream;
	c->sequence += message->records;
	c->unsent = TAILQ_NEXT(message, link);
	c->sent = 0;
	return true;
}

static void send_all(struct bh_collector *c)
{
	if (c->state != STATE_UP)
		return;
	watch(c, UV_READABLE);
	while (send_next(c))
		;
}

/* ---- Gathering ------------------------------------------------------------------------------- */

static void end_set(struct bh_collector *c)
{
	if (c->building_set)
		bh_ipfix_set(c->building + c->building_set, c->building_template,
			c->building_size - c->building_set);
	c->building_set = 0;
}

static void push(struct bh_collector *c)
{
	struct message *message;

	c->gather_at = 0;
	if (c->building_records == 0)
		return;
	end_set(c);
	message = bh_xcalloc(1, sizeof(*message) + c->building_size);
	memcpy(message->bytes, c->building, c->building_size);
	message->size = c->building_size;
	message->records = c->building_records;
	TAILQ_INSERT_TAIL(&c->queue, message, link);
	if (!c->unsent)
		c->unsent = message;
	c->queue_bytes += sizeof(*message) + message->size;
	c->building_size = 0;
	c->building_records = 0;
}

/* True if a message became full by it. */
static bool append(struct bh_collector *c, const uint8_t *record, size_t n, uint16_t template)
{
	bool full = c->building_records && c->building_size + n + BH_IPFIX_SET_HEADER > MESSAGE_MAX;

	if (full)
		push(c);
	if (c->building_size == 0)
		c->building_size = BH_IPFIX_HEADER;
	if (!c->building_set || c->building_template != template) {
		end_set(c);
		c->building_set = c->building_size;
		c->building_template = template;
		c->building_size += BH_IPFIX_SET_HEADER;
	}
	memcpy(c->building + c->building_size, record, n);
	c->building_size += n;
	c->building_records++;
	if (!c->gather_at)
		c->gather_at = uv_now(c->loop) + GATHER_MS;
	return full;
}

static void overflow(struct bh_collector *c)
{
	bh_export_lose(&c->account, 1, BH_EXPORT_LOSS_QUEUE_FULL);
	if (c->account.failing_since_ns)
		return;
	c->overflowing = true;
	bh_export_fail(&c->account, "more comes than it takes");
	c->changed(c->data);
}

void bh_collector_add(struct bh_collector *c, const struct bh_export_flow *flow)
{
	uint8_t record[BH_IPFIX_RECORD_MAX];
	uint16_t template;
	size_t n = bh_ipfix_record(flow, record, &template);
	size_t all = c->queue_bytes + c->building_size + sizeof(struct message) + n;

	bh_export_emit(&c->account, 1);
	if (all > c->config.queue_bytes)
		overflow(c);
	else if (append(c, record, n, template))
		send_all(c);
	arm(c);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void up(struct bh_collector *c)
{
	c->state = STATE_UP;
	c->state_at = 0;
	recover(c);
	send_all(c);
}

static void begin_session(struct bh_collector *c)
{
	c->sequence = 0;
	c->stream = 0;
	c->account.begun++;
	insert_templates(c);
	if (c->config.tcp) {
		up(c);
		return;
	}
	c->state = STATE_PROBING;
	c->state_at = uv_now(c->loop) + CONFIRM_MS;
	watch(c, UV_READABLE);
	send_next(c);
}

/* Something came, which an exporter does not expect, or an error did. */
static bool is_alive(struct bh_collector *c)
{
	char bytes[256];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) || (n == 0 && !c->config.tcp))
		return true;
	if (n == 0)
		fail(c, "it closed the connection");
	else
		fail(c, c->config.tcp ? "the connection broke: %s" : "it is refused: %s",
			strerror(errno));
	return false;
}

static void on_connected(struct bh_collector *c)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error)
		fail(c, "cannot connect: %s", strerror(error));
	else
		begin_session(c);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct bh_collector *c = poll->data;

	if (c->state == STATE_CONNECTING)
		on_connected(c);
	else if (is_alive(c) && c->state == STATE_UP)
		send_all(c);
	arm(c);
}

/* Returns 0 or -errno. */
static int dial(struct bh_collector *c, const struct addrinfo *address)
{
	unsigned int timeout = USER_TIMEOUT_MS;
	int on = 1;

	c->fd = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	/* Without them a dead collector is only noticed later. */
	if (c->config.tcp &&
		(setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout)) < 0 ||
			setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0))
		return -errno;
	if (connect(c->fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
		return -errno;
	c->poll = bh_xcalloc(1, sizeof(*c->poll));
	c->poll->data = c;
	uv_poll_init(c->loop, c->poll, c->fd);
	return 0;
}

static void connect_to(struct bh_collector *c, const struct addrinfo *addresses)
{
	const struct addrinfo *address = addresses;
	unsigned int n = 0;
	int r;

	for (const struct addrinfo *a = addresses; a; a = a->ai_next)
		n++;
	for (unsigned int i = c->tries % n; i > 0; i--)
		address = address->ai_next;
	c->state = STATE_CONNECTING;
	c->state_at = uv_now(c->loop) + CONNECT_MS;
	r = dial(c, address);
	if (r < 0)
		fail(c, "cannot connect: %s", strerror(-r));
	else if (c->config.tcp)
		watch(c, UV_WRITABLE);
	else
		begin_session(c);
}

static void resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
	struct bh_collector *c = request->data;

	if (!c->closing) {
		if (status < 0)
			fail(c, "cannot resolve '%s': %s", c->host, uv_strerror(status));
		else
			connect_to(c, addresses);
		arm(c);
	}
	uv_freeaddrinfo(addresses);
}

static void begin(struct bh_collector *c)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = c->config.tcp ? SOCK_STREAM : SOCK_DGRAM,
	};
	int r;

	c->state = STATE_RESOLVING;
	c->state_at = 0;
	c->resolving.data = c;
	r = uv_getaddrinfo(c->loop, &c->resolving, resolved, c->host, c->port, &hints);
	if (r < 0)
		fail(c, "cannot resolve '%s': %s", c->host, uv_strerror(r));
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer)
{
	struct bh_collector *c = timer->data;
	uint64_t now = uv_now(c->loop);

	if (c->gather_at && c->gather_at <= now)
		push(c);
	if (c->state_at && c->state_at <= now) {
		if (c->state == STATE_WAITING)
			begin(c);
		else if (c->state == STATE_CONNECTING)
			fail(c, "cannot connect: %s", strerror(ETIMEDOUT));
		else if (c->state == STATE_PROBING)
			up(c);
	}
	if (c->state == STATE_UP) {
		if (c->templates_at && c->templates_at <= now)
			insert_templates(c);
		send_all(c);
	}
	if (c->state == STATE_UP)
		confirm_all(c);
	arm(c);
}

static void sooner(uint64_t *next, uint64_t time)
{
	if (time && (*next == 0 || time < *next))
		*next = time;
}

/* One timer for everything that has a time. */
static void arm(struct bh_collector *c)
{
	struct message *first = TAILQ_FIRST(&c->queue);
	uint64_t now = uv_now(c->loop);
	uint64_t next = 0;

	if (c->closing)
		return;
	sooner(&next, c->gather_at);
	sooner(&next, c->state_at);
	sooner(&next, c->templates_at);
	if (c->state == STATE_UP && first && first != c->unsent)
		sooner(&next, c->config.tcp ? now + ASK_MS : first->sent_at + CONFIRM_MS);
	if (next)
		uv_timer_start(&c->timer, on_timer, next > now ? next - now : 0, 0);
	else
		uv_timer_stop(&c->timer);
}

/* ---- Life ------------------------------------------------------------------------------------ */

const char *bh_collector_parse(char *copy, struct bh_collector_config *ret_config)
{
	bool tcp = strncmp(copy, "tcp:", 4) == 0;
	char *host, *port, *end;

	if (!tcp && strncmp(copy, "udp:", 4) != 0)
		return "does not begin with udp: or tcp:";
	host = copy + 4;
	port = strrchr(host, ':');
	if (!port)
		return "is not like udp:HOST:PORT";
	*port++ = '\0';
	if (strtoul(port, &end, 10) - 1 >= 65535 || *end || *port < '0' || *port > '9')
		return "does not end with a port, 1 to 65535";
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		host++;
	} else if (strchr(host, ':')) {
		return "has an IPv6 address that is not in brackets";
	}
	if (!*host || strlen(host) > 253)
		return "names no host";
	ret_config->tcp = tcp;
	ret_config->host = host;
	ret_config->port = port;
	return NULL;
}

struct bh_collector *bh_collector_new(uv_loop_t *loop, const struct bh_collector_config *config,
	const char *node, void (*changed)(void *data), void *data)
{
	struct bh_collector *c = bh_xcalloc(1, sizeof(*c));
	char target[320];

	c->config = *config;
	c->host = bh_xstrdup(config->host);
	c->port = bh_xstrdup(config->port);
	c->domain = bh_ipfix_domain(node);
	c->loop = loop;
	c->changed = changed;
	c->data = data;
	c->fd = -1;
	c->retry_ms = RETRY_MIN_MS;
	TAILQ_INIT(&c->queue);
	snprintf(target, sizeof(target), strchr(c->host, ':') ? "%s:[%s]:%s" : "%s:%s:%s",
		config->tcp ? "tcp" : "udp", c->host, c->port);
	bh_export_account_init(&c->account, "ipfix", target);
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	begin(c);
	arm(c);
	return c;
}

const struct bh_export_account *bh_collector_account(const struct bh_collector *c)
{
	return &c->account;
}

/* Nothing else is to be done any more, so this may wait, for a moment. */
static void drain(struct bh_collector *c)
{
	uint64_t end = uv_now(c->loop) + END_MS;

	push(c);
	while (c->state == STATE_UP && !TAILQ_EMPTY(&c->queue) && uv_now(c->loop) < end) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN | (c->unsent ? POLLOUT : 0)};

		send_all(c);
		if (c->state == STATE_UP)
			confirm_all(c);
		if (c->state == STATE_UP && poll(&p, 1, 20) > 0 && (p.revents & ~POLLOUT))
			is_alive(c);
		uv_update_time(c->loop);
	}
}

void bh_collector_close(struct bh_collector *c)
{
	if (!c)
		return;
	drain(c);
	c->closing = true;
	uv_cancel((uv_req_t *)&c->resolving);
	hang_up(c);
	uv_close((uv_handle_t *)&c->timer, NULL);
}

void bh_collector_finish(struct bh_collector *c)
{
	bh_export_lose(&c->account, bh_export_queued(&c->account), BH_EXPORT_LOSS_ENDED);
}

void bh_collector_free(struct bh_collector *c)
{
	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->queue))
		drop(c, TAILQ_FIRST(&c->queue));
	bh_export_account_clear(&c->account);
	free(c->host);
	free(c->port);
	free(c);
}
