/*
 * Preemption: a section that may not sleep (include/linux/preempt.h). An RCU grace period waits for it, as
 * since v4.20.
 */
#pragma once
#include <linux/context.h>

static inline void preempt_disable(void)
{
	__hf_preempt_count++;
	__hf_rcu_read_lock();
}
static inline void preempt_enable(void)
{
	__hf_rcu_read_unlock();
	__hf_preempt_count--;
}
#define preempt_count() __hf_preempt_count
#define in_atomic() (__hf_preempt_count != 0)
#define preemptible() (!__hf_preempt_count && !__hf_irqs_off)
#define get_cpu() ({ preempt_disable(); __hf_cpu(); })
#define put_cpu() preempt_enable()
