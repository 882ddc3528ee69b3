/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/reflector.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/source/prune.h"
#include "controller/source/stream.h"
#include "proto/cleanup.h"

/* The first failure after a success is tried again almost at once: a server that restarts. */
#define PAUSE_MIN_MS 250u
#define PAUSE_MAX_MS 30000u
/* A watch that lived so long was a good one, even if it brought nothing. */
#define GOOD_WATCH_MS 5000
/* No page takes that long; a server that dribbles is given up. */
#define PAGE_MS 120000
#define WATCH_GRACE_MS 30000
/* So many failed watches in a row, and the next thing is a list. */
#define RELIST_AFTER 3
/* A resource the server does not have is asked for again after that, or after a watch's time. */
#define ABSENT_S 60u
/* So many times it must say so where there were objects of it. */
#define ABSENT_AFTER 4
#define VERSION_MAX 256
#define ERROR_MAX 300

enum phase {
	PHASE_LISTING,
	PHASE_WATCHING,
	PHASE_PAUSED,
	PHASE_ABSENT,
};

/* An object that the server has, by its uid. */
struct held {
	uint64_t seen; /* the list that had it last */
	char *fault;   /* why its present form is not in the model; NULL: it is */
	char uid[];
};

/* What the page under way says of itself. */
struct page {
	char kind[64];
	char *version;
	char *next;
	bool items;
};

struct bh_reflector {
	const struct bh_resource *resource;
	const struct bh_reflector_context *context;
	enum phase phase;
	struct bh_http_request *request;
	struct bh_stream *stream;
	int refused; /* why its body was not read to the end, -errno */
	uv_timer_t *timer;
	struct bh_table held;
	size_t n_faults;
	struct bh_arena arena; /* of the object being decoded */

	/* The list under way. */
	const char *path; /* the resource's, new or older: what the server last knew */
	bool switched;    /* … and the other one, since the last complete list, was not it */
	struct page page;
	uint64_t list;        /* its number */
	uint64_t list_ticket; /* the context's when it began */
	char *list_version;   /* of its first page */
	char *next;           /* where its next page begins; NULL: the first */
	bool whole;           /* without pages, since a `continue` expired */

	char *version; /* to watch from; NULL: list first */
	bool listed;   /* to the end, at least once */
	uint64_t listed_ticket;

	/* The watch under way. */
	bool accepted;
	uint64_t accepted_at;
	uint64_t events_before;
	char ended[ERROR_MAX]; /* the server's own words why it ended */
	long ended_code;       /* 410, … 0: it did not say */

	unsigned int
		absences; /* lists in a row to which the server said that there is no such thing */
	unsigned int failures; /* in a row */
	bool told_to_wait;     /* the pause is the server's wish */
	bool fresh;            /* the next request needs a connection of its own */
	char error[ERROR_MAX]; /* "": none since it last watched */
	uint64_t heard_at;
	uint64_t lists;
	uint64_t watches;
	uint64_t events;
};

static void begin(struct bh_reflector *r);

/* ---- Failure and pause
 * ----------------------------------------------------------------------------
 */

/* Evenly within [low, high]: what keeps a thousand nodes from coming back in step. */
static unsigned int jitter(unsigned int low, unsigned int high)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)(uintptr_t)&random ^ (uint32_t)uv_hrtime();
	return low + random % (high - low + 1);
}

static void on_timer(uv_timer_t *timer)
{
	begin(timer->data);
}

static unsigned int next_pause(const struct bh_reflector *r, unsigned int wanted_s)
{
	unsigned int pause = PAUSE_MAX_MS;

	if (wanted_s)
		return jitter(wanted_s * 1000, wanted_s * 1100);
	if (r->failures < 8)
		pause = PAUSE_MIN_MS << (r->failures ? r->failures - 1 : 0);
	return jitter(pause / 2, pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
}

/* Nothing of the model changes by it. */
static void __attribute__((format(printf, 3, 4)))
fail(struct bh_reflector *r, unsigned int wanted_s, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->error, sizeof(r->error), format, arguments);
	va_end(arguments);
	for (char *at = r->error; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 127)
			*at = '?';
	}
	r->failures++;
	r->fresh = true;
	r->told_to_wait = wanted_s;
	r->phase = PHASE_PAUSED;
	uv_timer_start(r->timer, on_timer, next_pause(r, wanted_s), 0);
}

/* "429 Too Many Requests: …" out of the server's Status, if the answer is one. */
static void fail_by_answer(struct bh_reflector *r, const struct bh_http_result *result)
{
	json_t *status = json_loads(result->body, JSON_ALLOW_NUL, NULL);
	const char *message = json_string_value(json_object_get(status, "message"));
	json_int_t seconds = json_integer_value(
		json_object_get(json_object_get(status, "details"), "retryAfterSeconds"));
	unsigned int wanted = result->retry_after;

	if (!wanted && seconds > 0 && seconds <= 300)
		wanted = (unsigned int)seconds;
	fail(r, wanted, "%s: HTTP status %ld%s%s", r->path, result->status, message ? ": " : "",
		message ? message : "");
	json_decref(status);
	if (result->status == 401)
		r->context->unauthorized(r->context->data);
}

/* ---- Objects
 * --------------------------------------------------------------------------------------
 */

static struct held *find_or_add(struct bh_reflector *r, const char *uid)
{
	size_t length = strlen(uid);
	struct held *held = bh_table_get(&r->held, uid, length);

	if (held)
		return held;
	held = bh_xcalloc(1, sizeof(*held) + length + 1);
	memcpy(held->uid, uid, length);
	bh_table_put(&r->held, held->uid, length, held);
	return held;
}

static void set_fault(struct bh_reflector *r, struct held *held, char *fault)
{
	r->n_faults += (fault != NULL) - (held->fault != NULL);
	free(held->fault);
	held->fault = fault;
}

static void drop(struct bh_reflector *r, struct held *held)
{
	bh_model_remove(r->context->model, held->uid);
	set_fault(r, held, NULL);
	bh_table_remove(&r->held, held->uid, strlen(held->uid));
	free(held);
}

static const char *text_at(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return text ? text : "";
}

/* It counts as there, and what was known of it stays. */
static int put_faulty(struct bh_reflector *r, const json_t *json, const struct bh_fault *fault)
{
	const json_t *metadata = json_object_get(json, "metadata");
	const char *uid = text_at(metadata, "uid");

	if (!*uid)
		return -EBADMSG;
	struct held *held = find_or_add(r, uid);

	const char *namespace = text_at(metadata, "namespace");

	held->seen = r->list;
	set_fault(r, held,
		bh_xasprintf("%s %s%s%s: %s", r->resource->name, namespace, *namespace ? "/" : "",
			text_at(metadata, "name"), fault->text));
	return 0;
}

static int put(struct bh_reflector *r, const json_t *json)
{
	struct bh_object_list objects = {0};
	struct bh_fault fault = {0};
	int error = 0;

	if (r->held.n >= BH_REFLECTOR_OBJECTS_MAX)
		return -E2BIG;
	if (!bh_object_decode_as(r->resource->kind, json, &r->arena, &fault, &objects)) {
		error = put_faulty(r, json, &fault);
	} else if (objects.n) {
		struct held *held = find_or_add(r, objects.items[0].uid);

		held->seen = r->list;
		set_fault(r, held, NULL);
		bh_object_put(&objects.items[0], r->context->model);
	}
	bh_object_list_clear(&objects);
	bh_arena_clear(&r->arena);
	return error;
}

/* The list is complete: what it (number `r->list`) did not have is no more. */
static void drop_unseen(struct bh_reflector *r)
{
	struct held **gone = NULL, *held;
	size_t n = 0, capacity = 0;

	for (size_t at = 0; (held = bh_table_next(&r->held, &at));) {
		if (held->seen == r->list)
			continue;
		bh_xgrow(gone, n, capacity);
		gone[n++] = held;
	}
	for (size_t i = 0; i < n; i++)
		drop(r, gone[i]);
	free(gone);
}

/* ---- Requests
 * -------------------------------------------------------------------------------------
 */

static void end_request(struct bh_reflector *r)
{
	if (r->request && bh_http_heard(r->request))
		r->heard_at = bh_http_heard(r->request);
	r->request = NULL;
	bh_stream_free(r->stream);
	r->stream = NULL;
}

static void cancel(struct bh_reflector *r)
{
	struct bh_http_request *request = r->request;

	uv_timer_stop(r->timer);
	end_request(r);
	bh_http_cancel(request);
}

/* What may stand in a query as it is (RFC 3986, section 2.3); the rest is escaped. */
static char *escape(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *escaped = bh_xcalloc(strlen(text) * 3 + 1, 1), *to = escaped;

	for (const char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			(c && strchr("-._~", c))) {
			*to++ = *at;
		} else {
			*to++ = '%';
			*to++ = digits[c >> 4];
			*to++ = digits[c & 15];
		}
	}
	return escaped;
}

static bool is_version(const char *text)
{
	return text && *text && strlen(text) <= VERSION_MAX;
}

static void replace(char **text, const char *by)
{
	char *copy = by ? bh_xstrdup(by) : NULL; /* before the free: it may be the same */

	free(*text);
	*text = copy;
}

static void clear_page(struct page *page)
{
	free(page->version);
	free(page->next);
	*page = (struct page){0};
}

/* Why a body could not be read to its end, in words. */
static const char *stream_error(int error)
{
	switch (-error) {
	case EMSGSIZE:
		return "an object is larger than 8 MiB";
	case E2BIG:
		return "there are more than 500000 objects";
	default:
		return "the answer is not what Kubernetes answers";
	}
}

/* The transfer did not come to its end, or `otherwise`. Without any answer it is not the resource's
 * failure, and all resources say the same. */
static void fail_by_transfer(
	struct bh_reflector *r, const struct bh_http_result *result, const char *otherwise)
{
	const char *why = r->refused      ? stream_error(r->refused)
			  : result->error ? result->error
					  : otherwise;

	if (result->status)
		fail(r, 0, "%s: %s", r->path, why);
	else
		fail(r, 0, "%s", why);
}

static void body_begins(void *data)
{
}

static int take_body(void *data, const char *bytes, size_t size)
{
	struct bh_reflector *r = data;

	r->refused = bh_stream_feed(r->stream, bytes, size);
	return r->refused;
}

/* ---- List
 * -----------------------------------------------------------------------------------------
 */

static void begin_page(struct bh_reflector *r);

static int list_item(void *data, char *text, size_t size)
{
	struct bh_reflector *r = data;
	json_t *json = json_loadb(text, bh_prune(text, size, NULL), JSON_ALLOW_NUL, NULL);
	int error = json ? put(r, json) : -EBADMSG;

	json_decref(json);
	return error;
}

static int list_member(void *data, const char *key, const char *text, size_t size)
{
	struct bh_reflector *r = data;
	struct page *page = &r->page;

	if (!strcmp(key, "items"))
		page->items = true;
	if (strcmp(key, "metadata") && strcmp(key, "kind"))
		return 0;
	json_t *json = json_loadb(text, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);

	if (!strcmp(key, "kind")) {
		snprintf(page->kind, sizeof(page->kind), "%s",
			json_is_string(json) ? json_string_value(json) : "");
	} else {
		replace(&page->version, text_at(json, "resourceVersion"));
		replace(&page->next, text_at(json, "continue"));
	}
	json_decref(json);
	return 0;
}

static const struct bh_stream_parts list_parts = {.item = list_item, .member = list_member};

/* Is this a page of a list of what was asked for? Nothing else may ever look like an empty one. */
static bool is_page(const struct bh_reflector *r)
{
	size_t n = strlen(r->resource->name);
	const struct page *page = &r->page;

	return bh_stream_complete(r->stream) && page->items && is_version(page->version) &&
	       !strncmp(page->kind, r->resource->name, n) && !strcmp(page->kind + n, "List");
}

static void finish_list(struct bh_reflector *r)
{
	drop_unseen(r);
	r->absences = 0;
	r->switched = false;
	r->listed = true;
	r->listed_ticket = r->list_ticket;
	r->whole = false;
	r->lists++;
	replace(&r->version, r->list_version);
	/* The next step, a list or a watch, tells if the server is well. */
	begin(r);
}

static void continue_list(struct bh_reflector *r)
{
	if (!r->next)
		replace(&r->list_version, r->page.version);
	if (!r->page.next || !*r->page.next) {
		finish_list(r);
	} else if (r->next && !strcmp(r->next, r->page.next)) {
		fail(r, 0, "%s: the same page again and again", r->path);
	} else {
		replace(&r->next, r->page.next);
		begin_page(r);
	}
}

/*
 * 410 where a page was continued: the server has forgotten the snapshot (after some five minutes).
 * The list begins anew, and as one page, so that it comes to an end however slow we are.
 */
static void restart_list(struct bh_reflector *r)
{
	bool again = r->whole;

	r->whole = true;
	if (again)
		fail(r, 0, "%s: HTTP status 410 to a list", r->path);
	else
		begin(r);
}

/* The server does not have the resource: there are no objects of it. */
static void be_absent(struct bh_reflector *r)
{
	unsigned int s = r->context->watch_s < ABSENT_S ? r->context->watch_s : ABSENT_S;

	r->list++; /* an empty one */
	drop_unseen(r);
	r->listed = true;
	r->listed_ticket = r->list_ticket;
	r->whole = false;
	r->failures = 0;
	r->error[0] = '\0';
	r->told_to_wait = false;
	r->phase = PHASE_ABSENT;
	uv_timer_start(r->timer, on_timer, jitter(s * 900, s * 1100), 0);
}

static void list_is_unknown(struct bh_reflector *r, const struct bh_http_result *result)
{
	r->absences++;
	if (r->held.n && r->absences < ABSENT_AFTER)
		fail_by_answer(r, result);
	else
		be_absent(r);
}

/* The server does not know the path. Versions come and go with its own: it may know the other. */
static bool switch_path(struct bh_reflector *r)
{
	const struct bh_resource *resource = r->resource;

	if (!resource->older_path)
		return false;
	/* Neither: that is a failure, after which both have their turn again. */
	r->switched = !r->switched;
	if (!r->switched)
		return false;
	r->path = r->path == resource->path ? resource->older_path : resource->path;
	return true;
}

static void list_done(void *data, const struct bh_http_result *result)
{
	struct bh_reflector *r = data;
	bool good = result->status == 200 && !result->error && is_page(r);

	end_request(r);
	if (good)
		continue_list(r);
	else if (result->status == 410)
		restart_list(r);
	else if (result->status == 404 && switch_path(r))
		begin(r);
	else if (result->status == 404 && r->resource->optional)
		list_is_unknown(r, result);
	else if (result->status && result->status != 200)
		fail_by_answer(r, result);
	else
		fail_by_transfer(r, result, "the list is not complete");
}

static const struct bh_http_events list_events = {
	.begun = body_begins, .body = take_body, .done = list_done};

static void begin_page(struct bh_reflector *r)
{
	_cleanup_free_ char *token = r->next ? escape(r->next) : NULL;
	/* A limit of 0 is none. */
	_cleanup_free_ char *path = bh_xasprintf("%s?limit=%u%s%s", r->path,
		r->whole ? 0 : r->context->page, token ? "&continue=" : "", token ? token : "");
	const struct bh_http_get get = {
		.path = path,
		.silence_ms = r->context->silence_s * 1000ull,
		.total_ms = PAGE_MS,
		.fresh = r->fresh,
	};

	clear_page(&r->page);
	r->stream = bh_stream_new(BH_STREAM_LIST, &list_parts, r);
	r->request = bh_http_get(r->context->http, &get, &list_events, r);
}

static void begin_list(struct bh_reflector *r)
{
	r->phase = PHASE_LISTING;
	r->list++;
	r->list_ticket = r->context->ticket;
	replace(&r->version, NULL);
	replace(&r->next, NULL);
	begin_page(r);
}

/* ---- Watch
 * ----------------------------------------------------------------------------------------
 */

/* The server ends the watch in its own words: a Status. */
static int watch_error(struct bh_reflector *r, const json_t *status)
{
	r->ended_code = (long)json_integer_value(json_object_get(status, "code"));
	snprintf(r->ended, sizeof(r->ended), "%s", text_at(status, "message"));
	return -ECANCELED;
}

static int watch_object(struct bh_reflector *r, const char *type, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *version = text_at(metadata, "resourceVersion");
	const char *uid = text_at(metadata, "uid");
	int error = 0;

	if (!is_version(version))
		return -EBADMSG;
	if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED")) {
		error = put(r, object);
	} else if (!strcmp(type, "DELETED")) {
		struct held *held = bh_table_get(&r->held, uid, strlen(uid));

		if (held)
			drop(r, held);
	} else if (strcmp(type, "BOOKMARK")) {
		return -EBADMSG;
	}
	if (error < 0)
		return error;
	replace(&r->version, version);
	r->failures = 0;
	r->events++;
	return 0;
}

static int watch_item(void *data, char *text, size_t size)
{
	struct bh_reflector *r = data;
	json_t *json = json_loadb(text, bh_prune(text, size, "object"), JSON_ALLOW_NUL, NULL);
	const json_t *object = json_object_get(json, "object");
	const char *type = text_at(json, "type");
	int error = !strcmp(type, "ERROR") ? watch_error(r, object) : watch_object(r, type, object);

	json_decref(json);
	return error;
}

static const struct bh_stream_parts watch_parts = {.item = watch_item};

static void watch_begun(void *data)
{
	struct bh_reflector *r = data;

	if (r->accepted)
		return;
	r->accepted = true;
	r->accepted_at = uv_now(r->context->loop);
	r->watches++;
	r->error[0] = '\0';
	r->fresh = false;
}

/* What was to be watched from is too old, or the stream cannot be trusted: list again. Once at
 * once, then with pauses. */
static void watch_is_lost(struct bh_reflector *r, const char *reason)
{
	replace(&r->version, NULL);
	if (r->failures) {
		fail(r, 0, "%s: %s", r->path, reason);
		return;
	}
	r->failures = 1;
	begin(r);
}

/* A watch that ends as soon as it began, again and again, would be a storm. */
static void watch_ended_well(struct bh_reflector *r, bool brief)
{
	if (brief) {
		fail(r, 0, "%s: the watch ended at once", r->path);
		return;
	}
	r->failures = 0;
	begin(r);
}

static void watch_done(void *data, const struct bh_http_result *result)
{
	struct bh_reflector *r = data;
	bool whole = bh_stream_complete(r->stream);
	uint64_t lived = r->accepted ? uv_now(r->context->loop) - r->accepted_at : 0;
	bool good = lived >= GOOD_WATCH_MS || lived + 500 >= r->context->watch_s * 1000ull;

	end_request(r);
	/* After some in a row the version itself may be what the server does not like. */
	if (good)
		r->failures = 0;
	else if (r->failures >= RELIST_AFTER)
		replace(&r->version, NULL);

	if (result->status == 404 && r->resource->optional)
		watch_is_lost(r, "HTTP status 404");
	else if (result->status == 410 || r->ended_code == 410)
		watch_is_lost(r, *r->ended ? r->ended : "HTTP status 410");
	else if (r->ended_code || *r->ended)
		fail(r, 0, "%s: %s (code %ld)", r->path, r->ended, r->ended_code);
	else if (result->status && result->status != 200)
		fail_by_answer(r, result);
	else if (r->refused)
		watch_is_lost(r, stream_error(r->refused));
	else if (result->error || !whole)
		fail_by_transfer(r, result, "the watch ended in the middle of an object");
	else
		watch_ended_well(r, !good && r->events == r->events_before);
}

static const struct bh_http_events watch_events = {
	.begun = watch_begun, .body = take_body, .done = watch_done};

static void begin_watch(struct bh_reflector *r)
{
	_cleanup_free_ char *version = escape(r->version);
	unsigned int seconds = jitter(r->context->watch_s, r->context->watch_s * 2);
	_cleanup_free_ char *path = bh_xasprintf("%s?watch=1&allowWatchBookmarks=true"
						 "&timeoutSeconds=%u&resourceVersion=%s",
		r->path, seconds, version);
	const struct bh_http_get get = {
		.path = path,
		.silence_ms = r->context->silence_s * 1000ull,
		.total_ms = seconds * 1000ull + WATCH_GRACE_MS,
		.fresh = r->fresh,
	};

	r->phase = PHASE_WATCHING;
	r->accepted = false;
	r->events_before = r->events;
	r->ended_code = 0;
	r->ended[0] = '\0';
	r->stream = bh_stream_new(BH_STREAM_EVENTS, &watch_parts, r);
	r->request = bh_http_get(r->context->http, &get, &watch_events, r);
}

/* ---- Public
 * ---------------------------------------------------------------------------------------
 */

static bool must_list(const struct bh_reflector *r)
{
	return !r->version || r->listed_ticket < r->context->ticket;
}

/* The next request: whatever is due. */
static void begin(struct bh_reflector *r)
{
	r->refused = 0;
	if (must_list(r))
		begin_list(r);
	else
		begin_watch(r);
}

struct bh_reflector *bh_reflector_new(
	const struct bh_resource *resource, const struct bh_reflector_context *context)
{
	struct bh_reflector *r = bh_xcalloc(1, sizeof(*r));

	r->resource = resource;
	r->path = resource->path;
	r->context = context;
	r->timer = bh_xcalloc(1, sizeof(*r->timer));
	uv_timer_init(context->loop, r->timer);
	r->timer->data = r;
	begin(r);
	return r;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

void bh_reflector_free(struct bh_reflector *r)
{
	struct held *held;

	if (!r)
		return;
	cancel(r);
	uv_close((uv_handle_t *)r->timer, free_handle);
	for (size_t at = 0; (held = bh_table_next(&r->held, &at));) {
		free(held->fault);
		free(held);
	}
	bh_table_clear(&r->held);
	bh_arena_clear(&r->arena);
	clear_page(&r->page);
	free(r->list_version);
	free(r->next);
	free(r->version);
	free(r);
}

/* A list under way that began before is let come to its end: asking often must not starve it. */
void bh_reflector_refresh(struct bh_reflector *r)
{
	if (r->phase == PHASE_LISTING || (r->phase == PHASE_PAUSED && r->told_to_wait))
		return;
	cancel(r);
	begin(r);
}

bool bh_reflector_listed(const struct bh_reflector *r, uint64_t *ret_ticket)
{
	*ret_ticket = r->listed_ticket;
	return r->listed;
}

void bh_reflector_status(const struct bh_reflector *r, struct bh_kube_resource_status *ret_status)
{
	static const char *const states[] = {
		[PHASE_LISTING] = "listing",
		[PHASE_WATCHING] = "watching",
		[PHASE_PAUSED] = "paused",
		[PHASE_ABSENT] = "absent",
	};
	uint64_t heard = r->request ? bh_http_heard(r->request) : 0;

	*ret_status = (struct bh_kube_resource_status){
		.name = r->resource->name,
		.state = states[r->phase],
		.error = *r->error ? r->error : NULL,
		.note = r->phase == PHASE_ABSENT
				? "the API server does not have it; it is asked again now and then"
				: NULL,
		.synced = r->listed,
		.heard_ms = heard > r->heard_at ? heard : r->heard_at,
		.n_objects = r->held.n,
		.lists = r->lists,
		.watches = r->watches,
		.events = r->events,
	};
}

const char *bh_reflector_next_fault(const struct bh_reflector *r, size_t *position)
{
	struct held *held;

	while (r->n_faults && (held = bh_table_next(&r->held, position))) {
		if (held->fault)
			return held->fault;
	}
	return NULL;
}
