/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What history costs: hours of traffic on many edges written to a database as the controller would
 * (a batch each 15 seconds, in made-up time), then windows asked of it. Prints processor time and
 * bytes, and writes them as JSON. Usage: bench-history FILE JSON [EDGES [HOURS [ACTIVE%]]]
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "bulkhead/reasons.h"
#include "controller/history/store.h"
#include "controller/model/memory.h"

#define BEGIN 1700006400ull /* a whole hour */
#define NS 1000000000ull

static FILE *json;

/* One more figure: `name` is for both, `unit` for people. */
static void tell(const char *name, double value, const char *unit)
{
	printf("%-40s %10.3f %s\n", name, value, unit);
	fprintf(json, ",\n\"%s%s%s\":%.3f", name, *unit ? ", " : "", unit, value);
	fflush(stdout);
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double load_now(void)
{
	double load = 0;

	getloadavg(&load, 1);
	return load;
}

static double wall_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Every edge with its own counter; `active` of a hundred have something new. */
static void fill(struct bh_batch *batch, size_t n, int active, uint64_t second, unsigned int *seed)
{
	batch->n_edges = batch->n_counters = 0;
	batch->time_ns = (second + 14) * NS;
	batch->generation = 1;
	for (size_t i = 0; i < n; i++) {
		uint64_t packets = (uint64_t)(rand_r(seed) % 1000);

		if (rand_r(seed) / 7 % 100 >= active)
			continue;
		batch->edges[batch->n_edges++] =
			(struct bh_history_edge){.key = {.client = 1000 + (uint32_t)i % 317,
							 .server = 5000 + (uint32_t)i,
							 .port = 443,
							 .protocol = 6,
							 .egress = 1,
							 .verdict = BH_REASON_POLICY,
							 .pending = BH_REASON_POLICY,
							 .family = 4,
							 .rule = 77,
							 .pending_rule = 77},
				.counts = {.packets = {packets, packets},
					.octets = {packets * 90, packets * 900},
					.flows = packets / 20,
					.first_ns = second * NS,
					.last_ns = (second + 13) * NS}};
		batch->counters[batch->n_counters++] =
			(struct bh_counter){.key = {.local = 1000 + (uint32_t)i % 317,
						    .remote = 5000 + (uint32_t)i,
						    .port = 443,
						    .protocol = 6,
						    .egress = 1,
						    .verdict = BH_REASON_POLICY,
						    .pending = BH_REASON_POLICY,
						    .family = 4},
				.packets = {second * 7, second * 7},
				.octets = {second * 900, second * 9000},
				.flows = second,
				.first_mono = 12345,
				.seen_s = second};
	}
}

static void ask(struct bh_store *store, const char *what, enum bh_history_subject subject,
	uint64_t from, uint64_t to)
{
	const struct bh_history_question question = {.subject = subject,
		.from_ns = from * NS,
		.to_ns = to * NS,
		.client = 1000,
		.server = 5000,
		.protocol = 6,
		.port = 443};
	double begun = wall_s();
	struct bh_gather *gather = bh_gather_new(&question);
	const struct bh_history_answer *answer;

	if (bh_gather_from(gather, store) < 0)
		abort();
	answer = bh_gather_finish(gather, 0, "");
	tell(what, (wall_s() - begun) * 1e3, "ms");
	printf("%40s %zu edges, %zu points, spans up to %llu s\n", "", answer->n_edges,
		answer->n_points, (unsigned long long)(answer->resolution_ns / NS));
	bh_gather_free(gather);
}

int main(int argc, char **argv)
{
	size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : 10000;
	uint64_t hours = argc > 4 ? strtoul(argv[4], NULL, 10) : 24;
	int active = argc > 5 ? atoi(argv[5]) : 100;
	const struct bh_store_config config = {argv[1], 64ull << 30, 90};
	struct bh_batch batch = {.edges = bh_xcalloc(n, sizeof(*batch.edges)),
		.counters = bh_xcalloc(n, sizeof(*batch.counters))};
	uint64_t end = BEGIN + hours * 3600;
	double write_cpu = 0, write_longest = 0, tidy_cpu = 0;
	struct bh_store *store;
	unsigned int seed = 1;
	struct stat status;
	char *text;

	if (argc < 3 || !(json = fopen(argv[2], "we")) || bh_store_open(&config, &store, &text) < 0)
		return 1;
	fprintf(json, "{\"edges\":%zu,\"hours\":%llu,\"active_percent\":%d,\"load_at_start\":%.2f",
		n, (unsigned long long)hours, active, load_now());
	printf("%zu edges, %d %% active in each 15 s, %llu hours; load %.1f at start\n", n, active,
		(unsigned long long)hours, load_now());
	for (uint64_t second = BEGIN; second < end; second += 15) {
		double begun, wall;

		fill(&batch, n, active, second, &seed);
		begun = cpu_s();
		wall = wall_s();
		if (bh_store_write(store, &batch) < 0)
			return 1;
		write_cpu += cpu_s() - begun;
		begun = cpu_s();
		if (bh_store_tidy(store, second + 15) < 0)
			return 1;
		tidy_cpu += cpu_s() - begun;
		wall = wall_s() - wall;
		if (wall > write_longest)
			write_longest = wall;
		if ((second + 15 - BEGIN) % 3600 == 0 && stat(argv[1], &status) == 0) {
			char name[32];

			snprintf(name, sizeof(name), "size after %llu h",
				(unsigned long long)(second + 15 - BEGIN) / 3600);
			tell(name, (double)status.st_size / 1e6, "MB");
		}
	}
	tell("writing", write_cpu / (double)(hours * 36), "% of a processor");
	tell("summing up and forgetting", tidy_cpu / (double)(hours * 36), "% of a processor");
	tell("longest batch", write_longest * 1e3, "ms");
	ask(store, "the last hour", BH_HISTORY_EDGES, end - 3600, end);
	ask(store, "24 hours", BH_HISTORY_EDGES, end - 86400, end);
	ask(store, "24 hours, not on the hour", BH_HISTORY_EDGES, end - 86400 + 1234, end - 77);
	ask(store, "one conversation, 6 hours by 15 s", BH_HISTORY_SERIES, end - 6 * 3600, end);
	bh_store_close(store);
	tell("load at end", load_now(), "");
	fprintf(json, "}\n");
	return fclose(json) ? 1 : 0;
}
