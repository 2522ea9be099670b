/* Smaller and larger (include/linux/minmax.h). */
#pragma once

#define min(x, y) ({ __auto_type __x = (x); __auto_type __y = (y); __x < __y ? __x : __y; })
#define max(x, y) ({ __auto_type __x = (x); __auto_type __y = (y); __x > __y ? __x : __y; })
#define min3(x, y, z) min(min(x, y), z)
#define max3(x, y, z) max(max(x, y), z)
#define min_t(type, x, y) min((type)(x), (type)(y))
#define max_t(type, x, y) max((type)(x), (type)(y))
#define min_not_zero(x, y) ({ __auto_type __a = (x); __auto_type __b = (y); !__a ? __b : !__b ? __a : min(__a, __b); })
#define clamp(val, lo, hi) min(max(val, lo), hi)
#define clamp_t(type, val, lo, hi) min_t(type, max_t(type, val, lo), hi)
#define clamp_val(val, lo, hi) clamp_t(typeof(val), val, lo, hi)
#define swap(a, b) do { __auto_type __tmp = (a); (a) = (b); (b) = __tmp; } while (0)
