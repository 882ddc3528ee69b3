/* SPDX-License-Identifier: Apache-2.0 */

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "floor.skel.h"
#include "tools/bench/bench.h"

static struct floor *floors;

int bench_run_open(void)
{
	floors = floor__open_and_load();
	return floors ? 0 : -errno;
}

void bench_run_close(void)
{
	floor__destroy(floors);
}

int bench_floor_fd(enum bench_kind kind)
{
	switch (kind) {
	case BENCH_TUPLE:
		return bpf_program__fd(floors->progs.bench_tuple);
	case BENCH_LOOKUP:
		return bpf_program__fd(floors->progs.bench_lookup);
	case BENCH_INSERT:
		return bpf_program__fd(floors->progs.bench_insert);
	default:
		return bpf_program__fd(floors->progs.bench_empty);
	}
}

int bench_floor_table(void)
{
	return bpf_map__fd(floors->maps.bench_lru);
}

int bench_insert_table(void)
{
	return bpf_map__fd(floors->maps.bench_half);
}

static uint64_t thread_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/*
 * Processor time of this thread and not time that passed: the machine's other work, and what a
 * hypervisor takes away, are then in the noise and not in the figure.
 */
double bench_still(
	int program, const struct party *pod, const struct frame *f, unsigned n, int wanted)
{
	struct __sk_buff context = {.ifindex = pod->ifindex, .ingress_ifindex = uplink_ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->data, .data_size_in = f->length,
		.ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = (int)n);
	uint64_t begin = thread_time(), spent;
	int error = bpf_prog_test_run_opts(program, &options);

	spent = thread_time() - begin;
	if (error || (int)options.retval != wanted) {
		fprintf(stderr, "bench: a program answered %d instead of %d (%s)\n",
			(int)options.retval, wanted, strerror(-error));
		exit(1);
	}
	return (double)spent / n;
}

double bench_walk(int program, const struct party *pod, const struct frame *f, unsigned flows,
	unsigned n, int wanted)
{
	const uint32_t zero = 0;

	floors->data->bench_mask = flows - 1;
	if (bpf_map_update_elem(bpf_map__fd(floors->maps.bench_next), &zero, &program, BPF_ANY)) {
		fprintf(stderr, "bench: cannot walk to the program: %s\n", strerror(errno));
		exit(1);
	}
	return bench_still(bpf_program__fd(floors->progs.bench_walk), pod, f, n, wanted);
}
