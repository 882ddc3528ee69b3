/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/stored.h"

#include "controller/model/memory.h"

void bh_stored_free(struct bh_model *model, struct bh_stored *object)
{
	if (object->kind == BH_STORED_POLICY)
		json_decref(object->policy.spec);
	if (bh_stored_labels(object))
		bh_label_store_put(&model->labels, *bh_stored_labels(object));
	free(object);
}

static void drop(struct bh_model *model, struct bh_stored *object)
{
	if (!bh_frozen_keep(model, object))
		bh_stored_free(model, object);
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
	case BH_STORED_SERVICE:
		return BH_CHANGE_SERVICE;
	case BH_STORED_POLICY:
		return BH_CHANGE_POLICY;
	default:
		return BH_CHANGE_OTHER;
	}
}

/* Labels are another's, too; who else holds them is not asked. */
static size_t size_of(struct bh_stored *object)
{
	const struct bh_labels **labels = bh_stored_labels(object);

	return object->size + (labels ? bh_label_store_size(*labels) : 0);
}

static void forget_first(struct bh_model *model)
{
	struct bh_noted *noted = &model->journal[model->journal_first++ % BH_MODEL_JOURNAL];

	if (noted->before) {
		model->journal_bytes -= size_of(noted->before);
		drop(model, noted->before);
	}
	*noted = (struct bh_noted){0};
}

void bh_journal_note(struct bh_model *model, struct bh_stored *object, struct bh_stored *before)
{
	uint64_t revision = ++model->revision;
	struct bh_noted *noted = &model->journal[revision % BH_MODEL_JOURNAL];
	struct bh_change *change = &noted->change;

	if (revision - model->journal_first >= BH_MODEL_JOURNAL)
		forget_first(model);
	change->kind = kind_of(object, before);
	if (change->kind == BH_CHANGE_OTHER || change->kind == BH_CHANGE_POLICY) {
		if (before)
			drop(model, before);
		return;
	}
	change->uid = before ? before->uid : object->uid;
	if (!before)
		return;
	noted->before = before;
	model->journal_bytes += size_of(before);
	if (change->kind == BH_CHANGE_POD)
		change->pod = &before->pod;
	else if (change->kind == BH_CHANGE_SLICE)
		change->slice = &before->slice;
	else if (change->kind == BH_CHANGE_SERVICE)
		change->service = &before->service;
	else
		change->namespace = &before->namespace;
	while (model->journal_bytes > BH_MODEL_JOURNAL_BYTES)
		forget_first(model);
}

void bh_journal_clear(struct bh_model *model)
{
	while (model->journal_first <= model->revision)
		forget_first(model);
}

const struct bh_change *bh_model_change(const struct bh_model *model, uint64_t revision)
{
	if (revision < model->journal_first || revision > model->revision)
		return NULL;
	return &model->journal[revision % BH_MODEL_JOURNAL].change;
}
