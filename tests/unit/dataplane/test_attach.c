/* SPDX-License-Identifier: Apache-2.0 */

/* Programs on hooks: attached, updated in place, repaired, kept first, taken away. */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "dataplane/attach.h"
#include "dataplane/clsact.h"
#include "dataplane/links.h"
#include "dataplane/rtnl.h"
#include "tests/unit/dataplane/fixture.h"

static struct bh_object *object;
static struct bh_attach *attach;
static struct bh_problems problems;
static struct nl_sock *sock;
static pid_t pod;
static uint32_t ifindex;

static int open_attach(enum bh_attach_mode mode)
{
	struct bh_why why = {};

	memset(&problems, 0, sizeof(problems));
	object = object_open();
	return bh_attach_new(object, mode, false, &problems, &attach, &why);
}

static void close_attach(void)
{
	bh_attach_free(attach);
	bh_object_free(object);
}

static int open_all(enum bh_attach_mode mode)
{
	pod = pod_start();
	pod_wire(pod, "host0", "10.1.0.2/24");
	ifindex = if_nametoindex("host0");
	if (bh_rtnl_open(&sock) < 0)
		return -1;
	return open_attach(mode);
}

static int open_tcx(void **state)
{
	return bh_links_probe_tcx() == 1 ? open_all(BH_ATTACH_TCX) : -1;
}

static int open_clsact(void **state)
{
	return open_all(BH_ATTACH_CLSACT);
}

static int close_all(void **state)
{
	close_attach();
	take_down();
	bh_rtnl_close(sock);
	if (if_nametoindex("host0"))
		sh("ip link del host0");
	pod_end(pod);
	return 0;
}

static const char *attach_host(bool xdp)
{
	static char hook[BH_HOOK_TEXT];
	struct bh_why why = {};

	if (bh_attach_interface(attach, ifindex, "host0", xdp, hook, &why) < 0)
		fail_msg("%s", why.text);
	return hook;
}

/* A program of somebody else: passes everything. */
static int stranger(void)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "stranger", "GPL", pass, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

static int put_before(int prog)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BH_BPF_F_BEFORE);
	int fd = bpf_link_create(prog, (int)ifindex, BH_BPF_TCX_INGRESS, &opts);

	assert_true(fd >= 0);
	return fd;
}

static uint32_t first_in_chain(enum bh_link_place place)
{
	uint32_t ids[8] = {};

	return bh_links_tcx_chain(ifindex, place, ids, 8) > 0 ? ids[0] : 0;
}

static const struct bh_problem *problem(const char *code)
{
	for (size_t i = 0; i < problems.n; i++) {
		if (!strcmp(problems.list[i].code, code))
			return &problems.list[i];
	}
	return NULL;
}

static bool filter_is(bool egress, enum bh_program_kind kind)
{
	struct bh_filter filter;

	return bh_clsact_find(sock, object->pins.handle, ifindex, egress, &filter) &&
	       filter.prog_id == object->programs.id[kind];
}

/* ---- TCX ------------------------------------------------------------------------------------ */

static void tcx_hangs_on_both_sides(void **state)
{
	assert_string_equal(attach_host(false), "tcx");
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
	assert_int_equal(first_in_chain(BH_LINK_EGRESS), object->programs.id[BH_PROG_TO_POD]);
}

static void tcx_outlives_its_daemon_and_is_updated_by_the_next(void **state)
{
	uint32_t before;

	attach_host(false);
	before = first_in_chain(BH_LINK_INGRESS);
	close_attach();
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), before);
	assert_int_equal(open_attach(BH_ATTACH_TCX), 0);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), before);
	bh_attach_refresh(attach);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
	assert_int_not_equal(first_in_chain(BH_LINK_INGRESS), before);
}

static void tcx_detached_by_somebody_is_put_back_and_named(void **state)
{
	char path[BH_PINS_PATH];
	int fd;

	attach_host(false);
	snprintf(path, sizeof(path), "%s/%u_ingress", object->pins.links, ifindex);
	fd = bpf_obj_get(path);
	assert_int_equal(bpf_link_detach(fd), 0);
	close(fd);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), 0);
	bh_attach_check(attach);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
	assert_non_null(problem("repaired"));
}

static void tcx_goes_before_a_stranger_again_and_names_it(void **state)
{
	int prog = stranger(), link;

	attach_host(false);
	link = put_before(prog);
	assert_int_not_equal(
		first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
	bh_attach_check(attach);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
	assert_non_null(problem("foreign-program"));
	assert_non_null(strstr(problem("foreign-program")->text, "stranger"));
	close(link);
	EVENTUALLY((bh_attach_check(attach), !problem("foreign-program")));
	close(prog);
}

static void tcx_does_not_quarrel_for_ever(void **state)
{
	int prog = stranger(), link = -1;

	attach_host(false);
	for (int i = 0; i < 6; i++) {
		if (link >= 0)
			close(link);
		EVENTUALLY(
			first_in_chain(BH_LINK_INGRESS) == object->programs.id[BH_PROG_FROM_POD]);
		link = put_before(prog);
		bh_attach_check(attach);
		if (i >= 3)
			assert_int_not_equal(first_in_chain(BH_LINK_INGRESS),
				object->programs.id[BH_PROG_FROM_POD]);
	}
	assert_non_null(strstr(problem("foreign-program")->text, "if it ends the chain"));
	close(link);
	close(prog);
}

static void a_new_device_by_an_old_index_gets_new_links(void **state)
{
	attach_host(false);
	sh("ip link del host0");
	sh("ip link add host0 index %u type veth peer name eth0 netns %d", ifindex, (int)pod);
	assert_string_equal(attach_host(false), "tcx");
	assert_int_equal(first_in_chain(BH_LINK_EGRESS), object->programs.id[BH_PROG_TO_POD]);
}

static void xdp_takes_the_place_of_ingress_and_gives_it_back(void **state)
{
	uint32_t id = 0;

	attach_host(false);
	assert_string_equal(attach_host(true), "xdp+tcx");
	assert_int_equal(bh_links_xdp_program(ifindex, &id), 0);
	assert_int_equal(id, object->programs.id[BH_PROG_XDP_POD]);
	/* What is left of it there marks packets to services, which XDP cannot. */
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_MARK]);
	assert_int_equal(first_in_chain(BH_LINK_EGRESS), object->programs.id[BH_PROG_TO_POD]);
	assert_string_equal(attach_host(false), "tcx");
	assert_int_equal(bh_links_xdp_program(ifindex, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
}

static void an_interface_that_is_gone_says_so(void **state)
{
	char hook[BH_HOOK_TEXT];
	struct bh_why why = {};

	assert_int_equal(bh_attach_interface(attach, 123456, "nobody", false, hook, &why), -ENODEV);
	assert_false(bh_link_exists(object, 123456, BH_LINK_EGRESS));
}

static void a_sweep_removes_links_nobody_wants(void **state)
{
	attach_host(false);
	close_attach();
	assert_int_equal(open_attach(BH_ATTACH_TCX), 0);
	bh_attach_sweep(attach);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), 0);
	assert_false(bh_link_exists(object, ifindex, BH_LINK_INGRESS));
}

static void links_of_another_abi_are_taken_over(void **state)
{
	char old[BH_PINS_PATH];
	uint32_t before;

	attach_host(false);
	before = first_in_chain(BH_LINK_INGRESS);
	snprintf(old, sizeof(old), "%.200s/abi9999", object->pins.base);
	assert_int_equal(rename(object->pins.abi, old), 0);
	close_attach();
	assert_int_equal(open_attach(BH_ATTACH_TCX), 0);
	assert_true(object->fresh);
	assert_int_equal(object->pins.n_old, 1);
	bh_attach_refresh(attach);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), before);
	attach_host(false);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
	assert_true(bh_link_exists(object, ifindex, BH_LINK_INGRESS));
	bh_attach_sweep(attach);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
}

/* ---- clsact --------------------------------------------------------------------------------- */

static void clsact_hangs_on_both_sides(void **state)
{
	assert_string_equal(attach_host(false), "clsact");
	assert_true(filter_is(false, BH_PROG_FROM_POD));
	assert_true(filter_is(true, BH_PROG_TO_POD));
}

static void clsact_is_replaced_in_place_after_a_restart(void **state)
{
	struct bh_iface iface = {.slot = 1};
	struct bh_filter before, after;

	attach_host(false);
	bpf_map_update_elem(object->map[BH_MAP_bh_ifaces], &ifindex, &iface, BPF_ANY);
	assert_true(bh_clsact_find(sock, object->pins.handle, ifindex, false, &before));
	close_attach();
	assert_int_equal(open_attach(BH_ATTACH_CLSACT), 0);
	bh_attach_refresh(attach);
	assert_true(bh_clsact_find(sock, object->pins.handle, ifindex, false, &after));
	assert_int_not_equal(after.prog_id, before.prog_id);
	assert_int_equal(after.priority, before.priority);
}

static void clsact_removed_by_somebody_is_put_back_and_named(void **state)
{
	attach_host(false);
	sh("tc qdisc del dev host0 clsact");
	bh_attach_check(attach);
	assert_true(filter_is(false, BH_PROG_FROM_POD));
	assert_true(filter_is(true, BH_PROG_TO_POD));
	assert_non_null(problem("repaired"));
}

static void clsact_filter_of_a_stranger_is_named_and_left_alone(void **state)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = stranger(), .handle = 7, .priority = 1);
	LIBBPF_OPTS(bpf_tc_opts, query, .handle = 7, .priority = 1);

	attach_host(false);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	close(opts.prog_fd);
	bh_attach_check(attach);
	assert_non_null(problem("foreign-program"));
	assert_non_null(strstr(problem("foreign-program")->text, "stranger"));
	bh_attach_release(attach, ifindex);
	assert_int_equal(bpf_tc_query(&hook, &query), 0);
	assert_false(bh_clsact_find(sock, object->pins.handle, ifindex, false, NULL));
}

static void changing_from_clsact_to_tcx_leaves_no_filter(void **state)
{
	attach_host(false);
	close_attach();
	if (bh_links_probe_tcx() != 1) {
		open_attach(BH_ATTACH_CLSACT);
		skip();
	}
	assert_int_equal(open_attach(BH_ATTACH_TCX), 0);
	assert_string_equal(attach_host(false), "tcx");
	assert_int_equal(first_in_chain(BH_LINK_INGRESS), object->programs.id[BH_PROG_FROM_POD]);
	assert_false(bh_clsact_find(sock, object->pins.handle, ifindex, false, NULL));
}

static void down_removes_filters_without_a_daemon(void **state)
{
	attach_host(false);
	close_attach();
	take_down();
	assert_int_equal(system("tc filter show dev host0 ingress | grep -q bh_from_pod"), 256);
	assert_int_equal(open_attach(BH_ATTACH_CLSACT), 0);
	assert_true(object->fresh);
}

/* ---- The object ----------------------------------------------------------------------------- */

static void a_killed_starts_leftovers_are_cleared_away(void **state)
{
	char staged[BH_PINS_PATH];

	snprintf(staged, sizeof(staged), "%.200s/stage-4194304", object->pins.base);
	assert_int_equal(mkdir(staged, 0700), 0);
	close_attach();
	assert_int_equal(open_attach(BH_ATTACH_AUTO), 0);
	assert_int_equal(access(staged, F_OK), -1);
	assert_false(object->fresh);
}

static void pinned_maps_keep_their_size_and_say_so(void **state)
{
	uint32_t sizes[BH_MAP_COUNT] = {[BH_MAP_bh_addr4] = 2048};
	struct bh_why why = {};

	close_attach();
	assert_int_equal(bh_object_open(run_dir(), sizes, &object, &why), 0);
	assert_int_equal(object->size[BH_MAP_bh_addr4], 1024);
	assert_string_equal(object->resized, "bh_addr4 has 1024 entries, not 2048");
	assert_int_equal(bh_attach_new(object, BH_ATTACH_AUTO, false, &problems, &attach, &why), 0);
}

static void measures_jiffies_a_second_as_the_kernel_has_them(void **state)
{
	uint32_t hz = object->config->hz;

	assert_true(hz == 100 || hz == 250 || hz == 300 || hz == 1000);
	assert_int_equal(object->config->timeout[BH_FLOW_NEW], 60 * hz);
}

int main(void)
{
#define TCX(name) cmocka_unit_test_setup_teardown(name, open_tcx, close_all)
#define CLSACT(name) cmocka_unit_test_setup_teardown(name, open_clsact, close_all)
	const struct CMUnitTest with_tcx[] = {
		TCX(tcx_hangs_on_both_sides),
		TCX(tcx_outlives_its_daemon_and_is_updated_by_the_next),
		TCX(tcx_detached_by_somebody_is_put_back_and_named),
		TCX(tcx_goes_before_a_stranger_again_and_names_it),
		TCX(tcx_does_not_quarrel_for_ever),
		TCX(a_new_device_by_an_old_index_gets_new_links),
		TCX(xdp_takes_the_place_of_ingress_and_gives_it_back),
		TCX(an_interface_that_is_gone_says_so),
		TCX(a_sweep_removes_links_nobody_wants),
		TCX(links_of_another_abi_are_taken_over),
	};
	const struct CMUnitTest everywhere[] = {
		CLSACT(clsact_hangs_on_both_sides),
		CLSACT(clsact_is_replaced_in_place_after_a_restart),
		CLSACT(clsact_removed_by_somebody_is_put_back_and_named),
		CLSACT(clsact_filter_of_a_stranger_is_named_and_left_alone),
		CLSACT(changing_from_clsact_to_tcx_leaves_no_filter),
		CLSACT(down_removes_filters_without_a_daemon),
		CLSACT(a_killed_starts_leftovers_are_cleared_away),
		CLSACT(pinned_maps_keep_their_size_and_say_so),
		CLSACT(measures_jiffies_a_second_as_the_kernel_has_them),
	};
	int failed = 0;

	need_root();
	if (bh_links_probe_tcx() == 1)
		failed = cmocka_run_group_tests_name("tcx", with_tcx, node_setup, node_teardown);
	else
		puts("ok 1 - tcx # SKIP a kernel with TCX (6.6)");
	return failed +
	       cmocka_run_group_tests_name("clsact", everywhere, node_setup, node_teardown);
}
