/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/flows/judged.h"

#include <stdlib.h>
#include <string.h>

#include "controller/model/memory.h"

struct since {
	uint32_t workload;
	uint64_t ns;
};

/* Of workloads that had pods here when something last changed, sorted, each once. */
struct bh_judged {
	size_t n;
	struct since *items;
};

struct bh_judged *bh_judged_new(void)
{
	return bh_xcalloc(1, sizeof(struct bh_judged));
}

void bh_judged_free(struct bh_judged *judged)
{
	if (judged)
		free(judged->items);
	free(judged);
}

static int by_workload(const void *a, const void *b)
{
	const struct since *x = a, *y = b;

	return x->workload < y->workload ? -1 : x->workload > y->workload;
}

/* Of one workload the latest first. */
static int by_workload_and_time(const void *a, const void *b)
{
	const struct since *x = a, *y = b;
	int order = by_workload(a, b);

	return order ? order : x->ns > y->ns ? -1 : x->ns < y->ns;
}

uint64_t bh_judged_since(const struct bh_judged *judged, uint32_t workload)
{
	const struct since key = {.workload = workload};
	const struct since *found = NULL;

	if (judged && judged->n)
		found = bsearch(&key, judged->items, judged->n, sizeof(key), by_workload);
	return found ? found->ns : 0;
}

/* True if it was there, and another program decided or was asked. Both lists are sorted by uid. */
static bool has_changed(
	const struct bh_desired_endpoint *endpoint, const struct bh_desired *before, size_t *ret_at)
{
	const struct bh_desired_endpoint *old;
	int order = 1;

	while (*ret_at < before->n_endpoints &&
		(order = strcmp(before->endpoints[*ret_at].uid, endpoint->uid)) < 0)
		(*ret_at)++;
	if (order != 0)
		return false;
	old = &before->endpoints[*ret_at];
	return old->active != endpoint->active || old->pending != endpoint->pending;
}

void bh_judged_learn(struct bh_judged *judged, const struct bh_desired *desired,
	const struct bh_desired *before, uint64_t now_ns)
{
	struct since *items;
	size_t at = 0, n = 0;
	bool changed = false;

	if (!before || !desired->n_endpoints)
		return;
	items = bh_xcalloc(desired->n_endpoints, sizeof(*items));
	for (size_t i = 0; i < desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &desired->endpoints[i];
		bool now = has_changed(endpoint, before, &at);

		changed |= now;
		items[i] = (struct since){endpoint->workload,
			now ? now_ns : bh_judged_since(judged, endpoint->workload)};
	}
	if (!changed) {
		free(items);
		return;
	}
	qsort(items, desired->n_endpoints, sizeof(*items), by_workload_and_time);
	for (size_t i = 0; i < desired->n_endpoints; i++) {
		if (n == 0 || items[n - 1].workload != items[i].workload)
			items[n++] = items[i];
	}
	free(judged->items);
	judged->items = items;
	judged->n = n;
}
