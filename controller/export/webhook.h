/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_WEBHOOK_H
#define BULKHEAD_EXPORT_WEBHOOK_H

/*
 * JSON documents POSTed to somebody, one after the other, in the order in which they came. Each has
 *
 *   Content-Type: application/json
 *   X-Bulkhead-Delivery: ID     the same for each try of a document, different for each document
 *   X-Bulkhead-Timestamp: T     seconds since 1970, of the try
 *   X-Bulkhead-Signature: sha256=HEX    with a secret: HMAC-SHA256 of "T.BODY"
 *
 * Delivered: the answer was 2xx. An answer that will not change (4xx but for 408, 425 and 429) is a
 * loss ("refused"); everything else is tried again, after 1 s, then twice that, up to a minute, or
 * what Retry-After wishes; after BH_WEBHOOK_TRIES that is a loss too ("given-up"). Redirects are
 * not followed. Documents wait in a queue that is bounded; what does not fit is lost, and counted.
 */

#include <stddef.h>

#include <uv.h>

#include "controller/export/account.h"

#define BH_WEBHOOK_TRIES 12 /* some eight minutes */
#define BH_WEBHOOK_SECRET_MAX 4096
/* Of one document. */
#define BH_WEBHOOK_BODY_MAX (1024u * 1024)

struct bh_webhook_config {
	const char *url;    /* http:// or https:// */
	const char *secret; /* file with the secret, read for each try; its last newline does not
			       count. NULL: nothing is signed */
	const char *ca;     /* PEM file of who is trusted instead of the system's; NULL */
	size_t queue_bytes;
	unsigned int retry_ms; /* 0: 1000 */
};

struct bh_webhook;

/* NULL, or what is wrong with the URL. */
const char *bh_webhook_check(const char *url);

/*
 * Strings are copied. `changed` is called when it began to fail or recovered. Returns 0 and
 * *ret_webhook, or -errno.
 */
int bh_webhook_new(uv_loop_t *loop, const struct bh_webhook_config *config,
	void (*changed)(void *data), void *data, struct bh_webhook **ret_webhook);

/* Sends a document; copied. */
void bh_webhook_send(struct bh_webhook *webhook, const char *json, size_t n);

const struct bh_export_account *bh_webhook_account(const struct bh_webhook *webhook);

/* The end: close() gives the try that is under way up; the caller runs the loop until it is empty;
 * finish() counts what is left. */
void bh_webhook_close(struct bh_webhook *webhook);
void bh_webhook_finish(struct bh_webhook *webhook);
void bh_webhook_free(struct bh_webhook *webhook);

#endif
