/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_OPTIONS_H
#define BULKHEAD_DATAPLANE_OPTIONS_H

/* The command line. */

#include <stdbool.h>
#include <sys/types.h>

#include "dataplane/attach.h"
#include "dataplane/hold.h"
#include "dataplane/object.h"
#include "proto/log.h"

struct bh_options {
	const char *run_dir;
	uid_t user; /* the controller's */
	bool down;
	enum bh_attach_mode attach;
	const char *uplink; /* or NULL */
	bool xdp_generic;
	struct bh_hold_options hold;
	uint32_t flow_active_s; /* 0: flows that last are not told of */
	enum bh_log_level log_level;
	uint32_t sizes[BH_MAP_COUNT];
};

/* Ends the process with status 2 and one line when the command line is wrong. */
void bh_options_parse(int argc, char **argv, struct bh_options *ret_options);

#endif
