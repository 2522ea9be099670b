/*
 * Sleeping locks (include/linux/mutex.h). Only its owner may release one.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/context.h>
#include <linux/lockdep.h>

/* 0, or 1 + the CPU of the thread that holds it. */
struct mutex { int owner; };
#define __MUTEX_INITIALIZER(name) { 0 }
#define DEFINE_MUTEX(name) struct mutex name = __MUTEX_INITIALIZER(name)

static inline void mutex_init(struct mutex *lock)
{
	WRITE_ONCE(lock->owner, 0);
}
static inline void mutex_destroy(struct mutex *lock)
{
	__hf_assert(!__hf_spin_is_locked(&lock->owner), "assertion", "mutex_destroy() of a mutex that is held");
}
static inline void mutex_lock(struct mutex *lock)
{
	might_sleep();
	__hf_spin_lock(&lock->owner);
}
/* No signals come. */
static inline int mutex_lock_interruptible(struct mutex *lock)
{
	mutex_lock(lock);
	return 0;
}
#define mutex_lock_killable(lock) mutex_lock_interruptible(lock)
#define mutex_lock_nested(lock, subclass) mutex_lock(lock)
static inline int mutex_trylock(struct mutex *lock)
{
	return __hf_spin_trylock(&lock->owner);
}
static inline void mutex_unlock(struct mutex *lock)
{
	__hf_spin_unlock(&lock->owner);
}
static inline bool mutex_is_locked(struct mutex *lock)
{
	return __hf_spin_is_locked(&lock->owner);
}
