/*
 * Objects of a SLAB_TYPESAFE_BY_RCU cache are reused at once: with a reference, the reader looks at the key
 * again, and puts back what is not his.
 */
#include <linux/refcount.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct conn {
	refcount_t ref;
	int key;
};
static struct kmem_cache *cache;
static struct conn __rcu *slot[2];

static void put(struct conn *c)
{
	if (refcount_dec_and_test(&c->ref))
		kmem_cache_free(cache, c);
}

static struct conn *lookup(int key)
{
	struct conn *c;

	rcu_read_lock();
	c = rcu_dereference(slot[key]);
	if (c && !refcount_inc_not_zero_acquire(&c->ref))
		c = NULL;
	rcu_read_unlock();
	if (c && READ_ONCE(c->key) != key) {
		put(c);
		c = NULL;
	}
	return c;
}

static int reader(void *unused)
{
	struct conn *c = lookup(0);

	if (c) {
		BUG_ON(READ_ONCE(c->key) != 0);
		put(c);
	}
	return 0;
}

static int mover(void *unused)
{
	struct conn *c = rcu_dereference_protected(slot[0], 1);

	rcu_assign_pointer(slot[0], NULL);
	put(c);
	c = kmem_cache_alloc(cache, GFP_KERNEL);
	WRITE_ONCE(c->key, 1);
	refcount_set_release(&c->ref, 1);
	rcu_assign_pointer(slot[1], c);
	return 0;
}

static int __init start(void)
{
	struct conn *c;

	cache = kmem_cache_create("conn", sizeof(struct conn), 0, SLAB_TYPESAFE_BY_RCU, NULL);
	c = kmem_cache_alloc(cache, GFP_KERNEL);
	c->key = 0;
	refcount_set(&c->ref, 1);
	rcu_assign_pointer(slot[0], c);
	kthread_run(reader, NULL, "reader");
	kthread_run(mover, NULL, "mover");
	return 0;
}
module_init(start);
