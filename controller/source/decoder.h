/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_SOURCE_DECODER_H
#define BULKHEAD_SOURCE_DECODER_H

/*
 * Reading fields of Kubernetes objects, shared by the decoders of the kinds. Every function is true
 * and sets its ret_… unless the field is not of the type Kubernetes gives it: then it is false and
 * the fault is noted. A field that is null is one that is not there.
 */

#include "controller/source/object.h"

struct bh_decoder {
	struct bh_arena *arena; /* of everything that is returned */
	struct bh_fault *fault;
	struct bh_object_list *list;
};

struct bh_metadata {
	const json_t *json;
	const struct bh_path *path;
	const char *namespace;
	const char *name;
};

/* Addresses, each once; whoever makes it knows how much room they need. */
struct bh_ips {
	size_t n;
	struct bh_ip *items;
};

/* A string of the arena, or NULL if it is not there or empty. */
bool bh_decode_text(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const char **ret_text);
bool bh_decode_boolean(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, bool *ret_value);
/* The object of that name, or NULL if it is not there. */
bool bh_decode_member(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const json_t **ret_member);
/* The array of that name, or NULL; *ret_n is its length. */
bool bh_decode_list(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const json_t **ret_list, size_t *ret_n);
/* An object of strings; an empty one if it is not there. */
bool bh_decode_labels(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const struct bh_labels **ret_labels);
bool bh_decode_annotation(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *metadata, const char *key, const char **ret_text);
/* Appends an address unless it is empty or there already. An object has no more than 1024. */
bool bh_decode_ip(struct bh_decoder *decoder, const struct bh_path *path, const json_t *value,
	struct bh_ips *ips);
/* The field `protocol`: TCP (also when it is not there), UDP or SCTP, as its IP number. */
bool bh_decode_protocol(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *object, uint8_t *ret_protocol);
/* A port's number, which may not be 0. `value` NULL: it is missing. */
bool bh_decode_port(struct bh_decoder *decoder, const struct bh_path *path, const json_t *value,
	uint16_t *ret_port);

#endif
