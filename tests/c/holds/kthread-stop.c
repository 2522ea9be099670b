/* A thread that sleeps until it is told to stop. */
#include <linux/kthread.h>
#include <linux/module.h>

static int loops(void *unused)
{
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 7;
}

static int stopper(void *task)
{
	BUG_ON(kthread_stop(task) != 7);
	return 0;
}

static int __init start(void)
{
	struct task_struct *t = kthread_run(loops, NULL, "loops");

	kthread_run(stopper, t, "stopper");
	return 0;
}
module_init(start);
