/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/peers/load.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Of one sample. Some ten milliseconds each: long beside a timer tick, short beside what the rest
 * of the machine does. */
#define REQUESTS 1500
#define CONNECTS 250
#define DATAGRAMS 4096
#define STREAM_BYTES (48u << 20)

/* Sent before any is read; far fewer than a socket or a processor's backlog takes. */
#define BURST 64
#define PAYLOAD 64
#define CHUNK (128u << 10)

/* Whatever is allowed arrives, however busy the machine; what is not is given this long. */
#define ALLOWED_MS 20000
#define DENIED_MS 300

const char *const load_kinds[LOAD_KINDS] = {
	[LOAD_REQUEST] = "request",
	[LOAD_CONNECT] = "connect",
	[LOAD_UDP] = "udp",
	[LOAD_STREAM] = "stream",
};

/* ---- Sockets ----------------------------------------------------------------------------------
 */

static void enter(const char *netns)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		err(1, "%s", path);
	close(fd);
}

int load_socket(const char *netns, int type)
{
	/* Something is wrong with the machine or the rules when a packet takes longer. */
	const struct timeval limit = {.tv_sec = ALLOWED_MS / 1000};
	const int one = 1, buffer = 4 << 20;
	int fd;

	enter(netns);
	fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		err(1, "%s: socket", netns);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	else
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	return fd;
}

static int bound(const char *netns, int type, uint16_t port)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = load_socket(netns, type);

	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		err(1, "%s: port %u", netns, port);
	if (type == SOCK_STREAM && listen(fd, 512) < 0)
		err(1, "%s: listen", netns);
	return fd;
}

static struct sockaddr_in at_port(const struct load_variant *v, uint16_t port)
{
	struct sockaddr_in address = v->address;

	address.sin_port = htons(port);
	return address;
}

static void connect_pair(struct load_variant *v, int ret_ends[2])
{
	ret_ends[0] = load_socket(v->client, SOCK_STREAM);
	if (connect(ret_ends[0], (struct sockaddr *)&v->address, sizeof(v->address)) < 0)
		err(1, "%s: connect", v->name);
	ret_ends[1] = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC);
	if (ret_ends[1] < 0)
		err(1, "%s: accept", v->name);
	setsockopt(ret_ends[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

void load_listen(struct load_variant *v)
{
	v->listener = bound(v->server, SOCK_STREAM, LOAD_PORT);
	v->denied_listener = bound(v->server, SOCK_STREAM, LOAD_DENIED_PORT);
	v->datagram[1] = bound(v->server, SOCK_DGRAM, LOAD_PORT);
	v->denied_datagram = bound(v->server, SOCK_DGRAM, LOAD_DENIED_PORT);
	v->datagram[0] = load_socket(v->client, SOCK_DGRAM);
	if (connect(v->datagram[0], (struct sockaddr *)&v->address, sizeof(v->address)) < 0)
		err(1, "%s: UDP", v->name);
}

void load_open(struct load_variant *v)
{
	connect_pair(v, v->request);
	connect_pair(v, v->stream);
	for (int end = 0; end < 2; end++)
		fcntl(v->stream[end], F_SETFL, O_NONBLOCK);
}

/* ---- Do the rules hold? ------------------------------------------------------------------------
 */

static bool arrives(int fd, int timeout_ms)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return poll(&readable, 1, timeout_ms) == 1;
}

static bool connects(struct load_variant *v, const char *from, uint16_t port, bool allowed)
{
	struct sockaddr_in to = at_port(v, port);
	int listener = port == LOAD_PORT ? v->listener : v->denied_listener;
	int fd = load_socket(from, SOCK_STREAM);
	bool arrived;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	arrived = arrives(listener, allowed ? ALLOWED_MS : DENIED_MS);
	if (arrived)
		close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(fd);
	return arrived;
}

static bool datagram_arrives(struct load_variant *v, const char *from, uint16_t port, bool allowed)
{
	struct sockaddr_in to = at_port(v, port);
	int receiver = port == LOAD_PORT ? v->datagram[1] : v->denied_datagram;
	int fd = load_socket(from, SOCK_DGRAM);
	char payload[PAYLOAD] = {0};
	bool arrived;

	sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to));
	arrived = arrives(receiver, allowed ? ALLOWED_MS : DENIED_MS);
	if (arrived && recv(receiver, payload, sizeof(payload), 0) < 0)
		err(1, "%s: recv", v->name);
	close(fd);
	return arrived;
}

const char *load_check(struct load_variant *v)
{
	bool open = !v->filters;

	if (!connects(v, v->client, LOAD_PORT, true))
		return "the client cannot connect to the allowed port";
	if (!datagram_arrives(v, v->client, LOAD_PORT, true))
		return "the client's datagram to the allowed port does not arrive";
	if (connects(v, v->client, LOAD_DENIED_PORT, open) != open)
		return "the client's connection to the other port is not judged as it should be";
	if (datagram_arrives(v, v->client, LOAD_DENIED_PORT, open) != open)
		return "the client's datagram to the other port is not judged as it should be";
	if (connects(v, v->stranger, LOAD_PORT, open) != open)
		return "the stranger's connection is not judged as it should be";
	if (datagram_arrives(v, v->stranger, LOAD_PORT, open) != open)
		return "the stranger's datagram is not judged as it should be";
	return NULL;
}

/* ---- Samples ----------------------------------------------------------------------------------
 */

static void must(bool done, const struct load_variant *v, const char *what)
{
	if (!done)
		err(1, "%s: %s", v->name, what);
}

static void requests(struct load_variant *v, unsigned n)
{
	char byte = 0;

	for (unsigned i = 0; i < n; i++) {
		must(send(v->request[0], &byte, 1, 0) == 1, v, "a request");
		must(recv(v->request[1], &byte, 1, 0) == 1, v, "a request");
		must(send(v->request[1], &byte, 1, 0) == 1, v, "a response");
		must(recv(v->request[0], &byte, 1, 0) == 1, v, "a response");
	}
}

/* The server closes first: its end waits, and the client's ports stay free. */
static void connections(struct load_variant *v, unsigned n)
{
	char byte = 0;

	for (unsigned i = 0; i < n; i++) {
		int ends[2];

		connect_pair(v, ends);
		must(send(ends[0], &byte, 1, 0) == 1, v, "a request");
		must(recv(ends[1], &byte, 1, 0) == 1, v, "a request");
		must(send(ends[1], &byte, 1, 0) == 1, v, "a response");
		must(recv(ends[0], &byte, 1, 0) == 1, v, "a response");
		close(ends[1]);
		must(recv(ends[0], &byte, 1, 0) == 0, v, "the end of a connection");
		close(ends[0]);
	}
}

static void datagrams(struct load_variant *v, unsigned n)
{
	char payload[PAYLOAD] = {0};

	for (unsigned i = 0; i < n; i += BURST) {
		for (unsigned j = 0; j < BURST; j++)
			must(send(v->datagram[0], payload, sizeof(payload), 0) == PAYLOAD, v,
				"a datagram");
		for (unsigned j = 0; j < BURST; j++)
			must(recv(v->datagram[1], payload, sizeof(payload), 0) == PAYLOAD, v,
				"a datagram");
	}
}

static void stream(struct load_variant *v, size_t bytes)
{
	static char chunk[CHUNK];
	size_t sent = 0, received = 0;

	while (received < bytes || received < sent) {
		ssize_t n = 0;

		if (sent < bytes)
			n = send(v->stream[0], chunk, sizeof(chunk), 0);
		must(n >= 0 || errno == EAGAIN, v, "the stream");
		sent += n > 0 ? (size_t)n : 0;
		while ((n = recv(v->stream[1], chunk, sizeof(chunk), 0)) > 0)
			received += (size_t)n;
		must(n < 0 && errno == EAGAIN, v, "the stream");
		/* A delayed acknowledgement, say: seldom, and part of what is measured. */
		if (received < sent && !arrives(v->stream[1], 0))
			must(arrives(v->stream[1], ALLOWED_MS), v, "the stream");
	}
}

static double clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

struct load_time load_sample(struct load_variant *v, enum load_kind kind, double scale)
{
	double wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), n = 0;

	switch (kind) {
	case LOAD_REQUEST:
		n = (unsigned)(REQUESTS * scale);
		requests(v, (unsigned)n);
		break;
	case LOAD_CONNECT:
		n = (unsigned)(CONNECTS * scale);
		connections(v, (unsigned)n);
		break;
	case LOAD_UDP:
		n = (unsigned)(DATAGRAMS * scale) / BURST * BURST;
		datagrams(v, (unsigned)n);
		break;
	case LOAD_STREAM:
		n = STREAM_BYTES * scale / 1000; /* ns for a kilobyte */
		stream(v, (size_t)(STREAM_BYTES * scale));
		break;
	case LOAD_KINDS:
		abort();
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	return (struct load_time){.wall = wall / n, .cpu = cpu / n};
}
