/* A reader that sleeps in its section, and an updater that waits for it. */
#include <linux/srcu.h>
#include <linux/slab.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>

DEFINE_STATIC_SRCU(srcu);
struct config { int value; };
static struct config __rcu *conf;

static int reader(void *unused)
{
	struct config *c;
	int idx = srcu_read_lock(&srcu);

	c = srcu_dereference(conf, &srcu);
	msleep(10);
	if (c)
		BUG_ON(READ_ONCE(c->value) != 1);
	srcu_read_unlock(&srcu, idx);
	return 0;
}

static int updater(void *unused)
{
	struct config *c = rcu_replace_pointer(conf, NULL, 1);

	synchronize_srcu(&srcu);
	kfree(c);
	return 0;
}

static int __init start(void)
{
	struct config *c = kzalloc(sizeof(*c), GFP_KERNEL);

	c->value = 1;
	rcu_assign_pointer(conf, c);
	kthread_run(reader, NULL, "reader");
	kthread_run(updater, NULL, "updater");
	return 0;
}
module_init(start);
