/*
 * timer_delete_sync() waits for the function, too.
 */
#include <linux/timer.h>
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct watchdog {
	struct timer_list timer;
	int barks;
};
static struct watchdog *dog;

static void bark(struct timer_list *t)
{
	struct watchdog *w = timer_container_of(w, t, timer);

	w->barks++;
}

static int stop(void *unused)
{
	mod_timer(&dog->timer, jiffies + HZ);
	timer_delete_sync(&dog->timer);
	kfree(dog);
	return 0;
}

static int __init start(void)
{
	dog = kzalloc(sizeof(*dog), GFP_KERNEL);
	timer_setup(&dog->timer, bark, 0);
	kthread_run(stop, NULL, "stop");
	return 0;
}
module_init(start);
