/* SPDX-License-Identifier: Apache-2.0 */

/* Alerts: shown, followed, acknowledged. */

#include "controller/api/alerts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

#define LIMIT_DEFAULT 200
#define LIMIT_MAX 1000
#define FOLLOW_MAX_MS 10000

/* ---- What may be seen ------------------------------------------------------------------------ */

/* Lies in a namespace that the asker was given: what lies in none is nobody's. */
static bool is_own(const struct bh_sight *sight, const struct bh_alert_party *party)
{
	return party->namespace && *party->namespace && bh_sight_sees(sight, party->namespace);
}

bool bh_api_sees_alert(const struct bh_sight *sight, const struct bh_alert *alert)
{
	return !sight || is_own(sight, &alert->source) || is_own(sight, &alert->target);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Only the namespace, of what may not be looked into. */
static json_t *party_object(const struct bh_sight *sight, const struct bh_alert_party *party)
{
	bool seen = bh_sight_sees(sight, party->namespace);
	json_t *object = json_object();
	_cleanup_free_ char *id =
		seen ? bh_xasprintf("%s%s%s/%s", party->namespace, *party->namespace ? "/" : "",
			       party->kind, party->name)
		     : bh_xasprintf("ns:%s", party->namespace);

	bh_json_set_text(object, "id", id);
	bh_json_set_text(object, "namespace", party->namespace);
	bh_json_set_text(object, "kind", seen ? party->kind : "Namespace");
	bh_json_set_text(object, "name", seen ? party->name : party->namespace);
	return object;
}

/* What people call it. */
static char *party_text(const struct bh_sight *sight, const struct bh_alert_party *party)
{
	if (!party->namespace)
		return bh_xstrdup("");
	if (!bh_sight_sees(sight, party->namespace))
		return bh_xasprintf("namespace %s", party->namespace);
	if (*party->namespace)
		return bh_xasprintf("%s/%s", party->namespace, party->name);
	if (strcmp(party->kind, "World") != 0)
		return bh_xasprintf("%s %s", party->kind, party->name);
	return *party->name ? bh_xasprintf("the world (%s)", party->name) : bh_xstrdup("the world");
}

static json_t *end_object(const struct bh_sight *sight, const struct bh_alert_party *party,
	const char *pod, const struct bh_ip *ip)
{
	bool seen = bh_sight_sees(sight, party->namespace);
	json_t *object = json_object();

	json_object_set_new(object, "workload", party_object(sight, party));
	bh_json_set_text(object, "pod", seen ? pod : "");
	json_object_set_new(object, "ip", seen && ip->family ? bh_json_ip(ip) : json_null());
	return object;
}

static json_t *evidence_object(const struct bh_sight *sight, const struct bh_alert *alert,
	const struct bh_alert_evidence *evidence)
{
	const struct bh_alert_party *destination =
		evidence->destination.namespace ? &evidence->destination : &alert->target;
	const struct bh_party client = {.number = alert->source.number};
	const struct bh_party server = {.number = destination->number};
	const struct bh_conversation conversation = {
		.client = &client,
		.server = &server,
		.protocol = evidence->protocol,
		.port = evidence->port,
	};
	/* A hidden end is called otherwise, and so is the conversation. */
	bool named = bh_sight_sees(sight, alert->source.namespace) &&
		     bh_sight_sees(sight, destination->namespace);
	json_t *object = json_object();
	char id[BH_CONVERSATION_ID_MAX];

	json_object_set_new(object, "time", bh_json_time(evidence->time_ns));
	json_object_set_new(object, "source",
		end_object(sight, &alert->source, evidence->source_pod, &evidence->source_ip));
	json_object_set_new(object, "destination",
		end_object(
			sight, destination, evidence->destination_pod, &evidence->destination_ip));
	json_object_set_new(object, "protocol", bh_json_protocol(evidence->protocol));
	json_object_set_new(object, "port", json_integer(evidence->port));
	bh_json_set_text(object, "verdict", bh_alert_verdict_word(evidence->verdict));
	json_object_set_new(object, "edge",
		named ? json_string(bh_conversation_id(&conversation, id)) : json_null());
	return object;
}

/* Those it is about; of what a baseline lacks, whose. */
static json_t *namespaces_of(const struct bh_sight *sight, const struct bh_alert *alert)
{
	const struct bh_alert_party *parties[2] = {&alert->source, &alert->target};
	bool lacking = alert->baselines[0] || alert->baselines[1];
	const char *before = "";
	json_t *array = json_array();

	for (int i = 0; i < 2; i++) {
		if (!is_own(sight, parties[i]) || (lacking && !alert->baselines[i]) ||
			strcmp(before, parties[i]->namespace) == 0)
			continue;
		before = parties[i]->namespace;
		json_array_append_new(array, bh_json_text(before));
	}
	return array;
}

json_t *bh_json_alert(const struct bh_sight *sight, const struct bh_alert *alert)
{
	_cleanup_free_ char *source = party_text(sight, &alert->source);
	_cleanup_free_ char *target = party_text(sight, &alert->target);
	const bool baselines[2] = {is_own(sight, &alert->source), is_own(sight, &alert->target)};
	_cleanup_free_ char *text = bh_alert_text(alert, source, target, baselines);
	json_t *object = json_object();
	json_t *evidence = json_array();

	for (size_t i = 0; i < alert->n_evidence; i++)
		json_array_append_new(evidence, evidence_object(sight, alert, &alert->evidence[i]));
	bh_json_set_text(object, "id", alert->id);
	bh_json_set_text(object, "kind", bh_alert_kind_word(alert->kind));
	bh_json_set_text(object, "severity", bh_alert_severity_word(alert->severity));
	json_object_set_new(object, "source", party_object(sight, &alert->source));
	json_object_set_new(object, "target",
		alert->target.namespace ? party_object(sight, &alert->target) : json_null());
	json_object_set_new(object, "namespaces", namespaces_of(sight, alert));
	bh_json_set_text(object, "text", text);
	json_object_set_new(object, "count", json_integer((json_int_t)alert->count));
	json_object_set_new(object, "distinct", json_integer((json_int_t)alert->n_distinct));
	json_object_set_new(object, "first", bh_json_time(alert->first_ns));
	json_object_set_new(object, "last", bh_json_time(alert->last_ns));
	json_object_set_new(object, "changed", json_integer((json_int_t)alert->changed));
	json_object_set_new(object, "acknowledged", bh_json_time(alert->acknowledged_ns));
	json_object_set_new(object, "acknowledgedBy",
		alert->acknowledged_ns ? bh_json_text(alert->acknowledged_by) : json_null());
	json_object_set_new(object, "reopened", json_integer((json_int_t)alert->reopened));
	json_object_set_new(object, "evidence", evidence);
	json_object_set_new(object, "evidenceMore",
		json_integer((json_int_t)(alert->n_distinct > alert->n_evidence
						  ? alert->n_distinct - alert->n_evidence
						  : 0)));
	return object;
}

json_t *bh_json_alert_counts(const struct bh_api *api, const struct bh_sight *sight)
{
	size_t n, open = 0, high = 0, acknowledged = 0, seen = 0;
	_cleanup_free_ const struct bh_baseline **baselines = bh_alerts_baselines(api->alerts, &n);
	const struct bh_alert *alert;

	for (size_t at = 0; (alert = bh_alerts_next(api->alerts, &at));) {
		if (!bh_api_sees_alert(sight, alert))
			continue;
		acknowledged += alert->acknowledged_ns != 0;
		open += alert->acknowledged_ns == 0;
		high += alert->acknowledged_ns == 0 && alert->severity == BH_ALERT_HIGH;
	}
	for (size_t i = 0; i < n; i++)
		seen += bh_sight_sees(sight, baselines[i]->namespace);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "open", (json_int_t)open, "high",
		(json_int_t)high, "acknowledged", (json_int_t)acknowledged, "baselines",
		(json_int_t)seen, "dropped",
		sight ? (json_int_t)0 : (json_int_t)bh_alerts_dropped(api->alerts));
}

/* ---- alerts ---------------------------------------------------------------------------------- */

struct wanted {
	const char *namespaces; /* comma-separated; NULL: all */
	unsigned int kinds;     /* a bit for each */
	bool open;
	bool acknowledged;
	bool changes; /* after `since`, in their order */
	uint64_t since;
	uint64_t limit;
	uint64_t follow;
};

/* True if `word` is one of a comma-separated list. */
static bool is_listed(const char *list, const char *word)
{
	size_t size = strlen(word);

	for (const char *at = list;; at += strcspn(at, ",") + 1) {
		size_t n = strcspn(at, ",");

		if (n == size && strncmp(at, word, n) == 0)
			return true;
		if (!at[n])
			return false;
	}
}

static json_t *read_kinds(const char *list, unsigned int *ret_kinds)
{
	_cleanup_free_ char *copy = list ? bh_xstrdup(list) : NULL;
	unsigned int kinds = 0;
	char *rest = NULL;

	for (char *word = copy ? strtok_r(copy, ",", &rest) : NULL; word;
		word = strtok_r(NULL, ",", &rest)) {
		int kind = bh_alert_kind_parse(word);

		if (kind < 0)
			return bh_control_error("'%.64s' is no kind of alert: new-edge, "
						"first-world, port-scan, lateral-movement, "
						"plaintext-database",
				word);
		kinds |= 1u << kind;
	}
	*ret_kinds = kinds ? kinds : ~0u;
	return NULL;
}

static json_t *read_wanted(const json_t *request, struct wanted *ret_wanted)
{
	struct wanted wanted = {.limit = LIMIT_DEFAULT, .open = true, .acknowledged = true};
	const char *kinds = NULL, *state = NULL;
	json_t *error = bh_api_string(request, "namespace", &wanted.namespaces);

	error = error ?: bh_api_string(request, "kind", &kinds);
	error = error ?: bh_api_string(request, "state", &state);
	error = error ?: bh_api_number(request, "since", INT64_MAX, &wanted.since);
	error = error ?: bh_api_number(request, "limit", LIMIT_MAX, &wanted.limit);
	error = error ?: bh_api_number(request, "follow", FOLLOW_MAX_MS, &wanted.follow);
	error = error ?: read_kinds(kinds, &wanted.kinds);
	if (error)
		return error;
	if (state && strcmp(state, "all") != 0) {
		wanted.open = strcmp(state, "open") == 0;
		wanted.acknowledged = strcmp(state, "acknowledged") == 0;
		if (!wanted.open && !wanted.acknowledged)
			return bh_control_error(
				"'%.64s' is none of open, acknowledged, all", state);
	}
	wanted.changes = json_object_get(request, "since") != NULL;
	*ret_wanted = wanted;
	return NULL;
}

static bool is_wanted(
	const struct wanted *wanted, const struct bh_sight *sight, const struct bh_alert *alert)
{
	if (!bh_api_sees_alert(sight, alert) || !(wanted->kinds & 1u << alert->kind) ||
		!(alert->acknowledged_ns ? wanted->acknowledged : wanted->open))
		return false;
	if (wanted->changes && alert->changed <= wanted->since)
		return false;
	return !wanted->namespaces || is_listed(wanted->namespaces, alert->source.namespace) ||
	       (alert->target.namespace && is_listed(wanted->namespaces, alert->target.namespace));
}

static int compare_changes(const void *a, const void *b)
{
	const struct bh_alert *x = *(const struct bh_alert *const *)a;
	const struct bh_alert *y = *(const struct bh_alert *const *)b;

	return (x->changed > y->changed) - (x->changed < y->changed);
}

static int compare_latest(const void *a, const void *b)
{
	const struct bh_alert *x = *(const struct bh_alert *const *)a;
	const struct bh_alert *y = *(const struct bh_alert *const *)b;

	if (x->last_ns != y->last_ns)
		return x->last_ns > y->last_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* free() the array; *ret_n are in it. */
static const struct bh_alert **list_wanted(const struct bh_api *api, const struct wanted *wanted,
	const struct bh_sight *sight, size_t *ret_n)
{
	const struct bh_alert **list = bh_xcalloc(bh_alerts_count(api->alerts), sizeof(*list));
	const struct bh_alert *alert;
	size_t n = 0;

	for (size_t at = 0; (alert = bh_alerts_next(api->alerts, &at));) {
		if (is_wanted(wanted, sight, alert))
			list[n++] = alert;
	}
	if (n)
		qsort(list, n, sizeof(*list), wanted->changes ? compare_changes : compare_latest);
	*ret_n = n;
	return list;
}

json_t *bh_api_alerts(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_free_ const struct bh_alert **list = NULL;
	uint64_t next = bh_alerts_changed(api->alerts);
	struct wanted wanted;
	json_t *error = read_wanted(call->request, &wanted);
	json_t *array;
	size_t n;

	if (error)
		return error;
	if (!wanted.follow && !bh_api_fresh(api, call))
		return NULL;
	/* Of a time before the file was lost: begin again. */
	if (wanted.since > next)
		wanted.since = 0;
	list = list_wanted(api, &wanted, call->sight, &n);
	if (wanted.follow && n == 0 && !call->expired) {
		call->deadline = call->arrived + wanted.follow;
		return NULL;
	}
	array = json_array();
	for (size_t i = 0; i < n && i < wanted.limit; i++) {
		json_array_append_new(array, bh_json_alert(call->sight, list[i]));
		if (wanted.changes && n > wanted.limit)
			next = list[i]->changed;
	}
	return json_pack("{s:b, s:o, s:I, s:I, s:I}", "ok", 1, "alerts", array, "total",
		(json_int_t)n, "next", (json_int_t)next, "dropped",
		call->sight ? (json_int_t)0 : (json_int_t)bh_alerts_dropped(api->alerts));
}

json_t *bh_api_alert_changes(
	const struct bh_api *api, const struct bh_sight *sight, uint64_t *since, size_t max)
{
	const struct wanted wanted = {
		.kinds = ~0u, .open = true, .acknowledged = true, .changes = true, .since = *since};
	_cleanup_free_ const struct bh_alert **list = NULL;
	json_t *array;
	size_t n;

	if (*since == bh_alerts_changed(api->alerts))
		return NULL;
	list = list_wanted(api, &wanted, sight, &n);
	*since = bh_alerts_changed(api->alerts);
	if (n == 0)
		return NULL;
	array = json_array();
	for (size_t i = n > max ? n - max : 0; i < n; i++)
		json_array_append_new(array, bh_json_alert(sight, list[i]));
	return json_pack(
		"{s:o, s:I}", "alerts", array, "more", (json_int_t)(n > max ? n - max : 0));
}

/* ---- alert-ack ------------------------------------------------------------------------------- */

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

json_t *bh_api_alert_ack(struct bh_api *api, struct bh_control_call *call)
{
	const struct bh_alert *alert;
	const char *id;
	json_t *error = bh_api_string(call->request, "id", &id);

	if (error)
		return error;
	alert = id ? bh_alerts_find(api->alerts, id) : NULL;
	if (!alert || !bh_api_sees_alert(call->sight, alert))
		return bh_api_missing("there is no alert '%.32s'", id ? id : "");
	bh_alerts_acknowledge(api->alerts, id, *call->asker ? call->asker : "command", real_ns());
	return json_pack("{s:b, s:o}", "ok", 1, "alert", bh_json_alert(call->sight, alert));
}
