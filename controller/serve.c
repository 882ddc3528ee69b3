/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/access/tokens.h"
#include "controller/api/api.h"
#include "controller/http/http.h"
#include "controller/model/memory.h"
#include "controller/serve.h"
#include "proto/cleanup.h"
#include "proto/listen.h"
#include "proto/log.h"

#define RETRY_MS 5000
#define HOSTS_MAX 32

struct bh_serve {
	const struct bh_serve_options *options;
	uv_loop_t *loop;
	struct bh_api *api;
	void (*turn)(void *data);
	void *data;
	struct bh_http *http; /* NULL: not yet */
	uv_poll_t *poll;
	char address[BH_LISTEN_ADDRESS_MAX];
	unsigned int port;
	char *host_list;
	size_t n_hosts;
	const char *hosts[HOSTS_MAX];
	char *state_dir;
	char *problem;
	uint64_t retry_at;
};

char *bh_serve_check(const struct bh_serve_options *options)
{
	char address[BH_LISTEN_ADDRESS_MAX];
	unsigned int port;

	if (!options->http)
		return options->certificate || options->key || options->hosts
			       ? bh_xstrdup("--http-cert, --http-key and --http-host need --http")
			       : NULL;
	if (bh_listen_parse(options->http, address, &port) < 0)
		return bh_xasprintf(
			"--http '%s' is not like 127.0.0.1:7070 or [::1]:7070", options->http);
	if (!options->certificate != !options->key)
		return bh_xstrdup("--http-cert and --http-key go together");
	if (!options->certificate && !bh_address_is_loopback(address))
		return bh_xasprintf("--http %s: others could read tokens on the way there; beyond "
				    "loopback it needs --http-cert and --http-key",
			options->http);
	return NULL;
}

/* ---- Trying ---------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct bh_serve *serve = poll->data;

	serve->turn(serve->data);
}

static void watch(struct bh_serve *serve)
{
	serve->poll = bh_xcalloc(1, sizeof(*serve->poll));
	uv_poll_init(serve->loop, serve->poll, bh_http_fd(serve->http));
	serve->poll->data = serve;
	uv_poll_start(serve->poll, UV_READABLE, on_poll);
}

/* Said once in the log, and as long as it lasts in `status`. */
static void set_problem(struct bh_serve *serve, char *problem)
{
	if (problem && (!serve->problem || strcmp(serve->problem, problem) != 0))
		bh_warning("%s", problem);
	free(serve->problem);
	serve->problem = problem;
	serve->api->http_problem = problem;
}

static void try_to_open(struct bh_serve *serve, uint64_t now)
{
	struct bh_http_config config = {
		.address = serve->address,
		.port = serve->port,
		.certificate = serve->options->certificate,
		.key = serve->options->key,
		.n_hosts = serve->n_hosts,
		.hosts = serve->hosts,
		.api = serve->api,
	};
	char *problem = NULL;
	int r = 0;

	serve->retry_at = now + RETRY_MS;
	if (!serve->api->tokens)
		r = bh_tokens_open(serve->state_dir, &serve->api->tokens, &problem);
	config.tokens = serve->api->tokens;
	if (r == 0)
		r = bh_http_open(&config, &serve->http, &problem);
	set_problem(serve, problem);
	if (r < 0)
		return;
	watch(serve);
	serve->retry_at = 0;
	serve->api->http_url = bh_http_url(serve->http);
	bh_info("HTTP on %s, the first token in %s", serve->api->http_url,
		bh_tokens_first_path(serve->api->tokens));
}

struct bh_serve *bh_serve_new(const struct bh_serve_options *options, const char *state_dir,
	uv_loop_t *loop, struct bh_api *api, void (*turn)(void *data), void *data)
{
	struct bh_serve *serve;
	char *rest = NULL;

	if (!options->http)
		return NULL;
	serve = bh_xcalloc(1, sizeof(*serve));
	serve->options = options;
	serve->loop = loop;
	serve->api = api;
	serve->turn = turn;
	serve->data = data;
	serve->state_dir = bh_xstrdup(state_dir);
	serve->host_list = bh_xstrdup(options->hosts ? options->hosts : "");
	bh_listen_parse(options->http, serve->address, &serve->port);
	for (char *host = strtok_r(serve->host_list, ",", &rest);
		host && serve->n_hosts < HOSTS_MAX; host = strtok_r(NULL, ",", &rest))
		serve->hosts[serve->n_hosts++] = host;
	try_to_open(serve, 0);
	return serve;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void bh_serve_free(struct bh_serve *serve)
{
	if (!serve)
		return;
	if (serve->poll) {
		uv_poll_stop(serve->poll);
		uv_close((uv_handle_t *)serve->poll, on_closed);
	}
	bh_http_close(serve->http);
	bh_tokens_free(serve->api->tokens);
	serve->api->tokens = NULL;
	serve->api->http_url = NULL;
	serve->api->http_problem = NULL;
	free(serve->problem);
	free(serve->host_list);
	free(serve->state_dir);
	free(serve);
}

/* ---- The loop -------------------------------------------------------------------------------- */

uint64_t bh_serve_deadline(const struct bh_serve *serve)
{
	if (!serve)
		return 0;
	return serve->http ? bh_http_deadline(serve->http) : serve->retry_at;
}

void bh_serve_dispatch(struct bh_serve *serve, uint64_t now)
{
	if (!serve)
		return;
	if (!serve->http && serve->retry_at <= now)
		try_to_open(serve, now);
	if (!serve->http)
		return;
	bh_http_dispatch(serve->http, now);
	serve->api->http_problem = bh_http_tls_problem(serve->http);
}
