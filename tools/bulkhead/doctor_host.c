/* SPDX-License-Identifier: Apache-2.0 */

/* The host around the kernel: rights, mounts, forwarding, the CNI's wiring, instances of ours. */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/pidfile.h"
#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/cni_config.h"
#include "tools/bulkhead/doctor.h"
#include "tools/bulkhead/up.h"

#define BPFFS "/sys/fs/bpf"
#define BPFFS_MAGIC 0xcafe4a11

static void closedir_cleanup(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void cap_cleanup(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

/* ---- Rights, mounts, sysctls ----------------------------------------------------------------- */

static void check_rights(struct bh_doctor *doctor)
{
	static const cap_value_t needed[] = {CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN};
	_cleanup_(cap_cleanup) cap_t caps = cap_get_proc();
	char missing[128] = "";

	for (size_t i = 0; caps && i < sizeof(needed) / sizeof(needed[0]); i++) {
		cap_flag_value_t has = CAP_CLEAR;
		char *name;

		if (cap_get_flag(caps, needed[i], CAP_EFFECTIVE, &has) == 0 && has == CAP_SET)
			continue;
		name = cap_to_name(needed[i]);
		if (name)
			snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing),
				"%s%s", *missing ? ", " : "", name);
		cap_free(name);
	}
	if (*missing)
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "rights",
			"run it (and bulkhead up) as root; in a container: give it these "
			"capabilities",
			"missing here: %s", missing);
	else
		bh_doctor_report(doctor, BH_HEALTH_OK, "rights", NULL,
			"cap_bpf, cap_net_admin, cap_sys_admin");
}

static void check_bpffs(struct bh_doctor *doctor)
{
	struct statfs status;

	if (statfs(BPFFS, &status) == 0 && (uint32_t)status.f_type == BPFFS_MAGIC)
		bh_doctor_report(doctor, BH_HEALTH_OK, "bpffs", NULL, "mounted at " BPFFS);
	else
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "bpffs",
			"mount -t bpf bpf " BPFFS " (in a container: mount the host's, with "
			"mountPropagation)",
			"no BPF file system at " BPFFS);
}

/* The number in a file under /proc/sys, or -1. */
static long read_number(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	long number;

	return file && fscanf(file, "%ld", &number) == 1 ? number : -1;
}

static void check_sysctls(struct bh_doctor *doctor)
{
	long jit = read_number("/proc/sys/net/core/bpf_jit_enable");
	long four = read_number("/proc/sys/net/ipv4/ip_forward");
	long six = read_number("/proc/sys/net/ipv6/conf/all/forwarding");

	if (jit == 0)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "bpf-jit",
			"sysctl net.core.bpf_jit_enable=1: a packet costs several times as much "
			"without",
			"BPF programs are interpreted");
	else if (jit > 0)
		bh_doctor_report(
			doctor, BH_HEALTH_OK, "bpf-jit", NULL, "BPF programs are compiled");
	if (four == 0)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "forwarding",
			"routed pods (ptp, Calico) reach nobody: sysctl net.ipv4.ip_forward=1, "
			"unless all pods are on one bridge",
			"IPv4 is not forwarded%s", six == 0 ? ", nor IPv6" : "");
	else
		bh_doctor_report(doctor, BH_HEALTH_OK, "forwarding", NULL, "IPv4 is forwarded%s",
			six == 1 ? ", IPv6 too" : "");
}

static void check_conntrack(struct bh_doctor *doctor)
{
	long n = read_number("/proc/sys/net/netfilter/nf_conntrack_count");

	if (n >= 0)
		bh_doctor_report(doctor, BH_HEALTH_OK, "conntrack", NULL,
			"%ld connections the kernel knows are taken over at the first start", n);
	else
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "conntrack",
			"connections that are open when enforcement begins are judged as if they "
			"began "
			"then; modprobe nf_conntrack before, if that matters",
			"the kernel's connection tracking is not in use");
}

/* ---- The CNI's wiring ------------------------------------------------------------------------ */

struct chain {
	char types[256]; /* "bridge, portmap" */
	bool ours;
	bool redirects; /* Cilium: past the pod's interface */
	bool no_veth;
};

static void add_plugin(struct chain *chain, const json_t *plugin)
{
	static const char *const without_veth[] = {
		"macvlan", "ipvlan", "sriov", "host-device", "vlan"};
	const char *type = bh_json_get_text(plugin, "type");
	size_t used = strlen(chain->types);

	snprintf(chain->types + used, sizeof(chain->types) - used, "%s%s", used ? ", " : "", type);
	chain->ours |= strcmp(type, "bulkhead-cni") == 0;
	chain->redirects |= strcmp(type, "cilium-cni") == 0;
	for (size_t i = 0; i < sizeof(without_veth) / sizeof(without_veth[0]); i++)
		chain->no_veth |= strcmp(type, without_veth[i]) == 0;
}

static struct chain chain_of(const char *name, const json_t *config)
{
	const json_t *plugins = json_object_get(config, "plugins"), *plugin;
	struct chain chain = {0};
	size_t i;

	if (!bh_cni_is_list(name, config))
		add_plugin(&chain, config);
	else
		json_array_foreach(plugins, i, plugin) add_plugin(&chain, plugin);
	return chain;
}

static void report_chain(struct bh_doctor *doctor, const char *name, const struct chain *chain)
{
	if (chain->no_veth)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "cni",
			"pods wired so have no end on the host: no policy can be enforced on them",
			"%s: %s", name, chain->types);
	else if (chain->redirects)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "cni",
			"Cilium's eBPF host routing skips a pod's ingress policy: set "
			"bpf.hostLegacyRouting=true",
			"%s: %s", name, chain->types);
	else
		bh_doctor_report(doctor, BH_HEALTH_OK, "cni", NULL, "%s: %s", name, chain->types);
	if (!chain->ours)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "cni-wait",
			"'bulkhead cni install' makes a pod wait until its policy is in the "
			"kernel; "
			"without it, --hold cuts it off until then",
			"bulkhead-cni is not in the chain");
	else if (access("/opt/cni/bin/bulkhead-cni", X_OK) < 0 &&
		 strcmp(doctor->conf_dir, "/etc/cni/net.d") == 0)
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "cni-wait",
			"no pod can start: 'bulkhead cni install', or 'bulkhead cni uninstall'",
			"bulkhead-cni is in the chain, and its program is not in /opt/cni/bin");
	else
		bh_doctor_report(
			doctor, BH_HEALTH_OK, "cni-wait", NULL, "bulkhead-cni is in the chain");
}

static void check_cni(struct bh_doctor *doctor)
{
	_cleanup_(bh_cni_names_fini) struct bh_cni_names names = {0};
	int r = bh_cni_list(doctor->conf_dir, &names);

	for (int i = 0; r == 0 && i < names.n; i++) {
		const char *name = names.list[i]->d_name;
		char path[PATH_MAX];
		json_t *config;
		struct chain chain;

		if (bh_rundir_path(doctor->conf_dir, name, path, sizeof(path)) < 0)
			continue;
		config = bh_cni_load(path, name);
		if (!config)
			continue;
		chain = chain_of(name, config);
		json_decref(config);
		report_chain(doctor, name, &chain);
		return;
	}
	bh_doctor_report(doctor, BH_HEALTH_OK, "cni", NULL,
		"%s: no network configuration (fine on a host without Kubernetes)",
		doctor->conf_dir);
}

/* ---- Instances of ours ----------------------------------------------------------------------- */

/* As the data plane names its pins: FNV-1a of the run directory's path. */
static void instance_name(const char *run_dir, char ret_name[32])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (const char *c = run_dir; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
	snprintf(ret_name, 32, "bh%016" PRIx64, hash);
}

static void report_own(struct bh_doctor *doctor, const char *run_dir, bool pinned)
{
	char path[PATH_MAX];
	pid_t holder;
	bool runs = bh_rundir_path(run_dir, "dataplane.pid", path, sizeof(path)) == 0 &&
		    bh_pidfile_holder(path, &holder) == 0;

	if (runs)
		bh_doctor_report(doctor, BH_HEALTH_OK, "instance", NULL,
			"%s: the data plane runs (process %d)", run_dir, (int)holder);
	else if (pinned)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "instance",
			"'bulkhead up' goes on with it; 'bulkhead down' takes it away",
			"%s: no daemon runs, and the kernel goes on enforcing what it was told",
			run_dir);
	else
		bh_doctor_report(
			doctor, BH_HEALTH_OK, "instance", NULL, "%s: nothing runs", run_dir);
}

static void check_instances(struct bh_doctor *doctor)
{
	_cleanup_(closedir_cleanup) DIR *dir = opendir(BPFFS "/bulkhead");
	char run_dir[PATH_MAX], own[32], others[256] = "";
	unsigned int n = 0;
	struct dirent *entry;
	bool pinned = false;

	if (bh_rundir_absolute(bh_cli.run_dir, run_dir) < 0)
		snprintf(run_dir, sizeof(run_dir), "%s", bh_cli.run_dir);
	instance_name(run_dir, own);
	while (dir && (entry = readdir(dir))) {
		size_t used = strlen(others);

		if (strncmp(entry->d_name, "bh", 2) != 0)
			continue;
		if (strcmp(entry->d_name, own) == 0) {
			pinned = true;
			continue;
		}
		if (n++ < 8)
			snprintf(others + used, sizeof(others) - used, "%s%.20s", used ? ", " : "",
				entry->d_name);
	}
	report_own(doctor, run_dir, pinned);
	if (n)
		bh_doctor_report(doctor, BH_HEALTH_WARNING, "other-instances",
			"instances of other run directories: 'bulkhead --run-dir DIR down' takes "
			"one "
			"away, if nobody needs it",
			"%u under " BPFFS "/bulkhead: %s%s", n, others, n > 8 ? ", …" : "");
}

static void check_programs(struct bh_doctor *doctor)
{
	static const char *const programs[] = {"bulkhead-dataplane", "bulkhead-controller"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (bh_process_find(programs[i], path) == 0)
			continue;
		bh_doctor_report(doctor, BH_HEALTH_PROBLEM, "programs-of-ours",
			"install Bulkhead again", "%s is not beside this program", programs[i]);
		return;
	}
}

void bh_doctor_host(struct bh_doctor *doctor)
{
	check_rights(doctor);
	check_bpffs(doctor);
	check_sysctls(doctor);
	check_conntrack(doctor);
	check_cni(doctor);
	check_programs(doctor);
	check_instances(doctor);
}
