/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "bulkhead/reasons.h"
#include "controller/flows/reasons.h"

static const struct reason {
	const char *word;
	const char *sentence;
} reasons[BH_REASON_MAX] = {
#define REASON(name, number, kind, word_, sentence_) [number] = {word_, sentence_},
	BH_REASONS(REASON)
#undef REASON
};

static const struct reason *find(uint32_t reason)
{
	return reason < BH_REASON_MAX && reasons[reason].word ? &reasons[reason] : NULL;
}

const char *bh_reason_word(uint32_t reason)
{
	const struct reason *found = find(reason);

	return found ? found->word : "unknown";
}

const char *bh_reason_sentence(uint32_t reason)
{
	const struct reason *found = find(reason);

	return found ? found->sentence : "a reason this version does not know";
}

const char *bh_reason_sentence_of(const char *word)
{
	for (uint32_t i = 0; i < BH_REASON_MAX; i++) {
		if (reasons[i].word && strcmp(reasons[i].word, word) == 0)
			return reasons[i].sentence;
	}
	return NULL;
}

bool bh_reason_drops(uint32_t reason)
{
	return !BH_REASON_PASSES(reason);
}
