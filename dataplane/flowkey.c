/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flowkey.h"

#include <string.h>

static int compare_ends(uint8_t family, const struct bh_end *a, const struct bh_end *b)
{
	int order = memcmp(a->ip, b->ip, family == 4 ? 4 : 16);

	return order ? order : memcmp(&a->port, &b->port, sizeof(a->port));
}

uint8_t bh_flow_key_make(uint8_t family, uint8_t protocol, const struct bh_end *opener,
	const struct bh_end *responder, union bh_flow_key *ret_key)
{
	uint8_t side = compare_ends(family, opener, responder) <= 0 ? 0 : 1;
	const struct bh_end *low = side ? responder : opener, *high = side ? opener : responder;

	memset(ret_key, 0, sizeof(*ret_key));
	if (family == 4) {
		memcpy(&ret_key->v4.addr[0], low->ip, 4);
		memcpy(&ret_key->v4.addr[1], high->ip, 4);
		ret_key->v4.port[0] = low->port;
		ret_key->v4.port[1] = high->port;
		ret_key->v4.protocol = protocol;
		ret_key->v4.used = 1;
	} else {
		memcpy(ret_key->v6.addr[0], low->ip, 16);
		memcpy(ret_key->v6.addr[1], high->ip, 16);
		ret_key->v6.port[0] = low->port;
		ret_key->v6.port[1] = high->port;
		ret_key->v6.protocol = protocol;
		ret_key->v6.used = 1;
	}
	return side;
}

struct bh_end bh_flow_key_end(uint8_t family, const union bh_flow_key *key, uint8_t side)
{
	struct bh_end end = {};

	if (family == 4) {
		memcpy(end.ip, &key->v4.addr[side], 4);
		end.port = key->v4.port[side];
	} else {
		memcpy(end.ip, key->v6.addr[side], 16);
		end.port = key->v6.port[side];
	}
	return end;
}
