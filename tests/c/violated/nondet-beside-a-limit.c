/*
 * What is violated with a value that is tried is found, though other values are beyond what is tried.
 * error: assertion
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

extern int __VERIFIER_nondet_int(void);
static atomic_int sum;

static void *add(void *unused)
{
	atomic_fetch_add(&sum, __VERIFIER_nondet_int());
	return NULL;
}

int main(void)
{
	pthread_t a, b;

	pthread_create(&a, NULL, add, NULL);
	pthread_create(&b, NULL, add, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert(atomic_load(&sum) != 4);
	return 0;
}
