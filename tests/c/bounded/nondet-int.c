/* Any value of an int: few of them are tried. */
#include <pthread.h>
#include <assert.h>
#include <holdfast/verifier.h>

int x;
void *worker(void *arg)
{
	int v = __VERIFIER_nondet_int();

	if (v == 77)
		x = 1;
	return 0;
}
int main(void)
{
	pthread_t t;

	pthread_create(&t, 0, worker, 0);
	pthread_join(t, 0);
	assert(x == 0);
	return 0;
}
