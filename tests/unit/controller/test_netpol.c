/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/netpol.h"

#include "tests/unit/controller/fixture.h"

/* The policy shop/p with this spec, from flow-style YAML. */
static struct bh_netpol *parse(const char *spec)
{
	struct bh_text_error error;
	json_t *documents = bh_yaml_parse(spec, strlen(spec), &error);

	if (!documents)
		fail_msg("%s: %s", spec, error.text);
	struct bh_network_policy object = {
		.namespace = "shop", .name = "p", .spec = json_array_get(documents, 0)};
	struct bh_netpol *policy = bh_netpol_parse(&object);

	json_decref(documents);
	return policy;
}

static void names_the_field_that_is_wrong(void **state)
{
	static const struct {
		const char *spec;
		const char *fault;
	} cases[] = {
		{"[]", "spec: must be an object, not a list"},
		{"{ingres: []}", "spec: unknown field \"ingres\""},
		{"{ingress: {}}", "spec.ingress: must be a list, not an object"},
		{"{ingress: [null]}", "spec.ingress[0]: must be an object, not null"},
		{"{ingress: [{form: []}]}", "spec.ingress[0]: unknown field \"form\""},
		{"{ingress: [{to: []}]}", "spec.ingress[0]: unknown field \"to\""},
		{"{egress: [{from: []}]}", "spec.egress[0]: unknown field \"from\""},
		{"{ingress: [{from: {podSelector: {}}}]}",
			"spec.ingress[0].from: must be a list, not an object"},
		{"{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]: must have podSelector, "
					      "namespaceSelector or ipBlock"},
		{"{ingress: [{from: [{podSelector: null}]}]}",
			"spec.ingress[0].from[0]: must have podSelector, namespaceSelector or "
			"ipBlock"},
		{"{ingress: [{from: [null]}]}",
			"spec.ingress[0].from[0]: must be an object, not null"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
			"spec.ingress[0].from[0]: ipBlock goes with neither podSelector nor "
			"namespaceSelector"},
		{"{ingress: [{from: [{ipBlock: {}}]}]}",
			"spec.ingress[0].from[0].ipBlock: cidr is missing"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}",
			"spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.0\" is not an address "
			"block like 10.0.0.0/8 or fd00::/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}",
			"spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.0/33\" is not an address "
			"block like 10.0.0.0/8 or fd00::/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/08}}]}]}",
			"spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.0/08\" is not an address "
			"block like 10.0.0.0/8 or fd00::/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/-1}}]}]}",
			"spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.0/-1\" is not an address "
			"block like 10.0.0.0/8 or fd00::/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: '::ffff:10.0.0.0/104'}}]}]}",
			"spec.ingress[0].from[0].ipBlock.cidr: \"::ffff:10.0.0.0/104\" is not an "
			"address block like 10.0.0.0/8 or fd00::/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}",
			"spec.ingress[0].from[0].ipBlock.except[0]: 11.0.0.0/16 does not lie "
			"inside cidr 10.0.0.0/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}",
			"spec.ingress[0].from[0].ipBlock.except[0]: 10.0.0.0/8 does not lie inside "
			"cidr 10.0.0.0/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/16']}}]}]}",
			"spec.ingress[0].from[0].ipBlock.except[0]: fd00::/16 does not lie inside "
			"cidr 10.0.0.0/8"},
		{"{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, excepts: []}}]}]}",
			"spec.ingress[0].from[0].ipBlock: unknown field \"excepts\""},
		{"{ingress: [{ports: [{port: 0}]}]}",
			"spec.ingress[0].ports[0].port: 0 is not between 1 and 65535"},
		{"{ingress: [{ports: [{port: 65536}]}]}",
			"spec.ingress[0].ports[0].port: 65536 is not between 1 and 65535"},
		{"{ingress: [{ports: [{port: '80'}]}]}",
			"spec.ingress[0].ports[0].port: \"80\" is neither a number (write it "
			"without quotes) nor a port's name"},
		{"{ingress: [{ports: [{port: Http}]}]}",
			"spec.ingress[0].ports[0].port: \"Http\" is neither a number (write it "
			"without quotes) nor a port's name"},
		{"{ingress: [{ports: [{port: 80.5}]}]}",
			"spec.ingress[0].ports[0].port: must be an integer, not a number with a "
			"fraction"},
		{"{ingress: [{ports: [{port: true}]}]}",
			"spec.ingress[0].ports[0].port: must be an integer, not a boolean"},
		{"{ingress: [{}, {ports: [{}, {port: 90, endPort: 80}]}]}",
			"spec.ingress[1].ports[1].endPort: 80 is less than port 90"},
		{"{ingress: [{ports: [{endPort: 80}]}]}",
			"spec.ingress[0].ports[0].endPort: needs a port"},
		{"{ingress: [{ports: [{port: http, endPort: 80}]}]}",
			"spec.ingress[0].ports[0].endPort: goes with a port number only"},
		{"{ingress: [{ports: [{port: 1, endPort: 65536}]}]}",
			"spec.ingress[0].ports[0].endPort: 65536 is not between 1 and 65535"},
		{"{ingress: [{ports: [{protocol: ICMP}]}]}",
			"spec.ingress[0].ports[0].protocol: \"ICMP\" is not one of TCP, UDP, SCTP"},
		{"{ingress: [{ports: [{protocol: tcp}]}]}",
			"spec.ingress[0].ports[0].protocol: \"tcp\" is not one of TCP, UDP, SCTP"},
		{"{ingress: [{ports: [null]}]}",
			"spec.ingress[0].ports[0]: must be an object, not null"},
		{"{policyTypes: Ingress}", "spec.policyTypes: must be a list, not a string"},
		{"{policyTypes: [ingress]}",
			"spec.policyTypes[0]: \"ingress\" is neither Ingress nor Egress"},
		{"{policyTypes: [Ingress, Egress, Ingress]}",
			"spec.policyTypes: must not have more than two entries"},
		{"{podSelector: []}", "spec.podSelector: must be an object, not a list"},
		{"{ingress: [{from: [{namespaceSelector: {matchLabels: {a: 1}}}]}]}",
			"spec.ingress[0].from[0].namespaceSelector.matchLabels.a: must be a "
			"string, not an integer: put it in quotes"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_netpol *policy = parse(cases[i].spec);

		if (!policy->fault)
			fail_msg("%s was accepted", cases[i].spec);
		assert_string_equal(policy->fault, cases[i].fault);
		assert_int_equal(policy->n_rules[BH_INGRESS] + policy->n_rules[BH_EGRESS], 0);
		bh_netpol_free(policy);
	}
}

static void isolates_by_type_as_the_api_server_defaults_it(void **state)
{
	static const struct {
		const char *spec;
		bool ingress, egress;
	} cases[] = {
		{"{}", true, false},
		{"null", true, false},
		{"{ingress: []}", true, false},
		{"{egress: []}", true, false}, /* as SetDefaults_NetworkPolicy */
		{"{egress: null}", true, false},
		{"{egress: [{}]}", true, true},
		{"{policyTypes: []}", true, false},
		{"{policyTypes: [], egress: [{}]}", true, true},
		{"{policyTypes: [Egress]}", false, true},
		{"{policyTypes: [Egress], ingress: [{}]}", false, true},
		{"{policyTypes: [Ingress], egress: [{}]}", true, false},
		{"{policyTypes: [Egress, Ingress]}", true, true},
		{"{policyTypes: [Egress, Egress]}", false, true},
		/* Invalid, and isolating by what could be read. */
		{"{policyTypes: [Egress], ingress: [{from: [{}]}]}", false, true},
		{"{policyTypes: [Ingress], foo: 1}", true, false},
		{"{policyTypes: [Nonsense]}", true, true},
		{"{policyTypes: {}}", true, true},
		{"{egress: {}}", true, true},
		{"3", true, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_netpol *policy = parse(cases[i].spec);

		if (policy->isolates[BH_INGRESS] != cases[i].ingress ||
			policy->isolates[BH_EGRESS] != cases[i].egress)
			fail_msg("%s isolates %d %d", cases[i].spec, policy->isolates[BH_INGRESS],
				policy->isolates[BH_EGRESS]);
		bh_netpol_free(policy);
	}
}

static void an_unreadable_selector_selects_the_whole_namespace(void **state)
{
	struct bh_netpol *bad = parse("{podSelector: {matchLabels: {app: yes}}}");
	struct bh_netpol *good = parse("{podSelector: {matchLabels: {app: a}}, egress: 1}");

	assert_non_null(bad->fault);
	assert_string_equal(bad->subjects.text, "");
	assert_non_null(good->fault);
	assert_string_equal(good->subjects.text, "app=a");
	bh_netpol_free(bad);
	bh_netpol_free(good);
}

static void empty_and_missing_lists_mean_everything(void **state)
{
	static const char *const specs[] = {"{ingress: [{}]}", "{ingress: [{from: [], ports: []}]}",
		"{ingress: [{from: null, ports: null}]}"};

	for (size_t i = 0; i < 3; i++) {
		struct bh_netpol *policy = parse(specs[i]);

		assert_null(policy->fault);
		assert_int_equal(policy->n_rules[BH_INGRESS], 1);
		assert_int_equal(policy->rules[BH_INGRESS][0].n_peers, 0);
		assert_int_equal(policy->rules[BH_INGRESS][0].n_ports, 0);
		bh_netpol_free(policy);
	}
}

static void one_meaning_is_one_atom(void **state)
{
	static const char *const cases[][2] = {
		{"{ipBlock: {cidr: 10.1.2.3/8, except: [10.2.0.0/16, 10.1.0.1/16, 10.2.0.0/16]}}",
			"block 10.0.0.0/8 except 10.1.0.0/16,10.2.0.0/16"},
		{"{ipBlock: {cidr: 'FD00:0::1/8'}}", "block fd00::/8"},
		{"{ipBlock: {cidr: 0.0.0.0/0}}", "block 0.0.0.0/0"},
		{"{podSelector: {}}", "pods  in namespaces kubernetes.io/metadata.name=shop"},
		{"{podSelector: {}, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "
		 "shop}}}",
			"pods  in namespaces kubernetes.io/metadata.name=shop"},
		{"{namespaceSelector: {}}", "pods  in namespaces "},
		{"{namespaceSelector: {}, podSelector: {matchLabels: {b: c, a: b}}}",
			"pods a=b,b=c in namespaces "},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *spec = bh_xasprintf("{ingress: [{from: [%s]}]}", cases[i][0]);
		struct bh_netpol *policy = parse(spec);

		assert_null(policy->fault);
		assert_string_equal(policy->rules[BH_INGRESS][0].peers[0].key, cases[i][1]);
		bh_netpol_free(policy);
		free(spec);
	}
}

static void a_rule_says_in_one_line_what_it_allows(void **state)
{
	static const struct {
		const char *rule;
		const char *text;
	} cases[] = {
		{"{}", "shop/p ingress[0]: from anyone, everything"},
		{"{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}",
			"shop/p ingress[0]: from pods app=a, TCP 80"},
		{"{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}], ports: [{protocol: "
		 "UDP}, {port: web}]}",
			"shop/p ingress[0]: from all pods or 10.0.0.0/8, UDP, TCP web"},
		{"{from: [{namespaceSelector: {matchLabels: {team: a}}}], ports: [{port: 1, "
		 "endPort: 9, protocol: SCTP}]}",
			"shop/p ingress[0]: from all pods in namespaces team=a, SCTP 1-9"},
		{"{from: [{namespaceSelector: {}}]}",
			"shop/p ingress[0]: from all pods in all namespaces, everything"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *spec = bh_xasprintf("{ingress: [%s]}", cases[i].rule);
		struct bh_netpol *policy = parse(spec);

		assert_null(policy->fault);
		assert_string_equal(policy->rules[BH_INGRESS][0].text, cases[i].text);
		bh_netpol_free(policy);
		free(spec);
	}
}

static void a_long_rule_is_cut_off(void **state)
{
	char *spec = bh_xcalloc(1, 20000);

	strcpy(spec, "{egress: [{ports: [{port: 1}");
	for (int i = 2; i < 500; i++)
		sprintf(spec + strlen(spec), ", {port: %d}", i);
	strcat(spec, "]}]}");
	struct bh_netpol *policy = parse(spec);

	assert_null(policy->fault);
	const char *text = policy->rules[BH_EGRESS][0].text;

	assert_true(strlen(text) < 260);
	assert_string_equal(text + strlen(text) - strlen("…"), "…");
	bh_netpol_free(policy);
	free(spec);
}

static void hostile_text_stays_on_one_line(void **state)
{
	struct bh_netpol *policy = parse("{\"a\\nb\\e[31m\": 1}");

	assert_string_equal(policy->fault, "spec: unknown field \"a?b?[31m\"");
	bh_netpol_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_field_that_is_wrong),
		cmocka_unit_test(isolates_by_type_as_the_api_server_defaults_it),
		cmocka_unit_test(an_unreadable_selector_selects_the_whole_namespace),
		cmocka_unit_test(empty_and_missing_lists_mean_everything),
		cmocka_unit_test(one_meaning_is_one_atom),
		cmocka_unit_test(a_rule_says_in_one_line_what_it_allows),
		cmocka_unit_test(a_long_rule_is_cut_off),
		cmocka_unit_test(hostile_text_stays_on_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
