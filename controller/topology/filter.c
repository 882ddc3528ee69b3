/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/model/memory.h"
#include "controller/topology/filter.h"
#include "controller/topology/text.h"
#include "proto/cleanup.h"

/* ---- Reading --------------------------------------------------------------------------------- */

/* Takes one item in; false if it makes no sense. */
typedef bool take_item(struct bh_filter *filter, char *item);

static bool take_namespace(struct bh_filter *filter, char *item)
{
	filter->namespaces[filter->n_namespaces++] = item;
	return !strchr(item, '/');
}

static bool take_label(struct bh_filter *filter, char *item)
{
	char *equals = strchr(item, '=');

	if (equals)
		*equals = '\0';
	filter->labels[filter->n_labels++] =
		(struct bh_filter_label){item, equals ? equals + 1 : NULL};
	return *item != '\0';
}

static bool take_port(struct bh_filter *filter, char *item)
{
	char *end = item;
	unsigned long low = strtoul(item, &end, 10);
	unsigned long high = low;

	if (*item < '0' || *item > '9')
		return false;
	if (*end == '-') {
		if (end[1] < '0' || end[1] > '9')
			return false;
		high = strtoul(end + 1, &end, 10);
	}
	if (*end || low > high || high > 65535)
		return false;
	filter->ports[filter->n_ports++] = (struct bh_filter_ports){(uint16_t)low, (uint16_t)high};
	return true;
}

static bool take_protocol(struct bh_filter *filter, char *item)
{
	int number = bh_protocol_number(item);

	if (number < 0)
		return false;
	filter->protocols[filter->n_protocols++] = (uint8_t)number;
	return true;
}

static bool take_state(struct bh_filter *filter, char *item)
{
	for (int state = BH_STATE_ALLOWED; state <= BH_STATE_DENIED; state++) {
		if (strcmp(bh_state_word((enum bh_state)state), item) == 0) {
			filter->states |= 1u << state;
			return true;
		}
	}
	return false;
}

static bool take_app(struct bh_filter *filter, char *item)
{
	int number = bh_app_number(item);

	if (number >= 0)
		filter->apps |= 1u << number;
	return number >= 0;
}

static bool take_encrypted(struct bh_filter *filter, char *item)
{
	int number = bh_encrypted_number(item);

	if (number >= 0)
		filter->encrypted |= 1u << number;
	return number >= 0;
}

static bool take_word(struct bh_filter *filter, char *item)
{
	if (strlen(item) > BH_FILTER_WORD_LENGTH)
		return false;
	filter->words[filter->n_words++] = item;
	return true;
}

static const struct {
	const char *name;
	const char *separator;
	take_item *take;
	const char *expected;
} conditions[] = {
	{"namespace", ",", take_namespace, "a namespace"},
	{"label", ",", take_label, "KEY or KEY=VALUE"},
	{"port", ",", take_port, "a port or a range like 8000-8999"},
	{"protocol", ",", take_protocol,
		"tcp, udp, sctp, icmp, icmpv6, igmp, or a number up to 255"},
	{"verdict", ",", take_state, "allowed, would-deny or denied"},
	{"app", ",", take_app, "an application protocol, or unknown"},
	{"encrypted", ",", take_encrypted, "yes, no or unknown"},
	{"text", " ", take_word, "a word of at most 64 bytes"},
};
_Static_assert(sizeof(conditions) / sizeof(conditions[0]) ==
		       sizeof(((struct bh_filter *)0)->texts) / sizeof(char *),
	"each condition once");

int bh_filter_set(struct bh_filter *filter, const char *name, const char *value, char **ret_error)
{
	size_t n_items = 0;
	size_t which = 0;
	char *rest = NULL;
	size_t max;
	char *text;

	while (which < sizeof(conditions) / sizeof(conditions[0]) &&
		strcmp(conditions[which].name, name) != 0)
		which++;
	if (which == sizeof(conditions) / sizeof(conditions[0]))
		return -ENOENT;
	if (filter->n_texts == sizeof(filter->texts) / sizeof(filter->texts[0])) {
		*ret_error = bh_xasprintf("'%s' is there twice", name);
		return -EINVAL;
	}
	max = conditions[which].take == take_word ? BH_FILTER_WORDS_MAX : BH_FILTER_ITEMS_MAX;
	text = bh_xstrdup(value);
	filter->texts[filter->n_texts++] = text;
	for (char *item = strtok_r(text, conditions[which].separator, &rest); item;
		item = strtok_r(NULL, conditions[which].separator, &rest)) {
		_cleanup_free_ char *shown = bh_xasprintf("%.64s", item);

		if (n_items++ == max) {
			*ret_error = bh_xasprintf("'%s' lists more than %zu", name, max);
			return -EINVAL;
		}
		if (conditions[which].take(filter, item))
			continue;
		*ret_error =
			bh_xasprintf("%s: '%s' is not %s", name, shown, conditions[which].expected);
		return -EINVAL;
	}
	return 0;
}

void bh_filter_clear(struct bh_filter *filter)
{
	for (size_t i = 0; i < filter->n_texts; i++)
		free(filter->texts[i]);
	*filter = (struct bh_filter){0};
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static bool in_namespaces(const struct bh_filter *filter, const struct bh_party *party)
{
	if (filter->n_namespaces == 0)
		return true;
	for (size_t i = 0; i < filter->n_namespaces; i++) {
		if (strcmp(filter->namespaces[i], party->namespace) == 0)
			return true;
	}
	return false;
}

static bool set_has(const struct bh_labels *labels, const struct bh_filter *filter)
{
	for (size_t i = 0; i < filter->n_labels; i++) {
		const char *value = bh_labels_get(labels, filter->labels[i].key);

		if (!value ||
			(filter->labels[i].value && strcmp(value, filter->labels[i].value) != 0))
			return false;
	}
	return true;
}

/* All of them at one pod. */
static bool has_labels(const struct bh_filter *filter, const struct bh_party *party)
{
	if (filter->n_labels == 0)
		return true;
	for (size_t i = 0; i < party->n_labels; i++) {
		if (set_has(party->labels[i], filter))
			return true;
	}
	return false;
}

bool bh_filter_takes_party(const struct bh_filter *filter, const struct bh_party *party)
{
	return in_namespaces(filter, party) && has_labels(filter, party);
}

bool bh_filter_asks_conversation(const struct bh_filter *filter)
{
	return filter->n_ports || filter->n_protocols || filter->states || filter->apps ||
	       filter->encrypted || filter->n_words;
}

static bool takes_port(const struct bh_filter *filter, uint16_t port)
{
	if (filter->n_ports == 0)
		return true;
	for (size_t i = 0; i < filter->n_ports; i++) {
		if (filter->ports[i].low <= port && port <= filter->ports[i].high)
			return true;
	}
	return false;
}

static bool takes_words(const struct bh_filter *filter, const struct bh_conversation *conversation,
	bh_filter_text *text, void *data)
{
	_cleanup_free_ char *why = NULL;
	_cleanup_free_ char *all = NULL;
	char protocol[BH_PROTOCOL_TEXT_MAX];

	if (filter->n_words == 0)
		return true;
	why = text ? text(data, conversation) : NULL;
	all = bh_xasprintf("%s\n%s\n%u/%s\n%s\n%s\n%s", conversation->client->id,
		conversation->server->id, conversation->port,
		bh_protocol_word(conversation->protocol, protocol),
		bh_app_word(conversation->talk.app), conversation->talk.sni, why ? why : "");
	for (size_t i = 0; i < filter->n_words; i++) {
		if (!strcasestr(all, filter->words[i]))
			return false;
	}
	return true;
}

bool bh_filter_takes(const struct bh_filter *filter, const struct bh_conversation *conversation,
	bh_filter_text *text, void *data)
{
	if (filter->states && !(filter->states & 1u << conversation->state))
		return false;
	if (filter->apps && !(filter->apps & 1u << conversation->talk.app))
		return false;
	if (filter->encrypted && !(filter->encrypted & 1u << conversation->talk.encrypted))
		return false;
	if (filter->n_protocols &&
		!memchr(filter->protocols, conversation->protocol, filter->n_protocols))
		return false;
	if (!takes_port(filter, conversation->port))
		return false;
	if (!in_namespaces(filter, conversation->client) &&
		!in_namespaces(filter, conversation->server))
		return false;
	if (!has_labels(filter, conversation->client) && !has_labels(filter, conversation->server))
		return false;
	return takes_words(filter, conversation, text, data);
}
