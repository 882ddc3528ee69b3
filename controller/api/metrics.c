/* SPDX-License-Identifier: Apache-2.0 */

/* Everything that is counted, for Prometheus: `bulkhead metrics`, and GET /metrics over HTTP. */

#include <dirent.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "controller/api/common.h"
#include "controller/export/prometheus.h"
#include "controller/export/tally.h"
#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

#define EDGE "bulkhead_edge_"

struct page {
	struct bh_text text;
	const struct bh_api *api;
	struct bh_link_state link;
};

static void counter(struct page *page, const char *name, const char *help)
{
	bh_prometheus_family(&page->text, name, "counter", help);
}

static void gauge(struct page *page, const char *name, const char *help)
{
	bh_prometheus_family(&page->text, name, "gauge", help);
}

/* A family of one sample without labels. */
static void put_gauge(struct page *page, const char *name, const char *help, double value)
{
	gauge(page, name, help);
	bh_prometheus_sample(&page->text, name, value, NULL);
}

static void put_counter(struct page *page, const char *name, const char *help, uint64_t value)
{
	counter(page, name, help);
	bh_prometheus_count(&page->text, name, value, NULL);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

/* The names of one end. */
struct party {
	const char *namespace;
	char workload[512]; /* "Deployment/web" */
};

static struct party party_of(
	const struct bh_api *api, const struct bh_tally_series *series, uint32_t number)
{
	const struct bh_workload_name *name = bh_names_workload(api->names, number);
	struct party party = {.namespace = name && !series->other ? name->namespace : ""};

	if (series->other)
		strcpy(party.workload, "other");
	else if (name)
		snprintf(party.workload, sizeof(party.workload), "%s%s%s", name->kind,
			*name->name ? "/" : "", name->name);
	else
		snprintf(party.workload, sizeof(party.workload), "unknown-%08x", number);
	return party;
}

static const char *protocol_of(const struct bh_tally_series *series, char number[8])
{
	json_t *name;

	if (series->other)
		return "other";
	name = bh_json_protocol(series->protocol);
	snprintf(number, 8, "%s", json_string_value(name));
	json_decref(name);
	return number;
}

/* `more`: two labels more and their values; NULLs from where there are none. */
static void put_edge(struct page *page, const char *name, const struct bh_tally_series *series,
	const char *const more[4], double value)
{
	static const char *const verdicts[BH_TALLY_VERDICTS] = {"allowed", "would-deny", "denied"};
	struct party client = party_of(page->api, series, series->client);
	struct party server = party_of(page->api, series, series->server);
	char number[8], port[8] = "other";

	if (!series->other)
		snprintf(port, sizeof(port), "%u", (unsigned int)series->port);
	bh_prometheus_sample(&page->text, name, value, "source_namespace", client.namespace,
		"source_workload", client.workload, "destination_namespace", server.namespace,
		"destination_workload", server.workload, "protocol", protocol_of(series, number),
		"port", port, "end", series->egress ? "egress" : "ingress", "verdict",
		verdicts[series->verdict], "pending", series->pending_denies ? "denied" : "allowed",
		more[0], more[1], more[2], more[3], NULL);
}

static const char *const nothing_more[4] = {NULL};

/* What is counted both ways. */
static void put_both_ways(struct page *page, const char *name, const char *help, size_t offset)
{
	const struct bh_tally_series *const *series;
	size_t n = bh_tally_series(page->api->tally, &series);

	counter(page, name, help);
	for (size_t i = 0; i < n; i++) {
		const uint64_t *counts = (const uint64_t *)((const char *)series[i] + offset);

		put_edge(page, name, series[i], (const char *const[4]){"from", "client"},
			(double)counts[0]);
		put_edge(page, name, series[i], (const char *const[4]){"from", "server"},
			(double)counts[1]);
	}
}

/* What is counted once, in units of 1 / `scale`. */
static void put_one_way(
	struct page *page, const char *name, const char *help, size_t offset, double scale)
{
	const struct bh_tally_series *const *series;
	size_t n = bh_tally_series(page->api->tally, &series);

	counter(page, name, help);
	for (size_t i = 0; i < n; i++) {
		const uint64_t *count = (const uint64_t *)((const char *)series[i] + offset);

		put_edge(page, name, series[i], nothing_more, (double)*count / scale);
	}
}

/*
 * When each was seen last, and what was spoken: the labels are at this gauge, and not at the
 * counters, which would begin anew under another name as soon as it becomes known.
 */
static void put_last(struct page *page)
{
	static const char name[] = EDGE "last_timestamp_seconds";
	const struct bh_tally_series *const *series;
	size_t n = bh_tally_series(page->api->tally, &series);

	gauge(page, name,
		"When the latest of these packets was seen, and what was spoken by the latest "
		"connection that showed it.");
	for (size_t i = 0; i < n; i++) {
		const char *const talk[4] = {"app", bh_app_word(series[i]->app), "encrypted",
			bh_encrypted_word(series[i]->encrypted)};

		put_edge(page, name, series[i], talk, (double)series[i]->last_ns / 1e9);
	}
}

static void put_edges(struct page *page)
{
	const struct bh_tally_series *const *series;
	size_t n;

	bh_tally_take(page->api->tally, page->api->edges);
	n = bh_tally_series(page->api->tally, &series);
	put_one_way(page, EDGE "flows_total",
		"Flows that began, by both workloads, the server's port, the end that judged them "
		"and its verdict.",
		offsetof(struct bh_tally_series, flows), 1);
	put_both_ways(page, EDGE "packets_total", "Packets of these flows, by who sent them.",
		offsetof(struct bh_tally_series, packets));
	put_both_ways(page, EDGE "bytes_total",
		"Bytes of layer 3 of these flows, by who sent them.",
		offsetof(struct bh_tally_series, octets));
	put_one_way(page, EDGE "resets_total", "TCP connections of these flows that were reset.",
		offsetof(struct bh_tally_series, resets), 1);
	put_one_way(page, EDGE "refusals_total",
		"Flows that were refused: RST in answer to SYN, or unreachable.",
		offsetof(struct bh_tally_series, refusals), 1);
	put_one_way(page, EDGE "handshakes_total",
		"TCP handshakes of these flows whose round trip was measured.",
		offsetof(struct bh_tally_series, handshakes), 1);
	put_one_way(page, EDGE "handshake_seconds_total", "The round trips of these, added up.",
		offsetof(struct bh_tally_series, handshakes_us), 1e6);
	put_last(page);
	put_gauge(page, "bulkhead_edges_first_timestamp_seconds",
		"When the first packet that the edges count was seen; 0 if there is none.",
		(double)bh_tally_first(page->api->tally) / 1e9);
	put_gauge(
		page, "bulkhead_edge_series", "Combinations of labels that edges have.", (double)n);
	put_counter(page, "bulkhead_edges_folded_total",
		"Edges that were added to the workload other, as there were too many series.",
		bh_tally_folded(page->api->tally));
}

/* ---- Data plane ------------------------------------------------------------------------------ */

static void put_counters(struct page *page, const char *name, const char *label, const char *help,
	size_t n, Bulkhead__Wire__Counter **counters)
{
	counter(page, name, help);
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *key = bh_xasprintf("%s %s", name, counters[i]->name);
		uint64_t sum = bh_tally_count(page->api->tally, key, counters[i]->value);

		bh_prometheus_count(&page->text, name, sum, label, counters[i]->name, NULL);
	}
}

static void put_maps(struct page *page, const Bulkhead__Wire__Status *status)
{
	gauge(page, "bulkhead_map_entries", "Entries in a map of the kernel's.");
	for (size_t i = 0; i < status->n_maps; i++)
		bh_prometheus_count(&page->text, "bulkhead_map_entries", status->maps[i]->entries,
			"map", status->maps[i]->map, NULL);
	gauge(page, "bulkhead_map_max_entries", "Entries that a map of the kernel's has room for.");
	for (size_t i = 0; i < status->n_maps; i++)
		bh_prometheus_count(&page->text, "bulkhead_map_max_entries", status->maps[i]->max,
			"map", status->maps[i]->map, NULL);
}

static void put_dataplane(struct page *page)
{
	const Bulkhead__Wire__Status *status = page->link.status;

	put_gauge(page, "bulkhead_dataplane_connected", "1 if the data plane is connected.",
		page->link.connected);
	put_counter(page, "bulkhead_dataplane_garbage_messages_total",
		"Messages between the daemons that could not be understood.", page->link.garbage);
	put_counter(page, "bulkhead_flow_records_lost_total",
		"Flow records that the data plane could not send.",
		bh_flow_log_lost(page->api->flows));
	put_counter(page, "bulkhead_edges_forgotten_total",
		"Edges that were forgotten, as there were too many.",
		bh_edges_forgotten(page->api->edges));
	if (!status)
		return;
	put_counters(page, "bulkhead_dropped_packets_total", "reason",
		"Packets that were dropped, by reason; those of known flows are in the edges only.",
		status->n_drops, status->drops);
	put_counters(page, "bulkhead_passed_packets_total", "reason",
		"Packets that were judged and passed, by reason; those of known flows are in the "
		"edges only.",
		status->n_passes, status->passes);
	put_counters(page, "bulkhead_losses_total", "kind",
		"What the kernel's side could not record, or left out, by kind.", status->n_losses,
		status->losses);
	put_maps(page, status);
	put_gauge(page, "bulkhead_held_interfaces",
		"Interfaces that are cut off until their pod is known.", (double)status->n_held);
	put_counter(page, "bulkhead_holds_total", "Interfaces that were cut off so.",
		bh_tally_count(page->api->tally, "holds", status->holds));
}

/* ---- State ----------------------------------------------------------------------------------- */

static void put_endpoints(struct page *page)
{
	static const char *const states[] = {"attached", "waiting", "unsupported", "failed"};
	const struct bh_desired *desired = page->api->desired;
	size_t modes[BH_MODE_ENFORCE + 1] = {0}, quarantined = 0;
	size_t counts[4] = {0};

	for (size_t i = 0; i < desired->n_endpoints; i++) {
		const Bulkhead__Wire__EndpointStatus *status;
		const char *state =
			bh_api_endpoint_state(page->api, desired->endpoints[i].uid, &status);

		for (int j = 0; j < 4; j++)
			counts[j] += strcmp(states[j], state) == 0;
		modes[desired->endpoints[i].mode]++;
		quarantined += desired->endpoints[i].quarantined;
	}
	gauge(page, "bulkhead_endpoints", "Pods of this node, by the state of their interface.");
	for (int j = 0; j < 4; j++)
		bh_prometheus_count(
			&page->text, "bulkhead_endpoints", counts[j], "state", states[j], NULL);
	gauge(page, "bulkhead_mode_endpoints", "Pods of this node, by the mode that is in force.");
	for (int mode = BH_MODE_OBSERVE; mode <= BH_MODE_ENFORCE; mode++)
		bh_prometheus_count(&page->text, "bulkhead_mode_endpoints", modes[mode], "mode",
			bh_mode_name((enum bh_mode)mode), NULL);
	put_gauge(page, "bulkhead_quarantined_endpoints", "Pods of this node in quarantine.",
		(double)quarantined);
}

static void put_policy(struct page *page)
{
	const struct bh_api *api = page->api;
	_cleanup_free_ char *missing = NULL;

	put_gauge(page, "bulkhead_policy_revision_wanted",
		"Revision of the inputs that the wanted state was compiled from.",
		(double)api->desired->revision);
	put_gauge(page, "bulkhead_policy_revision_applied", "Revision in force in the kernel.",
		(double)bh_link_applied(api->link));
	put_gauge(page, "bulkhead_ready", "1 if everything wanted is in force.",
		bh_api_in_force(api, api->desired->revision, &missing));
	put_gauge(page, "bulkhead_policies", "Policies that are known.",
		(double)bh_model_count_policies(api->model));
	put_gauge(page, "bulkhead_pods", "Pods that are known, of all nodes.",
		(double)bh_model_count_pods(api->model));
}

static void put_compilations(struct page *page)
{
	static const char name[] = "bulkhead_compilations_total";
	struct bh_compile_counts counts;

	bh_compiler_counts(page->api->compiler, &counts);
	counter(page, name,
		"Compilations: steps from the one before, and those of everything, by why.");
	bh_prometheus_count(&page->text, name, counts.steps, "kind", "step", "cause", "", NULL);
	for (int i = 0; i < BH_COMPILE_CAUSES; i++)
		bh_prometheus_count(&page->text, name, counts.whole[i], "kind", "whole", "cause",
			bh_compile_cause_name((enum bh_compile_cause)i), NULL);
}

static void put_source(struct page *page)
{
	const struct bh_api *api = page->api;
	const char *kind = api->kube ? "kube" : "manifests";
	struct bh_manifests_status manifests = {0};
	struct bh_kube_status kube = {.state = "current"};
	bool current = true;

	if (api->kube) {
		bh_kube_status(api->kube, &kube);
		current = strcmp(kube.state, "current") == 0;
	} else {
		bh_manifests_status(api->manifests, &manifests);
	}
	gauge(page, "bulkhead_source_current", "1 if what the source said last is what is known.");
	bh_prometheus_count(&page->text, "bulkhead_source_current", current, "kind", kind, NULL);
	gauge(page, "bulkhead_source_objects", "Objects that the source has.");
	bh_prometheus_count(&page->text, "bulkhead_source_objects",
		api->kube ? kube.n_objects : manifests.n_objects, "kind", kind, NULL);
	if (!api->kube)
		return;
	gauge(page, "bulkhead_source_state_since_timestamp_seconds",
		"Since when the source is current, or is not.");
	bh_prometheus_sample(&page->text, "bulkhead_source_state_since_timestamp_seconds",
		(double)kube.since_ns / 1e9, "kind", kind, NULL);
}

static void put_problems(struct page *page)
{
	json_t *problems = bh_api_problems(page->api);
	json_t *counts = json_object(), *count, *problem;
	const char *code;
	size_t i;

	json_array_foreach(problems, i, problem)
	{
		code = json_string_value(json_object_get(problem, "code"));
		json_object_set_new(counts, code,
			json_integer(json_integer_value(json_object_get(counts, code)) + 1));
	}
	gauge(page, "bulkhead_problems", "What the operator has to know or mend, by code.");
	json_object_foreach(counts, code, count) bh_prometheus_count(&page->text,
		"bulkhead_problems", (uint64_t)json_integer_value(count), "code", code, NULL);
	json_decref(counts);
	json_decref(problems);
}

/* ---- Alerts ---------------------------------------------------------------------------------- */

static void put_alerts(struct page *page)
{
	static const char *const states[] = {"open", "acknowledged"};
	const struct bh_alerts *alerts = page->api->alerts;
	uint64_t counts[BH_ALERT_KINDS][2] = {{0}};
	const struct bh_alert *alert;

	for (size_t at = 0; (alert = bh_alerts_next(alerts, &at));)
		counts[alert->kind][alert->acknowledged_ns != 0]++;
	gauge(page, "bulkhead_alerts", "Alerts that are kept, by kind and state.");
	for (int kind = 0; kind < BH_ALERT_KINDS; kind++) {
		for (int state = 0; state < 2; state++)
			bh_prometheus_count(&page->text, "bulkhead_alerts", counts[kind][state],
				"kind", bh_alert_kind_word((enum bh_alert_kind)kind), "state",
				states[state], NULL);
	}
	put_counter(page, "bulkhead_alerts_dropped_total",
		"Alerts that were given up, as there were too many.", bh_alerts_dropped(alerts));
}

/* ---- Exports --------------------------------------------------------------------------------- */

struct exports {
	const struct bh_export_account *accounts[BH_EXPORTS_MAX];
	size_t n;
};

static void put_export(struct page *page, const struct exports *exports, const char *name,
	uint64_t (*value)(const struct bh_export_account *account))
{
	for (size_t i = 0; i < exports->n; i++)
		bh_prometheus_count(&page->text, name, value(exports->accounts[i]), "exporter",
			exports->accounts[i]->name, "target", exports->accounts[i]->target, NULL);
}

static uint64_t emitted(const struct bh_export_account *account)
{
	return account->emitted;
}

static uint64_t delivered(const struct bh_export_account *account)
{
	return account->delivered;
}

static uint64_t octets(const struct bh_export_account *account)
{
	return account->octets;
}

static uint64_t failures(const struct bh_export_account *account)
{
	return account->failures;
}

static uint64_t failing(const struct bh_export_account *account)
{
	return account->failing_since_ns != 0;
}

static void put_exports(struct page *page)
{
	struct exports exports = {0};

	if (page->api->exports)
		exports.n = bh_exports_accounts(page->api->exports, exports.accounts);
	counter(page, "bulkhead_export_emitted_records_total", "Records given to an exporter.");
	put_export(page, &exports, "bulkhead_export_emitted_records_total", emitted);
	counter(page, "bulkhead_export_delivered_records_total", "Records that it delivered.");
	put_export(page, &exports, "bulkhead_export_delivered_records_total", delivered);
	counter(page, "bulkhead_export_lost_records_total", "Records that it lost, by reason.");
	for (size_t i = 0; i < exports.n; i++) {
		for (int loss = 0; loss < BH_EXPORT_LOSS_KINDS; loss++)
			bh_prometheus_count(&page->text, "bulkhead_export_lost_records_total",
				exports.accounts[i]->lost[loss], "exporter",
				exports.accounts[i]->name, "target", exports.accounts[i]->target,
				"reason", bh_export_loss_word((enum bh_export_loss)loss), NULL);
	}
	gauge(page, "bulkhead_export_queued_records", "Records that wait.");
	put_export(page, &exports, "bulkhead_export_queued_records", bh_export_queued);
	counter(page, "bulkhead_export_delivered_bytes_total", "Bytes that it delivered.");
	put_export(page, &exports, "bulkhead_export_delivered_bytes_total", octets);
	counter(page, "bulkhead_export_failures_total", "Tries of it that failed.");
	put_export(page, &exports, "bulkhead_export_failures_total", failures);
	gauge(page, "bulkhead_export_failing", "1 while it fails.");
	put_export(page, &exports, "bulkhead_export_failing", failing);
}

/* ---- The process ----------------------------------------------------------------------------- */

static size_t count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t n = 0;

	while (folder && readdir(folder))
		n++;
	if (folder)
		closedir(folder);
	return n > 3 ? n - 3 : 0; /* two dots, and the one just opened */
}

/* The names are those that every exporter of Prometheus' uses. */
static void put_process(struct page *page)
{
	struct timespec cpu = {0};
	struct rlimit files = {0};
	unsigned long pages[2] = {0};
	double size = (double)sysconf(_SC_PAGESIZE);
	_cleanup_fclose_ FILE *statm = fopen("/proc/self/statm", "re");

	if (statm && fscanf(statm, "%lu %lu", &pages[0], &pages[1]) != 2)
		pages[0] = pages[1] = 0;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	getrlimit(RLIMIT_NOFILE, &files);
	counter(page, "process_cpu_seconds_total", "CPU time of the controller.");
	bh_prometheus_sample(&page->text, "process_cpu_seconds_total",
		(double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9, NULL);
	put_gauge(page, "process_virtual_memory_bytes", "Virtual memory of the controller.",
		(double)pages[0] * size);
	put_gauge(page, "process_resident_memory_bytes", "Resident memory of the controller.",
		(double)pages[1] * size);
	put_gauge(page, "process_open_fds", "Open file descriptors of the controller.",
		(double)count_descriptors());
	put_gauge(page, "process_max_fds", "File descriptors it may open.", (double)files.rlim_cur);
	put_gauge(page, "process_start_time_seconds", "When the controller started.",
		(double)page->api->started_ns / 1e9);
}

/* ---- The page -------------------------------------------------------------------------------- */

json_t *bh_api_metrics(struct bh_api *api, struct bh_control_call *call)
{
	struct page page = {.api = api};
	json_t *answer;

	if (call->sight)
		return bh_api_forbidden("metrics need a token that is not bound to namespaces");
	if (!bh_api_fresh(api, call))
		return NULL;
	bh_link_state(api->link, &page.link);
	gauge(&page, "bulkhead_build_info", "What runs here; always 1.");
	bh_prometheus_count(&page.text, "bulkhead_build_info", 1, "version", BH_VERSION, "node",
		bh_model_node_name(api->model), "kernel",
		page.link.status ? page.link.status->kernel : "", "attach",
		page.link.status ? page.link.status->attach : "", NULL);
	put_policy(&page);
	put_compilations(&page);
	put_endpoints(&page);
	put_source(&page);
	put_problems(&page);
	put_dataplane(&page);
	put_alerts(&page);
	put_exports(&page);
	put_counter(&page, "bulkhead_flow_records_total", "Flow records that came.",
		bh_flow_log_next(api->flows) - 1);
	put_process(&page);
	put_edges(&page);
	answer = json_pack("{s:b, s:s, s:o}", "ok", 1, "format", "prometheus", "text",
		json_stringn_nocheck(page.text.data, page.text.n));
	bh_text_clear(&page.text);
	return answer;
}
