/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/excerpt.h"

#include "controller/flows/edges.h"
#include "controller/flows/names.h"

void bh_excerpt_take(struct bh_excerpt *excerpt, const struct bh_api *api, unsigned int parts)
{
	excerpt->parts = parts;
	excerpt->desired = bh_desired_ref((struct bh_desired *)api->desired);
	excerpt->frozen = bh_model_freeze(api->model);
	excerpt->api = (struct bh_api){
		.desired = excerpt->desired,
		.names = bh_names_copy(api->names),
		.edges = parts & BH_EXCERPT_EDGES ? bh_edges_copy(api->edges) : NULL,
	};
}

void bh_excerpt_enter(struct bh_excerpt *excerpt)
{
	excerpt->api.model = bh_frozen_model(excerpt->frozen, excerpt->parts & BH_EXCERPT_PODS);
}

void bh_excerpt_leave(struct bh_excerpt *excerpt)
{
	bh_model_free(excerpt->api.model);
	excerpt->api.model = NULL;
}

void bh_excerpt_release(struct bh_excerpt *excerpt)
{
	bh_frozen_release(excerpt->frozen);
	bh_desired_unref(excerpt->desired);
	bh_names_free(excerpt->api.names);
	bh_edges_free(excerpt->api.edges);
	*excerpt = (struct bh_excerpt){0};
}
