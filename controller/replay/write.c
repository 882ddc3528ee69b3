/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/write.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <time.h>

#include "controller/model/memory.h"
#include "controller/replay/backends.h"
#include "proto/cleanup.h"

#define NAME_MAX_LENGTH 200
/* Conversations named in a rule's comment; the rest is counted. */
#define COMMENTS_MAX 20

struct port {
	uint8_t protocol;
	uint16_t port;
};

/* One peer, or several that go together, and what was seen of them. */
struct entry {
	bool egress;
	json_t *peers;
	char *text; /* of the peers, canonical */
	bool every_port;
	size_t n_ports; /* sorted, distinct */
	size_t ports_room;
	struct port *ports;
	size_t n_comments;
	size_t comments_room;
	char **comments;
};

struct bh_writer {
	const struct bh_desired_workload *subject;
	const struct bh_replay_labels *labels;
	size_t n;
	size_t capacity;
	struct entry *entries;
};

/* ---- Pieces ---------------------------------------------------------------------------------- */

json_t *bh_write_selector(const struct bh_replay_labels *labels)
{
	json_t *match = json_object();

	if (!labels->n) {
		json_decref(match);
		return json_object();
	}
	for (size_t i = 0; i < labels->n; i++)
		json_object_set_new(
			match, labels->items[i].key, json_string(labels->items[i].value));
	return json_pack("{s:o}", "matchLabels", match);
}

static void add_block(json_t *peers, const struct bh_ip *ip, unsigned int bits)
{
	char address[BH_IP_TEXT_MAX];

	json_array_append_new(
		peers, json_pack("{s:{s:o}}", "ipBlock", "cidr",
			       json_sprintf("%s/%u", bh_ip_format(ip, address), bits)));
}

static void add_node(json_t *peers, const struct bh_model *model, const char *name)
{
	const struct bh_node *node;
	const struct bh_ip *ips;
	size_t n = bh_model_host_addresses(model, &ips);

	if (!strcmp(name, bh_model_node_name(model))) {
		for (size_t i = 0; i < n; i++)
			add_block(peers, &ips[i], bh_ip_bits(&ips[i]));
	}
	for (size_t at = 0; (node = bh_model_next_node(model, &at));) {
		for (size_t i = 0; !strcmp(node->name, name) && i < node->n_ips; i++)
			add_block(peers, &node->ips[i], bh_ip_bits(&node->ips[i]));
	}
}

static int compare_peers(const void *a, const void *b)
{
	_cleanup_free_ char *x = json_dumps(*(json_t *const *)a, JSON_SORT_KEYS);
	_cleanup_free_ char *y = json_dumps(*(json_t *const *)b, JSON_SORT_KEYS);

	return strcmp(x ? x : "", y ? y : "");
}

/* In a stable order, each once. */
static json_t *sort_peers(json_t *peers)
{
	size_t n = json_array_size(peers);
	_cleanup_free_ json_t **all = bh_xcalloc(n, sizeof(*all));
	json_t *sorted = json_array();

	for (size_t i = 0; i < n; i++)
		all[i] = json_array_get(peers, i);
	if (n)
		qsort(all, n, sizeof(*all), compare_peers);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !json_equal(all[i - 1], all[i]))
			json_array_append(sorted, all[i]);
	}
	json_decref(peers);
	return sorted;
}

json_t *bh_write_blocks(const struct bh_model *model, const struct bh_replay_edge *edge,
	const struct bh_desired_workload *end)
{
	json_t *peers = json_array();
	struct bh_ip anyone = {.family = edge->family == 6 ? 6 : 4};

	if (!strcmp(end->kind, "Node"))
		add_node(peers, model, end->name);
	for (size_t i = 0; i < edge->n_blocks; i++)
		add_block(peers, &edge->blocks[i].ip, edge->blocks[i].bits);
	if (json_array_size(peers) == 0) {
		if (end->name[0] && bh_replay_is_world(end))
			json_array_append_new(
				peers, json_pack("{s:{s:s}}", "ipBlock", "cidr", end->name));
		else
			add_block(peers, &anyone, 0);
	}
	return sort_peers(peers);
}

/* ---- Collecting ------------------------------------------------------------------------------ */

struct bh_writer *bh_writer_new(
	const struct bh_desired_workload *subject, const struct bh_replay_labels *labels)
{
	struct bh_writer *writer = bh_xcalloc(1, sizeof(*writer));

	writer->subject = subject;
	writer->labels = labels;
	return writer;
}

static struct entry *entry_of(struct bh_writer *writer, bool egress, json_t *peers)
{
	char *text = json_dumps(peers, JSON_COMPACT | JSON_SORT_KEYS);
	struct entry *entry;

	if (!text)
		abort();
	for (size_t i = 0; i < writer->n; i++) {
		entry = &writer->entries[i];
		if (entry->egress == egress && !strcmp(entry->text, text)) {
			free(text);
			return entry;
		}
	}
	bh_xgrow(writer->entries, writer->n, writer->capacity);
	entry = &writer->entries[writer->n++];
	*entry = (struct entry){.egress = egress, .peers = json_incref(peers), .text = text};
	return entry;
}

static int compare_ports(const struct port *a, const struct port *b)
{
	if (a->protocol != b->protocol)
		return a->protocol < b->protocol ? -1 : 1;
	return (a->port > b->port) - (a->port < b->port);
}

static void add_port(struct entry *entry, uint8_t protocol, uint16_t port)
{
	const struct port added = {protocol, port};
	size_t at = 0;

	while (at < entry->n_ports && compare_ports(&entry->ports[at], &added) < 0)
		at++;
	if (at < entry->n_ports && compare_ports(&entry->ports[at], &added) == 0)
		return;
	bh_xgrow(entry->ports, entry->n_ports, entry->ports_room);
	memmove(&entry->ports[at + 1], &entry->ports[at],
		(entry->n_ports - at) * sizeof(*entry->ports));
	entry->ports[at] = added;
	entry->n_ports++;
}

/* Nothing that could end the line, or the comment. */
static void make_harmless(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (*c < ' ' || *c >= 0x7f)
			*c = '?';
	}
}

static const char *time_text(uint64_t ns, char text[32])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return "";
	return text;
}

/* " through shop/Service/db 5432", or "". */
static char *through(const struct bh_replay_edge *edge)
{
	if (!bh_replay_is_service(edge->server))
		return bh_xstrdup("");
	return bh_xasprintf(" through %s/%s/%s %u", edge->server->namespace, edge->server->kind,
		edge->server->name, edge->port);
}

static void add_comment(
	struct entry *entry, const struct bh_replay_edge *edge, const struct bh_suggest_edge *seen)
{
	_cleanup_free_ char *service = through(seen->edge);
	const struct bh_desired_workload *other = entry->egress ? edge->server : edge->client;
	const char *protocol = bh_protocol_name(edge->protocol);
	char number[8], port[8], last[32];
	char *text;

	snprintf(number, sizeof(number), "%u", edge->protocol);
	snprintf(port, sizeof(port), " %u", edge->port);
	text = bh_xasprintf("%s %s%s%s%s%s: %s%s%s, %llu flows, last %s (%s)",
		entry->egress ? "to" : "from", other->namespace, other->namespace[0] ? "/" : "",
		other->kind, other->name[0] ? "/" : "", other->name, protocol ? protocol : number,
		bh_replay_has_ports(edge->protocol) ? port : "", service,
		(unsigned long long)edge->flows, time_text(edge->last_ns, last), seen->id);
	make_harmless(text);
	bh_xgrow(entry->comments, entry->n_comments, entry->comments_room);
	entry->comments[entry->n_comments++] = text;
}

void bh_writer_add(struct bh_writer *writer, bool egress, json_t *peers,
	const struct bh_replay_edge *edge, const struct bh_suggest_edge *seen)
{
	struct entry *entry = entry_of(writer, egress, peers);

	add_comment(entry, edge, seen);
	/* Of a conversation with more ports than are counted one by one any may be meant. */
	if (!bh_replay_has_ports(edge->protocol) || edge->port == 0) {
		entry->every_port = true;
		return;
	}
	add_port(entry, edge->protocol, edge->port);
	/* A resolver whose answer is too long for UDP asks again over TCP (RFC 7766). */
	if (edge->port == 53 && edge->protocol != IPPROTO_SCTP) {
		add_port(entry, IPPROTO_UDP, 53);
		add_port(entry, IPPROTO_TCP, 53);
	}
}

/* ---- Rules ----------------------------------------------------------------------------------- */

static bool same_ports(const struct entry *a, const struct entry *b)
{
	if (a->egress != b->egress || a->every_port != b->every_port)
		return false;
	if (a->every_port)
		return true;
	return a->n_ports == b->n_ports &&
	       !memcmp(a->ports, b->ports, a->n_ports * sizeof(*a->ports));
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->text, ((const struct entry *)b)->text);
}

static void free_entry(struct entry *entry)
{
	json_decref(entry->peers);
	free(entry->text);
	free(entry->ports);
	for (size_t i = 0; i < entry->n_comments; i++)
		free(entry->comments[i]);
	free(entry->comments);
}

/* Takes `from` into `to`. */
static void join(struct entry *to, struct entry *from)
{
	json_array_extend(to->peers, from->peers);
	to->peers = sort_peers(to->peers);
	for (size_t i = 0; i < from->n_comments; i++) {
		bh_xgrow(to->comments, to->n_comments, to->comments_room);
		to->comments[to->n_comments++] = from->comments[i];
	}
	from->n_comments = 0;
	free_entry(from);
}

static void join_entries(struct bh_writer *writer)
{
	size_t kept = 0;

	if (writer->n)
		qsort(writer->entries, writer->n, sizeof(*writer->entries), compare_entries);
	for (size_t i = 0; i < writer->n; i++) {
		size_t j;

		for (j = 0; j < kept && !same_ports(&writer->entries[j], &writer->entries[i]); j++)
			;
		if (j < kept) {
			join(&writer->entries[j], &writer->entries[i]);
			continue;
		}
		/* Peers are extended: they must be nobody else's. */
		writer->entries[kept] = writer->entries[i];
		json_t *own = json_copy(writer->entries[kept].peers);

		json_decref(writer->entries[kept].peers);
		writer->entries[kept++].peers = own;
	}
	writer->n = kept;
}

static json_t *ports_of(const struct entry *entry)
{
	json_t *ports = json_array();

	for (size_t i = 0; i < entry->n_ports; i++)
		json_array_append_new(ports, json_pack("{s:s, s:i}", "protocol",
						     bh_protocol_name(entry->ports[i].protocol),
						     "port", entry->ports[i].port));
	return ports;
}

static json_t *rules_of(const struct bh_writer *writer, bool egress)
{
	json_t *rules = json_array();

	for (size_t i = 0; i < writer->n; i++) {
		const struct entry *entry = &writer->entries[i];
		json_t *rule;

		if (entry->egress != egress)
			continue;
		rule = json_pack("{s:O}", egress ? "to" : "from", entry->peers);
		if (!entry->every_port)
			json_object_set_new(rule, "ports", ports_of(entry));
		json_array_append_new(rules, rule);
	}
	return rules;
}

/* A name that Kubernetes takes (DNS-1123), whatever the workload is called. */
static char *name_of(const struct bh_desired_workload *subject)
{
	char *name = bh_xasprintf("suggested-%s-%s", subject->kind, subject->name);
	size_t length = strlen(name);

	if (length > NAME_MAX_LENGTH)
		name[length = NAME_MAX_LENGTH] = '\0';
	for (char *c = name; *c; c++)
		*c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
	while (length && name[length - 1] == '-')
		name[--length] = '\0';
	return name;
}

static json_t *manifest_of(const struct bh_writer *writer, const char *name)
{
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:o, s:[ss], s:o, s:o}}", "apiVersion",
		"networking.k8s.io/v1", "kind", "NetworkPolicy", "metadata", "name", name,
		"namespace", writer->subject->namespace, "spec", "podSelector",
		bh_write_selector(writer->labels), "policyTypes", "Ingress", "Egress", "ingress",
		rules_of(writer, false), "egress", rules_of(writer, true));
}

/* ---- YAML ------------------------------------------------------------------------------------ */

static void put(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(FILE *out, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(out, format, arguments);
	va_end(arguments);
}

/* Any JSON value on the rest of the line: flow style, which YAML takes as it is. */
static void put_json(FILE *out, const json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	put(out, "%s\n", text ? text : "null");
}

static void put_rules(FILE *out, const struct bh_writer *writer, bool egress)
{
	bool any = false;

	for (size_t i = 0; i < writer->n; i++) {
		const struct entry *entry = &writer->entries[i];
		json_t *item;
		size_t j;

		if (entry->egress != egress)
			continue;
		if (!any)
			put(out, "  %s:\n", egress ? "egress" : "ingress");
		any = true;
		for (j = 0; j < entry->n_comments && j < COMMENTS_MAX; j++)
			put(out, "    # %s\n", entry->comments[j]);
		if (entry->n_comments > j)
			put(out, "    # … and %zu more\n", entry->n_comments - j);
		put(out, "    - %s:\n", egress ? "to" : "from");
		json_array_foreach(entry->peers, j, item)
		{
			put(out, "        - ");
			put_json(out, item);
		}
		if (entry->every_port)
			continue;
		json_t *ports = ports_of(entry);

		put(out, "      ports:\n");
		json_array_foreach(ports, j, item)
		{
			put(out, "        - ");
			put_json(out, item);
		}
		json_decref(ports);
	}
	if (!any)
		put(out, "  %s: []\n", egress ? "egress" : "ingress");
}

static char *yaml_of(const struct bh_writer *writer, const json_t *manifest)
{
	const json_t *metadata = json_object_get(manifest, "metadata");
	json_t *selector = bh_write_selector(writer->labels);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	put(out, "---\n# Suggested from what was seen. Probes of a pod's own node pass without a "
		 "rule.\n");
	if (writer->labels->others)
		put(out, "# These labels select pods of other workloads too: they get these rules "
			 "as well.\n");
	put(out, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: ");
	put_json(out, json_object_get(metadata, "name"));
	put(out, "  namespace: ");
	put_json(out, json_object_get(metadata, "namespace"));
	put(out, "spec:\n  podSelector: ");
	put_json(out, selector);
	put(out, "  policyTypes: [\"Ingress\", \"Egress\"]\n");
	put_rules(out, writer, false);
	put_rules(out, writer, true);
	json_decref(selector);
	if (fclose(out) == EOF)
		abort();
	return text;
}

void bh_writer_finish(
	struct bh_writer *writer, struct bh_arena *arena, struct bh_suggest_policy *ret_policy)
{
	_cleanup_free_ char *name = name_of(writer->subject);
	_cleanup_free_ char *yaml = NULL;

	join_entries(writer);
	*ret_policy = (struct bh_suggest_policy){
		.namespace = writer->subject->namespace,
		.name = bh_arena_strdup(arena, name),
		.manifest = manifest_of(writer, name),
	};
	if (!ret_policy->manifest)
		abort(); /* names were UTF-8 when they became the model's */
	yaml = yaml_of(writer, ret_policy->manifest);
	ret_policy->yaml = bh_arena_strdup(arena, yaml);
	for (size_t i = 0; i < writer->n; i++)
		free_entry(&writer->entries[i]);
	free(writer->entries);
	free(writer);
}
