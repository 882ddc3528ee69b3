/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_TALK_H
#define BULKHEAD_BPF_TALK_H

/*
 * What is spoken, from the first octets that a side sends: work->payload. A protocol is only named
 * for a signature that another one does not have by accident: constants, and lengths that agree
 * with what is there. What does not match is not known; a port is no evidence.
 *
 * Sources: RFC 8446, 5246 (TLS), 9112, 9113 (HTTP), 1035 (DNS), 4253 (SSH); PostgreSQL frontend and
 * backend protocol 3; MySQL client and server protocol; RESP; MongoDB wire protocol; Kafka protocol
 * guide; AMQP 0-9-1 and 1.0; NATS client protocol.
 */

#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/work.h"

#define BH_TALK(app, encrypted) ((app) | (encrypted) << BH_TALK_ENCRYPTED_SHIFT)
#define BH_TALK_APP(talk) ((talk)&BH_TALK_APP_MASK)
#define BH_TALK_ENCRYPTED(talk) ((talk) >> BH_TALK_ENCRYPTED_SHIFT & 3)
/* Of an answer below, beside the byte of a leg: this is a ClientHello. */
#define BH_TALK_HELLO (1u << 8)

/* Octets of the payload that are at hand. */
#define BH_AT_HAND(length) ((length) < BH_PAYLOAD_MAX ? (length) : BH_PAYLOAD_MAX - 1)
#define BH_PAYLOAD_MASK (BH_PAYLOAD_MAX - 1)

static __always_inline __u16 bh_be16(const __u8 *at)
{
	return bpf_ntohs(bh_load16(at));
}

static __always_inline __u32 bh_be32(const __u8 *at)
{
	return bpf_ntohl(bh_load32(at));
}

static __always_inline __u32 bh_le32(const __u8 *at)
{
	return at[0] | (__u32)at[1] << 8 | (__u32)at[2] << 16 | (__u32)at[3] << 24;
}

/* Four characters, as they lie in memory. */
#define BH_WORD(a, b, c, d) \
	bpf_htonl((__u32)(a) << 24 | (__u32)(b) << 16 | (__u32)(c) << 8 | (__u32)(d))

static __always_inline bool bh_word_is(const __u8 *at, __u32 word)
{
	return bh_load32(at) == word;
}

static __always_inline bool bh_is_digit(__u8 c)
{
	return c >= '0' && c <= '9';
}

static __always_inline bool bh_is_letter(__u8 c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static __always_inline bool bh_is_printable(__u8 c)
{
	return c >= 0x20 && c < 0x7f;
}

/* A TLS record with the beginning of a ClientHello (1) or ServerHello (2) in it. */
static __always_inline bool bh_is_tls_hello(const __u8 *at, __u32 length, __u8 type)
{
	const __u32 record = bh_be16(at + 3), message = bh_be16(at + 7);

	if (length < 44 || at[0] != 22 || at[1] != 3 || at[2] > 4 || at[5] != type || at[6])
		return false;
	/* A ClientHello has its record to itself; other messages may share the ServerHello's. */
	return record >= 42 && record <= 16384 &&
	       (type == 1 ? record <= message + 4 : record >= message + 4) && message >= 38 &&
	       at[9] == 3 && at[10] <= 3 && at[43] <= 32;
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

/* "METHOD /", "METHOD http", "OPTIONS *", …; returns whether it begins like a request. */
static __always_inline bool bh_is_http_method(const __u8 *at)
{
	__u8 target;

	if (bh_word_is(at, BH_WORD('G', 'E', 'T', ' ')) ||
		bh_word_is(at, BH_WORD('P', 'U', 'T', ' ')))
		target = at[4];
	else if (bh_word_is(at, BH_WORD('P', 'O', 'S', 'T')) && at[4] == ' ')
		target = at[5];
	else if (bh_word_is(at, BH_WORD('H', 'E', 'A', 'D')) && at[4] == ' ')
		target = at[5];
	else if (bh_word_is(at, BH_WORD('P', 'A', 'T', 'C')) && at[4] == 'H' && at[5] == ' ')
		target = at[6];
	else if (bh_word_is(at, BH_WORD('D', 'E', 'L', 'E')) &&
		 bh_word_is(at + 3, BH_WORD('E', 'T', 'E', ' ')))
		target = at[7];
	else if (bh_word_is(at, BH_WORD('O', 'P', 'T', 'I')) &&
		 bh_word_is(at + 4, BH_WORD('O', 'N', 'S', ' ')))
		target = at[8];
	else
		return false;
	return target == '/' || target == '*' || target == 'h';
}

static __always_inline bool bh_is_http_connect(const __u8 *at)
{
	return bh_word_is(at, BH_WORD('C', 'O', 'N', 'N')) &&
	       bh_word_is(at + 4, BH_WORD('E', 'C', 'T', ' '));
}

/* Does the first line in hand end with HTTP/1.0 or 1.1? A longer one waits for the answer. */
__noinline int bh_talk_http_line(__u32 length)
{
	struct bh_work *work = bh_work_get();
	__u32 have = BH_AT_HAND(length);

	if (!work)
		return 0;
	for (__u32 i = 12; i < BH_PAYLOAD_MAX; i++) {
		__u8 c = work->payload[i & BH_PAYLOAD_MASK];

		if (i >= have || !c)
			return 0;
		if (c != '\r')
			continue;
		return work->payload[(i - 8) & BH_PAYLOAD_MASK] == 'H' &&
		       work->payload[(i - 7) & BH_PAYLOAD_MASK] == 'T' &&
		       work->payload[(i - 6) & BH_PAYLOAD_MASK] == 'T' &&
		       work->payload[(i - 5) & BH_PAYLOAD_MASK] == 'P' &&
		       work->payload[(i - 4) & BH_PAYLOAD_MASK] == '/' &&
		       work->payload[(i - 3) & BH_PAYLOAD_MASK] == '1' &&
		       work->payload[(i - 2) & BH_PAYLOAD_MASK] == '.' &&
		       (work->payload[(i - 1) & BH_PAYLOAD_MASK] & 0xfe) == '0' &&
		       work->payload[(i - 9) & BH_PAYLOAD_MASK] == ' ';
	}
	return 0;
}

static __always_inline bool bh_is_http_answer(const __u8 *at, __u32 length)
{
	return length >= 13 && bh_word_is(at, BH_WORD('H', 'T', 'T', 'P')) && at[4] == '/' &&
	       at[5] == '1' && at[6] == '.' && (at[7] & 0xfe) == '0' && at[8] == ' ' &&
	       at[9] >= '1' && at[9] <= '5' && bh_is_digit(at[10]) && bh_is_digit(at[11]);
}

static __always_inline bool bh_is_http2(const __u8 *at, __u32 length)
{
	return length >= 24 && bh_word_is(at, BH_WORD('P', 'R', 'I', ' ')) &&
	       bh_word_is(at + 4, BH_WORD('*', ' ', 'H', 'T')) &&
	       bh_word_is(at + 8, BH_WORD('T', 'P', '/', '2')) &&
	       bh_word_is(at + 12, BH_WORD('.', '0', '\r', '\n')) &&
	       bh_word_is(at + 16, BH_WORD('\r', '\n', 'S', 'M')) &&
	       bh_word_is(at + 20, BH_WORD('\r', '\n', '\r', '\n'));
}

/* "application/grpc" among HTTP/2 headers: as it is, or in HPACK's Huffman code (RFC 7541). */
__noinline int bh_talk_grpc(__u32 length)
{
	struct bh_work *work = bh_work_get();
	__u32 have = BH_AT_HAND(length);

	if (!work)
		return 0;
	for (__u32 i = 0; i < BH_PAYLOAD_MAX - 16; i++) {
		const __u8 *at = work->payload + (i & BH_PAYLOAD_MASK);

		if (i + 11 > have)
			return 0;
		if (bh_word_is(at, BH_WORD(0x1d, 0x75, 0xd0, 0x62)) &&
			bh_word_is(at + 4, BH_WORD(0x0d, 0x26, 0x3d, 0x4c)) &&
			bh_word_is(at + 7, BH_WORD(0x4c, 0x4d, 0x65, 0x64)))
			return 1;
		if (i + 16 <= have && bh_word_is(at, BH_WORD('a', 'p', 'p', 'l')) &&
			bh_word_is(at + 4, BH_WORD('i', 'c', 'a', 't')) &&
			bh_word_is(at + 8, BH_WORD('i', 'o', 'n', '/')) &&
			bh_word_is(at + 12, BH_WORD('g', 'r', 'p', 'c')))
			return 1;
	}
	return 0;
}

/* ---- Databases ------------------------------------------------------------------------------- */

#define BH_PG_SSL_REQUEST 80877103u
#define BH_PG_GSS_REQUEST 80877104u
#define BH_PG_CANCEL 80877102u

static __always_inline __u32 bh_talk_postgresql(const __u8 *at, __u32 length)
{
	const __u32 code = bh_be32(at + 4);

	if (length < 8 || bh_be32(at) != length)
		return 0;
	if (length == 8 && (code == BH_PG_SSL_REQUEST || code == BH_PG_GSS_REQUEST))
		return BH_TALK(BH_APP_POSTGRESQL, BH_ENCRYPTED_UNKNOWN);
	if (length == 16 && code == BH_PG_CANCEL)
		return BH_TALK(BH_APP_POSTGRESQL, BH_ENCRYPTED_NO);
	/* 3.0 and 3.2, and the first parameter's name. */
	if (length >= 15 && length <= 10000 && (code == 0x30000 || code == 0x30002) &&
		bh_is_letter(at[8]) && (bh_is_letter(at[9]) || at[9] == '_'))
		return BH_TALK(BH_APP_POSTGRESQL, BH_ENCRYPTED_NO);
	return 0;
}

/* The server's greeting: a packet of version 10, and its version's text, which ends. */
__noinline int bh_talk_mysql_greeting(__u32 length)
{
	struct bh_work *work = bh_work_get();
	const __u8 *at;

	if (!work || length < 45)
		return 0;
	at = work->payload;
	if ((at[0] | (__u32)at[1] << 8) + 4 != length || at[2] || at[3] || at[4] != 10 ||
		!bh_is_digit(at[5]) || !(bh_is_digit(at[6]) || at[6] == '.'))
		return 0;
	for (__u32 i = 7; i < 128; i++) {
		__u8 c = at[i & BH_PAYLOAD_MASK];

		if (i >= length)
			return 0;
		if (!c)
			return 1;
		if (!bh_is_printable(c))
			return 0;
	}
	return 0;
}

#define BH_MYSQL_PROTOCOL_41 0x200u
#define BH_MYSQL_SSL 0x800u

/* What the client answers to it. */
static __always_inline __u32 bh_talk_mysql_answer(const __u8 *at, __u32 length)
{
	const __u32 flags = bh_le32(at + 4);

	if (length < 36 || at[2] || at[3] != 1 || !(flags & BH_MYSQL_PROTOCOL_41))
		return 0;
	if ((at[0] | (__u32)at[1] << 8) == 32 && flags & BH_MYSQL_SSL)
		return BH_TALK(BH_APP_MYSQL, BH_ENCRYPTED_YES);
	return (at[0] | (__u32)at[1] << 8) > 32 ? BH_TALK(BH_APP_MYSQL, BH_ENCRYPTED_NO) : 0;
}

/* An array of bulk strings, the first of which is a command: "*1\r\n$4\r\nPING\r\n". */
static __always_inline bool bh_is_redis(const __u8 *at, __u32 length)
{
	if (length == 6 && bh_word_is(at, BH_WORD('P', 'I', 'N', 'G')))
		return at[4] == '\r' && at[5] == '\n';
	if (length < 14 || at[0] != '*' || !bh_is_digit(at[1]))
		return false;
	if (bh_is_digit(at[2]))
		at++;
	if (at[2] != '\r' || at[3] != '\n' || at[4] != '$' || !bh_is_digit(at[5]))
		return false;
	if (bh_is_digit(at[6]))
		at++;
	return at[6] == '\r' && at[7] == '\n' && bh_is_letter(at[8]) && bh_is_letter(at[9]);
}

#define BH_MONGO_OP_QUERY 2004u
#define BH_MONGO_OP_MSG 2013u

/* The client's first: not an answer, of the length it has, and hello in one of two forms. */
static __always_inline bool bh_is_mongodb(const __u8 *at, __u32 length)
{
	const __u32 operation = bh_le32(at + 12);

	if (length < 26 || bh_le32(at) != length || bh_le32(at + 8))
		return false;
	if (operation == BH_MONGO_OP_MSG) /* no unknown flag, a body, and a document that fits */
		return !(bh_le32(at + 16) & 0xfffefffc) && !at[20] &&
		       bh_le32(at + 21) <= length - 21 && bh_le32(at + 21) >= 5;
	return operation == BH_MONGO_OP_QUERY && length >= 40 &&
	       bh_word_is(at + 20, BH_WORD('a', 'd', 'm', 'i')) &&
	       bh_word_is(at + 24, BH_WORD('n', '.', '$', 'c')) &&
	       bh_word_is(at + 27, BH_WORD('c', 'm', 'd', 0));
}

/* ---- Queues ---------------------------------------------------------------------------------- */

/* What a client asks first: versions (18), SASL (17), metadata (3); a name, and nothing behind. */
static __always_inline bool bh_is_kafka(const __u8 *at, __u32 length)
{
	const __u32 key = bh_be16(at + 4), version = bh_be16(at + 6), name = bh_be16(at + 12);

	if (length < 14 || length > 4096 || bh_be32(at) + 4 != length)
		return false;
	if (!(key == 18 && version <= 4) && !(key == 17 && version <= 1) &&
		!(key == 3 && version <= 13))
		return false;
	if (name == 0xffff)
		return length <= 64;
	return name <= 255 && 14 + name <= length && (!name || bh_is_printable(at[14]));
}

static __always_inline __u32 bh_talk_amqp(const __u8 *at, __u32 length)
{
	if (length < 8 || !bh_word_is(at, BH_WORD('A', 'M', 'Q', 'P')))
		return 0;
	switch (bh_be32(at + 4)) {
	case 0x00000901: /* 0-9-1, 0-9, 0-8, 0-10 */
	case 0x00000900:
	case 0x01010009:
	case 0x01010008:
	case 0x01010800:
	case 0x0101000a:
	case 0x00010000: /* 1.0, and with SASL */
	case 0x03010000:
		return BH_TALK(BH_APP_AMQP, BH_ENCRYPTED_NO);
	case 0x02010000:
		return BH_TALK(BH_APP_AMQP, BH_ENCRYPTED_YES);
	}
	return 0;
}

static __always_inline bool bh_is_nats_info(const __u8 *at, __u32 length)
{
	return length >= 20 && bh_word_is(at, BH_WORD('I', 'N', 'F', 'O')) && at[4] == ' ' &&
	       at[5] == '{' && at[6] == '"' && bh_is_letter(at[7]);
}

static __always_inline bool bh_is_nats_connect(const __u8 *at, __u32 length)
{
	return length >= 12 && bh_word_is(at, BH_WORD('C', 'O', 'N', 'N')) &&
	       bh_word_is(at + 4, BH_WORD('E', 'C', 'T', ' ')) && at[8] == '{';
}

/* ---- Names and shells ------------------------------------------------------------------------ */

#define BH_DNS_LABELS 40

/*
 * A query or its answer that begins at `at`: one question of known class, no reserved bit, and a
 * name that ends within the message. A query has nothing else but one EDNS record.
 */
__noinline int bh_talk_dns(__u32 length, __u32 at, __u32 answer)
{
	struct bh_work *work = bh_work_get();
	__u32 have = BH_AT_HAND(length + at), class, n;
	const __u8 *header;

	if (!work || length < 17 || at > 2)
		return 0;
	header = work->payload + at;
	/* Of opcode 0: query, not truncated, no reserved bit. */
	if (bh_be16(header + 4) != 1 || (header[2] & 0x78) || (header[3] & 0x40))
		return 0;
	if (answer ? !(header[2] & 0x80)
		   : (header[2] & 0x86) || (header[3] & 0x8f) || bh_be16(header + 6) ||
				bh_be16(header + 8) || bh_be16(header + 10) > 1)
		return 0;
	n = at + 12;
	for (int i = 0; i < BH_DNS_LABELS; i++) {
		__u8 size = work->payload[n & BH_PAYLOAD_MASK];

		if (n >= have || size > 63)
			return 0;
		n += size + 1;
		if (size)
			continue;
		if (n + 4 > have)
			return 0;
		class = work->payload[(n + 2) & BH_PAYLOAD_MASK] << 8 |
			work->payload[(n + 3) & BH_PAYLOAD_MASK];
		/* IN, CH, HS, any; the upper bit is multicast DNS's */
		if (class != 1 && class != 3 && class != 4 && class != 255)
			return 0;
		n += 4;
		if (answer)
			return 1;
		if (!bh_be16(header + 10))
			return n == length + at;
		/* The root's OPT record, or the beginning of another kind (TSIG). */
		return n + 11 <= length + at;
	}
	return 0;
}

static __always_inline bool bh_is_ssh(const __u8 *at, __u32 length)
{
	return length >= 9 && length <= 255 && bh_word_is(at, BH_WORD('S', 'S', 'H', '-')) &&
	       ((at[4] == '2' && at[5] == '.' && at[6] == '0' && at[7] == '-') ||
		       (at[4] == '1' && at[5] == '.' && at[6] == '9' && at[7] == '9' &&
			       at[8] == '-'));
}

/* ---- Put together ---------------------------------------------------------------------------- */

/* The first octets of a TCP connection's opener. `known`: what the leg says already. */
__noinline __u32 bh_talk_client(__u32 length, __u32 known)
{
	struct bh_work *work = bh_work_get();
	__u32 app = BH_TALK_APP(known), talk;
	const __u8 *at;

	if (!work)
		return 0;
	at = work->payload;
	if (bh_is_tls_hello(at, length, 1))
		return BH_TALK(app ?: BH_APP_TLS, BH_ENCRYPTED_YES) | BH_TALK_HELLO;
	if (app == BH_APP_MYSQL)
		return bh_talk_mysql_answer(at, length);
	if (bh_is_nats_connect(at, length))
		return BH_TALK(BH_APP_NATS, BH_ENCRYPTED_NO);
	talk = bh_talk_postgresql(at, length);
	if (!talk)
		talk = bh_talk_amqp(at, length);
	if (talk || app == BH_APP_POSTGRESQL)
		return talk;
	if (bh_is_http2(at, length))
		return BH_TALK(BH_APP_HTTP2, BH_ENCRYPTED_NO);
	if (length >= 16 && bh_is_http_method(at) && bh_talk_http_line(length))
		return BH_TALK(BH_APP_HTTP1, BH_ENCRYPTED_NO);
	/* What goes through the tunnel is another matter. */
	if (length >= 16 && bh_is_http_connect(at) && bh_talk_http_line(length))
		return BH_TALK(BH_APP_HTTP1, BH_ENCRYPTED_UNKNOWN);
	if (bh_is_redis(at, length))
		return BH_TALK(BH_APP_REDIS, BH_ENCRYPTED_NO);
	if (bh_is_mongodb(at, length))
		return BH_TALK(BH_APP_MONGODB, BH_ENCRYPTED_NO);
	if (bh_is_kafka(at, length))
		return BH_TALK(BH_APP_KAFKA, BH_ENCRYPTED_NO);
	if (bh_is_ssh(at, length))
		return BH_TALK(BH_APP_SSH, BH_ENCRYPTED_YES);
	if (length >= 19 && (__u32)bh_be16(at) + 2 == length && bh_talk_dns(length - 2, 2, 0))
		return BH_TALK(BH_APP_DNS, BH_ENCRYPTED_NO);
	return 0;
}

/* … of the other side. */
__noinline __u32 bh_talk_server(__u32 length, __u32 known)
{
	struct bh_work *work = bh_work_get();
	const __u8 *at;

	if (!work)
		return 0;
	at = work->payload;
	if (BH_TALK_APP(known))
		return 0;
	if (bh_is_tls_hello(at, length, 2))
		return BH_TALK(BH_APP_TLS, BH_ENCRYPTED_YES);
	if (bh_is_http_answer(at, length))
		return BH_TALK(BH_APP_HTTP1, BH_ENCRYPTED_NO);
	if (bh_is_ssh(at, length))
		return BH_TALK(BH_APP_SSH, BH_ENCRYPTED_YES);
	if (bh_is_nats_info(at, length))
		return BH_TALK(BH_APP_NATS, BH_ENCRYPTED_UNKNOWN);
	if (bh_talk_mysql_greeting(length))
		return BH_TALK(BH_APP_MYSQL, BH_ENCRYPTED_UNKNOWN);
	return 0;
}

#endif
