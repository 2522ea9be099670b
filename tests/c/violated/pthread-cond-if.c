/*
 * Two consumers and one item: who wakes behind an `if` does not look again whether it is still there.
 * error: assertion
 */
#include <pthread.h>
#include <assert.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int items;

static void *consumer(void *arg)
{
	pthread_mutex_lock(&m);
	if (items == 0)
		pthread_cond_wait(&c, &m);
	items--;
	assert(items >= 0);
	pthread_mutex_unlock(&m);
	return NULL;
}

static void *producer(void *arg)
{
	for (int i = 0; i < 2; i++) {
		pthread_mutex_lock(&m);
		items++;
		pthread_cond_broadcast(&c);
		pthread_mutex_unlock(&m);
	}
	return NULL;
}

int main(void)
{
	pthread_t a, b, p;

	pthread_create(&a, NULL, consumer, NULL);
	pthread_create(&b, NULL, consumer, NULL);
	pthread_create(&p, NULL, producer, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	pthread_join(p, NULL);
	return 0;
}
