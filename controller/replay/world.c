/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/world.h"

#include "controller/compile/compilation.h"
#include "controller/compile/lookup.h"
#include "controller/compile/workload.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/replay/backends.h"
#include "controller/replay/copy.h"

/* Where every pod that is judged is said to run. No node can be called so. */
#define NODE "/replay"

/* What is known of one workload, by "namespace\nkind\nname". */
struct member {
	size_t n_programs; /* of its pods, distinct */
	size_t programs_room;
	uint32_t *programs;
	size_t n_classes; /* of its addresses, distinct */
	size_t classes_room;
	uint32_t *classes;
	unsigned int modes; /* of its pods: a bit for each enum bh_mode */
	bool quarantined;   /* some of them are */
	char key[];
};

struct bh_replay_world {
	struct bh_model *model;
	struct bh_compiler *compiler;
	struct bh_desired *desired;
	struct bh_table members;
};

/* ---- The copy -------------------------------------------------------------------------------- */

static char *key_of(const char *namespace, const char *kind, const char *name)
{
	return bh_xasprintf("%s\n%s\n%s", namespace, kind, name);
}

static void free_keys(struct bh_table *keys)
{
	char *key;

	for (size_t at = 0; (key = bh_table_next(keys, &at));)
		free(key);
	bh_table_clear(keys);
}

/* Takes the key. True if it is new. */
static bool add_key(struct bh_table *keys, char *key)
{
	size_t size = strlen(key);

	if (bh_table_get(keys, key, size)) {
		free(key);
		return false;
	}
	bh_table_put(keys, key, size, key);
	return true;
}

/* Everything a policy, or its mode, can tell two pods of a workload apart by. */
static char *likeness_of(
	const struct bh_model *model, const struct bh_pod *pod, const char *workload, bool modes)
{
	char *text = bh_xasprintf("%s\n%llu", workload, (unsigned long long)pod->labels->id);

	if (modes) {
		char *longer = bh_xasprintf("%s\n%s/%d/%d", text, pod->mode ? pod->mode : "",
			bh_model_mode(model, BH_SCOPE_POD, pod->namespace, pod->name),
			bh_model_quarantined(model, pod->namespace, pod->name));

		free(text);
		text = longer;
	}

	for (size_t i = 0; i < pod->n_ports; i++) {
		char *longer = bh_xasprintf("%s\n%s/%u/%u", text, pod->ports[i].name,
			pod->ports[i].protocol, pod->ports[i].port);

		free(text);
		text = longer;
	}
	return text;
}

/* The pods that stand for a workload that was seen are the copy's own node's. */
static void copy_pods(
	struct bh_model *to, const struct bh_model *from, const struct bh_table *seen, bool modes)
{
	struct bh_table likenesses = {0};
	const struct bh_pod *pod;

	for (size_t at = 0; (pod = bh_model_next_pod(from, &at));) {
		struct bh_workload_name workload = bh_workload_of(pod);
		char *key = key_of(pod->namespace, workload.kind, workload.name);
		struct bh_pod copy = *pod;
		bool stands = !pod->finished && !pod->host_network &&
			      bh_table_get(seen, key, strlen(key)) &&
			      add_key(&likenesses, likeness_of(from, pod, key, modes));

		free(key);
		if (!modes)
			copy.mode = NULL;
		copy.hook = NULL;
		copy.node_name = stands ? NODE : "/elsewhere";
		bh_model_put_pod(to, &copy);
	}
	free_keys(&likenesses);
}

static void copy_policies(struct bh_model *to, const struct bh_model *from, size_t n_changes,
	const struct bh_replay_change *changes, bool modes)
{
	const struct bh_network_policy *policy;

	for (size_t at = 0; (policy = bh_model_next_policy(from, &at));) {
		struct bh_network_policy copy = *policy;
		bool changed = false;

		for (size_t i = 0; i < n_changes; i++)
			changed |= !strcmp(changes[i].namespace, policy->namespace) &&
				   !strcmp(changes[i].name, policy->name);
		if (!modes)
			copy.mode = NULL;
		if (!changed)
			bh_model_put_policy(to, &copy);
	}
	for (size_t i = 0; i < n_changes; i++) {
		char *uid = bh_xasprintf("/replay/%zu", i);
		const struct bh_network_policy added = {
			.uid = uid,
			.namespace = changes[i].namespace,
			.name = changes[i].name,
			.mode = modes ? changes[i].mode : NULL,
			.spec = changes[i].spec,
		};

		if (changes[i].spec)
			bh_model_put_policy(to, &added);
		free(uid);
	}
}

static struct bh_model *copy_model(const struct bh_model *from, const struct bh_table *seen,
	size_t n_changes, const struct bh_replay_change *changes, bool modes)
{
	struct bh_model *to = bh_model_new(
		bh_model_node_name(from), modes ? bh_model_node_mode(from) : BH_MODE_ENFORCE);
	const struct bh_namespace *namespace;

	for (size_t at = 0; (namespace = bh_model_next_namespace(from, &at));) {
		struct bh_namespace copy = *namespace;

		if (!modes)
			copy.mode = NULL;
		bh_model_put_namespace(to, &copy);
	}
	copy_pods(to, from, seen, modes);
	bh_replay_copy_nodes(to, from);
	bh_replay_copy_services(to, from);
	copy_policies(to, from, n_changes, changes, modes);
	if (modes)
		bh_model_copy_overrides(to, from);
	return to;
}

bool bh_replay_has_policy(const struct bh_model *model, const char *namespace, const char *name)
{
	const struct bh_network_policy *policy;

	for (size_t at = 0; (policy = bh_model_next_policy(model, &at));) {
		if (!strcmp(policy->namespace, namespace) && !strcmp(policy->name, name))
			return true;
	}
	return false;
}

/* ---- The index ------------------------------------------------------------------------------- */

static struct member *member_of(struct bh_replay_world *world, uint32_t workload)
{
	const struct bh_desired_workload *name = bh_lookup_workload(world->desired, workload);
	struct member *member;
	char *key;
	size_t size;

	if (!name)
		return NULL;
	key = key_of(name->namespace, name->kind, name->name);
	size = strlen(key);
	member = bh_table_get(&world->members, key, size);
	if (!member) {
		member = bh_xcalloc(1, sizeof(*member) + size + 1);
		memcpy(member->key, key, size);
		bh_table_put(&world->members, member->key, size, member);
	}
	free(key);
	return member;
}

static bool holds(size_t n, const uint32_t *numbers, uint32_t number)
{
	for (size_t i = 0; i < n; i++) {
		if (numbers[i] == number)
			return true;
	}
	return false;
}

static void index_world(struct bh_replay_world *world)
{
	const struct bh_desired *desired = world->desired;

	for (size_t i = 0; i < desired->n_endpoints; i++) {
		struct member *member = member_of(world, desired->endpoints[i].workload);
		uint32_t program = desired->endpoints[i].active;

		if (!member)
			continue;
		member->modes |= 1u << desired->endpoints[i].mode;
		member->quarantined |= desired->endpoints[i].quarantined;
		if (holds(member->n_programs, member->programs, program))
			continue;
		bh_xgrow(member->programs, member->n_programs, member->programs_room);
		member->programs[member->n_programs++] = program;
	}
	const struct bh_desired_address *address;

	for (struct bh_run_at at = {0}; (address = bh_desired_next_address(desired, &at));) {
		struct member *member = member_of(world, address->workload);
		uint32_t class = address->class;

		if (!member || holds(member->n_classes, member->classes, class))
			continue;
		bh_xgrow(member->classes, member->n_classes, member->classes_room);
		member->classes[member->n_classes++] = class;
	}
}

static void add_workload(struct bh_table *keys, const struct bh_desired_workload *workload)
{
	add_key(keys, key_of(workload->namespace, workload->kind, workload->name));
}

static struct bh_replay_world *make_world(const struct bh_model *model,
	const struct bh_replay_edges *edges, size_t n_changes,
	const struct bh_replay_change *changes, bool modes)
{
	struct bh_replay_world *world = bh_xcalloc(1, sizeof(*world));
	struct bh_table seen = {0};

	for (size_t i = 0; i < edges->n; i++) {
		struct bh_replay_edge edge;

		add_workload(&seen, edges->edges[i].client);
		for (size_t j = 0; j < bh_replay_behind(&edges->edges[i], j, &edge); j++)
			add_workload(&seen, edge.server);
	}
	world->model = copy_model(model, &seen, n_changes, changes, modes);
	free_keys(&seen);
	world->compiler = bh_compiler_new();
	world->desired = bh_compile_as(world->compiler, world->model, NODE);
	index_world(world);
	return world;
}

struct bh_replay_world *bh_replay_world_new(const struct bh_model *model,
	const struct bh_replay_edges *edges, size_t n_changes,
	const struct bh_replay_change *changes)
{
	return make_world(model, edges, n_changes, changes, false);
}

struct bh_replay_world *bh_replay_world_in_force(const struct bh_model *model,
	const struct bh_replay_edges *edges, size_t n_changes,
	const struct bh_replay_change *changes)
{
	return make_world(model, edges, n_changes, changes, true);
}

void bh_replay_world_free(struct bh_replay_world *world)
{
	struct member *member;

	if (!world)
		return;
	for (size_t at = 0; (member = bh_table_next(&world->members, &at));) {
		free(member->programs);
		free(member->classes);
		free(member);
	}
	bh_table_clear(&world->members);
	bh_desired_unref(world->desired);
	bh_compiler_free(world->compiler);
	bh_model_free(world->model);
	free(world);
}

const char *bh_replay_fault(
	const struct bh_replay_world *world, const char *namespace, const char *name)
{
	char *object = *namespace ? bh_xasprintf("NetworkPolicy %s/%s", namespace, name)
				  : bh_xasprintf("ClusterNetworkPolicy %s", name);
	const char *text = NULL;

	for (size_t i = 0; !text && i < world->desired->n_problems; i++) {
		const struct bh_desired_problem *problem = &world->desired->problems[i];

		if (!strcmp(problem->code, "invalid-policy") && !strcmp(problem->object, object))
			text = problem->text;
	}
	free(object);
	return text;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

struct classes {
	size_t n;
	size_t capacity;
	uint32_t *items;
};

static void add_class(struct classes *classes, uint32_t class)
{
	if (holds(classes->n, classes->items, class))
		return;
	bh_xgrow(classes->items, classes->n, classes->capacity);
	classes->items[classes->n++] = class;
}

/* The class of the block's addresses, and of every smaller block that policies cut out of it. */
static void add_block(
	const struct bh_replay_world *world, const struct bh_prefix *block, struct classes *classes)
{
	const struct bh_desired *desired = world->desired;

	add_class(classes, bh_lookup_address(desired, &block->ip).class);
	for (size_t i = 0; i < desired->n_blocks; i++) {
		const struct bh_desired_block *inner = &desired->blocks[i];

		if (inner->bits > block->bits &&
			bh_ip_in_prefix(&inner->ip, &block->ip, block->bits))
			add_class(classes, inner->class);
	}
}

static void add_world(const struct bh_replay_world *world,
	const struct bh_desired_workload *workload, const struct bh_replay_edge *edge,
	struct classes *classes)
{
	struct bh_prefix all = {.ip = {.family = edge->family == 6 ? 6 : 4}};
	char address[BH_PREFIX_TEXT_MAX];
	char *slash;

	for (size_t i = 0; i < edge->n_blocks; i++)
		add_block(world, &edge->blocks[i], classes);
	if (edge->n_blocks)
		return;
	/* A workload of the world is called by its block; without one it may be any address. */
	snprintf(address, sizeof(address), "%s", workload->name);
	slash = strchr(address, '/');
	if (slash) {
		*slash = '\0';
		if (bh_ip_parse(address, &all.ip) == 0)
			all.bits = (uint8_t)strtoul(slash + 1, NULL, 10);
	}
	add_block(world, &all, classes);
}

static const struct member *find_member(
	const struct bh_replay_world *world, const struct bh_desired_workload *workload)
{
	char *key = key_of(workload->namespace, workload->kind, workload->name);
	const struct member *member = bh_table_get(&world->members, key, strlen(key));

	free(key);
	return member;
}

static const char *text_of(
	const struct bh_replay_world *world, enum bh_reason reason, uint32_t rule, bool egress)
{
	const struct bh_desired_rule_name *name = bh_lookup_rule(world->desired, rule);

	if (name)
		return name->text;
	if (BH_REASON_PASSES(reason))
		return egress ? "no policy isolates the client (egress)"
			      : "no policy isolates the server (ingress)";
	return egress ? "the client is isolated (egress), and no rule matches"
		      : "the server is isolated (ingress), and no rule matches";
}

static void judge_end(const struct bh_replay_world *world, const struct bh_replay_edge *edge,
	bool egress, struct bh_replay_verdict *verdict)
{
	const struct bh_desired_workload *own = egress ? edge->client : edge->server;
	const struct bh_desired_workload *peer = egress ? edge->server : edge->client;
	const struct member *member = find_member(world, own), *other = find_member(world, peer);
	bool port_known = bh_replay_has_ports(edge->protocol) && edge->port;
	struct classes classes = {0};

	/* The node itself reaches its pods whatever policy says. */
	if (!member || !member->n_programs || (!egress && edge->node_probe))
		return;
	if (bh_replay_is_world(peer))
		add_world(world, peer, edge, &classes);
	for (size_t i = 0; other && i < other->n_classes; i++)
		add_class(&classes, other->classes[i]);
	for (size_t i = 0; i < member->n_programs; i++) {
		for (size_t j = 0; j < classes.n; j++) {
			uint32_t rule;
			enum bh_reason reason = bh_lookup_verdict(world->desired,
				member->programs[i], egress ? BH_EGRESS : BH_INGRESS,
				classes.items[j], edge->protocol, edge->port, port_known, &rule);
			bool passes = BH_REASON_PASSES(reason);

			/* Whoever is behind the service decides, and nobody is known to be. */
			if (reason == BH_REASON_SERVICE)
				continue;
			verdict->judged = true;
			verdict->allowed |= passes;
			/* The first that denies is told, else the first rule that allows. */
			if (verdict->denied ||
				(passes && verdict->text && (verdict->rule || !rule)))
				continue;
			verdict->denied = !passes;
			verdict->egress = egress;
			verdict->rule = rule;
			verdict->text = text_of(world, reason, rule, egress);
		}
	}
	free(classes.items);
}

struct bh_replay_verdict bh_replay_judge(
	const struct bh_replay_world *world, const struct bh_replay_edge *edge)
{
	struct bh_replay_verdict verdict = {0};
	struct bh_replay_edge behind;

	for (size_t i = 0; i < bh_replay_behind(edge, i, &behind); i++) {
		judge_end(world, &behind, true, &verdict);
		judge_end(world, &behind, false, &verdict);
	}
	verdict.allowed = verdict.judged && !verdict.denied;
	if (!verdict.text)
		verdict.text = "no pod of it exists any more";
	return verdict;
}

struct bh_replay_standing bh_replay_stands(
	const struct bh_replay_world *world, const struct bh_replay_edge *edge, bool egress)
{
	struct bh_replay_standing standing = {0};
	struct bh_replay_edge behind;

	for (size_t i = 0; i < bh_replay_behind(edge, i, &behind); i++) {
		const struct member *member =
			find_member(world, egress ? behind.client : behind.server);

		if (!member)
			continue;
		standing.modes |= member->modes;
		standing.quarantined |= member->quarantined;
	}
	return standing;
}
