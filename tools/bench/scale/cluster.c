/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "controller/model/memory.h"
#include "tools/bench/scale/cluster.h"

#define PODS_PER_NODE 110
#define APPLICATIONS 100 /* of a namespace */
#define TEAMS 8

static const char *const tiers[] = {"front", "api", "worker", "cache", "db"};
static const char *const stages[] = {"production", "staging", "test"};

static struct bh_ip ip_of(unsigned int a, unsigned int b, unsigned int number)
{
	return (struct bh_ip){4, {(uint8_t)a, (uint8_t)(b + (number >> 16)), (uint8_t)(number >> 8),
					 (uint8_t)number}};
}

/* ---- Pods ------------------------------------------------------------------------------------ */

/* The first of each application come first, so that a node has many. */
static unsigned int application_of(const struct cluster *cluster, unsigned int number)
{
	return number % cluster->size.label_sets;
}

void cluster_put_pod(struct cluster *cluster, unsigned int number, const char *tier)
{
	unsigned int application = application_of(cluster, number);
	unsigned int namespace = application % cluster->namespaces;
	unsigned int app = application / cluster->namespaces;
	char uid[48], space[32], node[32], app_name[32], hash[32], team[32], owner[72], name[96];
	const struct bh_label labels[] = {
		{"app.kubernetes.io/name", app_name},
		{"app.kubernetes.io/part-of", team},
		{"pod-template-hash", hash},
		{"tier", tier ? tier : tiers[app % 5]},
	};
	const struct bh_pod_port ports[] = {{"http", 6, 8080}, {"metrics", 6, 9102}};
	struct bh_ip ip = ip_of(10, 100, number + 1);

	snprintf(uid, sizeof(uid), "%08x-5b1d-4f8e-9d35-0242ac120002", number);
	snprintf(app_name, sizeof(app_name), "app-%u", app);
	snprintf(hash, sizeof(hash), "7d9f8b%04x", application);
	snprintf(owner, sizeof(owner), "%s-%s", app_name, hash);
	snprintf(name, sizeof(name), "%s-%05x", owner, number);
	snprintf(space, sizeof(space), "space-%u", namespace);
	snprintf(team, sizeof(team), "team-%u", namespace % TEAMS);
	snprintf(node, sizeof(node), "node-%u",
		number < CLUSTER_LOCAL ? 0 : 1 + number / PODS_PER_NODE);
	bh_model_put_pod(
		cluster->model, &(struct bh_pod){.uid = uid,
					.namespace = space,
					.name = name,
					.labels = &(struct bh_labels){.n = 4, .items = labels},
					.node_name = node,
					.created = 1700000000 + number,
					.n_ips = 1,
					.ips = &ip,
					.n_ports = 2,
					.ports = ports,
					.owner_kind = "ReplicaSet",
					.owner_name = owner});
}

void cluster_remove_pod(struct cluster *cluster, unsigned int number)
{
	char uid[48];

	snprintf(uid, sizeof(uid), "%08x-5b1d-4f8e-9d35-0242ac120002", number);
	bh_model_remove(cluster->model, uid);
}

/* ---- The rest -------------------------------------------------------------------------------- */

void cluster_put_namespace(struct cluster *cluster, unsigned int number, const char *stage)
{
	char uid[32], name[32], team[32];
	const struct bh_label labels[] = {
		{"stage", stage ? stage : stages[number % 3]},
		{"team", team},
	};

	snprintf(uid, sizeof(uid), "namespace-%u", number);
	snprintf(name, sizeof(name), "space-%u", number);
	snprintf(team, sizeof(team), "team-%u", number % TEAMS);
	bh_model_put_namespace(
		cluster->model, &(struct bh_namespace){.uid = uid,
					.name = name,
					.labels = &(struct bh_labels){.n = 2, .items = labels}});
}

static void put_node(struct cluster *cluster, unsigned int number)
{
	char uid[32], name[32];
	struct bh_ip ip = ip_of(172, 16, number + 1);

	snprintf(uid, sizeof(uid), "node-uid-%u", number);
	snprintf(name, sizeof(name), "node-%u", number);
	bh_model_put_node(cluster->model,
		&(struct bh_node){.uid = uid, .name = name, .n_ips = 1, .ips = &ip});
}

/* Three of each namespace are for all its pods, the others for one application each. */
static char *spec_of(const struct cluster *cluster, unsigned int number, unsigned int port)
{
	unsigned int kind = number / cluster->namespaces;
	unsigned int app = kind - 3;

	switch (kind) {
	case 0:
		return bh_xstrdup("{\"podSelector\":{},\"policyTypes\":[\"Ingress\",\"Egress\"]}");
	case 1:
		return bh_xasprintf(
			"{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{"
			"\"namespaceSelector\":{\"matchLabels\":{\"team\":\"team-4\"}},"
			"\"podSelector\":{\"matchLabels\":{\"tier\":\"cache\"}}}],\"ports\":[{"
			"\"protocol\":\"UDP\",\"port\":53},{\"port\":%u}]}]}",
			port ? port : 53);
	case 2:
		return bh_xstrdup(
			"{\"podSelector\":{},\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":"
			"[{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"team-4\",\"stage\":"
			"\"production\"}}}],\"ports\":[{\"port\":\"metrics\"}]}]}");
	default:
		return bh_xasprintf(
			"{\"podSelector\":{\"matchLabels\":{\"app.kubernetes.io/name\":\"app-%u\"}}"
			",\"policyTypes\":[\"Ingress\",\"Egress\"],\"ingress\":[{\"from\":[{"
			"\"podSelector\":{\"matchLabels\":{\"app.kubernetes.io/name\":\"app-%u\"}}}"
			",{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"team-%u\"}},"
			"\"podSelector\":{\"matchLabels\":{\"tier\":\"%s\"}}}],\"ports\":[{"
			"\"port\":%u},{\"port\":\"http\"}]}],\"egress\":[{\"to\":[{"
			"\"podSelector\":{\"matchLabels\":{\"app.kubernetes.io/name\":\"app-%u\"}}"
			"}],\"ports\":[{\"port\":8080}]},{\"to\":[{\"ipBlock\":{\"cidr\":"
			"\"203.0.%u.0/24\",\"except\":[\"203.0.%u.128/25\"]}}],\"ports\":[{"
			"\"port\":443}]}]}",
			app, (app + 1) % APPLICATIONS, number % TEAMS, tiers[number / TEAMS % 5],
			port ? port : 8081, (app + 2) % APPLICATIONS, number % 64, number % 64);
	}
}

void cluster_put_policy(struct cluster *cluster, unsigned int number, unsigned int port)
{
	char *text = spec_of(cluster, number, port);
	json_t *spec = json_loads(text, 0, NULL);
	char uid[32], name[32], space[32];

	bh_xcheck(spec);
	snprintf(uid, sizeof(uid), "policy-uid-%u", number);
	snprintf(name, sizeof(name), "policy-%u", number / cluster->namespaces);
	snprintf(space, sizeof(space), "space-%u", number % cluster->namespaces);
	bh_model_put_policy(cluster->model,
		&(struct bh_network_policy){
			.uid = uid, .namespace = space, .name = name, .spec = spec});
	json_decref(spec);
	free(text);
}

void cluster_put_service(struct cluster *cluster, unsigned int number, bool more)
{
	char uid[32], name[32], space[32], app_name[32];
	const struct bh_label selector = {"app.kubernetes.io/name", app_name};
	const struct bh_service_port ports[] = {
		{.name = "http", .protocol = 6, .port = 80, .target_name = "http"},
		{.name = "http-alt", .protocol = 6, .port = 8080, .target_name = "http"},
	};
	struct bh_ip ip = ip_of(10, 96, number + 1);

	snprintf(uid, sizeof(uid), "service-uid-%u", number);
	snprintf(app_name, sizeof(app_name), "app-%u", number / cluster->namespaces);
	snprintf(name, sizeof(name), "app-%u", number / cluster->namespaces);
	snprintf(space, sizeof(space), "space-%u", number % cluster->namespaces);
	bh_model_put_service(
		cluster->model, &(struct bh_service){.uid = uid,
					.namespace = space,
					.name = name,
					.selector = &(struct bh_labels){.n = 1, .items = &selector},
					.n_ports = more ? 2 : 1,
					.ports = ports,
					.n_ips = 1,
					.ips = &ip,
					.n_cluster_ips = 1});
}

void cluster_put_slice(struct cluster *cluster, unsigned int number, bool more)
{
	char uid[32], name[32], space[32], service[32];
	const struct bh_slice_port port = {"http", 6, 8080};
	struct bh_ip ips[1 + 1000];
	size_t n = 0;

	snprintf(uid, sizeof(uid), "slice-uid-%u", number);
	snprintf(name, sizeof(name), "app-%u-x7k2p", number / cluster->namespaces);
	snprintf(service, sizeof(service), "app-%u", number / cluster->namespaces);
	snprintf(space, sizeof(space), "space-%u", number % cluster->namespaces);
	for (unsigned int pod = number; pod < cluster->size.pods && n < 1000;
		pod += cluster->size.label_sets)
		ips[n++] = ip_of(10, 100, pod + 1);
	if (more)
		ips[n++] = ip_of(10, 100, cluster->size.pods + 1 + number);
	bh_model_put_slice(cluster->model, &(struct bh_slice){.uid = uid,
						   .namespace = space,
						   .name = name,
						   .service = service,
						   .n_ports = 1,
						   .ports = &port,
						   .n_ips = n,
						   .ips = ips});
}

void cluster_fill(struct cluster *cluster, const struct cluster_size *size)
{
	*cluster = (struct cluster){.size = *size,
		.namespaces = (size->label_sets + APPLICATIONS - 1) / APPLICATIONS,
		.model = bh_model_new(CLUSTER_NODE, BH_MODE_ENFORCE)};
	for (unsigned int i = 0; i < cluster->namespaces; i++)
		cluster_put_namespace(cluster, i, NULL);
	for (unsigned int i = 0; i <= 1 + size->pods / PODS_PER_NODE; i++)
		put_node(cluster, i);
	for (unsigned int i = 0; i < size->pods; i++)
		cluster_put_pod(cluster, i, NULL);
	for (unsigned int i = 0; i < size->services; i++) {
		cluster_put_service(cluster, i, false);
		cluster_put_slice(cluster, i, false);
	}
	for (unsigned int i = 0; i < size->policies; i++)
		cluster_put_policy(cluster, i, 0);
}
