/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cni/cni.h"

#define INPUT_MAX (1024 * 1024)
#define NAME_MAX_LENGTH 253 /* of a namespace, a pod, a uid */

const char *const bh_cni_versions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", NULL};

int bh_cni_fail(struct bh_cni_error *error, enum bh_cni_code code, const char *format, ...)
{
	va_list args;

	error->code = code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -1;
}

static int read_input(int input, char *buffer, size_t *ret_size, struct bh_cni_error *error)
{
	size_t size = 0;

	for (;;) {
		ssize_t n = read(input, buffer + size, INPUT_MAX + 1 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bh_cni_fail(error, BH_CNI_IO,
				"reading the network configuration: %s", strerror(errno));
		size += (size_t)n;
		if (size > INPUT_MAX)
			return bh_cni_fail(error, BH_CNI_DECODE,
				"the network configuration is longer than 1 MiB");
		if (n == 0)
			break;
	}
	*ret_size = size;
	return 0;
}

/* "500ms", "10s", "2m". Returns 0 or -1. */
static int parse_duration(const char *text, uint64_t *ret_ms)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);
	uint64_t unit = !strcmp(end, "ms")  ? 1
			: !strcmp(end, "s") ? 1000
			: !strcmp(end, "m") ? 60000
					    : 0;

	if (*text < '0' || *text > '9' || !unit || number > BH_CNI_TIMEOUT_MAX_MS)
		return -1;
	*ret_ms = number * unit;
	return *ret_ms >= 1 && *ret_ms <= BH_CNI_TIMEOUT_MAX_MS ? 0 : -1;
}

/* The string of that name; *ret_text stays as it is if it is not there. */
static int take_text(
	const json_t *config, const char *name, const char **ret_text, struct bh_cni_error *error)
{
	const json_t *value = json_object_get(config, name);

	if (!value)
		return 0;
	if (!json_is_string(value) || !*json_string_value(value))
		return bh_cni_fail(error, BH_CNI_CONFIG, "'%s' is not a (non-empty) string", name);
	*ret_text = json_string_value(value);
	return 0;
}

static int take_version(struct bh_cni_call *call, struct bh_cni_error *error)
{
	for (const char *const *version = bh_cni_versions; *version; version++) {
		if (!strcmp(*version, call->version))
			return 0;
	}
	return bh_cni_fail(error, BH_CNI_VERSION,
		"cniVersion %.32s is not supported (0.3.0 to 1.1.0)", call->version);
}

static int take_config(struct bh_cni_call *call, struct bh_cni_error *error)
{
	const char *timeout = NULL, *fail = "open";

	if (take_text(call->config, "cniVersion", &call->version, error) < 0 ||
		take_version(call, error) < 0 ||
		take_text(call->config, "runDir", &call->run_dir, error) < 0 ||
		take_text(call->config, "timeout", &timeout, error) < 0 ||
		take_text(call->config, "fail", &fail, error) < 0)
		return -1;
	if (timeout && parse_duration(timeout, &call->timeout_ms) < 0)
		return bh_cni_fail(error, BH_CNI_CONFIG,
			"'timeout' is like 500ms, 10s, 2m, at most 2m, not '%.32s'", timeout);
	if (strcmp(fail, "open") != 0 && strcmp(fail, "closed") != 0)
		return bh_cni_fail(
			error, BH_CNI_CONFIG, "'fail' is open or closed, not '%.32s'", fail);
	call->closed = !strcmp(fail, "closed");
	call->previous = json_object_get(call->config, "prevResult");
	if (call->previous && !json_is_object(call->previous))
		return bh_cni_fail(error, BH_CNI_CONFIG, "'prevResult' is no object");
	return 0;
}

/* "K8S_POD_NAME=web-1;K8S_POD_NAMESPACE=shop;…" */
static int take_args(struct bh_cni_call *call, const char *args, struct bh_cni_error *error)
{
	_cleanup_free_ char *copy = strdup(args ? args : "");
	struct {
		const char *key;
		char **value;
	} wanted[] = {
		{"K8S_POD_NAMESPACE", &call->pod_namespace},
		{"K8S_POD_NAME", &call->pod_name},
		{"K8S_POD_UID", &call->pod_uid},
	};
	char *rest;

	for (char *pair = copy ? strtok_r(copy, ";", &rest) : NULL; pair;
		pair = strtok_r(NULL, ";", &rest)) {
		char *equals = strchr(pair, '=');

		if (!equals)
			return bh_cni_fail(
				error, BH_CNI_ENVIRONMENT, "CNI_ARGS: no '=' in '%.64s'", pair);
		*equals = '\0';
		if (strlen(equals + 1) > NAME_MAX_LENGTH)
			continue; /* no pod has such a name, and none of it is ours */
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (strcmp(pair, wanted[i].key) != 0 || !equals[1])
				continue;
			free(*wanted[i].value);
			*wanted[i].value = strdup(equals + 1);
		}
	}
	return 0;
}

int bh_cni_read(
	int input, const char *args, struct bh_cni_call *ret_call, struct bh_cni_error *error)
{
	_cleanup_free_ char *buffer = malloc(INPUT_MAX + 1);
	struct bh_cni_call call = {
		.version = "1.0.0",
		.run_dir = BH_CNI_RUN_DIR,
		.timeout_ms = BH_CNI_TIMEOUT_MS,
	};
	json_error_t problem;
	size_t size = 0;

	if (!buffer)
		return bh_cni_fail(error, BH_CNI_IO, "out of memory");
	if (read_input(input, buffer, &size, error) < 0)
		return -1;
	call.config = json_loadb(buffer, size, JSON_REJECT_DUPLICATES, &problem);
	if (!json_is_object(call.config)) {
		json_decref(call.config);
		return bh_cni_fail(error, BH_CNI_DECODE,
			"the network configuration is no JSON object: %s", problem.text);
	}
	if (take_config(&call, error) < 0 || take_args(&call, args, error) < 0) {
		bh_cni_call_fini(&call);
		return -1;
	}
	*ret_call = call;
	return 0;
}

void bh_cni_call_fini(struct bh_cni_call *call)
{
	json_decref(call->config);
	free(call->pod_namespace);
	free(call->pod_name);
	free(call->pod_uid);
	*call = (struct bh_cni_call){0};
}

/* Some of the addresses may be on interfaces of the host: only those in the sandbox are the pod's.
 */
static bool is_in_sandbox(const json_t *previous, const json_t *ip)
{
	const json_t *index = json_object_get(ip, "interface");
	const json_t *interface;

	if (!json_is_integer(index))
		return true;
	interface = json_array_get(
		json_object_get(previous, "interfaces"), (size_t)json_integer_value(index));
	return !interface || json_string_length(json_object_get(interface, "sandbox")) > 0;
}

json_t *bh_cni_addresses(const json_t *previous)
{
	json_t *addresses = json_array();
	const json_t *ip;
	size_t i;

	json_array_foreach(json_object_get(previous, "ips"), i, ip)
	{
		const char *text = json_string_value(json_object_get(ip, "address"));

		if (text && is_in_sandbox(previous, ip))
			json_array_append_new(addresses, json_stringn(text, strcspn(text, "/")));
	}
	return addresses;
}
