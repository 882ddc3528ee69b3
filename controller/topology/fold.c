/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/topology/fold.h"
#include "proto/cleanup.h"

/* From the finest view to the coarsest. */
enum level {
	LEVEL_OPEN,   /* points that do not stay become the rest of their frame */
	LEVEL_CLOSED, /* frames are closed; those that do not stay become the rest of everything */
};

/* What points may be shown as: themselves, their frame closed, their frame's rest, the rest. */
struct target {
	const char *id;
	const char *frame;
	const char *name; /* of the point, where it is one alone */
	bool loops;
	struct bh_aggregate weight;
	uint32_t rank;
};

struct folder {
	struct bh_arena *arena;
	size_t n_points;
	const struct bh_point *points;
	size_t n_lines;
	const struct bh_line *lines;
	struct bh_table rests; /* frame's id → id of its rest */
	/* Of the level that is tried: */
	size_t n_targets;
	struct target *targets; /* what would be shown if everything fitted */
	uint32_t *target_of;    /* by point */
	struct bh_place *places;
};

static const char *rest_id(struct folder *folder, const char *frame, const char *namespace)
{
	char *id;

	if (!frame)
		return "rest:";
	id = bh_table_get(&folder->rests, frame, strlen(frame) + 1);
	if (!id) {
		id = bh_arena_printf(folder->arena, "rest:%s", namespace);
		bh_table_put(&folder->rests, frame, strlen(frame) + 1, id);
	}
	return id;
}

/* ---- Importance ------------------------------------------------------------------------------ */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

/* Denied first, then what would be, then bytes; the id only so that the order is one. */
static int compare_importance(const void *a, const void *b)
{
	const struct target *x = *(struct target *const *)a;
	const struct target *y = *(struct target *const *)b;
	int order = compare_numbers(x->weight.denied, y->weight.denied);

	if (order == 0)
		order = compare_numbers(x->weight.would_deny, y->weight.would_deny);
	if (order == 0)
		order = compare_numbers(x->weight.octets[0] + x->weight.octets[1],
			y->weight.octets[0] + y->weight.octets[1]);
	return order ? order : strcmp(x->id, y->id);
}

static void rank(struct folder *folder)
{
	_cleanup_free_ struct target **sorted = bh_xcalloc(folder->n_targets, sizeof(*sorted));

	for (size_t i = 0; i < folder->n_targets; i++)
		sorted[i] = &folder->targets[i];
	qsort(sorted, folder->n_targets, sizeof(*sorted), compare_importance);
	for (size_t i = 0; i < folder->n_targets; i++)
		sorted[i]->rank = (uint32_t)i;
}

/* The targets of a level: each point alone, or each frame closed. */
static void set_level(struct folder *folder, enum level level)
{
	struct bh_table closed = {0};

	folder->n_targets = 0;
	for (size_t i = 0; i < folder->n_points; i++) {
		const struct bh_point *point = &folder->points[i];
		bool close = level == LEVEL_CLOSED && point->frame;
		struct target *target = NULL;

		if (close)
			target = bh_table_get(&closed, point->frame, strlen(point->frame) + 1);
		if (!target) {
			target = &folder->targets[folder->n_targets++];
			*target = (struct target){
				.id = close ? point->frame : point->id,
				.frame = close ? NULL : point->frame,
				.name = point->namespace,
				.loops = !close && point->loops,
			};
			if (close)
				bh_table_put(
					&closed, point->frame, strlen(point->frame) + 1, target);
		}
		bh_aggregate_merge(&target->weight, &point->touching);
		folder->target_of[i] = (uint32_t)(target - folder->targets);
	}
	bh_table_clear(&closed);
	rank(folder);
}

/* ---- Trying ---------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Lines that differ once their ends are where they are shown. */
static size_t count_edges(const struct folder *folder, const uint32_t *shown, const bool *loops)
{
	_cleanup_free_ uint64_t *keys = bh_xcalloc(folder->n_lines, sizeof(*keys));
	size_t n_edges = 0;
	size_t n = 0;

	for (size_t i = 0; i < folder->n_lines; i++) {
		const struct bh_line *line = &folder->lines[i];
		uint64_t source = shown[folder->target_of[line->source]];
		uint64_t target = shown[folder->target_of[line->target]];

		/* Points are fewer than 2^31. */
		if (source != target || loops[source])
			keys[n++] = source << 33 | target << 2 | line->state;
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < n; i++)
		n_edges += i == 0 || keys[i] != keys[i - 1];
	return n_edges;
}

/*
 * Lets the `keep` most important targets stay. Fills *shown (by target: the number of what it is
 * shown as, which is a target or, from n_targets on, a rest). Returns how many elements that makes.
 */
static size_t try_keeping(struct folder *folder, size_t keep, uint32_t *shown)
{
	_cleanup_free_ bool *loops = bh_xcalloc(2 * folder->n_targets + 1, sizeof(*loops));
	_cleanup_free_ uint32_t *only = bh_xcalloc(folder->n_targets + 1, sizeof(*only));
	struct bh_table frames = {0};
	struct bh_table rests = {0};
	size_t n_rests = 0;
	size_t elements = 0;

	for (size_t i = 0; i < folder->n_targets; i++) {
		const struct target *target = &folder->targets[i];
		const char *id;
		uint32_t *rest;

		if (target->frame && !bh_table_get(&frames, target->frame, strlen(target->frame))) {
			bh_table_put(&frames, target->frame, strlen(target->frame), folder);
			elements++;
		}
		shown[i] = (uint32_t)i;
		loops[i] = target->loops;
		if (target->rank < keep) {
			elements++;
			continue;
		}
		id = rest_id(folder, target->frame, target->name);
		rest = bh_table_get(&rests, id, strlen(id));
		if (!rest) {
			/* A rest of one is that one. */
			rest = &only[n_rests++];
			*rest = (uint32_t)i;
			bh_table_put(&rests, id, strlen(id), rest);
			elements++;
			continue;
		}
		shown[i] = (uint32_t)(folder->n_targets + (size_t)(rest - only));
		shown[*rest] = shown[i];
	}
	elements += count_edges(folder, shown, loops);
	bh_table_clear(&frames);
	bh_table_clear(&rests);
	return elements;
}

/* The most that fit; false if nothing does, not even with none kept. */
static bool fit(struct folder *folder, size_t limit, uint32_t *shown)
{
	size_t fits = 0;
	size_t too_many = folder->n_targets + 1;

	if (try_keeping(folder, folder->n_targets, shown) <= limit)
		return true;
	if (try_keeping(folder, 0, shown) > limit)
		return false;
	while (too_many - fits > 1) {
		size_t middle = fits + (too_many - fits) / 2;

		if (try_keeping(folder, middle, shown) <= limit)
			fits = middle;
		else
			too_many = middle;
	}
	try_keeping(folder, fits, shown);
	return true;
}

/* ---- Taking ---------------------------------------------------------------------------------- */

static void take(
	struct folder *folder, enum level level, const uint32_t *shown, struct bh_folding *folding)
{
	struct bh_table frames = {0};

	for (size_t i = 0; i < folder->n_points; i++) {
		const struct bh_point *point = &folder->points[i];
		uint32_t at = folder->target_of[i];
		const struct target *target = &folder->targets[at];
		struct bh_place *place = &folder->places[i];
		bool rest = shown[at] != at;

		place->rest = rest;
		place->closed = !rest && level == LEVEL_CLOSED && point->frame;
		place->frame = target->frame;
		place->id = rest ? rest_id(folder, target->frame, target->name) : target->id;
		folding->folded_points += rest || place->closed;
		if (level == LEVEL_CLOSED && point->frame &&
			!bh_table_put(&frames, point->frame, strlen(point->frame), folder))
			folding->folded_frames++;
	}
	bh_table_clear(&frames);
}

void bh_fold(struct bh_arena *arena, size_t n_points, const struct bh_point *points, size_t n_lines,
	const struct bh_line *lines, size_t limit, struct bh_folding *ret_folding)
{
	struct folder folder = {
		.arena = arena,
		.n_points = n_points,
		.points = points,
		.n_lines = n_lines,
		.lines = lines,
		.targets = bh_xcalloc(n_points, sizeof(*folder.targets)),
		.target_of = bh_xcalloc(n_points, sizeof(*folder.target_of)),
		.places = bh_xcalloc(n_points, sizeof(*folder.places)),
	};
	_cleanup_free_ uint32_t *shown = bh_xcalloc(n_points, sizeof(*shown));
	struct bh_folding folding = {.places = folder.places};
	enum level level = LEVEL_OPEN;

	set_level(&folder, level);
	if (!fit(&folder, limit, shown)) {
		level = LEVEL_CLOSED;
		set_level(&folder, level);
		fit(&folder, limit, shown);
	}
	take(&folder, level, shown, &folding);
	bh_table_clear(&folder.rests);
	free(folder.targets);
	free(folder.target_of);
	*ret_folding = folding;
}
