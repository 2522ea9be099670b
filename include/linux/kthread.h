/*
 * Threads (include/linux/kthread.h). Each runs on a CPU of its own. A start is not a step of anybody's: the
 * thread begins when it is scheduled.
 */
#pragma once
#include <linux/sched.h>
#include <linux/slab.h>

static inline struct task_struct *__kthread_new(int (*threadfn)(void *data), void *data)
{
	struct task_struct *t = __hf_zalloc(sizeof(struct task_struct));

	t->threadfn = threadfn;
	t->data = data;
	return t;
}
#define kthread_create(threadfn, data, namefmt, ...) __kthread_new(threadfn, data)
#define kthread_create_on_node(threadfn, data, node, namefmt, ...) __kthread_new(threadfn, data)
#define kthread_run(threadfn, data, namefmt, ...) \
	({ \
		struct task_struct *__t = __kthread_new(threadfn, data); \
		__hf_spawn(threadfn, __t); \
		__t; \
	})
static inline int wake_up_process(struct task_struct *t)
{
	__hf_spawn(t->threadfn, t);
	return 1;
}

static inline void *__hf_thread_begin(void *task)
{
	__hf_current = task;
	return __hf_current->data;
}
