/* Output: shown in counterexamples, otherwise it means nothing. */
#pragma once
#include <holdfast/words.h>
#define printf(fmt, ...) ({ __hf_printk(fmt, ##__VA_ARGS__); 0; })
#define fprintf(f, fmt, ...) ({ (void)(f); __hf_printk(fmt, ##__VA_ARGS__); 0; })
#define puts(s) ({ (void)(s); 0; })
#define putchar(c) ({ (void)(c); 0; })
#define perror(s) ((void)(s))
#define fflush(f) ((void)(f))
typedef struct { int unused; } FILE;
static FILE __hf_file;
#define stdout (&__hf_file)
#define stderr (&__hf_file)
