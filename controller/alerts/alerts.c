/* SPDX-License-Identifier: Apache-2.0 */

/* The book of alerts: one for each kind, source and target; opened, counted, seen to, forgotten. */

#include "controller/alerts/alerts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controller/alerts/internal.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define SECOND 1000000000ull
#define COUNT(words) (sizeof(words) / sizeof((words)[0]))

static const char *const kind_words[] = {
	[BH_ALERT_NEW_EDGE] = "new-edge",
	[BH_ALERT_FIRST_WORLD] = "first-world",
	[BH_ALERT_PORT_SCAN] = "port-scan",
	[BH_ALERT_LATERAL_MOVEMENT] = "lateral-movement",
	[BH_ALERT_PLAINTEXT_DATABASE] = "plaintext-database",
};
_Static_assert(COUNT(kind_words) == BH_ALERT_KINDS, "each has a word");

static const char *const severity_words[] = {
	[BH_ALERT_INFO] = "info",
	[BH_ALERT_WARNING] = "warning",
	[BH_ALERT_HIGH] = "high",
};

static const char *const verdict_words[] = {
	[BH_ALERT_ALLOWED] = "allowed",
	[BH_ALERT_WOULD_DENY] = "would-deny",
	[BH_ALERT_DENIED] = "denied",
	[BH_ALERT_REFUSED] = "refused",
};

const char *bh_alert_kind_word(enum bh_alert_kind kind)
{
	return kind_words[kind];
}

const char *bh_alert_severity_word(enum bh_alert_severity severity)
{
	return severity_words[severity];
}

const char *bh_alert_verdict_word(enum bh_alert_verdict verdict)
{
	return verdict_words[verdict];
}

int bh_alert_kind_parse(const char *word)
{
	for (size_t i = 0; i < COUNT(kind_words); i++) {
		if (strcmp(kind_words[i], word) == 0)
			return (int)i;
	}
	return -1;
}

/* ---- New and free ---------------------------------------------------------------------------- */

struct bh_alerts *bh_alerts_new(const struct bh_alerts_config *config, uint64_t now_ns)
{
	struct bh_alerts *alerts = bh_xcalloc(1, sizeof(*alerts));

	alerts->config = *config;
	alerts->learning_since_ns = now_ns;
	alerts->next_id = now_ns;
	alerts->ports = bh_sightings_new(config->window_s * SECOND);
	alerts->hosts = bh_sightings_new(config->window_s * SECOND);
	return alerts;
}

static void free_all(struct bh_table *table)
{
	void *value;

	for (size_t at = 0; (value = bh_table_next(table, &at));)
		free(value);
	bh_table_clear(table);
}

void bh_alert_free(struct bh_alert *alert)
{
	for (size_t i = 0; i < alert->n_evidence; i++) {
		free(alert->evidence[i].source_pod);
		free(alert->evidence[i].destination_pod);
		free(alert->evidence[i].destination.namespace);
	}
	free(alert->source.namespace);
	free(alert->target.namespace);
	free(alert->distinct);
	free(alert->key);
	free(alert);
}

void bh_alerts_free(struct bh_alerts *alerts)
{
	struct bh_baseline *baseline;
	struct bh_alert *alert;

	if (!alerts)
		return;
	for (size_t at = 0; (alert = bh_table_next(&alerts->by_key, &at));)
		bh_alert_free(alert);
	bh_table_clear(&alerts->by_key);
	for (size_t at = 0; (baseline = bh_table_next(&alerts->baselines, &at));)
		bh_baseline_free(baseline);
	bh_table_clear(&alerts->baselines);
	free_all(&alerts->speakers);
	free_all(&alerts->rows);
	bh_sightings_free(alerts->ports);
	bh_sightings_free(alerts->hosts);
	free(alerts);
}

/* ---- Names ----------------------------------------------------------------------------------- */

struct bh_alert_party bh_alert_party_of(const struct bh_workload_name *name)
{
	size_t sizes[3] = {
		strlen(name->namespace) + 1, strlen(name->kind) + 1, strlen(name->name) + 1};
	char *block = bh_xcalloc(1, sizes[0] + sizes[1] + sizes[2]);

	memcpy(block, name->namespace, sizes[0]);
	memcpy(block + sizes[0], name->kind, sizes[1]);
	memcpy(block + sizes[0] + sizes[1], name->name, sizes[2]);
	return (struct bh_alert_party){
		.number = name->number,
		.namespace = block,
		.kind = block + sizes[0],
		.name = block + sizes[0] + sizes[1],
	};
}

/* Neither namespaces nor kinds hold a slash, so this is one way to read only. */
static char *key_of(enum bh_alert_kind kind, const struct bh_workload_name *source,
	const struct bh_workload_name *target)
{
	/* Whoever never spoke to the world speaks to it once for the first time. */
	if (!target || kind == BH_ALERT_FIRST_WORLD)
		return bh_xasprintf("%s\n%s/%s/%s", kind_words[kind], source->namespace,
			source->kind, source->name);
	return bh_xasprintf("%s\n%s/%s/%s\n%s/%s/%s", kind_words[kind], source->namespace,
		source->kind, source->name, target->namespace, target->kind, target->name);
}

static struct bh_workload_name name_of(const struct bh_alert_party *party)
{
	return (struct bh_workload_name){party->number, party->namespace, party->kind, party->name};
}

void bh_alert_identify(struct bh_alert *alert)
{
	struct bh_workload_name source = name_of(&alert->source);
	struct bh_workload_name target = name_of(&alert->target);

	free(alert->key);
	alert->key = key_of(alert->kind, &source, target.namespace ? &target : NULL);
}

/* ---- The book -------------------------------------------------------------------------------- */

size_t bh_alerts_count(const struct bh_alerts *alerts)
{
	return alerts->by_key.n;
}

const struct bh_alert *bh_alerts_next(const struct bh_alerts *alerts, size_t *position)
{
	return bh_table_next(&alerts->by_key, position);
}

uint64_t bh_alerts_changed(const struct bh_alerts *alerts)
{
	return alerts->changed;
}

uint64_t bh_alerts_dropped(const struct bh_alerts *alerts)
{
	return alerts->dropped;
}

static struct bh_alert *find(const struct bh_alerts *alerts, const char *id)
{
	struct bh_alert *alert;

	for (size_t at = 0; (alert = bh_table_next(&alerts->by_key, &at));) {
		if (strcmp(alert->id, id) == 0)
			return alert;
	}
	return NULL;
}

const struct bh_alert *bh_alerts_find(const struct bh_alerts *alerts, const char *id)
{
	return find(alerts, id);
}

struct bh_alert *bh_alert_of(const struct bh_alerts *alerts, enum bh_alert_kind kind,
	const struct bh_workload_name *source, const struct bh_workload_name *target)
{
	_cleanup_free_ char *key = key_of(kind, source, target);

	return bh_table_get(&alerts->by_key, key, strlen(key));
}

static void forget(struct bh_alerts *alerts, struct bh_alert *alert)
{
	bh_table_remove(&alerts->by_key, alert->key, strlen(alert->key));
	bh_alert_free(alert);
}

/* True if `a` is wanted less: seen to, harmless, long ago; of equals, always the same one. */
static bool is_lesser(const struct bh_alert *a, const struct bh_alert *b)
{
	if (!a->acknowledged_ns != !b->acknowledged_ns)
		return a->acknowledged_ns != 0;
	if (a->severity != b->severity)
		return a->severity < b->severity;
	if (a->last_ns != b->last_ns)
		return a->last_ns < b->last_ns;
	return strcmp(a->key, b->key) < 0;
}

void bh_alert_file(struct bh_alerts *alerts, struct bh_alert *alert)
{
	struct bh_alert *least = NULL, *other;

	if (alerts->by_key.n >= BH_ALERTS_MAX) {
		for (size_t at = 0; (other = bh_table_next(&alerts->by_key, &at));) {
			if (!least || is_lesser(other, least))
				least = other;
		}
		forget(alerts, least);
		alerts->dropped++;
	}
	bh_table_put(&alerts->by_key, alert->key, strlen(alert->key), alert);
}

void bh_alerts_expire(struct bh_alerts *alerts, uint64_t now_ns)
{
	uint64_t keep = alerts->config.keep_s * SECOND;
	struct bh_alert *old[64], *alert;
	size_t n;

	do {
		n = 0;
		for (size_t at = 0;
			n < COUNT(old) && (alert = bh_table_next(&alerts->by_key, &at));) {
			if (alert->last_ns + keep < now_ns)
				old[n++] = alert;
		}
		for (size_t i = 0; i < n; i++)
			forget(alerts, old[i]);
		alerts->changed += n > 0;
	} while (n == COUNT(old));
}

int bh_alerts_acknowledge(struct bh_alerts *alerts, const char *id, const char *by, uint64_t now_ns)
{
	struct bh_alert *alert = find(alerts, id);

	if (!alert)
		return -ENOENT;
	if (alert->acknowledged_ns)
		return 0;
	alert->acknowledged_ns = now_ns;
	snprintf(alert->acknowledged_by, sizeof(alert->acknowledged_by), "%s", by);
	alert->changed = ++alerts->changed;
	return 0;
}

/* ---- What happens ---------------------------------------------------------------------------- */

/* True if the value is new to the alert. */
static bool add_distinct(struct bh_alert *alert, uint64_t value)
{
	for (size_t i = 0; i < alert->n_distinct; i++) {
		if (alert->distinct[i] == value)
			return false;
	}
	/* Beyond the bound nothing is new. */
	if (alert->n_distinct >= BH_ALERT_DISTINCT)
		return false;
	if ((alert->n_distinct & (alert->n_distinct - 1)) == 0)
		alert->distinct = bh_xreallocarray(alert->distinct,
			alert->n_distinct ? 2 * alert->n_distinct : 1, sizeof(*alert->distinct));
	alert->distinct[alert->n_distinct++] = value;
	return true;
}

static void add_evidence(struct bh_alert *alert, const struct bh_alert_event *event)
{
	struct bh_alert_evidence *evidence;

	if (alert->n_evidence >= BH_ALERT_EVIDENCE)
		return;
	evidence = &alert->evidence[alert->n_evidence++];
	*evidence = (struct bh_alert_evidence){
		.time_ns = event->last_ns,
		.source_ip = event->source_ip,
		.destination_ip = event->destination_ip,
		.source_pod = bh_xstrdup(event->source_pod ? event->source_pod : ""),
		.destination_pod = bh_xstrdup(event->destination_pod ? event->destination_pod : ""),
		.protocol = event->protocol,
		.port = event->port,
		.verdict = event->verdict,
	};
	if (event->destination)
		evidence->destination = bh_alert_party_of(event->destination);
}

static struct bh_alert *open_alert(struct bh_alerts *alerts, const struct bh_alert_event *event)
{
	struct bh_alert *alert = bh_xcalloc(1, sizeof(*alert));

	alert->kind = event->kind;
	alert->source = bh_alert_party_of(event->source);
	if (event->target)
		alert->target = bh_alert_party_of(event->target);
	alert->first_ns = event->first_ns;
	/* A number, and no hash of names: who may not see them could try which they are. */
	snprintf(alert->id, sizeof(alert->id), "%016" PRIx64, alerts->next_id++);
	bh_alert_identify(alert);
	bh_alert_file(alerts, alert);
	return alert;
}

bool bh_alert_note(struct bh_alerts *alerts, const struct bh_alert_event *event)
{
	struct bh_alert *alert = bh_alert_of(alerts, event->kind, event->source, event->target);
	bool opened = !alert;
	bool fresh;

	if (opened)
		alert = open_alert(alerts, event);
	fresh = add_distinct(alert, event->distinct);
	if (fresh)
		add_evidence(alert, event);
	if (alert->severity < event->severity)
		alert->severity = event->severity;
	alert->baselines[0] |= event->baselines[0];
	alert->baselines[1] |= event->baselines[1];
	alert->was_denied |= event->was_denied;
	alert->app = event->app ? event->app : alert->app;
	alert->count += event->count;
	if (event->first_ns < alert->first_ns)
		alert->first_ns = event->first_ns;
	if (event->last_ns > alert->last_ns)
		alert->last_ns = event->last_ns;
	alert->changed = ++alerts->changed;
	if (alert->acknowledged_ns && (fresh || event->anew)) {
		alert->acknowledged_ns = 0;
		alert->acknowledged_by[0] = '\0';
		alert->reopened++;
		opened = true;
	}
	return opened;
}

void bh_alert_raise(const struct bh_alerts *alerts, const struct bh_alert_event *event)
{
	const struct bh_alert *alert =
		bh_alert_of(alerts, event->kind, event->source, event->target);

	if (alert && alerts->config.raised)
		alerts->config.raised(alerts->config.data, alert);
}

/* ---- Baselines ------------------------------------------------------------------------------- */

const struct bh_baseline *bh_alerts_baseline(const struct bh_alerts *alerts, const char *namespace)
{
	return bh_table_get(&alerts->baselines, namespace, strlen(namespace));
}

static int compare_baselines(const void *a, const void *b)
{
	return strcmp((*(const struct bh_baseline *const *)a)->namespace,
		(*(const struct bh_baseline *const *)b)->namespace);
}

const struct bh_baseline **bh_alerts_baselines(const struct bh_alerts *alerts, size_t *ret_n)
{
	const struct bh_baseline **list = bh_xcalloc(alerts->baselines.n, sizeof(*list));
	const struct bh_baseline *baseline;
	size_t n = 0;

	for (size_t at = 0; (baseline = bh_table_next(&alerts->baselines, &at));)
		list[n++] = baseline;
	if (n)
		qsort(list, n, sizeof(*list), compare_baselines);
	*ret_n = n;
	return list;
}

size_t bh_alerts_baseline_conversations(const struct bh_alerts *alerts)
{
	const struct bh_baseline *baseline;
	size_t n = 0;

	for (size_t at = 0; (baseline = bh_table_next(&alerts->baselines, &at));)
		n += baseline->conversations.n;
	return n;
}

struct bh_baseline *bh_alerts_set_baseline(
	struct bh_alerts *alerts, const char *namespace, struct bh_baseline *baseline)
{
	struct bh_baseline *before =
		bh_table_remove(&alerts->baselines, namespace, strlen(namespace));

	if (baseline)
		bh_table_put(&alerts->baselines, baseline->namespace, strlen(baseline->namespace),
			baseline);
	/* How many there are is told beside the alerts. */
	alerts->changed++;
	return before;
}

void bh_alert_add_speaker(struct bh_alerts *alerts, uint32_t number)
{
	struct bh_speaker *speaker;

	if (alerts->speakers.n >= BH_ALERT_SPEAKERS_MAX ||
		bh_table_get(&alerts->speakers, &number, sizeof(number)))
		return;
	speaker = bh_xcalloc(1, sizeof(*speaker));
	speaker->number = number;
	bh_table_put(&alerts->speakers, &speaker->number, sizeof(speaker->number), speaker);
}

static bool is_world(const struct bh_alerts *alerts, uint32_t number)
{
	const struct bh_workload_name *name = bh_names_workload(alerts->config.names, number);

	return name && strcmp(name->kind, "World") == 0;
}

/* True if all that the alert is about is in the baseline. */
static bool is_settled(const struct bh_alert *alert, const struct bh_baseline *baseline)
{
	struct bh_baseline_key key = {
		.client = alert->source.number, .server = alert->target.number};
	bool source_here = strcmp(alert->source.namespace, baseline->namespace) == 0;
	bool target_here = strcmp(alert->target.namespace, baseline->namespace) == 0;

	/* The other end's namespace may still lack it. */
	if (!source_here && (!target_here || alert->baselines[0]))
		return false;
	if (source_here && !target_here && alert->baselines[1])
		return false;
	for (size_t i = 0; i < alert->n_distinct; i++) {
		key.protocol = (uint8_t)(alert->distinct[i] >> 16);
		key.port = (uint16_t)alert->distinct[i];
		if (!bh_baseline_find(baseline, &key))
			return false;
	}
	return true;
}

void bh_alerts_settle(struct bh_alerts *alerts, const struct bh_baseline *baseline, uint64_t now_ns)
{
	const struct bh_baseline_conversation *conversation;
	struct bh_alert *alert;

	for (size_t at = 0; (conversation = bh_table_next(&baseline->conversations, &at));) {
		if (conversation->passed && is_world(alerts, conversation->key.server))
			bh_alert_add_speaker(alerts, conversation->key.client);
	}
	for (size_t at = 0; (alert = bh_table_next(&alerts->by_key, &at));) {
		if (alert->acknowledged_ns ||
			(alert->kind != BH_ALERT_NEW_EDGE && alert->kind != BH_ALERT_FIRST_WORLD))
			continue;
		if (is_settled(alert, baseline))
			bh_alerts_acknowledge(alerts, alert->id, "baseline", now_ns);
	}
}
