/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the API server sends → taking out what nobody reads. What was JSON is JSON, and says the
 * same but for those fields: emptied in both trees, they are equal.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/source/prune.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void empty(json_t *parent, const char *key)
{
	json_t *value = json_object_get(parent, key);

	json_object_clear(value);
	json_array_clear(value);
}

static void empty_all(json_t *object)
{
	static const char *const spec[] = {
		"affinity", "tolerations", "topologySpreadConstraints", "volumes"};
	static const char *const container[] = {"args", "command", "env", "envFrom", "lifecycle",
		"livenessProbe", "readinessProbe", "resources", "securityContext", "startupProbe",
		"volumeMounts"};
	const char *key;
	json_t *value, *element;
	size_t i;

	empty(json_object_get(object, "metadata"), "managedFields");
	for (i = 0; i < sizeof(spec) / sizeof(spec[0]); i++)
		empty(json_object_get(object, "spec"), spec[i]);
	json_object_foreach(json_object_get(object, "spec"), key, value)
	{
		if (strlen(key) < 9 || strcmp(key + strlen(key) - 9, "ontainers"))
			continue;
		json_array_foreach(value, i, element)
		{
			for (size_t j = 0; j < sizeof(container) / sizeof(container[0]); j++)
				empty(element, container[j]);
		}
	}
	json_object_foreach(json_object_get(object, "status"), key, value)
	{
		size_t length = strlen(key);

		if (!strcmp(key, "conditions") || !strcmp(key, "images") ||
			!strcmp(key, "nodeInfo") ||
			(length >= 16 && !strcmp(key + length - 16, "ontainerStatuses")))
			empty(json_object_get(object, "status"), key);
	}
}

static void check(const uint8_t *data, size_t size, const char *inside)
{
	char *text = malloc(size + !size);

	if (size)
		memcpy(text, data, size);
	json_t *before = json_loadb(text, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	size_t n = bh_prune(text, size, inside);
	json_t *after = json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);

	if (n > size)
		abort();
	if (before) {
		empty_all(inside ? json_object_get(before, inside) : before);
		empty_all(inside ? json_object_get(after, inside) : after);
		if (!after || !json_equal(before, after))
			abort();
	}
	json_decref(before);
	json_decref(after);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size, NULL);
	check(data, size, "object");
	return 0;
}
