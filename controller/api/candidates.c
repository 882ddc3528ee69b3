/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "controller/api/candidates.h"
#include "controller/api/common.h"
#include "controller/model/memory.h"
#include "controller/source/yaml.h"

void bh_candidates_clear(struct bh_candidates *candidates)
{
	bh_object_list_clear(&candidates->objects);
	bh_arena_clear(&candidates->arena);
	json_decref(candidates->documents);
	json_decref(candidates->skipped);
	free(candidates->changes);
	*candidates = (struct bh_candidates){0};
}

/* A ClusterNetworkPolicy is about everybody. */
static bool may_try(const struct bh_sight *sight, const char *namespace)
{
	return !sight || (*namespace && bh_sight_sees(sight, namespace));
}

static json_t *not_yours(const char *file, const char *name)
{
	return bh_api_forbidden(
		"%s%s%s is not of the token's namespaces", file, *file ? ": " : "", name);
}

/* The last one of a name counts, as it would when applied. */
static json_t *add_change(struct bh_candidates *candidates, const struct bh_replay_change *added)
{
	for (size_t i = 0; i < candidates->n; i++) {
		struct bh_replay_change *change = &candidates->changes[i];

		if (!strcmp(change->namespace, added->namespace) &&
			!strcmp(change->name, added->name)) {
			*change = *added;
			return NULL;
		}
	}
	if (candidates->n == BH_CANDIDATES_MAX)
		return bh_control_error("more than %d policies to try", BH_CANDIDATES_MAX);
	bh_xgrow(candidates->changes, candidates->n, candidates->capacity);
	candidates->changes[candidates->n++] = *added;
	return NULL;
}

/* Takes the policies of what was read from one file, from `first` on. */
static json_t *take_policies(struct bh_candidates *candidates, const char *name, size_t first,
	const struct bh_sight *sight)
{
	size_t policies = 0;

	for (size_t i = first; i < candidates->objects.n; i++) {
		const struct bh_object *object = &candidates->objects.items[i];
		const struct bh_network_policy *policy = &object->policy;
		json_t *error;

		if (object->kind != BH_OBJECT_POLICY && object->kind != BH_OBJECT_CLUSTER_POLICY)
			continue;
		if (!may_try(sight, policy->namespace))
			return not_yours(name, object->name);
		/* Without a spec it is invalid, and not a removal. */
		if (!policy->spec)
			return bh_control_error("%s: %s has no spec", name, object->name);
		error = add_change(candidates, &(struct bh_replay_change){policy->namespace,
						       policy->name, policy->mode, policy->spec});
		if (error)
			return error;
		policies++;
	}
	if (!policies)
		json_array_append_new(candidates->skipped, json_string(name));
	return NULL;
}

static json_t *read_manifest(
	struct bh_candidates *candidates, const json_t *manifest, const struct bh_sight *sight)
{
	const char *name = json_string_value(json_object_get(manifest, "name"));
	const json_t *text = json_object_get(manifest, "text");
	struct bh_text_error at = {0};
	size_t before = candidates->objects.n;
	json_t *documents;

	if (!name || !json_is_string(text))
		return bh_control_error("'manifests' is no list of names and texts");
	documents = bh_yaml_parse(json_string_value(text), json_string_length(text), &at);
	if (!documents)
		return bh_control_error("%s: line %zu: %s", name, at.line, at.text);
	json_array_append_new(candidates->documents, documents);
	for (size_t i = 0; i < json_array_size(documents); i++) {
		struct bh_fault fault = {0};

		if (!bh_object_decode(json_array_get(documents, i), &candidates->arena, &fault,
			    &candidates->objects))
			return bh_control_error("%s: %s", name, fault.text);
	}
	if (candidates->objects.n_foreign)
		return bh_control_error("%s: %s", name, candidates->objects.foreign[0].text);
	return take_policies(candidates, name, before, sight);
}

/* "NetworkPolicy/shop/web" or "ClusterNetworkPolicy/base". */
static json_t *read_removal(struct bh_candidates *candidates, const struct bh_model *model,
	const json_t *removal, const struct bh_sight *sight)
{
	static const char of_namespace[] = "NetworkPolicy/", of_cluster[] = "ClusterNetworkPolicy/";
	const char *text = json_string_value(removal), *namespace = "", *name;
	char *slash;

	if (!text)
		return bh_control_error("'delete' is no list of names");
	if (!strncasecmp(text, of_cluster, strlen(of_cluster))) {
		name = bh_arena_strdup(&candidates->arena, text + strlen(of_cluster));
	} else {
		namespace = bh_arena_strdup(&candidates->arena,
			text + (strncasecmp(text, of_namespace, strlen(of_namespace))
					       ? 0
					       : strlen(of_namespace)));
		slash = strchr(namespace, '/');
		if (!slash || slash == namespace)
			return bh_control_error("'%s' names no policy: write "
						"NetworkPolicy/namespace/name or "
						"ClusterNetworkPolicy/name",
				text);
		*slash = '\0';
		name = slash + 1;
	}
	/* Whether there is one is told to those who may see it. */
	if (!may_try(sight, namespace))
		return not_yours("", text);
	if (!*name || strchr(name, '/') || !bh_replay_has_policy(model, namespace, name))
		return bh_control_error("there is no policy %s", text);
	return add_change(candidates, &(struct bh_replay_change){namespace, name, NULL, NULL});
}

static json_t *nothing_to_try(const struct bh_candidates *candidates)
{
	size_t n = json_array_size(candidates->skipped);

	if (!n)
		return bh_control_error("there is no policy to try: name a file, or --delete");
	return bh_control_error("%s: there is no NetworkPolicy or ClusterNetworkPolicy in it%s",
		json_string_value(json_array_get(candidates->skipped, 0)),
		n > 1 ? ", nor in the others" : "");
}

json_t *bh_candidates_read(struct bh_candidates *candidates, const struct bh_model *model,
	const json_t *request, const struct bh_sight *sight)
{
	const json_t *manifests = json_object_get(request, "manifests");
	const json_t *removals = json_object_get(request, "delete");
	json_t *error = NULL;
	const json_t *item;
	size_t i;

	candidates->documents = json_array();
	candidates->skipped = json_array();
	if (json_array_size(manifests) + json_array_size(removals) > BH_CANDIDATE_FILES_MAX)
		return bh_control_error("more than %d files and removals", BH_CANDIDATE_FILES_MAX);
	json_array_foreach(manifests, i, item)
	{
		error = read_manifest(candidates, item, sight);
		if (error)
			return error;
	}
	json_array_foreach(removals, i, item)
	{
		error = read_removal(candidates, model, item, sight);
		if (error)
			return error;
	}
	return candidates->n ? NULL : nothing_to_try(candidates);
}
