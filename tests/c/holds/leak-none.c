/*
 * What a second publication replaces is freed behind a grace period, what is left at the end by who unloads.
 * check: leaks
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct foo { int value; struct rcu_head rcu; };
static struct foo __rcu *gp;

static int writer(void *unused)
{
	struct foo *p = kzalloc(sizeof(*p), GFP_KERNEL);

	p = xchg(&gp, p);
	if (p)
		kfree_rcu(p, rcu);
	return 0;
}

static int __init start(void)
{
	kthread_run(writer, NULL, "writer");
	kthread_run(writer, NULL, "writer");
	return 0;
}
module_init(start);

static void __exit stop(void)
{
	kfree(gp);
}
module_exit(stop);
