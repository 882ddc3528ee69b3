/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_ACCOUNT_H
#define BULKHEAD_EXPORT_ACCOUNT_H

/*
 * What became of every record that was given to an exporter:
 *
 *     emitted = delivered + lost + queued, at any moment
 *
 * and once the queue is empty, emitted = delivered + lost. An exporter counts a record exactly
 * once as emitted, and exactly once as delivered or lost; what `delivered` means is each one's own
 * (in its header). Counters only grow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_EXPORT_ERROR_MAX 256

/* BH_EXPORT_LOSS(name, word): why a record was not delivered. */
#define BH_EXPORT_LOSSES(X)                                                             \
	X(QUEUE_FULL, "queue-full") /* it came faster than it could go, for too long */ \
	X(REFUSED, "refused")       /* whoever takes it said no, and would again */     \
	X(GIVEN_UP, "given-up")     /* tried as often as it is worth */                 \
	X(TOO_LARGE, "too-large")   /* it cannot be sent at all */                      \
	X(ENDED, "ended")           /* the controller ended with it in the queue */

enum bh_export_loss {
#define BH_EXPORT_LOSS_ENUM(name, word) BH_EXPORT_LOSS_##name,
	BH_EXPORT_LOSSES(BH_EXPORT_LOSS_ENUM)
#undef BH_EXPORT_LOSS_ENUM
		BH_EXPORT_LOSS_KINDS,
};

struct bh_export_account {
	const char *name; /* "json", "ipfix", … */
	char *target;     /* where it goes to, for people */
	uint64_t emitted;
	uint64_t delivered;
	uint64_t lost[BH_EXPORT_LOSS_KINDS];
	uint64_t octets;   /* delivered */
	uint64_t failures; /* tries that failed; the records of a try may be delivered by a later */
	uint64_t begun;    /* connections made, files opened */
	uint64_t failing_since_ns; /* since 1970; 0: nothing is wrong */
	char error[BH_EXPORT_ERROR_MAX];
};

/* `target` is copied. */
void bh_export_account_init(
	struct bh_export_account *account, const char *name, const char *target);
void bh_export_account_clear(struct bh_export_account *account);

uint64_t bh_export_lost(const struct bh_export_account *account);
uint64_t bh_export_queued(const struct bh_export_account *account);
const char *bh_export_loss_word(enum bh_export_loss loss);

void bh_export_emit(struct bh_export_account *account, uint64_t records);
void bh_export_deliver(struct bh_export_account *account, uint64_t records, uint64_t octets);
void bh_export_lose(struct bh_export_account *account, uint64_t records, enum bh_export_loss loss);

/* Something is wrong, in one line that is the same each time it happens. */
void bh_export_fail(struct bh_export_account *account, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* It is no more. */
void bh_export_recover(struct bh_export_account *account);

/* One line for the log. Returns `text`. */
const char *bh_export_sum_up(const struct bh_export_account *account, char *text, size_t size);

#endif
