/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORTS_H
#define BULKHEAD_EXPORTS_H

/* The exporters that were asked for, together: their options, what feeds them, their accounts. */

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <uv.h>

#include "controller/export/account.h"
#include "controller/flows/log.h"
#include "controller/flows/names.h"
#include "controller/model/model.h"

#define BH_EXPORTS_MAX 4

struct bh_exports_options {
	const char *json; /* NULL: no such file */
	unsigned int json_mib;
	unsigned int json_files;
	unsigned int json_age_s;
	bool json_sync;
	const char *ipfix; /* NULL: to no collector */
	unsigned int ipfix_enterprise;
	unsigned int ipfix_templates_s;
	unsigned int queue_kib; /* of each exporter */
	unsigned int metrics_series;
	const char *webhook; /* where alerts are posted; NULL: nowhere */
	const char *webhook_secret;
	const char *webhook_ca;
};

/* What holds where nothing is said. */
extern const struct bh_exports_options bh_exports_defaults;

/* The options of the command line; a child parser whose input is the struct. */
extern const struct argp bh_exports_argp;

struct bh_exports;

/*
 * Everything but the options is borrowed. A relative file is one of `folder`. `changed` is called
 * when an exporter began to fail or recovered.
 */
struct bh_exports *bh_exports_new(uv_loop_t *loop, const struct bh_exports_options *options,
	const char *folder, const struct bh_model *model, const struct bh_names *names,
	void (*changed)(void *data), void *data);

/* Hands on the records that have come into the log since the last call. */
void bh_exports_take(struct bh_exports *exports, const struct bh_flow_log *log);

/* Posts an alert, as the API shows it: borrowed. */
void bh_exports_alert(struct bh_exports *exports, json_t *alert);

/* Returns how many there are, each in ret_accounts. */
size_t bh_exports_accounts(const struct bh_exports *exports,
	const struct bh_export_account *ret_accounts[BH_EXPORTS_MAX]);

/* The end: close(), then run the loop until it is empty, then free(), which says in the log what
 * became of the records. */
void bh_exports_close(struct bh_exports *exports);
void bh_exports_free(struct bh_exports *exports);

#endif
