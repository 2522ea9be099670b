/*
 * Two locks in both orders, under a third that keeps any run from a deadlock: lockdep reports the circle.
 * error: lock-order
 * tso: holds
 * arm64: holds
 * riscv: holds
 * lkmm: holds
 */
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DEFINE_SPINLOCK(gate);
static DEFINE_SPINLOCK(a);
static DEFINE_SPINLOCK(b);
static int n;

static int one(void *unused)
{
	spin_lock(&gate);
	spin_lock(&a);
	spin_lock(&b);
	n++;
	spin_unlock(&b);
	spin_unlock(&a);
	spin_unlock(&gate);
	return 0;
}

static int two(void *unused)
{
	spin_lock(&gate);
	spin_lock(&b);
	spin_lock(&a);
	n++;
	spin_unlock(&a);
	spin_unlock(&b);
	spin_unlock(&gate);
	return 0;
}

static int __init start(void)
{
	kthread_run(one, NULL, "one");
	kthread_run(two, NULL, "two");
	return 0;
}
module_init(start);
