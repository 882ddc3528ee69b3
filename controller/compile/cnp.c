/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/cnp.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controller/compile/grammar.h"
#include "controller/model/memory.h"

/* The API's limits, of every list. */
#define LIST_MAX 25
#define RULE_NAME_MAX 100 /* characters */
#define PRIORITY_MAX 1000
/* Of one policy; who sees so many mends some of them first. */
#define NOTES_MAX 40

struct parser {
	struct bh_netpol *policy;
	struct bh_arena *arena;
	size_t notes_capacity;
};

/* A rule being read: its own fault, and what of it has been understood. */
struct reading {
	struct bh_fault fault;
	enum bh_direction direction;
	struct bh_netpol_rule *rule;
	const char *name;
	bool nameless; /* a peer without named ports is among the peers */
	bool named;    /* a port by name is asked for */
};

const char *bh_tier_name(enum bh_tier tier)
{
	static const char *const names[] = {
		[BH_TIER_ADMIN] = "Admin",
		[BH_TIER_NETPOL] = "NetworkPolicy",
		[BH_TIER_BASELINE] = "Baseline",
	};

	return names[tier];
}

const char *bh_action_name(enum bh_action action)
{
	static const char *const names[] = {
		[BH_ACTION_ACCEPT] = "Accept",
		[BH_ACTION_DENY] = "Deny",
		[BH_ACTION_PASS] = "Pass",
	};

	return names[action];
}

/* ---- Faults -----------------------------------------------------------------------------------
 */

static void __attribute__((format(printf, 3, 4)))
note(struct parser *parser, const char *code, const char *format, ...)
{
	struct bh_netpol *policy = parser->policy;
	char text[2 * BH_FAULT_MAX];
	va_list arguments;

	if (policy->n_notes == NOTES_MAX)
		return;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (policy->n_notes == parser->notes_capacity) {
		size_t capacity = parser->notes_capacity ? parser->notes_capacity * 2 : 4;
		struct bh_netpol_note *notes =
			bh_arena_array(parser->arena, capacity, struct bh_netpol_note);

		if (policy->n_notes)
			memcpy(notes, policy->notes, policy->n_notes * sizeof(*notes));
		policy->notes = notes;
		parser->notes_capacity = capacity;
	}
	policy->notes[policy->n_notes++] =
		(struct bh_netpol_note){code, bh_arena_strdup(parser->arena, text)};
}

/* A list of 1 to 25. */
static bool read_list(
	struct bh_fault *fault, const struct bh_path *path, const json_t *value, size_t *ret_n)
{
	size_t n;

	if (!value)
		return bh_fault_note(fault, path, "is missing");
	if (!bh_read_array(fault, path, value, &n))
		return false;
	if (!n)
		return bh_fault_note(fault, path, "must not be empty");
	if (n > LIST_MAX)
		return bh_fault_note(fault, path, "%zu are more than %d", n, LIST_MAX);
	*ret_n = n;
	return true;
}

/* The one field that is set, of those there are; NULL, and a note, if it is none or several. */
static const char *read_only_field(struct bh_fault *fault, const struct bh_path *path,
	const json_t *value, const char *const fields[], const char *words)
{
	const char *found = NULL;

	if (!bh_read_object(fault, path, value, fields))
		return NULL;
	for (size_t i = 0; fields[i]; i++) {
		if (!bh_read_field(value, fields[i]))
			continue;
		if (found) {
			bh_fault_note(fault, path, "%s and %s: only one of them can be set", found,
				fields[i]);
			return NULL;
		}
		found = fields[i];
	}
	if (!found)
		bh_fault_note(fault, path, "must have one of %s", words);
	return found;
}

/* ---- Pods by namespace and label --------------------------------------------------------------
 */

struct pods {
	struct bh_selector namespaces;
	struct bh_selector pods;
};

/* `namespaces`, or `pods` with its two selectors. */
static bool parse_pods(struct parser *parser, struct bh_fault *fault, const struct bh_path *path,
	const json_t *value, bool whole_namespaces, struct pods *ret_pods)
{
	static const char *const fields[] = {"namespaceSelector", "podSelector", NULL};
	struct pods pods = {.namespaces.text = "", .pods.text = ""};

	if (whole_namespaces) {
		if (!bh_selector_parse(parser->arena, fault, path, value, &pods.namespaces))
			return false;
		*ret_pods = pods;
		return true;
	}
	if (!bh_read_object(fault, path, value, fields))
		return false;
	const json_t *namespaces = bh_read_field(value, "namespaceSelector");
	const json_t *own = bh_read_field(value, "podSelector");

	if (!own)
		return bh_fault_note(fault, path, "podSelector is missing");
	if (namespaces &&
		!bh_selector_parse(parser->arena, fault, BH_FIELD(path, "namespaceSelector"),
			namespaces, &pods.namespaces))
		return false;
	if (!bh_selector_parse(
		    parser->arena, fault, BH_FIELD(path, "podSelector"), own, &pods.pods))
		return false;
	*ret_pods = pods;
	return true;
}

/* ---- Peers ------------------------------------------------------------------------------------
 */

static void add_peer(struct reading *reading, struct bh_netpol_peer peer)
{
	struct bh_netpol_rule *rule = reading->rule;

	rule->peers[rule->n_peers++] = peer;
}

static bool parse_networks(struct parser *parser, struct reading *reading,
	const struct bh_path *path, const json_t *value)
{
	size_t n;

	if (!read_list(&reading->fault, path, value, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct bh_netpol_peer peer = {.kind = BH_PEER_BLOCK};
		char text[BH_PREFIX_TEXT_MAX];

		if (!bh_grammar_prefix(&reading->fault, BH_ELEMENT(path, i),
			    json_array_get(value, i), &peer.block.cidr))
			return false;
		peer.key = bh_arena_printf(
			parser->arena, "block %s", bh_prefix_format(&peer.block.cidr, text));
		add_peer(reading, peer);
	}
	return true;
}

/*
 * Names are not addresses, and nothing here follows what they stand for. The peer matches nothing,
 * which is narrower than written; that is only so where the rule accepts.
 */
static bool parse_domain_names(struct parser *parser, struct reading *reading,
	const struct bh_path *path, const json_t *value)
{
	struct bh_fault said = {0};
	const char *name;
	size_t n;

	if (!read_list(&reading->fault, path, value, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!bh_read_string(
			    &reading->fault, BH_ELEMENT(path, i), json_array_get(value, i), &name))
			return false;
	}
	if (reading->rule->action != BH_ACTION_ACCEPT)
		return bh_fault_note(&reading->fault, path, "go with Accept only");
	bh_fault_note(&said, path, "domain names cannot be enforced, only addresses can");
	note(parser, "unsupported-peer", "%s; this peer matches nothing", said.text);
	return true;
}

static bool parse_peer(struct parser *parser, struct reading *reading, const struct bh_path *path,
	const json_t *value)
{
	static const char *const fields[2][6] = {
		[BH_INGRESS] = {"namespaces", "pods", NULL},
		[BH_EGRESS] = {"namespaces", "pods", "nodes", "networks", "domainNames", NULL},
	};
	struct bh_fault *fault = &reading->fault;
	struct bh_netpol_peer peer = {.kind = BH_PEER_PODS};
	struct pods pods;
	const char *kind = read_only_field(fault, path, value, fields[reading->direction],
		reading->direction == BH_INGRESS
			? "namespaces, pods"
			: "namespaces, pods, nodes, networks, domainNames");

	if (!kind)
		return false;
	const struct bh_path *at = BH_FIELD(path, kind);
	const json_t *inner = bh_read_field(value, kind);
	bool whole_namespaces = !strcmp(kind, "namespaces");

	if (whole_namespaces || !strcmp(kind, "pods")) {
		if (!parse_pods(parser, fault, at, inner, whole_namespaces, &pods))
			return false;
		peer.namespaces = pods.namespaces;
		peer.pods = pods.pods;
		peer.key = bh_arena_printf(parser->arena, "pods %s in namespaces %s",
			peer.pods.text, peer.namespaces.text);
		add_peer(reading, peer);
		return true;
	}
	reading->nameless = true;
	if (!strcmp(kind, "networks"))
		return parse_networks(parser, reading, at, inner);
	if (!strcmp(kind, "domainNames"))
		return parse_domain_names(parser, reading, at, inner);
	peer.kind = BH_PEER_NODES;
	if (!bh_selector_parse(parser->arena, fault, at, inner, &peer.pods))
		return false;
	peer.key = bh_arena_printf(parser->arena, "nodes %s", peer.pods.text);
	add_peer(reading, peer);
	return true;
}

static bool parse_peers(struct parser *parser, struct reading *reading, const struct bh_path *path,
	const json_t *value)
{
	struct bh_netpol_rule *rule = reading->rule;
	size_t n, room = 0;

	if (!read_list(&reading->fault, path, value, &n))
		return false;
	for (size_t i = 0; i < n; i++)
		room += 1 + json_array_size(json_object_get(json_array_get(value, i), "networks"));
	rule->peers = bh_arena_array(parser->arena, room, struct bh_netpol_peer);
	for (size_t i = 0; i < n; i++) {
		if (!parse_peer(parser, reading, BH_ELEMENT(path, i), json_array_get(value, i)))
			return false;
	}
	return true;
}

/* ---- Protocols --------------------------------------------------------------------------------
 */

static bool parse_range(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	struct bh_netpol_port *port)
{
	static const char *const fields[] = {"start", "end", NULL};

	if (!bh_read_object(fault, path, value, fields))
		return false;
	const json_t *start = bh_read_field(value, "start"), *end = bh_read_field(value, "end");

	if (!start || !end)
		return bh_fault_note(fault, path, "must have start and end");
	if (!bh_grammar_port(fault, BH_FIELD(path, "start"), start, &port->lo) ||
		!bh_grammar_port(fault, BH_FIELD(path, "end"), end, &port->hi))
		return false;
	return port->lo < port->hi ||
	       bh_fault_note(fault, path, "start %u is not less than end %u", port->lo, port->hi);
}

/* {destinationPort: {number: 80}} or {destinationPort: {range: {start: 80, end: 90}}} */
static bool parse_port(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	struct bh_netpol_port *port)
{
	static const char *const fields[] = {"destinationPort", NULL};
	static const char *const forms[] = {"number", "range", NULL};
	const struct bh_path *at = BH_FIELD(path, "destinationPort");

	if (!read_only_field(fault, path, value, fields, "destinationPort"))
		return false;
	const json_t *inner = bh_read_field(value, "destinationPort");
	const char *form = read_only_field(fault, at, inner, forms, "number, range");

	if (!form)
		return false;
	if (!strcmp(form, "range"))
		return parse_range(fault, BH_FIELD(at, form), bh_read_field(inner, form), port);
	if (!bh_grammar_port(fault, BH_FIELD(at, form), bh_read_field(inner, form), &port->lo))
		return false;
	port->hi = port->lo;
	return true;
}

static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
#define N_PROTOCOLS sizeof(protocols)

/* A name says nothing about the protocol: it stands for the ports of that name of each. */
static bool parse_named_port(struct parser *parser, struct reading *reading,
	const struct bh_path *path, const json_t *value)
{
	struct bh_netpol_rule *rule = reading->rule;
	const char *name;

	if (!bh_read_string(&reading->fault, path, value, &name))
		return false;
	if (!*name)
		return bh_fault_note(&reading->fault, path, "must not be empty");
	reading->named = true;
	name = bh_arena_strdup(parser->arena, name);
	for (size_t i = 0; i < N_PROTOCOLS; i++)
		rule->ports[rule->n_ports++] = (struct bh_netpol_port){
			.kind = BH_PORT_NAMED,
			.protocol = protocols[i],
			.name = name,
			.any_protocol = true,
		};
	return true;
}

static bool parse_protocol(struct parser *parser, struct reading *reading,
	const struct bh_path *path, const json_t *value)
{
	static const char *const fields[] = {"tcp", "udp", "sctp", "destinationNamedPort", NULL};
	struct bh_netpol_rule *rule = reading->rule;
	const char *kind = read_only_field(
		&reading->fault, path, value, fields, "tcp, udp, sctp, destinationNamedPort");

	if (!kind)
		return false;
	const json_t *inner = bh_read_field(value, kind);

	for (size_t i = 0; i < N_PROTOCOLS; i++) {
		struct bh_netpol_port port = {.kind = BH_PORT_RANGE, .protocol = protocols[i]};

		if (strcmp(kind, fields[i]))
			continue;
		if (!parse_port(&reading->fault, BH_FIELD(path, kind), inner, &port))
			return false;
		rule->ports[rule->n_ports++] = port;
		return true;
	}
	return parse_named_port(parser, reading, BH_FIELD(path, kind), inner);
}

static bool parse_protocols(struct parser *parser, struct reading *reading,
	const struct bh_path *path, const json_t *value)
{
	struct bh_netpol_rule *rule = reading->rule;
	size_t n;

	if (!value)
		return true;
	if (!read_list(&reading->fault, path, value, &n))
		return false;
	rule->ports = bh_arena_array(parser->arena, n * N_PROTOCOLS, struct bh_netpol_port);
	for (size_t i = 0; i < n; i++) {
		if (!parse_protocol(parser, reading, BH_ELEMENT(path, i), json_array_get(value, i)))
			return false;
	}
	return !(reading->named && reading->nameless) ||
	       bh_fault_note(&reading->fault, path,
		       "destinationNamedPort does not go with nodes, networks and domainNames, "
		       "which have no named ports");
}

/* ---- Rules ------------------------------------------------------------------------------------
 */

static bool parse_action(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	enum bh_action *ret_action)
{
	char quoted[BH_QUOTE_MAX];
	const char *text;

	if (!value)
		return bh_fault_note(fault, path, "is missing");
	if (!bh_read_string(fault, path, value, &text))
		return false;
	for (int action = BH_ACTION_ACCEPT; action <= BH_ACTION_PASS; action++) {
		if (!strcmp(text, bh_action_name((enum bh_action)action))) {
			*ret_action = (enum bh_action)action;
			return true;
		}
	}
	return bh_fault_note(
		fault, path, "%s is not one of Accept, Deny, Pass", bh_quote(text, quoted));
}

static size_t count_characters(const char *utf8)
{
	size_t n = 0;

	for (; *utf8; utf8++)
		n += (*utf8 & 0xc0) != 0x80;
	return n;
}

static bool parse_rule_name(struct parser *parser, struct reading *reading,
	const struct bh_path *path, const json_t *value)
{
	char quoted[BH_QUOTE_MAX];
	const char *name;

	if (!value)
		return true;
	if (!bh_read_string(&reading->fault, path, value, &name))
		return false;
	if (count_characters(name) > RULE_NAME_MAX)
		return bh_fault_note(
			&reading->fault, path, "is longer than %d characters", RULE_NAME_MAX);
	if (*name)
		reading->name = bh_arena_strdup(parser->arena, bh_quote(name, quoted));
	return true;
}

/* What becomes of a rule that is not understood: cnp.h. */
static void close_rule(struct parser *parser, struct reading *reading, bool peers_understood)
{
	struct bh_netpol_rule *rule = reading->rule;
	bool egress = reading->direction == BH_EGRESS;

	if (rule->action == BH_ACTION_ACCEPT) {
		rule->never = true;
		note(parser, "invalid-policy", "%s; until that is mended the rule matches nothing",
			reading->fault.text);
		return;
	}
	rule->action = BH_ACTION_DENY;
	rule->n_ports = 0;
	if (!peers_understood)
		rule->n_peers = 0;
	note(parser, "invalid-policy",
		"%s; until that is mended the rule denies its subjects everything %s %s",
		reading->fault.text, egress ? "to" : "from",
		rule->n_peers ? "its peers" : "anyone");
}

/* The action comes first: what the rest means if it is not understood depends on it. */
static void parse_rule(struct parser *parser, const struct bh_path *path, const json_t *value,
	enum bh_direction direction, struct bh_netpol_rule *rule)
{
	static const char *const fields[2][5] = {
		[BH_INGRESS] = {"name", "action", "from", "protocols", NULL},
		[BH_EGRESS] = {"name", "action", "to", "protocols", NULL},
	};
	const char *peers = fields[direction][2];
	struct reading reading = {.direction = direction, .rule = rule};
	struct bh_fault *fault = &reading.fault;

	rule->action = BH_ACTION_DENY;
	bh_read_object(fault, path, value, fields[direction]);
	parse_action(
		fault, BH_FIELD(path, "action"), bh_read_field(value, "action"), &rule->action);
	bool peers_understood =
		parse_peers(parser, &reading, BH_FIELD(path, peers), bh_read_field(value, peers));

	parse_protocols(
		parser, &reading, BH_FIELD(path, "protocols"), bh_read_field(value, "protocols"));
	parse_rule_name(parser, &reading, BH_FIELD(path, "name"), bh_read_field(value, "name"));
	if (fault->set)
		close_rule(parser, &reading, peers_understood);
	else if (!rule->n_peers)
		rule->never = true; /* all of them are domain names; no peer means anyone */
	if (rule->never)
		rule->n_peers = rule->n_ports = 0;
	rule->text = reading.name; /* until the whole policy has been read */
}

static bool parse_rules(struct parser *parser, struct bh_fault *fault, const struct bh_path *path,
	const json_t *value, enum bh_direction direction)
{
	struct bh_netpol *policy = parser->policy;
	size_t n = 0;

	if (!value)
		return true;
	if (!bh_read_array(fault, path, value, &n))
		return false;
	policy->n_rules[direction] = n;
	policy->rules[direction] = bh_arena_array(parser->arena, n, struct bh_netpol_rule);
	for (size_t i = 0; i < n; i++)
		parse_rule(parser, BH_ELEMENT(path, i), json_array_get(value, i), direction,
			&policy->rules[direction][i]);
	return n <= LIST_MAX ||
	       bh_fault_note(fault, path, "%zu rules are more than %d", n, LIST_MAX);
}

/* ---- The policy -------------------------------------------------------------------------------
 */

static bool parse_tier(
	struct bh_fault *fault, const struct bh_path *path, const json_t *value, enum bh_tier *tier)
{
	static const enum bh_tier tiers[] = {BH_TIER_ADMIN, BH_TIER_BASELINE};
	char quoted[BH_QUOTE_MAX];
	const char *text;

	if (!value)
		return bh_fault_note(fault, path, "is missing");
	if (!bh_read_string(fault, path, value, &text))
		return false;
	for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
		if (!strcmp(text, bh_tier_name(tiers[i]))) {
			*tier = tiers[i];
			return true;
		}
	}
	return bh_fault_note(
		fault, path, "%s is neither Admin nor Baseline", bh_quote(text, quoted));
}

static bool parse_priority(
	struct bh_fault *fault, const struct bh_path *path, const json_t *value, int *priority)
{
	json_int_t number = json_integer_value(value);

	if (!value)
		return bh_fault_note(fault, path, "is missing");
	if (!json_is_integer(value))
		return bh_fault_note(
			fault, path, "must be an integer, not %s", bh_json_kind(value));
	if (number < 0 || number > PRIORITY_MAX)
		return bh_fault_note(fault, path,
			"%" JSON_INTEGER_FORMAT " is not between 0 and %d", number, PRIORITY_MAX);
	*priority = (int)number;
	return true;
}

static bool parse_subject(struct parser *parser, struct bh_fault *fault, const struct bh_path *path,
	const json_t *value)
{
	static const char *const fields[] = {"namespaces", "pods", NULL};
	struct pods pods;

	if (!value)
		return bh_fault_note(fault, path, "is missing");
	const char *kind = read_only_field(fault, path, value, fields, "namespaces, pods");

	if (!kind || !parse_pods(parser, fault, BH_FIELD(path, kind), bh_read_field(value, kind),
			     !strcmp(kind, "namespaces"), &pods))
		return false;
	parser->policy->subject_namespaces = pods.namespaces;
	parser->policy->subjects = pods.pods;
	return true;
}

/* What becomes of the rules if what is around them is not understood: cnp.h. */
static void close_policy(struct parser *parser, const struct bh_fault *fault)
{
	struct bh_netpol *policy = parser->policy;

	for (int direction = BH_INGRESS; direction <= BH_EGRESS; direction++) {
		for (size_t i = 0; i < policy->n_rules[direction]; i++) {
			struct bh_netpol_rule *rule = &policy->rules[direction][i];

			if (rule->action == BH_ACTION_DENY)
				continue;
			rule->never = true;
			rule->n_peers = rule->n_ports = 0;
		}
	}
	note(parser, "invalid-policy",
		"%s; until that is mended its Accept and Pass rules match nothing, and its Deny "
		"rules hold%s in the %s tier",
		fault->text, policy->priority < 0 ? " before all others" : "",
		bh_tier_name(policy->tier));
}

static void name_rules(struct parser *parser)
{
	struct bh_netpol *policy = parser->policy;

	for (int direction = BH_INGRESS; direction <= BH_EGRESS; direction++) {
		for (size_t i = 0; i < policy->n_rules[direction]; i++) {
			struct bh_netpol_rule *rule = &policy->rules[direction][i];
			const char *name = rule->text;

			rule->text = bh_grammar_rule_text(parser->arena, "", rule,
				(enum bh_direction)direction,
				"ClusterNetworkPolicy %s %s[%zu] (%s, priority %d%s%s): %s",
				policy->name, direction == BH_EGRESS ? "egress" : "ingress", i,
				bh_tier_name(policy->tier), policy->priority, name ? ", " : "",
				name ? name : "", bh_action_name(rule->action));
		}
	}
}

void bh_cnp_parse(struct bh_netpol *policy, const json_t *spec)
{
	static const char *const fields[] = {
		"tier", "priority", "subject", "ingress", "egress", NULL};
	const struct bh_path *path = BH_FIELD(NULL, "spec");
	struct parser parser = {.policy = policy, .arena = &policy->arena};
	struct bh_fault fault = {0}, subject_fault = {0};

	policy->tier = BH_TIER_ADMIN;
	policy->priority = -1;
	policy->subjects.text = policy->subject_namespaces.text = "";
	if (spec)
		bh_read_object(&fault, path, spec, fields);
	parse_tier(&fault, BH_FIELD(path, "tier"), bh_read_field(spec, "tier"), &policy->tier);
	parse_priority(&fault, BH_FIELD(path, "priority"), bh_read_field(spec, "priority"),
		&policy->priority);
	parse_rules(&parser, &fault, BH_FIELD(path, "ingress"), bh_read_field(spec, "ingress"),
		BH_INGRESS);
	parse_rules(&parser, &fault, BH_FIELD(path, "egress"), bh_read_field(spec, "egress"),
		BH_EGRESS);
	if (!parse_subject(&parser, &subject_fault, BH_FIELD(path, "subject"),
		    bh_read_field(spec, "subject"))) {
		policy->selects_nobody = true;
		note(&parser, "invalid-policy",
			"%s; whom it is about is not known, and until that is mended it has no "
			"effect",
			subject_fault.text);
	}
	if (fault.set)
		close_policy(&parser, &fault);
	name_rules(&parser);
}
