/* SPDX-License-Identifier: Apache-2.0 */

/* What an alert says, in one line. */

#include <string.h>

#include "controller/alerts/alerts.h"
#include "controller/history/edge.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define PORTS_TOLD 3

static const char *protocol_word(uint8_t protocol, char text[8])
{
	switch (protocol) {
	case 1:
		return "ICMP";
	case 6:
		return "TCP";
	case 17:
		return "UDP";
	case 58:
		return "ICMPv6";
	case 132:
		return "SCTP";
	}
	snprintf(text, 8, "%u", protocol);
	return text;
}

/* "TCP 5432, TCP 22 and 4 more" */
static char *ports_text(const struct bh_alert *alert)
{
	char *text = bh_xstrdup("");
	size_t told = alert->n_distinct < PORTS_TOLD ? alert->n_distinct : PORTS_TOLD;

	for (size_t i = 0; i < told; i++) {
		unsigned int port = (uint16_t)alert->distinct[i];
		_cleanup_free_ char *before = text;
		char number[8] = "", word[8];

		if (port)
			snprintf(number, sizeof(number), " %u", port);
		text = bh_xasprintf("%s%s%s%s", before, i ? ", " : "",
			protocol_word((uint8_t)(alert->distinct[i] >> 16), word), number);
	}
	if (alert->n_distinct > told) {
		_cleanup_free_ char *before = text;

		text = bh_xasprintf("%s and %zu more", before, alert->n_distinct - told);
	}
	return text;
}

/* "the baseline of shop, and that of data" */
static char *baselines_text(const struct bh_alert *alert, const bool baselines[2])
{
	const char *names[2] = {alert->source.namespace, alert->target.namespace};
	bool lacks[2] = {alert->baselines[0] && baselines[0], alert->baselines[1] && baselines[1]};

	if (lacks[0] && lacks[1] && strcmp(names[0], names[1]) != 0)
		return bh_xasprintf("the baselines of %s and %s", names[0], names[1]);
	if (lacks[0] || lacks[1])
		return bh_xasprintf("the baseline of %s", names[lacks[0] ? 0 : 1]);
	return bh_xstrdup("a baseline");
}

/* Whether any of it passed: the severity says so. */
static char *new_edge_text(const struct bh_alert *alert, const char *source, const char *target,
	const bool baselines[2])
{
	_cleanup_free_ char *ports = ports_text(alert);
	_cleanup_free_ char *lacking = baselines_text(alert, baselines);

	if (alert->severity == BH_ALERT_INFO)
		return bh_xasprintf("%s tried to speak to %s on %s, which is not in %s; it was "
				    "denied",
			source, target, ports, lacking);
	return bh_xasprintf("%s speaks to %s on %s, which %s %s", source, target, ports,
		alert->was_denied ? "never passed according to" : "is not in", lacking);
}

static const char *database_word(uint8_t app)
{
	switch (app) {
	case BH_APP_POSTGRESQL:
		return "PostgreSQL";
	case BH_APP_MYSQL:
		return "MySQL";
	case BH_APP_REDIS:
		return "Redis";
	case BH_APP_MONGODB:
		return "MongoDB";
	}
	return "a database's protocol";
}

char *bh_alert_text(const struct bh_alert *alert, const char *source, const char *target,
	const bool baselines[2])
{
	_cleanup_free_ char *ports = NULL;
	const char *more = alert->n_distinct >= BH_ALERT_DISTINCT ? " or more" : "";

	switch (alert->kind) {
	case BH_ALERT_NEW_EDGE:
		return new_edge_text(alert, source, target, baselines);
	case BH_ALERT_FIRST_WORLD:
		ports = ports_text(alert);
		return bh_xasprintf("%s spoke to the world for the first time: %s on %s", source,
			target, ports);
	case BH_ALERT_PORT_SCAN:
		return bh_xasprintf("%s tried %zu%s ports of %s in vain", source, alert->n_distinct,
			more, target);
	case BH_ALERT_LATERAL_MOVEMENT:
		return bh_xasprintf("%s was denied or refused at %zu%s destinations", source,
			alert->n_distinct, more);
	case BH_ALERT_PLAINTEXT_DATABASE:
		ports = ports_text(alert);
		return bh_xasprintf("%s speaks %s to %s in plain text on %s", source,
			database_word(alert->app), target, ports);
	}
	return bh_xstrdup("");
}
