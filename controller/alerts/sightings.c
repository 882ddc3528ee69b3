/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/alerts/sightings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"

struct subject {
	TAILQ_ENTRY(subject) link; /* the one that was quiet longest first */
	bool outside;
	size_t n;
	size_t capacity;
	struct bh_sighting *sightings;
	char name[];
};

TAILQ_HEAD(subject_list, subject);

struct bh_sightings {
	uint64_t window_ns;
	struct bh_table by_name;
	struct subject_list lists[2]; /* of insiders, of outsiders */
	size_t n[2];
};

struct bh_sightings *bh_sightings_new(uint64_t window_ns)
{
	struct bh_sightings *sightings = bh_xcalloc(1, sizeof(*sightings));

	sightings->window_ns = window_ns;
	for (int i = 0; i < 2; i++)
		TAILQ_INIT(&sightings->lists[i]);
	return sightings;
}

static void forget(struct bh_sightings *sightings, struct subject *subject)
{
	bh_table_remove(&sightings->by_name, subject->name, strlen(subject->name));
	TAILQ_REMOVE(&sightings->lists[subject->outside], subject, link);
	sightings->n[subject->outside]--;
	free(subject->sightings);
	free(subject);
}

void bh_sightings_free(struct bh_sightings *sightings)
{
	struct subject *subject;

	if (!sightings)
		return;
	for (int i = 0; i < 2; i++) {
		while ((subject = TAILQ_FIRST(&sightings->lists[i])))
			forget(sightings, subject);
	}
	bh_table_clear(&sightings->by_name);
	free(sightings);
}

size_t bh_sightings_count(const struct bh_sightings *sightings)
{
	return sightings->n[0] + sightings->n[1];
}

static struct subject *subject_of(struct bh_sightings *sightings, const char *name, bool outside)
{
	size_t size = strlen(name);
	struct subject *subject = bh_table_get(&sightings->by_name, name, size);

	if (subject) {
		TAILQ_REMOVE(&sightings->lists[subject->outside], subject, link);
		TAILQ_INSERT_TAIL(&sightings->lists[subject->outside], subject, link);
		return subject;
	}
	if (sightings->n[outside] >= BH_SIGHTINGS_SUBJECTS)
		forget(sightings, TAILQ_FIRST(&sightings->lists[outside]));
	subject = bh_xcalloc(1, sizeof(*subject) + size + 1);
	memcpy(subject->name, name, size);
	subject->outside = outside;
	bh_table_put(&sightings->by_name, subject->name, size, subject);
	TAILQ_INSERT_TAIL(&sightings->lists[outside], subject, link);
	sightings->n[outside]++;
	return subject;
}

/* What is too old goes, and the same value as seen before: it has come again. */
static void make_way(
	struct bh_sightings *sightings, struct subject *subject, const struct bh_sighting *sighting)
{
	uint64_t since = sighting->time_ns > sightings->window_ns
				 ? sighting->time_ns - sightings->window_ns
				 : 0;
	size_t n = 0;

	for (size_t i = 0; i < subject->n; i++) {
		if (subject->sightings[i].time_ns >= since &&
			subject->sightings[i].value != sighting->value)
			subject->sightings[n++] = subject->sightings[i];
	}
	subject->n = n;
	if (subject->n < BH_SIGHTINGS_VALUES)
		return;
	memmove(subject->sightings, subject->sightings + 1,
		(subject->n - 1) * sizeof(*subject->sightings));
	subject->n--;
}

size_t bh_sightings_add(struct bh_sightings *sightings, const char *name, bool outside,
	const struct bh_sighting *sighting, const struct bh_sighting **ret_all)
{
	struct subject *subject = subject_of(sightings, name, outside);

	make_way(sightings, subject, sighting);
	bh_xgrow(subject->sightings, subject->n, subject->capacity);
	subject->sightings[subject->n++] = *sighting;
	*ret_all = subject->sightings;
	return subject->n;
}
