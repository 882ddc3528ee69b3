/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Changes for a data plane, one a line of standard input, each answered by the nanoseconds from its
 * first byte until it is in force, and until the data plane says so: before that it waits a grace
 * period of RCU, and takes the old program's entries away.
 *
 *   known N    a full update: N pods of other nodes in 500 classes, and the local pod
 *   rules N    another program of N rules, one a class, put in force; the one before is removed
 *   label      a known pod's labels make it another class
 *   pod        a pod nobody knew (and one that is known goes, untimed)
 */

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/abi.h"
#include "tools/bench/update/feeder.h"

static struct feeder *feeder;
static const struct bh_endpoint *endpoints;
static uint32_t local;
static uint32_t known;
static uint32_t program = BH_PROGRAM_NONE;
static uint32_t made; /* changes so far */

/* The pinned endpoints, as the programs read them. */
static void look_at_endpoints(const char *path)
{
	int fd = bpf_obj_get(path);

	if (fd < 0)
		err(1, "%s", path);
	endpoints = mmap(NULL, BH_ENDPOINTS_MAX * sizeof(*endpoints), PROT_READ, MAP_SHARED, fd, 0);
	if (endpoints == MAP_FAILED)
		err(1, "%s: mmap", path);
	close(fd);
}

/* The local pod's slot: the only one that is anybody's. */
static const volatile uint64_t *programs_in_force(void)
{
	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX; slot++) {
		if (endpoints[slot].epoch)
			return (const volatile uint64_t *)&endpoints[slot].programs;
	}
	errx(1, "the pod is not in force");
}

static uint32_t class_of(uint32_t pod)
{
	return FEEDER_FIRST_CLASS + pod % FEEDER_CLASSES;
}

static uint64_t tell_everything(uint32_t n)
{
	uint64_t began = feeder_now();

	known = n;
	program = BH_PROGRAM_NONE;
	feeder_begin(feeder, true);
	for (uint32_t i = 0; i < n; i++)
		feeder_address(feeder, FEEDER_PODS + i, class_of(i));
	feeder_address(feeder, local, FEEDER_FIRST_CLASS);
	feeder_endpoint(feeder, local, program);
	feeder_commit(feeder, NULL, 0);
	return feeder_now() - began;
}

/* Every rule has another port than before: nothing of the old program is of use to the new one. */
static uint64_t replace_rules(uint32_t n, uint64_t *ret_whole)
{
	uint32_t before = program, next = BH_PROGRAM_INGRESS_ISOLATED | (100 + made++);
	uint64_t began = feeder_now(), in_force;

	feeder_begin(feeder, false);
	feeder_program(feeder, next, n, (uint16_t)(1024 + made % 50000));
	if (before != BH_PROGRAM_NONE)
		feeder_remove_program(feeder, before);
	feeder_endpoint(feeder, local, next);
	in_force = feeder_commit(feeder, programs_in_force(), (uint64_t)next << 32 | next);
	*ret_whole = feeder_now() - began;
	program = next;
	return in_force - began;
}

static uint64_t change_label(void)
{
	uint32_t pod = made++ % known;
	uint64_t began = feeder_now();

	feeder_begin(feeder, false);
	feeder_address(feeder, FEEDER_PODS + pod, class_of(pod + 1 + made / known));
	feeder_commit(feeder, NULL, 0);
	return feeder_now() - began;
}

static uint64_t add_pod(void)
{
	uint64_t began = feeder_now(), taken;

	feeder_begin(feeder, false);
	feeder_address(feeder, FEEDER_PODS + known, class_of(made++));
	feeder_commit(feeder, NULL, 0);
	taken = feeder_now() - began;
	feeder_begin(feeder, false);
	feeder_remove_address(feeder, FEEDER_PODS + known);
	feeder_commit(feeder, NULL, 0);
	return taken;
}

/* Returns ns until in force; *ret_whole: until the old is gone, where that is another time. */
static uint64_t change(const char *what, uint32_t n, uint64_t *ret_whole)
{
	*ret_whole = 0;
	if (!strcmp(what, "known") && n)
		return tell_everything(n);
	if (!known)
		errx(2, "'known N' comes first");
	if (!strcmp(what, "rules") && n)
		return replace_rules(n, ret_whole);
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

	if (argc != 4 || inet_pton(AF_INET, argv[2], &address) != 1)
		errx(2, "Usage: bench-update SOCKET LOCAL-POD-ADDRESS ENDPOINTS < CHANGES");
	local = ntohl(address.s_addr);
	look_at_endpoints(argv[3]);
	feeder = feeder_open(argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t taken, whole;
		unsigned n = 0;

		if (sscanf(line, "%15s %u", what, &n) < 1)
			continue;
		taken = change(what, n, &whole);
		printf("%llu %llu\n", (unsigned long long)taken,
			(unsigned long long)(whole ? whole : taken));
		fflush(stdout);
	}
	feeder_close(feeder);
	return 0;
}
