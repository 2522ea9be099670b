/*
 * A mutex is taken, and may sleep, while a spinlock is held.
 * error: sleep-in-atomic
 */
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DEFINE_SPINLOCK(s);
static DEFINE_MUTEX(m);

static int worker(void *unused)
{
	spin_lock(&s);
	mutex_lock(&m);
	mutex_unlock(&m);
	spin_unlock(&s);
	return 0;
}

static int __init start(void)
{
	kthread_run(worker, NULL, "worker");
	return 0;
}
module_init(start);
