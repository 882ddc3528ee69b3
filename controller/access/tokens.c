/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <jansson.h>

#include "controller/access/tokens.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define SECRET_BYTES 32
#define PREFIX "bh_"
#define NONCE_DIGITS 32
/* Cookies that were ended and have not run out; beyond it the one that ends first is forgotten. */
#define ENDED_MAX 1024

struct ended {
	char nonce[NONCE_DIGITS + 1];
	uint64_t until_s;
};

struct bh_tokens {
	char *folder;
	char *first_path;
	uint8_t session_key[32];
	size_t n;
	struct bh_token items[BH_TOKENS_MAX];
	size_t n_ended;
	struct ended ended[ENDED_MAX];
};

const char *bh_role_name(enum bh_role role)
{
	return role == BH_ROLE_OPERATOR ? "operator" : "reader";
}

int bh_role_parse(const char *text, enum bh_role *ret_role)
{
	if (strcmp(text, "reader") == 0)
		*ret_role = BH_ROLE_READER;
	else if (strcmp(text, "operator") == 0)
		*ret_role = BH_ROLE_OPERATOR;
	else
		return -EINVAL;
	return 0;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void fill_random(void *buffer, size_t n)
{
	/* Without randomness nobody could be kept out. */
	if (getrandom(buffer, n, 0) != (ssize_t)n)
		abort();
}

static void to_hex(const uint8_t *bytes, size_t n, char *ret_text)
{
	for (size_t i = 0; i < n; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

static bool from_hex(const char *text, uint8_t *ret_bytes, size_t n)
{
	if (strlen(text) != 2 * n || text[strspn(text, "0123456789abcdef")])
		return false;
	for (size_t i = 0; i < n; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};

		ret_bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

/* base64url without padding (RFC 4648, 5) of 32 bytes: 43 characters. */
static void to_base64url(const uint8_t bytes[SECRET_BYTES], char ret_text[44])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < 43; i++) {
		size_t bit = i * 6;
		unsigned int two = (unsigned int)bytes[bit / 8] << 8 |
				   (bit / 8 + 1 < SECRET_BYTES ? bytes[bit / 8 + 1] : 0);

		ret_text[i] = alphabet[two >> (10 - bit % 8) & 63];
	}
	ret_text[43] = '\0';
}

static void hash_of(const char *secret, uint8_t ret_hash[32])
{
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, secret, strlen(secret), ret_hash) < 0)
		abort();
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* In place as a whole, and on disk, or not at all. */
static int write_file(const char *folder, const char *name, const void *data, size_t n)
{
	_cleanup_free_ char *path = bh_xasprintf("%s/%s", folder, name);
	_cleanup_free_ char *temporary = bh_xasprintf("%s/.%s.tmp", folder, name);
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int directory = -1;

	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < n;) {
		ssize_t r = write(fd, (const char *)data + done, n - done);

		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	if (fsync(fd) < 0 || rename(temporary, path) < 0)
		return -errno;
	directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return directory < 0 || fsync(directory) < 0 ? -errno : 0;
}

/* Text with a zero behind it, to free(). Returns its length, or -errno. */
static ssize_t read_file(const char *folder, const char *name, char **ret_text)
{
	_cleanup_free_ char *path = bh_xasprintf("%s/%s", folder, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat status;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_BYTES_MAX)
		return -EINVAL;
	text = bh_xcalloc((size_t)status.st_size + 1, 1);
	while (n < (size_t)status.st_size) {
		ssize_t r = read(fd, text + n, (size_t)status.st_size - n);

		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*ret_text = bh_take_pointer(text);
	return (ssize_t)n;
}

static json_t *token_object(const struct bh_token *token)
{
	json_t *namespaces = token->bound ? json_array() : json_null();
	char hash[65];

	for (size_t i = 0; i < token->sight.n; i++)
		json_array_append_new(namespaces, json_string(token->sight.namespaces[i]));
	to_hex(token->hash, sizeof(token->hash), hash);
	return json_pack("{s:s, s:s, s:o, s:I, s:s}", "id", token->id, "role",
		bh_role_name(token->role), "namespaces", namespaces, "created",
		(json_int_t)token->created_s, "hash", hash);
}

static int save(const struct bh_tokens *tokens)
{
	json_t *list = json_array();
	json_t *root = json_pack("{s:i, s:o}", "version", 1, "tokens", list);
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < tokens->n; i++) {
		if (!tokens->items[i].given)
			json_array_append_new(list, token_object(&tokens->items[i]));
	}
	text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	if (!text)
		return -EINVAL; /* a namespace that is not UTF-8 */
	return write_file(tokens->folder, "tokens.json", text, strlen(text));
}

static void clear_token(struct bh_token *token)
{
	for (size_t i = 0; i < token->sight.n; i++)
		free(token->sight.namespaces[i]);
	free(token->sight.namespaces);
	*token = (struct bh_token){0};
}

static void set_namespaces(struct bh_token *token, size_t n, const char *const *namespaces)
{
	token->bound = true;
	token->sight.namespaces = bh_xcalloc(n, sizeof(*token->sight.namespaces));
	for (size_t i = 0; i < n; i++)
		token->sight.namespaces[token->sight.n++] = bh_xstrdup(namespaces[i]);
}

/* False if it is not as save() wrote it. */
static bool load_namespaces(const json_t *list, struct bh_token *token)
{
	const char *names[BH_TOKEN_NAMESPACES_MAX];
	const json_t *name;
	size_t i;

	if (json_is_null(list))
		return true;
	if (!json_is_array(list) || json_array_size(list) == 0 ||
		json_array_size(list) > BH_TOKEN_NAMESPACES_MAX)
		return false;
	json_array_foreach(list, i, name)
	{
		if (!json_is_string(name))
			return false;
		names[i] = json_string_value(name);
	}
	set_namespaces(token, json_array_size(list), names);
	return true;
}

static bool load_token(const json_t *object, struct bh_token *token)
{
	const char *id = json_string_value(json_object_get(object, "id"));
	const char *role = json_string_value(json_object_get(object, "role"));
	const char *hash = json_string_value(json_object_get(object, "hash"));
	json_int_t created = json_integer_value(json_object_get(object, "created"));
	uint8_t number[8];

	if (!id || !from_hex(id, number, sizeof(number)) || !role ||
		bh_role_parse(role, &token->role) < 0 || !hash ||
		!from_hex(hash, token->hash, sizeof(token->hash)) || created < 0 ||
		!json_object_get(object, "namespaces"))
		return false;
	strcpy(token->id, id);
	token->created_s = (uint64_t)created;
	return load_namespaces(json_object_get(object, "namespaces"), token);
}

static bool load(struct bh_tokens *tokens, const char *text)
{
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list = json_object_get(root, "tokens");
	bool good = json_integer_value(json_object_get(root, "version")) == 1 &&
		    json_is_array(list) && json_array_size(list) <= BH_TOKENS_MAX;
	const json_t *object;
	size_t i;

	json_array_foreach(list, i, object)
	{
		good = good && load_token(object, &tokens->items[tokens->n++]);
		if (!good)
			break;
	}
	json_decref(root);
	return good;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static int make_first(struct bh_tokens *tokens)
{
	const struct bh_token *token;
	_cleanup_free_ char *secret = NULL;
	_cleanup_free_ char *line = NULL;
	int r = bh_tokens_create(tokens, BH_ROLE_OPERATOR, 0, NULL, &secret, &token);

	if (r < 0)
		return r;
	line = bh_xasprintf("%s\n", secret);
	return write_file(tokens->folder, "operator.token", line, strlen(line));
}

static int load_session_key(struct bh_tokens *tokens)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(tokens->folder, "session.key", &text);

	if (n == sizeof(tokens->session_key)) {
		memcpy(tokens->session_key, text, sizeof(tokens->session_key));
		return 0;
	}
	/* Another key only means that browsers have to log in again. */
	fill_random(tokens->session_key, sizeof(tokens->session_key));
	return write_file(
		tokens->folder, "session.key", tokens->session_key, sizeof(tokens->session_key));
}

int bh_tokens_open(const char *state_dir, struct bh_tokens **ret_tokens, char **ret_problem)
{
	struct bh_tokens *tokens = bh_xcalloc(1, sizeof(*tokens));
	_cleanup_free_ char *text = NULL;
	ssize_t r;

	tokens->folder = bh_xstrdup(state_dir);
	tokens->first_path = bh_xasprintf("%s/operator.token", state_dir);
	r = read_file(state_dir, "tokens.json", &text);
	if (r >= 0)
		r = load(tokens, text) ? 0 : -EINVAL;
	else if (r == -ENOENT)
		r = make_first(tokens);
	if (r == 0)
		r = load_session_key(tokens);
	if (r < 0) {
		*ret_problem = bh_xasprintf("%s/tokens.json: %s; nobody is let in over HTTP until "
					    "it is mended, or taken away for a new one",
			state_dir,
			r == -EINVAL ? "does not hold what was written" : strerror((int)-r));
		bh_tokens_free(tokens);
		return (int)r;
	}
	*ret_tokens = tokens;
	return 0;
}

void bh_tokens_free(struct bh_tokens *tokens)
{
	if (!tokens)
		return;
	for (size_t i = 0; i < tokens->n; i++)
		clear_token(&tokens->items[i]);
	free(tokens->folder);
	free(tokens->first_path);
	gnutls_memset(tokens, 0, sizeof(*tokens));
	free(tokens);
}

const char *bh_tokens_first_path(const struct bh_tokens *tokens)
{
	return tokens->first_path;
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

size_t bh_tokens_list(const struct bh_tokens *tokens, const struct bh_token **ret_tokens)
{
	*ret_tokens = tokens->items;
	return tokens->n;
}

const struct bh_token *bh_tokens_find(const struct bh_tokens *tokens, const char *id)
{
	for (size_t i = 0; i < tokens->n; i++) {
		if (strcmp(tokens->items[i].id, id) == 0)
			return &tokens->items[i];
	}
	return NULL;
}

const struct bh_token *bh_tokens_check(const struct bh_tokens *tokens, const char *secret)
{
	const struct bh_token *found = NULL;
	uint8_t hash[32];

	hash_of(secret, hash);
	for (size_t i = 0; i < tokens->n; i++) {
		if (gnutls_memcmp(tokens->items[i].hash, hash, sizeof(hash)) == 0)
			found = &tokens->items[i];
	}
	return found;
}

int bh_tokens_create(struct bh_tokens *tokens, enum bh_role role, size_t n_namespaces,
	const char *const *namespaces, char **ret_secret, const struct bh_token **ret_token)
{
	struct bh_token *token = &tokens->items[tokens->n];
	uint8_t secret[SECRET_BYTES];
	uint8_t id[8];
	char text[44];
	int r;

	if (tokens->n == BH_TOKENS_MAX)
		return -ENOSPC;
	if (n_namespaces > BH_TOKEN_NAMESPACES_MAX)
		return -EINVAL;
	fill_random(secret, sizeof(secret));
	fill_random(id, sizeof(id));
	to_base64url(secret, text);
	*token = (struct bh_token){.role = role, .created_s = (uint64_t)time(NULL)};
	to_hex(id, sizeof(id), token->id);
	if (n_namespaces > 0)
		set_namespaces(token, n_namespaces, namespaces);
	*ret_secret = bh_xasprintf("%s%s", PREFIX, text);
	gnutls_memset(secret, 0, sizeof(secret));
	gnutls_memset(text, 0, sizeof(text));
	hash_of(*ret_secret, token->hash);
	tokens->n++;
	r = save(tokens);
	if (r < 0) {
		tokens->n--;
		clear_token(token);
		free(*ret_secret);
		*ret_secret = NULL;
		return r;
	}
	*ret_token = token;
	return 0;
}

/* The file of the first token goes with it. */
static void remove_first_file(struct bh_tokens *tokens)
{
	_cleanup_free_ char *text = NULL;

	if (read_file(tokens->folder, "operator.token", &text) <= 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (!bh_tokens_check(tokens, text))
		unlink(tokens->first_path);
}

int bh_tokens_revoke(struct bh_tokens *tokens, const char *id)
{
	struct bh_token *token = (struct bh_token *)bh_tokens_find(tokens, id);
	struct bh_token last;
	struct bh_token gone;
	int r;

	if (!token)
		return -ENOENT;
	if (token->given)
		return -EPERM;
	gone = *token;
	last = tokens->items[--tokens->n];
	*token = last;
	tokens->items[tokens->n] = (struct bh_token){0};
	r = save(tokens);
	if (r < 0) {
		tokens->items[tokens->n++] = last;
		*token = gone;
		return r;
	}
	clear_token(&gone);
	remove_first_file(tokens);
	return 0;
}

/* ---- From outside ---------------------------------------------------------------------------- */

/* Nothing else may stand beside what is known: a misspelt `namespaces` would be all of them. */
static const char *unknown_key(const json_t *object)
{
	static const char *const known[] = {"secret", "sha256", "role", "namespaces"};
	const char *key;
	const json_t *value;
	size_t i;

	json_object_foreach((json_t *)object, key, value)
	{
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			if (strcmp(key, known[i]) == 0)
				break;
		}
		if (i == sizeof(known) / sizeof(known[0]))
			return key;
	}
	return NULL;
}

static const char *give_hash(const json_t *object, uint8_t ret_hash[32])
{
	const char *secret = json_string_value(json_object_get(object, "secret"));
	const char *hash = json_string_value(json_object_get(object, "sha256"));

	if (!secret == !hash)
		return "has to have a secret, or the sha256 of one: text";
	if (hash)
		return from_hex(hash, ret_hash, 32) ? NULL : "its sha256 is not 64 hex digits";
	if (strlen(secret) < BH_TOKEN_SECRET_MIN || strlen(secret) > BH_TOKEN_SECRET_MAX)
		return "its secret has to have 32 to 256 characters";
	for (const char *c = secret; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return "its secret has characters that no header can carry";
	}
	hash_of(secret, ret_hash);
	return NULL;
}

/* What is wrong with it, or NULL. */
static const char *give_one(const json_t *object, struct bh_token *token)
{
	const char *role = json_string_value(json_object_get(object, "role"));
	const json_t *namespaces = json_object_get(object, "namespaces");
	uint8_t digest[32];
	const char *wrong;

	if (!json_is_object(object))
		return "is no mapping";
	if (unknown_key(object))
		return "has keys other than secret, sha256, role and namespaces";
	wrong = give_hash(object, token->hash);
	if (wrong)
		return wrong;
	if (!role || bh_role_parse(role, &token->role) < 0)
		return "its role has to be reader or operator";
	if (namespaces && (json_is_null(namespaces) || !load_namespaces(namespaces, token)))
		return "its namespaces are no list of names (1 to 64); without any, leave it out";
	token->given = true;
	token->created_s = (uint64_t)time(NULL);
	/* Tells nothing of the secret, nor of its hash. */
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, token->hash, sizeof(token->hash), digest) < 0)
		abort();
	to_hex(digest, 8, token->id);
	return NULL;
}

static void forget_given(struct bh_tokens *tokens)
{
	size_t n = 0;

	for (size_t i = 0; i < tokens->n; i++) {
		if (tokens->items[i].given)
			clear_token(&tokens->items[i]);
		else
			tokens->items[n++] = tokens->items[i];
	}
	memset(&tokens->items[n], 0, (tokens->n - n) * sizeof(tokens->items[0]));
	tokens->n = n;
}

int bh_tokens_give(struct bh_tokens *tokens, const json_t *given, char **ret_problem)
{
	const json_t *list = json_object_get(given, "tokens");
	struct bh_token fresh[BH_TOKENS_MAX] = {0};
	const char *wrong = NULL;
	size_t n = 0;

	if (!json_is_array(list) || json_object_size(given) != 1) {
		*ret_problem = bh_xstrdup("is not one list, 'tokens'");
		return -EINVAL;
	}
	if (json_array_size(list) > BH_TOKENS_MAX / 2) {
		*ret_problem = bh_xasprintf("has more than %d tokens", BH_TOKENS_MAX / 2);
		return -EINVAL;
	}
	for (; n < json_array_size(list) && !wrong; n++) {
		wrong = give_one(json_array_get(list, n), &fresh[n]);
		for (size_t i = 0; i < n && !wrong; i++) {
			if (strcmp(fresh[i].id, fresh[n].id) == 0)
				wrong = "is there twice";
		}
	}
	if (wrong) {
		*ret_problem = bh_xasprintf("token number %zu %s", n, wrong);
		for (size_t i = 0; i < n; i++)
			clear_token(&fresh[i]);
		return -EINVAL;
	}
	forget_given(tokens);
	for (size_t i = 0; i < n; i++) {
		if (tokens->n < BH_TOKENS_MAX)
			tokens->items[tokens->n++] = fresh[i];
		else
			clear_token(&fresh[i]);
	}
	return 0;
}

/* ---- Cookies --------------------------------------------------------------------------------- */

/* "ID.END.NONCE": what the HMAC is over. */
static void sign(const struct bh_tokens *tokens, const char *text, char ret_signature[65])
{
	uint8_t hmac[32];

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, tokens->session_key, sizeof(tokens->session_key),
		    text, strlen(text), hmac) < 0)
		abort();
	to_hex(hmac, sizeof(hmac), ret_signature);
}

void bh_tokens_cookie(struct bh_tokens *tokens, const struct bh_token *token, uint64_t now_s,
	char ret_cookie[BH_COOKIE_MAX])
{
	uint8_t nonce[NONCE_DIGITS / 2];
	char nonce_text[NONCE_DIGITS + 1];
	char signature[65];
	char text[BH_COOKIE_MAX - 66];

	fill_random(nonce, sizeof(nonce));
	to_hex(nonce, sizeof(nonce), nonce_text);
	snprintf(text, sizeof(text), "%s.%" PRIu64 ".%s", token->id, now_s + BH_COOKIE_SECONDS,
		nonce_text);
	sign(tokens, text, signature);
	snprintf(ret_cookie, BH_COOKIE_MAX, "%s.%s", text, signature);
}

struct cookie {
	char id[17];
	char nonce[NONCE_DIGITS + 1];
	uint64_t until_s;
};

/* False unless it is one of ours and has not run out. */
static bool read_cookie(
	const struct bh_tokens *tokens, const char *text, uint64_t now_s, struct cookie *ret_cookie)
{
	const char *dot = strrchr(text, '.');
	char head[BH_COOKIE_MAX];
	char signature[65];
	int used = 0;

	if (!dot || strlen(dot + 1) != 64 || (size_t)(dot - text) >= sizeof(head))
		return false;
	snprintf(head, sizeof(head), "%.*s", (int)(dot - text), text);
	sign(tokens, head, signature);
	if (gnutls_memcmp(signature, dot + 1, 64) != 0)
		return false;
	return sscanf(head, "%16[0-9a-f].%" SCNu64 ".%32[0-9a-f]%n", ret_cookie->id,
		       &ret_cookie->until_s, ret_cookie->nonce, &used) == 3 &&
	       !head[used] && ret_cookie->until_s > now_s;
}

const struct bh_token *bh_tokens_check_cookie(
	const struct bh_tokens *tokens, const char *text, uint64_t now_s)
{
	struct cookie cookie;

	if (!read_cookie(tokens, text, now_s, &cookie))
		return NULL;
	for (size_t i = 0; i < tokens->n_ended; i++) {
		if (strcmp(tokens->ended[i].nonce, cookie.nonce) == 0)
			return NULL;
	}
	return bh_tokens_find(tokens, cookie.id);
}

void bh_tokens_end_cookie(struct bh_tokens *tokens, const char *text, uint64_t now_s)
{
	struct ended *slot = tokens->ended;
	struct cookie cookie;

	if (!bh_tokens_check_cookie(tokens, text, now_s) ||
		!read_cookie(tokens, text, now_s, &cookie))
		return;
	for (size_t i = 0; i < tokens->n_ended; i++) {
		if (tokens->ended[i].until_s < slot->until_s)
			slot = &tokens->ended[i];
	}
	if (tokens->n_ended < ENDED_MAX)
		slot = &tokens->ended[tokens->n_ended++];
	strcpy(slot->nonce, cookie.nonce);
	slot->until_s = cookie.until_s;
}
