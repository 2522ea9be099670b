/*
 * Dekker's flags without a barrier: each side writes its own and reads the other's. Holds where every write
 * is seen at once; a store buffer breaks it.
 * error: assertion
 * sc: holds
 */
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/kthread.h>
#include <linux/module.h>

static int x, y;
static int r0, r1;
static int ended;

static void end(void)
{
	if (xchg(&ended, 1))
		BUG_ON(READ_ONCE(r0) == 0 && READ_ONCE(r1) == 0);
}

static int left(void *unused)
{
	WRITE_ONCE(x, 1);
	WRITE_ONCE(r0, READ_ONCE(y));
	end();
	return 0;
}

static int right(void *unused)
{
	WRITE_ONCE(y, 1);
	WRITE_ONCE(r1, READ_ONCE(x));
	end();
	return 0;
}

static int __init start(void)
{
	kthread_run(left, NULL, "left");
	kthread_run(right, NULL, "right");
	return 0;
}
module_init(start);
