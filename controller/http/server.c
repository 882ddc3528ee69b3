/* SPDX-License-Identifier: Apache-2.0 */

/* The listening socket, the connections, and when each of them has to be done. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "controller/http/server.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"
#include "proto/listen.h"
#include "proto/log.h"

/* ---- One connection -------------------------------------------------------------------------- */

void bh_connection_set(
	struct bh_connection *connection, enum bh_connection_state state, uint64_t ms)
{
	connection->state = state;
	connection->since = connection->http->now;
	connection->deadline = ms ? connection->http->now + ms : 0;
}

void bh_connection_suspend(struct bh_connection *connection)
{
	if (!connection->suspended)
		MHD_suspend_connection(connection->mhd);
	connection->suspended = true;
}

void bh_connection_resume(struct bh_connection *connection)
{
	if (connection->suspended)
		MHD_resume_connection(connection->mhd);
	connection->suspended = false;
}

void bh_connection_cut(struct bh_connection *connection)
{
	connection->doomed = true;
	connection->deadline = 0;
	/* The library sees the end of it at its next run, and says so with on_connection(). */
	shutdown(connection->fd, SHUT_RDWR);
	bh_connection_resume(connection);
}

/* ---- Who has to go --------------------------------------------------------------------------- */

/* True if it takes as long as its other side likes: parked ones and streams have bounds of their
 * own. */
static bool is_idle(const struct bh_connection *connection)
{
	return !connection->doomed && connection->state != BH_CONNECTION_PARKED &&
	       connection->state != BH_CONNECTION_STREAM;
}

static bool same_address(const struct bh_connection *a, const struct bh_connection *b)
{
	return memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* Who has shown no token goes before who has; then who is at it longest. */
static bool goes_first(const struct bh_connection *a, const struct bh_connection *b)
{
	return a->proven != b->proven ? !a->proven : a->since <= b->since;
}

/* How many such there are from the same address, and the one that has to go first. */
static size_t count_from(const struct bh_connection *newest, struct bh_connection **ret_oldest)
{
	struct bh_connection *oldest = NULL;
	size_t n = 0;

	for (struct bh_connection *c = newest->http->connections; c; c = c->next) {
		if (!is_idle(c) || !same_address(c, newest))
			continue;
		n++;
		if (c != newest && (!oldest || goes_first(c, oldest)))
			oldest = c;
	}
	*ret_oldest = oldest;
	return n;
}

/* The oldest of whoever has the most. */
static void make_room(struct bh_connection *newest)
{
	struct bh_connection *victim = NULL;
	struct bh_connection *oldest;
	size_t most = 0;
	size_t all = 0;

	if (count_from(newest, &oldest) > BH_HTTP_IDLE_EACH && oldest) {
		bh_connection_cut(oldest);
		return;
	}
	for (struct bh_connection *c = newest->http->connections; c; c = c->next)
		all += is_idle(c);
	if (all <= BH_HTTP_IDLE)
		return;
	for (struct bh_connection *c = newest->http->connections; c; c = c->next) {
		size_t n = is_idle(c) ? count_from(c, &oldest) : 0;

		if (n > most && oldest && oldest != newest) {
			most = n;
			victim = oldest;
		}
	}
	if (victim)
		bh_connection_cut(victim);
}

/* ---- What the library tells ------------------------------------------------------------------ */

static void read_address(struct bh_connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;

	if (address && address->sa_family == AF_INET6)
		memcpy(connection->address, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	else if (address && address->sa_family == AF_INET)
		memcpy(connection->address, &((const struct sockaddr_in *)address)->sin_addr, 4);
}

static void begin_connection(struct bh_http *http, struct MHD_Connection *mhd, void **context)
{
	struct bh_connection *connection = bh_xcalloc(1, sizeof(*connection));
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

	connection->http = http;
	connection->mhd = mhd;
	connection->fd = info->connect_fd;
	read_address(connection);
	bh_connection_set(connection, BH_CONNECTION_WAITING, BH_HTTP_HEADERS_MS);
	connection->next = http->connections;
	if (http->connections)
		http->connections->previous = connection;
	http->connections = connection;
	http->n_connections++;
	*context = connection;
	make_room(connection);
}

static void end_connection(struct bh_connection *connection)
{
	struct bh_http *http = connection->http;

	bh_request_clear(connection);
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		http->connections = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	http->n_connections--;
	free(connection);
}

static void on_connection(void *data, struct MHD_Connection *mhd, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		begin_connection(data, mhd, context);
	else if (*context)
		end_connection(*context);
}

/* The answer was taken, or never will be. */
static void on_completed(void *data, struct MHD_Connection *mhd, void **request,
	enum MHD_RequestTerminationCode code)
{
	struct bh_connection *connection = *request;

	if (!connection)
		return;
	bh_request_clear(connection);
	if (!connection->doomed)
		bh_connection_set(connection, BH_CONNECTION_WAITING, BH_HTTP_HEADERS_MS);
	*request = NULL;
}

static void __attribute__((format(printf, 2, 0)))
on_log(void *data, const char *format, va_list arguments)
{
	char line[512];
	int n = vsnprintf(line, sizeof(line), format, arguments);

	while (n > 0 && n < (int)sizeof(line) && line[n - 1] == '\n')
		line[--n] = '\0';
	/* Mostly what strangers did; nothing that an operator could mend. */
	bh_debug("http: %s", line);
}

/* ---- The loop -------------------------------------------------------------------------------- */

int bh_http_fd(const struct bh_http *http)
{
	return http->epoll_fd;
}

static void earlier(uint64_t *deadline, uint64_t other)
{
	if (other && (!*deadline || other < *deadline))
		*deadline = other;
}

uint64_t bh_http_deadline(const struct bh_http *http)
{
	unsigned long long wait = 0;
	uint64_t deadline = 0;

	if (MHD_get_timeout(http->daemon, &wait) == MHD_YES)
		earlier(&deadline, http->now + wait);
	earlier(&deadline, bh_live_deadline(http->live));
	for (const struct bh_connection *c = http->connections; c; c = c->next) {
		earlier(&deadline, c->deadline);
		if (c->state == BH_CONNECTION_PARKED && !c->answer)
			earlier(&deadline, c->call.deadline);
	}
	return deadline;
}

static void cut_late(struct bh_http *http)
{
	for (struct bh_connection *c = http->connections; c; c = c->next) {
		if (c->deadline && c->deadline <= http->now)
			bh_connection_cut(c);
	}
}

void bh_http_dispatch(struct bh_http *http, uint64_t now)
{
	http->now = now;
	if (http->tls)
		bh_tls_refresh(http->tls, now);
	cut_late(http);
	for (struct bh_connection *c = http->connections; c; c = c->next) {
		if (c->state == BH_CONNECTION_PARKED && !c->doomed && !c->answer)
			bh_request_proceed(c);
	}
	bh_live_dispatch(http->live);
	MHD_run(http->daemon);
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

/* Returns the socket and the port it has, or -errno. */
static int listen_on(const char *address, unsigned int port, unsigned int *ret_port)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	bool is_six = strchr(address, ':') != NULL;
	struct sockaddr *wanted = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	socklen_t size = is_six ? sizeof(six) : sizeof(four);
	int one = 1;

	if (inet_pton(is_six ? AF_INET6 : AF_INET, address,
		    is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1)
		return -EINVAL;
	fd = socket(wanted->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, wanted, size) < 0 || listen(fd, 256) < 0 || getsockname(fd, wanted, &size) < 0)
		return -errno;
	*ret_port = ntohs(is_six ? six.sin6_port : four.sin_port);
	return bh_take_fd(fd);
}

static struct MHD_Daemon *start(struct bh_http *http, int fd)
{
	const struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, bh_tls_retrieve},
		{MHD_OPTION_HTTPS_PRIORITIES, 0,
			(void *)"NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
		{MHD_OPTION_END, 0, NULL},
	};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned int flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			     (http->tls ? MHD_USE_TLS : 0);

	/* The logger comes first: earlier options would speak to stderr. */
	return MHD_start_daemon(flags, 0, NULL, NULL, bh_http_handle, http,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)BH_HTTP_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)BH_HTTP_HEADERS_MAX,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, http, MHD_OPTION_ARRAY, http->tls ? tls : none, MHD_OPTION_END);
}

/* What can be said before anything is opened. */
static int check(const struct bh_http_config *config, char **ret_problem)
{
	if (!config->certificate != !config->key) {
		*ret_problem = bh_xstrdup("--http-cert and --http-key go together");
		return -EINVAL;
	}
	if (!config->certificate && !bh_address_is_loopback(config->address)) {
		*ret_problem = bh_xasprintf("--http %s: others could read tokens on the way there; "
					    "beyond loopback it needs --http-cert and --http-key",
			config->address);
		return -EACCES;
	}
	return 0;
}

int bh_http_open(const struct bh_http_config *config, struct bh_http **ret_http, char **ret_problem)
{
	struct bh_http *http;
	unsigned int port = 0;
	int r = check(config, ret_problem);
	int fd;

	if (r < 0)
		return r;
	http = bh_xcalloc(1, sizeof(*http));
	http->config = *config;
	http->hosts = (struct bh_hosts){config->n_hosts, config->hosts};
	http->live = bh_live_new(http);
	if (config->certificate)
		r = bh_tls_open(config->certificate, config->key, &http->tls, ret_problem);
	if (r < 0) {
		bh_http_close(http);
		return r;
	}
	fd = listen_on(config->address, config->port, &port);
	if (fd >= 0)
		http->daemon = start(http, fd);
	if (!http->daemon) {
		*ret_problem = bh_xasprintf("--http %s port %u: %s", config->address, config->port,
			fd < 0 ? strerror(-fd) : "the HTTP library does not start");
		bh_http_close(http);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -EIO;
	}
	http->epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	http->url = bh_xasprintf("%s://%s%s%s:%u/", http->tls ? "https" : "http",
		strchr(config->address, ':') ? "[" : "", config->address,
		strchr(config->address, ':') ? "]" : "", port);
	*ret_http = http;
	return 0;
}

void bh_http_close(struct bh_http *http)
{
	if (!http)
		return;
	/* A connection that is suspended would keep the library from ending. */
	for (struct bh_connection *c = http->connections; c; c = c->next)
		bh_connection_cut(c);
	if (http->daemon) {
		MHD_run(http->daemon);
		MHD_stop_daemon(http->daemon);
	}
	bh_live_free(http->live);
	bh_tls_close(http->tls);
	free(http->url);
	free(http);
}

const char *bh_http_url(const struct bh_http *http)
{
	return http->url;
}

const char *bh_http_tls_problem(const struct bh_http *http)
{
	return http->tls ? bh_tls_problem(http->tls) : NULL;
}
