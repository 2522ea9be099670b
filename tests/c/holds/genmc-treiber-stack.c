#include <stdlib.h>
#include <stdint.h>
#include <stdbool.h>
#include <pthread.h>
#include <stdatomic.h>
#include <genmc.h>
#include <assert.h>
#ifndef N
# define N 2
#endif
typedef struct node { unsigned int value; struct node *next; } node_t;
typedef struct { _Atomic(node_t *) top; } mystack_t;
static mystack_t stack;
void push(mystack_t *s, unsigned v) {
  node_t *n = malloc(sizeof(*n));
  n->value = v;
  node_t *top = atomic_load_explicit(&s->top, memory_order_relaxed);
  do {
    n->next = top;
  } while (!atomic_compare_exchange_strong_explicit(&s->top, &top, n, memory_order_release, memory_order_relaxed));
}
unsigned pop(mystack_t *s) {
  node_t *top = atomic_load_explicit(&s->top, memory_order_acquire), *next;
  do {
    if (!top) return 0;
    next = top->next;
  } while (!atomic_compare_exchange_strong_explicit(&s->top, &top, next, memory_order_acquire, memory_order_acquire));
  return top->value;
}
void *thread_n(void *arg) { push(&stack, 42 + (intptr_t)arg); unsigned v = pop(&stack); assert(v >= 42); return NULL; }
int main() {
  pthread_t t[N];
  for (int i = 0; i < N; i++) if (pthread_create(&t[i], NULL, thread_n, (void *)(intptr_t)i)) abort();
  for (int i = 0; i < N; i++) if (pthread_join(t[i], NULL)) abort();
  return 0;
}
