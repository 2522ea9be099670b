/*
 * A program that starts no thread.
 * error: assertion
 */
#include <assert.h>

static int parity(unsigned int n)
{
	int p = 0;

	for (; n; n &= n - 1)
		p ^= 1;
	return p;
}

int main(void)
{
	assert(parity(6) == 0);
	assert(parity(11) == 0);
	return 0;
}
