/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_WORKLOAD_H
#define BULKHEAD_COMPILE_WORKLOAD_H

/* What a pod is part of, as people name it: the Deployment, not the ReplicaSet of the day. */

#include "controller/model/model.h"

#define BH_WORKLOAD_NAME_MAX 254

struct bh_workload_name {
	const char *kind;
	char name[BH_WORKLOAD_NAME_MAX];
};

struct bh_workload_name bh_workload_of(const struct bh_pod *pod);

#endif
