/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cluster/cluster.h"

#include <string.h>

#include "controller/model/memory.h"
#include "proto/cleanup.h"

/* Taking one apart takes some ten times as much for a moment: a controller lives within limits. */
#define ANSWER_MAX (8u << 20)
#define TOTAL_MS 45000

struct slot {
	struct bh_cluster *cluster;
	uint64_t ticket; /* 0: never used */
	struct bh_cluster_window window;
	char *edge; /* NULL: the graph */
	bool open;
	unsigned int users;
	uint64_t made_ms;                 /* when it was asked for */
	struct bh_cluster_fetch *fetch;   /* while it is under way */
	struct bh_cluster_answer *answer; /* then */
};

struct bh_cluster {
	uv_loop_t *loop;
	const struct bh_cluster_source *source;
	void (*changed)(void *data);
	void *data;
	uint64_t last_ticket;
	struct slot slots[BH_CLUSTER_SURVEYS];
};

/* ---- Surveys --------------------------------------------------------------------------------- */

static void on_done(void *data, struct bh_cluster_answer *answer)
{
	struct slot *slot = data;

	slot->fetch = NULL;
	slot->answer = answer;
	slot->cluster->changed(slot->cluster->data);
}

static void clear(struct slot *slot)
{
	bh_cluster_fetch_cancel(slot->fetch);
	bh_cluster_answer_free(slot->answer);
	slot->fetch = NULL;
	free(slot->edge);
	slot->edge = NULL;
	slot->answer = NULL;
	slot->ticket = 0;
}

/* True if it answers the question, too. What failed is tried again. */
static bool serves(const struct slot *slot, const struct bh_cluster_window *window,
	const char *edge, bool open)
{
	uint64_t age = uv_now(slot->cluster->loop) - slot->made_ms;

	if (!slot->ticket || slot->open != open || strcmp(slot->edge ?: "", edge ?: "") != 0 ||
		(slot->answer && (slot->answer->error || age > BH_CLUSTER_KEEP_MS)))
		return false;
	if (open)
		return slot->window.to_s - slot->window.from_s == window->to_s - window->from_s;
	return slot->window.from_s == window->from_s && slot->window.to_s == window->to_s;
}

/* The one that has been unused for longest, or NULL. */
static struct slot *find_free(struct bh_cluster *cluster)
{
	struct slot *best = NULL;

	for (int i = 0; i < BH_CLUSTER_SURVEYS; i++) {
		struct slot *slot = &cluster->slots[i];

		if (!slot->users && !slot->fetch && (!best || slot->made_ms < best->made_ms))
			best = slot;
	}
	return best;
}

uint64_t bh_cluster_ask(struct bh_cluster *cluster, const struct bh_cluster_window *window,
	const char *edge, bool open)
{
	struct slot *slot = NULL;

	for (int i = 0; i < BH_CLUSTER_SURVEYS && !slot; i++) {
		if (serves(&cluster->slots[i], window, edge, open))
			slot = &cluster->slots[i];
	}
	if (slot) {
		slot->users++;
		return slot->ticket;
	}
	slot = find_free(cluster);
	if (!slot)
		return 0;
	clear(slot);
	uv_update_time(cluster->loop);
	slot->window = *window;
	slot->edge = edge ? bh_xstrdup(edge) : NULL;
	slot->open = open;
	slot->made_ms = uv_now(cluster->loop);
	slot->fetch =
		bh_cluster_fetch_begin(cluster->loop, cluster->source, window, edge, on_done, slot);
	if (!slot->fetch)
		return 0;
	slot->users = 1;
	slot->ticket = ++cluster->last_ticket;
	return slot->ticket;
}

static const struct slot *find_slot(const struct bh_cluster *cluster, uint64_t ticket)
{
	for (int i = 0; i < BH_CLUSTER_SURVEYS; i++) {
		if (cluster->slots[i].ticket == ticket)
			return &cluster->slots[i];
	}
	return NULL;
}

const struct bh_cluster_window *bh_cluster_window(const struct bh_cluster *cluster, uint64_t ticket)
{
	const struct slot *slot = find_slot(cluster, ticket);

	return slot ? &slot->window : NULL;
}

const struct bh_cluster_answer *bh_cluster_answer(const struct bh_cluster *cluster, uint64_t ticket)
{
	const struct slot *slot = find_slot(cluster, ticket);

	return slot ? slot->answer : NULL;
}

void bh_cluster_release(struct bh_cluster *cluster, uint64_t ticket)
{
	for (int i = 0; i < BH_CLUSTER_SURVEYS; i++) {
		if (cluster->slots[i].ticket == ticket)
			cluster->slots[i].users--;
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct bh_cluster *bh_cluster_new(uv_loop_t *loop, const struct bh_cluster_source *source,
	void (*changed)(void *data), void *data)
{
	struct bh_cluster *cluster;

	if (!source->url)
		return NULL;
	cluster = bh_xcalloc(1, sizeof(*cluster));
	cluster->loop = loop;
	cluster->source = source;
	cluster->changed = changed;
	cluster->data = data;
	for (int i = 0; i < BH_CLUSTER_SURVEYS; i++)
		cluster->slots[i].cluster = cluster;
	return cluster;
}

void bh_cluster_free(struct bh_cluster *cluster)
{
	for (int i = 0; cluster && i < BH_CLUSTER_SURVEYS; i++)
		clear(&cluster->slots[i]);
	free(cluster);
}

/* ---- Options --------------------------------------------------------------------------------- */

const struct bh_cluster_source bh_cluster_defaults = {
	.answer_max = ANSWER_MAX,
	.total_ms = TOTAL_MS,
};

enum {
	OPTION_CLUSTER = 2048, /* behind the parent's, and the exporters' */
	OPTION_TOKEN,
	OPTION_LOGIN,
	OPTION_CA,
	OPTION_TENANT,
	OPTION_MATCH,
};

static const struct argp_option argp_options[] = {
	{0, 0, 0, 0, "The cluster:", 0},
	{"cluster", OPTION_CLUSTER, "prometheus=URL", 0,
		"The Prometheus that scrapes all nodes: the page shows the cluster's graph, too",
		0},
	{"cluster-token", OPTION_TOKEN, "FILE", 0, "Its token, sent as a bearer", 0},
	{"cluster-login", OPTION_LOGIN, "FILE", 0, "Its USER:PASSWORD", 0},
	{"cluster-ca", OPTION_CA, "FILE", 0, "Certificates to trust instead of the system's", 0},
	{"cluster-tenant", OPTION_TENANT, "NAME", 0, "X-Scope-OrgID, for Mimir", 0},
	{"cluster-match", OPTION_MATCH, "LABEL=VALUE,...", 0, "Only series with these labels", 0},
	{0},
};

static void check(const struct bh_cluster_source *source, struct argp_state *state)
{
	_cleanup_free_ char *wrong = NULL;

	if (!source->url) {
		if (source->token || source->login || source->ca || source->tenant || source->match)
			argp_error(state, "--cluster-… needs --cluster");
		return;
	}
	wrong = bh_cluster_source_check(source);
	if (wrong)
		argp_error(state, "--cluster: %s", wrong);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct bh_cluster_source *source = state->input;

	switch (key) {
	case OPTION_CLUSTER:
		source->url = bh_cluster_url(argument);
		if (!source->url)
			argp_error(state, "--cluster '%s' is not like prometheus=http://HOST:9090",
				argument);
		break;
	case OPTION_TOKEN:
		source->token = argument;
		break;
	case OPTION_LOGIN:
		source->login = argument;
		break;
	case OPTION_CA:
		source->ca = argument;
		break;
	case OPTION_TENANT:
		source->tenant = argument;
		break;
	case OPTION_MATCH:
		source->match = argument;
		break;
	case ARGP_KEY_END:
		check(source, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp bh_cluster_argp = {
	.options = argp_options,
	.parser = parse_option,
};
