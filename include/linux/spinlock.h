/*
 * Spinlocks (include/linux/spinlock.h). Who holds one may not sleep. A spinlock is not relied on to hold up
 * an RCU grace period: on PREEMPT_RT it does not.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/preempt.h>
#include <linux/irqflags.h>
#include <linux/lockdep.h>
#include <linux/atomic.h>

/* 0, or 1 + the CPU that holds it. */
typedef struct spinlock { int slock; } spinlock_t;
typedef spinlock_t raw_spinlock_t, arch_spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name) { 0 }
#define __RAW_SPIN_LOCK_UNLOCKED(name) { 0 }
#define __ARCH_SPIN_LOCK_UNLOCKED { 0 }
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_UNLOCKED(name)
#define DEFINE_RAW_SPINLOCK(name) raw_spinlock_t name = __SPIN_LOCK_UNLOCKED(name)
#define SPIN_LOCK_UNLOCKED { 0 }

static inline void spin_lock_init(spinlock_t *lock)
{
	WRITE_ONCE(lock->slock, 0);
}
static inline void spin_lock(spinlock_t *lock)
{
	__hf_preempt_count++;
	__hf_spin_lock(&lock->slock);
}
static inline void spin_unlock(spinlock_t *lock)
{
	__hf_spin_unlock(&lock->slock);
	__hf_preempt_count--;
}
static inline int spin_trylock(spinlock_t *lock)
{
	if (!__hf_spin_trylock(&lock->slock))
		return 0;
	__hf_preempt_count++;
	return 1;
}
static inline int spin_is_locked(spinlock_t *lock)
{
	return __hf_spin_is_locked(&lock->slock);
}
#define spin_is_contended(lock) 0
#define assert_spin_locked(lock) lockdep_assert_held(lock)
#define spin_lock_nested(lock, subclass) spin_lock(lock)
#define spin_lock_nest_lock(lock, nest) spin_lock(lock)
#define spin_lock_irqsave(lock, flags) do { local_irq_save(flags); spin_lock(lock); } while (0)
#define spin_lock_irqsave_nested(lock, flags, subclass) spin_lock_irqsave(lock, flags)
#define spin_unlock_irqrestore(lock, flags) do { spin_unlock(lock); local_irq_restore(flags); } while (0)
#define spin_lock_irq(lock) do { local_irq_disable(); spin_lock(lock); } while (0)
#define spin_unlock_irq(lock) do { spin_unlock(lock); local_irq_enable(); } while (0)
static inline void spin_lock_bh(spinlock_t *lock)
{
	__hf_bh_count++;
	__hf_spin_lock(&lock->slock);
}
static inline void spin_unlock_bh(spinlock_t *lock)
{
	__hf_spin_unlock(&lock->slock);
	__hf_bh_count--;
}
static inline int spin_trylock_bh(spinlock_t *lock)
{
	if (!__hf_spin_trylock(&lock->slock))
		return 0;
	__hf_bh_count++;
	return 1;
}
#define spin_trylock_irqsave(lock, flags) \
	({ \
		local_irq_save(flags); \
		int __taken = spin_trylock(lock); \
		if (!__taken) \
			local_irq_restore(flags); \
		__taken; \
	})

#define raw_spin_lock_init(lock) spin_lock_init(lock)
#define raw_spin_lock(lock) spin_lock(lock)
#define raw_spin_unlock(lock) spin_unlock(lock)
#define raw_spin_trylock(lock) spin_trylock(lock)
#define raw_spin_is_locked(lock) spin_is_locked(lock)
#define raw_spin_lock_irqsave(lock, flags) spin_lock_irqsave(lock, flags)
#define raw_spin_unlock_irqrestore(lock, flags) spin_unlock_irqrestore(lock, flags)
#define raw_spin_lock_irq(lock) spin_lock_irq(lock)
#define raw_spin_unlock_irq(lock) spin_unlock_irq(lock)
#define raw_spin_lock_nested(lock, subclass) spin_lock(lock)
#define arch_spin_lock(lock) __hf_spin_lock(&(lock)->slock)
#define arch_spin_unlock(lock) __hf_spin_unlock(&(lock)->slock)

/* Decrements; with the lock held if that made it 0, else without (lib/dec_and_lock.c). */
static inline int atomic_dec_and_lock(atomic_t *v, spinlock_t *lock)
{
	if (atomic_add_unless(v, -1, 1))
		return 0;
	spin_lock(lock);
	if (atomic_dec_and_test(v))
		return 1;
	spin_unlock(lock);
	return 0;
}
#include <linux/rwlock.h>
