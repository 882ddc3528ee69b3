/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_SELECTOR_H
#define BULKHEAD_COMPILE_SELECTOR_H

/* Label selectors, with the semantics of k8s.io/apimachinery/pkg/labels. */

#include "controller/compile/reader.h"
#include "controller/model/arena.h"
#include "controller/model/model.h"

enum bh_operator {
	BH_OPERATOR_IN,
	BH_OPERATOR_NOT_IN, /* also matches when the key is absent */
	BH_OPERATOR_EXISTS,
	BH_OPERATOR_DOES_NOT_EXIST,
};

struct bh_requirement {
	const char *key;
	enum bh_operator op;
	size_t n_values; /* sorted, distinct */
	const char **values;
};

/* All requirements must hold; none matches everything. */
struct bh_selector {
	size_t n;
	struct bh_requirement *requirements; /* sorted, distinct */
	/* The same for every selector that says the same in another order: "app=web,tier in
	 * (a,b),!old". */
	const char *text;
};

/* Reads a LabelSelector (matchLabels, matchExpressions). False and a note if any of it is not
 * valid. */
bool bh_selector_parse(struct bh_arena *arena, struct bh_fault *fault, const struct bh_path *path,
	const json_t *value, struct bh_selector *ret_selector);

/* The selector of one label. */
struct bh_selector bh_selector_equal(struct bh_arena *arena, const char *key, const char *value);

bool bh_selector_matches(const struct bh_selector *selector, const struct bh_labels *labels);

#endif
