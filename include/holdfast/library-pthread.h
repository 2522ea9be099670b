/*
 * The threads of POSIX for a program that has been preprocessed already, and brings the declarations of some C
 * library with it: those of <pthread.h>, under names that are nobody else's. What such a library takes for a
 * mutex begins with a word that is 0 when it is free, and so does ours.
 */
#pragma once
#define pthread_t __hf_lib_t_thread
#define pthread_attr_t __hf_lib_t_attr
#define pthread_condattr_t __hf_lib_t_condattr
#define pthread_barrierattr_t __hf_lib_t_barrierattr
#define pthread_rwlockattr_t __hf_lib_t_rwlockattr
#define pthread_mutexattr_t __hf_lib_t_mutexattr
#define pthread_mutex_t __hf_lib_t_mutex
#define pthread_cond_t __hf_lib_t_cond
#define pthread_rwlock_t __hf_lib_t_rwlock
#define pthread_spinlock_t __hf_lib_t_spinlock
#define pthread_barrier_t __hf_lib_t_barrier
#define pthread_once_t __hf_lib_t_once
#define int8_t __hf_lib_t_int8
#define uint8_t __hf_lib_t_uint8
#define int16_t __hf_lib_t_int16
#define uint16_t __hf_lib_t_uint16
#define int32_t __hf_lib_t_int32
#define uint32_t __hf_lib_t_uint32
#define int64_t __hf_lib_t_int64
#define uint64_t __hf_lib_t_uint64
#define size_t __hf_lib_t_size
#define ssize_t __hf_lib_t_ssize
#define ptrdiff_t __hf_lib_t_ptrdiff
#define intptr_t __hf_lib_t_intptr
#define uintptr_t __hf_lib_t_uintptr
#define intmax_t __hf_lib_t_intmax
#define uintmax_t __hf_lib_t_uintmax
#define wchar_t __hf_lib_t_wchar
#define pthread_join __hf_own_join
#define pthread_mutex_init __hf_own_mutex_init
#define pthread_mutex_lock __hf_own_mutex_lock
#define pthread_mutex_trylock __hf_own_mutex_trylock
#define pthread_mutex_unlock __hf_own_mutex_unlock
#define pthread_cond_init __hf_own_cond_init
#define pthread_cond_wait __hf_own_cond_wait
#define pthread_cond_timedwait __hf_own_cond_timedwait
#define pthread_cond_signal __hf_own_cond_signal
#define pthread_cond_broadcast __hf_own_cond_broadcast
#define pthread_rwlock_rdlock __hf_own_rwlock_rdlock
#define pthread_rwlock_tryrdlock __hf_own_rwlock_tryrdlock
#define pthread_rwlock_wrlock __hf_own_rwlock_wrlock
#define pthread_rwlock_trywrlock __hf_own_rwlock_trywrlock
#define pthread_rwlock_unlock __hf_own_rwlock_unlock
#define pthread_barrier_init __hf_own_barrier_init
#define pthread_barrier_wait __hf_own_barrier_wait
#define pthread_once __hf_own_once
#include <pthread.h>

static inline int __hf_lib_pthread_create(void *thread, void *attr, void *(*start)(void *), void *arg)
{
	struct __hf_pthread *t = __hf_zalloc(sizeof(struct __hf_pthread));

	t->arg = arg;
	*(unsigned long *)thread = (unsigned long)t;
	__hf_spawn_pthread(start, t);
	return 0;
}
static inline int __hf_lib_pthread_join(unsigned long thread, void **result)
{
	return pthread_join((struct __hf_pthread *)thread, result);
}
static inline int __hf_lib_pthread_detach(unsigned long thread)
{
	return 0;
}
static inline unsigned long __hf_lib_pthread_self(void)
{
	return (unsigned long)pthread_self();
}
static inline int __hf_lib_pthread_mutex_init(void *m, void *attr)
{
	*(int *)m = 0;
	return 0;
}
static inline int __hf_lib_pthread_mutex_destroy(void *m)
{
	return 0;
}
static inline int __hf_lib_pthread_mutex_lock(void *m)
{
	__hf_spin_lock((int *)m);
	return 0;
}
static inline int __hf_lib_pthread_mutex_trylock(void *m)
{
	return __hf_spin_trylock((int *)m) ? 0 : EBUSY;
}
static inline int __hf_lib_pthread_mutex_unlock(void *m)
{
	__hf_spin_unlock((int *)m);
	return 0;
}
static inline int __hf_lib_pthread_cond_init(void *c, void *attr)
{
	*(int *)c = 0;
	return 0;
}
static inline int __hf_lib_pthread_cond_destroy(void *c)
{
	return 0;
}
static inline int __hf_lib_pthread_cond_wait(void *c, void *m)
{
	return pthread_cond_wait(c, m);
}
static inline int __hf_lib_pthread_cond_signal(void *c)
{
	return pthread_cond_signal(c);
}
static inline int __hf_lib_pthread_cond_broadcast(void *c)
{
	return pthread_cond_broadcast(c);
}
static inline int __hf_lib_pthread_rwlock_rdlock(void *l)
{
	return pthread_rwlock_rdlock(l);
}
static inline int __hf_lib_pthread_rwlock_wrlock(void *l)
{
	return pthread_rwlock_wrlock(l);
}
static inline int __hf_lib_pthread_rwlock_unlock(void *l)
{
	return pthread_rwlock_unlock(l);
}
static inline int __hf_lib_pthread_attr_init(void *a)
{
	return 0;
}
static inline int __hf_lib_pthread_attr_destroy(void *a)
{
	return 0;
}
static inline int __hf_lib_pthread_attr_setdetachstate(void *a, int state)
{
	return 0;
}
