/*
 * Marked accesses, barriers of the compiler, annotations that mean nothing to the program
 * (include/linux/compiler.h, compiler_types.h, compiler_attributes.h, asm-generic/rwonce.h,
 * asm-generic/barrier.h).
 */
#pragma once

#define __user
#define __kernel
#define __iomem
#define __rcu
#define __percpu
#define __force
#define __private
#define __bitwise
#define __safe
#define __must_hold(x)
#define __acquires(x)
#define __releases(x)
#define __acquire(x) ((void)0)
#define __release(x) ((void)0)
#define __guarded_by(x)
#define __must_check
#define __maybe_unused
#define __always_unused
#define __used
#define __init
#define __exit
#define __initdata
#define __init_or_module
#define __read_mostly
#define __ro_after_init
#define __always_inline inline
#define noinline
#define __noreturn __attribute__((noreturn))
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __cold
#define __hot
#define __pure
#define __printf(a, b)
#define __malloc
#define __deprecated
#define __weak
#define __visible
#define __cacheline_aligned
#define ____cacheline_aligned
#define ____cacheline_aligned_in_smp
#define __cacheline_aligned_in_smp
#define __randomize_layout
#define __no_kcsan
#define __no_sanitize_address
#define notrace
#define asmlinkage
#define fallthrough do { } while (0)
#define __cleanup(f) __attribute__((cleanup(f)))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define unreachable() __builtin_unreachable()

#define __same_type(a, b) __builtin_types_compatible_p(typeof(a), typeof(b))
#define __unqual_scalar_typeof(x) typeof_unqual(x)
#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)
#define __CONCAT_(a, b) a##b
#define __PASTE(a, b) __CONCAT_(a, b)
#define __UNIQUE_ID(prefix) __PASTE(__PASTE(__UNIQUE_ID_, prefix), __COUNTER__)

/* Reads the object once, as it is: no other thread's store is missed by reading it twice or not at all. */
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
/* Writes the object once. */
#define WRITE_ONCE(x, val) do { *(volatile typeof(x) *)&(x) = (val); } while (0)
/* A plain access that is allowed to race. */
#define data_race(expr) ({ __auto_type __v = (expr); __v; })
#define ASSERT_EXCLUSIVE_WRITER(x) ((void)0)
#define ASSERT_EXCLUSIVE_ACCESS(x) ((void)0)

#define barrier() __hf_fence_barrier()
#define smp_mb() __hf_fence_mb()
#define smp_rmb() __hf_fence_rmb()
#define smp_wmb() __hf_fence_wmb()
#define mb() __hf_fence_mb()
#define rmb() __hf_fence_rmb()
#define wmb() __hf_fence_wmb()
#define dma_rmb() __hf_fence_rmb()
#define dma_wmb() __hf_fence_wmb()
#define smp_mb__before_atomic() __hf_fence_before_atomic()
#define smp_mb__after_atomic() __hf_fence_after_atomic()
#define smp_mb__after_spinlock() __hf_fence_after_spinlock()
#define smp_mb__after_unlock_lock() __hf_fence_after_unlock_lock()
/* A control dependency and this order what follows behind the load before. */
#define smp_acquire__after_ctrl_dep() __hf_fence_rmb()
#define smp_read_barrier_depends() ((void)0)

#define smp_load_acquire(p) __hf_load_acquire(p)
#define smp_store_release(p, v) __hf_store_release(p, v)
#define smp_store_mb(var, value) do { WRITE_ONCE(var, value); smp_mb(); } while (0)

#define cpu_relax() __hf_fence_barrier()

#define static_assert(expr, ...) _Static_assert(expr, #expr)
#define BUILD_BUG_ON(cond) __hf_build_bug(cond, "BUILD_BUG_ON failed: " #cond)
#define BUILD_BUG_ON_MSG(cond, msg) __hf_build_bug(cond, msg)
#define BUILD_BUG_ON_ZERO(e) 0
