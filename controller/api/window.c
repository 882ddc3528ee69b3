/* SPDX-License-Identifier: Apache-2.0 */

/* A span of time in a request, and the questions to history that take more than one turn. */

#define _XOPEN_SOURCE 700
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "controller/api/common.h"

/* A window of hundreds of thousands of rows takes a second or two. */
#define ANSWER_MS 60000
/* Set in a call's memo once its question is asked; the rest is the ticket. */
#define ASKED (1ull << 63)

/* "2026-01-31T12:00:00Z", with or without a fraction. 0 or -EINVAL. */
static int parse_time(const char *text, uint64_t *ret_ns)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t fraction = 0, scale = 100000000;
	time_t seconds;

	if (!rest)
		return -EINVAL;
	if (*rest == '.') {
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
			fraction += (uint64_t)(*rest - '0') * scale;
	}
	if (strcmp(rest, "Z") != 0)
		return -EINVAL;
	seconds = timegm(&tm);
	if (seconds < 0 || seconds > 9000000000)
		return -EINVAL;
	*ret_ns = (uint64_t)seconds * 1000000000 + fraction;
	return 0;
}

static json_t *read_time(const json_t *request, const char *name, bool *ret_found, uint64_t *ret_ns)
{
	const char *text;
	json_t *error = bh_api_string(request, name, &text);

	*ret_found = text != NULL;
	if (error || !text)
		return error;
	if (parse_time(text, ret_ns) < 0)
		return bh_control_error(
			"'%s' is no time: write it like 2026-01-31T12:00:00Z", name);
	return NULL;
}

json_t *bh_api_window(const json_t *request, bool *ret_given, struct bh_history_question *question)
{
	bool has_from, has_to;
	json_t *error = read_time(request, "from", &has_from, &question->from_ns);

	if (!error)
		error = read_time(request, "to", &has_to, &question->to_ns);
	if (error)
		return error;
	*ret_given = has_from || has_to;
	if (question->to_ns && question->to_ns <= question->from_ns)
		return bh_control_error("the window ends before it begins");
	return NULL;
}

bool bh_api_history(struct bh_api *api, struct bh_control_call *call,
	const struct bh_history_question *question, const struct bh_history_answer **ret_answer,
	json_t **ret_error)
{
	uint64_t ticket;

	*ret_answer = NULL;
	*ret_error = NULL;
	if (!(call->memo & ASKED)) {
		if (!bh_api_fresh(api, call))
			return false;
		ticket = bh_history_ask(api->history, question, NULL, NULL);
		if (!ticket) {
			*ret_error = bh_control_error(
				"too many questions to the history at once: try again");
			return true;
		}
		call->memo = ASKED | ticket;
		call->deadline = call->now + ANSWER_MS;
		return false;
	}
	*ret_answer = bh_history_answer(api->history, call->memo & ~ASKED);
	if (!*ret_answer && !call->expired)
		return false;
	if (!*ret_answer)
		*ret_error = bh_control_error("the history does not answer: its disk is slow, or "
					      "others ask too much of it");
	else if ((*ret_answer)->error)
		*ret_error = bh_control_error("the history: %s", (*ret_answer)->text);
	if (*ret_error) {
		bh_api_history_done(api, call);
		*ret_answer = NULL;
	}
	return true;
}

void bh_api_history_done(struct bh_api *api, struct bh_control_call *call)
{
	if (call->memo & ASKED)
		bh_history_release(api->history, call->memo & ~ASKED);
	call->memo = ASKED; /* no ticket, and not to be asked again */
}

json_t *bh_json_history_window(const struct bh_history_answer *answer)
{
	json_t *window = json_object();

	json_object_set_new(window, "from", bh_json_time(answer->from_ns));
	json_object_set_new(window, "to", bh_json_time(answer->to_ns));
	json_object_set_new(window, "resolution",
		json_integer((json_int_t)(answer->resolution_ns / 1000000000)));
	json_object_set_new(window, "historySince", bh_json_time(answer->since_ns));
	return window;
}

json_t *bh_json_history(const struct bh_api *api)
{
	static const char *const levels[BH_HISTORY_LEVELS] = {"15s", "5m", "1h"};
	struct bh_history_status status;
	json_t *object = json_object();
	json_t *since = json_object();

	bh_history_status(api->history, &status);
	for (int i = 0; i < BH_HISTORY_LEVELS; i++)
		json_object_set_new(since, levels[i], bh_json_time(status.since_level_ns[i]));
	bh_json_set_text(object, "path", status.path);
	json_object_set_new(object, "onDisk", json_boolean(status.on_disk));
	json_object_set_new(object, "since", bh_json_time(status.since_ns));
	json_object_set_new(object, "sinceBySpan", since);
	json_object_set_new(object, "bytes", json_integer((json_int_t)status.bytes));
	json_object_set_new(object, "maxBytes", json_integer((json_int_t)status.max_bytes));
	json_object_set_new(object, "days", json_integer(status.keep_days));
	json_object_set_new(object, "edges", json_integer((json_int_t)status.edges));
	json_object_set_new(object, "written", bh_json_time(status.written_ns));
	json_object_set_new(object, "writeMicroseconds", json_integer((json_int_t)status.write_us));
	json_object_set_new(object, "late", json_integer((json_int_t)status.late));
	json_object_set_new(object, "dropped", json_integer((json_int_t)status.dropped));
	return object;
}
