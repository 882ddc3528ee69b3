/* SPDX-License-Identifier: Apache-2.0 */

/* The file of `up --config`: one mapping from the long options' names to values, YAML or JSON. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <yaml.h>

#include "proto/cleanup.h"
#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/up.h"

#define CONFIG_BYTES_MAX (64 * 1024)

struct reader {
	const char *path;
	yaml_parser_t parser;
	struct bh_up_options *options;
	struct bh_up_options seen; /* keys of the file, to find doubles; the values are borrowed */
};

static int wrong(
	const struct reader *reader, const yaml_event_t *event, const char *what, const char *word)
{
	return bh_cli_fail("%s: line %zu: %s%s%s%s", reader->path, event->start_mark.line + 1, what,
		word ? " '" : "", word ? word : "", word ? "'" : "");
}

static int next(struct reader *reader, yaml_event_t *ret_event)
{
	if (yaml_parser_parse(&reader->parser, ret_event))
		return 0;
	return bh_cli_fail("%s: line %zu: %s", reader->path, reader->parser.problem_mark.line + 1,
		reader->parser.problem ? reader->parser.problem : "cannot be read");
}

static int set(struct reader *reader, const yaml_event_t *event, const char *key, const char *value)
{
	char **option = bh_up_option(reader->options, key);
	char **seen = bh_up_option(&reader->seen, key);
	const char *reason;

	if (!option)
		return wrong(reader, event, "there is no option", key);
	if (*seen)
		return wrong(reader, event, "twice:", key);
	*seen = (char *)"";
	reason = bh_up_check(key, value);
	if (reason)
		return wrong(reader, event, reason, value);
	if (*option)
		return 0; /* the command line wins */
	*option = strdup(value);
	return *option ? 0 : bh_cli_fail("out of memory");
}

/* One key and its value; *ret_done at the end of the mapping. */
static int read_pair(struct reader *reader, bool *ret_done)
{
	_cleanup_(yaml_event_delete) yaml_event_t key = {0};
	_cleanup_(yaml_event_delete) yaml_event_t value = {0};
	int r = next(reader, &key);

	if (r != 0)
		return r;
	if (key.type == YAML_MAPPING_END_EVENT) {
		*ret_done = true;
		return 0;
	}
	if (key.type != YAML_SCALAR_EVENT)
		return wrong(reader, &key, "expected the name of an option", NULL);
	r = next(reader, &value);
	if (r != 0)
		return r;
	if (value.type != YAML_SCALAR_EVENT)
		return wrong(reader, &value, "expected one value for",
			(const char *)key.data.scalar.value);
	return set(reader, &key, (const char *)key.data.scalar.value,
		(const char *)value.data.scalar.value);
}

/* The start of stream, document and mapping, in that order. */
static int read_start(struct reader *reader)
{
	static const yaml_event_type_t starts[] = {
		YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT, YAML_MAPPING_START_EVENT};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		_cleanup_(yaml_event_delete) yaml_event_t event = {0};
		int r = next(reader, &event);

		if (r != 0)
			return r;
		if (event.type == YAML_STREAM_END_EVENT)
			return bh_cli_fail("%s: the file is empty", reader->path);
		if (event.type != starts[i])
			return wrong(
				reader, &event, "expected a mapping of options to values", NULL);
	}
	return 0;
}

static int read_all(struct reader *reader)
{
	bool done = false;
	int r = read_start(reader);

	while (r == 0 && !done)
		r = read_pair(reader, &done);
	return r;
}

int bh_up_read_config(const char *path, struct bh_up_options *options)
{
	static unsigned char text[CONFIG_BYTES_MAX + 1];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct reader reader = {.path = path, .options = options};
	size_t size = 0;
	ssize_t n = 1;
	int r;

	if (fd < 0)
		return bh_cli_fail("%s: %s", path, strerror(errno));
	while (size < sizeof(text) && (n = read(fd, text + size, sizeof(text) - size)) > 0)
		size += (size_t)n;
	if (n < 0)
		return bh_cli_fail("%s: %s", path, strerror(errno));
	if (size == sizeof(text))
		return bh_cli_fail("%s: longer than 64 KiB", path);
	if (!yaml_parser_initialize(&reader.parser))
		return bh_cli_fail("out of memory");
	yaml_parser_set_input_string(&reader.parser, text, size);
	r = read_all(&reader);
	yaml_parser_delete(&reader.parser);
	return r;
}
