/*
 * Read-copy update (include/linux/rcupdate.h). A grace period waits for every reader that was there when it
 * began. Sections nest; who may sleep in one uses SRCU.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/bug.h>
#include <linux/context.h>

/* Begins a read-side section: what is seen in it by rcu_dereference() is not freed before its end. */
static inline void rcu_read_lock(void)
{
	__hf_rcu_count++;
	__hf_rcu_read_lock();
}
static inline void rcu_read_unlock(void)
{
	__hf_rcu_read_unlock();
	__hf_rcu_count--;
}
static inline void rcu_read_lock_bh(void)
{
	__hf_bh_count++;
	__hf_rcu_read_lock();
}
static inline void rcu_read_unlock_bh(void)
{
	__hf_rcu_read_unlock();
	__hf_bh_count--;
}
static inline void rcu_read_lock_sched(void)
{
	__hf_preempt_count++;
	__hf_rcu_read_lock();
}
static inline void rcu_read_unlock_sched(void)
{
	__hf_rcu_read_unlock();
	__hf_preempt_count--;
}
#define rcu_read_lock_held() (__hf_rcu_count > 0)
#define rcu_read_lock_bh_held() (__hf_bh_count > 0)
#define rcu_read_lock_sched_held() (__hf_preempt_count > 0 || __hf_irqs_off)
#define rcu_read_lock_any_held() (__hf_rcu_count > 0 || __hf_bh_count > 0 || __hf_preempt_count > 0 || __hf_irqs_off)
#define rcu_sleep_check() ((void)0)
#define RCU_LOCKDEP_WARN(cond, message) __hf_assert(!(cond), "rcu-usage", message)

/* Returns when every section that had begun before has ended. */
static inline void synchronize_rcu(void)
{
	RCU_LOCKDEP_WARN(rcu_read_lock_held(), "synchronize_rcu() in an RCU read-side section: it waits for itself");
	might_sleep();
	__hf_synchronize_rcu();
}
#define synchronize_rcu_expedited() synchronize_rcu()
#define synchronize_sched() synchronize_rcu()
#define synchronize_net() synchronize_rcu()

/* Calls func(head) after a grace period. */
#define call_rcu(head, func) __hf_call_rcu(head, func)
#define call_rcu_hurry(head, func) __hf_call_rcu(head, func)
/* Frees the object that `ptr` points to after a grace period; `member` is its rcu_head. */
#define kfree_rcu(ptr, member) \
	do { \
		__auto_type __p = (ptr); \
		(void)sizeof(__p->member); \
		if (__p) \
			__hf_kfree_rcu(__p); \
	} while (0)
#define kvfree_rcu(ptr, member) kfree_rcu(ptr, member)

/* Fetches an RCU-protected pointer that is then dereferenced, `c` being another reason why that is safe. */
#define rcu_dereference_check(p, c) \
	({ \
		RCU_LOCKDEP_WARN(!((c) || rcu_read_lock_held()), "rcu_dereference(" #p ") outside an RCU read-side section"); \
		READ_ONCE(p); \
	})
#define rcu_dereference(p) rcu_dereference_check(p, 0)
#define rcu_dereference_bh_check(p, c) rcu_dereference_check(p, (c) || rcu_read_lock_bh_held())
#define rcu_dereference_bh(p) rcu_dereference_bh_check(p, 0)
#define rcu_dereference_sched_check(p, c) rcu_dereference_check(p, (c) || rcu_read_lock_sched_held())
#define rcu_dereference_sched(p) rcu_dereference_sched_check(p, 0)
#define rcu_dereference_raw(p) READ_ONCE(p)
#define rcu_dereference_raw_check(p) READ_ONCE(p)
/* For who holds the lock that updates take: nobody can change the pointer. */
#define rcu_dereference_protected(p, c) \
	({ \
		RCU_LOCKDEP_WARN(!(c), "rcu_dereference_protected(" #p ") without its lock"); \
		(p); \
	})
/* Fetches the pointer to look at its value alone. */
#define rcu_access_pointer(p) READ_ONCE(p)
#define rcu_pointer_handoff(p) (p)
/* Publishes: whoever sees the pointer sees what was stored before. */
#define rcu_assign_pointer(p, v) __hf_store_release(&(p), v)
#define RCU_INIT_POINTER(p, v) WRITE_ONCE(p, v)
#define RCU_INITIALIZER(v) (v)
#define rcu_replace_pointer(p, v, c) \
	({ \
		__auto_type __old = rcu_dereference_protected(p, c); \
		rcu_assign_pointer(p, v); \
		__old; \
	})
#define init_rcu_head(head) ((void)0)
#define destroy_rcu_head(head) ((void)0)
