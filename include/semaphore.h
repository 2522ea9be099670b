/* POSIX semaphores. */
#pragma once
typedef struct { int count; } sem_t;
#define sem_init(s, shared, value) ((s)->count = (value), 0)
#define sem_destroy(s) ((void)(s), 0)
static inline int sem_wait(sem_t *s)
{
	while (__hf_add_unless_acquire(&s->count, -1, 0) == 0)
		(void)__hf_await_ne(&s->count, 0);
	return 0;
}
static inline int sem_trywait(sem_t *s)
{
	return __hf_add_unless_acquire(&s->count, -1, 0) == 0 ? -1 : 0;
}
static inline int sem_post(sem_t *s)
{
	(void)__hf_rmw_add_mb(&s->count, 1);
	return 0;
}
static inline int sem_getvalue(sem_t *s, int *value)
{
	*value = __hf_load_once(&s->count);
	return 0;
}
