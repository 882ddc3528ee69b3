/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/copy.h"

#include <stdlib.h>

void bh_replay_copy_nodes(struct bh_model *to, const struct bh_model *from)
{
	const struct bh_node *node;
	const struct bh_ip *ips;
	size_t n = bh_model_host_addresses(from, &ips);

	bh_model_set_host_addresses(to, n, ips);
	for (size_t at = 0; (node = bh_model_next_node(from, &at));)
		bh_model_put_node(to, node);
}

/* Their addresses cut classes out of the world's. */
void bh_replay_copy_services(struct bh_model *to, const struct bh_model *from)
{
	const struct bh_service *service;
	const struct bh_slice *slice;

	for (size_t at = 0; (service = bh_model_next_service(from, &at));)
		bh_model_put_service(to, service);
	for (size_t at = 0; (slice = bh_model_next_slice(from, &at));)
		bh_model_put_slice(to, slice);
}
