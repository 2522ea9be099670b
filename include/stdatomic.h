/*
 * Atomics of C11. Orders map to the kernel's: relaxed is READ_ONCE() and WRITE_ONCE(), acquire and release
 * are theirs, acq_rel and seq_cst operations are fully ordered; a seq_cst store is followed by smp_mb().
 * An order must be a constant. The verdict names the model that was looked at.
 */
#pragma once
#include <holdfast/orders.h>

typedef enum memory_order {
	memory_order_relaxed, memory_order_consume, memory_order_acquire,
	memory_order_release, memory_order_acq_rel, memory_order_seq_cst
} memory_order;

typedef _Atomic _Bool atomic_bool;
typedef _Atomic char atomic_char;
typedef _Atomic signed char atomic_schar;
typedef _Atomic unsigned char atomic_uchar;
typedef _Atomic short atomic_short;
typedef _Atomic unsigned short atomic_ushort;
typedef _Atomic int atomic_int;
typedef _Atomic unsigned int atomic_uint;
typedef _Atomic long atomic_long;
typedef _Atomic unsigned long atomic_ulong;
typedef _Atomic long long atomic_llong;
typedef _Atomic unsigned long long atomic_ullong;
typedef _Atomic int atomic_int_fast32_t, atomic_int_least32_t;
typedef _Atomic unsigned int atomic_uint_fast32_t, atomic_uint_least32_t;
typedef _Atomic long atomic_intptr_t, atomic_ptrdiff_t, atomic_intmax_t;
typedef _Atomic unsigned long atomic_uintptr_t, atomic_size_t, atomic_uintmax_t;
#define ATOMIC_VAR_INIT(value) (value)
#define ATOMIC_FLAG_INIT { 0 }
#define ATOMIC_INT_LOCK_FREE 2
#define ATOMIC_POINTER_LOCK_FREE 2
#define atomic_is_lock_free(p) 1
#define kill_dependency(y) (y)
#define atomic_init(p, v) __hf_store_plain(p, v)

#define atomic_load_explicit(p, o) __hf_load(p, o)
#define atomic_load(p) __hf_load(p, 5)
#define atomic_store_explicit(p, v, o) __hf_store(p, v, o)
#define atomic_store(p, v) __hf_store(p, v, 5)
#define atomic_exchange_explicit(p, v, o) __hf_rmw(xchg, p, v, o)
#define atomic_exchange(p, v) __hf_rmw(xchg, p, v, 5)
#define atomic_compare_exchange_strong_explicit(p, e, v, o, f) __hf_cas_into(p, e, v, o)
#define atomic_compare_exchange_strong(p, e, v) __hf_cas_into(p, e, v, 5)
#define atomic_compare_exchange_weak_explicit(p, e, v, o, f) __hf_cas_into(p, e, v, o)
#define atomic_compare_exchange_weak(p, e, v) __hf_cas_into(p, e, v, 5)
#define atomic_fetch_add_explicit(p, v, o) __hf_rmw(add, p, v, o)
#define atomic_fetch_add(p, v) __hf_rmw(add, p, v, 5)
#define atomic_fetch_sub_explicit(p, v, o) __hf_rmw(add, p, -(v), o)
#define atomic_fetch_sub(p, v) __hf_rmw(add, p, -(v), 5)
#define atomic_fetch_or_explicit(p, v, o) __hf_rmw(or, p, v, o)
#define atomic_fetch_or(p, v) __hf_rmw(or, p, v, 5)
#define atomic_fetch_and_explicit(p, v, o) __hf_rmw(and, p, v, o)
#define atomic_fetch_and(p, v) __hf_rmw(and, p, v, 5)
#define atomic_fetch_xor_explicit(p, v, o) __hf_rmw(xor, p, v, o)
#define atomic_fetch_xor(p, v) __hf_rmw(xor, p, v, 5)
#define atomic_thread_fence(o) __hf_fence(o)
#define atomic_signal_fence(o) __hf_fence_barrier()

typedef struct { int value; } atomic_flag;
#define atomic_flag_test_and_set_explicit(f, o) (__hf_rmw(xchg, &(f)->value, 1, o) != 0)
#define atomic_flag_test_and_set(f) atomic_flag_test_and_set_explicit(f, 5)
#define atomic_flag_clear_explicit(f, o) __hf_store(&(f)->value, 0, o)
#define atomic_flag_clear(f) atomic_flag_clear_explicit(f, 5)
