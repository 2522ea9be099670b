/*
 * Variables of which each CPU has one (include/linux/percpu.h, percpu-defs.h): copies that lie one behind the
 * other. What a CPU does to its own is one step, as a single instruction is.
 */
#pragma once
#include <linux/types.h>
#include <linux/smp.h>
#include <linux/slab.h>

#define DEFINE_PER_CPU(type, name) __attribute__((hf_copies(NR_CPUS))) __typeof__(type) name
#define DECLARE_PER_CPU(type, name) extern __attribute__((hf_copies(NR_CPUS))) __typeof__(type) name
#define DEFINE_PER_CPU_ALIGNED(type, name) DEFINE_PER_CPU(type, name)
#define DEFINE_PER_CPU_SHARED_ALIGNED(type, name) DEFINE_PER_CPU(type, name)
#define DEFINE_PER_CPU_READ_MOSTLY(type, name) DEFINE_PER_CPU(type, name)
#define EXPORT_PER_CPU_SYMBOL_GPL(x)

#define per_cpu_ptr(ptr, cpu) ((ptr) + (cpu))
#define per_cpu(var, cpu) (*((&(var)) + (cpu)))
#define this_cpu_ptr(ptr) per_cpu_ptr(ptr, smp_processor_id())
#define raw_cpu_ptr(ptr) this_cpu_ptr(ptr)
#define get_cpu_var(var) (*({ preempt_disable(); this_cpu_ptr(&(var)); }))
#define put_cpu_var(var) do { (void)&(var); preempt_enable(); } while (0)
#define get_cpu_ptr(ptr) ({ preempt_disable(); this_cpu_ptr(ptr); })
#define put_cpu_ptr(ptr) do { (void)(ptr); preempt_enable(); } while (0)

#define alloc_percpu(type) ((__typeof__(type) *)__hf_zalloc(sizeof(type) * NR_CPUS))
#define alloc_percpu_gfp(type, gfp) alloc_percpu(type)
#define free_percpu(ptr) kfree(ptr)

#define this_cpu_read(var) __hf_load_once(this_cpu_ptr(&(var)))
#define this_cpu_write(var, v) __hf_store_once(this_cpu_ptr(&(var)), v)
#define this_cpu_add(var, v) ((void)__hf_rmw_add_once(this_cpu_ptr(&(var)), v))
#define this_cpu_sub(var, v) this_cpu_add(var, -(v))
#define this_cpu_inc(var) this_cpu_add(var, 1)
#define this_cpu_dec(var) this_cpu_add(var, -1)
#define this_cpu_and(var, v) ((void)__hf_rmw_and_once(this_cpu_ptr(&(var)), v))
#define this_cpu_or(var, v) ((void)__hf_rmw_or_once(this_cpu_ptr(&(var)), v))
#define this_cpu_add_return(var, v) ({ __auto_type __i = (v); __hf_rmw_add_once(this_cpu_ptr(&(var)), __i) + __i; })
#define this_cpu_inc_return(var) this_cpu_add_return(var, 1)
#define this_cpu_dec_return(var) this_cpu_add_return(var, -1)
#define this_cpu_xchg(var, v) __hf_rmw_xchg_once(this_cpu_ptr(&(var)), v)
#define this_cpu_cmpxchg(var, old, new) __hf_cmpxchg_once(this_cpu_ptr(&(var)), old, new)
#define __this_cpu_read(var) (*this_cpu_ptr(&(var)))
#define __this_cpu_write(var, v) ((void)(*this_cpu_ptr(&(var)) = (v)))
#define __this_cpu_add(var, v) ((void)(*this_cpu_ptr(&(var)) += (v)))
#define __this_cpu_inc(var) __this_cpu_add(var, 1)
#define __this_cpu_dec(var) __this_cpu_add(var, -1)
#define raw_cpu_read(var) __this_cpu_read(var)
#define raw_cpu_inc(var) __this_cpu_inc(var)
