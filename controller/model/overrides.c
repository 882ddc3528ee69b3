/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/overrides.h"

#include "controller/model/memory.h"

/* The key is "namespace\0name\0", empty where the scope does not need them. */
struct override {
	struct bh_override public;
	size_t key_size;
	char key[];
};

static struct override *new_override(enum bh_scope scope, const char *namespace, const char *name)
{
	namespace = namespace && scope != BH_SCOPE_NODE ? namespace : "";
	name = name && scope == BH_SCOPE_POD ? name : "";
	size_t size = strlen(namespace) + 1 + strlen(name) + 1;
	struct override *override = bh_xcalloc(1, sizeof(*override) + size);
	char *second = stpcpy(override->key, namespace) + 1;

	strcpy(second, name);
	override->key_size = size;
	override->public =
		(struct bh_override){.scope = scope, .namespace = override->key, .name = second};
	return override;
}

/* Makes one that says nothing yet if there is none. */
static struct override *find_or_add(struct bh_overrides *overrides, enum bh_scope scope,
	const char *namespace, const char *name)
{
	struct override *fresh = new_override(scope, namespace, name);
	struct override *known =
		bh_table_get(&overrides->scopes[scope], fresh->key, fresh->key_size);

	if (known) {
		free(fresh);
		return known;
	}
	bh_table_put(&overrides->scopes[scope], fresh->key, fresh->key_size, fresh);
	return fresh;
}

/* An override that says nothing (any more) goes. */
static void settle(struct bh_overrides *overrides, struct override *override)
{
	if (override->public.mode != BH_MODE_UNSET || override->public.quarantined)
		return;
	bh_table_remove(
		&overrides->scopes[override->public.scope], override->key, override->key_size);
	free(override);
}

bool bh_overrides_set_mode(struct bh_overrides *overrides, enum bh_scope scope,
	const char *namespace, const char *name, enum bh_mode mode)
{
	struct override *override = find_or_add(overrides, scope, namespace, name);
	bool changed = override->public.mode != mode;

	override->public.mode = mode;
	settle(overrides, override);
	return changed;
}

bool bh_overrides_set_quarantine(
	struct bh_overrides *overrides, const char *namespace, const char *name, bool quarantined)
{
	struct override *override = find_or_add(overrides, BH_SCOPE_POD, namespace, name);
	bool changed = override->public.quarantined != quarantined;

	override->public.quarantined = quarantined;
	settle(overrides, override);
	return changed;
}

struct bh_override bh_overrides_get(const struct bh_overrides *overrides, enum bh_scope scope,
	const char *namespace, const char *name)
{
	struct bh_override nothing = {.scope = scope, .namespace = "", .name = ""};

	if (!overrides->scopes[scope].n)
		return nothing;
	struct override *key = new_override(scope, namespace, name);
	const struct override *known =
		bh_table_get(&overrides->scopes[scope], key->key, key->key_size);

	free(key);
	return known ? known->public : nothing;
}

static int compare(const void *a, const void *b)
{
	const struct bh_override *left = a, *right = b;

	if (left->scope != right->scope)
		return left->scope < right->scope ? -1 : 1;
	int order = strcmp(left->namespace, right->namespace);

	return order ? order : strcmp(left->name, right->name);
}

size_t bh_overrides_list(const struct bh_overrides *overrides, struct bh_override **ret_overrides)
{
	struct bh_override *all = NULL;
	size_t n = 0, capacity = 0;
	const struct override *override;

	for (int scope = 0; scope < 3; scope++) {
		for (size_t at = 0; (override = bh_table_next(&overrides->scopes[scope], &at));) {
			bh_xgrow(all, n, capacity);
			all[n++] = override->public;
		}
	}
	if (n)
		qsort(all, n, sizeof(*all), compare);
	*ret_overrides = all;
	return n;
}

void bh_overrides_clear(struct bh_overrides *overrides)
{
	struct override *override;

	for (int scope = 0; scope < 3; scope++) {
		for (size_t at = 0; (override = bh_table_next(&overrides->scopes[scope], &at));)
			free(override);
		bh_table_clear(&overrides->scopes[scope]);
	}
}

void bh_model_copy_overrides(struct bh_model *to, const struct bh_model *from)
{
	struct bh_override *overrides;
	size_t n = bh_model_overrides(from, &overrides);

	for (size_t i = 0; i < n; i++) {
		const struct bh_override *set = &overrides[i];

		bh_model_set_mode(to, set->scope, set->namespace, set->name, set->mode);
		if (set->quarantined)
			bh_model_set_quarantine(to, set->namespace, set->name, true);
	}
	free(overrides);
}
