/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bytes as they may come from the wire → decoding → everything in the controller that consumes
 * them: flow history, edges, names, and the JSON made of them.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "controller/compile/compile.h"
#include "controller/flows/edges.h"
#include "controller/flows/log.h"
#include "controller/flows/names.h"
#include "controller/flows/reasons.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bh_names *names;

/* A small world, so that some numbers and addresses of the input mean something. */
static void set_up(void)
{
	struct bh_model *model = bh_model_new("here", BH_MODE_ENFORCE);
	struct bh_compiler *compiler = bh_compiler_new();
	struct bh_ip ip = {.family = 4, .ip = {10, 0, 0, 1}};
	struct bh_pod pod = {.uid = "uid",
		.namespace = "shop",
		.name = "web",
		.node_name = "here",
		.n_ips = 1,
		.ips = &ip};
	struct bh_desired *desired;

	bh_model_put_pod(model, &pod);
	desired = bh_compile(compiler, model);
	names = bh_names_new(model);
	bh_names_learn(names, desired, NULL);
	bh_desired_unref(desired);
	bh_compiler_free(compiler);
}

static void consume_flows(const Bulkhead__Wire__FlowBatch *batch)
{
	struct bh_flow_log *log = bh_flow_log_new(64, 1 << 16);
	struct bh_flow_filter filter = {.namespace = "shop", .by_protocol = true, .protocol = 6};

	bh_flow_log_add(log, names, batch);
	bh_flow_log_add(log, names, batch);
	for (uint64_t at = bh_flow_log_first(log); at < bh_flow_log_next(log); at++) {
		const struct bh_flow_record *record = bh_flow_log_get(log, at);

		if (bh_flow_matches(record, &filter))
			bh_reason_sentence(record->reason);
	}
	bh_flow_log_free(log);
}

static void consume_edges(const Bulkhead__Wire__EdgeBatch *batch)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;

	bh_edges_add(edges, batch);
	bh_edges_add(edges, batch);
	bh_edges_view(edges, &views);
	free(views);
	bh_edges_free(edges);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *reason = NULL;
	Bulkhead__Wire__Envelope *message = bh_wire_decode(data, size, &reason);

	if (!message) {
		if (!reason)
			abort(); /* a refusal without a reason */
		return 0;
	}
	if (!names)
		set_up();
	if (message->body_case == BULKHEAD__WIRE__ENVELOPE__BODY_FLOWS)
		consume_flows(message->flows);
	else if (message->body_case == BULKHEAD__WIRE__ENVELOPE__BODY_EDGES)
		consume_edges(message->edges);
	/* What was understood can be said again. */
	free(malloc(bulkhead__wire__envelope__get_packed_size(message)));
	bh_wire_message_free(message);
	return 0;
}
