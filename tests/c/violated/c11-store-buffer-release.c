/*
 * Dekker with release and acquire: both threads may see 0, on x86 too.
 * error: assertion
 * sc: holds
 * arm64: holds
 * riscv: holds
 */
#include <pthread.h>
#include <stdatomic.h>
#include <assert.h>

atomic_int x, y;
int a, b;

void *t1(void *arg)
{
	atomic_store_explicit(&x, 1, memory_order_release);
	a = atomic_load_explicit(&y, memory_order_acquire);
	return NULL;
}

void *t2(void *arg)
{
	atomic_store_explicit(&y, 1, memory_order_release);
	b = atomic_load_explicit(&x, memory_order_acquire);
	return NULL;
}

int main()
{
	pthread_t p, q;

	pthread_create(&p, 0, t1, 0);
	pthread_create(&q, 0, t2, 0);
	pthread_join(p, 0);
	pthread_join(q, 0);
	assert(a == 1 || b == 1);
	return 0;
}
