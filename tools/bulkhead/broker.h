/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLI_BROKER_H
#define BULKHEAD_CLI_BROKER_H

/*
 * The serving end of proto/broker.h: opens the files of one folder for a controller that may not
 * read them itself.
 */

/*
 * Serves one request that waits on `fd`. `folder` is an absolute path. Returns 0, or -EPIPE when
 * the controller has closed its end.
 */
int bh_broker_serve(int fd, const char *folder);

#endif
