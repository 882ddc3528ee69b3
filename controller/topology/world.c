/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/model/arena.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/topology/world.h"
#include "proto/cleanup.h"

struct bh_world {
	struct bh_arena arena;
	struct bh_table parties;    /* number → party */
	struct bh_table namespaces; /* name with its zero → party */
};

struct bh_world *bh_world_new(void)
{
	return bh_xcalloc(1, sizeof(struct bh_world));
}

void bh_world_free(struct bh_world *world)
{
	struct bh_party *party;

	if (!world)
		return;
	for (size_t at = 0; (party = bh_table_next(&world->parties, &at));)
		free(party->labels);
	bh_table_clear(&world->parties);
	bh_table_clear(&world->namespaces);
	bh_arena_clear(&world->arena);
	free(world);
}

static struct bh_party *make(struct bh_world *world, uint32_t number, const char *namespace,
	const char *kind, const char *name, const char *id)
{
	struct bh_party *party = bh_arena_new(&world->arena, struct bh_party);

	*party = (struct bh_party){
		.number = number,
		.id = bh_arena_strdup(&world->arena, id),
		.namespace = bh_arena_strdup(&world->arena, namespace),
		.kind = bh_arena_strdup(&world->arena, kind),
		.name = bh_arena_strdup(&world->arena, name),
	};
	return party;
}

struct bh_party *bh_world_find(const struct bh_world *world, uint32_t number)
{
	return bh_table_get(&world->parties, &number, sizeof(number));
}

struct bh_party *bh_world_add(struct bh_world *world, uint32_t number, const char *namespace,
	const char *kind, const char *name)
{
	struct bh_party *party = bh_world_find(world, number);
	_cleanup_free_ char *id = NULL;

	if (party)
		return party;
	id = bh_xasprintf("%s%s%s/%s", namespace, *namespace ? "/" : "", kind, name);
	party = make(world, number, namespace, kind, name, id);
	bh_table_put(&world->parties, &party->number, sizeof(party->number), party);
	return party;
}

struct bh_party *bh_world_add_pod(struct bh_world *world, uint32_t number, const char *namespace,
	const char *kind, const char *name)
{
	struct bh_party *party = bh_world_find(world, number);
	_cleanup_free_ char *id = NULL;

	if (party)
		return party;
	id = bh_xasprintf("pod:%s/%s", namespace, name);
	party = make(world, number, namespace, kind, name, id);
	party->is_pod = true;
	bh_table_put(&world->parties, &party->number, sizeof(party->number), party);
	return party;
}

struct bh_party *bh_world_party(struct bh_world *world, uint32_t number)
{
	struct bh_party *party = bh_world_find(world, number);
	char name[32];

	if (party)
		return party;
	snprintf(name, sizeof(name), "unknown-%08x", number);
	return bh_world_add(world, number, "", "Unknown", name);
}

/* Names only itself: what lies in the namespace cannot be guessed from it. FNV-1a. */
static uint32_t number_of(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

struct bh_party *bh_world_namespace(struct bh_world *world, const char *name)
{
	struct bh_party *party = bh_table_get(&world->namespaces, name, strlen(name) + 1);
	_cleanup_free_ char *id = NULL;

	if (party)
		return party;
	id = bh_xasprintf("ns:%s", name);
	party = make(world, number_of(id), name, "Namespace", name, id);
	party->is_namespace = true;
	bh_table_put(&world->namespaces, party->namespace, strlen(name) + 1, party);
	return party;
}

void bh_party_add_labels(struct bh_party *party, const struct bh_labels *labels)
{
	for (size_t i = 0; i < party->n_labels; i++) {
		if (party->labels[i]->id == labels->id)
			return;
	}
	bh_xgrow(party->labels, party->n_labels, party->capacity);
	party->labels[party->n_labels++] = labels;
}

const struct bh_party *bh_world_next(const struct bh_world *world, size_t *position)
{
	return bh_table_next(&world->parties, position);
}
