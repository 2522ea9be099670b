/*
 * Timers (include/linux/timer.h): the function runs in softirq context, at any moment behind the start.
 */
#pragma once
#include <linux/deferred.h>
#include <linux/container_of.h>
#include <linux/jiffies.h>

struct timer_list {
	struct __hf_deferred data;
	unsigned long expires;
	void (*function)(struct timer_list *timer);
	u32 flags;
};
#define TIMER_DEFERRABLE 0x80000
#define TIMER_PINNED 0x100000
#define TIMER_IRQSAFE 0x200000
#define DEFINE_TIMER(name, fn) struct timer_list name = { { 0, NULL }, 0, fn, 0 }
static inline void __timer_setup(struct timer_list *t, void (*fn)(struct timer_list *))
{
	t->data.pending = 0;
	t->data.run = NULL;
	t->function = fn;
}
#define timer_setup(t, fn, flags) __timer_setup(t, fn)
#define timer_setup_on_stack(t, fn, flags) __timer_setup(t, fn)
#define destroy_timer_on_stack(t) ((void)(t))
#define timer_container_of(var, t, field) container_of(t, typeof(*var), field)
#define from_timer(var, t, field) container_of(t, typeof(*var), field)
#define timer_pending(t) (__hf_load_once(&(t)->data.pending) != 0)

static void __hf_timer(void *arg)
{
	struct __hf_run *run = arg;
	struct timer_list *t = run->item;
	void (*fn)(struct timer_list *);

	local_bh_disable();
	if (__hf_run_begin(run)) {
		fn = t->function;
		if (fn)
			fn(t);
		__hf_run_end(run);
	}
	local_bh_enable();
}
/* 1 if it was pending, and is still. A timer that was shut down is not started again. */
static inline int mod_timer(struct timer_list *t, unsigned long expires)
{
	struct __hf_run *run;

	if (!t->function)
		return 0;
	run = __hf_run_new(&t->data);
	if (!run)
		return 1;
	__hf_start(__hf_timer, run);
	return 0;
}
#define mod_timer_pending(t, e) (timer_pending(t) ? mod_timer(t, e) : 0)
#define timer_reduce(t, e) mod_timer(t, e)
#define add_timer(t) ((void)mod_timer(t, 0))
#define add_timer_on(t, cpu) ((void)mod_timer(t, 0))
/* 1 if it was pending. Its function may be running still. */
#define timer_delete(t) ((int)__hf_run_cancel(&(t)->data))
#define del_timer(t) timer_delete(t)
/* Behind this its function runs no more. Not with a lock held that the function takes. */
static inline int timer_delete_sync(struct timer_list *t)
{
	return __hf_run_cancel_sync(&t->data);
}
#define del_timer_sync(t) timer_delete_sync(t)
static inline int timer_shutdown_sync(struct timer_list *t)
{
	int was;

	WRITE_ONCE(t->function, NULL);
	was = timer_delete_sync(t);
	return was;
}
#define timer_shutdown(t) ({ WRITE_ONCE((t)->function, NULL); timer_delete(t); })
