/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CONTROLLER_SAME_H
#define TESTS_UNIT_CONTROLLER_SAME_H

/* A compilation's result as text, with everything in it but the revision: equal texts, equal
 * results. */

#include <stdio.h>

#include "tests/unit/controller/fixture.h"

static inline void write_ip(FILE *out, const struct bh_ip *ip)
{
	char text[BH_IP_TEXT_MAX];

	fprintf(out, " %s", bh_ip_format(ip, text));
}

static inline void write_programs(FILE *out, const struct bh_desired *d)
{
	for (size_t i = 0; i < d->n_programs; i++) {
		fprintf(out, "program %x\n", d->programs[i].number);
		for (size_t j = 0; j < d->programs[i].n_entries; j++) {
			const struct bh_desired_entry *entry = &d->programs[i].entries[j];

			fprintf(out, " %d %x:", entry->egress, entry->class);
			for (size_t k = 0; k < entry->n_rules; k++) {
				const struct bh_desired_rule *rule = &entry->rules[k];

				fprintf(out, " %u/%u-%u %x%s%s", rule->protocol, rule->port_lo,
					rule->port_hi, rule->rule, rule->deny ? " deny" : "",
					rule->defer ? " defer" : "");
			}
			fputc('\n', out);
		}
	}
}

static inline void write_endpoints(FILE *out, const struct bh_desired *d)
{
	for (size_t i = 0; i < d->n_endpoints; i++) {
		const struct bh_desired_endpoint *e = &d->endpoints[i];

		fprintf(out, "endpoint %s %s/%s %x %x %x %d%d%d%d%d", e->uid, e->namespace, e->name,
			e->workload, e->active, e->pending, e->xdp, e->mode, e->quarantined,
			e->ingress_isolated, e->egress_isolated);
		for (size_t j = 0; j < e->n_ips; j++)
			write_ip(out, &e->ips[j]);
		for (size_t j = 0; j < e->n_policies; j++)
			fprintf(out, " +%s", e->policies[j]);
		for (size_t j = 0; j < e->n_cluster_policies; j++)
			fprintf(out, " *%s", e->cluster_policies[j]);
		fputc('\n', out);
	}
	for (size_t i = 0; i < d->n_addressless; i++) {
		const struct bh_desired_addressless *a = &d->addressless[i];

		fprintf(out, "addressless %s %s/%s %s %d%d\n", a->uid, a->namespace, a->name,
			a->detail, a->mode, a->quarantined);
	}
}

static inline void write_names(FILE *out, const struct bh_desired *d)
{
	const struct bh_desired_workload *w;

	for (size_t i = 0; i < d->n_rule_names; i++) {
		const struct bh_desired_rule_name *r = &d->rule_names[i];

		fprintf(out, "rule %x %s/%s %d %d %s\n", r->number, r->namespace, r->policy,
			r->egress, r->index, r->text);
	}
	for (struct bh_run_at at = {0}; (w = bh_desired_next_workload(d, &at));)
		fprintf(out, "workload %x %s/%s/%s\n", w->number, w->namespace, w->kind, w->name);
	for (size_t i = 0; i < d->n_problems; i++)
		fprintf(out, "problem %s: %s: %s\n", d->problems[i].object, d->problems[i].code,
			d->problems[i].text);
}

/* Free it. */
static inline char *text_of(const struct bh_desired *d)
{
	const struct bh_desired_address *a;
	char *text = NULL;
	size_t size;
	FILE *out = bh_xcheck(open_memstream(&text, &size));

	fprintf(out, "%d%d, %zu addresses, %zu workloads\n", d->unknown_open, d->hold,
		d->addresses.n, d->workloads.n);
	for (struct bh_run_at at = {0}; (a = bh_desired_next_address(d, &at));) {
		write_ip(out, &a->ip);
		fprintf(out, " %x %x %d\n", a->class, a->workload, a->service);
	}
	for (size_t i = 0; i < d->n_blocks; i++) {
		write_ip(out, &d->blocks[i].ip);
		fprintf(out, "/%u %x %x\n", d->blocks[i].bits, d->blocks[i].class,
			d->blocks[i].workload);
	}
	write_programs(out, d);
	write_endpoints(out, d);
	write_names(out, d);
	fclose(out);
	return text;
}

/* Says the first line in which they differ. */
static inline void assert_same_text(const char *is, const char *should_be)
{
	size_t at = 0;

	if (!strcmp(is, should_be))
		return;
	while (is[at] && is[at] == should_be[at])
		at++;
	while (at && is[at - 1] != '\n')
		at--;
	fail_msg("\n%.300s\nshould be\n%.300s", is + at, should_be + at);
}

#endif
