/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/http/look.h"

#include "controller/flows/edges.h"
#include "controller/flows/names.h"
#include "controller/model/memory.h"
#include "tests/unit/controller/fixture.h"

#define EDGES 3000
#define FIRST_WORKLOAD 1000

static const char yaml[] = "apiVersion: v1\n"
			   "kind: Pod\n"
			   "metadata: {namespace: shop, name: web, labels: {app: web}}\n"
			   "spec: {nodeName: n1}\n"
			   "status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}\n";

struct scene {
	struct cluster cluster;
	struct bh_api api;
	json_t *request;
};

/* Edge `i`, which so many packets have passed. */
static void count(struct bh_edges *edges, uint32_t i, uint64_t packets)
{
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT, *pointer = &edge;

	edge.local = FIRST_WORKLOAD + i;
	edge.remote = FIRST_WORKLOAD;
	edge.protocol = 6;
	edge.port = 80;
	edge.egress = true;
	edge.family = 4;
	edge.packets_out = packets;
	edge.flows = 1;
	edge.first_ns = 1;
	edge.last_ns = packets;
	batch.generation = 1;
	batch.n_edges = 1;
	batch.edges = &pointer;
	bh_edges_add(edges, &batch);
}

static int setup(void **state)
{
	struct scene *s = bh_xcalloc(1, sizeof(*s));

	s->cluster = new_cluster(yaml);
	s->api.model = s->cluster.model;
	s->api.desired = s->cluster.desired;
	s->api.names = bh_names_new(s->cluster.model);
	s->api.edges = bh_edges_new();
	s->request = json_object();
	for (uint32_t i = 0; i < EDGES; i++)
		count(s->api.edges, i, 1);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	json_decref(s->request);
	bh_edges_free(s->api.edges);
	bh_names_free(s->api.names);
	free_cluster(&s->cluster);
	free(s);
	return 0;
}

/* As a thread looks; what it is given was taken before `meanwhile` was counted. */
static char *look_elsewhere(struct scene *s, struct bh_told *told, uint32_t meanwhile)
{
	struct bh_task *task = bh_look_new(&s->api, NULL, s->request, told);
	uint64_t took_ms;
	char *event;

	assert_int_equal(told->by_id.n, 0);
	count(s->api.edges, meanwhile, 7);
	bh_model_remove(s->cluster.model, "shop/web");
	task->run(task);
	event = bh_look_take(task, told, &took_ms);
	task->free(task);
	return event;
}

/* How many edges the event tells of, those that are not listed included. Takes the event. */
static size_t told_of(char *event)
{
	static const char begin[] = "event: edges\ndata: ";
	json_t *data;
	size_t n;

	if (!event)
		return 0;
	assert_int_equal(strncmp(event, begin, strlen(begin)), 0);
	data = json_loads(event + strlen(begin), 0, NULL);
	n = json_array_size(json_object_get(data, "edges")) +
	    (size_t)json_integer_value(json_object_get(data, "more"));
	json_decref(data);
	free(event);
	return n;
}

static void a_thread_tells_what_has_moved_and_nothing_twice(void **state)
{
	struct scene *s = *state;
	struct bh_told told = {0};

	assert_int_equal(told_of(look_elsewhere(s, &told, 1)), 0); /* the first only remembers */
	assert_int_equal(told.by_id.n, EDGES);
	assert_int_equal(told_of(look_elsewhere(s, &told, 2)), 1); /* what was counted meanwhile */
	count(s->api.edges, 3, 7);
	assert_int_equal(told_of(look_elsewhere(s, &told, 4)), 2);
	assert_int_equal(told_of(bh_look(&s->api, NULL, s->request, &told)), 1);
	assert_int_equal(told_of(bh_look(&s->api, NULL, s->request, &told)), 0);
	bh_told_clear(&told);
}

static void more_than_are_listed_are_counted(void **state)
{
	struct scene *s = *state;
	struct bh_told told = {0};

	look_elsewhere(s, &told, 0);
	for (uint32_t i = 0; i < EDGES; i++)
		count(s->api.edges, i, 9);
	assert_int_equal(told_of(look_elsewhere(s, &told, 0)), EDGES);
	bh_told_clear(&told);
}

static void one_that_is_given_up_gives_everything_back(void **state)
{
	struct scene *s = *state;
	struct bh_told told = {0};
	struct bh_task *task;

	look_elsewhere(s, &told, 0);
	task = bh_look_new(&s->api, NULL, s->request, &told);
	task->free(task); /* before any thread had time */
	task = bh_look_new(&s->api, NULL, s->request, &told);
	task->run(task);
	task->free(task); /* its reader has left meanwhile */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_thread_tells_what_has_moved_and_nothing_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_are_listed_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			one_that_is_given_up_gives_everything_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
