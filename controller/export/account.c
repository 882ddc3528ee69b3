/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/account.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "controller/model/memory.h"

static const char *const loss_words[BH_EXPORT_LOSS_KINDS] = {
#define BH_EXPORT_LOSS_WORD(name, word) [BH_EXPORT_LOSS_##name] = word,
	BH_EXPORT_LOSSES(BH_EXPORT_LOSS_WORD)
#undef BH_EXPORT_LOSS_WORD
};

void bh_export_account_init(struct bh_export_account *account, const char *name, const char *target)
{
	*account = (struct bh_export_account){.name = name, .target = bh_xstrdup(target)};
}

void bh_export_account_clear(struct bh_export_account *account)
{
	free(account->target);
	account->target = NULL;
}

uint64_t bh_export_lost(const struct bh_export_account *account)
{
	uint64_t lost = 0;

	for (int i = 0; i < BH_EXPORT_LOSS_KINDS; i++)
		lost += account->lost[i];
	return lost;
}

uint64_t bh_export_queued(const struct bh_export_account *account)
{
	return account->emitted - account->delivered - bh_export_lost(account);
}

const char *bh_export_loss_word(enum bh_export_loss loss)
{
	return loss_words[loss];
}

void bh_export_emit(struct bh_export_account *account, uint64_t records)
{
	account->emitted += records;
}

void bh_export_deliver(struct bh_export_account *account, uint64_t records, uint64_t octets)
{
	account->delivered += records;
	account->octets += octets;
}

void bh_export_lose(struct bh_export_account *account, uint64_t records, enum bh_export_loss loss)
{
	account->lost[loss] += records;
}

void bh_export_fail(struct bh_export_account *account, const char *format, ...)
{
	struct timespec now;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(account->error, sizeof(account->error), format, arguments);
	va_end(arguments);
	account->failures++;
	if (account->failing_since_ns)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	account->failing_since_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void bh_export_recover(struct bh_export_account *account)
{
	account->failing_since_ns = 0;
	account->error[0] = '\0';
}

const char *bh_export_sum_up(const struct bh_export_account *account, char *text, size_t size)
{
	snprintf(text, size,
		"export %s to %s: %" PRIu64 " records, %" PRIu64 " delivered, %" PRIu64
		" lost, %" PRIu64 " under way",
		account->name, account->target, account->emitted, account->delivered,
		bh_export_lost(account), bh_export_queued(account));
	return text;
}
