/* Limits of types (include/linux/limits.h, vdso/limits.h). */
#pragma once

#define SCHAR_MAX 127
#define SCHAR_MIN (-128)
#define UCHAR_MAX 255
#define SHRT_MAX 32767
#define SHRT_MIN (-32768)
#define USHRT_MAX 65535
#define INT_MAX 0x7fffffff
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX 0xffffffffU
/* Of the 64-bit types only the values within 32 bits exist here. */
#define LONG_MAX 0x7fffffffL
#define LONG_MIN (-LONG_MAX - 1)
#define ULONG_MAX (~0UL)
#define LLONG_MAX 0x7fffffffLL
#define LLONG_MIN (-LLONG_MAX - 1)
#define ULLONG_MAX (~0ULL)
#define SIZE_MAX (~0UL)
#define U8_MAX UCHAR_MAX
#define U16_MAX USHRT_MAX
#define U32_MAX UINT_MAX
#define S8_MAX SCHAR_MAX
#define S16_MAX SHRT_MAX
#define S32_MAX INT_MAX
#define S32_MIN INT_MIN
#define U64_MAX ULLONG_MAX
#define S64_MAX LLONG_MAX
