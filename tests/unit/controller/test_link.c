/* SPDX-License-Identifier: Apache-2.0 */

/* The link against a data plane that plays a script: what is sent, when, and what comes of answers.
 */

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/compile/compile.h"
#include "controller/link/link.h"
#include "controller/link/update.h"
#include "controller/model/memory.h"
#include "proto/wire.h"

#define DEADLINE_MS 60000

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- States to want -------------------------------------------------------------------------- */

/* What a test says is wanted: addresses 10.x.y.z by number, programs and endpoints by name. */
struct wish {
	struct bh_model *model;
	struct bh_compiler *compiler;
};

static void add_pod(struct bh_model *model, const char *name, const char *app, uint32_t address)
{
	struct bh_label label = {"app", app};
	struct bh_labels labels = {.n = 1, .items = &label};
	struct bh_ip ip = {.family = 4, .ip = {10, address >> 16, address >> 8, address}};
	struct bh_pod pod = {.uid = name,
		.namespace = "shop",
		.name = name,
		.labels = &labels,
		.node_name = "here",
		.n_ips = 1,
		.ips = &ip};

	bh_model_put_pod(model, &pod);
}

static void add_policy(struct bh_model *model, const char *name, const char *spec)
{
	json_t *json = json_loads(spec, 0, NULL);
	struct bh_network_policy policy = {
		.uid = name, .namespace = "shop", .name = name, .spec = json};

	assert_non_null(json);
	bh_model_put_policy(model, &policy);
	json_decref(json);
}

static void wish_init(struct wish *wish)
{
	wish->model = bh_model_new("here", BH_MODE_ENFORCE);
	wish->compiler = bh_compiler_new();
	add_pod(wish->model, "web-1", "web", 1);
	add_pod(wish->model, "db-1", "db", 2);
	add_policy(wish->model, "db",
		"{\"podSelector\":{\"matchLabels\":{\"app\":\"db\"}},\"ingress\":[{\"from\":"
		"[{\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}}}]}]}");
}

static struct bh_desired *wish_compile(struct wish *wish)
{
	return bh_compile(wish->compiler, wish->model);
}

static void wish_end(struct wish *wish)
{
	bh_compiler_free(wish->compiler);
	bh_model_free(wish->model);
}

/* ---- The difference -------------------------------------------------------------------------- */

/* What a data plane would hold after the parts: keys as text → values as text. */
struct mirror {
	json_t *addresses;
	json_t *blocks;
	json_t *programs;
	json_t *endpoints;
	int parts;
	int lasts;
	size_t biggest;
	bool full;
	uint64_t revision;
	uint64_t base;
};

static void mirror_init(struct mirror *m)
{
	*m = (struct mirror){.addresses = json_object(),
		.blocks = json_object(),
		.programs = json_object(),
		.endpoints = json_object()};
}

static void mirror_end(struct mirror *m)
{
	json_decref(m->addresses);
	json_decref(m->blocks);
	json_decref(m->programs);
	json_decref(m->endpoints);
}

static char *hex(const ProtobufCBinaryData *bytes, unsigned int bits)
{
	char *text = bh_xcalloc(2 * bytes->len + 8, 1);

	for (size_t i = 0; i < bytes->len; i++)
		sprintf(text + 2 * i, "%02x", bytes->data[i]);
	sprintf(text + 2 * bytes->len, "/%u", bits);
	return text;
}

static void put(json_t *table, char *key, json_t *value)
{
	json_object_set_new(table, key, value);
	free(key);
}

static json_t *program_text(const Bulkhead__Wire__Program *program)
{
	json_t *entries = json_array();

	for (size_t i = 0; i < program->n_entries; i++) {
		const Bulkhead__Wire__ProgramEntry *e = program->entries[i];

		for (size_t j = 0; j < e->n_rules; j++)
			json_array_append_new(
				entries, json_pack("[b, I, i, i, i, I, b]", e->egress,
						 (json_int_t)e->class_, e->rules[j]->protocol,
						 e->rules[j]->port_lo, e->rules[j]->port_hi,
						 (json_int_t)e->rules[j]->rule, e->rules[j]->deny));
	}
	return entries;
}

static json_t *endpoint_text(const Bulkhead__Wire__Endpoint *endpoint)
{
	json_t *ips = json_array();

	for (size_t i = 0; i < endpoint->n_ips; i++) {
		char *text = hex(&endpoint->ips[i], 0);

		json_array_append_new(ips, json_string(text));
		free(text);
	}
	return json_pack("[s, o, I, I, I, i]", endpoint->name, ips, (json_int_t)endpoint->workload,
		(json_int_t)endpoint->active, (json_int_t)endpoint->pending, endpoint->hook);
}

static int mirror_part(void *data, const Bulkhead__Wire__Update *part)
{
	struct mirror *m = data;
	size_t size = bulkhead__wire__update__get_packed_size(part);

	assert_int_equal(part->part, m->parts);
	m->parts++;
	m->lasts += part->last;
	m->full = part->full;
	m->revision = part->revision;
	m->base = part->base_revision;
	if (size > m->biggest)
		m->biggest = size;
	for (size_t i = 0; i < part->n_addresses; i++)
		put(m->addresses, hex(&part->addresses[i]->ip, 0),
			json_pack("[I, I]", (json_int_t)part->addresses[i]->class_,
				(json_int_t)part->addresses[i]->workload));
	for (size_t i = 0; i < part->n_removed_addresses; i++) {
		char *key = hex(&part->removed_addresses[i], 0);

		assert_int_equal(json_object_del(m->addresses, key), 0);
		free(key);
	}
	for (size_t i = 0; i < part->n_blocks; i++)
		put(m->blocks, hex(&part->blocks[i]->ip, part->blocks[i]->bits),
			json_pack("[I, I]", (json_int_t)part->blocks[i]->class_,
				(json_int_t)part->blocks[i]->workload));
	for (size_t i = 0; i < part->n_removed_blocks; i++) {
		char *key = hex(&part->removed_blocks[i]->ip, part->removed_blocks[i]->bits);

		assert_int_equal(json_object_del(m->blocks, key), 0);
		free(key);
	}
	for (size_t i = 0; i < part->n_programs; i++)
		put(m->programs, bh_xasprintf("%u", part->programs[i]->number),
			program_text(part->programs[i]));
	for (size_t i = 0; i < part->n_removed_programs; i++) {
		char *key = bh_xasprintf("%u", part->removed_programs[i]);

		assert_int_equal(json_object_del(m->programs, key), 0);
		free(key);
	}
	for (size_t i = 0; i < part->n_endpoints; i++)
		put(m->endpoints, bh_xstrdup(part->endpoints[i]->uid),
			endpoint_text(part->endpoints[i]));
	for (size_t i = 0; i < part->n_removed_endpoints; i++)
		assert_int_equal(json_object_del(m->endpoints, part->removed_endpoints[i]), 0);
	return 0;
}

static void assert_same(const struct mirror *a, const struct mirror *b)
{
	assert_true(json_equal(a->addresses, b->addresses));
	assert_true(json_equal(a->blocks, b->blocks));
	assert_true(json_equal(a->programs, b->programs));
	assert_true(json_equal(a->endpoints, b->endpoints));
}

static void change_something(struct wish *wish, unsigned int step)
{
	static const char *const specs[] = {
		"{\"podSelector\":{},\"egress\":[{\"to\":[{\"ipBlock\":{\"cidr\":\"192.0.2.0/24\","
		"\"except\":[\"192.0.2.64/26\"]}}]}],\"policyTypes\":[\"Egress\"]}",
		"{\"podSelector\":{},\"ingress\":[{\"ports\":[{\"port\":80},{\"port\":8000,"
		"\"endPort\":8100}]}]}",
		"{\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}},\"ingress\":[]}",
	};
	char name[32];

	snprintf(name, sizeof(name), "pod-%u", (unsigned int)rand() % 12);
	switch (rand() % 5) {
	case 0:
		bh_model_remove(wish->model, name);
		break;
	case 1:
	case 2:
		add_pod(wish->model, name, rand() % 2 ? "web" : "db", 100 + rand() % 40);
		break;
	case 3:
		add_policy(wish->model, "changing", specs[rand() % 3]);
		break;
	case 4:
		bh_model_remove(wish->model, "changing");
		break;
	}
	/* Never twice the same revision. */
	snprintf(name, sizeof(name), "step-%u", step);
	add_pod(wish->model, "stepper", name, 7);
}

static void delta_equals_difference(void **state)
{
	struct wish wish;
	struct mirror followed;
	struct bh_desired *before;

	srand(7);
	wish_init(&wish);
	mirror_init(&followed);
	before = wish_compile(&wish);
	assert_int_equal(bh_update_emit(NULL, before, mirror_part, &followed), 0);
	assert_true(followed.full);
	for (unsigned int step = 0; step < 200; step++) {
		struct bh_desired *after;
		struct mirror fresh;

		change_something(&wish, step);
		after = wish_compile(&wish);
		followed.parts = 0;
		assert_int_equal(bh_update_emit(before, after, mirror_part, &followed), 0);
		assert_false(followed.full);
		assert_int_equal(followed.base, before->revision);
		assert_int_equal(followed.revision, after->revision);
		mirror_init(&fresh);
		assert_int_equal(bh_update_emit(NULL, after, mirror_part, &fresh), 0);
		assert_same(&followed, &fresh);
		mirror_end(&fresh);
		bh_desired_unref(before);
		before = after;
	}
	bh_desired_unref(before);
	mirror_end(&followed);
	wish_end(&wish);
}

static void nothing_changed_is_one_empty_part(void **state)
{
	struct wish wish;
	struct mirror m;
	struct bh_desired *desired;

	wish_init(&wish);
	mirror_init(&m);
	desired = wish_compile(&wish);
	assert_int_equal(bh_update_emit(desired, desired, mirror_part, &m), 0);
	assert_int_equal(m.parts, 1);
	assert_int_equal(m.lasts, 1);
	assert_int_equal(json_object_size(m.addresses), 0);
	bh_desired_unref(desired);
	mirror_end(&m);
	wish_end(&wish);
}

static void large_update_travels_in_parts_within_the_target(void **state)
{
	struct wish wish;
	struct mirror m;
	struct bh_desired *desired;
	char name[32];

	wish_init(&wish);
	for (unsigned int i = 0; i < 30000; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		add_pod(wish.model, name, "many", 1000 + i);
	}
	mirror_init(&m);
	desired = wish_compile(&wish);
	assert_int_equal(bh_update_emit(NULL, desired, mirror_part, &m), 0);
	assert_true(m.parts > 3);
	assert_int_equal(m.lasts, 1);
	assert_true(m.biggest <= BH_WIRE_PART_TARGET);
	assert_true(json_object_size(m.addresses) >= 30002);
	bh_desired_unref(desired);
	mirror_end(&m);
	wish_end(&wish);
}

static int failing_sink(void *data, const Bulkhead__Wire__Update *part)
{
	int *calls = data;

	(*calls)++;
	return -ENOBUFS;
}

static void stops_at_a_part_that_cannot_be_sent(void **state)
{
	struct wish wish;
	struct bh_desired *desired;
	char name[32];
	int calls = 0;

	wish_init(&wish);
	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		add_pod(wish.model, name, "many", 1000 + i);
	}
	desired = wish_compile(&wish);
	assert_int_equal(bh_update_emit(NULL, desired, failing_sink, &calls), -ENOBUFS);
	assert_int_equal(calls, 1);
	bh_desired_unref(desired);
	wish_end(&wish);
}

/* ---- The conversation ------------------------------------------------------------------------ */

struct scene {
	char folder[64];
	char path[96];
	struct wish wish;
	struct bh_wire *peer; /* the data plane's end */
	struct bh_link *link;
	int connected;
	int disconnected;
	int changed;
	int notices;
	int statuses;
	uint64_t flows;
};

static void on_connected(void *data, const char *program)
{
	((struct scene *)data)->connected++;
}
static void on_disconnected(void *data)
{
	((struct scene *)data)->disconnected++;
}
static void on_changed(void *data)
{
	((struct scene *)data)->changed++;
}
static void on_status(void *data, const Bulkhead__Wire__Status *status)
{
	((struct scene *)data)->statuses++;
}
static void on_flows(void *data, const Bulkhead__Wire__FlowBatch *batch)
{
	((struct scene *)data)->flows += batch->n_flows;
}
static void on_edges(void *data, const Bulkhead__Wire__EdgeBatch *batch)
{
}
static void on_notice(void *data, const char *text)
{
	((struct scene *)data)->notices++;
}

static const struct bh_link_events events = {
	.connected = on_connected,
	.disconnected = on_disconnected,
	.changed = on_changed,
	.status = on_status,
	.flows = on_flows,
	.edges = on_edges,
	.notice = on_notice,
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	strcpy(s->folder, "/tmp/bh-link-XXXXXX");
	if (!mkdtemp(s->folder))
		return -1;
	snprintf(s->path, sizeof(s->path), "%s/dataplane.sock", s->folder);
	wish_init(&s->wish);
	if (bh_wire_listen(s->path, geteuid(), &s->peer) < 0 ||
		bh_link_new(s->path, "here", &events, s, &s->link) < 0)
		return -1;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	bh_link_free(s->link);
	bh_wire_free(s->peer);
	wish_end(&s->wish);
	unlink(s->path);
	rmdir(s->folder);
	free(s);
	return 0;
}

static void want(struct scene *s)
{
	struct bh_desired *desired = wish_compile(&s->wish);

	bh_link_want(s->link, desired, now_ms());
	bh_desired_unref(desired);
}

/* Lets both ends run until the peer has an event, or `*until` is no longer what it was. */
static enum bh_wire_event run(
	struct scene *s, const int *until, Bulkhead__Wire__Envelope **ret_message)
{
	uint64_t end = now_ms() + DEADLINE_MS;
	int before = until ? *until : 0;
	const char *reason;

	while (now_ms() < end) {
		struct pollfd p[2] = {{.fd = bh_link_fd(s->link), .events = POLLIN},
			{.fd = s->peer ? bh_wire_fd(s->peer) : -1, .events = POLLIN}};
		enum bh_wire_event event =
			until ? BH_WIRE_NOTHING : bh_wire_receive(s->peer, ret_message, &reason);

		if (event != BH_WIRE_NOTHING)
			return event;
		bh_link_dispatch(s->link, now_ms());
		if (until && *until != before)
			return BH_WIRE_NOTHING;
		poll(p, until ? 1 : 2, 20);
	}
	fail_msg("nothing happened");
	return BH_WIRE_NOTHING;
}

static void peer_leave(struct scene *s)
{
	bh_wire_free(s->peer);
	s->peer = NULL;
}

static void peer_send(struct scene *s, Bulkhead__Wire__Envelope__BodyCase body, void *message)
{
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	envelope.body_case = body;
	envelope.hello = message; /* the union's members are all pointers */
	assert_int_equal(bh_wire_send(s->peer, &envelope), 0);
}

/* As one that has pods in force from before. */
static void peer_hello_enforcing(struct scene *s, uint32_t version, uint32_t endpoints)
{
	Bulkhead__Wire__Hello hello = BULKHEAD__WIRE__HELLO__INIT;

	hello.wire_version = version;
	hello.program = "scripted";
	hello.endpoints = endpoints;
	peer_send(s, BULKHEAD__WIRE__ENVELOPE__BODY_HELLO, &hello);
}

static void peer_hello(struct scene *s, uint32_t version)
{
	peer_hello_enforcing(s, version, 0);
}

static Bulkhead__Wire__Envelope *peer_expect(
	struct scene *s, Bulkhead__Wire__Envelope__BodyCase body)
{
	Bulkhead__Wire__Envelope *message = NULL;

	assert_int_equal(run(s, NULL, &message), BH_WIRE_MESSAGE);
	assert_int_equal(message->body_case, body);
	return message;
}

static void meet_enforcing(struct scene *s, uint32_t endpoints)
{
	Bulkhead__Wire__Envelope *message = NULL;

	assert_int_equal(run(s, NULL, &message), BH_WIRE_CONNECTED);
	message = peer_expect(s, BULKHEAD__WIRE__ENVELOPE__BODY_HELLO);
	assert_string_equal(message->hello->node, "here");
	assert_int_equal(message->hello->wire_version, BH_WIRE_VERSION);
	bh_wire_message_free(message);
	peer_hello_enforcing(s, BH_WIRE_VERSION, endpoints);
}

static void meet(struct scene *s)
{
	meet_enforcing(s, 0);
}

/* The next update, which fits one part; says if it was full, and its revision. */
static bool peer_update(struct scene *s, uint64_t *ret_revision)
{
	Bulkhead__Wire__Envelope *message = peer_expect(s, BULKHEAD__WIRE__ENVELOPE__BODY_UPDATE);
	bool full = message->update->full;

	assert_true(message->update->last);
	*ret_revision = message->update->revision;
	bh_wire_message_free(message);
	return full;
}

static void peer_ack(struct scene *s, uint64_t revision, bool ok, bool want_full, char *reason)
{
	Bulkhead__Wire__Ack ack = BULKHEAD__WIRE__ACK__INIT;

	ack.revision = revision;
	ack.ok = ok;
	ack.want_full = want_full;
	ack.reason = reason;
	peer_send(s, BULKHEAD__WIRE__ENVELOPE__BODY_ACK, &ack);
}

static void first_update_is_full_and_the_next_a_delta(void **state)
{
	struct scene *s = *state;
	uint64_t revision;
	uint64_t next;

	want(s);
	meet(s);
	assert_true(peer_update(s, &revision));
	assert_int_equal(bh_link_applied(s->link), 0);
	peer_ack(s, revision, true, false, "");
	run(s, &s->changed, NULL);
	assert_int_equal(bh_link_applied(s->link), revision);
	add_pod(s->wish.model, "new", "web", 9);
	want(s);
	assert_false(peer_update(s, &next));
	assert_true(next > revision);
}

static void while_held_an_enforcing_peer_is_told_nothing(void **state)
{
	struct scene *s = *state;
	struct bh_link_state seen;
	uint64_t revision;

	bh_link_hold(s->link, BH_LINK_HOLD_ENFORCING);
	want(s);
	meet_enforcing(s, 2);
	run(s, &s->connected, NULL);
	want(s);
	bh_link_state(s->link, &seen);
	assert_true(seen.holding);
	assert_int_equal(seen.waiting_since, 0);
	bh_link_release(s->link, now_ms());
	bh_link_state(s->link, &seen);
	assert_false(seen.holding);
	assert_true(peer_update(s, &revision));
}

static void a_held_link_tells_a_peer_that_enforces_nothing(void **state)
{
	struct scene *s = *state;
	struct bh_link_state seen;
	uint64_t revision;

	bh_link_hold(s->link, BH_LINK_HOLD_ENFORCING);
	want(s);
	meet(s);
	assert_true(peer_update(s, &revision));
	peer_ack(s, revision, true, false, "");
	run(s, &s->changed, NULL);
	/* What it enforces after its restart is what it was told from here. */
	peer_leave(s);
	run(s, &s->disconnected, NULL);
	assert_int_equal(bh_wire_listen(s->path, geteuid(), &s->peer), 0);
	meet_enforcing(s, 2);
	assert_true(peer_update(s, &revision));
	bh_link_state(s->link, &seen);
	assert_false(seen.holding);
}

static void a_link_that_holds_all_tells_nobody(void **state)
{
	struct scene *s = *state;
	struct bh_link_state seen;
	uint64_t revision;

	bh_link_hold(s->link, BH_LINK_HOLD_ALL);
	want(s);
	meet(s);
	run(s, &s->connected, NULL);
	want(s);
	bh_link_state(s->link, &seen);
	assert_true(seen.holding);
	assert_int_equal(seen.waiting_since, 0);
	bh_link_release(s->link, now_ms());
	assert_true(peer_update(s, &revision));
	bh_link_state(s->link, &seen);
	assert_false(seen.holding);
}

static void changes_while_an_update_is_under_way_are_folded_into_one(void **state)
{
	struct scene *s = *state;
	uint64_t revision;
	uint64_t next;

	want(s);
	meet(s);
	assert_true(peer_update(s, &revision));
	for (int i = 0; i < 5; i++) {
		add_pod(s->wish.model, "moving", "web", 20 + i);
		want(s);
	}
	peer_ack(s, revision, true, false, "");
	assert_false(peer_update(s, &next));
	assert_int_equal(next, bh_model_revision(s->wish.model));
}

static void refused_update_is_kept_as_a_problem_and_tried_again_in_full(void **state)
{
	struct scene *s = *state;
	struct bh_link_state seen;
	uint64_t revision;
	uint64_t again;

	want(s);
	meet(s);
	assert_true(peer_update(s, &revision));
	peer_ack(s, revision, false, false, "the table is full");
	run(s, &s->changed, NULL);
	bh_link_state(s->link, &seen);
	assert_string_equal(seen.refused, "the table is full");
	assert_int_equal(seen.refused_revision, revision);
	assert_int_equal(bh_link_applied(s->link), 0);
	assert_true(bh_link_deadline(s->link) > now_ms());
	/* A change deserves a try at once. */
	add_pod(s->wish.model, "new", "web", 9);
	want(s);
	assert_true(peer_update(s, &again));
	assert_true(again > revision);
	peer_ack(s, again, true, false, "");
	run(s, &s->changed, NULL);
	bh_link_state(s->link, &seen);
	assert_null(seen.refused);
}

static void refused_update_is_tried_again_after_a_while(void **state)
{
	struct scene *s = *state;
	uint64_t revision;
	uint64_t again;

	want(s);
	meet(s);
	peer_update(s, &revision);
	peer_ack(s, revision, false, false, "not now");
	assert_true(peer_update(s, &again));
	assert_int_equal(again, revision);
}

static void peer_that_lost_its_base_gets_everything(void **state)
{
	struct scene *s = *state;
	uint64_t revision;
	uint64_t next;

	want(s);
	meet(s);
	peer_update(s, &revision);
	peer_ack(s, revision, true, false, "");
	run(s, &s->changed, NULL);
	add_pod(s->wish.model, "new", "web", 9);
	want(s);
	assert_false(peer_update(s, &next));
	peer_ack(s, next, false, true, "the base is not here");
	assert_true(peer_update(s, &next));
}

static void reconnected_peer_gets_everything(void **state)
{
	struct scene *s = *state;
	uint64_t revision;

	want(s);
	meet(s);
	peer_update(s, &revision);
	peer_ack(s, revision, true, false, "");
	run(s, &s->changed, NULL);
	peer_leave(s);
	run(s, &s->disconnected, NULL);
	assert_int_equal(bh_link_applied(s->link), 0);
	assert_int_equal(bh_wire_listen(s->path, geteuid(), &s->peer), 0);
	meet(s);
	assert_true(peer_update(s, &revision));
}

static void other_wire_version_is_a_problem_and_gets_nothing(void **state)
{
	struct scene *s = *state;
	Bulkhead__Wire__Envelope *message = NULL;
	struct bh_link_state seen;

	want(s);
	assert_int_equal(run(s, NULL, &message), BH_WIRE_CONNECTED);
	bh_wire_message_free(peer_expect(s, BULKHEAD__WIRE__ENVELOPE__BODY_HELLO));
	peer_hello(s, BH_WIRE_VERSION + 1);
	run(s, &s->notices, NULL);
	bh_link_state(s->link, &seen);
	assert_non_null(seen.incompatible);
	assert_false(seen.connected);
	assert_int_equal(bh_link_deadline(s->link), 0);
}

static void refusal_of_a_message_counts_as_a_refused_update(void **state)
{
	struct scene *s = *state;
	Bulkhead__Wire__Refusal refusal = BULKHEAD__WIRE__REFUSAL__INIT;
	struct bh_link_state seen;
	uint64_t revision;

	want(s);
	meet(s);
	peer_update(s, &revision);
	refusal.reason = "what is this";
	peer_send(s, BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL, &refusal);
	run(s, &s->changed, NULL);
	bh_link_state(s->link, &seen);
	assert_non_null(strstr(seen.refused, "what is this"));
	assert_int_equal(seen.garbage, 1);
	assert_true(peer_update(s, &revision));
}

static void stale_and_foreign_messages_change_nothing(void **state)
{
	struct scene *s = *state;
	Bulkhead__Wire__Update update = BULKHEAD__WIRE__UPDATE__INIT;
	uint64_t revision;

	want(s);
	meet(s);
	peer_update(s, &revision);
	peer_ack(s, revision + 100, true, false, "");
	peer_ack(s, 0, true, false, "");
	peer_send(s, BULKHEAD__WIRE__ENVELOPE__BODY_UPDATE, &update);
	run(s, &s->notices, NULL);
	assert_int_equal(bh_link_applied(s->link), 0);
	peer_ack(s, revision, true, false, "");
	run(s, &s->changed, NULL);
	assert_int_equal(bh_link_applied(s->link), revision);
}

static void answered_request_is_known_by_its_token(void **state)
{
	struct scene *s = *state;
	Bulkhead__Wire__Envelope *message;
	uint64_t first;
	uint64_t second;

	assert_int_equal(bh_link_refresh(s->link), 0);
	meet(s);
	run(s, &s->connected, NULL);
	first = bh_link_refresh(s->link);
	second = bh_link_refresh(s->link);
	assert_true(first > 0 && second > first);
	message = peer_expect(s, BULKHEAD__WIRE__ENVELOPE__BODY_STATUS_REQUEST);
	assert_int_equal(message->status_request->token, first);
	assert_int_equal(bh_link_refreshed(s->link), 0);
	peer_send(s, BULKHEAD__WIRE__ENVELOPE__BODY_STATUS_REQUEST, message->status_request);
	bh_wire_message_free(message);
	while (bh_link_refreshed(s->link) != first)
		bh_link_dispatch(s->link, now_ms());
}

static void status_is_kept_and_forgotten_with_the_connection(void **state)
{
	struct scene *s = *state;
	Bulkhead__Wire__EndpointStatus endpoint = BULKHEAD__WIRE__ENDPOINT_STATUS__INIT;
	Bulkhead__Wire__EndpointStatus *list[] = {&endpoint};
	Bulkhead__Wire__Status status = BULKHEAD__WIRE__STATUS__INIT;

	meet(s);
	endpoint.uid = "web-1";
	endpoint.state = BULKHEAD__WIRE__ENDPOINT_STATE__STATE_ATTACHED;
	endpoint.interface = "veth0";
	status.n_endpoints = 1;
	status.endpoints = list;
	peer_send(s, BULKHEAD__WIRE__ENVELOPE__BODY_STATUS, &status);
	run(s, &s->statuses, NULL);
	assert_non_null(bh_link_endpoint(s->link, "web-1"));
	assert_string_equal(bh_link_endpoint(s->link, "web-1")->interface, "veth0");
	assert_null(bh_link_endpoint(s->link, "web"));
	peer_leave(s);
	run(s, &s->disconnected, NULL);
	assert_null(bh_link_endpoint(s->link, "web-1"));
	assert_int_equal(bh_wire_listen(s->path, geteuid(), &s->peer), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delta_equals_difference),
		cmocka_unit_test(nothing_changed_is_one_empty_part),
		cmocka_unit_test(large_update_travels_in_parts_within_the_target),
		cmocka_unit_test(stops_at_a_part_that_cannot_be_sent),
		TEST(first_update_is_full_and_the_next_a_delta),
		TEST(while_held_an_enforcing_peer_is_told_nothing),
		TEST(a_held_link_tells_a_peer_that_enforces_nothing),
		TEST(a_link_that_holds_all_tells_nobody),
		TEST(changes_while_an_update_is_under_way_are_folded_into_one),
		TEST(refused_update_is_kept_as_a_problem_and_tried_again_in_full),
		TEST(refused_update_is_tried_again_after_a_while),
		TEST(peer_that_lost_its_base_gets_everything),
		TEST(reconnected_peer_gets_everything),
		TEST(other_wire_version_is_a_problem_and_gets_nothing),
		TEST(refusal_of_a_message_counts_as_a_refused_update),
		TEST(stale_and_foreign_messages_change_nothing),
		TEST(answered_request_is_known_by_its_token),
		TEST(status_is_kept_and_forgotten_with_the_connection),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
