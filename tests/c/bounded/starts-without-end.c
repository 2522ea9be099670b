/* A start that starts threads for ever: told at once, not after hundreds of thousands of them. */
#include <pthread.h>
#include <stdlib.h>

struct node { struct node *next; };
struct node *top;
void *worker(void *arg)
{
	struct node *n = malloc(sizeof(*n));

	n->next = top;
	return 0;
}
int main(void)
{
	pthread_t t[2];

	for (int i = 0; i < 2;)
		if (pthread_create(&t[i], 0, worker, 0))
			abort();
	return 0;
}
