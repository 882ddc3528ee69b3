/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the controller's compile costs by the size of the cluster: the first one, then one change of
 * a kind at a time, from the model's taking it in to the last part of the update that would be
 * sent. No root, no daemon. Usage: bench-scale [--quick] [--json] [PODS...]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "controller/api/excerpt.h"
#include "controller/compile/compile.h"
#include "controller/flows/edges.h"
#include "controller/flows/names.h"
#include "controller/link/update.h"
#include "controller/model/memory.h"
#include "tools/bench/scale/cluster.h"

#define LABEL_SETS 20000
#define POLICIES 2000
#define SERVICES 5000
#define EDGES 30000
#define EVENTS_S 3.0  /* of each rate */
#define SETTLE_MS 3.0 /* the controller takes in together what comes in such a time */
#define KINDS 11

static bool quick, json;

/* ---- Time and memory ------------------------------------------------------------------------- */

static double clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Of this thread: what other processes do meanwhile is not in it. */
static double cpu_ms(void)
{
	return clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

static double resident_mb(const char *what)
{
	char line[256];
	size_t length = strlen(what);
	double kb = 0;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, what, length))
			kb = strtod(line + length, NULL);
	}
	if (file)
		fclose(file);
	return kb / 1024;
}

/* ---- The controller, without its loop -------------------------------------------------------- */

struct world {
	struct cluster cluster;
	struct bh_compiler *compiler;
	struct bh_names *names;
	struct bh_desired *desired; /* as sent last */
	size_t sent;                /* elements of updates */
};

static int count_part(void *data, const Bulkhead__Wire__Update *part)
{
	struct world *world = data;
	size_t size = bulkhead__wire__update__get_packed_size(part);
	uint8_t *bytes = bh_xcalloc(size, 1);

	bulkhead__wire__update__pack(part, bytes);
	free(bytes);
	world->sent += part->n_addresses + part->n_removed_addresses + part->n_programs +
		       part->n_removed_programs + part->n_endpoints + part->n_removed_endpoints;
	return 0;
}

/* Compiles, learns the names, and writes the update. */
static void follow(struct world *world)
{
	struct bh_desired *desired = bh_compile(world->compiler, world->cluster.model);

	bh_names_learn(world->names, desired, world->desired);
	bh_update_emit(world->desired, desired, count_part, world);
	bh_desired_unref(world->desired);
	world->desired = desired;
}

/* ---- Changes --------------------------------------------------------------------------------- */

static void come(struct world *world, unsigned int n)
{
	cluster_put_pod(&world->cluster, world->cluster.size.pods + n, NULL);
}

static void go(struct world *world, unsigned int n)
{
	cluster_remove_pod(&world->cluster, world->cluster.size.pods + n);
}

/* A pod of another node, in turn from everywhere; every other time as it was at first. */
static void relabel(struct world *world, unsigned int n)
{
	unsigned int remote = world->cluster.size.pods - CLUSTER_LOCAL;

	cluster_put_pod(
		&world->cluster, CLUSTER_LOCAL + n / 2 * 7919 % remote, n % 2 ? NULL : "cache");
}

/* To a class that nobody was of, and back. */
static void relabel_alone(struct world *world, unsigned int n)
{
	cluster_put_pod(&world->cluster, CLUSTER_LOCAL + 1, n % 2 ? NULL : "none");
}

static void relabel_local(struct world *world, unsigned int n)
{
	cluster_put_pod(&world->cluster, n / 2 % CLUSTER_LOCAL,
		n % 2   ? NULL
		: n % 4 ? "worker"
			: "cache");
}

static void reslice(struct world *world, unsigned int n)
{
	cluster_put_slice(&world->cluster, n / 2 % world->cluster.size.services, n % 2 == 0);
}

static void rewire(struct world *world, unsigned int n)
{
	cluster_put_service(&world->cluster, n / 2 % world->cluster.size.services, n % 2 == 0);
}

static void rename_stage(struct world *world, unsigned int n)
{
	cluster_put_namespace(
		&world->cluster, n / 2 % world->cluster.namespaces, n % 2 ? NULL : "other");
}

static void edit_policy(struct world *world, unsigned int n)
{
	cluster_put_policy(
		&world->cluster, 3 * world->cluster.namespaces + n % 8, 9000 + n / 8 % 2);
}

/* It selects nobody here. */
static void edit_foreign_policy(struct world *world, unsigned int n)
{
	cluster_put_policy(
		&world->cluster, world->cluster.size.policies - 1 - n % 8, 9000 + n / 8 % 2);
}

static const struct kind {
	const char *name, *word;
	void (*change)(struct world *world, unsigned int n);
	bool whole; /* everything is compiled, so a few are enough */
} kinds[KINDS] = {
	{"a pod comes", "pod-comes", come, false},
	{"a pod's labels change, and mostly its class", "pod-relabelled", relabel, false},
	{"a pod's labels make a class of its own", "pod-alone", relabel_alone, false},
	{"a pod goes", "pod-goes", go, false},
	{"a local pod's labels change", "local-relabelled", relabel_local, false},
	{"a slice has a backend more or less", "slice", reslice, false},
	{"a service gets another port, or loses it", "service", rewire, false},
	{"a namespace's labels change", "namespace-relabelled", rename_stage, true},
	{"a policy of a local pod is edited", "policy", edit_policy, true},
	{"a policy of pods elsewhere is edited", "policy-elsewhere", edit_foreign_policy, true},
	{0},
};

/* ---- Measuring ------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double quantile(double *sorted, unsigned int n, double at)
{
	unsigned int index = (unsigned int)(at * n);

	return sorted[index < n ? index : n - 1];
}

static void measure_kind(struct world *world, const struct kind *kind, bool first)
{
	unsigned int n = kind->whole ? (quick ? 6 : 30) : quick ? 200 : 2000;
	double *taken = bh_xcalloc(n, sizeof(*taken));
	struct bh_compile_counts before, after;
	uint64_t whole = 0;
	size_t sent = world->sent;

	bh_compiler_counts(world->compiler, &before);
	for (unsigned int i = 0; i < n; i++) {
		double began = cpu_ms();

		kind->change(world, i);
		follow(world);
		taken[i] = cpu_ms() - began;
	}
	bh_compiler_counts(world->compiler, &after);
	for (int i = 0; i < BH_COMPILE_CAUSES; i++)
		whole += after.whole[i] - before.whole[i];
	qsort(taken, n, sizeof(*taken), compare_doubles);
	double median = quantile(taken, n, 0.5), p90 = quantile(taken, n, 0.9),
	       p99 = quantile(taken, n, 0.99);

	if (json)
		printf("%s{\"kind\":\"%s\",\"n\":%u,\"medianMs\":%.4f,\"p90Ms\":%.4f,\"p99Ms\":%."
		       "4f,"
		       "\"maxMs\":%.4f,\"whole\":%llu,\"sent\":%.1f}",
			first ? "" : ",", kind->word, n, median, p90, p99, taken[n - 1],
			(unsigned long long)whole, (double)(world->sent - sent) / n);
	else
		printf("  %-46s %5u %9.3f %9.3f %9.3f %9.3f %6llu %7.1f\n", kind->name, n, median,
			p90, p99, taken[n - 1], (unsigned long long)whole,
			(double)(world->sent - sent) / n);
	free(taken);
}

/* Pods come, change and go at a rate, and are taken in as the controller does: some ms after the
 * first. Says how much of a processor that takes, and the longest time one turn took. */
static void measure_rate(struct world *world, unsigned int a_second, bool first)
{
	double seconds = quick ? EVENTS_S / 3 : EVENTS_S, longest = 0, busy = 0;
	unsigned int n = (unsigned int)(a_second * seconds), done = 0, turns = 0;
	double step = 1000.0 / a_second;

	for (double at = 0; done < n; turns++) {
		double end = at + SETTLE_MS, began = cpu_ms();

		for (; done < n && done * step <= end; done++) {
			switch (done % 3) {
			case 0:
				come(world, done / 3);
				break;
			case 1:
				relabel(world, 2 * (done / 3));
				break;
			default:
				go(world, done / 3);
			}
		}
		follow(world);
		double taken = cpu_ms() - began;

		busy += taken;
		longest = taken > longest ? taken : longest;
		at = done * step > end + taken ? done * step : end + taken;
	}
	if (json)
		printf("%s{\"aSecond\":%u,\"turns\":%u,\"processor\":%.5f,\"longestMs\":%.3f}",
			first ? "" : ",", a_second, turns, busy / (seconds * 1000), longest);
	else
		printf("  %-46u %5u %8.2f%% %9.3f\n", a_second, turns, busy / (seconds * 10),
			longest);
}

static struct bh_edges *make_edges(void)
{
	struct bh_edges *edges = bh_edges_new();
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT, *pointer = &edge;

	batch.generation = 1;
	batch.n_edges = 1;
	batch.edges = &pointer;
	edge.family = 4;
	for (uint32_t i = 0; i < EDGES; i++) {
		edge.local = i;
		bh_edges_add(edges, &batch);
	}
	return edges;
}

/*
 * A trial of a policy and a large view run on a thread. What the loop has to do for them is all
 * that a change of policy that comes meanwhile waits for.
 */
static void measure_excerpt(struct world *world)
{
	struct bh_api api = {.model = world->cluster.model,
		.names = world->names,
		.desired = world->desired,
		.edges = make_edges()};
	unsigned int n = quick ? 5 : 21;
	double take[21], enter[21], release[21];

	for (unsigned int i = 0; i < n; i++) {
		struct bh_excerpt excerpt;
		double began = cpu_ms(), taken, entered;

		bh_excerpt_take(&excerpt, &api, BH_EXCERPT_PODS | BH_EXCERPT_EDGES);
		taken = cpu_ms();
		bh_excerpt_enter(&excerpt);
		bh_excerpt_leave(&excerpt);
		entered = cpu_ms();
		bh_excerpt_release(&excerpt);
		take[i] = taken - began;
		enter[i] = entered - taken;
		release[i] = cpu_ms() - entered;
	}
	qsort(take, n, sizeof(*take), compare_doubles);
	qsort(enter, n, sizeof(*enter), compare_doubles);
	qsort(release, n, sizeof(*release), compare_doubles);
	printf(json ? "\"excerpt\":{\"edges\":%d,\"takeMs\":%.3f,\"takeMaxMs\":%.3f,"
		      "\"threadMs\":%.3f,\"releaseMs\":%.3f},"
		    : "  for a thread, with %d edges: the loop takes %.2f ms (at most %.2f), the "
		      "thread %.1f, giving back %.2f\n",
		EDGES, quantile(take, n, 0.5), take[n - 1], quantile(enter, n, 0.5),
		quantile(release, n, 0.5));
	bh_edges_free(api.edges);
}

static struct cluster_size size_of(unsigned int pods)
{
	struct cluster_size size = {.pods = pods, .policies = POLICIES};

	size.label_sets = pods / 5 < LABEL_SETS ? pods / 5 : LABEL_SETS;
	size.services = size.label_sets / 4 < SERVICES ? size.label_sets / 4 : SERVICES;
	return size;
}

/* In a process of its own, so that memory is what it is. */
static void measure(unsigned int pods, bool first)
{
	struct cluster_size size = size_of(pods);
	struct world world = {0};
	static const unsigned int rates[] = {10, 100, 1000};
	double began = cpu_ms(), filled;

	cluster_fill(&world.cluster, &size);
	world.compiler = bh_compiler_new();
	world.names = bh_names_new(world.cluster.model);
	filled = cpu_ms();
	double model_mb = resident_mb("VmRSS:");

	follow(&world);
	double compiled = cpu_ms();

	if (json)
		printf("%s{\"pods\":%u,\"labelSets\":%u,\"policies\":%u,\"services\":%u,"
		       "\"endpoints\":%zu,\"addresses\":%zu,\"fillMs\":%.1f,\"firstMs\":%.1f,"
		       "\"modelMb\":%.1f,\"changes\":[",
			first ? "" : ",", pods, size.label_sets, size.policies, size.services,
			world.desired->n_endpoints, world.desired->addresses.n, filled - began,
			compiled - filled, model_mb);
	else
		printf("%u pods, %u label sets, %u policies, %u services, %zu endpoints: model "
		       "%.0f ms and %.0f MB, first compile and update %.0f ms\n"
		       "  %-46s %5s %9s %9s %9s %9s %6s %7s\n",
			pods, size.label_sets, size.policies, size.services,
			world.desired->n_endpoints, filled - began, model_mb, compiled - filled,
			"ms", "n", "median", "p90", "p99", "max", "whole", "sent");
	for (int i = 0; kinds[i].change; i++)
		measure_kind(&world, &kinds[i], i == 0);
	printf(json ? "],\"rates\":[" : "  %-46s %5s %9s %9s\n", "pod changes a second", "turns",
		"one CPU", "longest");
	for (int i = 0; i < 3; i++)
		measure_rate(&world, rates[i], i == 0);
	if (json)
		printf("],");
	measure_excerpt(&world);
	printf(json ? "\"residentMb\":%.1f,\"peakMb\":%.1f}\n"
		    : "  %.0f MB resident, at most %.0f\n\n",
		resident_mb("VmRSS:"), resident_mb("VmHWM:"));
	fflush(stdout);
	bh_desired_unref(world.desired);
	bh_names_free(world.names);
	bh_compiler_free(world.compiler);
	bh_model_free(world.cluster.model);
}

static int measure_apart(unsigned int pods, bool first)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		measure(pods, first);
		_exit(0);
	}
	return child < 0 || waitpid(child, &status, 0) < 0 || status ? -1 : 0;
}

int main(int argc, char **argv)
{
	static const unsigned int usual[] = {1000, 10000, 100000};
	unsigned int given[16];
	size_t n = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick"))
			quick = true;
		else if (!strcmp(argv[i], "--json"))
			json = true;
		else if (n < 16 && atoi(argv[i]) >= 2 * CLUSTER_LOCAL)
			given[n++] = (unsigned int)atoi(argv[i]);
		else {
			fprintf(stderr,
				"Usage: bench-scale [--quick] [--json] [PODS (at least %d)...]\n",
				2 * CLUSTER_LOCAL);
			return 2;
		}
	}
	const unsigned int *pods = n ? given : usual;

	n = n ? n : 3;
	if (json)
		printf("[");
	for (size_t i = 0; i < n; i++) {
		if (measure_apart(pods[i], i == 0) < 0) {
			fprintf(stderr, "bench-scale: %u pods: the measuring process failed\n",
				pods[i]);
			return 1;
		}
	}
	if (json)
		printf("]\n");
	return 0;
}
