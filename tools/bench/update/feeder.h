/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_BENCH_FEEDER_H
#define BULKHEAD_BENCH_FEEDER_H

/*
 * The controller's end of the wire without a controller: what is told is what the bench wants told,
 * and the time until the data plane says that it is in force is the data plane's alone. Every
 * failure ends the program with a line that names it.
 */

#include <stdbool.h>
#include <stdint.h>

/* The first pod of another node; pod n has FEEDER_PODS + n. Host order. */
#define FEEDER_PODS 0x0a400000u /* 10.64.0.0 */
#define FEEDER_CLASSES 500      /* that known pods are of */
#define FEEDER_FIRST_CLASS 16

struct feeder;

/* Connects to a data plane and waits for its greeting. */
struct feeder *feeder_open(const char *socket_path);
void feeder_close(struct feeder *feeder);

/* What the next update says. */
void feeder_begin(struct feeder *feeder, bool full);
void feeder_address(struct feeder *feeder, uint32_t ip, uint32_t class);
void feeder_remove_address(struct feeder *feeder, uint32_t ip);
/* `n` rules, one for each of `n` classes, by TCP to `port`; isolated for ingress. */
void feeder_program(struct feeder *feeder, uint32_t number, uint32_t n, uint16_t port);
void feeder_remove_program(struct feeder *feeder, uint32_t number);
/* The one pod of this node, and what it runs. */
void feeder_endpoint(struct feeder *feeder, uint32_t ip, uint32_t program);

/*
 * Sends the rest, and returns when the data plane says that it is in force and what went is gone.
 * With `watched` it is looked at meanwhile, each 50 µs: returns when (CLOCK_MONOTONIC, ns) it had
 * become `wanted`, which is when packets are judged by the update; else when it was acknowledged.
 */
uint64_t feeder_commit(struct feeder *feeder, const volatile uint64_t *watched, uint64_t wanted);
uint64_t feeder_now(void);

#endif
