/* SPDX-License-Identifier: Apache-2.0 */

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/frame.h"

static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* Every length field that is there says what is behind it now. */
static void bring_lengths_up_to_date(struct frame *f)
{
	if (f->family == 4)
		put16(f->data + f->l3 + 2, f->length - f->l3);
	if (f->family == 6)
		put16(f->data + f->l3 + 4, f->length - f->l3 - 40);
	if (f->udp)
		put16(f->data + f->udp + 4, f->length - f->udp);
}

static uint8_t *append(struct frame *f, const void *bytes, size_t n)
{
	uint8_t *at = f->data + f->length;

	assert(f->length + n <= FRAME_MAX);
	if (bytes)
		memcpy(at, bytes, n);
	else
		memset(at, 0, n);
	f->length += n;
	bring_lengths_up_to_date(f);
	return at;
}

/* Names the layer about to come in the one that is there. */
static void link_next(struct frame *f, uint16_t number)
{
	if (f->family)
		f->data[f->next] = number;
	else
		put16(f->data + f->next, number);
}

void frame_ethernet(struct frame *f, const struct party *from, const struct party *to)
{
	memset(f, 0, offsetof(struct frame, data));
	append(f, to->mac, 6);
	append(f, from->mac, 6);
	append(f, NULL, 2);
	f->next = 12;
}

void frame_vlan(struct frame *f, uint16_t tpid)
{
	link_next(f, tpid);
	append(f, "\0\1", 2);
	f->next = f->length;
	append(f, NULL, 2);
}

void frame_ip(struct frame *f, int family, const struct party *from, const struct party *to)
{
	link_next(f, family == 4 ? 0x0800 : 0x86dd);
	f->l3 = f->length;
	if (family == 4) {
		f->next = f->l3 + 9;
		append(f, "\x45\0\0\0\0\0\0\0\x40\0\0\0", 12);
		append(f, from->ip4, 4);
		append(f, to->ip4, 4);
	} else {
		f->next = f->l3 + 6;
		append(f, "\x60\0\0\0\0\0\0\x40", 8);
		append(f, from->ip6, 16);
		append(f, to->ip6, 16);
	}
	f->family = family;
	f->l4 = f->length;
	bring_lengths_up_to_date(f);
}

void frame_hex(struct frame *f, const char *hex)
{
	char digits[3] = {0};

	while (*hex) {
		uint8_t byte;

		if (isspace((unsigned char)*hex)) {
			hex++;
			continue;
		}
		assert(isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]));
		memcpy(digits, hex, 2);
		byte = strtoul(digits, NULL, 16);
		append(f, &byte, 1);
		hex += 2;
	}
}

void frame_zeros(struct frame *f, size_t length)
{
	append(f, NULL, length);
}

void frame_options(struct frame *f, const char *hex)
{
	frame_hex(f, hex);
	while ((f->length - f->l3) % 4)
		append(f, NULL, 1);
	f->data[f->l3] = 0x40 | (f->length - f->l3) / 4;
	f->l4 = f->length;
}

void frame_extension(struct frame *f, uint8_t type, const char *hex)
{
	uint16_t at = f->length;

	link_next(f, type);
	f->next = at;
	append(f, NULL, 2);
	frame_hex(f, hex);
	while ((f->length - at) % 8)
		append(f, NULL, 1);
	f->data[at + 1] = type == 44 ? 0 : (f->length - at) / 8 - 1;
	f->l4 = f->length;
}

void frame_fragment(struct frame *f, uint32_t id, uint16_t offset, int more)
{
	if (f->family == 4) {
		put16(f->data + f->l3 + 4, id);
		put16(f->data + f->l3 + 6, offset / 8 | (more ? 0x2000 : 0));
	} else {
		uint8_t *at = f->data + f->length;

		frame_extension(f, 44, "000000000000");
		put16(at + 2, (offset & 0xfff8) | (more ? 1 : 0));
		put16(at + 4, id >> 16);
		put16(at + 6, id & 0xffff);
	}
}

void frame_protocol(struct frame *f, uint8_t protocol)
{
	link_next(f, protocol);
	f->protocol = protocol;
	f->l4 = f->length;
}

void frame_tcp(struct frame *f, uint16_t sport, uint16_t dport, uint8_t flags)
{
	uint8_t *at;

	frame_protocol(f, 6);
	at = append(f, NULL, 20);
	put16(at, sport);
	put16(at + 2, dport);
	at[12] = 0x50;
	at[13] = flags;
}

void frame_udp(struct frame *f, uint16_t sport, uint16_t dport)
{
	uint8_t *at;

	frame_protocol(f, 17);
	f->udp = f->l4;
	at = append(f, NULL, 8);
	put16(at, sport);
	put16(at + 2, dport);
}

void frame_sctp(struct frame *f, uint16_t sport, uint16_t dport)
{
	uint8_t *at;

	frame_protocol(f, 132);
	at = append(f, NULL, 12);
	put16(at, sport);
	put16(at + 2, dport);
}

void frame_icmp(struct frame *f, uint8_t type, uint8_t code, uint16_t id)
{
	uint8_t *at;

	frame_protocol(f, f->family == 4 ? 1 : 58);
	at = append(f, NULL, 8);
	at[0] = type;
	at[1] = code;
	put16(at + 4, id);
}

void frame_set(struct frame *f, enum frame_layer layer, size_t offset, const void *bytes, size_t n)
{
	size_t base = layer == L2 ? 0 : layer == L3 ? f->l3 : f->l4;

	assert(base + offset + n <= FRAME_MAX);
	memcpy(f->data + base + offset, bytes, n);
}

void frame_set8(struct frame *f, enum frame_layer layer, size_t offset, uint8_t value)
{
	frame_set(f, layer, offset, &value, 1);
}

void frame_set16(struct frame *f, enum frame_layer layer, size_t offset, uint16_t value)
{
	uint8_t bytes[2];

	put16(bytes, value);
	frame_set(f, layer, offset, bytes, 2);
}

struct frame ip(int family, const struct party *from, const struct party *to)
{
	struct frame f;

	frame_ethernet(&f, from, to);
	frame_ip(&f, family, from, to);
	return f;
}

struct frame tcp(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport, uint8_t flags)
{
	struct frame f = ip(family, from, to);

	frame_tcp(&f, sport, dport, flags);
	frame_zeros(&f, 10);
	return f;
}

struct frame tcp_headers(int family, const struct party *from, uint16_t sport,
	const struct party *to, uint16_t dport, uint8_t flags)
{
	struct frame f = ip(family, from, to);

	frame_tcp(&f, sport, dport, flags);
	return f;
}

struct frame udp(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport)
{
	struct frame f = ip(family, from, to);

	frame_udp(&f, sport, dport);
	frame_zeros(&f, 10);
	return f;
}

struct frame sctp(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport)
{
	struct frame f = ip(family, from, to);

	frame_sctp(&f, sport, dport);
	frame_zeros(&f, 10);
	return f;
}

struct frame echo(
	int family, const struct party *from, const struct party *to, uint8_t type, uint16_t id)
{
	struct frame f = ip(family, from, to);

	if (family == 6)
		type = type == 8 ? 128 : 129;
	frame_icmp(&f, type, 0, id);
	frame_zeros(&f, 10);
	return f;
}

struct frame icmp_error(const struct party *from, const struct party *to, const struct frame *inner,
	size_t inner_length)
{
	struct frame f = ip(inner->family, from, to);

	frame_icmp(&f, inner->family == 4 ? 3 : 1, 1, 0);
	append(&f, inner->data + inner->l3, inner_length);
	return f;
}

struct frame arp(const struct party *from, uint16_t operation, const uint8_t sender_mac[6],
	const uint8_t sender_ip[4], const uint8_t target_ip[4])
{
	struct frame f;

	frame_ethernet(&f, from, from);
	memcpy(f.data, broadcast_mac, 6);
	link_next(&f, 0x0806);
	f.l3 = f.length;
	append(&f, "\0\1\x08\0\6\4", 6);
	put16(append(&f, NULL, 2), operation);
	append(&f, sender_mac, 6);
	append(&f, sender_ip, 4);
	append(&f, NULL, 6);
	append(&f, target_ip, 4);
	return f;
}

struct frame neighbour(const struct party *from, const struct party *to, uint8_t type,
	const uint8_t target[16], uint8_t option, const uint8_t mac[6])
{
	struct frame f = ip(6, from, to);

	frame_set8(&f, L3, 7, 255);
	frame_icmp(&f, type, 0, 0);
	if (target)
		append(&f, target, 16);
	if (option) {
		append(&f, &option, 1);
		append(&f, "\1", 1);
		append(&f, mac, 6);
	}
	return f;
}

struct frame dhcp_client(int family, const struct party *from, const uint8_t mac[6])
{
	static const struct party everybody = {
		.mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.ip4 = {255, 255, 255, 255},
		.ip6 = {0xff, 2, [13] = 1, 0, 2},
	};
	struct frame f = ip(family, from, &everybody);

	frame_udp(&f, family == 4 ? 68 : 546, family == 4 ? 67 : 547);
	if (family == 4) {
		append(&f, "\1\1\6\0", 4);
		append(&f, NULL, 24);
		append(&f, mac, 6);
		append(&f, NULL, 202);
	} else {
		append(&f, "\1\0\0\1", 4);
	}
	return f;
}

size_t frame_octets(const struct frame *f)
{
	return f->family == 4 ? get16(f->data + f->l3 + 2) : get16(f->data + f->l3 + 4) + 40u;
}
