/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Changes for a data plane, one a line of standard input, each answered by the nanoseconds from its
 * first byte until it is in force:
 *
 *   known N    a full update: N pods of other nodes in 500 classes, and the local pod
 *   rules N    another program of N rules, one a class, put in force; the one before is removed
 *   label      a known pod's labels make it another class
 *   pod        a pod nobody knew (and one that is known goes, untimed)
 */

#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/abi.h"
#include "tools/bench/update/feeder.h"

static struct feeder *feeder;
static uint32_t local;
static uint32_t known;
static uint32_t program = BH_PROGRAM_NONE;
static uint32_t made; /* changes so far */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t class_of(uint32_t pod)
{
	return FEEDER_FIRST_CLASS + pod % FEEDER_CLASSES;
}

static uint64_t tell_everything(uint32_t n)
{
	uint64_t began = now_ns();

	known = n;
	program = BH_PROGRAM_NONE;
	feeder_begin(feeder, true);
	for (uint32_t i = 0; i < n; i++)
		feeder_address(feeder, FEEDER_PODS + i, class_of(i));
	feeder_address(feeder, local, FEEDER_FIRST_CLASS);
	feeder_endpoint(feeder, local, program);
	feeder_commit(feeder);
	return now_ns() - began;
}

/* Every rule has another port than before: nothing of the old program is of use to the new one. */
static uint64_t replace_rules(uint32_t n)
{
	uint32_t before = program, next = BH_PROGRAM_INGRESS_ISOLATED | (100 + made++);
	uint64_t began = now_ns();

	feeder_begin(feeder, false);
	feeder_program(feeder, next, n, (uint16_t)(1024 + made % 50000));
	if (before != BH_PROGRAM_NONE)
		feeder_remove_program(feeder, before);
	feeder_endpoint(feeder, local, next);
	feeder_commit(feeder);
	program = next;
	return now_ns() - began;
}

static uint64_t change_label(void)
{
	uint32_t pod = made++ % known;
	uint64_t began = now_ns();

	feeder_begin(feeder, false);
	feeder_address(feeder, FEEDER_PODS + pod, class_of(pod + 1 + made / known));
	feeder_commit(feeder);
	return now_ns() - began;
}

static uint64_t add_pod(void)
{
	uint64_t began = now_ns(), taken;

	feeder_begin(feeder, false);
	feeder_address(feeder, FEEDER_PODS + known, class_of(made++));
	feeder_commit(feeder);
	taken = now_ns() - began;
	feeder_begin(feeder, false);
	feeder_remove_address(feeder, FEEDER_PODS + known);
	feeder_commit(feeder);
	return taken;
}

static uint64_t change(const char *what, uint32_t n)
{
	if (!strcmp(what, "known") && n)
		return tell_everything(n);
	if (!known)
		errx(2, "'known N' comes first");
	if (!strcmp(what, "rules") && n)
		return replace_rules(n);
	if (!strcmp(what, "label"))
		return change_label();
	if (!strcmp(what, "pod"))
		return add_pod();
	errx(2, "no such change: %s", what);
}

int main(int argc, char **argv)
{
	struct in_addr address;
	char line[64], what[16];

	if (argc != 3 || inet_pton(AF_INET, argv[2], &address) != 1)
		errx(2, "Usage: bench-update SOCKET LOCAL-POD-ADDRESS < CHANGES");
	local = ntohl(address.s_addr);
	feeder = feeder_open(argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned n = 0;

		if (sscanf(line, "%15s %u", what, &n) < 1)
			continue;
		printf("%llu\n", (unsigned long long)change(what, n));
		fflush(stdout);
	}
	feeder_close(feeder);
	return 0;
}
