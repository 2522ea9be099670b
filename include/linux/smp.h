/*
 * CPUs (include/linux/smp.h). Each thread has a CPU of its own, numbered in the order in which threads were
 * started; threads that others start get the numbers behind.
 */
#pragma once
#include <linux/compiler.h>
#include <linux/preempt.h>

#ifndef NR_CPUS
#define NR_CPUS 8
#endif
#define nr_cpu_ids NR_CPUS
#define num_possible_cpus() NR_CPUS
#define num_online_cpus() NR_CPUS
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < NR_CPUS; (cpu)++)
#define for_each_online_cpu(cpu) for_each_possible_cpu(cpu)
static inline int __smp_processor_id(void)
{
	int cpu = __hf_cpu();

	__hf_assert(cpu < NR_CPUS, "bound", "more threads than NR_CPUS: define it, -D NR_CPUS=16");
	return cpu;
}
#define smp_processor_id() __smp_processor_id()
#define raw_smp_processor_id() __smp_processor_id()
