/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/workload.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A CronJob's Job is named after its minute since 1970: eight digits since 1989. */
#define CRON_DIGITS_MIN 8

/* The characters a controller makes names of: no vowels, no look-alikes
 * (k8s.io/apimachinery/pkg/util/rand). */
#define HASH_ALPHABET "bcdfghjklmnpqrstvwxz2456789"

/*
 * Length of a ReplicaSet's name without what its Deployment added, or 0 if no Deployment made it.
 * The pod's label says what was added; without the label a hash is known by its alphabet.
 */
static size_t deployment_length(const char *name, const char *hash)
{
	const char *dash = strrchr(name, '-');

	if (!dash || dash == name)
		return 0;
	if (hash)
		return strcmp(dash + 1, hash) ? 0 : (size_t)(dash - name);
	size_t length = strlen(dash + 1);

	if (length < 5 || length > 10 || strspn(dash + 1, HASH_ALPHABET) != length)
		return 0;
	return (size_t)(dash - name);
}

static size_t cronjob_length(const char *name)
{
	const char *dash = strrchr(name, '-');

	if (!dash || dash == name)
		return 0;
	size_t digits = strspn(dash + 1, "0123456789");

	return digits >= CRON_DIGITS_MIN && !dash[1 + digits] ? (size_t)(dash - name) : 0;
}

struct bh_workload_name bh_workload_of(const struct bh_pod *pod)
{
	struct bh_workload_name workload = {.kind = "Pod"};
	const char *kind = pod->owner_kind, *name = pod->owner_name;
	static const char *const kept[] = {"StatefulSet", "DaemonSet", "Job",
		"ReplicationController", "ReplicaSet", "Deployment", "CronJob"};
	size_t length = 0;

	if (kind && name && !strcmp(kind, "ReplicaSet")) {
		length = deployment_length(name, bh_labels_get(pod->labels, "pod-template-hash"));
		if (length)
			workload.kind = "Deployment";
	} else if (kind && name && !strcmp(kind, "Job")) {
		length = cronjob_length(name);
		if (length)
			workload.kind = "CronJob";
	}
	for (size_t i = 0; !length && kind && name && i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (!strcmp(kind, kept[i])) {
			workload.kind = kept[i];
			length = strlen(name);
		}
	}
	/* Bare pods, static pods (owned by their Node), and owners nobody has heard of. */
	if (!length) {
		name = pod->name;
		length = strlen(name);
	}
	snprintf(workload.name, sizeof(workload.name), "%.*s", (int)length, name);
	return workload;
}
