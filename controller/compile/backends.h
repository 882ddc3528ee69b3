/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_BACKENDS_H
#define BULKHEAD_COMPILE_BACKENDS_H

/*
 * Where connections to a service may end up: every address its slices list, whatever its conditions
 * are, for who rewrites addresses chooses among them by rules of its own (readiness, topology,
 * session affinity) and what is true of all is true of each. Where no slice names the service, as
 * in a folder of manifests, the pods it selects.
 */

#include "controller/model/arena.h"
#include "controller/model/model.h"

struct bh_backend {
	struct bh_ip ip;
	uint16_t port;
};

struct bh_backends;

/* An index over the model as it is now, which must not change meanwhile. */
struct bh_backends *bh_backends_new(const struct bh_model *model);
/* The same of one service, at the cost of what is about it. */
struct bh_backends *bh_backends_new_of(
	const struct bh_model *model, const struct bh_service *service);
/* True if the service finds its backends by its selector, as no slice names it. */
bool bh_backends_are_selected(const struct bh_model *model, const struct bh_service *service);
/* True if a service with this selector selects a pod of these labels. */
bool bh_backends_select(const struct bh_labels *selector, const struct bh_labels *labels);
void bh_backends_free(struct bh_backends *backends);

/*
 * The backends of one family behind a port of the service, in an order that depends on the model's
 * content only; one may be there more than once. *ret_list is valid until the next call.
 */
size_t bh_backends_of(struct bh_backends *backends, const struct bh_service *service,
	const struct bh_service_port *port, uint8_t family, const struct bh_backend **ret_list);

/*
 * All that may be behind an address and port, whichever services have it, sorted, each once; the
 * list is in the arena. False: no service has that port there. For who asks once.
 */
bool bh_backends_behind(const struct bh_model *model, struct bh_arena *arena,
	const struct bh_ip *ip, uint8_t protocol, uint16_t port, const struct bh_backend **ret_list,
	size_t *ret_n);

#endif
