/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/locate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"

#define SEARCH_EVERY_MS 5000
#define SEARCHES_MAX 256

/* An address of a pod, whichever its family. */
struct pod_address {
	uint8_t family;
	const void *ip;
};

static size_t addresses_of(
	const struct bh_wanted *wanted, struct pod_address ret_addresses[2 * BH_ENDPOINT_ADDRS])
{
	size_t n = 0;

	for (uint8_t i = 0; i < wanted->n_addr4; i++)
		ret_addresses[n++] = (struct pod_address){4, &wanted->addr4[i]};
	for (uint8_t i = 0; i < wanted->n_addr6; i++)
		ret_addresses[n++] = (struct pod_address){6, wanted->addr6[i]};
	return n;
}

/* The pod that has this interface in force, if it is another one; else NULL. */
static const struct bh_pod *other_owner(const struct bh_endpoints *endpoints,
	const struct bh_pod *pod, const struct bh_place *place)
{
	const uint32_t *slot = bh_table_get(&endpoints->claimed, &place->ifindex);
	const struct bh_pod *other = slot ? bh_endpoints_of_slot(endpoints, *slot) : NULL;

	return other && strcmp(other->wanted.uid, pod->wanted.uid) &&
			       bh_place_equal(&other->place, place)
		       ? other
		       : NULL;
}

/* What is known about one address of the pod. */
struct sighting {
	const struct bh_place *place;   /* where it may be the pod's */
	const struct bh_place *second;  /* … and another such place */
	const struct bh_place *foreign; /* on an interface of `owner` */
	const struct bh_pod *owner;
};

static struct sighting look(
	const struct bh_endpoints *endpoints, const struct bh_pod *pod, struct pod_address address)
{
	const struct bh_finding *finding =
		bh_discovery_find(endpoints->discovery, address.family, address.ip);
	struct sighting seen = {};

	for (uint32_t i = 0; finding && i < finding->n; i++) {
		const struct bh_place *place = &finding->places[i];
		const struct bh_pod *owner = other_owner(endpoints, pod, place);

		if (owner) {
			seen.foreign = place;
			seen.owner = owner;
		} else if (!seen.place) {
			seen.place = place;
		} else {
			seen.second = place;
		}
	}
	/* Who is in force stays where it is, whoever else has the address now. */
	if (seen.second && pod->slot) {
		for (uint32_t i = 0; i < finding->n; i++) {
			if (finding->places[i].ifindex != pod->place.ifindex)
				continue;
			seen.foreign = seen.place == &finding->places[i] ? seen.second : seen.place;
			seen.place = &finding->places[i];
			seen.second = NULL;
			break;
		}
	}
	return seen;
}

static void name_thief(struct bh_endpoints *endpoints, const struct bh_pod *pod, const char *ip,
	const struct sighting *seen)
{
	bh_problems_add(endpoints->problems, BH_SOURCE_ENDPOINTS, "address-conflict",
		pod->wanted.name, "%s of %s is also on %s%s%s: that interface may not use it", ip,
		pod->wanted.name, seen->foreign->name, seen->owner ? ", the interface of " : "",
		seen->owner ? seen->owner->wanted.name : "");
}

/* False when the address contradicts what the location is so far. */
static bool take_sighting(struct bh_location *location, const char *ip, const struct sighting *seen)
{
	if (seen->second) {
		snprintf(location->detail, sizeof(location->detail),
			"%s is on two interfaces, %s and %s", ip, seen->place->name,
			seen->second->name);
		return false;
	}
	if (!seen->place)
		return true;
	if (location->found && !bh_place_equal(&location->place, seen->place)) {
		snprintf(location->detail, sizeof(location->detail),
			"its addresses are on two interfaces, %s and %s", location->place.name,
			seen->place->name);
		return false;
	}
	location->found = true;
	location->place = *seen->place;
	return true;
}

static void name_missing(struct bh_location *location, const char *ip)
{
	size_t used = strlen(location->detail);

	snprintf(location->detail + used, sizeof(location->detail) - used, "%s%s", used ? ", " : "",
		ip);
}

void bh_locate(
	struct bh_endpoints *endpoints, const struct bh_pod *pod, struct bh_location *ret_location)
{
	struct pod_address addresses[2 * BH_ENDPOINT_ADDRS];
	size_t n = addresses_of(&pod->wanted, addresses);
	struct bh_location location = {}, missing = {};
	const struct bh_pod *owner = NULL;

	for (size_t i = 0; i < n; i++) {
		struct sighting seen = look(endpoints, pod, addresses[i]);
		char ip[BH_IP_TEXT];

		bh_ip_text(addresses[i].family, addresses[i].ip, ip);
		if (seen.foreign)
			name_thief(endpoints, pod, ip, &seen);
		owner = seen.owner ? seen.owner : owner;
		if (!take_sighting(&location, ip, &seen)) {
			location.found = false;
			location.conflict = true;
			*ret_location = location;
			return;
		}
		if (!seen.place)
			name_missing(&missing, ip);
	}
	if (!location.found && owner) {
		location.conflict = true;
		snprintf(location.detail, sizeof(location.detail),
			"its address is on the interface of %s only", owner->wanted.name);
	} else if (!location.found) {
		snprintf(location.detail, sizeof(location.detail), "no interface has %.200s (yet)",
			missing.detail);
	} else if (missing.detail[0]) {
		snprintf(location.detail, sizeof(location.detail),
			"not on the interface (yet): %.200s", missing.detail);
	}
	*ret_location = location;
}

/* ---- Pods that are nowhere ------------------------------------------------------------------ */

static bool is_missing(const struct bh_pod *pod)
{
	return !pod->slot && pod->state != BULKHEAD__WIRE__ENDPOINT_STATE__STATE_FAILED;
}

static void take_answer(
	struct bh_endpoints *endpoints, struct bh_pod *pod, const struct bh_search *search)
{
	Bulkhead__Wire__EndpointState state =
		search->unsupported ? BULKHEAD__WIRE__ENDPOINT_STATE__STATE_UNSUPPORTED
				    : BULKHEAD__WIRE__ENDPOINT_STATE__STATE_WAITING;
	char detail[sizeof(pod->detail)], ip[BH_IP_TEXT];

	bh_ip_text(search->family, search->ip, ip);
	if (search->found)
		snprintf(detail, sizeof(detail), "%s: %.180s", ip, search->detail);
	else
		snprintf(detail, sizeof(detail), "no interface has %s (yet)", ip);
	pod->searched = true;
	if (pod->state == state && !strcmp(pod->detail, detail))
		return;
	pod->state = state;
	memcpy(pod->detail, detail, sizeof(detail));
	endpoints->version++;
}

void bh_locate_missing(struct bh_endpoints *endpoints)
{
	_cleanup_free_ struct bh_search *searches = calloc(SEARCHES_MAX, sizeof(*searches));
	_cleanup_free_ struct bh_pod **pods = calloc(SEARCHES_MAX, sizeof(*pods));
	bool new = false;
	size_t n = 0;

	if (!searches || !pods)
		return;
	for (size_t i = 0; i < endpoints->n_pods && n < SEARCHES_MAX; i++) {
		struct bh_pod *pod = &endpoints->pods[i];
		struct pod_address addresses[2 * BH_ENDPOINT_ADDRS];

		if (!is_missing(pod) || !addresses_of(&pod->wanted, addresses))
			continue;
		new |= !pod->searched;
		searches[n].family = addresses[0].family;
		memcpy(searches[n].ip, addresses[0].ip, addresses[0].family == 4 ? 4 : 16);
		pods[n++] = pod;
	}
	if (!n || (!new &&bh_now_ms() - endpoints->searched_ms < SEARCH_EVERY_MS))
		return;
	bh_search_namespaces(searches, n);
	endpoints->searched_ms = bh_now_ms();
	for (size_t i = 0; i < n; i++)
		take_answer(endpoints, pods[i], &searches[i]);
}
