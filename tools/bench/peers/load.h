/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_BENCH_LOAD_H
#define BULKHEAD_BENCH_LOAD_H

/*
 * Both ends of a conversation in one thread. A packet over a veth is carried to the other end's
 * socket by the softirq that the send itself raises, on the same processor and before the send
 * returns: so whoever sends can read at once, nobody has to be woken, and a sample is the cost of
 * the way and of the system calls, without the scheduler's.
 */

#include <netinet/in.h>
#include <stdbool.h>

#define LOAD_VARIANTS_MAX 32
#define LOAD_ROUNDS_MAX 1000

#define LOAD_PORT 8080        /* what the rules allow the client */
#define LOAD_DENIED_PORT 8081 /* and what they do not */

/* One way of filtering (or none), with pods of its own. */
struct load_variant {
	char name[64];
	char client[64]; /* network namespaces under /run/netns */
	char stranger[64];
	char server[64];
	struct sockaddr_in address; /* the server's, LOAD_PORT */
	bool filters;

	int listener; /* TCP, LOAD_PORT */
	int denied_listener;
	int request[2]; /* a TCP connection's two ends: request and response */
	int stream[2];
	int datagram[2]; /* connected UDP sockets */
	int denied_datagram;
};

struct load_time {
	double wall; /* ns for one operation */
	double cpu;  /* of this thread's processor time */
};

enum load_kind { LOAD_REQUEST, LOAD_CONNECT, LOAD_UDP, LOAD_STREAM, LOAD_KINDS };
extern const char *const load_kinds[LOAD_KINDS];

/* A socket in the namespace of that name. Ends the program where it cannot be. */
int load_socket(const char *netns, int type);

/* Sockets that listen; connections that stay. Ends the program with a line that names the cause. */
void load_listen(struct load_variant *v);
void load_open(struct load_variant *v);

/*
 * What is let through and what is not, by what arrives. Returns NULL, or what behaves otherwise
 * than the rules say: static text.
 */
const char *load_check(struct load_variant *v);

/* One sample. `scale` is 1 for the usual length. */
struct load_time load_sample(struct load_variant *v, enum load_kind kind, double scale);

#endif
