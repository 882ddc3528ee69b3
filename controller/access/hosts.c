/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
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
	if (*port &&
		(*port != ':' || port[1 + strspn(port + 1, "0123456789")] || strlen(port + 1) > 5))
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
