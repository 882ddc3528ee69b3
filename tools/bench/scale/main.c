/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "controller/compile/compile.h"
#include "tools/bench/scale/cluster.h"

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	struct cluster_size size = {argc > 1 ? atoi(argv[1]) : 100000, 0, 2000, 0};
	struct cluster cluster;
	struct bh_compiler *compiler = bh_compiler_new();
	struct bh_desired *d;
	double t;

	size.label_sets = size.pods / 5;
	size.services = size.label_sets / 4;
	t = now_ms();
	cluster_fill(&cluster, &size);
	printf("fill %.1f\n", now_ms() - t);
	for (int i = 0; i < 8; i++) {
		t = now_ms();
		d = bh_compile(compiler, cluster.model);
		printf("compile %.2f addresses %zu workloads %zu programs %zu endpoints %zu rules "
		       "%zu blocks %zu\n",
			now_ms() - t, d->n_addresses, d->n_workloads, d->n_programs, d->n_endpoints,
			d->n_rule_names, d->n_blocks);
		size_t e = 0;
		for (size_t j = 0; j < d->n_programs; j++)
			e += d->programs[j].n_entries;
		printf("entries %zu, problems %zu\n", e, d->n_problems);
		bh_desired_unref(d);
		cluster_put_pod(&cluster, 50000 % size.pods, i % 2 ? "db" : "api");
	}
	return 0;
}
