/*
 * Two threads take the same entry out of a list; each holds the lock, neither looks whether it is still in.
 * error: list-corruption
 */
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

static LIST_HEAD(list);
static DEFINE_SPINLOCK(lock);
static struct list_head entry;

static int remover(void *unused)
{
	spin_lock(&lock);
	list_del(&entry);
	spin_unlock(&lock);
	return 0;
}

static int __init start(void)
{
	list_add(&entry, &list);
	kthread_run(remover, NULL, "remover");
	kthread_run(remover, NULL, "remover");
	return 0;
}
module_init(start);
