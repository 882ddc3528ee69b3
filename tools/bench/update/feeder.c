/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/update/feeder.h"

#include <arpa/inet.h>
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/wire.h"

/* Of each kind in one message, which stays well below what a message may be. */
#define PART_ENTRIES 4096
#define ANSWER_MS 60000

struct feeder {
	struct bh_wire *wire;
	uint64_t revision; /* in force */
	uint64_t acknowledged;
	bool greeted;

	Bulkhead__Wire__Update update;
	uint32_t part;
	Bulkhead__Wire__Address address[PART_ENTRIES];
	Bulkhead__Wire__Address *addresses[PART_ENTRIES];
	uint32_t ip[PART_ENTRIES];
	ProtobufCBinaryData removed_address;
	uint32_t removed_ip;
	Bulkhead__Wire__Rule rule[PART_ENTRIES];
	Bulkhead__Wire__Rule *rules[PART_ENTRIES];
	Bulkhead__Wire__ProgramEntry entry[PART_ENTRIES];
	Bulkhead__Wire__ProgramEntry *entries[PART_ENTRIES];
	Bulkhead__Wire__Program program;
	Bulkhead__Wire__Program *programs;
	uint32_t removed_program;
	Bulkhead__Wire__Endpoint endpoint;
	Bulkhead__Wire__Endpoint *endpoints;
	ProtobufCBinaryData endpoint_ip;
	uint32_t local_ip;
};

/* ---- Hearing ----------------------------------------------------------------------------------
 */

static void say_hello(struct feeder *feeder)
{
	Bulkhead__Wire__Hello hello = BULKHEAD__WIRE__HELLO__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	hello.wire_version = BH_WIRE_VERSION;
	hello.program = (char *)"bench-update";
	hello.node = (char *)"bench";
	hello.instance = 1;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	bh_wire_send(feeder->wire, &envelope);
}

static void on_message(struct feeder *feeder, const Bulkhead__Wire__Envelope *message)
{
	switch (message->body_case) {
	case BULKHEAD__WIRE__ENVELOPE__BODY_HELLO:
		feeder->greeted = true;
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_ACK:
		if (!message->ack->ok)
			errx(1, "the data plane refused: %s", message->ack->reason);
		feeder->acknowledged = message->ack->revision;
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL:
		errx(1, "the data plane refused a message: %s", message->refusal->reason);
	default:
		break; /* states, flows, edges: not what we wait for */
	}
}

static bool hear(struct feeder *feeder)
{
	Bulkhead__Wire__Envelope *message = NULL;
	const char *reason = "";

	switch (bh_wire_receive(feeder->wire, &message, &reason)) {
	case BH_WIRE_NOTHING:
		return false;
	case BH_WIRE_CONNECTED:
		say_hello(feeder);
		break;
	case BH_WIRE_DISCONNECTED:
		errx(1, "the data plane went away");
	case BH_WIRE_MESSAGE:
		on_message(feeder, message);
		bh_wire_message_free(message);
		break;
	case BH_WIRE_GARBAGE:
		errx(1, "a message that cannot be read: %s", reason);
	}
	return true;
}

static void wait_for_something(struct feeder *feeder)
{
	struct pollfd readable = {.fd = bh_wire_fd(feeder->wire), .events = POLLIN};

	while (hear(feeder))
		;
	if (feeder->greeted && feeder->acknowledged == feeder->update.revision)
		return;
	if (poll(&readable, 1, ANSWER_MS) != 1)
		errx(1, "the data plane does not answer");
}

struct feeder *feeder_open(const char *socket_path)
{
	struct feeder *feeder = calloc(1, sizeof(*feeder));

	if (!feeder || bh_wire_dial(socket_path, &feeder->wire) < 0)
		errx(1, "%s: cannot connect", socket_path);
	for (unsigned i = 0; i < PART_ENTRIES; i++) {
		feeder->addresses[i] = &feeder->address[i];
		feeder->rules[i] = &feeder->rule[i];
		feeder->entries[i] = &feeder->entry[i];
	}
	feeder->programs = &feeder->program;
	feeder->endpoints = &feeder->endpoint;
	while (!feeder->greeted)
		wait_for_something(feeder);
	return feeder;
}

void feeder_close(struct feeder *feeder)
{
	bh_wire_free(feeder->wire);
	free(feeder);
}

/* ---- Telling ----------------------------------------------------------------------------------
 */

static void begin_part(struct feeder *feeder, bool full)
{
	Bulkhead__Wire__Update *update = &feeder->update;

	bulkhead__wire__update__init(update);
	update->revision = feeder->revision + 1;
	update->base_revision = full ? 0 : feeder->revision;
	update->full = full;
	update->part = feeder->part++;
	update->addresses = feeder->addresses;
}

static void send_part(struct feeder *feeder, bool last)
{
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	feeder->update.last = last;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_UPDATE;
	envelope.update = &feeder->update;
	if (bh_wire_send(feeder->wire, &envelope) < 0)
		errx(1, "an update cannot be sent");
	if (!last)
		begin_part(feeder, feeder->update.full);
}

void feeder_begin(struct feeder *feeder, bool full)
{
	feeder->part = 0;
	begin_part(feeder, full);
}

static ProtobufCBinaryData bytes_of(uint32_t *storage, uint32_t ip)
{
	*storage = htonl(ip);
	return (ProtobufCBinaryData){.data = (uint8_t *)storage, .len = sizeof(*storage)};
}

void feeder_address(struct feeder *feeder, uint32_t ip, uint32_t class)
{
	Bulkhead__Wire__Address *address;
	size_t n;

	if (feeder->update.n_addresses == PART_ENTRIES)
		send_part(feeder, false);
	n = feeder->update.n_addresses++;
	address = &feeder->address[n];
	bulkhead__wire__address__init(address);
	address->ip = bytes_of(&feeder->ip[n], ip);
	address->class_ = class;
	address->workload = 1000 + class;
}

void feeder_remove_address(struct feeder *feeder, uint32_t ip)
{
	feeder->removed_address = bytes_of(&feeder->removed_ip, ip);
	feeder->update.removed_addresses = &feeder->removed_address;
	feeder->update.n_removed_addresses = 1;
}

static void put_entry(struct feeder *feeder, size_t i, uint32_t class, uint16_t port)
{
	bulkhead__wire__rule__init(&feeder->rule[i]);
	feeder->rule[i].protocol = 6;
	feeder->rule[i].port_lo = feeder->rule[i].port_hi = port;
	feeder->rule[i].rule = class;
	bulkhead__wire__program_entry__init(&feeder->entry[i]);
	feeder->entry[i].class_ = class;
	feeder->entry[i].n_rules = 1;
	feeder->entry[i].rules = &feeder->rules[i];
}

void feeder_program(struct feeder *feeder, uint32_t number, uint32_t n, uint16_t port)
{
	for (uint32_t done = 0; done < n;) {
		uint32_t room = n - done < PART_ENTRIES ? n - done : PART_ENTRIES;

		for (uint32_t i = 0; i < room; i++)
			put_entry(feeder, i, FEEDER_FIRST_CLASS + done + i, port);
		done += room;
		bulkhead__wire__program__init(&feeder->program);
		feeder->program.number = number;
		feeder->program.n_entries = room;
		feeder->program.entries = feeder->entries;
		feeder->update.n_programs = 1;
		feeder->update.programs = &feeder->programs;
		if (done < n)
			send_part(feeder, false);
	}
}

void feeder_remove_program(struct feeder *feeder, uint32_t number)
{
	feeder->removed_program = number;
	feeder->update.n_removed_programs = 1;
	feeder->update.removed_programs = &feeder->removed_program;
}

void feeder_endpoint(struct feeder *feeder, uint32_t ip, uint32_t program)
{
	Bulkhead__Wire__Endpoint *endpoint = &feeder->endpoint;

	bulkhead__wire__endpoint__init(endpoint);
	feeder->endpoint_ip = bytes_of(&feeder->local_ip, ip);
	endpoint->uid = (char *)"bench-server";
	endpoint->name = (char *)"bench/server";
	endpoint->n_ips = 1;
	endpoint->ips = &feeder->endpoint_ip;
	endpoint->workload = 10;
	endpoint->active = endpoint->pending = program;
	feeder->update.n_endpoints = 1;
	feeder->update.endpoints = &feeder->endpoints;
}

uint64_t feeder_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t watch(struct feeder *feeder, const volatile uint64_t *watched, uint64_t wanted)
{
	const struct timespec pause = {.tv_nsec = 50000};
	uint64_t deadline = feeder_now() + ANSWER_MS * 1000000ull;

	while (*watched != wanted) {
		while (hear(feeder))
			;
		if (feeder_now() > deadline)
			errx(1, "an update is not in force in time");
		nanosleep(&pause, NULL);
	}
	return feeder_now();
}

uint64_t feeder_commit(struct feeder *feeder, const volatile uint64_t *watched, uint64_t wanted)
{
	uint64_t revision = feeder->update.revision, seen = 0;

	send_part(feeder, true);
	if (watched)
		seen = watch(feeder, watched, wanted);
	while (feeder->acknowledged != revision)
		wait_for_something(feeder);
	feeder->revision = revision;
	return seen ? seen : feeder_now();
}
