/*
 * A lock that an interrupt handler takes, taken by a thread with interrupts on: if the interrupt comes on
 * that CPU, it waits for ever.
 * error: irq-state
 * tso: holds
 * arm64: holds
 * riscv: holds
 * lkmm: holds
 */
#include <linux/interrupt.h>
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DEFINE_SPINLOCK(lock);
static int pending;

static irqreturn_t handler(int irq, void *dev)
{
	spin_lock(&lock);
	pending++;
	spin_unlock(&lock);
	return IRQ_HANDLED;
}

static int worker(void *unused)
{
	spin_lock(&lock);
	pending = 0;
	spin_unlock(&lock);
	return 0;
}

static int dev;
static int __init start(void)
{
	if (request_irq(5, handler, 0, "dev", &dev))
		return -1;
	kthread_run(worker, NULL, "worker");
	return 0;
}
module_init(start);
