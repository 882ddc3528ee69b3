/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/history/edge.h"

#include <string.h>

#include "controller/flows/reasons.h"

uint64_t bh_history_packets_denied(
	const struct bh_history_counts *counts, const struct bh_history_key *key)
{
	return bh_reason_drops(key->verdict) ? counts->packets[0] + counts->packets[1] : 0;
}

void bh_history_add_counts(struct bh_history_counts *to, const struct bh_history_counts *from)
{
	for (int i = 0; i < 2; i++) {
		to->packets[i] += from->packets[i];
		to->octets[i] += from->octets[i];
	}
	to->flows += from->flows;
	to->resets += from->resets;
	to->refusals += from->refusals;
	if (!to->first_ns || (from->first_ns && from->first_ns < to->first_ns))
		to->first_ns = from->first_ns;
	if (from->last_ns > to->last_ns)
		to->last_ns = from->last_ns;
}

void bh_history_add_talk(struct bh_talk *to, const struct bh_talk *from)
{
	bh_talk_learn(to, from);
	bh_talk_add_trips(to, from);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_conversation(const struct bh_history_key *a, const struct bh_history_key *b)
{
	int order = compare_numbers(a->client, b->client);

	if (!order)
		order = compare_numbers(a->server, b->server);
	if (!order)
		order = compare_numbers(a->protocol, b->protocol);
	return order ? order : compare_numbers(a->port, b->port);
}

int bh_history_compare(const void *a, const void *b)
{
	const struct bh_history_key *x = &((const struct bh_history_edge *)a)->key;
	const struct bh_history_key *y = &((const struct bh_history_edge *)b)->key;
	int order = compare_conversation(x, y);

	if (!order)
		order = compare_numbers(y->egress, x->egress);
	return order ? order : memcmp(x, y, sizeof(*x));
}

bool bh_history_same_conversation(const struct bh_history_key *a, const struct bh_history_key *b)
{
	return compare_conversation(a, b) == 0;
}
