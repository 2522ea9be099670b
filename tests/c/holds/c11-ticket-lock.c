/* A ticket lock of C11 atomics, with an assumption instead of a loop. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <assert.h>
#include <genmc.h>

struct ticket { atomic_int next, owner; };
static struct ticket lock;
static int shared;

static void ticket_lock(struct ticket *l)
{
	int mine = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
	int now = atomic_load_explicit(&l->owner, memory_order_acquire);

	__VERIFIER_assume(now == mine);
}

static void ticket_unlock(struct ticket *l)
{
	int now = atomic_load_explicit(&l->owner, memory_order_relaxed);

	atomic_store_explicit(&l->owner, now + 1, memory_order_release);
}

static void *worker(void *arg)
{
	intptr_t id = (intptr_t)arg;

	ticket_lock(&lock);
	shared = id;
	assert(shared == id);
	ticket_unlock(&lock);
	return NULL;
}

int main(void)
{
	pthread_t t[2];

	for (intptr_t i = 0; i < 2; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)i))
			abort();
	return 0;
}
