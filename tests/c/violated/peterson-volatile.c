/*
 * Peterson with plain volatile variables: enough under SC, not on x86.
 * error: assertion
 * sc: holds
 */
#include <pthread.h>
#include <stdatomic.h>
#include <assert.h>

volatile int flag0, flag1, turn;
int inside;

void *p0(void *arg)
{
	flag0 = 1;
	turn = 1;
	while (flag1 == 1 && turn == 1)
		;
	inside++;
	assert(inside == 1);
	inside--;
	flag0 = 0;
	return NULL;
}

void *p1(void *arg)
{
	flag1 = 1;
	turn = 0;
	while (flag0 == 1 && turn == 0)
		;
	inside++;
	assert(inside == 1);
	inside--;
	flag1 = 0;
	return NULL;
}

int main(void)
{
	pthread_t t0, t1;

	pthread_create(&t0, NULL, p0, NULL);
	pthread_create(&t1, NULL, p1, NULL);
	pthread_join(t0, NULL);
	pthread_join(t1, NULL);
	return 0;
}
