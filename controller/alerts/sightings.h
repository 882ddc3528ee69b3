/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_ALERTS_SIGHTINGS_H
#define BULKHEAD_ALERTS_SIGHTINGS_H

/*
 * How many distinct things somebody was seen to try lately: for each subject (a source, or a source
 * and a destination) the last so many distinct values, with their times. Everything is bounded:
 * subjects (the one that was quiet longest makes room; outsiders, who can make up addresses, only
 * make room among themselves), and values of each.
 */

#include <stdbool.h>
#include <stdint.h>

#include "controller/model/types.h"

#define BH_SIGHTINGS_SUBJECTS 1024 /* of insiders, and of outsiders */
#define BH_SIGHTINGS_VALUES 128    /* of one subject */

/* One attempt. */
struct bh_sighting {
	uint64_t value; /* what makes it distinct */
	uint64_t time_ns;
	struct bh_ip source_ip;
	struct bh_ip ip; /* of the destination */
	uint32_t workload;
	uint16_t port;
	uint8_t protocol;
	uint8_t verdict; /* enum bh_alert_verdict */
};

struct bh_sightings;

struct bh_sightings *bh_sightings_new(uint64_t window_ns);
void bh_sightings_free(struct bh_sightings *sightings);

/*
 * Adds one. Returns how many distinct values the subject has within the window that ends now;
 * *ret_all are those, in the order in which they came, until the next call.
 */
size_t bh_sightings_add(struct bh_sightings *sightings, const char *subject, bool outside,
	const struct bh_sighting *sighting, const struct bh_sighting **ret_all);

/* Subjects that are remembered. */
size_t bh_sightings_count(const struct bh_sightings *sightings);

#endif
