/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/announced.h"

#include "controller/model/memory.h"

static struct bh_ip *copy_ips(const struct bh_ip *ips, size_t n)
{
	struct bh_ip *copy = bh_xcalloc(n, sizeof(*copy));

	if (n)
		memcpy(copy, ips, n * sizeof(*copy));
	return copy;
}

static bool same_ips(const struct bh_ip *a, size_t n_a, const struct bh_ip *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (bh_ip_compare(&a[i], &b[i]))
			return false;
	}
	return true;
}

static void discard(struct bh_announcement *announcement)
{
	if (!announcement)
		return;
	free(announcement->uid);
	free(announcement->said);
	free(announcement->ips);
	free(announcement);
}

/* As announced, with room for the key alone. */
static struct bh_announcement *make(const char *namespace, const char *name, const char *uid,
	size_t n_ips, const struct bh_ip *ips)
{
	size_t head = strlen(namespace) + 1, size = head + strlen(name);
	struct bh_announcement *made = bh_xcalloc(1, sizeof(*made) + size + 1);

	memcpy(made->key, namespace, head);
	memcpy(made->key + head, name, size - head);
	made->key_size = size;
	made->uid = uid ? bh_xstrdup(uid) : NULL;
	made->n_ips = n_ips;
	made->ips = copy_ips(ips, n_ips);
	return made;
}

static struct bh_announcement *by_name(
	const struct bh_announced *announced, const char *namespace, const char *name)
{
	struct bh_announcement *key = make(namespace, name, NULL, 0, NULL);
	struct bh_announcement *found = bh_table_get(&announced->pods, key->key, key->key_size);

	discard(key);
	return found;
}

void bh_announced_clear(struct bh_announced *announced)
{
	struct bh_announcement *announcement;

	for (size_t at = 0; (announcement = bh_table_next(&announced->pods, &at));)
		discard(announcement);
	bh_table_clear(&announced->pods);
}

struct bh_announcement *bh_announced_put(struct bh_announced *announced, const char *namespace,
	const char *name, const char *uid, size_t n_ips, const struct bh_ip *ips)
{
	struct bh_announcement *before = bh_announced_find(announced, namespace, name, uid);
	struct bh_announcement *made;

	if (!before && announced->pods.n >= BH_ANNOUNCED_MAX)
		return NULL;
	made = make(namespace, name, uid, n_ips, ips);
	if (before && before->seen) {
		made->seen = true;
		made->n_said = before->n_said;
		made->said = copy_ips(before->said, before->n_said);
	}
	discard(bh_table_put(&announced->pods, made->key, made->key_size, made));
	return made;
}

bool bh_announced_remove(struct bh_announced *announced, const char *namespace, const char *name)
{
	struct bh_announcement *found = by_name(announced, namespace, name);

	if (!found)
		return false;
	bh_table_remove(&announced->pods, found->key, found->key_size);
	discard(found);
	return true;
}

struct bh_announcement *bh_announced_find(const struct bh_announced *announced,
	const char *namespace, const char *name, const char *uid)
{
	struct bh_announcement *found;

	if (!announced->pods.n)
		return NULL;
	found = by_name(announced, namespace, name);
	return found && (!found->uid || !uid || !strcmp(found->uid, uid)) ? found : NULL;
}

const struct bh_announcement *bh_announced_over(struct bh_announced *announced,
	const char *namespace, const char *name, const char *uid, size_t n_ips,
	const struct bh_ip *ips)
{
	struct bh_announcement *found = bh_announced_find(announced, namespace, name, uid);

	if (!found)
		return NULL;
	if (!found->seen) {
		found->seen = true;
		found->n_said = n_ips;
		free(found->said);
		found->said = copy_ips(ips, n_ips);
		return found;
	}
	if (same_ips(found->said, found->n_said, ips, n_ips))
		return found;
	bh_announced_remove(announced, namespace, name);
	return NULL;
}
