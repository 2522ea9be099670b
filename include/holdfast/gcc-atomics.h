/*
 * The atomic functions that GCC has built in, as macros: a file that names one has them without asking.
 * Their orders mean what they mean in <stdatomic.h>; the older ones are fully ordered but for the two of the
 * test-and-set lock.
 */
#pragma once
#include <holdfast/orders.h>

#define __atomic_load_n(p, o) __hf_load(p, o)
#define __atomic_load(p, result, o) ((void)(*(result) = __hf_load(p, o)))
#define __atomic_store_n(p, v, o) __hf_store(p, v, o)
#define __atomic_store(p, v, o) __hf_store(p, *(v), o)
#define __atomic_exchange_n(p, v, o) __hf_rmw(xchg, p, v, o)
#define __atomic_exchange(p, v, result, o) ((void)(*(result) = __hf_rmw(xchg, p, *(v), o)))
#define __atomic_compare_exchange_n(p, e, v, weak, o, f) __hf_cas_into(p, e, v, o)
#define __atomic_compare_exchange(p, e, v, weak, o, f) __hf_cas_into(p, e, *(v), o)
#define __atomic_fetch_add(p, v, o) __hf_rmw(add, p, v, o)
#define __atomic_fetch_sub(p, v, o) __hf_rmw(add, p, -(v), o)
#define __atomic_fetch_and(p, v, o) __hf_rmw(and, p, v, o)
#define __atomic_fetch_or(p, v, o) __hf_rmw(or, p, v, o)
#define __atomic_fetch_xor(p, v, o) __hf_rmw(xor, p, v, o)
#define __atomic_add_fetch(p, v, o) ({ __auto_type __v = (v); __hf_rmw(add, p, __v, o) + __v; })
#define __atomic_sub_fetch(p, v, o) ({ __auto_type __v = (v); __hf_rmw(add, p, -__v, o) - __v; })
#define __atomic_and_fetch(p, v, o) ({ __auto_type __v = (v); __hf_rmw(and, p, __v, o) & __v; })
#define __atomic_or_fetch(p, v, o) ({ __auto_type __v = (v); __hf_rmw(or, p, __v, o) | __v; })
#define __atomic_xor_fetch(p, v, o) ({ __auto_type __v = (v); __hf_rmw(xor, p, __v, o) ^ __v; })
#define __atomic_test_and_set(p, o) (__hf_rmw(xchg, p, 1, o) != 0)
#define __atomic_clear(p, o) __hf_store(p, 0, o)
#define __atomic_thread_fence(o) __hf_fence(o)
#define __atomic_signal_fence(o) __hf_fence_barrier()

#define __sync_synchronize() __hf_fence_mb()
#define __sync_fetch_and_add(p, v, ...) __hf_rmw_add_mb(p, v)
#define __sync_fetch_and_sub(p, v, ...) __hf_rmw_add_mb(p, -(v))
#define __sync_fetch_and_and(p, v, ...) __hf_rmw_and_mb(p, v)
#define __sync_fetch_and_or(p, v, ...) __hf_rmw_or_mb(p, v)
#define __sync_fetch_and_xor(p, v, ...) __hf_rmw_xor_mb(p, v)
#define __sync_add_and_fetch(p, v, ...) __atomic_add_fetch(p, v, 5)
#define __sync_sub_and_fetch(p, v, ...) __atomic_sub_fetch(p, v, 5)
#define __sync_and_and_fetch(p, v, ...) __atomic_and_fetch(p, v, 5)
#define __sync_or_and_fetch(p, v, ...) __atomic_or_fetch(p, v, 5)
#define __sync_xor_and_fetch(p, v, ...) __atomic_xor_fetch(p, v, 5)
#define __sync_val_compare_and_swap(p, old, new, ...) __hf_cmpxchg_mb(p, old, new)
#define __sync_bool_compare_and_swap(p, old, new, ...) \
	({ \
		__auto_type __sp = (p); \
		typeof_unqual(*__sp) __so = (old); \
		__hf_cmpxchg_mb(__sp, __so, new) == __so; \
	})
#define __sync_lock_test_and_set(p, v, ...) __hf_rmw_xchg_acquire(p, v)
#define __sync_lock_release(p, ...) __hf_store_release(p, 0)
