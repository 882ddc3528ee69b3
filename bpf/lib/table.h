/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_TABLE_H
#define BULKHEAD_BPF_TABLE_H

/*
 * The flow tables (their rules: bulkhead/abi.h). Our own, and not the kernel's LRU hash, because
 * nearly every packet finds its flow at the place that its hash names: no helper is called, and of
 * the processor's cache two neighbouring lines are all it asks. To enter a flow, to move it on and
 * to remove it cost little more. (docs/performance.md has both beside each other.)
 *
 * A number, `at`, names an entry: the set, times BH_FLOW_WAYS, and the way. The one in question is
 * at work->at. Readers hold no lock: between two looks an entry may become another flow's.
 */

#include "lib/flowkey.h"
#include "lib/maps.h"
#include "lib/work.h"

#define BH_FLOW_NOWHERE 0xffffffffu

/*
 * What is written before it is there for others before what comes after; and what is read after
 * something has been seen is no older. x86 does that by itself. Elsewhere (the makefile says so) it
 * takes an atomic operation with a result, the one full barrier that BPF has.
 */
static __always_inline void bh_flow_barrier(void)
{
#ifdef BH_WEAK_ORDER
	__u64 word = 0, before = __sync_fetch_and_add(&word, 1);

	asm volatile("" : : "r"(before) : "memory");
#else
	asm volatile("" : : : "memory");
#endif
}

/* ---- Where a flow belongs -------------------------------------------------------------------- */

static __always_inline __u64 bh_flow_hash(
	const struct bh_config *config, const union bh_flow_key *key, const int family)
{
	const __u64 *words = (const __u64 *)key;
	__u64 hash = config->flow_seed ^ words[0];

#pragma unroll
	for (int i = 1; i < (family == 4 ? 2 : 5); i++) {
		hash *= 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
		hash += words[i];
	}
	hash *= 0xbf58476d1ce4e5b9ull;
	hash ^= hash >> 32;
	return hash * 0x94d049bb133111ebull;
}

static __always_inline __u32 bh_flow_home(
	const struct bh_config *config, __u64 hash, const int family)
{
	return hash >> 32 & (family == 4 ? config->flow_mask4 : config->flow_mask6);
}

static __always_inline __u8 bh_flow_tag(__u64 hash)
{
	return hash >> 24 & 0xff ?: 1;
}

/* ---- Sets and ways --------------------------------------------------------------------------- */

static __always_inline struct bh_flow_set *bh_flow_set_at(__u32 at, const int family)
{
	const __u32 number = at / BH_FLOW_WAYS;

	return family == 4 ? bpf_map_lookup_elem(&bh_sets4, &number)
			   : bpf_map_lookup_elem(&bh_sets6, &number);
}

static __always_inline void *bh_flow_ways_at(__u32 at, const int family)
{
	const __u32 number = at / BH_FLOW_WAYS;

	return family == 4 ? bpf_map_lookup_elem(&bh_flows4, &number)
			   : bpf_map_lookup_elem(&bh_flows6, &number);
}

static __always_inline struct bh_flow_lock *bh_flow_lock_of(__u32 at)
{
	const __u32 number = at / BH_FLOW_WAYS % BH_FLOW_LOCKS;

	return bpf_map_lookup_elem(&bh_locks, &number);
}

/* The key of a way; `ways`: of bh_flow_ways_at(). */
static __always_inline __u64 *bh_flow_key_in(void *ways, __u32 way, const int family)
{
	way %= BH_FLOW_WAYS;
	return family == 4 ? (__u64 *)&((struct bh_flow_ways4 *)ways)->way[way].key
			   : (__u64 *)&((struct bh_flow_ways6 *)ways)->way[way].key;
}

static __always_inline struct bh_flow *bh_flow_in(void *ways, __u32 way, const int family)
{
	way %= BH_FLOW_WAYS;
	return family == 4 ? &((struct bh_flow_ways4 *)ways)->way[way].flow
			   : &((struct bh_flow_ways6 *)ways)->way[way].flow;
}

static __always_inline bool bh_flow_key_is(
	const __u64 *entry, const union bh_flow_key *key, const int family)
{
	const volatile __u64 *there = entry;
	const __u64 *words = (const __u64 *)key;

	if (family == 4)
		return there[0] == words[0] && there[1] == words[1];
	return there[0] == words[0] && there[1] == words[1] && there[2] == words[2] &&
	       there[3] == words[3] && there[4] == words[4];
}

/* Gives a way up: no reader finds it any more. */
static __always_inline void bh_flow_way_free(
	struct bh_flow_set *set, void *ways, __u32 way, const int family)
{
	way %= BH_FLOW_WAYS;
	*(volatile __u64 *)(bh_flow_key_in(ways, way, family) + (family == 4 ? 1 : 4)) = 0;
	set->tag[way] = 0;
	set->settled &= ~(1u << way);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* A byte each of the result's: is that of the word zero? */
static __always_inline __u32 bh_flow_zeros(__u64 word)
{
	const __u64 sevens = 0x7f7f7f7f7f7f7f7full;
	const __u64 high = ~(((word & sevens) + sevens) | word | sevens);

	/* From the top of each byte to its bit of one byte. */
	return (high >> 7) * 0x0102040810204080ull >> 56;
}

/* The ways of a set that have this tag, a bit each. No branches: the verifier follows them all. */
static __always_inline __u32 bh_flow_ways_with(const struct bh_flow_set *set, __u8 tag)
{
	const __u64 all = tag * 0x0101010101010101ull;
	const volatile __u64 *tags = (const volatile __u64 *)set->tag;

	return bh_flow_zeros(tags[0] ^ all) | bh_flow_zeros(tags[1] ^ all) << 8;
}

static __always_inline __u32 bh_flow_count(__u32 ways)
{
	ways -= ways >> 1 & 0x5555;
	ways = (ways & 0x3333) + (ways >> 2 & 0x3333);
	ways = (ways + (ways >> 4)) & 0x0f0f;
	return (ways + (ways >> 8)) & 31;
}

/* The first of them; there is one. */
static __always_inline __u32 bh_flow_first(__u32 ways)
{
	return bh_flow_count((ways & -ways) - 1);
}

/* The way of a key in a set, or BH_FLOW_NOWHERE. */
static __always_inline __u32 bh_flow_way_of(const struct bh_flow_set *set, void *ways, __u8 tag,
	const union bh_flow_key *key, const int family)
{
	__u32 with = bh_flow_ways_with(set, tag), way;

	for (__u32 i = 0; i < BH_FLOW_WAYS && with; i++) {
		way = bh_flow_first(with) % BH_FLOW_WAYS;
		if (bh_flow_key_is(bh_flow_key_in(ways, way, family), key, family))
			return way;
		with &= with - 1;
	}
	return BH_FLOW_NOWHERE;
}

/* The flow whose key is in hand is not where its hash says: where in that set is it? */
static __always_inline __u32 bh_flow_search(__u32 at, __u32 tag, const int family)
{
	struct bh_work *work = bh_work_get();
	const struct bh_flow_set *set = bh_flow_set_at(at, family);
	void *ways = bh_flow_ways_at(at, family);
	__u32 way;

	if (!work || !set || !ways)
		return BH_FLOW_NOWHERE;
	way = bh_flow_way_of(set, ways, tag, &work->key, family);
	return way == BH_FLOW_NOWHERE ? BH_FLOW_NOWHERE : (at & ~(BH_FLOW_WAYS - 1)) + way;
}

__noinline __u32 bh_flow_search4(__u32 at, __u32 tag)
{
	return bh_flow_search(at, tag, 4);
}

__noinline __u32 bh_flow_search6(__u32 at, __u32 tag)
{
	return bh_flow_search(at, tag, 6);
}

/* The flow at work->at, if it is still that of the key in hand. */
static __always_inline struct bh_flow *bh_flow_there(struct bh_work *work, const int family)
{
	const __u32 at = work->at;
	void *ways = bh_flow_ways_at(at, family);

	if (!ways || !bh_flow_key_is(bh_flow_key_in(ways, at, family), &work->key, family))
		return NULL;
#ifdef BH_WEAK_ORDER
	bh_flow_barrier();
#endif
	return bh_flow_in(ways, at, family);
}

/*
 * The flow of the key in hand. Leaves its place in work->at, or BH_FLOW_NOWHERE. What a pod opens
 * is not expected: then the set is asked, so that nothing waits for an entry that is not there.
 */
static __always_inline struct bh_flow *bh_flow_lookup(
	const struct bh_config *config, struct bh_work *work, const int family)
{
	struct bh_flow *flow;

	work->hash = bh_flow_hash(config, &work->key, family);
	work->at = bh_flow_home(config, work->hash, family);
	if (bh_likely(!bh_is_syn(&work->packet) || !bh_packet_from_pod(&work->packet))) {
		flow = bh_flow_there(work, family);
		if (bh_likely(flow))
			return flow;
	}
	work->at = family == 4 ? bh_flow_search4(work->at, bh_flow_tag(work->hash))
			       : bh_flow_search6(work->at, bh_flow_tag(work->hash));
	return work->at == BH_FLOW_NOWHERE ? NULL : bh_flow_there(work, family);
}

/* As bh_flow_lookup(), for where a nanosecond does not matter and the stack does. */
__noinline int bh_flow_seek4(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();

	return config && work && bh_flow_lookup(config, work, 4);
}

__noinline int bh_flow_seek6(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();

	return config && work && bh_flow_lookup(config, work, 6);
}

static __always_inline struct bh_flow *bh_flow_seek(struct bh_work *work, const int family)
{
	if (!(family == 4 ? bh_flow_seek4() : bh_flow_seek6()))
		return NULL;
	return bh_flow_there(work, family);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static __always_inline __u32 bh_flow_age(const struct bh_flow *flow, __u32 now)
{
	/* Signed: another CPU may have stored a later jiffy than the one we read. */
	const __s32 age = now - flow->seen;

	return age < 0 ? 0 : age;
}

static __always_inline bool bh_flow_expired(
	const struct bh_config *config, const struct bh_flow *flow, __u32 now)
{
	return bh_flow_age(flow, now) > config->timeout[flow->state & 7];
}

/*
 * Which of these ways of a set makes room: one that is expired, else the one not used for longest.
 * BH_FLOW_NOWHERE: none of none. The best so far is kept in the set, where the verifier does not
 * look for what it may be.
 */
static __always_inline __u32 bh_flow_way_least(const struct bh_config *config,
	struct bh_flow_set *set, void *ways, __u32 among, __u32 now, const int family)
{
	volatile __u64 *least = &set->least;

	*least = 0;
	for (__u32 way = 0; way < BH_FLOW_WAYS; way++) {
		const struct bh_flow *flow = bh_flow_in(ways, way, family);
		__u64 candidate = (__u64)bh_flow_age(flow, now) << 8 | 1u << 4 | way;

		if (bh_flow_expired(config, flow, now))
			candidate |= 1ull << 40;
		if (among >> way & 1 && candidate > *least)
			*least = candidate;
	}
	return *least ? *least % BH_FLOW_WAYS : BH_FLOW_NOWHERE;
}

/* The way that a flow is to be put in: its own, its home, what is free, or who makes room. */
static __always_inline __u32 bh_flow_way_for(const struct bh_config *config,
	struct bh_flow_set *set, void *ways, const union bh_flow_key *key, __u8 tag, __u32 home,
	__u32 now, const int family)
{
	const __u32 way = bh_flow_way_of(set, ways, tag, key, family);
	__u32 free;

	if (way != BH_FLOW_NOWHERE)
		return way;
	free = bh_flow_ways_with(set, 0);
	home %= BH_FLOW_WAYS;
	if (bh_likely(free >> home & 1))
		return home;
	return free ? bh_flow_first(free) % BH_FLOW_WAYS
		    : bh_flow_way_least(config, set, ways, ~set->settled, now, family);
}

/*
 * Enters a flow, not settled, in place of the one that has its key. Returns where it is, or
 * BH_FLOW_NOWHERE. `anew`: if none has; *ret_there is then whether one has.
 */
static __always_inline __u32 bh_flow_put(const struct bh_config *config,
	const union bh_flow_key *key, const struct bh_flow *flow, __u64 hash, bool anew,
	bool *ret_there, const int family)
{
	const __u32 home = bh_flow_home(config, hash, family), now = bpf_jiffies64();
	struct bh_flow_lock *lock = bh_flow_lock_of(home);
	struct bh_flow_set *set = bh_flow_set_at(home, family);
	void *ways = bh_flow_ways_at(home, family);
	const int last = family == 4 ? 1 : 4;
	const __u8 tag = bh_flow_tag(hash);
	const __u64 *words = (const __u64 *)key;
	bool there = false;
	__u64 *entry;
	__u32 way;

	if (!lock || !set || !ways)
		return BH_FLOW_NOWHERE;
	bpf_spin_lock(&lock->lock);
	way = bh_flow_way_for(config, set, ways, key, tag, home, now, family);
	if (way != BH_FLOW_NOWHERE) {
		entry = bh_flow_key_in(ways, way, family);
		there = anew && bh_flow_key_is(entry, key, family);
	}
	if (way != BH_FLOW_NOWHERE && !there) {
		bh_flow_way_free(set, ways, way, family);
		bh_flow_barrier();
		memcpy(bh_flow_in(ways, way, family), flow, sizeof(*flow));
		for (int i = 0; i < last; i++)
			entry[i] = words[i];
		bh_flow_barrier();
		*(volatile __u64 *)(entry + last) = words[last];
		set->tag[way % BH_FLOW_WAYS] = tag;
	}
	bpf_spin_unlock(&lock->lock);
	*ret_there = there;
	return way == BH_FLOW_NOWHERE ? way : (home & ~(BH_FLOW_WAYS - 1)) + way;
}

/* Both ends of the flow at `at` are there: from now on it keeps its place. */
static __always_inline void bh_flow_settle(
	const struct bh_config *config, const union bh_flow_key *key, __u32 at, const int family)
{
	struct bh_flow_lock *lock = bh_flow_lock_of(at);
	struct bh_flow_set *set = bh_flow_set_at(at, family);
	void *ways = bh_flow_ways_at(at, family);
	const __u32 now = bpf_jiffies64();
	__u32 least = BH_FLOW_NOWHERE;
	bool evicted = false;

	if (!lock || !set || !ways)
		return;
	bpf_spin_lock(&lock->lock);
	if (bh_flow_key_is(bh_flow_key_in(ways, at, family), key, family)) {
		if (bh_flow_count(set->settled) >= BH_FLOW_SETTLED_MAX &&
			!(set->settled >> at % BH_FLOW_WAYS & 1))
			least = bh_flow_way_least(config, set, ways, set->settled, now, family);
		if (least != BH_FLOW_NOWHERE) {
			evicted = !bh_flow_expired(config, bh_flow_in(ways, least, family), now);
			bh_flow_way_free(set, ways, least, family);
		}
		set->settled |= 1u << at % BH_FLOW_WAYS;
	}
	bpf_spin_unlock(&lock->lock);
	if (evicted)
		bh_count(BH_COUNTER_FLOW_EVICTED, 1);
}

/* Removes the flow at `at` if it has that key, and, `idle`, is expired. Returns whether it did. */
static __always_inline bool bh_flow_remove(const struct bh_config *config,
	const union bh_flow_key *key, __u32 at, bool idle, const int family)
{
	struct bh_flow_lock *lock = bh_flow_lock_of(at);
	struct bh_flow_set *set = bh_flow_set_at(at, family);
	void *ways = bh_flow_ways_at(at, family);
	const __u32 now = bpf_jiffies64();
	bool removed = false;

	if (!lock || !set || !ways)
		return false;
	bpf_spin_lock(&lock->lock);
	if (bh_flow_key_is(bh_flow_key_in(ways, at, family), key, family) &&
		(!idle || bh_flow_expired(config, bh_flow_in(ways, at, family), now))) {
		bh_flow_way_free(set, ways, at, family);
		removed = true;
	}
	bpf_spin_unlock(&lock->lock);
	return removed;
}

/* ---- … of the flow in hand ------------------------------------------------------------------- */

/* Enters work->flow under the key in hand. Returns whether it is there. */
static __always_inline bool bh_flow_enter(const int family)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();
	bool there;

	if (!config || !work)
		return false;
	work->at = bh_flow_put(config, &work->key, &work->flow, work->hash, false, &there, family);
	return work->at != BH_FLOW_NOWHERE;
}

__noinline int bh_flow_enter4(void)
{
	return bh_flow_enter(4);
}

__noinline int bh_flow_enter6(void)
{
	return bh_flow_enter(6);
}

__noinline int bh_flow_settle4(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();

	if (config && work)
		bh_flow_settle(config, &work->key, work->at, 4);
	return 0;
}

__noinline int bh_flow_settle6(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();

	if (config && work)
		bh_flow_settle(config, &work->key, work->at, 6);
	return 0;
}

__noinline int bh_flow_leave4(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();

	return config && work && bh_flow_remove(config, &work->key, work->at, false, 4);
}

__noinline int bh_flow_leave6(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();

	return config && work && bh_flow_remove(config, &work->key, work->at, false, 6);
}

/* ---- … as the dataplane asks ----------------------------------------------------------------- */

static __always_inline int bh_flow_op(
	const struct bh_config *config, const struct bh_flow_request *request, const int family)
{
	bool there = false;
	__u32 at;

	if (request->op == BH_FLOW_OP_END)
		return bh_flow_remove(config, &request->key, request->at, true, family)
			       ? BH_FLOW_DONE
			       : BH_FLOW_NOT_DONE;
	at = bh_flow_put(config, &request->key, &request->flow,
		bh_flow_hash(config, &request->key, family), true, &there, family);
	if (at == BH_FLOW_NOWHERE || there)
		return BH_FLOW_NOT_DONE;
	bh_flow_settle(config, &request->key, at, family);
	return BH_FLOW_DONE;
}

__noinline int bh_flow_op4(struct __sk_buff *skb)
{
	const struct bh_flow_request *request = (void *)(long)skb->data;
	const struct bh_config *config = bh_config_get();

	if (!config || (void *)(request + 1) > (void *)(long)skb->data_end)
		return BH_FLOW_NOT_UNDERSTOOD;
	return bh_flow_op(config, request, 4);
}

__noinline int bh_flow_op6(struct __sk_buff *skb)
{
	const struct bh_flow_request *request = (void *)(long)skb->data;
	const struct bh_config *config = bh_config_get();

	if (!config || (void *)(request + 1) > (void *)(long)skb->data_end)
		return BH_FLOW_NOT_UNDERSTOOD;
	return bh_flow_op(config, request, 6);
}

#endif
