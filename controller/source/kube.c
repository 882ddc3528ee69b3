/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The API server as a source: one reflector for each resource the model is made of, the credentials
 * they share, and what the operator is told about it all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/model/memory.h"
#include "controller/source/reflector.h"
#include "proto/cleanup.h"

/* Tokens and certificates are renewed under their old names. */
#define CREDENTIALS_MS 60000
/* Named objects; the rest is a number. */
#define FAULTS_SHOWN 20

/* One line for each resource of the model; the agent's RBAC allows get, list and watch on these. */
static const struct bh_resource resources[] = {
	{BH_OBJECT_NAMESPACE, "Namespace", "/api/v1/namespaces", false, NULL},
	{BH_OBJECT_NODE, "Node", "/api/v1/nodes", false, NULL},
	{BH_OBJECT_POLICY, "NetworkPolicy", "/apis/networking.k8s.io/v1/networkpolicies", false,
		NULL},
	{BH_OBJECT_CLUSTER_POLICY, "ClusterNetworkPolicy",
		"/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies", true, NULL},
	{BH_OBJECT_POD, "Pod", "/api/v1/pods", false, NULL},
	{BH_OBJECT_SERVICE, "Service", "/api/v1/services", false, NULL},
	{BH_OBJECT_SLICE, "EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices", false,
		"/apis/discovery.k8s.io/v1beta1/endpointslices"},
};
#define N_RESOURCES (sizeof(resources) / sizeof(resources[0]))

struct bh_kube {
	struct bh_access_config config;
	struct bh_access *access;
	char *credentials_problem; /* why what was read before is still in use */
	struct bh_reflector_context context;
	struct bh_reflector *reflectors[N_RESOURCES];
	uv_timer_t *timer;
	void (*changed)(void *data);
	void *data;
	bool synced;
	uint64_t opened_ms;  /* on the loop's clock */
	uint64_t current_ns; /* current since then; 0: it is not */
	/* Of the last status. */
	struct bh_kube_resource_status statuses[N_RESOURCES];
	struct bh_source_problem problems[FAULTS_SHOWN + 3];
	char *detail;
	struct bh_arena arena;
};

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- Credentials --------------------------------------------------------------------------------
 */

/* What cannot be read now may be under way to being replaced: what was read before goes on. */
static void read_credentials(struct bh_kube *kube)
{
	struct bh_access *access, *before = kube->access;
	char *problem;

	free(kube->credentials_problem);
	kube->credentials_problem = NULL;
	if (bh_access_load(&kube->config, &access, &problem) < 0) {
		kube->credentials_problem = problem;
		return;
	}
	kube->access = access;
	bh_http_use(kube->context.http, access);
	bh_access_free(before);
}

static void on_timer(uv_timer_t *timer)
{
	struct bh_kube *kube = timer->data;

	read_credentials(kube);
	kube->changed(kube->data);
}

static void unauthorized(void *data)
{
	struct bh_kube *kube = data;

	/* Before the pause is over, and once for all reflectors. */
	uv_timer_start(kube->timer, on_timer, 0, CREDENTIALS_MS);
}

/* ---- How it stands
 * --------------------------------------------------------------------------------
 */

static bool all_listed(const struct bh_kube *kube, uint64_t ticket)
{
	for (size_t i = 0; i < N_RESOURCES; i++) {
		uint64_t its;

		if (!bh_reflector_listed(kube->reflectors[i], &its) || its < ticket)
			return false;
	}
	return true;
}

bool bh_kube_synced(const struct bh_kube *kube)
{
	return kube->synced;
}

uint64_t bh_kube_refresh(struct bh_kube *kube)
{
	kube->context.ticket++;
	for (size_t i = 0; i < N_RESOURCES; i++)
		bh_reflector_refresh(kube->reflectors[i]);
	return kube->context.ticket;
}

bool bh_kube_refreshed(const struct bh_kube *kube, uint64_t ticket)
{
	return all_listed(kube, ticket);
}

/* Sets `detail` to what keeps it from being current, in one line: the first failure. */
static void describe(struct bh_kube *kube)
{
	const char *first = NULL;

	for (size_t i = 0; i < N_RESOURCES && !first; i++)
		first = kube->statuses[i].error;
	free(kube->detail);
	kube->detail = first ? bh_xstrdup(first) : NULL;
}

/* The moment as of which everything is known: when the resource that fails was last heard of. */
static uint64_t stale_since(const struct bh_kube *kube)
{
	uint64_t now = uv_now(kube->context.loop), oldest = now;

	for (size_t i = 0; i < N_RESOURCES; i++) {
		if (kube->statuses[i].error && kube->statuses[i].heard_ms < oldest)
			oldest = kube->statuses[i].heard_ms;
	}
	if (oldest < kube->opened_ms)
		oldest = kube->opened_ms;
	return real_ns() - (now - oldest) * 1000000;
}

static void add_problem(struct bh_kube *kube, struct bh_kube_status *status, const char *code,
	const char *object, const char *text)
{
	kube->problems[status->n_problems++] =
		(struct bh_source_problem){code, object, bh_arena_strdup(&kube->arena, text)};
}

static int compare_faults(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted: the same ones are shown every time. */
static size_t add_faults_of(
	struct bh_kube *kube, struct bh_kube_status *status, size_t resource, size_t room)
{
	_cleanup_free_ const char **faults = NULL;
	size_t n = 0, capacity = 0;
	const char *fault;

	for (size_t at = 0; (fault = bh_reflector_next_fault(kube->reflectors[resource], &at));) {
		bh_xgrow(faults, n, capacity);
		faults[n++] = fault;
	}
	if (n)
		qsort(faults, n, sizeof(*faults), compare_faults);
	for (size_t i = 0; i < n && i < room; i++)
		add_problem(kube, status, "object-invalid", resources[resource].name,
			bh_arena_printf(&kube->arena,
				"%s; what was known of it before stays in force", faults[i]));
	return n;
}

static void add_faults(struct bh_kube *kube, struct bh_kube_status *status)
{
	size_t n = 0;

	for (size_t i = 0; i < N_RESOURCES; i++)
		n += add_faults_of(kube, status, i, n < FAULTS_SHOWN ? FAULTS_SHOWN - n : 0);
	if (n > FAULTS_SHOWN)
		add_problem(kube, status, "object-invalid", kube->access->server,
			bh_arena_printf(&kube->arena, "%zu more objects cannot be understood",
				n - FAULTS_SHOWN));
}

static void add_problems(struct bh_kube *kube, struct bh_kube_status *status)
{
	bh_arena_clear(&kube->arena);
	status->problems = kube->problems;
	if (kube->credentials_problem)
		add_problem(kube, status, "credentials-unreadable", kube->access->server,
			bh_arena_printf(&kube->arena, "%s; those read before are used",
				kube->credentials_problem));
	if (kube->detail)
		add_problem(kube, status, "api-server-away", kube->access->server,
			bh_arena_printf(&kube->arena, "%s; %s", kube->detail,
				kube->synced ? "what was known before stays in force"
					     : "what the kernel was told before stays in force"));
	add_faults(kube, status);
}

void bh_kube_status(struct bh_kube *kube, struct bh_kube_status *ret_status)
{
	*ret_status = (struct bh_kube_status){
		.server = kube->access->server,
		.n_resources = N_RESOURCES,
		.resources = kube->statuses,
	};
	for (size_t i = 0; i < N_RESOURCES; i++) {
		bh_reflector_status(kube->reflectors[i], &kube->statuses[i]);
		ret_status->n_objects += kube->statuses[i].n_objects;
	}
	describe(kube);
	ret_status->detail = kube->detail ? kube->detail : "";
	ret_status->state = !kube->synced ? "starting" : kube->detail ? "stale" : "current";
	if (kube->detail)
		ret_status->since_ns = stale_since(kube);
	else
		ret_status->since_ns = kube->current_ns;
	add_problems(kube, ret_status);
}

/* After every turn of the loop in which something came. */
static void turned(void *data)
{
	struct bh_kube *kube = data;
	struct bh_kube_resource_status status;
	bool well = true;

	for (size_t i = 0; i < N_RESOURCES; i++) {
		bh_reflector_status(kube->reflectors[i], &status);
		well &= !status.error && status.synced;
	}
	if (!well)
		kube->current_ns = 0;
	else if (!kube->current_ns)
		kube->current_ns = real_ns();
	kube->synced = kube->synced || all_listed(kube, 0);
	kube->changed(kube->data);
}

/* ---- Life ---------------------------------------------------------------------------------------
 */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void start(struct bh_kube *kube)
{
	kube->opened_ms = uv_now(kube->context.loop);
	kube->timer = bh_xcalloc(1, sizeof(*kube->timer));
	uv_timer_init(kube->context.loop, kube->timer);
	kube->timer->data = kube;
	uv_timer_start(kube->timer, on_timer, CREDENTIALS_MS, CREDENTIALS_MS);
	for (size_t i = 0; i < N_RESOURCES; i++)
		kube->reflectors[i] = bh_reflector_new(&resources[i], &kube->context);
}

int bh_kube_open(const struct bh_kube_config *config, uv_loop_t *loop, struct bh_model *model,
	void (*changed)(void *data), void *data, struct bh_kube **ret_kube, char **ret_problem)
{
	struct bh_kube *kube = bh_xcalloc(1, sizeof(*kube));
	int r;

	kube->config.opener.path = config->kubeconfig;
	kube->config.opener.broker = config->broker;
	kube->config.context = config->context;
	kube->changed = changed;
	kube->data = data;
	kube->context = (struct bh_reflector_context){
		.loop = loop,
		.model = model,
		.page = config->page,
		.watch_s = config->watch_s,
		.silence_s = config->silence_s,
		.unauthorized = unauthorized,
		.data = kube,
	};
	r = bh_access_load(&kube->config, &kube->access, ret_problem);
	if (!r) {
		r = bh_http_new(loop, turned, kube, &kube->context.http);
		if (r < 0)
			*ret_problem = bh_xstrdup("libcurl cannot be used");
	}
	if (r < 0) {
		bh_kube_free(kube);
		return r;
	}
	bh_http_use(kube->context.http, kube->access);
	start(kube);
	*ret_kube = kube;
	return 0;
}

void bh_kube_free(struct bh_kube *kube)
{
	if (!kube)
		return;
	for (size_t i = 0; i < N_RESOURCES; i++)
		bh_reflector_free(kube->reflectors[i]);
	if (kube->timer) {
		uv_timer_stop(kube->timer);
		uv_close((uv_handle_t *)kube->timer, free_handle);
	}
	bh_http_free(kube->context.http);
	bh_access_free(kube->access);
	if (kube->config.opener.broker >= 0)
		close(kube->config.opener.broker);
	bh_arena_clear(&kube->arena);
	free(kube->credentials_problem);
	free(kube->detail);
	free(kube);
}
