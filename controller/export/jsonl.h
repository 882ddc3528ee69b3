/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_JSONL_H
#define BULKHEAD_EXPORT_JSONL_H

/*
 * Flows as lines of JSON (hubble.h) in a file that is set aside as it grows (rotating.h). Lines
 * gather in memory for a moment and are written by another thread: a slow disk keeps nobody
 * waiting. What the disk does not take is tried again until it does; what does not fit into the
 * queue meanwhile is lost, and counted.
 *
 * Delivered: the file holds the line (with `sync`: so does the disk).
 */

#include <uv.h>

#include "controller/export/account.h"
#include "controller/export/flow.h"
#include "controller/export/rotating.h"

struct bh_jsonl;

/* `queue_bytes` bounds what waits. `changed` is called when the account's error came or went. */
struct bh_jsonl *bh_jsonl_new(uv_loop_t *loop, const struct bh_rotating_config *config,
	size_t queue_bytes, uint64_t instance, void (*changed)(void *data), void *data);

/*
 * True if a flow would be lost for lack of room. Ask first: what is known of a flow, and its line,
 * cost ten times what losing it does; who made them for nothing would have no time to write others.
 */
bool bh_jsonl_is_full(const struct bh_jsonl *jsonl);
/* One that came while it was full. */
void bh_jsonl_lose(struct bh_jsonl *jsonl);
void bh_jsonl_add(struct bh_jsonl *jsonl, const struct bh_export_flow *flow);
const struct bh_export_account *bh_jsonl_account(const struct bh_jsonl *jsonl);

/*
 * The end, in three steps: close() takes nothing on any more; the caller runs the loop until it is
 * empty; finish() writes what waits, once, and then the account is final.
 */
void bh_jsonl_close(struct bh_jsonl *jsonl);
void bh_jsonl_finish(struct bh_jsonl *jsonl);
void bh_jsonl_free(struct bh_jsonl *jsonl);

#endif
