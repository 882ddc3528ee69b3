/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HTTP_LOOK_H
#define BULKHEAD_HTTP_LOOK_H

/*
 * What has changed among the edges since somebody looked last: the "edges" event of a live stream.
 * Where there are many edges a thread looks, and takes what was told so far with it.
 */

#include "controller/api/common.h"
#include "controller/api/work.h"
#include "controller/model/table.h"

/* What was told so far. All zero: nothing, and the first look only remembers. */
struct bh_told {
	struct bh_table by_id; /* id → conversation as told */
	bool primed;
};

void bh_told_clear(struct bh_told *told);

/* The event to send, free() it; or NULL if nothing has changed. `request`: the filter. */
char *bh_look(struct bh_api *api, const struct bh_sight *sight, const json_t *request,
	struct bh_told *told);

/* True if it takes longer than the loop may wait for. */
bool bh_look_is_long(const struct bh_api *api);

/* The same as a task, for a thread; takes what was told. */
struct bh_look;
struct bh_task *bh_look_new(const struct bh_api *api, const struct bh_sight *sight,
	const json_t *request, struct bh_told *told);
/* Of one that is done: gives back what was told, the event (or NULL), and how long it took. */
char *bh_look_take(struct bh_task *task, struct bh_told *told, uint64_t *ret_took_ms);

/* "event: NAME\ndata: JSON\n\n", for free(); JSON has no line breaks. Takes `data`. */
char *bh_event_text(const char *name, json_t *data);
uint64_t bh_look_now_ms(void);

#endif
