/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CONTROLLER_ORACLE_SERVICES_H
#define TESTS_UNIT_CONTROLLER_ORACLE_SERVICES_H

/*
 * The same for services: random ones, and what follows for a connection to one from what the
 * evaluator says of each of its backends.
 */

#include "tests/unit/controller/oracle_cnp.h"

#define N_SERVICES 4
#define N_BACKENDS 6

struct service_port {
	const char *name;
	const char *protocol;
	int port;
	int target; /* 0: by name */
	const char *target_name;
	int slice_port; /* what the slices say; 0: they do not have this port */
};

struct service {
	bool exists;
	char name[16];
	const char *namespace;
	char ip[3][BH_IP_TEXT_MAX]; /* of each family, and one of the world's */
	json_t *selector;
	struct service_port ports[2];
	bool sliced; /* its backends are these, and not whom it selects */
	int n_backends;
	char backends[N_BACKENDS][BH_IP_TEXT_MAX];
};

static struct service services[N_SERVICES];

/* ---- Generating -------------------------------------------------------------------------------
 */

static void random_service_port(struct service_port *port, int index)
{
	static const char *const protocols[] = {"TCP", "TCP", "UDP", "SCTP"};

	port->name = index ? "two" : "one";
	port->protocol = protocols[roll(4)];
	port->port = index ? 443 : 80;
	port->target = roll(3) ? ports[roll(4)] : 0;
	port->target_name = port_names[roll(3)];
	port->slice_port = roll(5) ? ports[roll(4)] : 0;
}

static void random_service(struct service *service, int index)
{
	json_decref(service->selector);
	service->exists = roll(6) != 0;
	snprintf(service->name, sizeof(service->name), "s%d", index);
	service->namespace = namespaces[roll(N_NAMESPACES)];
	snprintf(service->ip[0], sizeof(service->ip[0]), "10.0.%d.%d", roll(2) ? 2 : 128,
		200 + index);
	snprintf(service->ip[1], sizeof(service->ip[1]), "fd00::200:%d", 900 + index);
	snprintf(
		service->ip[2], sizeof(service->ip[2]), "172.16.%d.%d", 5 + index % 2, 200 + index);
	service->selector = json_object();
	if (roll(4))
		json_object_set_new(service->selector, keys[roll(3)], json_string(values[roll(4)]));
	for (int i = 0; i < 2; i++)
		random_service_port(&service->ports[i], i);
	service->sliced = roll(2);
	service->n_backends = roll(N_BACKENDS + 1);
	for (int i = 0; i < service->n_backends; i++) {
		const struct pod *pod = &pods[roll(N_PODS)];
		int known = (int)(sizeof(strangers) / sizeof(strangers[0]));

		strcpy(service->backends[i], roll(5) ? pod->ip[roll(2)] : strangers[roll(known)]);
	}
}

/* ---- Telling the model --------------------------------------------------------------------------
 */

static uint8_t protocol_number(const char *name)
{
	return !strcmp(name, "TCP")   ? IPPROTO_TCP
	       : !strcmp(name, "UDP") ? IPPROTO_UDP
				      : IPPROTO_SCTP;
}

/* One slice for each family, and what they have of the ports. */
static void tell_slices(struct bh_model *model, const struct service *service)
{
	struct bh_slice_port slice_ports[2];
	size_t n_ports = 0;

	for (int i = 0; i < 2; i++) {
		const struct service_port *port = &service->ports[i];

		if (port->slice_port)
			slice_ports[n_ports++] = (struct bh_slice_port){port->name,
				protocol_number(port->protocol), (uint16_t)port->slice_port};
	}
	for (int family = 4; family <= 6; family += 2) {
		struct bh_ip ips[N_BACKENDS];
		char name[48];
		size_t n = 0;

		snprintf(name, sizeof(name), "%s-v%d", service->name, family);
		for (int i = 0; i < service->n_backends; i++) {
			struct bh_ip ip = ip_of(service->backends[i]);

			if (ip.family == family)
				ips[n++] = ip;
		}
		bh_model_remove(model, name);
		if (service->exists && service->sliced)
			bh_model_put_slice(model, &(struct bh_slice){.uid = name,
							  .namespace = service->namespace,
							  .name = name,
							  .service = service->name,
							  .n_ports = n_ports,
							  .ports = slice_ports,
							  .n_ips = n,
							  .ips = ips});
	}
}

static void tell_service(struct bh_model *model, const struct service *service)
{
	struct bh_label items[4];
	struct bh_labels selector = {.n = fill_labels(service->selector, items), .items = items};
	struct bh_ip ips[3] = {ip_of(service->ip[0]), ip_of(service->ip[1]), ip_of(service->ip[2])};
	struct bh_service_port told[2];

	tell_slices(model, service);
	for (int i = 0; i < 2; i++) {
		const struct service_port *port = &service->ports[i];

		told[i] = (struct bh_service_port){.name = port->name,
			.protocol = protocol_number(port->protocol),
			.port = (uint16_t)port->port,
			.target = (uint16_t)port->target,
			.target_name = port->target ? NULL : port->target_name};
	}
	if (!service->exists)
		bh_model_remove(model, service->name);
	else
		bh_model_put_service(model, &(struct bh_service){.uid = service->name,
						    .namespace = service->namespace,
						    .name = service->name,
						    .selector = &selector,
						    .n_ports = 2,
						    .ports = told,
						    .n_ips = 3,
						    .ips = ips,
						    .n_cluster_ips = 2});
}

/* ---- The evaluator ------------------------------------------------------------------------------
 */

/* What is said of a service's port: how many backends there are, and how many may be reached. */
static void ask_backends(const struct pod *subject, const char *own, const struct service *service,
	const struct service_port *port, int family, int *ret_all, int *ret_allowed)
{
	int all = 0, allowed = 0;

	for (int i = 0; service->sliced && port->slice_port && i < service->n_backends; i++) {
		if ((strchr(service->backends[i], ':') != NULL) != family)
			continue;
		all++;
		allowed += expected(
			subject, true, own, service->backends[i], port->protocol, port->slice_port);
	}
	for (int i = 0; !service->sliced && json_object_size(service->selector) && i < N_PODS;
		i++) {
		const struct pod *pod = &pods[i];
		const char *key;
		json_t *value;
		int number = port->target;
		bool selected = pod->exists && !pod->finished &&
				!strcmp(pod->namespace, service->namespace);

		json_object_foreach(service->selector, key, value) selected =
			selected && json_equal(json_object_get(pod->labels, key), value);
		if (!number && !strcmp(port->protocol, "TCP"))
			number = (int)json_integer_value(
				json_object_get(pod->ports, port->target_name));
		if (!selected || !number)
			continue;
		all++;
		allowed += expected(subject, true, own, pod->ip[family], port->protocol, number);
	}
	*ret_all = all;
	*ret_allowed = allowed;
}

/*
 * "pass", "drop", "defer"; NULL: either of "pass" and "defer" will do, for nobody is behind the
 * port and no policy may be there to ask.
 */
static const char *expected_of_service(const struct pod *subject, const char *own,
	const struct service *service, const char *address, const char *protocol, int number)
{
	int all, allowed;

	for (int i = 0; i < 2; i++) {
		const struct service_port *port = &service->ports[i];

		if (strcmp(port->protocol, protocol) || port->port != number)
			continue;
		ask_backends(
			subject, own, service, port, strchr(address, ':') != NULL, &all, &allowed);
		if (!all &&
			network_policies(subject, true, own, address, protocol, number) == SILENT)
			return NULL;
		return !all || (allowed && allowed < all) ? "defer" : allowed ? "pass" : "drop";
	}
	return expected(subject, true, own, address, protocol, number) ? "pass" : "drop";
}

#endif
