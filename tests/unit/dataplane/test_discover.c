/* SPDX-License-Identifier: Apache-2.0 */

/* From addresses to interfaces, with real veths in namespaces of the test's own. */

#include <poll.h>

#include "dataplane/discover.h"
#include "tests/unit/dataplane/fixture.h"

static struct bh_discovery *discovery;
static struct bh_table want4, want6;

static int open_all(void **state)
{
	struct bh_why why = {};

	bh_table_init(&want4, 4, 1);
	bh_table_init(&want6, 16, 1);
	return bh_discovery_new(&discovery, &why);
}

static int close_all(void **state)
{
	bh_discovery_free(discovery);
	bh_table_clear(&want4);
	bh_table_clear(&want6);
	return 0;
}

static const struct bh_finding *find(const char *text)
{
	uint8_t ip[16];
	bool four = inet_pton(AF_INET, text, ip) == 1;
	struct bh_why why = {};

	if (!four)
		assert_int_equal(inet_pton(AF_INET6, text, ip), 1);
	bh_table_put(four ? &want4 : &want6, ip, NULL);
	if (bh_discovery_scan(discovery, &want4, &want6, &why) < 0)
		fail_msg("%s", why.text);
	return bh_discovery_find(discovery, four ? 4 : 6, ip);
}

static void finds_the_host_end_of_a_pods_veth(void **state)
{
	pid_t pod = pod_start();
	const struct bh_finding *finding;
	struct bh_place place;

	pod_wire(pod, "host0", "10.1.0.2/24");
	sh("nsenter -t %d -n ip address add 2001:db8::2/64 dev eth0 nodad", (int)pod);
	finding = find("10.1.0.2");
	assert_non_null(finding);
	assert_int_equal(finding->n, 1);
	assert_int_equal(finding->places[0].ifindex, if_nametoindex("host0"));
	assert_string_equal(finding->places[0].name, "host0");
	place = finding->places[0];
	finding = find("2001:db8::2");
	assert_non_null(finding);
	assert_true(bh_place_equal(&finding->places[0], &place));
	sh("ip link del host0");
	pod_end(pod);
}

static void an_address_on_two_interfaces_is_found_twice(void **state)
{
	pid_t a = pod_start(), b = pod_start();

	pod_wire(a, "host0", "10.1.0.2/24");
	pod_wire(b, "host1", "10.1.0.2/24");
	const struct bh_finding *finding = find("10.1.0.2");

	assert_non_null(finding);
	assert_int_equal(finding->n, 2);
	sh("ip link del host0; ip link del host1");
	pod_end(a);
	pod_end(b);
}

static void an_address_nobody_wants_is_not_kept(void **state)
{
	pid_t pod = pod_start();
	uint32_t ip = ip4("10.1.0.3");

	pod_wire(pod, "host0", "10.1.0.2/24");
	sh("nsenter -t %d -n ip address add 10.1.0.3/24 dev eth0", (int)pod);
	assert_non_null(find("10.1.0.2"));
	assert_null(bh_discovery_find(discovery, 4, &ip));
	sh("ip link del host0");
	pod_end(pod);
}

static void a_veth_made_again_is_another_place(void **state)
{
	pid_t pod = pod_start();
	struct bh_place before;
	uint32_t ifindex;

	pod_wire(pod, "host0", "10.1.0.2/24");
	before = find("10.1.0.2")->places[0];
	ifindex = before.ifindex;
	sh("ip link del host0");
	/* Same index and name, other device. */
	sh("ip link add host0 index %u type veth peer name eth0 netns %d", ifindex, (int)pod);
	sh("ip link set host0 up; nsenter -t %d -n ip link set eth0 up", (int)pod);
	sh("nsenter -t %d -n ip address add 10.1.0.2/24 dev eth0", (int)pod);
	const struct bh_finding *finding = find("10.1.0.2");

	assert_non_null(finding);
	assert_int_equal(finding->places[0].ifindex, before.ifindex);
	assert_false(bh_place_equal(&finding->places[0], &before));
	assert_false(bh_discovery_has(discovery, &before));
	sh("ip link del host0");
	pod_end(pod);
}

static void a_renamed_interface_is_the_same_place(void **state)
{
	pid_t pod = pod_start();
	struct bh_place before;

	pod_wire(pod, "host0", "10.1.0.2/24");
	before = find("10.1.0.2")->places[0];
	sh("ip link set host0 down; ip link set host0 name other0; ip link set other0 up");
	find("10.1.0.2");
	assert_true(bh_discovery_has(discovery, &before));
	assert_string_equal(bh_discovery_at(discovery, before.ifindex)->name, "other0");
	sh("ip link del other0");
	pod_end(pod);
}

static void the_nodes_own_addresses_leave_out_loopback_and_link_local(void **state)
{
	const struct bh_host_address *addresses;
	size_t n;

	sh("ip link add own0 type veth peer name own1 && ip link set own0 up && "
	   "ip address add 192.0.2.1/24 dev own0 && ip address add 169.254.1.1/16 dev own0");
	find("10.1.0.2");
	n = bh_discovery_host_addresses(discovery, &addresses);
	assert_int_equal(n, 1);
	assert_int_equal(addresses[0].family, 4);
	assert_memory_equal(addresses[0].ip, &(uint32_t){ip4("192.0.2.1")}, 4);
	sh("ip link del own0");
}

static struct bh_search search_for(const char *ip)
{
	struct bh_search search = {.family = 4};

	assert_int_equal(inet_pton(AF_INET, ip, search.ip), 1);
	bh_search_namespaces(&search, 1);
	return search;
}

static void says_why_a_macvlan_cannot_be_enforced(void **state)
{
	pid_t pod = pod_start();
	struct bh_search search;

	sh("ip link add own0 type veth peer name own1 && ip link set own0 up");
	if (system("ip link add mv0 link own0 type macvlan 2>/dev/null") != 0) {
		sh("ip link del own0");
		pod_end(pod);
		skip();
	}
	sh("ip link set mv0 netns %d && nsenter -t %d -n ip address add 10.1.0.9/24 dev mv0",
		(int)pod, (int)pod);
	assert_null(find("10.1.0.9"));
	search = search_for("10.1.0.9");
	assert_true(search.found);
	assert_true(search.unsupported);
	assert_non_null(strstr(search.detail, "is a macvlan"));
	sh("ip link del own0");
	pod_end(pod);
}

static void says_that_nobody_has_an_address(void **state)
{
	assert_false(search_for("10.99.99.99").found);
}

static void says_that_an_address_is_the_nodes_own(void **state)
{
	struct bh_search search;

	sh("ip link add own0 type veth peer name own1 && ip address add 192.0.2.1/24 dev own0");
	search = search_for("192.0.2.1");
	assert_true(search.found);
	assert_false(search.unsupported);
	assert_non_null(strstr(search.detail, "the node's own"));
	sh("ip link del own0");
}

static unsigned int wait_for_events(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&poll_fd, 1, 60000), 1);
	return bh_discovery_drain(fd);
}

static void hears_of_links_here_and_of_addresses_in_pods(void **state)
{
	pid_t pod = pod_start();
	struct bh_why why = {};
	int fd;

	assert_int_equal(bh_discovery_listen(&fd, &why), 0);
	pod_wire(pod, "host0", "10.1.0.2/24");
	assert_true(wait_for_events(fd) & BH_EVENT_LINKS);
	find("10.1.0.2");
	bh_discovery_drain(fd);
	sh("nsenter -t %d -n ip address add 10.1.0.7/24 dev eth0", (int)pod);
	assert_true(wait_for_events(fd) & BH_EVENT_LINKS);
	sh("ip link del host0");
	close(fd);
	pod_end(pod);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(finds_the_host_end_of_a_pods_veth),
		TEST(an_address_on_two_interfaces_is_found_twice),
		TEST(an_address_nobody_wants_is_not_kept),
		TEST(a_veth_made_again_is_another_place),
		TEST(a_renamed_interface_is_the_same_place),
		TEST(the_nodes_own_addresses_leave_out_loopback_and_link_local),
		TEST(says_why_a_macvlan_cannot_be_enforced),
		TEST(says_that_nobody_has_an_address),
		TEST(says_that_an_address_is_the_nodes_own),
		TEST(hears_of_links_here_and_of_addresses_in_pods),
	};

	need_root();
	return cmocka_run_group_tests_name("discover", tests, node_setup, node_teardown);
}
