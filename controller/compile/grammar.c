/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/grammar.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Address blocks -------------------------------------------------------------------------
 */

int bh_prefix_compare(const struct bh_prefix *a, const struct bh_prefix *b)
{
	int order = bh_ip_compare(&a->ip, &b->ip);

	return order ? order : (a->bits > b->bits) - (a->bits < b->bits);
}

const char *bh_prefix_format(const struct bh_prefix *prefix, char text[BH_PREFIX_TEXT_MAX])
{
	bh_ip_format(&prefix->ip, text);
	snprintf(text + strlen(text), BH_PREFIX_TEXT_MAX - strlen(text), "/%u", prefix->bits);
	return text;
}

bool bh_grammar_prefix(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	struct bh_prefix *ret_prefix)
{
	const char *text;
	char quoted[BH_QUOTE_MAX], address[BH_IP_TEXT_MAX];
	struct bh_prefix prefix = {0};

	if (!bh_read_string(fault, path, value, &text))
		return false;
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : 0;
	size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;

	if (!length || length >= sizeof(address) || !digits || digits > 3 || slash[1 + digits] ||
		(digits > 1 && slash[1] == '0'))
		goto bad;
	memcpy(address, text, length);
	address[length] = '\0';
	if (bh_ip_parse(address, &prefix.ip) || (prefix.ip.family == 4) != !strchr(address, ':'))
		goto bad; /* an IPv4 address dressed as IPv6 has two readings */
	unsigned long bits = strtoul(slash + 1, NULL, 10);

	if (bits > bh_ip_bits(&prefix.ip))
		goto bad;
	prefix.bits = (uint8_t)bits;
	bh_ip_mask(&prefix.ip, prefix.bits);
	*ret_prefix = prefix;
	return true;
bad:
	return bh_fault_note(fault, path, "%s is not an address block like 10.0.0.0/8 or fd00::/8",
		bh_quote(text, quoted));
}

/* ---- Ports ----------------------------------------------------------------------------------
 */

const char *bh_protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_ICMP:
		return "ICMP";
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_ICMPV6:
		return "ICMPv6";
	case IPPROTO_SCTP:
		return "SCTP";
	}
	return NULL;
}

bool bh_grammar_port(
	struct bh_fault *fault, const struct bh_path *path, const json_t *value, uint16_t *ret_port)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value))
		return bh_fault_note(
			fault, path, "must be an integer, not %s", bh_json_kind(value));
	if (number < 1 || number > 65535)
		return bh_fault_note(
			fault, path, "%" JSON_INTEGER_FORMAT " is not between 1 and 65535", number);
	*ret_port = (uint16_t)number;
	return true;
}

/* An IANA service name (RFC 6335): up to 15 of a-z 0-9 -, a letter among them, no doubled or outer
 * dash. */
bool bh_grammar_is_port_name(const char *name)
{
	size_t length = strlen(name);
	bool letter = false;

	if (!length || length > 15 || name[0] == '-' || name[length - 1] == '-')
		return false;
	for (const char *at = name; *at; at++) {
		if (!islower((unsigned char)*at) && !isdigit((unsigned char)*at) && *at != '-')
			return false;
		if (at[0] == '-' && at[1] == '-')
			return false;
		letter |= islower((unsigned char)*at) != 0;
	}
	return letter;
}

/* ---- The text of a rule -------------------------------------------------------------------------
 */

/* Cut off where it would fill more than a line or two. */
#define RULE_TEXT_MAX 240

struct line {
	char text[RULE_TEXT_MAX];
	size_t used;
	bool cut;
};

static void __attribute__((format(printf, 2, 0)))
add_list(struct line *line, const char *format, va_list arguments)
{
	if (line->cut)
		return;
	size_t room = sizeof(line->text) - line->used - sizeof("…");
	int n = vsnprintf(line->text + line->used, room, format, arguments);

	if (n < 0 || (size_t)n >= room) {
		line->cut = true;
		strcpy(line->text + line->used, "…");
		return;
	}
	line->used += (size_t)n;
}

static void __attribute__((format(printf, 2, 3))) add(struct line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_list(line, format, arguments);
	va_end(arguments);
}

/* The namespace that a selector names by the label every namespace has, or NULL. */
static const char *namespace_by_name(const struct bh_selector *selector)
{
	const struct bh_requirement *first = selector->requirements;

	return selector->n == 1 && !strcmp(first->key, BH_NAMESPACE_LABEL) &&
			       first->op == BH_OPERATOR_IN && first->n_values == 1
		       ? first->values[0]
		       : NULL;
}

static void add_peer(
	struct line *line, const char *own_namespace, const struct bh_netpol_peer *peer)
{
	const char *by_name = namespace_by_name(&peer->namespaces);

	if (peer->kind == BH_PEER_BLOCK) {
		add(line, "%s", peer->key + strlen("block "));
		return;
	}
	if (peer->kind == BH_PEER_NODES) {
		add(line, peer->pods.n ? "nodes %s" : "all nodes", peer->pods.text);
		return;
	}
	if (peer->pods.n)
		add(line, "pods %s", peer->pods.text);
	else
		add(line, "all pods");
	if (by_name && !strcmp(by_name, own_namespace))
		return;
	if (by_name)
		add(line, " in namespace %s", by_name);
	else if (peer->namespaces.n)
		add(line, " in namespaces %s", peer->namespaces.text);
	else
		add(line, " in all namespaces");
}

static void add_port(struct line *line, const struct bh_netpol_port *port)
{
	const char *protocol = bh_protocol_name(port->protocol);

	if (port->kind == BH_PORT_NAMED && port->any_protocol)
		add(line, "port %s", port->name);
	else if (port->kind == BH_PORT_NAMED)
		add(line, "%s %s", protocol, port->name);
	else if (port->lo == port->hi)
		add(line, "%s %u", protocol, port->lo);
	else if (!port->lo)
		add(line, "%s", protocol);
	else
		add(line, "%s %u-%u", protocol, port->lo, port->hi);
}

const char *bh_grammar_rule_text(struct bh_arena *arena, const char *own_namespace,
	const struct bh_netpol_rule *rule, enum bh_direction direction, const char *head, ...)
{
	struct line line = {0};
	va_list arguments;

	va_start(arguments, head);
	add_list(&line, head, arguments);
	va_end(arguments);
	add(&line, " %s ", direction == BH_EGRESS ? "to" : "from");
	for (size_t i = 0; i < rule->n_peers; i++) {
		add(&line, "%s", i ? " or " : "");
		add_peer(&line, own_namespace, &rule->peers[i]);
	}
	if (!rule->n_peers)
		add(&line, rule->never ? "nobody" : "anyone");
	for (size_t i = 0; i < rule->n_ports; i++) {
		/* A name that stands for all protocols is there once for each of them. */
		if (i && rule->ports[i].any_protocol && rule->ports[i - 1].any_protocol &&
			!strcmp(rule->ports[i].name, rule->ports[i - 1].name))
			continue;
		add(&line, ", ");
		add_port(&line, &rule->ports[i]);
	}
	if (!rule->n_ports)
		add(&line, ", everything");
	return bh_arena_strdup(arena, line.text);
}
