/*
 * Reference counts that saturate instead of wrapping (include/linux/refcount.h, lib/refcount.c). What the
 * kernel warns of is a violation: an addition on 0, an underflow, a decrement that hits 0 where it must not,
 * saturation.
 */
#pragma once
#include <linux/atomic.h>
#include <linux/bug.h>

typedef struct refcount_struct { atomic_t refs; } refcount_t;
#define REFCOUNT_INIT(n) { .refs = ATOMIC_INIT(n) }
#define REFCOUNT_MAX 0x7fffffff
#define REFCOUNT_SATURATED (-0x40000000)

#define __refcount_warn(ok, kind, message) __hf_assert(ok, kind, "refcount_t: " message)

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_set(&r->refs, n);
}
static inline void refcount_set_release(refcount_t *r, int n)
{
	atomic_set_release(&r->refs, n);
}
static inline unsigned int refcount_read(const refcount_t *r)
{
	return atomic_read(&r->refs);
}
static inline void refcount_add(int i, refcount_t *r)
{
	int old = atomic_fetch_add_relaxed(i, &r->refs);

	__refcount_warn(old != 0, "refcount-zero", "addition on 0; use-after-free");
	__refcount_warn(old > 0 && old + i > 0, "refcount-overflow", "saturated; leaking memory");
}
static inline void refcount_inc(refcount_t *r)
{
	refcount_add(1, r);
}
/* Takes a reference unless there are none left: then the object is on its way out. */
static inline bool refcount_add_not_zero(int i, refcount_t *r)
{
	int old = __hf_add_unless_once(&r->refs.counter, i, 0);

	if (old != 0)
		__refcount_warn(old > 0 && old + i > 0, "refcount-overflow", "saturated; leaking memory");
	return old != 0;
}
static inline bool refcount_inc_not_zero(refcount_t *r)
{
	return refcount_add_not_zero(1, r);
}
/*
 * Where the memory may be another object's by now (SLAB_TYPESAFE_BY_RCU): what is read behind it is of the
 * object that the reference is to, if that was published by refcount_set_release().
 */
static inline bool refcount_add_not_zero_acquire(int i, refcount_t *r)
{
	int old = __hf_add_unless_acquire(&r->refs.counter, i, 0);

	if (old != 0)
		__refcount_warn(old > 0 && old + i > 0, "refcount-overflow", "saturated; leaking memory");
	return old != 0;
}
static inline bool refcount_inc_not_zero_acquire(refcount_t *r)
{
	return refcount_add_not_zero_acquire(1, r);
}
/* Drops references; true for who drops the last, behind whose call everybody's use of the object lies. */
static inline bool refcount_sub_and_test(int i, refcount_t *r)
{
	int old = atomic_fetch_sub_release(i, &r->refs);

	if (old == i) {
		smp_acquire__after_ctrl_dep();
		return true;
	}
	__refcount_warn(old > 0 && old - i >= 0, "refcount-underflow", "underflow; use-after-free");
	return false;
}
static inline bool refcount_dec_and_test(refcount_t *r)
{
	return refcount_sub_and_test(1, r);
}
static inline void refcount_dec(refcount_t *r)
{
	int old = atomic_fetch_sub_release(1, &r->refs);

	__refcount_warn(old > 1, "refcount-underflow", "decrement hit 0; leaking memory");
}
static inline bool refcount_dec_if_one(refcount_t *r)
{
	return atomic_cmpxchg_release(&r->refs, 1, 0) == 1;
}
static inline bool refcount_dec_not_one(refcount_t *r)
{
	int old = atomic_read(&r->refs);

	do {
		if (old == 1)
			return false;
		__refcount_warn(old > 0, "refcount-underflow", "underflow; use-after-free");
	} while (!atomic_try_cmpxchg_release(&r->refs, &old, old - 1));
	return true;
}

/* Drops a reference; with the lock held if that was the last one, else without (lib/refcount.c). */
#include <linux/spinlock.h>
#include <linux/mutex.h>
static inline bool refcount_dec_and_lock(refcount_t *r, spinlock_t *lock)
{
	if (refcount_dec_not_one(r))
		return false;
	spin_lock(lock);
	if (!refcount_dec_and_test(r)) {
		spin_unlock(lock);
		return false;
	}
	return true;
}
static inline bool refcount_dec_and_mutex_lock(refcount_t *r, struct mutex *lock)
{
	if (refcount_dec_not_one(r))
		return false;
	mutex_lock(lock);
	if (!refcount_dec_and_test(r)) {
		mutex_unlock(lock);
		return false;
	}
	return true;
}
