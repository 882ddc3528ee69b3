/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_PRUNE_H
#define BULKHEAD_SOURCE_PRUNE_H

/*
 * Two thirds of a pod's JSON is about what policy has no use for: who set which field, environment,
 * volumes, conditions, a node's images. Taking that out before the parser builds a tree of it makes
 * reading a large list twice as fast.
 */

#include <stddef.h>

/*
 * Empties the objects and arrays that nobody reads, in place. `text` is an object of the API
 * server, or with `inside` one event, whose member of that name is the object. Returns the new
 * size. What is no JSON stays what it is, but for what is taken out of it: there, only the
 * brackets and quotes are looked at.
 */
size_t bh_prune(char *text, size_t size, const char *inside);

#endif
