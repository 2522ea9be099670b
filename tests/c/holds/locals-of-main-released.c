/*
 * Threads that communicate through local variables of main(), which live as long as it waits: weak memory is
 * asked about them as about any others. With a release the data is seen.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

struct channel { atomic_int data, ready; int seen; };

static void *writer(void *p)
{
	struct channel *c = p;

	atomic_store_explicit(&c->data, 1, memory_order_relaxed);
	atomic_store_explicit(&c->ready, 1, memory_order_release);
	return NULL;
}

static void *reader(void *p)
{
	struct channel *c = p;

	if (atomic_load_explicit(&c->ready, memory_order_acquire))
		c->seen = atomic_load_explicit(&c->data, memory_order_relaxed);
	return NULL;
}

int main(void)
{
	struct channel c = { .seen = 1 };
	pthread_t t[2];
	void *(*const start[2])(void *) = { writer, reader };

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, start[i], &c);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert(c.seen == 1);
	return 0;
}
