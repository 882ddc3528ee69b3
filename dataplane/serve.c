/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/cleanup.h"
#include "proto/log.h"
#include "dataplane/seed.h"

#define STATUS_EVERY_MS 5000

static void plan_cleanup(struct bh_plan **plan)
{
	bh_plan_free(*plan);
}

static void change_cleanup(struct bh_change **change)
{
	bh_change_free(*change);
}

void bh_serve_init(struct bh_serve *serve, const struct bh_status_sources *sources,
	struct bh_events *events, struct bh_wire *wire)
{
	*serve = (struct bh_serve){.sources = *sources, .events = events, .wire = wire};
	/* Maps that were there before have seen every connection since. */
	serve->seeded = !sources->object->fresh;
	if (getrandom(&serve->instance, sizeof(serve->instance), 0) < 0)
		serve->instance = bh_now_ms();
}

void bh_serve_fini(struct bh_serve *serve)
{
	bh_staging_reset(&serve->staging);
}

struct bh_wire *bh_serve_peer(const struct bh_serve *serve)
{
	return bh_wire_connected(serve->wire) && !serve->foreign ? serve->wire : NULL;
}

/* ---- Saying --------------------------------------------------------------------------------- */

static void send_message(
	struct bh_serve *serve, const Bulkhead__Wire__Envelope *envelope, const char *what)
{
	int err = bh_wire_send(serve->wire, envelope);

	if (err < 0 && err != -ENOTCONN)
		bh_warning("the controller does not get %s: %s", what, strerror(-err));
}

static uint32_t count_endpoints(const struct bh_object *object)
{
	uint32_t n = 0;

	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX; slot++)
		n += object->endpoints[slot].epoch != 0;
	return n;
}

static void say_hello(struct bh_serve *serve)
{
	Bulkhead__Wire__Hello hello = BULKHEAD__WIRE__HELLO__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	hello.wire_version = BH_WIRE_VERSION;
	hello.program = (char *)"bulkhead-dataplane " BH_VERSION;
	hello.instance = serve->instance;
	hello.applied = serve->applied;
	hello.endpoints = count_endpoints(serve->sources.object);
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	send_message(serve, &envelope, "the greeting");
}

static void refuse(struct bh_serve *serve, const char *reason)
{
	Bulkhead__Wire__Refusal refusal = BULKHEAD__WIRE__REFUSAL__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	bh_warning("the controller's message was refused: %s", reason);
	refusal.reason = (char *)reason;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL;
	envelope.refusal = &refusal;
	send_message(serve, &envelope, "a refusal");
}

static void acknowledge(
	struct bh_serve *serve, uint64_t revision, int err, const struct bh_why *why)
{
	Bulkhead__Wire__Ack ack = BULKHEAD__WIRE__ACK__INIT;
	Bulkhead__Wire__Envelope envelope = BULKHEAD__WIRE__ENVELOPE__INIT;

	ack.revision = revision;
	ack.ok = err == 0;
	ack.reason = (char *)(err ? why->text : "");
	ack.want_full = err == -ESTALE || serve->sources.tables->dirty;
	envelope.body_case = BULKHEAD__WIRE__ENVELOPE__BODY_ACK;
	envelope.ack = &ack;
	send_message(serve, &envelope, "an acknowledgement");
	if (err && err != -ESTALE)
		bh_warning("revision %" PRIu64 " was refused: %s", revision, why->text);
}

static void log_problems(struct bh_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		struct bh_problem *problem = &problems->list[i];

		if (!problem->told)
			bh_warning("%s: %s", problem->code, problem->text);
		problem->told = true;
	}
}

static uint64_t version_now(const struct bh_serve *serve)
{
	return serve->sources.endpoints->version + serve->sources.problems->version +
	       (serve->sources.hold ? serve->sources.hold->version : 0) +
	       (serve->sources.leaving ? serve->sources.leaving->version : 0);
}

static void send_status(struct bh_serve *serve)
{
	int err;

	serve->status_version = version_now(serve);
	serve->status_ms = bh_now_ms();
	if (!bh_serve_peer(serve))
		return;
	err = bh_status_send(&serve->sources, serve->applied, serve->wire);
	if (err < 0 && err != -ENOTCONN)
		bh_warning("the controller does not get a status: %s", strerror(-err));
}

void bh_serve_status(struct bh_serve *serve)
{
	bh_problems_expire(serve->sources.problems);
	log_problems(serve->sources.problems);
	if (version_now(serve) != serve->status_version ||
		bh_now_ms() - serve->status_ms >= STATUS_EVERY_MS)
		send_status(serve);
}

/* ---- Applying ------------------------------------------------------------------------------- */

static int check_base(struct bh_serve *serve, const struct bh_change *change, struct bh_why *why)
{
	struct bh_tables *tables = serve->sources.tables;

	if (change->full)
		return tables->dirty ? bh_tables_recover(tables, why) : 0;
	if (!serve->applied || change->base != serve->applied)
		return bh_fail(why, -ESTALE,
			"update %" PRIu64 " changes revision %" PRIu64 ", but %" PRIu64
			" is in force: send a full update",
			change->revision, change->base, serve->applied);
	if (tables->dirty)
		return bh_fail(
			why, -ESTALE, "an earlier update ended half-way: send a full update");
	return 0;
}

/* Once, with new maps: before the first pod is judged, after its address is known. */
static void seed_once(struct bh_serve *serve)
{
	struct bh_endpoints *endpoints = serve->sources.endpoints;
	struct bh_why why = {};
	size_t n = 0;
	int err;

	if (serve->seeded)
		return;
	serve->seeded = true;
	err = bh_seed(serve->sources.object, &endpoints->want4, &endpoints->want6, &n, &why);
	if (!err)
		bh_info("%zu connections taken over from the kernel's connection tracking", n);
	else
		bh_info("no connections taken over: %s; those that are open are judged "
			"as if they began now",
			why.text);
}

static int apply_plan(
	struct bh_serve *serve, struct bh_plan *plan, struct bh_pods *next, struct bh_why *why)
{
	struct bh_tables *tables = serve->sources.tables;
	struct bh_endpoints *endpoints = serve->sources.endpoints;
	struct bh_leaving *leaving = serve->sources.leaving;
	bool full = plan->change->full;
	int err = leaving ? bh_leaving_prepare(leaving, plan->change, why) : 0;

	if (!err)
		err = bh_tables_apply(tables, plan, why);
	if (err < 0)
		return err;
	if (bh_endpoints_want(endpoints, next) == 0)
		seed_once(serve);
	bh_endpoints_commit(endpoints, next, full);
	err = bh_tables_finish(tables, plan, why);
	if (!err && full && !serve->swept) {
		bh_attach_sweep(serve->sources.attach);
		serve->swept = true;
	}
	return err;
}

int bh_serve_apply(struct bh_serve *serve, struct bh_change *change, struct bh_why *why)
{
	_cleanup_(plan_cleanup) struct bh_plan *plan = NULL;
	_cleanup_free_ struct bh_switch *switches = NULL;
	struct bh_endpoints *endpoints = serve->sources.endpoints;
	struct bh_pods next = {};
	size_t n = 0;
	int err = check_base(serve, change, why);

	if (!err)
		err = bh_pods_stage(endpoints, change, &next, why);
	if (err < 0)
		return err;
	err = bh_pods_switches(&next, &switches, &n);
	if (!err)
		err = bh_tables_plan(serve->sources.tables, change, switches, n, &plan, why);
	if (!err)
		err = apply_plan(serve, plan, &next, why);
	if (plan && serve->sources.leaving)
		bh_leaving_settle(serve->sources.leaving);
	if (next.pods)
		bh_pods_discard(endpoints, &next);
	if (err == -ENOMEM && !why->text[0])
		bh_fail(why, err, "no memory to apply update %" PRIu64, change->revision);
	return err;
}

static void log_applied(const struct bh_serve *serve, const struct bh_change *change)
{
	const struct bh_endpoints *endpoints = serve->sources.endpoints;
	size_t attached = 0;

	for (size_t i = 0; i < endpoints->n_pods; i++)
		attached += endpoints->pods[i].slot != 0;
	bh_debug("revision %" PRIu64 " is in force (%s): %zu of %zu pods attached",
		change->revision, change->full ? "full" : "delta", attached, endpoints->n_pods);
}

static void on_update(struct bh_serve *serve, const Bulkhead__Wire__Update *update)
{
	_cleanup_(change_cleanup) struct bh_change *change = NULL;
	struct bh_why why = {};
	int r = bh_staging_part(&serve->staging, update, &change, &why);

	if (r == 0)
		return;
	if (r > 0) {
		r = bh_serve_apply(serve, change, &why);
		if (!r) {
			serve->applied = change->revision;
			log_applied(serve, change);
		}
	}
	/* First the states, then the word that they are in force. */
	log_problems(serve->sources.problems);
	send_status(serve);
	acknowledge(serve, update->revision, r, &why);
}

/* ---- Hearing -------------------------------------------------------------------------------- */

static void on_hello(struct bh_serve *serve, const Bulkhead__Wire__Hello *hello)
{
	struct bh_why why;

	serve->foreign = hello->wire_version != BH_WIRE_VERSION;
	if (serve->foreign) {
		bh_fail(&why, 0,
			"wire version %u, but this is version %d: run programs of one release",
			hello->wire_version, BH_WIRE_VERSION);
		refuse(serve, why.text);
		return;
	}
	bh_info("controller connected: %.64s, node %.64s", hello->program, hello->node);
	bh_edges_restart(serve->sources.edges);
	send_status(serve);
}

static void on_message(struct bh_serve *serve, const Bulkhead__Wire__Envelope *message)
{
	if (serve->foreign && message->body_case != BULKHEAD__WIRE__ENVELOPE__BODY_HELLO)
		return;
	switch (message->body_case) {
	case BULKHEAD__WIRE__ENVELOPE__BODY_HELLO:
		on_hello(serve, message->hello);
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_UPDATE:
		on_update(serve, message->update);
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_STATUS_REQUEST:
		bh_events_consume(serve->events, bh_serve_peer(serve));
		bh_edges_pass(serve->sources.edges, bh_serve_peer(serve));
		send_status(serve);
		send_message(serve, message, "the end of its answer");
		break;
	case BULKHEAD__WIRE__ENVELOPE__BODY_REFUSAL:
		bh_warning("the controller refused a message: %.200s", message->refusal->reason);
		break;
	default:
		refuse(serve, "a message that only the dataplane sends");
	}
}

void bh_serve_receive(struct bh_serve *serve)
{
	for (;;) {
		Bulkhead__Wire__Envelope *message = NULL;
		const char *reason = "";

		switch (bh_wire_receive(serve->wire, &message, &reason)) {
		case BH_WIRE_NOTHING:
			return;
		case BH_WIRE_CONNECTED:
			bh_staging_reset(&serve->staging);
			serve->foreign = false;
			say_hello(serve);
			break;
		case BH_WIRE_DISCONNECTED:
			bh_info("controller disconnected; what is in force stays");
			bh_staging_reset(&serve->staging);
			break;
		case BH_WIRE_MESSAGE:
			on_message(serve, message);
			bh_wire_message_free(message);
			break;
		case BH_WIRE_GARBAGE:
			bh_warning("a message from the controller was refused: %s", reason);
			break;
		}
	}
}
