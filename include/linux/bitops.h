/*
 * Operations on bits (include/linux/bitops.h, asm-generic/bitops). Those without __ are atomic. Bits 31 to
 * 63 of a word lie outside what a word here can hold.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/math.h>

#define __bit_of(nr) (1UL << ((nr) & (BITS_PER_LONG - 1)))

#define test_bit(nr, addr) ((__hf_load_once(&((unsigned long *)(addr))[BIT_WORD(nr)]) & __bit_of(nr)) != 0)
#define test_bit_acquire(nr, addr) ((__hf_load_acquire(&((unsigned long *)(addr))[BIT_WORD(nr)]) & __bit_of(nr)) != 0)
#define set_bit(nr, addr) ((void)__hf_rmw_or_noreturn(&((unsigned long *)(addr))[BIT_WORD(nr)], __bit_of(nr)))
#define clear_bit(nr, addr) ((void)__hf_rmw_and_noreturn(&((unsigned long *)(addr))[BIT_WORD(nr)], ~__bit_of(nr)))
#define change_bit(nr, addr) ((void)__hf_rmw_xor_noreturn(&((unsigned long *)(addr))[BIT_WORD(nr)], __bit_of(nr)))
#define test_and_set_bit(nr, addr) \
	((__hf_rmw_or_mb(&((unsigned long *)(addr))[BIT_WORD(nr)], __bit_of(nr)) & __bit_of(nr)) != 0)
#define test_and_clear_bit(nr, addr) \
	((__hf_rmw_and_mb(&((unsigned long *)(addr))[BIT_WORD(nr)], ~__bit_of(nr)) & __bit_of(nr)) != 0)
#define test_and_change_bit(nr, addr) \
	((__hf_rmw_xor_mb(&((unsigned long *)(addr))[BIT_WORD(nr)], __bit_of(nr)) & __bit_of(nr)) != 0)
#define test_and_set_bit_lock(nr, addr) \
	((__hf_rmw_or_acquire(&((unsigned long *)(addr))[BIT_WORD(nr)], __bit_of(nr)) & __bit_of(nr)) != 0)
#define clear_bit_unlock(nr, addr) \
	((void)__hf_rmw_and_release(&((unsigned long *)(addr))[BIT_WORD(nr)], ~__bit_of(nr)))
#define __clear_bit_unlock(nr, addr) clear_bit_unlock(nr, addr)
#define __set_bit(nr, addr) ((void)(((unsigned long *)(addr))[BIT_WORD(nr)] |= __bit_of(nr)))
#define __clear_bit(nr, addr) ((void)(((unsigned long *)(addr))[BIT_WORD(nr)] &= ~__bit_of(nr)))
#define __change_bit(nr, addr) ((void)(((unsigned long *)(addr))[BIT_WORD(nr)] ^= __bit_of(nr)))
#define __test_and_set_bit(nr, addr) \
	({ \
		unsigned long *__w = &((unsigned long *)(addr))[BIT_WORD(nr)]; \
		int __old = (*__w & __bit_of(nr)) != 0; \
		*__w |= __bit_of(nr); \
		__old; \
	})
#define __test_and_clear_bit(nr, addr) \
	({ \
		unsigned long *__w = &((unsigned long *)(addr))[BIT_WORD(nr)]; \
		int __old = (*__w & __bit_of(nr)) != 0; \
		*__w &= ~__bit_of(nr); \
		__old; \
	})
#define assign_bit(nr, addr, value) ((value) ? set_bit(nr, addr) : clear_bit(nr, addr))
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

/* Number of the lowest bit that is set; the word is not 0. */
static inline unsigned long __ffs(unsigned long word)
{
	unsigned long n = 0;

	while (!(word & 1)) {
		word >>= 1;
		n++;
	}
	return n;
}
/* 1 + the number of the lowest bit that is set; 0 if none is. */
static inline int ffs(int x)
{
	return x ? __ffs((u32)x & 0x7fffffff ? (u32)x & 0x7fffffff : 0) + 1 : 0;
}
#define ffz(x) __ffs(~(x))
/* 1 + the number of the highest bit that is set; 0 if none is. */
static inline int fls(unsigned int x)
{
	int n = 0;

	while (x) {
		x >>= 1;
		n++;
	}
	return n;
}
#define fls64(x) fls((unsigned int)(x))
#define ilog2(n) (fls(n) - 1)
static inline unsigned int hweight32(unsigned int w)
{
	unsigned int n = 0;

	while (w) {
		w &= w - 1;
		n++;
	}
	return n;
}
#define hweight_long(w) hweight32((unsigned int)(w))
#define hweight64(w) hweight32((unsigned int)(w))
#define hweight8(w) hweight32((w) & 0xff)
static inline unsigned long find_next_bit(const unsigned long *addr, unsigned long size, unsigned long offset)
{
	for (; offset < size; offset++)
		if (test_bit(offset, addr))
			return offset;
	return size;
}
static inline unsigned long find_next_zero_bit(const unsigned long *addr, unsigned long size, unsigned long offset)
{
	for (; offset < size; offset++)
		if (!test_bit(offset, addr))
			return offset;
	return size;
}
#define find_first_bit(addr, size) find_next_bit(addr, size, 0)
#define find_first_zero_bit(addr, size) find_next_zero_bit(addr, size, 0)
#define for_each_set_bit(bit, addr, size) \
	for ((bit) = find_first_bit(addr, size); (bit) < (size); (bit) = find_next_bit(addr, size, (bit) + 1))
#define for_each_clear_bit(bit, addr, size) \
	for ((bit) = find_first_zero_bit(addr, size); (bit) < (size); (bit) = find_next_zero_bit(addr, size, (bit) + 1))
#define bitmap_zero(dst, nbits) memset(dst, 0, BITS_TO_LONGS(nbits) * sizeof(unsigned long))
