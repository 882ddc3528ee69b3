/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controller/access/hosts.h"

#define NAME_MAX_LENGTH 255

/* The name without its port and a last dot. False if there is none. */
static bool host_name(const char *host, char ret_name[NAME_MAX_LENGTH + 1])
{
	const char *end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":");
	const char *port = end && *end == ']' ? end + 1 : end;
	size_t n;

	if (!end)
		return false;
	if (*host == '[')
		host++;
	n = (size_t)(end - host);
	if (*end != ']' && n > 1 && host[n - 1] == '.')
		n--;
	if (n == 0 || n > NAME_MAX_LENGTH)
		return false;
	if (*port && (*port != ':' || port[1 + strspn(port + 1, "0123456789")] ||
			     strlen(port + 1) > 5))
		return false;
	memcpy(ret_name, host, n);
	ret_name[n] = '\0';
	return true;
}

static bool is_address(const char *name)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

bool bh_hosts_take(const struct bh_hosts *hosts, const char *host)
{
	char name[NAME_MAX_LENGTH + 1];

	if (!host_name(host, name))
		return false;
	if (is_address(name) || strcasecmp(name, "localhost") == 0)
		return true;
	for (size_t i = 0; i < hosts->n; i++) {
		if (strcasecmp(hosts->names[i], name) == 0)
			return true;
	}
	return false;
}

bool bh_origin_is_own(const char *origin, const char *host, bool tls)
{
	const char *scheme = tls ? "https://" : "http://";

	return strncasecmp(origin, scheme, strlen(scheme)) == 0 &&
	       strcasecmp(origin + strlen(scheme), host) == 0;
}

int bh_listen_parse(
	const char *text, char ret_address[BH_HOST_ADDRESS_MAX], unsigned int *ret_port)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = *text == '[';
	const char *begin = text + bracketed;
	size_t n;

	if (!colon || (bracketed && (colon == text || colon[-1] != ']')))
		return -EINVAL;
	n = (size_t)(colon - begin) - bracketed;
	if (n == 0 || n >= BH_HOST_ADDRESS_MAX || !colon[1] ||
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
