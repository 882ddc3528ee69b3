/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "controller/model/memory.h"
#include "controller/net/curl.h"
#include "proto/cleanup.h"

#define TRY_MS 30000L
#define RETRY_MS 1000
#define RETRY_MAX_MS 60000
/* Longer wishes are cut. */
#define RETRY_AFTER_MAX_S 300
/* An answer has this much of a body at most; nobody reads it. */
#define ANSWER_MAX (64u * 1024)

struct document {
	STAILQ_ENTRY(document) link;
	uint64_t number;
	unsigned int tries;
	size_t n;
	char bytes[];
};

STAILQ_HEAD(documents, document);

struct bh_webhook {
	struct bh_webhook_config config;
	char *url, *secret, *ca;
	uint64_t instance;
	uint64_t number;
	uv_loop_t *loop;
	uv_timer_t timer;
	struct bh_curl *curl;
	struct bh_export_account account;
	void (*changed)(void *data);
	void *data;

	struct documents queue;
	size_t queue_bytes;
	bool waiting; /* for the timer */
	bool closing;

	/* The try that is under way; NULL: none is. */
	CURL *easy;
	struct curl_slist *headers;
	size_t answered;
	unsigned int retry_after;
};

static void begin(struct bh_webhook *webhook);

/* ---- Signing --------------------------------------------------------------------------------- */

/* Returns how much of `secret` is used, or -errno. */
static ssize_t read_secret(const char *path, char secret[BH_WEBHOOK_SECRET_MAX])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, secret, BH_WEBHOOK_SECRET_MAX);

	if (n < 0)
		return -errno;
	if (n == BH_WEBHOOK_SECRET_MAX)
		return -EFBIG;
	while (n > 0 && (secret[n - 1] == '\n' || secret[n - 1] == '\r'))
		n--;
	return n ? n : -ENODATA;
}

/* Of "TIMESTAMP.BODY", so that an old delivery cannot be shown again as a new one. */
static int sign(const struct bh_webhook *webhook, const struct document *document,
	const char *timestamp, char ret_hex[65])
{
	char secret[BH_WEBHOOK_SECRET_MAX];
	ssize_t n = read_secret(webhook->secret, secret);
	uint8_t digest[32];
	gnutls_hmac_hd_t hmac;

	if (n < 0)
		return (int)n;
	if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, secret, (size_t)n) < 0)
		return -ENOTSUP;
	explicit_bzero(secret, sizeof(secret));
	gnutls_hmac(hmac, timestamp, strlen(timestamp));
	gnutls_hmac(hmac, ".", 1);
	gnutls_hmac(hmac, document->bytes, document->n);
	gnutls_hmac_deinit(hmac, digest);
	for (int i = 0; i < 32; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

static void __attribute__((format(printf, 2, 3)))
add_header(struct bh_webhook *webhook, const char *format, ...)
{
	_cleanup_free_ char *header = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&header, format, arguments) < 0)
		abort();
	va_end(arguments);
	webhook->headers = bh_xcheck(curl_slist_append(webhook->headers, header));
}

/* 0 or -errno. */
static int add_headers(struct bh_webhook *webhook, const struct document *document)
{
	char timestamp[24], signature[65];
	int r = 0;

	snprintf(timestamp, sizeof(timestamp), "%lld", (long long)time(NULL));
	if (webhook->secret)
		r = sign(webhook, document, timestamp, signature);
	if (r < 0)
		return r;
	add_header(webhook, "Content-Type: application/json");
	add_header(webhook, "Expect:"); /* or libcurl would ask first */
	add_header(webhook, "X-Bulkhead-Delivery: %016" PRIx64 "-%" PRIu64, webhook->instance,
		document->number);
	add_header(webhook, "X-Bulkhead-Timestamp: %s", timestamp);
	if (webhook->secret)
		add_header(webhook, "X-Bulkhead-Signature: sha256=%s", signature);
	return 0;
}

/* ---- What became of it ----------------------------------------------------------------------- */

static void end_try(struct bh_webhook *webhook)
{
	if (webhook->easy) {
		bh_curl_remove(webhook->curl, webhook->easy);
		curl_easy_cleanup(webhook->easy);
	}
	curl_slist_free_all(webhook->headers);
	webhook->easy = NULL;
	webhook->headers = NULL;
}

static void drop_first(struct bh_webhook *webhook)
{
	struct document *document = STAILQ_FIRST(&webhook->queue);

	STAILQ_REMOVE_HEAD(&webhook->queue, link);
	webhook->queue_bytes -= sizeof(*document) + document->n;
	free(document);
}

static void fail(struct bh_webhook *webhook, const char *why)
{
	bool failing = webhook->account.failing_since_ns;

	bh_export_fail(&webhook->account, "%s", why);
	if (!failing)
		webhook->changed(webhook->data);
}

static void recover(struct bh_webhook *webhook)
{
	if (!webhook->account.failing_since_ns)
		return;
	bh_export_recover(&webhook->account);
	webhook->changed(webhook->data);
}

static void on_timer(uv_timer_t *timer)
{
	struct bh_webhook *webhook = timer->data;

	webhook->waiting = false;
	begin(webhook);
}

/* Twice as long each time, but no shorter than the other side wishes. */
static void wait_for_next(struct bh_webhook *webhook, unsigned int tries)
{
	uint64_t ms = webhook->config.retry_ms ? webhook->config.retry_ms : RETRY_MS;
	uint64_t wish = (uint64_t)webhook->retry_after * 1000;

	for (unsigned int i = 1; i < tries && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	webhook->waiting = true;
	uv_timer_start(&webhook->timer, on_timer, wish > ms ? wish : ms, 0);
}

static void on_failure(struct bh_webhook *webhook, const char *why)
{
	struct document *document = STAILQ_FIRST(&webhook->queue);
	unsigned int tries = ++document->tries;

	fail(webhook, why);
	if (tries >= BH_WEBHOOK_TRIES) {
		bh_export_lose(&webhook->account, 1, BH_EXPORT_LOSS_GIVEN_UP);
		drop_first(webhook);
	}
	wait_for_next(webhook, tries);
}

/* True of an answer that another try would get again. */
static bool is_final(long status)
{
	return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

static void on_answer(struct bh_webhook *webhook, long status)
{
	struct document *document = STAILQ_FIRST(&webhook->queue);
	char text[64];

	snprintf(text, sizeof(text), "it answers %ld", status);
	if (status >= 200 && status < 300) {
		bh_export_deliver(&webhook->account, 1, document->n);
		drop_first(webhook);
		recover(webhook);
	} else if (is_final(status)) {
		bh_export_lose(&webhook->account, 1, BH_EXPORT_LOSS_REFUSED);
		drop_first(webhook);
		fail(webhook, text);
	} else {
		on_failure(webhook, text);
	}
}

static void done(CURL *easy, CURLcode code)
{
	struct bh_webhook *webhook = NULL;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&webhook);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	end_try(webhook);
	/* What the answer said counts, also if it was too long. */
	if (code && !(code == CURLE_WRITE_ERROR && status))
		on_failure(webhook, curl_easy_strerror(code));
	else
		on_answer(webhook, status);
	begin(webhook);
}

/* ---- Trying ---------------------------------------------------------------------------------- */

static size_t on_header(char *bytes, size_t size, size_t n, void *data)
{
	static const char name[] = "retry-after:";
	struct bh_webhook *webhook = data;
	size_t length = size * n;

	if (length > sizeof(name) && strncasecmp(bytes, name, sizeof(name) - 1) == 0) {
		unsigned long seconds = strtoul(bytes + sizeof(name) - 1, NULL, 10);

		webhook->retry_after =
			(unsigned int)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
	}
	return length;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct bh_webhook *webhook = data;

	webhook->answered += size * n;
	return webhook->answered > ANSWER_MAX ? 0 : size * n;
}

static void set_options(struct bh_webhook *webhook, const struct document *document)
{
	CURL *easy = webhook->easy;

	bh_curl_set_defaults(easy);
	curl_easy_setopt(easy, CURLOPT_URL, webhook->url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, webhook);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TRY_MS);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, &document->bytes[0]);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)document->n);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, webhook->headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, webhook);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, webhook);
	if (webhook->ca) { /* and nobody else */
		curl_easy_setopt(easy, CURLOPT_CAINFO, webhook->ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

/* Tries the first document, unless something is under way or has to be waited for. */
static void begin(struct bh_webhook *webhook)
{
	struct document *document = STAILQ_FIRST(&webhook->queue);
	char text[256];
	int r;

	if (!document || webhook->easy || webhook->waiting || webhook->closing)
		return;
	webhook->answered = 0;
	webhook->retry_after = 0;
	r = add_headers(webhook, document);
	if (r < 0) {
		end_try(webhook);
		snprintf(
			text, sizeof(text), "the secret %.128s: %s", webhook->secret, strerror(-r));
		on_failure(webhook, text);
		return;
	}
	webhook->easy = bh_xcheck(curl_easy_init());
	set_options(webhook, document);
	bh_curl_add(webhook->curl, webhook->easy);
}

void bh_webhook_send(struct bh_webhook *webhook, const char *json, size_t n)
{
	struct document *document;
	size_t size = sizeof(*document) + n;

	bh_export_emit(&webhook->account, 1);
	if (n > BH_WEBHOOK_BODY_MAX || size > webhook->config.queue_bytes - webhook->queue_bytes) {
		bh_export_lose(&webhook->account, 1,
			n > BH_WEBHOOK_BODY_MAX ? BH_EXPORT_LOSS_TOO_LARGE
						: BH_EXPORT_LOSS_QUEUE_FULL);
		return;
	}
	document = bh_xcalloc(1, size);
	document->number = ++webhook->number;
	document->n = n;
	memcpy(document->bytes, json, n);
	STAILQ_INSERT_TAIL(&webhook->queue, document, link);
	webhook->queue_bytes += size;
	begin(webhook);
}

const struct bh_export_account *bh_webhook_account(const struct bh_webhook *webhook)
{
	return &webhook->account;
}

/* ---- Life ------------------------------------------------------------------------------------ */

const char *bh_webhook_check(const char *url)
{
	CURLU *parsed = bh_xcheck(curl_url());
	const char *wrong = NULL;
	char *name = NULL;

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		wrong = "does not begin with http:// or https://";
	else if (curl_url_set(parsed, CURLUPART_URL, url, 0))
		wrong = "is no URL";
	else if (curl_url_get(parsed, CURLUPART_USER, &name, 0) == CURLUE_OK)
		wrong = "holds a user or password, which every list of processes would show";
	curl_free(name);
	curl_url_cleanup(parsed);
	return wrong;
}

/* What status shows: a path may hold a token. */
static char *origin_of(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return bh_xasprintf("%.*s", (int)(host - url + (ptrdiff_t)strcspn(host, "/?#")), url);
}

int bh_webhook_new(uv_loop_t *loop, const struct bh_webhook_config *config,
	void (*changed)(void *data), void *data, struct bh_webhook **ret_webhook)
{
	struct bh_webhook *webhook;
	_cleanup_free_ char *origin = NULL;
	int r;

	if (bh_webhook_check(config->url))
		return -EINVAL;
	webhook = bh_xcalloc(1, sizeof(*webhook));
	r = bh_curl_new(loop, done, NULL, NULL, &webhook->curl);
	if (r == 0 && getrandom(&webhook->instance, sizeof(webhook->instance), 0) !=
			      sizeof(webhook->instance))
		abort();
	if (r < 0) {
		free(webhook);
		return r;
	}
	webhook->config = *config;
	webhook->url = bh_xstrdup(config->url);
	webhook->secret = config->secret ? bh_xstrdup(config->secret) : NULL;
	webhook->ca = config->ca ? bh_xstrdup(config->ca) : NULL;
	webhook->loop = loop;
	webhook->changed = changed;
	webhook->data = data;
	STAILQ_INIT(&webhook->queue);
	origin = origin_of(config->url);
	bh_export_account_init(&webhook->account, "webhook", origin);
	uv_timer_init(loop, &webhook->timer);
	webhook->timer.data = webhook;
	*ret_webhook = webhook;
	return 0;
}

void bh_webhook_close(struct bh_webhook *webhook)
{
	if (!webhook)
		return;
	webhook->closing = true;
	end_try(webhook);
	bh_curl_free(webhook->curl);
	uv_close((uv_handle_t *)&webhook->timer, NULL);
}

void bh_webhook_finish(struct bh_webhook *webhook)
{
	bh_export_lose(
		&webhook->account, bh_export_queued(&webhook->account), BH_EXPORT_LOSS_ENDED);
}

void bh_webhook_free(struct bh_webhook *webhook)
{
	if (!webhook)
		return;
	while (!STAILQ_EMPTY(&webhook->queue))
		drop_first(webhook);
	bh_export_account_clear(&webhook->account);
	free(webhook->url);
	free(webhook->secret);
	free(webhook->ca);
	free(webhook);
}
