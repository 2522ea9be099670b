/*
 * Memory and the end of a program. malloc() does not fail. Who calls abort() or exit() ends the run, and what
 * would come behind is in none.
 */
#pragma once
#include <holdfast/words.h>
#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define RAND_MAX 2147483647
#define malloc(size) __hf_alloc(size)
#define calloc(n, size) __hf_zalloc((n) * (size))
#define aligned_alloc(align, size) __hf_alloc(size)
void free(void *p);
void abort(void) __attribute__((noreturn));
void exit(int status) __attribute__((noreturn));
int rand(void);
void srand(unsigned int seed);
int abs(int x);
