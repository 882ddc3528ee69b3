/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_OVERRIDES_H
#define BULKHEAD_MODEL_OVERRIDES_H

/* What an operator set by command: modes and quarantines, by scope and name. */

#include "controller/model/model.h"
#include "controller/model/table.h"

struct bh_overrides {
	struct bh_table scopes[3]; /* by enum bh_scope; values are struct override */
};

/* Both return true if they changed anything. See bh_model_set_mode(), bh_model_set_quarantine(). */
bool bh_overrides_set_mode(struct bh_overrides *overrides, enum bh_scope scope,
	const char *namespace, const char *name, enum bh_mode mode);
bool bh_overrides_set_quarantine(
	struct bh_overrides *overrides, const char *namespace, const char *name, bool quarantined);

/* What is set there; BH_MODE_UNSET and not quarantined if nothing is. */
struct bh_override bh_overrides_get(const struct bh_overrides *overrides, enum bh_scope scope,
	const char *namespace, const char *name);

/* See bh_model_overrides(). */
size_t bh_overrides_list(const struct bh_overrides *overrides, struct bh_override **ret_overrides);

void bh_overrides_clear(struct bh_overrides *overrides);

#endif
