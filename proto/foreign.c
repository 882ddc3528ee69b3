/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/foreign.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "proto/cleanup.h"

#define PROGRAMS_MAX 256           /* looked at for one question */
#define MAPS_MAX 64                /* of one program */
#define INSNS_MAX (1024 * 1024)    /* the verifier's own limit */
#define LINES_MAX (64 * 1024)      /* source lines of one program */
#define BTF_MAX (16 * 1024 * 1024) /* the kernel's own limit */
#define SLOTS_MAX (64 * 1024)      /* of one table of programs */

/* A source line that calls it; Cilium's own wrapper has it in its name, too. */
#define SOURCE_WORD "redirect_peer("

static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(__NR_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int open_by_id(int command, uint32_t id)
{
	union bpf_attr attr = {.prog_id = id};

	return bpf(command, &attr);
}

static int ask_info(int fd, void *info, uint32_t size)
{
	union bpf_attr attr = {
		.info = {.bpf_fd = (uint32_t)fd,
			.info_len = size,
			.info = (uint64_t)(uintptr_t)info},
	};

	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static uint64_t address(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

/* ---- Instructions ---------------------------------------------------------------------------- */

struct reading {
	int32_t redirect_peer; /* what the kernel shows for a call of it; 0: it does not show calls
				*/
	bool knows;            /* the kernel has the helper at all */
	uint32_t seen[PROGRAMS_MAX]; /* programs to be looked at, or that have been */
	uint32_t n_seen;
};

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == 0;
}

/* The instructions as the kernel runs them (free()); *ret_n. NULL: not shown, or none. */
static struct bpf_insn *read_insns(int fd, uint32_t *ret_n)
{
	_cleanup_free_ struct bpf_insn *insns = NULL;
	struct bpf_prog_info info = {0};
	uint32_t size;

	if (ask_info(fd, &info, sizeof(info)) < 0)
		return NULL;
	size = info.xlated_prog_len;
	if (!size || size > INSNS_MAX * sizeof(*insns) || !(insns = calloc(1, size)))
		return NULL;
	info = (struct bpf_prog_info){.xlated_prog_len = size, .xlated_prog_insns = address(insns)};
	if (ask_info(fd, &info, sizeof(info)) < 0 || !info.xlated_prog_insns)
		return NULL;
	*ret_n = (info.xlated_prog_len < size ? info.xlated_prog_len : size) / sizeof(*insns);
	return bh_take_pointer(insns);
}

/* A program of our own that calls it, never run: its call looks as everybody's does. */
static void learn_the_call(struct reading *reading)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_peer},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.insns = address(code),
		.license = address("GPL"),
		.prog_name = "bh_example",
	};
	_cleanup_close_ int fd = bpf(BPF_PROG_LOAD, &attr);
	uint32_t n = 0;
	_cleanup_free_ struct bpf_insn *insns = fd >= 0 ? read_insns(fd, &n) : NULL;

	/* Only "invalid" says that there is no such helper (it came with Linux 5.10). */
	reading->knows = fd != -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		if (is_call(&insns[i]))
			reading->redirect_peer = insns[i].imm;
	}
}

static enum bh_evidence read_calls(const struct reading *reading, int fd)
{
	uint32_t n = 0;
	_cleanup_free_ struct bpf_insn *insns = read_insns(fd, &n);
	bool hidden = !insns;

	for (uint32_t i = 0; i < n; i++) {
		if (!is_call(&insns[i]))
			continue;
		/* No helper is at the very address that calls are counted from. */
		hidden |= !insns[i].imm || !reading->redirect_peer;
		if (insns[i].imm && insns[i].imm == reading->redirect_peer)
			return BH_EVIDENCE_CALL;
	}
	return hidden ? BH_EVIDENCE_HIDDEN : BH_EVIDENCE_NONE;
}

/* ---- Source lines ---------------------------------------------------------------------------- */

/* The strings of a BTF object: *ret_strings points into what is returned (free()), *ret_size. */
static char *read_strings(uint32_t btf_id, const char **ret_strings, uint32_t *ret_size)
{
	_cleanup_close_ int fd = open_by_id(BPF_BTF_GET_FD_BY_ID, btf_id);
	struct bpf_btf_info info = {0};
	const struct btf_header *header;
	_cleanup_free_ char *data = NULL;
	uint32_t size;

	if (fd < 0 || ask_info(fd, &info, sizeof(info)) < 0)
		return NULL;
	size = info.btf_size;
	if (size < sizeof(*header) || size > BTF_MAX || !(data = calloc(1, size + 1)))
		return NULL;
	info = (struct bpf_btf_info){.btf = address(data), .btf_size = size};
	header = (const struct btf_header *)data;
	if (ask_info(fd, &info, sizeof(info)) < 0 || header->magic != BTF_MAGIC ||
		header->hdr_len > size || header->str_off > size - header->hdr_len ||
		header->str_len > size - header->hdr_len - header->str_off)
		return NULL;
	*ret_strings = data + header->hdr_len + header->str_off;
	*ret_size = header->str_len;
	return bh_take_pointer(data);
}

/* Do its source lines say so? HIDDEN: it has none. */
static enum bh_evidence read_source(int fd)
{
	struct bpf_prog_info info = {0};
	_cleanup_free_ struct bpf_line_info *lines = NULL;
	_cleanup_free_ char *data = NULL;
	const char *strings = NULL;
	uint32_t n, size = 0;

	if (ask_info(fd, &info, sizeof(info)) < 0 || !info.btf_id || !info.nr_line_info)
		return BH_EVIDENCE_HIDDEN;
	n = info.nr_line_info;
	data = read_strings(info.btf_id, &strings, &size);
	if (!data || n > LINES_MAX || !(lines = calloc(n, sizeof(*lines))))
		return BH_EVIDENCE_HIDDEN;
	info = (struct bpf_prog_info){
		.nr_line_info = n,
		.line_info_rec_size = sizeof(*lines),
		.line_info = address(lines),
	};
	if (ask_info(fd, &info, sizeof(info)) < 0)
		return BH_EVIDENCE_HIDDEN;
	for (uint32_t i = 0; i < n && i < info.nr_line_info; i++) {
		/* The last string ends at the latest with the byte that calloc() put behind all. */
		if (lines[i].line_off < size && strstr(strings + lines[i].line_off, SOURCE_WORD))
			return BH_EVIDENCE_SOURCE;
	}
	return BH_EVIDENCE_NONE;
}

/* ---- One program ----------------------------------------------------------------------------- */

static bool is_named_so(const char *name)
{
	return strncmp(name, "cil_", 4) == 0 || strncmp(name, "cali_", 5) == 0 ||
	       strncmp(name, "calico_", 7) == 0;
}

static void describe(uint32_t id, const struct bpf_prog_info *info, char ret_text[BH_FOREIGN_TEXT])
{
	if (info->name[0])
		snprintf(ret_text, BH_FOREIGN_TEXT, "%.15s (id %u)", info->name, id);
	else
		snprintf(ret_text, BH_FOREIGN_TEXT, "id %u", id);
}

/* The programs in one table of them are to be looked at, too. */
static void add_table(struct reading *reading, uint32_t map_id)
{
	_cleanup_close_ int fd = open_by_id(BPF_MAP_GET_FD_BY_ID, map_id);
	struct bpf_map_info info = {0};

	if (fd < 0 || ask_info(fd, &info, sizeof(info)) < 0 || info.type != BPF_MAP_TYPE_PROG_ARRAY)
		return;
	for (uint32_t key = 0; key < info.max_entries && key < SLOTS_MAX; key++) {
		uint32_t id = 0, i = 0;
		union bpf_attr attr = {
			.map_fd = (uint32_t)fd, .key = address(&key), .value = address(&id)};

		if (bpf(BPF_MAP_LOOKUP_ELEM, &attr) < 0 || !id)
			continue;
		while (i < reading->n_seen && reading->seen[i] != id)
			i++;
		if (i == PROGRAMS_MAX)
			return;
		if (i == reading->n_seen)
			reading->seen[reading->n_seen++] = id;
	}
}

static void add_tail_calls(struct reading *reading, int fd)
{
	uint32_t ids[MAPS_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = address(ids)};

	if (ask_info(fd, &info, sizeof(info)) < 0)
		return;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++)
		add_table(reading, ids[i]);
}

static int look_at_one(struct reading *reading, uint32_t id, struct bh_foreign *ret_one)
{
	_cleanup_close_ int fd = open_by_id(BPF_PROG_GET_FD_BY_ID, id);
	struct bpf_prog_info info = {0};
	int err = fd < 0 ? fd : ask_info(fd, &info, sizeof(info));

	if (err < 0)
		return err;
	describe(id, &info, ret_one->text);
	ret_one->evidence = read_calls(reading, fd);
	if (ret_one->evidence == BH_EVIDENCE_HIDDEN)
		ret_one->evidence = read_source(fd);
	if (ret_one->evidence == BH_EVIDENCE_HIDDEN && is_named_so(info.name))
		ret_one->evidence = BH_EVIDENCE_NAME;
	add_tail_calls(reading, fd);
	return 0;
}

int bh_foreign_look(uint32_t id, struct bh_foreign *ret_foreign)
{
	_cleanup_free_ struct reading *reading = calloc(1, sizeof(*reading));
	struct bh_foreign foreign = {0};
	int err;

	if (!reading)
		return -ENOMEM;
	learn_the_call(reading);
	reading->seen[reading->n_seen++] = id;
	err = look_at_one(reading, id, &foreign);
	if (err < 0)
		return err;
	if (!reading->knows)
		foreign.evidence = BH_EVIDENCE_NONE;
	for (uint32_t i = 1; reading->knows && i < reading->n_seen; i++) {
		struct bh_foreign one = {0};

		if (foreign.evidence == BH_EVIDENCE_CALL)
			break;
		if (look_at_one(reading, reading->seen[i], &one) < 0 ||
			one.evidence <= foreign.evidence)
			continue;
		foreign.evidence = one.evidence;
		memcpy(foreign.callee, one.text, sizeof(foreign.callee));
	}
	*ret_foreign = foreign;
	return 0;
}
