/*
 * What a thread may do where it is: counts of sections that it is inside, as the kernel keeps them in
 * preempt_count() and lockdep. They are thread-local, so that they cost no state, and the checks of
 * might_sleep() and rcu_dereference() rest on them.
 */
#pragma once

/* Spinlocks held and preempt_disable(), nested. */
_Thread_local int __hf_preempt_count;
/* local_bh_disable(), nested. */
_Thread_local int __hf_bh_count;
/* rcu_read_lock(), nested; that of the _bh and _sched kinds is in the two counts above. */
_Thread_local int __hf_rcu_count;
/* Interrupts are off. */
_Thread_local int __hf_irqs_off;

/* This is an interrupt handler. */
_Thread_local int __hf_hardirq;

#define might_sleep() \
	__hf_assert(!(__hf_preempt_count || __hf_bh_count || __hf_irqs_off || __hf_rcu_count || __hf_hardirq), \
		    "sleep-in-atomic", "sleeping function called from invalid context")
#define might_sleep_if(cond) do { if (cond) might_sleep(); } while (0)
#define might_lock(lock) ((void)0)
#define cant_sleep() ((void)0)
