/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_HUBBLE_H
#define BULKHEAD_EXPORT_HUBBLE_H

/*
 * A flow as one line of JSON, in the shape of the flows that Cilium's Hubble exports to files
 * (observer.ExportEvent, in the JSON of protobuf with the names of the .proto file), so that what
 * reads those reads ours: nothing is in it that Hubble's own reader does not know. What Hubble has
 * no word for is in `extensions`, where it is meant to be: a google.protobuf.Struct.
 */

#include "controller/export/flow.h"
#include "controller/export/escape.h"

/* Hubble's reader takes lines below 64 KiB; labels that make a line longer are left out. */
#define BH_HUBBLE_LINE_MAX (60u * 1024)

/* Appends the line with its newline. `instance` tells starts of the controller apart: with the
 * record's sequence it makes the flow's uuid. */
void bh_hubble_line(struct bh_text *text, const struct bh_export_flow *flow, uint64_t instance);

#endif
