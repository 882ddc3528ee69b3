/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/prune.h"

#include <stdbool.h>
#include <string.h>

/* Keys on the way to a value; an array on the way is "[". Nothing to take out is deeper. */
#define DEPTH_MAX 5
#define LEVELS 4

/* "*ontainers": containers, initContainers and ephemeralContainers. */
static const char *const useless[][LEVELS] = {
	{"metadata", "managedFields"},
	{"spec", "affinity"},
	{"spec", "tolerations"},
	{"spec", "topologySpreadConstraints"},
	{"spec", "volumes"},
	{"spec", "*ontainers", "[", "args"},
	{"spec", "*ontainers", "[", "command"},
	{"spec", "*ontainers", "[", "env"},
	{"spec", "*ontainers", "[", "envFrom"},
	{"spec", "*ontainers", "[", "lifecycle"},
	{"spec", "*ontainers", "[", "livenessProbe"},
	{"spec", "*ontainers", "[", "readinessProbe"},
	{"spec", "*ontainers", "[", "resources"},
	{"spec", "*ontainers", "[", "securityContext"},
	{"spec", "*ontainers", "[", "startupProbe"},
	{"spec", "*ontainers", "[", "volumeMounts"},
	{"status", "*ontainerStatuses"},
	{"status", "conditions"},
	{"status", "images"},
	{"status", "nodeInfo"},
};
#define N_USELESS (sizeof(useless) / sizeof(useless[0]))

struct key {
	const char *text; /* in the text; NULL: an array */
	size_t length;
};

struct pruner {
	char *text;
	size_t size;
	size_t at;  /* read up to here */
	size_t out; /* written up to here, never beyond `at` */
	size_t depth;
	struct key path[DEPTH_MAX]; /* of the value at `at`, by depth */
};

static bool is_key(const struct key *key, const char *wanted)
{
	size_t length = strlen(wanted);

	if (!key->text)
		return !strcmp(wanted, "[");
	if (*wanted != '*')
		return key->length == length && !memcmp(key->text, wanted, length);
	/* What comes before is a word or nothing; nothing else that Kubernetes has ends so. */
	length--;
	return key->length >= length &&
	       !memcmp(key->text + key->length - length, wanted + 1, length);
}

/* Is the value that begins now one of those? */
static bool is_useless(const struct pruner *p, size_t skip)
{
	size_t levels = p->depth - skip;

	if (p->depth <= skip || levels > LEVELS || !p->path[p->depth - 1].text)
		return false;
	for (size_t i = 0; i < N_USELESS; i++) {
		size_t n = 0;

		while (n < levels && useless[i][n] && is_key(&p->path[skip + n], useless[i][n]))
			n++;
		if (n == levels && (n == LEVELS || !useless[i][n]))
			return true;
	}
	return false;
}

/* Behind the string that begins at `at`; the end if it has none. */
static size_t string_end(const struct pruner *p, size_t at)
{
	for (at++; at < p->size; at++) {
		if (p->text[at] == '\\')
			at++;
		else if (p->text[at] == '"')
			return at + 1;
	}
	return p->size;
}

/* Behind the object, array or string that begins at `at`. */
static size_t value_end(const struct pruner *p, size_t at)
{
	size_t depth = 0;

	while (at < p->size) {
		char c = p->text[at];

		if (c == '"') {
			at = string_end(p, at);
		} else {
			depth += c == '{' || c == '[';
			depth -= depth && (c == '}' || c == ']');
			at++;
		}
		if (!depth)
			return at;
	}
	return p->size;
}

/* Takes over what is between `at` and `end`. */
static void copy(struct pruner *p, size_t end)
{
	if (end > p->size)
		end = p->size;
	if (p->out != p->at)
		memmove(p->text + p->out, p->text + p->at, end - p->at);
	p->out += end - p->at;
	p->at = end;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(const struct pruner *p, size_t at)
{
	while (at < p->size && is_space(p->text[at]))
		at++;
	return at;
}

/* One step down if what is below can hold something useless; what cannot is taken over whole. */
static bool enters(const struct pruner *p, size_t skip)
{
	static const char *const first[] = {"metadata", "spec", "status"};

	if (p->depth <= skip)
		return true;
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		if (!is_key(&p->path[skip], first[i]))
			continue;
		return p->depth == skip + 1 ||
		       (i == 1 && is_key(&p->path[skip + 1], "*ontainers") && p->depth <= skip + 3);
	}
	return false;
}

/* The value at `at` begins with this bracket; one that is cut off behind it has no room for two. */
static void empty(struct pruner *p, char open)
{
	size_t end = value_end(p, p->at);

	if (end - p->at >= 2) {
		p->text[p->out++] = open;
		p->text[p->out++] = open == '{' ? '}' : ']';
	}
	p->at = end;
}

/* Takes over the value at `at` without what is useless in it. Recursion is bounded by `enters`. */
static void prune_value(struct pruner *p, size_t skip, const char *inside)
{
	char open = p->at < p->size ? p->text[p->at] : 0;

	if ((open != '{' && open != '[') || p->depth == DEPTH_MAX || !enters(p, skip)) {
		copy(p, open == '{' || open == '[' || open == '"' ? value_end(p, p->at) : p->at);
		return;
	}
	copy(p, p->at + 1);
	p->depth++;
	for (;;) {
		struct key key = {0};
		size_t at = skip_space(p, p->at);

		if (open == '{' && at < p->size && p->text[at] == '"') {
			/* What is read has moved down to `out` when it is looked at again. */
			size_t end = string_end(p, at);

			copy(p, at);
			key = (struct key){p->text + p->out + 1, end - at > 2 ? end - at - 2 : 0};
			copy(p, end);
			at = skip_space(p, p->at);
			if (at == p->size || p->text[at] != ':')
				break;
			copy(p, skip_space(p, at + 1));
		} else {
			copy(p, at);
		}
		p->path[p->depth - 1] = key;
		char c = p->at < p->size ? p->text[p->at] : 0;

		if ((c == '{' || c == '[') && is_useless(p, skip)) {
			empty(p, c);
		} else if (c == '{' || c == '[' || c == '"') {
			if (inside && p->depth == 1 && !is_key(&key, inside))
				copy(p, value_end(p, p->at));
			else
				prune_value(p, skip, NULL);
		}
		/* A number or a word, and then what ends the value or the object. */
		for (at = p->at; at < p->size && !strchr(",]}\"{[:", p->text[at]);)
			at++;
		copy(p, at);
		if (at == p->size || p->text[at] != ',')
			break;
		copy(p, at + 1);
	}
	p->depth--;
	if (p->at < p->size && p->text[p->at] == (open == '{' ? '}' : ']'))
		copy(p, p->at + 1);
}

size_t bh_prune(char *text, size_t size, const char *inside)
{
	struct pruner p = {.text = text, .size = size};

	copy(&p, skip_space(&p, 0));
	prune_value(&p, inside ? 1 : 0, inside);
	copy(&p, size);
	return p.out;
}
