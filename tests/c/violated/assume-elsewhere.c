/*
 * An assumption that is false ends its thread; what another thread does before is in the run all the same.
 * error: assertion
 */
#include <pthread.h>
#include <assert.h>
#include <holdfast/verifier.h>

int x;

void *stops(void *arg)
{
	x = 1;
	__VERIFIER_assume(0);
	return 0;
}

void *looks(void *arg)
{
	assert(x == 0);
	return 0;
}

int main(void)
{
	pthread_t a, b;

	pthread_create(&a, 0, stops, 0);
	pthread_create(&b, 0, looks, 0);
	return 0;
}
