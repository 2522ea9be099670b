/*
 * A flag that is written relaxed does not publish the data before it; with the threads of C11, whose join
 * gives a result.
 * error: assertion
 * sc: holds
 * tso: holds
 */
#include <assert.h>
#include <stdatomic.h>
#include <threads.h>

static atomic_int data, ready;

static int writer(void *unused)
{
	atomic_store_explicit(&data, 1, memory_order_relaxed);
	atomic_store_explicit(&ready, 1, memory_order_relaxed);
	return 0;
}

static int reader(void *unused)
{
	if (atomic_load_explicit(&ready, memory_order_acquire))
		return atomic_load_explicit(&data, memory_order_relaxed);
	return 1;
}

int main(void)
{
	thrd_t w, r;
	int seen;

	thrd_create(&w, writer, NULL);
	thrd_create(&r, reader, NULL);
	thrd_join(w, NULL);
	thrd_join(r, &seen);
	assert(seen == 1);
	return 0;
}
