/* SPDX-License-Identifier: Apache-2.0 */

/* The webhook against a server that answers by a script. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/export/webhook.h"
#include "controller/model/memory.h"

#define REQUESTS_MAX 32
#define DEADLINE_MS 60000

/* ---- The server ------------------------------------------------------------------------------ */

struct server {
	int fd;
	pthread_t thread;
	const char *const
		*script; /* answers, one for each request; "": hang up. The last is kept */
	atomic_int n;
	char requests[REQUESTS_MAX][4096];
};

static const char *value_of(const char *request, const char *name)
{
	static char value[256];
	const char *at = strcasestr(request, name);

	value[0] = '\0';
	if (at)
		sscanf(at + strlen(name), ": %255[^\r]", value);
	return value;
}

static const char *body_of(const char *request)
{
	const char *body = strstr(request, "\r\n\r\n");

	return body ? body + 4 : "";
}

/* True if there was one, whole. */
static bool read_request(int fd, char request[4096])
{
	size_t n = 0;

	for (;;) {
		ssize_t k = read(fd, request + n, 4095 - n);

		if (k <= 0)
			return false;
		n += (size_t)k;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n") &&
			strlen(body_of(request)) >=
				strtoul(value_of(request, "Content-Length"), NULL, 10))
			return true;
	}
}

static void *serve(void *data)
{
	struct server *server = data;
	int at = 0, fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		while (read_request(fd, server->requests[server->n])) {
			const char *answer = server->script[at];

			at += server->script[at + 1] != NULL;
			server->n += server->n < REQUESTS_MAX - 1;
			if (!*answer ||
				dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", answer) < 0)
				break;
		}
		close(fd);
	}
	return NULL;
}

struct scene {
	struct server server;
	char url[64];
	uv_loop_t loop;
	struct bh_webhook *webhook;
	const struct bh_export_account *account;
	int changes;
};

static void changed(void *data)
{
	struct scene *s = data;

	s->changes++;
}

static void begin(struct scene *s, const char *const *script, struct bh_webhook_config config)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*s = (struct scene){.server = {.script = script}};
	s->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->server.fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(s->server.fd, 8), 0);
	assert_int_equal(getsockname(s->server.fd, (struct sockaddr *)&address, &size), 0);
	pthread_create(&s->server.thread, NULL, serve, &s->server);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/hook/secret-path",
		ntohs(address.sin_port));
	config.url = s->url;
	if (!config.queue_bytes)
		config.queue_bytes = 1 << 20;
	config.retry_ms = 1;
	uv_loop_init(&s->loop);
	assert_int_equal(bh_webhook_new(&s->loop, &config, changed, s, &s->webhook), 0);
	s->account = bh_webhook_account(s->webhook);
}

static void send_text(struct scene *s, const char *text)
{
	bh_webhook_send(s->webhook, text, strlen(text));
}

static void assert_balance(const struct scene *s)
{
	assert_int_equal(s->account->emitted,
		s->account->delivered + bh_export_lost(s->account) + bh_export_queued(s->account));
}

/* Until nothing waits any more. */
static void run(struct scene *s)
{
	uint64_t end;

	uv_update_time(&s->loop);
	end = uv_now(&s->loop) + DEADLINE_MS;
	while (bh_export_queued(s->account) && uv_now(&s->loop) < end) {
		uv_run(&s->loop, UV_RUN_ONCE);
		assert_balance(s);
	}
	assert_int_equal(bh_export_queued(s->account), 0);
}

static void end(struct scene *s)
{
	bh_webhook_close(s->webhook);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	bh_webhook_finish(s->webhook);
	assert_int_equal(bh_export_queued(s->account), 0);
	assert_balance(s);
	bh_webhook_free(s->webhook);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	shutdown(s->server.fd, SHUT_RDWR);
	pthread_join(s->server.thread, NULL);
	close(s->server.fd);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void documents_arrive_in_order_and_signed(void **state)
{
	static const char *const script[] = {"204 No Content", NULL};
	char path[] = "/tmp/bh-secret-XXXXXX";
	int fd = mkstemp(path);
	struct scene s;
	char command[512], hex[80] = "sha256=";
	FILE *pipe;

	assert_int_equal(write(fd, "s3cret\n", 7), 7);
	begin(&s, script, (struct bh_webhook_config){.secret = path});
	send_text(&s, "{\"a\":1}");
	send_text(&s, "{\"b\":2}");
	run(&s);
	assert_int_equal(s.account->delivered, 2);
	assert_int_equal(s.account->octets, 14);
	assert_string_equal(body_of(s.server.requests[0]), "{\"a\":1}");
	assert_string_equal(body_of(s.server.requests[1]), "{\"b\":2}");
	assert_true(strncmp(s.server.requests[0], "POST /hook/secret-path HTTP/1.1", 31) == 0);
	assert_string_equal(value_of(s.server.requests[0], "Content-Type"), "application/json");
	/* As openssl has it. */
	snprintf(command, sizeof(command),
		"printf %%s '%s.{\"a\":1}' | openssl dgst -sha256 -hmac s3cret -r",
		value_of(s.server.requests[0], "X-Bulkhead-Timestamp"));
	pipe = popen(command, "r");
	assert_int_equal(fscanf(pipe, "%64s", hex + strlen("sha256=")), 1);
	pclose(pipe);
	assert_string_equal(value_of(s.server.requests[0], "X-Bulkhead-Signature"), hex);
	assert_null(strstr(s.account->target, "secret-path"));
	end(&s);
	close(fd);
	unlink(path);
}

static void what_may_change_is_tried_again_as_the_same_delivery(void **state)
{
	static const char *const script[] = {
		"", "503 Busy", "429 Slow\r\nRetry-After: 0", "200 OK", NULL};
	struct scene s;
	char first[256];

	begin(&s, script, (struct bh_webhook_config){0});
	send_text(&s, "{}");
	send_text(&s, "[]");
	run(&s);
	assert_int_equal(s.account->delivered, 2);
	assert_int_equal(s.account->failures, 3);
	assert_int_equal(s.server.n, 5);
	snprintf(first, sizeof(first), "%s", value_of(s.server.requests[0], "X-Bulkhead-Delivery"));
	assert_string_equal(value_of(s.server.requests[3], "X-Bulkhead-Delivery"), first);
	assert_string_not_equal(value_of(s.server.requests[4], "X-Bulkhead-Delivery"), first);
	assert_string_equal(value_of(s.server.requests[0], "X-Bulkhead-Signature"), "");
	assert_int_equal(s.changes, 2);
	assert_string_equal(s.account->error, "");
	end(&s);
}

static void what_will_not_change_is_lost_at_once(void **state)
{
	static const char *const script[] = {"400 No", "302 Found\r\nLocation: /x", "200 OK", NULL};
	struct scene s;

	begin(&s, script, (struct bh_webhook_config){0});
	send_text(&s, "{}");
	send_text(&s, "[]");
	run(&s);
	assert_int_equal(s.account->lost[BH_EXPORT_LOSS_REFUSED], 1);
	assert_int_equal(s.account->delivered, 1); /* the redirect was not followed */
	assert_true(strncmp(s.server.requests[2], "POST /hook/secret-path ", 23) == 0);
	end(&s);
}

static void patience_ends(void **state)
{
	static const char *const script[] = {"500 No", NULL};
	struct scene s;

	begin(&s, script, (struct bh_webhook_config){0});
	send_text(&s, "{}");
	run(&s);
	assert_int_equal(s.account->lost[BH_EXPORT_LOSS_GIVEN_UP], 1);
	assert_int_equal(s.server.n, BH_WEBHOOK_TRIES);
	assert_string_equal(s.account->error, "it answers 500");
	end(&s);
}

static void the_queue_is_bounded_and_ends_counted(void **state)
{
	static const char *const script[] = {"500 No", NULL};
	char *large = bh_xcalloc(1, BH_WEBHOOK_BODY_MAX + 1);
	struct scene s;

	begin(&s, script, (struct bh_webhook_config){.queue_bytes = 1000});
	for (int i = 0; i < 50; i++)
		send_text(&s, "{\"some\":\"text\"}");
	assert_true(s.account->lost[BH_EXPORT_LOSS_QUEUE_FULL] > 0);
	bh_webhook_send(s.webhook, large, BH_WEBHOOK_BODY_MAX + 1);
	assert_int_equal(s.account->lost[BH_EXPORT_LOSS_TOO_LARGE], 1);
	assert_true(bh_export_queued(s.account) > 0);
	end(&s);
	free(large);
}

static void without_its_secret_nothing_goes(void **state)
{
	static const char *const script[] = {"200 OK", NULL};
	struct scene s;

	begin(&s, script, (struct bh_webhook_config){.secret = "/nowhere/secret"});
	send_text(&s, "{}");
	run(&s);
	assert_int_equal(s.server.n, 0);
	assert_int_equal(s.account->lost[BH_EXPORT_LOSS_GIVEN_UP], 1);
	assert_string_equal(
		s.account->error, "the secret /nowhere/secret: No such file or directory");
	end(&s);
}

static void urls_are_http_without_passwords(void **state)
{
	assert_null(bh_webhook_check("http://127.0.0.1:80/x?y"));
	assert_null(bh_webhook_check("https://[::1]/"));
	assert_non_null(bh_webhook_check("file:///etc/passwd"));
	assert_non_null(bh_webhook_check("https://"));
	assert_non_null(bh_webhook_check("https://u:p@host/"));
	assert_non_null(bh_webhook_check("https://token@host/"));
	assert_non_null(bh_webhook_check(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_arrive_in_order_and_signed),
		cmocka_unit_test(what_may_change_is_tried_again_as_the_same_delivery),
		cmocka_unit_test(what_will_not_change_is_lost_at_once),
		cmocka_unit_test(patience_ends),
		cmocka_unit_test(the_queue_is_bounded_and_ends_counted),
		cmocka_unit_test(without_its_secret_nothing_goes),
		cmocka_unit_test(urls_are_http_without_passwords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
