/*
 * Interrupt handlers and tasklets (include/linux/interrupt.h). An interrupt comes at most once for each
 * request_irq(), at any moment until free_irq(), on a CPU of its own.
 */
#pragma once
#include <linux/deferred.h>
#include <linux/slab.h>

typedef int irqreturn_t;
#define IRQ_NONE 0
#define IRQ_HANDLED 1
#define IRQ_WAKE_THREAD 2
#define IRQ_RETVAL(x) ((x) ? IRQ_HANDLED : IRQ_NONE)
#define IRQF_SHARED 0x80
#define IRQF_ONESHOT 0x2000
#define IRQF_TRIGGER_RISING 0x1
typedef irqreturn_t (*irq_handler_t)(int irq, void *dev_id);

struct __hf_irq {
	struct __hf_deferred data;
	int irq;
	void *dev;
	irq_handler_t handler, thread_fn;
	struct __hf_irq *next;
};
static struct __hf_irq *__hf_irqs;

static void __hf_interrupt(void *arg)
{
	struct __hf_run *run = arg;
	struct __hf_irq *action = run->item;
	irqreturn_t ret = IRQ_WAKE_THREAD;

	if (!__hf_run_begin(run))
		return;
	if (action->handler) {
		(void)__hf_local_irq_save();
		__hf_irqs_off = 1;
		__hf_hardirq = 1;
		ret = action->handler(action->irq, action->dev);
		__hf_hardirq = 0;
		__hf_irqs_off = 0;
		__hf_local_irq_restore(0);
	}
	if (ret == IRQ_WAKE_THREAD && action->thread_fn)
		action->thread_fn(action->irq, action->dev);
	__hf_run_end(run);
}
static inline int request_threaded_irq(unsigned int irq, irq_handler_t handler, irq_handler_t thread_fn,
				       unsigned long flags, const char *name, void *dev)
{
	struct __hf_irq *action = __hf_zalloc(sizeof(struct __hf_irq));
	struct __hf_run *run;

	action->irq = irq;
	action->dev = dev;
	action->handler = handler;
	action->thread_fn = thread_fn;
	action->next = __hf_irqs;
	smp_store_release(&__hf_irqs, action);
	run = __hf_run_new(&action->data);
	__hf_start(__hf_interrupt, run);
	return 0;
}
#define request_irq(irq, handler, flags, name, dev) request_threaded_irq(irq, handler, NULL, flags, name, dev)
static inline struct __hf_irq *__hf_find_irq(unsigned int irq, void *dev)
{
	struct __hf_irq *a = smp_load_acquire(&__hf_irqs);

	while (a && !(a->irq == irq && a->dev == dev))
		a = a->next;
	return a;
}
/* Behind this the handler runs no more. */
static inline void *free_irq(unsigned int irq, void *dev)
{
	struct __hf_irq *a = __hf_find_irq(irq, dev);

	might_sleep();
	WARN_ON(!a);
	if (a)
		(void)__hf_run_cancel_sync(&a->data);
	return dev;
}
/* Waits for a handler that runs. */
static inline void synchronize_irq(unsigned int irq)
{
	might_sleep();
	for (struct __hf_irq *a = smp_load_acquire(&__hf_irqs); a; a = a->next)
		if (a->irq == irq && __hf_load_once(&a->data.run->state) == __RUN_RUNNING)
			(void)__hf_await_ne(&a->data.run->state, __RUN_RUNNING);
}

struct tasklet_struct {
	struct __hf_deferred data;
	void (*callback)(struct tasklet_struct *t);
};
#define DECLARE_TASKLET(name, fn) struct tasklet_struct name = { { 0, NULL }, fn }
static inline void tasklet_setup(struct tasklet_struct *t, void (*callback)(struct tasklet_struct *))
{
	t->data.pending = 0;
	t->data.run = NULL;
	t->callback = callback;
}
static void __hf_tasklet(void *arg)
{
	struct __hf_run *run = arg;
	struct tasklet_struct *t = run->item;

	local_bh_disable();
	if (__hf_run_begin(run)) {
		t->callback(t);
		__hf_run_end(run);
	}
	local_bh_enable();
}
static inline void tasklet_schedule(struct tasklet_struct *t)
{
	struct __hf_run *run = __hf_run_new(&t->data);

	if (run)
		__hf_start(__hf_tasklet, run);
}
#define tasklet_hi_schedule(t) tasklet_schedule(t)
/* Behind this it does not run, and is not scheduled. */
static inline void tasklet_kill(struct tasklet_struct *t)
{
	might_sleep();
	__hf_run_wait(smp_load_acquire(&t->data.run));
}
