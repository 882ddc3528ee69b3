/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_PROMETHEUS_H
#define BULKHEAD_EXPORT_PROMETHEUS_H

/* Prometheus' text format (version 0.0.4). A family's samples follow its head, together. */

#include <stdint.h>

#include "controller/topology/text.h"

/* `type` is "counter" or "gauge". */
void bh_prometheus_family(
	struct bh_text *text, const char *name, const char *type, const char *help);

/* A sample, its labels as name, value, …, NULL. Values may be any bytes. */
void bh_prometheus_sample(struct bh_text *text, const char *name, double value, ...)
	__attribute__((sentinel));
/* The same of a whole number, exactly. */
void bh_prometheus_count(struct bh_text *text, const char *name, uint64_t value, ...)
	__attribute__((sentinel));

#endif
