/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/alerts/baseline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controller/model/memory.h"
#include "proto/cleanup.h"

struct bh_baseline *bh_baseline_new(const char *namespace)
{
	struct bh_baseline *baseline = bh_xcalloc(1, sizeof(*baseline));

	baseline->namespace = bh_xstrdup(namespace);
	return baseline;
}

void bh_baseline_free(struct bh_baseline *baseline)
{
	struct bh_baseline_conversation *conversation;

	if (!baseline)
		return;
	for (size_t at = 0; (conversation = bh_table_next(&baseline->conversations, &at));)
		free(conversation);
	bh_table_clear(&baseline->conversations);
	free(baseline->namespace);
	free(baseline);
}

void bh_baseline_add(struct bh_baseline *baseline, const struct bh_baseline_key *key, bool passed)
{
	struct bh_baseline_conversation *conversation =
		bh_table_get(&baseline->conversations, key, sizeof(*key));

	if (!conversation) {
		conversation = bh_xcalloc(1, sizeof(*conversation));
		conversation->key = *key;
		bh_table_put(&baseline->conversations, &conversation->key,
			sizeof(conversation->key), conversation);
	}
	conversation->passed |= passed;
}

const struct bh_baseline_conversation *bh_baseline_find(
	const struct bh_baseline *baseline, const struct bh_baseline_key *key)
{
	struct bh_baseline_key any = *key;
	const struct bh_baseline_conversation *found =
		bh_table_get(&baseline->conversations, key, sizeof(*key));

	any.port = 0;
	return found ? found : bh_table_get(&baseline->conversations, &any, sizeof(any));
}

static int compare(const void *a, const void *b)
{
	const struct bh_baseline_key *x =
		&(*(const struct bh_baseline_conversation *const *)a)->key;
	const struct bh_baseline_key *y =
		&(*(const struct bh_baseline_conversation *const *)b)->key;

	if (x->client != y->client)
		return x->client < y->client ? -1 : 1;
	if (x->server != y->server)
		return x->server < y->server ? -1 : 1;
	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	return (x->port > y->port) - (x->port < y->port);
}

const struct bh_baseline_conversation **bh_baseline_list(const struct bh_baseline *baseline)
{
	const struct bh_baseline_conversation **list =
		bh_xcalloc(baseline->conversations.n, sizeof(*list));
	const struct bh_baseline_conversation *conversation;
	size_t n = 0;

	for (size_t at = 0; (conversation = bh_table_next(&baseline->conversations, &at));)
		list[n++] = conversation;
	if (n)
		qsort(list, n, sizeof(*list), compare);
	return list;
}

/* ---- Over restarts --------------------------------------------------------------------------- */

/* One conversation is one text, "CLIENT SERVER PROTOCOL PORT passed": there may be many. */
json_t *bh_baseline_save(const struct bh_baseline *baseline)
{
	_cleanup_free_ const struct bh_baseline_conversation **list = bh_baseline_list(baseline);
	json_t *conversations = json_array();
	char text[64];

	for (size_t i = 0; i < baseline->conversations.n; i++) {
		snprintf(text, sizeof(text), "%08x %08x %u %u %s", list[i]->key.client,
			list[i]->key.server, list[i]->key.protocol, list[i]->key.port,
			list[i]->passed ? "passed" : "denied");
		json_array_append_new(conversations, json_string(text));
	}
	return json_pack("{s:s, s:I, s:s, s:I, s:I, s:o}", "namespace", baseline->namespace,
		"locked", (json_int_t)baseline->locked_ns, "by", baseline->by, "from",
		(json_int_t)baseline->from_ns, "to", (json_int_t)baseline->to_ns, "conversations",
		conversations);
}

static bool load_conversation(struct bh_baseline *baseline, const char *text)
{
	struct bh_baseline_key key = {0};
	char word[7];
	int end = 0;

	if (!text ||
		sscanf(text, "%8" SCNx32 " %8" SCNx32 " %3" SCNu8 " %5" SCNu16 " %6s%n",
			&key.client, &key.server, &key.protocol, &key.port, word, &end) != 5 ||
		text[end] || (strcmp(word, "passed") != 0 && strcmp(word, "denied") != 0))
		return false;
	bh_baseline_add(baseline, &key, word[0] == 'p');
	return true;
}

struct bh_baseline *bh_baseline_load(const json_t *saved)
{
	const char *namespace = json_string_value(json_object_get(saved, "namespace"));
	const char *by = json_string_value(json_object_get(saved, "by"));
	const json_t *conversations = json_object_get(saved, "conversations");
	json_int_t locked = json_integer_value(json_object_get(saved, "locked"));
	struct bh_baseline *baseline;
	const json_t *text;
	size_t i;

	if (!namespace || !*namespace || !by || locked <= 0 || !json_is_array(conversations) ||
		json_array_size(conversations) > BH_BASELINE_CONVERSATIONS_MAX)
		return NULL;
	baseline = bh_baseline_new(namespace);
	baseline->locked_ns = (uint64_t)locked;
	baseline->from_ns = (uint64_t)json_integer_value(json_object_get(saved, "from"));
	baseline->to_ns = (uint64_t)json_integer_value(json_object_get(saved, "to"));
	snprintf(baseline->by, sizeof(baseline->by), "%s", by);
	json_array_foreach(conversations, i, text)
	{
		if (load_conversation(baseline, json_string_value(text)))
			continue;
		bh_baseline_free(baseline);
		return NULL;
	}
	return baseline;
}
