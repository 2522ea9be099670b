/*
 * A completion on a stack, and a waiter who does not wait for ever: the worker completes what is gone.
 * error: use-after-free
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>

static struct completion *done;

static int worker(void *unused)
{
	struct completion *c = smp_load_acquire(&done);

	if (c)
		complete(c);
	return 0;
}

static int asker(void *unused)
{
	DECLARE_COMPLETION_ONSTACK(c);

	smp_store_release(&done, &c);
	if (!wait_for_completion_timeout(&c, HZ))
		return -ETIMEDOUT;
	return 0;
}

static int __init start(void)
{
	kthread_run(worker, NULL, "worker");
	kthread_run(asker, NULL, "asker");
	return 0;
}
module_init(start);
