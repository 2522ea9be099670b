/*
 * A list that readers walk under RCU while an entry is taken out of it. An entry is freed too early:
 *
 *	holdfast check race.c			says how
 *	holdfast check race.c -D FIXED		holds
 */
#include <linux/rculist.h>
#include <linux/spinlock.h>
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct item {
	struct list_head list;
	int key;
	struct rcu_head rcu;
};
static LIST_HEAD(items);
static DEFINE_SPINLOCK(lock);

/* Looks for keys, as many readers may at the same time. */
static int reader(void *unused)
{
	struct item *i;
	int sum = 0;

	rcu_read_lock();
	list_for_each_entry_rcu(i, &items, list)
		sum += READ_ONCE(i->key);
	rcu_read_unlock();
	WARN_ON(sum != 2 && sum != 3);
	return 0;
}

/* Takes out the entry with key 1. */
static int remover(void *unused)
{
	struct item *i, *found = NULL;

	spin_lock(&lock);
	list_for_each_entry(i, &items, list)
		if (i->key == 1) {
			found = i;
			break;
		}
	if (found)
		list_del_rcu(&found->list);
	spin_unlock(&lock);
	if (!found)
		return 0;
#ifdef FIXED
	kfree_rcu(found, rcu);
#else
	kfree(found);		/* readers may still be at it */
#endif
	return 0;
}

static int __init start(void)
{
	for (int k = 1; k <= 2; k++) {
		struct item *i = kzalloc(sizeof(*i), GFP_KERNEL);

		i->key = k;
		list_add_tail_rcu(&i->list, &items);
	}
	kthread_run(reader, NULL, "reader");
	kthread_run(remover, NULL, "remover");
	return 0;
}
module_init(start);
