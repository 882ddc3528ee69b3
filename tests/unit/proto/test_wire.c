/* SPDX-License-Identifier: Apache-2.0 */

/* The wire between two ends in this process, and against peers that do not behave. */

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#include "proto/wire.h"

#define DEADLINE_MS 60000

struct fixture {
	char folder[64];
	char path[96];
	char url[128];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/bh-wire-XXXXXX");
	if (!f || !mkdtemp(f->folder) || chmod(f->folder, 0755) < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/dataplane.sock", f->folder);
	snprintf(f->url, sizeof(f->url), "ipc://%s", f->path);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	rmdir(f->folder);
	free(f);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the next event; NOTHING only when the deadline has passed. */
static enum bh_wire_event next_event(
	struct bh_wire *wire, Bulkhead__Wire__Envelope **ret_message, const char **ret_reason)
{
	int64_t end = now_ms() + DEADLINE_MS;
	enum bh_wire_event event;

	while ((event = bh_wire_receive(wire, ret_message, ret_reason)) == BH_WIRE_NOTHING) {
		struct pollfd p = {.fd = bh_wire_fd(wire), .events = POLLIN};

		if (now_ms() >= end)
			return BH_WIRE_NOTHING;
		poll(&p, 1, 100);
	}
	return event;
}

static void expect_event(struct bh_wire *wire, enum bh_wire_event wanted)
{
	Bulkhead__Wire__Envelope *message = NULL;
	const char *reason = NULL;

	assert_int_equal(next_event(wire, &message, &reason), wanted);
	bh_wire_message_free(message);
}

static Bulkhead__Wire__Envelope *expect_message(
	struct bh_wire *wire, Bulkhead__Wire__Envelope__BodyCase wanted)
{
	Bulkhead__Wire__Envelope *message = NULL;
	const char *reason = NULL;

	assert_int_equal(next_event(wire, &message, &reason), BH_WIRE_MESSAGE);
	assert_int_equal(message->body_case, wanted);
	return message;
}

static int send_hello(struct bh_wire *wire)
{
	Bulkhead__Wire__Hello hello = BULKHEAD__WIRE__HELLO__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	hello.wire_version = BH_WIRE_VERSION;
	hello.program = "test";
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	return bh_wire_send(wire, &envelope);
}

static int send_ack(struct bh_wire *wire, uint64_t revision)
{
	Bulkhead__Wire__Ack ack = BULKHEAD__WIRE__ACK__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	ack.revision = revision;
	ack.ok = true;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_ACK;
	envelope.ack = &ack;
	return bh_wire_send(wire, &envelope);
}

static void greet(struct bh_wire *from, struct bh_wire *to)
{
	assert_int_equal(send_hello(from), 0);
	bh_wire_message_free(expect_message(to, BULKHEAD__WIRE__ENVELOPE__BODY_HELLO));
}

static void connect_pair(struct bh_wire *a, struct bh_wire *b)
{
	expect_event(a, BH_WIRE_CONNECTED);
	expect_event(b, BH_WIRE_CONNECTED);
	greet(a, b);
	greet(b, a);
}

static void carries_messages_both_ways_in_order(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	connect_pair(server, client);
	for (uint64_t i = 1; i <= 1000; i++)
		assert_int_equal(send_ack(client, i), 0);
	for (uint64_t i = 1; i <= 1000; i++) {
		Bulkhead__Wire__Envelope *m =
			expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_ACK);

		assert_int_equal(m->ack->revision, i);
		bh_wire_message_free(m);
	}
	bh_wire_free(client);
	bh_wire_free(server);
}

static void socket_is_private_to_its_owner(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct stat status;
	uid_t owner = geteuid() == 0 ? 65534 : geteuid();

	assert_int_equal(bh_wire_listen(f->path, owner, &server), 0);
	assert_int_equal(lstat(f->path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_uid, owner);
	bh_wire_free(server);
}

static void send_without_a_peer_says_so(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *client;

	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	assert_int_equal(send_ack(client, 1), -ENOTCONN);
	assert_false(bh_wire_connected(client));
	bh_wire_free(client);
}

static void refuses_to_send_a_message_above_the_limit(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;
	Bulkhead__Wire__Refusal refusal = BULKHEAD__WIRE__REFUSAL__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;
	char *text = malloc(BH_WIRE_MESSAGE_MAX + 1);

	memset(text, 'a', BH_WIRE_MESSAGE_MAX);
	text[BH_WIRE_MESSAGE_MAX] = '\0';
	refusal.reason = text;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL;
	envelope.refusal = &refusal;
	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	connect_pair(server, client);
	assert_int_equal(bh_wire_send(client, &envelope), -EMSGSIZE);
	text[BH_WIRE_MESSAGE_MAX - 100] = '\0';
	assert_int_equal(bh_wire_send(client, &envelope), 0);
	bh_wire_message_free(expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL));
	free(text);
	bh_wire_free(client);
	bh_wire_free(server);
}

static void queue_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;
	Bulkhead__Wire__Refusal refusal = BULKHEAD__WIRE__REFUSAL__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;
	char *text = calloc(1, 900001);
	int r = 0;
	int n = 0;

	memset(text, 'a', 900000);
	refusal.reason = text;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL;
	envelope.refusal = &refusal;
	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	connect_pair(server, client);
	while (r == 0 && n < 200) {
		r = bh_wire_send(client, &envelope);
		n += r == 0;
	}
	assert_int_equal(r, -ENOBUFS);
	/* What was accepted arrives all the same once the other end reads again. */
	for (int i = 0; i < n; i++)
		bh_wire_message_free(
			expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL));
	free(text);
	bh_wire_free(client);
	bh_wire_free(server);
}

/* ---- Peers that do not behave ---------------------------------------------------------------- */

static nng_socket raw_peer(const struct fixture *f)
{
	nng_socket peer;

	assert_int_equal(nng_pair0_open(&peer), 0);
	assert_int_equal(nng_socket_set_ms(peer, NNG_OPT_RECVTIMEO, DEADLINE_MS), 0);
	assert_int_equal(nng_socket_set_ms(peer, NNG_OPT_SENDTIMEO, DEADLINE_MS), 0);
	assert_int_equal(nng_dial(peer, f->url, NULL, 0), 0);
	return peer;
}

static void raw_send(nng_socket peer, const void *data, size_t size)
{
	assert_int_equal(nng_send(peer, (void *)data, size, 0), 0);
}

static size_t pack_hello(uint8_t *out)
{
	Bulkhead__Wire__Hello hello = BULKHEAD__WIRE__HELLO__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	hello.wire_version = BH_WIRE_VERSION;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	return bulkhead__wire__envelope__pack(&envelope, out);
}

/* The peer is told, in a message that decodes, and can go on. */
static void raw_expect_refusal(nng_socket peer)
{
	Bulkhead__Wire__Envelope *message;
	const char *reason;
	nng_msg *data;

	assert_int_equal(nng_recvmsg(peer, &data, 0), 0);
	message = bh_wire_decode(nng_msg_body(data), nng_msg_len(data), &reason);
	assert_non_null(message);
	assert_int_equal(message->body_case, BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL);
	assert_true(strlen(message->refusal->reason) > 0);
	bh_wire_message_free(message);
	nng_msg_free(data);
}

static void garbage_is_refused_and_the_connection_goes_on(void **state)
{
	static const struct {
		const char *name;
		const char *data;
		size_t size;
	} cases[] = {
		{"nothing at all", "", 0},
		{"noise", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12},
		{"a kind of body that does not exist", "\xfa\x01\x02\x08\x01", 5},
		{"a length beyond the end", "\x0a\x7f\x08", 3},
		{"text", "GET / HTTP/1.1\r\n\r\n", 18},
		{"a group", "\x0b\x0c", 2},
	};
	struct fixture *f = *state;
	struct bh_wire *server;
	uint8_t hello[64];
	size_t hello_size = pack_hello(hello);
	nng_socket peer;

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	peer = raw_peer(f);
	expect_event(server, BH_WIRE_CONNECTED);
	raw_send(peer, hello, hello_size);
	bh_wire_message_free(expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_HELLO));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Bulkhead__Wire__Envelope *message = NULL;
		const char *reason = NULL;

		raw_send(peer, cases[i].data, cases[i].size);
		if (next_event(server, &message, &reason) != BH_WIRE_GARBAGE)
			fail_msg("%s was not refused", cases[i].name);
		assert_non_null(reason);
		raw_expect_refusal(peer);
		raw_send(peer, hello, hello_size);
		bh_wire_message_free(expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_HELLO));
	}
	nng_close(peer);
	expect_event(server, BH_WIRE_DISCONNECTED);
	bh_wire_free(server);
}

static void too_long_message_is_refused_and_the_connection_goes_on(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	uint8_t *data = calloc(1, BH_WIRE_MESSAGE_MAX + 1);
	nng_socket peer;

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	peer = raw_peer(f);
	expect_event(server, BH_WIRE_CONNECTED);
	raw_send(peer, data, BH_WIRE_MESSAGE_MAX + 1);
	expect_event(server, BH_WIRE_GARBAGE);
	raw_expect_refusal(peer);
	raw_send(peer, data, pack_hello(data));
	bh_wire_message_free(expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_HELLO));
	nng_close(peer);
	bh_wire_free(server);
	free(data);
}

static void nothing_passes_before_hello(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	expect_event(server, BH_WIRE_CONNECTED);
	expect_event(client, BH_WIRE_CONNECTED);
	assert_int_equal(send_ack(client, 7), 0);
	expect_event(server, BH_WIRE_GARBAGE);
	greet(client, server);
	assert_int_equal(send_ack(client, 8), 0);
	bh_wire_message_free(expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_ACK));
	bh_wire_free(client);
	bh_wire_free(server);
}

static void message_that_unpacks_to_far_more_is_refused(void **state)
{
	/* An Update whose endpoints are 200,000 empty ones: two bytes each on the wire. */
	enum { N = 200000 };
	uint8_t *data = malloc(2 * N + 16);
	const char *reason = NULL;
	size_t at = 0;
	uint32_t length = 3 * N;

	data = realloc(data, 3 * N + 16);
	data[at++] = 0x12;
	for (; length >= 0x80; length >>= 7)
		data[at++] = length | 0x80;
	data[at++] = length;
	for (int i = 0; i < N; i++) {
		data[at++] = 0x82; /* field 16, length-delimited */
		data[at++] = 0x01;
		data[at++] = 0;
	}
	assert_null(bh_wire_decode(data, at, &reason));
	assert_non_null(strstr(reason, "far more"));
	free(data);
}

/* Runs `body` in a child of uid `uid`; returns its exit status. */
static int as_user(uid_t uid, int (*body)(const struct fixture *f), const struct fixture *f)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(uid) < 0 || setuid(uid) < 0)
			_exit(99);
		_exit(body(f));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

/*
 * Speaks nng's ipc preamble by hand (nng does not survive a fork): 0 when the other side has not
 * hung up `patience_ms` after its answer, 1 when it has.
 */
static int speak_by_hand(const struct fixture *f, int patience_ms)
{
	static const uint8_t preamble[8] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct pollfd p;
	uint8_t answer[8];
	size_t got = 0;

	strncpy(address.sun_path, f->path, sizeof(address.sun_path) - 1);
	p.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(p.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return 2;
	if (write(p.fd, preamble, sizeof(preamble)) != sizeof(preamble))
		return 1;
	while (got < sizeof(answer)) {
		ssize_t n = read(p.fd, answer + got, sizeof(answer) - got);

		if (n <= 0)
			return 1;
		got += n;
	}
	p.events = POLLIN;
	return poll(&p, 1, patience_ms) == 0 ? 0 : 1;
}

/* Who is turned away may be answered before. */
static int speak_as_stranger(const struct fixture *f)
{
	return speak_by_hand(f, DEADLINE_MS);
}

/* Who is accepted stays connected: nothing more is said to us for a while. */
static int speak_as_friend(const struct fixture *f)
{
	return speak_by_hand(f, 300);
}

static void foreign_uid_is_turned_away(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	Bulkhead__Wire__Envelope *message = NULL;
	const char *reason = NULL;

	if (geteuid() != 0)
		skip();
	assert_int_equal(bh_wire_listen(f->path, 65534, &server), 0);
	/* With the file's mode out of the way, the uid alone must keep it out. */
	assert_int_equal(as_user(1000, speak_as_stranger, f), 2);
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_int_equal(as_user(1000, speak_as_stranger, f), 1);
	assert_int_equal(bh_wire_receive(server, &message, &reason), BH_WIRE_NOTHING);
	assert_int_equal(as_user(65534, speak_as_friend, f), 0);
	expect_event(server, BH_WIRE_CONNECTED);
	bh_wire_free(server);
}

static int connect_by_hand(const struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, f->path, sizeof(address.sun_path) - 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* As connect_pair(), when the server may first have to tell of others that came and went. */
static void meet_after_others(struct bh_wire *server, struct bh_wire *client)
{
	int64_t end = now_ms() + DEADLINE_MS;
	Bulkhead__Wire__Envelope *message = NULL;
	const char *reason = NULL;

	while (now_ms() < end) {
		struct pollfd p[2] = {{.fd = bh_wire_fd(client), .events = POLLIN},
			{.fd = bh_wire_fd(server), .events = POLLIN}};

		if (bh_wire_receive(client, &message, &reason) == BH_WIRE_CONNECTED)
			send_hello(client);
		if (bh_wire_receive(server, &message, &reason) == BH_WIRE_MESSAGE) {
			bh_wire_message_free(message);
			return;
		}
		poll(p, 2, 20);
	}
	fail_msg("they did not meet");
}

/* By hand, since nng's own end would connect and send again and again. */
static void enormous_message_ends_only_its_own_connection(void **state)
{
	/* nng's greeting as pair0, then a message of 1 GiB begins. */
	static const uint8_t bytes[] = {
		0, 'S', 'P', 0, 0, 0x10, 0, 0, 1, 0, 0, 0, 0, 0x40, 0, 0, 0};
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;
	char rest[8];

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	for (int i = 0; i < 20; i++) {
		int fd = connect_by_hand(f);

		assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
		recv(fd, rest, sizeof(rest), MSG_WAITALL); /* its greeting, if it was in time */
		assert_true(recv(fd, rest, 1, 0) <= 0);
		close(fd);
	}
	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	meet_after_others(server, client);
	bh_wire_free(client);
	bh_wire_free(server);
}

static void survives_peers_that_connect_and_leave_at_once(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	for (int i = 0; i < 50; i++)
		close(connect_by_hand(f));
	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	connect_pair(server, client);
	bh_wire_free(client);
	bh_wire_free(server);
}

static void second_peer_does_not_disturb_the_first(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	connect_pair(server, client);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(speak_as_stranger(f), 1);
		assert_int_equal(send_ack(client, i), 0);
		bh_wire_message_free(expect_message(server, BULKHEAD__WIRE__ENVELOPE__BODY_ACK));
	}
	bh_wire_free(client);
	bh_wire_free(server);
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static void survives_a_restart_of_the_listener(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;

	assert_int_equal(bh_wire_dial(f->path, &client), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
		connect_pair(server, client);
		bh_wire_free(server);
		expect_event(client, BH_WIRE_DISCONNECTED);
	}
	bh_wire_free(client);
}

static void survives_a_restart_of_the_dialer(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	struct bh_wire *client;

	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(bh_wire_dial(f->path, &client), 0);
		connect_pair(server, client);
		bh_wire_free(client);
		expect_event(server, BH_WIRE_DISCONNECTED);
	}
	bh_wire_free(server);
}

static void replaces_a_leftover_socket_but_not_a_live_one(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct bh_wire *server;
	struct bh_wire *other;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, f->path, sizeof(address.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), 0);
	assert_int_equal(bh_wire_listen(f->path, geteuid(), &other), -EADDRINUSE);
	bh_wire_free(server);
}

static void never_removes_what_is_not_a_socket(void **state)
{
	struct fixture *f = *state;
	struct bh_wire *server;
	FILE *file = fopen(f->path, "w");

	fclose(file);
	assert_int_equal(bh_wire_listen(f->path, geteuid(), &server), -EEXIST);
	assert_int_equal(access(f->path, F_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: it forks, and nng's threads do not survive that. */
		TEST(foreign_uid_is_turned_away),
		TEST(carries_messages_both_ways_in_order),
		TEST(socket_is_private_to_its_owner),
		TEST(send_without_a_peer_says_so),
		TEST(refuses_to_send_a_message_above_the_limit),
		TEST(queue_is_bounded),
		TEST(garbage_is_refused_and_the_connection_goes_on),
		TEST(too_long_message_is_refused_and_the_connection_goes_on),
		TEST(enormous_message_ends_only_its_own_connection),
		TEST(nothing_passes_before_hello),
		TEST(message_that_unpacks_to_far_more_is_refused),
		TEST(survives_peers_that_connect_and_leave_at_once),
		TEST(second_peer_does_not_disturb_the_first),
		TEST(survives_a_restart_of_the_listener),
		TEST(survives_a_restart_of_the_dialer),
		TEST(replaces_a_leftover_socket_but_not_a_live_one),
		TEST(never_removes_what_is_not_a_socket),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
