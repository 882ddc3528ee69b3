/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libsmartcols.h>

#include "tools/bulkhead/cli.h"

static const char *const escapes[] = {
	[BH_PLAIN] = "",
	[BH_GOOD] = "\033[32m",
	[BH_WARN] = "\033[33m",
	[BH_BAD] = "\033[31m",
	[BH_FAINT] = "\033[2m",
	[BH_BOLD] = "\033[1m",
};

const char *bh_colour(enum bh_colour colour)
{
	return bh_cli.colour ? escapes[colour] : "";
}

const char *bh_colour_end(void)
{
	return bh_cli.colour ? "\033[0m" : "";
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static void must(bool done)
{
	if (!done) {
		bh_cli_fail("out of memory");
		exit(BH_CLI_FAILED);
	}
}

struct libscols_table *bh_table_begin(const char *const *columns)
{
	struct libscols_table *table = scols_new_table();

	must(table != NULL);
	scols_table_enable_colors(table, bh_cli.colour);
	for (; *columns; columns++) {
		const char *name = *columns;
		int flags = 0;

		if (*name == '+')
			flags |= SCOLS_FL_RIGHT;
		if (*name == '~')
			flags |= SCOLS_FL_TRUNC;
		if (flags)
			name++;
		must(scols_table_new_column(table, name, 0, flags) != NULL);
	}
	return table;
}

struct libscols_line *bh_table_row(struct libscols_table *table)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	must(line != NULL);
	/* What is compared are cells, and they do not say which line they are of. */
	must(scols_cell_set_userdata(scols_line_get_cell(line, 0), line) == 0);
	return line;
}

void bh_table_cell(
	struct libscols_line *line, unsigned int column, enum bh_colour colour, const char *text)
{
	must(scols_line_set_data(line, column, text) == 0);
	if (bh_cli.colour && colour != BH_PLAIN)
		must(scols_cell_set_color(scols_line_get_cell(line, column), escapes[colour]) == 0);
}

static int compare_lines(struct libscols_cell *a, struct libscols_cell *b, void *data)
{
	struct libscols_line *lines[] = {scols_cell_get_userdata(a), scols_cell_get_userdata(b)};
	size_t n = (uintptr_t)data;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const char *texts[] = {scols_cell_get_data(scols_line_get_cell(lines[0], i)),
			scols_cell_get_data(scols_line_get_cell(lines[1], i))};

		r = strverscmp(texts[0] ?: "", texts[1] ?: "");
	}
	return r;
}

void bh_table_sort(struct libscols_table *table, unsigned int n)
{
	struct libscols_column *first = scols_table_get_column(table, 0);

	must(scols_column_set_cmpfunc(first, compare_lines, (void *)(uintptr_t)n) == 0);
	if (scols_table_get_nlines(table) > 1)
		must(scols_sort_table(table, first) == 0);
}

int bh_table_end(struct libscols_table *table, const char *nothing)
{
	int r = 0;

	if (scols_table_get_nlines(table) == 0)
		puts(nothing);
	else
		r = scols_print_table(table);
	scols_unref_table(table);
	if (r != 0 || fflush(stdout) == EOF)
		return bh_cli_fail("writing the output: %s", strerror(errno));
	return 0;
}

/* ---- Things ---------------------------------------------------------------------------------- */

const char *bh_print_workload(const json_t *workload, char *text, size_t size)
{
	const char *namespace = bh_json_get_text(workload, "namespace");
	const char *kind = bh_json_get_text(workload, "kind");
	const char *name = bh_json_get_text(workload, "name");

	if (!*kind)
		snprintf(text, size, "?");
	else if (strcmp(kind, "World") == 0)
		snprintf(text, size, "%s%s", *name ? "world " : "the world", name);
	else if (strcmp(kind, "Held") == 0)
		snprintf(text, size, "pods not known yet");
	else if (!*namespace)
		snprintf(text, size, "%s %s", kind, name);
	else
		snprintf(text, size, "%s/%s", namespace, name);
	return text;
}

const char *bh_print_number(int64_t number, char *text, size_t size)
{
	char digits[32];
	size_t n = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, number);
	size_t at = 0;

	for (size_t i = 0; i < n && at + 2 < size; i++) {
		if (i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-')
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = '\0';
	return text;
}

const char *bh_print_bytes(int64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(text, size, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

const char *bh_print_app(const json_t *talk, char *text, size_t size)
{
	const char *app = bh_json_get_text(talk, "app");
	const char *encrypted = bh_json_get_text(talk, "encrypted");
	const char *sni = bh_json_get_text(talk, "sni");
	bool obvious = strcmp(app, "tls") == 0 || strcmp(app, "ssh") == 0;

	if (!*app || strcmp(app, "unknown") == 0)
		return "-";
	snprintf(text, size, "%s%s%s%s%s", app,
		strcmp(encrypted, "no") == 0                ? ", plain text"
		: strcmp(encrypted, "yes") == 0 && !obvious ? ", encrypted"
							    : "",
		*sni ? " (" : "", sni, *sni ? ")" : "");
	return text;
}

const char *bh_print_port(int64_t port, const char *protocol, char *text, size_t size)
{
	if (port)
		snprintf(text, size, "%" PRId64 "/%s", port, protocol);
	else
		snprintf(text, size, "%s", protocol);
	return text;
}

int64_t bh_json_sum(const json_t *both)
{
	return bh_json_get_number(both, "fromClient") + bh_json_get_number(both, "fromServer");
}

/* Seconds since 1970 of an RFC 3339 time in UTC, and the text behind its seconds; NULL: it is none.
 */
static const char *parse_time(const char *rfc3339, time_t *ret_seconds)
{
	struct tm utc = {0};
	const char *rest = strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &utc);

	if (rest)
		*ret_seconds = timegm(&utc);
	return rest;
}

const char *bh_print_time(const char *rfc3339, bool precise, char *text, size_t size)
{
	const time_t day = 24 * 60 * 60;
	time_t now = time(NULL), seconds;
	const char *rest = parse_time(rfc3339, &seconds);
	struct tm local;
	size_t n;

	if (!rest) {
		snprintf(text, size, "-");
		return text;
	}
	localtime_r(&seconds, &local);
	if (!precise && (seconds < now - day || seconds > now + day)) {
		strftime(text, size, "%F %H:%M", &local);
		return text;
	}
	n = strftime(text, size, "%H:%M:%S", &local);
	if (precise)
		snprintf(text + n, size - n, "%.4s", rest);
	return text;
}

const char *bh_print_date(const char *rfc3339, char *text, size_t size)
{
	struct tm local;
	time_t seconds;

	if (parse_time(rfc3339, &seconds))
		strftime(text, size, "%F %H:%M:%S", localtime_r(&seconds, &local));
	else
		snprintf(text, size, "-");
	return text;
}
