/* SPDX-License-Identifier: Apache-2.0 */

/* bulkhead graph --series: one conversation over time. */

#include "tools/bulkhead/cli.h"

#define ANSWER_MS 60000

static void count_cell(struct libscols_line *line, unsigned int column, enum bh_colour colour,
	const json_t *point, const char *name)
{
	int64_t number = bh_json_get_number(point, name);
	char text[32];

	bh_table_cell(line, column, number ? colour : BH_FAINT,
		bh_print_number(number, text, sizeof(text)));
}

static void point_row(struct libscols_table *table, const json_t *point)
{
	const json_t *bytes = json_object_get(point, "bytes");
	struct libscols_line *line = bh_table_row(table);
	char text[64];

	bh_table_cell(line, 0, BH_PLAIN,
		bh_print_date(bh_json_get_text(point, "time"), text, sizeof(text)));
	snprintf(text, sizeof(text), "%llds", (long long)bh_json_get_number(point, "seconds"));
	bh_table_cell(line, 1, BH_FAINT, text);
	count_cell(line, 2, BH_PLAIN, point, "flows");
	count_cell(line, 3, BH_BAD, point, "flowsDenied");
	count_cell(line, 4, BH_WARN, point, "flowsWouldDeny");
	bh_table_cell(line, 5, BH_PLAIN,
		bh_print_bytes(bh_json_get_number(bytes, "fromClient"), text, sizeof(text)));
	bh_table_cell(line, 6, BH_PLAIN,
		bh_print_bytes(bh_json_get_number(bytes, "fromServer"), text, sizeof(text)));
	count_cell(line, 7, BH_WARN, point, "resets");
}

int bh_cli_print_series(const json_t *series)
{
	static const char *const headings[] = {"FROM", "+FOR", "+FLOWS", "+DENIED", "+WOULD DENY",
		"+SENT", "+RECEIVED", "+RESETS", NULL};
	struct libscols_table *table = bh_table_begin(headings);
	const json_t *point;
	size_t i;

	json_array_foreach(json_object_get(series, "points"), i, point) point_row(table, point);
	return bh_table_end(table, "nothing of it was recorded in that time");
}

int bh_cli_series(json_t *arguments)
{
	json_t *request = json_object();
	json_t *answer;
	int r;

	json_object_set(request, "id", json_object_get(arguments, "series"));
	for (const char *const *name = (const char *const[]){"from", "to", "last", NULL}; *name;
		name++) {
		if (json_object_get(arguments, *name))
			json_object_set(request, *name, json_object_get(arguments, *name));
	}
	json_decref(arguments);
	answer = bh_ask("series", request, ANSWER_MS);
	if (!answer)
		return BH_CLI_FAILED;
	if (bh_cli.output == BH_OUTPUT_JSON) {
		json_object_del(answer, "ok");
		return bh_json_print(answer);
	}
	r = bh_cli_print_series(answer);
	json_decref(answer);
	return r;
}
