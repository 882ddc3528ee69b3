/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_DISCOVER_H
#define BULKHEAD_DATAPLANE_DISCOVER_H

/*
 * From a pod's address to the host's end of its veth, whatever CNI made it.
 *
 * A veth on the host says in which network namespace its other end is (IFLA_LINK_NETNSID), and the
 * kernel answers questions about that namespace from here (IFA_TARGET_NETNSID): nobody has to enter
 * it. Both ends must be veths and name each other. Only addresses that are wanted are kept, so a
 * pod that gives itself a million of them costs no memory here.
 *
 * An address not found so is looked for by entering the namespaces there are, only to be able to
 * say why: a macvlan or an SR-IOV function has no end on the host where policy could be enforced.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/table.h"
#include "dataplane/why.h"

/* Host end and pod end of one veth pair; two of them are the same pair if all numbers agree. */
struct bh_place {
	uint32_t ifindex;    /* host end */
	uint32_t peer;       /* ifindex of the pod end, in its namespace */
	int32_t nsid;        /* of that namespace, as seen from here */
	uint8_t mac[6];      /* of the pod end */
	char name[IFNAMSIZ]; /* host end; may change without making it another pair */
};

#define BH_PLACES_MAX 4

/* Where an address is; more than one place is a conflict. */
struct bh_finding {
	uint32_t n;
	struct bh_place places[BH_PLACES_MAX];
};

struct bh_discovery;

int bh_discovery_new(struct bh_discovery **ret_discovery, struct bh_why *why);
void bh_discovery_free(struct bh_discovery *discovery);

/*
 * Looks at everything anew. `want4` (key __be32) and `want6` (16 bytes): the addresses of interest.
 * Returns 0 or -errno; then what was found before stays.
 */
int bh_discovery_scan(struct bh_discovery *discovery, const struct bh_table *want4,
	const struct bh_table *want6, struct bh_why *why);

/* What the last scan found for an address (family 4 or 6), or NULL. */
const struct bh_finding *bh_discovery_find(
	const struct bh_discovery *discovery, uint8_t family, const void *ip);

/* Was this very pair there at the last scan? */
bool bh_discovery_has(const struct bh_discovery *discovery, const struct bh_place *place);

/* Was there any interface by this index in our own namespace, whatever is behind it now? */
bool bh_discovery_exists(const struct bh_discovery *discovery, uint32_t ifindex);

/* The pair with this host end, or NULL. */
const struct bh_place *bh_discovery_at(const struct bh_discovery *discovery, uint32_t ifindex);

bool bh_place_equal(const struct bh_place *a, const struct bh_place *b);

/* The node's own addresses, loopback and link-local left out: 4 or 16 bytes each. */
struct bh_host_address {
	uint8_t family;
	uint8_t ip[16];
};
size_t bh_discovery_host_addresses(
	const struct bh_discovery *discovery, const struct bh_host_address **ret_addresses);

/* ---- Whoever is there, wanted or not -------------------------------------------------------- */

/* A veth of this namespace whose other end is in another one. Its MAC is not known yet. */
struct bh_stranger {
	struct bh_place place;
	uint32_t master; /* ifindex of its bridge, or 0 */
};

/* Lists every such veth, from one dump. *ret_list is the caller's (free()). 0 or -errno. */
int bh_discovery_strangers(
	struct bh_discovery *discovery, struct bh_stranger **ret_list, size_t *ret_n);

/* The addresses at the pod's end: the first of each family, link-local ones left out. */
struct bh_peer_addresses {
	uint8_t n4;
	uint8_t n6;
	uint8_t ip4[2][4];
	uint8_t ip6[2][16];
};

/*
 * Asks the namespace of the other end, and fills in place->mac. Returns 0, -ENODEV if no veth there
 * names this one, or -errno.
 */
int bh_discovery_ask_peer(struct bh_discovery *discovery, struct bh_place *place,
	struct bh_peer_addresses *ret_addresses);

/* Does a default route of this namespace lead out of the interface? Then it is the node's own. */
bool bh_discovery_is_way_out(struct bh_discovery *discovery, uint32_t ifindex);

/* ---- Why an address is nowhere (search.c) --------------------------------------------------- */

struct bh_search {
	uint8_t family;
	uint8_t ip[16];
	/* Answers: */
	bool found;
	bool unsupported; /* on an interface without a host side */
	char detail[192]; /* "eth0 in /run/netns/a is a macvlan: …" */
};

/* Enters every network namespace that can be found and looks for the addresses. Takes milliseconds.
 */
void bh_search_namespaces(struct bh_search *searches, size_t n);

/* ---- Events --------------------------------------------------------------------------------- */

#define BH_EVENT_LINKS (1u << 0)   /* interfaces or addresses have changed */
#define BH_EVENT_FILTERS (1u << 1) /* TC filters or XDP may have */

/* A socket that becomes readable when something changes, here or in pods' namespaces. */
int bh_discovery_listen(int *ret_fd, struct bh_why *why);

/* Reads all there is and says what it was about; lost events count as every kind. */
unsigned int bh_discovery_drain(int fd);

#endif
