/*
 * Two mutexes taken in opposite order.
 * error: deadlock
 */
#include <linux/mutex.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DEFINE_MUTEX(a);
static DEFINE_MUTEX(b);

static int ab(void *unused)
{
	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	return 0;
}

static int ba(void *unused)
{
	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
	return 0;
}

static int __init start(void)
{
	kthread_run(ab, NULL, "ab");
	kthread_run(ba, NULL, "ba");
	return 0;
}
module_init(start);
