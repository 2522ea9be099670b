/*
 * wq_has_sleeper() spares the lock of wake_up() if nobody waits; it has the barrier that waitqueue_active()
 * lacks.
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
	if (wq_has_sleeper(&wq))
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
