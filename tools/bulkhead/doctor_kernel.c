/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the kernel can do, found out by doing it: maps and programs are made and let go again, and
 * what hangs on an interface is tried on the loopback of a network namespace made for it.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/doctor.h"

#define LOOPBACK 1
/* Not in the headers of a 6.1 libc, see linux/bpf.h since 6.6. */
#define TCX_INGRESS 46

/* The size of the union that this kernel knows may be smaller than ours: what is beyond must be 0.
 */
static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(__NR_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

/* ---- One feature each: a descriptor, 0, or -errno -------------------------------------------- */

static int make_map(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = key,
		.value_size = value,
		.max_entries = entries,
		.map_flags = flags,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

static int try_lru(void)
{
	return make_map(BPF_MAP_TYPE_LRU_HASH, 16, 128, 64, 0);
}

static int try_trie(void)
{
	return make_map(BPF_MAP_TYPE_LPM_TRIE, 8, 16, 64, BPF_F_NO_PREALLOC);
}

static int try_percpu(void)
{
	return make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 64, 4, 0);
}

static int try_ring(void)
{
	return make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, (uint32_t)sysconf(_SC_PAGESIZE), 0);
}

static int try_mmapable(void)
{
	return make_map(BPF_MAP_TYPE_ARRAY, 4, 64, 4, BPF_F_MMAPABLE);
}

/* A program that does nothing: r0 = 0; exit. */
static int load_program(uint32_t type)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = type,
		.insns = (uint64_t)(uintptr_t)nothing,
		.insn_cnt = sizeof(nothing) / sizeof(nothing[0]),
		.license = (uint64_t)(uintptr_t) "Dual BSD/GPL",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

static int try_tc(void)
{
	return load_program(BPF_PROG_TYPE_SCHED_CLS);
}

static int try_link(uint32_t program, uint32_t attach_type, uint32_t flags)
{
	_cleanup_close_ int fd = load_program(program);
	union bpf_attr attr = {
		.link_create = {.prog_fd = (uint32_t)fd,
			.target_ifindex = LOOPBACK,
			.attach_type = attach_type,
			.flags = flags},
	};

	return fd < 0 ? fd : bpf(BPF_LINK_CREATE, &attr);
}

static int try_tcx(void)
{
	return try_link(BPF_PROG_TYPE_SCHED_CLS, TCX_INGRESS, 0);
}

static int try_xdp(void)
{
	return try_link(BPF_PROG_TYPE_XDP, BPF_XDP, XDP_FLAGS_SKB_MODE);
}

static int try_clsact(void)
{
	char buffer[512] = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct tcmsg *tc;
	ssize_t n;
	int r;

	if (!socket)
		return -errno;
	header->nlmsg_type = RTM_NEWQDISC;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	header->nlmsg_seq = 1;
	tc = mnl_nlmsg_put_extra_header(header, sizeof(*tc));
	tc->tcm_ifindex = LOOPBACK;
	tc->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	tc->tcm_parent = TC_H_CLSACT;
	mnl_attr_put_strz(header, TCA_KIND, "clsact");
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(socket, header, header->nlmsg_len) < 0 ||
		(n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer))) < 0)
		r = -errno;
	else
		r = mnl_cb_run(buffer, (size_t)n, 1, mnl_socket_get_portid(socket), NULL, NULL) < 0
			    ? -errno
			    : 0;
	mnl_socket_close(socket);
	return r;
}

/* ---- Trying them ----------------------------------------------------------------------------- */

static const struct feature {
	const char *check;
	int (*try)(void);
	bool needed;
	const char *found; /* where it is there */
	const char *advice;
} features[] = {
	{"bpf-tc", try_tc, true, "TC programs load",
		"the kernel needs CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF, and no lockdown that "
		"forbids BPF"},
	{"bpf-lru", try_lru, true, "LRU hash maps", "use Linux 5.10 or later"},
	{"bpf-trie", try_trie, true, "longest-prefix tries", "use Linux 5.10 or later"},
	{"bpf-percpu", try_percpu, true, "per-CPU arrays", "use Linux 5.10 or later"},
	{"bpf-ring", try_ring, true, "ring buffers", "use Linux 5.10 or later"},
	{"bpf-mmap", try_mmapable, true, "arrays that can be mapped", "use Linux 5.10 or later"},
	{"clsact", try_clsact, false, "the clsact qdisc",
		"without TCX, policy cannot be attached: the kernel needs CONFIG_NET_SCH_INGRESS"},
	{"tcx", try_tcx, false, "TCX links: programs keep their place and their pins",
		"clsact is used; Linux 6.6 and later have TCX, where nobody can take a program "
		"away by "
		"mistake"},
	{"xdp-link", try_xdp, false, "XDP links: --uplink and hook: xdp can be used",
		"--uplink and hook: xdp cannot be used; nothing else needs it"},
};
#define N_FEATURES (sizeof(features) / sizeof(features[0]))

/* In a child, whose network namespace goes with it. */
static void try_all(int result_fd)
{
	int results[N_FEATURES];
	bool alone = unshare(CLONE_NEWNET) == 0;

	for (size_t i = 0; i < N_FEATURES; i++) {
		bool on_interface = features[i].try == try_clsact || features[i].try == try_tcx ||
				    features[i].try == try_xdp;

		results[i] = on_interface && !alone ? -EPERM : features[i].try();
	}
	_exit(write(result_fd, results, sizeof(results)) == sizeof(results) ? 0 : 1);
}

static int try_in_child(int ret_results[N_FEATURES])
{
	int pair[2], status = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		try_all(pair[1]);
	close(pair[1]);
	n = pid < 0 ? -1 : read(pair[0], ret_results, N_FEATURES * sizeof(ret_results[0]));
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return n == (ssize_t)(N_FEATURES * sizeof(ret_results[0])) ? 0 : -EIO;
}

static void report_feature(
	struct bh_doctor *doctor, const struct feature *feature, int result, bool has_other)
{
	if (result >= 0)
		bh_doctor_report(doctor, BH_HEALTH_OK, feature->check, NULL, "%s", feature->found);
	else if (result == -EPERM || result == -EACCES)
		bh_doctor_report(doctor, feature->needed ? BH_HEALTH_PROBLEM : BH_HEALTH_WARNING,
			feature->check,
			"run doctor as root; in a container: with CAP_BPF, "
			"CAP_NET_ADMIN and CAP_SYS_ADMIN",
			"cannot be tried: %s", strerror(-result));
	else
		bh_doctor_report(doctor,
			feature->needed ? BH_HEALTH_PROBLEM
			: has_other     ? BH_HEALTH_OK
					: BH_HEALTH_WARNING,
			feature->check, has_other ? NULL : feature->advice, "not there: %s%s",
			strerror(-result), has_other ? " (and not needed: there is TCX)" : "");
}

static void check_features(struct bh_doctor *doctor)
{
	int results[N_FEATURES];
	bool clsact = false, tcx = false;
	int r = try_in_child(results);

	if (r < 0) {
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "bpf", "run doctor as root",
			"what the kernel can do was not found out: %s", strerror(-r));
		return;
	}
	for (size_t i = 0; i < N_FEATURES; i++) {
		clsact |= features[i].try == try_clsact && results[i] >= 0;
		tcx |= features[i].try == try_tcx && results[i] >= 0;
	}
	for (size_t i = 0; i < N_FEATURES; i++)
		report_feature(
			doctor, &features[i], results[i], features[i].try == try_clsact && tcx);
	if (!clsact && !tcx)
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "attach",
			"use a kernel with CONFIG_NET_SCH_INGRESS, or Linux 6.6 or later",
			"neither TCX nor clsact: policy can hang on nothing");
}

/* ---- Version, BTF, memory -------------------------------------------------------------------- */

static void check_version(struct bh_doctor *doctor, bool *ret_before_5_11)
{
	struct utsname kernel = {0};
	unsigned int major = 0, minor = 0;

	uname(&kernel);
	sscanf(kernel.release, "%u.%u", &major, &minor);
	*ret_before_5_11 = major < 5 || (major == 5 && minor < 11);
	if (major < 5 || (major == 5 && minor < 10))
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "kernel", "use Linux 5.10 or later",
			"Linux %s", kernel.release);
	else
		bh_doctor_report(doctor, BH_HEALTH_OK, "kernel", NULL, "Linux %s", kernel.release);
}

static void check_btf(struct bh_doctor *doctor)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		bh_doctor_report(doctor, BH_HEALTH_OK, "btf", NULL, "/sys/kernel/btf/vmlinux");
	else
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "btf",
			"use a kernel with CONFIG_DEBUG_INFO_BTF=y (Debian's and all large "
			"distributions' have it)",
			"/sys/kernel/btf/vmlinux: %s", strerror(errno));
}

static void check_memlock(struct bh_doctor *doctor)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
		bh_doctor_report(doctor, BH_HEALTH_OK, "memlock", NULL, "unlimited");
	else
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "memlock",
			"this kernel counts maps as locked memory: LimitMEMLOCK=infinity in the "
			"unit, or CAP_SYS_RESOURCE for the data plane",
			"limited to %llu bytes", (unsigned long long)limit.rlim_cur);
}

void bh_doctor_kernel(struct bh_doctor *doctor)
{
	bool counts_memlock;

	check_version(doctor, &counts_memlock);
	check_btf(doctor);
	check_features(doctor);
	if (counts_memlock)
		check_memlock(doctor);
}
