/* Counting semaphores (include/linux/semaphore.h). */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/context.h>

struct semaphore { int count; };
#define DEFINE_SEMAPHORE(name, n) struct semaphore name = { n }

static inline void sema_init(struct semaphore *sem, int val)
{
	WRITE_ONCE(sem->count, val);
}
static inline void down(struct semaphore *sem)
{
	might_sleep();
	while (__hf_add_unless_acquire(&sem->count, -1, 0) == 0)
		(void)__hf_await_ne(&sem->count, 0);
}
#define down_interruptible(sem) ({ down(sem); 0; })
#define down_killable(sem) ({ down(sem); 0; })
/* 0 if it was taken, as the kernel has it. */
static inline int down_trylock(struct semaphore *sem)
{
	return __hf_add_unless_acquire(&sem->count, -1, 0) == 0;
}
static inline void up(struct semaphore *sem)
{
	(void)__hf_rmw_add_release(&sem->count, 1);
}
