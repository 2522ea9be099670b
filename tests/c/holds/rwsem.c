/* Readers of two values under a read lock, a writer under the write lock. */
#include <linux/rwsem.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DECLARE_RWSEM(sem);
static int a, b;

static int reader(void *unused)
{
	down_read(&sem);
	BUG_ON(a != b);
	up_read(&sem);
	return 0;
}

static int writer(void *unused)
{
	down_write(&sem);
	a++;
	b++;
	downgrade_write(&sem);
	BUG_ON(a != b);
	up_read(&sem);
	return 0;
}

static int __init start(void)
{
	kthread_run(reader, NULL, "reader");
	kthread_run(reader, NULL, "reader");
	kthread_run(writer, NULL, "writer");
	return 0;
}
module_init(start);
