/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/stored.h"

#include "controller/model/memory.h"

static void drop(struct bh_model *model, struct bh_stored *object)
{
	if (object->kind == BH_STORED_POLICY)
		json_decref(object->policy.spec);
	if (bh_stored_labels(object))
		bh_label_store_put(&model->labels, *bh_stored_labels(object));
	free(object);
}

/* Who reads the journal tells these apart; of all others it is enough that there was something. */
static enum bh_change_kind kind_of(const struct bh_stored *object, const struct bh_stored *before)
{
	if (object && before && object->kind != before->kind)
		return BH_CHANGE_OTHER;
	object = object ? object : before;
	switch (object ? object->kind : BH_STORED_KINDS) {
	case BH_STORED_POD:
		return BH_CHANGE_POD;
	case BH_STORED_SLICE:
		return BH_CHANGE_SLICE;
	case BH_STORED_NAMESPACE:
		return BH_CHANGE_NAMESPACE;
	default:
		return BH_CHANGE_OTHER;
	}
}

void bh_journal_note(struct bh_model *model, struct bh_stored *object, struct bh_stored *before)
{
	struct bh_noted *noted = &model->journal[++model->revision % BH_MODEL_JOURNAL];
	struct bh_change *change = &noted->change;

	if (noted->before)
		drop(model, noted->before);
	*noted = (struct bh_noted){.change.kind = kind_of(object, before)};
	if (change->kind == BH_CHANGE_OTHER) {
		if (before)
			drop(model, before);
		return;
	}
	noted->before = before;
	change->uid = before ? before->uid : object->uid;
	if (before && change->kind == BH_CHANGE_POD)
		change->pod = &before->pod;
	if (before && change->kind == BH_CHANGE_SLICE)
		change->slice = &before->slice;
	if (before && change->kind == BH_CHANGE_NAMESPACE)
		change->namespace = &before->namespace;
}

void bh_journal_clear(struct bh_model *model)
{
	for (size_t i = 0; i < BH_MODEL_JOURNAL; i++) {
		if (model->journal[i].before)
			drop(model, model->journal[i].before);
		model->journal[i] = (struct bh_noted){0};
	}
}

const struct bh_change *bh_model_change(const struct bh_model *model, uint64_t revision)
{
	if (revision > model->revision || revision + BH_MODEL_JOURNAL <= model->revision ||
		revision <= 1)
		return NULL;
	return &model->journal[revision % BH_MODEL_JOURNAL].change;
}
