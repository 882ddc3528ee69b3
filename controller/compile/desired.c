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
