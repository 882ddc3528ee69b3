/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/privileges.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "proto/cleanup.h"

static const cap_value_t needed[] = {
	CAP_BPF,       /* programs and maps */
	CAP_NET_ADMIN, /* attaching them, netlink */
	CAP_SYS_ADMIN, /* maps by id, looking into pods' namespaces; kernels that know no
			  CAP_PERFMON */
};
#define NEEDED ((int)(sizeof(needed) / sizeof(needed[0])))

static void cap_cleanup(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

static void *wait_and_act(void *arg)
{
	struct bh_privileged *kept = arg;

	while (sem_wait(&kept->go) < 0 && errno == EINTR)
		;
	if (kept->act)
		kept->result = kept->act(kept->arg);
	return NULL;
}

int bh_privileges_keep(struct bh_privileged *kept)
{
	int err;

	*kept = (struct bh_privileged){};
	if (sem_init(&kept->go, 0, 0) < 0)
		return -errno;
	err = pthread_create(&kept->thread, NULL, wait_and_act, kept);
	if (err) {
		sem_destroy(&kept->go);
		return -err;
	}
	return 0;
}

int bh_privileges_use(struct bh_privileged *kept, int (*act)(void *arg), void *arg)
{
	kept->act = act;
	kept->arg = arg;
	sem_post(&kept->go);
	pthread_join(kept->thread, NULL);
	sem_destroy(&kept->go);
	return kept->result;
}

static bool is_needed(cap_value_t cap)
{
	for (int i = 0; i < NEEDED; i++) {
		if (needed[i] == cap)
			return true;
	}
	return false;
}

int bh_privileges_drop(struct bh_why *why)
{
	_cleanup_(cap_cleanup) cap_t now = cap_get_proc(), caps = cap_init();

	if (!now || !caps)
		return -ENOMEM;
	/* No program is ever started from here; were one, it would get nothing. */
	for (cap_value_t cap = 0; CAP_IS_SUPPORTED(cap); cap++) {
		if (!is_needed(cap))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* without CAP_SETPCAP it stays */
	}
	for (int i = 0; i < NEEDED; i++) {
		cap_flag_value_t has = CAP_CLEAR;

		/* In a container one of them may be missing: what is there must do. */
		if (cap_get_flag(now, needed[i], CAP_PERMITTED, &has) < 0 || has != CAP_SET)
			continue;
		cap_set_flag(caps, CAP_PERMITTED, 1, &needed[i], CAP_SET);
		cap_set_flag(caps, CAP_EFFECTIVE, 1, &needed[i], CAP_SET);
	}
	if (cap_set_proc(caps) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return bh_fail(why, -errno, "dropping privileges: %s", strerror(errno));
	return 0;
}
