/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead metrics: everything that is counted, as Prometheus reads it. */

#include <stdio.h>

#include "tools/bulkhead/cli.h"

#define TIMEOUT_MS 10000

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "unexpected argument '%s'", argument);
	return 0;
}

int bh_cli_metrics(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_option,
		.doc = "Everything that is counted, in Prometheus' text format: what GET /metrics "
		       "answers where 'up --http' serves it.",
		.children = bh_cli_children,
	};
	json_t *answer;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (!bh_cli_output_is("metrics", BH_ALLOW(BH_OUTPUT_TABLE)))
		return BH_CLI_USAGE;
	answer = bh_ask("metrics", NULL, TIMEOUT_MS);
	if (!answer)
		return BH_CLI_FAILED;
	fputs(bh_json_get_text(answer, "text"), stdout);
	json_decref(answer);
	return fflush(stdout) == EOF ? bh_cli_fail("writing the output") : 0;
}
