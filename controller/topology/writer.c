/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/topology/writer.h"

#include <string.h>
#include <time.h>

#include <jansson.h>

#include "controller/model/memory.h"
#include "controller/topology/json.h"
#include "proto/cleanup.h"

/* ---- Parts ----------------------------------------------------------------------------------- */

/* The comma, and the name in quotes. */
static void begin(struct bh_writer *writer, const char *name)
{
	struct bh_text *to = writer->to;

	if (writer->more)
		bh_text_add_bytes(to, ",", 1);
	writer->more = true;
	if (!name)
		return;
	bh_text_add_bytes(to, "\"", 1);
	bh_text_add(to, name);
	bh_text_add_bytes(to, "\":", 2);
}

/* True if the text stands in quotes as it is. */
static bool is_plain(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
			return false;
	}
	return true;
}

/* Whatever has to be escaped, or checked for being UTF-8, is left to who knows how. */
static void add_escaped(struct bh_text *to, const char *text)
{
	json_t *value = bh_json_text(text);
	_cleanup_free_ char *escaped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	json_decref(value);
	bh_text_add(to, bh_xcheck(escaped));
}

/* The last `n` digits, leading zeros included. */
static char *put_digits(char *at, uint64_t number, int n)
{
	for (int i = n; i-- > 0; number /= 10)
		at[i] = (char)('0' + number % 10);
	return at + n;
}

static int count_digits(uint64_t number)
{
	int n = 1;

	for (; number >= 10; number /= 10)
		n++;
	return n;
}

/* ---- Values ---------------------------------------------------------------------------------- */

void bh_write_open(struct bh_writer *writer, const char *name, char bracket)
{
	begin(writer, name);
	bh_text_add_bytes(writer->to, &bracket, 1);
	writer->more = false;
}

void bh_write_close(struct bh_writer *writer, char bracket)
{
	bh_text_add_bytes(writer->to, &bracket, 1);
	writer->more = true;
}

void bh_write_json(struct bh_writer *writer, const char *name, const char *json, size_t n)
{
	begin(writer, name);
	bh_text_add_bytes(writer->to, json, n);
}

void bh_write_text(struct bh_writer *writer, const char *name, const char *text)
{
	begin(writer, name);
	if (!is_plain(text)) {
		add_escaped(writer->to, text);
		return;
	}
	bh_text_add_bytes(writer->to, "\"", 1);
	bh_text_add(writer->to, text);
	bh_text_add_bytes(writer->to, "\"", 1);
}

/* Signed, as every number of an answer is. */
void bh_write_number(struct bh_writer *writer, const char *name, uint64_t number)
{
	bool negative = (int64_t)number < 0;
	uint64_t size = negative ? 0 - number : number;
	char digits[24] = "-";
	char *end = put_digits(digits + negative, size, count_digits(size));

	bh_write_json(writer, name, digits, (size_t)(end - digits));
}

void bh_write_flag(struct bh_writer *writer, const char *name, bool flag)
{
	begin(writer, name);
	bh_text_add(writer->to, flag ? "true" : "false");
}

void bh_write_null(struct bh_writer *writer, const char *name)
{
	bh_write_json(writer, name, "null", 4);
}

void bh_write_time(struct bh_writer *writer, const char *name, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[64] = "\"";
	char *at = text + 1;

	/* The year of the largest time there is has four digits. */
	if (ns == 0 || !gmtime_r(&seconds, &tm)) {
		bh_write_null(writer, name);
		return;
	}
	at = put_digits(at, (uint64_t)tm.tm_year + 1900, 4);
	*at++ = '-';
	at = put_digits(at, (uint64_t)tm.tm_mon + 1, 2);
	*at++ = '-';
	at = put_digits(at, (uint64_t)tm.tm_mday, 2);
	*at++ = 'T';
	at = put_digits(at, (uint64_t)tm.tm_hour, 2);
	*at++ = ':';
	at = put_digits(at, (uint64_t)tm.tm_min, 2);
	*at++ = ':';
	at = put_digits(at, (uint64_t)tm.tm_sec, 2);
	*at++ = '.';
	at = put_digits(at, ns % 1000000000 / 1000, 6);
	*at++ = 'Z';
	*at++ = '"';
	bh_write_json(writer, name, text, (size_t)(at - text));
}

void bh_write_protocol(struct bh_writer *writer, const char *name, uint8_t protocol)
{
	char text[BH_PROTOCOL_TEXT_MAX];

	bh_write_text(writer, name, bh_protocol_word(protocol, text));
}

void bh_write_both_ways(struct bh_writer *writer, const char *name, const uint64_t counts[2])
{
	bh_write_open(writer, name, '{');
	bh_write_number(writer, "fromClient", counts[0]);
	bh_write_number(writer, "fromServer", counts[1]);
	bh_write_close(writer, '}');
}
