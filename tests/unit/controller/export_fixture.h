/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_EXPORT_FIXTURE_H
#define TESTS_EXPORT_FIXTURE_H

/* One flow with everything an exporter may say of it, to be changed at will. */

#include <arpa/inet.h>
#include <string.h>

#include "bulkhead/abi.h"
#include "bulkhead/reasons.h"
#include "controller/export/flow.h"

#define SECOND 1000000000ull

struct export_fixture {
	struct bh_flow_record record;
	struct bh_workload_name web, db;
	struct bh_rule_label rule, pending_rule;
	struct bh_label label;
	struct bh_labels labels;
	struct bh_export_flow flow;
};

static inline void export_fixture_init(struct export_fixture *f)
{
	*f = (struct export_fixture){
		.record =
			{
				.sequence = 7,
				.time_ns = 1700000001 * SECOND + 234567890,
				.started_ns = 1700000000 * SECOND + 5000000,
				.packets = {12, 9},
				.octets = {1500, 90000},
				.reason = BH_REASON_POLICY,
				.pending = BH_REASON_POLICY,
				.rule = 11,
				.pending_rule = 12,
				.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED,
				.protocol = 6,
				.tcp_flags = 0x12,
				.ethertype = 0x0800,
				.hook = BH_HOOK_FROM_POD,
				.egress = true,
				.talk = {.app = BH_APP_POSTGRESQL,
					.encrypted = BH_ENCRYPTED_YES,
					.tls_version = 0x0304,
					.round_trip_us = 350},
				.src = {.ip = {.family = 4, .ip = {10, 0, 0, 1}},
					.port = 40000,
					.namespace = "shop",
					.pod = "web-1",
					.known = true},
				.dst = {.ip = {.family = 4, .ip = {10, 0, 0, 2}},
					.port = 5432,
					.namespace = "data",
					.pod = "db-0",
					.known = true},
			},
		.web = {1, "shop", "Deployment", "web"},
		.db = {2, "data", "StatefulSet", "db"},
		.rule = {11, "shop", "allow-db", true, 0, "shop/allow-db egress[0]: to TCP 5432"},
		.pending_rule = {12, "shop", "next", true, 1, "shop/next egress[1]: to TCP 5432"},
		.label = {"app", "web"},
	};
	f->labels = (struct bh_labels){.n = 1, .items = &f->label};
	f->flow = (struct bh_export_flow){
		.record = &f->record,
		.node = "here",
		.source = {&f->record.src, &f->web, &f->labels},
		.destination = {&f->record.dst, &f->db, NULL},
		.rule = &f->rule,
		.pending_rule = &f->pending_rule,
	};
}

#endif
