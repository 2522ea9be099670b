/*
 * RCU whose readers may sleep (include/linux/srcu.h). A grace period of one srcu_struct waits for the readers
 * of that one: first of the index that is not current, then, with the other one current, of what was.
 */
#pragma once
#include <linux/types.h>
#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/mutex.h>
#include <linux/deferred.h>
#include <linux/slab.h>

struct srcu_struct {
	int idx;
	int nr[2];
	struct mutex gp;
};
#define DEFINE_SRCU(name) struct srcu_struct name
#define DEFINE_STATIC_SRCU(name) static struct srcu_struct name
/* Sections of any srcu_struct that this thread is inside. */
_Thread_local int __hf_srcu_count;

static inline int init_srcu_struct(struct srcu_struct *ssp)
{
	ssp->idx = 0;
	ssp->nr[0] = 0;
	ssp->nr[1] = 0;
	mutex_init(&ssp->gp);
	return 0;
}
static inline void cleanup_srcu_struct(struct srcu_struct *ssp)
{
	WARN_ON(READ_ONCE(ssp->nr[0]) != 0 || READ_ONCE(ssp->nr[1]) != 0);
}
static inline int srcu_read_lock(struct srcu_struct *ssp)
{
	int idx = READ_ONCE(ssp->idx);

	(void)__hf_rmw_add_mb(&ssp->nr[idx], 1);
	__hf_srcu_count++;
	return idx;
}
static inline void srcu_read_unlock(struct srcu_struct *ssp, int idx)
{
	int old = __hf_rmw_add_mb(&ssp->nr[idx], -1);

	__hf_assert(old > 0, "assertion", "srcu_read_unlock() of an index that nobody is in");
	__hf_srcu_count--;
}
#define srcu_read_lock_held(ssp) (__hf_srcu_count > 0)
static inline void __srcu_wait(struct srcu_struct *ssp)
{
	int idx;

	__hf_spin_lock(&ssp->gp.owner);
	smp_mb();
	idx = ssp->idx;
	(void)__hf_await_eq(&ssp->nr[!idx], 0);
	smp_mb();
	WRITE_ONCE(ssp->idx, !idx);
	smp_mb();
	(void)__hf_await_eq(&ssp->nr[idx], 0);
	smp_mb();
	__hf_spin_unlock(&ssp->gp.owner);
}
static inline void synchronize_srcu(struct srcu_struct *ssp)
{
	might_sleep();
	__srcu_wait(ssp);
}
#define synchronize_srcu_expedited(ssp) synchronize_srcu(ssp)
#define srcu_dereference_check(p, ssp, c) \
	({ \
		RCU_LOCKDEP_WARN(!((c) || srcu_read_lock_held(ssp)), \
				 "srcu_dereference(" #p ") outside a read-side section"); \
		READ_ONCE(p); \
	})
#define srcu_dereference(p, ssp) srcu_dereference_check(p, ssp, 0)
#define smp_mb__after_srcu_read_unlock() smp_mb()

struct __hf_srcu_call { struct srcu_struct *ssp; struct rcu_head *head; void (*func)(struct rcu_head *head); };
static void __hf_srcu_callback(void *arg)
{
	struct __hf_srcu_call *call = arg;
	void (*func)(struct rcu_head *head) = call->func;

	__srcu_wait(call->ssp);
	func(call->head);
}
static inline void call_srcu(struct srcu_struct *ssp, struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	struct __hf_srcu_call *call = __hf_zalloc(sizeof(struct __hf_srcu_call));

	call->ssp = ssp;
	call->head = head;
	call->func = func;
	__hf_start(__hf_srcu_callback, call);
}
