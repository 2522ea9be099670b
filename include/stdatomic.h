/*
 * Atomics of C11. Orders map to the kernel's: relaxed is READ_ONCE() and WRITE_ONCE(), acquire and release
 * are theirs, acq_rel and seq_cst operations are fully ordered; a seq_cst store is followed by smp_mb().
 * An order must be a constant. The verdict names the model that was looked at.
 */
#pragma once
#include <holdfast/words.h>

typedef enum memory_order {
	memory_order_relaxed, memory_order_consume, memory_order_acquire,
	memory_order_release, memory_order_acq_rel, memory_order_seq_cst
} memory_order;
#define __ATOMIC_RELAXED 0
#define __ATOMIC_CONSUME 1
#define __ATOMIC_ACQUIRE 2
#define __ATOMIC_RELEASE 3
#define __ATOMIC_ACQ_REL 4
#define __ATOMIC_SEQ_CST 5

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

#define __hf_load(p, o) \
	((o) == 0 ? __hf_load_once(p) : __hf_load_acquire(p))
#define __hf_store(p, v, o) \
	do { \
		__auto_type __sp = (p); \
		typeof_unqual(*__sp) __sv = (v); \
		if ((o) == 0) \
			__hf_store_once(__sp, __sv); \
		else \
			__hf_store_release(__sp, __sv); \
		if ((o) == 5) \
			__hf_fence_mb(); \
	} while (0)
#define __hf_rmw(op, p, v, o) \
	({ \
		__auto_type __rp = (p); \
		__auto_type __rv = (v); \
		(o) == 0 ? __hf_rmw_##op##_once(__rp, __rv) : \
		(o) <= 2 ? __hf_rmw_##op##_acquire(__rp, __rv) : \
		(o) == 3 ? __hf_rmw_##op##_release(__rp, __rv) : __hf_rmw_##op##_mb(__rp, __rv); \
	})
#define __hf_cas(p, old, new, o) \
	((o) == 0 ? __hf_cmpxchg_once(p, old, new) : (o) <= 2 ? __hf_cmpxchg_acquire(p, old, new) : \
	 (o) == 3 ? __hf_cmpxchg_release(p, old, new) : __hf_cmpxchg_mb(p, old, new))
/* Does not fail by chance. */
#define __hf_cas_into(p, expected, new, o) \
	({ \
		__auto_type __cp = (p); \
		__auto_type __ce = (expected); \
		typeof_unqual(*__cp) __cw = *__ce; \
		typeof_unqual(*__cp) __cn = (new); \
		typeof_unqual(*__cp) __cs = __hf_cas(__cp, __cw, __cn, o); \
		if (__cs != __cw) \
			*__ce = __cs; \
		__cs == __cw; \
	})

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
/*
 * The kernel has no fence that orders reads before writes and nothing more: of an acquire or release fence
 * its read or write barrier is what is certain.
 */
#define atomic_thread_fence(o) \
	do { \
		if ((o) == 5) \
			__hf_fence_mb(); \
		if ((o) == 1 || (o) == 2 || (o) == 4) \
			__hf_fence_rmb(); \
		if ((o) == 3 || (o) == 4) \
			__hf_fence_wmb(); \
	} while (0)
#define atomic_signal_fence(o) __hf_fence_barrier()

typedef struct { int value; } atomic_flag;
#define atomic_flag_test_and_set_explicit(f, o) (__hf_rmw(xchg, &(f)->value, 1, o) != 0)
#define atomic_flag_test_and_set(f) atomic_flag_test_and_set_explicit(f, 5)
#define atomic_flag_clear_explicit(f, o) __hf_store(&(f)->value, 0, o)
#define atomic_flag_clear(f) atomic_flag_clear_explicit(f, 5)
