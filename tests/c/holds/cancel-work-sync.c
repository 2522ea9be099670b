/*
 * A device is freed when its work item is idle: cancel_work_sync() takes it back, or waits for it.
 */
#include <linux/workqueue.h>
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct device_state {
	struct work_struct work;
	int events;
};
static struct device_state *dev;

static void handle(struct work_struct *work)
{
	struct device_state *d = container_of(work, struct device_state, work);

	d->events++;
}

static int remove_device(void *unused)
{
	schedule_work(&dev->work);
	cancel_work_sync(&dev->work);
	kfree(dev);
	return 0;
}

static int __init start(void)
{
	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	INIT_WORK(&dev->work, handle);
	kthread_run(remove_device, NULL, "remove");
	return 0;
}
module_init(start);
