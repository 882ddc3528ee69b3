/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bulkhead/cli.h"

int main(int argc, char **argv)
{
	return bh_cli_main(argc, argv);
}
