/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_LOADLOG_H
#define BULKHEAD_DATAPLANE_LOADLOG_H

/*
 * What libbpf and the kernel's verifier say while programs are loaded. Hundreds of lines, of which
 * the last ones tell the cause: they are kept, and end up in the one line of an error.
 */

/* From now on libbpf's warnings are kept here, and printed nowhere. Forgets what was kept. */
void bh_loadlog_begin(void);

/* The end of what was said, as one line; "no more is known" when nothing was. Valid until begin. */
const char *bh_loadlog_tail(void);

#endif
