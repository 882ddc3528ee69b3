/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/decoder.h"

#include <netinet/in.h>
#include <string.h>

/* Of one object: each is compared with the others. */
#define IPS_MAX 1024

bool bh_decode_text(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const char **ret_text)
{
	const json_t *value = bh_read_field(object, field);
	const char *text = NULL;

	if (value && !bh_read_string(decoder->fault, BH_FIELD(path, field), value, &text))
		return false;
	*ret_text = text && *text ? bh_arena_strdup(decoder->arena, text) : NULL;
	return true;
}

bool bh_decode_boolean(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, bool *ret_value)
{
	const json_t *value = bh_read_field(object, field);

	if (value && !json_is_boolean(value))
		return bh_fault_note(decoder->fault, BH_FIELD(path, field),
			"must be true or false, not %s", bh_json_kind(value));
	*ret_value = value && json_is_true(value);
	return true;
}

bool bh_decode_member(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const json_t **ret_member)
{
	*ret_member = bh_read_field(object, field);
	if (*ret_member && !json_is_object(*ret_member))
		return bh_fault_note(decoder->fault, BH_FIELD(path, field),
			"must be an object, not %s", bh_json_kind(*ret_member));
	return true;
}

bool bh_decode_list(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const json_t **ret_list, size_t *ret_n)
{
	*ret_list = bh_read_field(object, field);
	*ret_n = 0;
	return !*ret_list || bh_read_array(decoder->fault, BH_FIELD(path, field), *ret_list, ret_n);
}

bool bh_decode_labels(struct bh_decoder *decoder, const struct bh_path *path, const json_t *object,
	const char *field, const struct bh_labels **ret_labels)
{
	const struct bh_path *labels_path = BH_FIELD(path, field);
	const json_t *member;
	const char *key;
	json_t *value;

	if (!bh_decode_member(decoder, path, object, field, &member))
		return false;
	struct bh_labels *labels = bh_arena_new(decoder->arena, struct bh_labels);
	struct bh_label *items =
		bh_arena_array(decoder->arena, json_object_size(member), struct bh_label);

	json_object_foreach((json_t *)member, key, value)
	{
		const char *text;

		if (!bh_read_string(decoder->fault, BH_FIELD(labels_path, key), value, &text))
			return false;
		items[labels->n++] = (struct bh_label){bh_arena_strdup(decoder->arena, key),
			bh_arena_strdup(decoder->arena, text)};
	}
	labels->items = items;
	*ret_labels = labels;
	return true;
}

bool bh_decode_annotation(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *metadata, const char *key, const char **ret_text)
{
	const json_t *annotations;

	return bh_decode_member(decoder, path, metadata, "annotations", &annotations) &&
	       bh_decode_text(decoder, BH_FIELD(path, "annotations"), annotations, key, ret_text);
}

bool bh_decode_ip(struct bh_decoder *decoder, const struct bh_path *path, const json_t *value,
	struct bh_ips *ips)
{
	char quoted[BH_QUOTE_MAX];
	const char *text;
	struct bh_ip ip;

	if (!bh_read_string(decoder->fault, path, value, &text))
		return false;
	if (!*text)
		return true;
	if (bh_ip_parse(text, &ip))
		return bh_fault_note(
			decoder->fault, path, "%s is not an address", bh_quote(text, quoted));
	for (size_t i = 0; i < ips->n; i++) {
		if (!bh_ip_compare(&ips->items[i], &ip))
			return true;
	}
	if (ips->n == IPS_MAX)
		return bh_fault_note(
			decoder->fault, path, "is one of more than %d addresses", IPS_MAX);
	ips->items[ips->n++] = ip;
	return true;
}

static bool parse_protocol(const char *text, uint8_t *ret_protocol)
{
	static const struct {
		const char *name;
		uint8_t number;
	} known[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"SCTP", IPPROTO_SCTP}};

	*ret_protocol = IPPROTO_TCP;
	for (size_t i = 0; text && i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(text, known[i].name)) {
			*ret_protocol = known[i].number;
			return true;
		}
	}
	return !text;
}

bool bh_decode_protocol(struct bh_decoder *decoder, const struct bh_path *path,
	const json_t *object, uint8_t *ret_protocol)
{
	const char *text;

	if (!bh_decode_text(decoder, path, object, "protocol", &text))
		return false;
	if (!parse_protocol(text, ret_protocol))
		return bh_fault_note(decoder->fault, BH_FIELD(path, "protocol"),
			"must be one of TCP, UDP, SCTP");
	return true;
}

bool bh_decode_port(struct bh_decoder *decoder, const struct bh_path *path, const json_t *value,
	uint16_t *ret_port)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 1 || number > 65535)
		return bh_fault_note(decoder->fault, path, "must be a number between 1 and 65535");
	*ret_port = (uint16_t)number;
	return true;
}
