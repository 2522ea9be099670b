/*
 * References that are cheap until somebody kills the object (include/linux/percpu-refcount.h). Here always
 * counted in one place; behind percpu_ref_kill(), percpu_ref_tryget_live() fails once a grace period is over.
 */
#pragma once
#include <linux/types.h>
#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/container_of.h>

struct percpu_ref;
typedef void (percpu_ref_func_t)(struct percpu_ref *ref);
struct percpu_ref {
	atomic_long_t count;
	int dead;
	percpu_ref_func_t *release;
	percpu_ref_func_t *confirm;
	struct rcu_head rcu;
};
#define PERCPU_REF_INIT_ATOMIC 1
#define PERCPU_REF_INIT_DEAD 2
#define PERCPU_REF_ALLOW_REINIT 4

static inline int percpu_ref_init(struct percpu_ref *ref, percpu_ref_func_t *release, unsigned int flags, gfp_t gfp)
{
	atomic_long_set(&ref->count, flags & PERCPU_REF_INIT_DEAD ? 0 : 1);
	ref->dead = (flags & PERCPU_REF_INIT_DEAD) != 0;
	ref->release = release;
	return 0;
}
#define percpu_ref_exit(ref) ((void)(ref))
static inline void percpu_ref_get_many(struct percpu_ref *ref, unsigned long nr)
{
	atomic_long_add(nr, &ref->count);
}
#define percpu_ref_get(ref) percpu_ref_get_many(ref, 1)
static inline bool percpu_ref_tryget(struct percpu_ref *ref)
{
	return atomic_long_inc_not_zero(&ref->count);
}
static inline bool percpu_ref_tryget_live(struct percpu_ref *ref)
{
	bool ret = false;

	rcu_read_lock();
	if (!READ_ONCE(ref->dead))
		ret = atomic_long_inc_not_zero(&ref->count);
	rcu_read_unlock();
	return ret;
}
static inline void percpu_ref_put_many(struct percpu_ref *ref, unsigned long nr)
{
	if (atomic_long_sub_and_test(nr, &ref->count))
		ref->release(ref);
}
#define percpu_ref_put(ref) percpu_ref_put_many(ref, 1)
static inline bool percpu_ref_is_dying(struct percpu_ref *ref)
{
	return READ_ONCE(ref->dead);
}
static inline bool percpu_ref_is_zero(struct percpu_ref *ref)
{
	return atomic_long_read(&ref->count) == 0;
}
static void __percpu_ref_switched(struct rcu_head *rcu)
{
	struct percpu_ref *ref = container_of(rcu, struct percpu_ref, rcu);

	if (ref->confirm)
		ref->confirm(ref);
	percpu_ref_put(ref);
}
/* Drops the first reference, behind a grace period; `confirm` is called before that. */
static inline void percpu_ref_kill_and_confirm(struct percpu_ref *ref, percpu_ref_func_t *confirm)
{
	WARN_ON(ref->dead);
	WRITE_ONCE(ref->dead, 1);
	ref->confirm = confirm;
	call_rcu(&ref->rcu, __percpu_ref_switched);
}
#define percpu_ref_kill(ref) percpu_ref_kill_and_confirm(ref, NULL)
