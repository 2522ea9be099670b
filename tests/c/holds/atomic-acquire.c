/*
 * SV-COMP: a function whose name begins so is one step. The lock is released by a plain store, which orders
 * nothing on hardware weaker than TSO.
 * arm64: violated assertion
 * riscv: violated assertion
 * lkmm: violated assertion
 */
#include <pthread.h>
int lock, n;
void __VERIFIER_atomic_acquire(void) { __VERIFIER_assume(lock == 0); lock = 1; }
void release(void) { lock = 0; }
void *w(void *a) { __VERIFIER_atomic_acquire(); n++; __CPROVER_assert(n == 1, "one"); n--; release(); return 0; }
int main() { pthread_t a, b;
  __CPROVER_ASYNC_1: pthread_create(&a, 0, w, 0);
  pthread_create(&b, 0, w, 0); return 0; }
