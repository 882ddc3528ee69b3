/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/desired.h"

#include "controller/compile/result.h"
#include "controller/model/memory.h"

struct bh_result *bh_result_new(void)
{
	struct bh_result *result = bh_xcalloc(1, sizeof(*result));

	result->references = 1;
	return result;
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
	bh_arena_clear(&result->arena);
	free(result);
}

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
