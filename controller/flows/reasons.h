/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_FLOWS_REASONS_H
#define BULKHEAD_FLOWS_REASONS_H

/* The verdict reasons of include/bulkhead/reasons.h, by number as they come over the wire. */

#include <stdbool.h>
#include <stdint.h>

/* "isolated"; "unknown" for a number that is none. */
const char *bh_reason_word(uint32_t reason);

/* "the pod is isolated and no rule allows it" */
const char *bh_reason_sentence(uint32_t reason);

/* The sentence of a word; NULL if there is no such word. */
const char *bh_reason_sentence_of(const char *word);

bool bh_reason_drops(uint32_t reason);

#endif
