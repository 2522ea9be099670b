/*
 * An object that is looked up under RCU and kept by a reference. The last one may be gone already when a
 * reader takes his:
 *
 *	holdfast check race.c			says how
 *	holdfast check race.c -D FIXED		holds
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

/* The object with a reference of one's own, or NULL. */
static struct foo *get_foo(void)
{
	struct foo *p;

	rcu_read_lock();
	p = rcu_dereference(gp);
#ifdef FIXED
	if (p && !refcount_inc_not_zero(&p->ref))
		p = NULL;
#else
	if (p)
		refcount_inc(&p->ref);		/* it may be 0 */
#endif
	rcu_read_unlock();
	return p;
}

static int reader(void *unused)
{
	struct foo *p = get_foo();

	if (p) {
		WARN_ON(p->value != 1);
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
