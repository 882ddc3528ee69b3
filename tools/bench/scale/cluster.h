/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SCALE_CLUSTER_H
#define BENCH_SCALE_CLUSTER_H

/*
 * A cluster made of numbers, the same in every run: namespaces with a hundred applications each, an
 * application's pods of one label set, policies and services in the proportions of real ones. Its
 * first pods, one of each application in turn, are on the node that is measured.
 */

#include "controller/model/model.h"

#define CLUSTER_NODE "node-0"
#define CLUSTER_LOCAL 110

struct cluster_size {
	unsigned int pods;
	unsigned int label_sets; /* one for each application */
	unsigned int policies;
	unsigned int services;
};

struct cluster {
	struct cluster_size size;
	unsigned int namespaces;
	struct bh_model *model;
};

void cluster_fill(struct cluster *cluster, const struct cluster_size *size);

/* Puts the pod of that number, with its usual labels and `extra` (NULL: none) as its tier. */
void cluster_put_pod(struct cluster *cluster, unsigned int number, const char *tier);
void cluster_remove_pod(struct cluster *cluster, unsigned int number);
/* The namespace of that number in another stage. */
void cluster_put_namespace(struct cluster *cluster, unsigned int number, const char *stage);
/* The policy of that number; another port makes another policy. */
void cluster_put_policy(struct cluster *cluster, unsigned int number, unsigned int port);
/* A service, with or without one more port. */
void cluster_put_service(struct cluster *cluster, unsigned int number, bool more);
/* The slice of a service, with or without one more backend. */
void cluster_put_slice(struct cluster *cluster, unsigned int number, bool more);

#endif
