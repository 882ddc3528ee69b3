/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/access.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "controller/compile/reader.h"
#include "controller/model/memory.h"
#include "controller/source/yaml.h"
#include "proto/cleanup.h"

/* Where the kubelet puts it (Kubernetes documentation, "Accessing the API from within a Pod"). */
#define POD_TOKEN "/var/run/secrets/kubernetes.io/serviceaccount/token"
#define POD_CA "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

struct reader {
	const struct bh_access_config *config;
	struct bh_access *access;
	char *problem;
};

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

static int __attribute__((format(printf, 3, 4)))
refuse(struct reader *reader, int error, const char *format, ...)
{
	va_list arguments;

	if (reader->problem)
		return error;
	va_start(arguments, format);
	if (vasprintf(&reader->problem, format, arguments) < 0)
		abort();
	va_end(arguments);
	return error;
}

/* ---- Files ------------------------------------------------------------------------------------
 */

/* The whole file as a text. -EFBIG, or -EILSEQ if there is a zero byte in it. */
static int read_text(int fd, char **ret_text)
{
	_cleanup_free_ char *text = bh_xcalloc(BH_ACCESS_FILE_MAX + 1, 1);
	size_t size = 0;

	for (;;) {
		ssize_t n = read(fd, text + size, BH_ACCESS_FILE_MAX + 1 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		size += (size_t)n;
		if (size > BH_ACCESS_FILE_MAX)
			return -EFBIG;
		if (!n)
			break;
	}
	if (strlen(text) != size)
		return -EILSEQ;
	*ret_text = bh_xstrdup(text);
	explicit_bzero(text, size);
	return 0;
}

static int read_file(struct reader *reader, const char *what, const char *path, int fd, char **ret)
{
	int r = fd < 0 ? fd : read_text(fd, ret);

	if (r == -EFBIG)
		return refuse(reader, r, "%s %s is larger than 1 MiB", what, path);
	if (r == -EILSEQ)
		return refuse(reader, r, "%s %s is not a text", what, path);
	return r < 0 ? refuse(reader, r, "%s %s: %s", what, path, strerror(-r)) : 0;
}

/* A file that the kubeconfig names, relative to where the kubeconfig is. */
static int read_named(struct reader *reader, const char *field, const char *path, char **ret_text)
{
	_cleanup_close_ int fd = bh_opener_named(&reader->config->opener, path);

	return read_file(reader, field, path, fd, ret_text);
}

static void trim_end(char *text)
{
	size_t n = strlen(text);

	while (n && isspace((unsigned char)text[n - 1]))
		text[--n] = '\0';
}

/* What goes into a header must not end it. */
static int check_token(struct reader *reader, const char *where)
{
	char *token = reader->access->token;

	trim_end(token);
	if (!*token)
		return refuse(reader, -EINVAL, "%s: the token is empty", where);
	for (const char *at = token; *at; at++) {
		if (!isgraph((unsigned char)*at))
			return refuse(reader, -EINVAL,
				"%s: the token holds a character that no token has", where);
	}
	return 0;
}

/* ---- Base64 -------------------------------------------------------------------------------------
 */

static int digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

char *bh_base64_decode(const char *text)
{
	_cleanup_free_ char *decoded = bh_xcalloc(strlen(text) / 4 * 3 + 4, 1);
	size_t n = 0, digits = 0, padding = 0;
	uint32_t bits = 0;

	for (const char *at = text; *at; at++) {
		int digit = digit_of(*at);

		if (isspace((unsigned char)*at))
			continue;
		padding += *at == '=';
		if (*at != '=' && (digit < 0 || padding))
			return NULL;
		bits = bits << 6 | (uint32_t)(digit < 0 ? 0 : digit);
		if (++digits % 4)
			continue;
		for (int i = 2; i >= 0; i--)
			decoded[n++] = (char)(bits >> 8 * i);
	}
	if (digits % 4 || padding > 2)
		return NULL;
	n -= padding;
	decoded[n] = '\0';
	return strlen(decoded) == n ? bh_take_pointer(decoded) : NULL;
}

/* ---- Kubeconfig ---------------------------------------------------------------------------------
 */

/* The string member, NULL if there is none; what is no string is refused. */
static int get_string(struct reader *reader, const json_t *object, const char *what,
	const char *field, const char **ret_text)
{
	const json_t *value = json_object_get(object, field);

	*ret_text = json_string_value(value);
	if (*ret_text && !**ret_text)
		*ret_text = NULL;
	if (value && !json_is_string(value) && !json_is_null(value))
		return refuse(reader, -EINVAL, "%s: %s must be a string, not %s", what, field,
			bh_json_kind(value));
	return 0;
}

/* The `member` of the element of that name in `list`. */
static int find(struct reader *reader, const json_t *document, const char *list, const char *member,
	const char *name, const json_t **ret_object)
{
	const json_t *element;
	char quoted[BH_QUOTE_MAX];
	size_t i;

	json_array_foreach(json_object_get(document, list), i, element)
	{
		const char *its = json_string_value(json_object_get(element, "name"));

		if (!its || strcmp(its, name))
			continue;
		*ret_object = json_object_get(element, member);
		if (json_is_object(*ret_object))
			return 0;
		return refuse(
			reader, -EINVAL, "%s %s has no %s", list, bh_quote(name, quoted), member);
	}
	return refuse(reader, -ENOENT, "there is no %s in %s", bh_quote(name, quoted), list);
}

/* PEM from FIELD-data, else from the file that FIELD names. */
static int read_pem(struct reader *reader, const json_t *object, const char *what,
	const char *field, char **ret_pem)
{
	_cleanup_free_ char *data_field = bh_xasprintf("%s-data", field);
	const char *data, *path = NULL;
	int r = get_string(reader, object, what, data_field, &data);

	if (!r)
		r = get_string(reader, object, what, field, &path);
	if (r < 0)
		return r;
	if (data) {
		*ret_pem = bh_base64_decode(data);
		return *ret_pem ? 0
				: refuse(reader, -EINVAL, "%s: %s is not base64", what, data_field);
	}
	return path ? read_named(reader, field, path, ret_pem) : 0;
}

/* The host part of a URL behind its scheme. */
static bool is_this_host(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]);

		if (!strncasecmp(host, names[i], n) && (!host[n] || strchr(":/", host[n])))
			return true;
	}
	return false;
}

static int set_server(struct reader *reader, const char *what, const char *url)
{
	size_t n = strlen(url);
	char quoted[BH_QUOTE_MAX];
	bool tls = !strncasecmp(url, "https://", 8);

	for (const char *at = url; *at; at++) {
		if (!isgraph((unsigned char)*at) || strchr("?#@", *at))
			return refuse(reader, -EINVAL, "%s: server %s is not the URL of a server",
				what, bh_quote(url, quoted));
	}
	if (!tls && (strncasecmp(url, "http://", 7) || !is_this_host(url + 7)))
		return refuse(reader, -EINVAL,
			"%s: server %s must begin with https:// (http:// is for this host only)",
			what, bh_quote(url, quoted));
	while (n && url[n - 1] == '/')
		n--;
	reader->access->server = bh_xasprintf("%.*s", (int)n, url);
	return 0;
}

static int read_cluster(struct reader *reader, const char *name, const json_t *cluster)
{
	char quoted[BH_QUOTE_MAX];
	_cleanup_free_ char *what = bh_xasprintf("cluster %s", bh_quote(name, quoted));
	const char *server, *tls_name;
	int r = get_string(reader, cluster, what, "server", &server);

	if (!r)
		r = get_string(reader, cluster, what, "tls-server-name", &tls_name);
	if (r < 0)
		return r;
	if (!server)
		return refuse(reader, -EINVAL, "%s has no server", what);
	if (json_is_true(json_object_get(cluster, "insecure-skip-tls-verify")))
		return refuse(reader, -EINVAL,
			"%s: insecure-skip-tls-verify is refused: whoever is on the way could "
			"write the policy. Give certificate-authority-data instead",
			what);
	if (json_object_get(cluster, "proxy-url"))
		return refuse(reader, -EINVAL, "%s: proxy-url is not supported", what);
	r = set_server(reader, what, server);
	if (!r && tls_name)
		reader->access->tls_name = bh_xstrdup(tls_name);
	return r ? r
		 : read_pem(reader, cluster, what, "certificate-authority", &reader->access->ca);
}

static int read_token(struct reader *reader, const char *what, const json_t *user)
{
	const char *token, *path = NULL;
	int r = get_string(reader, user, what, "token", &token);

	if (!r)
		r = get_string(reader, user, what, "tokenFile", &path);
	if (r < 0 || (!token && !path))
		return r;
	/* As kubectl: the file is asked first, it may be newer. */
	if (path)
		r = read_named(reader, "tokenFile", path, &reader->access->token);
	else
		reader->access->token = bh_xstrdup(token);
	return r < 0 ? r : check_token(reader, path ? path : what);
}

static int read_user(struct reader *reader, const char *name, const json_t *user)
{
	static const struct {
		const char *field;
		const char *why;
	} refused[] = {
		{"exec", "runs a program to get credentials"},
		{"auth-provider", "needs a plugin to get credentials"},
		{"username", "is a password's, which Kubernetes has given up"},
		{"password", "is a password, which Kubernetes has given up"},
		{"as", "acts as somebody else"},
		{"as-uid", "acts as somebody else"},
		{"as-groups", "acts as somebody else"},
	};
	char quoted[BH_QUOTE_MAX];
	_cleanup_free_ char *what = bh_xasprintf("user %s", bh_quote(name, quoted));
	struct bh_access *access = reader->access;
	int r;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const json_t *value = json_object_get(user, refused[i].field);

		if (value && !json_is_null(value))
			return refuse(reader, -EINVAL,
				"%s: %s %s, which is not done here; use a token or a client "
				"certificate, of a service account for example",
				what, refused[i].field, refused[i].why);
	}
	r = read_pem(reader, user, what, "client-certificate", &access->certificate);
	if (!r)
		r = read_pem(reader, user, what, "client-key", &access->key);
	if (!r)
		r = read_token(reader, what, user);
	if (!r && !access->certificate != !access->key)
		return refuse(reader, -EINVAL, "%s has a client-%s without a client-%s", what,
			access->key ? "key" : "certificate", access->key ? "certificate" : "key");
	return r;
}

static int read_context(struct reader *reader, const json_t *document)
{
	const char *context = reader->config->context, *cluster, *user;
	const json_t *object;
	char quoted[BH_QUOTE_MAX];
	int r = 0;

	if (!context)
		r = get_string(reader, document, "kubeconfig", "current-context", &context);
	if (!r && !context)
		r = refuse(reader, -EINVAL, "there is no current-context: say --context");
	if (!r)
		r = find(reader, document, "contexts", "context", context, &object);
	if (r < 0)
		return r;
	_cleanup_free_ char *what = bh_xasprintf("context %s", bh_quote(context, quoted));

	r = get_string(reader, object, what, "cluster", &cluster);
	if (!r)
		r = get_string(reader, object, what, "user", &user);
	if (!r && !cluster)
		r = refuse(reader, -EINVAL, "%s names no cluster", what);
	if (!r)
		r = find(reader, document, "clusters", "cluster", cluster, &object);
	if (!r)
		r = read_cluster(reader, cluster, object);
	if (!r && user)
		r = find(reader, document, "users", "user", user, &object);
	return !r && user ? read_user(reader, user, object) : r;
}

static int read_kubeconfig(struct reader *reader)
{
	const char *path = reader->config->opener.path;
	_cleanup_(json_cleanup) json_t *documents = NULL;
	_cleanup_close_ int fd = bh_opener_file(&reader->config->opener);
	_cleanup_free_ char *text = NULL;
	struct bh_text_error error;
	int r = read_file(reader, "kubeconfig", path, fd, &text);

	if (r < 0)
		return r;
	documents = bh_yaml_parse(text, strlen(text), &error);
	explicit_bzero(text, strlen(text));
	if (!documents)
		return refuse(reader, -EINVAL, "kubeconfig %s: line %zu: %s", path, error.line,
			error.text);
	if (json_array_size(documents) != 1 || !json_is_object(json_array_get(documents, 0)))
		return refuse(reader, -EINVAL, "kubeconfig %s: it is not one mapping", path);
	r = read_context(reader, json_array_get(documents, 0));
	if (r < 0) {
		_cleanup_free_ char *problem = bh_take_pointer(reader->problem);

		return refuse(reader, r, "kubeconfig %s: %s", path, problem);
	}
	return 0;
}

/* ---- In a pod -----------------------------------------------------------------------------------
 */

static int read_pod(struct reader *reader)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct bh_access *access = reader->access;

	if (!host || !*host || !port || !*port)
		return refuse(reader, -ENOENT,
			"no --kubeconfig, and this is no pod: KUBERNETES_SERVICE_HOST and "
			"KUBERNETES_SERVICE_PORT are not set");
	struct bh_opener token = {.path = POD_TOKEN, .broker = -1};
	struct bh_opener ca = {.path = POD_CA, .broker = -1};
	_cleanup_close_ int token_fd = bh_opener_file(&token);
	_cleanup_close_ int ca_fd = bh_opener_file(&ca);
	_cleanup_free_ char *url =
		bh_xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	int r = read_file(reader, "token", POD_TOKEN, token_fd, &access->token);

	if (!r)
		r = check_token(reader, POD_TOKEN);
	if (!r)
		r = read_file(reader, "certificate authority", POD_CA, ca_fd, &access->ca);
	return r ? r : set_server(reader, "KUBERNETES_SERVICE_HOST", url);
}

/* ---- Public -----------------------------------------------------------------------------------
 */

int bh_access_load(
	const struct bh_access_config *config, struct bh_access **ret_access, char **ret_problem)
{
	struct reader reader = {
		.config = config, .access = bh_xcalloc(1, sizeof(struct bh_access))};
	int r = config->opener.path ? read_kubeconfig(&reader) : read_pod(&reader);

	if (r < 0) {
		bh_access_free(reader.access);
		*ret_problem = reader.problem;
		return r;
	}
	*ret_access = reader.access;
	return 0;
}

static void forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void bh_access_free(struct bh_access *access)
{
	if (!access)
		return;
	forget(access->key);
	forget(access->token);
	free(access->certificate);
	free(access->ca);
	free(access->tls_name);
	free(access->server);
	free(access);
}
