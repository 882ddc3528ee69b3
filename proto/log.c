/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"

#define LINE_MAX_BYTES 2048

static const char *log_program = "bulkhead";
static enum bh_log_level log_level = BH_LOG_INFO;
static int log_journal;

static const char *level_word(enum bh_log_level level)
{
	switch (level) {
	case BH_LOG_ERROR:
		return "error: ";
	case BH_LOG_WARNING:
		return "warning: ";
	case BH_LOG_DEBUG:
		return "debug: ";
	case BH_LOG_INFO:
		break;
	}
	return "";
}

void bh_log_open(const char *program, enum bh_log_level level)
{
	log_program = program;
	log_level = level;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
}

int bh_log_level_parse(const char *word, enum bh_log_level *ret_level)
{
	static const struct {
		const char *word;
		enum bh_log_level level;
	} levels[] = {
		{"error", BH_LOG_ERROR},
		{"warning", BH_LOG_WARNING},
		{"info", BH_LOG_INFO},
		{"debug", BH_LOG_DEBUG},
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(levels[i].word, word) == 0) {
			*ret_level = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

/*
 * One write(2) a line, so that two daemons that share a terminal do not cut into each other. What
 * is logged may hold names from manifests and peers: control characters become '?', so nobody can
 * forge a line or colour a terminal.
 */
void bh_log(enum bh_log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	int head;
	int body;
	size_t size;

	if (level > log_level)
		return;
	if (log_journal)
		head = snprintf(line, sizeof(line), "<%d>%s", level, level_word(level));
	else
		head = snprintf(line, sizeof(line), "%s: %s", log_program, level_word(level));
	if (head < 0 || (size_t)head >= sizeof(line) - 2)
		return;

	va_start(args, format);
	body = vsnprintf(line + head, sizeof(line) - head - 1, format, args);
	va_end(args);
	if (body < 0)
		return;
	size = strlen(line);
	for (char *c = line + head; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	line[size++] = '\n';
	if (write(STDERR_FILENO, line, size) < 0)
		return; /* nowhere left to say so */
}
