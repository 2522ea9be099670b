/*
 * Sleeping locks that many readers or one writer can hold (include/linux/rwsem.h). The word is the number of
 * readers, or -1.
 */
#pragma once
#include <linux/rwlock.h>

struct rw_semaphore { int count; };
#define __RWSEM_INITIALIZER(name) { 0 }
#define DECLARE_RWSEM(name) struct rw_semaphore name = __RWSEM_INITIALIZER(name)

static inline void init_rwsem(struct rw_semaphore *sem)
{
	WRITE_ONCE(sem->count, 0);
}
static inline void down_read(struct rw_semaphore *sem)
{
	might_sleep();
	__rw_read_lock(&sem->count);
}
static inline int down_read_trylock(struct rw_semaphore *sem)
{
	return __hf_add_unless_acquire(&sem->count, 1, -1) != -1;
}
static inline void up_read(struct rw_semaphore *sem)
{
	__rw_read_unlock(&sem->count);
}
static inline void down_write(struct rw_semaphore *sem)
{
	might_sleep();
	__rw_write_lock(&sem->count);
}
static inline int down_write_trylock(struct rw_semaphore *sem)
{
	return __hf_cmpxchg_acquire(&sem->count, 0, -1) == 0;
}
static inline void up_write(struct rw_semaphore *sem)
{
	__rw_write_unlock(&sem->count);
}
/* From writer to reader, with no writer in between. */
static inline void downgrade_write(struct rw_semaphore *sem)
{
	__hf_store_release(&sem->count, 1);
}
#define down_read_interruptible(sem) ({ down_read(sem); 0; })
#define down_read_killable(sem) ({ down_read(sem); 0; })
#define down_write_killable(sem) ({ down_write(sem); 0; })
#define down_read_nested(sem, subclass) down_read(sem)
#define down_write_nested(sem, subclass) down_write(sem)
static inline int rwsem_is_locked(struct rw_semaphore *sem)
{
	return __hf_load_once(&sem->count) != 0;
}
