/*
 * Dekker with sequentially consistent atomics: one of the threads sees the other.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <assert.h>

atomic_int x, y;
int a, b;

void *t1(void *arg)
{
	atomic_store_explicit(&x, 1, memory_order_seq_cst);
	a = atomic_load_explicit(&y, memory_order_seq_cst);
	return NULL;
}

void *t2(void *arg)
{
	atomic_store_explicit(&y, 1, memory_order_seq_cst);
	b = atomic_load_explicit(&x, memory_order_seq_cst);
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
