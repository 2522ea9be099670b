/*
 * rcu_dereference() outside a read-side section: lockdep's "suspicious RCU usage".
 * error: rcu-usage
 */
#include <linux/rcupdate.h>
#include <linux/kthread.h>
#include <linux/module.h>

static int x = 1;
static int *gp = &x;

static int reader(void *unused)
{
	int *p = rcu_dereference(gp);

	return *p;
}

static int __init start(void)
{
	kthread_run(reader, NULL, "reader");
	return 0;
}
module_init(start);
