/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_ACCESS_H
#define BULKHEAD_SOURCE_ACCESS_H

/*
 * Where the API server is and how to prove who we are: from a kubeconfig, or, in a pod, from its
 * service account. Everything is read anew each time, since tokens and certificates are renewed
 * under their old names.
 *
 * Refused with a clear line: exec and auth-provider plugins, passwords, impersonation, a proxy,
 * insecure-skip-tls-verify, and http:// to anything but this host.
 */

#include "controller/source/broker.h"

#define BH_ACCESS_FILE_MAX (1024 * 1024)

struct bh_access_config {
	struct bh_opener opener; /* of the kubeconfig; path NULL: in-cluster */
	const char *context;     /* NULL: the kubeconfig's current-context */
};

/* All texts are terminated; NULL: none. Of key material there is no other copy here. */
struct bh_access {
	char *server;   /* "https://host:6443/prefix", without a slash at the end */
	char *tls_name; /* the name its certificate must have; NULL: the host's */
	char *ca;       /* PEM. NULL: the system's */
	char *certificate;
	char *key;
	char *token;
};

/* Returns 0 and *ret_access, or -errno and *ret_problem, one line to free(). */
int bh_access_load(
	const struct bh_access_config *config, struct bh_access **ret_access, char **ret_problem);
void bh_access_free(struct bh_access *access);

/* Decodes base64 (RFC 4648, line breaks allowed) to a terminated text; NULL if it is not that. */
char *bh_base64_decode(const char *text);

#endif
