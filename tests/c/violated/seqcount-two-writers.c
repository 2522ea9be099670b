/*
 * A seqcount whose two writers exclude each other by nothing: the counter is even while one of them writes.
 * error: assertion
 */
#include <linux/seqlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

static seqcount_t lock;
static int a, b;

static int reader(void *unused)
{
	unsigned int seq;
	int x, y;

	do {
		seq = read_seqcount_begin(&lock);
		x = READ_ONCE(a);
		y = READ_ONCE(b);
	} while (read_seqcount_retry(&lock, seq));
	BUG_ON(x != y);
	return 0;
}

static int writer(void *unused)
{
	write_seqcount_begin(&lock);
	WRITE_ONCE(a, a + 1);
	WRITE_ONCE(b, b + 1);
	write_seqcount_end(&lock);
	return 0;
}

static int __init start(void)
{
	kthread_run(reader, NULL, "reader");
	kthread_run(writer, NULL, "writer");
	kthread_run(writer, NULL, "writer");
	return 0;
}
module_init(start);
