/*
 * What test programs of other checkers call (SV-COMP, GenMC, Dartagnan, CBMC). A value that may be anything
 * is one of a few here; what other values would do is not explored, and the verdict is "bounded", not
 * "holds".
 */
#pragma once
#define __VERIFIER_assume(c) __hf_assume((c) != 0)
#define __CPROVER_assume(c) __hf_assume((c) != 0)
#define assume(c) __hf_assume((c) != 0)
#define assume_abort_if_not(c) __hf_assume((c) != 0)
#define __VERIFIER_assert(c) __hf_assert(c, "assertion", "__VERIFIER_assert(" #c ")")
#define __CPROVER_assert(c, text) __hf_assert(c, "assertion", "__CPROVER_assert(" #c ")")
#define __VERIFIER_error() __hf_reach("__VERIFIER_error()")
#define __assert_fail(e, f, l, fn) __hf_reach("__assert_fail()")
#define __VERIFIER_loop_bound(n) ((void)(n))
#define __VERIFIER_loop_begin() ((void)0)
#define __VERIFIER_spin_start() ((void)0)
#define __VERIFIER_spin_end(x) ((void)(x))

static inline int __hf_any(int n)
{
	static const int values[] = { 0, 1, 2, 3, -1 };
	int k = __hf_choose(n + 1);

	__hf_assert(k < n, "bound", "other values of a __VERIFIER_nondet function");
	return values[k];
}
#define __VERIFIER_nondet_bool() ((_Bool)__hf_choose(2))
#define __VERIFIER_nondet__Bool() ((_Bool)__hf_choose(2))
#define __VERIFIER_nondet_int() __hf_any(5)
#define __VERIFIER_nondet_uint() ((unsigned int)__hf_any(4))
#define __VERIFIER_nondet_unsigned() ((unsigned int)__hf_any(4))
#define __VERIFIER_nondet_char() ((char)__hf_any(5))
#define __VERIFIER_nondet_uchar() ((unsigned char)__hf_any(4))
#define __VERIFIER_nondet_short() ((short)__hf_any(5))
#define __VERIFIER_nondet_ushort() ((unsigned short)__hf_any(4))
#define __VERIFIER_nondet_long() ((long)__hf_any(5))
#define __VERIFIER_nondet_ulong() ((unsigned long)__hf_any(4))
#define nondet_int() __hf_any(5)
#define nondet_uint() ((unsigned int)__hf_any(4))
#define nondet_bool() ((_Bool)__hf_choose(2))
/* All that lies between is one step of nobody else who is between such a pair. */
static int __hf_atomic;
#define __VERIFIER_atomic_begin() __hf_spin_lock(&__hf_atomic)
#define __VERIFIER_atomic_end() __hf_spin_unlock(&__hf_atomic)
#define __CPROVER_atomic_begin() __hf_spin_lock(&__hf_atomic)
#define __CPROVER_atomic_end() __hf_spin_unlock(&__hf_atomic)
