/*
 * The sleeper sets his state, with a barrier, before he looks at the condition: he sees it, or is woken.
 */
#include <linux/sched.h>
#include <linux/kthread.h>
#include <linux/module.h>

static int ready;
static struct task_struct *task;

static int sleeper(void *unused)
{
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(ready))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int waker(void *unused)
{
	WRITE_ONCE(ready, 1);
	wake_up_process(task);
	return 0;
}

static int __init start(void)
{
	task = kthread_run(sleeper, NULL, "sleeper");
	kthread_run(waker, NULL, "waker");
	return 0;
}
module_init(start);
