/* SPDX-License-Identifier: Apache-2.0 */

/* What policies would do to what was seen, and policies made of what was seen: trial.h does it. */

#include <string.h>

#include "controller/api/trial.h"
#include "controller/api/view.h"
#include "controller/replay/edge.h"
#include "controller/settings.h"

/* Decisions that are remembered. */
#define DECISIONS_MAX 10000
/* How far back is looked where nobody says it. */
#define SEEN_NS (7 * 86400 * 1000000000ull)
/* A week of a large cluster takes seconds, and others may be before us. */
#define TRIAL_MS 110000
#define BUSY                                                                                    \
	"two things that take long are under way for you already, or eight for all: try again " \
	"when one is done"

/* ---- What is remembered ---------------------------------------------------------------------- */

static bool is_id(const char *text)
{
	return text && strlen(text) == BH_REPLAY_ID_MAX - 1 &&
	       strspn(text, "0123456789abcdef") == BH_REPLAY_ID_MAX - 1;
}

/* Takes "approve" and "reject" into a copy of what was said before. */
static json_t *take_decisions(const json_t *request, json_t *decisions, bool *ret_any)
{
	static const struct {
		const char *member;
		const char *word; /* NULL: forgotten */
	} kinds[] = {{"approve", "approved"}, {"reject", "rejected"}, {"undecide", NULL}};

	*ret_any = false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const json_t *list = json_object_get(request, kinds[i].member);
		const json_t *item;
		size_t j;

		json_array_foreach(list, j, item)
		{
			const char *id = json_string_value(item);

			if (!is_id(id))
				return bh_control_error("'%.64s' is no id of a suggestion: eight "
							"hexadecimal digits",
					id ? id : "");
			*ret_any = true;
			if (kinds[i].word)
				json_object_set_new(decisions, id, json_string(kinds[i].word));
			else
				json_object_del(decisions, id);
		}
	}
	if (json_object_size(decisions) > DECISIONS_MAX)
		return bh_control_error("more than %d decisions are remembered", DECISIONS_MAX);
	return NULL;
}

static json_t *decide(struct bh_api *api, const json_t *request)
{
	json_t *decisions = json_copy(api->decisions);
	bool any;
	json_t *error = take_decisions(request, decisions, &any);
	int r = 0;

	if (!error && any)
		r = bh_settings_write_json(api->decisions_path, decisions);
	if (r < 0)
		error = bh_control_error("%s: %s", api->decisions_path, strerror(-r));
	if (error || !any) {
		json_decref(decisions);
		return error;
	}
	json_decref(api->decisions);
	api->decisions = decisions;
	return NULL;
}

/* ---- On the loop ----------------------------------------------------------------------------- */

/* The window's beginning where nobody says it. */
static json_t *read_window(const json_t *request, struct bh_window *ret_window)
{
	json_t *error = bh_view_window(request, "from", "to", ret_window);

	if (!error && !ret_window->given)
		ret_window->from_ns = ret_window->to_ns - SEEN_NS;
	return error;
}

/* Once the history has answered. Returns an error, or NULL: it is under way. */
static json_t *begin(struct bh_api *api, struct bh_control_call *call, bool suggest,
	struct bh_window *window, const struct bh_history_answer *answer)
{
	json_t *error = suggest ? decide(api, call->request) : NULL;
	struct bh_trial *trial;

	if (error)
		return error;
	window->from_ns = answer->from_ns;
	window->to_ns = answer->to_ns;
	window->history = answer;
	trial = bh_trial_new(api, call, answer);
	trial->suggest = suggest;
	trial->window = bh_json_window(window);
	bh_work_begin(api->work, call->work, &trial->task);
	call->deadline = call->now + TRIAL_MS;
	return NULL;
}

/* A place on a thread is taken first: what would have to wait for one asks nothing of the disk. */
static json_t *try(struct bh_api *api, struct bh_control_call *call, bool suggest)
{
	struct bh_history_question question = {.subject = BH_HISTORY_BOTH};
	const struct bh_history_answer *answer;
	struct bh_window window;
	json_t *error = read_window(call->request, &window);

	if (error)
		return error;
	if (!call->work)
		call->work = bh_work_reserve(api->work, call->asker);
	if (!call->work)
		return bh_api_busy(BUSY);
	question.from_ns = window.from_ns;
	question.to_ns = window.open ? 0 : window.to_ns;
	if (!bh_api_history(api, call, 0, &question, &answer, &error))
		return NULL;
	return error ? error : begin(api, call, suggest, &window, answer);
}

json_t *bh_api_policy_diff(struct bh_api *api, struct bh_control_call *call)
{
	return try(api, call, false);
}

json_t *bh_api_policy_suggest(struct bh_api *api, struct bh_control_call *call)
{
	if (call->sight)
		return bh_api_forbidden("policies made for everybody need a token that is not "
					"bound to namespaces");
	return try(api, call, true);
}
