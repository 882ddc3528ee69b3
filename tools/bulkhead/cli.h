/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLI_H
#define BULKHEAD_CLI_H

/*
 * What the commands of the command line share. Exit codes: 0 done, 1 failed (one line on stderr
 * says why), 2 usage.
 */

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#define BH_CLI_FAILED 1
#define BH_CLI_USAGE 2
#define BH_CLI_DENIES 3 /* policy diff: something would newly be denied */

enum bh_output {
	BH_OUTPUT_TABLE,
	BH_OUTPUT_JSON,
	BH_OUTPUT_DOT,
	BH_OUTPUT_SVG,
	BH_OUTPUT_CSV,
	BH_OUTPUT_GRAPHML,
};

/* What the options that every command knows have said. */
struct bh_cli {
	const char *run_dir;
	bool run_dir_given;
	enum bh_output output;
	bool colour; /* stdout is a terminal, and nobody minds */
};
extern struct bh_cli bh_cli;

/* A command: its options come as argv[1…], argv[0] is "bulkhead NAME". Returns the exit code. */
typedef int bh_cli_command(int argc, char **argv);

bh_cli_command bh_cli_status;
bh_cli_command bh_cli_metrics;
bh_cli_command bh_cli_pods;
bh_cli_command bh_cli_policies;
bh_cli_command bh_cli_policy;
bh_cli_command bh_cli_flows;
bh_cli_command bh_cli_edges;
bh_cli_command bh_cli_graph;
bh_cli_command bh_cli_explain;
bh_cli_command bh_cli_mode;
bh_cli_command bh_cli_quarantine;
bh_cli_command bh_cli_wait;
bh_cli_command bh_cli_up;
bh_cli_command bh_cli_down;
bh_cli_command bh_cli_cni;
bh_cli_command bh_cli_doctor;
bh_cli_command bh_cli_token;
bh_cli_command bh_cli_alerts;
bh_cli_command bh_cli_baseline;
bh_cli_command bh_cli_completion;

/* Runs the command line: what main() does. */
int bh_cli_main(int argc, char **argv);

/* ---- options.c ------------------------------------------------------------------------------- */

/* The options every command knows: a child for each command's argp. */
extern const struct argp_child bh_cli_children[];

/* True if the output is one of those the command has; otherwise says so and usage is due. */
bool bh_cli_output_is(const char *command, unsigned int allowed);
#define BH_ALLOW(output) (1u << (output))

/* Parses a command without options or arguments of its own. */
void bh_cli_parse_plain(int argc, char **argv, const char *doc);

/* "30s", "500ms", "2m", "1h", "7d", "30" (seconds) in milliseconds. Returns 0 or -EINVAL. */
int bh_cli_parse_duration(const char *text, uint64_t *ret_ms);

/* So long ago ("1h"), or "2026-01-31T12:00:00Z", as the latter. Returns 0 or -EINVAL. */
#define BH_MOMENT_MAX 40
int bh_cli_parse_moment(const char *text, char ret_time[BH_MOMENT_MAX]);

/* "80/tcp", "80/UDP", "icmp", "47": port (0 if none) and protocol name. Returns 0 or -EINVAL.
 * *ret_protocol points into `text`. */
int bh_cli_parse_port(const char *text, unsigned int *ret_port, const char **ret_protocol);

/* One line on stderr, "bulkhead: …". Returns BH_CLI_FAILED. */
int bh_cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a table says that has no row: what is wrong with `namespace` (NULL: none was asked for) if
 * nothing of that name is known, else `otherwise`. */
const char *bh_cli_nothing(const json_t *answer, const char *namespace, const char *otherwise);

/* ---- edges.c, dot.c, cluster.c --------------------------------------------------------------- */

/* Prints the answer of /api/v1/graph as a table. Returns the exit code. */
int bh_cli_print_grouped(const json_t *graph, const char *nothing);
/* compare.c: `graph --compare` of this node. Takes the arguments; returns the exit code. */
int bh_cli_compare(json_t *arguments);
/* Prints the answer of /api/v1/graph/diff as a table. Returns the exit code. */
int bh_cli_print_diff(const json_t *diff);
/* series.c: `graph --series` of this node. Takes the arguments; returns the exit code. */
int bh_cli_series(json_t *arguments);
/* Prints the answer of /api/v1/edges/{id}/series as a table. Returns the exit code. */
int bh_cli_print_series(const json_t *series);
/* The window before, as long, ending `shift_ms` before the other does (0: where that begins). */
void bh_cli_earlier(uint64_t shift_ms, uint64_t from_s, uint64_t to_s, uint64_t *ret_from_s,
	uint64_t *ret_to_s);
/* What `graph --compare=SPAN` said. Returns 0 and *ret_shift_ms, or the exit code. */
int bh_cli_read_compare(const json_t *arguments, uint64_t *ret_shift_ms);
/* "2026-01-31T12:00:00Z" in seconds since 1970, and back. */
bool bh_cli_parse_time(const char *text, uint64_t *ret_s);
void bh_cli_format_time(uint64_t seconds, char ret_time[BH_MOMENT_MAX]);
/* What `graph` answers, as Graphviz' dot; and drawn by it, on stdout. Returns the exit code. */
void bh_cli_print_dot(FILE *out, const json_t *graph);
int bh_cli_print_svg(const json_t *graph);
/* The graph that `prometheus` of the arguments of `graph` has. Returns the exit code. */
int bh_cli_cluster_graph(json_t *arguments);

/* ---- ask.c ----------------------------------------------------------------------------------- */

/*
 * Asks the controller `command` with the arguments (an object, taken; NULL: none). Returns the
 * answer, or NULL after one line on stderr. For tables the strings in it are made harmless: they
 * hold names that strangers chose.
 */
json_t *bh_ask(const char *command, json_t *arguments, uint64_t timeout_ms);
/* The same, with the strings as they came; bh_json_clean() makes them harmless. */
json_t *bh_ask_raw(const char *command, json_t *arguments, uint64_t timeout_ms);
void bh_json_clean(json_t *value);

/* 0 if something listens on the control socket, else -errno. */
int bh_ask_reachable(void);
/* Why nothing does, as one line on stderr. Returns BH_CLI_FAILED. */
int bh_ask_explain(int error);

/* The member of that name; "" or 0 or false if there is none. */
const char *bh_json_get_text(const json_t *object, const char *name);
int64_t bh_json_get_number(const json_t *object, const char *name);
bool bh_json_get_flag(const json_t *object, const char *name);

/* Prints it for scripts, indented, and consumes it. Returns the exit code. */
int bh_json_print(json_t *value);
/*
 * Asks, and prints the same of the answer's member `name` (NULL: all but "ok"), which is an array
 * or an object; without making objects of it where it need not. Takes the arguments. Returns the
 * exit code.
 */
int bh_ask_print(const char *command, json_t *arguments, uint64_t timeout_ms, const char *name);
/*
 * Writes the compact JSON value (an array or an object) that `text` begins with as
 * json_dumpf(JSON_INDENT(2)) would. Returns 0, or -EBADMSG if that is none.
 */
int bh_json_indent(FILE *out, const char *text, size_t n);

/* ---- print.c --------------------------------------------------------------------------------- */

struct libscols_table;
struct libscols_line;

enum bh_colour {
	BH_PLAIN,
	BH_GOOD,
	BH_WARN,
	BH_BAD,
	BH_FAINT,
	BH_BOLD,
};

/* The escape that begins the colour, or "" without colours; bh_colour_end() ends it. */
const char *bh_colour(enum bh_colour colour);
const char *bh_colour_end(void);

/* A table with these columns; "+Name" is aligned to the right, "~Name" may be cut on a terminal. */
struct libscols_table *bh_table_begin(const char *const *columns);
struct libscols_line *bh_table_row(struct libscols_table *table);
void bh_table_cell(
	struct libscols_line *line, unsigned int column, enum bh_colour colour, const char *text);
/* By the first `n` columns, the first of them first; numbers in texts count as numbers. */
void bh_table_sort(struct libscols_table *table, unsigned int n);
/* Prints and frees it; says `nothing` instead if there is no row. Returns the exit code. */
int bh_table_end(struct libscols_table *table, const char *nothing);

/* "shop/Deployment/web", "World": into `text`, which is returned. */
const char *bh_print_workload(const json_t *workload, char *text, size_t size);
/* "1,234,567" */
const char *bh_print_number(int64_t number, char *text, size_t size);
/* "12.3 kB" */
const char *bh_print_bytes(int64_t bytes, char *text, size_t size);
/*
 * What is spoken: "postgresql, plain text", "tls (db.shop.svc)", "mysql, encrypted", "ssh", "-".
 * Who says "tls" or "ssh" has said that it is encrypted.
 */
const char *bh_print_app(const json_t *talk, char *text, size_t size);
/* "80/TCP", or "ICMP" where there is no port. */
const char *bh_print_port(int64_t port, const char *protocol, char *text, size_t size);
/* Sum of {fromClient, fromServer}. */
int64_t bh_json_sum(const json_t *both);
/*
 * The "HH:MM:SS" of an RFC 3339 time, in local time, with milliseconds if `precise`. If not, what
 * is more than a day away is "YYYY-MM-DD HH:MM".
 */
const char *bh_print_time(const char *rfc3339, bool precise, char *text, size_t size);
/* "YYYY-MM-DD HH:MM:SS" of an RFC 3339 time, in local time. */
const char *bh_print_date(const char *rfc3339, char *text, size_t size);

#endif
