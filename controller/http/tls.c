/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The certificate, as it lies on disk. Every handshake takes what was last read, so a renewed one
 * is in use without a restart; files that do not go together change nothing.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "controller/http/server.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"
#include "proto/log.h"

#define CHAIN_MAX 16
#define FILE_BYTES_MAX (256 * 1024)
#define LOOK_MS 4000
/* Pairs that were replaced are kept so long that no handshake can hold them any more: with
 * LOOK_MS each, longer than BH_HTTP_HEADERS_MS, within which one has to end. */
#define KEPT 8
_Static_assert(KEPT *LOOK_MS > BH_HTTP_HEADERS_MS, "a handshake may outlive its key");

struct stamp {
	struct timespec changed;
	ino_t inode;
	off_t size;
};

struct pair {
	unsigned int n;
	gnutls_pcert_st chain[CHAIN_MAX];
	gnutls_privkey_t key;
};

struct bh_tls {
	const char *certificate_path;
	const char *key_path;
	struct stamp stamps[2];
	uint64_t look_at;
	struct pair pair;
	struct pair old[KEPT];
	size_t next_old;
	char *problem;
};

static struct bh_tls *in_use;

static void clear_pair(struct pair *pair)
{
	for (unsigned int i = 0; i < pair->n; i++)
		gnutls_pcert_deinit(&pair->chain[i]);
	if (pair->key)
		gnutls_privkey_deinit(pair->key);
	*pair = (struct pair){0};
}

/* Returns 0 or -errno; *ret_data is to free(). */
static int read_file(const char *path, gnutls_datum_t *ret_data)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ unsigned char *data = bh_xcalloc(FILE_BYTES_MAX + 1, 1);
	struct stat status;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	for (ssize_t r = 1; r > 0 && n <= FILE_BYTES_MAX; n += (size_t)r) {
		r = read(fd, data + n, FILE_BYTES_MAX + 1 - n);
		if (r < 0)
			return -errno;
	}
	if (n > FILE_BYTES_MAX)
		return -EFBIG;
	*ret_data = (gnutls_datum_t){bh_take_pointer(data), (unsigned int)n};
	return 0;
}

/* A certificate is of use only with the key that it is about. */
static bool belong_together(struct pair *pair)
{
	gnutls_datum_t text = {(unsigned char *)"bulkhead", 8};
	gnutls_datum_t signature = {0};
	gnutls_digest_algorithm_t digest = GNUTLS_DIG_SHA256;
	gnutls_sign_algorithm_t algorithm;
	bool good;

	gnutls_pubkey_get_preferred_hash_algorithm(pair->chain[0].pubkey, &digest, NULL);
	algorithm = gnutls_pk_to_sign(
		gnutls_pubkey_get_pk_algorithm(pair->chain[0].pubkey, NULL), digest);
	good = gnutls_privkey_sign_data(pair->key, digest, 0, &text, &signature) >= 0 &&
	       gnutls_pubkey_verify_data2(pair->chain[0].pubkey, algorithm, 0, &text, &signature) >=
		       0;
	gnutls_free(signature.data);
	return good;
}

static char *load(const struct bh_tls *tls, struct pair *ret_pair)
{
	gnutls_datum_t certificate = {0};
	gnutls_datum_t key = {0};
	struct pair pair = {.n = CHAIN_MAX};
	char *problem = NULL;
	int r = read_file(tls->certificate_path, &certificate);

	if (r < 0)
		problem = bh_xasprintf("%s: %s", tls->certificate_path, strerror(-r));
	if (!problem && (r = read_file(tls->key_path, &key)) < 0)
		problem = bh_xasprintf("%s: %s (it has to be readable by the controller's user)",
			tls->key_path, strerror(-r));
	if (!problem && (r = gnutls_pcert_list_import_x509_raw(
				 pair.chain, &pair.n, &certificate, GNUTLS_X509_FMT_PEM, 0)) < 0) {
		problem = bh_xasprintf(
			"%s: no certificate in PEM: %s", tls->certificate_path, gnutls_strerror(r));
		pair.n = 0;
	}
	if (!problem && ((r = gnutls_privkey_init(&pair.key)) < 0 ||
				(r = gnutls_privkey_import_x509_raw(
					 pair.key, &key, GNUTLS_X509_FMT_PEM, NULL, 0)) < 0))
		problem = bh_xasprintf(
			"%s: no private key in PEM: %s", tls->key_path, gnutls_strerror(r));
	if (!problem && !belong_together(&pair))
		problem = bh_xasprintf(
			"%s: is not the key of %s", tls->key_path, tls->certificate_path);
	free(certificate.data);
	if (key.data)
		gnutls_memset(key.data, 0, key.size);
	free(key.data);
	if (problem) {
		if (pair.n == CHAIN_MAX)
			pair.n = 0;
		clear_pair(&pair);
		return problem;
	}
	*ret_pair = pair;
	return NULL;
}

static struct stamp stamp_of(const char *path)
{
	struct stamp stamp = {0};
	struct stat status;

	if (stat(path, &status) == 0)
		stamp = (struct stamp){status.st_mtim, status.st_ino, status.st_size};
	return stamp;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
	       a->inode == b->inode && a->size == b->size;
}

/* True if either file is another one than last time. */
static bool have_changed(struct bh_tls *tls)
{
	struct stamp now[2] = {stamp_of(tls->certificate_path), stamp_of(tls->key_path)};
	bool changed =
		!same_stamp(&now[0], &tls->stamps[0]) || !same_stamp(&now[1], &tls->stamps[1]);

	memcpy(tls->stamps, now, sizeof(now));
	return changed;
}

void bh_tls_refresh(struct bh_tls *tls, uint64_t now)
{
	struct pair pair;
	char *problem;

	if (now < tls->look_at)
		return;
	tls->look_at = now + LOOK_MS;
	if (!have_changed(tls))
		return;
	problem = load(tls, &pair);
	free(tls->problem);
	tls->problem = NULL;
	if (problem) {
		tls->problem =
			bh_xasprintf("%s; the certificate read before stays in use", problem);
		bh_warning("%s", tls->problem);
		free(problem);
		return;
	}
	clear_pair(&tls->old[tls->next_old % KEPT]);
	tls->old[tls->next_old++ % KEPT] = tls->pair;
	tls->pair = pair;
	bh_info("the certificate %s was read again", tls->certificate_path);
}

/* Called by gnutls, which keeps the pointers until the handshake is done. */
static int retrieve(gnutls_session_t session, const gnutls_datum_t *requested, int n_requested,
	const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **ret_chain,
	unsigned int *ret_length, gnutls_privkey_t *ret_key)
{
	if (!in_use)
		return -1;
	*ret_chain = in_use->pair.chain;
	*ret_length = in_use->pair.n;
	*ret_key = in_use->pair.key;
	return 0;
}

void *const bh_tls_retrieve = (void *)retrieve;

int bh_tls_open(
	const char *certificate, const char *key, struct bh_tls **ret_tls, char **ret_problem)
{
	struct bh_tls *tls = bh_xcalloc(1, sizeof(*tls));

	tls->certificate_path = certificate;
	tls->key_path = key;
	have_changed(tls);
	*ret_problem = load(tls, &tls->pair);
	if (*ret_problem) {
		free(tls);
		return -EINVAL;
	}
	in_use = tls;
	*ret_tls = tls;
	return 0;
}

void bh_tls_close(struct bh_tls *tls)
{
	if (!tls)
		return;
	in_use = NULL;
	clear_pair(&tls->pair);
	for (size_t i = 0; i < KEPT; i++)
		clear_pair(&tls->old[i]);
	free(tls->problem);
	free(tls);
}

const char *bh_tls_problem(const struct bh_tls *tls)
{
	return tls->problem;
}
