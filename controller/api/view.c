/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "bulkhead/abi.h"
#include "controller/api/excerpt.h"
#include "controller/api/view.h"
#include "controller/cluster/cluster.h"
#include "controller/compile/lookup.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define SECOND_NS 1000000000ull
#define CLUSTER_SPAN_NS (3600 * SECOND_NS)

/* ---- Window and filter ----------------------------------------------------------------------- */

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* RFC 3339 with "Z" or an offset; fractions of a second are taken to the nanosecond. */
static bool parse_time(const char *text, uint64_t *ret_ns)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t fraction = 0;
	int hours = 0;
	int minutes = 0;
	int used = 0;
	char sign;
	time_t seconds;

	/* 1970 to 2200: what fits into nanoseconds. */
	if (!rest || tm.tm_year < 70 || tm.tm_year > 300)
		return false;
	if (*rest == '.') {
		uint64_t unit = SECOND_NS / 10;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			fraction += unit * (uint64_t)(*rest - '0');
	}
	seconds = timegm(&tm);
	if (sscanf(rest, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) == 3 && !rest[used] &&
		(sign == '+' || sign == '-'))
		seconds += (sign == '+' ? -1 : 1) * (hours * 3600 + minutes * 60);
	else if (strcmp(rest, "Z") != 0 && strcmp(rest, "z") != 0)
		return false;
	if (seconds < 0)
		return false;
	*ret_ns = (uint64_t)seconds * SECOND_NS + fraction;
	return true;
}

static bool parse_span(const char *text, uint64_t *ret_ns)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 7 || *text == '0' || !text[digits] || text[digits + 1])
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit == text[digits]) {
			*ret_ns = strtoull(text, NULL, 10) * units[i].seconds * SECOND_NS;
			return true;
		}
	}
	return false;
}

static json_t *read_time(const json_t *request, const char *name, uint64_t *ret_ns)
{
	const char *text;
	json_t *error = bh_api_string(request, name, &text);

	if (!error && text && !parse_time(text, ret_ns))
		return bh_control_error(
			"'%s' is no time like 2026-11-21T22:30:00Z: '%.64s'", name, text);
	return error;
}

json_t *bh_view_window(
	const json_t *request, const char *from, const char *to, struct bh_window *ret_window)
{
	struct bh_window window = {.exact = true};
	uint64_t now = real_ns();
	const char *last = NULL;
	uint64_t span = 0;
	json_t *error = read_time(request, from, &window.from_ns);

	error = error ?: read_time(request, to, &window.to_ns);
	error = error ?: bh_api_string(request, "last", &last);
	if (error)
		return error;
	if (last && (window.from_ns || window.to_ns))
		return bh_control_error("say either 'last' or '%s' and '%s'", from, to);
	if (last && !parse_span(last, &span))
		return bh_control_error("last: '%.64s' is no span like 15m, 24h or 7d", last);
	if (last)
		window.from_ns = span < now ? now - span : 1;
	window.given = window.from_ns || window.to_ns;
	window.open = !window.to_ns;
	if (window.open)
		window.to_ns = now + 1;
	if (window.from_ns >= window.to_ns)
		return bh_control_error("the window ends before it begins");
	*ret_window = window;
	return NULL;
}

json_t *bh_view_filter(const json_t *request, struct bh_filter *filter)
{
	static const char *const names[] = {
		"namespace", "label", "port", "protocol", "verdict", "app", "encrypted", "text"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_free_ char *problem = NULL;
		const char *value;
		json_t *error = bh_api_string(request, names[i], &value);

		if (error)
			return error;
		if (value && bh_filter_set(filter, names[i], value, &problem) < 0)
			return bh_control_error("%s", problem);
	}
	return NULL;
}

json_t *bh_view_scope(const json_t *request, struct bh_view *view)
{
	const char *scope;
	json_t *error = bh_api_string(request, "scope", &scope);

	if (error || !scope || strcmp(scope, "node") == 0)
		return error;
	if (strcmp(scope, "cluster") != 0)
		return bh_control_error("scope: '%.64s' is neither node nor cluster", scope);
	if (!view->api->cluster)
		return bh_control_error(
			"scope: this controller knows its own node only (--cluster)");
	if (view->filter.n_labels > 0)
		return bh_control_error("of a cluster workloads are known, and not their labels");
	view->cluster = true;
	if (!view->window.from_ns)
		view->window.from_ns = view->window.to_ns > CLUSTER_SPAN_NS
					       ? view->window.to_ns - CLUSTER_SPAN_NS
					       : 1;
	return NULL;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

struct rows {
	size_t n;
	size_t capacity;
	struct bh_history_edge *items;
};

static struct bh_history_edge *add_row(struct rows *rows)
{
	bh_xgrow(rows->items, rows->n, rows->capacity);
	memset(&rows->items[rows->n], 0, sizeof(*rows->items));
	return &rows->items[rows->n++];
}

static void add_variant(
	struct rows *rows, const struct bh_edge_view *edge, const struct bh_edge_variant *variant)
{
	struct bh_history_edge *row = add_row(rows);

	row->key = (struct bh_history_key){
		.client = edge->client,
		.server = edge->server,
		.rule = variant->rule,
		.pending_rule = variant->pending_rule,
		.port = edge->port,
		.protocol = edge->protocol,
		.egress = variant->egress,
		.verdict = (uint8_t)variant->verdict,
		.pending = (uint8_t)variant->pending,
		.family = variant->family,
		.peer_local = variant->peer_local,
	};
	row->counts.flows = variant->flows;
	row->counts.resets = variant->resets;
	row->counts.refusals = variant->refusals;
	row->talk = variant->talk;
	row->counts.first_ns = variant->first_ns;
	row->counts.last_ns = variant->last_ns;
	memcpy(row->counts.packets, variant->packets, sizeof(row->counts.packets));
	memcpy(row->counts.octets, variant->octets, sizeof(row->counts.octets));
}

/* The kernel's counters, since they began. */
static void live_rows(const struct bh_view *view, struct rows *rows)
{
	_cleanup_free_ struct bh_edge_view *edges = NULL;
	size_t n = bh_edges_view(view->api->edges, &edges);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < edges[i].n_variants; j++)
			add_variant(rows, &edges[i], &edges[i].variants[j]);
	}
}

/* ---- Parties --------------------------------------------------------------------------------- */

static struct bh_party *add_workload(struct bh_view *view, uint32_t number)
{
	const struct bh_workload_name *name = bh_names_workload(view->api->names, number);

	return name ? bh_world_add(view->world, number, name->namespace, name->kind, name->name)
		    : bh_world_party(view->world, number);
}

static void add_endpoint(struct bh_view *view, const struct bh_desired_endpoint *endpoint)
{
	struct bh_party *party = add_workload(view, endpoint->workload);

	party->pods++;
	party->modes[endpoint->mode]++;
	party->quarantined += endpoint->quarantined;
}

/* The workload that an address of the pod is compiled as; false if it is none. */
static bool workload_of(
	const struct bh_desired *desired, const struct bh_pod *pod, uint32_t *ret_workload)
{
	for (size_t i = 0; i < pod->n_ips; i++) {
		const struct bh_desired_address *address = bh_lookup_exact(desired, &pod->ips[i]);

		if (address) {
			*ret_workload = address->workload;
			return true;
		}
	}
	return false;
}

static void add_labels(struct bh_view *view)
{
	const struct bh_pod *pod;
	uint32_t number;

	for (size_t at = 0; (pod = bh_model_next_pod(view->api->model, &at));) {
		struct bh_party *party = NULL;

		if (!pod->finished && !pod->host_network &&
			workload_of(view->api->desired, pod, &number))
			party = bh_world_find(view->world, number);
		if (party && strcmp(party->namespace, pod->namespace) == 0)
			bh_party_add_labels(party, pod->labels);
	}
}

void bh_view_conversations(struct bh_view *view, const struct bh_window *window,
	struct bh_conversations *ret_conversations)
{
	const struct bh_history_edge *list;
	struct rows rows = {0};
	size_t n;

	if (window->cluster) {
		view->earlier_world = bh_cluster_world(window->cluster);
		bh_conversations_make(view->earlier_world, view->sight, window->cluster->n_edges,
			window->cluster->edges, ret_conversations);
		return;
	}
	if (!window->history)
		live_rows(view, &rows);
	list = window->history ? window->history->edges : rows.items;
	n = window->history ? window->history->n_edges : rows.n;
	for (size_t i = 0; i < n; i++) {
		add_workload(view, list[i].key.client);
		add_workload(view, list[i].key.server);
	}
	bh_conversations_make(view->world, view->sight, n, list, ret_conversations);
	free(rows.items);
}

/* As bh_api_history(), with the window as it was answered. */
static bool ask_window(struct bh_view *view, struct bh_control_call *call, int slot,
	enum bh_view_ends ends, struct bh_window *window, json_t **ret_error)
{
	const struct bh_history_question question = {
		.subject = ends == BH_VIEW_PODS ? BH_HISTORY_BOTH : BH_HISTORY_EDGES,
		.from_ns = window->from_ns,
		.to_ns = window->open ? 0 : window->to_ns,
	};

	if (!bh_api_history(view->api, call, slot, &question, &window->history, ret_error))
		return false;
	if (*ret_error)
		return true;
	window->from_ns = window->history->from_ns;
	window->to_ns = window->history->to_ns;
	return true;
}

/* A survey has an end of its own, before this. */
#define SURVEY_MS 60000

/* Begins to ask for the window. Returns an error, or NULL. */
static json_t *begin_survey(struct bh_view *view, struct bh_control_call *call, int slot,
	const struct bh_window *window, const char *edge)
{
	const struct bh_cluster_window asked = {
		.from_s = window->from_ns / SECOND_NS,
		.to_s = (window->to_ns + SECOND_NS - 1) / SECOND_NS,
	};

	if (call->surveys[slot])
		return NULL;
	call->surveys[slot] = bh_cluster_ask(view->api->cluster, &asked, edge, window->open);
	call->deadline = call->now + SURVEY_MS;
	call->expired = false;
	return call->surveys[slot]
		       ? NULL
		       : bh_api_busy("too many other windows of the cluster are asked for");
}

/* True: it is there, in `window`, or *ret_error. */
static bool take_survey(struct bh_view *view, struct bh_control_call *call, int slot, bool beside,
	struct bh_window *window, json_t **ret_error)
{
	const struct bh_cluster_answer *answer =
		bh_cluster_answer(view->api->cluster, call->surveys[slot]);
	char *note;

	if (!answer && !call->expired)
		return false;
	/* Who compares with a time before anything was scraped finds that all of it is new. */
	if (!answer || (answer->error && !(beside && answer->unheard))) {
		*ret_error = bh_api_busy("%s%s", beside ? "the earlier window: " : "",
			!answer       ? "Prometheus does not answer in time"
			: view->sight ? "Prometheus does not answer as it should"
				      : answer->error);
		return true;
	}
	note = view->sight ? NULL : bh_cluster_note(answer);
	window->cluster = answer;
	window->from_ns = answer->window.from_s * SECOND_NS;
	window->to_ns = answer->window.to_s * SECOND_NS;
	window->exact = answer->exact && !answer->unheard;
	window->note = answer->unheard ? "nothing was scraped in that time"
		       : note          ? bh_arena_strdup(&view->arena, note)
		       : answer->exact ? NULL
				       : "what some nodes have counted is missing, or not certain";
	free(note);
	return true;
}

/*
 * As bh_view_ask() of all nodes. Both windows are asked for at once. Of an open one that somebody
 * asked for some seconds ago the begin is that of then, and where the earlier one has to end.
 */
static bool ask_cluster(struct bh_view *view, struct bh_control_call *call,
	struct bh_window *earlier, bool joined, json_t **ret_error)
{
	*ret_error = begin_survey(view, call, 0, &view->window, NULL);
	if (!*ret_error && joined) {
		const struct bh_cluster_window *later =
			bh_cluster_window(view->api->cluster, call->surveys[0]);
		uint64_t length = earlier->to_ns - earlier->from_ns;

		earlier->to_ns = later->from_s * SECOND_NS;
		earlier->from_ns = earlier->to_ns > length ? earlier->to_ns - length : 1;
	}
	if (!*ret_error && earlier)
		*ret_error = begin_survey(view, call, 1, earlier, NULL);
	if (*ret_error)
		return true;
	if (!take_survey(view, call, 0, false, &view->window, ret_error))
		return false;
	return *ret_error || !earlier || take_survey(view, call, 1, true, earlier, ret_error);
}

bool bh_view_ask_edge(struct bh_view *view, struct bh_control_call *call, const char *edge,
	struct bh_window *ret_window, json_t **ret_error)
{
	*ret_window = view->window;
	*ret_error = begin_survey(view, call, 1, &view->window, edge);
	return *ret_error || take_survey(view, call, 1, false, ret_window, ret_error);
}

bool bh_view_ask(struct bh_view *view, struct bh_control_call *call, enum bh_view_ends ends,
	struct bh_window *earlier, json_t **ret_error)
{
	bool joined = earlier && earlier->to_ns == view->window.from_ns;

	*ret_error = NULL;
	if (view->cluster)
		return ask_cluster(view, call, earlier, joined, ret_error);
	if (!view->window.given && ends == BH_VIEW_WORKLOADS)
		return bh_api_fresh(view->api, call);
	if (!ask_window(view, call, 0, ends, &view->window, ret_error))
		return false;
	if (*ret_error || !earlier)
		return true;
	if (joined)
		earlier->to_ns = view->window.from_ns;
	return ask_window(view, call, 1, ends, earlier, ret_error);
}

bool bh_view_elsewhere(const struct bh_view *view, struct bh_control_call *call,
	bh_api_command *command, enum bh_view_ends ends, bool with_labels)
{
	const struct bh_history_answer *answer = view->window.history;
	bool live = !answer && !view->cluster;
	unsigned int parts = (live ? BH_EXCERPT_EDGES : 0) |
			     (with_labels || ends == BH_VIEW_PODS ? BH_EXCERPT_PODS : 0);
	size_t rows = live     ? bh_edges_count(view->api->edges)
		      : answer ? answer->n_edges + answer->n_pods
			       : 0;

	return !call->elsewhere && bh_api_elsewhere(view->api, call, command, rows, parts);
}

void bh_view_fill(struct bh_view *view, enum bh_view_ends ends, bool with_labels)
{
	if (view->cluster) {
		const struct bh_cluster_answer *answer = view->window.cluster;

		view->world = bh_cluster_world(answer);
		bh_conversations_make(view->world, view->sight, answer->n_edges, answer->edges,
			&view->conversations);
		return;
	}
	view->world = bh_world_new();
	if (ends == BH_VIEW_PODS) {
		bh_view_fill_pods(view);
		return;
	}
	for (size_t i = 0; i < view->api->desired->n_endpoints; i++)
		add_endpoint(view, &view->api->desired->endpoints[i]);
	bh_view_conversations(view, &view->window, &view->conversations);
	if (with_labels)
		add_labels(view);
}

void bh_view_clear(struct bh_view *view)
{
	bh_conversations_clear(&view->conversations);
	bh_world_free(view->world);
	bh_world_free(view->earlier_world);
	bh_filter_clear(&view->filter);
	bh_table_clear(&view->texts);
	bh_arena_clear(&view->arena);
}

/* ---- Why ------------------------------------------------------------------------------------- */

/* No padding: looked up as bytes. */
struct decision {
	uint32_t reason;
	uint32_t rule;
	uint32_t workload;
	uint32_t egress;
	const char *text;
};
#define DECISION_KEY_SIZE offsetof(struct decision, text)

const char *bh_view_decision(
	struct bh_view *view, uint32_t reason, uint32_t rule, bool egress, uint32_t workload)
{
	const struct decision key = {
		.reason = reason, .rule = rule, .workload = workload, .egress = egress};
	struct decision *known = bh_table_get(&view->texts, &key, DECISION_KEY_SIZE);
	const struct bh_party *party;
	bool pod;
	json_t *text;

	if (view->cluster)
		return "its node knows the rule: metrics do not say it";
	if (known)
		return known->text;
	party = view->world ? bh_world_find(view->world, workload) : NULL;
	pod = party && party->is_pod;
	text = bh_api_decision(view->api, reason, rule, egress, pod ? party->namespace : NULL,
		pod ? party->name : NULL, workload);
	known = bh_arena_copy(&view->arena, &key, 1, sizeof(key));
	known->text = bh_arena_strdup(&view->arena, json_string_value(text));
	json_decref(text);
	bh_table_put(&view->texts, known, DECISION_KEY_SIZE, known);
	return known->text;
}

const char *bh_view_row_text(struct bh_view *view, const struct bh_history_edge *row, bool pending)
{
	return bh_view_decision(view, pending ? row->key.pending : row->key.verdict,
		pending ? row->key.pending_rule : row->key.rule, row->key.egress,
		row->key.egress ? row->key.client : row->key.server);
}

/* What decides: the verdict in force where it denies, else the pending one where that would. */
const char *bh_view_text(struct bh_view *view, const struct bh_conversation *conversation)
{
	bool pending = conversation->state == BH_STATE_WOULD_DENY;
	const struct bh_history_edge *by = bh_conversation_deciding(conversation, pending);

	/* What would be allowed says more than that nothing is enforced. */
	if (by && conversation->state == BH_STATE_ALLOWED && by->key.rule == BH_RULE_NONE) {
		pending = true;
		by = bh_conversation_deciding(conversation, true);
	}
	if (view->cluster) {
		_cleanup_free_ char *text = bh_cluster_text(NULL, conversation);

		return bh_arena_strdup(&view->arena, text);
	}
	if (!by || (by->key.egress ? conversation->client_hidden : conversation->server_hidden))
		return "";
	return bh_view_row_text(view, by, pending);
}

char *bh_view_text_of(void *data, const struct bh_conversation *conversation)
{
	return bh_xstrdup(bh_view_text(data, conversation));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *bh_json_window(const struct bh_window *window)
{
	json_t *object = json_object();

	json_object_set_new(object, "from", bh_json_time(window->from_ns));
	json_object_set_new(object, "to", bh_json_time(window->to_ns));
	json_object_set_new(object, "exact", json_boolean(window->exact));
	if (window->note)
		bh_json_set_text(object, "note", window->note);
	if (window->history) {
		json_object_set_new(object, "resolution",
			json_integer((json_int_t)(window->history->resolution_ns / SECOND_NS)));
		json_object_set_new(
			object, "historySince", bh_json_time(window->history->since_ns));
	}
	return object;
}

void bh_view_set_cluster(const struct bh_view *view, json_t *answer)
{
	if (view->cluster)
		json_object_set_new(answer, "cluster",
			bh_cluster_object(view->window.cluster, view->sight == NULL));
}

json_t *bh_view_conversation(struct bh_view *view, const struct bh_conversation *conversation)
{
	return bh_json_conversation(conversation, bh_view_text(view, conversation));
}
