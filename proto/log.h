/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_PROTO_LOG_H
#define BULKHEAD_PROTO_LOG_H

/*
 * One line per event on stderr: level, program, message. Only the daemons' top layers log; what
 * they call returns errors. Under systemd the line starts with the journal's <N> level prefix.
 */

enum bh_log_level {
	BH_LOG_ERROR = 3,
	BH_LOG_WARNING = 4,
	BH_LOG_INFO = 6,
	BH_LOG_DEBUG = 7,
};

/* `program` must outlive the process's logging. Lines above `level` are not written. */
void bh_log_open(const char *program, enum bh_log_level level);

/* "error", "warning", "info" or "debug". Returns 0, or -EINVAL. */
int bh_log_level_parse(const char *word, enum bh_log_level *ret_level);

void bh_log(enum bh_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define bh_error(...) bh_log(BH_LOG_ERROR, __VA_ARGS__)
#define bh_warning(...) bh_log(BH_LOG_WARNING, __VA_ARGS__)
#define bh_info(...) bh_log(BH_LOG_INFO, __VA_ARGS__)
#define bh_debug(...) bh_log(BH_LOG_DEBUG, __VA_ARGS__)

#endif
