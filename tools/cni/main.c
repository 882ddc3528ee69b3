/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "tools/cni/cni.h"

#define DEL_MS 1000

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_json_ _cleanup_(json_cleanup)

static int print(json_t *value)
{
	int r = json_dumpf(value, stdout, JSON_INDENT(2));

	putchar('\n');
	return r < 0 || fflush(stdout) == EOF ? -1 : 0;
}

/* As the specification wants it: an object on standard output, and a status that is not 0. */
static int refuse(const char *version, const struct bh_cni_error *error)
{
	_cleanup_json_ json_t *object = json_pack("{s:s, s:i, s:s}", "cniVersion", version, "code",
		(int)error->code, "msg", "bulkhead-cni");

	/* A text that is not UTF-8 came from whoever called us. */
	json_object_set_new(object, "details",
		json_string(error->text)
			?: json_string("failed, and the reason is not valid UTF-8"));
	print(object);
	return EXIT_FAILURE;
}

static bool is_pod(const struct bh_cni_call *call)
{
	return call->pod_namespace && call->pod_name;
}

static json_t *request_of(const struct bh_cni_call *call, const char *command)
{
	json_t *request = json_pack("{s:s, s:s, s:s, s:o}", "command", command, "namespace",
		call->pod_namespace, "name", call->pod_name, "ips",
		bh_cni_addresses(call->previous));

	if (request && call->pod_uid)
		json_object_set_new(request, "uid", json_string(call->pod_uid));
	return request;
}

/* Until the pod's policy is in force. Returns 0, or -1 with the reason. */
static int wait_until_ready(
	const struct bh_cni_call *call, bool announce, struct bh_cni_error *error)
{
	_cleanup_json_ json_t *request = request_of(call, "endpoint-ready");
	_cleanup_json_ json_t *answer = NULL;
	const char *text;

	if (!request)
		return bh_cni_fail(
			error, BH_CNI_ENVIRONMENT, "a name in CNI_ARGS is not valid UTF-8");
	json_object_set_new(request, "timeout", json_integer((json_int_t)call->timeout_ms));
	json_object_set_new(request, "announce", json_boolean(announce));
	/* The controller's answer to a wait that was in vain says more than our own deadline. */
	answer = bh_cni_ask(
		call->run_dir, request, bh_cni_now_ms() + call->timeout_ms + DEL_MS, error);
	if (!answer)
		return -1;
	if (json_is_true(json_object_get(answer, "ok")))
		return 0;
	text = json_string_value(json_object_get(answer, "error"));
	return bh_cni_fail(error, BH_CNI_NOT_READY, "%s",
		text ? text : "the controller refuses, and says not why");
}

/* `fail` decides what becomes of a pod whose policy is not in force. Returns 0, or -1: refuse. */
static int settle(const struct bh_cni_call *call, int ready, const struct bh_cni_error *error)
{
	if (ready == 0)
		return 0;
	syslog(LOG_WARNING, "pod %s/%s %s: %s", call->pod_namespace, call->pod_name,
		call->closed ? "is refused (fail: closed)" : "starts all the same (fail: open)",
		error->text);
	return call->closed ? -1 : 0;
}

static int add(const struct bh_cni_call *call, struct bh_cni_error *error)
{
	_cleanup_json_ json_t *result = NULL;

	if (!call->previous)
		return bh_cni_fail(error, BH_CNI_CONFIG,
			"no prevResult: bulkhead-cni is a chained plugin and comes after the one "
			"that "
			"makes the interface");
	/* Only the orchestrator's pods have policies to wait for. */
	if (is_pod(call) && settle(call, wait_until_ready(call, true, error), error) < 0)
		return -1;
	result = json_copy((json_t *)call->previous);
	json_object_set_new(result, "cniVersion", json_string(call->version));
	return print(result) < 0 ? bh_cni_fail(error, BH_CNI_IO, "writing the result") : 0;
}

static int check(const struct bh_cni_call *call, struct bh_cni_error *error)
{
	if (!call->previous)
		return bh_cni_fail(error, BH_CNI_CONFIG, "no prevResult: CHECK needs one");
	if (!is_pod(call))
		return 0;
	return settle(call, wait_until_ready(call, false, error), error);
}

/* Never an error: the sandbox goes, whatever we think. */
static int del(const struct bh_cni_call *call)
{
	_cleanup_json_ json_t *request = NULL;
	_cleanup_json_ json_t *answer = NULL;
	struct bh_cni_error ignored;

	/* Without its addresses it could be a later sandbox's announcement. */
	if (!is_pod(call) || !call->previous)
		return 0;
	request = request_of(call, "endpoint-gone");
	/* No time for one that does not run: what it has forgotten need not be forgotten. */
	if (request)
		answer = bh_cni_ask(call->run_dir, request, bh_cni_now_ms() + DEL_MS, &ignored);
	return 0;
}

static int print_versions(void)
{
	_cleanup_json_ json_t *object =
		json_pack("{s:s, s:[]}", "cniVersion", "1.0.0", "supportedVersions");

	for (const char *const *version = bh_cni_versions; *version; version++)
		json_array_append_new(
			json_object_get(object, "supportedVersions"), json_string(*version));
	return print(object) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int require(const char *name, struct bh_cni_error *error)
{
	const char *value = getenv(name);

	return value && *value ? 0 : bh_cni_fail(error, BH_CNI_ENVIRONMENT, "%s is not set", name);
}

static int run(const char *command, const struct bh_cni_call *call, struct bh_cni_error *error)
{
	/* Of 1.1: we can always be called, and keep nothing that could be garbage. */
	if (strcmp(command, "STATUS") == 0 || strcmp(command, "GC") == 0)
		return 0;
	if (require("CNI_CONTAINERID", error) < 0 || require("CNI_IFNAME", error) < 0)
		return -1;
	if (strcmp(command, "DEL") == 0)
		return del(call);
	if (require("CNI_NETNS", error) < 0)
		return -1;
	return strcmp(command, "ADD") == 0 ? add(call, error) : check(call, error);
}

int main(void)
{
	static const char *const commands[] = {"ADD", "DEL", "CHECK", "VERSION", "STATUS", "GC"};
	const char *command = getenv("CNI_COMMAND");
	struct bh_cni_error error = {0};
	struct bh_cni_call call;
	bool known = false;
	int r;

	openlog("bulkhead-cni", LOG_PID, LOG_DAEMON);
	if (!command) {
		fprintf(stderr, "bulkhead-cni " BH_VERSION ": a CNI plugin, called by container "
				"runtimes; 'bulkhead cni install' puts it into their chain\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		known |= strcmp(command, commands[i]) == 0;
	if (!known) {
		bh_cni_fail(
			&error, BH_CNI_ENVIRONMENT, "CNI_COMMAND '%.32s' is not known", command);
		return refuse("1.0.0", &error);
	}
	if (strcmp(command, "VERSION") == 0)
		return print_versions();
	if (bh_cni_read(STDIN_FILENO, getenv("CNI_ARGS"), &call, &error) < 0)
		return refuse("1.0.0", &error);
	r = run(command, &call, &error);
	r = r < 0 ? refuse(call.version, &error) : EXIT_SUCCESS;
	bh_cni_call_fini(&call);
	return r;
}
