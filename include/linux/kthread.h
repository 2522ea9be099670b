/*
 * Threads (include/linux/kthread.h). Each runs on a CPU of its own. A start is not a step of anybody's: the
 * thread begins when it is scheduled.
 */
#pragma once
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/err.h>

static inline struct task_struct *__kthread_new(int (*threadfn)(void *data), void *data, int started)
{
	struct task_struct *t = __hf_zalloc(sizeof(struct task_struct));

	t->threadfn = threadfn;
	t->data = data;
	t->started = started;
	return t;
}
#define kthread_create(threadfn, data, namefmt, ...) __kthread_new(threadfn, data, 0)
#define kthread_create_on_node(threadfn, data, node, namefmt, ...) __kthread_new(threadfn, data, 0)
#define kthread_create_on_cpu(threadfn, data, cpu, namefmt) __kthread_new(threadfn, data, 0)
#define kthread_run(threadfn, data, namefmt, ...) \
	({ \
		struct task_struct *__t = __kthread_new(threadfn, data, 1); \
		__hf_spawn(threadfn, __t); \
		__t; \
	})
#define kthread_run_on_cpu(threadfn, data, cpu, namefmt) kthread_run(threadfn, data, namefmt)
#define kthread_bind(t, cpu) ((void)0)

/* Whether somebody waits in kthread_stop() for this thread to end. */
#define kthread_should_stop() (READ_ONCE(current->should_stop) != 0)
#define kthread_should_park() 0
/* Tells the thread to end, wakes it, and waits until it has; gives its result. */
static inline int kthread_stop(struct task_struct *t)
{
	might_sleep();
	smp_store_mb(t->should_stop, 1);
	if (!t->started)
		return -EINTR;
	try_to_wake_up(t, TASK_NORMAL);
	(void)__hf_await_ne(&t->done, 0);
	return t->result;
}

static inline void *__hf_thread_begin(void *task)
{
	__hf_current = task;
	return __hf_current->data;
}
static inline void __hf_thread_end(int result)
{
	WRITE_ONCE(__hf_current->result, result);
	smp_store_release(&__hf_current->done, 1);
}
