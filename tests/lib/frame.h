/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TESTS_FRAME_H
#define BULKHEAD_TESTS_FRAME_H

/*
 * Ethernet frames, built layer by layer: every call appends one, links it to the layer before
 * (ethertype, protocol, next header) and brings all lengths up to date. A test that wants a lie
 * says it afterwards, with frame_set8() and frame_set16(). Checksums stay zero: nothing under test
 * reads them.
 */

#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 8192

/* Somebody a frame can come from or go to. */
struct party {
	const char *name;
	uint8_t mac[6];
	uint8_t ip4[4];
	uint8_t ip6[16];
	uint32_t ifindex; /* of the host's end; 0: not a pod of this node */
	uint32_t slot;
	uint32_t class;
	uint32_t workload;
};

struct frame {
	uint16_t length;
	uint16_t l3; /* offsets of the layers; 0 = not there yet */
	uint16_t l4;
	uint16_t next; /* where the number of the layer to come goes */
	uint16_t udp;
	uint8_t family;    /* 4, 6 */
	uint8_t protocol;  /* what is at l4 */
	uint16_t segments; /* of a GSO train; 0 = one packet */
	uint8_t data[FRAME_MAX];
};

enum frame_layer { L2, L3, L4 };

#define SYN 0x02
#define ACK 0x10
#define FIN 0x01
#define RST 0x04
#define PSH 0x08
#define URG 0x20

void frame_ethernet(struct frame *f, const struct party *from, const struct party *to);
void frame_vlan(struct frame *f, uint16_t tpid);
void frame_ip(struct frame *f, int family, const struct party *from, const struct party *to);

/* Bytes as hexadecimal digits; blanks are skipped. */
void frame_hex(struct frame *f, const char *hex);
void frame_zeros(struct frame *f, size_t length);

/* IPv4 options, padded with "end of list"; directly behind the IPv4 header. */
void frame_options(struct frame *f, const char *hex);
/* An IPv6 extension header: what is behind its first two bytes, padded to a multiple of eight. */
void frame_extension(struct frame *f, uint8_t type, const char *hex);
/* Marks an IPv4 packet as a fragment, or appends the IPv6 header for one. `offset` in bytes. */
void frame_fragment(struct frame *f, uint32_t id, uint16_t offset, int more);

/* A protocol without a header of its own. */
void frame_protocol(struct frame *f, uint8_t protocol);
void frame_tcp(struct frame *f, uint16_t sport, uint16_t dport, uint8_t flags);
void frame_udp(struct frame *f, uint16_t sport, uint16_t dport);
void frame_sctp(struct frame *f, uint16_t sport, uint16_t dport);
/* ICMP or ICMPv6, as the IP header says. */
void frame_icmp(struct frame *f, uint8_t type, uint8_t code, uint16_t id);

void frame_set8(struct frame *f, enum frame_layer layer, size_t offset, uint8_t value);
void frame_set16(struct frame *f, enum frame_layer layer, size_t offset, uint16_t value);
void frame_set(struct frame *f, enum frame_layer layer, size_t offset, const void *bytes, size_t n);

/* Whole frames. Ethernet and IP between the two, and one transport header with 10 bytes in it. */
struct frame ip(int family, const struct party *from, const struct party *to);
struct frame tcp(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport, uint8_t flags);
/* … and without. */
struct frame tcp_headers(int family, const struct party *from, uint16_t sport,
	const struct party *to, uint16_t dport, uint8_t flags);
struct frame udp(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport);
struct frame sctp(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport);
/* `type` as in ICMP (8, 0); made 128, 129 for ICMPv6. */
struct frame echo(
	int family, const struct party *from, const struct party *to, uint8_t type, uint16_t id);
/* From `from`, about `inner`, which goes back to whom `inner` came from: unreachable. */
struct frame icmp_error(const struct party *from, const struct party *to, const struct frame *inner,
	size_t inner_length);

struct frame arp(const struct party *from, uint16_t operation, const uint8_t sender_mac[6],
	const uint8_t sender_ip[4], const uint8_t target_ip[4]);
/* Neighbour or router discovery with hop limit 255; `option` 0: none, else a type with `mac`. */
struct frame neighbour(const struct party *from, const struct party *to, uint8_t type,
	const uint8_t target[16], uint8_t option, const uint8_t mac[6]);
/* A client's broadcast (IPv4) or multicast (IPv6), speaking for `mac`. */
struct frame dhcp_client(int family, const struct party *from, const uint8_t mac[6]);

/* Octets of layer 3, as the header says. */
size_t frame_octets(const struct frame *f);

#endif
