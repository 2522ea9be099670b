// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/module.h>
#include <linux/kernel.h>
#include <linux/init.h>
#include <linux/slab.h>
#include <linux/mutex.h>
#include <linux/list.h>
#include <linux/kref.h>
#include <linux/err.h>
#include <linux/workqueue.h>
#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/bitops.h>
#include <linux/string.h>
#include <linux/delay.h>
#include <linux/timer.h>

#define FOO_NAME "foo"
#define FOO_RING 4

enum foo_state { FOO_IDLE, FOO_RUNNING = 3, FOO_DEAD };
enum { FLAG_OPEN, FLAG_ERROR };

struct foo_device;
struct foo_ops {
	int (*open)(struct foo_device *foo);
	void (*release)(struct foo_device *foo);
	ssize_t (*read)(struct foo_device *foo, char *buf, size_t count);
};

struct foo_request {
	struct list_head node;
	union {
		u32 raw;
		struct { u8 cmd; u8 len; u16 flags; };
	};
	struct completion done;
	int status;
};

struct foo_device {
	struct kref ref;
	struct mutex lock;
	spinlock_t queue_lock;
	struct list_head queue;
	struct work_struct work;
	wait_queue_head_t wait;
	unsigned long flags;
	enum foo_state state;
	unsigned int irqs : 4, opened : 1;
	const struct foo_ops *ops;
	u8 ring[FOO_RING];
	unsigned int head, tail;
};

static struct foo_device *foo_dev;
static int debug __read_mostly = 1;
module_param(debug, int, 0644);
MODULE_PARM_DESC(debug, "say more");

static void foo_free(struct kref *kref)
{
	struct foo_device *foo = container_of(kref, struct foo_device, ref);

	pr_debug("%s: gone\n", __func__);
	mutex_destroy(&foo->lock);
	kfree(foo);
}

static inline void foo_put(struct foo_device *foo) { kref_put(&foo->ref, foo_free); }

static irqreturn_t foo_irq(int irq, void *data)
{
	struct foo_device *foo = data;
	unsigned long flags;

	spin_lock_irqsave(&foo->queue_lock, flags);
	foo->ring[foo->head++ % ARRAY_SIZE(foo->ring)] = 7;
	foo->irqs++;
	spin_unlock_irqrestore(&foo->queue_lock, flags);
	wake_up_interruptible(&foo->wait);
	return IRQ_HANDLED;
}

static int foo_open(struct foo_device *foo)
{
	int ret = 0;

	ret = mutex_lock_interruptible(&foo->lock);
	if (ret)
		return ret;
	if (test_and_set_bit(FLAG_OPEN, &foo->flags)) {
		ret = -EBUSY;
		goto out;
	}
	switch (foo->state) {
	case FOO_IDLE:
		foo->state = FOO_RUNNING;
		fallthrough;
	case FOO_RUNNING:
		break;
	default:
		ret = -ENODEV;
		goto out;
	}
	foo->opened = true;
out:
	mutex_unlock(&foo->lock);
	return ret;
}

static void foo_release(struct foo_device *foo)
{
	mutex_lock(&foo->lock);
	foo->opened = 0;
	clear_bit(FLAG_OPEN, &foo->flags);
	mutex_unlock(&foo->lock);
}

static const struct foo_ops foo_ops = {
	.open = foo_open,
	.release = foo_release,
};

static void foo_work(struct work_struct *work)
{
	struct foo_device *foo = container_of(work, struct foo_device, work);
	struct foo_request *req, *tmp;
	LIST_HEAD(todo);

	spin_lock_irq(&foo->queue_lock);
	list_splice_init(&foo->queue, &todo);
	spin_unlock_irq(&foo->queue_lock);
	list_for_each_entry_safe(req, tmp, &todo, node) {
		list_del_init(&req->node);
		req->status = req->cmd == 1 ? 0 : -EINVAL;
		complete(&req->done);
	}
}

static int foo_submit(struct foo_device *foo, u8 cmd)
{
	struct foo_request req = { .cmd = cmd, .len = sizeof(u32) };

	INIT_LIST_HEAD(&req.node);
	init_completion(&req.done);
	spin_lock_irq(&foo->queue_lock);
	list_add_tail(&req.node, &foo->queue);
	spin_unlock_irq(&foo->queue_lock);
	schedule_work(&foo->work);
	wait_for_completion(&req.done);
	return req.status;
}

static struct foo_device *foo_create(void)
{
	struct foo_device *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return ERR_PTR(-ENOMEM);
	kref_init(&foo->ref);
	mutex_init(&foo->lock);
	spin_lock_init(&foo->queue_lock);
	INIT_LIST_HEAD(&foo->queue);
	INIT_WORK(&foo->work, foo_work);
	init_waitqueue_head(&foo->wait);
	foo->ops = &foo_ops;
	return foo;
}

static int foo_user(void *data)
{
	struct foo_device *foo = data;
	int err;

	err = foo->ops->open(foo);
	if (!err) {
		err = foo_submit(foo, 1);
		WARN_ON_ONCE(err);
		foo->ops->release(foo);
	} else if (err != -EBUSY)
		pr_err("open: %d\n", err);
	foo_put(foo);
	return err;
}

static int __init foo_init(void)
{
	struct foo_device *foo;
	int i, ret;

	foo = foo_create();
	if (IS_ERR(foo))
		return PTR_ERR(foo);
	ret = request_irq(5, foo_irq, IRQF_SHARED, FOO_NAME, foo);
	if (ret) {
		kfree(foo);
		return ret;
	}
	foo_dev = foo;
	for (i = 0; i < 1; i++) {
		struct task_struct *t;

		kref_get(&foo->ref);
		t = kthread_run(foo_user, foo, "user/%d", i);
		if (IS_ERR(t))
			foo_put(foo);
	}
	return 0;
}

static void __exit foo_exit(void)
{
	free_irq(5, foo_dev);
	cancel_work_sync(&foo_dev->work);
	foo_put(foo_dev);
}
module_init(foo_init);
module_exit(foo_exit);
MODULE_LICENSE("GPL");
