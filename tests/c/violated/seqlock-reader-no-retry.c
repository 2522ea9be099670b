/*
 * A reader of two values that belong together looks at the sequence counter once and does not come back to
 * it.
 * error: assertion
 */
#include <linux/seqlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DEFINE_SEQLOCK(lock);
static int a, b;

static int reader(void *unused)
{
	int x, y;

	read_seqbegin(&lock);
	x = READ_ONCE(a);
	y = READ_ONCE(b);
	BUG_ON(x != y);
	return 0;
}

static int writer(void *unused)
{
	write_seqlock(&lock);
	WRITE_ONCE(a, 1);
	WRITE_ONCE(b, 1);
	write_sequnlock(&lock);
	return 0;
}

static int __init start(void)
{
	kthread_run(reader, NULL, "reader");
	kthread_run(writer, NULL, "writer");
	return 0;
}
module_init(start);
