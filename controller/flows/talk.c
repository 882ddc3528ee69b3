/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/flows/talk.h"

#include <string.h>

#include "bulkhead.pb-c.h"

#define RECORD_HEADER 5
#define HANDSHAKE_HEADER 4
#define EXTENSION_SERVER_NAME 0
#define NAME_TYPE_HOST 0

/* ---- The name in a ClientHello --------------------------------------------------------------- */

/* What is left to read. Once something is missing, nothing is there any more. */
struct input {
	const uint8_t *at;
	size_t left;
	bool broken;
};

static const uint8_t *take(struct input *input, size_t n)
{
	const uint8_t *at = input->at;

	if (input->broken || n > input->left) {
		input->broken = true;
		return NULL;
	}
	input->at += n;
	input->left -= n;
	return at;
}

static size_t take_number(struct input *input, size_t octets)
{
	const uint8_t *at = take(input, octets);
	size_t number = 0;

	for (size_t i = 0; at && i < octets; i++)
		number = number << 8 | at[i];
	return number;
}

/* A vector with a length of `octets` in front; what of it lies behind the end is not there. */
static struct input take_vector(struct input *input, size_t octets)
{
	size_t length = take_number(input, octets);
	size_t n = length < input->left ? length : input->left;

	return (struct input){.at = take(input, n), .left = n, .broken = input->broken};
}

static bool is_host_character(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

/* A list of names, the first of which is a host's. */
static bool read_names(struct input *extension, char ret_name[BH_SNI_MAX])
{
	struct input list = take_vector(extension, 2);
	size_t type = take_number(&list, 1);
	size_t length = take_number(&list, 2);
	const uint8_t *name = take(&list, length);
	char text[BH_SNI_MAX] = "";

	if (!name || type != NAME_TYPE_HOST || !length || length > 255)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_host_character(name[i]))
			return false;
	}
	memcpy(text, name, length < BH_SNI_MAX ? length : BH_SNI_MAX - 1);
	memcpy(ret_name, text, sizeof(text));
	return true;
}

bool bh_talk_server_name(const uint8_t *hello, size_t size, char ret_name[BH_SNI_MAX])
{
	struct input input = {.at = hello, .left = size};
	struct input extensions;

	memset(ret_name, 0, BH_SNI_MAX);
	if (take_number(&input, 1) != 22 || take_number(&input, 1) != 3)
		return false;
	take(&input, RECORD_HEADER - 2);
	if (take_number(&input, 1) != 1)
		return false;
	take(&input, HANDSHAKE_HEADER - 1 + 2 + 32); /* length, version, random */
	take_vector(&input, 1);                      /* session */
	take_vector(&input, 2);                      /* cipher suites */
	take_vector(&input, 1);                      /* compression methods */
	extensions = take_vector(&input, 2);
	while (!extensions.broken && extensions.left) {
		size_t type = take_number(&extensions, 2);
		size_t length = take_number(&extensions, 2);
		const uint8_t *at = take(&extensions, length);

		if (at && type == EXTENSION_SERVER_NAME)
			return read_names(&(struct input){.at = at, .left = length}, ret_name);
	}
	return false;
}

/* ---- Reports --------------------------------------------------------------------------------- */

static uint8_t app_of(uint32_t number)
{
	return number < BH_APPS ? (uint8_t)number : BH_APP_UNKNOWN;
}

static uint8_t encrypted_of(uint32_t number)
{
	return number <= BH_ENCRYPTED_YES ? (uint8_t)number : BH_ENCRYPTED_UNKNOWN;
}

static uint16_t tls_of(uint32_t version)
{
	return version >= 0x0300 && version <= 0x0304 ? (uint16_t)version : 0;
}

void bh_talk_of_edge(const struct Bulkhead__Wire__Edge *edge, struct bh_talk *ret_talk)
{
	struct bh_talk talk = {
		.app = app_of(edge->app),
		.encrypted = encrypted_of(edge->encrypted),
		.tls_version = tls_of(edge->tls),
		.rtt_min_us = edge->trips ? edge->trip_min_us : 0,
		.rtt_sum_us = edge->trip_sum_us,
		.rtt_n = edge->trips,
	};

	if (edge->hello.len && talk.encrypted != BH_ENCRYPTED_NO)
		bh_talk_server_name(edge->hello.data, edge->hello.len, talk.sni);
	*ret_talk = talk;
}

struct bh_flow_talk bh_talk_of_flow(const struct Bulkhead__Wire__Flow *flow)
{
	return (struct bh_flow_talk){
		.app = app_of(flow->app),
		.encrypted = encrypted_of(flow->encrypted),
		.tls_version = tls_of(flow->tls),
		.round_trip_us = flow->round_trip_us,
	};
}

void bh_talk_learn(struct bh_talk *to, const struct bh_talk *from)
{
	if (from->app)
		to->app = from->app;
	if (from->encrypted)
		to->encrypted = from->encrypted;
	/* A version and a name are of what is encrypted. */
	if (from->encrypted == BH_ENCRYPTED_NO) {
		to->tls_version = 0;
		to->sni[0] = '\0';
	}
	if (from->tls_version)
		to->tls_version = from->tls_version;
	if (from->sni[0])
		memcpy(to->sni, from->sni, sizeof(to->sni));
}

void bh_talk_add_trips(struct bh_talk *to, const struct bh_talk *from)
{
	if (!from->rtt_n)
		return;
	if (!to->rtt_n || from->rtt_min_us < to->rtt_min_us)
		to->rtt_min_us = from->rtt_min_us;
	to->rtt_sum_us += from->rtt_sum_us;
	to->rtt_n += from->rtt_n;
}
