/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HTTP_ROUTES_H
#define BULKHEAD_HTTP_ROUTES_H

/* Which paths there are, what each takes, and which command answers it. */

#include <stdbool.h>

#include "controller/access/tokens.h"

enum bh_route_kind {
	BH_ROUTE_COMMAND, /* a command of the control socket */
	BH_ROUTE_SESSION,
	BH_ROUTE_LOGIN,
	BH_ROUTE_LOGOUT,
	BH_ROUTE_LIVE,
};

struct bh_route {
	const char *method;
	const char *path; /* "{}" stands for one part that is not empty */
	enum bh_route_kind kind;
	const char *command;
	const char *argument;   /* what the part is called in the command; NULL: there is none */
	const char *parameters; /* words: "from to limit:n newest:b"; of the query, or the body */
	enum bh_role role;      /* at least */
};

/* `method` is GET for HEAD. NULL, and *ret_known says if the path exists with other methods. Part
 * of the path for "{}" goes to *ret_argument: free(). */
const struct bh_route *bh_route_find(
	const char *method, const char *path, char **ret_argument, bool *ret_known);

/* The type of the parameter, 's', 'n' (number) or 'b' (boolean); 0: there is none of that name. */
char bh_route_parameter(const struct bh_route *route, const char *name);

#endif
