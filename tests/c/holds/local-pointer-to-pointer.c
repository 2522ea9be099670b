/* What a local pointer to a local pointer leads to is what was written by name. */
#include <assert.h>
#include <pthread.h>

static int shared;

static void *writer(void *unused)
{
	shared = 1;
	return 0;
}

int main(void)
{
	int q = 1;
	int *p = &q;
	int **pp = &p;
	pthread_t t;

	pthread_create(&t, 0, writer, 0);
	q = 2;
	assert(**pp == 2);
	pthread_join(t, 0);
	assert(shared == 1);
	return 0;
}
