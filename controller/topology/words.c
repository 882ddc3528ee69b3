/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/topology/words.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bulkhead/talk.h"

static const struct {
	uint8_t number;
	const char *word;
} protocols[] = {
	{IPPROTO_TCP, "TCP"}, {IPPROTO_UDP, "UDP"}, {IPPROTO_SCTP, "SCTP"}, {IPPROTO_ICMP, "ICMP"},
	{IPPROTO_ICMPV6, "ICMPv6"},
	{IPPROTO_IGMP, "IGMP"}, /* what a host joins, its pods may hear of */
};

const char *bh_protocol_word(uint8_t protocol, char text[BH_PROTOCOL_TEXT_MAX])
{
	snprintf(text, BH_PROTOCOL_TEXT_MAX, "%u", protocol);
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (protocols[i].number == protocol)
			snprintf(text, BH_PROTOCOL_TEXT_MAX, "%s", protocols[i].word);
	}
	return text;
}

int bh_protocol_number(const char *word)
{
	size_t digits = strspn(word, "0123456789");

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcasecmp(protocols[i].word, word) == 0)
			return protocols[i].number;
	}
	if (digits == 0 || digits > 3 || word[digits] || atoi(word) > 255)
		return -1;
	return atoi(word);
}

static const char *const app_words[] = {
	[BH_APP_UNKNOWN] = "unknown",
	[BH_APP_TLS] = "tls",
	[BH_APP_HTTP1] = "http1",
	[BH_APP_HTTP2] = "http2",
	[BH_APP_GRPC] = "grpc",
	[BH_APP_POSTGRESQL] = "postgresql",
	[BH_APP_MYSQL] = "mysql",
	[BH_APP_REDIS] = "redis",
	[BH_APP_MONGODB] = "mongodb",
	[BH_APP_KAFKA] = "kafka",
	[BH_APP_AMQP] = "amqp",
	[BH_APP_NATS] = "nats",
	[BH_APP_DNS] = "dns",
	[BH_APP_SSH] = "ssh",
};

static const char *const encrypted_words[] = {
	[BH_ENCRYPTED_UNKNOWN] = "unknown",
	[BH_ENCRYPTED_NO] = "no",
	[BH_ENCRYPTED_YES] = "yes",
};

static int find_word(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], word) == 0)
			return (int)i;
	}
	return -1;
}

#define COUNT(words) (sizeof(words) / sizeof((words)[0]))

const char *bh_app_word(uint8_t app)
{
	return app_words[app < COUNT(app_words) ? app : 0];
}

int bh_app_number(const char *word)
{
	return find_word(app_words, COUNT(app_words), word);
}

const char *bh_encrypted_word(uint8_t encrypted)
{
	return encrypted_words[encrypted < COUNT(encrypted_words) ? encrypted : 0];
}

int bh_encrypted_number(const char *word)
{
	return find_word(encrypted_words, COUNT(encrypted_words), word);
}

const char *bh_tls_word(uint16_t version)
{
	switch (version) {
	case 0x0300:
		return "3.0 (SSL)";
	case 0x0301:
		return "1.0";
	case 0x0302:
		return "1.1";
	case 0x0303:
		return "1.2";
	case 0x0304:
		return "1.3";
	}
	return "";
}
