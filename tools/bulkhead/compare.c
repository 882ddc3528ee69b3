/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead graph --compare: what two windows do not have in common. */

#include <string.h>
#include <time.h>

#include "tools/bulkhead/cli.h"

#define WINDOW_S 3600 /* where none is said */
#define ANSWER_MS 60000

/* ---- Windows --------------------------------------------------------------------------------- */

bool bh_cli_parse_time(const char *text, uint64_t *ret_s)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t seconds = rest ? timegm(&tm) : -1;

	if (!rest || strcmp(rest, "Z") != 0 || seconds <= 0)
		return false;
	*ret_s = (uint64_t)seconds;
	return true;
}

void bh_cli_format_time(uint64_t seconds, char ret_time[BH_MOMENT_MAX])
{
	time_t time = (time_t)seconds;
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(ret_time, BH_MOMENT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void bh_cli_earlier(
	uint64_t shift_ms, uint64_t from_s, uint64_t to_s, uint64_t *ret_from_s, uint64_t *ret_to_s)
{
	uint64_t shift = shift_ms ? shift_ms / 1000 : to_s - from_s;

	*ret_from_s = from_s > shift ? from_s - shift : 1;
	*ret_to_s = to_s > shift + 1 ? to_s - shift : 2;
}

int bh_cli_read_compare(const json_t *arguments, uint64_t *ret_shift_ms)
{
	const char *span = bh_json_get_text(arguments, "compare");

	*ret_shift_ms = 0;
	if (!*span)
		return 0;
	if (bh_cli_parse_duration(span, ret_shift_ms) < 0 || *ret_shift_ms < 1000) {
		bh_cli_fail("--compare '%s' is no span like 15m, 24h or 7d", span);
		return BH_CLI_USAGE;
	}
	return 0;
}

static int usage(const char *text)
{
	bh_cli_fail("%s", text);
	return BH_CLI_USAGE;
}

/* Both windows as the controller takes them. Returns 0 or the exit code. */
static int set_windows(json_t *arguments)
{
	const char *last = json_string_value(json_object_get(arguments, "last"));
	const char *from = json_string_value(json_object_get(arguments, "from"));
	const char *to = json_string_value(json_object_get(arguments, "to"));
	uint64_t now_s = (uint64_t)time(NULL), shift_ms, from_s, to_s = now_s;
	char since[BH_MOMENT_MAX], text[BH_MOMENT_MAX];
	uint64_t earlier_from_s, earlier_to_s;
	int r = bh_cli_read_compare(arguments, &shift_ms);

	if (r)
		return r;
	if (last && (from || to))
		return usage("say either --last or --since and --until");
	if (last && bh_cli_parse_moment(last, since) < 0)
		return usage("--last is a span like 15m, 24h or 7d");
	from = last ? since : from;
	if (to && !bh_cli_parse_time(to, &to_s))
		return usage("--until is no time like 2026-01-31T12:00:00Z");
	from_s = to_s - WINDOW_S;
	if (from && !bh_cli_parse_time(from, &from_s))
		return usage("--since is no time like 2026-01-31T12:00:00Z");
	if (from_s >= to_s)
		return usage("the window ends before it begins");
	bh_cli_earlier(shift_ms, from_s, to_s, &earlier_from_s, &earlier_to_s);
	json_object_del(arguments, "last");
	json_object_del(arguments, "compare");
	bh_cli_format_time(from_s, text);
	json_object_set_new(arguments, "from", json_string(text));
	/* Just before: the controller lets the two join at the same span of history. */
	if (!shift_ms)
		return 0;
	bh_cli_format_time(earlier_from_s, text);
	json_object_set_new(arguments, "beforeFrom", json_string(text));
	bh_cli_format_time(earlier_to_s, text);
	json_object_set_new(arguments, "beforeTo", json_string(text));
	return 0;
}

/* ---- The table ------------------------------------------------------------------------------- */

static void diff_row(struct libscols_table *table, const char *change, enum bh_colour colour,
	const json_t *conversation)
{
	const char *state = bh_json_get_text(conversation, "state");
	struct libscols_line *line = bh_table_row(table);
	char text[512];

	bh_table_cell(line, 0, colour, change);
	bh_table_cell(line, 1, BH_PLAIN,
		bh_print_workload(json_object_get(conversation, "client"), text, sizeof(text)));
	bh_table_cell(line, 2, BH_PLAIN,
		bh_print_workload(json_object_get(conversation, "server"), text, sizeof(text)));
	bh_table_cell(line, 3, BH_PLAIN,
		bh_print_port(bh_json_get_number(conversation, "port"),
			bh_json_get_text(conversation, "protocol"), text, sizeof(text)));
	bh_table_cell(line, 4,
		strcmp(state, "denied") == 0       ? BH_BAD
		: strcmp(state, "would-deny") == 0 ? BH_WARN
						   : BH_GOOD,
		state);
	bh_table_cell(line, 5, BH_PLAIN,
		bh_print_number(bh_json_get_number(conversation, "flows"), text, sizeof(text)));
	bh_table_cell(line, 6, BH_PLAIN,
		bh_print_bytes(
			bh_json_sum(json_object_get(conversation, "bytes")), text, sizeof(text)));
	bh_table_cell(line, 7, BH_PLAIN, bh_json_get_text(conversation, "text"));
}

static void print_window(const char *label, const json_t *window)
{
	char from[32], to[32];

	printf("%s %s to %s%s", label,
		bh_print_date(bh_json_get_text(window, "from"), from, sizeof(from)),
		bh_print_date(bh_json_get_text(window, "to"), to, sizeof(to)),
		bh_json_get_flag(window, "exact") ? "" : " (not exact)");
}

int bh_cli_print_diff(const json_t *diff)
{
	static const char *const headings[] = {"CHANGE", "CLIENT", "SERVER", "PORT", "VERDICT",
		"+FLOWS", "+BYTES", "~BECAUSE", NULL};
	const json_t *total = json_object_get(diff, "total"), *item;
	struct libscols_table *table = bh_table_begin(headings);
	char text[64];
	size_t i;
	int r;

	json_array_foreach(json_object_get(diff, "new"), i, item)
		diff_row(table, "new", BH_WARN, item);
	json_array_foreach(json_object_get(diff, "vanished"), i, item)
		diff_row(table, "vanished", BH_FAINT, item);
	json_array_foreach(json_object_get(diff, "changed"), i, item)
	{
		snprintf(text, sizeof(text), "was %s", bh_json_get_text(item, "before"));
		diff_row(table, text, BH_WARN, json_object_get(item, "after"));
	}
	bh_table_sort(table, 4);
	r = bh_table_end(table, "both windows have the same");
	printf("%lld new, %lld vanished, %lld judged otherwise, %lld as before; ",
		(long long)bh_json_get_number(total, "new"),
		(long long)bh_json_get_number(total, "vanished"),
		(long long)bh_json_get_number(total, "changed"),
		(long long)bh_json_get_number(total, "same"));
	print_window("", json_object_get(diff, "after"));
	print_window(" beside", json_object_get(diff, "before"));
	putchar('\n');
	return r;
}

int bh_cli_compare(json_t *arguments)
{
	json_t *answer;
	int r = set_windows(arguments);

	if (r) {
		json_decref(arguments);
		return r;
	}
	if (json_object_get(arguments, "group") || json_object_get(arguments, "expand")) {
		json_decref(arguments);
		return usage("--compare is of conversations: without --group and --expand");
	}
	answer = bh_ask("topology-diff", arguments, ANSWER_MS);
	if (!answer)
		return BH_CLI_FAILED;
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		return bh_json_print(answer);
	}
	r = bh_cli_print_diff(answer);
	json_decref(answer);
	return r;
}
