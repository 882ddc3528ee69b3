/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/frozen.h"

#include <assert.h>

#include "controller/model/memory.h"
#include "controller/model/stored.h"

_Static_assert(JSON_HAVE_ATOMIC_BUILTINS || JSON_HAVE_SYNC_BUILTINS,
	"two threads count the references of one spec");

struct bh_frozen {
	struct bh_model *model;
	struct bh_frozen *earlier;
	struct bh_frozen *later;
	uint64_t at; /* how many objects had gone */
	struct bh_table kinds[BH_STORED_KINDS];
	struct bh_model *shell; /* what is not objects, and few; NULL: it was made a model */
};

/* Objects that were taken out while one was frozen, in that order. */
struct bh_gone {
	struct bh_gone *next;
	uint64_t number; /* of all that have gone so */
	struct bh_stored *object;
};

/* ---- Keeping --------------------------------------------------------------------------------- */

bool bh_frozen_keep(struct bh_model *model, struct bh_stored *object)
{
	struct bh_frozen_list *list = &model->frozen;
	struct bh_gone *gone;

	if (!list->first)
		return false;
	gone = bh_xcalloc(1, sizeof(*gone));
	gone->number = list->n_gone++;
	gone->object = object;
	*(list->gone ? &list->last_gone->next : &list->gone) = gone;
	list->last_gone = gone;
	return true;
}

/* What the oldest has not seen nobody has. */
static void forget_gone(struct bh_model *model)
{
	struct bh_frozen_list *list = &model->frozen;
	struct bh_gone *gone;

	while ((gone = list->gone) && (!list->first || gone->number < list->first->at)) {
		list->gone = gone->next;
		bh_stored_free(model, gone->object);
		free(gone);
	}
}

/* ---- Freezing -------------------------------------------------------------------------------- */

struct bh_frozen *bh_model_freeze(struct bh_model *model)
{
	struct bh_frozen_list *list = &model->frozen;
	struct bh_frozen *frozen = bh_xcalloc(1, sizeof(*frozen));

	frozen->model = model;
	frozen->at = list->n_gone;
	frozen->earlier = list->last;
	*(list->last ? &list->last->later : &list->first) = frozen;
	list->last = frozen;
	for (int kind = 0; kind < BH_STORED_KINDS; kind++)
		bh_table_copy(&frozen->kinds[kind], &model->kinds[kind]);
	frozen->shell = bh_model_new(model->node, model->mode);
	bh_model_set_host_addresses(frozen->shell, model->n_host_ips, model->host_ips);
	bh_model_copy_overrides(frozen->shell, model);
	return frozen;
}

static void put(struct bh_model *model, const struct bh_stored *object)
{
	switch (object->kind) {
	case BH_STORED_POD:
		bh_model_put_pod(model, &object->pod);
		break;
	case BH_STORED_NAMESPACE:
		bh_model_put_namespace(model, &object->namespace);
		break;
	case BH_STORED_NODE:
		bh_model_put_node(model, &object->node);
		break;
	case BH_STORED_POLICY:
		bh_model_put_policy(model, &object->policy);
		break;
	case BH_STORED_SERVICE:
		bh_model_put_service(model, &object->service);
		break;
	case BH_STORED_SLICE:
		bh_model_put_slice(model, &object->slice);
		break;
	case BH_STORED_KINDS:
		break;
	}
}

struct bh_model *bh_frozen_model(struct bh_frozen *frozen, bool with_pods)
{
	struct bh_model *model = frozen->shell;
	const struct bh_stored *object;

	assert(model);
	frozen->shell = NULL;
	for (int kind = 0; kind < BH_STORED_KINDS; kind++) {
		if (!with_pods && (kind == BH_STORED_POD || kind == BH_STORED_SLICE))
			continue;
		for (size_t at = 0; (object = bh_table_next(&frozen->kinds[kind], &at));)
			put(model, object);
	}
	return model;
}

void bh_frozen_release(struct bh_frozen *frozen)
{
	struct bh_frozen_list *list;

	if (!frozen)
		return;
	list = &frozen->model->frozen;
	*(frozen->earlier ? &frozen->earlier->later : &list->first) = frozen->later;
	*(frozen->later ? &frozen->later->earlier : &list->last) = frozen->earlier;
	forget_gone(frozen->model);
	for (int kind = 0; kind < BH_STORED_KINDS; kind++)
		bh_table_clear(&frozen->kinds[kind]);
	bh_model_free(frozen->shell);
	free(frozen);
}
