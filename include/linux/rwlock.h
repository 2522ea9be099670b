/*
 * Locks that many readers or one writer can hold, without sleeping (include/linux/rwlock.h). The word is the
 * number of readers, or -1.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/irqflags.h>

typedef struct rwlock { int cnts; } rwlock_t;
#define __RW_LOCK_UNLOCKED(name) { 0 }
#define DEFINE_RWLOCK(name) rwlock_t name = __RW_LOCK_UNLOCKED(name)

static inline void rwlock_init(rwlock_t *lock)
{
	WRITE_ONCE(lock->cnts, 0);
}
static inline void __rw_read_lock(int *cnts)
{
	while (__hf_add_unless_acquire(cnts, 1, -1) == -1)
		(void)__hf_await_ne(cnts, -1);
}
static inline void __rw_read_unlock(int *cnts)
{
	int old = __hf_rmw_add_release(cnts, -1);

	__hf_assert(old > 0, "assertion", "the read side of a lock is released by who does not hold it");
}
static inline void __rw_write_lock(int *cnts)
{
	while (__hf_cmpxchg_acquire(cnts, 0, -1) != 0)
		(void)__hf_await_eq(cnts, 0);
}
static inline void __rw_write_unlock(int *cnts)
{
	int old = __hf_rmw_xchg_release(cnts, 0);

	__hf_assert(old == -1, "assertion", "the write side of a lock is released by who does not hold it");
}
static inline void read_lock(rwlock_t *lock)
{
	__hf_preempt_count++;
	__rw_read_lock(&lock->cnts);
}
static inline void read_unlock(rwlock_t *lock)
{
	__rw_read_unlock(&lock->cnts);
	__hf_preempt_count--;
}
static inline int read_trylock(rwlock_t *lock)
{
	if (__hf_add_unless_acquire(&lock->cnts, 1, -1) == -1)
		return 0;
	__hf_preempt_count++;
	return 1;
}
static inline void write_lock(rwlock_t *lock)
{
	__hf_preempt_count++;
	__rw_write_lock(&lock->cnts);
}
static inline void write_unlock(rwlock_t *lock)
{
	__rw_write_unlock(&lock->cnts);
	__hf_preempt_count--;
}
static inline int write_trylock(rwlock_t *lock)
{
	if (__hf_cmpxchg_acquire(&lock->cnts, 0, -1) != 0)
		return 0;
	__hf_preempt_count++;
	return 1;
}
#define read_lock_irqsave(lock, flags) do { local_irq_save(flags); read_lock(lock); } while (0)
#define read_unlock_irqrestore(lock, flags) do { read_unlock(lock); local_irq_restore(flags); } while (0)
#define write_lock_irqsave(lock, flags) do { local_irq_save(flags); write_lock(lock); } while (0)
#define write_unlock_irqrestore(lock, flags) do { write_unlock(lock); local_irq_restore(flags); } while (0)
#define read_lock_irq(lock) do { local_irq_disable(); read_lock(lock); } while (0)
#define read_unlock_irq(lock) do { read_unlock(lock); local_irq_enable(); } while (0)
#define write_lock_irq(lock) do { local_irq_disable(); write_lock(lock); } while (0)
#define write_unlock_irq(lock) do { write_unlock(lock); local_irq_enable(); } while (0)
#define read_lock_bh(lock) do { __hf_bh_count++; read_lock(lock); } while (0)
#define read_unlock_bh(lock) do { read_unlock(lock); __hf_bh_count--; } while (0)
#define write_lock_bh(lock) do { __hf_bh_count++; write_lock(lock); } while (0)
#define write_unlock_bh(lock) do { write_unlock(lock); __hf_bh_count--; } while (0)
