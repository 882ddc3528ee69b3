/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_ALERTS_H
#define BULKHEAD_API_ALERTS_H

/* Alerts as JSON, as far as who asks may see them. */

#include "controller/alerts/alerts.h"
#include "controller/api/common.h"

struct bh_sight;

/*
 * True if it is about a workload that the asker may see. Who wanders through many namespaces is
 * told in its own: what it tried elsewhere is not theirs to know.
 */
bool bh_api_sees_alert(const struct bh_sight *sight, const struct bh_alert *alert);

json_t *bh_json_alert(const struct bh_sight *sight, const struct bh_alert *alert);

/* What changed after `*since`, the oldest change first: {"alerts", "more"}, and moves *since. NULL:
 * nothing. */
json_t *bh_api_alert_changes(
	const struct bh_api *api, const struct bh_sight *sight, uint64_t *since, size_t max);

/* How many there are, for `status`. */
json_t *bh_json_alert_counts(const struct bh_api *api, const struct bh_sight *sight);

#endif
