/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_OBJECT_H
#define BULKHEAD_SOURCE_OBJECT_H

/*
 * Kubernetes objects as JSON to what the model takes. The same for every source. Fields this
 * program has no use for are not looked at; those it uses must have the type Kubernetes gives them.
 * (A policy's spec is not looked at here: the compiler reads it.)
 */

#include "controller/compile/reader.h"
#include "controller/model/arena.h"
#include "controller/model/model.h"

enum bh_object_kind {
	BH_OBJECT_POD,
	BH_OBJECT_NAMESPACE,
	BH_OBJECT_NODE,
	BH_OBJECT_POLICY,
	BH_OBJECT_CLUSTER_POLICY,
	BH_OBJECT_SERVICE,
	BH_OBJECT_SLICE,
};

struct bh_object {
	enum bh_object_kind kind;
	const char *uid;
	const char *name; /* "Pod shop/web": unique among living objects, for people too */
	union {
		struct bh_pod pod;
		struct bh_namespace namespace;
		struct bh_node node;
		struct bh_network_policy policy; /* of either kind; its spec is referenced */
		struct bh_service service;
		struct bh_slice slice;
	};
};

/* An object that is understood to have no effect here, and that people may think has. */
struct bh_foreign {
	const char *code; /* unknown-version: of a kind that is read; foreign-policy: of none */
	const char *text;
};

struct bh_object_list {
	size_t n;
	size_t capacity;
	struct bh_object *items;
	size_t n_foreign;
	size_t foreign_capacity;
	struct bh_foreign *foreign;
};

/*
 * Decodes one document, which may be a list of objects, and appends what is of use. Strings live in
 * the arena. An object without uid gets one derived from its kind and name. Kinds of no use are
 * passed over. False and a note if an object of use is not as it must be.
 */
bool bh_object_decode(const json_t *document, struct bh_arena *arena, struct bh_fault *fault,
	struct bh_object_list *list);

/*
 * Decodes one object that is known to be of this kind, as elements of the API server's lists are,
 * which do not say it themselves. Otherwise like bh_object_decode().
 */
bool bh_object_decode_as(enum bh_object_kind kind, const json_t *json, struct bh_arena *arena,
	struct bh_fault *fault, struct bh_object_list *list);

/* Frees the list and gives back the specs; not what is in the arena. */
void bh_object_list_clear(struct bh_object_list *list);

/* Puts the object into the model. True if that changed it. */
bool bh_object_put(const struct bh_object *object, struct bh_model *model);

#endif
