/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_STREAM_H
#define BULKHEAD_SOURCE_STREAM_H

/*
 * Cuts JSON that arrives in pieces into the parts worth parsing, so that a list of 100 MB needs the
 * memory of its largest object. It looks only for where values begin and end: what is in them is
 * the parser's business. Two forms:
 *
 *   BH_STREAM_LIST    one object; each element of its "items" is an item, every other member of it
 *                     is handed out whole
 *   BH_STREAM_EVENTS  values one after the other; each is an item
 */

#include <stdbool.h>
#include <stddef.h>

/* etcd keeps no object above 1.5 MiB by default; as JSON it may grow by some. */
#define BH_STREAM_ITEM_MAX (8u * 1024 * 1024)
#define BH_STREAM_MEMBER_MAX (64u * 1024)
#define BH_STREAM_KEY_MAX 256u

enum bh_stream_form {
	BH_STREAM_LIST,
	BH_STREAM_EVENTS,
};

/* Texts are not terminated, and valid for the call; an item's may be changed. Each returns 0, or
 * -errno, which ends it all.
 */
struct bh_stream_parts {
	int (*item)(void *data, char *text, size_t size);
	/* Of a list: a member other than items, and "items" itself with its first byte when it
	 * begins ('[', or 'n' for null). */
	int (*member)(void *data, const char *key, const char *text, size_t size);
};

struct bh_stream;

struct bh_stream *bh_stream_new(
	enum bh_stream_form form, const struct bh_stream_parts *parts, void *data);
void bh_stream_free(struct bh_stream *stream);

/* Takes the next piece. 0; -EBADMSG if it cannot be JSON of this form, -EMSGSIZE if a part is too
 * long, or what a callback returned. After an error only bh_stream_free(). */
int bh_stream_feed(struct bh_stream *stream, const char *bytes, size_t size);

/* True if it may end here: the list is complete, or no value is under way. */
bool bh_stream_complete(const struct bh_stream *stream);

#endif
