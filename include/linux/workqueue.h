/*
 * Workqueues (include/linux/workqueue.h, kernel/workqueue.c). A work item runs once for each time that it was
 * queued while it was not pending, never beside itself; items of an ordered queue run one after the other.
 * A delay may be over at any moment.
 */
#pragma once
#include <linux/deferred.h>
#include <linux/slab.h>

struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);
struct work_struct {
	struct __hf_deferred data;
	work_func_t func;
};
struct delayed_work { struct work_struct work; };
struct rcu_work { struct work_struct work; struct rcu_head rcu; };
struct workqueue_struct {
	int ordered;
	/* What was queued last. */
	struct __hf_run *last;
};
static struct workqueue_struct __hf_system_wq, __hf_system_ordered_wq = { 1 };
#define system_wq (&__hf_system_wq)
#define system_percpu_wq system_wq
#define system_dfl_wq system_wq
#define system_highpri_wq system_wq
#define system_long_wq system_wq
#define system_unbound_wq system_wq
#define system_freezable_wq system_wq

#define WQ_UNBOUND 0x2
#define WQ_FREEZABLE 0x4
#define WQ_MEM_RECLAIM 0x8
#define WQ_HIGHPRI 0x10
#define WQ_PERCPU 0x100
#define WQ_SYSFS 0x40
#define __WQ_ORDERED 0x20000

#define __WORK_INITIALIZER(n, f) { { 0, NULL }, f }
#define DECLARE_WORK(n, f) struct work_struct n = __WORK_INITIALIZER(n, f)
#define DECLARE_DELAYED_WORK(n, f) struct delayed_work n = { __WORK_INITIALIZER(n, f) }
static inline void __init_work(struct work_struct *work, work_func_t func)
{
	work->data.pending = 0;
	work->data.run = NULL;
	work->func = func;
}
#define INIT_WORK(w, f) __init_work(w, f)
#define INIT_WORK_ONSTACK(w, f) __init_work(w, f)
#define INIT_DELAYED_WORK(w, f) __init_work(&(w)->work, f)
#define INIT_DEFERRABLE_WORK(w, f) __init_work(&(w)->work, f)
#define PREPARE_WORK(w, f) ((void)((w)->func = (f)))
#define destroy_work_on_stack(w) ((void)(w))
#define to_delayed_work(w) container_of(w, struct delayed_work, work)
#define work_pending(w) (__hf_load_once(&(w)->data.pending) != 0)
#define delayed_work_pending(w) work_pending(&(w)->work)

static inline struct workqueue_struct *__alloc_workqueue(int ordered)
{
	struct workqueue_struct *wq = __hf_zalloc(sizeof(struct workqueue_struct));

	wq->ordered = ordered;
	return wq;
}
#define alloc_workqueue(fmt, flags, max_active, ...) __alloc_workqueue(((flags) & __WQ_ORDERED) != 0)
#define alloc_ordered_workqueue(fmt, flags, ...) __alloc_workqueue(1)
#define create_workqueue(name) __alloc_workqueue(0)
#define create_freezable_workqueue(name) __alloc_workqueue(0)
#define create_singlethread_workqueue(name) __alloc_workqueue(1)

static void __hf_kworker(void *arg)
{
	struct __hf_run *run = arg;
	struct work_struct *work = run->item;

	if (run->wq->ordered && run->queued)
		for (struct __hf_run *q = run->queued; q; q = q->queued) {
			(void)__hf_await_ne(&q->state, __RUN_QUEUED);
			if (__hf_await_ne(&q->state, __RUN_RUNNING) == __RUN_DONE)
				break;
		}
	if (!__hf_run_begin(run))
		return;
	work->func(work);
	__hf_run_end(run);
}
/* False if it is pending already. */
static inline bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	struct __hf_run *run = __hf_run_new(&work->data);

	if (!run)
		return false;
	run->wq = wq;
	run->queued = __hf_rmw_xchg_mb(&wq->last, run);
	__hf_start(__hf_kworker, run);
	return true;
}
#define queue_work_on(cpu, wq, work) queue_work(wq, work)
#define schedule_work(work) queue_work(system_wq, work)
#define schedule_work_on(cpu, work) queue_work(system_wq, work)
#define queue_delayed_work(wq, dwork, delay) queue_work(wq, &(dwork)->work)
#define queue_delayed_work_on(cpu, wq, dwork, delay) queue_work(wq, &(dwork)->work)
#define schedule_delayed_work(dwork, delay) queue_work(system_wq, &(dwork)->work)
#define schedule_delayed_work_on(cpu, dwork, delay) queue_work(system_wq, &(dwork)->work)
/* True if it was pending, and is still. */
#define mod_delayed_work(wq, dwork, delay) (!queue_work(wq, &(dwork)->work))

/* Waits until the item's last time is over. */
static inline bool flush_work(struct work_struct *work)
{
	struct __hf_run *run = smp_load_acquire(&work->data.run);

	might_sleep();
	__hf_run_wait(run);
	return run != NULL;
}
#define flush_delayed_work(dwork) flush_work(&(dwork)->work)
/* True if it was pending. The function may be running still. */
#define cancel_work(w) __hf_run_cancel(&(w)->data)
#define cancel_delayed_work(dwork) cancel_work(&(dwork)->work)
/* True if it was pending. The item is idle behind this. */
static inline bool cancel_work_sync(struct work_struct *work)
{
	might_sleep();
	return __hf_run_cancel_sync(&work->data);
}
#define cancel_delayed_work_sync(dwork) cancel_work_sync(&(dwork)->work)
/* Waits for all that was queued before. */
static inline void flush_workqueue(struct workqueue_struct *wq)
{
	might_sleep();
	for (struct __hf_run *run = smp_load_acquire(&wq->last); run; run = run->queued) {
		(void)__hf_await_ne(&run->state, __RUN_QUEUED);
		(void)__hf_await_ne(&run->state, __RUN_RUNNING);
	}
}
#define flush_scheduled_work() flush_workqueue(system_wq)
/* Until nothing is left that was queued, not even by the items themselves. */
static inline void drain_workqueue(struct workqueue_struct *wq)
{
	struct __hf_run *last;

	do {
		last = smp_load_acquire(&wq->last);
		flush_workqueue(wq);
	} while (READ_ONCE(wq->last) != last);
}
static inline void destroy_workqueue(struct workqueue_struct *wq)
{
	drain_workqueue(wq);
	__hf_free(wq);
}
