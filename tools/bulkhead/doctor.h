/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLI_DOCTOR_H
#define BULKHEAD_CLI_DOCTOR_H

/*
 * What `bulkhead doctor` looks at, one concern a file. Each check reports what it found and, unless
 * all is well, what to do; none changes anything on the host.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

enum bh_health {
	BH_HEALTH_OK,
	BH_HEALTH_WARNING, /* works, but not as well as it could, or not for everything */
	BH_HEALTH_PROBLEM, /* Bulkhead does not work, or not here */
};

struct bh_doctor {
	const char *conf_dir; /* the runtime's network configuration */
	json_t *checks;       /* what was reported, in order */
	unsigned int count[BH_HEALTH_PROBLEM + 1];
};

/* `advice` is NULL where there is nothing to do. */
void bh_doctor_report(struct bh_doctor *doctor, enum bh_health health, const char *check,
	const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* doctor_kernel.c: version, BTF, and what the BPF system call grants, by trying. */
void bh_doctor_kernel(struct bh_doctor *doctor);

/* doctor_links.c: pods' interfaces, and other people's programs on them. */
void bh_doctor_links(struct bh_doctor *doctor);

/* doctor_host.c: rights, mounts, sysctls, the CNI's wiring, instances of ours. */
void bh_doctor_host(struct bh_doctor *doctor);

#endif
