/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/access/tokens.h"
#include "controller/api/api.h"
#include "controller/http/http.h"
#include "controller/model/memory.h"
#include "controller/serve.h"
#include "controller/source/yaml.h"
#include "proto/cleanup.h"
#include "proto/listen.h"
#include "proto/log.h"

#define RETRY_MS 5000
#define HOSTS_MAX 32
/* How often the file of given tokens is looked at, and how large it may be. */
#define LOOK_MS 4000
#define TOKENS_BYTES_MAX (256 * 1024)

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
	uint64_t look_at;
	bool looked;
	struct stat given; /* the file of given tokens, when it was last read */
	char *given_problem;
};

char *bh_serve_check(const struct bh_serve_options *options)
{
	char address[BH_LISTEN_ADDRESS_MAX];
	unsigned int port;

	if (!options->http)
		return options->certificate || options->key || options->hosts || options->tokens
			       ? bh_xstrdup(
					 "--http-cert, --http-key, --http-host and --http-tokens "
					 "need --http")
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

/* ---- Tokens from outside --------------------------------------------------------------------- */

/* The whole of a regular file, or NULL and *ret_problem. */
static char *read_tokens(const char *path, size_t *ret_n, char **ret_problem)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = bh_xcalloc(TOKENS_BYTES_MAX + 1, 1);
	struct stat status;
	size_t n = 0;
	ssize_t r = 1;

	if (fd < 0 || fstat(fd, &status) < 0) {
		*ret_problem = bh_xstrdup(strerror(errno));
		return NULL;
	}
	while (S_ISREG(status.st_mode) && r > 0 && n <= TOKENS_BYTES_MAX) {
		r = read(fd, text + n, TOKENS_BYTES_MAX + 1 - n);
		n += r > 0 ? (size_t)r : 0;
	}
	if (!S_ISREG(status.st_mode) || r < 0 || n > TOKENS_BYTES_MAX) {
		*ret_problem = bh_xstrdup(r < 0 ? strerror(errno) : "no file of at most 256 KiB");
		return NULL;
	}
	*ret_n = n;
	return bh_take_pointer(text);
}

/* Taking the file away takes its tokens away. Returns what is wrong. */
static char *forget_tokens(struct bh_tokens *tokens)
{
	json_t *none = json_pack("{s:[]}", "tokens");
	char *problem = NULL;

	bh_tokens_give(tokens, none, &problem);
	json_decref(none);
	return problem ?: bh_xstrdup("is not there, so nobody is let in by it");
}

/* NULL, or what is wrong: then those that were given before stay good, so that no slip locks out.
 */
static char *give_tokens(struct bh_tokens *tokens, const char *path)
{
	struct bh_text_error error;
	_cleanup_free_ char *text = NULL;
	char *problem = NULL, *said;
	json_t *documents;
	size_t n = 0;

	text = read_tokens(path, &n, &problem);
	if (!text)
		return problem;
	documents = bh_yaml_parse(text, n, &error);
	explicit_bzero(text, n);
	if (!documents)
		problem = bh_xasprintf("line %zu: %s", error.line, error.text);
	else
		bh_tokens_give(tokens, json_array_get(documents, 0), &problem);
	json_decref(documents);
	if (!problem)
		return NULL;
	said = bh_xasprintf("%s; the tokens read before stay good", problem);
	free(problem);
	return said;
}

/* Takes up what has changed in the file of given tokens. */
static void look_at_given(struct bh_serve *serve, uint64_t now)
{
	const char *path = serve->options->tokens;
	struct stat status = {0};
	char *wrong;
	bool there;

	if (!path || !serve->api->tokens || now < serve->look_at)
		return;
	serve->look_at = now + LOOK_MS;
	there = stat(path, &status) == 0;
	if (serve->looked && status.st_ino == serve->given.st_ino &&
		status.st_size == serve->given.st_size &&
		status.st_mtim.tv_sec == serve->given.st_mtim.tv_sec &&
		status.st_mtim.tv_nsec == serve->given.st_mtim.tv_nsec)
		return;
	serve->looked = true;
	serve->given = status;
	wrong = there ? give_tokens(serve->api->tokens, path) : forget_tokens(serve->api->tokens);
	free(serve->given_problem);
	serve->given_problem = NULL;
	if (wrong) {
		serve->given_problem = bh_xasprintf("--http-tokens %s: %s", path, wrong);
		bh_warning("%s", serve->given_problem);
		free(wrong);
	} else {
		bh_info("tokens were read from %s", path);
	}
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
	look_at_given(serve, now);
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
	free(serve->given_problem);
	free(serve->host_list);
	free(serve->state_dir);
	free(serve);
}

/* ---- The loop -------------------------------------------------------------------------------- */

uint64_t bh_serve_deadline(const struct bh_serve *serve)
{
	uint64_t deadline;

	if (!serve)
		return 0;
	deadline = serve->http ? bh_http_deadline(serve->http) : serve->retry_at;
	if (serve->options->tokens && (!deadline || serve->look_at < deadline))
		deadline = serve->look_at;
	return deadline;
}

void bh_serve_dispatch(struct bh_serve *serve, uint64_t now)
{
	if (!serve)
		return;
	if (!serve->http && serve->retry_at <= now)
		try_to_open(serve, now);
	if (!serve->http)
		return;
	look_at_given(serve, now);
	bh_http_dispatch(serve->http, now);
	serve->api->http_problem = bh_http_tls_problem(serve->http) ?: serve->given_problem;
}
