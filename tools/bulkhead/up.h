/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLI_UP_H
#define BULKHEAD_CLI_UP_H

/* What `up` and `down` share: the options, the folders of an instance, and its processes. */

#include <argp.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define BH_DEFAULT_RUN_DIR "/run/bulkhead"
#define BH_DEFAULT_STATE_DIR "/var/lib/bulkhead"

/* As given; NULL: not given. One member for each long option of `up`. */
struct bh_up_options {
	const char *config; /* not in the file itself */
	char *run_dir;
	char *state_dir;
	char *manifests;
	char *kube; /* "yes" */
	char *kubeconfig;
	char *context;
	char *node;
	char *mode;
	char *user;
	char *attach;
	char *uplink;
	char *xdp_generic;
	char *map_size;
	char *hold;
	char *hold_exclude;
	char *hold_timeout;
	char *flow_active;
	char *history_days;
	char *history_size;
	char *http;
	char *http_cert;
	char *http_key;
	char *http_host;
	char *http_tokens;
	char *export_json;
	char *export_json_size;
	char *export_json_files;
	char *export_json_age;
	char *export_json_sync;
	char *export_ipfix;
	char *export_ipfix_enterprise;
	char *export_ipfix_templates;
	char *export_queue;
	char *metrics_series;
	char *alert_ports;
	char *alert_hosts;
	char *alert_window;
	char *alert_learn;
	char *alert_days;
	char *alert_webhook;
	char *alert_webhook_secret;
	char *alert_webhook_ca;
	char *cluster;
	char *cluster_token;
	char *cluster_login;
	char *cluster_ca;
	char *cluster_tenant;
	char *cluster_match;
	char *log_level;
};

extern const struct argp bh_up_argp; /* its input is a struct bh_up_options */
void bh_up_options_free(struct bh_up_options *options);

/* The member of an option by its long name, NULL for a name that is none. */
char **bh_up_option(struct bh_up_options *options, const char *name);

/* NULL, or why this is no value for the option of that name. */
const char *bh_up_check(const char *name, const char *value);

/*
 * Reads the YAML or JSON file and sets what is not set yet: the command line wins. Returns 0, or
 * the exit code after one line on stderr.
 */
int bh_up_read_config(const char *path, struct bh_up_options *options);

/* ---- process.c ------------------------------------------------------------------------------- */

/* Finds the daemon's program: beside this one, or where it is installed. 0 or -ENOENT. */
int bh_process_find(const char *program, char ret_path[PATH_MAX]);

/* How a child is to live. */
struct bh_process_rights {
	bool drop; /* become uid and gid, for good and without capabilities */
	uid_t uid;
	gid_t gid;
};

/*
 * Starts the program with `argv`, in a process group of its own (Ctrl-C is for us to pass on), and
 * so that it ends when we do. `keep_fd` stays open in it if it is not negative. Returns its pid or
 * -errno.
 */
pid_t bh_process_start(
	const char *path, char *const *argv, const struct bh_process_rights *rights, int keep_fd);

/* ---- rundir.c -------------------------------------------------------------------------------- */

/* Writes "run_dir/name". 0 or -ENAMETOOLONG. */
int bh_rundir_path(const char *run_dir, const char *name, char *ret_path, size_t size);

/* An absolute path without "." and ".." parts at its end; the folder need not exist. 0 or -errno.
 */
int bh_rundir_absolute(const char *path, char ret_path[PATH_MAX]);

/* Makes the run and the state directory as `up` wants them. Returns 0 or the exit code. */
int bh_rundir_prepare(const char *run_dir, const char *state_dir, uid_t uid, gid_t gid);

/*
 * The folder of a file that the controller is to write: made for its user if it is not there, left
 * as it is otherwise. Returns 0 or the exit code.
 */
int bh_rundir_prepare_folder_of(const char *path, uid_t uid, gid_t gid);

/* Removes what killed processes left in the run directory. */
void bh_rundir_clean(const char *run_dir);

/* Ends whoever holds the pid file, waiting up to `ms`, then the hard way. True if somebody did. */
bool bh_rundir_end(const char *run_dir, const char *name, unsigned int ms);

/* Waits until nobody holds the pid file. True if that came to be within `ms`. */
bool bh_rundir_wait_free(const char *run_dir, const char *name, unsigned int ms);

#endif
