/*
 * A function gives its caller the address of a variable of its own, which has ended by then.
 * error: use-after-free
 */
#include <pthread.h>

static int shared;

static int *local(void)
{
	int x = 1;

	return &x;
}

static void *writer(void *unused)
{
	shared = 1;
	return 0;
}

int main(void)
{
	pthread_t t;

	pthread_create(&t, 0, writer, 0);
	int *p = local();
	int seen = *p;
	pthread_join(t, 0);
	return seen;
}
