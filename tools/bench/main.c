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
	const char *out;
	double load; /* as the run began */
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

/* The ratio to a floor with as many flows; 0 where there is none, or it is one itself. */
static double to_floor(const struct bench_case *c, enum bench_kind kind, unsigned rounds)
{
	if (c->kind != BENCH_REAL)
		return 0;
	for (unsigned i = 0; i < bench_n_cases; i++) {
		const struct bench_case *floor = &bench_cases[i];

		if (floor->kind == kind && floor->flows == c->flows)
			return summarize(c, rounds).median / summarize(floor, rounds).median;
	}
	return 0;
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

static double load_now(void)
{
	double load = 0;

	getloadavg(&load, 1);
	return load;
}

static void header(const struct options *options, char *ret_line, size_t size)
{
	struct utsname kernel;
	char name[128];

	uname(&kernel);
	processor(name, sizeof(name));
	snprintf(ret_line, size,
		"%s %s, %s, %ld processors; BPF_PROG_TEST_RUN, thread CPU time, medians of %u "
		"interleaved rounds; load %.1f at start, %.1f at end",
		kernel.sysname, kernel.release, name, sysconf(_SC_NPROCESSORS_ONLN),
		options->rounds, options->load, load_now());
}

static void print_table(const struct options *options)
{
	char line[512];

	header(options, line, sizeof(line));
	printf("%s\n\n", line);
	printf("%-42s %8s %8s %8s %9s %12s\n", "ns per packet", "median", "p10", "p90", "× empty",
		"× one lookup");
	for (unsigned i = 0; i < bench_n_cases; i++) {
		const struct bench_case *c = &bench_cases[i];
		struct summary s = summarize(c, options->rounds);

		if (c->left_out)
			continue;
		printf("%-42s %8.1f %8.1f %8.1f", c->name, s.median, s.p10, s.p90);
		if (c->kind == BENCH_REAL)
			printf(" %9.1f %12.2f", to_floor(c, BENCH_EMPTY, options->rounds),
				to_floor(c, BENCH_LOOKUP, options->rounds));
		printf("\n");
	}
	printf("\nRatios are to the floor with as many flows: one, or a walk over that many (the "
	       "walk itself is in both).\n");
}

static void print_json(const struct options *options, FILE *to)
{
	char line[512];
	unsigned n = 0;

	header(options, line, sizeof(line));
	fprintf(to, "{\"machine\":\"%s\",\"rounds\":%u,\"cases\":[", line, options->rounds);
	for (unsigned i = 0; i < bench_n_cases; i++) {
		const struct bench_case *c = &bench_cases[i];
		struct summary s = summarize(c, options->rounds);

		if (c->left_out)
			continue;
		fprintf(to,
			"%s\n{\"name\":\"%s\",\"median_ns\":%.2f,\"p10_ns\":%.2f,\"p90_ns\":%.2f",
			n++ ? "," : "", c->name, s.median, s.p10, s.p90);
		if (c->kind == BENCH_REAL)
			fprintf(to, ",\"to_empty\":%.3f,\"to_one_lookup\":%.3f",
				to_floor(c, BENCH_EMPTY, options->rounds),
				to_floor(c, BENCH_LOOKUP, options->rounds));
		fprintf(to, "}");
	}
	fprintf(to, "]}\n");
}

static int write_json(const struct options *options)
{
	FILE *file = fopen(options->out, "we");

	if (file)
		print_json(options, file);
	if (!file || fclose(file)) {
		perror(options->out);
		return -1;
	}
	return 0;
}

static void measure(const struct options *options)
{
	/* Round -1 warms up. Each begins with another case, so that none is always behind the same.
	 */
	for (int round = -1; round < (int)options->rounds; round++) {
		for (unsigned i = 0; i < bench_n_cases; i++) {
			struct bench_case *c = &bench_cases[(i + round + 1) % bench_n_cases];
			double ns;

			if (c->left_out)
				continue;
			if (c->before)
				c->before(c);
			ns = c->sample(c, options->scale);
			if (round >= 0)
				c->samples[round] = ns;
		}
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\rround %d of %u ", round + 1, options->rounds);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%*s\r", 30, "");
}

static void keep_only(const char *text)
{
	for (unsigned i = 0; i < bench_n_cases; i++) {
		struct bench_case *c = &bench_cases[i];

		c->left_out = c->kind == BENCH_REAL && !strstr(c->name, text);
	}
}

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: bench-packet [--json] [--out FILE] [--rounds N] [--quick] [--only TEXT]\n"
		"Nanoseconds per packet of the BPF programs, as ratios to small ones. Root.\n"
		"--only: the cases with TEXT in their name, and what they are compared with.\n");
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
		{"out", required_argument, NULL, 'o'}, {"rounds", required_argument, NULL, 'r'},
		{"quick", no_argument, NULL, 'q'}, {"only", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct options options = {.rounds = ROUNDS, .scale = SCALE};
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 'o':
			options.out = optarg;
			break;
		case 'r':
			options.rounds = strtoul(optarg, NULL, 10);
			break;
		case 'q':
			options.rounds = ROUNDS_QUICK;
			options.scale = 2;
			break;
		case 'n':
			keep_only(optarg);
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
		fprintf(stderr, "bench-packet: loading BPF programs needs root\n");
		return 1;
	}
	if (bench_open() < 0) {
		fprintf(stderr, "bench-packet: the programs could not be loaded\n");
		return 1;
	}
	options.load = load_now();
	measure(&options);
	if (options.out && write_json(&options) < 0)
		return 1;
	if (options.json)
		print_json(&options, stdout);
	else
		print_table(&options);
	bench_close();
	return 0;
}
