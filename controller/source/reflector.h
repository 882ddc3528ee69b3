/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_REFLECTOR_H
#define BULKHEAD_SOURCE_REFLECTOR_H

/*
 * Keeps the model's objects of one resource as the API server has them: lists them in pages, then
 * watches from the list's resourceVersion.
 *
 *   listing ──all pages──► watching ──ends, breaks──► paused ──► watching, from the last event on
 *      ▲                      │                          │
 *      └── 410 Gone, or a refresh is asked for ──────────┘
 *
 * What a list holds is put into the model as it comes; what it does not hold is removed when its
 * last page is complete, and never before. After a failure comes a pause that doubles, with jitter.
 * resourceVersions are compared with nothing: they are handed back as they came.
 *
 * A resource that a cluster may lack (its CustomResourceDefinition is not installed) is as good as
 * an empty list where the server does not have it (404), and asked for again every minute. Where
 * there were objects of it a moment ago, the server has to say so several times: that it just
 * started must not look like it.
 *
 * (Kubernetes documentation, "Kubernetes API Concepts": efficient detection of changes, 410 Gone
 * responses, bookmarks, retrieving large results sets in chunks.)
 */

#include "controller/model/arena.h"
#include "controller/model/model.h"
#include "controller/source/http.h"
#include "controller/source/object.h"
#include "controller/source/source.h"

/* More objects of one resource than that are no cluster, but a mistake or an attack. */
#define BH_REFLECTOR_OBJECTS_MAX 500000

struct bh_resource {
	enum bh_object_kind kind;
	const char *name; /* as its list names it: "PodList" less "List" */
	const char *path;
	bool optional; /* the server may not have it */
	/* Where a server that does not know `path` yet may have the same objects; NULL: nowhere. */
	const char *older_path;
};

/* What all reflectors of a source share; borrowed, and read anew when something is begun. */
struct bh_reflector_context {
	uv_loop_t *loop;
	struct bh_http *http;
	struct bh_model *model;
	unsigned int page;
	unsigned int watch_s;
	unsigned int silence_s;
	uint64_t ticket; /* of the newest refresh asked for: a list begun before does not count */
	/* The server does not accept our credentials. */
	void (*unauthorized)(void *data);
	void *data;
};

struct bh_reflector;

/* Begins to list at once. */
struct bh_reflector *bh_reflector_new(
	const struct bh_resource *resource, const struct bh_reflector_context *context);
void bh_reflector_free(struct bh_reflector *reflector);

/* The context's ticket has moved: lists anew as soon as it can. */
void bh_reflector_refresh(struct bh_reflector *reflector);

/* The ticket of the newest complete list; false: there was none yet. */
bool bh_reflector_listed(const struct bh_reflector *reflector, uint64_t *ret_ticket);

/* Valid until the loop turns. */
void bh_reflector_status(
	const struct bh_reflector *reflector, struct bh_kube_resource_status *ret_status);

/* The next object that cannot be understood: what is wrong with it; NULL at the end. `*position`
 * begins at 0. */
const char *bh_reflector_next_fault(const struct bh_reflector *reflector, size_t *position);

#endif
