/* SPDX-License-Identifier: Apache-2.0 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

bool ring_unread;

static int take_event(void *context, void *data, size_t size)
{
	struct outcome *outcome = context;
	const struct bh_hello *hello = data;

	if (hello->type == BH_EVENT_HELLO) {
		assert_int_equal(size, offsetof(struct bh_hello, data) + hello->length);
		memcpy(&outcome->hello[outcome->n_hellos % 2], data, size);
		outcome->n_hellos++;
		return 0;
	}
	assert_int_equal(size, sizeof(struct bh_event));
	if (outcome->n_events < EVENTS_SEEN_MAX)
		memcpy(&outcome->event[outcome->n_events], data, size);
	outcome->n_events++;
	return 0;
}

static void read_ring(struct outcome *outcome)
{
	struct ring_buffer *ring =
		ring_buffer__new(bed_map("bh_events"), take_event, outcome, NULL);

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	ring_buffer__free(ring);
}

unsigned ring_drain(void)
{
	struct outcome outcome = {0};

	read_ring(&outcome);
	return outcome.n_events;
}

static const char *const words[BH_REASON_MAX] = {
#define WORD(name, number, kind, word, sentence) [number] = word,
	BH_REASONS(WORD)
#undef WORD
};

const char *reason_word(int reason)
{
	if (reason == KNOWN_FLOW)
		return "(known flow)";
	return reason > 0 && reason < BH_REASON_MAX && words[reason] ? words[reason] : "(none)";
}

/* ---- Running ----------------------------------------------------------------------------------
 */

/*
 * Old kernels cannot test-run everything: until 5.16 a packet came in nowhere, and until 5.13 XDP
 * only through the loopback. Tests that need it are skipped there.
 */
static bool kernel_test_runs(enum bed_program program, void *context, size_t size)
{
	uint8_t data[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = data, .data_size_in = sizeof(data),
		.ctx_in = context, .ctx_size_in = size);

	return bpf_prog_test_run_opts(bed_program_fd(program), &options) != -EINVAL;
}

static void need_forwarding(void)
{
	static int known = -1;
	struct __sk_buff context = {.ifindex = uplink_ifindex, .ingress_ifindex = uplink_ifindex};

	if (known < 0)
		known = kernel_test_runs(BED_CLOCK, &context, sizeof(context));
	if (!known) {
		print_message("# forwarded packets: Linux 5.16's BPF_PROG_TEST_RUN is missing\n");
		skip();
	}
}

static void need_xdp_context(void)
{
	static int known = -1;
	struct xdp_md context = {.data_end = 64, .ingress_ifindex = uplink_ifindex};

	/* 64 zeros are no packet for anybody here: nothing comes of it. */
	if (known < 0)
		known = kernel_test_runs(BED_XDP_UPLINK, &context, sizeof(context));
	if (!known) {
		print_message("# XDP's interface: Linux 5.13's BPF_PROG_TEST_RUN is missing\n");
		skip();
	}
}

/* Runs; *mark is the packet's before, and what it is afterwards. */
static int run_tc_marked(enum bed_program program, uint32_t ifindex, uint32_t ingress,
	const struct frame *f, uint32_t *mark)
{
	static uint8_t out[FRAME_MAX];
	struct __sk_buff context = {
		.ifindex = ifindex,
		.ingress_ifindex = ingress,
		.mark = *mark,
		.gso_segs = f->segments,
		.gso_size = f->segments ? 1400 : 0,
	};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->data, .data_size_in = f->length,
		.data_out = out, .data_size_out = sizeof(out), .ctx_in = &context,
		.ctx_size_in = sizeof(context), .ctx_out = &context,
		.ctx_size_out = sizeof(context));

	if (ingress)
		need_forwarding();
	assert_int_equal(bpf_prog_test_run_opts(bed_program_fd(program), &options), 0);
	assert_int_equal(options.data_size_out, f->length);
	assert_memory_equal(out, f->data, f->length);
	*mark = context.mark;
	return options.retval;
}

static int run_tc(
	enum bed_program program, const struct party *pod, uint32_t ingress, const struct frame *f)
{
	uint32_t mark = 0;

	return run_tc_marked(program, pod->ifindex, ingress, f, &mark);
}

static int run_xdp(enum bed_program program, uint32_t ifindex, const struct frame *f)
{
	static uint8_t out[FRAME_MAX];
	struct xdp_md context = {.data_end = f->length, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->data, .data_size_in = f->length,
		.data_out = out, .data_size_out = sizeof(out), .ctx_in = &context,
		.ctx_size_in = sizeof(context));

	need_xdp_context();
	assert_int_equal(bpf_prog_test_run_opts(bed_program_fd(program), &options), 0);
	assert_int_equal(options.data_size_out, f->length);
	assert_memory_equal(out, f->data, f->length);
	return options.retval;
}

struct before {
	uint64_t counters[BH_COUNTERS];
	uint64_t edges;
};

static void look_before(struct before *before)
{
	counters_read(before->counters);
	before->edges = edges_packets();
}

static struct outcome look_after(const struct before *before, const struct frame *f, bool passed)
{
	struct outcome outcome = {
		.passed = passed, .reason = KNOWN_FLOW, .sent = f->segments ? f->segments : 1};
	uint64_t now[BH_COUNTERS];

	counters_read(now);
	for (int i = 0; i < BH_REASON_MAX; i++) {
		if (now[i] == before->counters[i])
			continue;
		outcome.reason = i;
		outcome.counted += now[i] - before->counters[i];
	}
	outcome.edges = edges_packets() - before->edges;
	if (!ring_unread)
		read_ring(&outcome);
	return outcome;
}

static bool tc_passes(int action)
{
	/* Nothing but "the next program, please": TC_ACT_OK would skip the programs behind. */
	assert_true(action == TC_ACT_UNSPEC || action == TC_ACT_SHOT);
	return action == TC_ACT_UNSPEC;
}

static struct outcome send_tc(
	enum bed_program program, const struct party *pod, uint32_t ingress, const struct frame *f)
{
	struct before before;
	int action;

	look_before(&before);
	action = run_tc(program, pod, ingress, f);
	return look_after(&before, f, tc_passes(action));
}

static struct outcome send_marked(enum bed_program program, uint32_t ifindex, uint32_t ingress,
	const struct frame *f, uint32_t *mark)
{
	struct before before;
	int action;

	look_before(&before);
	action = run_tc_marked(program, ifindex, ingress, f, mark);
	return look_after(&before, f, tc_passes(action));
}

static struct outcome send_xdp(enum bed_program program, uint32_t ifindex, const struct frame *f)
{
	struct before before;
	int action;

	look_before(&before);
	action = run_xdp(program, ifindex, f);
	assert_true(action == XDP_PASS || action == XDP_DROP);
	return look_after(&before, f, action == XDP_PASS);
}

struct outcome from_pod(const struct party *pod, const struct frame *f)
{
	return send_tc(BED_FROM_POD, pod, 0, f);
}

struct outcome to_pod(const struct party *pod, const struct frame *f)
{
	return send_tc(BED_TO_POD, pod, uplink_ifindex, f);
}

struct outcome from_node(const struct party *pod, const struct frame *f)
{
	return send_tc(BED_TO_POD, pod, 0, f);
}

struct outcome marked_from_pod(
	const struct party *pod, const struct frame *f, uint32_t mark, uint32_t *ret_mark)
{
	struct outcome outcome = send_marked(BED_MARKED_FROM_POD, pod->ifindex, 0, f, &mark);

	*ret_mark = mark;
	return outcome;
}

struct outcome marked_to_pod(const struct party *pod, const struct frame *f, uint32_t mark)
{
	return send_marked(BED_MARKED_TO_POD, pod->ifindex, uplink_ifindex, f, &mark);
}

struct outcome leaving_marked(const struct frame *f, uint32_t mark)
{
	struct outcome outcome = send_marked(BED_LEAVING, uplink_ifindex, web.ifindex, f, &mark);

	/* Whoever comes next, a VLAN or a bond below, leaves it alone. */
	assert_int_equal(mark, BH_TAG);
	return outcome;
}

struct outcome arriving(const struct frame *f)
{
	uint32_t mark = 0;
	struct outcome outcome =
		send_marked(BED_ARRIVING, uplink_ifindex, uplink_ifindex, f, &mark);

	assert_int_equal(mark, BH_TAG);
	return outcome;
}

struct outcome leaving_l3(const struct frame *f, uint32_t mark)
{
	return send_marked(BED_LEAVING_L3, uplink_ifindex, web.ifindex, f, &mark);
}

struct outcome leaving_from_node(const struct frame *f)
{
	uint32_t mark = 0;
	struct outcome outcome = send_marked(BED_LEAVING, uplink_ifindex, 0, f, &mark);

	assert_int_equal(mark, 0);
	return outcome;
}

bool fire_from_pod(const struct party *pod, const struct frame *f)
{
	return tc_passes(run_tc(BED_FROM_POD, pod, 0, f));
}

bool fire_xdp_from_pod(const struct party *pod, const struct frame *f)
{
	return run_xdp(BED_XDP_POD, pod->ifindex, f) == XDP_PASS;
}

bool fire_to_pod(const struct party *pod, const struct frame *f)
{
	return tc_passes(run_tc(BED_TO_POD, pod, uplink_ifindex, f));
}

struct outcome xdp_from_pod(const struct party *pod, const struct frame *f)
{
	return send_xdp(BED_XDP_POD, pod->ifindex, f);
}

struct outcome uplink(const struct frame *f)
{
	return send_xdp(BED_XDP_UPLINK, uplink_ifindex, f);
}

struct outcome between(const struct party *from, const struct party *to, const struct frame *f)
{
	struct outcome outcome = from_pod(from, f);

	return outcome.passed ? to_pod(to, f) : outcome;
}

struct outcome carry(const struct party *from, const struct party *to, const struct frame *f)
{
	if (from->slot && to->slot)
		return between(from, to, f);
	if (from == &node)
		return from_node(to, f);
	return from->slot ? from_pod(from, f) : to_pod(to, f);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

void expect_outcome(const char *file, int line, struct outcome outcome, int reason)
{
	const bool passes = reason == KNOWN_FLOW || BH_REASON_PASSES(reason);
	const uint64_t times = reason == KNOWN_FLOW ? 0 : outcome.sent;

	if (outcome.reason == reason && outcome.passed == passes && outcome.counted == times)
		return;
	print_error("wanted %s, got %s: %s, counted %lu times\n", reason_word(reason),
		reason_word(outcome.reason), outcome.passed ? "passed" : "dropped",
		(unsigned long)outcome.counted);
	_fail(file, line);
}

void handshake(int family, const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport)
{
	struct frame syn = tcp(family, from, sport, to, dport, SYN);
	struct frame syn_ack = tcp(family, to, dport, from, sport, SYN | ACK);
	struct frame ack = tcp(family, from, sport, to, dport, ACK);

	assert_true(carry(from, to, &syn).passed);
	assert_true(carry(to, from, &syn_ack).passed);
	assert_true(carry(from, to, &ack).passed);
	assert_int_equal(flow_of(&ack, NULL), SETTLED);
}
