/*
 * waitqueue_active() spares the lock of wake_up(), but without a barrier behind the store of the condition
 * the waker may see an empty queue while the waiter does not see the condition.
 * error: deadlock
 * sc: holds
 */
#include <linux/wait.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DECLARE_WAIT_QUEUE_HEAD(wq);
static int ready;

static int waiter(void *unused)
{
	wait_event(wq, READ_ONCE(ready));
	return 0;
}

static int waker(void *unused)
{
	WRITE_ONCE(ready, 1);
	if (waitqueue_active(&wq))		/* wq_has_sleeper() has the barrier */
		wake_up(&wq);
	return 0;
}

static int __init start(void)
{
	kthread_run(waiter, NULL, "waiter");
	kthread_run(waker, NULL, "waker");
	return 0;
}
module_init(start);
