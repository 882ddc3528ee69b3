/* SPDX-License-Identifier: Apache-2.0 */

/* The address sanitizer's build is what tells if something is freed too early, or never. */

#include "controller/model/frozen.h"

#include <pthread.h>

#include "controller/model/memory.h"
#include "tests/unit/controller/fixture.h"

static void put_pod(struct bh_model *model, const char *name, const char *app)
{
	const struct bh_label label = {"app", app};
	const struct bh_labels labels = {.n = 1, .items = &label};

	bh_model_put_pod(
		model, &(struct bh_pod){
			       .uid = name, .namespace = "shop", .name = name, .labels = &labels});
}

static void put_policy(struct bh_model *model, const char *name)
{
	json_t *spec = json_pack("{s:{}}", "podSelector");

	bh_model_put_policy(
		model, &(struct bh_network_policy){
			       .uid = name, .namespace = "shop", .name = name, .spec = spec});
	json_decref(spec);
}

static struct bh_model *new_model(void)
{
	const struct bh_ip ip = {.family = 4, .ip = {10, 0, 0, 1}};
	struct bh_model *model = bh_model_new("node1", BH_MODE_OBSERVE);

	bh_model_put_namespace(model, &(struct bh_namespace){.uid = "ns", .name = "shop"});
	bh_model_put_slice(model, &(struct bh_slice){.uid = "slice",
					  .namespace = "shop",
					  .name = "slice",
					  .n_ips = 1,
					  .ips = &ip});
	put_pod(model, "web", "web");
	put_pod(model, "db", "db");
	put_policy(model, "base");
	bh_model_set_host_addresses(model, 1, &ip);
	bh_model_set_mode(model, BH_SCOPE_NAMESPACE, "shop", NULL, BH_MODE_ENFORCE);
	bh_model_set_quarantine(model, "shop", "db", true);
	return model;
}

static const char *app_of(const struct bh_model *model, const char *uid)
{
	const struct bh_pod *pod = bh_model_pod(model, uid);

	return pod ? bh_labels_get(pod->labels, "app") : NULL;
}

/* Everything of new_model(), and nothing else. */
static void assert_as_made(const struct bh_model *model)
{
	const struct bh_ip *ips;

	assert_int_equal(bh_model_count_pods(model), 2);
	assert_int_equal(bh_model_count_policies(model), 1);
	assert_int_equal(bh_model_count_slices(model), 1);
	assert_string_equal(app_of(model, "web"), "web");
	assert_string_equal(app_of(model, "db"), "db");
	assert_non_null(bh_model_namespace(model, "shop"));
	assert_int_equal(bh_model_host_addresses(model, &ips), 1);
	assert_string_equal(bh_model_node_name(model), "node1");
	assert_int_equal(bh_model_node_mode(model), BH_MODE_OBSERVE);
	assert_int_equal(bh_model_mode(model, BH_SCOPE_NAMESPACE, "shop", NULL), BH_MODE_ENFORCE);
	assert_true(bh_model_quarantined(model, "shop", "db"));
}

/* Every object changes or goes, often enough that the journal has forgotten what was. */
static void change_everything(struct bh_model *model)
{
	char app[16];

	for (int i = 0; i < 2 * BH_MODEL_JOURNAL; i++) {
		snprintf(app, sizeof(app), "%d", i);
		put_pod(model, "web", app);
	}
	bh_model_remove(model, "db");
	bh_model_remove(model, "base");
	bh_model_remove(model, "slice");
	bh_model_remove(model, "ns");
	put_policy(model, "other");
	bh_model_set_host_addresses(model, 0, NULL);
	bh_model_set_mode(model, BH_SCOPE_NAMESPACE, "shop", NULL, BH_MODE_UNSET);
	bh_model_set_quarantine(model, "shop", "db", false);
}

static void a_frozen_model_is_what_it_was(void **state)
{
	struct bh_model *model = new_model(), *seen;
	struct bh_frozen *frozen = bh_model_freeze(model);

	change_everything(model);
	seen = bh_frozen_model(frozen, true);
	assert_as_made(seen);
	bh_model_free(seen);
	bh_frozen_release(frozen);
	assert_int_equal(bh_model_count_pods(model), 1);
	bh_model_free(model);
}

static void without_pods_the_rest_is_there(void **state)
{
	struct bh_model *model = new_model(), *seen;
	struct bh_frozen *frozen = bh_model_freeze(model);

	seen = bh_frozen_model(frozen, false);
	assert_int_equal(bh_model_count_pods(seen), 0);
	assert_int_equal(bh_model_count_slices(seen), 0);
	assert_int_equal(bh_model_count_policies(seen), 1);
	assert_non_null(bh_model_namespace(seen, "shop"));
	bh_model_free(seen);
	bh_frozen_release(frozen);
	bh_model_free(model);
}

/* In whatever order they are given back. */
static void each_of_several_is_what_it_was(void **state)
{
	static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};
	static const char *const apps[] = {"first", "second", "third"};

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct bh_model *model = new_model();
		struct bh_frozen *frozen[3];

		for (int j = 0; j < 3; j++) {
			put_pod(model, "web", apps[j]);
			frozen[j] = bh_model_freeze(model);
		}
		change_everything(model);
		for (int j = 0; j < 3; j++) {
			int at = orders[i][j];
			struct bh_model *seen = bh_frozen_model(frozen[at], true);

			assert_string_equal(app_of(seen, "web"), apps[at]);
			bh_model_free(seen);
			bh_frozen_release(frozen[at]);
			put_pod(model, "web", "again");
			put_pod(model, "web", "and again");
		}
		bh_model_free(model);
	}
}

static void one_that_nobody_looked_at_is_given_back(void **state)
{
	struct bh_model *model = new_model();
	struct bh_frozen *frozen = bh_model_freeze(model);

	change_everything(model);
	bh_frozen_release(frozen);
	bh_model_free(model);
}

static void *look_again_and_again(void *data)
{
	struct bh_frozen *frozen = data;
	struct bh_model *seen = bh_frozen_model(frozen, true);
	bool good = bh_model_count_pods(seen) == 2 && !strcmp(app_of(seen, "web"), "web");

	bh_model_free(seen);
	return good ? frozen : NULL;
}

/* The thread sanitizer's, too. */
static void another_thread_may_look_while_it_changes(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct bh_model *model = new_model();
		struct bh_frozen *frozen = bh_model_freeze(model);
		pthread_t thread;
		void *good;

		assert_int_equal(pthread_create(&thread, NULL, look_again_and_again, frozen), 0);
		change_everything(model);
		assert_int_equal(pthread_join(thread, &good), 0);
		assert_non_null(good);
		bh_frozen_release(frozen);
		bh_model_free(model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frozen_model_is_what_it_was),
		cmocka_unit_test(without_pods_the_rest_is_there),
		cmocka_unit_test(each_of_several_is_what_it_was),
		cmocka_unit_test(one_that_nobody_looked_at_is_given_back),
		cmocka_unit_test(another_thread_may_look_while_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
