/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_STORED_H
#define BULKHEAD_MODEL_STORED_H

/*
 * What is behind a `struct bh_model`: shared by the files of this folder only.
 *
 * Every stored object is one allocation: the public struct, then its strings and arrays, packed. It
 * is replaced as a whole, never edited, so what a reader holds is consistent. A namespace has a
 * record as long as anything is in it or names it, because its labels count whether or not there is
 * a Namespace object.
 */

#include "controller/model/announced.h"
#include "controller/model/labels.h"
#include "controller/model/model.h"
#include "controller/model/overrides.h"
#include "controller/model/table.h"

enum bh_stored_kind {
	BH_STORED_POD,
	BH_STORED_NAMESPACE,
	BH_STORED_NODE,
	BH_STORED_POLICY,
	BH_STORED_SERVICE,
	BH_STORED_SLICE,
	BH_STORED_KINDS,
};

struct bh_stored;

/* A ring of objects that have something in common. The head is no object's. */
struct bh_ring {
	struct bh_ring *next; /* NULL: in none */
	struct bh_ring *before;
	struct bh_stored *object;
};

/* Who has an address, or lists it among a service's backends. */
struct bh_place {
	struct bh_ip ip;
	struct bh_ring pods; /* alive, with a network of their own */
	struct bh_ring slices;
};

/* A namespace as far as the model knows of it. */
struct bh_space {
	size_t objects; /* that are in it or are it */
	struct bh_stored *namespace;
	const struct bh_labels *labels; /* what a namespaceSelector sees */
	struct bh_ring pods;
	char name[];
};

/* A service as its slices name it. */
struct bh_front {
	struct bh_ring slices;
	size_t key_size;
	char key[]; /* "namespace\0name" */
};

struct bh_stored {
	enum bh_stored_kind kind;
	size_t size; /* of the allocation */
	const char *uid;
	struct bh_space *space;    /* pods, namespaces, policies that are in one */
	struct bh_stored *sibling; /* another pod of the same namespace and name */
	struct bh_ring together;   /* a pod in its namespace, a slice in its service */
	struct bh_front *front;    /* a slice's */
	struct bh_ring *places;    /* one for each address of a pod or slice */
	union {
		struct bh_pod pod;
		struct bh_namespace namespace;
		struct bh_node node;
		struct bh_network_policy policy;
		struct bh_service service;
		struct bh_slice slice;
	};
};

/* What a change was, and the object as it was before, kept for whoever has computed from it. */
struct bh_noted {
	struct bh_change change;
	struct bh_stored *before;
};

struct bh_frozen;
struct bh_gone;

/* Who looks at the model as it was (frozen.h), the oldest first; and what has gone since then. */
struct bh_frozen_list {
	struct bh_frozen *first;
	struct bh_frozen *last;
	uint64_t n_gone;
	struct bh_gone *gone;
	struct bh_gone *last_gone;
};

struct bh_model {
	char *node;
	enum bh_mode mode;
	uint64_t identity;
	uint64_t revision;
	uint64_t last_serial;
	struct bh_table objects;                /* by uid */
	struct bh_table kinds[BH_STORED_KINDS]; /* the same by kind */
	struct bh_table pod_names;              /* "namespace\0name" → newest sibling list */
	struct bh_table spaces;
	struct bh_table places; /* by address */
	struct bh_table fronts; /* by namespace and name */
	struct bh_label_store labels;
	struct bh_overrides overrides;
	struct bh_announced announced;
	size_t n_host_ips;
	struct bh_ip *host_ips;
	struct bh_noted journal[BH_MODEL_JOURNAL]; /* by revision */
	uint64_t journal_first;                    /* the first revision that is remembered */
	size_t journal_bytes;                      /* of what was there before */
	struct bh_frozen_list frozen;
};

/* stored.c: one packed copy of a public struct. Its labels and spec are still the caller's. */
struct bh_stored *bh_stored_new(enum bh_stored_kind kind, const void *in);
/* The interned set of labels it holds, or NULL. */
const struct bh_labels **bh_stored_labels(struct bh_stored *object);
bool bh_stored_same_pod(
	const struct bh_pod *a, const struct bh_pod *b, const struct bh_labels *labels);
bool bh_stored_same_spec(const json_t *a, const json_t *b);

/* journal.c: frees it, and what it holds of the model. It is in no index. */
void bh_stored_free(struct bh_model *model, struct bh_stored *object);

/* frozen.c: takes it to free it later, if somebody may look at it still. */
bool bh_frozen_keep(struct bh_model *model, struct bh_stored *object);

/* index.c: into, and out of, every index. */
void bh_index_insert(struct bh_model *model, struct bh_stored *object);
void bh_index_remove(struct bh_model *model, struct bh_stored *object);
void bh_index_clear(struct bh_model *model);

/*
 * journal.c: the next revision, and what made it one. `object` is what is there now, `before` what
 * was (either may be NULL), out of the indexes already and the journal's from here on.
 */
void bh_journal_note(struct bh_model *model, struct bh_stored *object, struct bh_stored *before);
/* Forgets everything. */
void bh_journal_clear(struct bh_model *model);

#endif
