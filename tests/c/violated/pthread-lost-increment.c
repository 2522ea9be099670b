/*
 * A counter that two threads increment with no lock: increments are lost.
 * error: assertion
 */
#include <pthread.h>
#include <assert.h>

static int counter;

static void *worker(void *arg)
{
	for (int i = 0; i < 2; i++) {
		counter++;
	}
	return NULL;
}

int main(void)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, worker, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert(counter == 6);
	return 0;
}
