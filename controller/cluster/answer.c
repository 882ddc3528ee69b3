/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster/answer.h"

#include <string.h>

#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/json.h"
#include "controller/topology/text.h"

void bh_cluster_answer_free(struct bh_cluster_answer *answer)
{
	if (!answer)
		return;
	bh_arena_clear(&answer->arena);
	free(answer->error);
	free(answer);
}

struct bh_world *bh_cluster_world(const struct bh_cluster_answer *answer)
{
	struct bh_world *world = bh_world_new();

	for (size_t i = 0; i < answer->n_parties; i++) {
		const struct bh_cluster_party *party = &answer->parties[i];

		bh_world_add(world, party->number, party->namespace, party->kind, party->name);
	}
	return world;
}

/* ---- Why ------------------------------------------------------------------------------------- */

/* What an end does; NULL: it was not seen there. */
static const char *verdict_of(const struct bh_history_edge *end)
{
	if (!end)
		return NULL;
	if (bh_reason_drops(end->key.verdict))
		return bh_reason_drops(end->key.pending) ? "denied"
							 : "denied, and would be allowed,";
	return bh_reason_drops(end->key.pending) ? "allowed, and would be denied," : "allowed";
}

char *bh_cluster_text(void *data, const struct bh_conversation *conversation)
{
	const char *client = conversation->client_hidden ? NULL : verdict_of(conversation->egress);
	const char *server = conversation->server_hidden ? NULL : verdict_of(conversation->ingress);

	if (client && server && strcmp(client, server) == 0)
		return bh_xasprintf("%s at both ends", client);
	if (client && server)
		return bh_xasprintf("%s at the client's end; %s at the server's", client, server);
	if (client || server)
		return bh_xasprintf("%s at the %s end", client ? client : server,
			client ? "client's" : "server's");
	return bh_xstrdup("");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *bh_cluster_object(const struct bh_cluster_answer *answer, bool targets)
{
	json_t *nodes = json_array();
	json_t *notes = json_array();

	for (size_t i = 0; i < answer->n_nodes; i++) {
		const struct bh_cluster_node *node = &answer->nodes[i];
		json_t *object = json_object();

		bh_json_set_text(object, "name", node->name);
		json_object_set_new(object, "lastSample", bh_json_time(node->last_ns));
		json_object_set_new(object, "stale", json_boolean(node->stale));
		if (targets) {
			bh_json_set_text(object, "job", node->target.job);
			bh_json_set_text(object, "instance", node->target.instance);
		}
		json_array_append_new(nodes, object);
	}
	for (size_t i = 0; targets && i < answer->n_notes; i++)
		json_array_append_new(notes, bh_json_text(answer->notes[i]));
	return json_pack("{s:o, s:I, s:o}", "nodes", nodes, "stale", (json_int_t)answer->n_stale,
		"notes", notes);
}

char *bh_cluster_note(const struct bh_cluster_answer *answer)
{
	struct bh_text text = {0};

	for (size_t i = 0; i < answer->n_notes; i++)
		bh_text_format(&text, "%s%s", i ? "; " : "", answer->notes[i]);
	return text.data;
}
