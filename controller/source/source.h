/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_H
#define BULKHEAD_SOURCE_H

/*
 * Sources fill the model. This one is a folder of Kubernetes manifests: *.yaml, *.yml, *.json,
 * multi-document, `kind: List` and typed lists. Subfolders, dotfiles and editors' temporary files
 * are ignored; a mounted ConfigMap's symbolic links work.
 *
 * A file that cannot be read or understood is named as a problem and changes nothing: what it held
 * when it was last good stays in force. A file that vanishes takes its objects along. The same
 * object in two files is a problem, and the file first in name order wins.
 */

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

#endif
