/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CNI_H
#define BULKHEAD_CNI_H

/*
 * bulkhead-cni: a chained CNI plugin (containernetworking/cni SPEC.md 1.0.0). It comes after the
 * plugins that give a pod its interface, and returns once the pod's policy is in the kernel, so
 * that no container of the pod runs before. It changes nothing: prevResult is passed on.
 *
 * One static program without libraries of its own: it runs on the host, whatever that is, and not
 * in the image it came with.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "proto/cleanup.h"

/* Error codes of the specification, section "Error". */
enum bh_cni_code {
	BH_CNI_VERSION = 1,
	BH_CNI_ENVIRONMENT = 4,
	BH_CNI_IO = 5,
	BH_CNI_DECODE = 6,
	BH_CNI_CONFIG = 7,
	BH_CNI_TRY_AGAIN = 11,
	BH_CNI_NOT_READY = 100, /* ours: the pod's policy is not in force */
};

/* What went wrong, for the runtime. */
struct bh_cni_error {
	enum bh_cni_code code;
	char text[512];
};

/* Fills the error in and returns -1. */
int bh_cni_fail(struct bh_cni_error *error, enum bh_cni_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- config.c -------------------------------------------------------------------------------- */

#define BH_CNI_RUN_DIR "/run/bulkhead"
#define BH_CNI_TIMEOUT_MS 10000
#define BH_CNI_TIMEOUT_MAX_MS 120000

/* Which invocation this is. Strings belong to `config` or the environment. */
struct bh_cni_call {
	json_t *config;
	const char *version; /* of the configuration; the newest we know without one */
	const char *run_dir;
	uint64_t timeout_ms;
	bool closed;            /* fail: closed */
	const json_t *previous; /* prevResult, or NULL */
	/* From CNI_ARGS; NULL: not said, which is to say that it is no Kubernetes pod. */
	char *pod_namespace;
	char *pod_name;
	char *pod_uid;
};

/* The protocol versions we speak, oldest first; NULL ends them. */
extern const char *const bh_cni_versions[];

/* Reads the network configuration from `input` (bounded) and CNI_ARGS. Returns 0 or -1. */
int bh_cni_read(
	int input, const char *args, struct bh_cni_call *ret_call, struct bh_cni_error *error);
void bh_cni_call_fini(struct bh_cni_call *call);

/* The pod's addresses as prevResult says, without prefix lengths: a new array. */
json_t *bh_cni_addresses(const json_t *previous);

/* ---- ask.c ----------------------------------------------------------------------------------- */

/*
 * Asks the controller of `run_dir`, one JSON object for another. Waits until `deadline`
 * (CLOCK_MONOTONIC ms) for one that is only starting, too. Returns the answer (the caller's), or
 * NULL with a sentence in the error.
 */
json_t *bh_cni_ask(
	const char *run_dir, const json_t *request, uint64_t deadline, struct bh_cni_error *error);

uint64_t bh_cni_now_ms(void);

#endif
