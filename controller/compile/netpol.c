/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/netpol.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controller/compile/cnp.h"
#include "controller/compile/grammar.h"
#include "controller/model/memory.h"

struct parser {
	struct bh_netpol *policy;
	struct bh_arena *arena;
	struct bh_fault fault;
};

/* ---- Address blocks ---------------------------------------------------------------------------
 */

static int compare_prefixes(const void *a, const void *b)
{
	return bh_prefix_compare(a, b);
}

static bool parse_block(struct parser *parser, const struct bh_path *path, const json_t *value,
	struct bh_block *block)
{
	static const char *const fields[] = {"cidr", "except", NULL};
	size_t n = 0;

	if (!bh_read_object(&parser->fault, path, value, fields))
		return false;
	const json_t *cidr = bh_read_field(value, "cidr");
	const json_t *excepts = bh_read_field(value, "except");
	const struct bh_path *excepts_path = BH_FIELD(path, "except");

	if (!cidr)
		return bh_fault_note(&parser->fault, path, "cidr is missing");
	if (!bh_grammar_prefix(&parser->fault, BH_FIELD(path, "cidr"), cidr, &block->cidr))
		return false;
	if (excepts && !bh_read_array(&parser->fault, excepts_path, excepts, &n))
		return false;
	block->excepts = bh_arena_array(parser->arena, n, struct bh_prefix);
	for (size_t i = 0; i < n; i++) {
		const struct bh_path *at = BH_ELEMENT(excepts_path, i);
		struct bh_prefix *except = &block->excepts[i];

		if (!bh_grammar_prefix(&parser->fault, at, json_array_get(excepts, i), except))
			return false;
		if (except->bits <= block->cidr.bits ||
			!bh_ip_in_prefix(&except->ip, &block->cidr.ip, block->cidr.bits))
			return bh_fault_note(&parser->fault, at, "%s does not lie inside cidr %s",
				json_string_value(json_array_get(excepts, i)),
				json_string_value(cidr));
	}
	if (n)
		qsort(block->excepts, n, sizeof(*block->excepts), compare_prefixes);
	for (size_t i = 0; i < n; i++) {
		if (!i || bh_prefix_compare(&block->excepts[i - 1], &block->excepts[i]))
			block->excepts[block->n_excepts++] = block->excepts[i];
	}
	return true;
}

/* "10.0.0.0/8 except 10.1.0.0/16,10.2.0.0/16" */
static const char *block_text(struct bh_arena *arena, const struct bh_block *block)
{
	char text[BH_PREFIX_TEXT_MAX];
	char *out = bh_arena_alloc(
		arena, sizeof(" except ") + (block->n_excepts + 1) * (BH_PREFIX_TEXT_MAX + 1), 1);
	char *at = stpcpy(out, bh_prefix_format(&block->cidr, text));

	for (size_t i = 0; i < block->n_excepts; i++) {
		at = stpcpy(at, i ? "," : " except ");
		at = stpcpy(at, bh_prefix_format(&block->excepts[i], text));
	}
	return out;
}

/* ---- Peers ------------------------------------------------------------------------------------
 */

static bool parse_peer(struct parser *parser, const struct bh_path *path, const json_t *value,
	struct bh_netpol_peer *peer)
{
	static const char *const fields[] = {"podSelector", "namespaceSelector", "ipBlock", NULL};

	if (!bh_read_object(&parser->fault, path, value, fields))
		return false;
	const json_t *pods = bh_read_field(value, "podSelector");
	const json_t *namespaces = bh_read_field(value, "namespaceSelector");
	const json_t *block = bh_read_field(value, "ipBlock");

	/* An empty peer is not "everyone": it says nothing. */
	if (!pods && !namespaces && !block)
		return bh_fault_note(&parser->fault, path,
			"must have podSelector, namespaceSelector or ipBlock");
	if (block && (pods || namespaces))
		return bh_fault_note(&parser->fault, path,
			"ipBlock goes with neither podSelector nor namespaceSelector");
	if (block) {
		peer->kind = BH_PEER_BLOCK;
		if (!parse_block(parser, BH_FIELD(path, "ipBlock"), block, &peer->block))
			return false;
		peer->key = bh_arena_printf(
			parser->arena, "block %s", block_text(parser->arena, &peer->block));
		return true;
	}
	if (!namespaces)
		peer->namespaces = bh_selector_equal(
			parser->arena, BH_NAMESPACE_LABEL, parser->policy->namespace);
	else if (!bh_selector_parse(parser->arena, &parser->fault,
			 BH_FIELD(path, "namespaceSelector"), namespaces, &peer->namespaces))
		return false;
	if (pods && !bh_selector_parse(parser->arena, &parser->fault, BH_FIELD(path, "podSelector"),
			    pods, &peer->pods))
		return false;
	if (!pods)
		peer->pods.text = "";
	peer->key = bh_arena_printf(
		parser->arena, "pods %s in namespaces %s", peer->pods.text, peer->namespaces.text);
	return true;
}

/* ---- Ports ------------------------------------------------------------------------------------
 */

static bool parse_protocol(struct parser *parser, const struct bh_path *path, const json_t *value,
	uint8_t *ret_protocol)
{
	static const uint8_t known[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	char quoted[BH_QUOTE_MAX];
	const char *text;

	if (!bh_read_string(&parser->fault, path, value, &text))
		return false;
	for (size_t i = 0; i < sizeof(known); i++) {
		if (!strcmp(text, bh_protocol_name(known[i]))) {
			*ret_protocol = known[i];
			return true;
		}
	}
	return bh_fault_note(
		&parser->fault, path, "%s is not one of TCP, UDP, SCTP", bh_quote(text, quoted));
}

static bool parse_port(struct parser *parser, const struct bh_path *path, const json_t *value,
	struct bh_netpol_port *port)
{
	static const char *const fields[] = {"protocol", "port", "endPort", NULL};
	char quoted[BH_QUOTE_MAX];

	if (!bh_read_object(&parser->fault, path, value, fields))
		return false;
	const json_t *protocol = bh_read_field(value, "protocol");
	const json_t *first = bh_read_field(value, "port");
	const json_t *last = bh_read_field(value, "endPort");
	const struct bh_path *port_path = BH_FIELD(path, "port");
	const struct bh_path *end_path = BH_FIELD(path, "endPort");

	*port = (struct bh_netpol_port){
		.kind = BH_PORT_RANGE, .protocol = IPPROTO_TCP, .hi = 65535};
	if (protocol &&
		!parse_protocol(parser, BH_FIELD(path, "protocol"), protocol, &port->protocol))
		return false;
	if (!first)
		return !last || bh_fault_note(&parser->fault, end_path, "needs a port");
	if (json_is_string(first)) {
		const char *name = json_string_value(first);

		if (!bh_grammar_is_port_name(name))
			return bh_fault_note(&parser->fault, port_path,
				"%s is neither a number (write it without quotes) nor a port's "
				"name",
				bh_quote(name, quoted));
		if (last)
			return bh_fault_note(
				&parser->fault, end_path, "goes with a port number only");
		port->kind = BH_PORT_NAMED;
		port->name = bh_arena_strdup(parser->arena, name);
		return true;
	}
	if (!bh_grammar_port(&parser->fault, port_path, first, &port->lo))
		return false;
	port->hi = port->lo;
	if (last && !bh_grammar_port(&parser->fault, end_path, last, &port->hi))
		return false;
	if (port->hi < port->lo)
		return bh_fault_note(
			&parser->fault, end_path, "%u is less than port %u", port->hi, port->lo);
	return true;
}

/* ---- Rules ------------------------------------------------------------------------------------
 */

static bool parse_rule(struct parser *parser, const struct bh_path *path, const json_t *value,
	enum bh_direction direction, size_t index, struct bh_netpol_rule *rule)
{
	static const char *const fields[2][3] = {
		[BH_INGRESS] = {"from", "ports", NULL},
		[BH_EGRESS] = {"to", "ports", NULL},
	};
	size_t n_peers = 0, n_ports = 0;

	if (!bh_read_object(&parser->fault, path, value, fields[direction]))
		return false;
	const json_t *peers = bh_read_field(value, fields[direction][0]);
	const json_t *ports = bh_read_field(value, "ports");
	const struct bh_path *peers_path = BH_FIELD(path, fields[direction][0]);
	const struct bh_path *ports_path = BH_FIELD(path, "ports");

	if (peers && !bh_read_array(&parser->fault, peers_path, peers, &n_peers))
		return false;
	if (ports && !bh_read_array(&parser->fault, ports_path, ports, &n_ports))
		return false;
	rule->n_peers = n_peers;
	rule->peers = bh_arena_array(parser->arena, n_peers, struct bh_netpol_peer);
	for (size_t i = 0; i < n_peers; i++) {
		if (!parse_peer(parser, BH_ELEMENT(peers_path, i), json_array_get(peers, i),
			    &rule->peers[i]))
			return false;
	}
	rule->n_ports = n_ports;
	rule->ports = bh_arena_array(parser->arena, n_ports, struct bh_netpol_port);
	for (size_t i = 0; i < n_ports; i++) {
		if (!parse_port(parser, BH_ELEMENT(ports_path, i), json_array_get(ports, i),
			    &rule->ports[i]))
			return false;
	}
	rule->text = bh_grammar_rule_text(parser->arena, parser->policy->namespace, rule, direction,
		"%s/%s %s[%zu]:", parser->policy->namespace, parser->policy->name,
		direction == BH_EGRESS ? "egress" : "ingress", index);
	return true;
}

static bool parse_rules(struct parser *parser, const struct bh_path *path, const json_t *value,
	enum bh_direction direction)
{
	struct bh_netpol *policy = parser->policy;
	size_t n = 0;

	if (!value)
		return true;
	if (!bh_read_array(&parser->fault, path, value, &n))
		return false;
	policy->n_rules[direction] = n;
	policy->rules[direction] = bh_arena_array(parser->arena, n, struct bh_netpol_rule);
	for (size_t i = 0; i < n; i++) {
		if (!parse_rule(parser, BH_ELEMENT(path, i), json_array_get(value, i), direction, i,
			    &policy->rules[direction][i]))
			return false;
	}
	return true;
}

/* ---- The policy -------------------------------------------------------------------------------
 */

/* Where the types are not given: ingress always, egress if there is an egress section. */
static bool parse_types(struct parser *parser, const struct bh_path *path, const json_t *spec)
{
	const json_t *types = bh_read_field(spec, "policyTypes");
	bool *isolates = parser->policy->isolates;
	bool seen[2] = {false, false};
	size_t n = 0;

	/* Until they have been understood: both. */
	isolates[BH_INGRESS] = isolates[BH_EGRESS] = true;
	if (types && !bh_read_array(&parser->fault, path, types, &n))
		return false;
	if (n > 2)
		return bh_fault_note(&parser->fault, path, "must not have more than two entries");
	for (size_t i = 0; i < n; i++) {
		const char *type;
		char quoted[BH_QUOTE_MAX];

		if (!bh_read_string(
			    &parser->fault, BH_ELEMENT(path, i), json_array_get(types, i), &type))
			return false;
		if (!strcmp(type, "Ingress"))
			seen[BH_INGRESS] = true;
		else if (!strcmp(type, "Egress"))
			seen[BH_EGRESS] = true;
		else
			return bh_fault_note(&parser->fault, BH_ELEMENT(path, i),
				"%s is neither Ingress nor Egress", bh_quote(type, quoted));
	}
	const json_t *egress = bh_read_field(spec, "egress");

	isolates[BH_INGRESS] = !n || seen[BH_INGRESS];
	/* An egress section of the wrong type was still meant as one. */
	isolates[BH_EGRESS] =
		n ? seen[BH_EGRESS] : egress && (!json_is_array(egress) || json_array_size(egress));
	return true;
}

/*
 * What is needed to isolate comes first, so that a fault further down still isolates the right pods
 * in the right directions.
 */
static void parse_spec(struct parser *parser, const json_t *spec)
{
	static const char *const fields[] = {
		"podSelector", "policyTypes", "ingress", "egress", NULL};
	const struct bh_path *path = BH_FIELD(NULL, "spec");
	struct bh_netpol *policy = parser->policy;
	struct bh_selector subjects = {.text = ""};

	if (json_is_null(spec))
		spec = NULL;
	if (spec && !json_is_object(spec)) {
		policy->isolates[BH_INGRESS] = policy->isolates[BH_EGRESS] = true;
		bh_fault_note(
			&parser->fault, path, "must be an object, not %s", bh_json_kind(spec));
		return;
	}
	const json_t *selector = bh_read_field(spec, "podSelector");

	parse_types(parser, BH_FIELD(path, "policyTypes"), spec);
	if (selector)
		bh_selector_parse(parser->arena, &parser->fault, BH_FIELD(path, "podSelector"),
			selector, &subjects);
	policy->subjects = subjects;
	if (spec)
		bh_read_object(&parser->fault, path, spec, fields);
	parse_rules(parser, BH_FIELD(path, "ingress"), bh_read_field(spec, "ingress"), BH_INGRESS);
	parse_rules(parser, BH_FIELD(path, "egress"), bh_read_field(spec, "egress"), BH_EGRESS);
}

static void parse(struct bh_netpol *policy, const json_t *spec)
{
	struct parser parser = {.policy = policy, .arena = &policy->arena};

	policy->tier = BH_TIER_NETPOL;
	parse_spec(&parser, spec);
	if (!parser.fault.set)
		return;
	policy->fault = bh_arena_strdup(parser.arena, parser.fault.text);
	policy->n_rules[BH_INGRESS] = policy->n_rules[BH_EGRESS] = 0;
}

struct bh_netpol *bh_netpol_parse(const struct bh_network_policy *object)
{
	struct bh_netpol *policy = bh_xcalloc(1, sizeof(*policy));

	policy->namespace = bh_arena_strdup(&policy->arena, object->namespace);
	policy->name = bh_arena_strdup(&policy->arena, object->name);
	policy->serial = object->serial;
	policy->mode = bh_mode_parse(object->mode);
	if (object->mode && policy->mode == BH_MODE_UNSET)
		policy->bad_mode = bh_arena_strdup(&policy->arena, object->mode);
	if (*policy->namespace)
		parse(policy, object->spec);
	else
		bh_cnp_parse(policy, object->spec);
	return policy;
}

void bh_netpol_free(struct bh_netpol *policy)
{
	if (!policy)
		return;
	struct bh_arena arena = policy->arena;

	bh_arena_clear(&arena);
	free(policy);
}

/* ---- Asking it --------------------------------------------------------------------------------
 */

bool bh_netpol_selects(const struct bh_netpol *policy, const struct bh_pod *pod,
	const struct bh_labels *namespace_labels)
{
	if (*policy->namespace ? strcmp(policy->namespace, pod->namespace) != 0
			       : policy->selects_nobody)
		return false;
	return bh_selector_matches(&policy->subject_namespaces, namespace_labels) &&
	       bh_selector_matches(&policy->subjects, pod->labels);
}

int bh_netpol_compare(const struct bh_netpol *a, const struct bh_netpol *b)
{
	int order = strcmp(a->namespace, b->namespace);

	if (!order)
		order = (a->tier > b->tier) - (a->tier < b->tier);
	if (!order)
		order = (a->priority > b->priority) - (a->priority < b->priority);
	if (!order)
		order = strcmp(a->name, b->name);
	return order ? order : (a->serial > b->serial) - (a->serial < b->serial);
}
