/* Accesses whose order is an argument, a constant: those of C11, and those that GCC has built in. */
#pragma once
#include <holdfast/words.h>

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
/*
 * The kernel has no fence that orders reads before writes and nothing more: of an acquire or release fence
 * its read or write barrier is what is certain.
 */
#define __hf_fence(o) \
	do { \
		if ((o) == 5) \
			__hf_fence_mb(); \
		if ((o) == 1 || (o) == 2 || (o) == 4) \
			__hf_fence_rmb(); \
		if ((o) == 3 || (o) == 4) \
			__hf_fence_wmb(); \
	} while (0)
