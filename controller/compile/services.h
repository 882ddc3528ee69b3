/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_SERVICES_H
#define BULKHEAD_COMPILE_SERVICES_H

/*
 * Services in the compilation. What a pod sends to a service's address is seen before the address
 * becomes a backend's, so the address answers for the backends. It has a class of its own, named by
 * what can make a difference: the class the address had without the service, and for each of the
 * service's ports the set of what may be behind it. How many backends there are makes none.
 *
 * A program's entry for such a class is worked out from the entries it has for the backends'.
 */

#include "controller/compile/desired.h"
#include "controller/model/arena.h"
#include "controller/model/model.h"
#include "controller/model/table.h"

/*
 * More ports than this at one address are not told apart: all that is sent there is judged where
 * the address is rewritten. Every port may take a rule in every program, and services are made by
 * whoever may make them.
 */
#define BH_SERVICE_PORTS_MAX 128

/* What may be behind a service's port: some class of peers, and the port they are asked at. */
struct bh_service_target {
	uint32_t class;
	uint8_t protocol;
	uint16_t port;
};

struct bh_service_class_port {
	uint8_t protocol;
	uint16_t port;
	/* Sorted, distinct. None: nobody is known to be there, or two services claim the port. */
	size_t n_targets;
	const struct bh_service_target *targets;
	const uint32_t *places; /* where those stand among all the compilation's */
};

struct bh_service_class {
	uint32_t number;
	uint32_t base; /* what the address would be if it were no service's */
	bool outside;  /* the world knows an address too: packets may come from it */
	bool too_many; /* its ports are not told apart, and there are none here */
	size_t n_ports;
	const struct bh_service_class_port *ports; /* sorted by protocol and port, distinct */
	size_t references;                         /* addresses that are of it */
	size_t n_outside;                          /* of these, such as the world knows */
	bool touched; /* by the step under way: there was and is another number of them */
	bool counted; /* before it there were some, … */
	bool counted_outside;
};

/* A service that has the address. */
struct bh_claim {
	struct bh_ip ip;
	const struct bh_service *service;
	bool outside; /* not as a cluster's address */
};

struct bh_services {
	size_t n_claims;
	struct bh_claim *claims; /* sorted by address; the first of each names it */
	size_t n_by_name;
	const struct bh_service **by_name; /* all, sorted by namespace and name */
	size_t n_targets;
	struct bh_service_target *targets; /* of all classes, sorted, distinct */
	size_t n;
	size_t capacity;
	struct bh_service_class **classes; /* those that some address is of */
	struct bh_table by_number;         /* all that ever were */
	bool indexed;                      /* `classes` and `targets` are what they are now */
};

/* Lists the classes in use and their targets, in the arena. */
void bh_services_index(struct bh_services *services, struct bh_arena *arena);
/* The same for these classes alone. Whoever needs all of them then has to index them again. */
void bh_services_index_some(struct bh_services *some, struct bh_arena *arena);

void bh_services_clear(struct bh_services *services);

/*
 * What a program needs besides `entries` (all it has so far, sorted) so that it is right for
 * services: entries for their classes where these differ from the one for any class. `isolated` has
 * the program's isolation bits. The result is in the arena.
 */
size_t bh_services_entries(const struct bh_services *services, struct bh_arena *arena,
	uint32_t isolated, const struct bh_desired_entry *entries, size_t n_entries,
	const struct bh_desired_entry **ret_entries);

#endif
