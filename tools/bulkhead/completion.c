/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tools/bulkhead/cli.h"

/* The file itself, so that what is printed and what is installed cannot differ. */
__asm__(".section .rodata\n"
	".global bh_completion_bash\n"
	"bh_completion_bash:\n"
	".incbin \"tools/bulkhead/completion.bash\"\n"
	".byte 0\n"
	".previous\n");
extern const char bh_completion_bash[];

static error_t parse(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (strcmp(argument, "bash") != 0)
			argp_error(
				state, "there is completion for bash only, not for '%s'", argument);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which shell? bash");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int bh_cli_completion(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "bash",
		.doc = "Prints the completion for a shell: eval \"$(bulkhead completion bash)\"",
		.children = bh_cli_children,
	};

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	fputs(bh_completion_bash, stdout);
	return fflush(stdout) == EOF ? bh_cli_fail("writing the output") : 0;
}
