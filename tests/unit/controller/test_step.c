/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A cluster that changes at random, thousands of times: pods that come, go, move, share addresses
 * and change labels, slices, services, namespaces, nodes, policies of all tiers, commands. After
 * each few changes a compiler that goes on from its last compilation must say exactly what one says
 * that has seen nothing; and the difference of two results, sent, must make the one the other.
 *
 * BULKHEAD_SEED=N repeats one run.
 */
#pragma GCC diagnostic ignored "-Wunused-function" /* the evaluators */

#include "bulkhead.pb-c.h"
#include "controller/link/update.h"
#include "controller/model/table.h"
#include "tests/unit/controller/oracle_services.h"
#include "tests/unit/controller/same.h"

#define ROUNDS 16
#define STEPS 400
#define N_UIDS 24
#define N_SLICES 6
#define N_WILD 5

/* ---- A mirror of the data plane -------------------------------------------------------------- */

struct entry {
	char *key;
	char *text;
};

static struct bh_table mirror; /* by key: "kind name" */

static void free_entry(struct entry *entry)
{
	free(entry->key);
	free(entry->text);
	free(entry);
}

static void set(char *key, char *text)
{
	size_t size = strlen(key);
	struct entry *old = bh_table_remove(&mirror, key, size);

	if (old)
		free_entry(old);
	if (!text) {
		free(key);
		return;
	}
	struct entry *new = bh_xcalloc(1, sizeof(*new));

	*new = (struct entry){key, text};
	bh_table_put(&mirror, key, size, new);
}

static char *hex(const char *kind, const ProtobufCBinaryData *bytes, unsigned int bits)
{
	char text[40] = "";

	for (size_t i = 0; i < bytes->len; i++)
		sprintf(text + 2 * i, "%02x", bytes->data[i]);
	return bh_xasprintf("%s %s/%u", kind, text, bits);
}

static char *program_text(const Bulkhead__Wire__Program *program)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < program->n_entries; i++) {
		const Bulkhead__Wire__ProgramEntry *entry = program->entries[i];

		fprintf(out, "%d %x:", entry->egress, entry->class_);
		for (size_t j = 0; j < entry->n_rules; j++)
			fprintf(out, " %u/%u-%u %x%d%d", entry->rules[j]->protocol,
				entry->rules[j]->port_lo, entry->rules[j]->port_hi,
				entry->rules[j]->rule, entry->rules[j]->deny,
				entry->rules[j]->defer);
	}
	fclose(out);
	return text;
}

static char *endpoint_text(const Bulkhead__Wire__Endpoint *e)
{
	char *text = bh_xasprintf(
		"%s %x %x %x %d", e->name, e->workload, e->active, e->pending, e->hook);

	for (size_t i = 0; i < e->n_ips; i++) {
		char *ip = hex("", &e->ips[i], 0), *longer = bh_xasprintf("%s %s", text, ip);

		free(text);
		free(ip);
		text = longer;
	}
	return text;
}

static int take_part(void *data, const Bulkhead__Wire__Update *part)
{
	size_t *n = data;

	for (size_t i = 0; i < part->n_addresses; i++) {
		const Bulkhead__Wire__Address *a = part->addresses[i];

		set(hex("address", &a->ip, 0),
			bh_xasprintf("%x %x %d", a->class_, a->workload, a->service));
	}
	for (size_t i = 0; i < part->n_removed_addresses; i++)
		set(hex("address", &part->removed_addresses[i], 0), NULL);
	for (size_t i = 0; i < part->n_blocks; i++)
		set(hex("block", &part->blocks[i]->ip, part->blocks[i]->bits),
			bh_xasprintf("%x %x", part->blocks[i]->class_, part->blocks[i]->workload));
	for (size_t i = 0; i < part->n_removed_blocks; i++)
		set(hex("block", &part->removed_blocks[i]->ip, part->removed_blocks[i]->bits),
			NULL);
	for (size_t i = 0; i < part->n_programs; i++)
		set(bh_xasprintf("program %x", part->programs[i]->number),
			program_text(part->programs[i]));
	for (size_t i = 0; i < part->n_removed_programs; i++)
		set(bh_xasprintf("program %x", part->removed_programs[i]), NULL);
	for (size_t i = 0; i < part->n_endpoints; i++)
		set(bh_xasprintf("endpoint %s", part->endpoints[i]->uid),
			endpoint_text(part->endpoints[i]));
	for (size_t i = 0; i < part->n_removed_endpoints; i++)
		set(bh_xasprintf("endpoint %s", part->removed_endpoints[i]), NULL);
	*n += part->n_addresses + part->n_removed_addresses + part->n_blocks +
	      part->n_removed_blocks + part->n_programs + part->n_removed_programs +
	      part->n_endpoints + part->n_removed_endpoints;
	return 0;
}

/* Everything in the mirror is in the full update, and it says the same. */
static int check_part(void *data, const Bulkhead__Wire__Update *part)
{
	struct bh_table followed = mirror;
	size_t n = 0;

	mirror = (struct bh_table){0};
	take_part(&n, part);
	struct bh_table fresh = mirror;
	struct entry *entry;

	mirror = followed;
	assert_true(part->last);
	assert_int_equal(fresh.n, followed.n);
	for (size_t at = 0; (entry = bh_table_next(&fresh, &at));) {
		struct entry *mine = bh_table_get(&followed, entry->key, strlen(entry->key));

		if (!mine || strcmp(mine->text, entry->text))
			fail_msg("%s: %s, should be %s", entry->key, mine ? mine->text : "nothing",
				entry->text);
	}
	for (size_t at = 0; (entry = bh_table_next(&fresh, &at));)
		free_entry(entry);
	bh_table_clear(&fresh);
	return 0;
}

static void empty_mirror(void)
{
	struct entry *entry;

	for (size_t at = 0; (entry = bh_table_next(&mirror, &at));)
		free_entry(entry);
	bh_table_clear(&mirror);
}

/* ---- Changes --------------------------------------------------------------------------------- */

/* A few addresses for many: pods', nodes', services', and such as nobody can have. */
static struct bh_ip random_ip(void)
{
	static const char *const odd[] = {"127.0.0.1", "224.0.0.1", "::1", "ff02::1", "192.168.0.1",
		"192.168.0.2", "10.0.2.201", "172.16.5.200", "fd00::200:901", "10.0.0.3"};
	char text[BH_IP_TEXT_MAX];

	if (!roll(9))
		return ip_of(odd[roll(10)]);
	if (roll(4))
		snprintf(text, sizeof(text), "10.0.%d.%d", 1 + roll(3), roll(12));
	else
		snprintf(text, sizeof(text), "fd00::%d:%d", 1 + roll(3), roll(6));
	return ip_of(text);
}

static size_t random_ips(struct bh_ip *ips, int most)
{
	size_t n = (size_t)roll(most + 1);

	for (size_t i = 0; i < n; i++)
		ips[i] = random_ip();
	return n;
}

static const char *pick(const char *const *words, int n)
{
	return words[roll(n)];
}

static void change_pod(struct bh_model *model)
{
	static const char *const nodes_of[] = {"n1", "n1", "n2", "n3", NULL};
	static const char *const modes[] = {
		NULL, NULL, NULL, "enforce", "dry-run", "observe", "on"};
	static const char *const hooks[] = {NULL, NULL, NULL, "tc", "xdp", "lo"};
	static const char *const kinds[] = {NULL, "ReplicaSet", "StatefulSet", "Job", "DaemonSet"};
	json_t *labels = random_labels();
	struct bh_label items[4];
	struct bh_ip ips[7];
	struct bh_pod_port named[4];
	size_t n_ports = (size_t)roll(4);
	char uid[16], name[16], owner[32];

	snprintf(uid, sizeof(uid), "u%d", roll(N_UIDS));
	/* Two may have the same name. */
	snprintf(name, sizeof(name), "n%d", roll(8) ? atoi(uid + 1) : roll(3));
	snprintf(owner, sizeof(owner), "app%d-7d9f8b6c4", roll(4));
	for (size_t i = 0; i < n_ports; i++)
		named[i] = (struct bh_pod_port){port_names[roll(3)],
			roll(4) ? IPPROTO_TCP : IPPROTO_UDP, (uint16_t)ports[roll(4)]};
	const struct bh_labels set = {.n = fill_labels(labels, items), .items = items};
	const struct bh_pod pod = {.uid = uid,
		.namespace = namespaces[roll(N_NAMESPACES)],
		.name = name,
		.labels = &set,
		.node_name = pick(nodes_of, 5),
		.host_network = !roll(9),
		.finished = !roll(9),
		.created = roll(4),
		.n_ips = random_ips(ips, roll(8) ? 3 : 7),
		.ips = ips,
		.n_ports = n_ports,
		.ports = named,
		.owner_kind = pick(kinds, 5),
		.owner_name = owner,
		.mode = pick(modes, 7),
		.hook = pick(hooks, 6)};
	const struct bh_pod *before = bh_model_pod(model, uid);

	if (before && !roll(4)) {
		bh_model_remove(model, uid);
	} else if (before && roll(3)) {
		/* Only one thing of it, as it mostly is. */
		struct bh_pod edited = *before;

		switch (roll(4)) {
		case 0:
			edited.labels = &set;
			break;
		case 1:
			edited.n_ips = pod.n_ips;
			edited.ips = ips;
			break;
		case 2:
			edited.finished = !edited.finished;
			break;
		default:
			edited.n_ports = n_ports;
			edited.ports = named;
		}
		bh_model_put_pod(model, &edited);
	} else {
		bh_model_put_pod(model, &pod);
	}
	json_decref(labels);
}

static void change_slice(struct bh_model *model)
{
	struct bh_ip ips[6];
	struct bh_slice_port slice_ports[2];
	size_t n_ports = (size_t)roll(3);
	char uid[16], service[16];

	snprintf(uid, sizeof(uid), "loose%d", roll(N_SLICES));
	snprintf(service, sizeof(service), "s%d", roll(N_SERVICES));
	if (!roll(4)) {
		bh_model_remove(model, uid);
		return;
	}
	for (size_t i = 0; i < n_ports; i++)
		slice_ports[i] = (struct bh_slice_port){
			roll(2) ? "two" : "one", IPPROTO_TCP, (uint16_t)ports[roll(4)]};
	bh_model_put_slice(model, &(struct bh_slice){.uid = uid,
					  .namespace = namespaces[roll(N_NAMESPACES)],
					  .name = uid,
					  .service = roll(30) ? service : NULL,
					  .n_ports = n_ports,
					  .ports = slice_ports,
					  .n_ips = random_ips(ips, 6),
					  .ips = ips});
}

static void announce(struct bh_model *model)
{
	char uid[16];
	struct bh_ip ips[3];
	const struct bh_pod *pod;

	snprintf(uid, sizeof(uid), "u%d", roll(N_UIDS));
	pod = bh_model_pod(model, uid);
	if (!pod)
		return;
	if (roll(2))
		bh_model_announce(model, pod->namespace, pod->name, uid, random_ips(ips, 3), ips);
	else
		bh_model_forget_announced(model, pod->namespace, pod->name, uid, 0, NULL);
}

static void command(struct bh_model *model)
{
	char name[16];
	struct bh_ip ips[3];

	snprintf(name, sizeof(name), "n%d", roll(N_UIDS));
	switch (roll(4)) {
	case 0:
		bh_model_set_quarantine(model, namespaces[roll(N_NAMESPACES)], name, roll(2));
		break;
	case 1:
		bh_model_set_mode(model, BH_SCOPE_POD, namespaces[roll(N_NAMESPACES)], name,
			(enum bh_mode)roll(4));
		break;
	case 2:
		bh_model_set_mode(model, BH_SCOPE_NODE, NULL, NULL, (enum bh_mode)roll(4));
		break;
	default:
		bh_model_set_host_addresses(model, random_ips(ips, 3), ips);
	}
}

/* Now and then there are two of a name for a while, or the mode is none. */
static void change_namespace(struct bh_model *model)
{
	static const char *const modes[] = {
		NULL, NULL, NULL, "enforce", "dry-run", "observe", "on"};
	json_t *labels = random_labels();
	struct bh_label items[4];
	const struct bh_labels set = {.n = fill_labels(labels, items), .items = items};
	const char *name = namespaces[roll(N_NAMESPACES)];

	if (!roll(4))
		bh_model_remove(model, roll(3) ? name : "another");
	else
		bh_model_put_namespace(
			model, &(struct bh_namespace){.uid = roll(5) ? name : "another",
				       .name = name,
				       .labels = &set,
				       .mode = pick(modes, roll(6) ? 6 : 7)});
	json_decref(labels);
}

/* Mostly only its ports, or its mode: it still tells the same peers apart then. */
static void change_policy(struct bh_model *model)
{
	static const char *const modes[] = {NULL, "enforce", "dry-run", "observe", "on"};
	struct policy *policy = &policies[roll(N_POLICIES)];
	json_t *spec, *rule;

	if (!policy->exists)
		return;
	if (!roll(6)) {
		bh_model_remove(model, policy->name);
		return;
	}
	spec = json_deep_copy(policy->spec);
	json_decref(policy->spec);
	policy->spec = spec;
	rule = json_array_get(json_object_get(policy->spec, roll(2) ? "ingress" : "egress"), 0);
	if (rule)
		json_object_set_new(rule, "ports", json_pack("[{s:i}]", "port", 1 + roll(4)));
	bh_model_put_policy(model, &(struct bh_network_policy){.uid = policy->name,
					   .namespace = policy->namespace,
					   .name = policy->name,
					   .mode = pick(modes, 5),
					   .spec = policy->spec});
}

/* Everything but pods, slices and namespaces. */
/* As no API server would let one be: with addresses of pods, of other services, and of nobody. */
static void change_wild_service(struct bh_model *model)
{
	struct bh_ip ips[5];
	struct bh_service_port wild_ports[2];
	const struct bh_label label = {keys[roll(3)], values[roll(4)]};
	const struct bh_labels selector = {.n = roll(3) ? 1 : 0, .items = &label};
	size_t n_ips = random_ips(ips, 5), n_ports = (size_t)roll(3);
	char uid[16], name[16];

	snprintf(uid, sizeof(uid), "wild%d", roll(N_WILD));
	snprintf(name, sizeof(name), "s%d", roll(N_SERVICES));
	if (!roll(4)) {
		bh_model_remove(model, uid);
		return;
	}
	for (size_t i = 0; i < n_ports; i++)
		wild_ports[i] = (struct bh_service_port){.name = i ? "two" : "one",
			.protocol = IPPROTO_TCP,
			.port = i ? 443 : 80,
			.target = (uint16_t)ports[roll(4)]};
	bh_model_put_service(model, &(struct bh_service){.uid = uid,
					    .namespace = namespaces[roll(N_NAMESPACES)],
					    .name = roll(2) ? uid : name,
					    .selector = &selector,
					    .n_ports = n_ports,
					    .ports = wild_ports,
					    .n_ips = n_ips,
					    .ips = ips,
					    .n_cluster_ips = (size_t)roll((int)n_ips + 1)});
}

static void change_service(struct bh_model *model)
{
	int index = roll(N_SERVICES);

	if (roll(2)) {
		change_wild_service(model);
		return;
	}
	random_service(&services[index], index);
	tell_service(model, &services[index]);
}

static void change_rest(struct bh_model *model)
{
	int index;

	switch (roll(6)) {
	case 0:
		index = roll(N_POLICIES);
		random_policy(&policies[index], index);
		tell_policy(model, &policies[index]);
		break;
	case 1:
		index = roll(N_CLUSTER_POLICIES);
		random_cluster_policy(&cluster_policies[index], index);
		tell_cluster_policy(model, &cluster_policies[index]);
		break;
	case 2:
		index = roll(N_NODES);
		random_node(&nodes[index]);
		tell_node(model, &nodes[index]);
		break;
	case 3:
		change_service(model);
		break;
	case 4:
		index = roll(N_NAMESPACES);
		random_namespace(index);
		tell_namespace(model, index);
		break;
	default:
		command(model);
	}
}

static void change(struct bh_model *model)
{
	switch (roll(24)) {
	case 0:
		if (roll(2))
			change_namespace(model);
		else
			change_rest(model);
		break;
	case 1:
	case 2:
	case 3:
		change_slice(model);
		break;
	case 4:
		announce(model);
		break;
	case 5:
		change_policy(model);
		break;
	case 6:
	case 7:
		change_service(model);
		break;
	default:
		change_pod(model);
	}
}

/* ---- The test -------------------------------------------------------------------------------- */

static void forget_everything(void)
{
	for (int i = 0; i < N_POLICIES; i++)
		json_decref(policies[i].spec);
	for (int i = 0; i < N_NAMESPACES; i++)
		json_decref(namespace_labels[i]);
	for (int i = 0; i < N_CLUSTER_POLICIES; i++)
		json_decref(cluster_policies[i].spec);
	for (int i = 0; i < N_NODES; i++) {
		json_decref(nodes[i].labels);
		nodes[i].labels = NULL;
	}
	for (int i = 0; i < N_SERVICES; i++)
		json_decref(services[i].selector);
	for (int i = 0; i < N_PODS; i++) {
		json_decref(pods[i].labels);
		json_decref(pods[i].ports);
	}
	memset(pods, 0, sizeof(pods));
	memset(services, 0, sizeof(services));
	memset(cluster_policies, 0, sizeof(cluster_policies));
	memset(policies, 0, sizeof(policies));
	memset(namespace_labels, 0, sizeof(namespace_labels));
}

static void fill(struct bh_model *model)
{
	/* Their addresses are what services of the oracle's have behind them. */
	for (int i = 0; i < N_PODS; i++)
		random_pod(&pods[i], i);
	for (int i = 0; i < 3 * N_UIDS; i++)
		change_pod(model);
	for (int i = 0; i < 80; i++)
		change_rest(model);
}

static void compare_with_fresh(const struct cluster *cluster)
{
	struct bh_compiler *compiler = bh_compiler_new();
	struct bh_desired *fresh = bh_compile(compiler, cluster->model);
	char *is = text_of(cluster->desired), *should_be = text_of(fresh);

	assert_same_text(is, should_be);
	assert_int_equal(cluster->desired->revision, fresh->revision);
	free(is);
	free(should_be);
	bh_desired_unref(fresh);
	bh_compiler_free(compiler);
}

static void take_steps(struct cluster *cluster, uint64_t *steps)
{
	struct bh_compile_counts counts;
	size_t sent = 0;

	for (int step = 0; step < STEPS; step++) {
		struct bh_desired *before = bh_desired_ref(cluster->desired);

		for (int n = roll(3); n >= 0; n--)
			change(cluster->model);
		compile_cluster(cluster);
		compare_with_fresh(cluster);
		bh_update_emit(before, cluster->desired, take_part, &sent);
		bh_update_emit(NULL, cluster->desired, check_part, NULL);
		bh_desired_unref(before);
	}
	bh_compiler_counts(cluster->compiler, &counts);
	*steps += counts.steps;
}

static void a_step_gives_what_compiling_everything_gives(void **state)
{
	const char *given = getenv("BULKHEAD_SEED");
	unsigned int first =
		given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	uint64_t steps = 0;

	for (unsigned int round = 0; round < (given ? 1 : ROUNDS); round++) {
		struct cluster cluster = {
			bh_model_new("n1", BH_MODE_ENFORCE), bh_compiler_new(), NULL};
		size_t sent = 0;

		seed = first + round;
		print_message("# seed %u\n", seed);
		fill(cluster.model);
		compile_cluster(&cluster);
		bh_update_emit(NULL, cluster.desired, take_part, &sent);
		take_steps(&cluster, &steps);
		empty_mirror();
		free_cluster(&cluster);
		forget_everything();
	}
	print_message("# %llu steps of %d\n", (unsigned long long)steps, ROUNDS * STEPS);
	assert_true(steps > (given ? 1 : ROUNDS) * STEPS / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_gives_what_compiling_everything_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
