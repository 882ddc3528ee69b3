/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_ACCESS_TOKENS_H
#define BULKHEAD_ACCESS_TOKENS_H

/*
 * Who may ask over HTTP. A token is 32 random bytes written as "bh_" and base64url; kept is only
 * its SHA-256, in `tokens.json` of the state directory, so whoever reads that can ask nothing. One
 * exception: the first token, an operator's for everything, which is made when there are none yet,
 * lies in `operator.token` (0600) for whoever started the controller to take from there.
 *
 * Others may be given from outside (a Secret of the cluster, so that whoever scrapes all nodes
 * needs one token): they are as good, are kept nowhere, and go when whoever gives them takes them
 * back.
 *
 * A browser that has shown a token gets a cookie instead: the token's id, an end and a nonce, under
 * an HMAC whose key (`session.key`) outlives restarts. It is worth nothing once the token is
 * revoked, or after a logout, which is remembered as long as this process lives.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "controller/topology/conversation.h"

#define BH_TOKENS_MAX 256
#define BH_TOKEN_NAMESPACES_MAX 64
/* A secret that somebody else has thought of has at least so many characters. */
#define BH_TOKEN_SECRET_MIN 32
#define BH_TOKEN_SECRET_MAX 256
#define BH_COOKIE_SECONDS (12 * 3600)

enum bh_role {
	BH_ROLE_READER,
	BH_ROLE_OPERATOR,
};
const char *bh_role_name(enum bh_role role);
/* -EINVAL for what is none. */
int bh_role_parse(const char *text, enum bh_role *ret_role);

struct bh_token {
	char id[17]; /* public: 16 hex digits */
	enum bh_role role;
	bool given;            /* from outside */
	bool bound;            /* to the namespaces of `sight` */
	struct bh_sight sight; /* empty if not bound */
	uint64_t created_s;    /* since 1970 */
	uint8_t hash[32];
};

/* What the token's holder may see, as the API takes it: NULL is everything. */
static inline const struct bh_sight *bh_token_sight(const struct bh_token *token)
{
	return token->bound ? &token->sight : NULL;
}

struct bh_tokens;

/*
 * Reads what is in the state directory, or begins it. Returns 0 and *ret_tokens, or -errno and
 * *ret_problem, one line to free(): then nobody may be let in.
 */
int bh_tokens_open(const char *state_dir, struct bh_tokens **ret_tokens, char **ret_problem);
void bh_tokens_free(struct bh_tokens *tokens);

/* Where the first token is, or was. */
const char *bh_tokens_first_path(const struct bh_tokens *tokens);

/* Pointers are good until the next bh_tokens_create(), bh_tokens_revoke() or bh_tokens_give(). */
size_t bh_tokens_list(const struct bh_tokens *tokens, const struct bh_token **ret_tokens);
const struct bh_token *bh_tokens_find(const struct bh_tokens *tokens, const char *id);

/* The token with this text, or NULL; takes as long for either. */
const struct bh_token *bh_tokens_check(const struct bh_tokens *tokens, const char *secret);

/*
 * Makes one, bound to the namespaces if there are any. Returns 0, *ret_secret (to free(), told
 * nobody else) and *ret_token; or -ENOSPC, -EINVAL, or why it could not be kept: then there is
 * none.
 */
int bh_tokens_create(struct bh_tokens *tokens, enum bh_role role, size_t n_namespaces,
	const char *const *namespaces, char **ret_secret, const struct bh_token **ret_token);
/*
 * Returns 0, -ENOENT, -EPERM for one that is given from outside, or why it could not be kept: then
 * it is still good.
 */
int bh_tokens_revoke(struct bh_tokens *tokens, const char *id);

/*
 * In place of all that were given before: {"tokens": [{"secret" or "sha256": …, "role": …,
 * "namespaces": […]}]}. Their ids are the same wherever they are given. Returns 0, or -EINVAL and
 * *ret_problem, what is wrong, to free(): then nothing has changed.
 */
int bh_tokens_give(struct bh_tokens *tokens, const json_t *given, char **ret_problem);

/* ---- Cookies. `now_s` is since 1970. -----------------------------------------------------------
 */

#define BH_COOKIE_MAX 192
void bh_tokens_cookie(struct bh_tokens *tokens, const struct bh_token *token, uint64_t now_s,
	char ret_cookie[BH_COOKIE_MAX]);
/* The token that the cookie stands for, or NULL. */
const struct bh_token *bh_tokens_check_cookie(
	const struct bh_tokens *tokens, const char *cookie, uint64_t now_s);
/* The cookie is worth nothing from here on. */
void bh_tokens_end_cookie(struct bh_tokens *tokens, const char *cookie, uint64_t now_s);

#endif
