#include <pthread.h>
#include <lkmm.h>
#include <assert.h>
spinlock_t lock_x;
int x, y; atomic_t z;
int r0, r1;
void *P0(void *arg) { spin_lock(&lock_x); WRITE_ONCE(x, 1); smp_mb(); r0 = READ_ONCE(y); spin_unlock(&lock_x); atomic_inc(&z); return NULL; }
void *P1(void *arg) { WRITE_ONCE(y, 1); smp_mb(); r1 = READ_ONCE(x); return NULL; }
int main() {
  pthread_t t1, t2;
  spin_lock_init(&lock_x);
  pthread_create(&t1, NULL, P0, NULL);
  pthread_create(&t2, NULL, P1, NULL);
  pthread_join(t1, 0); pthread_join(t2, 0);
  assert(r0 == 1 || r1 == 1);
}
