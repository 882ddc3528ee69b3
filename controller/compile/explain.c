/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/explain.h"

#include <errno.h>
#include <netinet/in.h>

#include "controller/compile/backends.h"
#include "controller/compile/compilation.h"
#include "controller/compile/lookup.h"
#include "controller/compile/tiers.h"
#include "controller/model/memory.h"

/* The public part, and the memory of everything in it. */
struct explanation {
	struct bh_explanation public;
	struct bh_arena arena;
};

/* One end of the connection, as understood. */
struct end {
	const struct bh_pod *pod; /* with a network of its own, or NULL */
	size_t n_ips;
	const struct bh_ip *ips;
	struct bh_ip single; /* where ips points for an address given as such */
	const char *name;    /* "shop/web-1", "10.0.0.1", "node" */
	struct bh_ip ip;     /* the one in question */
	bool service;        /* an address of services, which the ends of connections are not */
};

/* What a node holds, compiled once for each question. */
struct view {
	const char *node;
	struct bh_desired *desired;
};

struct asking {
	struct bh_compiler *compiler;
	const struct bh_model *model;
	const struct bh_explain_query *query;
	struct bh_arena *arena;
	struct end ends[2]; /* source, destination */
	size_t n_policies;  /* of the side in question */
	struct bh_netpol **policies;
	uint16_t port; /* at the destination */
	bool behind;   /* … which is a service, and that port is its */
	size_t n_views;
	size_t views_capacity;
	struct view *views;
	char *error;
};

static int __attribute__((format(printf, 3, 4)))
refuse(struct asking *asking, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&asking->error, format, arguments) < 0)
		abort();
	va_end(arguments);
	return code;
}

/* ---- Ends -------------------------------------------------------------------------------------
 */

/* The node's own addresses: what its interfaces have, else what its Node object says. */
static int resolve_node(struct asking *asking, struct end *end)
{
	const char *name = bh_model_node_name(asking->model);
	const struct bh_node *node;

	end->name = "node";
	end->n_ips = bh_model_host_addresses(asking->model, &end->ips);
	for (size_t at = 0; !end->n_ips && (node = bh_model_next_node(asking->model, &at));) {
		if (strcmp(node->name, name))
			continue;
		end->n_ips = node->n_ips;
		end->ips = node->ips;
	}
	return end->n_ips ? 0 : refuse(asking, -EINVAL, "no address of this node is known yet");
}

static int resolve_pod(struct asking *asking, const struct bh_pod *pod, struct end *end)
{
	end->name = bh_arena_printf(asking->arena, "%s/%s", pod->namespace, pod->name);
	if (pod->finished)
		return refuse(asking, -EINVAL, "pod %s has ended", end->name);
	if (!pod->n_ips)
		return refuse(asking, -EINVAL, "pod %s has no address yet", end->name);
	/* In the host's network it is not a pod to policy: its address is the node's. */
	end->pod = pod->host_network ? NULL : pod;
	end->n_ips = pod->n_ips;
	end->ips = pod->ips;
	return 0;
}

static const struct bh_service *service_by_name(
	struct asking *asking, const char *namespace, size_t length, const char *name)
{
	const struct bh_service *service;

	for (size_t at = 0; (service = bh_model_next_service(asking->model, &at));) {
		if (strlen(service->namespace) == length &&
			!strncmp(service->namespace, namespace, length) &&
			!strcmp(service->name, name))
			return service;
	}
	return NULL;
}

/* "svc/shop/web": those of its addresses that are its own. */
static int resolve_service(
	struct asking *asking, const struct bh_desired *desired, const char *text, struct end *end)
{
	const char *namespace = text + strlen("svc/"), *slash = strchr(namespace, '/');
	char quoted[BH_QUOTE_MAX];
	const struct bh_service *service =
		service_by_name(asking, namespace, (size_t)(slash - namespace), slash + 1);

	if (!service)
		return refuse(
			asking, -ENOENT, "there is no service %s", bh_quote(namespace, quoted));
	struct bh_ip *ips = bh_arena_array(asking->arena, service->n_ips, struct bh_ip);

	end->name = bh_arena_strdup(asking->arena, text);
	end->ips = ips;
	for (size_t i = 0; i < service->n_ips; i++) {
		if (bh_lookup_address(desired, &service->ips[i]).service)
			ips[end->n_ips++] = service->ips[i];
	}
	end->service = true;
	return end->n_ips ? 0
			  : refuse(asking, -EINVAL,
				    "service %s has no address of its own: ask for one of its pods",
				    bh_quote(namespace, quoted));
}

/* "svc/shop/web" */
static const char *service_name(
	struct asking *asking, const struct bh_desired *desired, uint32_t number)
{
	const struct bh_desired_workload *workload = bh_lookup_workload(desired, number);

	return bh_arena_printf(asking->arena, "svc/%s/%s", workload->namespace, workload->name);
}

static int resolve_name(struct asking *asking, const char *text, struct end *end)
{
	char quoted[BH_QUOTE_MAX];
	const char *slash = strchr(text, '/');
	char *namespace = bh_xcheck(strndup(text, (size_t)(slash - text)));
	const struct bh_pod *pod = bh_model_pod_by_name(asking->model, namespace, slash + 1);

	free(namespace);
	if (!pod)
		return refuse(asking, -ENOENT, "there is no pod %s", bh_quote(text, quoted));
	return resolve_pod(asking, pod, end);
}

/* The living pod that has the address. */
static const struct bh_pod *pod_of_address(
	struct asking *asking, const struct bh_desired *desired, const struct bh_ip *ip)
{
	struct bh_lookup_identity identity = bh_lookup_address(desired, ip);
	const struct bh_pod *pod, *best = NULL;

	if (identity.workload == BH_WORKLOAD_NODE)
		return NULL;
	for (size_t at = 0; (pod = bh_model_next_pod(asking->model, &at));) {
		bool has = false;

		for (size_t i = 0; !pod->host_network && !pod->finished && i < pod->n_ips; i++)
			has |= !bh_ip_compare(&pod->ips[i], ip);
		if (has &&
			(!best || pod->created > best->created ||
				(pod->created == best->created && strcmp(pod->uid, best->uid) > 0)))
			best = pod;
	}
	return best;
}

static int resolve(
	struct asking *asking, const struct bh_desired *desired, const char *text, struct end *end)
{
	char quoted[BH_QUOTE_MAX];

	if (!strcmp(text, "node"))
		return resolve_node(asking, end);
	if (!strncmp(text, "svc/", 4) && strchr(text + 4, '/'))
		return resolve_service(asking, desired, text, end);
	if (strchr(text, '/'))
		return resolve_name(asking, text, end);
	if (bh_ip_parse(text, &end->single))
		return refuse(asking, -EINVAL,
			"%s is neither namespace/pod, nor svc/namespace/service, nor an address, "
			"nor \"node\"",
			bh_quote(text, quoted));
	struct bh_lookup_identity identity = bh_lookup_address(desired, &end->single);
	const struct bh_pod *pod =
		identity.service ? NULL : pod_of_address(asking, desired, &end->single);

	end->service = identity.service;
	end->name = bh_arena_strdup(asking->arena, text);
	if (end->service)
		end->name = service_name(asking, desired, identity.workload);
	if (pod)
		end->name = bh_arena_printf(asking->arena, "%s/%s", pod->namespace, pod->name);
	end->pod = pod;
	end->n_ips = 1;
	end->ips = &end->single;
	return 0;
}

/* The first pair of addresses of one family. */
static int choose_addresses(struct asking *asking)
{
	struct end *src = &asking->ends[0], *dst = &asking->ends[1];

	for (size_t i = 0; i < src->n_ips; i++) {
		for (size_t j = 0; j < dst->n_ips; j++) {
			if (src->ips[i].family != dst->ips[j].family)
				continue;
			src->ip = src->ips[i];
			dst->ip = dst->ips[j];
			return 0;
		}
	}
	return refuse(asking, -EINVAL, "%s and %s have no address of the same family", src->name,
		dst->name);
}

static const char *describe(struct asking *asking, const struct end *end)
{
	char text[BH_IP_TEXT_MAX];
	const char *ip = bh_ip_format(&end->ip, text);

	return strcmp(end->name, ip) ? bh_arena_printf(asking->arena, "%s (%s)", end->name, ip)
				     : end->name;
}

/* ---- Verdicts ---------------------------------------------------------------------------------
 */

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

static const char *reason_word(enum bh_reason reason)
{
	switch (reason) {
#define WORD(name, number, kind, word, sentence) \
	case BH_REASON_##name:                   \
		return word;
		BH_REASONS(WORD)
#undef WORD
	}
	return "none";
}

/* "TCP 80", "protocol 47" */
static const char *service_text(struct asking *asking)
{
	const char *name = bh_protocol_name(asking->query->protocol);

	if (!name)
		return bh_arena_printf(asking->arena, "protocol %u", asking->query->protocol);
	if (!has_ports(asking->query->protocol))
		return name;
	return bh_arena_printf(asking->arena, "%s %u", name, asking->port);
}

static const char *join(struct asking *asking, const char *const *texts, size_t n)
{
	size_t size = 1;

	for (size_t i = 0; i < n; i++)
		size += strlen(texts[i]) + 2;
	char *all = bh_arena_alloc(asking->arena, size, 1), *at = all;

	for (size_t i = 0; i < n; i++)
		at = stpcpy(stpcpy(at, i ? ", " : ""), texts[i]);
	return all;
}

static const char *verdict_text(struct asking *asking, const struct bh_desired *desired,
	const struct bh_explain_side *side, enum bh_reason reason, uint32_t rule)
{
	const struct bh_desired_rule_name *name = bh_lookup_rule(desired, rule);
	const char *direction = side->egress ? "egress" : "ingress";

	switch (reason) {
	case BH_REASON_NODE:
		return "the node itself may always reach its pods";
	case BH_REASON_OPEN:
		return bh_arena_printf(
			asking->arena, "nothing is enforced: the pod is in mode %s", side->mode);
	case BH_REASON_NOT_ISOLATED:
		return bh_arena_printf(asking->arena,
			side->n_cluster_policies ? "no policy in force isolates it for %s, and no "
						   "rule of a ClusterNetworkPolicy decides"
						 : "no policy in force isolates it for %s",
			direction);
	case BH_REASON_SERVICE:
		return "the backends differ, or none is known: each is judged where the address is "
		       "rewritten";
	case BH_REASON_POLICY:
	case BH_REASON_POLICY_DENY:
		return name ? bh_arena_strdup(asking->arena, name->text) : "a rule";
	default:
		break;
	}
	if (side->quarantined)
		return "the pod is in quarantine";
	return bh_arena_printf(asking->arena,
		"isolated for %s by %s, and no rule allows %s %s %s%s", direction,
		join(asking, side->policies, side->n_policies), service_text(asking),
		side->egress ? "to" : "from", asking->behind ? "any backend of " : "",
		side->peer_address);
}

static struct bh_explain_verdict ask(struct asking *asking, const struct bh_desired *desired,
	const struct bh_explain_side *side, uint32_t program, const struct bh_lookup_identity *peer)
{
	struct bh_explain_verdict verdict = {.rule = BH_RULE_NONE};
	enum bh_reason reason = BH_REASON_NODE;

	/* What the host itself sends to its pods is not asked about. */
	if (side->egress || peer->workload != BH_WORKLOAD_NODE)
		reason = bh_lookup_verdict(desired, program, side->egress ? BH_EGRESS : BH_INGRESS,
			peer->class, asking->query->protocol, asking->port,
			has_ports(asking->query->protocol), &verdict.rule);
	verdict.allowed = BH_REASON_PASSES(reason);
	verdict.reason = reason_word(reason);
	verdict.text = verdict_text(asking, desired, side, reason, verdict.rule);
	return verdict;
}

/* ---- Sides ------------------------------------------------------------------------------------
 */

static int compare_policies(const void *a, const void *b)
{
	return bh_netpol_compare(
		*(const struct bh_netpol *const *)a, *(const struct bh_netpol *const *)b);
}

/* The policies that select the pod and speak in this direction, in the order of asking. */
static void read_policies(struct asking *asking, const struct bh_pod *pod, bool egress)
{
	const struct bh_labels *labels = bh_model_namespace_labels(asking->model, pod->namespace);
	const struct bh_network_policy *object;
	size_t n = 0;

	asking->policies = bh_arena_array(
		asking->arena, bh_model_count_policies(asking->model), struct bh_netpol *);
	for (size_t at = 0; (object = bh_model_next_policy(asking->model, &at));) {
		struct bh_netpol *policy = bh_netpol_parse(object);

		if (bh_netpol_speaks(policy, egress ? BH_EGRESS : BH_INGRESS) &&
			bh_netpol_selects(policy, pod, labels))
			asking->policies[n++] = policy;
		else
			bh_netpol_free(policy);
	}
	if (n)
		qsort(asking->policies, n, sizeof(*asking->policies), compare_policies);
	asking->n_policies = n;
}

static void forget_policies(struct asking *asking)
{
	for (size_t i = 0; i < asking->n_policies; i++)
		bh_netpol_free(asking->policies[i]);
	asking->n_policies = 0;
}

static void list_policies(struct asking *asking, struct bh_explain_side *side)
{
	const char **names = bh_arena_array(asking->arena, asking->n_policies, const char *);
	const char **cluster = bh_arena_array(asking->arena, asking->n_policies, const char *);

	for (size_t i = 0; i < asking->n_policies; i++) {
		const struct bh_netpol *policy = asking->policies[i];

		if (policy->tier == BH_TIER_NETPOL)
			names[side->n_policies++] = bh_arena_printf(
				asking->arena, "%s/%s", policy->namespace, policy->name);
		else
			cluster[side->n_cluster_policies++] =
				bh_arena_strdup(asking->arena, policy->name);
	}
	side->policies = names;
	side->cluster_policies = cluster;
}

/* ---- Who handed it on -------------------------------------------------------------------------
 */

/* The labels of the Node object that has the address. */
static const struct bh_labels *labels_of_node(const struct asking *asking, const struct bh_ip *ip)
{
	const struct bh_node *node;

	for (size_t at = 0; (node = bh_model_next_node(asking->model, &at));) {
		for (size_t i = 0; i < node->n_ips; i++) {
			if (!bh_ip_compare(&node->ips[i], ip))
				return node->labels;
		}
	}
	return NULL;
}

static void add_pass(struct asking *asking, struct bh_explain_verdict *verdict,
	const struct bh_netpol *const *policies, size_t n, enum bh_tier tier,
	const struct bh_meeting *meeting)
{
	const struct bh_netpol_rule *rule = bh_tier_first(policies, n, tier, meeting);

	if (rule && rule->action == BH_ACTION_PASS)
		verdict->passes[verdict->n_passes++] = bh_arena_strdup(asking->arena, rule->text);
}

/* With the policies whose mode is at least this one, and the pod's where they have none. */
static void trace(struct asking *asking, enum bh_mode pod, enum bh_mode least,
	const struct bh_meeting *meeting, struct bh_explain_verdict *verdict)
{
	const struct bh_netpol **policies =
		bh_arena_array(asking->arena, asking->n_policies, const struct bh_netpol *);
	bool isolated = false;
	size_t n = 0;

	if (strcmp(verdict->reason, reason_word(BH_REASON_OPEN)) == 0 ||
		strcmp(verdict->reason, reason_word(BH_REASON_NODE)) == 0)
		return;
	for (size_t i = 0; i < asking->n_policies; i++) {
		enum bh_mode own = asking->policies[i]->mode;

		if ((own == BH_MODE_UNSET ? pod : own) < least)
			continue;
		isolated |= asking->policies[i]->isolates[meeting->direction];
		policies[n++] = asking->policies[i];
	}
	add_pass(asking, verdict, policies, n, BH_TIER_ADMIN, meeting);
	const struct bh_netpol_rule *admin = bh_tier_first(policies, n, BH_TIER_ADMIN, meeting);

	if (!isolated && (!admin || admin->action == BH_ACTION_PASS))
		add_pass(asking, verdict, policies, n, BH_TIER_BASELINE, meeting);
}

/*
 * A pod elsewhere is judged by its own node's classes and programs: they are compiled as that
 * node would. By a compiler of its own, lest this node's caches be thrown away.
 */
static struct bh_desired *compile_for(struct asking *asking, const char *node)
{
	if (!strcmp(node, bh_model_node_name(asking->model)))
		return bh_compile(asking->compiler, asking->model);
	struct bh_compiler *compiler = bh_compiler_new();
	struct bh_desired *desired = bh_compile_as(compiler, asking->model, node);

	bh_compiler_free(compiler);
	return desired;
}

static const struct bh_desired *view_of(struct asking *asking, const char *node)
{
	for (size_t i = 0; i < asking->n_views; i++) {
		if (!strcmp(asking->views[i].node, node))
			return asking->views[i].desired;
	}
	bh_xgrow(asking->views, asking->n_views, asking->views_capacity);
	struct view *view = &asking->views[asking->n_views++];

	view->node = node;
	view->desired = compile_for(asking, node);
	return view->desired;
}

static const struct bh_desired *view_of_this_node(struct asking *asking)
{
	return view_of(asking, bh_model_node_name(asking->model));
}

static void clear_views(struct asking *asking)
{
	for (size_t i = 0; i < asking->n_views; i++)
		bh_desired_unref(asking->views[i].desired);
	free(asking->views);
}

/* Asks both programs of the pod at `own`. */
static int ask_programs(struct asking *asking, const struct bh_desired *desired,
	const struct end *own, const struct end *peer, struct bh_explain_side *side)
{
	const struct bh_desired_endpoint *endpoint = bh_lookup_endpoint(desired, own->pod->uid);
	struct bh_lookup_identity identity = bh_lookup_address(desired, &peer->ip);
	const struct bh_meeting meeting = {
		.direction = side->egress ? BH_EGRESS : BH_INGRESS,
		.own = own->pod,
		.peer = peer->ip,
		.peer_pod = peer->pod,
		.peer_namespace_labels =
			peer->pod ? bh_model_namespace_labels(asking->model, peer->pod->namespace)
				  : NULL,
		.node_labels = peer->pod ? NULL : labels_of_node(asking, &peer->ip),
		.protocol = asking->query->protocol,
		.port = asking->port,
		.has_ports = has_ports(asking->query->protocol),
	};

	if (!endpoint)
		return refuse(asking, -EINVAL,
			"pod %s holds none of its addresses: see the problems in status",
			own->name);
	side->judged = true;
	side->mode = bh_mode_name(endpoint->mode);
	side->quarantined = endpoint->quarantined;
	side->isolated = side->egress ? endpoint->egress_isolated : endpoint->ingress_isolated;
	side->peer_class = identity.class;
	read_policies(asking, own->pod, side->egress);
	list_policies(asking, side);
	side->active = ask(asking, desired, side, endpoint->active, &identity);
	side->pending = ask(asking, desired, side, endpoint->pending, &identity);
	/* Of a service the backends are asked, each for itself. */
	if (!endpoint->quarantined && !asking->behind) {
		trace(asking, endpoint->mode, BH_MODE_ENFORCE, &meeting, &side->active);
		trace(asking, endpoint->mode, BH_MODE_DRY_RUN, &meeting, &side->pending);
	}
	forget_policies(asking);
	return 0;
}

static int explain_side(struct asking *asking, bool egress, struct bh_explain_side *side)
{
	const struct end *own = &asking->ends[egress ? 0 : 1],
			 *peer = &asking->ends[egress ? 1 : 0];
	const struct bh_pod *pod = own->pod;
	const char *here = bh_model_node_name(asking->model);
	char text[BH_IP_TEXT_MAX];

	*side = (struct bh_explain_side){.egress = egress,
		.subject = own->name,
		.node = "",
		.mode = "",
		.peer_address = bh_arena_strdup(asking->arena, bh_ip_format(&peer->ip, text)),
		.active = {.allowed = true, .reason = "none", .text = "not a pod"},
		.pending = {.allowed = true, .reason = "none", .text = "not a pod"}};
	/* What a pod says to itself does not leave it. */
	if (pod == peer->pod && pod)
		side->active.text = side->pending.text = "a pod always reaches itself";
	if (!pod || pod == peer->pod)
		return 0;
	side->node = bh_arena_strdup(asking->arena, pod->node_name ? pod->node_name : here);
	side->here = !strcmp(side->node, here);
	return ask_programs(asking, view_of(asking, side->node), own, peer, side);
}

static int explain_sides(struct asking *asking, struct bh_explain_side sides[2])
{
	int r = explain_side(asking, true, &sides[0]);

	return r ? r : explain_side(asking, false, &sides[1]);
}

/* ---- Services ---------------------------------------------------------------------------------
 */

/* As if the connection had been asked for there in the first place. */
static int explain_backend(
	struct asking *asking, const struct bh_backend *backend, struct bh_explain_backend *out)
{
	struct end *end = &asking->ends[1];
	char text[BH_IP_TEXT_MAX];

	*end = (struct end){.single = backend->ip, .n_ips = 1, .ip = backend->ip};
	end->ips = &end->single;
	end->pod = pod_of_address(asking, view_of_this_node(asking), &backend->ip);
	out->address = bh_arena_strdup(asking->arena, bh_ip_format(&backend->ip, text));
	end->name = end->pod ? bh_arena_printf(
				       asking->arena, "%s/%s", end->pod->namespace, end->pod->name)
			     : out->address;
	asking->port = out->port = backend->port;
	out->name = describe(asking, end);
	int r = explain_sides(asking, out->sides);

	out->allowed = out->sides[0].active.allowed && out->sides[1].active.allowed;
	out->pending_allowed = out->sides[0].pending.allowed && out->sides[1].pending.allowed;
	return r;
}

static int explain_backends(
	struct asking *asking, const struct bh_backend *list, struct bh_explanation *out)
{
	size_t n_allowed = 0, n_pending = 0;
	size_t n = out->n_backends_all < BH_EXPLAIN_BACKENDS_MAX ? out->n_backends_all
								 : BH_EXPLAIN_BACKENDS_MAX;
	int r = 0;

	asking->behind = false;
	struct bh_explain_backend *backends =
		bh_arena_array(asking->arena, n, struct bh_explain_backend);

	for (size_t i = 0; i < n && !r; i++) {
		r = explain_backend(asking, &list[i], &backends[i]);
		n_allowed += backends[i].allowed;
		n_pending += backends[i].pending_allowed;
	}
	out->n_backends = n;
	out->backends = backends;
	if (!n)
		return r;
	out->allowed = out->allowed && n_allowed == n;
	out->depends = out->sides[0].active.allowed && n_allowed && n_allowed < n;
	out->pending_allowed = out->pending_allowed && n_pending == n;
	out->pending_depends = out->sides[0].pending.allowed && n_pending && n_pending < n;
	return r;
}

/* ---- Public -----------------------------------------------------------------------------------
 */

static int find_ends(struct asking *asking)
{
	const struct bh_desired *desired = view_of_this_node(asking);
	int r = resolve(asking, desired, asking->query->src, &asking->ends[0]);

	if (!r && asking->ends[0].service)
		r = refuse(asking, -EINVAL, "%s is a service, which sends nothing by itself",
			asking->ends[0].name);
	if (!r)
		r = resolve(asking, desired, asking->query->dst, &asking->ends[1]);
	return r ? r : choose_addresses(asking);
}

static int answer(struct asking *asking, struct bh_explanation *out)
{
	const struct bh_backend *backends = NULL;
	int r = find_ends(asking);

	if (!r && asking->ends[1].service)
		out->service = asking->behind = bh_backends_behind(asking->model, asking->arena,
			&asking->ends[1].ip, asking->query->protocol, asking->query->port,
			&backends, &out->n_backends_all);
	if (!r)
		r = explain_sides(asking, out->sides);
	if (r)
		return r;
	out->src = describe(asking, &asking->ends[0]);
	out->dst = describe(asking, &asking->ends[1]);
	out->protocol = asking->query->protocol;
	out->port = asking->query->port;
	out->allowed = out->sides[0].active.allowed && out->sides[1].active.allowed;
	out->pending_allowed = out->sides[0].pending.allowed && out->sides[1].pending.allowed;
	return out->service ? explain_backends(asking, backends, out) : 0;
}

int bh_explain(struct bh_compiler *compiler, const struct bh_model *model,
	const struct bh_explain_query *query, struct bh_explanation **ret_explanation,
	char **ret_error)
{
	struct explanation *explanation = bh_xcalloc(1, sizeof(*explanation));
	struct asking asking = {.compiler = compiler,
		.model = model,
		.query = query,
		.arena = &explanation->arena,
		.port = query->port};
	int r = answer(&asking, &explanation->public);

	clear_views(&asking);

	if (r) {
		bh_explanation_free(&explanation->public);
		*ret_error = asking.error;
		return r;
	}
	*ret_explanation = &explanation->public;
	return 0;
}

void bh_explanation_free(struct bh_explanation *explanation)
{
	struct explanation *whole = (struct explanation *)explanation; /* its first member */

	if (!whole)
		return;
	bh_arena_clear(&whole->arena);
	free(whole);
}
