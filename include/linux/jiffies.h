/* Time (include/linux/jiffies.h): it stands still; what waits for a time may find it over at any moment. */
#pragma once
#include <linux/types.h>
#define HZ 100
#define jiffies 1000UL
#define get_jiffies_64() 1000ULL
#define msecs_to_jiffies(m) ((unsigned long)(m) / 10)
#define usecs_to_jiffies(u) ((unsigned long)(u) / 10000)
#define jiffies_to_msecs(j) ((unsigned int)(j) * 10)
#define time_after(a, b) (__hf_choose(2) != 0)
#define time_before(a, b) (__hf_choose(2) != 0)
#define time_after_eq(a, b) (__hf_choose(2) != 0)
#define time_before_eq(a, b) (__hf_choose(2) != 0)
#define time_is_before_jiffies(a) (__hf_choose(2) != 0)
#define time_is_after_jiffies(a) (__hf_choose(2) != 0)
