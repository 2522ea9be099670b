/**
 * What running a program's start alone costs: it grows with what the start does and not with its square, and
 * a start that goes on for ever is told soon.
 */
import { expect, test } from "vitest";
import { checkC } from "../../../src/check/c/check.ts";
import { memoryFiles } from "../../../src/lang/c/files.ts";
import { nodeFiles } from "../../../src/lang/c/node-files.ts";

/** Verdict under SC, and milliseconds of this process's CPU. */
function verdictOf(text: string): { verdict: string; took: number } {
  const files = { ...memoryFiles({ "x.c": text }), header: nodeFiles().header };
  const started = process.cpuUsage();
  const runs = checkC("x.c", files, { models: ["sc"], limits: { maxStates: 1000 } });
  const { user, system } = process.cpuUsage(started);
  return { verdict: runs[0].result.verdict, took: (user + system) / 1000 };
}

const HEAD = `#include <pthread.h>
#include <stdlib.h>
#include <assert.h>
struct node { struct node *next; int value; };
struct node *list;
`;

test("a start that makes 15,000 objects and frees half of them is run in seconds", () => {
  const { verdict, took } = verdictOf(`${HEAD}
void *worker(void *arg) { assert(list->value == 14999 && list->next->value == 14998); return 0; }
int main(void)
{
	pthread_t t;
	for (int i = 0; i < 15000; i++) {
		struct node *n = malloc(sizeof(*n)), *other = malloc(sizeof(*n));
		n->next = list;
		n->value = i;
		list = n;
		free(other);
	}
	pthread_create(&t, 0, worker, 0);
	pthread_join(t, 0);
	return 0;
}`);
  expect(verdict).toBe("holds");
  expect(took).toBeLessThan(8_000);
});

test("a start that starts threads for ever is told soon", () => {
  const { verdict, took } = verdictOf(`${HEAD}
void *worker(void *arg) { struct node *n = malloc(sizeof(*n)); n->next = list; return 0; }
int main(void)
{
	pthread_t t[2];
	for (int i = 0; i < 2;)
		if (pthread_create(&t[i], 0, worker, 0))
			abort();
	return 0;
}`);
  expect(verdict).toBe("bounded");
  expect(took).toBeLessThan(8_000);
});

test("an atomic load of a function is refused", () => {
  expect(() =>
    verdictOf(`#include <pthread.h>
#include <stdatomic.h>
int b;
void *worker(void *arg) { b = atomic_load_explicit(&worker, memory_order_seq_cst); return 0; }
int main(void) { pthread_t t; pthread_create(&t, 0, worker, 0); return 0; }`),
  ).toThrow(/HF214/);
});
