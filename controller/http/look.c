/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/http/look.h"

#include <string.h>
#include <time.h>

#include "controller/api/excerpt.h"
#include "controller/api/view.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define EDGES_MAX 200

/* What was last told of a conversation. */
struct told {
	char id[BH_CONVERSATION_ID_MAX];
	uint64_t packets;
	uint64_t flows;
	enum bh_state state;
};

char *bh_event_text(const char *name, json_t *data)
{
	_cleanup_free_ char *text = json_dumps(data, JSON_COMPACT);

	json_decref(data);
	return bh_xasprintf("event: %s\ndata: %s\n\n", name, text ? text : "{}");
}

uint64_t bh_look_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Remembering ----------------------------------------------------------------------------- */

void bh_told_clear(struct bh_told *all)
{
	struct told *told;

	for (size_t at = 0; (told = bh_table_next(&all->by_id, &at));)
		free(told);
	bh_table_clear(&all->by_id);
	all->primed = false;
}

/* Conversations that are no more (the counters began anew) would add up. */
static void forget_if_grown(struct bh_told *all, size_t n)
{
	if (all->by_id.n > 2 * n + 1024)
		bh_told_clear(all);
}

/* True if something is to be told of the conversation; then it counts as told. */
static bool has_moved(struct bh_told *all, const struct bh_conversation *conversation)
{
	uint64_t packets = conversation->counts.packets[0] + conversation->counts.packets[1];
	char id[BH_CONVERSATION_ID_MAX];
	struct told *told;

	bh_conversation_id(conversation, id);
	told = bh_table_get(&all->by_id, id, strlen(id));
	if (told && told->packets == packets && told->flows == conversation->counts.flows &&
		told->state == conversation->state)
		return false;
	if (!told) {
		told = bh_xcalloc(1, sizeof(*told));
		strcpy(told->id, id);
		bh_table_put(&all->by_id, told->id, strlen(told->id), told);
	}
	told->packets = packets;
	told->flows = conversation->counts.flows;
	told->state = conversation->state;
	return true;
}

/* ---- Looking --------------------------------------------------------------------------------- */

char *bh_look(struct bh_api *api, const struct bh_sight *sight, const json_t *request,
	struct bh_told *told)
{
	_cleanup_(bh_view_clear) struct bh_view view = {.api = api, .sight = sight};
	json_t *edges;
	size_t more = 0;
	json_t *error = bh_view_window(request, "from", "to", &view.window);

	error = error ?: bh_view_filter(request, &view.filter);
	if (error) {
		json_decref(error); /* it was read before */
		return NULL;
	}
	bh_view_fill(&view, BH_VIEW_WORKLOADS, view.filter.n_labels > 0);
	forget_if_grown(told, view.conversations.n);
	edges = json_array();
	for (size_t i = 0; i < view.conversations.n; i++) {
		const struct bh_conversation *conversation = &view.conversations.items[i];

		if (!has_moved(told, conversation) || !told->primed ||
			!bh_filter_takes(&view.filter, conversation, bh_view_text_of, &view))
			continue;
		if (json_array_size(edges) < EDGES_MAX)
			json_array_append_new(edges, bh_view_conversation(&view, conversation));
		else
			more++;
	}
	told->primed = true;
	if (json_array_size(edges) == 0) {
		json_decref(edges);
		return NULL;
	}
	return bh_event_text(
		"edges", json_pack("{s:o, s:I}", "edges", edges, "more", (json_int_t)more));
}

bool bh_look_is_long(const struct bh_api *api)
{
	return bh_api_is_large(api);
}

/* ---- On a thread ----------------------------------------------------------------------------- */

struct bh_look {
	struct bh_task task; /* first */
	struct bh_excerpt excerpt;
	struct bh_sight *sight;
	json_t *request;
	struct bh_told told;
	char *event;
	uint64_t took_ms;
};

static void run(struct bh_task *task)
{
	struct bh_look *look = (struct bh_look *)task;
	uint64_t began = bh_look_now_ms();

	bh_excerpt_enter(&look->excerpt);
	look->event = bh_look(&look->excerpt.api, look->sight, look->request, &look->told);
	bh_excerpt_leave(&look->excerpt);
	look->took_ms = bh_look_now_ms() - began;
}

static void free_look(struct bh_task *task)
{
	struct bh_look *look = (struct bh_look *)task;

	bh_excerpt_release(&look->excerpt);
	bh_sight_free(look->sight);
	json_decref(look->request);
	bh_told_clear(&look->told);
	free(look->event);
	free(look);
}

struct bh_task *bh_look_new(const struct bh_api *api, const struct bh_sight *sight,
	const json_t *request, struct bh_told *told)
{
	struct bh_look *look = bh_xcalloc(1, sizeof(*look));
	bool labels = json_object_get(request, "label") != NULL;

	look->task = (struct bh_task){.run = run, .free = free_look};
	bh_excerpt_take(&look->excerpt, api, BH_EXCERPT_EDGES | (labels ? BH_EXCERPT_PODS : 0));
	look->sight = bh_sight_copy(sight);
	look->request = json_deep_copy(request);
	look->told = *told;
	*told = (struct bh_told){0};
	return &look->task;
}

char *bh_look_take(struct bh_task *task, struct bh_told *told, uint64_t *ret_took_ms)
{
	struct bh_look *look = (struct bh_look *)task;

	*told = look->told;
	look->told = (struct bh_told){0};
	*ret_took_ms = look->took_ms;
	return bh_take_pointer(look->event);
}
