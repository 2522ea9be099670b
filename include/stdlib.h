/*
 * Memory and the end of a program. malloc() does not fail. Who calls abort() or exit() ends the run, and what
 * would come behind is in none.
 */
#pragma once
#include <holdfast/words.h>
#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define malloc(size) __hf_alloc(size)
#define calloc(n, size) __hf_zalloc((n) * (size))
#define aligned_alloc(align, size) __hf_alloc(size)
static inline void free(void *p)
{
	if (p)
		__hf_free(p);
}
#define abort() __hf_assume(0)
#define exit(status) ({ (void)(status); __hf_assume(0); })
#define _Exit(status) exit(status)
#define atoi(s) ((void)(s), __VERIFIER_nondet_int())
static inline int abs(int x)
{
	return x < 0 ? -x : x;
}
#define rand() __VERIFIER_nondet_int()
#define random() ((long)__VERIFIER_nondet_int())
#define srand(seed) ((void)(seed))
#include <holdfast/verifier.h>
