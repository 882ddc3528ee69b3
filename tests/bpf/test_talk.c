/* SPDX-License-Identifier: Apache-2.0 */

/* What is spoken, and whether it is encrypted, told from the first octets of each side. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define CLIENT_START 0x1000u
#define SERVER_START 0xfffffffeu /* sequence numbers wrap */

/* Octets, as text; those that are none as \x. */
struct octets {
	const char *at;
	size_t n;
};
#define OCTETS(text)                   \
	{                              \
		text, sizeof(text) - 1 \
	}

/* One message: who says it, where in that side's stream, and what. */
struct message {
	bool server;
	uint32_t offset;
	struct octets octets;
};

static struct bh_edge_key key_of(const struct party *local, const struct party *other,
	uint8_t protocol, enum bh_direction direction)
{
	return (struct bh_edge_key){.local = local->workload,
		.remote = other->workload,
		.port = 4000,
		.protocol = protocol,
		.direction = direction,
		.verdict = BH_REASON_NOT_ISOLATED,
		.pending = BH_REASON_NOT_ISOLATED,
		.flags = other->slot ? BH_EDGE_PEER_LOCAL : 0,
		.family = 4};
}

static struct bh_edge edge_at(struct bh_edge_key key)
{
	struct bh_edge edge;

	if (!edge_find(&key, &edge, NULL))
		fail_msg("no such edge");
	return edge;
}

/* At the client's end, and at the server's, which must agree. */
static struct bh_edge both_edges(uint8_t protocol)
{
	struct bh_edge client = edge_at(key_of(&web, &db, protocol, BH_EGRESS));
	struct bh_edge server = edge_at(key_of(&db, &web, protocol, BH_INGRESS));

	assert_int_equal(client.app, server.app);
	assert_int_equal(client.encrypted, server.encrypted);
	assert_int_equal(client.tls, server.tls);
	return client;
}

static struct frame segment(
	int family, bool server, uint32_t sequence, uint8_t flags, const struct octets *octets)
{
	const struct party *from = server ? &db : &web, *to = server ? &web : &db;
	const uint32_t wire = __builtin_bswap32(sequence);
	struct frame f = ip(family, from, to);

	frame_tcp(&f, server ? 4000 : 40000, server ? 40000 : 4000, flags);
	frame_set(&f, L4, 4, &wire, sizeof(wire));
	if (octets && octets->n) {
		frame_zeros(&f, octets->n);
		frame_set(&f, L4, 20, octets->at, octets->n);
	}
	return f;
}

static void send_segment(const struct frame *f, bool server)
{
	assert_true(between(server ? &db : &web, server ? &web : &db, f).passed);
}

static void open_connection(int family)
{
	struct frame syn = segment(family, false, CLIENT_START - 1, SYN, NULL);
	struct frame answer = segment(family, true, SERVER_START - 1, SYN | ACK, NULL);
	struct frame ack = segment(family, false, CLIENT_START, ACK, NULL);

	send_segment(&syn, false);
	send_segment(&answer, true);
	send_segment(&ack, false);
}

static void say(int family, const struct message *message)
{
	struct frame f = segment(family, message->server,
		(message->server ? SERVER_START : CLIENT_START) + message->offset, ACK | PSH,
		&message->octets);

	send_segment(&f, message->server);
}

static bool watched(int family)
{
	struct frame f = segment(family, false, CLIENT_START, ACK, NULL);
	struct bh_flow flow;

	assert_int_equal(flow_of(&f, &flow), SETTLED);
	return flow.flags & BH_FLOW_WATCHED;
}

/* ---- Signatures ------------------------------------------------------------------------------ */

#define MESSAGES_MAX 5

struct conversation {
	const char *name;
	enum bh_app app;
	enum bh_encrypted encrypted;
	uint16_t tls;
	struct message messages[MESSAGES_MAX];
};

#define CLIENT(offset_, text)                               \
	{                                                   \
		.offset = (offset_), .octets = OCTETS(text) \
	}
#define SERVER(offset_, text)                                               \
	{                                                                   \
		.server = true, .offset = (offset_), .octets = OCTETS(text) \
	}

#define TEN "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"
#define RANDOM TEN TEN TEN "\x0b\x0c"

/* A record of 0x37 octets, a message of 0x33; two cipher suites, no compression, one extension. */
#define CLIENT_HELLO                                                                 \
	"\x16\x03\x01\x00\x37\x01\x00\x00\x33\x03\x03" RANDOM "\x00\x00\x04\x13\x01" \
	"\xc0\x2f\x01\x00\x00\x06\x00\x17\x00\x00\x00\x16\x00"

#define SERVER_HELLO_12                                       \
	"\x16\x03\x03\x00\x30\x02\x00\x00\x2c\x03\x03" RANDOM \
	"\x00\xc0\x2f\x00\x00\x04\x00\x17\x00\x00"
#define SERVER_HELLO_13                                                                      \
	"\x16\x03\x03\x00\x36\x02\x00\x00\x32\x03\x03" RANDOM "\x00\x13\x01\x00\x00\x0a\x00" \
	"\x17\x00\x00\x00\x2b\x00\x02\x03\x04"
#define SERVER_HELLO_WITHOUT_EXTENSIONS \
	"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" RANDOM "\x00\x00\x2f\x00"

#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HTTP2_SETTINGS "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

#define PG_SSL "\x00\x00\x00\x08\x04\xd2\x16\x2f"
#define PG_GSS "\x00\x00\x00\x08\x04\xd2\x16\x30"
#define PG_STARTUP "\x00\x00\x00\x14\x00\x03\x00\x00user\x00shop\x00\x00\x00"

#define MYSQL_GREETING                         \
	"\x4a\x00\x00\x00\x0a"                 \
	"8.0.36\x00\x08\x00\x00\x00"           \
	"12345678\x00\xff\xff\xff\x02\x00\xff" \
	"\xdf\x15" TEN "123456789012\x00"      \
	"caching_sha2_password\x00"
#define MYSQL_LOGIN "\x40\x00\x00\x01\x05\xa6\x0f\x00" TEN TEN TEN TEN TEN TEN
#define MYSQL_SSL "\x20\x00\x00\x01\x05\xae\x0f\x00" RANDOM "\x00\x00\x00\x00"

#define OP_MSG                                                                                 \
	"\x24\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00" \
	"\x0f\x00\x00\x00\x10ping\x00\x01\x00\x00\x00\x00"
#define OP_QUERY                                                                             \
	"\x3a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00\x04\x00\x00\x00"   \
	"admin.$cmd\x00\x00\x00\x00\x00\xff\xff\xff\xff\x13\x00\x00\x00\x10isMaster\x00\x01" \
	"\x00\x00\x00\x00"

#define KAFKA_VERSIONS "\x00\x00\x00\x0e\x00\x12\x00\x03\x00\x00\x00\x01\x00\x04shop"
#define QUERY                                                  \
	"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02" \
	"db\x04shop\x00\x00\x01\x00\x01"
#define ANSWER                                                 \
	"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x02" \
	"db\x04shop\x00\x00\x01\x00\x01"                       \
	"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01"

static const struct conversation known[] = {
	{"TLS 1.3", BH_APP_TLS, BH_ENCRYPTED_YES, 0x0304,
		{CLIENT(0, CLIENT_HELLO), SERVER(0, SERVER_HELLO_13)}},
	{"TLS 1.2", BH_APP_TLS, BH_ENCRYPTED_YES, 0x0303,
		{CLIENT(0, CLIENT_HELLO), SERVER(0, SERVER_HELLO_12)}},
	{"TLS 1.0", BH_APP_TLS, BH_ENCRYPTED_YES, 0x0301,
		{CLIENT(0, CLIENT_HELLO), SERVER(0, SERVER_HELLO_WITHOUT_EXTENSIONS)}},
	{"TLS whose server has not answered", BH_APP_TLS, BH_ENCRYPTED_YES, 0,
		{CLIENT(0, CLIENT_HELLO)}},
	{"TLS whose client's hello was cut", BH_APP_TLS, BH_ENCRYPTED_YES, 0x0304,
		{CLIENT(0, "\x16\x03\x01"), SERVER(0, SERVER_HELLO_13)}},
	{"HTTP/1.1", BH_APP_HTTP1, BH_ENCRYPTED_NO, 0,
		{CLIENT(0, "GET / HTTP/1.1\r\nHost: x\r\n")}},
	{"HTTP/1.0", BH_APP_HTTP1, BH_ENCRYPTED_NO, 0, {CLIENT(0, "POST /a?b HTTP/1.0\r\n\r\n")}},
	{"HTTP/1 options", BH_APP_HTTP1, BH_ENCRYPTED_NO, 0, {CLIENT(0, "OPTIONS * HTTP/1.1\r\n")}},
	{"HTTP/1 delete", BH_APP_HTTP1, BH_ENCRYPTED_NO, 0, {CLIENT(0, "DELETE /x HTTP/1.1\r\n")}},
	{"HTTP/1 known by its answer", BH_APP_HTTP1, BH_ENCRYPTED_NO, 0,
		{CLIENT(0, "BREW /pot "), SERVER(0, "HTTP/1.1 418 I'm a teapot\r\n")}},
	{"HTTP/1 tunnel", BH_APP_HTTP1, BH_ENCRYPTED_UNKNOWN, 0,
		{CLIENT(0, "CONNECT db.shop.svc:443 HTTP/1.1\r\n\r\n")}},
	{"HTTP/2", BH_APP_HTTP2, BH_ENCRYPTED_NO, 0,
		{CLIENT(0, HTTP2_PREFACE), CLIENT(24, HTTP2_SETTINGS)}},
	{"gRPC, Huffman-coded", BH_APP_GRPC, BH_ENCRYPTED_NO, 0,
		{CLIENT(0, HTTP2_PREFACE HTTP2_SETTINGS),
			CLIENT(33,
				"\x00\x00\x20\x01\x04\x00\x00\x00\x01\x83\x86\x5f\x8b\x1d\x75\xd0"
				"\x62\x0d\x26\x3d\x4c\x4d\x65\x64")}},
	{"gRPC, literal, at once", BH_APP_GRPC, BH_ENCRYPTED_NO, 0,
		{CLIENT(0,
			HTTP2_PREFACE HTTP2_SETTINGS "\x00\x00\x20\x01\x04\x00\x00\x00\x01\x83\x5f"
						     "\x10"
						     "application/grpc")}},
	{"PostgreSQL", BH_APP_POSTGRESQL, BH_ENCRYPTED_NO, 0, {CLIENT(0, PG_STARTUP)}},
	{"PostgreSQL that refuses TLS", BH_APP_POSTGRESQL, BH_ENCRYPTED_NO, 0,
		{CLIENT(0, PG_SSL), SERVER(0, "N"), CLIENT(8, PG_STARTUP)}},
	{"PostgreSQL in TLS", BH_APP_POSTGRESQL, BH_ENCRYPTED_YES, 0x0304,
		{CLIENT(0, PG_SSL), SERVER(0, "S"), CLIENT(8, CLIENT_HELLO),
			SERVER(1, SERVER_HELLO_13)}},
	{"PostgreSQL in TLS, GSSAPI refused", BH_APP_POSTGRESQL, BH_ENCRYPTED_YES, 0x0303,
		{CLIENT(0, PG_GSS), CLIENT(8, PG_SSL), CLIENT(16, CLIENT_HELLO),
			SERVER(2, SERVER_HELLO_12)}},
	{"PostgreSQL that has only asked", BH_APP_POSTGRESQL, BH_ENCRYPTED_UNKNOWN, 0,
		{CLIENT(0, PG_SSL), SERVER(0, "N")}},
	{"MySQL", BH_APP_MYSQL, BH_ENCRYPTED_NO, 0,
		{SERVER(0, MYSQL_GREETING), CLIENT(0, MYSQL_LOGIN)}},
	{"MySQL in TLS", BH_APP_MYSQL, BH_ENCRYPTED_YES, 0x0303,
		{SERVER(0, MYSQL_GREETING), CLIENT(0, MYSQL_SSL), CLIENT(36, CLIENT_HELLO),
			SERVER(78, SERVER_HELLO_12)}},
	{"Redis", BH_APP_REDIS, BH_ENCRYPTED_NO, 0, {CLIENT(0, "*1\r\n$4\r\nPING\r\n")}},
	{"Redis, many words", BH_APP_REDIS, BH_ENCRYPTED_NO, 0,
		{CLIENT(0, "*12\r\n$10\r\nCLIENTINFO\r\n")}},
	{"Redis, inline", BH_APP_REDIS, BH_ENCRYPTED_NO, 0, {CLIENT(0, "PING\r\n")}},
	{"MongoDB", BH_APP_MONGODB, BH_ENCRYPTED_NO, 0, {CLIENT(0, OP_MSG)}},
	{"MongoDB, old", BH_APP_MONGODB, BH_ENCRYPTED_NO, 0, {CLIENT(0, OP_QUERY)}},
	{"Kafka", BH_APP_KAFKA, BH_ENCRYPTED_NO, 0, {CLIENT(0, KAFKA_VERSIONS)}},
	{"AMQP 0-9-1", BH_APP_AMQP, BH_ENCRYPTED_NO, 0, {CLIENT(0, "AMQP\x00\x00\x09\x01")}},
	{"AMQP 1.0 in TLS", BH_APP_AMQP, BH_ENCRYPTED_YES, 0, {CLIENT(0, "AMQP\x02\x01\x00\x00")}},
	{"NATS", BH_APP_NATS, BH_ENCRYPTED_NO, 0,
		{SERVER(0, "INFO {\"server_id\":\"N\",\"port\":4222}\r\n"),
			CLIENT(0, "CONNECT {\"verbose\":false}\r\n")}},
	{"NATS in TLS", BH_APP_NATS, BH_ENCRYPTED_YES, 0x0304,
		{SERVER(0, "INFO {\"server_id\":\"N\",\"tls_required\":true}\r\n"),
			CLIENT(0, CLIENT_HELLO), SERVER(43, SERVER_HELLO_13)}},
	{"DNS over TCP", BH_APP_DNS, BH_ENCRYPTED_NO, 0, {CLIENT(0, "\x00\x19" QUERY)}},
	{"SSH", BH_APP_SSH, BH_ENCRYPTED_YES, 0, {SERVER(0, "SSH-2.0-OpenSSH_9.2p1\r\n")}},
	{"SSH, the client first", BH_APP_SSH, BH_ENCRYPTED_YES, 0, {CLIENT(0, "SSH-2.0-Go\r\n")}},
};

/* What is only nearly so, and must not be taken for it. */
static const struct conversation strange[] = {
	{.name = "nothing but zeros",
		.messages = {CLIENT(0, TEN "\x00\x00\x00\x00\x00\x00\x00\x00")}},
	{.name = "one octet", .messages = {CLIENT(0, "G"), SERVER(0, "H")}},
	{.name = "a TLS record that is an alert",
		.messages = {CLIENT(
			0, "\x15\x03\x01\x00\x37\x01\x00\x00\x33\x03\x03" RANDOM TEN TEN)}},
	{.name = "a hello whose record is longer than it",
		.messages = {CLIENT(
			0, "\x16\x03\x01\x00\x47\x01\x00\x00\x33\x03\x03" RANDOM TEN TEN)}},
	{.name = "a hello with an impossible session",
		.messages = {CLIENT(
			0, "\x16\x03\x01\x00\x37\x01\x00\x00\x33\x03\x03" RANDOM "\x21" TEN)}},
	{.name = "a ServerHello from the client", .messages = {CLIENT(0, SERVER_HELLO_13)}},
	{.name = "a request in lower case", .messages = {CLIENT(0, "get / http/1.1\r\n\r\n")}},
	{.name = "a request of no HTTP",
		.messages = {CLIENT(0, "GET / GOPHER/1.1\r\nHost: x\r\n")}},
	{.name = "a request of RTSP", .messages = {CLIENT(0, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n")}},
	{.name = "a request of SIP", .messages = {SERVER(0, "SIP/2.0 200 OK\r\nVia: x\r\n")}},
	{.name = "an answer without a number", .messages = {SERVER(0, "HTTP/1.1 abc OK\r\n\r\n")}},
	{.name = "an HTTP/2 preface that ends otherwise",
		.messages = {CLIENT(0, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")}},
	{.name = "a PostgreSQL startup of the wrong length",
		.messages = {CLIENT(
			0, "\x00\x00\x00\x15\x00\x03\x00\x00user\x00shop\x00\x00\x00")}},
	{.name = "a PostgreSQL startup of version 4",
		.messages = {CLIENT(
			0, "\x00\x00\x00\x14\x00\x04\x00\x00user\x00shop\x00\x00\x00")}},
	{.name = "a MySQL greeting of version 9",
		.messages = {SERVER(0, "\x2d\x00\x00\x00\x09"
				       "8.0.36\x00" TEN TEN TEN "1234567890")}},
	{.name = "a MySQL login without a greeting", .messages = {CLIENT(0, MYSQL_LOGIN)}},
	{.name = "an array of integers", .messages = {CLIENT(0, "*2\r\n:1000\r\n:2000\r\n")}},
	{.name = "a bulk string without an array", .messages = {CLIENT(0, "$4\r\nPING\r\n      ")}},
	{.name = "a MongoDB answer from the client",
		.messages = {CLIENT(0,
			"\x1a\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00"
			"\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00")}},
	{.name = "a Kafka request of an unlikely kind",
		.messages = {CLIENT(
			0, "\x00\x00\x00\x0e\x00\x63\x00\x03\x00\x00\x00\x01\x00\x04shop")}},
	{.name = "a Kafka name longer than its request",
		.messages = {CLIENT(
			0, "\x00\x00\x00\x0e\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05shop")}},
	{.name = "AMQP 7", .messages = {CLIENT(0, "AMQP\x00\x07\x00\x00")}},
	{.name = "INFO without anything", .messages = {SERVER(0, "INFO\r\n              ")}},
	{.name = "a DNS query with two questions",
		.messages = {CLIENT(0,
			"\x00\x19\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x02"
			"db\x04shop\x00\x00\x01\x00\x01")}},
	{.name = "SSH 3", .messages = {SERVER(0, "SSH-3.0-none\r\n")}},
	{.name = "an upload whose second segment is a request",
		.messages = {CLIENT(0, TEN), CLIENT(10, "GET / HTTP/1.1\r\nHost: x\r\n")}},
	{.name = "a download whose second segment is a banner",
		.messages = {SERVER(0, TEN), SERVER(10, "SSH-2.0-OpenSSH_9.2p1\r\n")}},
	{.name = "a request in two segments",
		.messages = {CLIENT(0, "GET / HT"), CLIENT(8, "TP/1.1\r\nHost: x\r\n")}},
};

static void converse(int family, const struct conversation *conversation)
{
	bed_reset(NULL);
	open_connection(family);
	for (size_t i = 0; i < MESSAGES_MAX && conversation->messages[i].octets.n; i++)
		say(family, &conversation->messages[i]);
}

static void expect_talk(const struct conversation *wanted, const struct bh_edge *edge)
{
	if (edge->app != wanted->app || edge->encrypted != wanted->encrypted ||
		edge->tls != wanted->tls)
		fail_msg("%s: app %u, encrypted %u, version %04x instead of %u, %u, %04x",
			wanted->name, edge->app, edge->encrypted, edge->tls, wanted->app,
			wanted->encrypted, wanted->tls);
}

static void what_is_spoken_is_known_at_both_ends(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct bh_edge edge;

		converse(4, &known[i]);
		edge = both_edges(6);
		expect_talk(&known[i], &edge);
	}
}

static void what_only_looks_like_it_stays_unknown(void **state)
{
	for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++) {
		struct bh_edge edge;

		converse(4, &strange[i]);
		edge = both_edges(6);
		expect_talk(&strange[i], &edge);
	}
}

/* Cut at every octet to begin with, then at every eighth. */
static void every_signature_cut_short_is_itself_or_unknown(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const struct message *whole = &known[i].messages[0];

		bed_reset(NULL);
		for (size_t n = 1; n < whole->octets.n; n += n < 12 ? 1 : 8) {
			struct message cut = *whole, rest = *whole;
			struct bh_edge edge;

			cut.octets.n = n;
			rest.octets.at += n;
			rest.octets.n -= n;
			rest.offset = (uint32_t)n;
			empty_flows();
			open_connection(4);
			say(4, &cut);
			say(4, &rest);
			edge = both_edges(6);
			if (edge.app && edge.app != known[i].app &&
				!(edge.app == BH_APP_HTTP2 && known[i].app == BH_APP_GRPC))
				fail_msg("%s, cut at %zu, is taken for %u", known[i].name, n,
					edge.app);
		}
	}
}

static void repeated_segments_change_nothing(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct bh_edge edge;

		converse(4, &known[i]);
		say(4, &known[i].messages[0]);
		edge = both_edges(6);
		expect_talk(&known[i], &edge);
	}
}

static void ipv6_is_looked_into_as_well(void **state)
{
	struct bh_edge_key key = key_of(&web, &db, 6, BH_EGRESS);
	struct bh_edge edge;

	key.family = 6;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		converse(6, &known[i]);
		edge = edge_at(key);
		expect_talk(&known[i], &edge);
	}
}

static void tagged_frames_are_looked_into_as_well(void **state)
{
	const struct octets ping = OCTETS("*1\r\n$4\r\nPING\r\n");
	const uint32_t sequence = __builtin_bswap32(CLIENT_START);
	struct frame f = {};

	open_connection(4);
	frame_ethernet(&f, &web, &db);
	frame_vlan(&f, 0x8100);
	frame_ip(&f, 4, &web, &db);
	frame_tcp(&f, 40000, 4000, ACK | PSH);
	frame_set(&f, L4, 4, &sequence, sizeof(sequence));
	frame_zeros(&f, ping.n);
	frame_set(&f, L4, 20, ping.at, ping.n);
	from_pod(&web, &f);
	assert_int_equal(edge_at(key_of(&web, &db, 6, BH_EGRESS)).app, BH_APP_REDIS);
}

/* ---- DNS over UDP ---------------------------------------------------------------------------- */

static void send_datagram(bool server, struct octets octets)
{
	const struct party *from = server ? &db : &web, *to = server ? &web : &db;
	struct frame f = ip(4, from, to);

	frame_udp(&f, server ? 4000 : 40000, server ? 40000 : 4000);
	frame_zeros(&f, octets.n);
	frame_set(&f, L4, 8, octets.at, octets.n);
	between(from, to, &f);
}

static void dns_query_is_known(void **state)
{
	send_datagram(false, (struct octets)OCTETS(QUERY));
	assert_int_equal(both_edges(17).app, BH_APP_DNS);
	assert_int_equal(both_edges(17).encrypted, BH_ENCRYPTED_NO);
}

static void dns_query_with_edns_is_known(void **state)
{
	static const char query[] =
		"\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01\x02"
		"db\x04shop"
		"\x00\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";

	send_datagram(false, (struct octets)OCTETS(query));
	assert_int_equal(both_edges(17).app, BH_APP_DNS);
}

static void dns_answer_is_known(void **state)
{
	send_datagram(false, (struct octets)OCTETS("\x00"));
	send_datagram(true, (struct octets)OCTETS(ANSWER));
	assert_int_equal(both_edges(17).app, BH_APP_DNS);
}

static void other_datagrams_are_not_dns(void **state)
{
	static const struct octets others[] = {
		OCTETS("\x23\x00\x06\xec\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		OCTETS("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02"
		       "db\x44shop\x00\x00\x01"
		       "\x00\x01"),
		OCTETS("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02"
		       "db\x04shop\x00\x00\x01"
		       "\x00\x01\x00"),
		OCTETS("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02"
		       "db\x04shop\x00\x00\x01"
		       "\x00\x07"),
		OCTETS("\x12\x34\x01\x40\x00\x01\x00\x00\x00\x00\x00\x00\x02"
		       "db\x04shop\x00\x00\x01"
		       "\x00\x01"),
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		bed_reset(NULL);
		send_datagram(false, others[i]);
		if (both_edges(17).app != BH_APP_UNKNOWN)
			fail_msg("datagram %zu is taken for %u", i, both_edges(17).app);
	}
}

/* ---- Only for a while ------------------------------------------------------------------------ */

static void known_flow_is_not_watched_any_more(void **state)
{
	converse(4, &known[0]);
	assert_false(watched(4));
}

static void unknown_flow_is_watched_for_four_payloads(void **state)
{
	struct message noise = CLIENT(0, TEN);

	open_connection(4);
	for (int i = 0; i < (int)BH_LOOKS; i++) {
		assert_true(watched(4));
		say(4, &noise);
		noise.offset += 10;
	}
	assert_false(watched(4));
}

static void acknowledgements_do_not_end_the_watch(void **state)
{
	struct frame ack = segment(4, false, CLIENT_START, ACK, NULL);

	open_connection(4);
	for (int i = 0; i < 20; i++)
		send_segment(&ack, false);
	say(4, &known[5].messages[0]);
	assert_int_equal(both_edges(6).app, BH_APP_HTTP1);
}

static void flow_taken_up_midway_is_not_looked_into(void **state)
{
	struct frame f = segment(4, false, CLIENT_START, ACK | PSH, &known[5].messages[0].octets);

	send_segment(&f, false);
	assert_int_equal(both_edges(6).app, BH_APP_UNKNOWN);
}

static void garbage_is_nothing(void **state)
{
	uint32_t random = 12345;

	for (int round = 0; round < 300; round++) {
		char octets[300];
		struct message noise = {.server = round & 1, .octets = {octets, 0}};

		for (size_t i = 0; i < sizeof(octets); i++) {
			random = random * 1103515245 + 12345;
			octets[i] = (char)(random >> 16);
		}
		noise.octets.n = 1 + (random >> 8) % sizeof(octets);
		empty_flows();
		open_connection(4);
		say(4, &noise);
		assert_int_equal(both_edges(6).app, BH_APP_UNKNOWN);
	}
}

static void edge_of_a_new_verdict_says_what_is_spoken(void **state)
{
	struct bh_edge_key key = key_of(&web, &db, 6, BH_EGRESS);
	struct frame data = segment(4, false, CLIENT_START + 100, ACK | PSH, NULL);

	converse(4, &known[0]);
	allow(ISOLATED_BOTH(7), BH_EGRESS, db.class, 6, 4000, 4000, 5);
	enforce(&web, ISOLATED_BOTH(7));
	from_pod(&web, &data);
	key.verdict = key.pending = BH_REASON_POLICY;
	assert_int_equal(edge_at(key).app, BH_APP_TLS);
	assert_int_equal(edge_at(key).tls, 0x0304);
}

/* ---- Names for who reads them ---------------------------------------------------------------- */

/* At the first hook, which is the only one that looks. */
static void client_hello_goes_through_the_ring_for_both_ends(void **state)
{
	struct frame f = segment(4, false, CLIENT_START, ACK | PSH, &known[0].messages[0].octets);
	struct bh_edge_key keys[] = {
		key_of(&web, &db, 6, BH_EGRESS), key_of(&db, &web, 6, BH_INGRESS)};
	struct outcome outcome;

	open_connection(4);
	outcome = from_pod(&web, &f);
	assert_int_equal(outcome.n_hellos, 2);
	for (int end = 0; end < 2; end++) {
		struct bh_edge_ref ref;

		assert_true(edge_find(&keys[end], NULL, &ref));
		assert_true(outcome.hello[0].edge == ref.slot || outcome.hello[1].edge == ref.slot);
		assert_int_equal(outcome.hello[end].length, sizeof(CLIENT_HELLO) - 1);
		assert_memory_equal(
			outcome.hello[end].data, CLIENT_HELLO, sizeof(CLIENT_HELLO) - 1);
	}
	assert_int_not_equal(outcome.hello[0].edge, outcome.hello[1].edge);
	assert_int_equal(to_pod(&db, &f).n_hellos, 0);
}

static void long_client_hello_is_cut(void **state)
{
	/* A record of 0x5fb octets with a message of 0x5f7. */
	char hello[1536] = "\x16\x03\x01\x05\xfb\x01\x00\x05\xf7\x03\x03";
	struct frame f =
		segment(4, false, CLIENT_START, ACK | PSH, &(struct octets){hello, sizeof(hello)});
	struct outcome outcome;

	open_connection(4);
	outcome = from_pod(&web, &f);
	assert_int_equal(outcome.n_hellos, 2);
	assert_int_equal(outcome.hello[0].length, BH_HELLO_MAX);
}

static void hellos_of_an_edge_are_limited_and_counted(void **state)
{
	unsigned seen = 0;

	bed_config.deny_burst = 5;
	configure();
	for (int i = 0; i < 20; i++) {
		struct frame f =
			segment(4, false, CLIENT_START, ACK | PSH, &known[0].messages[0].octets);

		empty_flows();
		open_connection(4);
		seen += from_pod(&web, &f).n_hellos;
	}
	assert_int_equal(seen, 2 * bed_config.deny_burst);
	assert_int_equal(counter(BH_COUNTER_EVENTS + BH_EVENT_HELLO), seen);
	assert_int_equal(counter(BH_COUNTER_EVENTS_SUPPRESSED + BH_EVENT_HELLO), 40 - seen);
}

/* ---- The flow's own record ------------------------------------------------------------------- */

static void flow_that_ends_says_what_was_spoken(void **state)
{
	struct frame rst = segment(4, true, SERVER_START + 100, RST | ACK, NULL);
	struct outcome outcome;
	struct bh_event *e = &outcome.event[0];

	open_connection(4);
	for (const struct message *m = known[0].messages; m->octets.n; m++)
		say(4, m);
	outcome = from_pod(&db, &rst);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(e->type, BH_EVENT_CLOSED);
	assert_int_equal(e->talk, BH_APP_TLS | BH_ENCRYPTED_YES << BH_TALK_ENCRYPTED_SHIFT);
	assert_int_equal(e->tls, 5); /* 1.3 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(what_is_spoken_is_known_at_both_ends),
		bed_test(what_only_looks_like_it_stays_unknown),
		bed_test(every_signature_cut_short_is_itself_or_unknown),
		bed_test(repeated_segments_change_nothing),
		bed_test(ipv6_is_looked_into_as_well),
		bed_test(tagged_frames_are_looked_into_as_well),
		bed_test(dns_query_is_known),
		bed_test(dns_query_with_edns_is_known),
		bed_test(dns_answer_is_known),
		bed_test(other_datagrams_are_not_dns),
		bed_test(known_flow_is_not_watched_any_more),
		bed_test(unknown_flow_is_watched_for_four_payloads),
		bed_test(acknowledgements_do_not_end_the_watch),
		bed_test(flow_taken_up_midway_is_not_looked_into),
		bed_test(garbage_is_nothing),
		bed_test(edge_of_a_new_verdict_says_what_is_spoken),
		bed_test(client_hello_goes_through_the_ring_for_both_ends),
		bed_test(long_client_hello_is_cut),
		bed_test(hellos_of_an_edge_are_limited_and_counted),
		bed_test(flow_that_ends_says_what_was_spoken),
	};

	return cmocka_run_group_tests_name("talk", tests, bed_setup, bed_teardown);
}
