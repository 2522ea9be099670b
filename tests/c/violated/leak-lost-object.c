/*
 * The object that a second publication replaces is freed by nobody.
 * error: leak
 * check: leaks
 * arm64: holds
 * riscv: holds
 * lkmm: holds
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

	rcu_assign_pointer(gp, p);		/* what was there is lost */
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
