/*
 * A local variable that a function in a loop fills through its address is no memory of others: weak memory is
 * asked about it, too.
 * error: assertion
 * sc: holds
 * tso: holds
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_int data, ready;

static bool receive(int *value, int *tries)
{
	while (!atomic_load_explicit(&ready, memory_order_relaxed))
		if (tries && ++*tries > 1)
			return false;
	*value = atomic_load_explicit(&data, memory_order_relaxed);
	return true;
}

static void *writer(void *unused)
{
	atomic_store_explicit(&data, 1, memory_order_relaxed);
	atomic_store_explicit(&ready, 1, memory_order_relaxed);
	return NULL;
}

static void *reader(void *unused)
{
	int value, tries = 0;

	if (receive(&value, &tries))
		assert(value == 1);
	return NULL;
}

int main(void)
{
	pthread_t w, r;

	pthread_create(&w, NULL, writer, NULL);
	pthread_create(&r, NULL, reader, NULL);
	return 0;
}
