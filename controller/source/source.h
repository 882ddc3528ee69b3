/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_H
#define BULKHEAD_SOURCE_H

/*
 * Sources fill the model. There are two, and an instance has one of them.
 *
 * Manifests: a folder of *.yaml, *.yml, *.json, multi-document, `kind: List` and typed lists.
 * Subfolders, dotfiles and editors' temporary files are ignored; a mounted ConfigMap's symbolic
 * links work.
 *
 * A file that cannot be read or understood is named as a problem and changes nothing: what it held
 * when it was last good stays in force. A file that vanishes takes its objects along. The same
 * object in two files is a problem, and the file first in name order wins.
 */

#include <uv.h>

#include "controller/model/model.h"

/* Per file, so that a mistake cannot take the machine's memory. */
#define BH_MANIFEST_SIZE_MAX (16u * 1024 * 1024)
#define BH_MANIFEST_DEPTH_MAX 64
#define BH_MANIFEST_NODES_MAX 2000000
#define BH_MANIFEST_FILES_MAX 10000

struct bh_manifests;

/*
 * Opens the folder at `path`, with its first content not yet read: call bh_manifests_rescan().
 * `broker` is the broker's socket (proto/broker.h), or -1 to open files directly; it is
 * the manifests' from here on, also on failure. `model` is borrowed and must outlive the source.
 * A folder that is missing or not readable is no failure but a problem; it is looked for again
 * at every rescan. Returns 0 and *ret_manifests, or -errno.
 */
int bh_manifests_open(
	const char *path, int broker, struct bh_model *model, struct bh_manifests **ret_manifests);
void bh_manifests_free(struct bh_manifests *manifests);

/* Readable when bh_manifests_drain() has something to take. The same for the source's whole life.
 */
int bh_manifests_fd(const struct bh_manifests *manifests);

/*
 * Takes all waiting inotify events, without blocking. True if one of them may have changed a
 * manifest: call bh_manifests_rescan(), after letting things settle for as long as you like (a copy
 * of many files is many events).
 */
bool bh_manifests_drain(struct bh_manifests *manifests);

/*
 * Reads the whole folder as it is now and puts the differences into the model. When it returns, the
 * model and the problems say what the files said: what `bulkhead wait` stands on. Call it on a slow
 * timer too (half a minute): that finds a folder that came back. Unchanged files cost
 * one read. True if the model changed.
 */
bool bh_manifests_rescan(struct bh_manifests *manifests);

/*
 * True from the first rescan on that could read the folder and every file in it. Before, there is
 * no last good content of some of them, and what they say is not known.
 */
bool bh_manifests_complete(const struct bh_manifests *manifests);

/* The folder's own first, then by file. */
struct bh_source_problem {
	const char *code;   /* "manifest-unreadable", "manifest-invalid", "duplicate-object",
			       "folder-unreadable" */
	const char *object; /* the file's name, or the folder's path */
	const char
		*text; /* "line 12: metadata.labels.app: …; its last good content stays in force" */
};

struct bh_manifests_status {
	const char *path;
	size_t n_files;   /* manifests in the folder */
	size_t n_objects; /* that the model got from here */
	uint64_t scans;   /* rescans so far */
	size_t n_problems;
	const struct bh_source_problem *problems;
};

/* Points into the source; valid until the next rescan. */
void bh_manifests_status(
	const struct bh_manifests *manifests, struct bh_manifests_status *ret_status);

/* ---- Kubernetes' API server
 * ----------------------------------------------------------------------
 *
 * Lists and watches what the model holds. Until every resource has been listed once the model is
 * incomplete and must not be put in force (bh_kube_synced()); from then on it only becomes older
 * while the server is away. It works on the caller's libuv loop.
 */

struct bh_kube;

struct bh_kube_config {
	const char *kubeconfig; /* path; NULL: the service account of the pod we are in */
	const char *context;    /* NULL: the kubeconfig's current one */
	int broker;             /* socket that opens the kubeconfig (proto/broker.h), or -1 */
	unsigned int page;      /* objects in a page of a list */
	unsigned int watch_s;   /* a watch ends after one to two times that, and is begun anew */
	unsigned int silence_s; /* a request on which nothing came for so long is given up */
};

/*
 * Reads the credentials and begins to list. `broker` is the source's from here on, also on failure;
 * the strings and the model are borrowed. `changed` is called when the model or the source's own
 * state may have changed, from the loop. Returns 0 and *ret_kube, or -errno and *ret_problem, one
 * line to free().
 */
int bh_kube_open(const struct bh_kube_config *config, uv_loop_t *loop, struct bh_model *model,
	void (*changed)(void *data), void *data, struct bh_kube **ret_kube, char **ret_problem);
/* Its handles are closed by the loop's next turn. */
void bh_kube_free(struct bh_kube *kube);

/* True once every resource has been listed to the end. */
bool bh_kube_synced(const struct bh_kube *kube);

/*
 * Asks for everything anew: a watch is not known to have brought what was written a moment ago, a
 * list that begins now holds it (it is read with quorum). Returns a ticket, from 1;
 * bh_kube_refreshed() is true once every resource has been listed since.
 */
uint64_t bh_kube_refresh(struct bh_kube *kube);
bool bh_kube_refreshed(const struct bh_kube *kube, uint64_t ticket);

struct bh_kube_resource_status {
	const char *name;  /* "Pod" */
	const char *state; /* "listing", "watching", "paused" (after a failure), "absent" (the
			      server does not have the resource) */
	const char *error; /* the last failure since it last watched; NULL: none */
	const char *note;  /* what is good to know and no failure; NULL */
	bool synced;       /* has been listed to the end */
	uint64_t heard_ms; /* when the server was last heard of, on the loop's clock; 0: never */
	size_t n_objects;
	uint64_t lists;   /* complete ones */
	uint64_t watches; /* that the server accepted */
	uint64_t events;
};

struct bh_kube_status {
	const char *server;
	const char *state;  /* "starting", "current", "stale" */
	uint64_t since_ns;  /* since 1970; if stale: what is known is as of then */
	const char *detail; /* why it is not current; "" */
	size_t n_objects;
	size_t n_resources;
	const struct bh_kube_resource_status *resources;
	size_t n_problems;
	const struct bh_source_problem *problems; /* "api-server-away", "object-invalid",
						     "credentials-unreadable" */
};

/* Points into the source; valid until the next call or turn of the loop. */
void bh_kube_status(struct bh_kube *kube, struct bh_kube_status *ret_status);

#endif
