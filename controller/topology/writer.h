/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_WRITER_H
#define BULKHEAD_TOPOLOGY_WRITER_H

/*
 * JSON written at once, for answers of so many parts that making objects of them first is most of
 * the work: an edge has a hundred values, and each would be allocated, hashed, walked and freed.
 *
 * Names are this program's own, without anything to escape; NULL in an array. Whoever writes opens
 * and closes what it has opened. Everything says the same as the functions of json.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "controller/topology/text.h"

struct bh_writer {
	struct bh_text *to;
	bool more; /* something is there already: a comma comes first */
};

void bh_write_open(struct bh_writer *writer, const char *name, char bracket);
void bh_write_close(struct bh_writer *writer, char bracket);
void bh_write_text(struct bh_writer *writer, const char *name, const char *text);
void bh_write_number(struct bh_writer *writer, const char *name, uint64_t number);
void bh_write_flag(struct bh_writer *writer, const char *name, bool flag);
void bh_write_null(struct bh_writer *writer, const char *name);
/* What is JSON already. */
void bh_write_json(struct bh_writer *writer, const char *name, const char *json, size_t n);

/* As bh_json_time(), bh_json_protocol() and bh_json_both_ways(). */
void bh_write_time(struct bh_writer *writer, const char *name, uint64_t ns);
void bh_write_protocol(struct bh_writer *writer, const char *name, uint8_t protocol);
void bh_write_both_ways(struct bh_writer *writer, const char *name, const uint64_t counts[2]);

#endif
