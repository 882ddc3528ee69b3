/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What BPF_PROG_TEST_RUN cannot make: frames on a real veth, with their headers beyond the linear
 * part of the skb, or with a tag the driver has taken out.
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/send.h"

struct wire {
	int socket;
	struct bpf_tc_hook hook;
};

static struct wire wire;

static void run(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

/* web's veth is up, long frames fit, and the program is where it is in life. */
static int wire_setup(void **state)
{
	LIBBPF_OPTS(bpf_tc_hook, sender, .attach_point = BPF_TC_EGRESS);
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	const int on = 1;

	if (bed_setup(state))
		return -1;
	/* An ip that is not iproute2's cannot name the other end of a veth. */
	wire.socket = -1;
	if (!if_nametoindex("in1"))
		return 0;
	run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
	run("ip link set in1 mtu 9000 up && ip link set pod1 mtu 9000 up");
	wire.hook = (struct bpf_tc_hook){
		.sz = sizeof(wire.hook), .ifindex = web.ifindex, .attach_point = BPF_TC_INGRESS};
	wire.socket = socket(AF_PACKET, SOCK_RAW, 0);
	address.sll_ifindex = if_nametoindex("in1");
	sender.ifindex = address.sll_ifindex;
	if (wire.socket < 0 || bpf_tc_hook_create(&wire.hook) || bpf_tc_hook_create(&sender) ||
		setsockopt(wire.socket, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
		bind(wire.socket, (struct sockaddr *)&address, sizeof(address))) {
		fprintf(stderr, "wire: %s\n", strerror(errno));
		return -1;
	}
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bed_program_fd(BED_FROM_POD));
	return bpf_tc_attach(&wire.hook, &options);
}

static int wire_teardown(void **state)
{
	if (wire.socket >= 0)
		close(wire.socket);
	return bed_teardown(state);
}

static void need_wire(void)
{
	if (wire.socket < 0) {
		print_message("# a veth whose ends both have names: iproute2 is missing\n");
		skip();
	}
}

/* With `linear` bytes in the skb's own buffer, the rest in a page. */
static void put(const struct frame *f, uint16_t linear)
{
	const struct virtio_net_hdr header = {.hdr_len = linear};
	const struct iovec parts[] = {
		{(void *)&header, sizeof(header)}, {(void *)f->data, f->length}};

	need_wire();
	assert_int_equal(writev(wire.socket, parts, 2), sizeof(header) + f->length);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void wait_for(uint32_t index)
{
	const uint64_t deadline = now_ms() + 60000;

	while (!counter(index)) {
		if (now_ms() > deadline)
			fail_msg("no packet came to \"%s\"", reason_word(index));
		sched_yield();
	}
}

/* Long enough not to be made linear by the socket. */
static struct frame long_frame(struct frame f)
{
	frame_zeros(&f, 5000);
	return f;
}

static void headers_beyond_the_linear_part_are_read(int family, uint16_t linear)
{
	struct frame f = long_frame(tcp(family, &web, 40000, &remote, 80, SYN));
	struct bh_flow flow;

	put(&f, linear);
	wait_for(BH_REASON_NOT_ISOLATED);
	assert_int_equal(flow_of(&f, &flow), HALF_OPEN);
	assert_int_equal(flow.octets[0] + flow.octets[1], frame_octets(&f));
}

static void ipv4_header_in_a_page_is_read(void **state)
{
	headers_beyond_the_linear_part_are_read(4, 14);
}

static void ipv6_header_in_a_page_is_read(void **state)
{
	headers_beyond_the_linear_part_are_read(6, 14);
}

static void tcp_header_split_between_both_is_read(void **state)
{
	headers_beyond_the_linear_part_are_read(4, 14 + 20 + 7);
}

static void lie_in_a_page_is_seen(void **state)
{
	struct frame f = long_frame(tcp(4, &web, 40000, &remote, 80, SYN | FIN));

	put(&f, 14);
	wait_for(BH_REASON_TCP_FLAGS);
}

static void forged_address_in_a_page_is_seen(void **state)
{
	struct party forged = db;
	struct frame f;

	memcpy(forged.mac, web.mac, 6);
	f = long_frame(udp(4, &forged, 5000, &remote, 53));
	put(&f, 14);
	wait_for(BH_REASON_SPOOFED_IP);
}

static void icmp_in_a_page_is_read(void **state)
{
	struct frame f = long_frame(echo(4, &web, &remote, 8, 7));

	put(&f, 14);
	wait_for(BH_REASON_NOT_ISOLATED);
	assert_int_equal(flow_of(&f, NULL), HALF_OPEN);
}

static void extension_chain_in_a_page_is_read(void **state)
{
	struct frame f = ip(6, &web, &remote);

	for (int i = 0; i < 6; i++)
		frame_extension(&f, 60, "");
	frame_tcp(&f, 40000, 80, SYN);
	f = long_frame(f);
	put(&f, 14);
	wait_for(BH_REASON_NOT_ISOLATED);
	assert_int_equal(flow_of(&f, NULL), HALF_OPEN);
}

/* Puts a tag beside every packet that leaves, as a VLAN device does. Returns the program. */
static int tagging_program(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = htobe16(0x8100)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 5},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = TC_ACT_OK},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(
		BPF_PROG_TYPE_SCHED_CLS, "tag", "GPL", code, sizeof(code) / sizeof(*code), NULL);

	assert_true(fd >= 0);
	return fd;
}

static void tagged_beside(unsigned tags_inside, uint32_t wanted)
{
	int fd = tagging_program();
	LIBBPF_OPTS(
		bpf_tc_hook, hook, .ifindex = if_nametoindex("in1"), .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = fd);
	struct frame f;

	need_wire();
	assert_int_equal(bpf_tc_attach(&hook, &options), 0);
	frame_ethernet(&f, &web, &remote);
	for (unsigned i = 0; i < tags_inside; i++)
		frame_vlan(&f, 0x8100);
	frame_ip(&f, 4, &web, &remote);
	frame_tcp(&f, 40000, 80, SYN);
	put(&f, f.length);
	wait_for(wanted);
	options.prog_fd = options.prog_id = options.flags = 0;
	assert_int_equal(bpf_tc_detach(&hook, &options), 0);
	close(fd);
}

static void tag_beside_the_packet_is_a_tag(void **state)
{
	tagged_beside(1, BH_REASON_NOT_ISOLATED);
}

static void tag_beside_the_packet_counts_towards_the_bound(void **state)
{
	tagged_beside(2, BH_REASON_VLAN_DEPTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(ipv4_header_in_a_page_is_read),
		bed_test(ipv6_header_in_a_page_is_read),
		bed_test(tcp_header_split_between_both_is_read),
		bed_test(lie_in_a_page_is_seen),
		bed_test(forged_address_in_a_page_is_seen),
		bed_test(icmp_in_a_page_is_read),
		bed_test(extension_chain_in_a_page_is_read),
		bed_test(tag_beside_the_packet_is_a_tag),
		bed_test(tag_beside_the_packet_counts_towards_the_bound),
	};

	return cmocka_run_group_tests_name("real frames", tests, wire_setup, wire_teardown);
}
