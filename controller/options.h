/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_OPTIONS_H
#define BULKHEAD_OPTIONS_H

/* The controller's command line. */

#include <stdbool.h>

#include "controller/alerting.h"
#include "controller/api/api.h"
#include "controller/cluster/cluster.h"
#include "controller/serve.h"
#include "proto/log.h"

/* Texts are those of the command line; NULL: not given. */
struct bh_options {
	const char *run_dir;
	const char *state_dir;
	const char *node;
	const char *manifests;
	bool kube;
	const char *kubeconfig;
	const char *context;
	int broker;
	unsigned int kube_page;
	unsigned int kube_watch_s;
	unsigned int kube_silence_s;
	unsigned int history_days;
	unsigned int history_mib;
	struct bh_serve_options serve;
	enum bh_mode mode;
	enum bh_log_level log_level;
	struct bh_exports_options exports;
	struct bh_alerting_options alerting;
	struct bh_cluster_source cluster;
};

/* What is not given has its default. Ends the process, with status 2 and what is wrong, where it
 * cannot be done as it is said. */
void bh_options_parse(struct bh_options *ret_options, int argc, char **argv);

#endif
