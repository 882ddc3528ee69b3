/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/staging.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"

/* ---- Changes -------------------------------------------------------------------------------- */

static struct bh_change *change_new(const Bulkhead__Wire__Update *update)
{
	struct bh_change *change = calloc(1, sizeof(*change));

	if (!change)
		return NULL;
	change->revision = update->revision;
	change->base = update->base_revision;
	change->full = update->full;
	bh_table_init(&change->addr4, sizeof(__be32), sizeof(struct bh_staged_identity));
	bh_table_init(&change->addr6, 16, sizeof(struct bh_staged_identity));
	bh_table_init(
		&change->block4, sizeof(struct bh_prefix4), sizeof(struct bh_staged_identity));
	bh_table_init(
		&change->block6, sizeof(struct bh_prefix6), sizeof(struct bh_staged_identity));
	bh_table_init(&change->programs, sizeof(uint32_t), sizeof(struct bh_program *));
	return change;
}

void bh_wanted_fini(struct bh_wanted *wanted)
{
	free(wanted->uid);
	free(wanted->name);
	*wanted = (struct bh_wanted){};
}

void bh_change_free(struct bh_change *change)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	if (!change)
		return;
	while (bh_table_next(&change->programs, &cursor, &key, &value))
		bh_program_free(*(struct bh_program **)value);
	bh_table_clear(&change->addr4);
	bh_table_clear(&change->addr6);
	bh_table_clear(&change->block4);
	bh_table_clear(&change->block6);
	bh_table_clear(&change->programs);
	for (size_t i = 0; i < change->n_endpoints; i++)
		bh_wanted_fini(&change->endpoints[i]);
	free(change->endpoints);
	free(change);
}

static int compare_wanted(const void *a, const void *b)
{
	return strcmp(((const struct bh_wanted *)a)->uid, ((const struct bh_wanted *)b)->uid);
}

struct bh_wanted *bh_wanted_find(struct bh_wanted *wanted, size_t n, const char *uid)
{
	struct bh_wanted key = {.uid = (char *)uid};

	return n ? bsearch(&key, wanted, n, sizeof(key), compare_wanted) : NULL;
}

/* ---- Addresses and blocks ------------------------------------------------------------------- */

static int check_family(ProtobufCBinaryData ip, const char *what, struct bh_why *why)
{
	if (ip.len != 4 && ip.len != 16)
		return bh_fail(
			why, -EINVAL, "%s of %zu bytes: an IP address has 4 or 16", what, ip.len);
	return 0;
}

static int check_class(uint32_t class, const char *what, const char *text, struct bh_why *why)
{
	if (class >= BH_CLASS_TRANSIENT)
		return bh_fail(why, -EINVAL, "%s %s: class 0x%x is not the controller's to use",
			what, text, class);
	return 0;
}

static int put_identity(struct bh_table *table, const void *key, struct bh_staged_identity identity,
	const char *what, const char *text, struct bh_why *why)
{
	struct bh_staged_identity *value;
	bool new;

	value = bh_table_put(table, key, &new);
	if (!value)
		return -ENOMEM;
	if (!new)
		return bh_fail(why, -EINVAL, "%s %s is named twice in one update", what, text);
	*value = identity;
	return 0;
}

static int stage_address(struct bh_change *change, ProtobufCBinaryData ip,
	struct bh_staged_identity identity, struct bh_why *why)
{
	char text[BH_IP_TEXT];
	int err = check_family(ip, "address", why);

	if (err < 0)
		return err;
	bh_ip_text(ip.len == 4 ? 4 : 6, ip.data, text);
	err = check_class(identity.class, "address", text, why);
	if (err < 0)
		return err;
	return put_identity(ip.len == 4 ? &change->addr4 : &change->addr6, ip.data, identity,
		"address", text, why);
}

/* True if a bit of `ip` beyond the prefix is set. */
static bool has_host_bits(const uint8_t *ip, size_t size, uint32_t bits)
{
	for (size_t i = 0; i < size; i++) {
		uint32_t kept = bits > i * 8 ? bits - (uint32_t)i * 8 : 0;

		if (kept < 8 && ip[i] & (0xff >> kept))
			return true;
	}
	return false;
}

static int stage_block(struct bh_change *change, const Bulkhead__Wire__Block *block, bool removed,
	struct bh_why *why)
{
	struct bh_staged_identity identity = {
		.class = removed ? 0 : block->class_,
		.workload = removed ? 0 : block->workload,
		.removed = removed,
	};
	struct bh_prefix4 key4 = {.bits = block->bits};
	struct bh_prefix6 key6 = {.bits = block->bits};
	char text[BH_IP_TEXT];
	size_t length;
	int err = check_family(block->ip, "address block", why);

	if (err < 0)
		return err;
	bh_ip_text(block->ip.len == 4 ? 4 : 6, block->ip.data, text);
	length = strlen(text);
	snprintf(text + length, sizeof(text) - length, "/%u", block->bits);
	if (block->bits > block->ip.len * 8)
		return bh_fail(why, -EINVAL,
			"address block %s: a prefix of more bits than there are", text);
	if (has_host_bits(block->ip.data, block->ip.len, block->bits))
		return bh_fail(why, -EINVAL, "address block %s has bits beyond its prefix", text);
	err = check_class(identity.class, "address block", text, why);
	if (err < 0)
		return err;
	if (block->ip.len == 4) {
		memcpy(&key4.addr, block->ip.data, 4);
		return put_identity(&change->block4, &key4, identity, "address block", text, why);
	}
	memcpy(key6.addr, block->ip.data, 16);
	return put_identity(&change->block6, &key6, identity, "address block", text, why);
}

static int stage_identities(
	struct bh_change *change, const Bulkhead__Wire__Update *update, struct bh_why *why)
{
	int err = 0;

	for (size_t i = 0; i < update->n_addresses && !err; i++) {
		const Bulkhead__Wire__Address *address = update->addresses[i];

		err = stage_address(change, address->ip,
			(struct bh_staged_identity){
				.class = address->class_,
				.workload = address->workload,
				.flags = address->service ? BH_IDENTITY_SERVICE : 0,
			},
			why);
	}
	for (size_t i = 0; i < update->n_removed_addresses && !err; i++)
		err = stage_address(change, update->removed_addresses[i],
			(struct bh_staged_identity){.removed = true}, why);
	for (size_t i = 0; i < update->n_blocks && !err; i++)
		err = stage_block(change, update->blocks[i], false, why);
	for (size_t i = 0; i < update->n_removed_blocks && !err; i++)
		err = stage_block(change, update->removed_blocks[i], true, why);
	return err;
}

/* ---- Programs ------------------------------------------------------------------------------- */

static int check_program_number(uint32_t number, struct bh_why *why)
{
	if (number == BH_PROGRAM_OPEN || number == BH_PROGRAM_NONE || number == BH_PROGRAM_HELD)
		return bh_fail(why, -EINVAL, "program %u is built in: it has no entries", number);
	return 0;
}

static int stage_entry(
	struct bh_program *program, const Bulkhead__Wire__ProgramEntry *wire, struct bh_why *why)
{
	uint32_t isolated = wire->egress ? BH_PROGRAM_EGRESS_ISOLATED : BH_PROGRAM_INGRESS_ISOLATED;
	const char *direction = wire->egress ? "egress" : "ingress";
	struct bh_entry entry;
	struct bh_why inner = {};
	int err;

	if (!(program->number & isolated))
		return bh_fail(why, -EINVAL,
			"program 0x%x has %s entries, but its number says it does not isolate "
			"there",
			program->number, direction);
	err = bh_entry_from_wire(wire, &entry, &inner);
	if (err == -EINVAL)
		return bh_fail(why, err, "program 0x%x, %s of class 0x%x: %s", program->number,
			direction, wire->class_, inner.text);
	return err < 0 ? err : bh_program_add(program, &entry);
}

/* A program too long for one message comes in pieces: entries add up over the parts. */
static int stage_program(
	struct bh_change *change, const Bulkhead__Wire__Program *wire, struct bh_why *why)
{
	struct bh_program **program;
	int err = check_program_number(wire->number, why);
	bool new;

	if (err < 0)
		return err;
	program = bh_table_put(&change->programs, &wire->number, &new);
	if (!program)
		return -ENOMEM;
	if (!new && !*program)
		return bh_fail(
			why, -EINVAL, "program 0x%x is both written and removed", wire->number);
	if (new)
		*program = bh_program_new(wire->number);
	if (!*program)
		return -ENOMEM;
	for (size_t i = 0; i < wire->n_entries && !err; i++)
		err = stage_entry(*program, wire->entries[i], why);
	return err;
}

static int stage_removed_program(struct bh_change *change, uint32_t number, struct bh_why *why)
{
	int err = check_program_number(number, why);
	bool new;

	if (err < 0)
		return err;
	if (!bh_table_put(&change->programs, &number, &new))
		return -ENOMEM;
	if (!new)
		return bh_fail(
			why, -EINVAL, "program 0x%x is both written and removed, or twice", number);
	return 0;
}

/* ---- Endpoints ------------------------------------------------------------------------------ */

static int check_text(const char *text, size_t max, const char *what, struct bh_why *why)
{
	size_t length = strlen(text);

	if (!length || length > max)
		return bh_fail(why, -EINVAL, "an endpoint's %s of %zu bytes: 1 to %zu are allowed",
			what, length, max);
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return bh_fail(why, -EINVAL,
				"an endpoint's %s holds a blank or control character", what);
	}
	return 0;
}

static int wanted_address(struct bh_wanted *wanted, ProtobufCBinaryData ip, struct bh_why *why)
{
	uint8_t *n = ip.len == 4 ? &wanted->n_addr4 : &wanted->n_addr6;
	uint8_t *list = ip.len == 4 ? (uint8_t *)wanted->addr4 : (uint8_t *)wanted->addr6;
	char text[BH_IP_TEXT];

	if (ip.len != 4 && ip.len != 16)
		return bh_fail(
			why, -EINVAL, "endpoint %s: an address of %zu bytes", wanted->name, ip.len);
	if (*n == BH_ENDPOINT_ADDRS)
		return bh_fail(why, -EINVAL,
			"endpoint %s has more than %d IPv%d addresses: no more are supported",
			wanted->name, BH_ENDPOINT_ADDRS, ip.len == 4 ? 4 : 6);
	for (uint8_t i = 0; i < *n; i++) {
		if (!memcmp(list + i * ip.len, ip.data, ip.len))
			return bh_fail(why, -EINVAL, "endpoint %s names %s twice", wanted->name,
				bh_ip_text(ip.len == 4 ? 4 : 6, ip.data, text));
	}
	memcpy(list + *n * ip.len, ip.data, ip.len);
	(*n)++;
	return 0;
}

static int stage_endpoint(
	struct bh_change *change, const Bulkhead__Wire__Endpoint *wire, struct bh_why *why)
{
	struct bh_wanted *wanted;
	int err = check_text(wire->uid, BH_UID_MAX, "uid", why);

	if (!err)
		err = check_text(wire->name, BH_NAME_MAX, "name", why);
	if (err < 0)
		return err;
	/* Room was made for all of the part's; owned by the change from here on. */
	wanted = &change->endpoints[change->n_endpoints++];
	*wanted = (struct bh_wanted){
		.uid = strdup(wire->uid),
		.name = strdup(wire->name),
		.workload = wire->workload,
		.active = wire->active,
		.pending = wire->pending,
		.xdp = wire->hook == BULKHEAD__WIRE__HOOK__HOOK_XDP,
	};
	if (!wanted->uid || !wanted->name)
		return -ENOMEM;
	if (wire->hook != BULKHEAD__WIRE__HOOK__HOOK_TC && !wanted->xdp)
		return bh_fail(
			why, -EINVAL, "endpoint %s: unknown hook %d", wire->name, wire->hook);
	for (size_t i = 0; i < wire->n_ips && !err; i++)
		err = wanted_address(wanted, wire->ips[i], why);
	if (!err && !wire->n_ips)
		err = bh_fail(why, -EINVAL, "endpoint %s has no address", wire->name);
	return err;
}

static int stage_removed_endpoint(struct bh_change *change, const char *uid, struct bh_why *why)
{
	struct bh_wanted *wanted;
	int err = check_text(uid, BH_UID_MAX, "uid", why);

	if (err < 0)
		return err;
	wanted = &change->endpoints[change->n_endpoints++];
	*wanted = (struct bh_wanted){.uid = strdup(uid), .removed = true};
	return wanted->uid ? 0 : -ENOMEM;
}

static int stage_endpoints(
	struct bh_change *change, const Bulkhead__Wire__Update *update, struct bh_why *why)
{
	size_t n = change->n_endpoints + update->n_endpoints + update->n_removed_endpoints;
	struct bh_wanted *endpoints;
	int err = 0;

	/* Removed ones count too, so that no number of parts makes this grow. */
	if (n > 2 * BH_ENDPOINTS_MAX)
		return bh_fail(
			why, -E2BIG, "%zu endpoints: %d are supported", n, BH_ENDPOINTS_MAX - 1);
	if (!n)
		return 0;
	endpoints = realloc(change->endpoints, n * sizeof(*endpoints));
	if (!endpoints)
		return -ENOMEM;
	change->endpoints = endpoints;
	for (size_t i = 0; i < update->n_endpoints && !err; i++)
		err = stage_endpoint(change, update->endpoints[i], why);
	for (size_t i = 0; i < update->n_removed_endpoints && !err; i++)
		err = stage_removed_endpoint(change, update->removed_endpoints[i], why);
	return err;
}

/* ---- Parts ---------------------------------------------------------------------------------- */

static int stage(struct bh_change *change, const Bulkhead__Wire__Update *update, struct bh_why *why)
{
	int err;

	if (update->full && (update->n_removed_addresses || update->n_removed_blocks ||
				    update->n_removed_programs || update->n_removed_endpoints))
		return bh_fail(why, -EINVAL,
			"a full update removes what it does not name: it may not list removals");
	err = stage_identities(change, update, why);
	for (size_t i = 0; i < update->n_programs && !err; i++)
		err = stage_program(change, update->programs[i], why);
	for (size_t i = 0; i < update->n_removed_programs && !err; i++)
		err = stage_removed_program(change, update->removed_programs[i], why);
	return err ? err : stage_endpoints(change, update, why);
}

/* After the last part: order, and what only the whole can tell. */
static int seal(struct bh_change *change, struct bh_why *why)
{
	size_t cursor = 0, n = 0;
	const void *key;
	void *value;

	while (bh_table_next(&change->programs, &cursor, &key, &value)) {
		struct bh_program *program = *(struct bh_program **)value;
		uint32_t class_dir;

		if (program && bh_program_seal(program, &class_dir) < 0)
			return bh_fail(why, -EINVAL,
				"program 0x%x names the %s of class 0x%x twice", program->number,
				class_dir & BH_POLICY_EGRESS ? "egress" : "ingress",
				class_dir & ~BH_POLICY_EGRESS);
	}
	if (change->n_endpoints)
		qsort(change->endpoints, change->n_endpoints, sizeof(*change->endpoints),
			compare_wanted);
	for (size_t i = 0; i < change->n_endpoints; i++) {
		n += !change->endpoints[i].removed;
		if (i && !strcmp(change->endpoints[i].uid, change->endpoints[i - 1].uid))
			return bh_fail(why, -EINVAL, "endpoint %s is named twice in one update",
				change->endpoints[i].uid);
	}
	if (n >= BH_ENDPOINTS_MAX)
		return bh_fail(
			why, -E2BIG, "%zu endpoints: %d are supported", n, BH_ENDPOINTS_MAX - 1);
	return 0;
}

void bh_staging_reset(struct bh_staging *staging)
{
	bh_change_free(staging->change);
	*staging = (struct bh_staging){};
}

/* Is this the part that has to come now? */
static int check_sequence(
	struct bh_staging *staging, const Bulkhead__Wire__Update *update, struct bh_why *why)
{
	const struct bh_change *change = staging->change;

	if (!change)
		return bh_fail(why, -EINVAL, "part %u of update %" PRIu64 " came without part 0",
			update->part, update->revision);
	if (update->part != staging->next_part || update->revision != change->revision ||
		update->base_revision != change->base || update->full != change->full)
		return bh_fail(why, -EINVAL,
			"part %u of update %" PRIu64 " does not follow part %u of update %" PRIu64,
			update->part, update->revision, staging->next_part - 1, change->revision);
	return 0;
}

static int take_part(
	struct bh_staging *staging, const Bulkhead__Wire__Update *update, struct bh_why *why)
{
	int err;

	if (update->part == 0) {
		bh_staging_reset(staging);
		staging->change = change_new(update);
		if (!staging->change)
			return -ENOMEM;
	}
	err = check_sequence(staging, update, why);
	if (err < 0)
		return err;
	staging->next_part++;
	staging->bytes += bulkhead__wire__update__get_packed_size(update);
	if (staging->bytes > BH_STAGING_MAX)
		return bh_fail(
			why, -E2BIG, "the update is longer than %zu MiB", BH_STAGING_MAX >> 20);
	err = stage(staging->change, update, why);
	if (err < 0 || !update->last)
		return err;
	staging->change->unknown_open = update->unknown_open;
	staging->change->hold = update->hold;
	err = seal(staging->change, why);
	return err < 0 ? err : 1;
}

int bh_staging_part(struct bh_staging *staging, const Bulkhead__Wire__Update *update,
	struct bh_change **ret_change, struct bh_why *why)
{
	int r;

	if (staging->skipping && update->part && update->revision == staging->skipped)
		return 0;
	r = take_part(staging, update, why);
	if (r == -ENOMEM)
		bh_fail(why, r, "no memory for update %" PRIu64, update->revision);
	if (r > 0)
		*ret_change = bh_take_pointer(staging->change);
	if (r != 0)
		bh_staging_reset(staging);
	if (r < 0) {
		staging->skipping = !update->last;
		staging->skipped = update->revision;
	}
	return r;
}
