/*
 * A thread that sleeps until there is work. Its waker looks first whether anybody sleeps, and may see nobody
 * although somebody is about to:
 *
 *	holdfast check race.c					says how
 *	holdfast check race.c -D FIXED --model sc,tso		holds
 */
#include <linux/wait.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DECLARE_WAIT_QUEUE_HEAD(queue);
static int work;

static int worker(void *unused)
{
	wait_event(queue, READ_ONCE(work));
	return 0;
}

static int submitter(void *unused)
{
	WRITE_ONCE(work, 1);
#ifdef FIXED
	if (wq_has_sleeper(&queue))		/* with the barrier that belongs in between */
		wake_up(&queue);
#else
	if (waitqueue_active(&queue))
		wake_up(&queue);
#endif
	return 0;
}

static int __init start(void)
{
	kthread_run(worker, NULL, "worker");
	kthread_run(submitter, NULL, "submitter");
	return 0;
}
module_init(start);
