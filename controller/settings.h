/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SETTINGS_H
#define BULKHEAD_SETTINGS_H

/*
 * What the operator has set by command (modes, quarantines), kept in one small JSON file of the
 * state directory, so that a restart of anything does not undo an order.
 */

#include <jansson.h>

#include "controller/model/model.h"

/*
 * Puts what the file says into the model. Returns 0 (also when there is no file), or -errno and
 * *ret_problem, one line to free(). A file that makes no sense (-EBADMSG) changes nothing and is
 * kept beside as FILE.corrupt.
 */
int bh_settings_load(const char *path, struct bh_model *model, char **ret_problem);

/* Writes them all, so that after a crash the file is either the old one or the new one. 0 or
 * -errno. */
int bh_settings_save(const char *path, const struct bh_model *model);

/*
 * The same for any other small file of the state directory: 0 or -errno. Reading gives -ENOENT if
 * there is none, and -EBADMSG and one line in `ret_text` for what makes no sense.
 */
int bh_settings_read_json(const char *path, json_t **ret_json, char *ret_text, size_t size);
int bh_settings_write_json(const char *path, const json_t *json);

#endif
