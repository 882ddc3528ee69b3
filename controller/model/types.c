/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/types.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

int bh_ip_parse(const char *text, struct bh_ip *ret_ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct bh_ip ip = {.family = 4};

	/* inet_pton() takes neither leading zeros nor a zone. */
	if (inet_pton(AF_INET, text, ip.ip) != 1) {
		if (inet_pton(AF_INET6, text, ip.ip) != 1)
			return -EINVAL;
		ip.family = 6;
		if (!memcmp(ip.ip, mapped, sizeof(mapped))) {
			memmove(ip.ip, ip.ip + 12, 4);
			memset(ip.ip + 4, 0, 12);
			ip.family = 4;
		}
	}
	*ret_ip = ip;
	return 0;
}

const char *bh_ip_format(const struct bh_ip *ip, char text[BH_IP_TEXT_MAX])
{
	if (!inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->ip, text, BH_IP_TEXT_MAX))
		strcpy(text, "?");
	return text;
}

int bh_ip_compare(const struct bh_ip *a, const struct bh_ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->ip, b->ip, sizeof(a->ip));
}

bool bh_ip_in_prefix(const struct bh_ip *ip, const struct bh_ip *prefix, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (ip->family != prefix->family || bits > bh_ip_bits(ip) ||
		memcmp(ip->ip, prefix->ip, whole))
		return false;
	return !rest || !((ip->ip[whole] ^ prefix->ip[whole]) >> (8 - rest));
}

void bh_ip_mask(struct bh_ip *ip, unsigned int bits)
{
	for (unsigned int i = 0; i < sizeof(ip->ip); i++) {
		if (bits >= (i + 1) * 8)
			continue;
		ip->ip[i] &= bits > i * 8 ? (uint8_t)(0xff << (8 - (bits - i * 8))) : 0;
	}
}

static const char *const mode_names[] = {
	[BH_MODE_UNSET] = "unset",
	[BH_MODE_OBSERVE] = "observe",
	[BH_MODE_DRY_RUN] = "dry-run",
	[BH_MODE_ENFORCE] = "enforce",
};

enum bh_mode bh_mode_parse(const char *text)
{
	for (int mode = BH_MODE_OBSERVE; text && mode <= BH_MODE_ENFORCE; mode++) {
		if (!strcmp(text, mode_names[mode]))
			return (enum bh_mode)mode;
	}
	return BH_MODE_UNSET;
}

const char *bh_mode_name(enum bh_mode mode)
{
	return mode_names[mode];
}
