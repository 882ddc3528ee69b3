/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_H
#define BULKHEAD_MODEL_H

/*
 * The model: what the orchestrator, the operator and the host have said, and nothing derived from
 * it. Sources put objects in, the compiler reads them out.
 *
 * It is pure: no I/O, no clock, no logging. Objects are keyed by UID; putting an object that is
 * already there as it is changes nothing, any other call that changes something moves the revision.
 * Label sets are interned: two objects with the same labels hold the same pointer, so whatever is
 * computed from labels is computed once per label set, not once per pod.
 *
 * Running out of memory ends the process (memory.h): the kernel goes on enforcing.
 */

#include <jansson.h>

#include "controller/model/types.h"

struct bh_model;

struct bh_label {
	const char *key;
	const char *value;
};

/*
 * Sorted by key, keys distinct. A stored object's are interned: `id` is the same for equal sets,
 * another for every other set this model ever held, and never 0. A set that is not interned has id
 * 0.
 */
struct bh_labels {
	uint64_t id;
	size_t n;
	const struct bh_label *items;
};

/* The value of `key`, or NULL. */
const char *bh_labels_get(const struct bh_labels *labels, const char *key);

/* A named container port. */
struct bh_pod_port {
	const char *name;
	uint8_t protocol; /* IP protocol number */
	uint16_t port;
};

/*
 * Objects. As an argument of bh_model_put_*() everything is borrowed for the call, and labels may
 * be in any order; as a result everything belongs to the model until that object changes or goes.
 * Strings that are not there are NULL unless said otherwise.
 */
struct bh_pod {
	const char *uid;
	const char *namespace;
	const char *name;
	const struct bh_labels *labels; /* NULL on the way in: none. Never NULL on the way out */
	const char *node_name;          /* NULL: not said */
	bool host_network;
	bool finished;   /* phase Succeeded or Failed */
	int64_t created; /* creationTimestamp, seconds since 1970; 0: not said */
	size_t n_ips;
	const struct bh_ip *ips;
	size_t n_ports;
	const struct bh_pod_port *ports; /* only those with a name */
	const char *owner_kind; /* the controlling owner's, as written: ReplicaSet, Job, … */
	const char *owner_name;
	const char *mode; /* annotation bulkhead.io/mode, as written */
	const char *hook; /* annotation bulkhead.io/hook, as written */
};

struct bh_namespace {
	const char *uid;
	const char *name;
	const struct bh_labels *labels;
	const char *mode;
};

struct bh_node {
	const char *uid;
	const char *name;
	const struct bh_labels *labels;
	size_t n_ips;
	const struct bh_ip *ips;
};

/*
 * A NetworkPolicy, or (namespace "") a ClusterNetworkPolicy. The spec is kept as it was written:
 * what it means is the compiler's business.
 */
struct bh_network_policy {
	const char *uid;
	const char *namespace;
	const char *name;
	const char *mode;
	json_t *spec;    /* NULL: missing. Referenced, never changed */
	uint64_t serial; /* out: another one for every content this UID ever had */
};

/* A port of a service, and where its backends are asked. */
struct bh_service_port {
	const char *name;        /* NULL: the only one */
	uint8_t protocol;        /* IP protocol number */
	uint16_t port;           /* host order */
	uint16_t target;         /* of every backend; 0: by name */
	const char *target_name; /* each backend pod's own port of that name */
};

/* A Service as far as it has addresses of its own: none of a headless one, none of an alias. */
struct bh_service {
	const char *uid;
	const char *namespace;
	const char *name;
	const struct bh_labels *selector; /* empty: it selects nothing. As bh_pod.labels */
	size_t n_ports;
	const struct bh_service_port *ports;
	size_t n_ips; /* clusterIPs first, then what the world outside uses */
	const struct bh_ip *ips;
	size_t n_cluster_ips;
};

struct bh_slice_port {
	const char *name; /* NULL: the only one */
	uint8_t protocol;
	uint16_t port; /* the backends' */
};

/* An EndpointSlice: some of a service's backends, of one address family. */
struct bh_slice {
	const char *uid;
	const char *namespace;
	const char *name;
	const char *service; /* in the same namespace; NULL: it names none */
	size_t n_ports;
	const struct bh_slice_port *ports;
	size_t n_ips;
	const struct bh_ip *ips; /* of all endpoints, whatever their conditions */
};

/* `node` is the name of the node this instance runs on; `mode` is what --mode says. */
struct bh_model *bh_model_new(const char *node, enum bh_mode mode);
void bh_model_free(struct bh_model *model);

/* Grows with every change, starting at 1. */
uint64_t bh_model_revision(const struct bh_model *model);
const char *bh_model_node_name(const struct bh_model *model);
/* Another one for every model of the process, gone ones included. */
uint64_t bh_model_identity(const struct bh_model *model);

/* Each returns true if it changed anything. */
bool bh_model_put_pod(struct bh_model *model, const struct bh_pod *pod);
bool bh_model_put_namespace(struct bh_model *model, const struct bh_namespace *namespace);
bool bh_model_put_node(struct bh_model *model, const struct bh_node *node);
bool bh_model_put_policy(struct bh_model *model, const struct bh_network_policy *policy);
bool bh_model_put_service(struct bh_model *model, const struct bh_service *service);
bool bh_model_put_slice(struct bh_model *model, const struct bh_slice *slice);

/* Takes away whatever object has this UID. True if there was one. */
bool bh_model_remove(struct bh_model *model, const char *uid);

/* ---- What the operator said ------------------------------------------------------------------ */

enum bh_scope {
	BH_SCOPE_NODE,
	BH_SCOPE_NAMESPACE,
	BH_SCOPE_POD,
};

/*
 * A mode set by command. BH_MODE_UNSET takes it back. `namespace` and `name` are NULL where the
 * scope does not need them; they need not exist (yet). True if it changed anything.
 */
bool bh_model_set_mode(struct bh_model *model, enum bh_scope scope, const char *namespace,
	const char *name, enum bh_mode mode);

/* The mode set by command, or BH_MODE_UNSET. */
enum bh_mode bh_model_mode(
	const struct bh_model *model, enum bh_scope scope, const char *namespace, const char *name);

/* The node's mode in force: set by command, else what bh_model_new() was given. */
enum bh_mode bh_model_node_mode(const struct bh_model *model);

/* Cuts a pod off, or no longer. The pod need not exist. True if it changed anything. */
bool bh_model_set_quarantine(
	struct bh_model *model, const char *namespace, const char *name, bool quarantined);
bool bh_model_quarantined(const struct bh_model *model, const char *namespace, const char *name);

/* One thing an operator set: a mode, or a quarantine (scope BH_SCOPE_POD). */
struct bh_override {
	enum bh_scope scope;
	const char *namespace; /* "" where there is none */
	const char *name;
	enum bh_mode mode; /* BH_MODE_UNSET: only quarantined */
	bool quarantined;
};

/* All of them in a stable order, for keeping them across restarts. Free *ret_overrides; not the
 * strings. */
size_t bh_model_overrides(const struct bh_model *model, struct bh_override **ret_overrides);
/* Modes and quarantines set by command; the node's mode too. */
void bh_model_copy_overrides(struct bh_model *to, const struct bh_model *from);

/* ---- What the CNI plugin said ---------------------------------------------------------------- */

/*
 * The pod was given these addresses on this node: they are its addresses until the source says
 * something new of them. The pod need not be known yet. `uid` NULL: whoever is called so. False if
 * there are too many announcements of pods that nobody knows.
 */
bool bh_model_announce(struct bh_model *model, const char *namespace, const char *name,
	const char *uid, size_t n_ips, const struct bh_ip *ips);

/*
 * The sandbox with these addresses is gone (0: whichever): what the source says counts again. True
 * if there was such an announcement; a later sandbox's of the same pod stays.
 */
bool bh_model_forget_announced(struct bh_model *model, const char *namespace, const char *name,
	const char *uid, size_t n_ips, const struct bh_ip *ips);

/* ---- What the host said ------------------------------------------------------------------------
 */

/* The node's own addresses, in any order. True if that changed anything. */
bool bh_model_set_host_addresses(struct bh_model *model, size_t n_ips, const struct bh_ip *ips);
size_t bh_model_host_addresses(const struct bh_model *model, const struct bh_ip **ret_ips);

/* ---- Reading
 * ------------------------------------------------------------------------------------- */

/* NULL if there is none. Of several pods of one name (one going, one coming) the newest. */
const struct bh_pod *bh_model_pod(const struct bh_model *model, const char *uid);
const struct bh_pod *bh_model_pod_by_name(
	const struct bh_model *model, const char *namespace, const char *name);
const struct bh_slice *bh_model_slice(const struct bh_model *model, const char *uid);
const struct bh_service *bh_model_service(const struct bh_model *model, const char *uid);
const struct bh_namespace *bh_model_namespace(const struct bh_model *model, const char *name);
const struct bh_namespace *bh_model_namespace_by_uid(const struct bh_model *model, const char *uid);

/*
 * What a namespaceSelector sees: the Namespace object's labels and kubernetes.io/metadata.name,
 * which is there (and right) even when the object is not. NULL if the model holds nothing in it.
 */
const struct bh_labels *bh_model_namespace_labels(const struct bh_model *model, const char *name);

/*
 * Iteration, in no order. `position` begins at 0; NULL ends it. The model must not change
 * meanwhile: for (size_t at = 0; (pod = bh_model_next_pod(model, &at));)
 */
const struct bh_pod *bh_model_next_pod(const struct bh_model *model, size_t *position);
const struct bh_namespace *bh_model_next_namespace(const struct bh_model *model, size_t *position);
const struct bh_node *bh_model_next_node(const struct bh_model *model, size_t *position);
const struct bh_network_policy *bh_model_next_policy(
	const struct bh_model *model, size_t *position);
const struct bh_service *bh_model_next_service(const struct bh_model *model, size_t *position);
const struct bh_slice *bh_model_next_slice(const struct bh_model *model, size_t *position);

/*
 * Some of them, in no order: pods that list an address and are alive (those of the host's network
 * list the node's), slices that list it, the pods of a namespace, the slices of a service.
 * `position` begins at NULL.
 */
struct bh_ring;

const struct bh_pod *bh_model_next_pod_at(
	const struct bh_model *model, const struct bh_ip *ip, const struct bh_ring **position);
const struct bh_slice *bh_model_next_slice_at(
	const struct bh_model *model, const struct bh_ip *ip, const struct bh_ring **position);
const struct bh_pod *bh_model_next_pod_in(
	const struct bh_model *model, const char *namespace, const struct bh_ring **position);
const struct bh_slice *bh_model_next_slice_of(const struct bh_model *model, const char *namespace,
	const char *service, const struct bh_ring **position);

/* Of the pods with a network of their own that list the address the newest, which keeps it; or
 * NULL. */
const struct bh_pod *bh_model_pod_at(const struct bh_model *model, const struct bh_ip *ip);

/* ---- What has changed ------------------------------------------------------------------------ */

/* So many changes are remembered; fewer where what was there before them takes more than so much.
 */
#define BH_MODEL_JOURNAL 1024
#define BH_MODEL_JOURNAL_BYTES (4 * 1024 * 1024)

enum bh_change_kind {
	BH_CHANGE_OTHER, /* anything but what follows */
	BH_CHANGE_POD,
	BH_CHANGE_SLICE,
	BH_CHANGE_NAMESPACE,
	BH_CHANGE_SERVICE,
	BH_CHANGE_POLICY, /* what it was is not kept */
};

struct bh_change {
	enum bh_change_kind kind;
	const char *uid;                      /* NULL: BH_CHANGE_OTHER */
	const struct bh_pod *pod;             /* as it was; NULL: there was none */
	const struct bh_slice *slice;         /* as it was; NULL: there was none */
	const struct bh_namespace *namespace; /* as it was; NULL: there was none */
	const struct bh_service *service;     /* as it was; NULL: there was none */
};

/*
 * What made this revision of the one before it. Everything in it stays for as long as the change is
 * remembered. NULL: it is not any more.
 */
const struct bh_change *bh_model_change(const struct bh_model *model, uint64_t revision);

size_t bh_model_count_pods(const struct bh_model *model);
size_t bh_model_count_policies(const struct bh_model *model);
size_t bh_model_count_services(const struct bh_model *model);
size_t bh_model_count_slices(const struct bh_model *model);

#endif
