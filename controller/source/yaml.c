/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/source/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <yaml.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/source/source.h"

struct anchor {
	json_t *value;
	char name[];
};

struct reader {
	yaml_parser_t parser;
	struct bh_text_error *error;
	size_t nodes; /* read, aliases counted as what they stand for */
	struct bh_table anchors;
};

/* Keeps the first error. */
static void __attribute__((format(printf, 3, 4)))
fail(struct reader *reader, size_t line, const char *format, ...)
{
	va_list arguments;

	if (reader->error->text[0])
		return;
	reader->error->line = line;
	va_start(arguments, format);
	vsnprintf(reader->error->text, sizeof(reader->error->text), format, arguments);
	va_end(arguments);
}

static bool next(struct reader *reader, yaml_event_t *event)
{
	if (yaml_parser_parse(&reader->parser, event))
		return true;
	const yaml_parser_t *parser = &reader->parser;

	if (parser->problem_mark.line || parser->problem_mark.column)
		fail(reader, parser->problem_mark.line + 1, "%s%s%s",
			parser->context ? parser->context : "", parser->context ? ", " : "",
			parser->problem ? parser->problem : "not YAML");
	else
		fail(reader, parser->mark.line + 1, "%s",
			parser->problem ? parser->problem : "not YAML");
	return false;
}

static size_t line_of(const yaml_event_t *event)
{
	return event->start_mark.line + 1;
}

/* ---- Scalars ----------------------------------------------------------------------------------
 */

static bool is_one_of(const char *text, const char *const words[])
{
	for (; *words; words++) {
		if (!strcmp(text, *words))
			return true;
	}
	return false;
}

static bool is_null(const char *text)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};

	return is_one_of(text, words);
}

static bool is_boolean(const char *text, bool *ret_value)
{
	static const char *const yes[] = {
		"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
	static const char *const no[] = {
		"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};

	*ret_value = is_one_of(text, yes);
	return *ret_value || is_one_of(text, no);
}

/* Decimal, 0x…, 0b…, 0o… and YAML 1.1's 0… octal; underscores may stand between digits. */
static bool is_integer(const char *text, json_int_t *ret_value)
{
	char digits[72];
	size_t n = 0;
	int base = 10;
	const char *at = text + (*text == '-' || *text == '+');

	if (!isdigit((unsigned char)*at))
		return false;
	if (at[0] == '0' && (at[1] == 'x' || at[1] == 'b' || at[1] == 'o')) {
		base = at[1] == 'x' ? 16 : at[1] == 'b' ? 2 : 8;
		at += 2;
	} else if (at[0] == '0' && at[1]) {
		base = 8;
		at++;
	}
	if (*text == '-')
		digits[n++] = '-';
	size_t begin = n;

	for (; *at && n < sizeof(digits) - 1; at++) {
		if (*at != '_')
			digits[n++] = *at;
	}
	digits[n] = '\0';
	if (*at || n == begin || !isxdigit((unsigned char)digits[begin]))
		return false;
	char *end;

	errno = 0;
	*ret_value = strtoll(digits, &end, base);
	return !errno && !*end;
}

static bool is_real(const char *text, double *ret_value)
{
	const char *at = text + (*text == '-' || *text == '+');
	size_t digits = 0;

	for (; isdigit((unsigned char)*at); at++)
		digits++;
	if (*at == '.')
		for (at++; isdigit((unsigned char)*at); at++)
			digits++;
	if (!digits)
		return false;
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '-' || *at == '+';
		if (!isdigit((unsigned char)*at))
			return false;
		at += strspn(at, "0123456789");
	}
	*ret_value = strtod(text, NULL);
	return !*at && isfinite(*ret_value);
}

static json_t *plain_scalar(const char *text)
{
	bool truth;
	json_int_t integer;
	double real;

	if (is_null(text))
		return json_null();
	if (is_boolean(text, &truth))
		return json_boolean(truth);
	if (is_integer(text, &integer))
		return json_integer(integer);
	if (is_real(text, &real))
		return json_real(real);
	return json_string(text);
}

static json_t *scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	json_t *value;

	if (memchr(text, '\0', event->data.scalar.length)) {
		fail(reader, line_of(event), "a string holds a zero byte");
		return NULL;
	}
	if (tag && !strcmp(tag, YAML_STR_TAG))
		value = json_string(text);
	else if (tag && strcmp(tag, "!") && strcmp(tag, YAML_INT_TAG) &&
		 strcmp(tag, YAML_BOOL_TAG) && strcmp(tag, YAML_NULL_TAG) &&
		 strcmp(tag, YAML_FLOAT_TAG) && strcmp(tag, YAML_TIMESTAMP_TAG) &&
		 strcmp(tag, "tag:yaml.org,2002:binary")) {
		fail(reader, line_of(event), "unknown tag %.60s", tag);
		return NULL;
	} else if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		   (!tag || strcmp(tag, "!")))
		value = plain_scalar(text);
	else
		value = json_string(text);
	if (!value)
		fail(reader, line_of(event), "a string is not valid UTF-8");
	return value;
}

/* ---- Anchors and aliases ------------------------------------------------------------------------
 */

static void define(struct reader *reader, const yaml_char_t *name, json_t *value)
{
	if (!name || !value)
		return;
	size_t length = strlen((const char *)name);
	struct anchor *anchor = bh_xcalloc(1, sizeof(*anchor) + length + 1);

	memcpy(anchor->name, name, length);
	anchor->value = json_incref(value);
	struct anchor *before = bh_table_put(&reader->anchors, anchor->name, length, anchor);

	if (before) {
		json_decref(before->value);
		free(before);
	}
}

static void forget_anchors(struct reader *reader)
{
	struct anchor *anchor;

	for (size_t at = 0; (anchor = bh_table_next(&reader->anchors, &at));) {
		json_decref(anchor->value);
		free(anchor);
	}
	bh_table_clear(&reader->anchors);
}

/* What a copy of the value costs: its nodes, and its text in eighths. Gives up above `most`. */
static size_t weigh(json_t *value, size_t most)
{
	size_t weight = 1, index;
	const char *key;
	json_t *member;

	if (json_is_string(value))
		weight += json_string_length(value) / 8;
	json_array_foreach(value, index, member)
	{
		if (weight > most)
			return weight;
		weight += weigh(member, most - weight);
	}
	json_object_foreach(value, key, member)
	{
		if (weight > most)
			return weight;
		weight += strlen(key) / 8;
		if (weight <= most)
			weight += weigh(member, most - weight);
	}
	return weight;
}

static json_t *alias(struct reader *reader, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *anchor = bh_table_get(&reader->anchors, name, strlen(name));

	if (!anchor) {
		fail(reader, line_of(event), "unknown alias *%.60s", name);
		return NULL;
	}
	reader->nodes += weigh(anchor->value, BH_MANIFEST_NODES_MAX);
	if (reader->nodes > BH_MANIFEST_NODES_MAX) {
		fail(reader, line_of(event), "aliases make the file larger than %d values",
			BH_MANIFEST_NODES_MAX);
		return NULL;
	}
	return json_deep_copy(anchor->value);
}

/* ---- Nodes ------------------------------------------------------------------------------------
 */

static json_t *node(struct reader *reader, yaml_event_t *event, unsigned int depth);

static json_t *sequence(struct reader *reader, unsigned int depth)
{
	json_t *array = json_array();
	yaml_event_t event;

	while (next(reader, &event)) {
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return array;
		}
		json_t *member = node(reader, &event, depth);

		yaml_event_delete(&event);
		if (!member || json_array_append_new(array, member))
			break;
	}
	json_decref(array);
	return NULL;
}

/* The key of the next member; false at the end of the mapping or on an error. */
static bool check_key(struct reader *reader, const json_t *object, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	char quoted[BH_QUOTE_MAX];

	if (event->type != YAML_SCALAR_EVENT)
		fail(reader, line_of(event), "a key must be a string");
	else if (memchr(text, '\0', event->data.scalar.length))
		fail(reader, line_of(event), "a key holds a zero byte");
	else if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !strcmp(text, "<<"))
		fail(reader, line_of(event), "merge keys (<<) are not read: write the fields out");
	else if (json_object_get(object, text))
		fail(reader, line_of(event), "key %s is there twice", bh_quote(text, quoted));
	else
		return true;
	return false;
}

static json_t *mapping(struct reader *reader, unsigned int depth)
{
	json_t *object = json_object();
	yaml_event_t key, event;

	while (next(reader, &key)) {
		if (key.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&key);
			return object;
		}
		json_t *member = NULL;

		if (check_key(reader, object, &key) && next(reader, &event)) {
			member = node(reader, &event, depth);
			yaml_event_delete(&event);
		}
		bool done = member && !json_object_set_new(
					      object, (const char *)key.data.scalar.value, member);

		if (member && !done)
			fail(reader, line_of(&key), "a key is not valid UTF-8");
		yaml_event_delete(&key);
		if (!done)
			break;
	}
	json_decref(object);
	return NULL;
}

/* The value that begins with this event. NULL and an error if it cannot be read. */
static json_t *node(struct reader *reader, yaml_event_t *event, unsigned int depth)
{
	json_t *value = NULL;

	if (++reader->nodes > BH_MANIFEST_NODES_MAX) {
		fail(reader, line_of(event), "more than %d values", BH_MANIFEST_NODES_MAX);
		return NULL;
	}
	if (depth >= BH_MANIFEST_DEPTH_MAX) {
		fail(reader, line_of(event), "nested deeper than %d levels", BH_MANIFEST_DEPTH_MAX);
		return NULL;
	}
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		value = scalar(reader, event);
		define(reader, event->data.scalar.anchor, value);
		break;
	case YAML_SEQUENCE_START_EVENT:
		value = sequence(reader, depth + 1);
		define(reader, event->data.sequence_start.anchor, value);
		break;
	case YAML_MAPPING_START_EVENT:
		value = mapping(reader, depth + 1);
		define(reader, event->data.mapping_start.anchor, value);
		break;
	case YAML_ALIAS_EVENT:
		value = alias(reader, event);
		break;
	default:
		fail(reader, line_of(event), "not YAML");
		break;
	}
	return value;
}

/* Takes events up to the next node's first one. False at the end of the stream or on an error. */
static bool next_document(struct reader *reader, yaml_event_t *event)
{
	while (next(reader, event)) {
		switch (event->type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			yaml_event_delete(event);
			continue;
		case YAML_STREAM_END_EVENT:
			yaml_event_delete(event);
			return false;
		default:
			return true;
		}
	}
	return false;
}

/* The parser points into itself: a reader is begun and ended where it lies. */
static void begin(struct reader *reader, const char *text, size_t size, struct bh_text_error *error)
{
	*error = (struct bh_text_error){0};
	*reader = (struct reader){.error = error};
	if (!yaml_parser_initialize(&reader->parser))
		abort();
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, size);
}

/* %TAG lines of one text. libyaml compares each with all before it; nobody needs more than a few.
 */
#define TAGS_MAX 100

/* Wherever they stand: a line may begin after any of five kinds of break. */
static bool check_tags(const char *text, size_t size, struct bh_text_error *error)
{
	const char *end = text + size;
	size_t n = 0;

	for (const char *at = text; (at = memmem(at, (size_t)(end - at), "%TAG", 4)); at += 4) {
		if (++n <= TAGS_MAX)
			continue;
		error->line = 1;
		for (const char *c = text; c < at; c++)
			error->line += *c == '\n';
		snprintf(error->text, sizeof(error->text), "more than %d times %%TAG", TAGS_MAX);
		return false;
	}
	return true;
}

json_t *bh_yaml_parse(const char *text, size_t size, struct bh_text_error *ret_error)
{
	struct reader reader;
	json_t *documents;
	yaml_event_t event;

	*ret_error = (struct bh_text_error){0};
	if (!check_tags(text, size, ret_error))
		return NULL;
	documents = json_array();
	begin(&reader, text, size, ret_error);
	while (next_document(&reader, &event)) {
		json_t *document = node(&reader, &event, 0);

		yaml_event_delete(&event);
		forget_anchors(&reader);
		if (!document || json_array_append_new(documents, document))
			break;
	}
	forget_anchors(&reader);
	yaml_parser_delete(&reader.parser);
	if (ret_error->text[0]) {
		json_decref(documents);
		return NULL;
	}
	return documents;
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

/* An upper bound of depth and number of values, before anything is built. */
static bool check_json_size(const char *text, size_t size, struct bh_text_error *error)
{
	size_t nodes = 1, depth = 0, line = 1;
	bool in_string = false;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		line += c == '\n';
		if (c == '"') {
			in_string = !in_string;
		} else if (in_string) {
			i += c == '\\';
		} else if (c == '[' || c == '{') {
			depth++;
			nodes++;
		} else if (c == ']' || c == '}') {
			depth -= depth > 0;
		} else if (c == ',') {
			nodes++;
		}
		if (depth > BH_MANIFEST_DEPTH_MAX || nodes > BH_MANIFEST_NODES_MAX) {
			error->line = line;
			snprintf(error->text, sizeof(error->text), "%s",
				depth > BH_MANIFEST_DEPTH_MAX ? "nested too deep"
							      : "too many values");
			return false;
		}
	}
	return true;
}

json_t *bh_json_parse(const char *text, size_t size, struct bh_text_error *ret_error)
{
	json_t *documents = json_array();
	size_t at = 0, line = 0;

	*ret_error = (struct bh_text_error){0};
	if (!check_json_size(text, size, ret_error)) {
		json_decref(documents);
		return NULL;
	}
	for (;;) {
		json_error_t error;

		for (; at < size && strchr(" \t\r\n", text[at]) && text[at]; at++)
			line += text[at] == '\n';
		if (at == size)
			return documents;
		json_t *document = json_loadb(text + at, size - at,
			JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);

		if (!document) {
			ret_error->line = line + (error.line > 0 ? (size_t)error.line : 1);
			snprintf(ret_error->text, sizeof(ret_error->text), "%s", error.text);
			json_decref(documents);
			return NULL;
		}
		for (size_t i = 0; i < (size_t)error.position; i++)
			line += text[at + i] == '\n';
		at += (size_t)error.position;
		json_array_append_new(documents, document);
	}
}

/* ---- Where a value stands
 * ------------------------------------------------------------------------ */

struct steps {
	size_t n;
	const struct bh_path *path[BH_MANIFEST_DEPTH_MAX];
};

static bool skip(yaml_parser_t *parser, yaml_event_type_t type)
{
	int depth = 0;
	yaml_event_t event;

	for (;;) {
		depth += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
		depth -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
		if (depth <= 0)
			return true;
		if (!yaml_parser_parse(parser, &event))
			return false;
		type = event.type;
		yaml_event_delete(&event);
	}
}

/* Descends from a collection just begun to the member the step names, whose first event it leaves.
 */
static bool descend(yaml_parser_t *parser, const struct bh_path *step, yaml_event_t *event)
{
	for (size_t index = 0;; index++) {
		bool found = !step->key && index == step->index;

		if (!yaml_parser_parse(parser, event))
			return false;
		if (event->type == YAML_SEQUENCE_END_EVENT ||
			event->type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(event);
			return false;
		}
		if (step->key) {
			found = event->type == YAML_SCALAR_EVENT &&
				!strcmp((const char *)event->data.scalar.value, step->key);
			yaml_event_delete(event);
			if (!yaml_parser_parse(parser, event))
				return false;
		}
		if (found)
			return true;
		yaml_event_type_t type = event->type;

		yaml_event_delete(event);
		if (!skip(parser, type))
			return false;
	}
}

static size_t find_line(struct reader *reader, size_t document, const struct steps *steps)
{
	yaml_event_t event;
	size_t line = 0;
	bool there = next_document(reader, &event);

	for (size_t i = 0; there && i < document; i++) {
		yaml_event_type_t type = event.type;

		yaml_event_delete(&event);
		there = skip(&reader->parser, type) && next_document(reader, &event);
	}
	for (size_t i = 0; there; i++) {
		bool fits = i < steps->n &&
			    event.type == (steps->path[i]->key ? YAML_MAPPING_START_EVENT
							       : YAML_SEQUENCE_START_EVENT);

		/* What is missing is looked for where it is missing. */
		line = line_of(&event);
		yaml_event_delete(&event);
		there = fits && descend(&reader->parser, steps->path[i], &event);
	}
	return line;
}

size_t bh_yaml_line(const char *text, size_t size, size_t document, const struct bh_path *path)
{
	struct steps steps = {0};
	struct bh_text_error error;
	struct reader reader;

	for (const struct bh_path *at = path; at; at = at->up) {
		if (++steps.n > BH_MANIFEST_DEPTH_MAX)
			return 0;
	}
	size_t i = steps.n;

	for (const struct bh_path *at = path; at; at = at->up)
		steps.path[--i] = at;
	begin(&reader, text, size, &error);
	size_t line = find_line(&reader, document, &steps);

	yaml_parser_delete(&reader.parser);
	return line;
}
