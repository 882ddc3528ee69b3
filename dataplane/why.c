/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/why.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

int bh_fail(struct bh_why *why, int error, const char *format, ...)
{
	va_list args;

	if (!why)
		return error;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	/* One line, whatever somebody's name or a library's message held. */
	for (char *c = why->text; *c; c++) {
		if ((unsigned char)*c < ' ')
			*c = ' ';
	}
	return error;
}

const char *bh_ip_text(uint8_t family, const void *ip, char text[BH_IP_TEXT])
{
	if (!inet_ntop(family == 4 ? AF_INET : AF_INET6, ip, text, BH_IP_TEXT))
		snprintf(text, BH_IP_TEXT, "?");
	return text;
}
