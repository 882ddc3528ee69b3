/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/selector.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names, as apimachinery's validation has them ----------------------------------------------
 */

/* Up to 63 of A-Z a-z 0-9 - _ . with a letter or digit at both ends. */
static bool is_label_name(const char *text, size_t length)
{
	if (!length || length > 63 || !isalnum((unsigned char)text[0]) ||
		!isalnum((unsigned char)text[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return false;
	}
	return true;
}

/* A DNS subdomain (RFC 1123): lower-case labels between dots, 253 in all. */
static bool is_subdomain(const char *text, size_t length)
{
	if (!length || length > 253)
		return false;
	for (size_t i = 0; i < length; i++) {
		bool edge = i == 0 || i + 1 == length || text[i - 1] == '.' || text[i + 1] == '.';
		bool plain = islower((unsigned char)text[i]) || isdigit((unsigned char)text[i]);

		if (!plain && (edge || (text[i] != '-' && text[i] != '.')))
			return false;
	}
	return true;
}

static bool is_key(const char *key)
{
	const char *slash = strchr(key, '/');

	if (!slash)
		return is_label_name(key, strlen(key));
	return is_subdomain(key, (size_t)(slash - key)) &&
	       is_label_name(slash + 1, strlen(slash + 1));
}

static bool is_value(const char *value)
{
	return !*value || is_label_name(value, strlen(value));
}

static bool check_key(struct bh_fault *fault, const struct bh_path *path, const char *key)
{
	char quoted[BH_QUOTE_MAX];

	return is_key(key) ||
	       bh_fault_note(fault, path, "%s is not a valid label key", bh_quote(key, quoted));
}

/* Notes and returns false unless `value` is a string that a label could have. */
static bool read_value(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	const char **ret_text)
{
	char quoted[BH_QUOTE_MAX];

	if (!bh_read_string(fault, path, value, ret_text))
		return false;
	return is_value(*ret_text) || bh_fault_note(fault, path, "%s is not a valid label value",
					      bh_quote(*ret_text, quoted));
}

/* ---- Canonical form ---------------------------------------------------------------------------
 */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_values(struct bh_requirement *requirement)
{
	size_t kept = 0;

	if (!requirement->n_values)
		return;
	qsort(requirement->values, requirement->n_values, sizeof(*requirement->values),
		compare_texts);
	for (size_t i = 0; i < requirement->n_values; i++) {
		if (!kept || strcmp(requirement->values[kept - 1], requirement->values[i]))
			requirement->values[kept++] = requirement->values[i];
	}
	requirement->n_values = kept;
}

static int compare_requirements(const void *a, const void *b)
{
	const struct bh_requirement *left = a, *right = b;
	int order = strcmp(left->key, right->key);

	if (order)
		return order;
	if (left->op != right->op)
		return left->op < right->op ? -1 : 1;
	for (size_t i = 0; i < left->n_values && i < right->n_values; i++) {
		order = strcmp(left->values[i], right->values[i]);
		if (order)
			return order;
	}
	return (left->n_values > right->n_values) - (left->n_values < right->n_values);
}

static const char *requirement_text(struct bh_arena *arena, const struct bh_requirement *r)
{
	if (r->op == BH_OPERATOR_EXISTS)
		return r->key;
	if (r->op == BH_OPERATOR_DOES_NOT_EXIST)
		return bh_arena_printf(arena, "!%s", r->key);
	bool in = r->op == BH_OPERATOR_IN;

	if (r->n_values == 1)
		return bh_arena_printf(arena, "%s%s%s", r->key, in ? "=" : "!=", r->values[0]);
	size_t size = strlen(r->key) + sizeof(" notin ()");

	for (size_t i = 0; i < r->n_values; i++)
		size += strlen(r->values[i]) + 1;
	char *text = bh_arena_alloc(arena, size, 1);
	char *at = stpcpy(stpcpy(text, r->key), in ? " in (" : " notin (");

	for (size_t i = 0; i < r->n_values; i++)
		at = stpcpy(stpcpy(at, i ? "," : ""), r->values[i]);
	strcpy(at, ")");
	return text;
}

static void settle(struct bh_arena *arena, struct bh_selector *selector)
{
	size_t kept = 0, size = 1;

	if (selector->n)
		qsort(selector->requirements, selector->n, sizeof(*selector->requirements),
			compare_requirements);
	for (size_t i = 0; i < selector->n; i++) {
		if (!kept || compare_requirements(
				     &selector->requirements[kept - 1], &selector->requirements[i]))
			selector->requirements[kept++] = selector->requirements[i];
	}
	selector->n = kept;
	const char **texts = bh_arena_array(arena, kept, const char *);

	for (size_t i = 0; i < kept; i++) {
		texts[i] = requirement_text(arena, &selector->requirements[i]);
		size += strlen(texts[i]) + 1;
	}
	char *text = bh_arena_alloc(arena, size, 1), *at = text;

	for (size_t i = 0; i < kept; i++)
		at = stpcpy(stpcpy(at, i ? "," : ""), texts[i]);
	selector->text = text;
}

/* ---- Parsing ----------------------------------------------------------------------------------
 */

static bool parse_operator(const char *text, enum bh_operator *ret_operator)
{
	static const char *const names[] = {
		[BH_OPERATOR_IN] = "In",
		[BH_OPERATOR_NOT_IN] = "NotIn",
		[BH_OPERATOR_EXISTS] = "Exists",
		[BH_OPERATOR_DOES_NOT_EXIST] = "DoesNotExist",
	};

	for (int i = 0; i <= BH_OPERATOR_DOES_NOT_EXIST; i++) {
		if (!strcmp(text, names[i])) {
			*ret_operator = (enum bh_operator)i;
			return true;
		}
	}
	return false;
}

static bool parse_expression(struct bh_arena *arena, struct bh_fault *fault,
	const struct bh_path *path, const json_t *value, struct bh_requirement *out)
{
	static const char *const fields[] = {"key", "operator", "values", NULL};
	const char *key, *operator_text;
	char quoted[BH_QUOTE_MAX];

	if (!bh_read_object(fault, path, value, fields))
		return false;
	const json_t *key_json = bh_read_field(value, "key");
	const json_t *operator_json = bh_read_field(value, "operator");
	const json_t *values = bh_read_field(value, "values");

	if (!key_json)
		return bh_fault_note(fault, path, "key is missing");
	if (!operator_json)
		return bh_fault_note(fault, path, "operator is missing");
	if (!bh_read_string(fault, BH_FIELD(path, "key"), key_json, &key) ||
		!check_key(fault, BH_FIELD(path, "key"), key) ||
		!bh_read_string(fault, BH_FIELD(path, "operator"), operator_json, &operator_text))
		return false;
	if (!parse_operator(operator_text, &out->op))
		return bh_fault_note(fault, BH_FIELD(path, "operator"),
			"%s is not one of In, NotIn, Exists, DoesNotExist",
			bh_quote(operator_text, quoted));
	const struct bh_path *values_path = BH_FIELD(path, "values");

	out->key = bh_arena_strdup(arena, key);
	if (values && !bh_read_array(fault, values_path, values, &out->n_values))
		return false;
	bool takes_values = out->op <= BH_OPERATOR_NOT_IN;

	if (takes_values && !out->n_values)
		return bh_fault_note(
			fault, values_path, "must not be empty with %s", operator_text);
	if (!takes_values && out->n_values)
		return bh_fault_note(fault, values_path, "must be empty with %s", operator_text);
	out->values = bh_arena_array(arena, out->n_values, const char *);
	for (size_t i = 0; i < out->n_values; i++) {
		const char *text;

		if (!read_value(
			    fault, BH_ELEMENT(values_path, i), json_array_get(values, i), &text))
			return false;
		out->values[i] = bh_arena_strdup(arena, text);
	}
	sort_values(out);
	return true;
}

static struct bh_requirement equal(struct bh_arena *arena, const char *key, const char *value)
{
	struct bh_requirement requirement = {
		.key = bh_arena_strdup(arena, key),
		.op = BH_OPERATOR_IN,
		.n_values = 1,
		.values = bh_arena_array(arena, 1, const char *),
	};

	requirement.values[0] = bh_arena_strdup(arena, value);
	return requirement;
}

bool bh_selector_parse(struct bh_arena *arena, struct bh_fault *fault, const struct bh_path *path,
	const json_t *value, struct bh_selector *ret_selector)
{
	static const char *const fields[] = {"matchLabels", "matchExpressions", NULL};
	size_t n_labels = 0, n_expressions = 0;
	struct bh_selector selector = {0};
	const char *key;
	json_t *member;

	if (!bh_read_object(fault, path, value, fields))
		return false;
	json_t *labels = bh_read_field(value, "matchLabels");
	const json_t *expressions = bh_read_field(value, "matchExpressions");
	const struct bh_path *labels_path = BH_FIELD(path, "matchLabels");
	const struct bh_path *expressions_path = BH_FIELD(path, "matchExpressions");

	if (labels && !json_is_object(labels))
		return bh_fault_note(
			fault, labels_path, "must be an object, not %s", bh_json_kind(labels));
	if (expressions && !bh_read_array(fault, expressions_path, expressions, &n_expressions))
		return false;
	n_labels = json_object_size(labels);
	selector.requirements =
		bh_arena_array(arena, n_labels + n_expressions, struct bh_requirement);
	json_object_foreach(labels, key, member)
	{
		const char *text;

		if (!check_key(fault, labels_path, key) ||
			!read_value(fault, BH_FIELD(labels_path, key), member, &text))
			return false;
		selector.requirements[selector.n++] = equal(arena, key, text);
	}
	for (size_t i = 0; i < n_expressions; i++) {
		if (!parse_expression(arena, fault, BH_ELEMENT(expressions_path, i),
			    json_array_get(expressions, i), &selector.requirements[selector.n++]))
			return false;
	}
	settle(arena, &selector);
	*ret_selector = selector;
	return true;
}

struct bh_selector bh_selector_equal(struct bh_arena *arena, const char *key, const char *value)
{
	struct bh_selector selector = {.n = 1};

	selector.requirements = bh_arena_new(arena, struct bh_requirement);
	selector.requirements[0] = equal(arena, key, value);
	settle(arena, &selector);
	return selector;
}

/* ---- Matching ---------------------------------------------------------------------------------
 */

static bool has_value(const struct bh_requirement *requirement, const char *value)
{
	return bsearch(&value, requirement->values, requirement->n_values, sizeof(char *),
		       compare_texts) != NULL;
}

bool bh_selector_matches(const struct bh_selector *selector, const struct bh_labels *labels)
{
	for (size_t i = 0; i < selector->n; i++) {
		const struct bh_requirement *requirement = &selector->requirements[i];
		const char *value = bh_labels_get(labels, requirement->key);
		bool holds = false;

		switch (requirement->op) {
		case BH_OPERATOR_IN:
			holds = value && has_value(requirement, value);
			break;
		case BH_OPERATOR_NOT_IN:
			holds = !value || !has_value(requirement, value);
			break;
		case BH_OPERATOR_EXISTS:
			holds = value != NULL;
			break;
		case BH_OPERATOR_DOES_NOT_EXIST:
			holds = !value;
			break;
		}
		if (!holds)
			return false;
	}
	return true;
}
