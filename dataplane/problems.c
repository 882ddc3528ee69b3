/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t bh_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void remove_at(struct bh_problems *problems, size_t i)
{
	problems->n--;
	memmove(&problems->list[i], &problems->list[i + 1],
		(problems->n - i) * sizeof(problems->list[0]));
	problems->version++;
}

static struct bh_problem *find(struct bh_problems *problems, enum bh_problem_source source,
	const char *code, const char *object)
{
	for (size_t i = 0; i < problems->n; i++) {
		struct bh_problem *problem = &problems->list[i];

		if (problem->source == source &&
			!strncmp(problem->code, code, sizeof(problem->code) - 1) &&
			!strncmp(problem->object, object, sizeof(problem->object) - 1))
			return problem;
	}
	return NULL;
}

static void put(struct bh_problems *problems, enum bh_problem_source source, uint64_t until_ms,
	const char *code, const char *object, const char *format, va_list args)
{
	struct bh_problem *problem = find(problems, source, code, object);
	char text[sizeof(problem->text)];

	vsnprintf(text, sizeof(text), format, args);
	if (!problem) {
		if (problems->n == BH_PROBLEMS_MAX) {
			problems->dropped++;
			return;
		}
		problem = &problems->list[problems->n++];
		*problem = (struct bh_problem){.source = source};
		snprintf(problem->code, sizeof(problem->code), "%s", code);
		snprintf(problem->object, sizeof(problem->object), "%s", object);
	}
	if (strcmp(problem->text, text)) {
		memcpy(problem->text, text, sizeof(text));
		problem->told = false;
		problems->version++;
	}
	problem->seen = true;
	problem->until_ms = until_ms;
}

void bh_problems_begin(struct bh_problems *problems, enum bh_problem_source source)
{
	for (size_t i = 0; i < problems->n; i++) {
		if (problems->list[i].source == source)
			problems->list[i].seen = false;
	}
}

void bh_problems_end(struct bh_problems *problems, enum bh_problem_source source)
{
	for (size_t i = problems->n; i-- > 0;) {
		if (problems->list[i].source == source && !problems->list[i].seen)
			remove_at(problems, i);
	}
	if (problems->n < BH_PROBLEMS_MAX)
		problems->dropped = 0;
}

void bh_problems_add(struct bh_problems *problems, enum bh_problem_source source, const char *code,
	const char *object, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(problems, source, 0, code, object, format, args);
	va_end(args);
}

void bh_problems_note(struct bh_problems *problems, uint64_t ms, const char *code,
	const char *object, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(problems, BH_SOURCE_NOTES, bh_now_ms() + ms, code, object, format, args);
	va_end(args);
}

void bh_problems_clear(struct bh_problems *problems, enum bh_problem_source source,
	const char *code, const char *object)
{
	struct bh_problem *problem = find(problems, source, code, object);

	if (problem)
		remove_at(problems, (size_t)(problem - problems->list));
}

void bh_problems_expire(struct bh_problems *problems)
{
	uint64_t now = bh_now_ms();

	for (size_t i = problems->n; i-- > 0;) {
		const struct bh_problem *problem = &problems->list[i];

		if (problem->source == BH_SOURCE_NOTES && problem->until_ms < now)
			remove_at(problems, i);
	}
}
