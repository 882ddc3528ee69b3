/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the BPF programs cost a packet, as ratios to programs that do next to nothing, all in one
 * run: the figures in nanoseconds are this machine's, the ratios travel.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/bench/bench.h"

#define ROUNDS 31
#define ROUNDS_QUICK 15
#define SCALE 8 /* times BENCH_PORTS packets in a sample */

struct options {
	unsigned rounds;
	unsigned scale;
	bool json;
};

struct summary {
	double median;
	double p10;
	double p90;
};

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct summary summarize(const struct bench_case *c, unsigned rounds)
{
	double sorted[BENCH_ROUNDS_MAX];

	memcpy(sorted, c->samples, rounds * sizeof(*sorted));
	qsort(sorted, rounds, sizeof(*sorted), by_value);
	return (struct summary){.median = sorted[rounds / 2],
		.p10 = sorted[rounds / 10],
		.p90 = sorted[rounds - 1 - rounds / 10]};
}

static double median_of(const char *name, unsigned rounds)
{
	for (unsigned i = 0; i < bench_n_cases; i++) {
		if (!strcmp(bench_cases[i].name, name))
			return summarize(&bench_cases[i], rounds).median;
	}
	return 0;
}

/* The ratio to a floor of the same kind of run; 0 where there is none. */
static double to_empty(const struct bench_case *c, double median, unsigned rounds)
{
	if (c->floor == FLOOR_NONE)
		return 0;
	return median /
	       median_of(c->floor == FLOOR_STILL ? "empty program" : "empty program, 8k flows",
		       rounds);
}

static double to_lookup(const struct bench_case *c, double median, unsigned rounds)
{
	if (c->floor == FLOOR_NONE)
		return 0;
	return median / median_of(c->floor == FLOOR_STILL ? "parse, one LRU lookup"
							  : "parse, one LRU lookup, 8k flows",
				rounds);
}

static void processor(char *ret_name, size_t size)
{
	FILE *info = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(ret_name, size, "unknown processor");
	while (info && fgets(line, sizeof(line), info)) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) || !value)
			continue;
		snprintf(ret_name, size, "%s", value + 2);
		ret_name[strcspn(ret_name, "\n")] = 0;
		break;
	}
	if (info)
		fclose(info);
}

static void header(const struct options *options, char *ret_line, size_t size)
{
	struct utsname kernel;
	char name[128];

	uname(&kernel);
	processor(name, sizeof(name));
	snprintf(ret_line, size,
		"%s %s, %s, %ld processors; BPF_PROG_TEST_RUN, thread CPU time, medians of %u "
		"interleaved rounds",
		kernel.sysname, kernel.release, name, sysconf(_SC_NPROCESSORS_ONLN),
		options->rounds);
}

static void print_table(const struct options *options)
{
	char line[512];

	header(options, line, sizeof(line));
	printf("%s\n\n", line);
	printf("%-34s %8s %8s %8s %9s %12s\n", "ns per packet", "median", "p10", "p90", "× empty",
		"× one lookup");
	for (unsigned i = 0; i < bench_n_cases; i++) {
		const struct bench_case *c = &bench_cases[i];
		struct summary s = summarize(c, options->rounds);

		printf("%-34s %8.1f %8.1f %8.1f", c->name, s.median, s.p10, s.p90);
		if (c->floor != FLOOR_NONE)
			printf(" %8.1f %12.2f", to_empty(c, s.median, options->rounds),
				to_lookup(c, s.median, options->rounds));
		printf("\n");
	}
	printf("\nRatios are to the floor of the same kind: one flow, or a walk over 8k (the walk "
	       "itself is in both).\n");
}

static void print_json(const struct options *options)
{
	char line[512];

	header(options, line, sizeof(line));
	printf("{\"machine\":\"%s\",\"rounds\":%u,\"cases\":[", line, options->rounds);
	for (unsigned i = 0; i < bench_n_cases; i++) {
		const struct bench_case *c = &bench_cases[i];
		struct summary s = summarize(c, options->rounds);

		printf("%s\n{\"name\":\"%s\",\"median_ns\":%.2f,\"p10_ns\":%.2f,\"p90_ns\":%.2f",
			i ? "," : "", c->name, s.median, s.p10, s.p90);
		if (c->floor != FLOOR_NONE)
			printf(",\"to_empty\":%.3f,\"to_one_lookup\":%.3f",
				to_empty(c, s.median, options->rounds),
				to_lookup(c, s.median, options->rounds));
		printf("}");
	}
	printf("]}\n");
}

static void measure(const struct options *options)
{
	/* Round -1 warms up. Each begins with another case, so that none is always behind the same.
	 */
	for (int round = -1; round < (int)options->rounds; round++) {
		for (unsigned i = 0; i < bench_n_cases; i++) {
			struct bench_case *c = &bench_cases[(i + round + 1) % bench_n_cases];
			double ns;

			if (c->before)
				c->before();
			ns = c->sample(options->scale);
			if (round >= 0)
				c->samples[round] = ns;
		}
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\rround %d of %u ", round + 1, options->rounds);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%*s\r", 30, "");
}

static void usage(FILE *to)
{
	fprintf(to, "Usage: bench [--json] [--rounds N] [--quick]\n"
		    "Nanoseconds per packet of the BPF programs, as ratios to small ones. Root.\n");
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
		{"rounds", required_argument, NULL, 'r'}, {"quick", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct options options = {.rounds = ROUNDS, .scale = SCALE};
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 'r':
			options.rounds = strtoul(optarg, NULL, 10);
			break;
		case 'q':
			options.rounds = ROUNDS_QUICK;
			options.scale = 2;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind != argc || !options.rounds || options.rounds > BENCH_ROUNDS_MAX) {
		usage(stderr);
		return 2;
	}
	if (geteuid()) {
		fprintf(stderr, "bench: loading BPF programs needs root\n");
		return 1;
	}
	if (bench_open() < 0) {
		fprintf(stderr, "bench: the programs could not be loaded\n");
		return 1;
	}
	measure(&options);
	if (options.json)
		print_json(&options);
	else
		print_table(&options);
	bench_close();
	return 0;
}
