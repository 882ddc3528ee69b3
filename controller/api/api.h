/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_H
#define BULKHEAD_API_H

/*
 * The commands of the control socket. Each answers with one JSON object; what the fields mean is in
 * docs/api.md. The controller lends its parts, and does what changes something.
 */

#include <jansson.h>

#include "controller/alerts/alerts.h"
#include "controller/api/control.h"
#include "controller/compile/explain.h"
#include "controller/exports.h"
#include "controller/flows/edges.h"
#include "controller/flows/judged.h"
#include "controller/flows/log.h"
#include "controller/flows/names.h"
#include "controller/history/history.h"
#include "controller/link/link.h"
#include "controller/source/source.h"

struct bh_tokens;
struct bh_tally;
struct bh_cluster;
struct bh_work;

/* Something the controller itself has to say to the operator. */
struct bh_api_notice {
	const char *code;
	const char *object;
	const char *text;
};

struct bh_api {
	struct bh_model *model;
	struct bh_compiler *compiler;
	struct bh_manifests *manifests; /* the source; or */
	struct bh_kube *kube;           /* this one. The other is NULL */
	struct bh_link *link;
	struct bh_names *names;
	struct bh_judged *judged; /* NULL: nothing is known to have changed */
	struct bh_flow_log *flows;
	struct bh_edges *edges;
	struct bh_history *history;
	struct bh_work *work;       /* threads for what takes long */
	struct bh_exports *exports; /* NULL: none */
	struct bh_alerts *alerts;
	const char *alerts_problem;       /* why they are not kept on disk; NULL: they are */
	struct bh_tally *tally;           /* what the metrics have counted */
	struct bh_cluster *cluster;       /* of which more than this node is known; NULL: none */
	const struct bh_desired *desired; /* what the link was last told to want */
	uint64_t started_ns;              /* since 1970 */
	bool mode_by_command; /* the node's mode was set by command, and not by --mode */
	int settings_error;   /* -errno: what was set by command is in force, but not on disk */
	/* What the operator said of suggestions: {id: "approved" or "rejected"}, and its file. */
	json_t *decisions;
	const char *decisions_path;
	struct bh_tokens *tokens; /* who may ask over HTTP; NULL: there is no server */
	const char *http_url;     /* NULL: it does not listen */
	const char *http_problem; /* why not, or what else it lacks; NULL: nothing */
	size_t n_notices;
	const struct bh_api_notice *notices;

	/*
	 * Reads the source again and compiles, so that `desired` is what it says now. The API
	 * server's answer takes its time: bh_api_refreshed() says when it is there. Returns the
	 * ticket to ask it with.
	 */
	uint64_t (*refresh)(void *data);
	/* The model was changed by what is no setting: compiles. */
	void (*model_changed)(void *data);
	/*
	 * The model was changed by command: keeps that on disk, then compiles. 0 or -errno, and
	 * then the caller takes the change back; with `anyway` it is put in force all the same, and
	 * `settings_error` tells of it until it could be kept.
	 */
	int (*settings_changed)(void *data, bool anyway);
	/* A baseline was put in or taken away: keeps that on disk. 0 or -errno. */
	int (*baselines_changed)(void *data);
	void *data;
};

/* Answers one request (a bh_control_handler with a struct bh_api as data). */
json_t *bh_api_handle(void *data, struct bh_control_call *call);
/* Whoever asked is gone before the answer. */
void bh_api_leave(struct bh_api *api, struct bh_control_call *call);

/* Everything the operator has to know or mend: an array of {source, code, object, text}. */
json_t *bh_api_problems(const struct bh_api *api);

#endif
