/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_COMMON_H
#define BULKHEAD_API_COMMON_H

/* What the commands share: arguments out of a request, and names and numbers into JSON. */

#include "controller/api/api.h"
#include "controller/topology/json.h"

/* One per command; as bh_control_handler. */
typedef json_t *bh_api_command(struct bh_api *api, struct bh_control_call *call);

bh_api_command bh_api_status;
bh_api_command bh_api_metrics;
bh_api_command bh_api_pods;
bh_api_command bh_api_policies;
bh_api_command bh_api_flows;
bh_api_command bh_api_edges;
bh_api_command bh_api_graph;
bh_api_command bh_api_explain;
bh_api_command bh_api_mode;
bh_api_command bh_api_quarantine;
bh_api_command bh_api_wait;
bh_api_command bh_api_policy_diff;
bh_api_command bh_api_policy_suggest;
bh_api_command bh_api_endpoint_ready;
bh_api_command bh_api_endpoint_gone;
bh_api_command bh_api_topology;
bh_api_command bh_api_topology_diff;
bh_api_command bh_api_export;
bh_api_command bh_api_conversations;
bh_api_command bh_api_conversation;
bh_api_command bh_api_series;
bh_api_command bh_api_namespaces;
bh_api_command bh_api_readiness;
bh_api_command bh_api_allow;
bh_api_command bh_api_token;
bh_api_command bh_api_alerts;
bh_api_command bh_api_alert_ack;
bh_api_command bh_api_baselines;
bh_api_command bh_api_baseline;
bh_api_command bh_api_baseline_lock;
bh_api_command bh_api_baseline_unlock;

/*
 * What `error` of an answer is about, in its member `code`: what is asked for does not exist, or
 * may not be seen or done. An error without one is the request's.
 */
json_t *bh_api_missing(const char *format, ...) __attribute__((format(printf, 1, 2)));
json_t *bh_api_forbidden(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* … or others are asking already: try again. */
json_t *bh_api_busy(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Arguments. Each returns an error to answer with, or NULL. ------------------------------- */

/* The string of that name, or NULL if it is not there. */
json_t *bh_api_string(const json_t *request, const char *name, const char **ret_value);
/* The same, where it has to be there. */
json_t *bh_api_needed(const json_t *request, const char *name, const char **ret_value);
/* The whole number of that name within [0, max]; *ret_value stays as it is if it is not there. */
json_t *bh_api_number(const json_t *request, const char *name, uint64_t max, uint64_t *ret_value);
/* True or false; *ret_value stays as it is if it is not there. */
json_t *bh_api_flag(const json_t *request, const char *name, bool *ret_value);
/* "tcp", "SCTP", "47": *ret_found says if it is there. */
json_t *bh_api_protocol(const json_t *request, uint8_t *ret_protocol, bool *ret_found);
/* Splits "namespace/name" in place of the copy it makes; free() *ret_namespace, which holds both.
 */
json_t *bh_api_pod_name(const char *text, char **ret_namespace, const char **ret_name);

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *bh_json_workload(const struct bh_api *api, uint32_t number);
/* The rule, or null. */
json_t *bh_json_rule(const struct bh_api *api, uint32_t number);
json_t *bh_json_ip(const struct bh_ip *ip);

/* How the history stands. */
json_t *bh_json_history(const struct bh_api *api);

/* ---- Shared answers -------------------------------------------------------------------------- */

/*
 * One line for people why a verdict was reached: the rule, or who isolates and that nothing
 * matched, or the reason's sentence. The pod is given by name (NULL: any pod of `workload`).
 */
json_t *bh_api_decision(const struct bh_api *api, uint32_t reason, uint32_t rule, bool egress,
	const char *namespace, const char *pod, uint32_t workload);

/* True if the policy isolates its pods in this direction. */
bool bh_api_policy_isolates(const struct bh_network_policy *policy, bool egress);

/* The state of an endpoint as a word, and what the data plane says of it (NULL: nothing yet). */
const char *bh_api_endpoint_state(const struct bh_api *api, const char *uid,
	const Bulkhead__Wire__EndpointStatus **ret_status);

/*
 * True once the data plane has told everything it had seen when the call came, or if it cannot be
 * asked, or is too slow: then what is known is the answer. Uses the call's memo.
 */
bool bh_api_fresh(struct bh_api *api, struct bh_control_call *call);

/*
 * True once what the source said after bh_api.refresh() gave this ticket is what `desired` was
 * compiled from; else *ret_missing says what is missing: free() it.
 */
bool bh_api_refreshed(const struct bh_api *api, uint64_t ticket, char **ret_missing);

/* True once the wanted state, as it was at `revision`, is in force; else *ret_missing says what is
 * missing: free() it. Pods that cannot be supported do not count. */
bool bh_api_in_force(const struct bh_api *api, uint64_t revision, char **ret_missing);

/* Is there such a namespace, as far as the asker may know? */
bool bh_api_knows(
	const struct bh_model *model, const struct bh_sight *sight, const char *namespace);
/*
 * For an answer about one namespace (NULL: it is not) that found nothing: says in `known` whether
 * anything of that name is known. One that the asker may not see is not.
 */
void bh_api_set_known(json_t *answer, const struct bh_model *model, const struct bh_sight *sight,
	const char *namespace);

/*
 * Asks the history, over as many turns as it takes: false means return NULL and be called again.
 * True: *ret_error is to be answered, or there is *ret_answer, which lives until the call is
 * answered. `slot`: which of the call's questions it is, below BH_CONTROL_QUESTIONS, in order.
 */
bool bh_api_history(struct bh_api *api, struct bh_control_call *call, int slot,
	const struct bh_history_question *question, const struct bh_history_answer **ret_answer,
	json_t **ret_error);

/* True if the kernel counts so many edges that a thread is to look at them. */
bool bh_api_is_large(const struct bh_api *api);

/*
 * True, and the command is to return NULL, if its answer is made of so many rows that a thread runs
 * it instead, once everything of the history is there. Only for commands that look at nothing but
 * the model, what was compiled, names, edges and the history's answers. `parts`: what of these it
 * needs, of enum bh_excerpt_part.
 */
bool bh_api_elsewhere(struct bh_api *api, struct bh_control_call *call, bh_api_command *command,
	size_t rows, unsigned int parts);

#endif
