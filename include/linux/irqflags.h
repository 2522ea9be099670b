/*
 * Interrupts of this CPU, off and on (include/linux/irqflags.h). A section with interrupts off holds up RCU
 * grace periods, and IPIs that somebody waits for. Interrupt handlers run as threads of their own.
 */
#pragma once
#include <linux/compiler.h>
#include <linux/context.h>

static inline unsigned long __local_irq_save(void)
{
	unsigned long flags = __hf_local_irq_save();

	__hf_irqs_off = 1;
	return flags;
}
static inline void __local_irq_restore(unsigned long flags)
{
	__hf_assert(__hf_irqs_off, "irq-state", "local_irq_restore() with interrupts on");
	if (!flags)
		__hf_irqs_off = 0;
	__hf_local_irq_restore(flags);
}
#define local_irq_save(flags) do { (flags) = __local_irq_save(); } while (0)
#define local_irq_restore(flags) __local_irq_restore(flags)
#define local_irq_disable() do { (void)__hf_local_irq_save(); __hf_irqs_off = 1; } while (0)
#define local_irq_enable() do { __hf_irqs_off = 0; __hf_local_irq_restore(0); } while (0)
#define irqs_disabled() (__hf_irqs_off != 0)
#define lockdep_assert_irqs_disabled() \
	__hf_assert(__hf_irqs_off, "irq-state", "lockdep_assert_irqs_disabled(): interrupts are on")
#define lockdep_assert_irqs_enabled() \
	__hf_assert(!__hf_irqs_off, "irq-state", "lockdep_assert_irqs_enabled(): interrupts are off")

/* Softirqs (include/linux/bottom_half.h). */
static inline void local_bh_disable(void)
{
	__hf_bh_count++;
	__hf_rcu_read_lock();
}
static inline void local_bh_enable(void)
{
	__hf_assert(!__hf_irqs_off, "irq-state", "local_bh_enable() with interrupts off");
	__hf_rcu_read_unlock();
	__hf_bh_count--;
}
#define in_softirq() (__hf_bh_count != 0)
#define in_interrupt() (__hf_bh_count != 0 || __hf_hardirq)
#define in_hardirq() (__hf_hardirq != 0)
#define in_irq() in_hardirq()
#define in_task() (!in_interrupt())
