/* Threads of C11, by those of POSIX. */
#pragma once
#include <pthread.h>
typedef pthread_t thrd_t;
typedef int (*thrd_start_t)(void *);
typedef pthread_mutex_t mtx_t;
typedef pthread_cond_t cnd_t;
enum { thrd_success, thrd_busy, thrd_error, thrd_nomem, thrd_timedout };
enum { mtx_plain = 0, mtx_recursive = 1, mtx_timed = 0 };
#define thrd_create(t, f, a) pthread_create(t, NULL, f, a)
static inline int thrd_join(thrd_t t, int *result)
{
	pthread_join(t, NULL);
	if (result)
		*result = (int)(long)t->result;
	return thrd_success;
}
#define thrd_yield() ((void)0)
#define mtx_init(m, type) ((m)->lock = 0, (m)->kind = (type) & 1, (m)->count = 0, thrd_success)
#define mtx_lock(m) pthread_mutex_lock(m)
#define mtx_trylock(m) (pthread_mutex_trylock(m) ? thrd_busy : thrd_success)
#define mtx_unlock(m) pthread_mutex_unlock(m)
#define mtx_destroy(m) ((void)(m))
#define cnd_init(c) pthread_cond_init(c, NULL)
#define cnd_wait(c, m) pthread_cond_wait(c, m)
#define cnd_signal(c) pthread_cond_signal(c)
#define cnd_broadcast(c) pthread_cond_broadcast(c)
#define cnd_destroy(c) ((void)(c))
