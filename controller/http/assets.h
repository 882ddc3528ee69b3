/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HTTP_ASSETS_H
#define BULKHEAD_HTTP_ASSETS_H

/* Files that are part of the program, gzipped when it was built (tools/embed). */

#include <stddef.h>

struct bh_asset {
	const char *path; /* of the URL: "/", "/openapi.yaml" */
	const char *type;
	const char *etag; /* with its quotes; names the content */
	size_t size;
	const unsigned char *gzip;
};

extern const size_t bh_n_assets;
extern const struct bh_asset bh_assets[];

/* The file of that path, or NULL. */
const struct bh_asset *bh_asset_find(const char *path);

#endif
