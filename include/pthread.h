/*
 * POSIX threads. Each has a CPU of its own. What has a time limit may find it over at any moment.
 */
#pragma once
#include <holdfast/words.h>
#include <errno.h>

struct __hf_pthread {
	void *arg;
	void *result;
	int done;
};
typedef struct __hf_pthread *pthread_t;
typedef struct { int unused; } pthread_attr_t, pthread_condattr_t, pthread_barrierattr_t, pthread_rwlockattr_t;
typedef struct { int kind; } pthread_mutexattr_t;
_Thread_local struct __hf_pthread *__hf_self;
static struct __hf_pthread __hf_main_thread;

static inline void *__hf_pthread_begin(struct __hf_pthread *t)
{
	__hf_self = t;
	return t->arg;
}
static inline void __hf_pthread_end(void *result)
{
	__hf_store_plain(&__hf_self->result, result);
	__hf_store_release(&__hf_self->done, 1);
}
#define pthread_create(thread, attr, start, argument) \
	({ \
		struct __hf_pthread *__t = __hf_zalloc(sizeof(struct __hf_pthread)); \
		__t->arg = (argument); \
		*(thread) = __t; \
		__hf_spawn_pthread(start, __t); \
		0; \
	})
static inline int pthread_join(pthread_t t, void **result)
{
	(void)__hf_await_ne(&t->done, 0);
	if (result)
		*result = t->result;
	return 0;
}
#define pthread_detach(t) ((void)(t), 0)
#define pthread_self() (__hf_self ? __hf_self : &__hf_main_thread)
#define pthread_equal(a, b) ((a) == (b))
#define pthread_exit(value) __hf_exit_thread(value)
#define pthread_yield() ({ __hf_fence_barrier(); 0; })
#define pthread_attr_init(a) ((void)(a), 0)
#define pthread_attr_destroy(a) ((void)(a), 0)
#define pthread_attr_setdetachstate(a, s) ((void)(a), 0)
#define PTHREAD_CREATE_DETACHED 1
#define PTHREAD_CREATE_JOINABLE 0
#define pthread_setaffinity_np(t, n, s) 0

/* 0, or 1 + the CPU of the thread that holds it; how often a recursive one was taken beyond once. */
typedef struct { int lock; int kind; int count; } pthread_mutex_t;
#define PTHREAD_MUTEX_NORMAL 0
#define PTHREAD_MUTEX_DEFAULT 0
#define PTHREAD_MUTEX_RECURSIVE 1
#define PTHREAD_MUTEX_ERRORCHECK 2
#define PTHREAD_MUTEX_INITIALIZER { 0 }
#define PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP { 0, 1 }
#define pthread_mutexattr_init(a) ((a)->kind = 0, 0)
#define pthread_mutexattr_destroy(a) ((void)(a), 0)
#define pthread_mutexattr_settype(a, t) ((a)->kind = (t), 0)
static inline int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
	m->lock = 0;
	m->kind = a ? a->kind : 0;
	m->count = 0;
	return 0;
}
#define pthread_mutex_destroy(m) ((void)(m), 0)
#define __hf_mutex_mine(m) (__hf_load_once(&(m)->lock) == 1 + __hf_cpu())
static inline int pthread_mutex_lock(pthread_mutex_t *m)
{
	if (m->kind != 0 && __hf_mutex_mine(m)) {
		if (m->kind == PTHREAD_MUTEX_ERRORCHECK)
			return EDEADLK;
		m->count++;
		return 0;
	}
	__hf_spin_lock(&m->lock);
	return 0;
}
static inline int pthread_mutex_trylock(pthread_mutex_t *m)
{
	if (m->kind == PTHREAD_MUTEX_RECURSIVE && __hf_mutex_mine(m)) {
		m->count++;
		return 0;
	}
	return __hf_spin_trylock(&m->lock) ? 0 : EBUSY;
}
static inline int pthread_mutex_unlock(pthread_mutex_t *m)
{
	if (m->kind != 0) {
		if (!__hf_mutex_mine(m))
			return EPERM;
		if (m->count) {
			m->count--;
			return 0;
		}
	}
	__hf_spin_unlock(&m->lock);
	return 0;
}

/* Who waits, a bit for each CPU. A signal wakes one of them, any. */
typedef struct { unsigned int waiting; } pthread_cond_t;
#define PTHREAD_COND_INITIALIZER { 0 }
static inline int pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a)
{
	c->waiting = 0;
	return 0;
}
#define pthread_cond_destroy(c) ((void)(c), 0)
static inline int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	unsigned int bit = 1u << __hf_cpu(), w;

	(void)__hf_rmw_or_mb(&c->waiting, bit);
	__hf_spin_unlock(&m->lock);
	while ((w = __hf_load_acquire(&c->waiting)) & bit)
		(void)__hf_await_ne(&c->waiting, w);
	__hf_spin_lock(&m->lock);
	return 0;
}
static inline int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const void *until)
{
	__hf_spin_unlock(&m->lock);
	__hf_spin_lock(&m->lock);
	return ETIMEDOUT;
}
static inline int pthread_cond_signal(pthread_cond_t *c)
{
	unsigned int w = __hf_load_acquire(&c->waiting), seen, bit;
	int n, k;

	while (w) {
		for (n = 0, bit = w; bit; bit &= bit - 1)
			n++;
		k = n > 1 ? __hf_choose(n) : 0;
		for (bit = w; k > 0; k--)
			bit &= bit - 1;
		bit &= -bit;
		seen = __hf_cmpxchg_mb(&c->waiting, w, w & ~bit);
		if (seen == w)
			break;
		w = seen;
	}
	return 0;
}
static inline int pthread_cond_broadcast(pthread_cond_t *c)
{
	(void)__hf_rmw_xchg_mb(&c->waiting, 0);
	return 0;
}

/* The number of readers, or -1. */
typedef struct { int count; } pthread_rwlock_t;
#define PTHREAD_RWLOCK_INITIALIZER { 0 }
#define pthread_rwlock_init(l, a) ((l)->count = 0, 0)
#define pthread_rwlock_destroy(l) ((void)(l), 0)
static inline int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
	while (__hf_add_unless_acquire(&l->count, 1, -1) == -1)
		(void)__hf_await_ne(&l->count, -1);
	return 0;
}
static inline int pthread_rwlock_tryrdlock(pthread_rwlock_t *l)
{
	return __hf_add_unless_acquire(&l->count, 1, -1) == -1 ? EBUSY : 0;
}
static inline int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	while (__hf_cmpxchg_acquire(&l->count, 0, -1) != 0)
		(void)__hf_await_eq(&l->count, 0);
	return 0;
}
static inline int pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
	return __hf_cmpxchg_acquire(&l->count, 0, -1) != 0 ? EBUSY : 0;
}
static inline int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
	if (__hf_load_once(&l->count) == -1)
		__hf_store_release(&l->count, 0);
	else
		(void)__hf_rmw_add_release(&l->count, -1);
	return 0;
}

typedef struct { int lock; } pthread_spinlock_t;
#define PTHREAD_PROCESS_PRIVATE 0
#define PTHREAD_PROCESS_SHARED 1
#define pthread_spin_init(l, shared) ((l)->lock = 0, 0)
#define pthread_spin_destroy(l) ((void)(l), 0)
#define pthread_spin_lock(l) ({ __hf_spin_lock(&(l)->lock); 0; })
#define pthread_spin_trylock(l) (__hf_spin_trylock(&(l)->lock) ? 0 : EBUSY)
#define pthread_spin_unlock(l) ({ __hf_spin_unlock(&(l)->lock); 0; })

typedef struct { int count, arrived, round; } pthread_barrier_t;
#define PTHREAD_BARRIER_SERIAL_THREAD (-1)
static inline int pthread_barrier_init(pthread_barrier_t *b, const pthread_barrierattr_t *a, unsigned int count)
{
	b->count = count;
	b->arrived = 0;
	b->round = 0;
	return 0;
}
#define pthread_barrier_destroy(b) ((void)(b), 0)
static inline int pthread_barrier_wait(pthread_barrier_t *b)
{
	int round = __hf_load_acquire(&b->round);

	if (__hf_rmw_add_mb(&b->arrived, 1) == b->count - 1) {
		__hf_store_once(&b->arrived, 0);
		__hf_store_release(&b->round, round + 1);
		return PTHREAD_BARRIER_SERIAL_THREAD;
	}
	(void)__hf_await_ne(&b->round, round);
	return 0;
}

/* 0, 1 while it runs, 2. */
typedef int pthread_once_t;
#define PTHREAD_ONCE_INIT 0
static inline int pthread_once(pthread_once_t *once, void (*init)(void))
{
	if (__hf_load_acquire(once) == 2)
		return 0;
	if (__hf_cmpxchg_mb(once, 0, 1) == 0) {
		init();
		__hf_store_release(once, 2);
	} else
		(void)__hf_await_eq(once, 2);
	return 0;
}
