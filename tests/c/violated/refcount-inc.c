/*
 * A reference taken without asking whether there is one left: the count may have reached 0 between the
 * look-up and the increment (Documentation/core-api/kref.rst, rule 3).
 * error: refcount-zero
 */
#include <linux/refcount.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct foo {
	refcount_t ref;
	int value;
	struct rcu_head rcu;
};
static struct foo __rcu *gp;

static void put_foo(struct foo *p)
{
	if (refcount_dec_and_test(&p->ref))
		kfree_rcu(p, rcu);
}

static int reader(void *unused)
{
	struct foo *p;

	rcu_read_lock();
	p = rcu_dereference(gp);
	if (p)
		refcount_inc(&p->ref);
	rcu_read_unlock();
	if (p) {
		BUG_ON(p->value != 1);
		put_foo(p);
	}
	return 0;
}

static int remover(void *unused)
{
	struct foo *p = rcu_dereference_protected(gp, 1);

	rcu_assign_pointer(gp, NULL);
	put_foo(p);
	return 0;
}

static int __init start(void)
{
	struct foo *p = kzalloc(sizeof(*p), GFP_KERNEL);

	p->value = 1;
	refcount_set(&p->ref, 1);
	rcu_assign_pointer(gp, p);
	kthread_run(reader, NULL, "reader");
	kthread_run(remover, NULL, "remover");
	return 0;
}
module_init(start);
