/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/desired.h"

#include "controller/compile/result.h"
#include "controller/model/memory.h"

/* ---- Kinds of runs --------------------------------------------------------------------------- */

static int compare_addresses(const void *a, const void *b)
{
	const struct bh_desired_address *left = a, *right = b;

	return bh_ip_compare(&left->ip, &right->ip);
}

static int compare_workloads(const void *a, const void *b)
{
	const struct bh_desired_workload *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

static size_t measure_workload(const void *item)
{
	const struct bh_desired_workload *workload = item;

	return strlen(workload->namespace) + strlen(workload->kind) + strlen(workload->name) + 3;
}

static void move_workload(void *item, char *text)
{
	struct bh_desired_workload *workload = item;
	const char **texts[] = {&workload->namespace, &workload->kind, &workload->name};

	for (size_t i = 0; i < 3; i++) {
		char *end = stpcpy(text, *texts[i]);

		*texts[i] = text;
		text = end + 1;
	}
}

const struct bh_run_kind bh_desired_addresses = {
	.size = sizeof(struct bh_desired_address),
	.compare = compare_addresses,
};

const struct bh_run_kind bh_desired_workloads = {
	.size = sizeof(struct bh_desired_workload),
	.compare = compare_workloads,
	.measure = measure_workload,
	.move = move_workload,
};

const struct bh_desired_workload *bh_desired_next_new_workload(const struct bh_desired *desired,
	struct bh_run_at *at, const struct bh_desired *before, struct bh_run_at *at_before)
{
	const struct bh_run *run = &desired->workloads, *old = &before->workloads;

	while (!at->index && at->piece < run->n_pieces) {
		while (at_before->piece < old->n_pieces &&
			compare_workloads(old->pieces[at_before->piece]->items,
				run->pieces[at->piece]->items) < 0)
			at_before->piece++;
		if (!bh_run_skip(run, at, old, at_before))
			break;
	}
	return bh_desired_next_workload(desired, at);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static struct bh_part *part_new(void)
{
	struct bh_part *part = bh_xcalloc(1, sizeof(*part));

	part->references = 1;
	return part;
}

static void part_unref(struct bh_part *part)
{
	if (--part->references)
		return;
	bh_arena_clear(&part->arena);
	free(part);
}

struct bh_result *bh_result_new(void)
{
	struct bh_result *result = bh_xcalloc(1, sizeof(*result));

	result->references = 1;
	for (int i = 0; i < BH_PARTS; i++)
		result->parts[i] = part_new();
	return result;
}

struct bh_result *bh_result_like(const struct bh_desired *last)
{
	const struct bh_result *from = (const struct bh_result *)last;
	struct bh_result *result = bh_xcalloc(1, sizeof(*result));

	*result = *from;
	result->references = 1;
	for (int i = 0; i < BH_PARTS; i++)
		result->parts[i]->references++;
	result->public.addresses = bh_run_ref(&last->addresses);
	result->public.workloads = bh_run_ref(&last->workloads);
	return result;
}

struct bh_arena *bh_result_renew(struct bh_result *result, enum bh_part_kind kind)
{
	part_unref(result->parts[kind]);
	result->parts[kind] = part_new();
	return &result->parts[kind]->arena;
}

struct bh_desired *bh_desired_ref(struct bh_desired *desired)
{
	((struct bh_result *)desired)->references++;
	return desired;
}

void bh_desired_unref(struct bh_desired *desired)
{
	struct bh_result *result = (struct bh_result *)desired;

	if (!result || --result->references)
		return;
	bh_run_unref(&desired->addresses);
	bh_run_unref(&desired->workloads);
	for (int i = 0; i < BH_PARTS; i++)
		part_unref(result->parts[i]);
	free(result);
}

/* ---- Rules ----------------------------------------------------------------------------------- */

bool bh_desired_same_rules(
	const struct bh_desired_rule *a, size_t n_a, const struct bh_desired_rule *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (a[i].protocol != b[i].protocol || a[i].port_lo != b[i].port_lo ||
			a[i].port_hi != b[i].port_hi || a[i].rule != b[i].rule ||
			a[i].deny != b[i].deny || a[i].defer != b[i].defer)
			return false;
	}
	return true;
}
