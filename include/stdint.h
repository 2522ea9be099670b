/* Integers of the C library: a value leaves 32 bits at the cost of a verdict; see docs/c.md. */
#pragma once
#include <holdfast/words.h>
#define INT8_MAX 127
#define INT8_MIN (-128)
#define UINT8_MAX 255
#define INT16_MAX 32767
#define INT16_MIN (-32768)
#define UINT16_MAX 65535
#define INT32_MAX 2147483647
#define INT32_MIN (-INT32_MAX - 1)
#define UINT32_MAX 4294967295u
#define INTPTR_MAX 2147483647L
#define INT64_C(x) x##L
#define UINT64_C(x) x##UL
#define UINT32_C(x) x##u
typedef int8_t int_least8_t, int_fast8_t;
typedef int16_t int_least16_t;
typedef int32_t int_least32_t, int_fast32_t, int_fast16_t;
typedef uint8_t uint_least8_t, uint_fast8_t;
typedef uint32_t uint_least32_t, uint_fast32_t;
