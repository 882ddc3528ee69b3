/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/http/routes.h"
#include "controller/model/memory.h"

#define FILTER "namespace label port protocol verdict app encrypted text "
#define WINDOW "from to last "
#define VIEW WINDOW FILTER "scope group expand limit:n "
#define API "/api/v1"

static const struct bh_route routes[] = {
	{"GET", "/metrics", BH_ROUTE_COMMAND, "metrics", NULL, "", BH_ROLE_READER},
	{"GET", API "/session", BH_ROUTE_SESSION, NULL, NULL, "", BH_ROLE_READER},
	{"POST", API "/session", BH_ROUTE_LOGIN, NULL, NULL, "token ", BH_ROLE_READER},
	{"DELETE", API "/session", BH_ROUTE_LOGOUT, NULL, NULL, "", BH_ROLE_READER},
	{"GET", API "/status", BH_ROUTE_COMMAND, "status", NULL, "", BH_ROLE_READER},
	{"GET", API "/graph", BH_ROUTE_COMMAND, "topology", NULL, VIEW, BH_ROLE_READER},
	{"GET", API "/graph/diff", BH_ROUTE_COMMAND, "topology-diff", NULL,
		WINDOW FILTER "scope beforeFrom beforeTo limit:n ", BH_ROLE_READER},
	{"GET", API "/edges", BH_ROUTE_COMMAND, "conversations", NULL,
		WINDOW FILTER "scope client server sort offset:n limit:n ", BH_ROLE_READER},
	{"GET", API "/edges/{}", BH_ROUTE_COMMAND, "conversation", "id", WINDOW "scope ",
		BH_ROLE_READER},
	{"GET", API "/edges/{}/series", BH_ROUTE_COMMAND, "series", "id", WINDOW "scope ",
		BH_ROLE_READER},
	{"GET", API "/export", BH_ROUTE_COMMAND, "export", NULL, VIEW "format ", BH_ROLE_READER},
	{"GET", API "/flows", BH_ROUTE_COMMAND, "flows", NULL,
		"namespace pod verdict protocol port:n since:n limit:n newest:b ", BH_ROLE_READER},
	{"GET", API "/live", BH_ROUTE_LIVE, NULL, NULL, FILTER, BH_ROLE_READER},
	{"GET", API "/pods", BH_ROUTE_COMMAND, "pods", NULL, "", BH_ROLE_READER},
	{"GET", API "/policies", BH_ROUTE_COMMAND, "policies", NULL, "", BH_ROLE_READER},
	{"GET", API "/namespaces", BH_ROUTE_COMMAND, "namespaces", NULL, "", BH_ROLE_READER},
	{"GET", API "/namespaces/{}/readiness", BH_ROUTE_COMMAND, "readiness", "namespace", WINDOW,
		BH_ROLE_READER},
	{"GET", API "/alerts", BH_ROUTE_COMMAND, "alerts", NULL,
		"namespace kind state since:n limit:n ", BH_ROLE_READER},
	{"POST", API "/alerts/{}/ack", BH_ROUTE_COMMAND, "alert-ack", "id", "", BH_ROLE_OPERATOR},
	{"GET", API "/baselines", BH_ROUTE_COMMAND, "baselines", NULL, "", BH_ROLE_READER},
	{"GET", API "/baselines/{}", BH_ROUTE_COMMAND, "baseline", "namespace", "offset:n limit:n ",
		BH_ROLE_READER},
	{"PUT", API "/baselines/{}", BH_ROUTE_COMMAND, "baseline-lock", "namespace", "from last ",
		BH_ROLE_OPERATOR},
	{"DELETE", API "/baselines/{}", BH_ROUTE_COMMAND, "baseline-unlock", "namespace", "",
		BH_ROLE_OPERATOR},
	{"GET", API "/explain", BH_ROUTE_COMMAND, "explain", NULL, "src dst protocol port:n ",
		BH_ROLE_READER},
	{"GET", API "/mode", BH_ROUTE_COMMAND, "mode", NULL, "", BH_ROLE_READER},
	{"PUT", API "/mode", BH_ROUTE_COMMAND, "mode", NULL, "value namespace pod ",
		BH_ROLE_OPERATOR},
	{"GET", API "/quarantine", BH_ROUTE_COMMAND, "quarantine", NULL, "", BH_ROLE_READER},
	{"PUT", API "/quarantine", BH_ROUTE_COMMAND, "quarantine", NULL, "pod release:b ",
		BH_ROLE_OPERATOR},
	{"POST", API "/policy/allow", BH_ROUTE_COMMAND, "allow", NULL, "edge " WINDOW,
		BH_ROLE_READER},
	{"POST", API "/policy/diff", BH_ROUTE_COMMAND, "policy-diff", NULL,
		"manifests delete " WINDOW, BH_ROLE_READER},
	{"GET", API "/policy/suggest", BH_ROUTE_COMMAND, "policy-suggest", NULL,
		"namespace " WINDOW, BH_ROLE_READER},
	{"POST", API "/policy/suggest", BH_ROUTE_COMMAND, "policy-suggest", NULL,
		"approve reject undecide namespace " WINDOW, BH_ROLE_OPERATOR},
};

/* Matches, and returns where "{}" begins and ends in `path`. */
static bool matches(const char *pattern, const char *path, const char **ret_begin, size_t *ret_n)
{
	const char *hole = strstr(pattern, "{}");
	size_t before = hole ? (size_t)(hole - pattern) : 0;
	const char *after = hole ? hole + 2 : "";
	size_t n;

	*ret_begin = NULL;
	*ret_n = 0;
	if (!hole)
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, before) != 0)
		return false;
	n = strcspn(path + before, "/");
	*ret_begin = path + before;
	*ret_n = n;
	return n > 0 && strcmp(path + before + n, after) == 0;
}

const struct bh_route *bh_route_find(
	const char *method, const char *path, char **ret_argument, bool *ret_known)
{
	*ret_known = false;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const char *begin;
		size_t n;

		if (!matches(routes[i].path, path, &begin, &n))
			continue;
		*ret_known = true;
		if (strcmp(routes[i].method, method) != 0)
			continue;
		*ret_argument = begin ? bh_xasprintf("%.*s", (int)n, begin) : NULL;
		return &routes[i];
	}
	return NULL;
}

char bh_route_parameter(const struct bh_route *route, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = route->parameters; *at; at += strcspn(at, " ") + 1) {
		if (n > 0 && strncmp(at, name, n) == 0 && (at[n] == ' ' || at[n] == ':'))
			return at[n] == ':' ? at[n + 1] : 's';
	}
	return 0;
}
