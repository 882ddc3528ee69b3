/* SPDX-License-Identifier: Apache-2.0 */

/* IPFIX, byte by byte where nobody else looks: limits, odd records, addresses of collectors. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/export/collector.h"
#include "controller/export/ipfix.h"
#include "controller/model/memory.h"
#include "tests/unit/controller/export_fixture.h"

static uint64_t number(const uint8_t *at, unsigned int n)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < n; i++)
		value = value << 8 | at[i];
	return value;
}

struct found {
	const uint8_t *value;
	size_t n;
};

/* Reads a record by its template, as a collector does. */
static struct found find(const struct bh_export_flow *flow, uint32_t enterprise, uint16_t element)
{
	static uint8_t record[BH_IPFIX_RECORD_MAX];
	uint8_t templates[BH_IPFIX_TEMPLATES_MAX];
	size_t n_templates = bh_ipfix_templates(BH_IPFIX_ENTERPRISE, templates);
	struct found found = {0};
	uint16_t wanted;
	size_t n = bh_ipfix_record(flow, record, &wanted);
	const uint8_t *at = templates + BH_IPFIX_SET_HEADER, *value = record;

	assert_int_equal(number(templates, 2), 2);
	assert_int_equal(number(templates + 2, 2), n_templates);
	while (at < templates + n_templates) {
		bool ours = number(at, 2) == wanted;
		unsigned int fields = (unsigned int)number(at + 2, 2);

		at += 4;
		for (; fields > 0; fields--) {
			uint16_t id = (uint16_t)number(at, 2);
			size_t length = (size_t)number(at + 2, 2);
			uint32_t pen = id & 0x8000 ? (uint32_t)number(at + 4, 4) : 0;

			at += id & 0x8000 ? 8 : 4;
			if (!ours)
				continue;
			if (length == 65535)
				length = *value++;
			if (pen == enterprise && (id & 0x7fff) == element)
				found = (struct found){value, length};
			value += length;
		}
	}
	assert_ptr_equal(at, templates + n_templates);
	assert_ptr_equal(value, record + n);
	return found;
}

static uint64_t value_of(const struct bh_export_flow *flow, uint32_t enterprise, uint16_t element)
{
	struct found found = find(flow, enterprise, element);

	assert_non_null(found.value);
	return number(found.value, (unsigned int)found.n);
}

static void counters_are_in_the_last_record_only(void **state)
{
	struct export_fixture f;

	export_fixture_init(&f);
	assert_int_equal(value_of(&f.flow, 0, 1), 1500);
	assert_int_equal(value_of(&f.flow, 29305, 1), 90000);
	assert_int_equal(value_of(&f.flow, 29305, 2), 9);
	assert_int_equal(value_of(&f.flow, 0, 152), 1700000000005);
	assert_int_equal(value_of(&f.flow, 0, 153), 1700000001234);
	f.record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW;
	f.record.started_ns = 0;
	assert_int_equal(value_of(&f.flow, 0, 1), 0);
	assert_int_equal(value_of(&f.flow, 29305, 2), 0);
	assert_int_equal(value_of(&f.flow, 0, 152), 1700000001234);
}

static void record_of_a_flow_that_lasts_counts_what_none_before_has(void **state)
{
	struct export_fixture f;

	export_fixture_init(&f);
	f.record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE;
	assert_int_equal(value_of(&f.flow, 0, 233), 5);
	assert_int_equal(value_of(&f.flow, 0, 136), 2);
	assert_int_equal(value_of(&f.flow, 0, 1), 1500);
	assert_int_equal(value_of(&f.flow, 0, 152), 1700000000005);
	f.record.told_ns = 1700000000 * SECOND + 500000000;
	f.record.told_packets[0] = 10;
	f.record.told_octets[0] = 1100;
	f.record.told_octets[1] = 90000;
	assert_int_equal(value_of(&f.flow, 0, 1), 400);
	assert_int_equal(value_of(&f.flow, 0, 2), 2);
	assert_int_equal(value_of(&f.flow, 29305, 1), 0);
	assert_int_equal(value_of(&f.flow, 0, 152), 1700000000500);
	/* The one of its end is no other, but for why. */
	f.record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED;
	assert_int_equal(value_of(&f.flow, 0, 1), 400);
	assert_int_equal(value_of(&f.flow, 0, 136), 1);
	f.record.flags = BH_FLOW_CLOSE_SENT;
	assert_int_equal(value_of(&f.flow, 0, 136), 3);
	f.record.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW;
	assert_int_equal(value_of(&f.flow, 0, 136), 0);
	assert_int_equal(value_of(&f.flow, 0, 1), 0);
}

static void assert_text(const struct bh_export_flow *flow, uint32_t enterprise, uint16_t element,
	const char *wanted)
{
	struct found found = find(flow, enterprise, element);

	assert_int_equal(found.n, strlen(wanted));
	assert_memory_equal(found.value, wanted, found.n);
}

static void what_is_spoken_is_in_it_and_empty_where_it_is_not_known(void **state)
{
	struct export_fixture f;

	export_fixture_init(&f);
	assert_text(&f.flow, 0, 96, "postgresql");
	assert_text(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_ENCRYPTED, "yes");
	assert_text(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_TLS_VERSION, "1.3");
	assert_int_equal(value_of(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_ROUND_TRIP), 350);
	f.record.talk = (struct bh_flow_talk){0};
	assert_text(&f.flow, 0, 96, "");
	assert_text(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_ENCRYPTED, "");
	assert_text(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_TLS_VERSION, "");
	assert_int_equal(value_of(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_ROUND_TRIP), 0);
}

static void tcp_flags_are_one_byte_and_only_of_tcp(void **state)
{
	struct export_fixture f;

	export_fixture_init(&f);
	assert_int_equal(find(&f.flow, 0, 6).n, 1);
	assert_int_equal(value_of(&f.flow, 0, 6), 0x12);
	f.record.protocol = 1;
	assert_int_equal(value_of(&f.flow, 0, 6), 0);
}

static void a_frame_without_addresses_has_its_ethertype(void **state)
{
	struct export_fixture f;

	export_fixture_init(&f);
	f.record.src.ip.family = 0; /* one that has half an address is none of IP's either */
	f.record.ethertype = 0x88cc;
	f.record.verdict = BH_FLOW_DENIED;
	f.record.reason = BH_REASON_ETHERTYPE;
	assert_int_equal(value_of(&f.flow, 0, 256), 0x88cc);
	assert_null(find(&f.flow, 0, 8).value);
	assert_null(find(&f.flow, 0, 7).value);
	assert_int_equal(value_of(&f.flow, 0, 89), 128);
	f.record.reason = BH_REASON_ISOLATED;
	assert_int_equal(value_of(&f.flow, 0, 89), 129);
}

static void long_strings_are_cut_at_a_character(void **state)
{
	char *text = bh_xcalloc(1, 1001);
	struct export_fixture f;
	struct found found;

	export_fixture_init(&f);
	memset(text, 'a', 1000);
	memcpy(text + 252, "\xe2\x82\xac", 3); /* would end at 255 */
	f.rule.text = f.pending_rule.text = text;
	f.record.src.namespace = f.record.src.pod = f.record.dst.namespace = f.record.dst.pod =
		text;
	f.web.name = f.db.name = f.web.kind = f.db.kind = text;
	f.flow.node = text;
	found = find(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_RULE);
	assert_int_equal(found.n, 252);
	f.rule.text = "bad \xff\xed\xa0\x80 bytes";
	found = find(&f.flow, BH_IPFIX_ENTERPRISE, BH_IPFIX_RULE);
	assert_int_equal(found.n, 14);
	assert_memory_equal(found.value, "bad ???? bytes", 14);
	free(text);
}

static void domains_are_the_nodes_and_never_0(void **state)
{
	assert_int_equal(bh_ipfix_domain("a"), 0xe40c292c);
	assert_int_not_equal(bh_ipfix_domain("node1"), bh_ipfix_domain("node2"));
	assert_int_not_equal(bh_ipfix_domain(""), 0);
}

static void collectors_are_named_in_one_way(void **state)
{
	static const struct {
		const char *text;
		const char *host; /* NULL: refused */
		const char *port;
	} cases[] = {
		{"udp:192.0.2.1:4739", "192.0.2.1", "4739"},
		{"tcp:collector.example:1", "collector.example", "1"},
		{"tcp:[2001:db8::1]:65535", "2001:db8::1", "65535"},
		{"sctp:192.0.2.1:4739", NULL, NULL},
		{"udp:192.0.2.1", NULL, NULL},
		{"udp:4739", NULL, NULL},
		{"udp::4739", NULL, NULL},
		{"udp:[]:4739", NULL, NULL},
		{"udp:2001:db8::1:4739", NULL, NULL},
		{"udp:host:0", NULL, NULL},
		{"udp:host:65536", NULL, NULL},
		{"udp:host:+5", NULL, NULL},
		{"udp:host: 5", NULL, NULL},
		{"udp:host:5x", NULL, NULL},
		{"udp:", NULL, NULL},
		{"", NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *copy = bh_xstrdup(cases[i].text);
		struct bh_collector_config config = {0};
		const char *wrong = bh_collector_parse(copy, &config);

		if (!wrong != !!cases[i].host)
			fail_msg("%s: %s", cases[i].text, wrong ? wrong : "taken");
		if (cases[i].host) {
			assert_string_equal(config.host, cases[i].host);
			assert_string_equal(config.port, cases[i].port);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_are_in_the_last_record_only),
		cmocka_unit_test(record_of_a_flow_that_lasts_counts_what_none_before_has),
		cmocka_unit_test(what_is_spoken_is_in_it_and_empty_where_it_is_not_known),
		cmocka_unit_test(tcp_flags_are_one_byte_and_only_of_tcp),
		cmocka_unit_test(a_frame_without_addresses_has_its_ethertype),
		cmocka_unit_test(long_strings_are_cut_at_a_character),
		cmocka_unit_test(domains_are_the_nodes_and_never_0),
		cmocka_unit_test(collectors_are_named_in_one_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
