/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "controller/cluster/survey.h"
#include "controller/model/memory.h"
#include "controller/net/curl.h"
#include "controller/topology/text.h"
#include "proto/cleanup.h"

#define TRY_MS 40000u
/* What the other side is told. */
#define QUERY_TIMEOUT "30s"
#define SECRET_MAX 8192

struct bh_cluster_fetch {
	uv_loop_t *loop;
	const struct bh_cluster_source *source;
	void (*done)(void *data, struct bh_cluster_answer *answer);
	void *data;
	struct bh_survey *survey;
	struct bh_curl *curl; /* NULL: it was cancelled */
	CURL *easy;
	struct curl_slist *headers;
	char *login;
	char *url;
	char *form;
	char error[CURL_ERROR_SIZE];
	uint64_t end; /* of the loop's time */
	uv_work_t work;
	bool working;
	/* The answer that is under way. */
	struct bh_text body;
	bool too_long;
	long status;
};

/* ---- The source ------------------------------------------------------------------------------ */

const char *bh_cluster_url(const char *text)
{
	return strncmp(text, "prometheus=", 11) == 0 ? text + 11 : NULL;
}

static const char *check_url(const char *url)
{
	CURLU *parsed = bh_xcheck(curl_url());
	const char *wrong = NULL;
	char *user = NULL;

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		wrong = "does not begin with http:// or https://";
	else if (curl_url_set(parsed, CURLUPART_URL, url, 0))
		wrong = "is no URL";
	else if (curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK)
		wrong = "holds a login, which every list of processes would show";
	else if (strpbrk(url, "?#"))
		wrong = "has a query; it is the part before /api/v1/query";
	curl_free(user);
	curl_url_cleanup(parsed);
	return wrong;
}

char *bh_cluster_source_check(const struct bh_cluster_source *source)
{
	const char *wrong = check_url(source->url);
	_cleanup_free_ char *matchers = NULL;

	if (wrong)
		return bh_xasprintf("'%.200s' %s", source->url, wrong);
	if (source->token && source->login)
		return bh_xstrdup("say either a token or a login");
	if (source->tenant && (!*source->tenant || strpbrk(source->tenant, "\r\n")))
		return bh_xstrdup("the tenant is no name");
	if (source->match)
		matchers = bh_cluster_matchers(source->match);
	if (source->match && !matchers)
		return bh_xasprintf("'%.200s' is not like cluster=eu,job=bulkhead", source->match);
	return NULL;
}

char *bh_cluster_origin(const struct bh_cluster_source *source)
{
	const char *host = strstr(source->url, "://") + 3;

	return bh_xasprintf(
		"%.*s", (int)(host - source->url + (ptrdiff_t)strcspn(host, "/?#")), source->url);
}

/* ---- Secrets --------------------------------------------------------------------------------- */

/* The file's one line, to free(); or NULL and *ret_problem, to free(). */
static char *read_secret(const char *path, char **ret_problem)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char text[SECRET_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	const char *wrong = n < 0                        ? strerror(errno)
			    : n == (ssize_t)sizeof(text) ? "it is too long"
							 : NULL;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (!wrong && n == 0)
		wrong = "it is empty";
	for (ssize_t i = 0; !wrong && i < n; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			wrong = "it has more than one line";
	}
	if (wrong) {
		*ret_problem = bh_xasprintf("%s: %s", path, wrong);
		return NULL;
	}
	return bh_xasprintf("%.*s", (int)n, text);
}

static void add_header(struct bh_cluster_fetch *fetch, const char *name, const char *value)
{
	_cleanup_free_ char *header = bh_xasprintf("%s: %s", name, value);

	fetch->headers = bh_xcheck(curl_slist_append(fetch->headers, header));
}

/* NULL, or what is wrong: free() it. */
static char *prepare_headers(struct bh_cluster_fetch *fetch)
{
	const struct bh_cluster_source *source = fetch->source;
	char *problem = NULL;

	add_header(fetch, "Expect", ""); /* or libcurl would ask first */
	if (source->tenant)
		add_header(fetch, "X-Scope-OrgID", source->tenant);
	if (source->token) {
		_cleanup_free_ char *token = read_secret(source->token, &problem);
		_cleanup_free_ char *value = token ? bh_xasprintf("Bearer %s", token) : NULL;

		if (value)
			add_header(fetch, "Authorization", value);
	}
	if (source->login)
		fetch->login = read_secret(source->login, &problem);
	return problem;
}

/* ---- One question ---------------------------------------------------------------------------- */

static void ask(struct bh_cluster_fetch *fetch);

static void release(struct bh_cluster_fetch *fetch)
{
	if (fetch->curl && fetch->easy)
		bh_curl_remove(fetch->curl, fetch->easy);
	curl_easy_cleanup(fetch->easy);
	curl_slist_free_all(fetch->headers);
	bh_curl_free(fetch->curl);
	fetch->easy = NULL;
	fetch->headers = NULL;
	fetch->curl = NULL;
}

static void destroy(struct bh_cluster_fetch *fetch)
{
	bh_survey_free(fetch->survey);
	bh_text_clear(&fetch->body);
	free(fetch->login);
	free(fetch->url);
	free(fetch->form);
	free(fetch);
}

static void finish(struct bh_cluster_fetch *fetch)
{
	struct bh_cluster_answer *answer = bh_survey_answer(fetch->survey);
	void (*done)(void *data, struct bh_cluster_answer *answer) = fetch->done;
	void *data = fetch->data;

	if (answer->error) {
		_cleanup_free_ char *bare = answer->error;
		_cleanup_free_ char *origin = bh_cluster_origin(fetch->source);

		answer->error = bh_xasprintf("Prometheus at %s: %s", origin, bare);
	}
	release(fetch);
	destroy(fetch);
	done(data, answer);
}

/* In a thread of its own: nobody else touches the survey meanwhile. */
static void take(uv_work_t *work)
{
	struct bh_cluster_fetch *fetch = work->data;

	bh_survey_take(fetch->survey, fetch->status, fetch->body.data ? fetch->body.data : "",
		fetch->body.n);
	/* Each thread of the pool would keep what it has freed, and that may be a lot. */
	malloc_trim(0);
}

static void nothing(uv_work_t *work)
{
}

static void taken(uv_work_t *work, int status)
{
	struct bh_cluster_fetch *fetch = work->data;

	fetch->working = false;
	bh_text_clear(&fetch->body);
	if (fetch->curl)
		ask(fetch);
	else
		destroy(fetch);
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct bh_cluster_fetch *fetch = data;

	fetch->too_long = size * n > fetch->source->answer_max - fetch->body.n;
	if (fetch->too_long)
		return 0;
	bh_text_add_bytes(&fetch->body, bytes, size * n);
	return size * n;
}

static void on_done(CURL *easy, CURLcode code)
{
	struct bh_cluster_fetch *fetch = NULL;
	char text[CURL_ERROR_SIZE + 64];

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&fetch);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &fetch->status);
	bh_curl_remove(fetch->curl, easy);
	if (code == CURLE_OK || fetch->too_long)
		text[0] = '\0';
	else
		snprintf(text, sizeof(text), "%s",
			fetch->error[0] ? fetch->error : curl_easy_strerror(code));
	if (fetch->too_long)
		snprintf(text, sizeof(text),
			"an answer is longer than %zu MiB: a shorter window, or fewer series, is "
			"needed",
			fetch->source->answer_max >> 20);
	if (text[0]) {
		bh_text_clear(&fetch->body);
		bh_survey_fail(fetch->survey, text);
	}
	/* Also what failed goes on from there: not within libcurl's callback. */
	fetch->working = true;
	fetch->work.data = fetch;
	uv_queue_work(fetch->loop, &fetch->work, text[0] ? nothing : take, taken);
}

static void set_options(struct bh_cluster_fetch *fetch)
{
	const struct bh_cluster_source *source = fetch->source;
	CURL *easy = fetch->easy;

	bh_curl_set_defaults(easy);
	curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	if (fetch->login) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERPWD, fetch->login);
	}
	if (source->ca) { /* and nobody else */
		curl_easy_setopt(easy, CURLOPT_CAINFO, source->ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static void ask(struct bh_cluster_fetch *fetch)
{
	const char *expression = bh_survey_next(fetch->survey);
	uint64_t now = uv_now(fetch->loop);
	uint64_t left;
	char *coded;

	if (expression && now >= fetch->end)
		bh_survey_give_up(fetch->survey, "it takes too long");
	if (!expression || now >= fetch->end) {
		finish(fetch);
		return;
	}
	coded = bh_xcheck(curl_easy_escape(fetch->easy, expression, 0));
	free(fetch->form);
	fetch->form = bh_xasprintf("query=%s&time=%" PRIu64 "&timeout=" QUERY_TIMEOUT, coded,
		bh_survey_window(fetch->survey)->to_s);
	curl_free(coded);
	left = fetch->end - now;
	fetch->error[0] = '\0';
	fetch->too_long = false;
	curl_easy_setopt(fetch->easy, CURLOPT_POSTFIELDS, fetch->form);
	curl_easy_setopt(fetch->easy, CURLOPT_TIMEOUT_MS, (long)(left < TRY_MS ? left : TRY_MS));
	bh_curl_add(fetch->curl, fetch->easy);
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct bh_cluster_fetch *bh_cluster_fetch_begin(uv_loop_t *loop,
	const struct bh_cluster_source *source, const struct bh_cluster_window *window,
	const char *edge, void (*done)(void *data, struct bh_cluster_answer *answer), void *data)
{
	struct bh_cluster_fetch *fetch = bh_xcalloc(1, sizeof(*fetch));
	_cleanup_free_ char *matchers = source->match ? bh_cluster_matchers(source->match) : NULL;
	_cleanup_free_ char *problem = NULL;
	size_t n = strlen(source->url);

	if (bh_curl_new(loop, on_done, NULL, NULL, &fetch->curl) < 0) {
		free(fetch);
		return NULL;
	}
	while (n > 0 && source->url[n - 1] == '/')
		n--;
	fetch->loop = loop;
	fetch->source = source;
	fetch->done = done;
	fetch->data = data;
	fetch->url = bh_xasprintf("%.*s/api/v1/query", (int)n, source->url);
	fetch->end = uv_now(loop) + source->total_ms;
	fetch->survey = bh_survey_new(window, matchers ? matchers : "");
	if (edge)
		bh_survey_of_edge(fetch->survey, edge);
	fetch->easy = bh_xcheck(curl_easy_init());
	problem = prepare_headers(fetch);
	set_options(fetch);
	if (problem)
		bh_survey_fail(fetch->survey, problem);
	/* Nobody is called back before this function has returned. */
	fetch->working = true;
	fetch->work.data = fetch;
	uv_queue_work(loop, &fetch->work, nothing, taken);
	return fetch;
}

void bh_cluster_fetch_cancel(struct bh_cluster_fetch *fetch)
{
	if (!fetch)
		return;
	release(fetch);
	if (!fetch->working)
		destroy(fetch);
}
