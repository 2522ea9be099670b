/*
 * Recursion deeper than its bound: nothing is said of what lies behind it.
 */
#include <linux/bug.h>
#include <linux/module.h>
#include <linux/kthread.h>

static int x;

static int down(int n)
{
	return n == 0 ? READ_ONCE(x) : 1 + down(n - 1);
}

static int worker(void *unused)
{
	BUG_ON(down(20) != 20);
	return 0;
}

static int __init start(void)
{
	kthread_run(worker, NULL, "worker");
	return 0;
}
module_init(start);
