/*
 * Tasks: their states, sleeping and waking (include/linux/sched.h, kernel/sched/core.c). A task that has set
 * its state sleeps in schedule() until somebody has set it back.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/context.h>
#include <linux/limits.h>
#include <linux/jiffies.h>

#define TASK_RUNNING 0x0
#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_WAKEKILL 0x100
#define TASK_NOLOAD 0x400
#define TASK_KILLABLE (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_IDLE (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)
#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)
#define MAX_SCHEDULE_TIMEOUT LONG_MAX
#define TASK_COMM_LEN 16

struct task_struct {
	/* What it runs, and with what. */
	int (*threadfn)(void *data);
	void *data;
	/* It has begun; it has ended, with that result. */
	int started;
	int done;
	int should_stop;
	int result;
	unsigned int __state;
	pid_t pid;
	char comm[1];
};
_Thread_local struct task_struct *__hf_current;
static struct task_struct init_task;
#define current (__hf_current ? __hf_current : &init_task)

/* The barrier orders the state before what the caller looks at next: whoever changes that sees the state. */
#define set_current_state(state) smp_store_mb(current->__state, state)
#define __set_current_state(state) WRITE_ONCE(current->__state, state)
#define get_current_state() READ_ONCE(current->__state)
#define task_is_running(task) (READ_ONCE((task)->__state) == TASK_RUNNING)
#define set_special_state(state) set_current_state(state)

/* Sleeps until the task's state is TASK_RUNNING. */
static inline void schedule(void)
{
	__hf_assert(!(__hf_preempt_count || __hf_bh_count || __hf_irqs_off || __hf_hardirq), "sleep-in-atomic",
		    "BUG: scheduling while atomic");
	(void)__hf_await_eq(&current->__state, TASK_RUNNING);
}
#define io_schedule() schedule()
/* The time may be over at any moment: it gives 0 then, and something else if the task was woken before. */
static inline long schedule_timeout(long timeout)
{
	long left;

	if (timeout == MAX_SCHEDULE_TIMEOUT) {
		schedule();
		return timeout;
	}
	might_sleep();
	left = READ_ONCE(current->__state) == TASK_RUNNING;
	__set_current_state(TASK_RUNNING);
	return left;
}
#define schedule_timeout_interruptible(t) ({ __set_current_state(TASK_INTERRUPTIBLE); schedule_timeout(t); })
#define schedule_timeout_uninterruptible(t) ({ __set_current_state(TASK_UNINTERRUPTIBLE); schedule_timeout(t); })
#define schedule_timeout_killable(t) ({ __set_current_state(TASK_KILLABLE); schedule_timeout(t); })

/* Wakes the task if it is in one of these states; what the caller did before is ordered before the look. */
static inline int try_to_wake_up(struct task_struct *p, unsigned int state)
{
	smp_mb();
	if (!(READ_ONCE(p->__state) & state))
		return 0;
	WRITE_ONCE(p->__state, TASK_RUNNING);
	return 1;
}
static inline int wake_up_process(struct task_struct *p)
{
	if (p->threadfn && !p->started) {
		p->started = 1;
		__hf_spawn(p->threadfn, p);
		return 1;
	}
	return try_to_wake_up(p, TASK_NORMAL);
}
static inline int wake_up_state(struct task_struct *p, unsigned int state)
{
	return try_to_wake_up(p, state);
}
#define cond_resched() might_sleep()
#define cond_resched_lock(lock) 0
#define need_resched() 0
#define yield() might_sleep()
/* Nobody sends signals. */
#define signal_pending(p) 0
#define fatal_signal_pending(p) 0
#define get_task_struct(t) (t)
#define put_task_struct(t) ((void)(t))
#define task_pid_nr(t) ((t)->pid)
#define set_task_comm(t, name) ((void)0)
#define in_sched_functions(x) 0
