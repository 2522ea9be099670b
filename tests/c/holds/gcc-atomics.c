/*
 * The atomic functions that GCC has built in need no header.
 */
#include <assert.h>
#include <pthread.h>

static int lock, count, sum;

static void *add(void *unused)
{
	while (__sync_lock_test_and_set(&lock, 1))
		while (__atomic_load_n(&lock, __ATOMIC_RELAXED))
			;
	count++;
	__sync_lock_release(&lock);
	__atomic_fetch_add(&sum, 2, __ATOMIC_RELAXED);
	return NULL;
}

int main(void)
{
	pthread_t a, b;
	int old = 9;

	pthread_create(&a, NULL, add, NULL);
	pthread_create(&b, NULL, add, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert(count == 2 && sum == 4);
	__sync_synchronize();
	assert(__sync_add_and_fetch(&count, 1) == 3);
	assert(__sync_bool_compare_and_swap(&count, 3, 7) && !__sync_bool_compare_and_swap(&count, 3, 8));
	assert(__sync_val_compare_and_swap(&count, 7, 1) == 7);
	assert(!__atomic_compare_exchange_n(&count, &old, 5, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) && old == 1);
	assert(__atomic_sub_fetch(&count, 1, __ATOMIC_ACQ_REL) == 0);
	return 0;
}
