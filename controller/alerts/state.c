/* SPDX-License-Identifier: Apache-2.0 */

/* What outlives the process, as JSON. What is read back is believed only as far as it makes sense.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controller/alerts/internal.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define STATE_VERSION 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Writing --------------------------------------------------------------------------------- */

static json_t *save_party(const struct bh_alert_party *party)
{
	if (!party->namespace)
		return json_null();
	return json_pack("[I, s, s, s]", (json_int_t)party->number, party->namespace, party->kind,
		party->name);
}

static json_t *save_ip(const struct bh_ip *ip)
{
	char text[BH_IP_TEXT_MAX];

	return ip->family ? json_string(bh_ip_format(ip, text)) : json_null();
}

static json_t *save_evidence(const struct bh_alert_evidence *evidence)
{
	return json_pack("{s:I, s:o, s:o, s:s, s:s, s:o, s:i, s:i, s:i}", "time",
		(json_int_t)evidence->time_ns, "sourceIp", save_ip(&evidence->source_ip),
		"destinationIp", save_ip(&evidence->destination_ip), "sourcePod",
		evidence->source_pod, "destinationPod", evidence->destination_pod, "destination",
		save_party(&evidence->destination), "protocol", evidence->protocol, "port",
		evidence->port, "verdict", (int)evidence->verdict);
}

/* One text: there may be many. */
static json_t *save_distinct(const struct bh_alert *alert)
{
	char text[BH_ALERT_DISTINCT * 17 + 1] = "";
	size_t n = 0;

	for (size_t i = 0; i < alert->n_distinct; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s%" PRIx64, i ? " " : "", alert->distinct[i]);
	return json_string(text);
}

static json_t *save_alert(const struct bh_alert *alert)
{
	json_t *evidence = json_array();

	for (size_t i = 0; i < alert->n_evidence; i++)
		json_array_append_new(evidence, save_evidence(&alert->evidence[i]));
	return json_pack(
		"{s:s, s:s, s:i, s:o, s:o, s:[b, b], s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:s, "
		"s:I, s:o, s:o}",
		"id", alert->id, "kind", bh_alert_kind_word(alert->kind), "severity",
		(int)alert->severity, "source", save_party(&alert->source), "target",
		save_party(&alert->target), "baselines", alert->baselines[0], alert->baselines[1],
		"wasDenied", alert->was_denied, "app", alert->app, "count",
		(json_int_t)alert->count, "first", (json_int_t)alert->first_ns, "last",
		(json_int_t)alert->last_ns, "changed", (json_int_t)alert->changed, "acknowledged",
		(json_int_t)alert->acknowledged_ns, "by", alert->acknowledged_by, "reopened",
		(json_int_t)alert->reopened, "distinct", save_distinct(alert), "evidence",
		evidence);
}

static int compare_alerts(const void *a, const void *b)
{
	return strcmp(
		(*(const struct bh_alert *const *)a)->id, (*(const struct bh_alert *const *)b)->id);
}

static int compare_speakers(const void *a, const void *b)
{
	const struct bh_speaker *x = *(const struct bh_speaker *const *)a;
	const struct bh_speaker *y = *(const struct bh_speaker *const *)b;

	return (x->number > y->number) - (x->number < y->number);
}

/* All of a table in order: where a table keeps what differs with every process, and the same state
 * is to be the same file. The caller frees it, not what it points to. */
static const void **in_order(
	const struct bh_table *table, int (*compare)(const void *, const void *))
{
	const void **all = bh_xcalloc(table->n, sizeof(*all));
	size_t n = 0;

	for (size_t at = 0; n < table->n;)
		all[n++] = bh_table_next(table, &at);
	if (n)
		qsort(all, n, sizeof(*all), compare);
	return all;
}

json_t *bh_alerts_save(const struct bh_alerts *alerts)
{
	_cleanup_free_ const void **book = in_order(&alerts->by_key, compare_alerts);
	_cleanup_free_ const void **spoke = in_order(&alerts->speakers, compare_speakers);
	json_t *list = json_array();
	json_t *speakers = json_array();

	for (size_t i = 0; i < alerts->by_key.n; i++) {
		json_t *saved = save_alert(book[i]);

		/* NULL: a name that is no UTF-8, which none of ours is. */
		if (saved)
			json_array_append_new(list, saved);
	}
	for (size_t i = 0; i < alerts->speakers.n; i++) {
		const struct bh_speaker *speaker = spoke[i];

		json_array_append_new(speakers, json_integer(speaker->number));
	}
	return json_pack("{s:i, s:I, s:I, s:I, s:o, s:o}", "version", STATE_VERSION, "changed",
		(json_int_t)alerts->changed, "nextId", (json_int_t)alerts->next_id, "learningSince",
		(json_int_t)alerts->learning_since_ns, "speakers", speakers, "alerts", list);
}

json_t *bh_alerts_save_baselines(const struct bh_alerts *alerts)
{
	json_t *list = json_array();
	size_t n;
	const struct bh_baseline **baselines = bh_alerts_baselines(alerts, &n);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, bh_baseline_save(baselines[i]));
	free(baselines);
	return json_pack("{s:i, s:o}", "version", STATE_VERSION, "baselines", list);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static uint64_t number_of(const json_t *object, const char *name)
{
	json_int_t number = json_integer_value(json_object_get(object, name));

	return number > 0 ? (uint64_t)number : 0;
}

static uint64_t bounded(const json_t *object, const char *name, uint64_t max)
{
	uint64_t number = number_of(object, name);

	return number <= max ? number : 0;
}

static char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return bh_xstrdup(text ? text : "");
}

static bool load_party(const json_t *saved, struct bh_alert_party *ret_party)
{
	struct bh_workload_name name = {
		.number = (uint32_t)json_integer_value(json_array_get(saved, 0)),
		.namespace = json_string_value(json_array_get(saved, 1)),
		.kind = json_string_value(json_array_get(saved, 2)),
		.name = json_string_value(json_array_get(saved, 3)),
	};

	if (!name.namespace || !name.kind || !name.name)
		return false;
	*ret_party = bh_alert_party_of(&name);
	return true;
}

static struct bh_ip load_ip(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	struct bh_ip ip = {0};

	if (!text || bh_ip_parse(text, &ip) < 0)
		return (struct bh_ip){0};
	return ip;
}

static void load_evidence(struct bh_alert *alert, const json_t *saved)
{
	struct bh_alert_evidence *evidence = &alert->evidence[alert->n_evidence];
	bool whole = alert->target.namespace ||
		     load_party(json_object_get(saved, "destination"), &evidence->destination);

	if (!whole || !json_is_object(saved))
		return;
	evidence->time_ns = number_of(saved, "time");
	evidence->source_ip = load_ip(saved, "sourceIp");
	evidence->destination_ip = load_ip(saved, "destinationIp");
	evidence->source_pod = text_of(saved, "sourcePod");
	evidence->destination_pod = text_of(saved, "destinationPod");
	evidence->protocol = (uint8_t)bounded(saved, "protocol", UINT8_MAX);
	evidence->port = (uint16_t)bounded(saved, "port", UINT16_MAX);
	evidence->verdict = (enum bh_alert_verdict)bounded(saved, "verdict", BH_ALERT_REFUSED);
	alert->n_evidence++;
}

static void load_lists(struct bh_alert *alert, const json_t *saved)
{
	const char *at = json_string_value(json_object_get(saved, "distinct"));
	const json_t *evidence = json_object_get(saved, "evidence");
	char *end;

	/* Grows by powers of two from here on. */
	alert->distinct = bh_xcalloc(BH_ALERT_DISTINCT, sizeof(*alert->distinct));
	for (; at && *at && alert->n_distinct < BH_ALERT_DISTINCT; at = end) {
		alert->distinct[alert->n_distinct] = strtoull(at, &end, 16);
		if (end == at)
			break;
		alert->n_distinct++;
	}
	for (size_t i = 0; i < json_array_size(evidence) && i < BH_ALERT_EVIDENCE; i++)
		load_evidence(alert, json_array_get(evidence, i));
}

/* NULL for what makes no sense. */
static struct bh_alert *load_alert(const json_t *saved)
{
	const char *id = json_string_value(json_object_get(saved, "id"));
	const char *word = json_string_value(json_object_get(saved, "kind"));
	const char *by = json_string_value(json_object_get(saved, "by"));
	const json_t *baselines = json_object_get(saved, "baselines");
	int kind = word ? bh_alert_kind_parse(word) : -1;
	struct bh_alert *alert;

	if (kind < 0 || !id || strlen(id) != BH_ALERT_ID_MAX - 1)
		return NULL;
	alert = bh_xcalloc(1, sizeof(*alert));
	alert->kind = (enum bh_alert_kind)kind;
	memcpy(alert->id, id, sizeof(alert->id));
	if (!load_party(json_object_get(saved, "source"), &alert->source) ||
		(kind != BH_ALERT_LATERAL_MOVEMENT &&
			!load_party(json_object_get(saved, "target"), &alert->target))) {
		bh_alert_free(alert);
		return NULL;
	}
	alert->severity = (enum bh_alert_severity)bounded(saved, "severity", BH_ALERT_HIGH);
	for (size_t i = 0; i < COUNT(alert->baselines); i++)
		alert->baselines[i] = json_is_true(json_array_get(baselines, i));
	alert->was_denied = json_is_true(json_object_get(saved, "wasDenied"));
	alert->app = (uint8_t)bounded(saved, "app", UINT8_MAX);
	alert->count = number_of(saved, "count");
	alert->first_ns = number_of(saved, "first");
	alert->last_ns = number_of(saved, "last");
	alert->counted_ns = alert->last_ns;
	alert->changed = number_of(saved, "changed");
	alert->acknowledged_ns = number_of(saved, "acknowledged");
	snprintf(alert->acknowledged_by, sizeof(alert->acknowledged_by), "%s", by ? by : "");
	alert->reopened = number_of(saved, "reopened");
	load_lists(alert, saved);
	bh_alert_identify(alert);
	return alert;
}

static bool is_state(const json_t *state, const char *list, size_t max)
{
	return json_integer_value(json_object_get(state, "version")) == STATE_VERSION &&
	       json_is_array(json_object_get(state, list)) &&
	       json_array_size(json_object_get(state, list)) <= max;
}

int bh_alerts_load(struct bh_alerts *alerts, const json_t *state)
{
	const json_t *speakers = json_object_get(state, "speakers");
	uint64_t since = number_of(state, "learningSince");
	const json_t *item;
	size_t i;

	if (!is_state(state, "alerts", BH_ALERTS_MAX) || !json_is_array(speakers))
		return -EBADMSG;
	if (since && since < alerts->learning_since_ns)
		alerts->learning_since_ns = since;
	alerts->changed = number_of(state, "changed");
	if (number_of(state, "nextId"))
		alerts->next_id = number_of(state, "nextId");
	json_array_foreach(speakers, i, item)
		bh_alert_add_speaker(alerts, (uint32_t)json_integer_value(item));
	json_array_foreach(json_object_get(state, "alerts"), i, item)
	{
		struct bh_alert *alert = load_alert(item);

		if (!alert)
			continue;
		if (bh_table_get(&alerts->by_key, alert->key, strlen(alert->key))) {
			bh_alert_free(alert);
			continue;
		}
		if (alert->changed > alerts->changed)
			alerts->changed = alert->changed;
		bh_alert_file(alerts, alert);
	}
	return 0;
}

int bh_alerts_load_baselines(struct bh_alerts *alerts, const json_t *state)
{
	const json_t *list = json_object_get(state, "baselines");
	const json_t *item;
	size_t i;

	if (!is_state(state, "baselines", BH_BASELINES_MAX))
		return -EBADMSG;
	/* One that is broken is none: better no baseline than half of one, which cries wolf. */
	json_array_foreach(list, i, item)
	{
		struct bh_baseline *baseline = bh_baseline_load(item);

		if (!baseline)
			return -EBADMSG;
		bh_baseline_free(bh_alerts_set_baseline(alerts, baseline->namespace, baseline));
	}
	return 0;
}
