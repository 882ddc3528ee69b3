/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_SERVICE_H
#define BULKHEAD_SOURCE_SERVICE_H

/*
 * Services (v1) and EndpointSlices (discovery.k8s.io/v1), as far as kube-proxy rewrites addresses
 * by them. Like the other decoders: false and a note if an object is not as it must be.
 */

#include "controller/source/decoder.h"

bool bh_decode_service(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct bh_metadata *metadata, struct bh_object *object);
bool bh_decode_slice(struct bh_decoder *decoder, const struct bh_path *path, const json_t *json,
	const struct bh_metadata *metadata, struct bh_object *object);

#endif
