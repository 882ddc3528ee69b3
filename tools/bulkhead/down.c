/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead down: ends what runs, takes out of the kernel what is there, and cleans up. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/up.h"

/* `up` itself gives each of its daemons ten seconds. */
#define UP_END_MS 25000
#define DAEMON_END_MS 10000

static int take_out_of_kernel(const char *run_dir)
{
	const char *argv[] = {"bulkhead-dataplane", "--run-dir", run_dir, "--down", NULL};
	struct bh_process_rights rights = {0};
	char path[PATH_MAX];
	int status = 0;
	pid_t pid;

	if (bh_process_find(argv[0], path) < 0)
		return bh_cli_fail("bulkhead-dataplane is not beside this program");
	pid = bh_process_start(path, (char *const *)argv, &rights, -1);
	if (pid < 0)
		return bh_cli_fail("starting %s: %s", path, strerror(-pid));
	if (waitpid(pid, &status, 0) < 0)
		return bh_cli_fail("%s: %s", argv[0], strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return bh_cli_fail("bulkhead-dataplane --down failed: programs or maps of %s may "
				   "be left in the kernel",
			run_dir);
	return 0;
}

/*
 * The state of an instance whose state is in its run directory goes with it; that of the default
 * one, in /var/lib, stays.
 */
static void remove_files(const char *run_dir)
{
	static const char *const names[] = {"up.pid", "dataplane.pid", "controller.pid",
		"dataplane.sock", "control.sock", "state/settings.json", "state/settings.json.new",
		"state/settings.json.corrupt"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (bh_rundir_path(run_dir, names[i], path, sizeof(path)) == 0)
			unlink(path); /* mostly it is not there */
	}
	if (bh_rundir_path(run_dir, "state", path, sizeof(path)) == 0)
		rmdir(path);
	rmdir(run_dir); /* stays if somebody keeps something in it */
}

int bh_cli_down(int argc, char **argv)
{
	char run_dir[PATH_MAX];
	bool ran;
	int r;

	bh_cli_parse_plain(argc, argv,
		"Ends the daemons of this instance, and takes every program, map, pin and filter "
		"of it away, and only those. Works without the daemons. Nothing is enforced "
		"afterwards.");
	if (!bh_cli_output_is("down", BH_ALLOW(BH_OUTPUT_TABLE)))
		return BH_CLI_USAGE;
	if (geteuid() != 0)
		return bh_cli_fail("down needs root");
	r = bh_rundir_absolute(bh_cli.run_dir, run_dir);
	if (r < 0)
		return bh_cli_fail("%s: %s", bh_cli.run_dir, strerror(-r));
	ran = bh_rundir_end(run_dir, "up.pid", UP_END_MS);
	ran |= bh_rundir_end(run_dir, "controller.pid", DAEMON_END_MS);
	ran |= bh_rundir_end(run_dir, "dataplane.pid", DAEMON_END_MS);
	r = take_out_of_kernel(run_dir);
	if (r != 0)
		return r;
	remove_files(run_dir);
	printf("bulkhead: %s is down%s; nothing is enforced\n", run_dir,
		ran ? "" : " (no daemon was running)");
	return 0;
}
