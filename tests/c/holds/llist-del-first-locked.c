/*
 * Consumers of an llist take a lock around llist_del_first(); who adds needs none.
 */
#include <linux/llist.h>
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct buffer {
	struct llist_node node;
	int users;
};
static struct buffer x, y;
static LLIST_HEAD(pool);
static DEFINE_SPINLOCK(consumers);

static struct buffer *take(void)
{
	struct llist_node *n;
	struct buffer *b;

	spin_lock(&consumers);
	n = llist_del_first(&pool);
	spin_unlock(&consumers);
	if (!n)
		return NULL;
	b = llist_entry(n, struct buffer, node);
	BUG_ON(xchg(&b->users, 1) != 0);
	return b;
}

static void give_back(struct buffer *b)
{
	if (!b)
		return;
	xchg(&b->users, 0);
	llist_add(&b->node, &pool);
}

static int first(void *unused)
{
	take();
	take();
	return 0;
}

static int second(void *unused)
{
	struct buffer *a = take();
	struct buffer *b = take();

	give_back(a);
	(void)b;
	return 0;
}

static int __init start(void)
{
	llist_add(&x.node, &pool);
	llist_add(&y.node, &pool);
	kthread_run(first, NULL, "first");
	kthread_run(second, NULL, "second");
	return 0;
}
module_init(start);
