/* Memory as bytes: what is copied or filled is a number of whole objects. */
#pragma once
#define memset(p, c, n) __hf_memset(p, c, n)
#define memcpy(to, from, n) __hf_memcpy(to, from, n)
#define memmove(to, from, n) __hf_memcpy(to, from, n)
static inline int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a - *b;
}
static inline unsigned long strlen(const char *s)
{
	unsigned long n = 0;

	while (s[n])
		n++;
	return n;
}
