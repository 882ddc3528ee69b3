/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_FILTER_H
#define BULKHEAD_TOPOLOGY_FILTER_H

/* Which conversations somebody wants to see, as written in a query. All zero: every one. */

#include "controller/topology/conversation.h"

#define BH_FILTER_ITEMS_MAX 64
/* Words are looked for in every conversation's text: few and short, so that looking takes no time.
 */
#define BH_FILTER_WORDS_MAX 8
#define BH_FILTER_WORD_LENGTH 64

struct bh_filter_label {
	const char *key;
	const char *value; /* NULL: any */
};

struct bh_filter_ports {
	uint16_t low;
	uint16_t high;
};

struct bh_filter {
	size_t n_namespaces;
	const char *namespaces[BH_FILTER_ITEMS_MAX];
	size_t n_labels;
	struct bh_filter_label labels[BH_FILTER_ITEMS_MAX];
	size_t n_ports;
	struct bh_filter_ports ports[BH_FILTER_ITEMS_MAX];
	size_t n_protocols;
	uint8_t protocols[BH_FILTER_ITEMS_MAX];
	uint32_t states; /* bits by enum bh_state; 0: all */
	uint32_t apps;
	uint32_t encrypted;
	size_t n_words;
	const char *words[BH_FILTER_WORDS_MAX];
	size_t n_texts;
	char *texts[8]; /* what the pointers above point into */
};

/*
 * Takes one condition in: "namespace", "label", "port", "protocol", "verdict", "app", "encrypted",
 * "text"; docs/openapi.yaml says how each is written. Returns 0, or -EINVAL and *ret_error, a line
 * to free(); or -ENOENT if there is no such condition. Each may be given once.
 */
int bh_filter_set(struct bh_filter *filter, const char *name, const char *value, char **ret_error);
void bh_filter_clear(struct bh_filter *filter);

/* True if the party alone passes what can be said of one: namespaces and labels. */
bool bh_filter_takes_party(const struct bh_filter *filter, const struct bh_party *party);
/* True if there are conditions that only a conversation can meet. */
bool bh_filter_asks_conversation(const struct bh_filter *filter);

/* The deciding text of a conversation, asked for only when words are looked for. free() it. */
typedef char *bh_filter_text(void *data, const struct bh_conversation *conversation);

bool bh_filter_takes(const struct bh_filter *filter, const struct bh_conversation *conversation,
	bh_filter_text *text, void *data);

#endif
