/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The policies that would allow one conversation: for each end that denies it, a NetworkPolicy of
 * its own beside those there are. Policies add up, so nothing has to be edited, and whoever applies
 * one can take exactly it away again.
 */

#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controller/api/view.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/text.h"
#include "proto/cleanup.h"

#define NAME_MAX_LENGTH 63

/* Labels that the orchestrator gives and takes with each roll-out: a selector must not hold them.
 */
static const char *const passing_labels[] = {
	"pod-template-hash",
	"controller-revision-hash",
	"pod-template-generation",
	"statefulset.kubernetes.io/pod-name",
	"apps.kubernetes.io/pod-index",
	"batch.kubernetes.io/controller-uid",
	"controller-uid",
	"batch.kubernetes.io/job-completion-index",
};

struct making {
	struct bh_view *view;
	const struct bh_conversation *conversation;
	json_t *policies;
	json_t *notes;
};

static void __attribute__((format(printf, 2, 3)))
note(struct making *making, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	json_array_append_new(making->notes, bh_json_text(text));
}

/* ---- Selectors ------------------------------------------------------------------------------- */

static bool is_passing(const char *key)
{
	for (size_t i = 0; i < sizeof(passing_labels) / sizeof(passing_labels[0]); i++) {
		if (strcmp(passing_labels[i], key) == 0)
			return true;
	}
	return false;
}

/* True if a selector may hold it (Kubernetes' own rule); a manifest may hold anything. */
static bool is_word(const char *text, size_t n, size_t max)
{
	static const char inner[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	static const char outer[] = "-_.";

	return n > 0 && n <= max && strspn(text, inner) >= n && !strchr(outer, text[0]) &&
	       !strchr(outer, text[n - 1]);
}

static bool is_selectable(const struct bh_label *label)
{
	const char *slash = strchr(label->key, '/');
	const char *name = slash ? slash + 1 : label->key;

	return (!slash || is_word(label->key, (size_t)(slash - label->key), 253)) &&
	       is_word(name, strlen(name), 63) &&
	       (!*label->value || is_word(label->value, strlen(label->value), 63));
}

/* The labels that all pods of the workload share. */
static json_t *shared_labels(const struct bh_party *party)
{
	json_t *labels = json_object();

	for (size_t i = 0; party->n_labels && i < party->labels[0]->n; i++) {
		const struct bh_label *label = &party->labels[0]->items[i];
		bool everywhere = !is_passing(label->key) && is_selectable(label);

		for (size_t j = 1; j < party->n_labels && everywhere; j++) {
			const char *other = bh_labels_get(party->labels[j], label->key);

			everywhere = other && strcmp(other, label->value) == 0;
		}
		if (everywhere)
			bh_json_set_text(labels, label->key, label->value);
	}
	return labels;
}

static bool selects(const json_t *labels, const struct bh_labels *of)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)labels, key, value)
	{
		const char *found = bh_labels_get(of, key);

		if (!found || strcmp(found, json_string_value(value)) != 0)
			return false;
	}
	return true;
}

static bool selects_any(const json_t *labels, const struct bh_party *party)
{
	for (size_t i = 0; i < party->n_labels; i++) {
		if (selects(labels, party->labels[i]))
			return true;
	}
	return false;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(
		(*(const struct bh_party *const *)a)->id, (*(const struct bh_party *const *)b)->id);
}

/* Says whom the selector takes along. */
static void note_others(struct making *making, const struct bh_party *party, const json_t *labels)
{
	_cleanup_free_ const struct bh_party **others = NULL;
	size_t n = 0, capacity = 0;
	const struct bh_party *other;

	for (size_t at = 0; (other = bh_world_next(making->view->world, &at));) {
		if (other == party || strcmp(other->namespace, party->namespace) != 0 ||
			!selects_any(labels, other))
			continue;
		bh_xgrow(others, n, capacity);
		others[n++] = other;
	}
	if (n)
		qsort(others, n, sizeof(*others), compare_ids);
	for (size_t i = 0; i < n; i++)
		note(making,
			"the labels of %s are also on pods of %s, which the policy takes along",
			party->id, others[i]->id);
}

/* A podSelector's content for the workload; says so where it takes more than that. */
static json_t *pod_selector(struct making *making, const struct bh_party *party)
{
	json_t *labels = shared_labels(party);

	if (json_object_size(labels) == 0) {
		json_decref(labels);
		note(making,
			"the pods of %s share no label (or are gone): the policy names all pods "
			"of namespace %s",
			party->id, party->namespace);
		return json_object();
	}
	note_others(making, party, labels);
	return json_pack("{s:o}", "matchLabels", labels);
}

static json_t *namespace_selector(const char *namespace)
{
	return json_pack(
		"{s:{s:o}}", "matchLabels", "kubernetes.io/metadata.name", bh_json_text(namespace));
}

/* The other end as a peer of a rule. */
static json_t *peer_of(struct making *making, const struct bh_party *subject,
	const struct bh_party *peer, uint8_t family)
{
	json_t *object = json_object();

	if (peer->is_namespace) {
		note(making, "all of namespace %s: what lies in it may not be told to this token",
			peer->namespace);
		json_object_set_new(
			object, "namespaceSelector", namespace_selector(peer->namespace));
	} else if (*peer->namespace) {
		if (strcmp(peer->namespace, subject->namespace) != 0)
			json_object_set_new(
				object, "namespaceSelector", namespace_selector(peer->namespace));
		json_object_set_new(object, "podSelector", pod_selector(making, peer));
	} else {
		bool block = strcmp(peer->kind, "World") == 0 && strchr(peer->name, '/');
		const char *everywhere = family == 6 ? "::/0" : "0.0.0.0/0";

		if (!block)
			note(making,
				"%s is no pod: the policy names every %s address; narrow it down "
				"to those that are meant ('bulkhead flows' has them)",
				peer->id, family == 6 ? "IPv6" : "IPv4");
		json_object_set_new(object, "ipBlock",
			json_pack("{s:o}", "cidr", bh_json_text(block ? peer->name : everywhere)));
	}
	return object;
}

/* ---- The policy ------------------------------------------------------------------------------ */

static json_t *ports_of(struct making *making)
{
	const struct bh_conversation *conversation = making->conversation;
	char protocol[BH_PROTOCOL_TEXT_MAX];

	bh_protocol_word(conversation->protocol, protocol);
	if (conversation->protocol != IPPROTO_TCP && conversation->protocol != IPPROTO_UDP &&
		conversation->protocol != IPPROTO_SCTP) {
		note(making,
			"a NetworkPolicy cannot name %s: the rule allows every protocol and port",
			protocol);
		return NULL;
	}
	if (conversation->port == 0) {
		note(making,
			"there were so many ports that they are counted together: the rule "
			"allows all of %s",
			protocol);
		return json_pack("[{s:s}]", "protocol", protocol);
	}
	return json_pack("[{s:s, s:i}]", "protocol", protocol, "port", (int)conversation->port);
}

/* A DNS label: "allow-front-to-orders-5432". */
static char *policy_name(const struct bh_conversation *conversation, bool egress)
{
	char *name = bh_xasprintf("allow-%s-%s-%.24s-%u", egress ? "to" : "from",
		egress ? conversation->server->name : conversation->client->name,
		egress ? conversation->client->name : conversation->server->name,
		conversation->port);
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		name[i] = (char)tolower((unsigned char)name[i]);
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name[i]))
			name[i] = '-';
	}
	if (n > NAME_MAX_LENGTH)
		n = NAME_MAX_LENGTH;
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	return name;
}

static json_t *policy_of(struct making *making, bool egress, uint8_t family)
{
	const struct bh_conversation *conversation = making->conversation;
	const struct bh_party *subject = egress ? conversation->client : conversation->server;
	const struct bh_party *peer = egress ? conversation->server : conversation->client;
	_cleanup_free_ char *name = policy_name(conversation, egress);
	json_t *rule = json_object();
	json_t *ports = ports_of(making);

	json_object_set_new(rule, egress ? "to" : "from",
		json_pack("[o]", peer_of(making, subject, peer, family)));
	if (ports)
		json_object_set_new(rule, "ports", ports);
	return json_pack("{s:s, s:s, s:{s:o, s:o}, s:{s:o, s:[s], s:[o]}}", "apiVersion",
		"networking.k8s.io/v1", "kind", "NetworkPolicy", "metadata", "name",
		bh_json_text(name), "namespace", bh_json_text(subject->namespace), "spec",
		"podSelector", pod_selector(making, subject), "policyTypes",
		egress ? "Egress" : "Ingress", egress ? "egress" : "ingress", rule);
}

/* One end's part of it, if it denies. */
static void allow_at(struct making *making, const struct bh_history_edge *row)
{
	const struct bh_conversation *conversation = making->conversation;
	bool egress = row && row->key.egress;
	bool hidden = egress ? conversation->client_hidden : conversation->server_hidden;
	const char *word;

	if (!row || (!bh_reason_drops(row->key.verdict) && !bh_reason_drops(row->key.pending)))
		return;
	if (hidden) {
		note(making, "the %s of namespace %s denies it: its owner has to allow it there",
			egress ? "egress" : "ingress",
			egress ? conversation->client->namespace : conversation->server->namespace);
		return;
	}
	word = bh_reason_word(
		bh_reason_drops(row->key.verdict) ? row->key.verdict : row->key.pending);
	if (strcmp(word, "isolated") != 0) {
		note(making, "no policy can allow what is denied as '%s': %s", word,
			bh_view_row_text(making->view, row, !bh_reason_drops(row->key.verdict)));
		return;
	}
	if ((egress ? conversation->client : conversation->server)->quarantined)
		note(making, "a pod of %s is in quarantine, which no policy ends",
			(egress ? conversation->client : conversation->server)->id);
	json_array_append_new(making->policies, policy_of(making, egress, row->key.family));
}

/* ---- YAML ------------------------------------------------------------------------------------ */

static void yaml_value(struct bh_text *to, const json_t *value, int depth, bool in_list);

static void yaml_indent(struct bh_text *to, int depth)
{
	for (int i = 0; i < depth; i++)
		bh_text_add(to, "  ");
}

/* Every text in quotes, as in JSON, which is YAML: nothing in it can mean anything. */
static void yaml_scalar(struct bh_text *to, const json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_ENCODE_ANY);

	bh_text_format(to, " %s\n", text);
}

static void yaml_member(struct bh_text *to, const json_t *value, int depth)
{
	size_t n = json_is_object(value) ? json_object_size(value) : json_array_size(value);

	if (!json_is_object(value) && !json_is_array(value)) {
		yaml_scalar(to, value);
	} else if (n == 0) {
		bh_text_add(to, json_is_object(value) ? " {}\n" : " []\n");
	} else {
		bh_text_add(to, "\n");
		yaml_value(to, value, depth, false);
	}
}

/* Bare where that is sure to be a text: YAML 1.1 takes "y", "no" and their like for booleans. */
static void yaml_key(struct bh_text *to, const char *key)
{
	static const char *const bare[] = {"apiVersion", "kind", "metadata", "name", "namespace",
		"spec", "podSelector", "namespaceSelector", "matchLabels", "policyTypes", "egress",
		"ingress", "from", "to", "ports", "port", "protocol", "ipBlock", "cidr", "app"};
	json_t *name = json_string(key);
	_cleanup_free_ char *quoted = json_dumps(name, JSON_ENCODE_ANY);

	json_decref(name);
	for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++) {
		if (strcmp(bare[i], key) == 0) {
			bh_text_format(to, "%s:", key);
			return;
		}
	}
	bh_text_format(to, "%s:", quoted);
}

static void yaml_value(struct bh_text *to, const json_t *value, int depth, bool in_list)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, item)
		{
			if (!in_list)
				yaml_indent(to, depth);
			in_list = false;
			yaml_key(to, key);
			yaml_member(to, item, depth + 1);
		}
		return;
	}
	json_array_foreach(value, i, item)
	{
		yaml_indent(to, depth);
		if (json_is_object(item) && json_object_size(item)) {
			bh_text_add(to, "- ");
			yaml_value(to, item, depth + 1, true);
		} else {
			bh_text_add(to, "-");
			yaml_member(to, item, depth + 1);
		}
	}
}

static json_t *yaml_of(const json_t *policies)
{
	struct bh_text text = {0};
	const json_t *policy;
	json_t *result;
	size_t i;

	json_array_foreach(policies, i, policy)
	{
		if (i > 0)
			bh_text_add(&text, "---\n");
		yaml_value(&text, policy, 0, false);
	}
	result = bh_json_text(text.data ? text.data : "");
	bh_text_clear(&text);
	return result;
}

/* ---- The command ----------------------------------------------------------------------------- */

static json_t *allowance(struct bh_view *view, const struct bh_conversation *conversation)
{
	struct making making = {
		.view = view,
		.conversation = conversation,
		.policies = json_array(),
		.notes = json_array(),
	};
	char id[BH_CONVERSATION_ID_MAX];

	allow_at(&making, conversation->egress);
	allow_at(&making, conversation->ingress);
	return json_pack("{s:b, s:s, s:b, s:o, s:o, s:o}", "ok", 1, "edge",
		bh_conversation_id(conversation, id), "needed",
		conversation->denied || conversation->would_deny, "yaml", yaml_of(making.policies),
		"policies", making.policies, "notes", making.notes);
}

json_t *bh_api_allow(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(bh_view_clear) struct bh_view view = {.api = api, .sight = call->sight};
	const struct bh_conversation *conversation;
	const char *id;
	json_t *error = bh_view_window(call->request, "from", "to", &view.window);

	error = error ?: bh_api_needed(call->request, "edge", &id);
	if (error)
		return error;
	if (!bh_view_ask(&view, call, BH_VIEW_WORKLOADS, NULL, &error))
		return NULL;
	if (error)
		return error;
	bh_view_fill(&view, BH_VIEW_WORKLOADS, true);
	conversation = bh_conversations_find(&view.conversations, id);
	return conversation ? allowance(&view, conversation)
			    : bh_api_missing("there is no conversation '%.64s'", id);
}
