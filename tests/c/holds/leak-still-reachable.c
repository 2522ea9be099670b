/*
 * What a variable that lives for ever leads to is not lost: an object, and what that points into.
 * check: leaks
 */
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct node { int value; int *into; };
static struct node *first;

static int writer(void *unused)
{
	struct node *a = kzalloc(sizeof(*a), GFP_KERNEL);
	struct node *b = kzalloc(sizeof(*b), GFP_KERNEL);

	a->into = &b->value;
	WRITE_ONCE(first, a);
	return 0;
}

static int __init start(void)
{
	kthread_run(writer, NULL, "writer");
	return 0;
}
module_init(start);
MODULE_LICENSE("GPL");
