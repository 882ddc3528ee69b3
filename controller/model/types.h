/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_TYPES_H
#define BULKHEAD_MODEL_TYPES_H

/* The few values that every layer of the controller speaks of. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An IPv4 (family 4, first four bytes of ip, rest zero) or IPv6 (family 6) address, network order.
 */
struct bh_ip {
	uint8_t family;
	uint8_t ip[16];
};

enum bh_mode {
	BH_MODE_UNSET = 0,
	BH_MODE_OBSERVE,
	BH_MODE_DRY_RUN,
	BH_MODE_ENFORCE,
};

/* Room for the longest text of an address, and with "/128" behind it. */
#define BH_IP_TEXT_MAX 46
#define BH_PREFIX_TEXT_MAX 50

/*
 * Reads an address as Kubernetes does: dotted quad without leading zeros, or IPv6 without a zone.
 * An IPv4 address mapped into IPv6 becomes IPv4. Returns 0 or -EINVAL.
 */
int bh_ip_parse(const char *text, struct bh_ip *ret_ip);

/* Writes the canonical text (RFC 5952) into `text` and returns it. */
const char *bh_ip_format(const struct bh_ip *ip, char text[BH_IP_TEXT_MAX]);

/* Bits in an address of this family: 32 or 128. */
static inline unsigned int bh_ip_bits(const struct bh_ip *ip)
{
	return ip->family == 4 ? 32 : 128;
}

/* By family, then bytes: the order of every sorted array of addresses. */
int bh_ip_compare(const struct bh_ip *a, const struct bh_ip *b);

/* True if the first `bits` bits of both are the same (and so is the family). */
bool bh_ip_in_prefix(const struct bh_ip *ip, const struct bh_ip *prefix, unsigned int bits);

/* Clears the bits behind the first `bits`. */
void bh_ip_mask(struct bh_ip *ip, unsigned int bits);

/* "observe", "dry-run", "enforce". Returns BH_MODE_UNSET for anything else, NULL included. */
enum bh_mode bh_mode_parse(const char *text);

/* The word for it; "unset" for BH_MODE_UNSET. */
const char *bh_mode_name(enum bh_mode mode);

#endif
