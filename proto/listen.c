/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/listen.h"

static bool is_address(const char *name)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

int bh_listen_parse(
	const char *text, char ret_address[BH_LISTEN_ADDRESS_MAX], unsigned int *ret_port)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = *text == '[';
	const char *begin = text + bracketed;
	size_t n;

	if (!colon || (bracketed && (colon == text || colon[-1] != ']')))
		return -EINVAL;
	n = (size_t)(colon - begin) - bracketed;
	if (n == 0 || n >= BH_LISTEN_ADDRESS_MAX || !colon[1] ||
		colon[1 + strspn(colon + 1, "0123456789")] || strlen(colon + 1) > 5 ||
		strtoul(colon + 1, NULL, 10) > 65535)
		return -EINVAL;
	memcpy(ret_address, begin, n);
	ret_address[n] = '\0';
	if (!is_address(ret_address) || (strchr(ret_address, ':') != NULL) != bracketed)
		return -EINVAL;
	*ret_port = (unsigned int)strtoul(colon + 1, NULL, 10);
	return 0;
}

bool bh_address_is_loopback(const char *address)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, address, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &six) == 1 &&
	       (IN6_IS_ADDR_LOOPBACK(&six) ||
		       (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127));
}
