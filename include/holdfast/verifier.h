/* What test programs of other checkers call; what it does is in holdfast/library.h. */
#pragma once
void __VERIFIER_assume(int cond);
void __VERIFIER_error(void);
int __VERIFIER_nondet_int(void);
unsigned int __VERIFIER_nondet_uint(void);
_Bool __VERIFIER_nondet_bool(void);
void __VERIFIER_atomic_begin(void);
void __VERIFIER_atomic_end(void);
