/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The load of `tools/bench/peers/run`: reads variants, one a line,
 *
 *   NAME CLIENT STRANGER SERVER ADDRESS filter|open
 *
 * (network namespaces' names, the server's address), sees whether each lets through what it should,
 * and visits all of them in every round, in another order each time. Prints every sample as JSON:
 * what is noise is for who reads them to say.
 */

#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench/peers/load.h"

static struct load_variant variants[LOAD_VARIANTS_MAX];
static unsigned n_variants;
static int only_kind = LOAD_KINDS; /* all of them */
static struct load_time samples[LOAD_KINDS][LOAD_VARIANTS_MAX][LOAD_ROUNDS_MAX];

static void read_variants(void)
{
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		struct load_variant *v = &variants[n_variants];
		char address[64], kind[16];

		if (n_variants == LOAD_VARIANTS_MAX)
			errx(2, "more than %d variants", LOAD_VARIANTS_MAX);
		if (sscanf(line, "%63s %63s %63s %63s %63s %15s", v->name, v->client, v->stranger,
			    v->server, address, kind) != 6)
			errx(2, "not a variant: %s", line);
		v->address =
			(struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(LOAD_PORT)};
		if (inet_pton(AF_INET, address, &v->address.sin_addr) != 1)
			errx(2, "%s: not an address: %s", v->name, address);
		v->filters = !strcmp(kind, "filter");
		n_variants++;
	}
	if (!n_variants)
		errx(2, "no variant");
}

/* One processor, the last of those we may use: interrupts prefer the first. */
static void pin(void)
{
	cpu_set_t may, one;
	int last = -1;

	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		err(1, "sched_getaffinity");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &may))
			last = cpu;
	}
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		err(1, "sched_setaffinity");
}

static void check(void)
{
	bool wrong = false;

	for (unsigned i = 0; i < n_variants; i++) {
		const char *what = load_check(&variants[i]);

		if (what)
			warnx("%s: %s", variants[i].name, what);
		wrong |= what != NULL;
	}
	if (wrong)
		exit(1);
}

static int kind_of(const char *name)
{
	for (int kind = 0; kind < LOAD_KINDS; kind++) {
		if (strcmp(name, load_kinds[kind]) == 0)
			return kind;
	}
	errx(2, "%s: no such load; there are request, connect, udp, stream", name);
}

static void shuffle(unsigned *order)
{
	for (unsigned i = 0; i < n_variants; i++)
		order[i] = i;
	for (unsigned i = n_variants - 1; i > 0; i--) {
		unsigned j = (unsigned)random() % (i + 1), kept = order[i];

		order[i] = order[j];
		order[j] = kept;
	}
}

/* Round -1 warms up, shortly. */
static void measure(int rounds, double scale)
{
	unsigned order[LOAD_VARIANTS_MAX];

	for (int round = -1; round < rounds; round++) {
		for (int kind = 0; kind < LOAD_KINDS; kind++) {
			if (only_kind != LOAD_KINDS && only_kind != kind)
				continue;
			shuffle(order);
			for (unsigned i = 0; i < n_variants; i++) {
				struct load_time taken = load_sample(
					&variants[order[i]], kind, round < 0 ? scale / 4 : scale);

				if (round >= 0)
					samples[kind][order[i]][round] = taken;
			}
		}
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\rround %d of %d ", round + 1, rounds);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%*s\r", 30, "");
}

static void print(int rounds)
{
	const char *before = "";

	printf("{");
	for (int kind = 0; kind < LOAD_KINDS; kind++) {
		if (only_kind != LOAD_KINDS && only_kind != kind)
			continue;
		printf("%s\"%s\":{", before, load_kinds[kind]);
		before = ",\n";
		for (unsigned i = 0; i < n_variants; i++) {
			printf("%s\n\"%s\":[", i ? "," : "", variants[i].name);
			for (int round = 0; round < rounds; round++)
				printf("%s[%.2f,%.2f]", round ? "," : "",
					samples[kind][i][round].wall, samples[kind][i][round].cpu);
			printf("]");
		}
		printf("}");
	}
	printf("}\n");
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"rounds", required_argument, NULL, 'r'},
		{"scale", required_argument, NULL, 's'}, {"check", no_argument, NULL, 'c'},
		{"kind", required_argument, NULL, 'k'}, {NULL, 0, NULL, 0}};
	bool only_check = false;
	double scale = 1;
	int option, rounds = 31;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == 'r')
			rounds = atoi(optarg);
		else if (option == 's')
			scale = atof(optarg);
		else if (option == 'c')
			only_check = true;
		else if (option == 'k')
			only_kind = kind_of(optarg);
		else
			return 2;
	}
	if (optind != argc || rounds < 1 || rounds > LOAD_ROUNDS_MAX || scale < 0.1 || scale > 100)
		errx(2, "Usage: bench-load [--rounds N] [--scale X] [--kind NAME] [--check] < "
			"VARIANTS");
	read_variants();
	pin();
	srandom(1);
	for (unsigned i = 0; i < n_variants; i++)
		load_listen(&variants[i]);
	check();
	if (only_check)
		return 0;
	for (unsigned i = 0; i < n_variants; i++)
		load_open(&variants[i]);
	measure(rounds, scale);
	print(rounds);
	return 0;
}
