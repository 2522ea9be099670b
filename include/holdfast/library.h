/*
 * What programs call that declare it themselves, or not at all: functions of the C library, and those that
 * tests of other checkers call (SV-COMP, GenMC, Dartagnan, CBMC). malloc() does not fail. Who calls abort() or
 * exit(), or assumes what is false, ends the run, and what would come behind is in none. A value that may be
 * anything is one of a few here; what others would do is not explored: then the verdict is "bounded".
 */
#pragma once

static inline void __hf_lib_abort(void)
{
	__hf_assume(0);
}
static inline void __hf_lib_exit(int status)
{
	__hf_assume(0);
}
static inline void *__hf_lib_malloc(unsigned long size)
{
	return __hf_alloc(size);
}
static inline void *__hf_lib_calloc(unsigned long n, unsigned long size)
{
	return __hf_zalloc(n * size);
}
static inline void __hf_lib_free(void *p)
{
	if (p)
		__hf_free(p);
}
static inline int __hf_lib_abs(int x)
{
	return x < 0 ? -x : x;
}
static inline unsigned int __hf_lib_sleep(unsigned int seconds)
{
	return 0;
}
static inline int __hf_lib_usleep(unsigned int usec)
{
	return 0;
}
static inline int __hf_lib_sched_yield(void)
{
	return 0;
}
static inline void __hf_lib_srand(unsigned int seed)
{
}

static inline void __hf_lib_assert(int cond)
{
	__hf_assert(cond, "assertion", "assert()");
}
static inline void __hf_lib___assert_fail(const char *expr, const char *file, unsigned int line, const char *fn)
{
	__hf_reach("an assertion fails");
}
static inline void __hf_lib___assert(const char *fn, int line, const char *expr)
{
	__hf_reach("an assertion fails");
}
static inline void __hf_lib_reach_error(void)
{
	__hf_reach("reach_error()");
}
static inline void __hf_lib___VERIFIER_error(void)
{
	__hf_reach("__VERIFIER_error()");
}
static inline void __hf_lib___VERIFIER_assert(int cond)
{
	__hf_assert(cond, "assertion", "__VERIFIER_assert()");
}
static inline void __hf_lib___CPROVER_assert(int cond, const char *text)
{
	__hf_assert(cond, "assertion", "__CPROVER_assert()");
}
static inline void __hf_lib___VERIFIER_assume(int cond)
{
	__hf_assume(cond);
}
static inline void __hf_lib___CPROVER_assume(int cond)
{
	__hf_assume(cond);
}
static inline void __hf_lib_assume_abort_if_not(int cond)
{
	__hf_assume(cond);
}
static inline void __hf_lib_assume(int cond)
{
	__hf_assume(cond);
}
static inline void __hf_lib___VERIFIER_loop_bound(int n)
{
}
static inline void __hf_lib___VERIFIER_spin_start(void)
{
}
static inline void __hf_lib___VERIFIER_spin_end(int again)
{
}
static inline void __hf_lib___VERIFIER_loop_begin(void)
{
}
/* All that lies between is one step for everybody else who is between such a pair. */
static int __hf_atomic;
static inline void __hf_lib___VERIFIER_atomic_begin(void)
{
	__hf_spin_lock(&__hf_atomic);
}
static inline void __hf_lib___VERIFIER_atomic_end(void)
{
	__hf_spin_unlock(&__hf_atomic);
}
static inline void __hf_lib___CPROVER_atomic_begin(void)
{
	__hf_spin_lock(&__hf_atomic);
}
static inline void __hf_lib___CPROVER_atomic_end(void)
{
	__hf_spin_unlock(&__hf_atomic);
}

static inline int __hf_any(int n)
{
	int k = __hf_choose(n + 1);

	__hf_assert(k < n, "bound", "other values of a __VERIFIER_nondet function");
	return k == 4 ? -1 : k;
}
static inline _Bool __hf_lib___VERIFIER_nondet_bool(void)
{
	return __hf_choose(2);
}
static inline _Bool __hf_lib___VERIFIER_nondet__Bool(void)
{
	return __hf_choose(2);
}
static inline int __hf_lib___VERIFIER_nondet_int(void)
{
	return __hf_any(5);
}
static inline unsigned int __hf_lib___VERIFIER_nondet_uint(void)
{
	return __hf_any(4);
}
static inline unsigned int __hf_lib___VERIFIER_nondet_unsigned(void)
{
	return __hf_any(4);
}
static inline char __hf_lib___VERIFIER_nondet_char(void)
{
	return __hf_any(5);
}
static inline unsigned char __hf_lib___VERIFIER_nondet_uchar(void)
{
	return __hf_any(4);
}
static inline short __hf_lib___VERIFIER_nondet_short(void)
{
	return __hf_any(5);
}
static inline unsigned short __hf_lib___VERIFIER_nondet_ushort(void)
{
	return __hf_any(4);
}
static inline long __hf_lib___VERIFIER_nondet_long(void)
{
	return __hf_any(5);
}
static inline unsigned long __hf_lib___VERIFIER_nondet_ulong(void)
{
	return __hf_any(4);
}
static inline int __hf_lib_rand(void)
{
	return __hf_any(4);
}
static inline int __hf_lib_nondet_int(void)
{
	return __hf_any(5);
}
static inline unsigned int __hf_lib_nondet_uint(void)
{
	return __hf_any(4);
}
static inline _Bool __hf_lib_nondet_bool(void)
{
	return __hf_choose(2);
}
