/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLI_BROKER_H
#define BULKHEAD_CLI_BROKER_H

/*
 * The serving end of proto/broker.h: opens the files of one folder, or one kubeconfig and what it
 * names, for a controller that may not read them itself.
 */

enum bh_broker_subject {
	BH_BROKER_FOLDER,
	BH_BROKER_ONE_KUBECONFIG,
};

/*
 * Serves one request that waits on `fd`. `path`, of the folder or the kubeconfig, is absolute.
 * Returns 0, or -EPIPE when the controller has closed its end.
 */
int bh_broker_serve(int fd, enum bh_broker_subject subject, const char *path);

#endif
