/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/fixture.h"

static struct bh_labels labels_of(const struct bh_label *items, size_t n)
{
	return (struct bh_labels){.n = n, .items = items};
}

static void put_pod(struct bh_model *model, const char *uid, const char *name, int64_t created)
{
	bh_model_put_pod(
		model, &(struct bh_pod){
			       .uid = uid, .namespace = "shop", .name = name, .created = created});
}

static void putting_an_equal_object_changes_nothing(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	const struct bh_label first[] = {{"app", "web"}, {"tier", "front"}};
	const struct bh_label second[] = {{"tier", "front"}, {"app", "web"}};
	struct bh_labels labels = labels_of(first, 2), reordered = labels_of(second, 2);
	struct bh_ip ip = ip_of("10.0.0.1");
	struct bh_pod pod = {.uid = "u1",
		.namespace = "shop",
		.name = "web",
		.labels = &labels,
		.n_ips = 1,
		.ips = &ip};

	assert_true(bh_model_put_pod(model, &pod));
	uint64_t revision = bh_model_revision(model);

	pod.labels = &reordered;
	assert_false(bh_model_put_pod(model, &pod));
	assert_int_equal(bh_model_revision(model), revision);
	pod.mode = "enforce";
	assert_true(bh_model_put_pod(model, &pod));
	assert_int_equal(bh_model_revision(model), revision + 1);
	bh_model_free(model);
}

static void equal_label_sets_are_the_same_set(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	const struct bh_label one[] = {{"a", "1"}, {"b", "2"}}, two[] = {{"b", "2"}, {"a", "1"}};
	struct bh_labels left = labels_of(one, 2), right = labels_of(two, 2);

	bh_model_put_pod(model,
		&(struct bh_pod){.uid = "u1", .namespace = "x", .name = "a", .labels = &left});
	bh_model_put_pod(model,
		&(struct bh_pod){.uid = "u2", .namespace = "x", .name = "b", .labels = &right});
	assert_ptr_equal(bh_model_pod(model, "u1")->labels, bh_model_pod(model, "u2")->labels);
	assert_string_equal(bh_labels_get(bh_model_pod(model, "u1")->labels, "b"), "2");
	assert_null(bh_labels_get(bh_model_pod(model, "u1")->labels, "c"));
	bh_model_free(model);
}

static void a_label_set_never_gets_the_number_of_one_before(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	const struct bh_label one[] = {{"a", "1"}}, two[] = {{"a", "2"}};
	struct bh_labels left = labels_of(one, 1), right = labels_of(two, 1);

	bh_model_put_pod(model,
		&(struct bh_pod){.uid = "u1", .namespace = "x", .name = "a", .labels = &left});
	uint64_t id = bh_model_pod(model, "u1")->labels->id;

	assert_true(bh_model_remove(model, "u1"));
	bh_model_put_pod(model,
		&(struct bh_pod){.uid = "u1", .namespace = "x", .name = "a", .labels = &right});
	assert_int_not_equal(bh_model_pod(model, "u1")->labels->id, id);
	bh_model_free(model);
}

static void put_pod_at(struct bh_model *model, const char *uid, const char *ip)
{
	struct bh_ip address = ip ? ip_of(ip) : (struct bh_ip){};

	bh_model_put_pod(model, &(struct bh_pod){.uid = uid,
					.namespace = "shop",
					.name = "web",
					.n_ips = ip ? 1 : 0,
					.ips = &address});
}

static const char *address_of(const struct bh_model *model, const char *uid)
{
	static char text[BH_IP_TEXT_MAX];
	const struct bh_pod *pod = bh_model_pod(model, uid);

	return pod->n_ips ? bh_ip_format(&pod->ips[0], text) : "none";
}

static void announced_addresses_count_until_the_source_says_others(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	struct bh_ip ip = ip_of("10.0.0.9");
	uint64_t revision;

	/* Before the pod is known, and for the pod that it is about only. */
	assert_true(bh_model_announce(model, "shop", "web", "new", 1, &ip));
	put_pod_at(model, "old", NULL);
	put_pod_at(model, "new", NULL);
	assert_string_equal(address_of(model, "old"), "none");
	assert_string_equal(address_of(model, "new"), "10.0.0.9");
	revision = bh_model_revision(model);
	put_pod_at(model, "new", NULL);
	assert_int_equal(bh_model_revision(model), revision);
	/* The source says the same: nothing changes, and its next word counts. */
	put_pod_at(model, "new", "10.0.0.9");
	assert_int_equal(bh_model_revision(model), revision);
	put_pod_at(model, "new", "10.0.0.10");
	assert_string_equal(address_of(model, "new"), "10.0.0.10");
	/* A new sandbox: the source's address is an old one until it changes. */
	assert_true(bh_model_announce(model, "shop", "web", "new", 1, &ip));
	put_pod_at(model, "new", "10.0.0.10");
	assert_string_equal(address_of(model, "new"), "10.0.0.9");
	struct bh_ip former = ip_of("10.0.0.8");

	assert_false(bh_model_forget_announced(model, "shop", "web", "new", 1, &former));
	assert_true(bh_model_forget_announced(model, "shop", "web", "new", 1, &ip));
	assert_string_equal(address_of(model, "new"), "10.0.0.10");
	bh_model_free(model);
}

static void announcements_go_with_their_pod_and_are_bounded(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	struct bh_ip ip = ip_of("10.0.0.9");
	int n = 0;

	put_pod_at(model, "u1", NULL);
	assert_true(bh_model_announce(model, "shop", "web", NULL, 1, &ip));
	assert_string_equal(address_of(model, "u1"), "10.0.0.9");
	assert_true(bh_model_remove(model, "u1"));
	put_pod_at(model, "u2", NULL);
	assert_string_equal(address_of(model, "u2"), "none");
	for (char name[32]; n < 100000; n++) {
		snprintf(name, sizeof(name), "pod-%d", n);
		if (!bh_model_announce(model, "shop", name, NULL, 1, &ip))
			break;
	}
	assert_int_equal(n, 4096);
	bh_model_free(model);
}

static void names_the_newest_of_two_pods_of_one_name(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);

	put_pod(model, "old", "web-0", 100);
	put_pod(model, "new", "web-0", 200);
	assert_string_equal(bh_model_pod_by_name(model, "shop", "web-0")->uid, "new");
	bh_model_remove(model, "new");
	assert_string_equal(bh_model_pod_by_name(model, "shop", "web-0")->uid, "old");
	bh_model_remove(model, "old");
	assert_null(bh_model_pod_by_name(model, "shop", "web-0"));
	bh_model_free(model);
}

static void joins_no_namespace_and_name(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);

	bh_model_put_pod(model, &(struct bh_pod){.uid = "u1", .namespace = "a", .name = "b-c"});
	assert_null(bh_model_pod_by_name(model, "a-b", "c"));
	assert_null(bh_model_pod_by_name(model, "ab", "-c"));
	bh_model_free(model);
}

static void a_namespace_has_its_name_as_label_without_an_object(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);

	assert_null(bh_model_namespace_labels(model, "shop"));
	put_pod(model, "u1", "web", 0);
	const struct bh_labels *labels = bh_model_namespace_labels(model, "shop");

	assert_int_equal(labels->n, 1);
	assert_string_equal(bh_labels_get(labels, "kubernetes.io/metadata.name"), "shop");
	bh_model_free(model);
}

static void a_namespace_cannot_claim_another_name(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	const struct bh_label items[] = {
		{"kubernetes.io/metadata.name", "kube-system"}, {"team", "a"}};
	struct bh_labels labels = labels_of(items, 2);

	bh_model_put_namespace(
		model, &(struct bh_namespace){.uid = "n", .name = "shop", .labels = &labels});
	assert_string_equal(bh_labels_get(bh_model_namespace_labels(model, "shop"),
				    "kubernetes.io/metadata.name"),
		"shop");
	assert_string_equal(bh_labels_get(bh_model_namespace_labels(model, "shop"), "team"), "a");
	bh_model_free(model);
}

static void labels_of_a_namespace_go_with_its_object(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	const struct bh_label items[] = {{"team", "a"}};
	struct bh_labels labels = labels_of(items, 1);

	put_pod(model, "u1", "web", 0);
	bh_model_put_namespace(
		model, &(struct bh_namespace){.uid = "n", .name = "shop", .labels = &labels});
	assert_non_null(bh_labels_get(bh_model_namespace_labels(model, "shop"), "team"));
	bh_model_remove(model, "n");
	assert_null(bh_labels_get(bh_model_namespace_labels(model, "shop"), "team"));
	bh_model_remove(model, "u1");
	assert_null(bh_model_namespace_labels(model, "shop"));
	bh_model_free(model);
}

static void a_uid_that_changes_its_kind_leaves_nothing_behind(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);

	put_pod(model, "u1", "web", 0);
	bh_model_put_node(model, &(struct bh_node){.uid = "u1", .name = "n1"});
	assert_null(bh_model_pod(model, "u1"));
	assert_null(bh_model_pod_by_name(model, "shop", "web"));
	assert_int_equal(bh_model_count_pods(model), 0);
	bh_model_free(model);
}

static void overrides_come_back_in_order_and_go_when_unset(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	struct bh_override *list;

	assert_true(bh_model_set_mode(model, BH_SCOPE_POD, "shop", "web", BH_MODE_ENFORCE));
	assert_false(bh_model_set_mode(model, BH_SCOPE_POD, "shop", "web", BH_MODE_ENFORCE));
	assert_true(bh_model_set_mode(model, BH_SCOPE_NAMESPACE, "shop", NULL, BH_MODE_DRY_RUN));
	assert_true(bh_model_set_mode(model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_ENFORCE));
	assert_true(bh_model_set_quarantine(model, "shop", "db", true));
	assert_int_equal(bh_model_overrides(model, &list), 4);
	assert_int_equal(list[0].scope, BH_SCOPE_NODE);
	assert_string_equal(list[1].namespace, "shop");
	assert_string_equal(list[2].name, "db");
	assert_true(list[2].quarantined);
	assert_int_equal(list[3].mode, BH_MODE_ENFORCE);
	free(list);
	assert_int_equal(bh_model_node_mode(model), BH_MODE_ENFORCE);
	assert_true(bh_model_set_mode(model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_UNSET));
	assert_int_equal(bh_model_node_mode(model), BH_MODE_OBSERVE);
	assert_false(bh_model_set_mode(model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_UNSET));
	assert_true(bh_model_set_quarantine(model, "shop", "db", false));
	assert_false(bh_model_quarantined(model, "shop", "db"));
	assert_int_equal(bh_model_overrides(model, &list), 2);
	free(list);
	bh_model_free(model);
}

static void host_addresses_are_a_set(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	struct bh_ip ips[] = {ip_of("10.0.0.2"), ip_of("10.0.0.1"), ip_of("10.0.0.2")};
	struct bh_ip other[] = {ip_of("10.0.0.1"), ip_of("10.0.0.2")};
	const struct bh_ip *all;

	assert_true(bh_model_set_host_addresses(model, 3, ips));
	assert_int_equal(bh_model_host_addresses(model, &all), 2);
	assert_false(bh_model_set_host_addresses(model, 2, other));
	bh_model_free(model);
}

static void holds_and_forgets_many_pods(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	size_t seen = 0;

	for (int i = 0; i < 20000; i++) {
		char uid[16], value[16];
		struct bh_label item = {"app", value};
		struct bh_labels labels = labels_of(&item, 1);

		snprintf(uid, sizeof(uid), "u%d", i);
		snprintf(value, sizeof(value), "v%d", i % 50);
		bh_model_put_pod(model,
			&(struct bh_pod){
				.uid = uid, .namespace = "x", .name = uid, .labels = &labels});
	}
	for (size_t at = 0; bh_model_next_pod(model, &at);)
		seen++;
	assert_int_equal(seen, 20000);
	for (int i = 0; i < 20000; i += 2) {
		char uid[16];

		snprintf(uid, sizeof(uid), "u%d", i);
		assert_true(bh_model_remove(model, uid));
	}
	assert_int_equal(bh_model_count_pods(model), 10000);
	assert_null(bh_model_pod(model, "u0"));
	assert_non_null(bh_model_pod(model, "u19999"));
	bh_model_free(model);
}

static void put_holder(
	struct bh_model *model, const char *uid, const char *address, int64_t created, bool host)
{
	struct bh_ip ip = ip_of(address);

	bh_model_put_pod(model, &(struct bh_pod){.uid = uid,
					.namespace = "shop",
					.name = uid,
					.created = created,
					.host_network = host,
					.n_ips = 1,
					.ips = &ip});
}

static size_t count_at(const struct bh_model *model, const char *address)
{
	struct bh_ip ip = ip_of(address);
	size_t n = 0;

	for (const struct bh_ring *at = NULL; bh_model_next_pod_at(model, &ip, &at);)
		n++;
	return n;
}

static void finds_pods_by_address(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	struct bh_ip ip = ip_of("10.0.0.1");

	assert_null(bh_model_pod_at(model, &ip));
	put_holder(model, "old", "10.0.0.1", 1, false);
	put_holder(model, "new", "10.0.0.1", 2, false);
	put_holder(model, "host", "10.0.0.1", 3, true);
	assert_int_equal(count_at(model, "10.0.0.1"), 3);
	assert_string_equal(bh_model_pod_at(model, &ip)->uid, "new");
	put_holder(model, "new", "10.0.0.2", 2, false);
	assert_string_equal(bh_model_pod_at(model, &ip)->uid, "old");
	assert_int_equal(count_at(model, "10.0.0.2"), 1);
	bh_model_remove(model, "old");
	assert_null(bh_model_pod_at(model, &ip));
	assert_int_equal(count_at(model, "10.0.0.1"), 1);
	bh_model_free(model);
}

static void finds_slices_by_service_and_address(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	struct bh_ip ips[2] = {ip_of("10.0.0.1"), ip_of("10.0.0.2")};
	struct bh_slice slice = {.uid = "a",
		.namespace = "shop",
		.name = "a",
		.service = "web",
		.n_ips = 2,
		.ips = ips};
	const struct bh_ring *at = NULL;

	bh_model_put_slice(model, &slice);
	assert_string_equal(bh_model_next_slice_of(model, "shop", "web", &at)->uid, "a");
	assert_null(bh_model_next_slice_of(model, "shop", "web", &at));
	at = NULL;
	assert_string_equal(bh_model_next_slice_at(model, &ips[1], &at)->uid, "a");
	slice.service = "db";
	slice.n_ips = 1;
	bh_model_put_slice(model, &slice);
	at = NULL;
	assert_null(bh_model_next_slice_at(model, &ips[1], &at));
	at = NULL;
	assert_null(bh_model_next_slice_of(model, "shop", "web", &at));
	at = NULL;
	assert_non_null(bh_model_next_slice_of(model, "shop", "db", &at));
	bh_model_remove(model, "a");
	at = NULL;
	assert_null(bh_model_next_slice_of(model, "shop", "db", &at));
	bh_model_free(model);
}

static void a_change_keeps_what_was_there_before(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	uint64_t first = bh_model_revision(model);
	const struct bh_change *change;

	put_holder(model, "u", "10.0.0.1", 1, false);
	put_holder(model, "u", "10.0.0.2", 1, false);
	bh_model_remove(model, "u");
	bh_model_set_mode(model, BH_SCOPE_NODE, NULL, NULL, BH_MODE_ENFORCE);
	assert_int_equal(bh_model_revision(model), first + 4);
	change = bh_model_change(model, first + 1);
	assert_int_equal(change->kind, BH_CHANGE_POD);
	assert_string_equal(change->uid, "u");
	assert_null(change->pod);
	change = bh_model_change(model, first + 3);
	assert_int_equal(change->kind, BH_CHANGE_POD);
	assert_int_equal(change->pod->ips[0].ip[3], 2);
	assert_int_equal(bh_model_change(model, first + 4)->kind, BH_CHANGE_OTHER);
	assert_null(bh_model_change(model, first + 5));
	for (int64_t i = 0; i < BH_MODEL_JOURNAL; i++)
		put_holder(model, "u", "10.0.0.1", 2 + i, false);
	assert_null(bh_model_change(model, first + 4));
	assert_int_equal(bh_model_change(model, first + 6)->pod->created, 2);
	bh_model_free(model);
}

static void large_objects_are_not_remembered_for_long(void **state)
{
	struct bh_model *model = bh_model_new("n1", BH_MODE_OBSERVE);
	size_t size = 256 * 1024;
	char *value = bh_xcalloc(1, size);
	struct bh_label item = {"app", value};
	struct bh_labels labels = labels_of(&item, 1);
	uint64_t first = bh_model_revision(model) + 1;

	memset(value, 'x', size - 1);
	for (int i = 0; i < 100; i++) {
		value[0] = (char)('a' + i % 26);
		bh_model_put_pod(model,
			&(struct bh_pod){
				.uid = "u", .namespace = "shop", .name = "u", .labels = &labels});
	}
	assert_null(bh_model_change(model, first));
	assert_null(bh_model_change(model, first + 100 - 17));
	assert_non_null(bh_model_change(model, first + 90));
	assert_int_equal(
		bh_model_change(model, first + 90)->pod->labels->items[0].value[0], 'a' + 89 % 26);
	bh_model_free(model);
	free(value);
}

static void reads_and_writes_addresses(void **state)
{
	static const struct {
		const char *in;
		const char *out; /* NULL: refused */
	} cases[] = {
		{"10.0.0.1", "10.0.0.1"},
		{"FD00:0:0::1", "fd00::1"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"010.0.0.1", NULL},
		{"10.0.0", NULL},
		{"fe80::1%eth0", NULL},
		{"", NULL},
		{"10.0.0.1/8", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[BH_IP_TEXT_MAX];
		struct bh_ip ip;
		int r = bh_ip_parse(cases[i].in, &ip);

		if (!cases[i].out)
			assert_int_not_equal(r, 0);
		else
			assert_string_equal(bh_ip_format(&ip, text), cases[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(putting_an_equal_object_changes_nothing),
		cmocka_unit_test(equal_label_sets_are_the_same_set),
		cmocka_unit_test(a_label_set_never_gets_the_number_of_one_before),
		cmocka_unit_test(names_the_newest_of_two_pods_of_one_name),
		cmocka_unit_test(joins_no_namespace_and_name),
		cmocka_unit_test(a_namespace_has_its_name_as_label_without_an_object),
		cmocka_unit_test(a_namespace_cannot_claim_another_name),
		cmocka_unit_test(labels_of_a_namespace_go_with_its_object),
		cmocka_unit_test(a_uid_that_changes_its_kind_leaves_nothing_behind),
		cmocka_unit_test(overrides_come_back_in_order_and_go_when_unset),
		cmocka_unit_test(host_addresses_are_a_set),
		cmocka_unit_test(announced_addresses_count_until_the_source_says_others),
		cmocka_unit_test(announcements_go_with_their_pod_and_are_bounded),
		cmocka_unit_test(holds_and_forgets_many_pods),
		cmocka_unit_test(finds_pods_by_address),
		cmocka_unit_test(finds_slices_by_service_and_address),
		cmocka_unit_test(a_change_keeps_what_was_there_before),
		cmocka_unit_test(large_objects_are_not_remembered_for_long),
		cmocka_unit_test(reads_and_writes_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
