/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HTTP_SERVER_H
#define BULKHEAD_HTTP_SERVER_H

/* What the parts of the HTTP server share. */

#include <netinet/in.h>

#include <microhttpd.h>

#include "controller/access/hosts.h"
#include "controller/access/tokens.h"
#include "controller/api/api.h"
#include "controller/http/http.h"
#include "controller/topology/text.h"

/* What a connection is busy with, and so when it has to be done. */
enum bh_connection_state {
	BH_CONNECTION_WAITING, /* for a request */
	BH_CONNECTION_BODY,    /* for its body */
	BH_CONNECTION_PARKED,  /* its request waits for something of ours */
	BH_CONNECTION_SENDING,
	BH_CONNECTION_STREAM,
};

struct bh_asset;
struct bh_route;
struct bh_stream;

struct bh_connection {
	struct bh_http *http;
	struct bh_connection *next;
	struct bh_connection *previous;
	struct MHD_Connection *mhd;
	int fd;
	uint8_t address[16];
	enum bh_connection_state state;
	uint64_t since;
	uint64_t deadline; /* 0: none */
	bool proven;       /* its last request showed a token */
	bool doomed;       /* cut, and not gone yet */
	bool suspended;
	/* The request that is under way; `begun` is false between two. */
	bool begun;
	const struct bh_route *route;
	char *path_argument; /* what the route's pattern leaves open */
	char token[17];      /* id; "": none */
	bool by_cookie;      /* that is how the token was shown */
	size_t untaken;      /* bytes of its answer */
	struct bh_text body;
	json_t *request;
	json_t *answer; /* set: to be sent */
	struct bh_control_call call;
	struct bh_stream *stream;
};

struct bh_tls;

struct bh_http {
	struct bh_http_config config;
	struct bh_hosts hosts;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	char *url;
	struct bh_tls *tls; /* NULL: none */
	uint64_t now;
	struct bh_connection *connections;
	size_t n_connections;
	size_t n_working;
	struct bh_live *live;
};

/* ---- server.c -------------------------------------------------------------------------------- */

/* Sets what the connection does, and until when it may. */
void bh_connection_set(
	struct bh_connection *connection, enum bh_connection_state state, uint64_t ms);
/* Hangs up, whatever the other side does. */
void bh_connection_cut(struct bh_connection *connection);
void bh_connection_suspend(struct bh_connection *connection);
void bh_connection_resume(struct bh_connection *connection);

/* ---- request.c ------------------------------------------------------------------------------- */

/* An MHD_AccessHandlerCallback with a struct bh_http. */
enum MHD_Result bh_http_handle(void *data, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **request);
/* Asks the parked request's command again. */
void bh_request_proceed(struct bh_connection *connection);
/* Frees what the last request has left. */
void bh_request_clear(struct bh_connection *connection);

/* The token that the connection's request showed, if it is still good. */
const struct bh_token *bh_request_token(const struct bh_connection *connection);
/* The cookie that the request showed in its stead, or NULL. The library's. */
const char *bh_request_cookie(const struct bh_connection *connection);
/* True as long as the cookie is: it runs out, and logging out ends it. */
bool bh_request_cookie_is_good(const struct bh_connection *connection, const char *cookie);

/* ---- reply.c --------------------------------------------------------------------------------- */

/* Each sends an answer, with the headers that all of them have. */
enum MHD_Result bh_reply_error(struct bh_connection *connection, unsigned int status,
	const char *code, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Takes the answer of a command and turns it into one of HTTP. */
enum MHD_Result bh_reply_answer(struct bh_connection *connection, json_t *answer);
enum MHD_Result bh_reply_json(
	struct bh_connection *connection, unsigned int status, json_t *body, const char *cookie);
enum MHD_Result bh_reply_empty(struct bh_connection *connection, unsigned int status,
	const char *header, const char *value);
enum MHD_Result bh_reply_asset(struct bh_connection *connection, const struct bh_asset *asset);
void bh_reply_headers(const struct bh_connection *connection, struct MHD_Response *response);

/* ---- live.c ---------------------------------------------------------------------------------- */

struct bh_live *bh_live_new(struct bh_http *http);
void bh_live_free(struct bh_live *live);
/* Begins a stream for a request with the filter in `connection->request`. */
enum MHD_Result bh_live_begin(struct bh_connection *connection);
void bh_live_end(struct bh_connection *connection);
uint64_t bh_live_deadline(const struct bh_live *live);
void bh_live_dispatch(struct bh_live *live);

/* ---- tls.c ----------------------------------------------------------------------------------- */

/* Reads both files. Returns 0 and *ret_tls, or -errno and *ret_problem to free(). */
int bh_tls_open(
	const char *certificate, const char *key, struct bh_tls **ret_tls, char **ret_problem);
void bh_tls_close(struct bh_tls *tls);
/* Looks whether the files have changed, and takes them if they are good. */
void bh_tls_refresh(struct bh_tls *tls, uint64_t now);
const char *bh_tls_problem(const struct bh_tls *tls);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK, which passes no pointer of ours: one server a process. */
extern void *const bh_tls_retrieve;

#endif
