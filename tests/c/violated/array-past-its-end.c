/*
 * A loop that goes one too far, in an array whose end is no multiple of anything.
 * error: out-of-bounds
 */
#include <pthread.h>

static int table[3];
static int after;

static void fill(int *p, int n)
{
	for (int i = 0; i <= n; i++)
		p[i] = i;
}

static void *worker(void *arg)
{
	fill(table, 3);
	return NULL;
}

int main(void)
{
	pthread_t t;

	after = 1;
	pthread_create(&t, NULL, worker, NULL);
	pthread_join(t, NULL);
	return 0;
}
