/*
 * Work that runs later, once for each time that it is put off: what work items, timers and tasklets have in
 * common. Each time is a record of its own, so that who waits for one needs nothing of an object that its
 * own function may free. The item itself is touched when its turn comes: freed by then, that is found.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/context.h>
#include <linux/irqflags.h>

#define __RUN_QUEUED 0
#define __RUN_RUNNING 1
#define __RUN_DONE 2
#define __RUN_CANCELLED 3

struct __hf_run {
	void *item;
	int state;
	/* The time before, of the same item: one ends before the next begins. */
	struct __hf_run *prev;
	/* What was put on the same queue before, and the queue. */
	struct __hf_run *queued;
	struct workqueue_struct *wq;
};
/* At the start of each item. */
struct __hf_deferred { int pending; struct __hf_run *run; };

/* Waits until that time is over, and those before. */
static inline void __hf_run_wait(struct __hf_run *run)
{
	for (; run; run = run->prev) {
		(void)__hf_await_ne(&run->state, __RUN_QUEUED);
		if (__hf_await_ne(&run->state, __RUN_RUNNING) == __RUN_DONE)
			return;
	}
}
/* The time of a run has come: false if it was cancelled. Then the item may be put off again. */
static inline bool __hf_run_begin(struct __hf_run *run)
{
	struct __hf_deferred *d = run->item;

	if (run->prev)
		__hf_run_wait(run->prev);
	if (__hf_cmpxchg_mb(&run->state, __RUN_QUEUED, __RUN_RUNNING) != __RUN_QUEUED)
		return false;
	(void)__hf_rmw_xchg_mb(&d->pending, 0);
	return true;
}
#define __hf_run_end(run) smp_store_release(&(run)->state, __RUN_DONE)
/* A record for one more time; NULL if the item is put off already. */
static inline struct __hf_run *__hf_run_new(struct __hf_deferred *d)
{
	struct __hf_run *run;

	if (__hf_rmw_xchg_mb(&d->pending, 1))
		return NULL;
	run = __hf_zalloc(sizeof(struct __hf_run));
	run->item = d;
	run->prev = d->run;
	smp_store_release(&d->run, run);
	return run;
}
/* Takes the item back if its time has not come. It stays marked, so that nobody puts it off again meanwhile. */
static inline bool __hf_run_grab(struct __hf_deferred *d)
{
	for (;;) {
		struct __hf_run *run;

		if (!__hf_rmw_xchg_mb(&d->pending, 1))
			return false;
		run = smp_load_acquire(&d->run);
		if (run && __hf_cmpxchg_mb(&run->state, __RUN_QUEUED, __RUN_CANCELLED) == __RUN_QUEUED)
			return true;
		cpu_relax();
	}
}
static inline bool __hf_run_cancel(struct __hf_deferred *d)
{
	bool was = __hf_run_grab(d);

	smp_store_release(&d->pending, 0);
	return was;
}
static inline bool __hf_run_cancel_sync(struct __hf_deferred *d)
{
	bool was = __hf_run_grab(d);

	__hf_run_wait(smp_load_acquire(&d->run));
	smp_store_release(&d->pending, 0);
	return was;
}
